"""Lookup of prices in one refresh, in the sources of prices in their configured order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ..core.errors import BadPayload, OutOfBudget, RateLimited, Rejected, SourceError, Unauthorized, Unavailable
from ..core.memo import Ages, Learned, Memo
from ..core.stored import stored
from ..core.times import from_epoch
from . import price_list
from .client import Client
from .price_file import PriceFile
from .price_list import AmbiguousPrice
from .prices import OnDemandKey, Price, PricedInstance, SpotKey, VolumePrices
from .records import SPOT, Instance, InstanceType, Volume
from .settings import PriceSettings

V = TypeVar('V')

DAY_SECONDS = 86400
LIST_AGES = Ages(fresh=DAY_SECONDS, usable=7 * DAY_SECONDS)
# An older spot price may no longer be in force.
SPOT_AGES = Ages(fresh=900, usable=3600)


@stored
class KnownPrices:
    """Prices that AWS reported, in USD; None where AWS has none.

    Attributes:
        ondemand: per hour, by region, instance type, operation and tenancy
        volumes: by region and volume type
        snapshots: per GiB and month, by region
        spot: per hour, by zone, instance type and product
    """

    ondemand: dict[str, Learned[float | None]] = field(default_factory=dict)
    volumes: dict[str, Learned[VolumePrices | None]] = field(default_factory=dict)
    snapshots: dict[str, Learned[float | None]] = field(default_factory=dict)
    spot: dict[str, Learned[float | None]] = field(default_factory=dict)


@dataclass
class PriceLookup:
    """The prices of one refresh.

    Attributes:
        client: reads the prices that are not known or are a day old
        settings: the sources of prices
        remembered: prices of earlier refreshes
        now: the time of the refresh
        problems: permanent errors, such as a missing permission or an ambiguous price; their prices are missing
        list_failure: the error of the price list; it is not read again in this refresh
        spot_failure: the same for the spot market
    """

    client: Client
    settings: PriceSettings
    remembered: KnownPrices
    now: datetime
    problems: list[SourceError] = field(default_factory=list)
    list_failure: SourceError | None = None
    spot_failure: SourceError | None = None

    def __post_init__(self) -> None:
        timestamp = self.now.timestamp()
        self._ondemand = Memo(self.remembered.ondemand, timestamp, LIST_AGES)
        self._volumes = Memo(self.remembered.volumes, timestamp, LIST_AGES)
        self._snapshots = Memo(self.remembered.snapshots, timestamp, LIST_AGES)
        self._spot = Memo(self.remembered.spot, timestamp, SPOT_AGES)

    @property
    def known(self) -> KnownPrices:
        """The prices to remember, including those of this refresh."""
        return KnownPrices(self._ondemand.learned, self._volumes.learned, self._snapshots.learned, self._spot.learned)

    def instances(self, running: Collection[Instance], types: Mapping[str, InstanceType]) -> list[PricedInstance]:
        """Return every running instance with its prices. Raises a SourceError when an outage makes a price missing."""
        file = self._price_file(running)
        keys = {OnDemandKey.of(instance) for instance in running}
        self._read_ondemand(keys)
        self._read_spot([instance for instance in running if instance.lifecycle == SPOT])
        ondemand = {key: self._ondemand_price(key, file) for key in keys}
        unknown = [key for key, price in ondemand.items() if price is None and key not in self._ondemand]
        self._raise_or_note(self.list_failure, missing=bool(unknown))
        priced = []
        for instance in running:
            list_price = ondemand[OnDemandKey.of(instance)]
            price = self._spot_price(instance, file) if instance.lifecycle == SPOT else list_price
            priced.append(PricedInstance(instance, price, list_price, _accelerated(instance, types)))
        self._raise_or_note(self.spot_failure, missing=any(map(self._lacks_spot_price, priced)))
        return priced

    def volume_prices(self, volumes: Iterable[Volume]) -> dict[tuple[str, str], VolumePrices]:
        """Return prices by region and volume type, without types that have no price. Raises a SourceError."""
        if not self._uses_price_list:
            return {}
        keys = sorted({(volume.region, volume.volume_type) for volume in volumes})
        self._read(self._volumes, keys, self._listed_volume_prices)
        known = {key: self._volumes.get(key) for key in keys}
        return {key: prices.value for key, prices in known.items() if prices and prices.value}

    def snapshot_prices(self, regions: Iterable[str]) -> dict[str, float]:
        """Return USD per GiB and month by region, without regions that have no price. Raises a SourceError."""
        if not self._uses_price_list:
            return {}
        keys = [(region,) for region in sorted(regions)]
        self._read(self._snapshots, keys, self._listed_snapshot_price)
        known = {region: self._snapshots.get((region,)) for (region,) in keys}
        return {region: price.value for region, price in known.items() if price and price.value is not None}

    @property
    def _uses_price_list(self) -> bool:
        return 'api' in self.settings.sources

    def _raise_or_note(self, error: SourceError | None, *, missing: bool) -> None:
        """Raise a temporary error when it makes a price missing: an outage must not look like a fall in costs.

        Note other errors in `problems`.
        """
        if error is None:
            return
        if missing and isinstance(error, (Unavailable, RateLimited, BadPayload)):
            raise error
        if error not in self.problems:
            self.problems.append(error)

    # The price list.

    def _read_ondemand(self, keys: Iterable[OnDemandKey]) -> None:
        if self._uses_price_list:
            self._read_stale(self._ondemand, sorted(keys), self._listed_ondemand_price)

    def _listed_ondemand_price(self, *parts: str) -> float | None:
        key = OnDemandKey(*parts)
        return price_list.ondemand_price(self.client.ondemand_products(key), key)

    def _listed_volume_prices(self, region: str, volume_type: str) -> VolumePrices:
        return price_list.volume_prices(self.client.volume_products(region, volume_type), region, volume_type)

    def _listed_snapshot_price(self, region: str) -> float | None:
        return price_list.snapshot_price(self.client.snapshot_products(region), region)

    def _read(self, prices: Memo[V | None], keys: Collection[tuple[str, ...]], read: Callable[..., V | None]) -> None:
        """Read prices of the price list. Raises its error when that is temporary and a price is missing."""
        self._read_stale(prices, keys, read)
        self._raise_or_note(self.list_failure, missing=not all(key in prices for key in keys))

    def _read_stale(
        self, prices: Memo[V | None], keys: Iterable[tuple[str, ...]], read: Callable[..., V | None]
    ) -> None:
        """Read the prices that are not known or are a day old, until one fails. Old prices stay usable for a week."""
        for key in prices.stale(keys):
            if self.list_failure is None and not self.client.has_price_list(key[0]):
                self.list_failure = Rejected(
                    f'AWS has no price list API for {key[0]}: set `prices.file` or `prices.table`',
                    reason='no_price_list',
                )
            if self.list_failure is not None:
                return
            try:
                prices.put(key, read(*key))
            except AmbiguousPrice as error:
                prices.put(key, None)
                self.problems.append(error)
            except (OutOfBudget, Unauthorized):
                raise
            except SourceError as error:
                self.list_failure = error

    # The spot market.

    def _read_spot(self, instances: Iterable[Instance]) -> None:
        by_region: defaultdict[str, set[SpotKey]] = defaultdict(set)
        for instance in instances if self.settings.spot else ():
            by_region[instance.region].add(SpotKey.of(instance))
        for region, keys in sorted(by_region.items()):
            stale = [SpotKey(*key) for key in self._spot.stale(keys)]
            if not stale:
                continue
            try:
                in_force = self._spot_prices_in_force(region, stale)
            except (OutOfBudget, Unauthorized):
                raise
            except SourceError as error:
                self.spot_failure = error
                return
            for key in stale:
                self._spot.put(key, in_force.get(key))

    def _spot_prices_in_force(self, region: str, keys: Collection[SpotKey]) -> dict[SpotKey, float]:
        newest: dict[SpotKey, tuple[datetime, float]] = {}
        types, products = {key.instance_type for key in keys}, {key.product for key in keys}
        for change in self.client.spot_prices(region, types, products, self.now):
            key = SpotKey(change.zone, change.instance_type, change.product)
            candidate = change.since, change.price
            newest[key] = max(newest.get(key, candidate), candidate)
        return {key: price for key, (_, price) in newest.items()}

    def _lacks_spot_price(self, priced: PricedInstance) -> bool:
        """Return whether the price of a spot instance is missing because it could not be read."""
        return priced.is_spot and priced.price is None and SpotKey.of(priced.instance) not in self._spot

    # The sources of prices in their order.

    def _ondemand_price(self, key: OnDemandKey, file: PriceFile | None) -> Price | None:
        return next(filter(None, self._ondemand_candidates(key, file)), None)

    def _ondemand_candidates(self, key: OnDemandKey, file: PriceFile | None) -> Iterator[Price | None]:
        for source in self.settings.sources:
            if source == 'api':
                yield _remembered(self._ondemand, key)
            elif source == 'file' and file is not None:
                yield file.ondemand(key)
            elif source == 'table' and key.instance_type in self.settings.table:
                yield Price(self.settings.table[key.instance_type], None)

    def _spot_price(self, instance: Instance, file: PriceFile | None) -> Price | None:
        key = SpotKey.of(instance)
        price = _remembered(self._spot, key) if self.settings.spot else None
        return price or (file.spot(key) if file is not None else None)

    def _price_file(self, instances: Iterable[Instance]) -> PriceFile | None:
        if 'file' not in self.settings.sources or self.settings.file is None:
            return None
        return PriceFile(self.settings.file, {instance.instance_type for instance in instances})


def _accelerated(instance: Instance, types: Mapping[str, InstanceType]) -> bool | None:
    instance_type = types.get(instance.instance_type)
    return instance_type.accelerated if instance_type else None


def _remembered(prices: Memo[float | None], key: tuple[str, ...]) -> Price | None:
    known = prices.get(key)
    return None if known is None or known.value is None else Price(known.value, from_epoch(known.at))
