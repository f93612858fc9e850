"""Prices of EBS volumes and snapshots, from the price list only."""

from __future__ import annotations

from typing import Any, NamedTuple

from .account import Account
from .price_list import one_price, price_by_usage, products

# IOPS and MiB/s that the price of a gp3 volume includes.
INCLUDED = {'gp3': (3000, 125)}
# The IOPS up to which a tier of io2 reaches.
TIERS = (('', 32000), ('.tier2', 64000), ('.tier3', None))
FAMILIES = {'gib': 'Storage', 'iops': 'System Operation', 'throughput': 'Provisioned Throughput'}


class VolumePrice(NamedTuple):
    """USD per GiB-month, per IOPS-month by tier (empty: not billed), and per GiB/s-month (None: not billed)."""

    gib: float
    iops: tuple[float, ...]
    throughput: float | None


class VolumePrices:
    """The prices of one account, each asked for once."""

    def __init__(self, account: Account) -> None:
        self._account = account
        # Files and tables have no prices of volumes.
        self._asks = (account.option('prices', {}).get('source') or 'auto') in ('auto', 'api')
        self._known: dict[tuple[str, str], VolumePrice | None] = {}
        self._snapshots: dict[str, float | None] = {}

    def price(self, region: str, volume: Any) -> float | None:
        """Return USD per month of a volume; None if its type has no price."""
        key = (region, volume.volume_type)
        if key not in self._known:
            self._known[key] = self._ask(*key) if self._asks else None
        price = self._known[key]
        if price is None:
            return None
        free_iops, free_throughput = INCLUDED.get(volume.volume_type, (0, 0))
        total: float = volume.size * price.gib
        if price.iops:
            total += _tiered(max(0, (volume.iops or 0) - free_iops), price.iops)
        if price.throughput is not None:
            total += max(0, (volume.throughput or 0) - free_throughput) / 1024 * price.throughput
        return total

    def _ask(self, region: str, kind: str) -> VolumePrice | None:
        found = products(self._account, region, volumeApiName=kind)
        family = {
            name: [one for one in found if one['product']['productFamily'] == text] for name, text in FAMILIES.items()
        }
        size = list(price_by_usage(family['gib'], 'gb-mo').values())
        if len(size) != 1:
            return None
        iops = price_by_usage(family['iops'], 'iops-mo')
        tiers = tuple(
            price for ending, _ in TIERS for usage, price in iops.items() if _tier_of(usage) == ending and price
        )
        throughput = list(price_by_usage(family['throughput'], 'gibps-mo').values())
        return VolumePrice(size[0], tiers, throughput[0] if throughput else None)

    def snapshot_price(self, region: str) -> float | None:
        """Return USD per GiB and month of snapshots in the standard tier."""
        if not self._asks:
            return None
        if region not in self._snapshots:
            prefix = self._usage_prefix(region)
            self._snapshots[region] = one_price(self._account, region, 'GB-Mo', usagetype=f'{prefix}EBS:SnapshotUsage')
        return self._snapshots[region]

    def _usage_prefix(self, region: str) -> str:
        """Return the beginning of the usage types of a region, such as `USW2-`."""
        found = products(self._account, region, productFamily='Storage Snapshot')
        usages = [one['product']['attributes']['usagetype'] for one in found]
        return next(
            (usage.removesuffix('EBS:SnapshotUsage') for usage in usages if usage.endswith(':SnapshotUsage')), ''
        )


def _tier_of(usage: str) -> str:
    return next((ending for ending, _ in TIERS[1:] if usage.endswith(ending)), '')


def _tiered(iops: int, prices: tuple[float, ...]) -> float:
    """Return USD per month of provisioned IOPS. A type with one price has no tiers."""
    if len(prices) == 1:
        return iops * prices[0]
    total, start = 0.0, 0
    for (_, end), price in zip(TIERS, prices, strict=True):
        stop = iops if end is None else min(iops, end)
        total += max(0, stop - start) * price
        start = end or start
    return total
