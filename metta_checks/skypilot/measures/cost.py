"""Costs of clusters: those that people launched, and those of jobs, pools and services where the server lists them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from math import fsum
from typing import NamedTuple

from ...core import stats
from ...core.accelerators import gpu_of_choice
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, MAX_VALUES, added_up, combination_labels, labels
from ...core.times import Window
from ..cluster_records import Bill
from ..kinds import Kinds
from ..records import is_failed
from .tags import by_user

# Clouds and GPU types, each with its limit.
MAX_MACHINES = MAX_VALUES + MAX_GPU_TYPES


class RatedCluster(NamedTuple):
    """A cluster with its price.

    Attributes:
        bill: the cluster in the cost report
        rate: USD per hour for all nodes; None when no price is known
    """

    bill: Bill
    rate: float | None

    def spent(self, window: Window) -> float:
        """Return USD spent in a window; 0 without a price."""
        return self.bill.hours_up(window) * (self.rate or 0.0)


def cost(rated: Sequence[RatedCluster], now: datetime) -> Iterator[Sample]:
    """Yield the totals. A total leaves out the clusters without a price; price_coverage_pct says how many these are."""
    billed = [cluster for cluster in rated if cluster.bill.is_billed]
    rates = [cluster.rate for cluster in billed if cluster.rate is not None]
    yield Sample('cost.hourly_usd', fsum(rates) if rates or not billed else None)
    yield Sample('cost.unpriced_clusters', len(billed) - len(rates))
    yield Sample('cost.price_coverage_pct', stats.percentage(len(rates), len(billed)))
    yield Sample('cost.spend_usd_24h', _spend(rated, Window.last(now, days=1)))


def breakdown(rated: Iterable[RatedCluster], kinds: Kinds) -> Iterator[Sample]:
    """Yield the hourly rate by kind, cloud, market and GPU type; it adds up to cost.hourly_usd."""
    totals: dict[tuple[tuple[str, str], str, str], float] = defaultdict(float)
    for bill, rate in _priced(rated):
        totals[(bill.cloud, gpu_of_choice(bill.accelerators)), kinds.of(bill), bill.market] += rate
    shown = combination_labels(added_up(totals, {key: key[0] for key in totals}), MAX_MACHINES)
    by_tags = added_up(totals, {key: (shown[key[0]], *key[1:]) for key in totals})
    for ((cloud, gpu_type), kind, market), usd in by_tags.items():
        tags = {'kind': kind, 'cloud': cloud, 'market': market, 'gpu_type': gpu_type}
        yield Sample('cost.breakdown_hourly_usd', usd, tags)


def of_users(rated: Sequence[RatedCluster], now: datetime) -> Iterator[Sample]:
    """Yield the rate and the spend of 24 h by user; each adds up to its total."""
    names = {cluster.bill.user_id: cluster.bill.user for cluster in rated}
    rates, spent = _by_owner(rated, now, lambda bill: bill.user_id)
    yield from by_user('cost.hourly_usd_by_user', rates, names)
    yield from by_user('cost.spend_usd_24h_by_user', spent, names)


def of_workspaces(rated: Sequence[RatedCluster], now: datetime) -> Iterator[Sample]:
    """Yield the rate and the spend of 24 h by workspace; each adds up to its total."""
    rates, spent = _by_owner(rated, now, lambda bill: bill.workspace.lower())
    for name, totals in (('cost.hourly_usd_by_workspace', rates), ('cost.spend_usd_24h_by_workspace', spent)):
        for workspace, usd in added_up(totals, labels(totals)).items():
            yield Sample(name, usd, {'workspace': workspace})


def gpu_hours(bills: Iterable[Bill], now: datetime) -> Iterator[Sample]:
    """Yield the GPU-hours of the last 24 h by type."""
    window = Window.last(now, days=1)
    totals: dict[str, float] = defaultdict(float)
    for bill in bills:
        hours = bill.hours_up(window)
        for name, count in bill.accelerators.items() if hours > 0 else ():
            totals[name] += hours * bill.nodes * count
    for gpu_type, hours in added_up(totals, labels(totals, MAX_GPU_TYPES)).items():
        yield Sample('gpus.hours_24h', hours, {'gpu_type': gpu_type})


def failed_jobs(rated: Sequence[RatedCluster], kinds: Kinds, now: datetime) -> Iterator[Sample]:
    """Yield USD that the clusters of jobs cost in their whole life whose job failed in the last 24 h.

    Absent when the server lists no clusters of jobs, or when none of these clusters has a price.
    """
    window = Window.last(now, days=1)
    of_jobs = [(cluster, job) for cluster in rated if (job := kinds.job(cluster.bill)) is not None]
    failed = [
        cluster
        for cluster, job in of_jobs
        if is_failed(job.status) and job.ended_at is not None and window.start <= job.ended_at <= window.end
    ]
    known = [cluster for cluster in failed if cluster.rate is not None]
    life = Window(datetime.min.replace(tzinfo=now.tzinfo), now)
    is_known = bool(of_jobs) and (bool(known) or not failed)
    yield Sample('cost.failed_jobs_usd_24h', fsum(one.spent(life) for one in known) if is_known else None)


def rates_of_jobs(rated: Iterable[RatedCluster], kinds: Kinds) -> dict[int, float | None]:
    """Return USD per hour by the id of each job whose clusters are listed and billed; None without a known price."""
    by_job: dict[int, list[float | None]] = defaultdict(list)
    for bill, rate in rated:
        if bill.is_billed and (job := kinds.job(bill)) is not None:
            by_job[job.id].append(rate)
    known = {number: [rate for rate in rates if rate is not None] for number, rates in by_job.items()}
    return {number: fsum(rates) if rates else None for number, rates in known.items()}


def _priced(rated: Iterable[RatedCluster]) -> Iterator[tuple[Bill, float]]:
    """Yield the clusters that are billed at present and have a price."""
    for bill, rate in rated:
        if bill.is_billed and rate is not None:
            yield bill, rate


def _by_owner(
    rated: Sequence[RatedCluster], now: datetime, owner: Callable[[Bill], str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the hourly rate and the spend of 24 h by owner."""
    window = Window.last(now, days=1)
    rates: dict[str, float] = defaultdict(float)
    spent: dict[str, float] = defaultdict(float)
    for bill, rate in _priced(rated):
        rates[owner(bill)] += rate
    for cluster in rated:
        if cluster.rate is not None and cluster.bill.hours_up(window) > 0:
            spent[owner(cluster.bill)] += cluster.spent(window)
    return rates, spent


def _spend(rated: Iterable[RatedCluster], window: Window) -> float | None:
    """Return USD spent in a window; None when clusters were up and none of them has a price."""
    up = [cluster for cluster in rated if cluster.bill.hours_up(window) > 0]
    known = [cluster.spent(window) for cluster in up if cluster.rate is not None]
    return fsum(known) if known or not up else None
