"""Volumes, snapshots and Elastic IP addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from .account import Account
from .rows import OTHER, Row, row

GIB = 2**30
STATES = ('creating', 'available', 'in-use', 'error')
# The volume of a snapshot that was copied, which never had one.
NO_VOLUME = 'vol-ffffffff'


def rows(account: Account) -> Iterator[Row]:
    """Yield the figures of the blocks of volumes, snapshots and addresses."""
    yield from _volumes(account)
    if account.option('read_snapshots', True):
        yield from _snapshots(account)
    addresses = [address for ec2 in account.resources.values() for address in ec2.vpc_addresses.all()]
    yield row('addresses.unassociated', sum(address.association_id is None for address in addresses))


def _volumes(account: Account) -> Iterator[Row]:
    volumes = [volume for _, volume in account.volumes]
    free = [volume for volume in volumes if volume.state == 'available']
    yield row('ebs.volumes.total', len(volumes))
    yield row('ebs.volumes.attached', sum(volume.state == 'in-use' for volume in volumes))
    yield row('ebs.volumes.unattached', len(free))
    states = Counter(volume.state if volume.state in STATES else OTHER for volume in volumes)
    for state in (*STATES, *([OTHER] if states[OTHER] else ())):
        yield row('ebs.volumes.by_state', states[state], state=state)
    yield row('ebs.volumes.size_gb', sum(volume.size for volume in volumes))
    yield row('ebs.volumes.unattached_size_gb', sum(volume.size for volume in free))
    month = account.now - timedelta(days=30)
    yield row('ebs.volumes.unattached_over_30d', sum(volume.create_time < month for volume in free))
    parked = stopped_machines(account)
    sizes = (volume.size for volume in volumes if is_parked(volume, parked))
    yield row('ebs.volumes.stopped_attached_size_gb', sum(sizes))


def stopped_machines(account: Account) -> set[str]:
    """Return the ids of the stopped instances."""
    return {machine.id for _, machine in account.machines if machine.state['Name'] == 'stopped'}


def is_parked(volume: Any, stopped: set[str]) -> bool:
    """Return whether a volume is attached to stopped instances and to no other instance."""
    holders = {attachment['InstanceId'] for attachment in volume.attachments}
    return bool(holders) and holders <= stopped


def _snapshots(account: Account) -> Iterator[Row]:
    snapshots = [copy for _, copy in account.snapshots]
    yield row('ebs.snapshots.total', len(snapshots))
    yield row('ebs.snapshots.size_gb', sum(copy.volume_size for copy in snapshots))
    sizes = [copy.full_snapshot_size_in_bytes for copy in snapshots]
    known = [size for size in sizes if size is not None]
    yield row('ebs.snapshots.full_size_gb', sum(known) / GIB if known or not snapshots else None)
    if account.option('read_images', True):
        there = {volume.id for _, volume in account.volumes} | {NO_VOLUME}
        gone = {copy.id for copy in snapshots if copy.volume_id not in there}
        yield row('ebs.snapshots.orphaned', len(gone - _needed_by_images(account)))
    old = account.now - timedelta(days=90)
    yield row('ebs.snapshots.over_90d', sum(copy.start_time < old for copy in snapshots))


def _needed_by_images(account: Account) -> set[str]:
    """Return the snapshots of the account's images. AWS lists a deregistered image for a while, too."""
    images = [
        image
        for ec2 in account.resources.values()
        for image in ec2.images.filter(Owners=['self'], IncludeDisabled=True)
        if image.state != 'deregistered'
    ]
    mappings = [mapping for image in images for mapping in image.block_device_mappings or ()]
    return {mapping['Ebs']['SnapshotId'] for mapping in mappings if mapping.get('Ebs', {}).get('SnapshotId')}
