"""Pods, their usage, deployments and nodes, parsed from the fields that payloads.py decodes.

CPU is in cores, memory in bytes. `problem(reason, message)` takes what cannot be used: one bad quantity costs one
container, never the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.fields import moment
from ..core.times import seconds_between
from .effective_requests import BAD_QUANTITY, CPU, MEMORY, Container, PodRequests, Problem, is_counted, shown
from .quantity import BadQuantity, parse_quantity

OOM_KILLED = 'OOMKilled'
# A namespace and the name of a pod in it.
PodKey = tuple[str, str]


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
class ContainerStatus:
    """The status of a regular, init or ephemeral container that waits, ended or was restarted.

    Attributes:
        container: name of the container
        waiting: the reason for waiting; empty when it does not wait
        terminations: its known ends, the latest first
    """

    container: str
    restarts: int
    waiting: str
    terminations: tuple[Termination, ...]

    @property
    def last_exit_failed(self) -> bool:
        """True when the latest known end had an exit code other than 0."""
        return bool(self.terminations) and self.terminations[0].exit_code not in (0, None)

    @property
    def oom_kills(self) -> Iterator[Termination]:
        """The known ends for lack of memory."""
        return (end for end in self.terminations if end.reason == OOM_KILLED)

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> ContainerStatus | None:
        """Return the status of a container, None for one that runs and was never restarted."""
        states = [entry.get(name) or {} for name in ('state', 'lastState')]
        waiting = _waiting_reason(states[0])
        ends = (state.get('terminated') for state in states)
        terminations = tuple(Termination.parse(end) for end in ends if end is not None)
        restarts = entry.get('restartCount') or 0
        if not (waiting or terminations or restarts):
            return None
        return cls(entry['name'], restarts, waiting, terminations)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that has not succeeded.

    Attributes:
        phase: empty when it is unknown
        deleting: True when its deletion was requested
        bound: True when it is assigned to a node
        unschedulable: True when the scheduler found no node for it
        deployment: empty unless a ReplicaSet owns the pod
        containers: the containers that run as long as the pod
        requested: the effective request of the pod by resource name
        pod_level: resources that are requested for the pod as a whole (`spec.resources`)
    """

    uid: str
    namespace: str
    name: str
    phase: str
    reason: str
    created: datetime | None
    started: datetime | None
    deleting: bool
    bound: bool
    ready: bool
    unschedulable: bool
    deployment: str
    containers: tuple[Container, ...]
    statuses: tuple[ContainerStatus, ...]
    requested: Mapping[str, float]
    pod_level: frozenset[str]

    @property
    def key(self) -> PodKey:
        """The key of its usage."""
        return self.namespace, self.name

    @property
    def live(self) -> bool:
        """True when it is in phase Running and not being deleted."""
        return self.phase == 'Running' and not self.deleting

    @property
    def pending(self) -> bool:
        """True when it is in phase Pending: it has no node yet, or not all its containers have started."""
        return self.phase == 'Pending'

    @property
    def failed(self) -> bool:
        """True when it is in phase Failed."""
        return self.phase == 'Failed'

    @property
    def evicted(self) -> bool:
        """True when its node evicted it."""
        return self.failed and self.reason == 'Evicted'

    @property
    def holds_resources(self) -> bool:
        """True when its requests are reserved on a node."""
        return self.live or (self.pending and self.bound)

    def age_seconds(self, now: datetime) -> float:
        """Return the seconds since its start on the node, or else since its creation; 0 when neither is known."""
        since = self.started or self.created
        return seconds_between(since, now) if since else 0.0

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> Pod:
        """Return a pod of a list."""
        metadata, status = item['metadata'], item['status']
        conditions = {condition['type']: condition for condition in status.get('conditions') or ()}
        requests = PodRequests.parse(item, problem)
        return cls(
            uid=metadata['uid'],
            namespace=metadata['namespace'],
            name=metadata['name'],
            phase=status.get('phase') or '',
            reason=status.get('reason') or '',
            created=moment(metadata.get('creationTimestamp')),
            started=moment(status.get('startTime')),
            deleting=metadata.get('deletionTimestamp') is not None,
            bound=bool(item['spec'].get('nodeName')),
            ready=conditions.get('Ready', {}).get('status') == 'True',
            unschedulable=_is_unschedulable(conditions.get('PodScheduled', {})),
            deployment=_deployment(metadata),
            containers=requests.containers,
            statuses=tuple(_statuses(status)),
            requested=requests.effective,
            pod_level=requests.pod_level,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one container, as metrics-server sampled it."""

    cpu: float
    memory: float

    @classmethod
    def parse(cls, usage: Mapping[str, Any]) -> Usage:
        """Return the usage of a container from its quantities. Raises BadQuantity."""
        return cls(parse_quantity(usage.get(CPU)), parse_quantity(usage.get(MEMORY)))


@dataclass(frozen=True, slots=True)
class PodUsage:
    """Usage of one pod, sampled for all its containers at the same time.

    Attributes:
        containers: by name; None for a container with figures that could not be read
    """

    namespace: str
    name: str
    containers: Mapping[str, Usage | None]

    @property
    def known(self) -> list[Usage]:
        """The usage of the containers that could be read."""
        return [usage for usage in self.containers.values() if usage is not None]

    @property
    def total(self) -> Usage:
        """The sum over the containers that could be read."""
        known = self.known
        return Usage(sum(usage.cpu for usage in known), sum(usage.memory for usage in known))

    @property
    def is_complete(self) -> bool:
        """True when every container could be read."""
        return None not in self.containers.values()

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> PodUsage:
        """Return an entry of a list of PodMetrics."""
        metadata = item['metadata']
        namespace, name = metadata['namespace'], metadata['name']
        containers: dict[str, Usage | None] = {}
        for entry in item['containers'] or ():
            container = entry['name']
            try:
                containers[container] = Usage.parse(entry['usage'] or {})
            except BadQuantity as error:
                containers[container] = None
                problem(
                    BAD_QUANTITY,
                    f'pod {namespace}/{name}: the usage {shown(error)} of container {container} is not a quantity; it '
                    'is left out',
                )
        return cls(namespace, name, containers)


Samples = Mapping[PodKey, PodUsage]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment, with the number of replicas that it asks for."""

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
    """A node.

    Attributes:
        allocatable: by resource name: CPU, memory and GPUs
    """

    name: str
    ready: bool
    allocatable: Mapping[str, float]

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> Node:
        """Return a node of a list."""
        name, status = item['metadata']['name'], item['status']
        allocatable = {}
        for resource, value in (status.get('allocatable') or {}).items():
            if is_counted(resource):
                try:
                    allocatable[resource] = parse_quantity(value)
                except BadQuantity as error:
                    problem(BAD_QUANTITY, f'node {name}: {resource} {shown(error)} is not a quantity; it is left out')
        return cls(name, any(map(_is_ready, status.get('conditions') or ())), allocatable)


def _waiting_reason(state: Mapping[str, Any]) -> str:
    return (state.get('waiting') or {}).get('reason') or ''


def _is_ready(condition: Mapping[str, Any]) -> bool:
    return condition['type'] == 'Ready' and condition.get('status') == 'True'


def _is_unschedulable(scheduled: Mapping[str, Any]) -> bool:
    return scheduled.get('status') == 'False' and scheduled.get('reason') == 'Unschedulable'


def _deployment(metadata: Mapping[str, Any]) -> str:
    for owner in metadata.get('ownerReferences') or ():
        if owner.get('controller') and owner.get('kind') == 'ReplicaSet':
            # The name of a deployment's ReplicaSet is that of the deployment, with a hash of the pod template appended.
            return (owner.get('name') or '').rpartition('-')[0]
    return ''


def _statuses(status: Mapping[str, Any]) -> Iterator[ContainerStatus]:
    for kind in ('containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'):
        for entry in status.get(kind) or ():
            if (found := ContainerStatus.parse(entry)) is not None:
                yield found
