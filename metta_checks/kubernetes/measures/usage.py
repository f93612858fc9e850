"""Figures of the block `usage`: requests compared with usage.

A *measured* container is one that runs as long as its pod, has a sample and requests the resource. Waste is limited to
0 for each container, not for the sum, so that usage beyond the request of one container hides no waste of another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ...core.refresh import Sample
from ...core.stats import percentage, top
from ...core.tag_values import OTHER
from ..effective_requests import CPU, MEMORY
from ..quantity import GIB, MIB
from ..records import Pod, PodUsage, Samples
from ..settings import Settings, Thresholds

# Kubernetes' smallest fraction is a billionth. Smaller differences are rounding errors that must not decide a
# comparison.
DIGITS = 9


@dataclass(slots=True)
class _Resource:
    """Sums of one resource over the cluster.

    Attributes:
        name: of the resource, as in metric names
        unit: as in metric names
        scale: size of the unit in cores or bytes
    """

    name: str
    unit: str
    scale: float = 1.0
    used: float = 0.0
    measured_request: float = 0.0
    measured_usage: float = 0.0
    waste: float = 0.0
    overuse: float = 0.0
    waste_by_namespace: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def samples(self, max_namespaces: int) -> Iterator[Sample]:
        """Yield the figures of the resource."""
        yield Sample(f'resources.{self.name}_waste_{self.unit}', self.waste / self.scale)
        yield Sample(f'resources.{self.name}_overuse_{self.unit}', self.overuse / self.scale)
        yield Sample(f'resources.{self.name}_used_{self.unit}', self.used / self.scale)
        efficiency = percentage(self.measured_usage, self.measured_request)
        yield Sample(f'resources.{self.name}_efficiency_pct', efficiency)
        for namespace, waste in top(self.waste_by_namespace, max_namespaces).items():
            yield Sample(f'namespace.{self.name}_waste_{self.unit}', waste / self.scale, {'kube_namespace': namespace})


@dataclass(slots=True)
class _Counts:
    """Numbers of live pods."""

    live: int = 0
    sampled: int = 0
    overallocated: int = 0
    idle: int = 0
    low_cpu: int = 0
    low_memory: int = 0

    def add_quiet(self, sample: PodUsage, thresholds: Thresholds) -> None:
        """Count a pod that uses little. A container that could not be read may be the busy one."""
        if not sample.is_complete:
            return
        total = sample.total
        millicores = round(total.cpu, DIGITS) * 1000
        mebibytes = total.memory / MIB
        self.idle += millicores < thresholds.idle_cpu_millicores and mebibytes < thresholds.idle_memory_mib
        self.low_cpu += millicores < thresholds.low_cpu_millicores
        self.low_memory += mebibytes < thresholds.low_memory_mib

    def samples(self) -> Iterator[Sample]:
        """Yield the numbers."""
        yield Sample('resources.usage_coverage_pct', percentage(self.sampled, self.live))
        yield Sample('resources.overallocated_pods', self.overallocated)
        yield Sample('pods.idle_count', self.idle)
        yield Sample('pods.low_cpu_usage', self.low_cpu)
        yield Sample('pods.low_memory_usage', self.low_memory)


def usage(pods: Collection[Pod], samples: Samples, now: datetime, *, settings: Settings) -> Iterator[Sample]:
    """Yield the figures of requests and usage."""
    live = [pod for pod in pods if pod.live]
    sampled = [(pod, sample) for pod in live if (sample := samples.get(pod.key)) is not None and sample.known]
    cpu, memory = _Resource('cpu', 'cores'), _Resource('memory', 'gb', scale=GIB)
    counts = _Counts(live=len(live), sampled=len(sampled))
    by_deployment: dict[tuple[str, str], float] = defaultdict(float)
    for pod, sample in sampled:
        cpu_waste, cpu_ratio = _add_pod(pod, sample, CPU, cpu)
        _, memory_ratio = _add_pod(pod, sample, MEMORY, memory)
        by_deployment[pod.namespace, pod.deployment] += cpu_waste
        counts.overallocated += _is_overallocated(pod, (cpu_ratio, memory_ratio), now, settings.thresholds)
        counts.add_quiet(sample, settings.thresholds)
    for resource in (cpu, memory):
        yield from resource.samples(settings.max_namespaces)
    yield from counts.samples()
    if (prices := settings.prices) is not None:
        hourly = cpu.waste * prices.cpu_core_hour + memory.waste / GIB * prices.memory_gib_hour
        yield Sample('cost.waste_hourly_usd', hourly)
    if settings.max_deployments is not None:
        yield from _deployments(by_deployment, settings.max_deployments)


def _add_pod(pod: Pod, sample: PodUsage, resource: str, total: _Resource) -> tuple[float, float | None]:
    """Add a pod to the sums. Return its waste, and usage over request (None where no container is measured)."""
    pod_request = pod_usage = pod_waste = 0.0
    for container in pod.containers:
        found = sample.containers.get(container.name)
        if found is None:
            continue
        used = found.cpu if resource == CPU else found.memory
        total.used += used
        request = container.requested.get(resource)
        if not request:
            continue
        pod_request += request
        pod_usage += used
        pod_waste += max(0.0, request - used)
        total.overuse += max(0.0, used - request)
    if not pod_request:
        return 0.0, None
    total.measured_request += pod_request
    total.measured_usage += pod_usage
    total.waste += pod_waste
    total.waste_by_namespace[pod.namespace] += pod_waste
    return pod_waste, round(pod_usage / pod_request, DIGITS)


def _is_overallocated(
    pod: Pod, usage_over_request: tuple[float | None, ...], now: datetime, thresholds: Thresholds
) -> bool:
    lowest = min((ratio for ratio in usage_over_request if ratio is not None), default=None)
    if lowest is None or lowest >= thresholds.overallocated_ratio:
        return False
    return pod.age_seconds(now) >= thresholds.overallocated_min_age_minutes * 60


def _deployments(waste: Mapping[tuple[str, str], float], limit: int) -> Iterator[Sample]:
    """Yield the deployments with the most waste, and the sum of all others and of pods without a deployment."""
    without = sum(value for (_, deployment), value in waste.items() if not deployment)
    named = {f'{namespace}/{deployment}': value for (namespace, deployment), value in waste.items() if deployment}
    largest = top(named, limit)
    rest = largest.pop(OTHER, 0.0) + without
    for name, value in largest.items():
        namespace, _, deployment = name.partition('/')
        yield Sample('deployment.waste_cores', value, {'kube_namespace': namespace, 'deployment': deployment})
    if len(named) > limit or without:
        yield Sample('deployment.waste_cores', rest, {'kube_namespace': OTHER, 'deployment': OTHER})
