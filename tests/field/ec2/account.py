"""An AWS account of the sandbox that has only the resources that a test adds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sandbox.ec2.estate import GIB, Copy, Disk, Image, Machine
from sandbox.ec2.service import Ec2Service

EAST, WEST = 'us-east-1', 'us-west-2'


class Account:
    """Adds resources to an account; each method returns the new one."""

    def __init__(self, service: Ec2Service) -> None:
        self.service = service
        self.estate = service.estate
        for resources in (
            self.estate.machines,
            self.estate.disks,
            self.estate.copies,
            self.estate.images,
            self.estate.addresses,
        ):
            resources.clear()
        self._number = 0

    def _id(self, kind: str) -> str:
        self._number += 1
        return f'{kind}-{self._number:017x}'

    def machine(self, kind: str = 'm5.large', region: str = EAST, **what: Any) -> Machine:
        """Add a running instance that is 10 days old."""
        began = self.service.clock.now() - timedelta(days=10)
        machine = Machine(self._id('i'), region, f'{region}a', kind, 'running', began, began)
        self.estate.machines.append(replace(machine, **what))
        return self.estate.machines[-1]

    def disk(self, size: int = 100, region: str = EAST, **what: Any) -> Disk:
        """Add a gp3 volume that is not attached."""
        began = self.service.clock.now() - timedelta(days=10)
        disk = Disk(self._id('vol'), region, 'gp3', 'available', size, began, 3000, 125)
        self.estate.disks.append(replace(disk, **what))
        return self.estate.disks[-1]

    def copy(self, disk: str, size: int = 100, gib: int | None = 20, **what: Any) -> Copy:
        """Add a completed snapshot of a volume, with this much data; None: AWS does not report it."""
        began = self.service.clock.now() - timedelta(days=10)
        full = None if gib is None else gib * GIB
        copy = Copy(self._id('snap'), EAST, 'completed', disk, size, full, began)
        self.estate.copies.append(replace(copy, **what))
        return self.estate.copies[-1]

    def image(self, *snapshots: str, **what: Any) -> Image:
        """Add an image with the snapshots of its volumes."""
        self.estate.images.append(replace(Image(self._id('ami'), EAST, snapshots), **what))
        return self.estate.images[-1]
