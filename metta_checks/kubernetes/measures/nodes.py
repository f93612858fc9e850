"""Figures of the blocks `nodes` and `idle`: the capacity of the nodes, and what is left of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from ...core.refresh import Sample
from ..effective_requests import CPU, MEMORY
from ..quantity import GIB
from ..records import Node, Pod, Samples, Usage

NO_USAGE = Usage(0.0, 0.0)


def allocatable(nodes: Collection[Node]) -> Iterator[Sample]:
    """Yield the allocatable resources of Ready nodes."""
    yield Sample('resources.cpu_allocatable_cores', _allocatable(nodes, CPU))
    yield Sample('resources.memory_allocatable_gb', _allocatable(nodes, MEMORY) / GIB)


def idle(nodes: Collection[Node], pods: Iterable[Pod], samples: Samples) -> Iterator[Sample]:
    """Yield the allocatable resources less, per pod, the larger of request and usage: OpenCost's definition of idle.

    They are compared per node, so that pods on other nodes take nothing from those that count.
    """
    taken: defaultdict[str, list[Usage]] = defaultdict(list)
    for pod in pods:
        if pod.holds_resources:
            sample = samples.get(pod.key)
            used = sample.total if sample is not None else NO_USAGE
            cpu, memory = pod.requested.get(CPU, 0.0), pod.requested.get(MEMORY, 0.0)
            taken[pod.node].append(Usage(max(cpu, used.cpu), max(memory, used.memory)))
    idle_cores = idle_bytes = 0.0
    for node in nodes:
        if node.counts:
            here = taken[node.name]
            idle_cores += max(0.0, node.allocatable.get(CPU, 0.0) - math.fsum(one.cpu for one in here))
            idle_bytes += max(0.0, node.allocatable.get(MEMORY, 0.0) - math.fsum(one.memory for one in here))
    yield Sample('resources.cpu_idle_cores', idle_cores)
    yield Sample('resources.memory_idle_gb', idle_bytes / GIB)


def _allocatable(nodes: Iterable[Node], resource: str) -> float:
    return math.fsum(node.allocatable.get(resource, 0.0) for node in nodes if node.counts)
