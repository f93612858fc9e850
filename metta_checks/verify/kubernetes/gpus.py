"""Figures of GPUs and other accelerators: offered, held, free and waited for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from .. import Figure, NoSeries
from . import devices
from .accelerators import Accelerators
from .effective import effective
from .nodes import accepts_pods, is_ready, is_virtual
from .reading import Pod, Reading, given

NAMES = ('allocatable', 'requested', 'free', 'largest_free_block', 'terminating', 'pending', 'queued')
Sums = defaultdict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Holding:
    """Accelerators of one type that are held or waited for: those of an extended resource, or of a driver.

    `pod` is None for a device that a claim keeps for no pod.
    """

    pod: Pod | None
    namespace: str
    resource: str
    gpu_type: str
    number: Decimal
    node: str = ''
    is_terminating: bool = False


def figures(reading: Reading) -> Iterator[Figure | NoSeries]:
    """Yield the figures of accelerators."""
    accelerators = Accelerators(reading.cluster.nodes, reading.accelerator_types)
    holdings = list(held(reading))
    found = {
        'requested': _by_type(holdings),
        'terminating': _by_type(one for one in holdings if one.is_terminating),
        **_capacity(reading, accelerators, holdings),
    }
    types = {gpu_type for sums in found.values() for gpu_type in sums}
    pods = reading.cluster.pods
    waiting = (pod for pod in pods if pod.is_unschedulable and not pod.deletion_ends)
    found['pending'] = _by_type(_requested(waiting, accelerators, with_claims=False))
    found['queued'] = _by_type(_requested((pod for pod in pods if pod.is_gated), accelerators, with_claims=False))
    for name in NAMES:
        yield from reading.by_type(f'gpu.{name}', {one: found[name][one] for one in types | found[name].keys()})
    by_namespace: Sums = defaultdict(Decimal)
    by_workload: defaultdict[tuple[str, tuple[str, str] | None], Decimal] = defaultdict(Decimal)
    for one in holdings:
        by_namespace[one.namespace] += one.number
        by_workload[one.namespace, one.pod.owner if one.pod else None] += one.number
    yield from reading.by_namespace('namespace.gpu_requested', by_namespace)
    yield from reading.by_workload('workload.gpu_requested', by_workload)


def held(reading: Reading) -> Iterator[Holding]:
    """Yield what pods hold: by their requests, and by their claims."""
    types = reading.accelerator_types
    accelerators = Accelerators(reading.cluster.nodes, types)
    with_claims = bool(reading.instance.get('resource_claims'))
    yield from _requested((pod for pod in reading.cluster.pods if pod.holds), accelerators, with_claims=with_claims)
    known = devices.offered(reading.cluster, types)
    for key, namespace, pods in devices.held(reading.cluster):
        if device := known.get(key) or devices.withdrawn(key, pods, types):
            # Of pods that share a device, the oldest one that stays holds it.
            ordered = sorted(pods, key=lambda pod: (pod.deletion_ends is not None, pod.created, pod.uid))
            holder = ordered[0] if ordered else None
            is_terminating = bool(holder and holder.deletion_ends)
            where = holder.namespace if holder else namespace
            yield Holding(holder, where, key[0], device.gpu_type, Decimal(1), device.node, is_terminating)


def _requested(pods: Iterable[Pod], accelerators: Accelerators, *, with_claims: bool) -> Iterator[Holding]:
    for pod in pods:
        claimed = devices.claimed_resources(pod) if with_claims else set()
        containers = [*(pod.spec.init_containers or ()), *pod.spec.containers]
        resources = {name for one in containers for name in (one.resources and one.resources.requests) or ()}
        for resource in filter(accelerators.is_accelerator, sorted(resources - claimed)):
            kind = accelerators.of_pod(pod.spec, resource)
            if number := effective(pod, resource) * kind.part:
                is_terminating = pod.deletion_ends is not None
                node = pod.spec.node_name or ''
                yield Holding(pod, pod.namespace, resource, kind.gpu_type, number, node, is_terminating)


def _by_type(holdings: Iterable[Holding]) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for one in holdings:
        sums[one.gpu_type] += one.number
    return sums


def _capacity(reading: Reading, accelerators: Accelerators, holdings: Iterable[Holding]) -> dict[str, Sums]:
    """Return what the nodes offer and what of it is free, by the name of the figure and by type."""
    taken: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for one in holdings:
        taken[one.node, one.gpu_type] += one.number
    claimable = devices.offered(reading.cluster, reading.accelerator_types).values()
    found: dict[str, Sums] = {name: defaultdict(Decimal) for name in ('allocatable', 'free', 'largest_free_block')}
    for node in reading.cluster.nodes:
        if is_virtual(node):
            continue
        name = given(given(node.metadata).name)
        here: Sums = defaultdict(Decimal)
        for gpu_type, number in accelerators.offered(node):
            here[gpu_type] += number
        for device in claimable:
            if device.node == name:
                here[device.gpu_type] += 1
        for gpu_type, number in here.items():
            found['allocatable'][gpu_type] += number if is_ready(node) else 0
            free = max(Decimal(0), number - taken[name, gpu_type]) if accepts_pods(node) else Decimal(0)
            found['free'][gpu_type] += free
            found['largest_free_block'][gpu_type] = max(found['largest_free_block'][gpu_type], free)
    return found
