"""The wiring of source `ec2`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ..diagnosis import Finding
from ..errors import OutOfBudget, SourceError, Unauthorized
from ..refresh import Block, Refresh, need
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


class Ec2Check(Source['InstanceConfig']):
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

    def block_interval(self, name: str) -> float:
        """Idle and billing cost money: they have rhythms of their own."""
        return {'idle': self.settings.idle.interval, 'billing': DAY}.get(name, 0.0)

    def refresh(self, refresh: Refresh) -> None:
        """Read all regions, block by block."""
        self._regions: tuple[str, ...] | None = None
        self._tags: dict[str, str] = {}
        fleet = refresh.attempt('instances', self._instances, refresh)
        volumes = refresh.attempt('volumes', self._volumes, fleet)
        snapshots = refresh.attempt('snapshots', self._snapshots, volumes)
        refresh.attempt('addresses', self._addresses)
        self._idle_in_its_time(refresh, fleet)
        refresh.attempt('prices', self._prices, refresh, fleet, volumes, snapshots)
        if not self.settings.cost_explorer:
            self._forget('billing')
        elif self._due(refresh, 'billing'):
            refresh.attempt('billing', self._billing)

    def _idle_in_its_time(self, refresh: Refresh, fleet: Fleet | None) -> None:
        if self.settings.idle.source == 'off':
            self._forget('idle')
        elif fleet is not None and self._due(refresh, 'idle'):
            # Without the instances there is no attempt: it would use up the turn.
            refresh.attempt('idle', self._idle, fleet)

    def _due(self, refresh: Refresh, block: str) -> bool:
        return refresh.due(block, every=self.block_interval(block))

    def _forget(self, block: str) -> None:
        """Of a block that was switched off, nothing is shown any more."""
        self.snapshot.blocks.pop(('', block), None)

    # Blocks.

    def _instances(self, block: Block, refresh: Refresh) -> Fleet:
        doubt = self._introduce(block, refresh)
        found = list(self._everywhere(lambda region: self.client.instances(region, self.settings.tag_by)))
        fleet = Fleet(found, self._types(block, refresh, found))
        kinds = [
            fleet.types[instance.instance_type] for instance in fleet.running if instance.instance_type in fleet.types
        ]
        # A GPU model goes to 0 before it is forgotten, so that graphs fall instead of breaking off.
        moment = block.now.timestamp()
        seen = {**(block.state or {}), **dict.fromkeys(measures.gpus(kinds), moment)}
        seen = {model: at for model, at in seen.items() if at > moment - WEEK}
        block.emit(
            measures.instances(
                fleet, need(self._regions, 'instances'), block.now, max_types=self.settings.max_types, seen_gpus=seen
            )
        )
        block.state = seen
        if doubt is not None:
            block.problem(doubt.reason, f'tag `account`: {doubt}')
        return fleet

    def _volumes(self, block: Block, fleet: Fleet | None) -> list[Volume]:
        block.tags |= self._tags
        volumes = measures.existing(self._everywhere(self.client.volumes))
        block.emit(measures.volumes(volumes, fleet.stopped_ids if fleet else None, block.now))
        return volumes

    def _snapshots(self, block: Block, volumes: list[Volume] | None) -> list[Snapshot]:
        block.tags |= self._tags
        snapshots = measures.completed(self._everywhere(self.client.snapshots))
        volume_ids = None if volumes is None else {volume.volume_id for volume in volumes}
        block.emit(measures.snapshots(snapshots, volume_ids, block.now))
        return snapshots

    def _addresses(self, block: Block) -> None:
        block.tags |= self._tags
        block.emit(measures.addresses(list(self._everywhere(self.client.addresses))))

    def _idle(self, block: Block, fleet: Fleet) -> None:
        block.tags |= self._tags
        rule = self.settings.idle
        if rule.source == 'compute_optimizer':
            ids = set(self._everywhere(self.client.idle_recommendations))
            idle = [instance for instance in fleet.running if instance.instance_id in ids]
        else:
            candidates = measures.idle_candidates(fleet.running, block.now, rule)
            if len(candidates) > rule.max_instances:
                block.truncated(
                    f'{len(candidates)} instances, only the {rule.max_instances} that have been running longest are '
                    'asked about; see option `idle.max_instances`, and what the question costs'
                )
            idle = list(self._little_used(candidates[: rule.max_instances], block))
        block.emit(measures.idle(idle, fleet.types))
        block.state = [instance.instance_id for instance in idle]

    def _little_used(self, candidates: list[Instance], block: Block) -> Iterator[Instance]:
        for region in need(self._regions, 'instances'):
            there = [instance for instance in candidates if instance.region == region]
            known = self.client.utilisation(region, [instance.instance_id for instance in there], block.now)
            yield from (i for i in there if measures.is_idle(known[i.instance_id], self.settings.idle))

    def _prices(
        self,
        block: Block,
        refresh: Refresh,
        fleet: Fleet | None,
        volumes: list[Volume] | None,
        snapshots: list[Snapshot] | None,
    ) -> None:
        block.tags |= self._tags
        fleet, volumes = need(fleet, 'instances'), need(volumes, 'volumes')
        quotes = Quotes(self.client, self.settings.prices, refresh.memory, block.now)
        priced = quotes.instances(fleet.running, fleet.types)
        block.emit(costs.instances(priced, need(self._regions, 'instances'), block.now))
        idle = refresh.state('idle')
        asked_at = refresh.refreshed_at('idle')
        # As long as the block itself shows what it knows.
        keep = KEEP_INTERVALS * max(self.block_interval('idle'), self.config.refresh_interval)
        if idle is not None and asked_at is not None and block.now.timestamp() - asked_at <= keep:
            block.emit(costs.idle(priced, set(idle)))
        for key in self.settings.tag_by:
            block.emit(costs.by_tag(priced, key))
        block.emit(costs.volumes(volumes, quotes.volume_prices(volumes), fleet.stopped_ids))
        if self.settings.price_snapshots and snapshots is not None:
            prices = quotes.snapshot_prices({snapshot.region for snapshot in snapshots})
            block.emit(costs.snapshots(snapshots, prices))
        for problem in quotes.problems:
            block.problem(problem.reason, str(problem))

    def _billing(self, block: Block) -> None:
        block.tags |= self._tags
        block.emit(costs.billed(self.client.billed((block.now - timedelta(days=1)).date())))

    # What all blocks need, and what hardly changes.

    def _introduce(self, block: Block, refresh: Refresh) -> SourceError | None:
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
        block.tags |= self._tags
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

    def _types(self, block: Block, refresh: Refresh, instances: list[Instance]) -> dict[str, InstanceType]:
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
            block.problem(error.reason, str(error))
        names = sorted({instance.instance_type for instance in instances})
        found = {name: InstanceType.load(entry[0]) for name in names if (entry := known.get((name,)))}
        unknown = [name for name in names if name not in found]
        if unknown:
            shown = ', '.join(unknown[:5])
            block.problem('unknown_type', f'{len(unknown)} instance types are not described by AWS ({shown})')
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
