"""Changes since the last refresh: jobs that ended, recoveries, and since when jobs have been queued."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.stored import stored
from . import resources
from .records import QUEUED, Job, Queue, is_terminal

# Endings may become visible a little out of order: so far back before the latest known one they are looked for.
OVERLAP_SECONDS = 3600


@stored
class QueueHistory:
    """The last job queue, as far as the next one is compared with it. Times are seconds since the epoch.

    Attributes:
        queued_since: when each queued job, by its id, was first seen queued
        latest_ending: the latest end of a job
        ended_lately: ids of the jobs that ended within an hour before that; they are not counted again
        recoveries: number of recoveries of each job that has not ended, by its id
        newest_job: the highest id of a job
    """

    queued_since: dict[int, float]
    latest_ending: float
    ended_lately: frozenset[int]
    recoveries: dict[int, int]
    newest_job: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Since the last refresh; empty on a cold one."""

    finished: Sequence[Job]
    # Recoveries by market.
    recoveries: Mapping[str, int]
    # Seconds since we first saw the job queued that has been queued longest; None when none is.
    pending_seconds: float | None
    history: QueueHistory


def follow(queue: Queue, before: QueueHistory | None, now: float) -> Changes:
    """Compare a queue with the history of the one before, None on a cold refresh."""
    queued_since = _queued_since(queue.jobs, before, now)
    latest_ending, ended_lately, finished = _finished(queue.jobs, before, now)
    return Changes(
        finished=finished if before is not None else [],
        recoveries=_recoveries(queue, before) if before is not None else {},
        pending_seconds=max((now - since for since in queued_since.values()), default=None),
        history=QueueHistory(
            queued_since=queued_since,
            latest_ending=latest_ending,
            ended_lately=ended_lately,
            recoveries={job.id: job.recoveries for job in queue.jobs if not is_terminal(job.status)},
            newest_job=max((job.id for job in queue.jobs), default=before.newest_job if before else 0),
        ),
    )


def idle(before: QueueHistory | None) -> QueueHistory | None:
    """Return the history while the controller is stopped: nothing is queued, the rest is as it was."""
    return replace(before, queued_since={}) if before is not None else None


def _queued_since(jobs: Sequence[Job], before: QueueHistory | None, now: float) -> dict[int, float]:
    """When each queued job was first seen so. The server does not tell: submitted_at is null while a job is pending."""
    known = before.queued_since if before is not None else {}
    return {job.id: min(known.get(job.id, now), now) for job in jobs if job.status in QUEUED}


def _finished(jobs: Sequence[Job], before: QueueHistory | None, now: float) -> tuple[float, frozenset[int], list[Job]]:
    """The latest ending, the jobs that ended shortly before it, and those that were not known to have ended."""
    cursor = before.latest_ending if before is not None else now
    known = before.ended_lately if before is not None else frozenset()
    ended = [(job.ended_at, job) for job in jobs if job.ended_at is not None]
    new = [job for at, job in ended if at > cursor - OVERLAP_SECONDS and job.id not in known]
    latest = max([cursor, *(at for at, _ in ended)])
    lately = frozenset(job.id for at, job in ended if at > latest - OVERLAP_SECONDS)
    return latest, lately, new


def _recoveries(queue: Queue, before: QueueHistory) -> dict[str, int]:
    """Increases per job, never negative, by market.

    A job unknown so far began at 0 if it is newer than all that were known. Older ones are new to us only because the
    server shows more than before (another workspace, a raised limit): what they went through is no news.
    """
    increases: Counter[str] = Counter()
    for job in queue.jobs:
        known = before.recoveries.get(job.id, 0 if job.id > before.newest_job else job.recoveries)
        if job.recoveries > known:
            increases[job.market if queue.has_handles else resources.UNKNOWN] += job.recoveries - known
    return dict(increases)
