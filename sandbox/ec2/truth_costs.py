"""The truth about the cost of instances, volumes and snapshots at list price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from . import tariff
from .estate import GIB, Disk
from .truth_facts import Facts, Row


def rows(facts: Facts, options: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the figures of cost."""
    yield from _instances(facts)
    yield from _spot(facts)
    for key in options.get('tag_by', ()):
        yield from _by_tag(facts, key)
    yield from _volumes(facts)
    if options.get('price_snapshots'):
        yield 'cost.snapshots_monthly_usd', _snapshots(facts)


def _instances(facts: Facts) -> Iterator[Row]:
    # Instances on dedicated hosts have the price 0, which counts as no price.
    priced = [m for m in facts.running if facts.price(m) > 0]
    hourly = sum(map(facts.price, priced))
    if priced or not facts.running:
        yield 'cost.running_hourly_estimate', hourly
        yield 'cost.monthly_estimate', hourly * 730
        yield 'cost.ondemand_equivalent_hourly_usd', sum(map(facts.list_price, priced))
        yield 'cost.gpu_hourly_usd', sum(facts.price(m) for m in priced if tariff.KINDS[m.kind].accelerated)
        yield 'cost.idle_hourly_usd', sum(facts.price(m) for m in priced if facts.is_idle(m))
    if facts.running:
        yield 'cost.price_coverage_pct', 100 * len(priced) / len(facts.running)
    for region in facts.regions:
        yield 'region.hourly_usd', sum(facts.price(m) for m in priced if m.region == region), f'region:{region}'


def _spot(facts: Facts) -> Iterator[Row]:
    spots = [m for m in facts.running if m.lifecycle == 'spot']
    if spots:
        saved = sum(facts.list_price(m) - facts.price(m) for m in spots)
        yield 'cost.spot_savings_pct', 100 * saved / sum(map(facts.list_price, spots))


def _by_tag(facts: Facts, key: str) -> Iterator[Row]:
    values: dict[str, float] = defaultdict(float)
    for machine in facts.running:
        if facts.price(machine) > 0:
            values[machine.team.lower() or 'none'] += facts.price(machine)
    for value, cost in values.items():
        yield f'cost.by_tag_hourly_usd.{key}', cost, f'{key}:{value}'


def _volumes(facts: Facts) -> Iterator[Row]:
    yield 'cost.ebs_monthly_usd', sum(map(_disk_price, facts.disks))
    yield 'cost.unattached_ebs_monthly_usd', sum(_disk_price(d) for d in facts.disks if d.state == 'available')
    yield 'cost.stopped_ebs_monthly_usd', sum(_disk_price(d) for d in facts.disks if d.machine in facts.stopped)
    if facts.disks:
        yield 'cost.ebs_price_coverage_pct', 100.0


def _disk_price(disk: Disk) -> float:
    """Return USD per month: size, and IOPS and throughput beyond those that the type includes."""
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
    return price * tariff.factor(disk.region)


def _snapshots(facts: Facts) -> float:
    return sum((c.full_bytes or 0) / GIB * tariff.SNAPSHOT_PRICE * tariff.factor(c.region) for c in facts.copies)
