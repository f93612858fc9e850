"""The truth about volumes, snapshots and addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from .estate import GIB
from .truth_facts import Facts, Row

STATES = ('creating', 'available', 'in-use', 'error')
# The volume of a snapshot that was copied, which never had one.
NO_VOLUME = 'vol-ffffffff'


def rows(facts: Facts, options: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the figures of volumes, snapshots and addresses."""
    yield from _volumes(facts)
    if options.get('read_snapshots', True):
        yield from _snapshots(facts)
        if options.get('read_images', True):
            yield 'ebs.snapshots.orphaned', _orphaned(facts)
    yield 'addresses.unassociated', facts.free_addresses


def _volumes(facts: Facts) -> Iterator[Row]:
    free = [d for d in facts.disks if d.state == 'available']
    for state in STATES:
        yield 'ebs.volumes.by_state', sum(d.state == state for d in facts.disks), f'state:{state}'
    yield 'ebs.volumes.total', len(facts.disks)
    yield 'ebs.volumes.attached', sum(d.state == 'in-use' for d in facts.disks)
    yield 'ebs.volumes.unattached', len(free)
    yield 'ebs.volumes.size_gb', sum(d.size for d in facts.disks)
    yield 'ebs.volumes.unattached_size_gb', sum(d.size for d in free)
    yield 'ebs.volumes.unattached_over_30d', sum(facts.now - d.created > timedelta(days=30) for d in free)
    yield 'ebs.volumes.stopped_attached_size_gb', sum(d.size for d in facts.disks if d.machine in facts.stopped)


def _snapshots(facts: Facts) -> Iterator[Row]:
    known = [c.full_bytes for c in facts.copies if c.full_bytes is not None]
    yield 'ebs.snapshots.total', len(facts.copies)
    yield 'ebs.snapshots.size_gb', sum(c.size for c in facts.copies)
    yield 'ebs.snapshots.over_90d', sum(facts.now - c.begun > timedelta(days=90) for c in facts.copies)
    if known or not facts.copies:
        yield 'ebs.snapshots.full_size_gb', sum(known) / GIB


def _orphaned(facts: Facts) -> int:
    """Return the number of snapshots whose volume is gone and that no registered or disabled image needs."""
    there = {d.id for d in facts.disks} | {NO_VOLUME}
    images = [image for image in facts.estate.images if image.region in facts.regions and image.state != 'deregistered']
    needed = {snapshot for image in images for snapshot in image.snapshots}
    return sum(c.disk not in there and c.id not in needed for c in facts.copies)
