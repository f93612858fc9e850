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
from .records import SPOT, Instance


class OnDemandKey(NamedTuple):
    """The properties of an instance that its on-demand price depends on."""

    region: str
    instance_type: str
    operation: str
    tenancy: str

    @classmethod
    def of(cls, instance: Instance) -> OnDemandKey:
        """Return the key of an instance."""
        return cls(instance.region, instance.instance_type, instance.operation, instance.tenancy)


class SpotKey(NamedTuple):
    """The properties of an instance that its spot price depends on. `zone` is the name of the zone."""

    zone: str
    instance_type: str
    product: str

    @classmethod
    def of(cls, instance: Instance) -> SpotKey:
        """Return the key of an instance."""
        return cls(instance.zone, instance.instance_type, instance.product)


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
        price: the spot price in force for a spot instance, the on-demand price for others; None: not known
        ondemand: the on-demand price; None: not known
        accelerated: whether it has GPUs or Neuron devices; None when AWS does not describe its type
    """

    instance: Instance
    price: Price | None
    ondemand: Price | None
    accelerated: bool | None

    @property
    def is_spot(self) -> bool:
        """Return whether `price` is a spot price."""
        return self.instance.lifecycle == SPOT

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
