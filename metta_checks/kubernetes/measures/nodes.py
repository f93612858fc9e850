"""Figures of the blocks `nodes` and `idle`: capacity, GPUs and what is left of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from ...core.accelerators import gpu_of_resource, is_gpu
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ..effective_requests import CPU, MEMORY
from ..quantity import GIB
from ..records import Node, Pod, Samples, Usage

NO_USAGE = Usage(0.0, 0.0)


def allocatable(nodes: Collection[Node]) -> Iterator[Sample]:
    """Yield the allocatable resources of Ready nodes."""
    yield Sample('resources.cpu_allocatable_cores', _allocatable(nodes, CPU))
    yield Sample('resources.memory_allocatable_gb', _allocatable(nodes, MEMORY) / GIB)
    offered = _offered_gpus(nodes)
    for gpu_type, number in added_up(offered, _gpu_types(sorted(offered), offered)).items():
        yield Sample('gpu.allocatable', number, {'gpu_type': gpu_type})


def gpus(nodes: Collection[Node], pods: Iterable[Pod]) -> Iterator[Sample]:
    """Yield the requested and the free GPUs. A type that is requested but on no node has 0 free GPUs."""
    offered, held = _offered_gpus(nodes), _held_gpus(pods)
    resources = sorted(offered.keys() | held.keys())
    free = {resource: max(0.0, offered.get(resource, 0.0) - held.get(resource, 0.0)) for resource in resources}
    shown = _gpu_types(resources, offered)
    free_by_type = added_up(free, shown)
    for gpu_type, number in added_up({resource: held.get(resource, 0.0) for resource in resources}, shown).items():
        yield Sample('gpu.requested', number, {'gpu_type': gpu_type})
        yield Sample('gpu.free', free_by_type[gpu_type], {'gpu_type': gpu_type})


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


def _offered_gpus(nodes: Iterable[Node]) -> dict[str, float]:
    """Return the GPUs of Ready nodes by resource; 0 for a resource that only other nodes have."""
    offered: defaultdict[str, float] = defaultdict(float)
    for node in nodes:
        for resource, number in node.allocatable.items():
            if is_gpu(resource):
                offered[resource] += number if node.ready else 0.0
    return dict(offered)


def _held_gpus(pods: Iterable[Pod]) -> dict[str, float]:
    held: defaultdict[str, float] = defaultdict(float)
    for pod in pods:
        if pod.holds_resources:
            for resource, number in pod.requested.items():
                if is_gpu(resource):
                    held[resource] += number
    return dict(held)


def _gpu_types(resources: Collection[str], offered: Mapping[str, float]) -> dict[str, str]:
    """Return the value of the tag `gpu_type` of each resource.

    A pod may request any name, so the types that nodes offer are shown before those that are only requested.
    """
    weights: defaultdict[str, float] = defaultdict(float)
    for resource in resources:
        weights[gpu_of_resource(resource)] += offered.get(resource, 0.0)
    shown = labels(weights, MAX_GPU_TYPES)
    return {resource: shown[gpu_of_resource(resource)] for resource in resources}


def _allocatable(nodes: Iterable[Node], resource: str) -> float:
    return math.fsum(node.allocatable.get(resource, 0.0) for node in nodes if node.ready)
