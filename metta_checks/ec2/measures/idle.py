"""Idle instances: the rule that finds them, and their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from ...core.refresh import Sample
from ...core.times import hours_between
from ..records import Instance, InstanceType, Utilization
from ..settings import IdleSettings

BYTES_PER_MB = 10**6


def candidates(running: Iterable[Instance], now: datetime, rule: IdleSettings) -> list[Instance]:
    """Return the instances that have been running for `min_age_hours`, the longest-running first.

    The last start counts, not the first launch: CloudWatch has no CPU values for the time that an instance was stopped.
    """
    started = [(instance.launched, instance) for instance in running if instance.launched is not None]
    old = [pair for pair in started if hours_between(pair[0], now) >= rule.min_age_hours]
    return [instance for _, instance in sorted(old, key=lambda pair: (pair[0], pair[1].instance_id))]


def is_idle(utilization: Utilization, rule: IdleSettings) -> bool:
    """Return whether CPU and network are both below their thresholds. An instance without data is not idle."""
    if utilization.cpu_max_pct is None or utilization.network_bytes is None:
        return False
    network_limit = rule.network_max_mb_per_day * BYTES_PER_MB
    return utilization.cpu_max_pct < rule.cpu_max_pct and utilization.network_bytes < network_limit


def measure(idle: Iterable[Instance], types: Mapping[str, InstanceType]) -> Iterator[Sample]:
    """Yield the samples of block idle. Both are absent when AWS does not describe the type of one of the instances."""
    accelerated = []
    for instance in idle:
        instance_type = types.get(instance.instance_type)
        if instance_type is None:
            return
        accelerated.append(instance_type.accelerated)
    yield Sample('instances.idle', accelerated.count(False))
    yield Sample('instances.gpu_idle', accelerated.count(True))
