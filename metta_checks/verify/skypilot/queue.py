"""Figures of the queue of managed jobs."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import Figure, NoSeries
from .machines import gpus, requested, row_market
from .reading import Row, breakdown, figure, figure_of, sums

HOUR, DAY = 3600, 86400
WAITING = ('PENDING', 'SUBMITTED')
AT_WORK = ('RUNNING', 'WINDING_DOWN')
ALIVE = ('STARTING', 'RUNNING', 'WINDING_DOWN', 'RECOVERING', 'CANCELLING')
OVER = (
    'SUCCEEDED', 'CANCELLED', 'FAILED', 'FAILED_SETUP', 'FAILED_PRECHECKS', 'FAILED_NO_RESOURCE', 'FAILED_CONTROLLER',
)  # fmt: skip
# Name, and limits in hours: from the first one up to, but without, the second one.
RUNTIME_BUCKETS = (('0_1h', 0, 1), ('1_4h', 1, 4), ('4_24h', 4, 24), ('over_24h', 24, math.inf))


@dataclass(frozen=True, slots=True)
class Job:
    """A managed job, with its tasks in order: a pipeline and a job group have several."""

    tasks: list[Row]

    @property
    def id(self) -> int:
        """The id of the job."""
        identifier: int = self.tasks[0]['job_id']
        return identifier

    @property
    def current(self) -> Row:
        """The task that determines the job's status; in a job group with primary tasks, one of these."""
        primary = [task for task in self.tasks if task.get('is_primary_in_job_group')]
        tasks = primary or self.tasks
        return next((task for task in tasks if task['status'] != 'SUCCEEDED'), tasks[-1])

    @property
    def status(self) -> str:
        """The status of the current task."""
        status: str = self.current['status']
        return status

    @property
    def has_failed(self) -> bool:
        """True when the job ended with a failure."""
        return self.status.startswith('FAILED')

    @property
    def is_over(self) -> bool:
        """True when the job has ended."""
        return self.status in OVER or self.has_failed

    @property
    def ended_at(self) -> float | None:
        """The time at which the last task ended; None before, and for a job that never ran."""
        ends = [task['end_at'] for task in self.tasks if task.get('end_at')]
        return max(ends) if ends and self.is_over else None

    @property
    def runtime(self) -> float:
        """Seconds of work without recoveries: tasks of a job group run at the same time, others one by one."""
        durations = [max(0.0, task.get('job_duration') or 0.0) for task in self.tasks]
        is_group = any(task.get('is_primary_in_job_group') is not None for task in self.tasks)
        return max(durations) if is_group else sum(durations)

    @property
    def recoveries(self) -> int:
        """The number of restarts on other machines."""
        return sum(task.get('recovery_count') or 0 for task in self.tasks)

    @property
    def start_wait(self) -> float | None:
        """Seconds from the submission to the start of the first task; None before the start."""
        start, submitted = self.tasks[0].get('start_at'), self.tasks[0].get('submitted_at')
        return max(0.0, start - submitted) if start and submitted else None

    @property
    def owner(self) -> str | None:
        """The id of the user."""
        return next((user for user in map(user_id, self.tasks) if user), None)

    @property
    def gpus(self) -> dict[str, float]:
        """GPUs that the tasks have, by type."""
        return sums(pair for task in self.tasks for pair in gpus(task).items())

    @property
    def workspace(self) -> str:
        """The workspace of the job."""
        return str(self.current.get('workspace'))


def jobs_of(rows: list[Row]) -> list[Job]:
    """Return the jobs of the queue, which has a row per task."""
    tasks: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        tasks[row['job_id']].append(row)
    return [Job(sorted(own, key=lambda row: row.get('task_id') or 0)) for own in tasks.values()]


def user_id(record: Mapping[str, Any]) -> str | None:
    """Return the identity of the owner of a task or cluster."""
    return record.get('user_hash') or record.get('user_name')


def average(values: list[float]) -> float | None:
    """Return the average; None without values."""
    return statistics.mean(values) if values else None


def one_row_per_worker(rows: Iterable[Row]) -> list[Row]:
    """Return the rows without those of further tasks with machines on one worker of a pool."""
    kept: dict[Any, Row] = {}
    for index, row in enumerate(rows):
        if gpus(row):
            kept.setdefault(row.get('current_cluster_name') or index, row)
    return list(kept.values())


def _place(value: Any) -> str | None:
    return None if value in (None, '-') else value


def percentile(values: list[float], percent: int) -> float | None:
    """Return the percentile by inclusive interpolation, as in the standard library; None without values."""
    if len(values) < 2:
        return next(iter(values), None)
    return statistics.quantiles(values, n=100, method='inclusive')[percent - 1]


class Queue:
    """Figures of the queue of managed jobs."""

    def __init__(self, rows: list[Row], jobs: list[Job], now: datetime, *, by_workspace: bool) -> None:
        self.rows = rows
        self.jobs = jobs
        self.by_workspace = by_workspace
        self.now = now.timestamp()
        self.alive = [job for job in jobs if job.status in ALIVE]

    def figures(self) -> Iterator[Figure | NoSeries]:
        """Yield all figures of the queue."""
        yield from self._counts()
        yield from self._endings()
        yield from self._runtimes()
        yield from self._recoveries()
        yield from self._gpus_held()
        yield from self._placement()
        yield from self._start_waits()
        yield from self._gpus_requested()

    def _counts(self) -> Iterator[Figure]:
        statuses = [job.status for job in self.jobs]
        yield figure('jobs.queued', sum(status in WAITING for status in statuses))
        yield figure('jobs.running', sum(status in AT_WORK for status in statuses))
        unfinished = [(job.status, job.workspace if self.by_workspace else '') for job in self.jobs if not job.is_over]
        for workspace in {place for _, place in unfinished} if self.by_workspace else {''}:
            tags = {'workspace': workspace} if self.by_workspace else {}
            for status in {*WAITING, *ALIVE, *(status for status, _ in unfinished)}:
                yield figure('jobs.count', unfinished.count((status, workspace)), status=status, **tags)
        tasks = [row['status'] for row in self.rows]
        for status in {*WAITING, *ALIVE, *OVER, *tasks}:
            yield figure('tasks.count', tasks.count(status), status=status)

    def _endings(self) -> Iterator[Figure]:
        day = self._ended_within(DAY)
        statuses = [job.status for job in day]
        for status in {*OVER, *statuses}:
            yield figure('jobs.ended_24h', statuses.count(status), status=status)
        yield figure('jobs.failed', sum(job.has_failed for job in day))
        yield figure('jobs.failed_7d', sum(job.has_failed for job in self._ended_within(7 * DAY)))
        yield figure('jobs.succeeded', statuses.count('SUCCEEDED'))
        yield figure('jobs.cancelled', statuses.count('CANCELLED'))

    def _ended_within(self, seconds: int) -> list[Job]:
        return [job for job in self.jobs if job.ended_at is not None and job.ended_at >= self.now - seconds]

    def _runtimes(self) -> Iterator[Figure | NoSeries]:
        seconds = [job.runtime for job in self.alive if job.status in AT_WORK]
        for name, low, high in RUNTIME_BUCKETS:
            yield figure(f'jobs.runtime_buckets.{name}', sum(low <= runtime / HOUR < high for runtime in seconds))
        yield figure('jobs.running_over_7d', sum(runtime >= 7 * DAY for runtime in seconds))
        # The server computes how long a job has been running.
        yield figure_of('jobs.runtime_seconds.min', min(seconds, default=None), per_second=1)
        yield figure_of('jobs.runtime_seconds.max', max(seconds, default=None), per_second=1)
        yield figure_of('jobs.runtime_seconds.avg', average(seconds), per_second=1)
        for percent in (50, 90, 99):
            yield figure_of(f'jobs.runtime_seconds.p{percent}', percentile(seconds, percent), per_second=1)

    def _recoveries(self) -> Iterator[Figure | NoSeries]:
        counts = [job.recoveries for job in self.alive]
        yield figure('jobs.with_recoveries', sum(count > 0 for count in counts))
        yield figure_of('jobs.recovery_count.avg', average([float(count) for count in counts]))
        yield figure_of('jobs.recovery_count.max', max(counts, default=None))

    def _gpus_held(self) -> Iterator[Figure]:
        held = sums(pair for row in one_row_per_worker(self.rows) for pair in gpus(row).items())
        for name in ('l4', 'a10g', 'h100'):
            yield figure(f'resources.gpus.{name}_count', held.get(name, 0))
        yield figure('resources.gpus.total_count', sum(held.values()))

    def _placement(self) -> Iterator[Figure | NoSeries]:
        tasks = [job.current for job in self.alive]
        markets = [row_market(task) for task in tasks]
        yield figure('resources.spot_jobs', markets.count('spot'))
        yield figure('resources.ondemand_jobs', markets.count('ondemand'))
        places = [(_place(task.get('cloud')), _place(task.get('region'))) for task in tasks]
        regions = [region for _, region in places if region]
        yield figure('regions.us_east_1', regions.count('us-east-1'))
        yield figure('regions.us_west_2', regions.count('us-west-2'))
        yield figure('regions.other', sum(region not in ('us-east-1', 'us-west-2') for region in regions))
        shown = [((cloud or 'unknown', region or 'unknown'), 1.0) for cloud, region in places]
        yield from breakdown('jobs.by_region', ['cloud', 'region'], shown)

    def _start_waits(self) -> Iterator[Figure | NoSeries]:
        started = [job for job in self.jobs if (job.tasks[0].get('start_at') or 0) >= self.now - DAY]
        waits = [job.start_wait for job in started if job.start_wait is not None]
        yield figure_of('jobs.start_wait_seconds.avg', average(waits))
        yield figure_of('jobs.start_wait_seconds.p50', statistics.median(waits) if waits else None)
        yield figure_of('jobs.start_wait_seconds.p90', percentile(waits, 90))
        yield figure_of('jobs.start_wait_seconds.max', max(waits, default=None))
        ages = [self.now - row['submitted_at'] for row in self._starting() if row.get('submitted_at')]
        yield figure_of('jobs.starting_seconds.max', max(ages, default=None), per_second=1)

    def _starting(self) -> list[Row]:
        return [row for row in self.rows if row['status'] == 'STARTING']

    def _waiting_for_machines(self) -> list[Row]:
        return [row for row in self.rows if row['status'] in ('STARTING', 'RECOVERING')]

    def _gpus_requested(self) -> Iterator[Figure | NoSeries]:
        waiting = (*(job.current for job in self.jobs if job.status in WAITING), *self._waiting_for_machines())
        asked = [request for row in waiting if (request := requested(row.get('resources')))]
        yield from breakdown('gpus.requested', ['gpu_type'], [((gpu_type,), count) for gpu_type, count in asked])
