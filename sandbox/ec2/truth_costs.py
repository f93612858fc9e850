"""The truth about the cost of instances, volumes and snapshots at list price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from . import tariff
from .estate import GIB, Copy, Disk, Machine
from .places import price_region
from .truth_facts import Facts, Row, stored_key, stored_value


def rows(facts: Facts, options: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the figures of cost."""
    yield from _instances(facts)
    yield from _ondemand(facts)
    for key in options.get('tag_by', ()):
        yield from _by_tag(facts, key)
    yield from _volumes(facts)
    if options.get('price_snapshots') and options.get('read_snapshots', True):
        yield 'cost.snapshots_monthly_usd', sum(_copy_price(copy, facts.now) for copy in facts.copies)


def _sum(prices: list[float | None]) -> list[float]:
    """Return the sum as a list: 0 of nothing, and none where there are things and no price."""
    known = [price for price in prices if price is not None]
    return [sum(known)] if known or not prices else []


def _instances(facts: Facts) -> Iterator[Row]:
    billed = facts.billed_machines()
    prices = [facts.price(m) for m in billed]
    for hourly in _sum(prices):
        yield 'cost.running_hourly_estimate', hourly
        yield 'cost.monthly_estimate', hourly * 730
    if billed:
        yield 'cost.price_coverage_pct', 100 * sum(price is not None for price in prices) / len(billed)
    kinds = [tariff.KINDS[m.kind] for m in billed]
    accelerated = [price for kind, price in zip(kinds, prices, strict=True) if kind.described and kind.accelerated]
    for hourly in _sum(accelerated) if facts.knows_types else []:
        yield 'cost.gpu_hourly_usd', hourly
    for hourly in _sum([facts.price(m) for m in billed if facts.is_idle(m)]):
        yield 'cost.idle_hourly_usd', hourly
    for region in facts.regions:
        for hourly in _sum([facts.price(m) for m in billed if m.region == region]):
            yield 'region.hourly_usd', hourly, f'region:{region}'


def _ondemand(facts: Facts) -> Iterator[Row]:
    billed = facts.billed_machines()
    for hourly in _sum([facts.list_price(m) for m in billed]):
        yield 'cost.ondemand_equivalent_hourly_usd', hourly
    pairs = [(facts.price(m), facts.list_price(m)) for m in billed if m.lifecycle == 'spot']
    known = [(price, listed) for price, listed in pairs if price is not None and listed is not None]
    if known:
        listed_sum = sum(listed for _, listed in known)
        yield 'cost.spot_savings_pct', 100 * (listed_sum - sum(price for price, _ in known)) / listed_sum


def _tag(machine: Machine, key: str) -> str:
    """Return the value of an EC2 tag; keys are the same in one case only."""
    tags = {'team': machine.team, **machine.tags}
    return stored_value(tags.get(key, ''))


def _by_tag(facts: Facts, key: str) -> Iterator[Row]:
    name, shown = stored_key(key)
    costs: dict[str, float] = defaultdict(float)
    idle: dict[str, float] = defaultdict(float)
    for machine, price in facts.priced():
        costs[_tag(machine, key)] += price
        if facts.is_idle(machine):
            idle[_tag(machine, key)] += price
    gpus: dict[str, float] = defaultdict(float)
    for machine in facts.running:
        if tariff.KINDS[machine.kind].gpus and facts.knows_types:
            gpus[_tag(machine, key)] += tariff.KINDS[machine.kind].gpus
    volumes: dict[str, float] = defaultdict(float)
    for disk in facts.disks:
        monthly = _disk_price(disk)
        if monthly is not None:
            volumes[stored_value(disk.tags.get(key, ''))] += monthly
    for metric, values in (
        ('cost.by_tag_hourly_usd', costs),
        ('cost.idle_by_tag_hourly_usd', idle),
        ('gpus.by_tag', gpus),
        ('cost.ebs_by_tag_monthly_usd', volumes),
    ):
        for value, amount in values.items():
            yield f'{metric}.{name}', amount, f'{shown}:{value}'
    if costs:
        yield f'cost.untagged_pct.{name}', 100 * costs.get('none', 0) / sum(costs.values())


def _volumes(facts: Facts) -> Iterator[Row]:
    billed = [d for d in facts.disks if not d.on_outpost]
    for name, disks in (
        ('cost.ebs_monthly_usd', billed),
        ('cost.unattached_ebs_monthly_usd', [d for d in billed if d.state == 'available']),
        ('cost.stopped_ebs_monthly_usd', [d for d in billed if d.machine in facts.stopped]),
    ):
        for monthly in _sum([_disk_price(d) for d in disks]):
            yield name, monthly
    if billed:
        known = sum(d.size for d in billed if _disk_price(d) is not None)
        yield 'cost.ebs_price_coverage_pct', 100 * known / sum(d.size for d in billed)


def _disk_price(disk: Disk) -> float | None:
    """Return USD per month: size, and IOPS and throughput beyond those that the type includes; None if unknown."""
    place = price_region(disk.region, disk.zone)
    if disk.on_outpost or place not in {**tariff.REGION_FACTORS, **tariff.PLACE_FACTORS}:
        return None
    _, gib, tiers, gibps = tariff.VOLUMES[disk.kind]
    price = disk.size * gib
    iops, throughput = disk.iops or 0, disk.throughput or 0
    if disk.kind == 'gp3':
        price += max(0, iops - 3000) * tiers[0] + max(0, throughput - 125) * gibps / 1024
    elif disk.kind == 'io1':
        price += iops * tiers[0]
    elif disk.kind == 'io2':
        price += min(iops, 32000) * tiers[0]
        price += max(0, min(iops, 64000) - 32000) * tiers[1] + max(0, iops - 64000) * tiers[2]
    return price * tariff.factor(place)


def _copy_price(copy: Copy, now: datetime) -> float:
    """Return USD per month of a snapshot; a restored one costs both tiers while it is restored."""
    if copy.on_outpost:
        return 0.0
    size = copy.size if copy.full_bytes is None else copy.full_bytes / GIB
    restored = copy.restored_until is not None and copy.restored_until > now
    price = tariff.ARCHIVE_PRICE if copy.archived else tariff.SNAPSHOT_PRICE
    if copy.archived and restored:
        price += tariff.SNAPSHOT_PRICE
    return size * price * tariff.factor(price_region(copy.region, copy.zone))
