"""Figures of block `gpus`: GPUs of the runs that are alive, from their latest system metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ..records import GpuReadings

ALIVE = timedelta(minutes=10)
IDLE_PERCENT = 5


def alive(readings: Iterable[GpuReadings], now: datetime) -> list[GpuReadings]:
    """Return the readings of runs with a heartbeat in the last 10 minutes."""
    return [one for one in readings if one.heartbeat is not None and one.heartbeat >= now - ALIVE]


def gpus(readings: Sequence[GpuReadings], known_types: Collection[str]) -> Iterator[Sample]:
    """Yield the figures of the GPUs of runs that are alive. `known_types` without such a run are shown as 0 GPUs."""
    utilization = [value for reading in readings for value in reading.utilization]
    yield Sample('training.gpu_utilization_avg', stats.mean(utilization))
    run_means = (stats.mean(reading.utilization) for reading in readings)
    yield Sample('training.gpu_utilization_pct', stats.mean(value for value in run_means if value is not None))
    yield Sample('gpus.idle', sum(value < IDLE_PERCENT for value in utilization))
    in_use = _in_use(readings)
    shown = labels(dict.fromkeys((*known_types, *(one.gpu_type for one in readings)), 0.0) | in_use, MAX_GPU_TYPES)
    # A sum without the runs whose number of GPUs is unknown would be wrong.
    if all(reading.gpus is not None for reading in readings):
        for gpu_type, number in added_up(dict.fromkeys(known_types, 0.0) | in_use, shown).items():
            yield Sample('gpus.in_use', number, {'gpu_type': gpu_type})
    yield from _by_type(readings, shown)


def types_in_use(readings: Iterable[GpuReadings]) -> list[str]:
    """Return the GPU types of the runs that hold GPUs, at most as many as have series of their own."""
    in_use = _in_use(readings)
    return [gpu_type for gpu_type, shown in labels(in_use, MAX_GPU_TYPES).items() if gpu_type == shown]


def _in_use(readings: Iterable[GpuReadings]) -> dict[str, float]:
    in_use: defaultdict[str, float] = defaultdict(float)
    for reading in readings:
        if reading.gpus:
            in_use[reading.gpu_type] += reading.gpus
    return dict(in_use)


def _by_type(readings: Iterable[GpuReadings], shown: Mapping[str, str]) -> Iterator[Sample]:
    by_type = defaultdict(list)
    for reading in readings:
        by_type[shown[reading.gpu_type]].append(reading)
    for gpu_type, group in by_type.items():
        tags = {'gpu_type': gpu_type}
        yield Sample('gpus.utilization_pct', stats.mean(value for one in group for value in one.utilization), tags)
        yield Sample('gpus.memory_pct', stats.mean(value for one in group for value in one.memory), tags)
