"""The dispatcher as the Agent calls it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from datadog_checks.base import AgentCheck, ConfigurationError

import datadog_checks.metta_checks
import metta_checks
from metta_checks.check import SOURCES, MettaChecks
from metta_checks.core.errors import missing_library
from metta_checks.core.source import Source


def test_names_the_sources_when_none_or_another_is_named():
    for instance, words in (({}, 'is missing'), ({'source': 'gitlab'}, "is 'gitlab'"), (None, 'is missing')):
        with pytest.raises(ConfigurationError) as caught:
            MettaChecks(name='metta_checks', init_config={}, instances=(instance,))
        assert words in str(caught.value)
        assert ', '.join(sorted(SOURCES)) in str(caught.value)


def test_the_second_attempt_of_the_agent_gives_the_same_error():
    with pytest.raises(ConfigurationError, match='must be one of'):
        MettaChecks(name='metta_checks', init_config={}, instances=({'source': 'x'},), agentConfig={})


@pytest.mark.parametrize('source', SOURCES)
def test_gives_the_check_of_the_source(source):
    check = MettaChecks(name='metta_checks', init_config={}, instances=({'source': source},), agentConfig={})
    assert type(check).__module__ == f'metta_checks.{source}.check'
    assert check.name == 'metta_checks'
    assert isinstance(check, Source)
    assert source == check.SOURCE


@pytest.mark.parametrize('module', [datadog_checks.metta_checks, metta_checks])
def test_is_the_only_check_class_in_sight(module):
    visible = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, AgentCheck)]
    assert visible == [MettaChecks]
    assert MettaChecks.__subclasses__() == []


WITHOUT = """
import sys
# None in sys.modules is how Python marks a module that cannot be imported.
sys.modules[sys.argv[1]] = None
import json
from datadog_checks.metta_checks import MettaChecks
try:
    print(MettaChecks('metta_checks', {}, [json.loads(sys.argv[2])]).run())
except Exception as error:
    print(json.dumps([{'message': str(error), 'type': type(error).__name__}]))
"""


def without(library: str, instance: dict) -> str:
    """Return the error that reports a missing library, from the constructor or from the first run."""
    command = [sys.executable, '-c', WITHOUT, library, json.dumps(instance)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])[0]['message']


@pytest.mark.parametrize(
    ('library', 'package', 'instance'),
    [
        ('botocore', 'boto3', {'source': 'ec2', 'regions': ['us-east-1']}),
        ('kubernetes', 'kubernetes', {'source': 'kubernetes', 'kubeconfig': 'nowhere'}),
        (
            'jwt',
            'pyjwt',
            {
                'source': 'github',
                'organization': 'o',
                'app_id': '1',
                'app_installation_id': '2',
                'app_private_key': 'k',
            },
        ),
    ],
)
def test_a_missing_library_is_named_with_what_to_do(library, package, instance):
    message = without(library, instance)
    assert f'`{package}' in message
    assert f"pip install '{package}" in message or f'pip install {package}' in message
    assert len(message.splitlines()) == 1


def test_a_missing_library_breaks_only_its_source():
    message = without('botocore', {'source': 'wandb', 'api_url': 'http://127.0.0.1:9', 'api_key': 'k', 'entity': 'e'})
    assert 'botocore' not in message
    assert 'boto3' not in message


def test_a_defect_of_ours_is_not_taken_for_a_missing_library():
    with pytest.raises(ModuleNotFoundError):
        missing_library(ModuleNotFoundError('No module named', name='metta_checks.ec2.nothing'))
