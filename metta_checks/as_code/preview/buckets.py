"""Time aggregation of one series: its points in buckets, rolled up, interpolated and filled.

Gauges are rolled up by average, counts by sum, unless `.rollup` says otherwise, and gaps in gauges are interpolated
linearly over at most 300 s, or the limit of `.fill`. A recording has one point per step, an Agent sends one per minute;
therefore points at most one and a half steps apart count as continuous.

A count's point covers the step before it: a rate divides by that step, not by a narrower bucket.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..declared import Declared
from ..query_tree import Call, Number
from .filters import NotDrawn
from .frames import Values, Window, aggregate, carry, differences, interpolate
from .recording import Recorded

# Datadog's own limit of interpolation, seconds.
INTERPOLATION = 300.0
ROLLUPS = ('avg', 'sum', 'min', 'max', 'count')


@dataclass(frozen=True, slots=True)
class Modifiers:
    """Modifiers of a series: `.as_count()`, `.rollup(...)`, `.fill(...)`, and diff() of a single series."""

    count: bool = False
    rate: bool = False
    method: str = ''
    seconds: float | None = None
    fill: str = 'linear'
    fill_limit: float = INTERPOLATION
    # True for the differences between the points, which are computed before series are merged.
    differences: bool = False


class Buckets:
    """Bucketed series of a recording, each computed once. `step` is that of the recording, in seconds."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._continuous = 1.5 * step
        self._known: dict[tuple[int, Window, Modifiers], Values] = {}

    def of(self, series: Recorded, window: Window, modifiers: Modifiers, metric: Declared | None) -> Values:
        """Return one series in the buckets of the window: rolled up, interpolated, filled. Do not change the list."""
        key = id(series), window, modifiers
        if key not in self._known:
            values = self._computed(series, window, modifiers, metric)
            self._known[key] = differences(values) if modifiers.differences else values
        return self._known[key]

    def _computed(self, series: Recorded, window: Window, modifiers: Modifiers, metric: Declared | None) -> Values:
        counted = series.type == 'count'
        points = _points(series, window)
        values = _rolled_up(points, window.count, modifiers.method or ('sum' if counted else 'avg'))
        if counted and _is_rate(modifiers, metric):
            seconds = max(window.step, self._step)
            values = [None if value is None else value / seconds for value in values]

        def distance(before: int, after: int) -> float:
            return points[after][0][0] - points[before][-1][0]

        if modifiers.fill == 'linear' and not counted:
            reach = max(self._continuous, modifiers.fill_limit)
            return interpolate(values, lambda before, after: distance(before, after) <= reach)
        if modifiers.fill in ('zero', 'last'):
            # In narrower buckets than the steps of the recording, those before the next step belong to a point.
            inside = math.ceil(self._step / window.step) - 1
            width = max(math.floor(modifiers.fill_limit / window.step), inside)
            return carry(values, width, 0.0 if modifiers.fill == 'zero' else None)
        return values


def _is_rate(modifiers: Modifiers, metric: Declared | None) -> bool:
    """Return whether a count is shown per second.

    The Agent sends a histogram's count as a rate, which the metric is without as_count().
    """
    return modifiers.rate or (metric is not None and metric.type == 'rate' and not modifiers.count)


def _points(series: Recorded, window: Window) -> dict[int, list[tuple[float, float]]]:
    """Return the points (time, value) of a series in the window, by index of their bucket, in the order of time."""
    first, last = bisect_left(series.times, window.start), bisect_right(series.times, window.end)
    buckets: dict[int, list[tuple[float, float]]] = {}
    for time, value in zip(series.times[first:last], series.values[first:last], strict=True):
        buckets.setdefault(int((time - window.first) // window.step), []).append((time, value))
    return buckets


def _rolled_up(points: Mapping[int, Sequence[tuple[float, float]]], number: int, method: str) -> Values:
    """Return the aggregate of the points in each bucket; None for a bucket without points."""
    values: Values = [None] * number
    for index, bucket in points.items():
        values[index] = aggregate(method, [value for _, value in bucket])
    return values


def modifiers_of(calls: Iterable[Call]) -> Modifiers:
    """Return the modifiers of a series or an expression. Raises NotDrawn for others."""
    found = Modifiers()
    for call in calls:
        words, numbers = _literals(call)
        match call.name, words, numbers:
            case 'as_count', [], []:
                found = replace(found, count=True)
            case 'as_rate', [], []:
                found = replace(found, rate=True)
            case 'diff', [], []:
                found = replace(found, differences=True)
            case 'rollup', _, _ if all(word in ROLLUPS for word in words) and all(one > 0 for one in numbers):
                found = replace(found, method=(*words, '')[0], seconds=(*numbers, None)[0])
            case 'fill', [('null' | 'zero' | 'last' | 'linear') as method], _:
                found = replace(found, fill=method, fill_limit=(*numbers, INTERPOLATION)[0])
            case _:
                raise NotDrawn(f'not drawn here: .{call.name}({", ".join(words)})')
    return found


def _literals(call: Call) -> tuple[list[str], list[float]]:
    """Return the words and the numbers among the arguments of a modifier: at most one of each."""
    words = [argument for argument in call.arguments if isinstance(argument, str)]
    numbers = [argument.value for argument in call.arguments if isinstance(argument, Number)]
    if len(words) + len(numbers) != len(call.arguments) or len(words) > 1 or len(numbers) > 1 or call.keywords:
        raise NotDrawn(f'not drawn here: these arguments of .{call.name}()')
    return words, numbers
