"""Prices of EBS volumes and snapshots, from the price list only."""

from __future__ import annotations

from typing import Any, NamedTuple

from .account import Account
from .instance_prices import on_outpost
from .price_list import price_by_usage, products

# IOPS and MiB/s that the price of a gp3 volume includes.
INCLUDED = {'gp3': (3000, 125)}
# The IOPS up to which a tier of io2 reaches.
TIERS = (('', 32000), ('.tier2', 64000), ('.tier3', None))
GIB = 2**30
STANDARD, ARCHIVE = 'SnapshotUsage', 'SnapshotArchiveStorage'
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
        self._known: dict[tuple[str, str, str], VolumePrice | None] = {}
        # Prices of snapshots by place and usage type.
        self._tiers: dict[str, dict[str, float]] = {}

    def price(self, region: str, volume: Any) -> float | None:
        """Return USD per month of a volume; None if its type has no price in its place."""
        place = self._account.place(region, volume.availability_zone)
        if place is None or on_outpost(volume) or not self._asks:
            return None
        key = (region, place, volume.volume_type)
        if key not in self._known:
            self._known[key] = self._ask(*key)
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

    def _ask(self, region: str, place: str, kind: str) -> VolumePrice | None:
        found = products(self._account, region, regionCode=place, volumeApiName=kind)
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

    def snapshot_price(self, region: str, copy: Any) -> float | None:
        """Return USD per month of a snapshot; None if its tier has no price. A restored one is in both tiers."""
        place = self._account.place(region, copy.availability_zone)
        archived = copy.storage_tier == 'archive'
        restored = copy.restore_expiry_time is not None and copy.restore_expiry_time > self._account.now
        tiers = [ARCHIVE] if archived else [STANDARD]
        if archived and restored:
            tiers.append(STANDARD)
        prices = [None if place is None else self._tier_price(region, place, tier) for tier in tiers]
        size = copy.full_snapshot_size_in_bytes
        gibibytes = copy.volume_size if size is None else size / GIB
        return None if None in prices else gibibytes * sum(price or 0 for price in prices)

    def _tier_price(self, region: str, place: str, tier: str) -> float | None:
        """Return USD per GiB and month."""
        if not self._asks:
            return None
        if place not in self._tiers:
            found = products(self._account, region, regionCode=place, productFamily='Storage Snapshot')
            self._tiers[place] = price_by_usage(found, 'gb-mo')
        return self._tiers[place].get(tier)


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
