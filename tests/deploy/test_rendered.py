"""The chart's manifests: the judgement itself on a small rendering, and on the real one where Helm made it.

`helm template` needs Helm and the chart, so the workflow renders both environments into a directory and names it in
METTA_RENDERED; elsewhere the last test is skipped.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from .documents import ENVIRONMENTS, sources, values
from .rendered import problems

VERSION = '1.37'


def small(environment):
    """The least that a chart would have to make of our values."""
    chart = values(environment)

    def variables(part):
        return [{'name': name, 'value': value} for name, value in chart[part]['envDict'].items()]

    def workload(kind, name, image, env=(), account='datadog', **more):
        pod = {'serviceAccountName': account, 'containers': [{'name': 'agent', 'image': image, 'env': list(env)}]}
        return {'kind': kind, 'metadata': {'name': name}, 'spec': {'template': {'spec': pod}, **more}}

    runner = chart['clusterChecksRunner']
    image = f'{runner["image"]["repository"]}:{runner["image"]["tag"]}'
    return [
        {
            'kind': 'ConfigMap',
            'metadata': {'name': 'datadog-cluster-agent-confd'},
            'data': {f'metta_checks.d--{name}': '...' for name in sources(chart)},
        },
        workload('Deployment', 'datadog-cluster-agent', 'datadog/cluster-agent:7', variables('clusterAgent')),
        workload(
            'Deployment',
            'datadog-clusterchecks',
            image,
            variables('clusterChecksRunner'),
            'datadog-cluster-checks',
            replicas=runner['replicas'],
        ),
        workload('DaemonSet', 'datadog', 'datadog/agent:7'),
        {
            'kind': 'ServiceAccount',
            'metadata': {
                'name': 'datadog-cluster-checks',
                'annotations': runner['rbac']['serviceAccountAnnotations'],
            },
        },
        {
            'kind': 'ClusterRoleBinding',
            'metadata': {'name': 'datadog-cluster-checks'},
            'roleRef': {'name': 'datadog'},
            'subjects': [{'kind': 'ServiceAccount', 'name': 'datadog-cluster-checks'}],
        },
        {
            'kind': 'ClusterRole',
            'metadata': {'name': 'datadog'},
            'rules': [{'apiGroups': [''], 'resources': ['nodes'], 'verbs': ['get']}],
        },
    ]


@pytest.mark.parametrize('environment', ENVIRONMENTS)
def test_a_right_rendering_is_right(environment):
    assert list(problems(environment, small(environment))) == []


def container(manifest):
    return manifest['spec']['template']['spec']['containers'][0]


MISTAKES = {
    'a source is missing': (0, lambda one: one['data'].pop('metta_checks.d--ec2.yaml'), 'files of sources'),
    'a variable is missing': (1, lambda one: container(one)['env'].pop(), 'Cluster Agent: DD_'),
    'a stock image': (2, lambda one: container(one).update(image='datadog/agent:7'), 'runners: images'),
    'another account': (
        *(2, lambda one: one['spec']['template']['spec'].update(serviceAccountName='datadog')),
        'runners: service account',
    ),
    'our image on nodes': (
        *(3, lambda one: container(one).update(image='registry.example.com/datadog-agent-metta:1')),
        'DaemonSet datadog has our image',
    ),
    'no role': (4, lambda one: one['metadata'].pop('annotations'), 'has no role'),
    'all secrets': (
        *(6, lambda one: one['rules'].append({'apiGroups': [''], 'resources': ['secrets'], 'verbs': ['get']})),
        'reads all secrets',
    ),
}


@pytest.mark.parametrize(('which', 'change', 'said'), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told(which, change, said):
    manifests = copy.deepcopy(small('production'))
    change(manifests[which])
    [found] = problems('production', manifests)
    assert said in found


def test_no_runners_at_all():
    manifests = [one for one in small('production') if one['metadata']['name'] != 'datadog-clusterchecks']
    assert list(problems('production', manifests)) == ['there are no runners']


@pytest.mark.skipif('METTA_RENDERED' not in os.environ, reason='METTA_RENDERED names no directory with rendered charts')
@pytest.mark.parametrize('environment', ENVIRONMENTS)
def test_the_real_chart(environment):
    text = (Path(os.environ['METTA_RENDERED']) / f'{environment}.yaml').read_text(encoding='utf-8')
    manifests = [one for one in yaml.safe_load_all(text) if one]
    assert len(manifests) > 20
    assert list(problems(environment, manifests)) == []
    validate(manifests)


def validate(manifests):
    """Against the schemas of Kubernetes; of custom resources, which are the Operator's, there are none."""
    for one in manifests:
        try:
            kubernetes_validate.validate(one, VERSION, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            assert one['apiVersion'].startswith('datadoghq.com/'), one['kind']


def test_the_validation_lets_custom_resources_pass_and_nothing_else():
    validate([{'apiVersion': 'datadoghq.com/v2alpha1', 'kind': 'DatadogAgent', 'metadata': {'name': 'a'}}])
    with pytest.raises(AssertionError, match='Deploymnt'):
        validate([{'apiVersion': 'apps/v1', 'kind': 'Deploymnt', 'metadata': {'name': 'a'}}])
    with pytest.raises(kubernetes_validate.ValidationError):
        validate([{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'a'}, 'dat': {}}])
