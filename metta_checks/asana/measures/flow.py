"""Flow metrics of block `tasks`: cycle time, lead time and the age of work in progress."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from ...core import stats
from ...core.refresh import Sample
from ..records import Task
from .calendar import DAY, HOUR, MONTH, duration, is_since

BASIS_CREATED = {'basis': 'created'}
BASIS_STARTED = {'basis': 'started'}


def flow(
    listed: Collection[Task], now: datetime, started: Mapping[str, datetime | None] | None = None
) -> Iterator[Sample]:
    """Yield cycle time and lead time of the tasks completed in 30 days, and the age of open tasks.

    `started` gives the time when work on a task began, by gid. Without it, cycle time begins with the creation.
    """
    completed = [task for task in listed if is_since(task.completed, now - MONTH)]
    lead = _known(_hours(task, task.created) for task in completed)
    if started is None:
        yield from _cycle_time(lead, BASIS_CREATED)
    else:
        yield from _cycle_time(_known(_hours(task, started.get(task.gid)) for task in completed), BASIS_STARTED)
    yield Sample('lead_time.p85_hours', stats.percentile(lead, 85))
    ages = [duration(task.created, now, DAY) for task in listed if task.open and task.created is not None]
    yield Sample('wip.age_p50_days', stats.percentile(ages, 50))
    yield Sample('wip.age_p85_days', stats.percentile(ages, 85))


def _hours(task: Task, start: datetime | None) -> float | None:
    """Return the hours from start to completion, None when one of them is unknown."""
    return None if start is None or task.completed is None else duration(start, task.completed, HOUR)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _cycle_time(hours: Collection[float], tags: Mapping[str, str]) -> Iterator[Sample]:
    summary = stats.summary(hours, ('avg', 'p50', 'p90'))
    yield Sample('cycle_time.avg_hours', summary['avg'], tags)
    yield Sample('cycle_time.p50_hours', summary['p50'], tags)
    yield Sample('cycle_time.p90_hours', summary['p90'], tags)
