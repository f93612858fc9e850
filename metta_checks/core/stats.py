"""Statistics on plain numbers.

Every function returns None if the result is undefined: there are no values, or the divisor is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def is_finite(value: Any) -> bool:
    """Return True for a number that Datadog can store."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:
        # An integer beyond the range of float.
        return False


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Return a percentile by inclusive linear interpolation (numpy's default; type 7 of Hyndman and Fan).

    >>> percentile(range(1, 11), 99)
    9.91
    """
    ordered = sorted(values)
    if not ordered:
        return None
    rank = (len(ordered) - 1) * percent / 100
    low = math.floor(rank)
    high = math.ceil(rank)
    if low == high:
        return float(ordered[low])
    result = ordered[low] + (ordered[high] - ordered[low]) * (rank - low)
    # Rounding must not move the result outside the two neighboring values.
    return float(min(max(result, ordered[low]), ordered[high]))


def mean(values: Iterable[float]) -> float | None:
    """Return the arithmetic mean."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else None


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole."""
    return part / whole if whole else None


def percentage(part: float, whole: float) -> float | None:
    """Return 100 * part / whole."""
    return 100 * part / whole if whole else None


_STATISTICS: dict[str, Callable[[Sequence[float]], float | None]] = {
    'avg': mean,
    'min': lambda values: min(values, default=None),
    'max': lambda values: max(values, default=None),
}


def summary(values: Iterable[float], statistics: Sequence[str]) -> dict[str, float | None]:
    """Return {statistic: value or None} for named statistics of one population: `avg`, `min`, `max`, `p<percent>`.

    Raises KeyError for an unknown name.
    """
    ordered = sorted(values)
    return {
        name: percentile(ordered, float(name[1:])) if name[0] == 'p' else _STATISTICS[name](ordered)
        for name in statistics
    }


def top(values: Mapping[str, float], limit: int, *, other: str = 'other') -> dict[str, float]:
    """Return the `limit` largest entries (ties by name), and the sum of all others under `other`.

    The total stays the same.
    """
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    result = dict(ordered[:limit])
    rest = ordered[limit:]
    if rest:
        result[other] = result.get(other, 0) + math.fsum(value for _, value in rest)
    return result
