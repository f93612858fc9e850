"""The AWS Price List: its products, and how the price of an instance, a volume or a snapshot is found in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import SourceError
from ..core.fields import mapping, objects, text
from .prices import ARCHIVE, STANDARD, OnDemandKey, SnapshotKey, VolumeKey, VolumePrices
from .records import AWS, usd

# Units in lower case, as in Product.prices.
HOUR = 'hrs'
GIB_MONTH = 'gb-mo'
IOPS_MONTH = 'iops-mo'
GIBPS_MONTH = 'gibps-mo'
IOPS_TIERS = ('', '.tier2', '.tier3')
# The suffix of usage types, where it is not the volume type.
VOLUME_SUFFIXES = {'io1': '.piops', 'standard': ''}
# The usage type of snapshots, by tier.
SNAPSHOT_USAGE = {STANDARD: 'SnapshotUsage', ARCHIVE: 'SnapshotArchiveStorage'}


class AmbiguousPrice(SourceError):
    """The price list has several prices for one thing."""

    reason = 'ambiguous_price'


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the price list.

    Attributes:
        usage_type: the usage type with the prefix of its region, such as `USW2-EBS:VolumeUsage.gp3`
        prices: the on-demand prices in USD, each with its unit in lower case
    """

    usage_type: str
    prices: tuple[tuple[float, str], ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Product:
        """Return a product from a decoded element of `PriceList`. Raises BadPayload."""
        attributes = AWS.required(mapping, AWS.part(raw, 'product'), 'attributes', 'product')
        return cls(
            usage_type=AWS.optional(text, attributes, 'usagetype') or '',
            prices=tuple(_ondemand_prices(AWS.part(raw, 'terms'))),
        )

    @property
    def storage_usage(self) -> str:
        """The usage type of EBS without its region, such as `VolumeUsage.gp3`. Empty for other products."""
        return self.usage_type.partition('EBS:')[2]


def _ondemand_prices(terms: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
    for term in AWS.optional(_objects_by_key, terms, 'OnDemand') or []:
        for dimension in AWS.required(_objects_by_key, term, 'priceDimensions', 'term of a price'):
            price = AWS.optional(usd, AWS.part(dimension, 'pricePerUnit'), 'USD')
            # The price list of China is in another currency.
            if price is not None:
                yield price, AWS.required(text, dimension, 'unit', 'price').lower()


def _objects_by_key(value: Any) -> list[Mapping[str, Any]] | None:
    """Return the objects in a JSON object, without their keys."""
    found = mapping(value)
    return None if found is None else objects(list(found.values()))


def single_price(products: Iterable[Product], unit: str, what: str) -> float | None:
    """Return the one price above 0 per `unit`, None without one. Raises AmbiguousPrice when there are several.

    Reserved capacity and placeholders are listed at 0.
    """
    prices = {price for product in products for price, its_unit in product.prices if its_unit == unit and price > 0}
    if len(prices) > 1:
        raise AmbiguousPrice(f'the price list has {len(prices)} prices for {what}: none of them is used')
    return next(iter(prices), None)


def ondemand_price(products: Iterable[Product], key: OnDemandKey) -> float | None:
    """Return the USD per hour of an instance, None without a price. Raises AmbiguousPrice."""
    return single_price(products, HOUR, f'{key.instance_type} ({key.operation}, {key.tenancy}) in {key.place}')


def volume_prices(products: Iterable[Product], key: VolumeKey) -> VolumePrices:
    """Return the prices of a volume type. Raises AmbiguousPrice."""
    listed = list(products)
    suffix = VOLUME_SUFFIXES.get(key.volume_type, f'.{key.volume_type}')

    def price(usage: str, unit: str) -> float | None:
        matching = (product for product in listed if product.storage_usage == usage)
        return single_price(matching, unit, f'{usage} in {key.place}')

    gibps = price(f'VolumeP-Throughput{suffix}', GIBPS_MONTH)
    return VolumePrices(
        gib=price(f'VolumeUsage{suffix}', GIB_MONTH),
        iops=tuple(price(f'VolumeP-IOPS{suffix}{tier}', IOPS_MONTH) for tier in IOPS_TIERS),
        mibps=None if gibps is None else gibps / 1024,
    )


def snapshot_price(products: Iterable[Product], key: SnapshotKey) -> float | None:
    """Return the USD per GiB and month of snapshots in a tier, None without one. Raises AmbiguousPrice."""
    listed = (product for product in products if product.storage_usage == SNAPSHOT_USAGE[key.tier])
    return single_price(listed, GIB_MONTH, f'snapshots ({key.tier} tier) in {key.place}')
