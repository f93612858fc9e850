"""Prices in USD, and the properties that they depend on.

A price is known or it is not: there are no default prices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ..core.stored import stored
from .records import CAPACITY_BLOCK, SPOT, Instance

# Tiers of snapshots.
STANDARD, ARCHIVE = 'standard', 'archive'


class OnDemandKey(NamedTuple):
    """The properties of an instance that its on-demand price depends on. `place`: see places.py."""

    region: str
    place: str
    instance_type: str
    operation: str
    tenancy: str

    @classmethod
    def of(cls, instance: Instance, place: str) -> OnDemandKey:
        """Return the key of an instance at a place."""
        return cls(instance.region, place, instance.instance_type, instance.operation, instance.tenancy)


class SpotKey(NamedTuple):
    """The properties of an instance that its spot price depends on. `zone` is the name of the zone."""

    zone: str
    instance_type: str
    product: str

    @classmethod
    def of(cls, instance: Instance) -> SpotKey:
        """Return the key of an instance."""
        return cls(instance.site.zone, instance.instance_type, instance.product)


class VolumeKey(NamedTuple):
    """The properties of a volume that its prices depend on."""

    region: str
    place: str
    volume_type: str


class SnapshotKey(NamedTuple):
    """The properties of a snapshot that its price depends on. `tier`: STANDARD or ARCHIVE."""

    region: str
    place: str
    tier: str


class Price(NamedTuple):
    """A price of an instance.

    Attributes:
        usd: USD per hour
        read_at: when it was read; None for a price from the option `prices.table`
    """

    usd: float
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class PricedInstance:
    """A running instance with its prices.

    Attributes:
        instance: the instance
        spot: the spot price in force; None: not known, and for instances that are not spot instances
        ondemand: the on-demand price; None: not known
    """

    instance: Instance
    spot: Price | None
    ondemand: Price | None

    @property
    def is_spot(self) -> bool:
        """True for a spot instance."""
        return self.instance.lifecycle == SPOT

    @property
    def price(self) -> Price | None:
        """The price that AWS bills by the hour; None when it is not known. Capacity blocks are paid in advance."""
        if self.instance.lifecycle == CAPACITY_BLOCK:
            return None
        return self.spot if self.is_spot else self.ondemand

    @property
    def usd(self) -> float | None:
        """USD per hour; None when the price is not known."""
        return self.price.usd if self.price else None

    @property
    def ondemand_usd(self) -> float | None:
        """USD per hour on demand; None when the price is not known."""
        return self.ondemand.usd if self.ondemand else None


@stored
class VolumePrices:
    """Prices of a volume type in a region, in USD per month; None where AWS has none.

    Attributes:
        gib: per GiB
        iops: per IOPS, by tier
        mibps: per MiB/s
    """

    gib: float | None
    iops: tuple[float | None, ...]
    mibps: float | None


def total(prices: Iterable[float | None]) -> float | None:
    """Return the sum of the known prices: 0 for an empty list, None when there are entries and none has a price."""
    listed = list(prices)
    known = [price for price in listed if price is not None]
    return math.fsum(known) if known or not listed else None
