"""Time that bugs spend in a kind of section, from entries and exits that the check observed between two refreshes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from ...core import stats
from ...core.refresh import Sample
from ...core.stored import stored
from ..records import Bug
from ..settings import SECTIONS
from .bugs import SectionOf
from .calendar import HOUR, MONTH, duration


class Stay(NamedTuple):
    """The kind of section that a bug is in, and the time of its entry where the check observed it.

    Attributes:
        kind: triage, active or backlog; None in other sections and without a section
        since: when it entered the section, in seconds since the epoch; None when that is unknown
    """

    kind: str | None = None
    since: float | None = None


class EndedStay(NamedTuple):
    """The time that a bug was in a kind of section, from an observed entry to an observed exit.

    Attributes:
        kind: triage, active or backlog
        hours: the time between entry and exit
        ended: time of the exit, in seconds since the epoch
    """

    kind: str
    hours: float
    ended: float


@stored
class BugSections:
    """The sections of open bugs, to observe when a bug moves.

    Attributes:
        section_map: option `section_map`; with another map, the observation starts again
        at: when the sections were read, in seconds since the epoch
        bugs: the section of each bug, by gid
        ended: the stays that ended in the last 30 days
    """

    section_map: str
    at: float
    bugs: dict[str, Stay]
    ended: tuple[EndedStay, ...] = ()


def observe(
    listed: Iterable[Bug], before: BugSections | None, now: datetime, section_of: SectionOf, section_map: str
) -> BugSections:
    """Return the present sections of open bugs, and the stays that have ended. `before`: the result of the last time.

    A bug that is not listed has left for an unknown place, or its row is missing: its stay is forgotten.
    """
    if before is None or before.section_map != section_map:
        # The first time says nothing about the time of any entry.
        return BugSections(section_map, now.timestamp(), {bug.gid: Stay(section_of(bug.section)) for bug in listed})
    bugs = list(listed)
    stays = {bug.gid: _stay(bug, before, now, section_of) for bug in bugs if bug.open}
    earliest = (now - MONTH).timestamp()
    ended = (*before.ended, *_ended(bugs, before, stays, now))
    return BugSections(section_map, now.timestamp(), stays, tuple(stay for stay in ended if stay.ended >= earliest))


def _stay(bug: Bug, before: BugSections, now: datetime, section_of: SectionOf) -> Stay:
    kind = section_of(bug.section)
    known = before.bugs.get(bug.gid)
    if known is not None:
        return known if known.kind == kind else Stay(kind, now.timestamp())
    # A bug that is older than the last look and was not seen then was reopened, was added to the project, or its row
    # was missing: the time of its entry is unknown.
    is_new = bug.created is not None and bug.created.timestamp() >= before.at
    return Stay(kind, now.timestamp() if is_new else None)


def _ended(bugs: Iterable[Bug], before: BugSections, stays: Mapping[str, Stay], now: datetime) -> Iterator[EndedStay]:
    for bug in bugs:
        known = before.bugs.get(bug.gid)
        if known is None or known.kind is None or known.since is None or stays.get(bug.gid) == known:
            continue
        end = bug.completed or now
        yield EndedStay(known.kind, duration(_moment(known.since), end, HOUR), end.timestamp())


def section_time(sections: BugSections, now: datetime) -> Iterator[Sample]:
    """Yield the time that open bugs have been in their section, and that bugs were in a section that they have left."""
    for section in SECTIONS:
        tags = {'section': section}
        entries = [stay.since for stay in sections.bugs.values() if stay.kind == section and stay.since is not None]
        hours = [duration(_moment(entry), now, HOUR) for entry in entries]
        yield Sample('bugs.section_time_hours.p50', stats.percentile(hours, 50), tags)
        ended = stats.summary([stay.hours for stay in sections.ended if stay.kind == section], ('p50', 'p90'))
        yield Sample('bugs.section_stay_hours.p50', ended['p50'], tags)
        yield Sample('bugs.section_stay_hours.p90', ended['p90'], tags)


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
