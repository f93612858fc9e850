"""Figures of block `gpus`: GPUs of the runs that are alive, from their latest system metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from ...core import stats
from ...core.refresh import Sample
from ..records import GpuReadings

ALIVE = timedelta(minutes=10)
IDLE_PERCENT = 5


def alive(readings: Iterable[GpuReadings], now: datetime) -> list[GpuReadings]:
    """Return the readings of runs with a heartbeat in the last 10 minutes."""
    return [one for one in readings if one.heartbeat is not None and one.heartbeat >= now - ALIVE]


def gpus(readings: Sequence[GpuReadings], known_types: Iterable[str]) -> Iterator[Sample]:
    """Yield the figures of the GPUs of runs that are alive. `known_types` without such a run are shown as 0 GPUs."""
    utilization = [value for reading in readings for value in reading.utilization]
    yield Sample('training.gpu_utilization_avg', stats.mean(utilization))
    run_means = (stats.mean(reading.utilization) for reading in readings)
    yield Sample('training.gpu_utilization_pct', stats.mean(value for value in run_means if value is not None))
    yield Sample('gpus.idle', sum(value < IDLE_PERCENT for value in utilization))
    yield from _in_use(readings, known_types)
    yield from _by_type(readings)


def _in_use(readings: Iterable[GpuReadings], known_types: Iterable[str]) -> Iterator[Sample]:
    in_use: dict[str, float] = dict.fromkeys(known_types, 0.0)
    for reading in readings:
        if reading.gpus is None:
            # A sum without that run would be wrong.
            return
        if reading.gpus:
            in_use[reading.gpu_type] = in_use.get(reading.gpu_type, 0.0) + reading.gpus
    for gpu_type, number in in_use.items():
        yield Sample('gpus.in_use', number, {'gpu_type': gpu_type})


def _by_type(readings: Iterable[GpuReadings]) -> Iterator[Sample]:
    by_type = defaultdict(list)
    for reading in readings:
        by_type[reading.gpu_type].append(reading)
    for gpu_type, group in by_type.items():
        tags = {'gpu_type': gpu_type}
        yield Sample('gpus.utilization_pct', stats.mean(value for one in group for value in one.utilization), tags)
        yield Sample('gpus.memory_pct', stats.mean(value for one in group for value in one.memory), tags)
