"""The truth about GPUs and other accelerators, in whole units and fractions, from the data of the cluster.

The accelerators of a node are a bank of one type; pods and claims take theirs from the bank of their node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from ..server import Figure
from .data import Cluster
from .model import Node, Pod
from .prometheus import utilization

# Types by the model of the node, or by the type of the machine.
TYPES = {
    'NVIDIA-H100-80GB-HBM3': 'h100',
    'NVIDIA-L4-SHARED': 'l4',
    'NVIDIA H200': 'h200',
    'dl1.24xlarge': 'gaudi',
}
# Types of what waits for one of several models.
UNDECIDED = {'nvidia.com/gpu': 'nvidia-gpu'}
# A GPU is idle below this utilization, over the last half hour.
IDLE_PCT = 5
WINDOW = timedelta(minutes=30)


@dataclass(frozen=True)
class Part:
    """A part of a bank that is taken.

    Attributes:
        pod: the pod that holds it; None for devices that a claim keeps for a pod that has ended
    """

    namespace: str
    pod: Pod | None
    number: Fraction


@dataclass
class Bank:
    """The accelerators of a node, and the parts of them that are taken."""

    node: Node
    gpu_type: str
    size: int
    taken: list[Part] = field(default_factory=list)

    @property
    def free(self) -> Fraction:
        """Units that another pod could get now."""
        if not self.node.ready or self.node.cordoned:
            return Fraction(0)
        return max(Fraction(0), self.size - _sum(self.taken))


def banks(cluster: Cluster) -> list[Bank]:
    """Return the banks of all nodes that have accelerators."""
    found = []
    for node in cluster.nodes:
        if node.gpus or node.devices:
            gpu_type = TYPES[node.product or node.instance_type]
            bank = Bank(node, gpu_type, node.devices or node.gpus // node.replicas)
            bank.taken = [*_requested(cluster, node), *_claimed(cluster, node)]
            found.append(bank)
    return found


def by_type(cluster: Cluster) -> Iterator[tuple[str, str, Fraction]]:
    """Yield name, type and number of the figures by type."""
    every = banks(cluster)
    waiting = _waiting(cluster)
    for gpu_type in {bank.gpu_type for bank in every}:
        own = [bank for bank in every if bank.gpu_type == gpu_type]
        taken = [part for bank in own for part in bank.taken]
        yield 'allocatable', gpu_type, Fraction(sum(bank.size for bank in own if bank.node.ready))
        yield 'requested', gpu_type, _sum(taken)
        yield 'terminating', gpu_type, _sum(part for part in taken if part.pod and part.pod.deleting)
        yield 'free', gpu_type, sum((bank.free for bank in own), Fraction(0))
        yield 'largest_free_block', gpu_type, max(bank.free for bank in own)
        for name in ('pending', 'queued'):
            yield name, gpu_type, waiting.pop((name, gpu_type), Fraction(0))
    for (name, gpu_type), number in waiting.items():
        yield name, gpu_type, number


def taken(cluster: Cluster) -> Iterator[Part]:
    """Yield the parts of all banks that are taken."""
    for bank in banks(cluster):
        yield from bank.taken


def usage(cluster: Cluster, now: datetime, tag: str, prices: Mapping[str, float]) -> Iterator[Figure]:
    """Yield the figures of the utilization of the GPUs that pods hold through requests, with the tag of the cluster."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    idle: defaultdict[str, Fraction] = defaultdict(Fraction)
    namespaces: defaultdict[str, Fraction] = defaultdict(Fraction)
    for bank in banks(cluster):
        if bank.node.gpu_resource != 'nvidia.com/gpu' or not bank.node.gpus:
            continue
        for pod in (part.pod for part in bank.taken):
            if pod is None or pod.phase != 'Running' or pod.started is None:
                continue
            measured = [utilization(pod, index) for index in range(_units(pod, 'nvidia.com/gpu'))]
            values[bank.gpu_type] += measured
            is_idle = now - pod.started >= WINDOW
            number = Fraction(is_idle * sum(value < IDLE_PCT for value in measured), bank.node.replicas)
            idle[bank.gpu_type] += number
            namespaces[pod.namespace] += number
    for gpu_type, found in values.items():
        tags = (tag, f'gpu_type:{gpu_type}')
        yield Figure('metta.kubernetes.gpu.utilization_pct', sum(found) / len(found), tags)
        yield Figure('metta.kubernetes.gpu.idle', float(idle[gpu_type]), tags)
        if gpu_type in prices:
            yield Figure('metta.kubernetes.cost.gpu_idle_hourly_usd', float(idle[gpu_type]) * prices[gpu_type], tags)
    for namespace, number in namespaces.items():
        yield Figure('metta.kubernetes.namespace.gpu_idle', float(number), (tag, f'kube_namespace:{namespace}'))


def _requested(cluster: Cluster, node: Node) -> Iterator[Part]:
    """Yield what pods on a node hold through requests, until they have ended."""
    for pod in cluster.pods:
        is_here = pod.node == node.name and pod.phase not in ('Succeeded', 'Failed')
        if is_here and (units := _units(pod, node.gpu_resource)):
            yield Part(pod.namespace, pod, Fraction(units, node.replicas))


def _claimed(cluster: Cluster, node: Node) -> Iterator[Part]:
    """Yield the devices of a node that claims keep, each once."""
    for claim in cluster.claims:
        users = [pod for pod in claim.pods if pod.phase not in ('Succeeded', 'Failed')]
        if claim.node == node.name and not claim.admin:
            yield Part(claim.namespace, users[0] if users else None, Fraction(len(claim.devices)))


def _waiting(cluster: Cluster) -> dict[tuple[str, str], Fraction]:
    """Return what pods without a node wait for, by name of the figure and type."""
    found: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for pod in cluster.pods:
        name = 'queued' if pod.gated else 'pending' if pod.unschedulable and not pod.deleting else ''
        for container in pod.containers if name else ():
            if container.gpus:
                found[name, UNDECIDED[container.gpu_resource]] += container.gpus
    return dict(found)


def _sum(parts: Iterable[Part]) -> Fraction:
    return sum((part.number for part in parts), Fraction(0))


def _units(pod: Pod, resource: str) -> int:
    return sum(container.gpus for container in pod.containers if container.gpu_resource == resource)
