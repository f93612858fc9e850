"""Cost of running instances, volumes and snapshots at list price."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ...core.text import slug
from . import hardware
from . import idle as idle_instances
from .account import Account, Placed
from .instance_prices import InstancePrices
from .rows import Row, by_tag, known_sum, row
from .storage import GIB, is_parked, stopped_machines
from .volume_prices import VolumePrices

HOURS_PER_MONTH = 730
MAX_VALUES = 50


def rows(account: Account, idle: list[Placed]) -> Iterator[Row]:
    """Yield the figures of the block of prices."""
    prices = InstancePrices(account)
    paid = [(region, machine, prices.price(region, machine)) for region, machine in account.running]
    yield from _instances(account, paid)
    yield from _against_list_price(account, prices)
    if idle_instances.source(account) != 'off':
        ids = {machine.id for _, machine in idle}
        yield row('cost.idle_hourly_usd', known_sum(price for _, machine, price in paid if machine.id in ids))
    if account.option('gpu_breakdown', False):
        yield from _by_gpu_type(account, paid)
    for key in account.option('tag_by', ()):
        yield from _by_tag(key, paid)
    yield from _volumes(account)


Paid = list[tuple[str, Any, float | None]]


def _instances(account: Account, paid: Paid) -> Iterator[Row]:
    hourly = known_sum(price for *_, price in paid)
    yield row('cost.running_hourly_estimate', hourly)
    yield row('cost.monthly_estimate', None if hourly is None else hourly * HOURS_PER_MONTH)
    if paid:
        yield row('cost.price_coverage_pct', 100 * sum(price is not None for *_, price in paid) / len(paid))
    accelerated = known_sum(price for _, machine, price in paid if account.has_accelerator(machine))
    yield row('cost.gpu_hourly_usd', accelerated)
    for region in account.regions:
        here = known_sum(price for where, _, price in paid if where == region)
        yield row('region.hourly_usd', here, region=region)


def _against_list_price(account: Account, prices: InstancePrices) -> Iterator[Row]:
    yield row('cost.ondemand_equivalent_hourly_usd', known_sum(prices.list_price(*each) for each in account.running))
    spot = [each for each in account.running if each[1].instance_lifecycle == 'spot']
    pairs = [(prices.spot_price(*each), prices.list_price(*each)) for each in spot]
    known = [(price, listed) for price, listed in pairs if price is not None and listed is not None]
    if known:
        paid, listed_sum = math.fsum(price for price, _ in known), math.fsum(listed for _, listed in known)
        yield row('cost.spot_savings_pct', 100 * (1 - paid / listed_sum))


def _by_gpu_type(account: Account, paid: Paid) -> Iterator[Row]:
    """Yield the cost by model of GPUs and other accelerators, divided by their numbers where a type has several."""
    totals: dict[str, float] = defaultdict(float)
    for _, machine, price in paid:
        described = account.types[machine.instance_type]
        models = hardware.gpus(described) + hardware.devices(described)
        for model, number in models.items():
            if price is not None:
                totals[model] += price * number / models.total()
    for model, total in totals.items():
        yield row('cost.by_gpu_type_hourly_usd', total, gpu_type=model)


def _by_tag(key: str, paid: Paid) -> Iterator[Row]:
    """Yield the cost by the value of an EC2 tag, as Datadog stores it: in lower case."""
    totals: dict[str, float] = defaultdict(float)
    for _, machine, price in paid:
        if price is not None:
            value = next((tag['Value'] for tag in machine.tags or () if tag['Key'] == key), '')
            totals[value.lower() or 'none'] += price
    yield from by_tag(f'cost.by_tag_hourly_usd.{slug(key)}', slug(key), totals, MAX_VALUES)


def _volumes(account: Account) -> Iterator[Row]:
    prices = VolumePrices(account)
    priced = [(volume, prices.price(region, volume)) for region, volume in account.volumes]
    parked = stopped_machines(account)
    yield row('cost.ebs_monthly_usd', known_sum(price for _, price in priced))
    free = known_sum(price for volume, price in priced if volume.state == 'available')
    yield row('cost.unattached_ebs_monthly_usd', free)
    stopped = known_sum(price for volume, price in priced if is_parked(volume, parked))
    yield row('cost.stopped_ebs_monthly_usd', stopped)
    size = sum(volume.size for volume, _ in priced)
    if size:
        known = sum(volume.size for volume, price in priced if price is not None)
        yield row('cost.ebs_price_coverage_pct', 100 * known / size)
    if account.option('price_snapshots', False):
        yield row('cost.snapshots_monthly_usd', _snapshots(account, prices))


def _snapshots(account: Account, prices: VolumePrices) -> float | None:
    """Return USD per month of the data that AWS reports; None when a region with snapshots has no price."""
    total = 0.0
    for region, copy in account.snapshots:
        price = prices.snapshot_price(region)
        if price is None:
            return None
        total += (copy.full_snapshot_size_in_bytes or 0) / GIB * price
    return total
