"""Figures of changes and waits, from two readings of the queue: everything that the server reports about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from .. import Figure, NoSeries
from .machines import requested, row_market
from .queue import DAY, WAITING, Job, percentile
from .reading import breakdown, figure_of


@dataclass(frozen=True, slots=True)
class Earlier:
    """The jobs of a reading by id, and its time in seconds."""

    jobs: Mapping[int, Job]
    at: float

    @classmethod
    def of(cls, jobs: Collection[Job], at: datetime) -> Earlier:
        """Return a reading that a later one is compared with."""
        return cls({job.id: job for job in jobs}, at.timestamp())


def figures(jobs: Collection[Job], now: datetime, before: Earlier) -> Iterator[Figure | NoSeries]:
    """Yield the changes between two readings, and how long jobs were seen waiting."""
    known = before.jobs
    ended = Counter(job.status for job in jobs if job.ended_at and not (job.id in known and known[job.id].ended_at))
    yield from breakdown('jobs.finished', ['status'], [((status,), count) for status, count in ended.items()])
    recovered = [(job, count) for job in jobs if (count := _recoveries(job, before)) > 0]
    yield from breakdown('jobs.recoveries', ['market'], [((row_market(job.current),), n) for job, n in recovered])
    if now.timestamp() - before.at >= DAY:
        spot = [(_place(job), count) for job, count in recovered if row_market(job.current) == 'spot']
        yield from breakdown('jobs.preemptions_24h', ['gpu_type', 'region'], spot)
    for name, statuses in (('pending', WAITING), ('recovering', ('RECOVERING',))):
        waits = [_seconds_seen(job, statuses, now, before) for job in jobs if job.status in statuses]
        yield figure_of(f'jobs.{name}_seconds.max', max(waits, default=None), per_second=1)
    waited = [seconds for job in jobs if (seconds := _waited(job, before, now)) is not None]
    # A wait begins when a look first finds the job.
    yield figure_of('jobs.queue_wait_seconds.p50', percentile(waited, 50), per_second=1)
    yield figure_of('jobs.queue_wait_seconds.p90', percentile(waited, 90), per_second=1)
    yield figure_of('jobs.queue_wait_seconds.max', max(waited, default=None), per_second=1)


def _recoveries(job: Job, before: Earlier) -> int:
    """Return the recoveries since the earlier reading. An old job that appears late was hidden before."""
    if job.id in before.jobs:
        return job.recoveries - before.jobs[job.id].recoveries
    return job.recoveries if job.id > max(before.jobs, default=0) else 0


def _place(job: Job) -> tuple[str, str]:
    """Return the GPU type of a job, that of its request while it has no machines, and its region."""
    wanted = requested(job.current.get('resources'))
    gpu_type = next(iter(job.gpus), wanted[0] if wanted else 'none')
    region = job.current.get('region')
    return gpu_type, 'unknown' if region in (None, '-') else str(region)


def _seconds_seen(job: Job, statuses: Collection[str], now: datetime, before: Earlier) -> float:
    """Return since when a job was seen in these statuses: 0 unless it was in the earlier reading, too."""
    known = before.jobs.get(job.id)
    return now.timestamp() - before.at if known is not None and known.status in statuses else 0.0


def _waited(job: Job, before: Earlier, now: datetime) -> float | None:
    """Return the seconds that a job waited that has started; None when it started before or its wait is unknown."""
    known, first = before.jobs, job.tasks[0]
    start = first.get('start_at')
    if not start or start < now.timestamp() - DAY or job.status in WAITING:
        return None
    if job.id in known:
        since = before.at if known[job.id].status in WAITING else None
    else:
        since = first.get('submitted_at') if job.id > max(known, default=0) else None
    return None if since is None else max(0.0, start - since)
