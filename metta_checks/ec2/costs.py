"""What it costs: sums over prices that are known. What has no price is left out and shows in the coverage."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from ..core import stats
from ..core.refresh import Sample
from ..core.text import slug
from .measures import full_size_gib, on_stopped
from .pricing import HOURS_PER_MONTH, Quote, VolumePrices
from .quotes import Priced
from .records import Snapshot, Volume

MAX_TAG_VALUES = 50
# What a volume type includes beyond its size, per month: IOPS and MiB/s.
INCLUDED_IOPS = {'gp3': 3000, 'io1': 0, 'io2': 0}
INCLUDED_MIBPS = {'gp3': 125}
# io2: where the cheaper tiers of IOPS begin.
IO2_TIERS = (0, 32000, 64000)


def total(quotes: Iterable[Quote | None]) -> float | None:
    """Sum of the known prices: 0 without things, None when there are things and none has a price."""
    listed = list(quotes)
    known = [quote.price for quote in listed if quote is not None]
    return math.fsum(known) if known or not listed else None


def instances(fleet: Collection[Priced], regions: Iterable[str], now: datetime) -> Iterator[Sample]:
    """Attempt prices: the running instances."""
    hourly = total(priced.price for priced in fleet)
    yield Sample('cost.running_hourly_estimate', hourly)
    yield Sample('cost.monthly_estimate', None if hourly is None else hourly * HOURS_PER_MONTH)
    yield Sample('cost.spot_savings_pct', spot_savings(fleet))
    if all(priced.accelerated is not None for priced in fleet):
        yield Sample('cost.gpu_hourly_usd', total(priced.price for priced in fleet if priced.accelerated))
    yield Sample('cost.ondemand_equivalent_hourly_usd', total(priced.ondemand for priced in fleet))
    with_price = sum(priced.price is not None for priced in fleet)
    yield Sample('cost.price_coverage_pct', stats.percentage(with_price, len(fleet)))
    for region in regions:
        quotes = (priced.price for priced in fleet if priced.instance.region == region)
        yield Sample('region.hourly_usd', total(quotes), {'region': region})
    yield Sample('cost.price_age_hours', price_age_hours(fleet, now))


def spot_savings(fleet: Iterable[Priced]) -> float | None:
    """100 * (1 - spot / on-demand) over the spot instances whose both prices are known."""
    both = [(p.price.price, p.ondemand.price) for p in fleet if p.spot and p.price and p.ondemand]
    share = stats.percentage(math.fsum(spot for spot, _ in both), math.fsum(listed for _, listed in both))
    return None if share is None else 100 - share


def price_age_hours(fleet: Iterable[Priced], now: datetime) -> float | None:
    """Hours since the oldest price in use was read. Prices of the user's own table have no age."""
    read = [q.read_at for priced in fleet for q in (priced.price, priced.ondemand) if q and q.read_at is not None]
    return max(0.0, now.timestamp() - min(read)) / 3600 if read else None


def idle(fleet: Collection[Priced], idle_ids: Collection[str]) -> Iterator[Sample]:
    """The part of the idle instances."""
    quotes = (priced.price for priced in fleet if priced.instance.instance_id in idle_ids)
    yield Sample('cost.idle_hourly_usd', total(quotes))


def by_tag(fleet: Collection[Priced], key: str) -> Iterator[Sample]:
    """The estimate by the value of an EC2 tag."""
    name = slug(key)
    parts: dict[str, list[float]] = {}
    for priced in fleet:
        if priced.price is not None:
            # Datadog lowers tag values: what differs in case only is one series.
            value = priced.instance.tags.get(key, 'none').lower() or 'none'
            parts.setdefault(value, []).append(priced.price.price)
    for value, hourly in stats.top(
        {value: math.fsum(prices) for value, prices in parts.items()}, MAX_TAG_VALUES
    ).items():
        yield Sample(f'cost.by_tag_hourly_usd.{name}', hourly, {name: value})


def volume_monthly(volume: Volume, prices: VolumePrices | None) -> float | None:
    """USD per month: size, and IOPS and throughput beyond what the type includes. None when a part has no price."""
    if prices is None or prices.gib is None:
        return None
    parts: list[float | None] = [volume.size * prices.gib]
    if volume.volume_type in INCLUDED_IOPS:
        beyond = max(0, (volume.iops or 0) - INCLUDED_IOPS[volume.volume_type])
        parts += _tiered(beyond, prices.iops, IO2_TIERS if volume.volume_type == 'io2' else (0,))
    if volume.volume_type in INCLUDED_MIBPS:
        beyond = max(0, (volume.throughput or 0) - INCLUDED_MIBPS[volume.volume_type])
        parts += _tiered(beyond, (prices.mibps,), (0,))
    return None if None in parts else math.fsum(part for part in parts if part is not None)


def _tiered(amount: float, prices: Iterable[float | None], begins: tuple[int, ...]) -> Iterator[float | None]:
    """What each tier that is reached costs."""
    ends = (*begins[1:], math.inf)
    for begin, end, price in zip(begins, ends, prices, strict=False):
        inside = min(amount, end) - begin
        if inside > 0:
            yield None if price is None else inside * price


def volumes(
    found: Collection[Volume], prices: Mapping[tuple[str, str], VolumePrices], stopped: Collection[str]
) -> Iterator[Sample]:
    """Attempt prices: the volumes. `stopped`: ids of the stopped instances."""
    monthly = [(volume, volume_monthly(volume, prices.get((volume.region, volume.volume_type)))) for volume in found]

    def part(of: Iterable[tuple[Volume, float | None]]) -> float | None:
        return total(None if price is None else Quote(price, None) for _, price in of)

    yield Sample('cost.ebs_monthly_usd', part(monthly))
    yield Sample('cost.unattached_ebs_monthly_usd', part(pair for pair in monthly if pair[0].state == 'available'))
    yield Sample('cost.stopped_ebs_monthly_usd', part(pair for pair in monthly if on_stopped(pair[0], stopped)))
    priced = sum(volume.size for volume, price in monthly if price is not None)
    yield Sample('cost.ebs_price_coverage_pct', stats.percentage(priced, sum(volume.size for volume in found)))


def snapshots(found: Collection[Snapshot], prices: Mapping[str, float]) -> Iterator[Sample]:
    """Attempt prices: the data in the snapshots. None when a region with snapshots has no price."""
    by_region: dict[str, list[Snapshot]] = {}
    for snapshot in found:
        by_region.setdefault(snapshot.region, []).append(snapshot)
    parts = []
    for region, some in by_region.items():
        size = full_size_gib(some)
        parts.append(None if size is None or region not in prices else size * prices[region])
    value = None if None in parts else math.fsum(part for part in parts if part is not None)
    yield Sample('cost.snapshots_monthly_usd', value)


def billed(amount: float) -> Iterator[Sample]:
    """Attempt billing: what AWS says of the last full day."""
    yield Sample('cost.billed_yesterday_usd', amount)
