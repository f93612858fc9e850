"""Figures of block `bugs`: open bugs by section and age, and bugs created and completed recently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from ...core import stats
from ...core.refresh import Sample
from ...core.stored import stored
from ..records import Bug
from ..settings import SECTIONS
from .calendar import DAY, HOUR, MONTH, WEEK, duration, is_since

# Names and upper bounds in days, exclusive.
AGE_BUCKETS = (('0_7d', 7), ('7_30d', 30), ('30_90d', 90), ('over_90d', float('inf')))
# Returns the kind of section that a section name stands for, one of SECTIONS or None.
SectionOf = Callable[[str | None], str | None]


class Stay(NamedTuple):
    """The kind of section that a bug is in, and the time of its entry where the check observed it.

    Attributes:
        kind: triage, active or backlog; None in other sections and without a section
        since: when it entered the section, in seconds since the epoch; None when it was there at the first look
    """

    kind: str | None = None
    since: float | None = None


@stored
class BugSections:
    """The sections of open bugs, to observe when a bug moves.

    Attributes:
        section_map: option `section_map`; with another map, the observation starts again
        bugs: the section of each bug, by gid
    """

    section_map: str
    bugs: dict[str, Stay]


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
    yield Sample('projects.bugs.created_7d', sum(bug.created >= now - WEEK for bug in listed))
    yield from _ages([duration(bug.created, now, DAY) for bug in open_bugs])


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


def stays(
    listed: Iterable[Bug], before: Mapping[str, Stay] | None, now: datetime, section_of: SectionOf
) -> dict[str, Stay]:
    """Return the sections of open bugs, by gid. `before` is the result of the last time, None for the first time."""
    return {bug.gid: _stay(bug, before, now, section_of) for bug in listed if bug.open}


def _stay(bug: Bug, before: Mapping[str, Stay] | None, now: datetime, section_of: SectionOf) -> Stay:
    kind = section_of(bug.section)
    if before is None:
        # The first time says nothing about the time of any entry.
        return Stay(kind)
    known = before.get(bug.gid)
    if known is not None and known.kind == kind:
        return known
    # The bug has moved, or it is new: either way it entered its section since the last time.
    return Stay(kind, now.timestamp())


def section_time(stays: Mapping[str, Stay], now: datetime) -> Iterator[Sample]:
    """Yield the time that open bugs have been in their section, over those whose entry was observed."""
    for section in SECTIONS:
        entries = [stay.since for stay in stays.values() if stay.kind == section and stay.since is not None]
        hours = [duration(datetime.fromtimestamp(entry, UTC), now, HOUR) for entry in entries]
        yield Sample('bugs.section_time_hours.p50', stats.percentile(hours, 50), {'section': section})
