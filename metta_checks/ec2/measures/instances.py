"""Instances: their number, age, vCPUs and GPUs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ...core.times import seconds_between
from ..records import LIFECYCLES, ON_DEMAND, OTHER_LIFECYCLE, SPOT, Fleet, Instance, InstanceType

SECONDS_PER_DAY = 86400
LONG_STOPPED = timedelta(days=7)


def measure(
    fleet: Fleet, regions: Iterable[str], now: datetime, *, max_types: int, seen_gpus: Iterable[str] = ()
) -> Iterator[Sample]:
    """Yield the samples of block instances.

    At most `max_types` instance types have a series of their own. The GPU models in `seen_gpus` are shown even at 0.
    """
    running = fleet.running
    yield from _states(fleet.instances)
    yield from _lifecycles(running)
    for name, count in stats.top(Counter(instance.instance_type for instance in running), max_types).items():
        yield Sample('instances.by_type', count, {'instance_type': name})
    by_region = dict.fromkeys(regions, 0.0) | Counter(instance.region for instance in running)
    for region, number in added_up(by_region, labels(by_region)).items():
        yield Sample('region.instances_running', number, {'region': region})
    stops = [instance.stopped_at for instance in fleet.instances if instance.stopped_at is not None]
    yield Sample('instances.stopped_over_7d', sum(now - stopped_at > LONG_STOPPED for stopped_at in stops))
    yield from _ages(running, now)
    yield Sample('instances.vcpus', _vcpus(running, fleet.types))
    types = fleet.types_of(running)
    # A sum that leaves out an instance would be wrong.
    if len(types) == len(running):
        yield from _accelerators(types, seen_gpus)


def _states(instances: Collection[Instance]) -> Iterator[Sample]:
    states = Counter(instance.state for instance in instances)
    yield Sample('instances.total', len(instances))
    yield Sample('instances.running', states['running'])
    yield Sample('instances.stopped', states['stopped'])


def _lifecycles(running: Collection[Instance]) -> Iterator[Sample]:
    counts = Counter(instance.lifecycle for instance in running)
    yield Sample('instances.spot', counts[SPOT])
    yield Sample('instances.ondemand', counts[ON_DEMAND])
    for lifecycle in (*LIFECYCLES.values(), OTHER_LIFECYCLE):
        yield Sample('instances.by_lifecycle', counts[lifecycle], {'lifecycle': lifecycle})


def _ages(running: Collection[Instance], now: datetime) -> Iterator[Sample]:
    launches = [launch for instance in running if (launch := instance.first_launched or instance.launched) is not None]
    starts = [instance.launched for instance in running if instance.launched is not None]
    ages = _days_since(launches, now)
    yield Sample('instances.avg_age_days', stats.mean(ages))
    yield Sample('instances.oldest_age_days', max(ages, default=None))
    yield Sample('instances.avg_uptime_days', stats.mean(_days_since(starts, now)))


def _days_since(times: Iterable[datetime], now: datetime) -> list[float]:
    return [seconds_between(time, now) / SECONDS_PER_DAY for time in times]


def _vcpus(running: Iterable[Instance], types: Mapping[str, InstanceType]) -> int | None:
    """Return the sum of the vCPUs; None when neither an instance nor its type says how many it has."""
    total = 0
    for instance in running:
        instance_type = types.get(instance.instance_type)
        vcpus = instance.vcpus or (instance_type.vcpus if instance_type else None)
        if vcpus is None:
            return None
        total += vcpus
    return total


def _accelerators(types: Collection[InstanceType], seen_gpus: Iterable[str]) -> Iterator[Sample]:
    """Yield the samples of GPUs and Neuron devices. `types` has the type of each running instance."""
    accelerated = sum(instance_type.accelerated for instance_type in types)
    yield Sample('instances.gpu_count', accelerated)
    yield Sample('instances.cpu_count', len(types) - accelerated)
    yield Sample('instances.accelerators', sum(instance_type.accelerators for instance_type in types))
    counts = dict.fromkeys(seen_gpus, 0.0) | gpus(types)
    for model, count in sorted(added_up(counts, labels(counts, MAX_GPU_TYPES)).items()):
        yield Sample('instances.gpus', count, {'gpu_type': model})


def gpus(types: Iterable[InstanceType]) -> dict[str, float]:
    """Return the number of GPUs by model. `types` has the type of each instance."""
    counts: defaultdict[str, list[float]] = defaultdict(list)
    for instance_type in types:
        for model, count in instance_type.gpus.items():
            counts[model].append(count)
    return {model: math.fsum(parts) for model, parts in counts.items()}
