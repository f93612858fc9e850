"""The samples of the metrics API that belong to the present pods and are possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .effective_requests import BAD_QUANTITY, CPU, MEMORY, Problem
from .records import Node, Pod, PodKey, PodUsage, Samples, Usage


def of_pods(samples: Samples, pods: Iterable[Pod], nodes: Iterable[Node], problem: Problem) -> dict[PodKey, PodUsage]:
    """Return the samples of these pods.

    A sample from before the start of a pod belongs to an earlier pod of the same name. Usage beyond the capacity of the
    node is impossible: it is reported, and unknown.
    """
    capacity = {node.name: node.capacity for node in nodes}
    found = {}
    for pod in pods:
        sample = samples.get(pod.key)
        if sample is not None and _is_of(sample, pod):
            found[pod.key] = _possible(sample, capacity.get(pod.node, {}), problem)
    return found


def _is_of(sample: PodUsage, pod: Pod) -> bool:
    since = pod.started or pod.created
    return sample.sampled_at is None or since is None or sample.sampled_at >= since


def _possible(sample: PodUsage, capacity: Mapping[str, float], problem: Problem) -> PodUsage:
    impossible = [name for name, usage in sample.containers.items() if usage and not _fits(usage, capacity)]
    if not impossible:
        return sample
    for name in impossible:
        problem(
            BAD_QUANTITY,
            f'pod {sample.namespace}/{sample.name}: the usage of container {name} is more than its node has; it is '
            'left out',
        )
    return replace(sample, containers={**sample.containers, **dict.fromkeys(impossible)})


def _fits(usage: Usage, capacity: Mapping[str, float]) -> bool:
    return usage.cpu <= capacity.get(CPU, usage.cpu) and usage.memory <= capacity.get(MEMORY, usage.memory)
