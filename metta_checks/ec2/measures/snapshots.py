"""EBS snapshots."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ..records import NO_VOLUME, Snapshot

OLD = timedelta(days=90)
BYTES_PER_GIB = 2**30


def completed(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Return the snapshots in state `completed`."""
    return [snapshot for snapshot in snapshots if snapshot.state == 'completed']


def measure(snapshots: Collection[Snapshot], volume_ids: Collection[str] | None, now: datetime) -> Iterator[Sample]:
    """Yield the samples of block snapshots from completed snapshots.

    `volume_ids` are the volumes that exist, None when they are not known.
    """
    yield Sample('ebs.snapshots.total', len(snapshots))
    yield Sample('ebs.snapshots.size_gb', sum(snapshot.size for snapshot in snapshots))
    yield Sample('ebs.snapshots.full_size_gb', full_size_gib(snapshots))
    started = [snapshot.started for snapshot in snapshots if snapshot.started is not None]
    yield Sample('ebs.snapshots.over_90d', sum(now - time > OLD for time in started))
    if volume_ids is not None:
        sources = [snapshot.volume_id for snapshot in snapshots if snapshot.volume_id != NO_VOLUME]
        yield Sample('ebs.snapshots.orphaned', sum(volume_id not in volume_ids for volume_id in sources))


def full_size_gib(snapshots: Collection[Snapshot]) -> float | None:
    """Return the GiB of data in the snapshots for which AWS reports it.

    None when there are snapshots and AWS reports it for none of them.
    """
    reported = [snapshot.full_bytes for snapshot in snapshots if snapshot.full_bytes is not None]
    return sum(reported) / BYTES_PER_GIB if reported or not snapshots else None
