"""Requirements for the manifests that the chart renders from our values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .documents import sources, values

NAME = 'datadog'


def problems(environment: str, manifests: list[dict[str, Any]]) -> Iterator[str]:
    """Return the errors in the rendered manifests of an environment."""
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
    deployments = by_kind.get('Deployment', {})
    runners = f'{NAME}-clusterchecks'
    for part, kind, name in (
        ('clusterAgent', 'Cluster Agent', f'{NAME}-cluster-agent'),
        ('clusterChecksRunner', 'runners', runners),
    ):
        if name in deployments:
            yield from _variables(kind, deployments[name], chart[part]['envDict'])
        else:
            yield f'there are no {kind}'
    if runners in deployments:
        yield from _runners(deployments[runners], chart['clusterChecksRunner'])
    repository = chart['clusterChecksRunner']['image']['repository']
    for name, daemon in by_kind.get('DaemonSet', {}).items():
        if any(container['image'].startswith(repository) for container in _pod(daemon)['containers']):
            yield f'DaemonSet {name} has our image'


def _pod(workload: dict[str, Any]) -> Any:
    return workload['spec']['template']['spec']


def _variables(kind: str, workload: dict[str, Any], wanted: dict[str, str]) -> Iterator[str]:
    containers = _pod(workload)['containers']
    found = {one['name']: one.get('value') for container in containers for one in container.get('env', [])}
    for name, value in wanted.items():
        if found.get(name) != value:
            yield f'{kind}: {name} is {found.get(name)!r} instead of {value!r}'


def _runners(workload: dict[str, Any], chart: dict[str, Any]) -> Iterator[str]:
    pod = _pod(workload)
    images = {container['image'].rpartition('@')[0] or container['image'] for container in pod['containers']}
    if not all(image.startswith(chart['image']['repository']) for image in images):
        yield f'runners: images {sorted(images)}'
    if pod.get('serviceAccountName') != f'{NAME}-cluster-checks':
        yield f'runners: service account {pod.get("serviceAccountName")}'
    if workload['spec']['replicas'] != chart['replicas']:
        yield f'runners: {workload["spec"]["replicas"]} replicas'


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
