"""Changes of the job queue since the last refresh: jobs that ended, recoveries, and the time that jobs are queued."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..core.stored import stored
from ..core.times import seconds_between
from . import resources
from .records import QUEUED, Job, Queue, is_terminal

# The server may show the ends of jobs a little out of order. Ends up to this long before the latest known one are
# still looked for.
OVERLAP = timedelta(hours=1)


@stored
class QueueHistory:
    """The parts of the last job queue that the next one is compared with.

    Attributes:
        queued_since: when each queued job, by its id, was first seen queued
        latest_ending: the latest end of a job
        ended_lately: ids of the jobs that ended within an hour before that; they are not counted again
        recoveries: number of recoveries of each job that has not ended, by its id
        newest_job: the highest id of a job
    """

    queued_since: dict[int, datetime]
    latest_ending: datetime
    ended_lately: frozenset[int]
    recoveries: dict[int, int]
    newest_job: int


@dataclass(frozen=True, slots=True)
class JobChanges:
    """Changes since the last refresh; none on a cold refresh.

    Attributes:
        finished: jobs that ended and were not counted before
        recoveries: number of recoveries by market
        pending_seconds: seconds since the job that is queued longest was first seen queued; None when none is queued
        history: to compare the next queue with
    """

    finished: Sequence[Job]
    recoveries: Mapping[str, int]
    pending_seconds: float | None
    history: QueueHistory


@dataclass(frozen=True, slots=True)
class _Endings:
    """Attributes: see QueueHistory and JobChanges."""

    latest: datetime
    lately: frozenset[int]
    new: Sequence[Job]


def compare(queue: Queue, before: QueueHistory | None, now: datetime) -> JobChanges:
    """Return the changes between a queue and the history of the one before, which is None on a cold refresh."""
    known = before or _nothing_known(now)
    queued_since = _queued_since(queue.jobs, known, now)
    endings = _endings(queue.jobs, known)
    return JobChanges(
        finished=endings.new if before is not None else [],
        recoveries=_recoveries(queue, before) if before is not None else {},
        pending_seconds=max((seconds_between(since, now) for since in queued_since.values()), default=None),
        history=QueueHistory(
            queued_since=queued_since,
            latest_ending=endings.latest,
            ended_lately=endings.lately,
            recoveries={job.id: job.recoveries for job in queue.jobs if not is_terminal(job.status)},
            newest_job=max((job.id for job in queue.jobs), default=known.newest_job),
        ),
    )


def without_queued(before: QueueHistory | None) -> QueueHistory | None:
    """Return the history while the controller is stopped: no job is queued, all else is unchanged."""
    return replace(before, queued_since={}) if before is not None else None


def _nothing_known(now: datetime) -> QueueHistory:
    return QueueHistory({}, latest_ending=now, ended_lately=frozenset(), recoveries={}, newest_job=0)


def _queued_since(jobs: Sequence[Job], before: QueueHistory, now: datetime) -> dict[int, datetime]:
    """Return when each queued job was first seen. The server omits it: submitted_at is null while a job is pending."""
    return {job.id: min(before.queued_since.get(job.id, now), now) for job in jobs if job.status in QUEUED}


def _endings(jobs: Sequence[Job], before: QueueHistory) -> _Endings:
    ended = [(end, job) for job in jobs if (end := job.ended_at) is not None]
    latest = max([before.latest_ending, *(end for end, _ in ended)])
    recent = _ended_after(ended, before.latest_ending - OVERLAP)
    return _Endings(
        latest=latest,
        lately=frozenset(job.id for job in _ended_after(ended, latest - OVERLAP)),
        new=[job for job in recent if job.id not in before.ended_lately],
    )


def _ended_after(ended: Sequence[tuple[datetime, Job]], start: datetime) -> list[Job]:
    return [job for end, job in ended if end > start]


def _recoveries(queue: Queue, before: QueueHistory) -> dict[str, int]:
    """Return the increases by market, never negative.

    An unknown job began at 0 if it is newer than all known ones. An unknown older job appears because the server shows
    more than before (another workspace, a raised limit), so its earlier recoveries are not new.
    """
    increases: Counter[str] = Counter()
    for job in queue.jobs:
        first_seen = 0 if job.id > before.newest_job else job.recoveries
        increase = job.recoveries - before.recoveries.get(job.id, first_seen)
        if increase > 0:
            increases[job.market if queue.has_handles else resources.UNKNOWN] += increase
    return dict(increases)
