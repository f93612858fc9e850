"""Lookup of prices in one refresh, in the sources of prices in their configured order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ..core.errors import OutOfBudget, Rejected, SourceError, Unauthorized
from ..core.memo import Ages, Learned, Memo
from ..core.stored import stored
from ..core.times import from_epoch
from . import price_list
from .client import Client
from .places import TEMPORARY, Places
from .price_file import PriceFile
from .price_list import AmbiguousPrice
from .prices import OnDemandKey, Price, PricedInstance, SnapshotKey, SpotKey, VolumeKey, VolumePrices
from .records import SPOT, Instance, Site, Volume
from .settings import PriceSettings

V = TypeVar('V')

DAY_SECONDS = 86400
LIST_AGES = Ages(fresh=DAY_SECONDS, usable=7 * DAY_SECONDS)
# The price list is taken for out of reach after this number of refreshes in a row that read no price from it.
MAX_OUTAGES = 3
# An older spot price may no longer be in force.
SPOT_AGES = Ages(fresh=900, usable=3600)


@stored
class KnownPrices:
    """Prices that AWS reported, in USD; None where AWS has none.

    Attributes:
        places: the name of the prices of a zone, by zone
        ondemand: per hour, by region, place, instance type, operation and tenancy
        volumes: by region, place and volume type
        snapshots: per GiB and month, by region, place and tier
        spot: per hour, by zone, instance type and product
        list_outages: number of refreshes in a row that asked the price list and read no price from it
    """

    places: dict[str, Learned[str | None]] = field(default_factory=dict)
    ondemand: dict[str, Learned[float | None]] = field(default_factory=dict)
    volumes: dict[str, Learned[VolumePrices | None]] = field(default_factory=dict)
    snapshots: dict[str, Learned[float | None]] = field(default_factory=dict)
    spot: dict[str, Learned[float | None]] = field(default_factory=dict)
    list_outages: int = 0


@dataclass
class PriceLookup:
    """The prices of one refresh.

    An outage must not look like a fall in costs: while a price is missing because of one, the sums fail. When the price
    list stays out of reach, or is refused, what has a price is priced, and the coverage shows the gap.

    Attributes:
        client: reads the prices that are not known or are a day old
        settings: the sources of prices
        remembered: prices of earlier refreshes
        now: the time of the refresh
        list_failure: the error of the price list; it is not read again in this refresh
        spot_failures: the temporary errors of the spot market, by region
    """

    client: Client
    settings: PriceSettings
    remembered: KnownPrices
    now: datetime
    list_failure: SourceError | None = None
    spot_failures: dict[str, SourceError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        timestamp = self.now.timestamp()
        self.places = Places(self.client, self.remembered.places, timestamp)
        self._ondemand = Memo(self.remembered.ondemand, timestamp, LIST_AGES)
        self._volumes = Memo(self.remembered.volumes, timestamp, LIST_AGES)
        self._snapshots = Memo(self.remembered.snapshots, timestamp, LIST_AGES)
        self._spot = Memo(self.remembered.spot, timestamp, SPOT_AGES)
        self._problems: list[SourceError] = []
        self._told = False
        self._read_list = False

    @property
    def known(self) -> KnownPrices:
        """The prices to remember, including those of this refresh."""
        return KnownPrices(
            self.places.learned,
            self._ondemand.learned,
            self._volumes.learned,
            self._snapshots.learned,
            self._spot.learned,
            self._list_outages,
        )

    def problems(self) -> list[SourceError]:
        """Return the errors for which prices are missing or old, each only once."""
        found = [*self.places.problems, *self._problems]
        self.places.problems, self._problems = [], []
        return found

    def instances(self, running: Iterable[Instance]) -> list[PricedInstance]:
        """Return every running instance with its prices, without those on Outposts, which AWS bills in their place."""
        billed = [instance for instance in running if not instance.site.on_outpost]
        self._learn_places(instance.site for instance in billed)
        file = self._price_file(billed)
        keys = [self._ondemand_key(instance) for instance in billed]
        self._read_ondemand(filter(None, keys))
        self._read_spot([instance for instance in billed if instance.lifecycle == SPOT])
        priced = []
        for instance, key in zip(billed, keys, strict=True):
            spot = self._spot_price(instance, file) if instance.lifecycle == SPOT else None
            priced.append(PricedInstance(instance, spot, self._ondemand_price(instance, key, file)))
        unread = {key for key in keys if key is not None and key not in self._ondemand}
        self._await_list(any(one.ondemand is None and key in unread for one, key in zip(priced, keys, strict=True)))
        return priced

    def awaited(self, priced: Iterable[PricedInstance]) -> dict[str, SourceError]:
        """Return the regions in which a place or a spot price is missing for now, with the error."""
        found: dict[str, SourceError] = {}
        for one in priced:
            region = one.instance.region
            error = self.places.awaited(one.instance.site)
            if error is None and self._lacks_spot_price(one):
                error = self.spot_failures.get(region)
            if error is not None:
                found[region] = error
        return found

    def volumes(self, volumes: Iterable[Volume]) -> list[tuple[Volume, VolumePrices | None]]:
        """Return every volume with the prices of its type, without those on Outposts, which AWS bills in their place.

        The prices are None where they are not known. Raises SourceError when one is missing for now.
        """
        billed = [volume for volume in volumes if not volume.site.on_outpost]
        self._await_places([volume.site for volume in billed])
        keys = [self._volume_key(volume) for volume in billed]
        self._read_stale(self._volumes, sorted(set(filter(None, keys))), self._listed_volume_prices)
        self._await_list(any(key not in self._volumes for key in keys if key is not None))
        known = [None if key is None else self._volumes.get(key) for key in keys]
        return [(volume, prices.value if prices else None) for volume, prices in zip(billed, known, strict=True)]

    def _volume_key(self, volume: Volume) -> VolumeKey | None:
        place = self.places.of(volume.site)
        return None if place is None else VolumeKey(volume.site.region, place, volume.volume_type)

    def snapshots(self, stock: Collection[tuple[Site, str, float]]) -> list[tuple[float, float | None]]:
        """Return GiB of snapshots by site and tier with their USD per GiB and month, None where it is not known."""
        self._await_places([site for site, _, _ in stock])
        places = [self.places.of(site) for site, _, _ in stock]
        keys = [
            None if place is None else SnapshotKey(site.region, place, tier)
            for place, (site, tier, _) in zip(places, stock, strict=True)
        ]
        self._read_stale(self._snapshots, sorted(set(filter(None, keys))), self._listed_snapshot_price)
        self._await_list(any(key not in self._snapshots for key in keys if key is not None))
        known = [None if key is None else self._snapshots.get(key) for key in keys]
        return [(gib, price.value if price else None) for price, (_, _, gib) in zip(known, stock, strict=True)]

    def _learn_places(self, sites: Iterable[Site]) -> None:
        if self.settings.by_place:
            self.places.learn(sites)

    def _await_places(self, sites: Collection[Site]) -> None:
        """Learn the places of sites. Raises the error for which one of them is not known for now."""
        self._learn_places(sites)
        for error in filter(None, map(self.places.awaited, sites)):
            raise error

    def _ondemand_key(self, instance: Instance) -> OnDemandKey | None:
        place = self.places.of(instance.site)
        return None if place is None else OnDemandKey.of(instance, place)

    # The price list.

    def _read_ondemand(self, keys: Iterable[OnDemandKey]) -> None:
        self._read_stale(self._ondemand, sorted(set(keys)), self._listed_ondemand_price)

    def _listed_ondemand_price(self, *parts: str) -> float | None:
        key = OnDemandKey(*parts)
        return price_list.ondemand_price(self.client.ondemand_products(key), key)

    def _listed_volume_prices(self, *parts: str) -> VolumePrices:
        key = VolumeKey(*parts)
        return price_list.volume_prices(self.client.volume_products(*key), key)

    def _listed_snapshot_price(self, *parts: str) -> float | None:
        key = SnapshotKey(*parts)
        return price_list.snapshot_price(self.client.snapshot_products(key.region, key.place), key)

    def _read_stale(
        self, prices: Memo[V | None], keys: Iterable[tuple[str, ...]], read: Callable[..., V | None]
    ) -> None:
        """Read the prices that are not known or are a day old, until one fails. Old prices stay usable for a week."""
        for key in prices.stale(keys) if 'api' in self.settings.sources else ():
            if self.list_failure is None and not self.client.has_price_list(key[0]):
                self.list_failure = Rejected(f'AWS has no price list API for {key[0]}', reason='no_price_list')
            if self.list_failure is not None:
                break
            try:
                prices.put(key, read(*key))
                self._read_list = True
            except AmbiguousPrice as error:
                prices.put(key, None)
                self._problems.append(error)
            except (OutOfBudget, Unauthorized):
                raise
            except SourceError as error:
                self.list_failure = error

    @property
    def _list_outages(self) -> int:
        if self._read_list:
            return 0
        if isinstance(self.list_failure, TEMPORARY):
            return self.remembered.list_outages + 1
        # Without a request, nothing is known.
        return 0 if self.list_failure else self.remembered.list_outages

    def _await_list(self, missing: bool) -> None:
        """Raise the error of the price list when a price is missing because of a short outage; note others."""
        if self.list_failure is None:
            return
        if missing and isinstance(self.list_failure, TEMPORARY) and self._list_outages <= MAX_OUTAGES:
            raise self.list_failure
        if not self._told:
            self._told = True
            self._problems.append(_without_list(self.list_failure))

    # The spot market.

    def _read_spot(self, instances: Iterable[Instance]) -> None:
        by_region: defaultdict[str, set[SpotKey]] = defaultdict(set)
        failed: list[SourceError] = []
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
                if isinstance(error, TEMPORARY):
                    self.spot_failures[region] = error
                failed.append(error)
                continue
            for key in stale:
                self._spot.put(key, in_force.get(key))
        # Once: a missing permission is missing in all regions.
        self._problems += failed[:1]

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
        return priced.is_spot and priced.spot is None and SpotKey.of(priced.instance) not in self._spot

    # The sources of prices in their order.

    def _ondemand_price(self, instance: Instance, key: OnDemandKey | None, file: PriceFile | None) -> Price | None:
        return next(filter(None, self._ondemand_candidates(instance, key, file)), None)

    def _ondemand_candidates(
        self, instance: Instance, key: OnDemandKey | None, file: PriceFile | None
    ) -> Iterator[Price | None]:
        for source in self.settings.sources:
            if source == 'api' and key is not None:
                yield _remembered(self._ondemand, key)
            elif source == 'file' and file is not None and key is not None:
                yield file.ondemand(key)
            elif source == 'table' and instance.instance_type in self.settings.table:
                yield Price(self.settings.table[instance.instance_type], None)

    def _spot_price(self, instance: Instance, file: PriceFile | None) -> Price | None:
        key = SpotKey.of(instance)
        price = _remembered(self._spot, key) if self.settings.spot else None
        return price or (file.spot(key) if file is not None else None)

    def _price_file(self, instances: Iterable[Instance]) -> PriceFile | None:
        if 'file' not in self.settings.sources or self.settings.file is None:
            return None
        return PriceFile(self.settings.file, {instance.instance_type for instance in instances})


def _remembered(prices: Memo[float | None], key: tuple[str, ...]) -> Price | None:
    known = prices.get(key)
    return None if known is None or known.value is None else Price(known.value, from_epoch(known.at))


def _without_list(failure: SourceError) -> SourceError:
    """Return the error of the price list with what it means for the prices."""
    return SourceError(
        f'{failure}; things whose price is not known are left out and lower the coverage. If the price list stays '
        'out of reach, set `prices.file` or `prices.table`, and `prices.source`',
        reason=failure.reason,
    )
