"""The wiring of source `ec2`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ..core.blocks import block
from ..core.diagnosis import Finding
from ..core.errors import OutOfBudget, SourceError, Unauthorized
from ..core.memo import Ages, Learned, Memo, Sightings, fingerprint
from ..core.refresh import Attempt, Refresh, need
from ..core.snapshot import KEEP_INTERVALS
from ..core.source import Source
from ..core.stored import stored
from . import costs, measures
from .aws import Aws
from .client import Client
from .pricing import OnDemandKey
from .quotes import DAY, KnownPrices, Quotes
from .records import LINUX_OPERATION, Fleet, Instance, InstanceType, Snapshot, Volume
from .settings import Settings

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

T = TypeVar('T')

WEEK = 7 * DAY
REGION_AGES = Ages(fresh=DAY, usable=WEEK)
TYPE_AGES = Ages(fresh=WEEK, usable=2 * WEEK)
# What is asked for per region, in the words of the SDK.
READS = (
    'describe_instances',
    'describe_instance_types',
    'describe_volumes',
    'describe_snapshots',
    'describe_addresses',
)


@stored
class Account:
    """The account that the credentials belong to.

    Attributes:
        key: fingerprint of the access key in use
        id: number of the account
    """

    key: str
    id: str


@stored
class Known:
    """Facts that hardly change.

    Attributes:
        account: the account of the credentials
        regions: the regions that are enabled for the account; None where the configuration names them
        types: the equipment of instance types, by name
        prices: list prices and spot prices
    """

    account: Learned[Account] | None = None
    regions: Learned[tuple[str, ...]] | None = None
    types: dict[str, Learned[InstanceType]] = field(default_factory=dict)
    prices: KnownPrices = field(default_factory=KnownPrices)


@stored
class IdleInstances:
    """The instances that nobody used, as of the last time that AWS was asked.

    Attributes:
        ids: identifiers of the instances
    """

    ids: frozenset[str]


class Ec2Check(Source['InstanceConfig', Known]):
    """Instances, volumes, snapshots and their list price, of one account over one or more regions."""

    SOURCE = 'ec2'
    MEMORY = Known
    IDENTITY_OPTIONS = ('regions', 'role_arn', 'profile', 'access_key_id', 'endpoint_url')
    SECRET_OPTIONS = ('secret_access_key',)

    def connect(self) -> None:
        """Build the client."""
        self.settings = Settings.of(self.config)
        self.client = Client(Aws(self.settings.access, self.http, self.budget, self.now, self.settings.regions))

    @property
    def label(self) -> str:
        """What is read; the access key is not shown."""
        told = any(self.instance.get(option) for option in ('regions', 'role_arn', 'profile'))
        return super().label if told else self.SOURCE

    def begin(self, refresh: Refresh) -> None:
        """Forget what is known for one pass: the account and the regions."""
        self._regions: tuple[str, ...] | None = None
        self._tags: dict[str, str] = {}

    def base_tags(self) -> Mapping[str, str]:
        """Return the tag `account`, once it is known."""
        return self._tags

    # Blocks.

    @block(state=Sightings)
    def instances(self, attempt: Attempt[Sightings]) -> Fleet:
        """Read the instances of all regions, and what their types are."""
        doubt = self._introduce(attempt)
        found = list(self._everywhere(lambda region: self.client.instances(region, self.settings.tag_by)))
        fleet = Fleet(found, self._types(attempt, found))
        kinds = [
            fleet.types[instance.instance_type] for instance in fleet.running if instance.instance_type in fleet.types
        ]
        seen = (attempt.state or Sightings()).joined(measures.gpus(kinds), attempt.now.timestamp(), keep=WEEK)
        attempt.emit(
            measures.instances(
                fleet,
                need(self._regions, 'instances'),
                attempt.now,
                max_types=self.settings.max_types,
                seen_gpus=seen.last,
            )
        )
        attempt.state = seen
        if doubt is not None:
            attempt.problem(doubt.reason, f'tag `account`: {doubt}')
        return fleet

    @block(uses=instances)
    def volumes(self, attempt: Attempt[None], fleet: Fleet | None) -> list[Volume]:
        """Read the volumes."""
        volumes = measures.existing(self._everywhere(self.client.volumes))
        attempt.emit(measures.volumes(volumes, fleet.stopped_ids if fleet else None, attempt.now))
        return volumes

    @block(uses=volumes)
    def snapshots(self, attempt: Attempt[None], volumes: list[Volume] | None) -> list[Snapshot]:
        """Read the snapshots of the account."""
        snapshots = measures.completed(self._everywhere(self.client.snapshots))
        volume_ids = None if volumes is None else {volume.volume_id for volume in volumes}
        attempt.emit(measures.snapshots(snapshots, volume_ids, attempt.now))
        return snapshots

    @block()
    def addresses(self, attempt: Attempt[None]) -> None:
        """Read the elastic addresses."""
        attempt.emit(measures.addresses(list(self._everywhere(self.client.addresses))))

    def finds_idle(self) -> bool:
        """Return whether idle instances are asked for, which may cost money."""
        return self.settings.idle.source != 'off'

    def idle_interval(self) -> float:
        """Return the option `idle.interval`."""
        return self.settings.idle.interval

    def has_fleet(self, fleet: Fleet | None) -> bool:
        """Return whether the instances were read; an attempt without them would use up the turn."""
        return fleet is not None

    @block(uses=instances, every=idle_interval, when=finds_idle, given=has_fleet, state=IdleInstances)
    def idle(self, attempt: Attempt[IdleInstances], fleet: Fleet | None) -> None:
        """Find the instances that nobody uses."""
        fleet = need(fleet, 'instances')
        rule = self.settings.idle
        if rule.source == 'compute_optimizer':
            ids = set(self._everywhere(self.client.idle_recommendations))
            idle = [instance for instance in fleet.running if instance.instance_id in ids]
        else:
            candidates = measures.idle_candidates(fleet.running, attempt.now, rule)
            if len(candidates) > rule.max_instances:
                attempt.truncated(
                    f'{len(candidates)} instances, only the {rule.max_instances} that have been running longest are '
                    'asked about; see option `idle.max_instances`, and what the question costs'
                )
            idle = list(self._little_used(candidates[: rule.max_instances], attempt))
        attempt.emit(measures.idle(idle, fleet.types))
        attempt.state = IdleInstances(frozenset(instance.instance_id for instance in idle))

    def _little_used(self, candidates: list[Instance], attempt: Attempt[IdleInstances]) -> Iterator[Instance]:
        for region in need(self._regions, 'instances'):
            there = [instance for instance in candidates if instance.region == region]
            known = self.client.utilization(region, [instance.instance_id for instance in there], attempt.now)
            yield from (i for i in there if measures.is_idle(known[i.instance_id], self.settings.idle))

    @block(instances, volumes, uses=snapshots)
    def prices(
        self, attempt: Attempt[None], fleet: Fleet, volumes: list[Volume], snapshots: list[Snapshot] | None
    ) -> None:
        """Estimate costs from list prices."""
        quotes = Quotes(self.client, self.settings.prices, self.memory.prices, attempt.now)
        try:
            self._price_instances(attempt, fleet, quotes)
            attempt.emit(costs.volumes(volumes, quotes.volume_prices(volumes), fleet.stopped_ids))
            if self.settings.price_snapshots and snapshots is not None:
                prices = quotes.snapshot_prices({snapshot.region for snapshot in snapshots})
                attempt.emit(costs.snapshots(snapshots, prices))
        finally:
            # A price that was read is kept, even if another one makes the block fail.
            self.memory = replace(self.memory, prices=quotes.known)
        for problem in quotes.problems:
            attempt.problem(problem.reason, str(problem))

    def _price_instances(self, attempt: Attempt[None], fleet: Fleet, quotes: Quotes) -> None:
        priced = quotes.instances(fleet.running, fleet.types)
        attempt.emit(costs.instances(priced, need(self._regions, 'instances'), attempt.now))
        idle = attempt.refresh.stored(self.idle.key(), IdleInstances)
        asked_at = attempt.refresh.refreshed_at('idle')
        # As long as the block itself shows what it knows.
        keep = KEEP_INTERVALS * max(self.idle_interval(), self.config.refresh_interval)
        if idle is not None and asked_at is not None and attempt.now.timestamp() - asked_at <= keep:
            attempt.emit(costs.idle(priced, idle.ids))
        for key in self.settings.tag_by:
            attempt.emit(costs.by_tag(priced, key))

    def asks_billing(self) -> bool:
        """Return the option `cost_explorer`: each request costs money."""
        return self.settings.cost_explorer

    def billing_interval(self) -> float:
        """Return the interval of asking for the bill: a day."""
        return DAY

    @block(every=billing_interval, when=asks_billing)
    def billing(self, attempt: Attempt[None]) -> None:
        """Ask for the bill of yesterday."""
        attempt.emit(costs.billed(self.client.billed((attempt.now - timedelta(days=1)).date())))

    # What all blocks need, and what hardly changes.

    def _introduce(self, attempt: Attempt[Sightings]) -> SourceError | None:
        """Whose account it is, and which regions: for this refresh. Returns why the account could not be asked for."""
        doubt = None
        try:
            self._know_account(attempt.now.timestamp())
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            # The account is a tag, no more: what was known of it still holds.
            doubt = error
        account = self.memory.account
        self._tags = {'account': account.value.id} if account else {}
        attempt.tags |= self._tags
        self._regions = self.settings.regions or self._enabled_regions(attempt.now.timestamp())
        return doubt

    def _know_account(self, moment: float) -> None:
        key = fingerprint(self.client.key())
        known = self.memory.account
        if known is None or known.value.key != key:
            account = Account(key, self.client.account())
            self.memory = replace(self.memory, account=Learned(account, moment))

    def _enabled_regions(self, moment: float) -> tuple[str, ...]:
        known = self.memory.regions
        if known is None or not known.is_fresh(moment, REGION_AGES):
            known = Learned(tuple(self.client.regions()), moment)
            self.memory = replace(self.memory, regions=known)
        return known.value

    def _types(self, attempt: Attempt[Sightings], instances: list[Instance]) -> dict[str, InstanceType]:
        known = Memo(self.memory.types, attempt.now.timestamp(), TYPE_AGES)
        try:
            # A type is asked for where it runs: not every region has every type.
            for region in need(self._regions, 'instances'):
                here = {(instance.instance_type,) for instance in instances if instance.region == region}
                for name, kind in self.client.types(region, (name for (name,) in known.stale(here))):
                    known.put((name,), kind)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            # The rest of the block can do without; what cannot is absent.
            attempt.problem(error.reason, str(error))
        finally:
            self.memory = replace(self.memory, types=known.learned)
        names = sorted({instance.instance_type for instance in instances})
        found = {name: learned.value for name in names if (learned := known.get((name,)))}
        unknown = [name for name in names if name not in found]
        if unknown:
            shown = ', '.join(unknown[:5])
            attempt.problem('unknown_type', f'{len(unknown)} instance types are not described by AWS ({shown})')
        return found

    def _everywhere(self, read: Callable[[str], Iterable[T]]) -> Iterator[T]:
        """What is in all regions, one after the other."""
        for region in need(self._regions, 'instances'):
            yield from read(region)

    def probe(self) -> Iterator[Finding]:
        """The account, and per region and service whether reading is allowed. Reads no data."""
        yield Finding('account', 'ok', f'the credentials belong to account {self.client.account()}')
        regions = self.settings.regions or tuple(self.client.regions())
        spot = ('describe_spot_price_history',) if self.settings.prices.spot else ()
        for region in regions:
            problems = list(self._refused(region, (*READS, *spot)))
            yield from problems
            if not problems:
                yield Finding(f'region {region}', 'ok', 'instances, volumes, snapshots and addresses can be read')
        if 'api' in self.settings.prices.sources:
            key = OnDemandKey(regions[0], 't3.micro', LINUX_OPERATION, 'Shared')
            some = sum(1 for _ in islice(self.client.ondemand_products(key), 1))
            yield Finding('prices', 'ok' if some else 'warning', 'the price list answers' if some else 'no price found')

    def _refused(self, region: str, operations: Iterable[str]) -> Iterator[Finding]:
        for operation in operations:
            try:
                self.client.may(region, operation)
            except (Unauthorized, OutOfBudget):
                raise
            except SourceError as error:
                yield Finding(f'region {region}', 'fail', str(error))
