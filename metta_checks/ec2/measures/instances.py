"""Instances: their number, age and vCPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from ...core import stats
from ...core.refresh import Sample
from ...core.times import seconds_between
from ..records import LIFECYCLES, ON_DEMAND, OTHER_LIFECYCLE, SPOT, Fleet, Instance
from .accelerators import is_known

SECONDS_PER_DAY = 86400
LONG_STOPPED = timedelta(days=7)


def measure(fleet: Fleet, now: datetime, *, max_types: int) -> Iterator[Sample]:
    """Yield the samples of block instances, without those of accelerators.

    At most `max_types` instance types have a series of their own.
    """
    running = fleet.running
    yield from _states(fleet.instances)
    yield from _lifecycles(running)
    for name, count in stats.top(Counter(instance.instance_type for instance in running), max_types).items():
        yield Sample('instances.by_type', count, {'instance_type': name})
    stops = [instance.stopped_at for instance in fleet.instances if instance.stopped_at is not None]
    yield Sample('instances.stopped_over_7d', sum(now - stopped_at > LONG_STOPPED for stopped_at in stops))
    yield from _ages(running, now)
    yield Sample('instances.vcpus', _vcpus(fleet))


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


def _vcpus(fleet: Fleet) -> int | None:
    """Return the sum of the vCPUs; None when too many instances do not tell how many they have."""
    running = fleet.running
    numbers = []
    for instance in running:
        if not instance.vcpus and instance.instance_type in fleet.unread_types:
            return None
        instance_type = fleet.types.get(instance.instance_type)
        vcpus = instance.vcpus or (instance_type.vcpus if instance_type else None)
        if vcpus is not None:
            numbers.append(vcpus)
    return sum(numbers) if is_known(len(numbers), len(running)) else None
