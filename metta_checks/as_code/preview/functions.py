"""Datadog's functions over frames. A widget with a function that is missing here is not drawn."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..query_tree import Negative, Number
from .filters import NotDrawn
from .frames import Frame, Values, over_time, present

# Seconds by which these functions look back.
SHIFTS = {'hour_before': 3600, 'day_before': 86400, 'week_before': 7 * 86400, 'month_before': 28 * 86400}
PER = {'per_second': 1, 'per_minute': 60, 'per_hour': 3600}
RANKED = re.compile(r'(top|bottom)(5|10|15|20|25)?(_mean|_min|_max|_last|_area|_l2norm|_norm|_sum)?')
# Functions that keep the unit of their argument.
UNIT_KEPT = frozenset(
    {
        *SHIFTS,
        'timeshift',
        'calendar_shift',
        'abs',
        'default_zero',
        'clamp_min',
        'clamp_max',
        'cutoff_min',
        'cutoff_max',
    }
    | {'moving_rollup', 'exclude_null', 'diff', 'cumsum', 'top', 'bottom'}
)


def apply(name: str, frame: Frame, arguments: Sequence[object]) -> Frame:
    """Apply a function of one frame and literal arguments. Raises NotDrawn for others."""
    if name in _VALUES:
        return frame.map_values(_VALUES[name])
    if name in _CLAMPS:
        limit = number(name, arguments, 0)
        # Datadog sets gaps to the limit, too.
        return frame.map(lambda values: [limit if value is None else _CLAMPS[name](value, limit) for value in values])
    if name in _CUTOFFS:
        limit = number(name, arguments, 0)
        return frame.map_values(lambda value: _CUTOFFS[name](value, limit))
    if name in _SERIES or name in PER or name == 'moving_rollup':
        return _along(name, frame, arguments)
    if name == 'default_zero':
        return frame.map(lambda values: [0.0 if value is None else value for value in values])
    if name in ('count_nonzero', 'count_not_null'):
        return _counted(name, frame)
    if name == 'exclude_null':
        return _without_null(frame, arguments)
    if ranked := RANKED.fullmatch(name):
        return _ranked(ranked, frame, arguments)
    raise NotDrawn(f'not drawn here: {name}()')


def _along(name: str, frame: Frame, arguments: Sequence[object]) -> Frame:
    """Make a function that compares points of a series with earlier ones."""
    if frame.scalar:
        raise NotDrawn(f'{name}() of a single value is not drawn here')
    if name == 'moving_rollup':
        seconds, method = number(name, arguments, 0), _word(name, arguments, 1, 'avg')
        return frame.map(lambda values: _moving(values, max(1, round(seconds / frame.step)), method, frame.step))
    if name in PER:
        return frame.map(lambda values: _rates(values, frame.step, PER[name]))
    return frame.map(lambda values: _SERIES[name](values, frame.step))


def number(name: str, arguments: Sequence[object], index: int) -> float:
    """Return a numeric argument. Raises NotDrawn when it is missing or has another type."""
    match arguments[index] if index < len(arguments) else None:
        case Number(value):
            return value
        case Negative(Number(value)):
            return -value
    raise NotDrawn(f'{name}(): argument {index + 2} must be a number')


def _word(name: str, arguments: Sequence[object], index: int, default: str) -> str:
    if index >= len(arguments):
        return default
    word = arguments[index]
    if not isinstance(word, str):
        raise NotDrawn(f'{name}(): argument {index + 2} must be a quoted word')
    return word


def _differences(values: Values, _: float) -> Values:
    """Return the differences from the previous point, also across gaps."""
    result: Values = []
    before: float | None = None
    for value in values:
        result.append(None if value is None or before is None else value - before)
        before = value if value is not None else before
    return result


def _rates(values: Values, step: float, per: float) -> Values:
    """Return the difference from the previous point divided by the time between the two, per `per` seconds."""
    result: Values = []
    known: tuple[int, float] | None = None
    for index, value in enumerate(values):
        if value is None or known is None:
            result.append(None)
        else:
            start, before = known
            result.append((value - before) / ((index - start) * step) * per)
        known = (index, value) if value is not None else known
    return result


def _distances(values: Values, step: float) -> Values:
    """Return the time since the previous point, in seconds."""
    result: Values = []
    before: int | None = None
    for index, value in enumerate(values):
        result.append(None if value is None or before is None else (index - before) * step)
        before = index if value is not None else before
    return result


def _sums(values: Values, _: float) -> Values:
    """Return the running sum; gaps stay gaps and do not change it."""
    sums = itertools.accumulate(value or 0.0 for value in values)
    return [None if value is None else total for value, total in zip(values, sums, strict=True)]


def _moving(values: Values, width: int, method: str, step: float) -> Values:
    return [over_time(method, values[max(0, end - width) : end], step) for end in range(1, len(values) + 1)]


def _counted(name: str, frame: Frame) -> Frame:
    """Return the number of groups with a value (or with one other than zero)."""
    counts: Values = []
    for values in zip(*frame.groups.values(), strict=True):
        found = present(values)
        counts.append(float(sum(1 for value in found if value or name == 'count_not_null')) if found else None)
    return replace(frame, by=(), groups={(): counts} if frame.groups else {})


def _without_null(frame: Frame, arguments: Sequence[object]) -> Frame:
    """Return the frame without groups that lack a tag (N/A)."""
    only = {argument for argument in arguments if isinstance(argument, str)}
    kept = {
        group: values
        for group, values in frame.groups.items()
        if not any(value == 'N/A' and (not only or key in only) for key, value in group)
    }
    return replace(frame, groups=kept)


def _ranked(match: re.Match[str], frame: Frame, arguments: Sequence[object]) -> Frame:
    """Apply top(frame, limit, by, direction) and its short forms (top5, bottom10_max)."""
    name, size, by = match.groups()
    if size:
        limit, by, highest = int(size), (by or '_mean')[1:], name == 'top'
    elif by:
        raise NotDrawn(f'not drawn here: {match[0]}()')
    else:
        limit = int(number(name, arguments, 0))
        by = _word(name, arguments, 1, 'mean')
        highest = _word(name, arguments, 2, 'desc' if name == 'top' else 'asc') == 'desc'
    ranks = {group: over_time(by, values, frame.step) for group, values in frame.groups.items()}
    known = {group: rank for group, rank in ranks.items() if rank is not None}
    best = sorted(known, key=lambda group: (-known[group] if highest else known[group], group))[:limit]
    return replace(frame, groups={group: frame.groups[group] for group in best})


_VALUES: dict[str, Callable[[float], float]] = {'abs': abs, 'log2': math.log2, 'log10': math.log10}
_CLAMPS: dict[str, Callable[[float, float], float]] = {'clamp_min': max, 'clamp_max': min}
_CUTOFFS: dict[str, Callable[[float, float], float | None]] = {
    'cutoff_min': lambda value, limit: None if value < limit else value,
    'cutoff_max': lambda value, limit: None if value > limit else value,
}
_SERIES: dict[str, Callable[[Values, float], Values]] = {
    'diff': _differences,
    'dt': _distances,
    'derivative': lambda values, step: _rates(values, step, 1),
    'cumsum': _sums,
}
