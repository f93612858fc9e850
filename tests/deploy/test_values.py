"""The Helm values: keys of the chart, what the sources need and no more, and the sources' own files."""

from __future__ import annotations

import copy
import re
import typing

import pytest
import yaml
from pydantic import BaseModel

from datadog_checks.metta_checks import MettaChecks
from metta_checks.check import SOURCES, source_class
from metta_checks.core.source import Source
from tools import chart_keys

from .documents import DEPLOY, ENVIRONMENTS, document, leaves, merged, sources, text, values
from .needs import FILES, problems

VALUES = ('values.yaml', 'values-staging.yaml', 'values-production.yaml')
# Sources whose subject differs between the environments; the others read an organization that exists once.
STAGING = {'ec2', 'kubernetes', 'skypilot'}
SECRET = re.compile(r'ENC\[[A-Za-z0-9_./-]+;[a-z_]+\]')


def known() -> list[str]:
    return chart_keys.read(text('helm/chart-keys.txt'))


def without(tree, path):
    """A copy of a tree without one leaf."""
    result = copy.deepcopy(tree)
    here = result
    for key in path[:-1]:
        here = here[key]
    del here[path[-1]]
    return result


def with_(tree, path, value):
    """A copy of a tree with one more leaf."""
    above = value
    for key in reversed(path):
        above = {key: above}
    return merged(tree, above)


# Keys.


@pytest.mark.parametrize('file', VALUES)
def test_every_key_is_one_of_the_chart(file):
    assert list(chart_keys.unknown(document(f'helm/{file}'), known())) == []


@pytest.mark.parametrize('file', VALUES)
def test_every_misspelt_key_is_found(file):
    tree = document(f'helm/{file}')
    for path, value in leaves(tree):
        # Below a key of the chart that takes anything there is nothing to compare with.
        for depth in range(len(path)):
            if f'{".".join(path[:depth])}{chart_keys.ANYTHING}' in known():
                break
            misspelt = (*path[:depth], f'{path[depth]}s', *path[depth + 1 :])
            assert list(chart_keys.unknown(with_(without(tree, path), misspelt, value), known())) == [
                '.'.join(misspelt[: depth + 1])
            ]


def test_the_list_of_keys_is_as_the_program_writes_it():
    keys = known()
    assert len(keys) == len(set(keys)) > 150
    assert not any(other.startswith(f'{key}.') for key in keys for other in keys if other != f'{key}.*')


CHART = """
datadog:
  site:  # datadoghq.com
  tags: []
  secretBackend:
    type:
    config: {}
clusterAgent:
  enabled: true
kube-state-metrics:
  rbac:
    create: true
"""


def test_the_program_that_lists_keys(tmp_path, capsys):
    chart, ours = tmp_path / 'values.yaml', tmp_path / 'ours.yaml'
    chart.write_text(CHART)
    assert chart_keys.main([str(chart), '--section', 'datadog', '--section', 'clusterAgent']) == 0
    printed = capsys.readouterr().out
    assert chart_keys.read(printed) == [
        'datadog.site',
        'datadog.tags',
        'datadog.secretBackend.type',
        'datadog.secretBackend.config.*',
        'clusterAgent.enabled',
    ]
    ours.write_text('datadog: {site: x, secretBackend: {config: {a: {b: 1}}}}\nkube-state-metrics: null\n')
    assert chart_keys.main([str(chart), '--check', str(ours)]) == 0
    ours.write_text('datadog: {sites: x}\nclusterAgents: {enabled: true}\nclusterAgent: yes\n')
    capsys.readouterr()
    assert chart_keys.main([str(chart), '--check', str(ours)]) == 1
    said = capsys.readouterr().out
    for key in ('datadog.sites', 'clusterAgents', 'clusterAgent'):
        assert f'{ours}: the chart has no value {key}\n' in said
    assert chart_keys.main([str(chart), '--section', 'datdog']) == 1
    assert chart_keys.main([str(tmp_path / 'none.yaml')]) == 1


# All needs, and no more.


@pytest.mark.parametrize('environment', ENVIRONMENTS)
def test_the_values_are_what_the_sources_need(environment):
    assert list(problems(environment, values(environment))) == []


@pytest.mark.parametrize('environment', ENVIRONMENTS)
def test_each_value_and_variable_that_is_taken_away_is_noticed(environment):
    tree = values(environment)
    for path, _ in leaves(tree):
        found = list(problems(environment, without(tree, path)))
        if path[: len(FILES)] == FILES:
            # Another test compares the sources of the environments.
            continue
        assert any(problem.startswith(f'missing {".".join(path)}:') for problem in found), path


ADDED = [
    (('clusterAgent', 'envDict', 'DD_TAGS'), 'env:production'),
    (('clusterChecksRunner', 'envDict', 'DD_SECRET_BACKEND_SKIP_CHECKS'), 'true'),
    (('clusterChecksRunner', 'env'), [{'name': 'DD_LOG_LEVEL', 'value': 'debug'}]),
    (('datadog', 'envDict', 'DD_CHECK_RUNNERS'), '8'),
    (('datadog', 'apiKey'), '0123'),
    (('datadog', 'checksd', 'metta_checks.py'), 'import'),
    (('datadog', 'secretBackend', 'command'), '/readsecret.sh'),
    (('clusterAgent', 'rbac', 'serviceAccountAnnotations', 'eks.amazonaws.com/role-arn'), 'arn:aws:iam::1:role/x'),
]


@pytest.mark.parametrize(('path', 'value'), ADDED, ids=['.'.join(path) for path, _ in ADDED])
def test_what_is_added_without_need_is_noticed(path, value):
    found = list(problems('production', with_(values('production'), path, value)))
    assert found == [f'superfluous {".".join(path)}']


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        (('datadog', 'secretBackend', 'enableGlobalPermissions'), True),
        (('clusterAgent', 'envDict', 'DD_CLUSTER_CHECKS_EXTRA_TAGS'), 'env:staging'),
        (('clusterAgent', 'envDict', 'DD_SECRET_BACKEND_SKIP_CHECKS'), True),
        (('clusterChecksRunner', 'envDict', 'DD_CHECK_RUNNERS'), '4'),
        (('clusterChecksRunner', 'image', 'tag'), '7.81.1'),
        (('clusterChecksRunner', 'rbac', 'dedicated'), False),
    ],
)
def test_a_wrong_value_is_noticed(path, value):
    [found] = problems('production', with_(values('production'), path, value))
    assert found.startswith(f'wrong {".".join(path)}: ')


def test_an_overlay_says_only_what_differs():
    for environment in ENVIRONMENTS:
        common = dict(leaves(document('helm/values.yaml')))
        overlay = dict(leaves(document(f'helm/values-{environment}.yaml')))
        assert [path for path, value in overlay.items() if common.get(path, object()) == value] == []


# The sources' files.


def every_file():
    for environment in ENVIRONMENTS:
        for name, content in sources(values(environment)).items():
            yield pytest.param(environment, name, content, id=f'{environment}-{name}')


def test_which_sources_run_where():
    expected = {'production': set(SOURCES), 'staging': STAGING}
    for environment in ENVIRONMENTS:
        assert {name.removesuffix('.yaml') for name in sources(values(environment))} == expected[environment]


@pytest.mark.parametrize(('environment', 'name', 'content'), every_file())
def test_a_file_is_one_source_for_the_whole_cluster(environment, name, content):
    assert set(content) == {'cluster_check', 'init_config', 'instances'}
    assert content['cluster_check'] is True
    assert {instance['source'] for instance in content['instances']} == {name.removesuffix('.yaml')}
    for instance in content['instances']:
        assert instance['tags'] == [f'env:{environment}']
        assert instance['empty_default_hostname'] is True
        assert type(instance['min_collection_interval']) is int


@pytest.mark.parametrize(('environment', 'name', 'content'), every_file())
def test_the_check_takes_the_file(environment, name, content):
    for instance in content['instances']:
        check = MettaChecks('metta_checks', content['init_config'] or {}, [instance])
        check.load_configuration_models()
        assert isinstance(check, Source)
        assert list(unknown_options(type(check.config), instance)) == []


@pytest.mark.parametrize(('environment', 'name', 'content'), every_file())
def test_secrets_are_references(environment, name, content):
    for instance in content['instances']:
        secret = source_class(instance['source']).SECRET_OPTIONS
        given = {option: instance[option] for option in secret if option in instance}
        assert all(SECRET.fullmatch(value) for value in given.values()), given
        # EC2 has the role of its service account, Kubernetes the account's token.
        assert bool(given) is (instance['source'] not in ('ec2', 'kubernetes'))


def unknown_options(model, given, path=''):
    """Options that a config model does not have, at any depth: the models themselves let them pass."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, value in given.items():
        if name not in fields:
            yield f'{path}{name}'
        elif isinstance(value, dict):
            for inner in inner_models(fields[name].annotation):
                yield from unknown_options(inner, value, f'{path}{name}.')


def inner_models(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from inner_models(part)


def test_a_misspelt_option_would_be_found():
    content = sources(values('production'))['ec2.yaml']
    [instance] = content['instances']
    model = type(loaded(instance))
    assert list(unknown_options(model, {**instance, 'region': []})) == ['region']
    assert list(unknown_options(model, {**instance, 'idle': {'sauce': 'off'}})) == ['idle.sauce']


def loaded(instance):
    check = MettaChecks('metta_checks', {}, [instance])
    check.load_configuration_models()
    assert isinstance(check, Source)
    return check.config


def test_the_files_are_found_where_the_chart_puts_them():
    """A key `metta_checks.d` with files in it; a flat file would be one dispatch unit of all sources."""
    for environment in ENVIRONMENTS:
        confd = values(environment)['clusterAgent']['advancedConfd']
        assert list(confd) == ['metta_checks.d']
        assert all(yaml.safe_load(content) for content in confd['metta_checks.d'].values())


def test_the_node_agents_run_none_of_it():
    for file in DEPLOY.rglob('*.yaml'):
        content = file.read_text(encoding='utf-8')
        assert not re.search(r'^\s*(confd|checksd|configDataMap):', content, re.MULTILINE), file.name
