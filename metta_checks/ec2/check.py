"""The blocks of source `ec2`: each calls client and measures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from ..core.blocks import block
from ..core.diagnosis import Finding
from ..core.errors import OutOfBudget, SourceError, Unauthorized
from ..core.memo import Ages, Learned, Memo, Sightings, fingerprint
from ..core.refresh import Attempt, Refresh, need
from ..core.snapshot import KEEP_INTERVALS
from ..core.source import Source
from ..core.stored import stored
from . import measures
from .aws import Aws
from .client import Client
from .price_lookup import KnownPrices, PriceLookup
from .prices import OnDemandKey, PricedInstance
from .records import LINUX_OPERATION, SHARED_TENANCY, Fleet, Instance, InstanceType, Snapshot, Volume
from .settings import Settings

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

T = TypeVar('T')

DAY_SECONDS = 86400
WEEK_SECONDS = 7 * DAY_SECONDS
REGION_AGES = Ages(fresh=DAY_SECONDS, usable=WEEK_SECONDS)
TYPE_AGES = Ages(fresh=WEEK_SECONDS, usable=2 * WEEK_SECONDS)
# The operations that every refresh calls in each region, as the SDK names them.
READ_OPERATIONS = (
    'describe_instances',
    'describe_instance_types',
    'describe_volumes',
    'describe_snapshots',
    'describe_addresses',
)
# A type with a price everywhere, to probe the price list with.
COMMON_TYPE = 't3.micro'
SHOWN_NAMES = 5


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
    """The instances that were idle when AWS was asked last.

    Attributes:
        ids: identifiers of the instances
    """

    ids: frozenset[str]


class Ec2Check(Source['InstanceConfig', Known]):
    """Instances, volumes, snapshots and their list price, of one account over one or more regions."""

    SOURCE = 'ec2'
    MEMORY = Known
    # Without `access_key_id`: messages do not show the access key.
    LABEL_OPTIONS = ('regions', 'role_arn', 'profile')
    SECRET_OPTIONS = ('secret_access_key',)
    READING_OPTIONS = ('external_id',)

    # None before `connect`.
    _aws: Aws | None = None

    def connect(self) -> None:
        """Build the client."""
        self.settings = Settings.of(self.config)
        self._aws = Aws(self.settings.access, self.http, self.budget, self.now, self.settings.regions)
        self.client = Client(self._aws)

    def close(self) -> None:
        """Close the connections, those of the AWS SDK included."""
        super().close()
        if self._aws is not None:
            self._aws.close()

    def begin(self, refresh: Refresh) -> None:
        """Forget the account and the regions of the last refresh.

        Block `instances` finds them again. If it cannot, the blocks that read regions fail, and name it as the reason.
        """
        self._regions: tuple[str, ...] | None = None
        self._tags: dict[str, str] = {}

    def base_tags(self) -> Mapping[str, str]:
        """Return the tag `account`, once it is known."""
        return self._tags

    # Instances.

    @block(state=Sightings)
    def instances(self, attempt: Attempt[Sightings]) -> Fleet:
        """Read the instances of all regions, and the equipment of their types."""
        now = attempt.now.timestamp()
        account_error = self._resolve_account(now)
        # The attempt began with the tags of `base_tags`, before the account was known.
        attempt.tags |= self._tags
        self._regions = self.settings.regions or self._enabled_regions(now)
        found = list(self._all_regions(lambda region: self.client.instances(region, self.settings.tag_by)))
        fleet = Fleet(found, self._types(attempt, found))
        gpus = measures.instances.gpus(fleet.types_of(fleet.running))
        seen = (attempt.state or Sightings()).joined(gpus, now, keep=WEEK_SECONDS)
        attempt.emit(
            measures.instances.measure(
                fleet, self._regions, attempt.now, max_types=self.settings.max_types, seen_gpus=seen.last
            )
        )
        attempt.state = seen
        if account_error is not None:
            attempt.problem(account_error.reason, f'tag `account`: {account_error}')
        return fleet

    def _resolve_account(self, now: float) -> SourceError | None:
        """Set the tag `account`. Return the error when the account could not be read, and keep the last known one."""
        error = None
        try:
            self._read_account(now)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as caught:
            error = caught
        account = self.memory.account
        self._tags = {'account': account.value.id} if account else {}
        return error

    def _read_account(self, now: float) -> None:
        key = fingerprint(self.client.key())
        known = self.memory.account
        if known is None or known.value.key != key:
            account = Account(key, self.client.account())
            self.memory = replace(self.memory, account=Learned(account, now))

    def _enabled_regions(self, now: float) -> tuple[str, ...]:
        """Return the regions that are enabled for the account, read once a day."""
        known = self.memory.regions
        if known is None or not known.is_fresh(now, REGION_AGES):
            known = Learned(tuple(self.client.regions()), now)
            self.memory = replace(self.memory, regions=known)
        return known.value

    def _types(self, attempt: Attempt[Sightings], instances: Collection[Instance]) -> dict[str, InstanceType]:
        """Return the types that AWS describes, by name. Reports those that it does not describe."""
        known = Memo(self.memory.types, attempt.now.timestamp(), TYPE_AGES)
        try:
            self._read_types(known, instances)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            # Only the figures that need the type of an instance are absent.
            attempt.problem(error.reason, str(error))
        finally:
            self.memory = replace(self.memory, types=known.learned)
        names = sorted({instance.instance_type for instance in instances})
        found = {name: learned.value for name in names if (learned := known.get((name,)))}
        unknown = [name for name in names if name not in found]
        if unknown:
            shown = ', '.join(unknown[:SHOWN_NAMES])
            attempt.problem('unknown_type', f'{len(unknown)} instance types are not described by AWS ({shown})')
        return found

    def _read_types(self, known: Memo[InstanceType], instances: Collection[Instance]) -> None:
        """Read the types that are not known. Not every region has every type: a type is read where it runs."""
        for region in need(self._regions, 'instances'):
            used = {(instance.instance_type,) for instance in instances if instance.region == region}
            stale = [name for (name,) in known.stale(used)]
            for name, instance_type in self.client.types(region, stale):
                known.put((name,), instance_type)

    # Volumes, snapshots, addresses.

    @block(uses=instances)
    def volumes(self, attempt: Attempt[None], fleet: Fleet | None) -> list[Volume]:
        """Read the volumes."""
        volumes = measures.volumes.existing(self._all_regions(self.client.volumes))
        attempt.emit(measures.volumes.measure(volumes, fleet.stopped_ids if fleet else None, attempt.now))
        return volumes

    @block(uses=volumes)
    def snapshots(self, attempt: Attempt[None], volumes: list[Volume] | None) -> list[Snapshot]:
        """Read the snapshots of the account."""
        snapshots = measures.snapshots.completed(self._all_regions(self.client.snapshots))
        volume_ids = None if volumes is None else {volume.volume_id for volume in volumes}
        attempt.emit(measures.snapshots.measure(snapshots, volume_ids, attempt.now))
        return snapshots

    @block()
    def addresses(self, attempt: Attempt[None]) -> None:
        """Read the Elastic IP addresses."""
        attempt.emit(measures.addresses.measure(self._all_regions(self.client.addresses)))

    # Idle instances.

    def finds_idle(self) -> bool:
        """Return whether idle instances are looked for, which may cost money."""
        return self.settings.idle.source != 'off'

    def idle_interval(self) -> float:
        """Return the option `idle.interval`."""
        return self.settings.idle.interval

    def has_fleet(self, fleet: Fleet | None) -> bool:
        """Return whether block `instances` succeeded. Without it, block `idle` is not attempted and keeps its retry."""
        return fleet is not None

    @block(uses=instances, every=idle_interval, when=finds_idle, given=has_fleet, state=IdleInstances)
    def idle(self, attempt: Attempt[IdleInstances], fleet: Fleet | None) -> None:
        """Find the idle instances."""
        # Never missing here, because of `given`.
        fleet = need(fleet, 'instances')
        if self.settings.idle.source == 'compute_optimizer':
            findings = self._all_regions(self.client.idle_recommendations)
            ids = {finding.instance_id for finding in findings if finding.is_idle}
            idle = [instance for instance in fleet.running if instance.instance_id in ids]
        else:
            idle = list(self._little_used(self._candidates(attempt, fleet), attempt.now))
        attempt.emit(measures.idle.measure(idle, fleet.types))
        attempt.state = IdleInstances(frozenset(instance.instance_id for instance in idle))

    def _candidates(self, attempt: Attempt[IdleInstances], fleet: Fleet) -> list[Instance]:
        """Return the instances to ask CloudWatch about."""
        rule = self.settings.idle
        candidates = measures.idle.candidates(fleet.running, attempt.now, rule)
        if len(candidates) > rule.max_instances:
            attempt.truncated(
                f'{len(candidates)} instances, only the {rule.max_instances} that have been running longest are '
                'asked about; raise option `idle.max_instances` to ask about more, at a higher cost'
            )
        return candidates[: rule.max_instances]

    def _little_used(self, candidates: Collection[Instance], now: datetime) -> Iterator[Instance]:
        for region in need(self._regions, 'instances'):
            by_id = {instance.instance_id: instance for instance in candidates if instance.region == region}
            for instance_id, utilization in self.client.utilization(region, list(by_id), now).items():
                if measures.idle.is_idle(utilization, self.settings.idle):
                    yield by_id[instance_id]

    # Prices.

    @block(instances, volumes, uses=snapshots)
    def prices(
        self, attempt: Attempt[None], fleet: Fleet, volumes: list[Volume], snapshots: list[Snapshot] | None
    ) -> None:
        """Estimate costs from list prices and spot prices."""
        lookup = PriceLookup(self.client, self.settings.prices, self.memory.prices, attempt.now)
        try:
            self._emit_instance_costs(attempt, lookup.instances(fleet.running, fleet.types))
            volume_prices = lookup.volume_prices(volumes)
            attempt.emit(measures.storage_costs.volumes(volumes, volume_prices, fleet.stopped_ids))
            if self.settings.price_snapshots and snapshots is not None:
                snapshot_prices = lookup.snapshot_prices({snapshot.region for snapshot in snapshots})
                attempt.emit(measures.storage_costs.snapshots(snapshots, snapshot_prices))
        finally:
            # The prices that were read are kept, even if another price makes the block fail.
            self.memory = replace(self.memory, prices=lookup.known)
        for problem in lookup.problems:
            attempt.problem(problem.reason, str(problem))

    def _emit_instance_costs(self, attempt: Attempt[None], priced: list[PricedInstance]) -> None:
        attempt.emit(measures.instance_costs.measure(priced, need(self._regions, 'instances'), attempt.now))
        idle_ids = self._idle_ids(attempt)
        if idle_ids is not None:
            attempt.emit(measures.instance_costs.idle(priced, idle_ids))
        for key in self.settings.tag_by:
            attempt.emit(measures.instance_costs.by_tag(priced, key))

    def _idle_ids(self, attempt: Attempt[None]) -> frozenset[str] | None:
        """Return the ids that block `idle` found, None without any or when its figures are too old to be shown."""
        idle = attempt.refresh.stored(self.idle.key(), IdleInstances)
        asked_at = attempt.refresh.refreshed_at('idle')
        keep = KEEP_INTERVALS * max(self.idle_interval(), self.config.refresh_interval)
        if idle is None or asked_at is None or attempt.now.timestamp() - asked_at > keep:
            return None
        return idle.ids

    # The bill.

    def reads_bill(self) -> bool:
        """Return the option `cost_explorer`: each request costs money."""
        return self.settings.cost_explorer

    def billing_interval(self) -> float:
        """Return the interval of block `billing`, a day, in seconds."""
        return DAY_SECONDS

    @block(every=billing_interval, when=reads_bill)
    def billing(self, attempt: Attempt[None]) -> None:
        """Read the bill of yesterday."""
        yesterday = (attempt.now - timedelta(days=1)).date()
        attempt.emit(measures.billing.measure(self.client.bill(yesterday)))

    def _all_regions(self, read: Callable[[str], Iterable[T]]) -> Iterator[T]:
        """Yield the rows of all regions, one region after the other."""
        for region in need(self._regions, 'instances'):
            yield from read(region)

    # Diagnosis.

    def probe(self) -> Iterator[Finding]:
        """Yield findings about the account, the permissions in each region, and the price list. Reads no data."""
        yield Finding('account', 'ok', f'the credentials belong to account {self.client.account()}')
        regions = self.settings.regions or tuple(self.client.regions())
        for region in regions:
            yield from self._probe_region(region)
        if 'api' in self.settings.prices.sources:
            yield self._probe_price_list(regions[0])

    def _probe_region(self, region: str) -> Iterator[Finding]:
        spot = ('describe_spot_price_history',) if self.settings.prices.spot else ()
        errors = [
            error for operation in (*READ_OPERATIONS, *spot) if (error := self._permission_error(region, operation))
        ]
        for error in errors:
            yield Finding(f'region {region}', 'fail', str(error))
        if not errors:
            yield Finding(f'region {region}', 'ok', 'instances, volumes, snapshots and addresses can be read')

    def _permission_error(self, region: str, operation: str) -> SourceError | None:
        try:
            self.client.check_permission(region, operation)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            return error
        return None

    def _probe_price_list(self, region: str) -> Finding:
        key = OnDemandKey(region, COMMON_TYPE, LINUX_OPERATION, SHARED_TENANCY)
        if any(True for _ in self.client.ondemand_products(key)):
            return Finding('prices', 'ok', 'the price list answers')
        return Finding('prices', 'warning', 'no price found')
