"""What is counted: instances, volumes, snapshots, addresses. Definitions are those of metrics.yaml."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ..core import stats
from ..core.refresh import Sample
from ..core.times import hours_between, seconds_between
from .records import (
    LIFECYCLES,
    NO_VOLUME,
    ON_DEMAND,
    SPOT,
    Fleet,
    Instance,
    InstanceType,
    Snapshot,
    Utilization,
    Volume,
)
from .settings import IdleSettings

DAY = 86400
GONE_VOLUME_STATES = frozenset({'deleting', 'deleted'})
BYTES_PER_MB = 10**6
BYTES_PER_GIB = 2**30


def instances(
    fleet: Fleet,
    regions: Iterable[str],
    now: datetime,
    *,
    max_types: int,
    seen_gpus: Iterable[str] = (),
) -> Iterator[Sample]:
    """Attempt instances. `seen_gpus`: GPU models that are shown even at 0."""
    active = fleet.running
    states = Counter(instance.state for instance in fleet.instances)
    lifecycles = Counter(instance.lifecycle for instance in active)
    yield Sample('instances.total', len(fleet.instances))
    yield Sample('instances.running', len(active))
    yield Sample('instances.stopped', states['stopped'])
    yield Sample('instances.spot', lifecycles[SPOT])
    yield Sample('instances.ondemand', lifecycles[ON_DEMAND])
    for lifecycle in (*LIFECYCLES.values(), 'other'):
        yield Sample('instances.by_lifecycle', lifecycles[lifecycle], {'lifecycle': lifecycle})
    by_type = Counter(instance.instance_type for instance in active)
    for name, number in stats.top(by_type, max_types).items():
        yield Sample('instances.by_type', number, {'instance_type': name})
    by_region = Counter(instance.region for instance in active)
    for region in regions:
        yield Sample('region.instances_running', by_region[region], {'region': region})
    yield Sample('instances.stopped_over_7d', sum(_older(instance.stopped_at, now, 7) for instance in fleet.instances))
    yield from _ages(active, now)
    yield from _capacity(active, fleet.types, seen_gpus)


def _ages(active: Collection[Instance], now: datetime) -> Iterator[Sample]:
    ages = [age for instance in active if (age := age_days(instance, now)) is not None]
    uptimes = [seconds_between(instance.launched, now) / DAY for instance in active if instance.launched is not None]
    yield Sample('instances.avg_age_days', stats.mean(ages))
    yield Sample('instances.oldest_age_days', max(ages, default=None))
    yield Sample('instances.avg_uptime_days', stats.mean(uptimes))


def age_days(instance: Instance, now: datetime) -> float | None:
    """Days since the first launch, as far as the instance tells; never negative."""
    begin = instance.first_launched or instance.launched
    return None if begin is None else seconds_between(begin, now) / DAY


def _capacity(
    active: Collection[Instance], types: Mapping[str, InstanceType], seen_gpus: Iterable[str]
) -> Iterator[Sample]:
    vcpus = [
        instance.vcpus or (types[instance.instance_type].vcpus if instance.instance_type in types else None)
        for instance in active
    ]
    yield Sample('instances.vcpus', None if None in vcpus else sum(filter(None, vcpus)))
    if any(instance.instance_type not in types for instance in active):
        # A sum without an instance of unknown type is not the sum.
        return
    kinds = [types[instance.instance_type] for instance in active]
    yield Sample('instances.gpu_count', sum(kind.accelerated for kind in kinds))
    yield Sample('instances.cpu_count', sum(not kind.accelerated for kind in kinds))
    yield Sample('instances.accelerators', sum(kind.accelerators for kind in kinds))
    for model, number in sorted({**dict.fromkeys(seen_gpus, 0), **gpus(kinds)}.items()):
        yield Sample('instances.gpus', number, {'gpu_type': model})


def gpus(kinds: Iterable[InstanceType]) -> dict[str, float]:
    """GPUs by model."""
    parts: dict[str, list[float]] = {}
    for kind in kinds:
        for model, number in kind.gpus.items():
            parts.setdefault(model, []).append(number)
    return {model: math.fsum(numbers) for model, numbers in parts.items()}


def _older(moment: datetime | None, now: datetime, days: float) -> bool:
    return moment is not None and now - moment > timedelta(days=days)


# Idle.


def idle_candidates(active: Iterable[Instance], now: datetime, rule: IdleSettings) -> list[Instance]:
    """Running instances that are up for long enough to be judged, those that are up longest first.

    Counted from the last start, not from the first launch: a stopped instance has no CPU to measure.
    """
    judged = [
        instance
        for instance in active
        if instance.launched is not None and hours_between(instance.launched, now) >= rule.min_age_hours
    ]
    return sorted(judged, key=lambda instance: (instance.launched, instance.instance_id))


def is_idle(utilization: Utilization, rule: IdleSettings) -> bool:
    """Both below their thresholds. Without data an instance is not idle: nobody knows."""
    if utilization.cpu_max_pct is None or utilization.network_bytes is None:
        return False
    return (
        utilization.cpu_max_pct < rule.cpu_max_pct
        and utilization.network_bytes < rule.network_max_mb_per_day * BYTES_PER_MB
    )


def idle(found: Iterable[Instance], types: Mapping[str, InstanceType]) -> Iterator[Sample]:
    """Attempt idle, from the instances that are idle. Absent when the type of one of them is unknown."""
    kinds = [types.get(instance.instance_type) for instance in found]
    if None in kinds:
        return
    accelerated = sum(kind.accelerated for kind in kinds if kind is not None)
    yield Sample('instances.idle', len(kinds) - accelerated)
    yield Sample('instances.gpu_idle', accelerated)


# Volumes, snapshots, addresses.


def existing(volumes: Iterable[Volume]) -> list[Volume]:
    """Volumes that are not being deleted."""
    return [volume for volume in volumes if volume.state not in GONE_VOLUME_STATES]


def on_stopped(volume: Volume, stopped: Collection[str]) -> bool:
    """Whether a volume is attached to stopped instances, and to no other."""
    return bool(volume.attached_to) and all(instance_id in stopped for instance_id in volume.attached_to)


def volumes(found: Collection[Volume], stopped: Collection[str] | None, now: datetime) -> Iterator[Sample]:
    """Attempt volumes. `stopped`: ids of the stopped instances, None when they could not be read."""
    unattached = [volume for volume in found if volume.state == 'available']
    yield Sample('ebs.volumes.total', len(found))
    yield Sample('ebs.volumes.attached', sum(volume.state == 'in-use' for volume in found))
    yield Sample('ebs.volumes.unattached', len(unattached))
    yield Sample('ebs.volumes.size_gb', sum(volume.size for volume in found))
    yield Sample('ebs.volumes.unattached_size_gb', sum(volume.size for volume in unattached))
    yield Sample('ebs.volumes.unattached_over_30d', sum(_older(volume.created, now, 30) for volume in unattached))
    if stopped is not None:
        size = sum(volume.size for volume in found if on_stopped(volume, stopped))
        yield Sample('ebs.volumes.stopped_attached_size_gb', size)


def completed(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Snapshots in state completed."""
    return [snapshot for snapshot in snapshots if snapshot.state == 'completed']


def snapshots(found: Collection[Snapshot], volume_ids: Collection[str] | None, now: datetime) -> Iterator[Sample]:
    """Attempt snapshots, from completed ones. `volume_ids`: volumes that exist, None when they could not be read."""
    yield Sample('ebs.snapshots.total', len(found))
    yield Sample('ebs.snapshots.size_gb', sum(snapshot.size for snapshot in found))
    yield Sample('ebs.snapshots.full_size_gb', full_size_gib(found))
    yield Sample('ebs.snapshots.over_90d', sum(_older(snapshot.started, now, 90) for snapshot in found))
    if volume_ids is not None:
        orphaned = sum(snapshot.volume_id not in volume_ids for snapshot in found if snapshot.volume_id != NO_VOLUME)
        yield Sample('ebs.snapshots.orphaned', orphaned)


def full_size_gib(found: Collection[Snapshot]) -> float | None:
    """GiB of data in the snapshots that tell it; None when there are snapshots and none tells."""
    told = [snapshot.full_bytes for snapshot in found if snapshot.full_bytes is not None]
    return sum(told) / BYTES_PER_GIB if told or not found else None


def addresses(associated: Iterable[bool]) -> Iterator[Sample]:
    """Attempt addresses."""
    yield Sample('addresses.unassociated', sum(not it for it in associated))
