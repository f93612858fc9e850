"""List prices: the price list's products and the price file.

A price is either known or not: there are no defaults.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import SHAPE_ERRORS, NotFound, SourceError
from ..core.fields import amount, decimal
from ..core.stored import stored
from ..core.text import one_line
from .records import LINUX_OPERATION, LINUX_PRODUCT

HOURS_PER_MONTH = 730
HOURLY = 'hrs'
FILE_COLUMNS = ('InstanceType', 'Price', 'SpotPrice', 'Region', 'AvailabilityZone')


class AmbiguousPrice(SourceError):
    """The price list has several prices for one thing."""

    reason = 'ambiguous_price'


class OnDemandKey(NamedTuple):
    """What an on-demand price depends on."""

    region: str
    instance_type: str
    operation: str
    tenancy: str


class SpotKey(NamedTuple):
    """What a spot price depends on. `zone` is the zone's name."""

    zone: str
    instance_type: str
    product: str


class Quote(NamedTuple):
    """A price in USD, and when it was read (seconds since the epoch; None for the user's own table)."""

    price: float
    read_at: float | None


@dataclass(frozen=True, slots=True)
class Product:
    """An item of the price list: what it is and its on-demand prices, each with its unit in lower case."""

    family: str
    usage_type: str
    prices: tuple[tuple[float, str], ...]

    @classmethod
    def parse(cls, item: Any) -> Product:
        """From a decoded item of `PriceList`. Raises ValueError when it is not of that form."""
        try:
            product = item['product']
            return cls(
                family=str(product.get('productFamily', '')),
                usage_type=str(product['attributes'].get('usagetype', '')),
                prices=tuple(
                    (_price(dimension['pricePerUnit']['USD']), str(dimension['unit']).lower())
                    for term in (item.get('terms') or {}).get('OnDemand', {}).values()
                    for dimension in term['priceDimensions'].values()
                    if 'USD' in dimension['pricePerUnit']
                ),
            )
        except SHAPE_ERRORS as error:
            raise ValueError(f'{type(error).__name__}: {one_line(str(error), 80)}') from error


def _price(value: Any) -> float:
    """USD, which the price list and the file write as text. Raises ValueError."""
    price = amount(decimal(value))
    if price is None:
        raise ValueError(f'{str(value)[:20]!r} is no price')
    return price


def single_price(products: Iterable[Product], unit: str, what: str) -> float | None:
    """The one price above 0 per `unit` (reserved capacity and placeholders are listed at 0); None without one.

    Raises AmbiguousPrice when there are several: none of them is taken.
    """
    prices = {price for product in products for price, its_unit in product.prices if its_unit == unit and price > 0}
    if len(prices) > 1:
        raise AmbiguousPrice(f'the price list has {len(prices)} prices for {what}: none is taken')
    return next(iter(prices), None)


def usage(product: Product) -> str:
    """`VolumeUsage.gp3` of `USW2-EBS:VolumeUsage.gp3`: the usage type without its region, empty for other things."""
    return product.usage_type.partition('EBS:')[2]


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

    @classmethod
    def of(cls, products: Iterable[Product], volume_type: str, region: str) -> VolumePrices:
        """From the products of a volume type. Raises AmbiguousPrice."""
        listed = list(products)
        # The price list's own word for io1 is `piops`; magnetic volumes have no suffix.
        suffix = {'io1': '.piops', 'standard': ''}.get(volume_type, f'.{volume_type}')

        def price(name: str, unit: str) -> float | None:
            return single_price((p for p in listed if usage(p) == name), unit, f'{name} in {region}')

        iops = f'VolumeP-IOPS{suffix}'
        gibps = price(f'VolumeP-Throughput{suffix}', 'gibps-mo')
        return cls(
            gib=price(f'VolumeUsage{suffix}', 'gb-mo'),
            iops=tuple(price(f'{iops}{tier}', 'iops-mo') for tier in ('', '.tier2', '.tier3')),
            mibps=None if gibps is None else gibps / 1024,
        )


class PriceFile:
    """A CSV file of prices for Linux in shared tenancy; see FILE_COLUMNS. Further columns are ignored."""

    def __init__(self, path: str, types: Collection[str]) -> None:
        """Reads the rows of `types`. Raises NotFound with what is wrong."""
        self._ondemand: dict[tuple[str, str], set[float]] = {}
        self._spot: dict[tuple[str, str], float] = {}
        try:
            self.read_at = Path(path).stat().st_mtime
            with open(path, newline='', encoding='utf-8') as file:
                reader = csv.DictReader(file)
                missing = [column for column in FILE_COLUMNS if column not in (reader.fieldnames or ())]
                if missing:
                    raise NotFound(f'`prices.file` {path} has no column {", ".join(missing)}')
                for row in reader:
                    if row['InstanceType'] in types:
                        self._take(row)
        except OSError as error:
            raise NotFound(f'`prices.file` {path} cannot be read ({error.strerror})') from error
        except (ValueError, csv.Error) as error:
            raise NotFound(f'`prices.file` {path} is not a CSV file of prices ({type(error).__name__})') from error

    def _take(self, row: Mapping[str, str]) -> None:
        price, spot = (_price(row[column] or '0') for column in ('Price', 'SpotPrice'))
        if price > 0:
            self._ondemand.setdefault((row['Region'], row['InstanceType']), set()).add(price)
        if spot > 0:
            self._spot[row['AvailabilityZone'], row['InstanceType']] = spot

    def ondemand(self, key: OnDemandKey) -> Quote | None:
        """The on-demand price, None where the file has none or several."""
        prices = self._ondemand.get((key.region, key.instance_type), set())
        if len(prices) != 1 or key.operation != LINUX_OPERATION or key.tenancy != 'Shared':
            return None
        return Quote(next(iter(prices)), self.read_at)

    def spot(self, key: SpotKey) -> Quote | None:
        """The spot price of a zone by its name."""
        price = self._spot.get((key.zone, key.instance_type))
        return None if price is None or key.product != LINUX_PRODUCT else Quote(price, self.read_at)
