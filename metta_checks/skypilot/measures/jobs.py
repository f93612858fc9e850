"""Managed jobs: how many, how long, where, on which GPUs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import fsum

from ...core import stats
from ...core.accelerators import gpu_of_choice
from ...core.refresh import Sample
from .. import resources
from ..records import CANCELLED, LIVE, OPEN, QUEUED, RUNNING, SUCCEEDED, TERMINAL, Job, Queue, is_failed, is_terminal
from ..resources import Resources

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
BUCKETS = (('0_1h', 0, HOUR), ('1_4h', HOUR, 4 * HOUR), ('4_24h', 4 * HOUR, DAY), ('over_24h', DAY, float('inf')))
RUNTIME_STATISTICS = ('min', 'max', 'avg', 'p50', 'p90', 'p99')
WAIT_STATISTICS = ('avg', 'p50', 'p90', 'max')
REGIONS = {'us-east-1': 'us_east_1', 'us-west-2': 'us_west_2'}
GPU_TYPES = ('l4', 'a10g', 'h100')
MAX_USERS = 50
OTHER = 'other'


def jobs(queue: Queue, now: datetime, *, by_workspace: bool = False) -> Iterator[Sample]:
    """The figures of a queue that was read."""
    moment = now.timestamp()
    live = [job for job in queue.jobs if job.status in LIVE]
    running = [job for job in live if job.status in RUNNING]
    queued = [job for job in queue.jobs if job.status in QUEUED]
    yield from _present(queued, running, live)
    yield from _counts(queue.jobs, by_workspace=by_workspace)
    yield from _ended(queue.jobs, moment)
    yield from _tasks(queue.status_counts)
    yield from _runtimes(running)
    yield from _waits(queue.jobs, moment)
    yield from _requested(queued, queue.jobs)
    if queue.has_handles:
        yield from _resources(live)
        yield from _places(live)


def idle(*, by_workspace: bool = False) -> Iterator[Sample]:
    """The figures while the controller is stopped because it has nothing to do.

    The present is known, and empty; the past is not, since nobody is there to tell it.
    """
    yield from _present([], [], [])
    yield from _counts([], by_workspace=by_workspace)
    yield from _resources([])
    yield from _places([])


def gpus(jobs: Iterable[Job], *, by_workspace: bool = False) -> Iterator[Sample]:
    """GPUs of live rows, by type and market."""
    totals: dict[tuple[str, ...], float] = defaultdict(float)
    for job in jobs:
        for row in job.rows:
            for name, count in row.gpus.items():
                totals[name, row.market, *([job.workspace] if by_workspace else [])] += count
    for key, count in totals.items():
        tags = dict(zip(('gpu_type', 'market', 'workspace'), key, strict=False))
        yield Sample('gpus.in_use', count, {'kind': 'job', **tags})


def users(queue: Queue) -> Iterator[Sample]:
    """Live jobs and their GPUs by user name: the 50 with the most, the rest summed."""
    counts: Counter[str] = Counter()
    held: dict[str, float] = defaultdict(float)
    for job in queue.jobs:
        if job.status in LIVE:
            counts[job.user] += 1
            held[job.user] += fsum(job.gpus.values())
    for name, values in (('users.jobs', counts), ('users.gpus', held)):
        if name == 'users.gpus' and not queue.has_handles:
            continue
        for user, value in stats.top(values, MAX_USERS, other=OTHER).items():
            yield Sample(name, value, {'user': user})


def owners(jobs: Iterable[Job]) -> set[str]:
    """Who has queued or live jobs."""
    return {job.owner for job in jobs if job.status in OPEN and job.owner}


def recoveries(increases: Mapping[str, int]) -> Iterator[Sample]:
    """Recoveries since the last refresh, by market."""
    for market, increase in increases.items():
        yield Sample('jobs.recoveries', increase, {'market': market})


def finished(jobs: Iterable[Job]) -> Iterator[Sample]:
    """Jobs that have ended since the last refresh, by status."""
    for status, count in Counter(job.status for job in jobs).items():
        yield Sample('jobs.finished', count, {'status': status})


# Parts.


def _present(queued: Sequence[Job], running: Sequence[Job], live: Sequence[Job]) -> Iterator[Sample]:
    yield Sample('jobs.queued', len(queued))
    yield Sample('jobs.running', len(running))
    runtimes = [job.runtime for job in running]
    for name, low, high in BUCKETS:
        yield Sample(f'jobs.runtime_buckets.{name}', sum(low <= runtime < high for runtime in runtimes))
    yield Sample('jobs.running_over_7d', sum(runtime >= WEEK for runtime in runtimes))
    counts = [job.recoveries for job in live]
    yield Sample('jobs.with_recoveries', sum(count > 0 for count in counts))
    for name, value in stats.summary(counts, ('avg', 'max')).items():
        yield Sample(f'jobs.recovery_count.{name}', value)


def _runtimes(running: Sequence[Job]) -> Iterator[Sample]:
    for name, value in stats.summary([job.runtime for job in running], RUNTIME_STATISTICS).items():
        yield Sample(f'jobs.runtime_seconds.{name}', value)


def _counts(jobs: Sequence[Job], *, by_workspace: bool) -> Iterator[Sample]:
    """Jobs that have not ended. Statuses that nobody knows yet are shown under their own names."""
    counted = Counter(
        (job.status, job.workspace if by_workspace else '') for job in jobs if not is_terminal(job.status)
    )
    workspaces = {workspace for _, workspace in counted} if by_workspace else {''}
    statuses = dict.fromkeys((*OPEN, *(status for status, _ in counted)))
    for workspace in sorted(workspaces):
        for status in statuses:
            tags = {'status': status, 'workspace': workspace} if by_workspace else {'status': status}
            yield Sample('jobs.count', counted[status, workspace], tags)


def _ended(jobs: Sequence[Job], moment: float) -> Iterator[Sample]:
    ended = [(job.status, ended_at) for job in jobs if (ended_at := job.ended_at) is not None]
    week = [status for status, ended_at in ended if ended_at >= moment - WEEK]
    day = Counter(status for status, ended_at in ended if ended_at >= moment - DAY)
    yield Sample('jobs.failed', sum(count for status, count in day.items() if is_failed(status)))
    yield Sample('jobs.failed_7d', sum(is_failed(status) for status in week))
    yield Sample('jobs.succeeded', day[SUCCEEDED])
    yield Sample('jobs.cancelled', day[CANCELLED])
    for status in dict.fromkeys((*TERMINAL, *day)):
        yield Sample('jobs.ended_24h', day[status], {'status': status})


def _tasks(counts: Mapping[str, int] | None) -> Iterator[Sample]:
    if counts is not None:
        for status in dict.fromkeys((*OPEN, *TERMINAL, *counts)):
            yield Sample('tasks.count', counts.get(status, 0), {'status': status})


def _waits(jobs: Sequence[Job], moment: float) -> Iterator[Sample]:
    waits = [
        max(0.0, row.start_at - row.submitted_at)
        for row in (job.rows[0] for job in jobs)
        if row.start_at is not None and row.submitted_at is not None and row.start_at >= moment - DAY
    ]
    for name, value in stats.summary(waits, WAIT_STATISTICS).items():
        yield Sample(f'jobs.start_wait_seconds.{name}', value)
    starting = [
        max(0.0, moment - row.submitted_at)
        for job in jobs
        for row in job.rows
        if row.status == 'STARTING' and row.submitted_at is not None
    ]
    yield Sample('jobs.starting_seconds.max', max(starting, default=None))


def _requested(queued: Sequence[Job], jobs: Sequence[Job]) -> Iterator[Sample]:
    """Later tasks of a running pipeline ask for nothing yet."""
    asking = [job.deciding for job in queued]
    asking += [row for job in jobs for row in job.rows if row.status == 'STARTING']
    totals: dict[str, float] = defaultdict(float)
    for row in asking:
        wanted = Resources.parse(row.requested or '')
        if wanted.accelerators:
            # Of several choices one will be taken; the largest is what has to be found at most.
            totals[gpu_of_choice(wanted.accelerators)] += wanted.nodes * max(wanted.accelerators.values())
    for gpu_type, count in totals.items():
        yield Sample('gpus.requested', count, {'gpu_type': gpu_type})


def _resources(live: Sequence[Job]) -> Iterator[Sample]:
    held: Counter[str] = Counter()
    for job in live:
        held.update(job.gpus)
    for gpu_type in GPU_TYPES:
        yield Sample(f'resources.gpus.{gpu_type}_count', held[gpu_type])
    yield Sample('resources.gpus.total_count', fsum(held.values()))
    markets = Counter(job.market for job in live)
    yield Sample('resources.spot_jobs', markets[resources.SPOT])
    yield Sample('resources.ondemand_jobs', markets[resources.ON_DEMAND])


def _places(live: Sequence[Job]) -> Iterator[Sample]:
    regions = Counter(REGIONS.get(job.region, OTHER) for job in live if job.region is not None)
    for name in (*REGIONS.values(), OTHER):
        yield Sample(f'regions.{name}', regions[name])
    places = Counter((job.deciding.cloud or resources.UNKNOWN, job.region or resources.UNKNOWN) for job in live)
    for (cloud, region), count in places.items():
        yield Sample('jobs.by_region', count, {'cloud': cloud, 'region': region})
