"""Figures of block `usage`: requests compared with the samples of metrics-server."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from .. import Figure, NoSeries
from .effective import apps_and_sidecars, held, is_measured, of_pod, pod_level
from .reading import UNITS, Pod, Reading, Usage

MILLI = Decimal('0.001')
MIB = Decimal(2**20)
Workload = tuple[str, tuple[str, str] | None]


@dataclass
class _Sums:
    """Totals of one resource over all units with usage data: by workload, in its own unit."""

    requested: dict[Workload, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    waste: dict[Workload, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    used: Decimal = Decimal(0)
    over: Decimal = Decimal(0)


def figures(reading: Reading) -> Iterator[Figure | NoSeries]:
    """Yield the figures of usage; none where pods run without a sample, since their usage is unknown."""
    if reading.live and not any(reading.cluster.usage.get((pod.namespace, pod.name)) for pod in reading.live):
        return
    sums = {name: _Sums() for name in UNITS}
    counts: Counter[str] = Counter()
    for pod in reading.live:
        if usage := reading.cluster.usage.get((pod.namespace, pod.name)):
            counts['sampled'] += 1
            counts['overallocated'] += _add(reading, pod, usage, sums)
            if is_measured(pod, usage):
                counts.update(_usage_marks(reading, usage))
    for resource, found in sums.items():
        yield from _of_resource(reading, resource, found)
    coverage = 100 * counts['sampled'] / len(reading.live) if reading.live else None
    yield reading.figure_of('resources.usage_coverage_pct', coverage)
    yield reading.figure('resources.overallocated_pods', counts['overallocated'])
    yield reading.figure('pods.idle_count', counts['idle'])
    yield reading.figure('pods.low_cpu_usage', counts['low_cpu'])
    yield reading.figure('pods.low_memory_usage', counts['low_memory'])
    yield from _costs(reading, sums)
    if number := reading.instance.get('per_deployment'):
        yield from _by_deployment(reading, sums['cpu'].waste, number)


def total(usage: Usage, resource: str) -> Decimal:
    """Return the usage of a pod: of all its containers together."""
    return sum((used[resource] for used in usage.values()), Decimal(0))


def _usage_marks(reading: Reading, usage: Usage) -> Iterator[str]:
    limits = reading.thresholds
    millicores, mebibytes = total(usage, 'cpu') / MILLI, total(usage, 'memory') / MIB
    if millicores < limits['idle_cpu_millicores'] and mebibytes < limits['idle_memory_mib']:
        yield 'idle'
    if millicores < limits['low_cpu_millicores']:
        yield 'low_cpu'
    if mebibytes < limits['low_memory_mib']:
        yield 'low_memory'


def _of_resource(reading: Reading, resource: str, found: _Sums) -> Iterator[Figure | NoSeries]:
    unit, scale = UNITS[resource]
    waste, requested = _namespaces(found.waste), _namespaces(found.requested)
    yield reading.figure(f'resources.{resource}_waste_{unit}', sum(waste.values(), Decimal(0)) / scale)
    yield reading.figure(f'resources.{resource}_overuse_{unit}', found.over / scale)
    yield reading.figure(f'resources.{resource}_used_{unit}', found.used / scale)
    efficiency = _efficiency(requested, waste, requested) if requested else None
    yield reading.figure_of(f'resources.{resource}_efficiency_pct', efficiency)
    yield from reading.by_namespace(f'namespace.{resource}_waste_{unit}', waste, scale)
    yield from reading.by_workload(f'workload.{resource}_waste_{unit}', found.waste, scale)
    if reading.instance.get('per_namespace'):
        name = f'namespace.{resource}_efficiency_pct'
        shown, rest = reading.highest(requested)
        if not requested:
            yield reading.figure_of(name, None)
        for namespace in shown:
            yield reading.figure(name, _efficiency([namespace], waste, requested), kube_namespace=namespace)
        if rest:
            yield reading.figure(name, _efficiency(rest, waste, requested), kube_namespace='other')


def _namespaces(by_workload: Mapping[Workload, Decimal]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for (namespace, _), value in by_workload.items():
        sums[namespace] += value
    return sums


def _efficiency(
    namespaces: Mapping[str, Decimal] | list[str], waste: Mapping[str, Decimal], requested: Mapping[str, Decimal]
) -> Decimal:
    """Return the percentage of the requests of these namespaces that waste leaves."""
    asked = sum((requested[one] for one in namespaces), Decimal(0))
    return 100 * (asked - sum((waste[one] for one in namespaces), Decimal(0))) / asked


def _add(reading: Reading, pod: Pod, usage: Usage, sums: Mapping[str, _Sums]) -> bool:
    """Add a pod to the totals; return whether it is over-allocated."""
    started = pod.status.start_time or pod.created
    is_old_enough = reading.age_minutes(started) >= reading.thresholds['overallocated_min_age_minutes']
    ratio = Decimal(str(reading.thresholds['overallocated_ratio']))
    is_below = False
    for resource, sum_ in sums.items():
        requested = used = Decimal(0)
        for request, one_used in _units(pod, usage, resource):
            requested, used = requested + request, used + one_used
            sum_.over += max(Decimal(0), one_used - request)
            sum_.waste[pod.namespace, pod.owner] += max(Decimal(0), request - one_used)
            sum_.requested[pod.namespace, pod.owner] += request
        measured = (usage[one.name][resource] for one in apps_and_sidecars(pod) if one.name in usage)
        sum_.used += sum(measured, Decimal(0))
        is_below |= bool(requested) and used < ratio * requested
    return is_below and is_old_enough


def _units(pod: Pod, usage: Usage, resource: str) -> list[tuple[Decimal, Decimal]]:
    """Return request and usage of what requests the resource: the pod as a whole, or its containers."""
    containers = [one for one in apps_and_sidecars(pod) if one.name in usage]
    if resource in pod_level(pod):
        used = sum((usage[one.name][resource] for one in containers), Decimal(0))
        return [(of_pod(pod, resource), used)] if is_measured(pod, usage) else []
    found = [(held(pod, one, resource), usage[one.name][resource]) for one in containers]
    return [(request, used) for request, used in found if request]


def _costs(reading: Reading, sums: Mapping[str, _Sums]) -> Iterator[Figure | NoSeries]:
    if not (prices := reading.instance.get('prices')):
        return
    hourly: dict[str, Decimal] = defaultdict(Decimal)
    for resource, price in (('cpu', 'cpu_core_hour'), ('memory', 'memory_gib_hour')):
        for namespace, waste in _namespaces(sums[resource].waste).items():
            hourly[namespace] += waste / UNITS[resource][1] * Decimal(str(prices[price]))
    yield reading.figure('cost.waste_hourly_usd', sum(hourly.values(), Decimal(0)))
    yield from reading.by_namespace('cost.namespace_waste_hourly_usd', hourly)


def _by_deployment(reading: Reading, waste: Mapping[Workload, Decimal], number: int) -> Iterator[Figure | NoSeries]:
    own = {
        (namespace, owner[1]): value
        for (namespace, owner), value in waste.items()
        if owner and owner[0] == 'Deployment'
    }
    ordered = sorted(own, key=lambda key: (-own[key], key))
    for namespace, deployment in ordered[:number]:
        value = own[namespace, deployment]
        yield reading.figure('deployment.waste_cores', value, kube_namespace=namespace, deployment=deployment)
    rest = sum(waste.values(), Decimal(0)) - sum((own[key] for key in ordered[:number]), Decimal(0))
    if ordered[number:] or rest:
        yield reading.figure('deployment.waste_cores', rest, kube_namespace='other', deployment='other')
    elif not ordered:
        yield reading.figure_of('deployment.waste_cores', None)
