"""Rows of figures, and statistics of many values."""

from __future__ import annotations

from collections.abc import Iterable

# (name, value, tags beyond the base tags); None: unknown.
Row = tuple[str, float | None, dict[str, str]]


def spread(name: str, values: list[float], statistics: Iterable[str], tags: dict[str, str] | None = None) -> list[Row]:
    """Return statistics of some values as rows: avg, max and percentiles; nothing without values."""
    result: list[Row] = []
    ordered = sorted(values)
    for statistic in statistics if ordered else ():
        if statistic == 'avg':
            value = sum(ordered) / len(ordered)
        elif statistic == 'max':
            value = ordered[-1]
        else:
            value = quantile(ordered, int(statistic[1:]) / 100)
        result.append((f'{name}.{statistic}', value, tags or {}))
    return result


def quantile(ordered: list[float], share: float) -> float:
    """Return the value below which that share of the sorted values lies, interpolated between its neighbors."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] * (1 - (place - below)) + ordered[above] * (place - below)
