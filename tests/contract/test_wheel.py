"""The wheel as the Agent installs, finds and runs it: without its dependencies, on the Agent's own libraries."""

from __future__ import annotations

import functools
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

import sandbox
from metta_checks.check import SOURCES
from metta_checks.testing import SELF_METRICS, Agent, Clock, Driver
from sandbox import Running, Service

from .environments import ROOT, Environment

DATA = 'datadog_checks/metta_checks/data/'

# pkg/collector/python/loader.go and rtloader/three/three.cpp of the Agent: the modules in order, in each the first
# class by name that derives from AgentCheck and has no subclass.
LOADER = """
import importlib, inspect, json, sys
from datadog_checks.base import AgentCheck

def leaves(module):
    for name in sorted(dir(module)):
        value = getattr(module, name)
        if inspect.isclass(value) and issubclass(value, AgentCheck) and value is not AgentCheck:
            if not value.__subclasses__():
                yield value

found = {}
for name in ('datadog_checks.metta_checks', 'metta_checks'):
    module = importlib.import_module(name)
    found[name] = [f'{value.__module__}.{value.__qualname__}' for value in leaves(module)]
found['version'] = importlib.import_module('datadog_checks.metta_checks').__version__
print(json.dumps(found))
"""

# The kit is part of the wheel: it drives the class that the loader finds.
RUN = (
    LOADER.replace('print(json.dumps(found))', '')
    + """
import datetime
from metta_checks.testing import Clock, Driver
check_class = next(leaves(importlib.import_module('datadog_checks.metta_checks')))
order = json.loads(sys.argv[1])
driver = Driver(order['instance'], Clock(datetime.datetime.fromisoformat(order['now'])), check_class=check_class)
run = driver.run()
print(json.dumps({
    'error': run.error,
    'warnings': run.warnings,
    'class': type(driver.check).__module__,
    'config': type(driver.check.config).__module__,
    'figures': [[point.name, point.type, point.value, sorted(point.tags)] for point in run.points],
    'foreign': [name for name in ('github', 'wandb', 'typer', 'moto', 'sky') if name in sys.modules],
    'still': [value.__name__ for value in leaves(importlib.import_module('datadog_checks.metta_checks'))],
}))
"""
)


def names(wheel) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if not name.endswith('/RECORD'))


def test_wheel_holds_what_the_agent_needs_and_nothing_else(distributions):
    content = names(distributions['wheel'])
    tops = {name.split('/')[0] for name in content}
    assert {top for top in tops if not top.endswith('.dist-info')} == {'metta_checks', 'datadog_checks'}
    for source in SOURCES:
        for part in ('check.py', 'client.py', 'metrics.yaml', 'config_models/instance.py'):
            assert f'metta_checks/{source}/{part}' in content
    examples = sorted(path.name for path in (ROOT / 'conf.d' / 'metta_checks.d').iterdir())
    assert [name.removeprefix(DATA) for name in content if name.startswith(DATA)] == examples
    # A plain *.yaml would overwrite the user's own file at installation.
    assert all(name.endswith('.yaml.example') for name in examples)
    assert 'datadog_checks/__init__.py' not in content


def test_wheel_is_the_same_from_the_sdist(distributions):
    assert names(distributions['wheel']) == names(distributions['again'])


def test_metadata_satisfies_the_agent(distributions):
    with zipfile.ZipFile(distributions['wheel']) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith('.dist-info/METADATA')]
        text = archive.read(metadata).decode()
    assert 'Requires-Dist: datadog-checks-base' in text
    assert text.splitlines()[1] == 'Name: datadog-metta-checks'


def test_the_loader_finds_one_class(agent):
    found = json.loads(agent.run(LOADER))
    assert found['datadog_checks.metta_checks'] == ['metta_checks.check.MettaChecks']
    assert found['metta_checks'] == ['metta_checks.check.MettaChecks']
    assert found['version']


def test_examples_lie_where_the_agent_copies_them_from(agent):
    data = agent.site_packages / DATA
    source = ROOT / 'conf.d' / 'metta_checks.d'
    assert {path.name: path.read_text() for path in data.iterdir()} == {
        path.name: path.read_text() for path in source.iterdir()
    }


def test_the_vendors_sdks_are_not_there(agent):
    code = (
        'import importlib.util, json;'
        'print(json.dumps([n for n in ("github", "wandb", "typer") if importlib.util.find_spec(n)]))'
    )
    assert json.loads(agent.run(code)) == []


PINS = """
import importlib.metadata, json, re
wanted = {}
for line in importlib.metadata.requires('datadog-checks-base'):
    found = re.fullmatch(r"([A-Za-z0-9._-]+)==(\\S+?); extra == '(deps|http|json|kube)'", line)
    if found:
        wanted[found[1].lower()] = found[2]
installed = {one.metadata['Name'].lower().replace('_', '-'): one.version for one in importlib.metadata.distributions()}
print(json.dumps({'wanted': wanted, 'installed': installed}))
"""
# Of the base package's pins: see constraints/README.md.
NOT_INSTALLED = {'aws-requests-auth', 'certifi', 'ddtrace', 'pysocks', 'requests-kerberos', 'requests-ntlm'}


def test_the_pins_are_the_base_packages(agent):
    found = json.loads(agent.run(PINS))
    wanted = {name: version for name, version in found['wanted'].items() if name not in NOT_INSTALLED}
    assert {'requests', 'pydantic', 'kubernetes', 'botocore', 'pyjwt', 'cryptography'} <= wanted.keys()
    assert {name: found['installed'].get(name) for name in wanted} == wanted


def run(agent: Environment, instance: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Run an instance once in the Agent's environment."""
    order = {'instance': instance, 'now': clock.now().isoformat()}
    result: dict[str, Any] = json.loads(agent.run(RUN, json.dumps(order)).splitlines()[-1])
    return result


def figures(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What was read, without what the check says of itself, for comparison."""
    return sorted(
        (name, kind, value, *tags) for name, kind, value, tags in result['figures'] if not name.startswith(SELF_METRICS)
    )


@dataclass(frozen=True)
class Served:
    """A service, and what is read of it in this process, on other libraries."""

    service: Service
    expected: list[tuple[Any, ...]]


@pytest.fixture(scope='module')
def serve_once() -> Iterator[Callable[[str], Served]]:
    """Every service is made once for all environments: its time stands still, and nothing writes to it."""
    with ExitStack() as stack:

        @functools.cache
        def served(source: str) -> Served:
            service = stack.enter_context(Running(sandbox.service(source, None, Clock())))
            run = Driver(service.instance(), service.clock, agent=Agent()).run()
            assert run.error == ''
            rows = [[point.name, point.type, point.value, sorted(point.tags)] for point in run.points]
            return Served(service, figures({'figures': rows}))

        yield served


@pytest.mark.integration
@pytest.mark.parametrize('source', SOURCES)
def test_every_source_reads_the_same_on_the_agents_libraries(agent, serve_once, source):
    served = serve_once(source)
    result = run(agent, served.service.instance(), served.service.clock)
    assert result['error'] == ''
    assert result['warnings'] == []
    assert result['class'] == f'metta_checks.{source}.check'
    # A missing config_models package is silent in the Agent.
    assert result['config'] == f'metta_checks.{source}.config_models.instance'
    assert result['foreign'] == []
    assert result['still'] == ['MettaChecks']
    assert any(name.startswith(f'metta.{source}.') for name, *_ in served.expected)
    assert figures(result) == served.expected


@pytest.mark.integration
def test_app_tokens_are_made_with_the_agents_libraries(agent, serve_once):
    served = serve_once('github')
    result = run(agent, served.service.app_instance(), served.service.clock)
    assert result['error'] == ''
    assert figures(result) == served.expected


@pytest.mark.integration
def test_kubeconfig_is_read_with_the_agents_client(agent, serve_once, tmp_path):
    served = serve_once('kubernetes')
    instance = served.service.instance()
    kubeconfig = {
        'apiVersion': 'v1',
        'kind': 'Config',
        'clusters': [{'name': 'c', 'cluster': {'server': instance.pop('api_server_url')}}],
        'users': [{'name': 'u', 'user': {'token': instance.pop('token')}}],
        'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'user': 'u'}}],
        'current-context': 'x',
    }
    path = tmp_path / 'kubeconfig'
    path.write_text(json.dumps(kubeconfig), encoding='utf-8')
    result = run(agent, {**instance, 'kubeconfig': str(path)}, served.service.clock)
    assert result['error'] == ''
    assert figures(result) == served.expected
