"""Statistics on plain numbers.

Every function returns None when the question has no answer (no values, nothing to divide by).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def is_finite(value: Any) -> bool:
    """Whether a value is a number that Datadog can store."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:
        # A whole number that no float can hold.
        return False


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Inclusive linear interpolation (numpy's default, Hyndman and Fan's type 7), from one value on.

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
    # Rounding must not push a percentile outside the two values it lies between.
    return float(min(max(result, ordered[low]), ordered[high]))


def mean(values: Iterable[float]) -> float | None:
    """Arithmetic mean."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else None


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole."""
    return part / whole if whole else None


def percentage(part: float, whole: float) -> float | None:
    """100 * part / whole."""
    return 100 * part / whole if whole else None


_STATISTICS: dict[str, Callable[[Sequence[float]], float | None]] = {
    'avg': mean,
    'min': lambda values: min(values, default=None),
    'max': lambda values: max(values, default=None),
}


def summary(values: Iterable[float], statistics: Sequence[str]) -> dict[str, float | None]:
    """Named statistics of one population: `avg`, `min`, `max`, `p<percent>`.

    Returns {statistic: value or None}. Raises KeyError for an unknown name.
    """
    ordered = sorted(values)
    return {
        name: percentile(ordered, float(name[1:])) if name[0] == 'p' else _STATISTICS[name](ordered)
        for name in statistics
    }


def top(values: Mapping[str, float], limit: int, *, other: str = 'other') -> dict[str, float]:
    """Return the `limit` largest entries (ties by name), all further ones summed under `other`.

    The total stays the same.
    """
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    result = dict(ordered[:limit])
    rest = ordered[limit:]
    if rest:
        result[other] = result.get(other, 0) + math.fsum(value for _, value in rest)
    return result
