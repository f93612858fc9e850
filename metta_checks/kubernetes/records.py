"""Pods, their usage, deployments and nodes, parsed from the fields that payloads.py decodes.

CPU is in cores, memory in bytes. `problem(reason, message)` takes what cannot be used: one bad quantity costs one
container, never the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import fsum
from typing import Any

from ..core.fields import moment
from ..core.times import seconds_between
from .accelerator_types import is_accelerator_label
from .container_states import ContainerStatus, runs
from .effective_requests import BAD_QUANTITY, CPU, MEMORY, Container, PodRequests, Problem, is_counted, shown
from .owners import Owner
from .quantity import BadQuantity, parse_quantity

# A namespace and the name of a pod in it.
PodKey = tuple[str, str]
# Reasons of condition PodScheduled.
UNSCHEDULABLE = 'Unschedulable'
# The reason of condition Ready when all containers of a pod have ended well.
COMPLETED = 'PodCompleted'
# Phases in which a pod holds nothing.
FINISHED = ('Succeeded', 'Failed')
NO_LABELS: Mapping[str, Any] = {}
# Taints of nodes that Cluster Autoscaler or Karpenter is about to remove.
REMOVAL_TAINTS = frozenset({'ToBeDeletedByClusterAutoscaler', 'karpenter.sh/disrupted', 'karpenter.sh/disruption'})
# Marks of nodes that stand for the capacity of another service: Virtual Kubelet, Liqo, EKS Fargate.
VIRTUAL_TAINTS = frozenset({'virtual-kubelet.io/provider'})
VIRTUAL = (
    ('type', 'virtual-kubelet'),
    ('liqo.io/type', 'virtual-node'),
    ('eks.amazonaws.com/compute-type', 'fargate'),
)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that has not succeeded.

    Attributes:
        phase: empty when it is unknown
        scheduled: when it was assigned to its node; None when that is unknown or did not happen
        deleted_by: when it is to be gone: the time of its deletion, its grace period included
        deleting: True when its deletion was requested
        node: name of the node that it is assigned to; empty without one
        not_ready_since: None when it is ready, has completed or tells no time
        unschedulable: True when the scheduler found no node for it
        gated: True when its scheduling gates keep the scheduler from looking at it
        admitted_by_kueue: True when Kueue manages its scheduling gates
        initializing: True while an init container runs that ends before the pod starts
        owner: the workload that it belongs to
        containers: the containers that run as long as the pod
        requested: the effective request of the pod by resource name
        pod_level: the requests of the pod as a whole (`spec.resources`) by resource name
        selector: the labels of the nodes that it accepts, as far as they name a model of accelerators
        claims: number of its claims of devices (dynamic resource allocation)
        claimed_resources: the resources that it requests and the scheduler made a claim for
    """

    uid: str
    namespace: str
    name: str
    phase: str
    reason: str
    created: datetime | None
    started: datetime | None
    scheduled: datetime | None
    deleted_by: datetime | None
    deleting: bool
    node: str
    ready: bool
    not_ready_since: datetime | None
    unschedulable: bool
    gated: bool
    admitted_by_kueue: bool
    initializing: bool
    owner: Owner
    containers: tuple[Container, ...]
    statuses: tuple[ContainerStatus, ...]
    requested: Mapping[str, float]
    pod_level: Mapping[str, float]
    selector: Mapping[str, Any]
    claims: int
    claimed_resources: frozenset[str]

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
        """True when its node reserves its requests: from its assignment until it has ended or is gone."""
        return bool(self.node) and self.phase not in FINISHED

    @property
    def running_containers(self) -> Iterator[str]:
        """The names of the containers that run as long as the pod, without those that wait or have ended."""
        stopped = {status.container for status in self.statuses if status.stopped}
        return (container.name for container in self.containers if container.name not in stopped)

    @property
    def waits_for_node(self) -> bool:
        """True when the scheduler looks for a node for it."""
        return self.pending and not (self.node or self.gated or self.deleting)

    def age_seconds(self, now: datetime) -> float:
        """Return the seconds since its start on the node, or else since its creation; 0 when neither is known."""
        since = self.started or self.created
        return seconds_between(since, now) if since else 0.0

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> Pod:
        """Return a pod of a list."""
        metadata, spec, status = item['metadata'], item['spec'], item['status']
        conditions = {condition['type']: condition for condition in status.get('conditions') or ()}
        scheduled, ready = conditions.get('PodScheduled', NO_LABELS), conditions.get('Ready', NO_LABELS)
        requests = PodRequests.parse(item, problem)
        node = spec.get('nodeName') or ''
        gated = bool(spec.get('schedulingGates')) and not node
        return cls(
            uid=metadata['uid'],
            namespace=metadata['namespace'],
            name=metadata['name'],
            phase=status.get('phase') or '',
            reason=status.get('reason') or '',
            created=moment(metadata.get('creationTimestamp')),
            started=moment(status.get('startTime')),
            scheduled=moment(scheduled.get('lastTransitionTime')) if node and _is_true(scheduled) else None,
            deleted_by=moment(metadata.get('deletionTimestamp')),
            deleting=metadata.get('deletionTimestamp') is not None,
            node=node,
            ready=_is_true(ready),
            not_ready_since=_not_ready_since(ready),
            unschedulable=not gated and _is_unschedulable(scheduled),
            gated=gated,
            admitted_by_kueue=bool((metadata.get('labels') or NO_LABELS).get('kueue.x-k8s.io/managed')),
            initializing=_is_initializing(spec, status),
            owner=Owner.parse(metadata),
            containers=requests.containers,
            statuses=tuple(_statuses(status)),
            requested=requests.effective,
            pod_level=requests.pod_level,
            selector=spec.get('nodeSelector') or NO_LABELS,
            claims=len(spec.get('resourceClaims') or ()),
            claimed_resources=_claimed_resources(status),
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
        sampled_at: None when the metrics API does not tell
        containers: by name; None for a container with figures that could not be read
    """

    namespace: str
    name: str
    sampled_at: datetime | None
    containers: Mapping[str, Usage | None]

    @property
    def known(self) -> list[Usage]:
        """The usage of the containers that could be read."""
        return [usage for usage in self.containers.values() if usage is not None]

    @property
    def total(self) -> Usage:
        """The sum over the containers that could be read."""
        known = self.known
        return Usage(fsum(usage.cpu for usage in known), fsum(usage.memory for usage in known))

    def covers(self, pod: Pod) -> bool:
        """Return True when it has the usage of every container of its pod that runs."""
        return all(self.containers.get(name) is not None for name in pod.running_containers)

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
        return cls(namespace, name, moment(item.get('timestamp')), containers)


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
        accepts_pods: False when it is cordoned or about to be removed
        virtual: True when it stands for the capacity of another service
        allocatable: by resource name: CPU, memory and extended resources
        capacity: CPU and memory of the machine
        labels: the labels that describe accelerators
    """

    name: str
    ready: bool
    accepts_pods: bool
    virtual: bool
    allocatable: Mapping[str, float]
    capacity: Mapping[str, float]
    labels: Mapping[str, str]

    @property
    def counts(self) -> bool:
        """True when its capacity is part of the cluster's: it is Ready and not virtual."""
        return self.ready and not self.virtual

    @property
    def usable(self) -> bool:
        """True when the scheduler may place pods on it."""
        return self.counts and self.accepts_pods

    @classmethod
    def parse(cls, item: Mapping[str, Any], problem: Problem) -> Node:
        """Return a node of a list."""
        name, status, spec = item['metadata']['name'], item['status'], item.get('spec') or {}
        labels = item['metadata'].get('labels') or {}
        taints = {taint.get('key') for taint in spec.get('taints') or ()}

        def amounts(values: Mapping[str, Any] | None) -> dict[str, float]:
            read = {}
            for resource, value in (values or {}).items():
                if is_counted(resource):
                    try:
                        read[resource] = parse_quantity(value)
                    except BadQuantity as error:
                        message = f'node {name}: {resource} {shown(error)} is not a quantity; it is left out'
                        problem(BAD_QUANTITY, message)
            return read

        capacity = {key: value for key, value in (status.get('capacity') or {}).items() if key in (CPU, MEMORY)}
        return cls(
            name=name,
            ready=any(map(_is_ready, status.get('conditions') or ())),
            accepts_pods=not spec.get('unschedulable') and taints.isdisjoint(REMOVAL_TAINTS),
            virtual=not taints.isdisjoint(VIRTUAL_TAINTS) or any(labels.get(key) == value for key, value in VIRTUAL),
            allocatable=amounts(status.get('allocatable')),
            capacity=amounts(capacity),
            labels={
                key: value for key, value in labels.items() if is_accelerator_label(key) and isinstance(value, str)
            },
        )


def _is_true(condition: Mapping[str, Any]) -> bool:
    return condition.get('status') == 'True'


def _is_ready(condition: Mapping[str, Any]) -> bool:
    return condition['type'] == 'Ready' and _is_true(condition)


def _is_unschedulable(scheduled: Mapping[str, Any]) -> bool:
    return scheduled.get('status') == 'False' and scheduled.get('reason') == UNSCHEDULABLE


def _not_ready_since(ready: Mapping[str, Any]) -> datetime | None:
    if _is_true(ready) or ready.get('reason') == COMPLETED:
        return None
    return moment(ready.get('lastTransitionTime'))


def _claimed_resources(status: Mapping[str, Any]) -> frozenset[str]:
    claim = status.get('extendedResourceClaimStatus') or {}
    return frozenset(entry.get('resourceName') or '' for entry in claim.get('requestMappings') or ())


def _is_initializing(spec: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    running = {entry['name'] for entry in status.get('initContainerStatuses') or () if runs(entry)}
    return bool(running) and any(
        item['name'] in running and item.get('restartPolicy') != 'Always' for item in spec.get('initContainers') or ()
    )


def _statuses(status: Mapping[str, Any]) -> Iterator[ContainerStatus]:
    # The state of an ephemeral container, which someone attached to look at the pod, says nothing about the pod.
    for kind in ('containerStatuses', 'initContainerStatuses'):
        for entry in status.get(kind) or ():
            if (found := ContainerStatus.parse(entry)) is not None:
                yield found
