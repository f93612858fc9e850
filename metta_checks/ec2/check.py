"""The wiring of source `ec2`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from ..blocks import block
from ..diagnosis import Finding
from ..errors import OutOfBudget, SourceError, Unauthorized
from ..refresh import Attempt, Refresh, need
from ..snapshot import KEEP_INTERVALS
from ..source import Source
from . import costs, measures
from .aws import Aws
from .cache import Cache
from .client import Client
from .pricing import OnDemandKey
from .quotes import DAY, Quotes
from .records import LINUX_OPERATION, Fleet, Instance, InstanceType, Snapshot, Volume
from .settings import Settings

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

T = TypeVar('T')

WEEK = 7 * DAY
# The key of the only entry in the section `regions` of the cache.
ENABLED = ('enabled',)
# What is asked for per region, in the words of the SDK.
READS = (
    'describe_instances',
    'describe_instance_types',
    'describe_volumes',
    'describe_snapshots',
    'describe_addresses',
)


class Ec2Check(Source['InstanceConfig', dict[str, Any]]):
    """Instances, volumes, snapshots and their list price, of one account over one or more regions."""

    SOURCE = 'ec2'
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

    @block()
    def instances(self, attempt: Attempt[Any]) -> Fleet:
        """Read the instances of all regions, and what their types are."""
        refresh = attempt.refresh
        doubt = self._introduce(attempt, refresh)
        found = list(self._everywhere(lambda region: self.client.instances(region, self.settings.tag_by)))
        fleet = Fleet(found, self._types(attempt, refresh, found))
        kinds = [
            fleet.types[instance.instance_type] for instance in fleet.running if instance.instance_type in fleet.types
        ]
        # A GPU model goes to 0 before it is forgotten, so that graphs fall instead of breaking off.
        moment = attempt.now.timestamp()
        seen = {**(attempt.state or {}), **dict.fromkeys(measures.gpus(kinds), moment)}
        seen = {model: at for model, at in seen.items() if at > moment - WEEK}
        attempt.emit(
            measures.instances(
                fleet, need(self._regions, 'instances'), attempt.now, max_types=self.settings.max_types, seen_gpus=seen
            )
        )
        attempt.state = seen
        if doubt is not None:
            attempt.problem(doubt.reason, f'tag `account`: {doubt}')
        return fleet

    @block(uses=instances)
    def volumes(self, attempt: Attempt[Any], fleet: Fleet | None) -> list[Volume]:
        """Read the volumes."""
        volumes = measures.existing(self._everywhere(self.client.volumes))
        attempt.emit(measures.volumes(volumes, fleet.stopped_ids if fleet else None, attempt.now))
        return volumes

    @block(uses=volumes)
    def snapshots(self, attempt: Attempt[Any], volumes: list[Volume] | None) -> list[Snapshot]:
        """Read the snapshots of the account."""
        snapshots = measures.completed(self._everywhere(self.client.snapshots))
        volume_ids = None if volumes is None else {volume.volume_id for volume in volumes}
        attempt.emit(measures.snapshots(snapshots, volume_ids, attempt.now))
        return snapshots

    @block()
    def addresses(self, attempt: Attempt[Any]) -> None:
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

    @block(uses=instances, every=idle_interval, when=finds_idle, given=has_fleet)
    def idle(self, attempt: Attempt[Any], fleet: Fleet | None) -> None:
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
        attempt.state = [instance.instance_id for instance in idle]

    def _little_used(self, candidates: list[Instance], attempt: Attempt[Any]) -> Iterator[Instance]:
        for region in need(self._regions, 'instances'):
            there = [instance for instance in candidates if instance.region == region]
            known = self.client.utilisation(region, [instance.instance_id for instance in there], attempt.now)
            yield from (i for i in there if measures.is_idle(known[i.instance_id], self.settings.idle))

    @block(instances, volumes, uses=snapshots)
    def prices(
        self, attempt: Attempt[Any], fleet: Fleet, volumes: list[Volume], snapshots: list[Snapshot] | None
    ) -> None:
        """Estimate costs from list prices."""
        refresh = attempt.refresh
        quotes = Quotes(self.client, self.settings.prices, refresh.memory, attempt.now)
        priced = quotes.instances(fleet.running, fleet.types)
        attempt.emit(costs.instances(priced, need(self._regions, 'instances'), attempt.now))
        idle = refresh.state('idle')
        asked_at = refresh.refreshed_at('idle')
        # As long as the block itself shows what it knows.
        keep = KEEP_INTERVALS * max(self.idle_interval(), self.config.refresh_interval)
        if idle is not None and asked_at is not None and attempt.now.timestamp() - asked_at <= keep:
            attempt.emit(costs.idle(priced, set(idle)))
        for key in self.settings.tag_by:
            attempt.emit(costs.by_tag(priced, key))
        attempt.emit(costs.volumes(volumes, quotes.volume_prices(volumes), fleet.stopped_ids))
        if self.settings.price_snapshots and snapshots is not None:
            prices = quotes.snapshot_prices({snapshot.region for snapshot in snapshots})
            attempt.emit(costs.snapshots(snapshots, prices))
        for problem in quotes.problems:
            attempt.problem(problem.reason, str(problem))

    def asks_billing(self) -> bool:
        """Return the option `cost_explorer`: each request costs money."""
        return self.settings.cost_explorer

    def billing_interval(self) -> float:
        """Return the interval of asking for the bill: a day."""
        return DAY

    @block(every=billing_interval, when=asks_billing)
    def billing(self, attempt: Attempt[Any]) -> None:
        """Ask for the bill of yesterday."""
        attempt.emit(costs.billed(self.client.billed((attempt.now - timedelta(days=1)).date())))

    # What all blocks need, and what hardly changes.

    def _introduce(self, attempt: Attempt[Any], refresh: Refresh) -> SourceError | None:
        """Whose account it is, and which regions: for this refresh. Returns why the account could not be asked for."""
        doubt = None
        try:
            self._know_account(refresh)
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            # The account is a tag, no more: what was known of it still holds.
            doubt = error
        known = refresh.memory.get('account')
        self._tags = {'account': known['id']} if known else {}
        attempt.tags |= self._tags
        self._regions = self.settings.regions or tuple(self._enabled_regions(refresh))
        return doubt

    def _know_account(self, refresh: Refresh) -> None:
        key = hashlib.sha256(self.client.key().encode()).hexdigest()[:12]
        known = refresh.memory.get('account') or {}
        if known.get('key') != key:
            refresh.memory['account'] = {'key': key, 'id': self.client.account()}

    def _enabled_regions(self, refresh: Refresh) -> list[str]:
        known = Cache(refresh.memory, 'regions', refresh.now.timestamp(), fresh=DAY, usable=WEEK)
        entry = known.get(ENABLED)
        if entry is None or known.is_stale(ENABLED):
            regions = self.client.regions()
            known.put(ENABLED, regions)
            return regions
        remembered: list[str] = entry[0]
        return remembered

    def _types(self, attempt: Attempt[Any], refresh: Refresh, instances: list[Instance]) -> dict[str, InstanceType]:
        known = Cache(refresh.memory, 'types', refresh.now.timestamp(), fresh=WEEK, usable=2 * WEEK)
        try:
            # A type is asked for where it runs: not every region has every type.
            for region in need(self._regions, 'instances'):
                here = {(instance.instance_type,) for instance in instances if instance.region == region}
                for name, kind in self.client.types(region, (name for (name,) in known.stale(here))):
                    known.put((name,), kind.dump())
        except (Unauthorized, OutOfBudget):
            raise
        except SourceError as error:
            # The rest of the block can do without; what cannot is absent.
            attempt.problem(error.reason, str(error))
        names = sorted({instance.instance_type for instance in instances})
        found = {name: InstanceType.load(entry[0]) for name in names if (entry := known.get((name,)))}
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
