"""The figures that the check should report: plain sums over the sandbox's own data and tariff."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from ..server import Figure
from . import tariff
from .estate import GIB, Disk, Estate, Machine
from .json_services import LOADS

# Name, value, tag.
Row = tuple[str, float] | tuple[str, float, str]
TENANCIES = {'default': tariff.SHARED, 'dedicated': tariff.DEDICATED, 'host': tariff.HOST}


class Truth:
    """The truth at one moment. Figures have no tag `account`."""

    def __init__(self, estate: Estate, regions: tuple[str, ...], now: datetime, billed: float) -> None:
        self.estate = estate
        self.regions = regions
        self.now = now
        self.billed = billed
        self.listed = [m for m in estate.machines if m.state in ('pending', 'running', 'stopping', 'stopped')]
        self.running = [m for m in self.listed if m.state == 'running']
        self.stopped = {m.id for m in self.listed if m.state == 'stopped'}
        self.disks = [d for d in estate.disks if d.state != 'deleting']

    def figures(self) -> Iterator[Figure]:
        """Compute all figures."""
        for part in (
            self._instances,
            self._ages,
            self._hardware,
            self._idle,
            self._volumes,
            self._snapshots,
            self._costs,
        ):
            for name, value, *tags in part():
                yield Figure(f'metta.ec2.{name}', value, tuple(tags))
        yield Figure('metta.ec2.addresses.unassociated', sum(not used for _, used in self.estate.addresses))

    def _instances(self) -> Iterator[Row]:
        lifecycles = Counter(m.lifecycle for m in self.running)
        yield 'instances.total', len(self.listed)
        yield 'instances.running', len(self.running)
        yield 'instances.stopped', len(self.stopped)
        yield 'instances.spot', lifecycles['spot']
        yield 'instances.ondemand', lifecycles['']
        known = {'': 'on_demand', 'spot': 'spot', 'scheduled': 'scheduled', 'capacity-block': 'capacity_block'}
        for lifecycle, name in known.items():
            yield 'instances.by_lifecycle', lifecycles[lifecycle], f'lifecycle:{name}'
        others = sum(number for lifecycle, number in lifecycles.items() if lifecycle not in known)
        yield 'instances.by_lifecycle', others, 'lifecycle:other'
        for kind, number in Counter(m.kind for m in self.running).items():
            yield 'instances.by_type', number, f'instance_type:{kind}'
        for region in self.regions:
            yield 'region.instances_running', sum(m.region == region for m in self.running), f'region:{region}'
        week = self.now - timedelta(days=7)
        yield 'instances.stopped_over_7d', sum(m.stopped is not None and m.stopped < week for m in self.listed)

    def _ages(self) -> Iterator[Row]:
        if self.running:
            ages = [(self.now - m.created.replace(microsecond=0)) / timedelta(days=1) for m in self.running]
            starts = [(self.now - m.started.replace(microsecond=0)) / timedelta(days=1) for m in self.running]
            yield 'instances.avg_age_days', sum(ages) / len(ages)
            yield 'instances.oldest_age_days', max(ages)
            yield 'instances.avg_uptime_days', sum(starts) / len(starts)

    def _hardware(self) -> Iterator[Row]:
        kinds = [tariff.KINDS[m.kind] for m in self.running]
        yield 'instances.gpu_count', sum(kind.accelerated for kind in kinds)
        yield 'instances.cpu_count', sum(not kind.accelerated for kind in kinds)
        yield 'instances.accelerators', sum(kind.devices for kind in kinds)
        yield 'instances.vcpus', sum(m.cpu[0] * m.cpu[1] if m.cpu else tariff.KINDS[m.kind].vcpus for m in self.running)
        gpus: dict[str, float] = defaultdict(float)
        for kind in kinds:
            gpus[kind.gpu] += kind.gpus
        for model, number in gpus.items():
            if model:
                yield 'instances.gpus', number, f'gpu_type:{model}'

    def _is_idle(self, machine: Machine) -> bool:
        if machine.load not in ('idle', 'chatty', 'spiky'):
            return False
        # `chatty` has too much network traffic, `spiky` uses the CPU for an hour a day.
        return (
            LOADS[machine.load][1] < 1e6 and machine.load != 'spiky' and self.now - machine.started >= timedelta(days=1)
        )

    def _idle(self) -> Iterator[Row]:
        idle = [tariff.KINDS[m.kind] for m in self.running if self._is_idle(m)]
        yield 'instances.idle', sum(not kind.accelerated for kind in idle)
        yield 'instances.gpu_idle', sum(kind.accelerated for kind in idle)

    def _volumes(self) -> Iterator[Row]:
        free = [d for d in self.disks if d.state == 'available']
        yield 'ebs.volumes.total', len(self.disks)
        yield 'ebs.volumes.attached', sum(d.state == 'in-use' for d in self.disks)
        yield 'ebs.volumes.unattached', len(free)
        yield 'ebs.volumes.size_gb', sum(d.size for d in self.disks)
        yield 'ebs.volumes.unattached_size_gb', sum(d.size for d in free)
        yield 'ebs.volumes.unattached_over_30d', sum(self.now - d.created > timedelta(days=30) for d in free)
        yield 'ebs.volumes.stopped_attached_size_gb', sum(d.size for d in self.disks if d.machine in self.stopped)

    def _snapshots(self) -> Iterator[Row]:
        done = [c for c in self.estate.copies if c.state == 'completed']
        there = {d.id for d in self.disks}
        known = [c.full_bytes for c in done if c.full_bytes is not None]
        yield 'ebs.snapshots.total', len(done)
        yield 'ebs.snapshots.size_gb', sum(c.size for c in done)
        yield 'ebs.snapshots.over_90d', sum(self.now - c.begun > timedelta(days=90) for c in done)
        yield 'ebs.snapshots.orphaned', sum(c.disk not in there and c.disk != 'vol-ffffffff' for c in done)
        if known:
            yield 'ebs.snapshots.full_size_gb', sum(known) / GIB

    # Costs.

    def _list_price(self, machine: Machine) -> float:
        return tariff.ondemand(machine.region, machine.kind, machine.operation, TENANCIES[machine.tenancy])

    def _price(self, machine: Machine) -> float:
        if machine.lifecycle == 'spot':
            platform = tariff.PLATFORMS[machine.operation]
            return tariff.spot(machine.region, machine.zone, machine.kind, platform, self.now)[0]
        return self._list_price(machine)

    def _costs(self) -> Iterator[Row]:
        # Instances on dedicated hosts have the price 0, which counts as no price.
        priced = [m for m in self.running if self._price(m) > 0]
        hourly = sum(map(self._price, priced))
        if priced or not self.running:
            yield 'cost.running_hourly_estimate', hourly
            yield 'cost.monthly_estimate', hourly * 730
            yield 'cost.ondemand_equivalent_hourly_usd', sum(map(self._list_price, priced))
            yield 'cost.gpu_hourly_usd', sum(self._price(m) for m in priced if tariff.KINDS[m.kind].accelerated)
            yield 'cost.idle_hourly_usd', sum(self._price(m) for m in priced if self._is_idle(m))
        if self.running:
            yield 'cost.price_coverage_pct', 100 * len(priced) / len(self.running)
        for region in self.regions:
            yield 'region.hourly_usd', sum(self._price(m) for m in priced if m.region == region), f'region:{region}'
        spots = [m for m in priced if m.lifecycle == 'spot']
        if spots:
            saved = sum(self._list_price(m) - self._price(m) for m in spots)
            yield 'cost.spot_savings_pct', 100 * saved / sum(map(self._list_price, spots))
        teams: dict[str, float] = defaultdict(float)
        for machine in priced:
            teams[machine.team.lower() or 'none'] += self._price(machine)
        for team, cost in teams.items():
            yield 'cost.by_tag_hourly_usd.team', cost, f'team:{team}'
        yield 'cost.ebs_monthly_usd', sum(map(self._disk_price, self.disks))
        yield 'cost.unattached_ebs_monthly_usd', sum(self._disk_price(d) for d in self.disks if d.state == 'available')
        yield 'cost.stopped_ebs_monthly_usd', sum(self._disk_price(d) for d in self.disks if d.machine in self.stopped)
        if self.disks:
            yield 'cost.ebs_price_coverage_pct', 100.0
        yield (
            'cost.snapshots_monthly_usd',
            sum(
                c.full_bytes / GIB * tariff.SNAPSHOT_PRICE * tariff.REGION_FACTORS[c.region]
                for c in self.estate.copies
                if c.state == 'completed' and c.full_bytes is not None
            ),
        )
        yield 'cost.billed_yesterday_usd', self.billed

    @staticmethod
    def _disk_price(disk: Disk) -> float:
        _, gib, tiers, gibps = tariff.VOLUMES[disk.kind]
        price = disk.size * gib
        iops, throughput = disk.iops or 0, disk.throughput or 0
        if disk.kind == 'gp3':
            price += max(0, iops - 3000) * tiers[0] + max(0, throughput - 125) * gibps / 1024
        elif disk.kind == 'io1':
            price += iops * tiers[0]
        elif disk.kind == 'io2':
            price += min(iops, 32000) * tiers[0]
            price += max(0, min(iops, 64000) - 32000) * tiers[1] + max(0, iops - 64000) * tiers[2]
        return price * tariff.REGION_FACTORS[disk.region]
