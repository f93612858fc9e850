"""Which price each thing has: asks the sources of prices in their order, within a refresh."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ..core.errors import BadPayload, OutOfBudget, RateLimited, Rejected, SourceError, Unauthorized, Unavailable
from ..core.memo import Ages, Learned, Memo
from ..core.stored import stored
from .client import Client
from .pricing import (
    HOURLY,
    AmbiguousPrice,
    OnDemandKey,
    PriceFile,
    Quote,
    SpotKey,
    VolumePrices,
    single_price,
)
from .records import SPOT, Instance, InstanceType, Volume
from .settings import PriceSettings

V = TypeVar('V')

DAY = 86400
LIST_AGES = Ages(fresh=DAY, usable=7 * DAY)
# A spot price that is older need not be in force any more.
SPOT_AGES = Ages(fresh=900, usable=3600)


@stored
class KnownPrices:
    """Prices that AWS told, in USD; None where AWS has none.

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


@dataclass(frozen=True, slots=True)
class Priced:
    """A running instance with its prices in USD per hour; None where there is none."""

    instance: Instance
    # Of a spot instance the spot price in force, of others the on-demand price.
    price: Quote | None
    ondemand: Quote | None
    # GPUs or Neuron devices; None when the type is unknown.
    accelerated: bool | None

    @property
    def spot(self) -> bool:
        """Whether `price` is a spot price."""
        return self.instance.lifecycle == SPOT


@dataclass
class Quotes:
    """The prices of one refresh.

    Prices that were read before come from `remembered`; `known` is to be remembered next. What went wrong for good
    (a permission, an ambiguous price) is collected in `problems`, and the price is missing; what may pass is raised if
    a price is missing because of it, so that an outage does not look like a fall in costs.
    """

    client: Client
    settings: PriceSettings
    remembered: KnownPrices
    now: datetime
    problems: list[SourceError] = field(default_factory=list)
    # Why the price list or the spot market could not be read: not asked again in this refresh.
    failure: SourceError | None = None
    spot_failure: SourceError | None = None

    def __post_init__(self) -> None:
        moment = self.now.timestamp()
        self._ondemand = Memo(self.remembered.ondemand, moment, LIST_AGES)
        self._volumes = Memo(self.remembered.volumes, moment, LIST_AGES)
        self._snapshots = Memo(self.remembered.snapshots, moment, LIST_AGES)
        self._spot = Memo(self.remembered.spot, moment, SPOT_AGES)

    @property
    def known(self) -> KnownPrices:
        """The prices to remember, those of this refresh among them."""
        return KnownPrices(self._ondemand.learned, self._volumes.learned, self._snapshots.learned, self._spot.learned)

    def instances(self, running: Collection[Instance], types: Mapping[str, InstanceType]) -> list[Priced]:
        """Every running instance with its prices."""
        file = self._file({instance.instance_type for instance in running})
        keys = {ondemand_key(instance) for instance in running}
        if 'api' in self.settings.sources:
            self._read_ondemand(keys)
        if self.settings.spot:
            self._read_spot([instance for instance in running if instance.lifecycle == SPOT])
        ondemand = {key: self._ondemand_quote(key, file) for key in keys}
        result = []
        self._settle(self.failure, any(ondemand[key] is None and key not in self._ondemand for key in keys))
        for instance in running:
            list_price = ondemand[ondemand_key(instance)]
            price = self._spot_quote(instance, file) if instance.lifecycle == SPOT else list_price
            kind = types.get(instance.instance_type)
            result.append(Priced(instance, price, list_price, kind.accelerated if kind else None))
        unpriced = (priced for priced in result if priced.spot and priced.price is None)
        self._settle(self.spot_failure, any(spot_key(priced.instance) not in self._spot for priced in unpriced))
        return result

    def volume_prices(self, volumes: Iterable[Volume]) -> dict[tuple[str, str], VolumePrices]:
        """Prices by (region, volume type); kinds without a price are left out."""
        kinds = sorted({(volume.region, volume.volume_type) for volume in volumes})
        if 'api' not in self.settings.sources:
            return {}
        self._ask(
            self._volumes,
            kinds,
            lambda region, kind: VolumePrices.of(self.client.volume_products(region, kind), kind, region),
        )
        self._settle(self.failure, not all(kind in self._volumes for kind in kinds))
        known = {kind: self._volumes.get(kind) for kind in kinds}
        return {kind: prices.value for kind, prices in known.items() if prices and prices.value}

    def snapshot_prices(self, regions: Iterable[str]) -> dict[str, float]:
        """USD per GiB and month by region."""
        keys = [(region,) for region in sorted(regions)]
        if 'api' not in self.settings.sources:
            return {}
        self._ask(self._snapshots, keys, self._snapshot_price)
        quotes = {region: _quote(self._snapshots, (region,)) for (region,) in keys}
        self._settle(self.failure, not all(key in self._snapshots for key in keys))
        return {region: quote.price for region, quote in quotes.items() if quote}

    def _settle(self, error: SourceError | None, missing: bool) -> None:
        if error is None:
            return
        if missing and isinstance(error, (Unavailable, RateLimited, BadPayload)):
            raise error
        if error not in self.problems:
            self.problems.append(error)

    def _snapshot_price(self, region: str) -> float | None:
        products = self.client.snapshot_products(region)
        standard = (p for p in products if p.usage_type.endswith('EBS:SnapshotUsage'))
        return single_price(standard, 'gb-mo', f'snapshots in {region}')

    def _read_ondemand(self, keys: Iterable[OnDemandKey]) -> None:
        def read(*parts: str) -> float | None:
            key = OnDemandKey(*parts)
            what = f'{key.instance_type} ({key.operation}, {key.tenancy}) in {key.region}'
            return single_price(self.client.ondemand_products(key), HOURLY, what)

        self._ask(self._ondemand, sorted(keys), read)

    def _ask(self, prices: Memo[V | None], keys: Iterable[tuple[str, ...]], read: Callable[..., V | None]) -> None:
        """Ask the price list for what is not known or a day old. Prices that were known stay usable for a week."""
        for key in prices.stale(keys):
            if self.failure is not None:
                return
            if not self.client.has_price_list(key[0]):
                self.failure = Rejected(
                    f'AWS has no price list API for {key[0]}: set `prices.file` or `prices.table`',
                    reason='no_price_list',
                )
                return
            try:
                prices.put(key, read(*key))
            except AmbiguousPrice as error:
                prices.put(key, None)
                self.problems.append(error)
            except (OutOfBudget, Unauthorized):
                raise
            except SourceError as error:
                self.failure = error

    def _read_spot(self, instances: Collection[Instance]) -> None:
        by_region: dict[str, list[Instance]] = {}
        for instance in instances:
            by_region.setdefault(instance.region, []).append(instance)
        for region, some in sorted(by_region.items()):
            stale = list(self._spot.stale({spot_key(instance) for instance in some}))
            if not stale:
                continue
            try:
                in_force = self._spot_in_force(region, stale)
            except (OutOfBudget, Unauthorized):
                raise
            except SourceError as error:
                self.spot_failure = error
                return
            for key in stale:
                self._spot.put(key, in_force.get(SpotKey(*key)))

    def _spot_in_force(self, region: str, keys: Collection[tuple[str, ...]]) -> dict[SpotKey, float]:
        newest: dict[SpotKey, tuple[datetime, float]] = {}
        types, products = {key[1] for key in keys}, {key[2] for key in keys}
        for price in self.client.spot_prices(region, types, products, self.now):
            key = SpotKey(price.zone, price.instance_type, price.product)
            newest[key] = max(newest.get(key, (price.since, price.price)), (price.since, price.price))
        return {key: price for key, (_, price) in newest.items()}

    def _ondemand_quote(self, key: OnDemandKey, file: PriceFile | None) -> Quote | None:
        return next(filter(None, self._ondemand_candidates(key, file)), None)

    def _ondemand_candidates(self, key: OnDemandKey, file: PriceFile | None) -> Iterator[Quote | None]:
        for source in self.settings.sources:
            if source == 'api':
                yield _quote(self._ondemand, key)
            elif source == 'file' and file is not None:
                yield file.ondemand(key)
            elif source == 'table' and key.instance_type in self.settings.table:
                yield Quote(self.settings.table[key.instance_type], None)

    def _spot_quote(self, instance: Instance, file: PriceFile | None) -> Quote | None:
        key = spot_key(instance)
        quote = _quote(self._spot, key) if self.settings.spot else None
        return quote or (file.spot(key) if file is not None else None)

    def _file(self, types: Collection[str]) -> PriceFile | None:
        if 'file' not in self.settings.sources or self.settings.file is None:
            return None
        return PriceFile(self.settings.file, types)


def ondemand_key(instance: Instance) -> OnDemandKey:
    """What the on-demand price of an instance depends on."""
    return OnDemandKey(instance.region, instance.instance_type, instance.operation, instance.tenancy)


def spot_key(instance: Instance) -> SpotKey:
    """What the spot price of an instance depends on."""
    return SpotKey(instance.zone, instance.instance_type, instance.product)


def _quote(prices: Memo[float | None], key: tuple[str, ...]) -> Quote | None:
    known = prices.get(key)
    return None if known is None or known.value is None else Quote(known.value, known.at)
