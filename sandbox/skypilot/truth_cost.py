"""The cost of clusters, now and in the last day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..server import Figure
from .machines import billed, price
from .model import SPOT, Cluster, Job, Task
from .truth_figures import Users, figure, gpu_type, gpus_of, has_machines, kind, market, sums

FAILED, DAY = 'FAILED', timedelta(hours=24)
ENDED = (
    'SUCCEEDED', 'CANCELLED', 'FAILED', 'FAILED_SETUP', 'FAILED_PRECHECKS', 'FAILED_NO_RESOURCE', 'FAILED_CONTROLLER',
)  # fmt: skip


class CostTruth:
    """The cost of the clusters in the report, with the prices of the check's option `prices`."""

    def __init__(self, jobs: Sequence[Job], clusters: Sequence[Cluster], now: datetime, options: Mapping[str, Any]):
        self.jobs = jobs
        self.clusters = clusters
        self.now = now
        self.own_prices = {name.lower(): prices for name, prices in (options.get('prices') or {}).items()}
        self.billed = [cluster for cluster in clusters if is_billed(cluster)]
        self.priced = [(cluster, rate) for cluster in self.billed if (rate := self.rate(cluster)) is not None]

    def figures(self) -> Iterator[Figure]:
        """Compute the costs, without those by user, workspace and job."""
        if self.priced or not self.billed:
            yield figure('cost.hourly_usd', sum(rate for _, rate in self.priced))
        yield figure('cost.unpriced_clusters', len(self.billed) - len(self.priced))
        if self.billed:
            yield figure('cost.price_coverage_pct', 100 * len(self.priced) / len(self.billed))
        split: dict[tuple[str, str, str, str], float] = {}
        for cluster, rate in self.priced:
            key = (kind(cluster), cluster.cloud, market(cluster), gpu_type(cluster.gpu))
            split[key] = split.get(key, 0.0) + rate
        for (use, cloud, offer, gpu), usd in split.items():
            yield figure('cost.breakdown_hourly_usd', usd, kind=use, cloud=cloud, market=offer, gpu_type=gpu)
        used = [cluster for cluster in self.clusters if self.hours(cluster, self.now - DAY) > 0]
        spent = [cost for cluster in used if (cost := self.spent(cluster)) is not None]
        if spent or not used:
            yield figure('cost.spend_usd_24h', sum(spent))
        gpu_hours = sums((gpu_type(one.gpu), gpus_of(one) * self.hours(one, self.now - DAY)) for one in used if one.gpu)
        for name, amount in gpu_hours.items():
            yield figure('gpus.hours_24h', amount, gpu_type=name)
        yield from self.failures()

    def failures(self) -> Iterator[Figure]:
        """Compute what the jobs cost in their whole lives that failed in the last day."""
        of_jobs = [cluster for cluster in self.clusters if cluster.job is not None]
        failed = {job.number for job in self.jobs if job.status.startswith(FAILED) and ended_within(job, self.now, DAY)}
        wasted = [cluster for cluster in of_jobs if cluster.job in failed]
        costs = [
            rate * cluster.up_seconds(self.now) / 3600 for cluster in wasted if (rate := self.rate(cluster)) is not None
        ]
        if of_jobs and (costs or not wasted):
            yield figure('cost.failed_jobs_usd_24h', sum(costs))

    def by_user(self, users: Users) -> Iterator[Figure]:
        """Compute the costs by user."""
        yield from users.figures('cost.hourly_usd_by_user', sums((users.id_of(one), usd) for one, usd in self.priced))
        spent = [(one, self.spent(one)) for one in self.clusters]
        yield from users.figures(
            'cost.spend_usd_24h_by_user', sums((users.id_of(one), usd) for one, usd in spent if usd is not None)
        )

    def by_workspace(self) -> Iterator[Figure]:
        """Compute the costs by workspace."""
        for workspace, usd in sums((one.workspace, usd) for one, usd in self.priced).items():
            yield figure('cost.hourly_usd_by_workspace', usd, workspace=workspace)
        spent = [(one, self.spent(one)) for one in self.clusters]
        for workspace, usd in sums((one.workspace, usd) for one, usd in spent if usd is not None).items():
            yield figure('cost.spend_usd_24h_by_workspace', usd, workspace=workspace)

    def spent(self, cluster: Cluster) -> float | None:
        """Return USD of the last day; None for a cluster without a price, or without machines in that time."""
        hours, rate = self.hours(cluster, self.now - DAY), self.rate(cluster)
        return None if rate is None or not hours else hours * rate

    def hours(self, cluster: Cluster, since: datetime) -> float:
        """Return the hours in which a cluster had machines."""
        # The cloud has given a cluster that is set up for the first time no machine yet.
        intervals = cluster.intervals if cluster.had_machines else ()
        spans = [(min(end or self.now, self.now) - max(start, since)).total_seconds() for start, end in intervals]
        return sum(span for span in spans if span > 0) / 3600

    def rate(self, cluster: Cluster) -> float | None:
        """Return USD per hour for all nodes; None without a price."""
        if cluster.rate is not None:
            return cluster.rate
        return self.own_price(cluster, market(cluster))

    def own_price(self, machines: Cluster | Task, offer: str) -> float | None:
        """Return USD per hour of all GPUs by the option `prices`."""
        per_gpu = self.own_prices.get(gpu_type(machines.gpu), {}).get(offer)
        return None if per_gpu is None else per_gpu * gpus_of(machines)

    def job_rate(self, job: Job, shared: Mapping[str, int]) -> float | None:
        """Return USD per hour of the machines of a job; None when no price is known."""
        rates = [
            rate
            for task in job.tasks
            if has_machines(task) and task.status != 'RECOVERING' and (rate := self._task_rate(job, task)) is not None
        ]
        return sum(rates) / shared.get(job.worker or '', 1) if rates else None

    def _task_rate(self, job: Job, task: Task) -> float | None:
        if not task.holds or task.cloud is None:
            return None
        for cluster in self.clusters:
            if cluster.job == job.number or cluster.name == job.worker:
                return self.rate(cluster)
        spot = task.market == SPOT
        for cluster in self.clusters:
            like = (cluster.cloud, cluster.region, cluster.gpu, cluster.gpus, cluster.spot)
            if like == (task.cloud, task.region, task.gpu, task.gpus, spot) and cluster.rate is not None:
                return cluster.rate / cluster.nodes * task.nodes
        prices = (billed(task.machine, task.region or '', spot=spot), price(task.machine, task.region or '', spot=spot))
        known = [
            one * task.nodes for one in prices if one is not None and task.gpu and task.cloud == task.machine.cloud
        ]
        return known[0] if known else self.own_price(task, 'spot' if spot else 'ondemand')


def is_billed(cluster: Cluster) -> bool:
    """Return True while the cloud bills machines of a cluster."""
    return cluster.had_machines and cluster.status in ('UP', 'AUTOSTOPPING', 'INIT')


def ended_within(job: Job, now: datetime, span: timedelta) -> bool:
    """Return True for a job that ended within a time before now."""
    if job.status not in ENDED:
        return False
    ends = [task.ended for task in job.tasks if task.ended is not None]
    return bool(ends) and max(ends) >= now - span
