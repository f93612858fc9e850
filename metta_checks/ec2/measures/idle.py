"""Idle instances: the rule that finds them, and their number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
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
    """Return whether CPU and network are both below their thresholds."""
    network_limit = rule.network_max_mb_per_day * BYTES_PER_MB
    return utilization.cpu_max_pct < rule.cpu_max_pct and utilization.network_bytes < network_limit


def of_known_type(idle: Iterable[Instance], types: Mapping[str, InstanceType]) -> list[Instance]:
    """Return the idle instances whose type AWS describes. The others could be either figure, and count as unknown."""
    return [instance for instance in idle if instance.instance_type in types]


def measure(idle: Collection[Instance], types: Mapping[str, InstanceType], unknown: int | None) -> Iterator[Sample]:
    """Yield the samples of block idle, from idle instances of known types.

    `unknown` is the number of instances that cannot be judged, None when nothing tells it.
    """
    accelerated = [types[instance.instance_type].accelerated for instance in idle]
    yield Sample('instances.idle', accelerated.count(False))
    yield Sample('instances.gpu_idle', accelerated.count(True))
    yield Sample('instances.idle_unknown', unknown)
