"""Figures of the block `usage`: requests compared with usage.

The unit of counting is what requests the resource: the pod, where the request is one of the pod as a whole, otherwise
the container. A *measured* unit has samples of all its containers that run, and requests the resource. Waste is limited
to 0 for each unit, not for the sum, so that usage beyond the request of one unit hides no waste of another; efficiency
counts usage up to the request of each unit, so that it is what waste leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum

from ...core.refresh import Sample
from ...core.stats import percentage, top
from ...core.tag_values import OTHER, added_up, labels
from ..effective_requests import CPU, MEMORY
from ..quantity import GIB, MIB
from ..records import Pod, PodUsage, Samples, Usage
from ..settings import Settings, Thresholds
from . import workloads

# Kubernetes' smallest fraction is a billionth. Smaller differences are rounding errors that must not decide a
# comparison.
DIGITS = 9


@dataclass(frozen=True, slots=True)
class _PodFigures:
    """The measured units of one pod, for one resource.

    Attributes:
        used: usage of all containers that run as long as the pod, measured or not
        request: the requests of the measured units
        usage: their usage
        waste: the part of their requests that they do not use
        overuse: the part of their usage beyond their requests
    """

    used: float
    request: float
    usage: float
    waste: float
    overuse: float

    @property
    def ratio(self) -> float | None:
        """Usage over request; None when no unit is measured."""
        return round(self.usage / self.request, DIGITS) if self.request else None


@dataclass(slots=True)
class _Resource:
    """Sums of one resource over the cluster.

    Attributes:
        name: of the resource, as in metric names
        unit: as in metric names
        scale: size of the unit in cores or bytes
        request: requests of the measured units, by namespace
        waste: by namespace
        by_workload: waste by workload
    """

    name: str
    unit: str
    scale: float = 1.0
    used: float = 0.0
    overuse: float = 0.0
    request: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    waste: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_workload: dict[workloads.Key, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total_waste(self) -> float:
        """Waste of the cluster, in the unit of the metrics."""
        return fsum(self.waste.values()) / self.scale

    def add(self, pod: Pod, figures: _PodFigures) -> None:
        """Add a pod."""
        self.used += figures.used
        if figures.request:
            self.overuse += figures.overuse
            self.request[pod.namespace] += figures.request
            self.waste[pod.namespace] += figures.waste
            self.by_workload[workloads.key(pod)] += figures.waste / self.scale

    def samples(self, settings: Settings) -> Iterator[Sample]:
        """Yield the figures of the resource."""
        yield Sample(f'resources.{self.name}_waste_{self.unit}', self.total_waste)
        yield Sample(f'resources.{self.name}_overuse_{self.unit}', self.overuse / self.scale)
        yield Sample(f'resources.{self.name}_used_{self.unit}', self.used / self.scale)
        efficiency = _efficiency(fsum(self.waste.values()), fsum(self.request.values()))
        yield Sample(f'resources.{self.name}_efficiency_pct', efficiency)
        for namespace, waste in top(self.waste, settings.max_namespaces).items():
            yield Sample(f'namespace.{self.name}_waste_{self.unit}', waste / self.scale, {'kube_namespace': namespace})
        if settings.per_namespace:
            yield from self._efficiency_by_namespace(settings.max_namespaces)
        if settings.max_workloads is not None:
            name = f'workload.{self.name}_waste_{self.unit}'
            yield from workloads.largest(name, self.by_workload, settings.max_workloads)

    def _efficiency_by_namespace(self, limit: int) -> Iterator[Sample]:
        shown = labels(self.request, limit)
        waste = added_up(self.waste, shown)
        for namespace, request in added_up(self.request, shown).items():
            value = _efficiency(waste[namespace], request)
            yield Sample(f'namespace.{self.name}_efficiency_pct', value, {'kube_namespace': namespace})


@dataclass(slots=True)
class _Counts:
    """Numbers of live pods."""

    live: int = 0
    sampled: int = 0
    overallocated: int = 0
    idle: int = 0
    low_cpu: int = 0
    low_memory: int = 0

    def add_quiet(self, pod: Pod, sample: PodUsage, thresholds: Thresholds) -> None:
        """Count a pod that uses little. A container without usage data may be the busy one."""
        if not sample.covers(pod):
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
    for pod, sample in sampled:
        of_cpu, of_memory = _figures(pod, sample, CPU), _figures(pod, sample, MEMORY)
        cpu.add(pod, of_cpu)
        memory.add(pod, of_memory)
        counts.overallocated += _is_overallocated(pod, (of_cpu.ratio, of_memory.ratio), now, settings.thresholds)
        counts.add_quiet(pod, sample, settings.thresholds)
    for resource in (cpu, memory):
        yield from resource.samples(settings)
    yield from counts.samples()
    yield from _costs(cpu, memory, settings)
    if settings.max_deployments is not None:
        yield from _deployments(cpu.by_workload, settings.max_deployments)


def _figures(pod: Pod, sample: PodUsage, resource: str) -> _PodFigures:
    """Return the measured units of a pod."""
    found = [(container, sample.containers.get(container.name)) for container in pod.containers]
    known = [(container, _amount(usage, resource)) for container, usage in found if usage is not None]
    used = fsum(amount for _, amount in known)
    if resource in pod.pod_level:
        units = [(pod.pod_level[resource], used)] if sample.covers(pod) else []
    else:
        units = [(container.requested.get(resource, 0.0), amount) for container, amount in known]
    measured = [(request, amount) for request, amount in units if request]
    return _PodFigures(
        used=used,
        request=fsum(request for request, _ in measured),
        usage=fsum(amount for _, amount in measured),
        waste=fsum(max(0.0, request - amount) for request, amount in measured),
        overuse=fsum(max(0.0, amount - request) for request, amount in measured),
    )


def _amount(usage: Usage, resource: str) -> float:
    return usage.cpu if resource == CPU else usage.memory


def _efficiency(waste: float, request: float) -> float | None:
    """Return the percentage of the requests that is used, each unit up to its request."""
    return percentage(max(0.0, request - waste), request)


def _is_overallocated(
    pod: Pod, usage_over_request: tuple[float | None, ...], now: datetime, thresholds: Thresholds
) -> bool:
    lowest = min((ratio for ratio in usage_over_request if ratio is not None), default=None)
    if lowest is None or lowest >= thresholds.overallocated_ratio:
        return False
    return pod.age_seconds(now) >= thresholds.overallocated_min_age_minutes * 60


def _costs(cpu: _Resource, memory: _Resource, settings: Settings) -> Iterator[Sample]:
    """Yield the cost of the waste, if there are prices: of the cluster, and of its namespaces."""
    if (prices := settings.prices) is None:
        return
    by_namespace = {
        namespace: cpu.waste.get(namespace, 0.0) * prices.cpu_core_hour
        + memory.waste.get(namespace, 0.0) / GIB * prices.memory_gib_hour
        for namespace in cpu.waste.keys() | memory.waste.keys()
    }
    hourly = cpu.total_waste * prices.cpu_core_hour + memory.total_waste * prices.memory_gib_hour
    yield Sample('cost.waste_hourly_usd', hourly)
    for namespace, cost in top(by_namespace, settings.max_namespaces).items():
        yield Sample('cost.namespace_waste_hourly_usd', cost, {'kube_namespace': namespace})


def _deployments(waste: Mapping[workloads.Key, float], limit: int) -> Iterator[Sample]:
    """Yield the deployments with the most waste, and the sum of all others and of pods without a deployment."""
    named = {f'{namespace}/{name}': value for (namespace, kind, name), value in waste.items() if kind == 'Deployment'}
    without = fsum(value for (_, kind, _), value in waste.items() if kind != 'Deployment')
    largest = top(named, limit)
    rest = largest.pop(OTHER, 0.0) + without
    for name, value in largest.items():
        namespace, _, deployment = name.partition('/')
        yield Sample('deployment.waste_cores', value, {'kube_namespace': namespace, 'deployment': deployment})
    if len(named) > limit or without:
        yield Sample('deployment.waste_cores', rest, {'kube_namespace': OTHER, 'deployment': OTHER})
