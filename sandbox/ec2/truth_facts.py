"""The resources that count, and what is true of each of them: idle, priced, or neither."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from . import tariff
from .estate import Estate, Machine
from .places import price_region

# Name, value, tags.
Row = tuple[str, float] | tuple[str, float, str] | tuple[str, float, str, str]
TENANCIES = {'default': tariff.SHARED, 'dedicated': tariff.DEDICATED, 'host': tariff.HOST}


class Facts:
    """The resources of some regions at one moment."""

    def __init__(self, estate: Estate, regions: tuple[str, ...], now: datetime) -> None:
        self.estate = estate
        self.regions = regions
        self.now = now
        here = [m for m in estate.machines if m.region in regions]
        self.listed = [m for m in here if m.state in ('pending', 'running', 'stopping', 'stopped')]
        self.running = [m for m in self.listed if m.state == 'running']
        self.stopped = {m.id for m in self.listed if m.state == 'stopped'}
        self.disks = [d for d in estate.disks if d.state != 'deleting' and d.region in regions]
        self.copies = [c for c in estate.copies if c.state == 'completed' and c.region in regions]
        self.free_addresses = sum(not used for where, used in estate.addresses if where in regions)

    @property
    def knows_types(self) -> bool:
        """Return whether AWS describes the types of at least nine tenths of the running instances."""
        unknown = sum(not tariff.KINDS[m.kind].described for m in self.running)
        return unknown * 10 <= len(self.running)

    def is_old(self, machine: Machine) -> bool:
        """Return whether an instance has run long enough for the rule of idle instances."""
        return self.now - machine.started >= timedelta(days=1)

    def lacks_data(self, machine: Machine) -> bool:
        """Return whether CloudWatch has fewer than 23 of 24 hours of one of the metrics. `gap` lacks one hour."""
        return self.is_old(machine) and machine.load in ('silent', 'gaps', 'deaf')

    def is_idle(self, machine: Machine) -> bool:
        """Return whether CPU and network are below the limits of the rule, in 24 hours since the last start.

        `chatty` has too much network traffic, `spiky` uses the CPU for an hour a day. Nothing is known about an
        instance of a type that AWS does not describe.
        """
        return self.is_old(machine) and machine.load in ('idle', 'gap') and tariff.KINDS[machine.kind].described

    def billed_machines(self) -> list[Machine]:
        """Return the running instances that AWS bills by the hour: not those on an Outpost."""
        return [m for m in self.running if not m.on_outpost]

    def list_price(self, machine: Machine) -> float | None:
        """Return USD per hour on demand in the place of an instance; None where the price list has none."""
        if machine.on_outpost or machine.tenancy == 'host':
            return None
        place = price_region(machine.region, machine.zone)
        if place in tariff.REGION_FACTORS:
            return tariff.ondemand(place, machine.kind, machine.operation, TENANCIES[machine.tenancy])
        listed = place in tariff.PLACE_FACTORS and machine.kind in tariff.PLACE_KINDS
        if listed and machine.operation == tariff.LINUX and machine.tenancy == 'default':
            return tariff.ondemand(place, machine.kind, machine.operation, tariff.SHARED)
        return None

    def price(self, machine: Machine) -> float | None:
        """Return USD per hour of a running instance; None if unknown. A capacity block is paid in advance."""
        if machine.on_outpost or machine.lifecycle == 'capacity-block':
            return None
        if machine.lifecycle != 'spot':
            return self.list_price(machine)
        if machine.zone not in tariff.spot_zones(machine.region, machine.kind):
            return None
        platform = tariff.PLATFORMS[machine.operation]
        return tariff.spot(machine.region, machine.zone, machine.kind, platform, self.now)[0]

    def priced(self) -> list[tuple[Machine, float]]:
        """Return the running instances with a price, each with USD per hour."""
        return [(m, price) for m in self.running if (price := self.price(m)) is not None]


def stored_value(text: str) -> str:
    """Return the value of an EC2 tag as Datadog stores it; `none` where nothing is left of it."""
    kept = re.sub(r'(_|[^\w:./-])+', '_', text.lower()).rstrip('_')
    return kept or 'none'


def stored_key(text: str) -> tuple[str, str]:
    """Return the key of an EC2 tag as a part of a metric name, which is ASCII, and as the key of a tag."""
    name = re.sub(r'[^a-z0-9]+', '_', text.lower()).strip('_')
    return name, re.sub(r'[\W_]+', '_', text.lower()).strip('_')
