"""The utilization of GPUs over 24 hours, from the readings of each refresh: lists of runs have only the latest ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from math import fsum
from typing import NamedTuple

from ..core.stored import stored
from ..core.tag_values import MAX_GPU_TYPES, labels
from .gpu_readings import FleetGpu
from .system_metrics import UTILIZATION

DAY_SECONDS = 86400
SLICE_SECONDS = 900
# The readings of a refresh stand for the time since the refresh before, but not for a longer time.
MAX_GAP_SECONDS = 1800


class Slice(NamedTuple):
    """The readings of a quarter of an hour.

    Attributes:
        begin: when it began, in seconds since the epoch
        covered_seconds: the time for which readings stand
        gpu_seconds: by GPU type, the number of GPUs with readings times the seconds
        percent_seconds: by GPU type, the sum of their utilization times the seconds
    """

    begin: float
    covered_seconds: float
    gpu_seconds: dict[str, float]
    percent_seconds: dict[str, float]


@stored
class UtilizationDay:
    """The slices of the last 24 hours.

    Attributes:
        seen_at: the time of the last refresh, in seconds since the epoch; None before the first
        slices: what was seen, in order
    """

    seen_at: float | None = None
    slices: tuple[Slice, ...] = ()

    def joined(self, gpus: Iterable[FleetGpu], now: float) -> UtilizationDay:
        """Return the day with the readings of a refresh at `now`, without what is older than a day."""
        kept = tuple(one for one in self.slices if now - DAY_SECONDS < one.begin <= now)
        seconds = 0.0 if self.seen_at is None else min(now - self.seen_at, MAX_GAP_SECONDS)
        if seconds <= 0:
            return replace(self, seen_at=now, slices=kept)
        begin = now // SLICE_SECONDS * SLICE_SECONDS
        last = kept[-1] if kept and kept[-1].begin == begin else Slice(begin, 0.0, {}, {})
        return UtilizationDay(now, (*(one for one in kept if one.begin != begin), _with(last, gpus, seconds)))

    @property
    def utilization_pct(self) -> dict[str, float]:
        """The mean utilization by GPU type, weighted by GPUs and time."""
        gpu_seconds: dict[str, list[float]] = defaultdict(list)
        percent_seconds: dict[str, list[float]] = defaultdict(list)
        for one in self.slices:
            for gpu_type, seconds in one.gpu_seconds.items():
                gpu_seconds[gpu_type].append(seconds)
                percent_seconds[gpu_type].append(one.percent_seconds.get(gpu_type, 0.0))
        shown = labels({gpu_type: fsum(some) for gpu_type, some in gpu_seconds.items()}, MAX_GPU_TYPES)
        weights: dict[str, list[float]] = defaultdict(list)
        sums: dict[str, list[float]] = defaultdict(list)
        for gpu_type, label in shown.items():
            weights[label] += gpu_seconds[gpu_type]
            sums[label] += percent_seconds[gpu_type]
        return {label: fsum(sums[label]) / fsum(some) for label, some in weights.items() if fsum(some) > 0}

    @property
    def coverage_pct(self) -> float | None:
        """The share of the 24 hours for which readings stand, in percent; None after the first refresh."""
        return (
            None
            if not self.slices
            else min(100.0, 100 * fsum(one.covered_seconds for one in self.slices) / DAY_SECONDS)
        )


def _with(one: Slice, gpus: Iterable[FleetGpu], seconds: float) -> Slice:
    values: dict[str, list[float]] = defaultdict(list)
    for gpu in gpus:
        if UTILIZATION in gpu.readings:
            values[gpu.gpu_type].append(gpu.readings[UTILIZATION])
    shown = labels({gpu_type: float(len(some)) for gpu_type, some in values.items()}, MAX_GPU_TYPES)
    gpu_seconds, percent_seconds = dict(one.gpu_seconds), dict(one.percent_seconds)
    for gpu_type, some in values.items():
        _add(gpu_seconds, shown[gpu_type], len(some) * seconds)
        _add(percent_seconds, shown[gpu_type], fsum(some) * seconds)
    return Slice(one.begin, one.covered_seconds + seconds, gpu_seconds, percent_seconds)


def _add(sums: dict[str, float], key: str, value: float) -> None:
    sums[key] = sums.get(key, 0.0) + value
