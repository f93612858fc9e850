"""Figures of the blocks `nodes` and `idle` without accelerators: what the nodes offer, and what nobody takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from kubernetes import client

from .. import Figure
from .effective import effective
from .reading import UNITS, Reading, amount, given, has_condition
from .usage import total

# Labels of nodes that stand for the capacity of another service.
VIRTUAL = (
    ('type', 'virtual-kubelet'),
    ('liqo.io/type', 'virtual-node'),
    ('eks.amazonaws.com/compute-type', 'fargate'),
)
# Taints of nodes that Cluster Autoscaler or Karpenter removes.
REMOVAL_TAINTS = {'ToBeDeletedByClusterAutoscaler', 'karpenter.sh/disrupted', 'karpenter.sh/disruption'}


def figures(reading: Reading) -> Iterator[Figure]:
    """Yield the capacity of the nodes."""
    ready = [node for node in reading.cluster.nodes if is_ready(node) and not is_virtual(node)]
    for resource, (unit, scale) in UNITS.items():
        yield reading.figure(f'resources.{resource}_allocatable_{unit}', _offered(ready, resource) / scale)
    if not reading.instance.get('cluster_idle'):
        return
    holders = [pod for pod in reading.cluster.pods if pod.holds]
    for resource, (unit, scale) in UNITS.items():
        idle = Decimal(0)
        for node in ready:
            here = [pod for pod in holders if pod.spec.node_name == given(node.metadata).name]
            used = (total(reading.cluster.usage.get((pod.namespace, pod.name), {}), resource) for pod in here)
            taken = (max(effective(pod, resource), number) for pod, number in zip(here, used, strict=True))
            idle += max(Decimal(0), _offered([node], resource) - sum(taken, Decimal(0)))
        yield reading.figure(f'resources.{resource}_idle_{unit}', idle / scale)


def is_ready(node: client.V1Node) -> bool:
    """Return whether the kubelet says that it is healthy."""
    return has_condition(given(node.status).conditions, 'Ready', 'True')


def is_virtual(node: client.V1Node) -> bool:
    """Return whether a node stands for the capacity of another service."""
    labels = given(node.metadata).labels or {}
    is_tainted = 'virtual-kubelet.io/provider' in _taints(node)
    return is_tainted or any(labels.get(key) == value for key, value in VIRTUAL)


def accepts_pods(node: client.V1Node) -> bool:
    """Return whether the scheduler can place pods there."""
    is_cordoned = bool(node.spec and node.spec.unschedulable)
    return is_ready(node) and not (is_cordoned or is_virtual(node) or REMOVAL_TAINTS & _taints(node))


def allocatable(node: client.V1Node) -> dict[str, str]:
    """Return the resources that a node offers to pods."""
    return given(node.status).allocatable or {}


def _taints(node: client.V1Node) -> set[str]:
    return {taint.key for taint in (node.spec and node.spec.taints) or ()}


def _offered(nodes: Iterable[client.V1Node], resource: str) -> Decimal:
    return sum((amount(allocatable(node), resource) for node in nodes), Decimal(0))
