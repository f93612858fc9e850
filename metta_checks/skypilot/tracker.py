"""What changed since the last refresh: jobs that ended, recoveries, and since when jobs have been queued.

The state is a JSON value, kept from refresh to refresh and over restarts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import resources
from .records import QUEUED, Job, Queue, is_terminal

# Endings may become visible a little out of order: so far back before the latest known one they are looked for.
OVERLAP_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Changes:
    """Since the last refresh; empty on a cold one."""

    finished: Sequence[Job]
    # Recoveries by market.
    recoveries: Mapping[str, int]
    # Seconds since we first saw the job queued that has been queued longest; None when none is.
    pending_seconds: float | None
    state: dict[str, Any]


def follow(queue: Queue, state: Mapping[str, Any] | None, now: float) -> Changes:
    """Compare a queue with what was remembered of the one before (None: nothing)."""
    queued = _queued(queue.jobs, state, now)
    cursor, seen, finished = _finished(queue.jobs, state, now)
    return Changes(
        finished=finished if state is not None else [],
        recoveries=_recoveries(queue, state) if state is not None else {},
        pending_seconds=max((now - since for since in queued.values()), default=None),
        state={
            'queued': queued,
            'cursor': cursor,
            'seen': seen,
            'recoveries': {str(job.id): job.recoveries for job in queue.jobs if not is_terminal(job.status)},
            'newest': max((job.id for job in queue.jobs), default=state['newest'] if state else 0),
        },
    )


def idle(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What to remember while the controller is stopped: nothing is queued, the rest is as it was."""
    return {**state, 'queued': {}} if state is not None else None


def _queued(jobs: Sequence[Job], state: Mapping[str, Any] | None, now: float) -> dict[str, float]:
    """When each queued job was first seen so. The server does not tell: submitted_at is null while a job is pending."""
    before = state['queued'] if state is not None else {}
    return {str(job.id): min(before.get(str(job.id), now), now) for job in jobs if job.status in QUEUED}


def _finished(jobs: Sequence[Job], state: Mapping[str, Any] | None, now: float) -> tuple[float, list[int], list[Job]]:
    """The latest ending, the jobs that ended shortly before it, and those that were not known to have ended."""
    cursor = state['cursor'] if state is not None else now
    known = set(state['seen']) if state is not None else set()
    ended = [(job.ended_at, job) for job in jobs if job.ended_at is not None]
    new = [job for at, job in ended if at > cursor - OVERLAP_SECONDS and job.id not in known]
    latest = max([cursor, *(at for at, _ in ended)])
    seen = sorted(job.id for at, job in ended if at > latest - OVERLAP_SECONDS)
    return latest, seen, new


def _recoveries(queue: Queue, state: Mapping[str, Any]) -> dict[str, int]:
    """Increases per job, never negative, by market.

    A job unknown so far began at 0 if it is newer than all that were known. Older ones are new to us only because the
    server shows more than before (another workspace, a raised limit): what they went through is no news.
    """
    before = state['recoveries']
    increases: Counter[str] = Counter()
    for job in queue.jobs:
        known = before.get(str(job.id), 0 if job.id > state['newest'] else job.recoveries)
        if job.recoveries > known:
            increases[job.market if queue.has_handles else resources.UNKNOWN] += job.recoveries - known
    return dict(increases)
