"""Estimated costs of running instances. The sums leave out instances without a price; the coverage counts them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import MAX_VALUES, labels
from ...core.text import slug
from ...core.times import hours_between
from ..prices import PricedInstance, total

HOURS_PER_MONTH = 730
WITHOUT_TAG = 'none'


def measure(priced: Collection[PricedInstance], regions: Iterable[str], now: datetime) -> Iterator[Sample]:
    """Yield the samples of block prices about all running instances."""
    hourly = total(one.usd for one in priced)
    yield Sample('cost.running_hourly_estimate', hourly)
    yield Sample('cost.monthly_estimate', None if hourly is None else hourly * HOURS_PER_MONTH)
    yield Sample('cost.spot_savings_pct', spot_savings_pct(priced))
    yield Sample('cost.gpu_hourly_usd', _accelerated_total(priced))
    yield Sample('cost.ondemand_equivalent_hourly_usd', total(one.ondemand_usd for one in priced))
    with_price = sum(one.price is not None for one in priced)
    yield Sample('cost.price_coverage_pct', stats.percentage(with_price, len(priced)))
    yield from _by_region(priced, regions)
    yield Sample('cost.price_age_hours', price_age_hours(priced, now))


def idle(priced: Iterable[PricedInstance], idle_ids: Collection[str]) -> Iterator[Sample]:
    """Yield the price of the idle instances among the running ones."""
    yield Sample('cost.idle_hourly_usd', total(one.usd for one in priced if one.instance.instance_id in idle_ids))


def by_tag(priced: Iterable[PricedInstance], key: str) -> Iterator[Sample]:
    """Yield the price of the running instances by the value of an EC2 tag."""
    name = slug(key)
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for one in priced:
        if one.usd is not None:
            parts[_tag_value(one, key)].append(one.usd)
    totals = {value: math.fsum(prices) for value, prices in parts.items()}
    for value, hourly in stats.top(totals, MAX_VALUES).items():
        yield Sample(f'cost.by_tag_hourly_usd.{name}', hourly, {name: value})


def spot_savings_pct(priced: Iterable[PricedInstance]) -> float | None:
    """Return 100 * (1 - spot / on-demand) over the spot instances of which both prices are known."""
    spot = (one for one in priced if one.is_spot)
    both = [(one.price.usd, one.ondemand.usd) for one in spot if one.price and one.ondemand]
    share = stats.percentage(math.fsum(usd for usd, _ in both), math.fsum(usd for _, usd in both))
    return None if share is None else 100 - share


def price_age_hours(priced: Iterable[PricedInstance], now: datetime) -> float | None:
    """Return the hours since the oldest price in use was read. Prices from the option `prices.table` have no age."""
    used = [price for one in priced for price in (one.price, one.ondemand) if price is not None]
    read = [price.read_at for price in used if price.read_at is not None]
    return hours_between(min(read), now) if read else None


def _by_region(priced: Collection[PricedInstance], regions: Iterable[str]) -> Iterator[Sample]:
    """Yield the price per region; the regions with a series of their own are those with the most instances."""
    running = dict.fromkeys(regions, 0.0) | Counter(one.instance.region for one in priced)
    prices: defaultdict[str, list[float | None]] = defaultdict(list)
    shown = labels(running)
    for one in priced:
        prices[shown[one.instance.region]].append(one.usd)
    for region in dict.fromkeys(shown.values()):
        yield Sample('region.hourly_usd', total(prices[region]), {'region': region})


def _accelerated_total(priced: Collection[PricedInstance]) -> float | None:
    """Return the price of the instances with GPUs or Neuron devices; None when the type of one is not known."""
    if any(one.accelerated is None for one in priced):
        return None
    return total(one.usd for one in priced if one.accelerated)


def _tag_value(priced: PricedInstance, key: str) -> str:
    # Datadog lowers tag values: values that differ only in case are one series.
    return priced.instance.tags.get(key, WITHOUT_TAG).lower() or WITHOUT_TAG
