"""The CSV file of prices that the option `prices.file` names."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import NotFound
from .prices import OnDemandKey, Price, SpotKey
from .records import LINUX_OPERATION, LINUX_PRODUCT, SHARED_TENANCY, usd

COLUMNS = ('InstanceType', 'Price', 'SpotPrice', 'Region', 'AvailabilityZone')


class PriceFile:
    """Prices of Linux instances in shared tenancy. COLUMNS must be there; further columns are ignored."""

    def __init__(self, path: str, types: Collection[str]) -> None:
        """Read the rows of instance types `types`. Raises NotFound for a file that cannot be used."""
        self._ondemand: dict[tuple[str, str], set[float]] = {}
        self._spot: dict[tuple[str, str], float] = {}
        try:
            self._read(path, types)
        except OSError as error:
            raise NotFound(f'`prices.file` {path} cannot be read ({error.strerror})') from error
        except (ValueError, csv.Error) as error:
            raise NotFound(f'`prices.file` {path} is not a CSV file of prices ({type(error).__name__})') from error

    def _read(self, path: str, types: Collection[str]) -> None:
        self.read_at = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
        with open(path, newline='', encoding='utf-8') as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise NotFound(f'`prices.file` {path} has no column {", ".join(missing)}')
            for row in reader:
                if row['InstanceType'] in types:
                    self._add(row)

    def _add(self, row: Mapping[str, str]) -> None:
        price, spot = _price(row['Price']), _price(row['SpotPrice'])
        if price > 0:
            self._ondemand.setdefault((row['Region'], row['InstanceType']), set()).add(price)
        if spot > 0:
            self._spot[row['AvailabilityZone'], row['InstanceType']] = spot

    def ondemand(self, key: OnDemandKey) -> Price | None:
        """Return the on-demand price, None when the file has none or several."""
        prices = self._ondemand.get((key.place, key.instance_type), set())
        if len(prices) != 1 or key.operation != LINUX_OPERATION or key.tenancy != SHARED_TENANCY:
            return None
        return Price(next(iter(prices)), self.read_at)

    def spot(self, key: SpotKey) -> Price | None:
        """Return the spot price of a zone, None when the file has none."""
        price = self._spot.get((key.zone, key.instance_type))
        return None if price is None or key.product != LINUX_PRODUCT else Price(price, self.read_at)


def _price(text: str) -> float:
    """Return a price in USD, 0 for an empty field. Raises ValueError."""
    price = usd(text or '0')
    if price is None:
        raise ValueError(text)
    return price
