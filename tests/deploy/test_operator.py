"""The DatadogAgent resource: fields that it has, and the same deployment as through the chart."""

from __future__ import annotations

import copy
import json

import jsonschema
import kubernetes_validate
import yaml

from .documents import document, leaves, sources, text, values

RESOURCE = 'operator/datadog-agent.yaml'
AGENT = ('spec', 'override', 'clusterAgent')
RUNNER = ('spec', 'override', 'clusterChecksRunner')
# Where the chart has the same: every leaf of the resource but what makes it one must be in here.
SAME = {
    ('spec', 'global', 'clusterName'): ('datadog', 'clusterName'),
    ('spec', 'global', 'site'): ('datadog', 'site'),
    ('spec', 'global', 'credentials', 'apiSecret', 'secretName'): ('datadog', 'apiKeyExistingSecret'),
    ('spec', 'global', 'secretBackend', 'type'): ('datadog', 'secretBackend', 'type'),
    ('spec', 'global', 'secretBackend', 'config', 'aws_session', 'aws_region'): (
        *('datadog', 'secretBackend', 'config', 'aws_session', 'aws_region'),
    ),
    ('spec', 'features', 'clusterChecks', 'enabled'): ('datadog', 'clusterChecks', 'enabled'),
    ('spec', 'features', 'clusterChecks', 'useClusterChecksRunners'): ('clusterChecksRunner', 'enabled'),
    (*RUNNER, 'replicas'): ('clusterChecksRunner', 'replicas'),
    (*RUNNER, 'serviceAccountAnnotations', 'eks.amazonaws.com/role-arn'): (
        *('clusterChecksRunner', 'rbac', 'serviceAccountAnnotations', 'eks.amazonaws.com/role-arn'),
    ),
} | {
    (*RUNNER, 'containers', 'agent', 'resources', *path): ('clusterChecksRunner', 'resources', *path)
    for path in (('requests', 'cpu'), ('requests', 'memory'), ('limits', 'memory'))
}
OWN = {
    ('apiVersion',),
    ('kind',),
    ('metadata', 'name'),
    ('metadata', 'namespace'),
    ('spec', 'global', 'credentials', 'apiSecret', 'keyName'),
    (*AGENT, 'env'),
    (*AGENT, 'extraConfd', 'configMap', 'name'),
    (*AGENT, 'extraConfd', 'configMap', 'items'),
    (*RUNNER, 'image', 'name'),
    (*RUNNER, 'env'),
}


def schema():
    return json.loads(text('operator/datadog-agent.schema.json'))


def variables(entries):
    assert len({entry['name'] for entry in entries}) == len(entries)
    return {entry['name']: entry['value'] for entry in entries}


def test_the_resource_has_only_fields_of_its_kind():
    jsonschema.Draft7Validator.check_schema(schema())
    jsonschema.validate(document(RESOURCE), schema())


def test_every_object_of_the_schema_is_closed():
    def objects(node, path=''):
        if isinstance(node, dict):
            if 'properties' in node:
                yield path, node
            for key, value in node.items():
                yield from objects(value, f'{path}/{key}')

    assert [path for path, node in objects(schema()) if node.get('additionalProperties') is not False] == []


def misspelt(tree):
    """Copies of a tree, each with one key spelt wrong, with its path; below some anything goes."""
    for path, _ in leaves(tree):
        for depth in range(len(path)):
            if {'config', 'serviceAccountAnnotations', 'requests', 'limits'} & set(path[:depth]):
                break
            wrong = copy.deepcopy(tree)
            here = wrong
            for key in path[:depth]:
                here = here[key]
            here[f'{path[depth]}x'] = here.pop(path[depth])
            yield path[: depth + 1], wrong


def test_every_misspelt_field_is_found():
    found = list(misspelt(document(RESOURCE)))
    assert len(found) > 40
    for path, wrong in found:
        assert not jsonschema.Draft7Validator(schema()).is_valid(wrong), path


def test_it_is_the_same_deployment_as_through_the_chart():
    chart, resource = values('production'), document(RESOURCE)
    ours, theirs = dict(leaves(resource)), dict(leaves(chart))
    assert {path: ours.get(path) for path in SAME} == {path: theirs[other] for path, other in SAME.items()}
    assert set(ours) == set(SAME) | OWN
    agent, runner = resource['spec']['override']['clusterAgent'], resource['spec']['override']['clusterChecksRunner']
    assert variables(agent['env']) == chart['clusterAgent']['envDict']
    assert variables(runner['env']) == chart['clusterChecksRunner']['envDict']
    image = chart['clusterChecksRunner']['image']
    assert runner['image']['name'] == f'{image["repository"]}:{image["tag"]}'


def test_each_variable_that_is_taken_away_or_added_is_noticed():
    chart, resource = values('production'), document(RESOURCE)
    for component in ('clusterAgent', 'clusterChecksRunner'):
        entries = resource['spec']['override'][component]['env']
        for index in range(len(entries)):
            assert variables(entries[:index] + entries[index + 1 :]) != chart[component]['envDict']
        assert variables([*entries, {'name': 'DD_TAGS', 'value': 'a:b'}]) != chart[component]['envDict']


def test_the_sources_are_those_of_the_chart_one_file_each():
    config_map = document('operator/sources.yaml')
    kubernetes_validate.validate(config_map, '1.37', strict=True)
    mounted = document(RESOURCE)['spec']['override']['clusterAgent']['extraConfd']['configMap']
    assert mounted['name'] == config_map['metadata']['name']
    assert config_map['metadata']['namespace'] == document(RESOURCE)['metadata']['namespace']
    assert {item['key'] for item in mounted['items']} == set(config_map['data'])
    assert all(item['path'] == f'metta_checks.d/{item["key"]}' for item in mounted['items'])
    files = {name: yaml.safe_load(content) for name, content in config_map['data'].items()}
    assert files == sources(values('production'))


def test_the_account_that_is_named_is_the_one_the_operator_makes():
    name = f'{document(RESOURCE)["metadata"]["name"]}-cluster-checks-runner'
    assert f'the account `{name}`' in text(RESOURCE)
    assert f'name: {name}\n' in text('operator/rbac.yaml')
