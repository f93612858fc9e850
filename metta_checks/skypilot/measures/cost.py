"""What clusters cost: those of people, and those of jobs where the server lists them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from math import fsum

from ...core import stats
from ...core.accelerators import gpu_of_choice
from ...core.refresh import Sample
from ..prices import CLOUDS_WITHOUT_PRICES
from ..records import Bill

HOUR = 3600
DAY = 24 * HOUR
BREAKDOWN_TAGS = ('kind', 'cloud', 'market', 'gpu_type')
# A cluster with what it costs, USD per hour for all nodes; None where nobody knows.
Rated = tuple[Bill, float | None]


def cost(rated: Sequence[Rated], now: datetime) -> Iterator[Sample]:
    """Totals. A sum over clusters of which some have no price is a sum of the others; price_coverage_pct says so."""
    up = [(bill, rate) for bill, rate in rated if bill.is_up]
    rates = [rate for _, rate in up if rate is not None]
    yield Sample('cost.hourly_usd', fsum(rates) if rates or not up else None)
    unpriced = sum(rate is None and bill.cloud not in CLOUDS_WITHOUT_PRICES for bill, rate in up)
    yield Sample('cost.unpriced_clusters', unpriced)
    yield Sample('cost.price_coverage_pct', stats.percentage(len(rates), len(rates) + unpriced))
    moment = now.timestamp()
    lately = [(hours, rate) for bill, rate in rated if (hours := _hours(bill, moment - DAY, moment)) > 0]
    spent = [hours * rate for hours, rate in lately if rate is not None]
    yield Sample('cost.spend_usd_24h', fsum(spent) if spent or not lately else None)


def breakdown(rated: Sequence[Rated], of_people: Collection[str]) -> Iterator[Sample]:
    """The hourly rate of UP clusters by kind, cloud, market and GPU type; it adds up to cost.hourly_usd.

    `of_people` are the hashes of the clusters in /status: the report does not say whom a cluster belongs to.
    """
    totals: dict[tuple[str, str, str, str], float] = defaultdict(float)
    for bill, rate in rated:
        if bill.is_up and rate is not None:
            kind = 'cluster' if bill.hash in of_people else 'job'
            totals[kind, bill.cloud, bill.market, gpu_of_choice(bill.accelerators)] += rate
    for key, usd in totals.items():
        yield Sample('cost.breakdown_hourly_usd', usd, dict(zip(BREAKDOWN_TAGS, key, strict=True)))


def _hours(bill: Bill, start: float, end: float) -> float:
    """Hours that a cluster was up inside a window."""
    return fsum(
        max(0.0, min(end if stop is None else stop, end) - max(begin, start)) / HOUR for begin, stop in bill.intervals
    )
