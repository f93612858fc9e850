"""The figures that the check should report, computed with simple loops over the data, not over answers."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ..server import Figure
from .model import Cluster, Job, Task

QUEUED = ('PENDING',)
LIVE = ('STARTING', 'RUNNING', 'WINDING_DOWN', 'RECOVERING', 'CANCELLING')
ENDED = (
    'SUCCEEDED', 'CANCELLED', 'FAILED', 'FAILED_SETUP', 'FAILED_PRECHECKS', 'FAILED_NO_RESOURCE', 'FAILED_CONTROLLER',
)  # fmt: skip
# `submitted` is a status of old servers.
OPEN = (*QUEUED, 'SUBMITTED', *LIVE)


class Truth:
    """The truth about jobs and clusters at a moment. Without `consolidation` the bill has no clusters of jobs."""

    def __init__(self, jobs: Sequence[Job], clusters: Sequence[Cluster], now: datetime, *, consolidation: bool) -> None:
        self.jobs = jobs
        self.clusters = [cluster for cluster in clusters if consolidation or not cluster.is_hidden]
        self.now = now
        self.live = [job for job in jobs if job.status in LIVE]
        self.running = [job for job in jobs if job.status in ('RUNNING', 'WINDING_DOWN')]
        self.queued = [job for job in jobs if job.status in QUEUED]
        self.dev = [cluster for cluster in clusters if not cluster.is_hidden and cluster.status is not None]

    def figures(self) -> Iterator[Figure]:
        """Compute all gauges that do not depend on the time of the first refresh. Absent ones are left out."""
        yield from self.counts()
        yield from self.runtimes()
        yield from self.gpus()
        yield from self.places()
        yield from self.waits()
        yield from self.dev_clusters()
        yield from self.cost()
        owners = {job.owner.login for job in (*self.queued, *self.live)}
        owners |= {cluster.owner.login for cluster in self.dev if cluster.status == 'UP'}
        yield figure('users.active_count', len(owners))
        yield figure('controller.up', 1)

    def counts(self) -> Iterator[Figure]:
        """Count jobs and tasks by status, and jobs that ended lately."""
        yield figure('jobs.queued', len(self.queued))
        yield figure('jobs.running', len(self.running))
        for status in OPEN:
            yield figure('jobs.count', sum(job.status == status for job in self.jobs), status=status)
        rows = [task.status for job in self.jobs for task in job.tasks]
        for status in (*OPEN, *ENDED):
            yield figure('tasks.count', rows.count(status), status=status)
        day = [job.status for job in self.jobs if self.ended_within(job, hours=24)]
        week = [job.status for job in self.jobs if self.ended_within(job, hours=168)]
        for status in ENDED:
            yield figure('jobs.ended_24h', day.count(status), status=status)
        yield figure('jobs.succeeded', day.count('SUCCEEDED'))
        yield figure('jobs.cancelled', day.count('CANCELLED'))
        yield figure('jobs.failed', len([status for status in day if status.startswith('FAILED')]))
        yield figure('jobs.failed_7d', len([status for status in week if status.startswith('FAILED')]))

    def ended_within(self, job: Job, hours: float) -> bool:
        """Check that a job ended within the last hours."""
        if job.status not in ENDED:
            return False
        ends = [task.ended for task in job.tasks if task.ended is not None]
        return bool(ends) and max(ends) >= self.now - timedelta(hours=hours)

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
        """Count GPUs in use and GPUs asked for."""
        holding = [task for job in self.jobs for task in job.tasks if task.holds and task.gpu]
        for name in ('L4', 'A10G', 'H100'):
            total = sum(task.nodes * task.gpus for task in holding if task.gpu == name)
            yield figure(f'resources.gpus.{name.lower()}_count', total)
        yield figure('resources.gpus.total_count', sum(task.nodes * task.gpus for task in holding))
        for key in {(task.gpu, task.market) for task in holding}:
            total = sum(task.nodes * task.gpus for task in holding if (task.gpu, task.market) == key)
            yield figure('gpus.in_use', total, kind='job', gpu_type=key[0], market=key[1])
        up = [cluster for cluster in self.dev if cluster.status == 'UP' and cluster.gpu]
        for gpu, spot in {(cluster.gpu, cluster.spot) for cluster in up}:
            total = sum(one.nodes * one.gpus for one in up if (one.gpu, one.spot) == (gpu, spot))
            yield figure('gpus.in_use', total, kind='cluster', gpu_type=gpu, market='spot' if spot else 'ondemand')
        asking = [job.current for job in self.queued]
        asking += [task for job in self.jobs for task in job.tasks if task.status in ('STARTING', 'RECOVERING')]
        for kind in {_wanted(task) for task in asking if task.gpu}:
            total = sum(task.nodes * task.gpus for task in asking if task.gpu and _wanted(task) == kind)
            yield figure('gpus.requested', total, gpu_type=kind)

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
        for status in ('UP', 'INIT', 'STOPPED', 'AUTOSTOPPING'):
            having = [cluster for cluster in self.dev if cluster.status == status]
            yield figure('clusters.count', len(having), status=status)
            yield figure('clusters.nodes', sum(cluster.nodes for cluster in having), status=status)
        up = [cluster for cluster in self.dev if cluster.status == 'UP']
        yield figure('clusters.active', len(up))
        yield figure('clusters.no_autostop', sum(cluster.autostop < 0 for cluster in up))
        if up:
            oldest = min(int(cluster.launched.timestamp()) for cluster in up)
            yield figure('clusters.age_hours.max', (self.now.timestamp() - oldest) / 3600)

    def cost(self) -> Iterator[Figure]:
        """Compute the cost of everything that is up, and the spend of the last 24 hours."""
        up = [cluster for cluster in self.clusters if cluster.status == 'UP']
        priced = [(cluster, cluster.rate) for cluster in up if cluster.rate is not None]
        unpriced = [cluster for cluster in up if cluster.rate is None]
        if priced or not up:
            yield figure('cost.hourly_usd', sum(rate for _, rate in priced))
        yield figure('cost.unpriced_clusters', len(unpriced))
        if priced or unpriced:
            yield figure('cost.price_coverage_pct', 100 * len(priced) / (len(priced) + len(unpriced)))
        split: dict[tuple[str, str, str, str], float] = {}
        for cluster, rate in priced:
            kind = 'cluster' if cluster.job is None else 'job'
            key = (kind, cluster.cloud, 'spot' if cluster.spot else 'ondemand', cluster.gpu or 'none')
            split[key] = split.get(key, 0.0) + rate
        for (kind, cloud, market, gpu), usd in split.items():
            yield figure('cost.breakdown_hourly_usd', usd, kind=kind, cloud=cloud, market=market, gpu_type=gpu)
        spent, any_known, any_up = 0.0, False, False
        yesterday = self.now - timedelta(hours=24)
        for cluster in self.clusters:
            # The cloud has given a cluster that is set up for the first time no machine yet.
            for start, end in cluster.intervals if cluster.had_machines else ():
                hours = (min(end or self.now, self.now) - max(start, yesterday)).total_seconds() / 3600
                if hours > 0:
                    any_up = True
                    any_known = any_known or cluster.rate is not None
                    spent += hours * (cluster.rate or 0.0)
        if any_known or not any_up:
            yield figure('cost.spend_usd_24h', spent)


def figure(name: str, value: float, **tags: str) -> Figure:
    """Return a figure with its full name and tag values in lower case, as Datadog stores them."""
    return Figure(
        f'metta.skypilot.{name}', float(value), tuple(sorted(f'{key}:{text}'.lower() for key, text in tags.items()))
    )


def _wanted(task: Task) -> str:
    return 'any' if task.alternative else task.gpu
