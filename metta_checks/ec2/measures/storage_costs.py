"""Estimated monthly costs of EBS volumes and snapshots."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import MAX_VALUES
from ..prices import VolumePrices, total
from ..records import Volume
from ..tag_keys import TagKey, tag_value

# IOPS and MiB/s that the price per GiB includes, by volume type. Other types do not charge for them.
INCLUDED_IOPS = {'gp3': 3000, 'io1': 0, 'io2': 0}
INCLUDED_MIBPS = {'gp3': 125}
# The IOPS at which each price tier of io2 begins.
IO2_TIERS = (0, 32000, 64000)
ONE_TIER = (0,)
# A part of the price of a volume; None: it has no list price.
Part = float | None
# A volume with its USD per month, None without a price.
PricedVolume = tuple[Volume, float | None]


def monthly(found: Iterable[tuple[Volume, VolumePrices | None]]) -> list[PricedVolume]:
    """Return volumes with their USD per month, from the prices of their types."""
    return [(volume, volume_monthly_usd(volume, prices)) for volume, prices in found]


def volumes(priced: Collection[PricedVolume], stopped_ids: Collection[str] | None) -> Iterator[Sample]:
    """Yield the samples of block storage_prices. `stopped_ids` are the stopped instances, None: not known."""
    yield Sample('cost.ebs_monthly_usd', total(usd for _, usd in priced))
    yield Sample('cost.unattached_ebs_monthly_usd', total(usd for volume, usd in priced if volume.is_unattached))
    if stopped_ids is not None:
        stopped = (usd for volume, usd in priced if volume.is_attached_only_to(stopped_ids))
        yield Sample('cost.stopped_ebs_monthly_usd', total(stopped))
    size_with_price = sum(volume.size for volume, usd in priced if usd is not None)
    size = sum(volume.size for volume, _ in priced)
    yield Sample('cost.ebs_price_coverage_pct', stats.percentage(size_with_price, size))


def by_tag(priced: Iterable[PricedVolume], key: TagKey) -> Iterator[Sample]:
    """Yield the price of the volumes by the value of an EC2 tag of the volume."""
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for volume, usd in priced:
        if usd is not None:
            parts[tag_value(volume.tags.get(key.key))].append(usd)
    totals = {value: math.fsum(some) for value, some in parts.items()}
    for value, usd in stats.top(totals, MAX_VALUES).items():
        yield Sample(f'cost.ebs_by_tag_monthly_usd.{key.name}', usd, {key.tag: value})


def snapshots(stock: Iterable[tuple[float, float | None]]) -> Iterator[Sample]:
    """Yield the sample of block snapshot_prices from GiB with their USD per GiB and month, None without a price."""
    parts = [None if price is None else gib * price for gib, price in stock]
    yield Sample('cost.snapshots_monthly_usd', _complete_sum(parts))


def volume_monthly_usd(volume: Volume, prices: VolumePrices | None) -> float | None:
    """Return the price of size, IOPS and throughput beyond those that the type includes; None when one has no price."""
    if prices is None or prices.gib is None:
        return None
    return _complete_sum([volume.size * prices.gib, *_iops_parts(volume, prices), *_throughput_parts(volume, prices)])


def _iops_parts(volume: Volume, prices: VolumePrices) -> Iterator[Part]:
    included = INCLUDED_IOPS.get(volume.volume_type)
    if included is not None:
        beyond = max(0, (volume.iops or 0) - included)
        yield from _tiers(beyond, prices.iops, IO2_TIERS if volume.volume_type == 'io2' else ONE_TIER)


def _throughput_parts(volume: Volume, prices: VolumePrices) -> Iterator[Part]:
    included = INCLUDED_MIBPS.get(volume.volume_type)
    if included is not None:
        yield from _tiers(max(0, (volume.throughput or 0) - included), (prices.mibps,), ONE_TIER)


def _tiers(amount: float, prices: Iterable[float | None], begins: tuple[int, ...]) -> Iterator[Part]:
    """Yield the price of the part of an amount that falls into each tier."""
    ends = (*begins[1:], math.inf)
    for begin, end, price in zip(begins, ends, prices, strict=False):
        inside = min(amount, end) - begin
        if inside > 0:
            yield None if price is None else inside * price


def _complete_sum(parts: Iterable[Part]) -> float | None:
    """Return the sum of the parts, None when one of them has no price."""
    known = []
    for part in parts:
        if part is None:
            return None
        known.append(part)
    return math.fsum(known)
