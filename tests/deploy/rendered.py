"""What must be true of the manifests that the chart makes of our values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .documents import sources, values

NAME = 'datadog'


def problems(environment: str, manifests: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with the rendered manifests of an environment."""
    by_kind: dict[str, dict[str, dict[str, Any]]] = {}
    for one in manifests:
        by_kind.setdefault(one['kind'], {})[one['metadata']['name']] = one
    yield from _files(environment, by_kind.get('ConfigMap', {}))
    yield from _workloads(environment, by_kind)
    yield from _rights(by_kind)


def _files(environment: str, maps: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The chart writes a file `a.d/b.yaml` under the key `a.d--b.yaml`."""
    there = {key: text for one in maps.values() for key, text in (one.get('data') or {}).items()}
    wanted = {f'metta_checks.d--{name}' for name in sources(values(environment))}
    found = {key for key in there if key.startswith('metta_checks')}
    if found != wanted:
        yield f'files of sources: {sorted(found)} instead of {sorted(wanted)}'


def _workloads(environment: str, by_kind: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    chart = values(environment)
    deployments, daemons = by_kind.get('Deployment', {}), by_kind.get('DaemonSet', {})
    repository = chart['clusterChecksRunner']['image']['repository']
    for part, kind, name in (
        ('clusterAgent', 'Cluster Agent', 'cluster-agent'),
        ('clusterChecksRunner', 'runners', ''),
    ):
        found = deployments.get(f'{NAME}-{name or "clusterchecks"}')
        if found is None:
            yield f'there are no {kind}'
            continue
        spec = found['spec']['template']['spec']
        variables = {
            one['name']: one.get('value') for container in spec['containers'] for one in container.get('env', [])
        }
        for variable, value in chart[part]['envDict'].items():
            if variables.get(variable) != value:
                yield f'{kind}: {variable} is {variables.get(variable)!r} instead of {value!r}'
    if (runner := deployments.get(f'{NAME}-clusterchecks')) is not None:
        spec = runner['spec']['template']['spec']
        images = {container['image'].rpartition('@')[0] or container['image'] for container in spec['containers']}
        if not all(image.startswith(f'{repository}') for image in images):
            yield f'runners: images {sorted(images)}'
        if spec.get('serviceAccountName') != f'{NAME}-cluster-checks':
            yield f'runners: service account {spec.get("serviceAccountName")}'
        if runner['spec']['replicas'] != chart['clusterChecksRunner']['replicas']:
            yield f'runners: {runner["spec"]["replicas"]} replicas'
    for name, daemon in daemons.items():
        spec = daemon['spec']['template']['spec']
        if any(container['image'].startswith(repository) for container in spec['containers']):
            yield f'DaemonSet {name} has our image'


def _rights(by_kind: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    annotations = by_kind.get('ServiceAccount', {}).get(f'{NAME}-cluster-checks', {}).get('metadata', {})
    if 'eks.amazonaws.com/role-arn' not in (annotations.get('annotations') or {}):
        yield 'the service account of the runners has no role'
    runners = (f'{NAME}-cluster-checks', f'{NAME}-clusterchecks')
    bound = {
        binding['roleRef']['name']
        for binding in by_kind.get('ClusterRoleBinding', {}).values()
        if any(subject['name'] in runners for subject in binding.get('subjects', []))
    }
    for name in sorted(bound & by_kind.get('ClusterRole', {}).keys()):
        for rule in by_kind['ClusterRole'][name].get('rules') or []:
            if 'secrets' in rule.get('resources', []) and not rule.get('resourceNames'):
                yield f'ClusterRole {name}, which the runners have, reads all secrets'
