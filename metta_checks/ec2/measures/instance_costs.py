"""Estimated costs of running instances. The sums leave out instances without a price; the coverage counts them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, MAX_VALUES
from ...core.times import hours_between
from ..prices import PricedInstance, total
from ..records import Fleet, InstanceType
from ..tag_keys import TagKey, stored_value, tag_value
from .accelerators import is_fleet_known, shares

HOURS_PER_MONTH = 730


def measure(priced: Collection[PricedInstance], fleet: Fleet, now: datetime) -> Iterator[Sample]:
    """Yield the samples of block prices about all running instances."""
    hourly = total(one.usd for one in priced)
    yield Sample('cost.running_hourly_estimate', hourly)
    yield Sample('cost.monthly_estimate', None if hourly is None else hourly * HOURS_PER_MONTH)
    yield Sample('cost.spot_savings_pct', spot_savings_pct(priced))
    if is_fleet_known(fleet):
        yield Sample('cost.gpu_hourly_usd', total(one.usd for one, _ in accelerated(priced, fleet.types)))
    yield Sample('cost.ondemand_equivalent_hourly_usd', total(one.ondemand_usd for one in priced))
    with_price = sum(one.price is not None for one in priced)
    yield Sample('cost.price_coverage_pct', stats.percentage(with_price, len(priced)))
    yield Sample('cost.price_age_hours', price_age_hours(priced, now))


def by_gpu_type(priced: Iterable[PricedInstance], fleet: Fleet) -> Iterator[Sample]:
    """Yield the parts of `cost.gpu_hourly_usd` by the model of the accelerators."""
    if not is_fleet_known(fleet):
        return
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for one, instance_type in accelerated(priced, fleet.types):
        if one.usd is not None:
            for model, share in shares(instance_type).items():
                parts[model].append(one.usd * share)
    for model, hourly in stats.top(_sums(parts), MAX_GPU_TYPES).items():
        yield Sample('cost.by_gpu_type_hourly_usd', hourly, {'gpu_type': model})


def idle(priced: Iterable[PricedInstance], idle_ids: Collection[str]) -> Iterator[Sample]:
    """Yield the price of the idle instances among the running ones."""
    yield Sample('cost.idle_hourly_usd', total(one.usd for one in _idle(priced, idle_ids)))


def by_tag(priced: Collection[PricedInstance], key: TagKey) -> Iterator[Sample]:
    """Yield the price of the running instances by the value of an EC2 tag, and the share of those without a value."""
    totals = _by_value(priced, key)
    yield from _shown(f'cost.by_tag_hourly_usd.{key.name}', totals, key)
    untagged = (one.usd for one in priced if not stored_value(one.instance.tags.get(key.key)))
    share = stats.percentage(math.fsum(filter(None, untagged)), math.fsum(totals.values()))
    yield Sample(f'cost.untagged_pct.{key.name}', share)


def idle_by_tag(priced: Iterable[PricedInstance], idle_ids: Collection[str], key: TagKey) -> Iterator[Sample]:
    """Yield the price of the idle instances by the value of an EC2 tag."""
    yield from _shown(f'cost.idle_by_tag_hourly_usd.{key.name}', _by_value(_idle(priced, idle_ids), key), key)


def spot_savings_pct(priced: Iterable[PricedInstance]) -> float | None:
    """Return 100 * (1 - spot / on-demand) over the spot instances of which both prices are known."""
    both = [(one.spot.usd, one.ondemand.usd) for one in priced if one.spot and one.ondemand]
    share = stats.percentage(math.fsum(usd for usd, _ in both), math.fsum(usd for _, usd in both))
    return None if share is None else 100 - share


def price_age_hours(priced: Iterable[PricedInstance], now: datetime) -> float | None:
    """Return the hours since the oldest price in use was read. Prices from the option `prices.table` have no age."""
    used = [price for one in priced for price in (one.price, one.ondemand) if price is not None]
    read = [price.read_at for price in used if price.read_at is not None]
    return hours_between(min(read), now) if read else None


def accelerated(
    priced: Iterable[PricedInstance], types: Mapping[str, InstanceType]
) -> list[tuple[PricedInstance, InstanceType]]:
    """Return the instances with GPUs or other accelerators, with their types."""
    found = ((one, types.get(one.instance.instance_type)) for one in priced)
    return [(one, instance_type) for one, instance_type in found if instance_type and instance_type.accelerated]


def _idle(priced: Iterable[PricedInstance], idle_ids: Collection[str]) -> list[PricedInstance]:
    return [one for one in priced if one.instance.instance_id in idle_ids]


def _by_value(priced: Iterable[PricedInstance], key: TagKey) -> dict[str, float]:
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for one in priced:
        if one.usd is not None:
            parts[tag_value(one.instance.tags.get(key.key))].append(one.usd)
    return _sums(parts)


def _sums(parts: Mapping[str, Iterable[float]]) -> dict[str, float]:
    return {name: math.fsum(some) for name, some in parts.items()}


def _shown(name: str, totals: Mapping[str, float], key: TagKey) -> Iterator[Sample]:
    for value, hourly in stats.top(totals, MAX_VALUES).items():
        yield Sample(name, hourly, {key.tag: value})
