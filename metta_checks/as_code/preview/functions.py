"""Datadog's functions over frames. A widget with a function that is missing here is not drawn."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..query_tree import Call, Expression, Negative, Number
from .filters import NotDrawn
from .frames import Frame, Group, Values, across, differences, over_time, present

# Seconds by which these functions look back.
SHIFTS = {'hour_before': 3600, 'day_before': 86400, 'week_before': 7 * 86400, 'month_before': 28 * 86400}
PER = {'per_second': 1, 'per_minute': 60, 'per_hour': 3600}
RANKED = re.compile(r'(top|bottom)(5|10|15|20|25)?(_mean|_min|_max|_last|_area|_l2norm|_norm|_sum)?')
# Functions that mark a metric on a chart, and their marks, which are not drawn.
OVERLAYS = {'anomalies': 'the band', 'outliers': 'the marks', 'forecast': 'the values'}
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
    | {'moving_rollup', 'exclude_null', 'diff', 'cumsum', 'top', 'bottom', 'trend_line'}
    | {*OVERLAYS, *(f'median_{span}' for span in (3, 5, 7, 9))}
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
    if name in _SERIES or name in PER or name in _MEDIANS or name in ('moving_rollup', 'dt'):
        return _along(name, frame, arguments)
    if name == 'default_zero':
        return frame.map(lambda values: [0.0 if value is None else value for value in values])
    if name in ('count_nonzero', 'count_not_null'):
        return _counted(name, frame)
    if name == 'exclude_null':
        return _without_null(frame, arguments)
    if ranked := RANKED.fullmatch(name):
        return _ranked(ranked, frame, arguments)
    if name in _REGROUPED:
        return _regrouped(name, frame, arguments)
    raise missing(name)


def missing(name: str) -> NotDrawn:
    """Return the error for a function that is not drawn, with the reason where Datadog does not publish it."""
    reason = next((reason for pattern, reason in _UNPUBLISHED.items() if re.fullmatch(pattern, name)), '')
    return NotDrawn(f'not drawn here: {name}(){reason and ", "}{reason}')


def both(call: Call) -> tuple[Expression, Expression]:
    """Return the two expressions of `pow(base, exponent)`. Raises NotDrawn."""
    match call.arguments:
        case (base, exponent) if not isinstance(base, str) and not isinstance(exponent, str):
            return base, exponent
    raise NotDrawn(f'{call.name}(): two expressions are needed')


def _along(name: str, frame: Frame, arguments: Sequence[object]) -> Frame:
    """Make a function that compares points of a series with earlier ones."""
    if frame.scalar:
        raise NotDrawn(f'{name}() of a single value is not drawn here')
    if name == 'moving_rollup':
        seconds, method = number(name, arguments, 0), _word(name, arguments, 1, 'avg')
        return frame.map(lambda values: _moving(values, max(1, round(seconds / frame.step)), method, frame.step))
    if name in PER:
        return frame.map(lambda values: _rates(values, frame.step, PER[name]))
    if name == 'dt':
        return _distances(frame)
    if name in _MEDIANS:
        return frame.map(lambda values: _medians(values, _MEDIANS[name]))
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


def _distances(frame: Frame) -> Frame:
    """Return one series for all groups: the time since the previous point of any of them, in seconds."""
    result: Values = []
    before: int | None = None
    for index, values in enumerate(zip(*frame.groups.values(), strict=True)):
        known = bool(present(values))
        result.append((index - before) * frame.step if known and before is not None else None)
        before = index if known else before
    return replace(frame, by=(), groups={(): result} if frame.groups else {})


def _trend(values: Values, _: float) -> Values:
    """Return the line of least squares through the points, from the first to the last of them."""
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if not known:
        return values
    center = math.fsum(index for index, _ in known) / len(known)
    mean = math.fsum(value for _, value in known) / len(known)
    spread = math.fsum((index - center) ** 2 for index, _ in known)
    slope = math.fsum((index - center) * (value - mean) for index, value in known) / spread if spread else 0.0
    first, last = known[0][0], known[-1][0]
    return [mean + slope * (index - center) if first <= index <= last else None for index in range(len(values))]


def _medians(values: Values, span: int) -> Values:
    """Return the median of the last points at each point, from the first one with as many points."""
    result: Values = []
    known: list[float] = []
    for value in values:
        if value is not None:
            known.append(value)
        result.append(statistics.median(known[-span:]) if value is not None and len(known) >= span else None)
    return result


def _sums(values: Values, _: float) -> Values:
    """Return the running sum; gaps stay gaps and do not change it."""
    sums = itertools.accumulate(value or 0.0 for value in values)
    return [None if value is None else total for value, total in zip(values, sums, strict=True)]


def _regrouped(name: str, frame: Frame, arguments: Sequence[object]) -> Frame:
    """Aggregate the groups once more, by fewer tags: `sum(q, {repo})`."""
    by = tuple(arguments[0].split(',')) if arguments and isinstance(arguments[0], str) else ()
    if not by or not set(by) <= set(frame.by):
        raise NotDrawn(f'{name}(): argument 2 must be some of the tags by which the query groups')
    members: dict[Group, list[Values]] = {}
    for group, values in frame.groups.items():
        tags = dict(group)
        members.setdefault(tuple((key, tags[key]) for key in by), []).append(values)
    return replace(frame, by=by, groups={group: across(name, many) for group, many in members.items()})


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
    'diff': lambda values, _: differences(values),
    'throughput': lambda values, step: [None if value is None else value / step for value in values],
    'trend_line': _trend,
    'derivative': lambda values, step: _rates(values, step, 1),
    'cumsum': _sums,
}
_MEDIANS = {f'median_{span}': span for span in (3, 5, 7, 9)}
# Aggregators of a further aggregation over groups.
_REGROUPED = ('avg', 'sum', 'min', 'max')
_NO_ALGORITHM = 'because Datadog does not publish its algorithm'
# Functions that Datadog's pages do not describe exactly, as patterns of their names.
_UNPUBLISHED = {
    'anomalies|outliers|forecast|autosmooth|robust_trend|piecewise_constant|weighted': _NO_ALGORITHM,
    r'ewma_\d+': 'because Datadog does not publish its weights and its first value',
    r'rollingavg_\d+': 'because Datadog does not say which points it covers',
    'monotonic_diff': 'because Datadog does not say what is shown instead of a decrease',
    'integral': "because Datadog describes it as a sum of differences, which is not the metric's integral",
}
