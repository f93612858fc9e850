"""Bugs that were reopened: completed, and then marked as not completed.

Asana keeps only the present state of a task, so the check compares the bugs of two refreshes. A bug that was not listed
the last time may have been completed more than 30 days ago: its history tells when it was reopened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from ...core.refresh import Sample
from ...core.stored import stored
from ..records import Bug
from .calendar import WEEK


@stored
class Completions:
    """The state of each bug in the last refresh, to notice when a bug is reopened. Times are seconds since the epoch.

    Attributes:
        since: when the first of an unbroken series of comparisons was made
        at: when the bugs were read
        completed: when each bug was completed, by gid; None for open bugs
        reopened: when each bug was last reopened, by gid, in the last 7 days
        unknown: bugs whose history is still to be read, and when they were first seen, by gid
    """

    since: float
    at: float
    completed: dict[str, float | None]
    reopened: dict[str, float]
    unknown: dict[str, float]


def observe(listed: Iterable[Bug], before: Completions | None, now: datetime) -> Completions:
    """Return the present state of the bugs, and those reopened since the last time, of which `before` is the result."""
    at, week_ago = now.timestamp(), (now - WEEK).timestamp()
    bugs = {bug.gid: bug for bug in listed}
    completed = {gid: None if bug.completed is None else bug.completed.timestamp() for gid, bug in bugs.items()}
    # After a longer pause, a bug may have been reopened and completed several times.
    if before is None or before.at < week_ago:
        return Completions(at, at, completed, {}, {})
    reopened = {gid: at for gid, bug in bugs.items() if _was_reopened(bug, before.completed)}
    unknown = {
        gid: at
        for gid, bug in bugs.items()
        if gid not in before.completed and bug.created is not None and bug.created.timestamp() < before.at
    }
    return Completions(
        since=before.since,
        at=at,
        completed=completed,
        reopened=_recent({**before.reopened, **reopened}, bugs, week_ago),
        unknown=_recent({**unknown, **before.unknown}, bugs, week_ago),
    )


def _was_reopened(bug: Bug, before: Mapping[str, float | None]) -> bool:
    """Return True for a bug that was completed before and is open now, or was completed again since."""
    completed = before.get(bug.gid)
    if completed is None:
        return False
    return bug.open or (bug.completed is not None and bug.completed.timestamp() > completed)


def _recent(times: Mapping[str, float], bugs: Mapping[str, Bug], earliest: float) -> dict[str, float]:
    return {gid: at for gid, at in times.items() if gid in bugs and at >= earliest}


def with_history(known: Completions, gid: str, reopened: datetime | None) -> Completions:
    """Return the state with what the history of a bug says: the time when it was last reopened, None for never."""
    unknown = {other: at for other, at in known.unknown.items() if other != gid}
    if reopened is None or reopened.timestamp() < known.at - WEEK.total_seconds():
        return replace(known, unknown=unknown)
    return replace(known, unknown=unknown, reopened={**known.reopened, gid: reopened.timestamp()})


def reopened(known: Completions, now: datetime) -> Iterator[Sample]:
    """Yield the number of bugs reopened in 7 days, once the comparisons cover that time and no history is missing."""
    covers = known.since <= (now - WEEK).timestamp()
    yield Sample('projects.bugs.reopened_7d', len(known.reopened) if covers and not known.unknown else None)
