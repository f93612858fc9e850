"""Values over time by group: operands of queries, functions and formulas."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from .filters import NotDrawn

Values: TypeAlias = 'list[float | None]'
# Tag keys with their values, in the order of the query's `by`.
Group: TypeAlias = 'tuple[tuple[str, str], ...]'


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, cut into buckets.

    The span is `start` <= time <= `end` (epoch seconds); the buckets are `step` seconds long and begin at `first`.
    """

    start: float
    end: float
    step: float
    first: float

    @classmethod
    def of(cls, start: float, end: float, step: float) -> Window:
        """Return buckets aligned to the epoch, as Datadog aligns them."""
        return cls(start, end, step, math.floor(start / step) * step)

    @property
    def count(self) -> int:
        """Number of buckets."""
        return int((self.end - self.first) // self.step) + 1

    @property
    def times(self) -> list[float]:
        """Start times of the buckets."""
        return [self.first + index * self.step for index in range(self.count)]

    def shifted(self, seconds: float) -> Window:
        """Return the same buckets, earlier by the given seconds."""
        return Window(self.start - seconds, self.end - seconds, self.step, self.first - seconds)

    def every(self, step: float) -> Window:
        """Return the same span in other buckets."""
        return self if step == self.step else Window.of(self.start, self.end, step)


@dataclass(frozen=True, slots=True)
class Frame:
    """One list of values per group, one value per bucket.

    `scalar`: one value for the whole window. `counted`: the values count, so that a gap is 0 in arithmetic.
    """

    times: tuple[float, ...]
    step: float
    by: tuple[str, ...]
    groups: Mapping[Group, Values]
    scalar: bool = False
    counted: bool = False

    def map(self, function: Callable[[Values], Values]) -> Frame:
        """Return the frame with a function applied to each group's values."""
        return replace(self, groups={group: function(values) for group, values in self.groups.items()})

    def map_values(self, function: Callable[[float], float | None]) -> Frame:
        """Return the frame with a function applied to each value; gaps stay."""
        return self.map(lambda values: [None if value is None else finite(function, value) for value in values])


Operand: TypeAlias = 'Frame | float'
OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    '+': operator.add,
    '-': operator.sub,
    '*': operator.mul,
    '/': operator.truediv,
    '**': math.pow,
}


def finite(function: Callable[..., float | None], *operands: float) -> float | None:
    """Return the result, or None without one: division by zero, a logarithm of 0, an overflow."""
    try:
        result = function(*operands)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return result if result is not None and math.isfinite(result) else None


def combine(symbol: str, left: Operand, right: Operand) -> Operand:
    """Apply an operator by group and bucket; gaps stay gaps. Raises NotDrawn if the groups do not match."""
    function = OPERATIONS[symbol]
    if isinstance(left, float):
        if isinstance(right, Frame):
            return right.map_values(lambda value: function(left, value))
        result = finite(function, left, right)
        if result is None:
            raise NotDrawn(f'{left:g} {symbol} {right:g} is undefined')
        return result
    if isinstance(right, float):
        return left.map_values(lambda value: function(value, right))
    return _combine_frames(function, left, right)


def _combine_frames(function: Callable[[float, float], float], left: Frame, right: Frame) -> Frame:
    if left.times != right.times or left.scalar != right.scalar:
        raise NotDrawn('arithmetic with queries of different rollups is not drawn here')
    wide, narrow = (left, right) if set(left.by) >= set(right.by) else (right, left)
    if not set(wide.by) >= set(narrow.by):
        raise NotDrawn(f'arithmetic over different groups ({", ".join(left.by)} and {", ".join(right.by)})')
    # A single series is combined with every group.
    partners = {frozenset(group): values for group, values in narrow.groups.items()}
    groups: dict[Group, Values] = {}
    for group, values in wide.groups.items():
        partner = partners.get(frozenset(pair for pair in group if pair[0] in narrow.by))
        if partner is not None:
            sides = (values, partner) if wide is left else (partner, values)
            aligned = _aligned(*sides, left.counted, right.counted)
            groups[group] = [None if pair is None else finite(function, *pair) for pair in aligned]
    return replace(wide, groups=groups, counted=left.counted and right.counted)


def _aligned(left: Values, right: Values, left_counted: bool, right_counted: bool) -> list[tuple[float, float] | None]:
    """Return the pairs of two series. Beside a value, a gap in counts is 0; other gaps stay gaps."""
    found: list[tuple[float, float] | None] = []
    for one, other in zip(left, right, strict=True):
        if one is None and other is not None and left_counted:
            found.append((0.0, other))
        elif other is None and one is not None and right_counted:
            found.append((one, 0.0))
        else:
            found.append(None if one is None or other is None else (one, other))
    return found


def present(values: Iterable[float | None]) -> list[float]:
    """Return the values without the gaps."""
    return [value for value in values if value is not None]


def aggregate(name: str, values: Sequence[float]) -> float:
    """Return the aggregate of at least one value. Raises NotDrawn for an unknown aggregator."""
    match name:
        case 'avg' | 'mean':
            return math.fsum(values) / len(values)
        case 'sum':
            return math.fsum(values)
        case 'min':
            return min(values)
        case 'max':
            return max(values)
        case 'last':
            return values[-1]
        case 'count':
            return float(len(values))
        case 'norm' | 'l2norm':
            return math.sqrt(math.fsum(value * value for value in values))
    raise NotDrawn(f'aggregator {name!r} is not drawn here')


def over_time(name: str, values: Iterable[float | None], step: float) -> float | None:
    """Return the aggregate of a whole series; None without values."""
    found = present(values)
    if not found:
        return None
    return math.fsum(found) * step if name == 'area' else aggregate(name, found)


def across(name: str, many: Sequence[Values]) -> Values:
    """Return the aggregate of several series, bucket by bucket; a bucket with gaps only stays a gap."""
    if len(many) == 1 and name in ('avg', 'sum', 'min', 'max'):
        return list(many[0])
    return [aggregate(name, found) if (found := present(values)) else None for values in zip(*many, strict=True)]


def interpolate(values: Values, continuous: Callable[[int, int], bool]) -> Values:
    """Interpolate gaps linearly between points for which `continuous(bucket before, bucket after)` is true."""
    result = list(values)
    known: tuple[int, float] | None = None
    for index, value in enumerate(values):
        if value is None:
            continue
        if known is not None:
            start, before = known
            distance = index - start
            if distance > 1 and continuous(start, index):
                for between in range(start + 1, index):
                    result[between] = before + (value - before) * (between - start) / distance
        known = (index, value)
    return result


def differences(values: Values) -> Values:
    """Return the differences from the previous point, also across gaps."""
    result: Values = []
    before: float | None = None
    for value in values:
        result.append(None if value is None or before is None else value - before)
        before = value if value is not None else before
    return result


def carry(values: Values, limit: int, filling: float | None) -> Values:
    """Fill up to `limit` buckets after a point, with the point itself or with a given value."""
    result = list(values)
    known = -1
    for index, value in enumerate(values):
        if value is not None:
            known = index
        elif known >= 0 and index - known <= limit:
            result[index] = values[known] if filling is None else filling
    return result
