"""The figures that need memory: what somebody knows who looks at the jobs again and again."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from ..server import Figure
from .model import SPOT, Job
from .truth_figures import figure, gpu_type

DAY = timedelta(hours=24)


class Preemption(NamedTuple):
    """A recovery of a job on spot machines, and when it was noticed."""

    noticed: datetime
    gpu_type: str
    region: str


class Watch:
    """The jobs as seen by looking at them repeatedly, from the first look on.

    Attributes:
        first: the time of the first look; None before it
    """

    def __init__(self) -> None:
        self.first: datetime | None = None
        self._queued: dict[int, datetime] = {}
        self._recovering: dict[int, datetime] = {}
        self._recoveries: dict[int, int] = {}
        self._queue_entered: dict[int, datetime] = {}
        self._old: frozenset[int] = frozenset()
        self._preemptions: list[Preemption] = []

    def look(self, jobs: Mapping[int, Job], now: datetime) -> Iterator[Figure]:
        """Look at all jobs, and compute the figures of this moment."""
        if self.first is None:
            self.first, self._old = now, frozenset(jobs)
        else:
            self._notice_recoveries(jobs, now)
        self._recoveries = {number: _recoveries(job) for number, job in jobs.items()}
        self._queued = _since(self._queued, jobs, 'PENDING', now)
        self._recovering = _since(self._recovering, jobs, 'RECOVERING', now)
        for number, since in self._queued.items():
            self._queue_entered.setdefault(number, since)
        return self._figures(jobs, now)

    def _notice_recoveries(self, jobs: Mapping[int, Job], now: datetime) -> None:
        for number, job in jobs.items():
            task = job.current
            risen = _recoveries(job) - self._recoveries.get(number, 0)
            if task.market == SPOT and risen > 0:
                self._preemptions += [Preemption(now, gpu_type(task.gpu), task.region or 'unknown')] * risen

    def _figures(self, jobs: Mapping[int, Job], now: datetime) -> Iterator[Figure]:
        for name, since in (('pending', self._queued), ('recovering', self._recovering)):
            if since:
                yield figure(f'jobs.{name}_seconds.max', (now - min(since.values())).total_seconds())
        waits = sorted(self._waits(jobs, now))
        if waits:
            tenths = statistics.quantiles(waits, n=10, method='inclusive') if len(waits) > 1 else [waits[0]] * 9
            yield figure('jobs.queue_wait_seconds.p50', statistics.median(waits))
            yield figure('jobs.queue_wait_seconds.p90', tenths[8])
            yield figure('jobs.queue_wait_seconds.max', waits[-1])
        if self.first is not None and now - self.first >= DAY:
            recent = [one[1:] for one in self._preemptions if one.noticed >= now - DAY]
            for gpu, region in set(recent):
                yield figure('jobs.preemptions_24h', recent.count((gpu, region)), gpu_type=gpu, region=region)

    def _waits(self, jobs: Mapping[int, Job], now: datetime) -> Iterator[float]:
        for number, job in jobs.items():
            task = job.tasks[0]
            if number not in self._old and task.started is not None and task.started >= now - DAY:
                queued = self._queue_entered.get(number, task.submitted)
                if queued is not None:
                    yield max(0.0, (task.started - queued).total_seconds())


def _recoveries(job: Job) -> int:
    return sum(task.recoveries for task in job.tasks)


def _since(before: Mapping[int, datetime], jobs: Mapping[int, Job], status: str, now: datetime) -> dict[int, datetime]:
    return {number: before.get(number, now) for number, job in jobs.items() if job.status == status}
