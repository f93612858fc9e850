"""Figures of block `bugs`: open bugs by section and age, and bugs created and completed recently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime

from ...core import stats
from ...core.refresh import Sample
from ..records import Bug
from ..settings import SECTIONS
from .calendar import DAY, HOUR, MONTH, WEEK, duration, is_since

# Names and upper bounds in days, exclusive.
AGE_BUCKETS = (('0_7d', 7), ('7_30d', 30), ('30_90d', 90), ('over_90d', float('inf')))
# Returns the kind of section that a section name stands for, one of SECTIONS or None.
SectionOf = Callable[[str | None], str | None]


def bugs(listed: Collection[Bug], now: datetime, section_of: SectionOf) -> Iterator[Sample]:
    """Yield the open bugs by section and age, and the numbers of bugs created and completed."""
    open_bugs = [bug for bug in listed if bug.open]
    by_section = Counter(section_of(bug.section) for bug in open_bugs)
    for section in SECTIONS:
        yield Sample(f'projects.bugs.{section}_count', by_section[section])
    yield Sample('projects.bugs.other_count', by_section[None])
    yield Sample('projects.bugs.total_open', len(open_bugs))
    yield Sample('projects.bugs.completed_7d', _completed_since(listed, now - WEEK))
    yield Sample('projects.bugs.completed_30d', _completed_since(listed, now - MONTH))
    yield Sample('projects.bugs.created_7d', sum(is_since(bug.created, now - WEEK) for bug in listed))
    yield from _resolution(listed, now)
    yield from _ages([duration(bug.created, now, DAY) for bug in open_bugs if bug.created is not None])


def _resolution(listed: Iterable[Bug], now: datetime) -> Iterator[Sample]:
    """Yield the time from creation to completion of the bugs completed in 30 days."""
    completed = [(bug.created, bug.completed) for bug in listed if is_since(bug.completed, now - MONTH)]
    hours = [duration(start, end, HOUR) for start, end in completed if start is not None and end is not None]
    summary = stats.summary(hours, ('p50', 'p90'))
    yield Sample('projects.bugs.resolution_hours.p50', summary['p50'])
    yield Sample('projects.bugs.resolution_hours.p90', summary['p90'])


def _ages(days: Collection[float]) -> Iterator[Sample]:
    summary = stats.summary(days, ('avg', 'max', 'p50', 'p90'))
    yield Sample('projects.bugs.avg_age_days', summary['avg'])
    yield Sample('projects.bugs.oldest_bug_days', summary['max'])
    yield Sample('bugs.age_days.p50', summary['p50'])
    yield Sample('bugs.age_days.p90', summary['p90'])
    lower = 0.0
    for age, upper in AGE_BUCKETS:
        yield Sample('bugs.open_by_age', sum(lower <= one < upper for one in days), {'age': age})
        lower = upper


def _completed_since(listed: Iterable[Bug], start: datetime) -> int:
    return sum(is_since(bug.completed, start) for bug in listed)
