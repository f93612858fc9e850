"""The wheel as the Agent installs, finds and runs it: without its dependencies, on the Agent's own libraries."""

from __future__ import annotations

import json
import zipfile

import pytest

from metta_checks.check import SOURCES
from metta_checks.testing import SELF_METRICS, Driver
from sandbox import Clock

from .environments import ROOT

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

RUN = (
    LOADER.replace('print(json.dumps(found))', '')
    + """
import datetime, os
# The stub of the aggregator refuses tag names such as `cluster`, which are meant here.
os.environ['DDEV_SKIP_GENERIC_TAGS_CHECK'] = 'true'
from datadog_checks.base.stubs import aggregator
check_class = next(leaves(importlib.import_module('datadog_checks.metta_checks')))
order = json.loads(sys.argv[1])
check = check_class(name='metta_checks', init_config={}, instances=(order['instance'],))
check.check_id = 'metta_checks:1:2'
moment = datetime.datetime.fromisoformat(order['now'])
check.clock = lambda: moment
error = check.run()
foreign = [name for name in ('github', 'wandb', 'typer', 'moto', 'sky') if name in sys.modules]
print(json.dumps({
    'error': json.loads(error) if error else '',
    'warnings': check.get_warnings(),
    'class': type(check).__module__,
    'config': type(check.config).__module__,
    'figures': [
        [stub.name, sorted(stub.tags), stub.value]
        for name in aggregator.metric_names for stub in aggregator.metrics(name)
    ],
    'foreign': foreign,
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


def run(agent, instance: dict, clock: Clock) -> dict:
    """Run an instance once in the Agent's environment."""
    order = {'instance': instance, 'now': clock.now().isoformat()}
    return json.loads(agent.run(RUN, json.dumps(order)).splitlines()[-1])


def figures(rows: list[list]) -> list[tuple]:
    """What was read, without what the check says of itself, for comparison."""
    return sorted((name, *tags, value) for name, tags, value in rows if not name.startswith(SELF_METRICS))


def here(instance: dict, clock: Clock) -> list[tuple]:
    """What the same instance reads in this process, on other libraries."""
    outcome = Driver(instance, clock.now).run()
    assert outcome.error == ''
    rows = [[name, tags, value] for (name, tags), value in outcome.values.items()]
    rows += [[name, tags, value] for (name, tags), values in outcome.histograms.items() for value in values]
    return figures(rows)


@pytest.mark.integration
@pytest.mark.parametrize('source', SOURCES)
def test_every_source_reads_the_same_on_the_agents_libraries(agent, serve, source):
    service = serve(source, Clock())
    result = run(agent, service.instance(), service.clock)
    assert result['error'] == ''
    assert result['warnings'] == []
    assert result['class'] == f'metta_checks.{source}.check'
    # A missing config_models package is silent in the Agent.
    assert result['config'] == f'metta_checks.{source}.config_models.instance'
    assert result['foreign'] == []
    assert result['still'] == ['MettaChecks']
    expected = here(service.instance(), service.clock)
    assert any(name.startswith(f'metta.{source}.') for name, *_ in expected)
    assert figures(result['figures']) == expected


@pytest.mark.integration
def test_app_tokens_are_made_with_the_agents_libraries(agent, serve):
    service = serve('github', Clock())
    result = run(agent, service.app_instance(), service.clock)
    assert result['error'] == ''
    assert figures(result['figures']) == here(service.instance(), service.clock)


@pytest.mark.integration
def test_kubeconfig_is_read_with_the_agents_client(agent, serve, tmp_path):
    service = serve('kubernetes', Clock())
    instance = service.instance()
    expected = here(instance, service.clock)
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
    result = run(agent, {**instance, 'kubeconfig': str(path)}, service.clock)
    assert result['error'] == ''
    assert figures(result['figures']) == expected
