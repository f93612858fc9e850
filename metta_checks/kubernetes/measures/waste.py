"""Requests against use.

A *measured* container is a steady container of a live pod that has a sample and requests the resource. Waste is clamped
at each container, never at a sum: one that uses more than it requests hides no waste of another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ...core.refresh import Sample
from ...core.stats import percentage, top
from ..records import CPU, MEMORY, Pod, PodUsage, Samples
from .settings import GIB, MIB, Settings, Thresholds

# Kubernetes' finest fraction is a billionth; what is smaller is the rounding of floats, and must not tip a comparison.
DIGITS = 9


@dataclass(slots=True)
class _Total:
    """Sums of one resource over a cluster."""

    used: float = 0.0
    measured_request: float = 0.0
    measured_usage: float = 0.0
    waste: float = 0.0
    overuse: float = 0.0
    waste_by_namespace: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(slots=True)
class _Counts:
    live: int = 0
    sampled: int = 0
    overallocated: int = 0
    idle: int = 0
    low_cpu: int = 0
    low_memory: int = 0


def usage(pods: Collection[Pod], samples: Samples, now: datetime, *, settings: Settings) -> Iterator[Sample]:
    """Everything of the block `usage`."""
    thresholds = settings.thresholds
    cpu, memory, counts = _Total(), _Total(), _Counts()
    by_deployment: dict[tuple[str, str], float] = defaultdict(float)
    min_age_seconds = thresholds.overallocated_min_age_minutes * 60
    for pod in pods:
        if not pod.live:
            continue
        counts.live += 1
        sample = samples.get((pod.namespace, pod.name)) or {}
        if not any(sample.values()):
            continue
        counts.sampled += 1
        cpu_waste, cpu_ratio = _weigh(pod, sample, CPU, cpu)
        _, memory_ratio = _weigh(pod, sample, MEMORY, memory)
        by_deployment[pod.namespace, pod.deployment] += cpu_waste
        ratios = [ratio for ratio in (cpu_ratio, memory_ratio) if ratio is not None]
        if ratios and min(ratios) < thresholds.overallocated_ratio and pod.age_seconds(now) >= min_age_seconds:
            counts.overallocated += 1
        _count_idle(sample, thresholds, counts)

    for name, unit, total in (('cpu', 'cores', cpu), ('memory', 'gb', memory)):
        scale = GIB if name == 'memory' else 1
        yield Sample(f'resources.{name}_waste_{unit}', total.waste / scale)
        yield Sample(f'resources.{name}_overuse_{unit}', total.overuse / scale)
        yield Sample(f'resources.{name}_used_{unit}', total.used / scale)
        yield Sample(f'resources.{name}_efficiency_pct', percentage(total.measured_usage, total.measured_request))
        for namespace, waste in top(total.waste_by_namespace, settings.max_namespaces).items():
            yield Sample(f'namespace.{name}_waste_{unit}', waste / scale, {'kube_namespace': namespace})
    yield Sample('resources.usage_coverage_pct', percentage(counts.sampled, counts.live))
    yield Sample('resources.overallocated_pods', counts.overallocated)
    yield Sample('pods.idle_count', counts.idle)
    yield Sample('pods.low_cpu_usage', counts.low_cpu)
    yield Sample('pods.low_memory_usage', counts.low_memory)
    if (prices := settings.prices) is not None:
        hourly = cpu.waste * prices.cpu_core_hour + memory.waste / GIB * prices.memory_gib_hour
        yield Sample('cost.waste_hourly_usd', hourly)
    if settings.per_deployment is not None:
        yield from _deployments(by_deployment, settings.per_deployment)


def _weigh(pod: Pod, sample: PodUsage, resource: str, total: _Total) -> tuple[float, float | None]:
    """Add a pod to the sums. Returns its waste, and usage over request (None where no container is measured)."""
    pod_request = pod_usage = pod_waste = 0.0
    for container in pod.containers:
        found = sample.get(container.name)
        if found is None:
            continue
        used = found.cpu if resource == CPU else found.memory
        total.used += used
        request = container.requested.get(resource)
        if not request:
            continue
        pod_request += request
        pod_usage += used
        if used < request:
            pod_waste += request - used
        else:
            total.overuse += used - request
    if not pod_request:
        return 0.0, None
    total.measured_request += pod_request
    total.measured_usage += pod_usage
    total.waste += pod_waste
    total.waste_by_namespace[pod.namespace] += pod_waste
    return pod_waste, round(pod_usage / pod_request, DIGITS)


def _count_idle(sample: PodUsage, thresholds: Thresholds, counts: _Counts) -> None:
    known = [used for used in sample.values() if used is not None]
    if len(known) < len(sample):
        # A container whose figures could not be read may be the busy one.
        return
    millicores = round(sum(used.cpu for used in known), DIGITS) * 1000
    mebibytes = sum(used.memory for used in known) / MIB
    counts.idle += millicores < thresholds.idle_cpu_millicores and mebibytes < thresholds.idle_memory_mib
    counts.low_cpu += millicores < thresholds.low_cpu_millicores
    counts.low_memory += mebibytes < thresholds.low_memory_mib


def _deployments(waste: dict[tuple[str, str], float], limit: int) -> Iterator[Sample]:
    """The largest deployments; all others, and pods that belong to none, as `other`."""
    without = sum(value for (_, deployment), value in waste.items() if not deployment)
    named = {f'{namespace}/{deployment}': value for (namespace, deployment), value in waste.items() if deployment}
    largest = top(named, limit)
    rest = largest.pop('other', 0.0) + without
    for name, value in largest.items():
        namespace, _, deployment = name.partition('/')
        yield Sample('deployment.waste_cores', value, {'kube_namespace': namespace, 'deployment': deployment})
    if len(named) > limit or without:
        yield Sample('deployment.waste_cores', rest, {'kube_namespace': 'other', 'deployment': 'other'})
