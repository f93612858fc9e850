"""Submitted values, and the series that the Agent makes of them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .stats import percentile


@dataclass(frozen=True, slots=True)
class Point:
    """One submitted value. `type` is gauge, count or histogram."""

    name: str
    type: str
    value: float
    tags: tuple[str, ...]


def agent_series(points: Iterable[Point]) -> Iterator[Point]:
    """Gauges and counts as they are; histograms as the series the Agent makes of them with its default settings."""
    histograms: dict[tuple[str, tuple[str, ...]], list[float]] = defaultdict(list)
    for point in points:
        if point.type == 'histogram':
            histograms[point.name, point.tags].append(point.value)
        else:
            yield point
    for (name, tags), values in histograms.items():
        yield Point(f'{name}.avg', 'gauge', statistics.fmean(values), tags)
        yield Point(f'{name}.median', 'gauge', statistics.median(values), tags)
        yield Point(f'{name}.95percentile', 'gauge', percentile(values, 95), tags)
        yield Point(f'{name}.max', 'gauge', max(values), tags)
        yield Point(f'{name}.count', 'count', len(values), tags)
