"""Submitted values, and the series that the Agent computes from them."""

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
    """Yield gauges and counts unchanged, and for each histogram the series that the Agent computes by default."""
    histograms: dict[tuple[str, tuple[str, ...]], list[float]] = defaultdict(list)
    for point in points:
        if point.type == 'histogram':
            histograms[point.name, point.tags].append(point.value)
        else:
            yield point
    for (name, tags), values in histograms.items():
        summary = {
            'avg': statistics.fmean(values),
            'median': statistics.median(values),
            '95percentile': percentile(values, 95),
            'max': max(values),
        }
        for suffix, value in summary.items():
            if value is not None:
                yield Point(f'{name}.{suffix}', 'gauge', value, tags)
        yield Point(f'{name}.count', 'count', len(values), tags)
