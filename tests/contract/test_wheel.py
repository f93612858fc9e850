"""The wheel as the Agent installs, finds and runs it: without its dependencies, on the Agent's own libraries."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
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
from metta_checks.testing import Agent, Clock, Driver

check_class = next(leaves(importlib.import_module('datadog_checks.metta_checks')))
results = {}
for name, order in json.loads(sys.argv[1]).items():
    clock = Clock(datetime.datetime.fromisoformat(order['now']))
    driver = Driver(order['instance'], clock, agent=Agent(), check_class=check_class)
    run = driver.run()
    results[name] = {
        'error': run.error,
        'warnings': run.warnings,
        'class': type(driver.check).__module__,
        'config': type(driver.check.config).__module__,
        'figures': [[point.name, point.type, point.value, sorted(point.tags)] for point in run.points],
        'foreign': [name for name in ('github', 'wandb', 'typer', 'moto', 'sky') if name in sys.modules],
        'still': [value.__name__ for value in leaves(importlib.import_module('datadog_checks.metta_checks'))],
    }
print(json.dumps(results))
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


def figures(rows: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Return the submitted series without the self-metrics, in a form that can be compared."""
    return sorted((name, kind, value, *tags) for name, kind, value, tags in rows if not name.startswith(SELF_METRICS))


def here(service: Service) -> list[tuple[Any, ...]]:
    """Return the series that are read from a service in this process, with other versions of the libraries."""
    run = Driver(service.instance(), service.clock, agent=Agent()).run()
    assert run.error == ''
    return figures([[point.name, point.type, point.value, sorted(point.tags)] for point in run.points])


@pytest.fixture(scope='module')
def services() -> Iterator[dict[str, Service]]:
    """Read by all environments: their time stands still, and nobody writes to them."""
    with ExitStack() as stack:
        yield {source: stack.enter_context(Running(sandbox.service(source, None, Clock()))) for source in SOURCES}


@pytest.fixture(scope='module')
def expected(services) -> dict[str, list[tuple[Any, ...]]]:
    return {source: here(service) for source, service in services.items()}


def with_kubeconfig(instance: dict[str, Any], path: Path) -> dict[str, Any]:
    """The instance, with address and token in a kubeconfig."""
    kubeconfig = {
        'apiVersion': 'v1',
        'kind': 'Config',
        'clusters': [{'name': 'c', 'cluster': {'server': instance.pop('api_server_url')}}],
        'users': [{'name': 'u', 'user': {'token': instance.pop('token')}}],
        'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'user': 'u'}}],
        'current-context': 'x',
    }
    path.write_text(json.dumps(kubeconfig), encoding='utf-8')
    return {**instance, 'kubeconfig': str(path)}


@pytest.fixture(scope='module')
def results(agent: Environment, services, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Return the results of the instances of all sources, run one after the other in an Agent's environment."""
    kubeconfig = tmp_path_factory.mktemp('kubernetes') / 'kubeconfig'
    instances = {
        **{source: service.instance() for source, service in services.items()},
        'app': services['github'].app_instance(),
        'kubeconfig': with_kubeconfig(services['kubernetes'].instance(), kubeconfig),
    }
    orders = {
        name: {'instance': instance, 'now': services[instance['source']].clock.now().isoformat()}
        for name, instance in instances.items()
    }
    found: dict[str, dict[str, Any]] = json.loads(agent.run(RUN, json.dumps(orders)).splitlines()[-1])
    return found


@pytest.mark.integration
@pytest.mark.parametrize('source', SOURCES)
def test_every_source_reads_the_same_on_the_agents_libraries(results, expected, source):
    result = results[source]
    assert result['error'] == ''
    assert result['warnings'] == []
    assert result['class'] == f'metta_checks.{source}.check'
    # A missing config_models package is silent in the Agent.
    assert result['config'] == f'metta_checks.{source}.config_models.instance'
    assert result['foreign'] == []
    assert result['still'] == ['MettaChecks']
    assert any(name.startswith(f'metta.{source}.') for name, *_ in expected[source])
    assert figures(result['figures']) == expected[source]


@pytest.mark.integration
def test_app_tokens_are_made_with_the_agents_libraries(results, expected):
    assert results['app']['error'] == ''
    assert figures(results['app']['figures']) == expected['github']


@pytest.mark.integration
def test_kubeconfig_is_read_with_the_agents_client(results, expected):
    assert results['kubeconfig']['error'] == ''
    assert figures(results['kubeconfig']['figures']) == expected['kubernetes']
