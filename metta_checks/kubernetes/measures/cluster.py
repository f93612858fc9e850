"""Deployments, nodes and GPUs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

from ...core.accelerators import gpu_of_resource, is_gpu
from ...core.refresh import Sample
from ..records import CPU, MEMORY, Deployment, Node, Pod, Samples
from .settings import GIB


def deployments(deployments: Iterable[Deployment]) -> Iterator[Sample]:
    """Everything of the block `deployments`."""
    yield Sample('deployments.zero_replicas', sum(deployment.replicas == 0 for deployment in deployments))


def allocatable(nodes: Collection[Node]) -> Iterator[Sample]:
    """What Ready nodes offer."""
    yield Sample('resources.cpu_allocatable_cores', _allocatable(nodes, CPU))
    yield Sample('resources.memory_allocatable_gb', _allocatable(nodes, MEMORY) / GIB)
    for resource in sorted(_gpus(nodes)):
        yield Sample('gpu.allocatable', _allocatable(nodes, resource), {'gpu_type': gpu_of_resource(resource)})


def gpus(nodes: Collection[Node], pods: Iterable[Pod]) -> Iterator[Sample]:
    """What is requested of the GPUs, and what is left. A type that is requested but offered nowhere has none left."""
    holders = [pod for pod in pods if _holds(pod)]
    requested = {resource for pod in holders for resource in pod.requested if is_gpu(resource)}
    for resource in sorted(_gpus(nodes) | requested):
        tags = {'gpu_type': gpu_of_resource(resource)}
        number = math.fsum(pod.requested.get(resource, 0.0) for pod in holders)
        yield Sample('gpu.requested', number, tags)
        yield Sample('gpu.free', max(0.0, _allocatable(nodes, resource) - number), tags)


def idle(nodes: Collection[Node], pods: Iterable[Pod], samples: Samples) -> Iterator[Sample]:
    """Allocatable less the sum of the larger of request and usage per pod: OpenCost's notion of idle."""
    cpu = memory = 0.0
    for pod in pods:
        if _holds(pod):
            sample = [used for used in (samples.get((pod.namespace, pod.name)) or {}).values() if used is not None]
            cpu += max(pod.requested.get(CPU, 0.0), sum(used.cpu for used in sample))
            memory += max(pod.requested.get(MEMORY, 0.0), sum(used.memory for used in sample))
    yield Sample('resources.cpu_idle_cores', _allocatable(nodes, CPU) - cpu)
    yield Sample('resources.memory_idle_gb', (_allocatable(nodes, MEMORY) - memory) / GIB)


def _holds(pod: Pod) -> bool:
    return pod.live or (pod.pending and pod.bound)


def _gpus(nodes: Iterable[Node]) -> set[str]:
    return {resource for node in nodes for resource in node.allocatable if is_gpu(resource)}


def _allocatable(nodes: Iterable[Node], resource: str) -> float:
    return math.fsum(node.allocatable.get(resource, 0.0) for node in nodes if node.ready)
