"""Changes of the job queue since the last refresh: jobs that ended, recoveries, and the time that jobs are queued."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..core.accelerators import gpu_of_choice
from ..core.stored import stored
from ..core.times import seconds_between
from . import resources
from .records import QUEUED, RECOVERING, STARTING, Job, Queue, is_terminal

DAY = timedelta(days=1)
# The server may show the ends of jobs a little out of order. Ends up to this long before the latest known one are
# still looked for.
OVERLAP = timedelta(hours=1)


@stored
class Start:
    """A job that has started.

    Attributes:
        at: the time of the start
        waited: seconds since the job was first seen in the queue, or since it left the queue when it was never seen
            there
    """

    at: datetime
    waited: float


@stored
class Preemption:
    """Recoveries of a job on spot machines, seen in one refresh.

    Attributes:
        at: the time of the refresh
        gpu_type: type of the GPUs of the job; `none` for a CPU job
        region: region or Kubernetes context
        count: number of recoveries
    """

    at: datetime
    gpu_type: str
    region: str
    count: int


@stored
class QueueHistory:
    """The parts of the last job queue that the next one is compared with.

    Attributes:
        queued_since: when each queued job, by its id, was first seen queued; this and the two times below also of jobs
            that the queue lacks at present
        latest_ending: the latest end of a job
        ended_lately: when each job ended, by its id, of those that ended within an hour before that; they are not
            counted again
        recoveries: number of recoveries of each job that has not ended, by its id
        newest_job: the highest id of a job so far
        recovering_since: when each job that recovers, by its id, was first seen recovering
        waiting_since: since when each job that has not started waits, by its id: since it was first seen in the queue,
            or since it left the queue when it was never seen there
        starts: the jobs that started in the last day, by id, of those that were submitted after the first refresh
        preemptions: those of the last day
        watched_since: the time of the first refresh
    """

    queued_since: dict[int, datetime]
    latest_ending: datetime
    ended_lately: dict[int, datetime]
    recoveries: dict[int, int]
    newest_job: int
    recovering_since: dict[int, datetime]
    waiting_since: dict[int, datetime]
    starts: dict[int, Start]
    preemptions: tuple[Preemption, ...]
    watched_since: datetime


@dataclass(frozen=True, slots=True)
class JobChanges:
    """Changes since the last refresh; none on a cold refresh.

    Attributes:
        finished: jobs that ended and were not counted before
        recoveries: number of recoveries by market
        pending_seconds: seconds since the job that is queued longest was first seen queued; None when none is queued
        recovering_seconds: seconds since the job that has been recovering longest was first seen so; None when none
            recovers
        history: to compare the next queue with
    """

    finished: Sequence[Job]
    recoveries: Mapping[str, int]
    pending_seconds: float | None
    recovering_seconds: float | None
    history: QueueHistory

    @property
    def queue_waits(self) -> list[float]:
        """Seconds that each job waited that started in the last day."""
        return [start.waited for start in self.history.starts.values()]

    def preemptions(self, now: datetime) -> dict[tuple[str, str], int] | None:
        """Return the recoveries of spot jobs in the last day by GPU type and region; None until a day was watched."""
        if self.history.watched_since > now - DAY:
            return None
        counts: Counter[tuple[str, str]] = Counter()
        for one in self.history.preemptions:
            counts[one.gpu_type, one.region] += one.count
        return dict(counts)


@dataclass(frozen=True, slots=True)
class _Endings:
    """Attributes: see QueueHistory and JobChanges."""

    latest: datetime
    lately: dict[int, datetime]
    new: Sequence[Job]


def compare(queue: Queue, before: QueueHistory | None, now: datetime) -> JobChanges:
    """Return the changes between a queue and the history of the one before, which is None on a cold refresh."""
    known = before or _nothing_known(queue.jobs, now)
    queued_since = _seen_since(queue.jobs, QUEUED, known.queued_since, now)
    recovering_since = _seen_since(queue.jobs, (RECOVERING,), known.recovering_since, now)
    endings = _endings(queue.jobs, known, now)
    increases = _increases(queue.jobs, known)
    return JobChanges(
        finished=endings.new if before is not None else [],
        recoveries=_by_market(queue, increases),
        pending_seconds=_longest(queue.jobs, queued_since, now),
        recovering_seconds=_longest(queue.jobs, recovering_since, now),
        history=QueueHistory(
            queued_since=queued_since,
            latest_ending=endings.latest,
            ended_lately=endings.lately,
            recoveries={job.id: job.recoveries for job in queue.jobs if not is_terminal(job.status)},
            newest_job=max([known.newest_job, *(job.id for job in queue.jobs)]),
            recovering_since=recovering_since,
            waiting_since=_waiting_since(queue.jobs, known, now),
            starts=_starts(queue.jobs, known, now),
            preemptions=_preemptions(queue, increases, known, now),
            watched_since=known.watched_since,
        ),
    )


def without_queued(before: QueueHistory | None) -> QueueHistory | None:
    """Return the history while the controller is stopped: no job is queued or recovers, all else is unchanged."""
    return replace(before, queued_since={}, recovering_since={}, waiting_since={}) if before is not None else None


def _nothing_known(jobs: Sequence[Job], now: datetime) -> QueueHistory:
    return QueueHistory(
        {},
        latest_ending=now,
        ended_lately={},
        recoveries={job.id: job.recoveries for job in jobs},
        # The jobs of the first refresh are not new: nobody knows how long they have waited.
        newest_job=max((job.id for job in jobs), default=0),
        recovering_since={},
        waiting_since={job.id: now for job in jobs if job.status in QUEUED},
        starts={},
        preemptions=(),
        watched_since=now,
    )


def _seen_since(
    jobs: Sequence[Job], statuses: Collection[str], before: Mapping[int, datetime], now: datetime
) -> dict[int, datetime]:
    """Return when each job with one of these statuses was first seen so: the server omits it.

    `submitted_at` is null while a job is pending.
    """
    seen = {job.id: min(before.get(job.id, now), now) for job in jobs if job.status in statuses}
    return _of_missing(jobs, before, now) | seen


def _of_missing(jobs: Sequence[Job], before: Mapping[int, datetime], now: datetime) -> dict[int, datetime]:
    """Return the times of jobs that the queue lacks, for a day: jobs end, but do not leave the queue."""
    present = {job.id for job in jobs}
    return {number: since for number, since in before.items() if number not in present and now - DAY <= since <= now}


def _longest(jobs: Sequence[Job], since: Mapping[int, datetime], now: datetime) -> float | None:
    return max((seconds_between(since[job.id], now) for job in jobs if job.id in since), default=None)


def _waiting_since(jobs: Sequence[Job], before: QueueHistory, now: datetime) -> dict[int, datetime]:
    """Return since when each job waits that has not started.

    Jobs that left the queue before the first refresh are left out, and those that are queued again after their start.
    """
    waiting = _of_missing(jobs, before.waiting_since, now)
    for job in jobs:
        if job.status in (*QUEUED, STARTING) and (since := _wait_began(job, before, now)) is not None:
            waiting[job.id] = since
    return waiting


def _wait_began(job: Job, before: QueueHistory, now: datetime) -> datetime | None:
    """Return when a job began to wait; None when nobody knows it."""
    known = before.waiting_since.get(job.id)
    if known is None and job.status in QUEUED:
        # A restart of the controller can set a job that has started back to PENDING, and give it a new start.
        return None if job.id in before.recoveries else now
    if known is None and job.id > before.newest_job:
        return job.tasks[0].submitted_at
    return known


def _starts(jobs: Sequence[Job], before: QueueHistory, now: datetime) -> dict[int, Start]:
    """Return the starts of the last day, with those that are new."""
    starts = {number: start for number, start in before.starts.items() if now - DAY <= start.at <= now}
    for job in jobs:
        started = job.tasks[0].start_at
        if job.id in starts or started is None or started < now - DAY or job.status in QUEUED:
            continue
        if (began := _wait_began(job, before, now)) is not None:
            starts[job.id] = Start(started, seconds_between(began, started))
    return starts


def _endings(jobs: Sequence[Job], before: QueueHistory, now: datetime) -> _Endings:
    ended = {job.id: end for job in jobs if (end := job.ended_at) is not None}
    latest = max([before.latest_ending, *ended.values()])
    recent = _ended_after(ended, before.latest_ending - OVERLAP)
    return _Endings(
        latest=latest,
        lately=_ended_after(_of_missing(jobs, before.ended_lately, now) | ended, latest - OVERLAP),
        new=[job for job in jobs if job.id in recent and job.id not in before.ended_lately],
    )


def _ended_after(ended: Mapping[int, datetime], start: datetime) -> dict[int, datetime]:
    return {number: end for number, end in ended.items() if end > start}


def _increases(jobs: Sequence[Job], before: QueueHistory) -> list[tuple[Job, int]]:
    """Return the jobs that have recovered since, and how often.

    An unknown job began at 0 if it is newer than all known ones. An unknown older job appears because the server shows
    more than before (another workspace, a raised limit), so its earlier recoveries are not new.
    """
    found = []
    for job in jobs:
        first_seen = 0 if job.id > before.newest_job else job.recoveries
        increase = job.recoveries - before.recoveries.get(job.id, first_seen)
        if increase > 0:
            found.append((job, increase))
    return found


def _by_market(queue: Queue, increases: Sequence[tuple[Job, int]]) -> dict[str, int]:
    by_market: Counter[str] = Counter()
    for job, increase in increases:
        by_market[job.market if queue.has_handles else resources.UNKNOWN] += increase
    return dict(by_market)


def _preemptions(
    queue: Queue, increases: Sequence[tuple[Job, int]], before: QueueHistory, now: datetime
) -> tuple[Preemption, ...]:
    """Return the preemptions of the last day, with those that are new."""
    kept = [one for one in before.preemptions if now - DAY <= one.at <= now]
    for job, increase in increases if queue.has_handles else ():
        if job.market == resources.SPOT:
            region = (job.region or resources.UNKNOWN).lower()
            kept.append(Preemption(now, gpu_of_choice(job.gpus or job.current.wanted), region, increase))
    return tuple(kept)
