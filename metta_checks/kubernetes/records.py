"""What is kept of pods, their usage, deployments and nodes: parsed once, small, frozen.

CPU is in cores, memory in bytes. The parsers take what payloads.py let through, and `problem(reason, message)` for what
cannot be used: one bad quantity costs one container, never the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.accelerators import is_gpu
from ..core.fields import moment
from ..core.times import seconds_between
from .quantity import BadQuantity, parse_quantity

Problem = Callable[[str, str], None]

CPU = 'cpu'
MEMORY = 'memory'


def _is_counted(resource: str) -> bool:
    return resource in (CPU, MEMORY) or is_gpu(resource)


@dataclass(frozen=True, slots=True)
class Container:
    """A steady container: of `spec.containers`, or an init container that always restarts (a native sidecar).

    `requested` by resource name; a resource that is not requested is missing.
    """

    name: str
    requested: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Termination:
    """An end of a container."""

    container_id: str
    reason: str
    exit_code: int | None
    finished_at: datetime | None

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Termination:
        """Return the end of a container from its `terminated` state."""
        return cls(
            container_id=entry.get('containerID') or '',
            reason=entry.get('reason') or '',
            exit_code=entry.get('exitCode'),
            finished_at=moment(entry.get('finishedAt')),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """The state of any container (steady, init, ephemeral) that has something to tell."""

    container: str
    restarts: int
    # Reason for waiting, empty when not waiting.
    waiting: str
    # The latest first.
    terminations: tuple[Termination, ...]

    @property
    def last_exit_failed(self) -> bool:
        """Whether the latest known end had an exit code other than 0."""
        return bool(self.terminations) and self.terminations[0].exit_code not in (0, None)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that has not succeeded."""

    uid: str
    namespace: str
    name: str
    # Empty when unknown.
    phase: str
    reason: str
    created: datetime | None
    started: datetime | None
    deleting: bool
    # Assigned to a node.
    bound: bool
    ready: bool
    unschedulable: bool
    # Empty unless a ReplicaSet owns the pod.
    deployment: str
    containers: tuple[Container, ...]
    statuses: tuple[Status, ...]
    # The pod's effective request by resource name (see `effective_requests`).
    requested: Mapping[str, float]
    # Resources that are requested for the pod as a whole (`spec.resources`).
    pod_level: frozenset[str]

    @property
    def live(self) -> bool:
        """Running and not being deleted."""
        return self.phase == 'Running' and not self.deleting

    @property
    def pending(self) -> bool:
        """Not all containers have started yet, or no node was found."""
        return self.phase == 'Pending'

    def age_seconds(self, now: datetime) -> float:
        """Since the start on its node, or else since creation; 0 when neither is known."""
        since = self.started or self.created
        return seconds_between(since, now) if since else 0.0

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> Pod:
        """Return a pod of a list."""
        metadata, spec, status = item['metadata'], item['spec'], item['status']
        reader = _Requests(f'pod {metadata["namespace"]}/{metadata["name"]}', problem)
        conditions = {condition['type']: condition for condition in status.get('conditions') or ()}
        scheduled = conditions.get('PodScheduled', {})
        containers, requests = effective_requests(spec, status, reader)
        return cls(
            uid=metadata['uid'],
            namespace=metadata['namespace'],
            name=metadata['name'],
            phase=status.get('phase') or '',
            reason=status.get('reason') or '',
            created=moment(metadata.get('creationTimestamp')),
            started=moment(status.get('startTime')),
            deleting=metadata.get('deletionTimestamp') is not None,
            bound=bool(spec.get('nodeName')),
            ready=conditions.get('Ready', {}).get('status') == 'True',
            unschedulable=scheduled.get('status') == 'False' and scheduled.get('reason') == 'Unschedulable',
            deployment=_deployment(metadata),
            containers=containers,
            statuses=tuple(_statuses(status)),
            requested=requests,
            pod_level=frozenset((spec.get('resources') or {}).get('requests') or ()),
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container uses at the moment, as metrics-server sampled it."""

    cpu: float
    memory: float

    @classmethod
    def parse(cls, usage: Mapping[str, Any]) -> Usage:
        """Return the usage of a container from its quantities. Raises BadQuantity."""
        return cls(parse_quantity(usage.get(CPU)), parse_quantity(usage.get(MEMORY)))


# Usage by (namespace, pod) and container; None where the container's figures could not be read.
PodUsage = Mapping[str, Usage | None]
Samples = Mapping[tuple[str, str], PodUsage]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment and how many replicas are asked for."""

    namespace: str
    name: str
    replicas: int

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> Deployment:
        """Return a deployment of a list, of one replica where the number is not set."""
        replicas = item['spec'].get('replicas')
        return cls(item['metadata']['namespace'], item['metadata']['name'], 1 if replicas is None else replicas)


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `allocatable` by resource name: CPU, memory and GPUs."""

    name: str
    ready: bool
    allocatable: Mapping[str, float]

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> Node:
        """Return a node of a list."""
        name, status = item['metadata']['name'], item['status']
        allocatable = {}
        for resource, value in (status.get('allocatable') or {}).items():
            if _is_counted(resource):
                try:
                    allocatable[resource] = parse_quantity(value)
                except BadQuantity as error:
                    problem('bad_quantity', f'node {name}: {resource} {_shown(error)} is no quantity; it is left out')
        ready = any(
            condition['type'] == 'Ready' and condition.get('status') == 'True'
            for condition in status.get('conditions') or ()
        )
        return cls(name, ready, allocatable)


def effective_requests(
    spec: Mapping[str, Any], status: Mapping[str, Any], reader: _Requests
) -> tuple[tuple[Container, ...], dict[str, float]]:
    """The steady containers of a pod, and what the scheduler reserves for the pod as a whole.

    The larger of what runs for good (containers and native sidecars) and of the peak while init containers run, in
    their order, each beside the sidecars started before it. A request of the pod as a whole replaces this per resource,
    the runtime's overhead comes on top. See Kubernetes' documentation of sidecar containers and pod-level resources.
    """
    running = {entry['name']: entry for entry in status.get('containerStatuses') or ()}
    infeasible = any(
        condition['type'] == 'PodResizePending' and condition.get('reason') == 'Infeasible'
        for condition in status.get('conditions') or ()
    )
    steady = []
    total: dict[str, float] = {}
    peak: dict[str, float] = {}
    init_containers = spec.get('initContainers') or ()
    if init_containers:
        started = {entry['name']: entry for entry in status.get('initContainerStatuses') or ()}
        for item in init_containers:
            if item.get('restartPolicy') == 'Always':
                requests = reader.of_running(item, started.get(item['name']), infeasible)
                if requests is not None:
                    steady.append(Container(item['name'], requests))
                    _add(total, requests)
                    _raise(peak, total)
            else:
                requests = reader.of(item)
                if requests is not None:
                    moment = dict(total)
                    _add(moment, requests)
                    _raise(peak, moment)
    for item in spec['containers']:
        requests = reader.of_running(item, running.get(item['name']), infeasible)
        if requests is not None:
            steady.append(Container(item['name'], requests))
            _add(total, requests)
    _raise(total, peak)
    if whole := spec.get('resources'):
        total.update(reader.quantities(whole.get('requests'), 'the pod as a whole') or {})
    if overhead := spec.get('overhead'):
        _add(total, reader.quantities(overhead, 'the overhead') or {})
    return tuple(steady), total


class _Requests:
    """Reads requests of one pod's containers; None for a container with a quantity that cannot be read."""

    def __init__(self, pod: str, problem: Problem) -> None:
        self._pod = pod
        self._problem = problem

    def quantities(self, values: Mapping[str, Any] | None, whose: str) -> dict[str, float] | None:
        """The counted resources, as numbers."""
        if not values:
            return {}
        try:
            return {name: parse_quantity(value) for name, value in values.items() if _is_counted(name)}
        except BadQuantity as error:
            self._problem(
                'bad_quantity', f'{self._pod}: {whose} requests {_shown(error)}, which is no quantity; it is left out'
            )
            return None

    def of(self, item: Mapping[str, Any]) -> dict[str, float] | None:
        """What the specification asks for."""
        resources = item.get('resources')
        return self.quantities(resources.get('requests'), f'container {item["name"]}') if resources else {}

    def of_running(
        self, item: Mapping[str, Any], status: Mapping[str, Any] | None, infeasible: bool
    ) -> dict[str, float] | None:
        """The most that a container holds or is about to hold while it is resized in place."""
        requests = self.of(item)
        if requests is None or status is None:
            return requests
        allocated, resources = status.get('allocatedResources'), status.get('resources')
        if not allocated and not resources:
            return requests
        whose = f'container {item["name"]}'
        held = self.quantities(allocated, whose)
        actual = self.quantities((resources or {}).get('requests'), whose)
        if held is None or actual is None:
            return None
        _raise(held, actual)
        if infeasible and held:
            # The node can never give what the specification asks for: the container keeps what it has.
            return held
        _raise(held, requests)
        return held


def _shown(error: BadQuantity) -> str:
    text = repr(error.args[0])
    return text if len(text) <= 40 else f'{text[:37]}...'


def _add(total: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0.0) + value


def _raise(total: dict[str, float], floor: Mapping[str, float]) -> None:
    for name, value in floor.items():
        if value > total.get(name, -1.0):
            total[name] = value


def _deployment(metadata: Mapping[str, Any]) -> str:
    for owner in metadata.get('ownerReferences') or ():
        if owner.get('controller') and owner.get('kind') == 'ReplicaSet':
            # A ReplicaSet of a deployment is called after it, with a hash of the pod template at the end.
            return (owner.get('name') or '').rpartition('-')[0]
    return ''


def _statuses(status: Mapping[str, Any]) -> Iterator[Status]:
    """States of containers that wait, ended or restarted; those that simply run are not worth keeping."""
    for kind in ('containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'):
        for entry in status.get(kind) or ():
            state = entry.get('state') or {}
            last = entry.get('lastState') or {}
            waiting = (state.get('waiting') or {}).get('reason') or ''
            terminations = tuple(
                Termination.parse(terminated)
                for terminated in (state.get('terminated'), last.get('terminated'))
                if terminated is not None
            )
            restarts = entry.get('restartCount') or 0
            if waiting or terminations or restarts:
                yield Status(entry['name'], restarts, waiting, terminations)


def parse_usage(item: Mapping[str, Any], problem: Problem) -> PodUsage:
    """Return the usage of the containers in a PodMetrics entry."""
    usage: dict[str, Usage | None] = {}
    for container in item['containers'] or ():
        name = container['name']
        try:
            usage[name] = Usage.parse(container['usage'] or {})
        except BadQuantity as error:
            usage[name] = None
            pod = f'pod {item["metadata"]["namespace"]}/{item["metadata"]["name"]}, container {name}'
            problem(
                'bad_quantity', f'{pod}: the metrics API says {_shown(error)}, which is no quantity; it is left out'
            )
    return usage
