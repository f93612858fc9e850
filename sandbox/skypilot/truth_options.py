"""The figures of the check's options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..server import Figure
from .model import Cluster, Job, Task
from .truth_cost import CostTruth
from .truth_figures import Users, figure, gpu_type, gpus_of, has_machines, kind, shares, sums

LIVE = ('STARTING', 'RUNNING', 'WINDING_DOWN', 'RECOVERING', 'CANCELLING')
DEFAULT_MAX_JOBS = 200


class OptionsTruth:
    """The truth about users, single jobs, pools and idle clusters."""

    def __init__(
        self,
        jobs: Sequence[Job],
        clusters: Sequence[Cluster],
        now: datetime,
        cost: CostTruth,
        options: Mapping[str, Any],
    ) -> None:
        self.jobs = jobs
        self.clusters = clusters
        self.now = now
        self.cost = cost
        self.options = options
        self.live = [job for job in jobs if job.status in LIVE]
        self.up = [one for one in clusters if one.status == 'UP' and kind(one) == 'cluster']
        self.shared = shares(jobs)

    def figures(self) -> Iterator[Figure]:
        """Compute the figures of the options that are set."""
        if self.options.get('by_user'):
            yield from self.users()
        if self.options.get('by_workspace'):
            yield from self.cost.by_workspace()
        if self.options.get('per_job'):
            yield from self.single_jobs()
        if self.options.get('pools'):
            yield from self.pools()
        if self.options.get('idle_minutes'):
            yield from self.idle(timedelta(minutes=self.options['idle_minutes']))

    def users(self) -> Iterator[Figure]:
        """Compute jobs, GPUs and costs by user."""
        users = Users([*self.jobs, *self.clusters])
        yield from users.figures('users.jobs', sums((users.id_of(job), 1) for job in self.live))
        held = [(users.id_of(job), self.gpus(job)) for job in self.live]
        yield from users.figures('users.gpus', sums([*held, *((users.id_of(one), gpus_of(one)) for one in self.up)]))
        yield from self.cost.by_user(users)

    def gpus(self, job: Job) -> float:
        """Return the GPUs of a job: its part of a worker of a pool."""
        held = sum(gpus_of(task) for task in job.tasks if has_machines(task))
        return held / self.shared.get(job.worker or '', 1)

    def single_jobs(self) -> Iterator[Figure]:
        """Compute the figures of the jobs that have been running longest, and those of all others together."""
        ranked = sorted(self.live, key=lambda job: (-job.runtime(self.now), job.number))
        limit = self.options.get('max_jobs', DEFAULT_MAX_JOBS)
        for name, of in (
            ('job.runtime_seconds', lambda job: job.runtime(self.now)),
            ('job.gpus', self.gpus),
            ('job.recovery_count', lambda job: sum(task.recoveries for task in job.tasks)),
            ('job.hourly_usd', lambda job: self.cost.job_rate(job, self.shared)),
        ):
            for job in ranked[:limit]:
                if (value := of(job)) is not None:
                    tags = {'status': job.status, 'gpu_type': self._held_type(job)}
                    yield figure(name, value, job_id=str(job.number), job_name=job.name, **tags)
            if others := [value for job in ranked[limit:] if (value := of(job)) is not None]:
                yield figure(name, sum(others), job_id='other')

    @staticmethod
    def _held_type(job: Job) -> str:
        """Return the type of the GPUs that a job has; `none` while it has none."""
        return next((gpu_type(task.gpu) for task in job.tasks if has_machines(task) and task.gpu), 'none')

    def pools(self) -> Iterator[Figure]:
        """Count the workers of pools, and the GPUs of those without a job."""
        workers = [one for one in self.clusters if one.pool is not None and one.status is not None]
        for pool, status in {(one.pool, one.worker_status) for one in workers}:
            having = [one for one in workers if (one.pool, one.worker_status) == (pool, status)]
            yield figure('pools.workers', len(having), pool=pool or '', status=status)
        busy = {job.worker for job in self.live}
        ready = [one for one in workers if one.worker_status == 'READY' and one.name not in busy]
        yield figure('pools.idle_gpus', sum(map(gpus_of, ready)))

    def idle(self, span: timedelta) -> Iterator[Figure]:
        """Compute what clusters waste that run nothing."""
        unreachable = self.options.get('unreachable', ())
        yield figure('clusters.idle_unknown', sum(one.name in unreachable for one in self.up))
        idle = [one for one in self.up if one.name not in unreachable and self._last_work(one) < self.now - span]
        yield figure('clusters.idle', len(idle))
        yield figure('clusters.idle_gpus', sum(map(gpus_of, idle)))
        rates = [rate for one in idle if (rate := self.cost.rate(one)) is not None]
        if rates or not idle:
            yield figure('cost.idle_clusters_hourly_usd', sum(rates))

    def _last_work(self, cluster: Cluster) -> datetime:
        return max((job.ended or self.now for job in cluster.jobs), default=cluster.launched)


def wanted(task: Task) -> str:
    """Return the type of the GPUs of a task; `any` while several would do."""
    return 'any' if task.alternative else gpu_type(task.gpu)
