"""Pods as the API sends them, with the fields that a test needs, read by the parsers of the source."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, Unpack

from metta_checks.kubernetes.accelerator_types import AcceleratorTypes
from metta_checks.kubernetes.history import History
from metta_checks.kubernetes.inventory import Inventory
from metta_checks.kubernetes.measures import gpus as gpu_measures
from metta_checks.kubernetes.measures import pods as pod_measures
from metta_checks.kubernetes.measures import usage as usage_measures
from metta_checks.kubernetes.payloads import POD_LIST, POD_METRICS_LIST
from metta_checks.kubernetes.records import Node, Pod, PodKey, PodUsage, Samples
from metta_checks.kubernetes.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAST_READ = NOW - timedelta(hours=3)
_numbers = itertools.count()


def stamp(*, minutes: float = 0, hours: float = 0) -> str:
    """Return a time before NOW."""
    return (NOW - timedelta(minutes=minutes, hours=hours)).strftime('%Y-%m-%dT%H:%M:%SZ')


def container(name: str = 'main', requests: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return an entry of spec.containers."""
    return {'name': name, 'resources': {'requests': dict(requests or {})}, **fields}


def status(
    name: str = 'main',
    *,
    restarts: int = 0,
    waiting: str = '',
    ended: Mapping[str, Any] | None = None,
    ended_before: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return an entry of status.containerStatuses."""
    state: dict[str, Any] = {'running': {'startedAt': stamp(hours=1)}}
    if waiting:
        state = {'waiting': {'reason': waiting}}
    if ended:
        state = {'terminated': dict(ended)}
    last = {'terminated': dict(ended_before)} if ended_before else {}
    return {'name': name, 'restartCount': restarts, 'state': state, 'lastState': last, **fields}


def end(reason: str = 'Error', code: int = 1, *, hours: float = 1, container_id: str = 'c1') -> dict[str, Any]:
    """Return a `terminated` state."""
    return {'reason': reason, 'exitCode': code, 'finishedAt': stamp(hours=hours), 'containerID': container_id}


Objects = Iterable[Mapping[str, Any]]


class PodFields(TypedDict, total=False):
    """The fields of a pod that a test sets. Otherwise the pod is running and ready."""

    namespace: str
    phase: str
    reason: str
    ready: bool
    age_minutes: float
    started_minutes: float | None
    conditions: Objects
    containers: Objects
    init: Objects
    statuses: Objects
    init_statuses: Objects
    ephemeral_statuses: Objects
    # Replace fields of the parts with the same names.
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]


def item(name: str | None = None, **fields: Unpack[PodFields]) -> dict[str, Any]:
    """Return a pod of a list."""
    number = next(_numbers)
    ready = {'type': 'Ready', 'status': 'True' if fields.get('ready', True) else 'False'}
    status: dict[str, Any] = {
        'phase': fields.get('phase', 'Running'),
        'conditions': [ready, *fields.get('conditions', ())],
        'containerStatuses': list(fields.get('statuses', ())),
        'initContainerStatuses': list(fields.get('init_statuses', ())),
        'ephemeralContainerStatuses': list(fields.get('ephemeral_statuses', ())),
    }
    if 'reason' in fields:
        status['reason'] = fields['reason']
    if (started := fields.get('started_minutes')) is not None:
        status['startTime'] = stamp(minutes=started)
    return {
        'metadata': {
            'name': name or f'pod-{number}',
            'namespace': fields.get('namespace', 'team-a'),
            'uid': f'uid-{name or number}',
            'creationTimestamp': stamp(minutes=fields.get('age_minutes', 60)),
            **fields.get('metadata', {}),
        },
        'spec': {
            'nodeName': 'node-1',
            'containers': list(fields.get('containers', ())) or [container()],
            'initContainers': list(fields.get('init', ())),
            **fields.get('spec', {}),
        },
        'status': status,
    }


class Problems(list[tuple[str, str]]):
    """Collects (reason, message)."""

    def __call__(self, reason: str, message: str) -> None:
        self.append((reason, message))


def pod(name: str | None = None, *, problems: Problems | None = None, **fields: Unpack[PodFields]) -> Pod:
    """Return the record of `item(...)`."""
    collected = Problems() if problems is None else problems
    body = json.dumps({'metadata': {}, 'items': [item(name, **fields)]})
    record = Pod.parse(POD_LIST.validate_json(body)['items'][0], collected)
    assert problems is not None or not collected, collected
    return record


def samples(
    usage: Mapping[str, Mapping[str, tuple[Any, Any]]], *, namespace: str = 'team-a', problems: Problems | None = None
) -> dict[PodKey, PodUsage]:
    """Return the samples of {pod: {container: (cpu, memory)}}."""
    entries = [
        {
            'metadata': {'name': name, 'namespace': namespace},
            'timestamp': stamp(),
            'containers': [
                {'name': key, 'usage': {'cpu': cpu, 'memory': memory}} for key, (cpu, memory) in containers.items()
            ],
        }
        for name, containers in usage.items()
    ]
    collected = Problems() if problems is None else problems
    parsed = POD_METRICS_LIST.validate_json(json.dumps({'metadata': {}, 'items': entries}))['items']
    found = [PodUsage.parse(entry, collected) for entry in parsed]
    assert problems is not None or not collected, collected
    return {(usage.namespace, usage.name): usage for usage in found}


def values(found: Iterable[Any], tag: str = '') -> dict[str, Any]:
    """Return samples with a value by name, or by name and the value of `tag`."""
    return {
        f'{sample.name}:{sample.tags[tag]}' if tag and tag in sample.tags else sample.name: sample.value
        for sample in found
        if sample.value is not None
    }


def health(pods: list[Pod], previous: list[Pod] | None = None, **settings: Any) -> dict[str, Any]:
    """Return the figures of the block `pods`."""
    # The changes that these tests make between the two readings are up to three hours old.
    before = None if previous is None else replace(History.of(previous, NOW, None), read_at=LAST_READ.timestamp())
    current = History.of(pods, NOW, before)
    found = pod_measures.pods(pods, NOW, previous=before, current=current, settings=Settings(**settings))
    return values([sample for sample in found if sample.name != 'pods.waiting'], 'kube_namespace')


def node(name: str, allocatable: Mapping[str, float], *, ready: bool = True, **fields: Any) -> Node:
    """Return the record of a node. `fields` are those of Node."""
    usual = {'accepts_pods': True, 'virtual': False, 'capacity': {}, 'labels': {}}
    return Node(name=name, ready=ready, allocatable=dict(allocatable), **{**usual, **fields})


def gpus(nodes: list[Node], pods: list[Pod]) -> dict[str, Any]:
    """Return the figures of GPUs by type."""
    inventory = Inventory(nodes, AcceleratorTypes())
    offered = list(gpu_measures.allocatable(inventory))
    inventory.hold(pods)
    return values([*offered, *gpu_measures.states(inventory, pods)], 'gpu_type')


def waste(pods: list[Pod], usage: Samples, **settings: Any) -> dict[str, Any]:
    """Return the figures of the block `usage`."""
    return values(usage_measures.usage(pods, usage, NOW, settings=Settings(**settings)), 'kube_namespace')
