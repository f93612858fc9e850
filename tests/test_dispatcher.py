"""The dispatcher as the Agent calls it."""

from __future__ import annotations

import importlib
import sys

import pytest
from datadog_checks.base import AgentCheck, ConfigurationError

import datadog_checks.metta_checks
import metta_checks
from metta_checks.check import SOURCES, MettaChecks


def test_names_the_sources_when_none_or_another_is_named():
    for instance, words in (({}, 'is missing'), ({'source': 'gitlab'}, "is 'gitlab'"), (None, 'is missing')):
        with pytest.raises(ConfigurationError) as caught:
            MettaChecks(name='metta_checks', init_config={}, instances=(instance,))
        assert words in str(caught.value)
        assert 'asana, ec2, github, kubernetes, skypilot, wandb' in str(caught.value)


def test_the_second_attempt_of_the_agent_gives_the_same_error():
    with pytest.raises(ConfigurationError, match='must be one of'):
        MettaChecks(name='metta_checks', init_config={}, instances=({'source': 'x'},), agentConfig={})


@pytest.mark.parametrize('source', SOURCES)
def test_gives_the_check_of_the_source(source):
    check = MettaChecks(name='metta_checks', init_config={}, instances=({'source': source},), agentConfig={})
    assert type(check).__module__ == f'metta_checks.{source}.check'
    assert check.name == 'metta_checks'
    assert source == type(check).SOURCE


@pytest.mark.parametrize('module', [datadog_checks.metta_checks, metta_checks])
def test_is_the_only_check_class_in_sight(module):
    visible = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, AgentCheck)]
    assert visible == [MettaChecks]
    assert MettaChecks.__subclasses__() == []


def test_a_missing_library_breaks_only_its_source(monkeypatch):
    for name in [name for name in sys.modules if name.startswith('metta_checks.ec2') or name.split('.')[0] == 'boto3']:
        monkeypatch.delitem(sys.modules, name)
    # None in sys.modules is how Python marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, 'boto3', None)
    try:
        importlib.import_module('metta_checks.ec2.check')
    except ModuleNotFoundError:
        with pytest.raises(ConfigurationError) as caught:
            MettaChecks(name='metta_checks', init_config={}, instances=({'source': 'ec2'},))
        assert 'needs the Python package `boto3`' in str(caught.value)
        assert 'agent pip install boto3' in str(caught.value)
    assert MettaChecks(name='metta_checks', init_config={}, instances=({'source': 'github'},))
