"""Figures of managed jobs: numbers, durations, places and GPUs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import fsum

from ...core import stats
from ...core.accelerators import gpu_of_choice
from ...core.refresh import Sample
from ...core.tag_values import (
    MAX_GPU_TYPES,
    MAX_UNKNOWN,
    MAX_VALUES,
    OTHER,
    added_up,
    combination_labels,
    labels,
)
from ...core.times import seconds_between
from .. import resources
from ..cluster_records import Cluster
from ..kinds import JOB, WORKER
from ..records import (
    CANCELLED,
    LIVE,
    OPEN,
    QUEUED,
    RUNNING,
    STARTING,
    SUCCEEDED,
    TERMINAL,
    Job,
    Queue,
    Task,
    is_failed,
    is_terminal,
)
from ..resources import Resources
from .tags import GpuKey, by_status, by_user, by_workspace_and_status, gpus_in_use, workspace_of

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
BUCKETS = (('0_1h', 0, HOUR), ('1_4h', HOUR, 4 * HOUR), ('4_24h', 4 * HOUR, DAY), ('over_24h', DAY, float('inf')))
RUNTIME_STATISTICS = ('min', 'max', 'avg', 'p50', 'p90', 'p99')
WAIT_STATISTICS = ('avg', 'p50', 'p90', 'max')
REGIONS = {'us-east-1': 'us_east_1', 'us-west-2': 'us_west_2'}
GPU_TYPES = ('l4', 'a10g', 'h100')
# Clouds and regions, each with the limit of a tag.
MAX_PLACES = 2 * MAX_VALUES


def jobs(queue: Queue, now: datetime, *, by_workspace: bool = False) -> Iterator[Sample]:
    """Yield the figures of the job queue."""
    live, running, queued = (_in(queue.jobs, statuses) for statuses in (LIVE, RUNNING, QUEUED))
    tasks = [task for job in queue.jobs for task in job.tasks]
    starting = [task for task in tasks if task.status == STARTING]
    yield from _present(queued, running, live)
    yield from _counts(queue.jobs, by_workspace=by_workspace)
    yield from _ended(queue.jobs, now)
    yield from _tasks(queue.status_counts)
    yield from _runtimes(running)
    yield from _start_waits(queue.jobs, now)
    yield from _starting(starting, now)
    if queue.has_workers:
        yield from _requested(queued, [task for task in tasks if task.asks])
    if queue.has_machines:
        yield from _resources(live)
    if queue.has_handles:
        yield from _markets(live)
        yield from _places(live)


def idle(*, by_workspace: bool = False) -> Iterator[Sample]:
    """Yield the figures while the controller is stopped because it has nothing to do.

    The present is known to be empty. Figures of the past are unknown: only the controller can report them.
    """
    yield from _present([], [], [])
    yield from _counts([], by_workspace=by_workspace)
    yield from _resources([])
    yield from _markets([])
    yield from _places([])


def gpus(jobs: Iterable[Job], *, by_workspace: bool = False) -> Iterator[Sample]:
    """Yield the GPUs that tasks hold, by type, kind and market. A task that waits for machines holds none."""
    totals: dict[GpuKey, float] = defaultdict(float)
    for job in jobs:
        workspace = workspace_of(job, by_workspace)
        for task in job.tasks:
            if not task.asks:
                kind = WORKER if task.pool is not None else JOB
                for name, count in task.gpus.items():
                    totals[(name, workspace), kind, task.market] += count
    yield from gpus_in_use(totals, by_workspace=by_workspace)


def users(queue: Queue) -> Iterator[Sample]:
    """Yield live jobs by user: the 50 users with the most, and the sum of all others."""
    live = _in(queue.jobs, LIVE)
    names = {job.user_id: job.user for job in live}
    yield from by_user('users.jobs', Counter(job.user_id for job in live), names)


def users_of_gpus(jobs: Iterable[Job], clusters: Iterable[Cluster]) -> Iterator[Sample]:
    """Yield the GPUs of live jobs and of clusters by user: the 50 users with the most, and the sum of all others."""
    held: dict[str, float] = defaultdict(float)
    names: dict[str, str] = {}
    owned: list[Job | Cluster] = [*_in(jobs, LIVE), *clusters]
    for one in owned:
        held[one.user_id] += fsum(one.gpus.values())
        names[one.user_id] = one.user
    yield from by_user('users.gpus', held, names)


def owners(jobs: Iterable[Job]) -> set[str]:
    """Return the owners of queued and live jobs."""
    return {job.owner for job in jobs if job.status in OPEN and job.owner}


def recoveries(increases: Mapping[str, int]) -> Iterator[Sample]:
    """Yield the recoveries since the last refresh by market."""
    for market, increase in increases.items():
        yield Sample('jobs.recoveries', increase, {'market': market})


def queue_waits(seconds: Collection[float]) -> Iterator[Sample]:
    """Yield statistics of the time that jobs waited in the queue and for machines, from first seen to started."""
    for name, value in stats.summary(list(seconds), ('p50', 'p90', 'max')).items():
        yield Sample(f'jobs.queue_wait_seconds.{name}', value)


def preemptions(counts: Mapping[tuple[str, str], int]) -> Iterator[Sample]:
    """Yield recoveries of spot jobs by GPU type and region."""
    shown = combination_labels(counts, MAX_GPU_TYPES + MAX_VALUES)
    for (gpu_type, region), count in added_up(counts, shown).items():
        yield Sample('jobs.preemptions_24h', count, {'gpu_type': gpu_type, 'region': region})


def finished(jobs: Iterable[Job]) -> Iterator[Sample]:
    """Yield the jobs that have ended since the last refresh by status."""
    counts = Counter(job.status for job in jobs)
    for status, count in added_up(counts, labels(counts, MAX_UNKNOWN, known=TERMINAL)).items():
        yield Sample('jobs.finished', count, {'status': status})


# Parts.


def _in(jobs: Iterable[Job], statuses: Collection[str]) -> list[Job]:
    return [job for job in jobs if job.status in statuses]


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
    """Yield the jobs that have not ended."""
    open_jobs = [job for job in jobs if not is_terminal(job.status)]
    yield from by_workspace_and_status('jobs.count', open_jobs, OPEN, by_workspace=by_workspace)


def _ended(jobs: Sequence[Job], now: datetime) -> Iterator[Sample]:
    week = _ended_since(jobs, now - timedelta(days=7))
    day = Counter(job.status for job in _ended_since(week, now - timedelta(days=1)))
    yield Sample('jobs.failed', sum(count for status, count in day.items() if is_failed(status)))
    yield Sample('jobs.failed_7d', sum(is_failed(job.status) for job in week))
    yield Sample('jobs.succeeded', day[SUCCEEDED])
    yield Sample('jobs.cancelled', day[CANCELLED])
    yield from by_status('jobs.ended_24h', day, TERMINAL)


def _ended_since(jobs: Iterable[Job], start: datetime) -> list[Job]:
    return [job for job in jobs if (ended_at := job.ended_at) is not None and ended_at >= start]


def _tasks(counts: Mapping[str, int] | None) -> Iterator[Sample]:
    if counts is not None:
        yield from by_status('tasks.count', counts, (*OPEN, *TERMINAL))


def _start_waits(jobs: Sequence[Job], now: datetime) -> Iterator[Sample]:
    waits = [wait for job in jobs if (wait := _start_wait(job.tasks[0], now - timedelta(days=1))) is not None]
    for name, value in stats.summary(waits, WAIT_STATISTICS).items():
        yield Sample(f'jobs.start_wait_seconds.{name}', value)


def _start_wait(task: Task, since: datetime) -> float | None:
    """Return seconds from submission to start, None for a task that did not start in this span."""
    if task.start_at is None or task.submitted_at is None or task.start_at < since:
        return None
    return seconds_between(task.submitted_at, task.start_at)


def _starting(starting: Sequence[Task], now: datetime) -> Iterator[Sample]:
    waits = [seconds_between(task.submitted_at, now) for task in starting if task.submitted_at is not None]
    yield Sample('jobs.starting_seconds.max', max(waits, default=None))


def _requested(queued: Sequence[Job], asking: Sequence[Task]) -> Iterator[Sample]:
    """Yield the GPUs that are asked for. The later tasks of a running pipeline do not ask for any yet."""
    totals: dict[str, float] = defaultdict(float)
    for task in (*(job.current for job in queued), *asking):
        request = Resources.parse(task.requested or '')
        if request.accelerators:
            # One of several alternatives will be launched; the largest one is the upper bound.
            totals[gpu_of_choice(request.accelerators)] += request.nodes * max(request.accelerators.values())
    for gpu_type, count in added_up(totals, labels(totals, MAX_GPU_TYPES)).items():
        yield Sample('gpus.requested', count, {'gpu_type': gpu_type})


def _resources(live: Sequence[Job]) -> Iterator[Sample]:
    held: Counter[str] = Counter()
    for job in live:
        held.update(job.gpus)
    for gpu_type in GPU_TYPES:
        yield Sample(f'resources.gpus.{gpu_type}_count', held[gpu_type])
    yield Sample('resources.gpus.total_count', fsum(held.values()))


def _markets(live: Sequence[Job]) -> Iterator[Sample]:
    markets = Counter(job.market for job in live)
    yield Sample('resources.spot_jobs', markets[resources.SPOT])
    yield Sample('resources.ondemand_jobs', markets[resources.ON_DEMAND])


def _places(live: Sequence[Job]) -> Iterator[Sample]:
    regions = Counter(REGIONS.get(job.region, OTHER) for job in live if job.region is not None)
    for name in (*REGIONS.values(), OTHER):
        yield Sample(f'regions.{name}', regions[name])
    places = Counter((_lower(job.current.cloud), _lower(job.region)) for job in live)
    for (cloud, region), count in added_up(places, combination_labels(places, MAX_PLACES)).items():
        yield Sample('jobs.by_region', count, {'cloud': cloud, 'region': region})


def _lower(place: str | None) -> str:
    # Datadog lowers tag values: names that differ only in case are one place.
    return (place or resources.UNKNOWN).lower()
