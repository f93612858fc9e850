"""EBS volumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.tag_values import OTHER
from ..records import Volume

GONE_STATES = frozenset({'deleting', 'deleted'})
ATTACHED = 'in-use'
STATES = ('creating', 'available', ATTACHED, 'error')
OLD = timedelta(days=30)


def existing(volumes: Iterable[Volume]) -> list[Volume]:
    """Return the volumes that AWS is not deleting."""
    return [volume for volume in volumes if volume.state not in GONE_STATES]


def measure(volumes: Collection[Volume], stopped_ids: Collection[str] | None, now: datetime) -> Iterator[Sample]:
    """Yield the samples of block volumes. `stopped_ids` are the stopped instances, None when they are not known."""
    unattached = [volume for volume in volumes if volume.is_unattached]
    yield Sample('ebs.volumes.total', len(volumes))
    yield Sample('ebs.volumes.attached', sum(volume.state == ATTACHED for volume in volumes))
    yield Sample('ebs.volumes.unattached', len(unattached))
    states = Counter(volume.state if volume.state in STATES else OTHER for volume in volumes)
    for state, count in (dict.fromkeys(STATES, 0) | states).items():
        yield Sample('ebs.volumes.by_state', count, {'state': state})
    yield Sample('ebs.volumes.size_gb', _size_gib(volumes))
    yield Sample('ebs.volumes.unattached_size_gb', _size_gib(unattached))
    created = [volume.created for volume in unattached if volume.created is not None]
    yield Sample('ebs.volumes.unattached_over_30d', sum(now - time > OLD for time in created))
    if stopped_ids is not None:
        stopped = [volume for volume in volumes if volume.is_attached_only_to(stopped_ids)]
        yield Sample('ebs.volumes.stopped_attached_size_gb', _size_gib(stopped))


def _size_gib(volumes: Iterable[Volume]) -> int:
    return sum(volume.size for volume in volumes)
