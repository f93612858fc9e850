"""The figures that the check should report, computed with simple loops over the data, not over answers."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from ..server import Figure
from .model import Cluster, Job
from .truth_cost import ENDED, CostTruth, ended_within
from .truth_figures import Users, figure, gpu_type, gpus_of, has_machines, kind, market
from .truth_options import LIVE, OptionsTruth, wanted

QUEUED = ('PENDING',)
# `submitted` is a status of old servers.
OPEN = (*QUEUED, 'SUBMITTED', *LIVE)
PLAIN: Mapping[str, Any] = MappingProxyType({})


class Truth:
    """The truth about jobs and clusters at a moment, for the options of an instance of the check.

    Without `consolidation` the bill has no clusters of jobs, pools and services.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        clusters: Sequence[Cluster],
        now: datetime,
        options: Mapping[str, Any] = PLAIN,
        *,
        consolidation: bool,
    ) -> None:
        self.jobs = jobs
        self.now = now
        self.by_workspace = bool(options.get('by_workspace'))
        in_report = [cluster for cluster in clusters if consolidation or not cluster.is_hidden]
        self.cost = CostTruth(jobs, in_report, now, options)
        self.optional = OptionsTruth(jobs, clusters, now, self.cost, options)
        self.live = [job for job in jobs if job.status in LIVE]
        self.running = [job for job in jobs if job.status in ('RUNNING', 'WINDING_DOWN')]
        self.queued = [job for job in jobs if job.status in QUEUED]
        self.listed = [cluster for cluster in clusters if not cluster.is_hidden and cluster.status is not None]
        self.dev = [cluster for cluster in self.listed if kind(cluster) == 'cluster']

    def figures(self) -> Iterator[Figure]:
        """Compute all gauges that do not depend on the time of the first refresh. Absent ones are left out."""
        yield from self.counts()
        yield from self.runtimes()
        yield from self.gpus()
        yield from self.places()
        yield from self.waits()
        yield from self.dev_clusters()
        yield from self.cost.figures()
        yield from self.optional.figures()
        owners = {Users.id_of(job) for job in (*self.queued, *self.live)}
        owners |= {Users.id_of(cluster) for cluster in self.dev if cluster.status == 'UP'}
        yield figure('users.active_count', len(owners))
        yield figure('controller.up', 1)

    def counts(self) -> Iterator[Figure]:
        """Count jobs and tasks by status, and jobs that ended lately."""
        yield figure('jobs.queued', len(self.queued))
        yield figure('jobs.running', len(self.running))
        yield from self.by_status('jobs.count', OPEN, (*self.queued, *self.live))
        rows = [task.status for job in self.jobs for task in job.tasks]
        for status in (*OPEN, *ENDED):
            yield figure('tasks.count', rows.count(status), status=status)
        day = [job.status for job in self.jobs if ended_within(job, self.now, timedelta(hours=24))]
        week = [job.status for job in self.jobs if ended_within(job, self.now, timedelta(days=7))]
        for status in ENDED:
            yield figure('jobs.ended_24h', day.count(status), status=status)
        yield figure('jobs.succeeded', day.count('SUCCEEDED'))
        yield figure('jobs.cancelled', day.count('CANCELLED'))
        yield figure('jobs.failed', len([status for status in day if status.startswith('FAILED')]))
        yield figure('jobs.failed_7d', len([status for status in week if status.startswith('FAILED')]))

    def by_status(self, name: str, statuses: Sequence[str], rows: Sequence[Job | Cluster]) -> Iterator[Figure]:
        """Count rows by status, with option by_workspace by workspace, too."""
        for workspace in {row.workspace for row in rows} if self.by_workspace else {''}:
            tags = {'workspace': workspace} if self.by_workspace else {}
            here = [row.status for row in rows if not self.by_workspace or row.workspace == workspace]
            for status in statuses:
                yield figure(name, here.count(status), status=status, **tags)

    def runtimes(self) -> Iterator[Figure]:
        """Compute figures of running times and recoveries."""
        seconds = sorted(job.runtime(self.now) for job in self.running)
        for name, low, high in (('0_1h', 0, 1), ('1_4h', 1, 4), ('4_24h', 4, 24), ('over_24h', 24, 1e9)):
            yield figure(f'jobs.runtime_buckets.{name}', sum(low <= one / 3600 < high for one in seconds))
        yield figure('jobs.running_over_7d', sum(one >= 7 * 86400 for one in seconds))
        recoveries = [sum(task.recoveries for task in job.tasks) for job in self.live]
        yield figure('jobs.with_recoveries', sum(count > 0 for count in recoveries))
        if recoveries:
            yield figure('jobs.recovery_count.avg', statistics.fmean(recoveries))
            yield figure('jobs.recovery_count.max', max(recoveries))
        if len(seconds) < 2:
            return
        percentiles = statistics.quantiles(seconds, n=100, method='inclusive')
        yield figure('jobs.runtime_seconds.min', seconds[0])
        yield figure('jobs.runtime_seconds.max', seconds[-1])
        yield figure('jobs.runtime_seconds.avg', statistics.fmean(seconds))
        for percent in (50, 90, 99):
            yield figure(f'jobs.runtime_seconds.p{percent}', percentiles[percent - 1])

    def gpus(self) -> Iterator[Figure]:
        """Count GPUs in use and GPUs asked for. A worker of a pool counts once."""
        holding = {
            job.worker or (job.number, index): (job, task)
            for job in self.jobs
            for index, task in enumerate(job.tasks)
            if has_machines(task) and task.gpu
        }
        for name in ('L4', 'A10G', 'H100'):
            total = sum(gpus_of(task) for _, task in holding.values() if task.gpu == name)
            yield figure(f'resources.gpus.{name.lower()}_count', total)
        yield figure('resources.gpus.total_count', sum(gpus_of(task) for _, task in holding.values()))
        used: dict[tuple[str, str, str, str], float] = {}
        for job, task in holding.values():
            if task.status != 'RECOVERING':
                key = ('job' if job.worker is None else 'worker', gpu_type(task.gpu), task.market, job.workspace)
                used[key] = used.get(key, 0.0) + gpus_of(task)
        for one in self.listed:
            if one.status == 'UP' and one.gpu:
                key = (kind(one), gpu_type(one.gpu), market(one), one.workspace)
                used[key] = used.get(key, 0.0) + gpus_of(one)
        yield from self.in_use(used)
        asking = [job.current for job in self.queued]
        asking += [task for job in self.jobs for task in job.tasks if task.status in ('STARTING', 'RECOVERING')]
        for gpu in {wanted(task) for task in asking if task.gpu}:
            total = sum(gpus_of(task) for task in asking if task.gpu and wanted(task) == gpu)
            yield figure('gpus.requested', total, gpu_type=gpu)

    def in_use(self, used: Mapping[tuple[str, str, str, str], float]) -> Iterator[Figure]:
        """Return GPUs in use by kind, type and market, with option by_workspace by workspace, too."""
        merged: dict[tuple[str, ...], float] = {}
        named = ('kind', 'gpu_type', 'market', 'workspace')[: 4 if self.by_workspace else 3]
        for key, amount in used.items():
            merged[key[: len(named)]] = merged.get(key[: len(named)], 0.0) + amount
        for shown, amount in merged.items():
            yield figure('gpus.in_use', amount, **dict(zip(named, shown, strict=True)))

    def places(self) -> Iterator[Figure]:
        """Count jobs by market and region."""
        markets = [job.current.market for job in self.live]
        yield figure('resources.spot_jobs', markets.count('spot'))
        yield figure('resources.ondemand_jobs', markets.count('ondemand'))
        regions = [job.current.region for job in self.live if job.current.region is not None]
        yield figure('regions.us_east_1', regions.count('us-east-1'))
        yield figure('regions.us_west_2', regions.count('us-west-2'))
        yield figure('regions.other', sum(region not in ('us-east-1', 'us-west-2') for region in regions))
        places = [(job.current.cloud or 'unknown', job.current.region or 'unknown') for job in self.live]
        for place in set(places):
            yield figure('jobs.by_region', places.count(place), cloud=place[0], region=place[1])

    def waits(self) -> Iterator[Figure]:
        """Compute figures of waiting times."""
        first = [job.tasks[0] for job in self.jobs]
        waits = sorted(
            (task.started - task.submitted).total_seconds()
            for task in first
            if task.started and task.submitted and task.started >= self.now - timedelta(hours=24)
        )
        if len(waits) > 1:
            percentiles = statistics.quantiles(waits, n=10, method='inclusive')
            yield figure('jobs.start_wait_seconds.avg', statistics.fmean(waits))
            yield figure('jobs.start_wait_seconds.p50', statistics.median(waits))
            yield figure('jobs.start_wait_seconds.p90', percentiles[8])
            yield figure('jobs.start_wait_seconds.max', waits[-1])
        starting = [
            task.submitted
            for job in self.jobs
            for task in job.tasks
            if task.status == 'STARTING' and task.submitted is not None
        ]
        if starting:
            yield figure('jobs.starting_seconds.max', (self.now - min(starting)).total_seconds())

    def dev_clusters(self) -> Iterator[Figure]:
        """Compute figures of the clusters of people."""
        statuses = ('UP', 'INIT', 'STOPPED', 'AUTOSTOPPING')
        yield from self.by_status('clusters.count', statuses, self.dev)
        for status in statuses:
            having = [cluster for cluster in self.dev if cluster.status == status]
            yield figure('clusters.nodes', sum(cluster.nodes for cluster in having), status=status)
        up = [cluster for cluster in self.dev if cluster.status == 'UP']
        yield figure('clusters.active', len(up))
        yield figure('clusters.no_autostop', sum(cluster.autostop < 0 for cluster in up))
        if up:
            oldest = min(int(cluster.launched.timestamp()) for cluster in up)
            yield figure('clusters.age_hours.max', (self.now.timestamp() - oldest) / 3600)
