"""Cost of running instances, volumes and snapshots at list price, without Outposts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from . import ec2_tags, hardware
from . import idle as idle_instances
from .account import Account
from .instance_prices import InstancePrices, on_outpost
from .rows import Row, by_tag, known_sum, row, tagged
from .storage import is_parked, stopped_machines
from .volume_prices import VolumePrices

HOURS_PER_MONTH = 730
# Instances or volumes that AWS bills, each with its region and price.
Paid = list[tuple[str, Any, float | None]]


def rows(account: Account, idle: idle_instances.Found) -> Iterator[Row]:
    """Yield the figures of cost."""
    prices = InstancePrices(account)
    paid = [(region, machine, prices.price(region, machine)) for region, machine in _billed(account.running)]
    yield from _instances(account, paid)
    yield from _against_list_price(account, prices)
    yield from _accelerated(account, paid)
    ids = {machine.id for _, machine in idle.idle}
    idle_paid = [one for one in paid if one[1].id in ids]
    if idle_instances.source(account) != 'off':
        yield row('cost.idle_hourly_usd', known_sum(price for *_, price in idle_paid))
    for key in account.option('tag_by', ()):
        yield from _by_tag('cost.by_tag_hourly_usd', key, paid)
        yield from _by_tag('cost.idle_by_tag_hourly_usd', key, idle_paid)
        yield from _untagged(key, paid)
    yield from _storage(account)


def _billed(things: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(region, thing) for region, thing in things if not on_outpost(thing)]


def _instances(account: Account, paid: Paid) -> Iterator[Row]:
    hourly = known_sum(price for *_, price in paid)
    yield row('cost.running_hourly_estimate', hourly)
    yield row('cost.monthly_estimate', None if hourly is None else hourly * HOURS_PER_MONTH)
    priced = sum(price is not None for *_, price in paid)
    yield row('cost.price_coverage_pct', 100 * priced / len(paid) if paid else None)
    for region in account.regions:
        here = known_sum(price for where, _, price in paid if where == region)
        yield row('region.hourly_usd', here, region=region)


def _against_list_price(account: Account, prices: InstancePrices) -> Iterator[Row]:
    billed = _billed(account.running)
    yield row('cost.ondemand_equivalent_hourly_usd', known_sum(prices.list_price(*each) for each in billed))
    spot = [each for each in billed if each[1].instance_lifecycle == 'spot']
    pairs = [(prices.spot_price(*each), prices.list_price(*each)) for each in spot]
    known = [(price, listed) for price, listed in pairs if price is not None and listed is not None]
    paid, listed_sum = math.fsum(price for price, _ in known), math.fsum(listed for _, listed in known)
    yield row('cost.spot_savings_pct', 100 * (1 - paid / listed_sum) if known else None)


def _accelerated(account: Account, paid: Paid) -> Iterator[Row]:
    """Yield the cost of GPUs and other accelerators; where a type has several models, divided by their numbers."""
    if not hardware.is_known(account):
        return
    prices: list[float | None] = []
    models: dict[str, float] = defaultdict(float)
    for _, machine, price in paid:
        described = account.types.get(machine.instance_type, {})
        numbers = hardware.gpus(described) + hardware.devices(described)
        if numbers:
            prices.append(price)
        for model, number in numbers.items():
            if price is not None:
                models[model] += price * number / numbers.total()
    yield row('cost.gpu_hourly_usd', known_sum(prices))
    if account.option('gpu_breakdown', False):
        yield from tagged('cost.by_gpu_type_hourly_usd', 'gpu_type', models)


def _by_tag(metric: str, key: str, paid: Paid) -> Iterator[Row]:
    totals: dict[str, float] = defaultdict(float)
    for _, thing, price in paid:
        if price is not None:
            totals[ec2_tags.value_of(thing.tags, key)] += price
    name, tag = ec2_tags.stored_key(key)
    yield from by_tag(f'{metric}.{name}', tag, totals, ec2_tags.MAX_VALUES)


def _untagged(key: str, paid: Paid) -> Iterator[Row]:
    known = [(ec2_tags.value_of(machine.tags, key), price) for _, machine, price in paid if price is not None]
    total = math.fsum(price for _, price in known)
    without = math.fsum(price for value, price in known if value == ec2_tags.NONE)
    yield row(f'cost.untagged_pct.{ec2_tags.stored_key(key)[0]}', 100 * without / total if total else None)


def _storage(account: Account) -> Iterator[Row]:
    prices = VolumePrices(account)
    paid = [(region, volume, prices.price(region, volume)) for region, volume in _billed(account.volumes)]
    parked = stopped_machines(account)
    yield row('cost.ebs_monthly_usd', known_sum(price for *_, price in paid))
    free = known_sum(price for _, volume, price in paid if volume.state == 'available')
    yield row('cost.unattached_ebs_monthly_usd', free)
    stopped = known_sum(price for _, volume, price in paid if is_parked(volume, parked))
    yield row('cost.stopped_ebs_monthly_usd', stopped)
    size = sum(volume.size for _, volume, _ in paid)
    known = sum(volume.size for _, volume, price in paid if price is not None)
    yield row('cost.ebs_price_coverage_pct', 100 * known / size if size else None)
    for key in account.option('tag_by', ()):
        yield from _by_tag('cost.ebs_by_tag_monthly_usd', key, paid)
    if account.option('price_snapshots', False) and account.option('read_snapshots', True):
        copies = [prices.snapshot_price(region, copy) for region, copy in _billed(account.snapshots)]
        yield row('cost.snapshots_monthly_usd', None if None in copies else known_sum(copies))
