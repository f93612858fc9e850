"""Costs of clusters: those that people launched, and those of jobs where the server lists them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from math import fsum
from typing import NamedTuple

from ...core import stats
from ...core.accelerators import gpu_of_choice
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, MAX_VALUES, added_up, combination_labels
from ...core.times import Window, hours_between
from ..price_list import CLOUDS_WITHOUT_PRICES
from ..records import Bill

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


def cost(rated: Sequence[RatedCluster], now: datetime) -> Iterator[Sample]:
    """Yield the totals. A total leaves out the clusters without a price; price_coverage_pct says how many these are."""
    up = [cluster for cluster in rated if cluster.bill.is_up]
    rates = [cluster.rate for cluster in up if cluster.rate is not None]
    unpriced = sum(map(_lacks_price, up))
    yield Sample('cost.hourly_usd', fsum(rates) if rates or not up else None)
    yield Sample('cost.unpriced_clusters', unpriced)
    yield Sample('cost.price_coverage_pct', stats.percentage(len(rates), len(rates) + unpriced))
    yield Sample('cost.spend_usd_24h', _spend(rated, Window.last(now, days=1)))


def breakdown(rated: Sequence[RatedCluster], of_people: Collection[str]) -> Iterator[Sample]:
    """Yield the hourly rate of UP clusters by kind, cloud, market and GPU type; it adds up to cost.hourly_usd.

    Parameters:
        rated: the clusters
        of_people: hashes of the clusters in /status; the cost report omits the kind
    """
    totals: dict[tuple[tuple[str, str], str, str], float] = defaultdict(float)
    for bill, rate in rated:
        if bill.is_up and rate is not None:
            kind = 'cluster' if bill.hash in of_people else 'job'
            totals[(bill.cloud, gpu_of_choice(bill.accelerators)), kind, bill.market] += rate
    shown = combination_labels(added_up(totals, {key: key[0] for key in totals}), MAX_MACHINES)
    by_tags = added_up(totals, {key: (shown[key[0]], *key[1:]) for key in totals})
    for ((cloud, gpu_type), kind, market), usd in by_tags.items():
        tags = {'kind': kind, 'cloud': cloud, 'market': market, 'gpu_type': gpu_type}
        yield Sample('cost.breakdown_hourly_usd', usd, tags)


def _lacks_price(cluster: RatedCluster) -> bool:
    return cluster.rate is None and cluster.bill.cloud not in CLOUDS_WITHOUT_PRICES


def _spend(rated: Sequence[RatedCluster], window: Window) -> float | None:
    """Return USD spent in a window; None when clusters were up and none of them has a price."""
    up = [(hours, rate) for bill, rate in rated if (hours := _hours_up(bill, window)) > 0]
    spent = [hours * rate for hours, rate in up if rate is not None]
    return fsum(spent) if spent or not up else None


def _hours_up(bill: Bill, window: Window) -> float:
    return fsum(
        hours_between(max(start, window.start), min(end or window.end, window.end)) for start, end in bill.intervals
    )
