"""The resources that count, and what is true of each of them: idle, priced, or neither."""

from __future__ import annotations

from datetime import datetime, timedelta

from . import tariff
from .estate import Estate, Machine
from .json_services import LOADS

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

    def is_idle(self, machine: Machine) -> bool:
        """Return whether CPU and network are below the limits of the rule, in 24 hours since the last start."""
        if machine.load not in ('idle', 'chatty', 'spiky'):
            return False
        # `chatty` has too much network traffic, `spiky` uses the CPU for an hour a day.
        return (
            LOADS[machine.load][1] < 1e6 and machine.load != 'spiky' and self.now - machine.started >= timedelta(days=1)
        )

    def list_price(self, machine: Machine) -> float:
        """Return USD per hour on demand."""
        return tariff.ondemand(machine.region, machine.kind, machine.operation, TENANCIES[machine.tenancy])

    def price(self, machine: Machine) -> float:
        """Return USD per hour of a running instance."""
        if machine.lifecycle == 'spot':
            platform = tariff.PLATFORMS[machine.operation]
            return tariff.spot(machine.region, machine.zone, machine.kind, platform, self.now)[0]
        return self.list_price(machine)
