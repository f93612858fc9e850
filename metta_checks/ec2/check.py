"""The blocks of source `ec2`: each calls client and measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.address import shown
from ..core.blocks import block
from ..core.diagnosis import Finding
from ..core.errors import DependencyFailed, OutOfBudget, SourceError, Unauthorized
from ..core.memo import Learned, Sightings
from ..core.refresh import Attempt, Refresh, need
from ..core.snapshot import KEEP_INTERVALS
from ..core.source import Source
from ..core.stored import stored
from ..core.times import age, from_epoch
from . import diagnosis, idle_search, measures
from .account import Account, identified
from .aws import Aws
from .capacity import Interruptions
from .client import Client
from .cost_explorer import CostExplorer, settled_day
from .idle_search import IdleInstances
from .instance_types import TypeReader
from .price_lookup import KnownPrices, PriceLookup
from .prices import PricedInstance
from .records import Fleet, Instance, InstanceType, Volume
from .regions import Survey, enabled, survey
from .sdk_errors import NoData
from .seen_gpus import SeenGpus
from .settings import Settings
from .snapshot_crawl import Crawl, SnapshotReader, Totals

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

T = TypeVar('T')

HOUR_SECONDS = 3600
DAY_SECONDS = 86400
WEEK_SECONDS = 7 * DAY_SECONDS


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


class Ec2Check(Source['InstanceConfig', Known]):
    """Instances, volumes, snapshots and their list price, of one account over one or more regions."""

    SOURCE = 'ec2'
    HEALTH = 'see https://health.aws.amazon.com/health/status'
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
        self.cost_explorer = CostExplorer(self._aws)

    def address(self) -> str:
        """Return the address of the service that tells the account, which `probe` asks first."""
        return shown(self._aws.address('sts', self._aws.home)) if self._aws is not None else ''

    def close(self) -> None:
        """Close the connections, those of the AWS SDK included."""
        super().close()
        if self._aws is not None:
            self._aws.close()

    def begin(self, refresh: Refresh) -> None:
        """Forget the account and the regions of the last refresh.

        Block `instances` finds them again. If it cannot, the blocks that read regions fail, and name it as the reason.
        """
        self._survey: Survey | None = None
        self._tags: dict[str, str] = {}
        self._lookup = PriceLookup(self.client, self.settings.prices, self.memory.prices, refresh.now)

    def base_tags(self) -> Mapping[str, str]:
        """Return the tag `account`, once it is known."""
        return self._tags

    # Instances.

    @block(state=SeenGpus)
    def instances(self, attempt: Attempt[SeenGpus]) -> Fleet:
        """Read the instances of all regions, and the equipment of their types."""
        account_error = self._identify(attempt)
        self._survey = self._read_instances(attempt)
        found = self._survey.complete()
        fleet = self._fleet(attempt, found)
        attempt.emit(measures.instances.measure(fleet, attempt.now, max_types=self.settings.max_types))
        self._emit_accelerators(attempt, fleet)
        if account_error is not None:
            attempt.problem(account_error.reason, f'tag `account`: {account_error}')
        return fleet

    def _read_instances(self, attempt: Attempt[SeenGpus]) -> Survey:
        named = self.settings.regions
        if not named:
            listed = enabled(self.client, self.memory.regions, attempt.now.timestamp())
            self.memory = replace(self.memory, regions=listed)
        regions = named or listed.value
        tag_keys = self.settings.tag_keys
        found = survey(regions, lambda region: self.client.instances(region, tag_keys), is_discovered=not named)
        if found.warning is not None:
            attempt.problem('region_denied', found.warning)
        return found

    def _emit_accelerators(self, attempt: Attempt[SeenGpus], fleet: Fleet) -> None:
        seen = (attempt.state or SeenGpus()).joined(fleet, attempt.now)
        attempt.emit(measures.accelerators.measure(fleet, seen.models))
        if self.settings.gpu_breakdown:
            attempt.emit(measures.accelerators.by_lifecycle(fleet, seen.pairs.last))
        for key in self.settings.tag_by:
            attempt.emit(measures.accelerators.by_tag(fleet, key))
        attempt.state = seen

    def _identify(self, attempt: Attempt[SeenGpus]) -> SourceError | None:
        """Set the tag `account`. Return the error when the account cannot be read; the last known one stays."""
        failure = None
        try:
            account = identified(self.client, self.memory.account, attempt.now.timestamp())
            self.memory = replace(self.memory, account=account)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            failure = error
        known = self.memory.account
        self._tags = known.value.tags if known else {}
        # The attempt began with the tags of `base_tags`, before the account was known.
        attempt.tags |= self._tags
        return failure

    def _account_id(self) -> str:
        """Return the number of the account. Raises DependencyFailed when it is not known."""
        if 'account' not in self._tags:
            raise DependencyFailed('needs the number of the account, which sts:GetCallerIdentity did not tell')
        return self._tags['account']

    def _fleet(self, attempt: Attempt[SeenGpus], instances: list[Instance]) -> Fleet:
        """Return the instances with their types. Reports types that AWS does not describe."""
        reader = TypeReader(self.client, self.memory.types, attempt.now)
        try:
            types = reader.read(self._regions(), instances)
            return Fleet(instances, types, frozenset(reader.unread))
        finally:
            self.memory = replace(self.memory, types=reader.learned)
            _note(attempt, reader.problems)

    @block()
    def regions(self, attempt: Attempt[None]) -> Survey:
        """Show the instances of single regions, also when another region cannot be read."""
        found = need(self._survey, 'instances')
        if not found.instances:
            raise DependencyFailed('needs the instances of a region; none could be read')
        attempt.emit(measures.regions.running(found.instances))
        return found

    def _regions(self) -> tuple[str, ...]:
        """Return the regions to read. Raises DependencyFailed when block `instances` did not find them."""
        return need(self._survey, 'instances').regions

    def _all_regions(self, read: Callable[[str], Iterable[T]]) -> Iterator[T]:
        """Yield the rows of all regions, one region after the other."""
        for region in self._regions():
            yield from read(region)

    # Volumes and addresses.

    @block(uses=instances)
    def volumes(self, attempt: Attempt[None], fleet: Fleet | None) -> list[Volume]:
        """Read the volumes."""
        tag_keys = self.settings.tag_keys
        found = self._all_regions(lambda region: self.client.volumes(region, tag_keys))
        volumes = measures.volumes.existing(found)
        attempt.emit(measures.volumes.measure(volumes, fleet.stopped_ids if fleet else None, attempt.now))
        return volumes

    @block()
    def addresses(self, attempt: Attempt[None]) -> None:
        """Read the Elastic IP addresses."""
        attempt.emit(measures.addresses.measure(self._all_regions(self.client.addresses)))

    # Idle instances.

    def finds_idle(self) -> bool:
        """Return whether option `idle.source` is not off; CloudWatch costs money."""
        return self.settings.idle.source != idle_search.OFF

    def idle_interval(self) -> float:
        """Return the option `idle.interval`."""
        return self.settings.idle.interval

    def has_fleet(self, fleet: Fleet | None) -> bool:
        """Return True if the instances and their types are known. Without them, block `idle` waits."""
        return fleet is not None and not fleet.unread_types

    @block(
        name='idle',
        part='search',
        uses=instances,
        every=idle_interval,
        when=finds_idle,
        given=has_fleet,
        state=IdleInstances,
    )
    def search_idle(self, attempt: Attempt[IdleInstances], fleet: Fleet | None) -> None:
        """Find the idle instances."""
        # Never missing here, because of `given`.
        fleet, rule = need(fleet, 'instances'), self.settings.idle
        found = idle_search.search(self.client, fleet, self._regions(), rule, attempt.now)
        if found.not_asked:
            attempt.truncated(
                f'{rule.max_instances + found.not_asked} instances, only the {rule.max_instances} that have been '
                'running longest are asked about; raise option `idle.max_instances` to ask about more, at a higher cost'
            )
        _note(attempt, filter(None, [found.failure]))
        attempt.state = found.of_known_type(fleet.types)

    @block(uses=instances, when=finds_idle, given=has_fleet)
    def idle(self, attempt: Attempt[None], fleet: Fleet | None) -> None:
        """Show the idle instances of the last search that still run."""
        fleet = need(fleet, 'instances')
        found = self._idle_instances(attempt, fleet.running)
        if found is not None:
            idle, unknown = found.running(fleet)
            attempt.emit(measures.idle.measure(idle, fleet.types, unknown))

    def _idle_instances(self, attempt: Attempt[None], running: Iterable[Instance]) -> IdleInstances | None:
        """Return the outcome of the last search, None without any or when it is too old to be shown."""
        searched_at = attempt.refresh.refreshed_at('idle', self.search_idle.part)
        since = age(searched_at, attempt.now.timestamp())
        found = attempt.refresh.stored(self.search_idle.key(), IdleInstances)
        longest = KEEP_INTERVALS * max(self.idle_interval(), self.config.refresh_interval)
        if searched_at is None or since is None or since > longest or found is None:
            return None
        return found.without_restarted(running, searched_at)

    # Prices.

    @block(regions)
    def region_prices(self, attempt: Attempt[None], found: Survey) -> list[PricedInstance]:
        """Read the prices of the instances, and show those of single regions."""
        running = Fleet([one for some in found.instances.values() for one in some], {}).running
        with self._prices(attempt) as lookup:
            priced = lookup.instances(running)
        attempt.emit(measures.regions.hourly(priced, found.instances, lookup.awaited(priced)))
        return priced

    @block(region_prices, instances)
    def prices(self, attempt: Attempt[None], priced: list[PricedInstance], fleet: Fleet) -> None:
        """Estimate the costs of instances from list prices and spot prices."""
        for error in self._lookup.awaited(priced).values():
            raise error
        attempt.emit(measures.instance_costs.measure(priced, fleet, attempt.now))
        if self.settings.gpu_breakdown:
            attempt.emit(measures.instance_costs.by_gpu_type(priced, fleet))
        for key in self.settings.tag_by:
            attempt.emit(measures.instance_costs.by_tag(priced, key))
        self._emit_idle_costs(attempt, priced)

    def _emit_idle_costs(self, attempt: Attempt[None], priced: list[PricedInstance]) -> None:
        found = self._idle_instances(attempt, [one.instance for one in priced])
        if found is None:
            return
        attempt.emit(measures.instance_costs.idle(priced, found.ids))
        for key in self.settings.tag_by:
            attempt.emit(measures.instance_costs.idle_by_tag(priced, found.ids, key))

    @block(volumes, uses=instances)
    def storage_prices(self, attempt: Attempt[None], volumes: list[Volume], fleet: Fleet | None) -> None:
        """Estimate the costs of volumes from list prices."""
        with self._prices(attempt) as lookup:
            priced = measures.storage_costs.monthly(lookup.volumes(volumes))
        attempt.emit(measures.storage_costs.volumes(priced, fleet.stopped_ids if fleet else None))
        for key in self.settings.tag_by:
            attempt.emit(measures.storage_costs.by_tag(priced, key))

    @contextmanager
    def _prices(self, attempt: Attempt[Any]) -> Iterator[PriceLookup]:
        """Give the prices of the refresh. Keeps those that were read, even if another price makes the block fail."""
        try:
            yield self._lookup
        finally:
            self.memory = replace(self.memory, prices=self._lookup.known)
            _note(attempt, self._lookup.problems())

    # Reserved capacity, and spot instances that AWS took away.

    def reads_capacity(self) -> bool:
        """Return the option `capacity_reservations`."""
        return self.settings.capacity_reservations

    @block(when=reads_capacity, state=Sightings)
    def capacity(self, attempt: Attempt[Sightings]) -> None:
        """Read the capacity reservations that the account owns."""
        account = self._account_id()
        found = list(self._all_regions(lambda region: self.client.reservations(region, account)))
        types = {one.instance_type for one in found}
        seen = (attempt.state or Sightings()).joined(types, attempt.now.timestamp(), keep=WEEK_SECONDS)
        attempt.emit(measures.capacity.reserved(found, seen.last, max_types=self.settings.max_types))
        attempt.state = seen

    def reads_interruptions(self) -> bool:
        """Return the option `spot_interruptions`."""
        return self.settings.spot_interruptions

    @block(when=reads_interruptions, state=Interruptions)
    def spot(self, attempt: Attempt[Interruptions]) -> None:
        """Read which spot instances AWS took away."""
        found = self._all_regions(self.client.interruptions)
        seen = (attempt.state or Interruptions()).joined(found, attempt.now)
        types = [one.instance_type for one in seen.last]
        attempt.emit(measures.capacity.interrupted(types, seen.types.last, max_types=self.settings.max_types))
        attempt.state = seen

    # The bill.

    def reads_bill(self) -> bool:
        """Return the option `cost_explorer`: each request costs money."""
        return self.settings.cost_explorer

    def reads_commitments(self) -> bool:
        """Return the option `commitments`: each request costs money."""
        return self.settings.commitments

    def billing_interval(self) -> float:
        """Return less than a day, in seconds, so that a late refresh leaves no day out: 23 hours, by default."""
        return max(HOUR_SECONDS, DAY_SECONDS - max(HOUR_SECONDS, self.config.refresh_interval))

    def _bill_day(self, attempt: Attempt[None], other: str) -> date:
        """Return the day to read; that of the other block when this one follows it, as after a failure."""
        read_at = attempt.refresh.refreshed_at(other)
        since = age(read_at, attempt.now.timestamp())
        follows = since is not None and since < self.billing_interval() / 2
        return settled_day((from_epoch(read_at) if follows else None) or attempt.now)

    @block(every=billing_interval, when=reads_bill)
    def billing(self, attempt: Attempt[None]) -> None:
        """Read the bill of the last day that is settled."""
        try:
            found = self.cost_explorer.bill(self._account_id(), self._bill_day(attempt, 'commitments'))
        except NoData as error:
            # Asking again before tomorrow would cost money.
            _note(attempt, [error])
        else:
            attempt.emit(measures.billing.bill(found))

    @block(every=billing_interval, when=reads_commitments)
    def commitments(self, attempt: Attempt[None]) -> None:
        """Read the use of savings plans and reserved instances on the last day that is settled."""
        problems: list[SourceError] = []
        day = self._bill_day(attempt, 'billing')
        for found in self.cost_explorer.commitments(self._account_id(), day, problems):
            attempt.emit(measures.billing.commitments(found))
        _note(attempt, problems)

    # Snapshots: last, since they can take all the time that a refresh has.

    def reads_snapshots(self) -> bool:
        """Return the option `read_snapshots`."""
        return self.settings.read_snapshots

    def prices_snapshots(self) -> bool:
        """Return the option `price_snapshots`, for snapshots that are read."""
        return self.settings.price_snapshots and self.settings.read_snapshots

    @block(uses=volumes, when=reads_snapshots, state=Crawl)
    def snapshots(self, attempt: Attempt[Crawl], volumes: list[Volume] | None) -> Totals:
        """Read the snapshots of the account, or go on where the last refresh was interrupted."""
        volume_ids = None if volumes is None else {volume.volume_id for volume in volumes}
        reader = SnapshotReader(self.client, self._regions(), volume_ids, self.settings.read_images, attempt.now)
        try:
            totals = reader.read(attempt.state, attempt.checkpoint)
        finally:
            _note(attempt, reader.problems)
        # A crawl that was interrupted describes the time at which it began.
        attempt.now = from_epoch(totals.begun) or attempt.now
        attempt.emit(measures.snapshots.measure(totals))
        attempt.state = None
        return totals

    @block(snapshots, when=prices_snapshots)
    def snapshot_prices(self, attempt: Attempt[None], totals: Totals) -> None:
        """Estimate the costs of snapshots from list prices."""
        with self._prices(attempt) as lookup:
            stock = lookup.snapshots(totals.billed)
        attempt.now = from_epoch(totals.begun) or attempt.now
        attempt.emit(measures.storage_costs.snapshots(stock))

    # Diagnosis.

    def probe(self) -> Iterator[Finding]:
        """Return findings about the account, the permissions in each region, and the price list. Reads no data."""
        return diagnosis.findings(self.client, self.settings)


def _note(attempt: Attempt[Any], problems: Iterable[SourceError]) -> None:
    for problem in problems:
        attempt.problem(problem.reason, str(problem))
