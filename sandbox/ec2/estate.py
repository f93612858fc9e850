"""Machines, volumes, snapshots and addresses of the organization. Times are relative to the sandbox's start."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from .options import EAST, WEST, Ec2Options
from .places import LETTERS
from .tariff import LINUX, RHEL, WINDOWS

GIB = 2**30
UNATTACHED_SIZES = (500, 500, 300, 200, 200, 100, 100, 100, 48)
ATTACHED_VOLUMES = 71
SNAPSHOTS, ORPHANED = 140, 25


@dataclass(slots=True)
class Machine:
    """An instance.

    `load` is its activity according to CloudWatch: busy, idle, chatty (network), spiky (CPU for an hour a day), silent
    (no data), gap and gaps (idle, without one or two of the hours), deaf (idle, without data about the network).
    """

    id: str
    region: str
    zone: str
    kind: str
    state: str
    created: datetime
    started: datetime
    lifecycle: str = ''
    operation: str = LINUX
    tenancy: str = 'default'
    team: str = ''
    load: str = 'busy'
    stopped: datetime | None = None
    # Cores and threads per core, where they differ from those of the type.
    cpu: tuple[int, int] | None = None
    on_outpost: bool = False
    # EC2 tags beside `team`, `Name` and those of AWS.
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Disk:
    """An EBS volume. Without a zone it is in the first one of the region."""

    id: str
    region: str
    kind: str
    state: str
    size: int
    created: datetime
    iops: int | None = None
    throughput: int | None = None
    machine: str = ''
    zone: str = ''
    on_outpost: bool = False
    tags: dict[str, str] = field(default_factory=dict)


class Medium(NamedTuple):
    """Type and capacity of a volume."""

    kind: str
    size: int
    iops: int | None = None
    throughput: int | None = None


# Most volumes have one of the first four.
MEDIA = (
    Medium('gp3', 200, 3000, 125),
    Medium('gp3', 1000, 8000, 500),
    Medium('gp2', 80, 240),
    Medium('gp3', 100, 3000, 250),
    Medium('io1', 100, 2000),
    Medium('st1', 2000),
    Medium('io2', 500, 70000),
    Medium('standard', 40),
)


def _medium(index: int) -> Medium:
    """Return type and capacity of an attached volume by its index."""
    return MEDIA[index % 8 if index < 40 else index % 4]


@dataclass(slots=True)
class Copy:
    """A snapshot. An archived one may be restored to the standard tier until a time."""

    id: str
    region: str
    state: str
    disk: str
    size: int
    full_bytes: int | None
    begun: datetime
    archived: bool = False
    restored_until: datetime | None = None
    # The Local Zone that stores it; empty: the region.
    zone: str = ''
    on_outpost: bool = False


@dataclass(slots=True)
class Image:
    """A machine image of the account, with the snapshots of its volumes."""

    id: str
    region: str
    snapshots: tuple[str, ...]
    state: str = 'available'


@dataclass(slots=True)
class Capacity:
    """A Capacity Reservation, or a capacity block. Other accounts can share theirs."""

    id: str
    region: str
    kind: str
    total: int
    available: int
    state: str = 'active'
    block: bool = False
    owner: str = ''


@dataclass(slots=True)
class SpotRequest:
    """A request for a spot instance, with the code of its status and the time of the last change."""

    id: str
    region: str
    kind: str
    state: str
    code: str
    changed: datetime
    persistent: bool = False


@dataclass(slots=True)
class Estate:
    """The resources of the account. Tests may change them."""

    machines: list[Machine] = field(default_factory=list)
    disks: list[Disk] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    # (region, associated)
    addresses: list[tuple[str, bool]] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)
    requests: list[SpotRequest] = field(default_factory=list)


class Builder:
    """Builds the estate."""

    def __init__(self, now: datetime, dice: random.Random, options: Ec2Options) -> None:
        self.now = now
        self.dice = dice
        self.regions = tuple(options.regions)
        self.scale = options.scale
        self.estate = Estate()
        self._number = 0
        self._fleet()
        self._fill_up(options.instances)
        self._storage(options.volumes)
        self._copies()
        self.estate.addresses = [(self.regions[0], number % 3 != 0) for number in range(6)]

    def new_id(self, kind: str) -> str:
        """Return the id of a new resource."""
        self._number += 1
        return f'{kind}-{self._number:017x}'

    def ago(self, **delta: float) -> datetime:
        """Return a time before the start of the sandbox."""
        return self.now - timedelta(**delta)

    def add(self, number: float, region: str, kind: str, **what: object) -> list[Machine]:
        """Add machines of a kind, by default running for some days. `number` is multiplied by the scale."""
        if region not in self.regions:
            return []
        made = []
        for index in range(max(1, round(number * self.scale))):
            created = self.ago(hours=self.dice.uniform(30, 700))
            machine = Machine(
                id=self.new_id('i'),
                region=region,
                zone=region + LETTERS[index % len(LETTERS)],
                kind=kind,
                state='running',
                created=created,
                started=created,
            )
            for name, value in what.items():
                setattr(machine, name, value)
            made.append(machine)
        self.estate.machines += made
        return made

    def _fleet(self) -> None:
        self.add(4, EAST, 'p5.48xlarge', lifecycle='spot', team='research')
        self.add(1, EAST, 'p5.48xlarge', lifecycle='capacity-block', team='research')
        self.add(1, EAST, 'p5.48xlarge', team='research', cpu=(48, 2))
        self.add(24, EAST, 'g6.12xlarge', lifecycle='spot', team='Research')
        self.add(20, EAST, 'g5.xlarge', team='play')
        self.add(10, WEST, 'g6.xlarge', lifecycle='spot')
        self.add(1, EAST, 'g6f.large', team='play')
        self.add(2, EAST, 'inf2.xlarge', team='serving')
        # Idle since a run ended on Friday.
        self.add(
            2, EAST, 'p4d.24xlarge', team='research', load='idle', started=self.ago(days=9), created=self.ago(days=41)
        )
        self._services()
        self._past()

    def _services(self) -> None:
        self.add(17, EAST, 'm5.large', team='platform')
        self.add(3, EAST, 'm5.large', team='platform', load='idle')
        self.add(1, EAST, 'm5.large', team='platform', load='chatty')
        self.add(1, EAST, 'm5.large', team='platform', load='spiky')
        self.add(1, EAST, 'm5.large', team='platform', load='silent')
        # Idle, but too young for the rule.
        self.add(1, EAST, 'm5.large', load='idle', created=self.ago(hours=5), started=self.ago(hours=5))
        # The oldest one, restarted three days ago.
        self.add(1, EAST, 'm5.large', team='platform', created=self.ago(days=400), started=self.ago(days=3))
        self.add(2, EAST, 'm5.large', team='finance', operation=WINDOWS)
        self.add(1, EAST, 'm5.large', team='finance', operation=RHEL)
        self.add(1, EAST, 'm5.large', team='finance', tenancy='dedicated')
        self.add(1, EAST, 'm5.large', team='finance', tenancy='host')

    def _past(self) -> None:
        old = {'created': self.ago(days=60), 'started': self.ago(days=30)}
        self.add(4, EAST, 'g5.xlarge', state='stopped', stopped=self.ago(days=12), team='play', **old)
        # Stopped by AWS: its reason has no time.
        self.add(1, EAST, 'm5.large', state='stopped', stopped=None, **old)
        self.add(1, EAST, 'm5.large', state='stopping', **old)
        self.add(1, EAST, 'm5.large', state='pending', created=self.now, started=self.now)
        self.add(7, EAST, 'g6.12xlarge', state='terminated', lifecycle='spot', **old)
        self.add(1, EAST, 'g6.12xlarge', state='shutting-down', lifecycle='spot', **old)

    def _fill_up(self, instances: int) -> None:
        listed = sum(machine.state not in ('terminated', 'shutting-down') for machine in self.estate.machines)
        scale, self.scale = self.scale, 1.0
        for index in range(instances - listed):
            self.add(1, self.regions[0], 'm5.large', team='batch', load='idle' if index % 40 == 0 else 'busy')
        self.scale = scale

    def _storage(self, volumes: int) -> None:
        alive = [m for m in self.estate.machines if m.state not in ('terminated', 'shutting-down', 'stopped')]
        parked = [m for m in self.estate.machines if m.state == 'stopped' and m.stopped is not None]
        for machine in parked:
            self._attach(Medium('gp3', 500, 3000, 125), machine)
        for index in range(round(ATTACHED_VOLUMES * self.scale) - len(parked)):
            self._attach(_medium(index), alive[index % len(alive)])
        for size, _ in zip(self._sizes(), range(round(len(UNATTACHED_SIZES) * self.scale)), strict=False):
            age = self.dice.choice((3, 20, 45, 200))
            medium = self.dice.choice((Medium('gp3', size, 3000, 125), Medium('gp2', size)))
            self._disk(self.regions[0], medium, 'available', self.ago(days=age))
        for index in range(volumes - len(self.estate.disks)):
            self._attach(_medium(index), alive[index % len(alive)])
        self._disk(self.regions[0], Medium('gp2', 100), 'deleting', self.ago(days=5))

    @staticmethod
    def _sizes() -> Iterator[int]:
        while True:
            yield from UNATTACHED_SIZES

    def _attach(self, medium: Medium, machine: Machine) -> None:
        self._disk(machine.region, medium, 'in-use', machine.created, machine.id)

    def _disk(self, region: str, medium: Medium, state: str, created: datetime, machine: str = '') -> None:
        kind, size, iops, throughput = medium
        self.estate.disks.append(
            Disk(self.new_id('vol'), region, kind, state, size, created, iops, throughput, machine)
        )

    def _copies(self) -> None:
        disks = [disk for disk in self.estate.disks if disk.state != 'deleting']
        total, orphaned = round(SNAPSHOTS * self.scale), round(ORPHANED * self.scale)
        for index in range(total):
            disk = disks[index % len(disks)]
            gone = index < orphaned
            self._copy(
                disk.region,
                f'vol-dead{index:013x}' if gone else 'vol-ffffffff' if index == total - 1 else disk.id,
                disk.size,
                # AWS reports the size of the data for most snapshots, not for all.
                None if index % 14 == 0 else round(disk.size * GIB * self.dice.uniform(0.1, 0.7)),
                self.ago(days=self.dice.choice((120, 200, 400)) if gone else self.dice.uniform(0, 120)),
            )
        for _ in range(2):
            self._copy(self.regions[0], disks[0].id, 100, None, self.now, state='pending')

    def _copy(
        self, region: str, disk: str, size: int, full_bytes: int | None, begun: datetime, state: str = 'completed'
    ) -> None:
        self.estate.copies.append(Copy(self.new_id('snap'), region, state, disk, size, full_bytes, begun))
