"""Figures of the blocks `nodes` and `idle`: capacity, GPUs and what is left of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

from ...core.accelerators import gpu_of_resource, is_gpu
from ...core.refresh import Sample
from ..effective_requests import CPU, MEMORY
from ..quantity import GIB
from ..records import Node, Pod, Samples, Usage

NO_USAGE = Usage(0.0, 0.0)


def allocatable(nodes: Collection[Node]) -> Iterator[Sample]:
    """Yield the allocatable resources of Ready nodes."""
    yield Sample('resources.cpu_allocatable_cores', _allocatable(nodes, CPU))
    yield Sample('resources.memory_allocatable_gb', _allocatable(nodes, MEMORY) / GIB)
    for resource in sorted(_gpus(nodes)):
        yield Sample('gpu.allocatable', _allocatable(nodes, resource), {'gpu_type': gpu_of_resource(resource)})


def gpus(nodes: Collection[Node], pods: Iterable[Pod]) -> Iterator[Sample]:
    """Yield the requested and the free GPUs. A type that is requested but on no node has 0 free GPUs."""
    holders = [pod for pod in pods if pod.holds_resources]
    requested = {resource for pod in holders for resource in pod.requested if is_gpu(resource)}
    for resource in sorted(_gpus(nodes) | requested):
        tags = {'gpu_type': gpu_of_resource(resource)}
        number = math.fsum(pod.requested.get(resource, 0.0) for pod in holders)
        yield Sample('gpu.requested', number, tags)
        yield Sample('gpu.free', max(0.0, _allocatable(nodes, resource) - number), tags)


def idle(nodes: Collection[Node], pods: Iterable[Pod], samples: Samples) -> Iterator[Sample]:
    """Yield the allocatable resources less, per pod, the larger of request and usage: OpenCost's definition of idle."""
    cpu = memory = 0.0
    for pod in pods:
        if pod.holds_resources:
            sample = samples.get(pod.key)
            used = sample.total if sample is not None else NO_USAGE
            cpu += max(pod.requested.get(CPU, 0.0), used.cpu)
            memory += max(pod.requested.get(MEMORY, 0.0), used.memory)
    yield Sample('resources.cpu_idle_cores', _allocatable(nodes, CPU) - cpu)
    yield Sample('resources.memory_idle_gb', (_allocatable(nodes, MEMORY) - memory) / GIB)


def _gpus(nodes: Iterable[Node]) -> set[str]:
    return {resource for node in nodes for resource in node.allocatable if is_gpu(resource)}


def _allocatable(nodes: Iterable[Node], resource: str) -> float:
    return math.fsum(node.allocatable.get(resource, 0.0) for node in nodes if node.ready)
