"""States of monitors and SLOs, computed from a recording.

A recording has one point per step, an Agent sends one per minute; so windows and slices consist of steps here.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..check_query import CheckQuery, parse_check
from ..monitor_query import parse_monitor
from ..query import parse_query
from ..query_tree import MonitorQuery, Operation, QuerySyntaxError, Series, walk
from .evaluate import NO_TAG, Evaluator, reduce
from .filters import NotDrawn
from .frames import Frame, Operand, Values, Window, combine, finite, over_time
from .recording import CheckState, Recording
from .rows import label_of

# The most urgent first.
STATES = ('alert', 'warn', 'none', 'ok')
# The state of a monitor that is not evaluated here.
SKIPPED = 'skipped'
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    '>': operator.gt,
    '>=': operator.ge,
    '<': operator.lt,
    '<=': operator.le,
    '==': operator.eq,
    '!=': operator.ne,
}
SECONDS = {'m': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400, 'mo': 30 * 86400}
# Groups whose last report is within this time have no data; older ones are dropped.
REMEMBERED = 86400
# Levels of a service check that have a threshold, as states.
CHECK_LEVELS = {'critical': 'alert', 'warning': 'warn', 'ok': 'ok'}
# The Agent runs the check this often, and each run sends a status.
RUN_SECONDS = 60
# Minutes without a status after which Datadog has no data, unless the monitor names others.
NO_DATA_MINUTES = 2
_SPAN = re.compile(r'(?:last_)?(\d+)(mo|[mhdw])(?:_ago)?')


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """A monitor at the end of a recording. `state` is from STATES or SKIPPED, those of `groups` are from STATES."""

    state: str
    # Label of the group (empty if the query has none) to its state.
    groups: Mapping[str, str] = field(default_factory=dict)
    # Reason in one line: the worst group's value and the limit, or why the monitor is not evaluated.
    detail: str = ''

    @property
    def counts(self) -> dict[str, int]:
        """Number of groups by state."""
        counted = Counter(self.groups.values())
        return {state: counted[state] for state in STATES if counted[state]}


@dataclass(frozen=True, slots=True)
class SloStatus:
    """An SLO over the recording, in percent. `status` and `budget` are None if they cannot be computed."""

    state: str
    status: float | None
    target: float | None
    warning: float | None
    # Remaining share of the error budget, in percent; negative when it is exceeded.
    budget: float | None
    detail: str = ''


def monitor_state(body: Mapping[str, Any], recording: Recording, *, at: float | None = None) -> MonitorStatus:
    """Return the state of a metric monitor (its API form) at a moment (epoch seconds; default: the recording's end).

    Thresholds, changes and formulas are evaluated, with the warning threshold of the options; a monitor that needs more
    (anomalies) has the state SKIPPED with the reason.
    """
    if body.get('type') == 'service check':
        return _service_check(body, recording, recording.end if at is None else at)
    if body.get('type') not in ('query alert', 'metric alert'):
        return MonitorStatus(SKIPPED, detail=f'not evaluated here: monitors of type {body.get("type")!r}')
    try:
        query = parse_monitor(str(body.get('query', '')))
        return _monitor(query, body.get('options') or {}, recording, recording.end if at is None else at)
    except QuerySyntaxError as error:
        return MonitorStatus(SKIPPED, detail=f'does not parse: {error}')
    except NotDrawn as error:
        return MonitorStatus(SKIPPED, detail=str(error).replace('not drawn here', 'not evaluated here'))


def _service_check(body: Mapping[str, Any], recording: Recording, at: float) -> MonitorStatus:
    """Return the state of a service check monitor: as many equal statuses in a row as the threshold of their level.

    A recording has one status per step, an Agent sends one per run: a status stands for the runs of its step. A group
    without a status within `no_data_timeframe` (minutes) has no data.
    """
    try:
        query = parse_check(str(body.get('query', '')))
    except QuerySyntaxError as error:
        return MonitorStatus(SKIPPED, detail=f'does not parse: {error}')
    options = body.get('options') or {}
    silence = 60 * float(options.get('no_data_timeframe') or NO_DATA_MINUTES)
    groups: dict[str, list[CheckState]] = {}
    for one in sorted(recording.checks, key=lambda state: state.time):
        if one.check == query.check and at - REMEMBERED <= one.time <= at and _is_over(one.tags, query):
            groups.setdefault(_check_group(one.tags, query.by), []).append(one)
    runs = max(1, round(recording.step / RUN_SECONDS))
    states = {
        group: 'none' if at - many[-1].time > silence else _check_state(many, options.get('thresholds') or {}, runs)
        for group, many in groups.items()
    } or {'': 'none'}
    worst = min(states, key=lambda group: (STATES.index(states[group]), group))
    last = groups[worst][-1] if worst in groups else None
    fact = last.message or last.status if last and states[worst] != 'none' else 'no data'
    return MonitorStatus(states[worst], states, f'{worst}: {fact}' if worst else fact)


def _is_over(tags: Sequence[str], query: CheckQuery) -> bool:
    return all(tag in tags for tag in query.over) and not any(tag in tags for tag in query.exclude)


def _check_group(tags: Sequence[str], by: Sequence[str]) -> str:
    """Return the label of a group, as `label_of` does for metrics."""
    values = {key: value for key, _, value in (tag.partition(':') for tag in tags)}
    return ', '.join(values.get(key, NO_TAG) for key in by)


def _check_state(statuses: Sequence[CheckState], thresholds: Mapping[str, Any], runs: int) -> str:
    """Return the level that was last reached by enough statuses in a row; a threshold that is not set is 1."""
    state, level, row = 'ok', '', 0
    for one in statuses:
        row = row + runs if one.status == level else runs
        level = one.status
        if level in CHECK_LEVELS and row >= float(thresholds.get(level) or 1):
            state = CHECK_LEVELS[level]
    return state


def _monitor(query: MonitorQuery, options: Mapping[str, Any], recording: Recording, at: float) -> MonitorStatus:
    queries = _queries(options)
    kind = _CountsFirst if _aggregates_counts(query, queries) else _OfMonitor
    evaluator = kind(recording, query, queries)
    values = _values(evaluator, seconds_of(query.window), at)
    known = _values(evaluator, max(seconds_of(query.window), REMEMBERED), at)
    warning = (options.get('thresholds') or {}).get('warning')
    states = {label: _group_state(values.get(label), query, warning) for label in known or {'': None}}
    worst = min(states, key=lambda label: (STATES.index(states[label]), label))
    state = states[worst]
    limit = warning if state == 'warn' else query.threshold
    value = values.get(worst)
    fact = 'no data' if value is None else f'{value:.6g} (limit {query.comparator} {limit:g})'
    return MonitorStatus(state, states, f'{worst}: {fact}' if worst else fact)


def _group_state(value: float | None, query: MonitorQuery, warning: float | None) -> str:
    if value is None:
        return 'none'
    compare = COMPARISONS[query.comparator]
    if compare(value, query.threshold):
        return 'alert'
    return 'warn' if warning is not None and compare(value, warning) else 'ok'


def _queries(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the metric queries of a monitor of a formula, by name."""
    variables = [one for one in options.get('variables') or () if one.get('data_source') == 'metrics']
    return {str(one.get('name')): str(one.get('query')) for one in variables}


def _aggregates_counts(query: MonitorQuery, queries: Mapping[str, str]) -> bool:
    """Return whether each series is aggregated over the window before the arithmetic, and not the result of it.

    That is so in arithmetic with at least one `as_count()`:
    https://docs.datadoghq.com/monitors/guide/as-count-in-monitor-evaluations/
    """
    nodes = [*walk(query.expression), *(node for text in queries.values() for node in walk(parse_query(text)))]
    counts = (call.name == 'as_count' for node in nodes if isinstance(node, Series) for call in node.modifiers)
    return not query.change and any(isinstance(node, Operation) for node in nodes) and any(counts)


class _OfMonitor(Evaluator):
    """Evaluate the query of a monitor."""

    def __init__(self, recording: Recording, query: MonitorQuery, queries: Mapping[str, str]) -> None:
        super().__init__(recording)
        self.monitor = query
        self._named = queries

    def value(self, window: Window) -> Operand:
        """Return the value over time, or of the whole window."""
        if self.monitor.is_formula:
            return self.formula(self.monitor.expression, window, self._named)
        return self.expression(self.monitor.expression, window)

    def with_zeros(self, frame: Frame) -> Frame:
        # A window without any data has no data, also with default_zero().
        return frame


class _CountsFirst(_OfMonitor):
    """Evaluate a monitor that aggregates each series over the window before the arithmetic."""

    def series(self, node: Series, window: Window) -> Frame:
        return reduce(super().series(node, window), self.monitor.aggregator)


def _values(evaluator: _OfMonitor, seconds: float, at: float) -> dict[str, float | None]:
    """Return the value of every group over the last seconds.

    A change is the aggregate of the differences between each moment and the one earlier by the shift.
    """
    query = evaluator.monitor
    window = _window(seconds, at, evaluator.recording.step)
    operand = evaluator.value(window)
    if query.change:
        before = evaluator.value(window.shifted(seconds_of(query.shift)))
        operand = _change(query.change, operand, before)
    if isinstance(operand, float):
        raise NotDrawn('not evaluated here: a query without a series')
    return {
        label_of(group): over_time(query.aggregator, values, operand.step) for group, values in operand.groups.items()
    }


def _change(kind: str, now: Operand, before: Operand) -> Operand:
    if isinstance(now, Frame) and isinstance(before, Frame):
        before = Frame(now.times, before.step, before.by, before.groups)
    difference = combine('-', now, before)
    return difference if kind == 'change' else combine('*', 100.0, combine('/', difference, before))


def _window(seconds: float, at: float, step: float) -> Window:
    """Return the buckets up to the one beginning at `at`; the window's first moment is in the bucket before."""
    step = min(step, seconds)
    number = int(seconds // step)
    first = at - (number - 1) * step
    return Window(first, at, step, first)


def seconds_of(span: str) -> float:
    """Return `last_4h`, `1d_ago`, `30d` in seconds. Raises NotDrawn for other texts."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise NotDrawn(f'time frame not evaluated here: {span!r}')
    return int(found[1]) * SECONDS[found[2]]


def slo_status(body: Mapping[str, Any], recording: Recording, *, at: float | None = None) -> SloStatus:
    """Return the status of an SLO (its API form) at a moment (epoch seconds; default: the recording's end).

    It covers the SLO's time frame, or the part of it that the recording holds. Time slices are steps of the recording;
    one without data counts as good, as in Datadog. Events of a metric SLO are summed first; a query without points in
    the time frame counts 0, unless no query has any.
    """
    target, warning, frame = _targets(body)
    end = recording.end if at is None else at
    try:
        start = max(recording.start, end - seconds_of(frame))
        evaluator = Evaluator(recording, start=start, end=end)
        measure = {'time_slice': _time_slices, 'metric': _events}.get(str(body.get('type')))
        if measure is None:
            raise NotDrawn(f'not evaluated here: SLOs of type {body.get("type")!r}')
        status = measure(body, evaluator)
    except (QuerySyntaxError, NotDrawn) as error:
        detail = str(error).replace('not drawn here', 'not evaluated here')
        return SloStatus('none', None, target, warning, None, detail)
    days = (end - start) / 86400
    if status is None:
        return SloStatus('none', None, target, warning, None, f'no data in {days:.3g} days')
    budget = None if target is None else finite(lambda: 100 * (status - target) / (100 - target))
    state = _slo_state(status, target, warning)
    return SloStatus(state, status, target, warning, budget, f'over {days:.3g} days of the recording')


def _slo_state(status: float, target: float | None, warning: float | None) -> str:
    if target is None:
        return 'none'
    if status < target:
        return 'alert'
    return 'warn' if warning is not None and status < warning else 'ok'


def _targets(body: Mapping[str, Any]) -> tuple[float | None, float | None, str]:
    """Return (target, warning, time frame): the SLO's own, else those of its first threshold."""
    first = (body.get('thresholds') or [{}])[0]
    frame = str(body.get('timeframe') or first.get('timeframe') or '7d')
    same = next((one for one in body.get('thresholds') or () if one.get('timeframe') == frame), first)
    return body.get('target_threshold', same.get('target')), body.get('warning_threshold', same.get('warning')), frame


def _time_slices(body: Mapping[str, Any], evaluator: Evaluator) -> float | None:
    rule = (body.get('sli_specification') or {}).get('time_slice') or {}
    compare = COMPARISONS.get(str(rule.get('comparator')))
    if compare is None or not isinstance(rule.get('threshold'), int | float):
        raise NotDrawn('the time slice needs a comparator and a threshold')
    values = _single_series(evaluator.values(rule.get('query') or {}))
    if values is None:
        return None
    good = sum(1 for value in values if value is None or compare(value, rule['threshold']))
    return 100 * good / len(values)


def _single_series(operands: Sequence[Operand]) -> Values | None:
    """Return the values of one formula over a query without groups; None without data. Raises NotDrawn for others."""
    operand = operands[0]
    if len(operands) > 1 or isinstance(operand, float):
        raise NotDrawn('a time slice needs one formula over a query')
    if len(operand.groups) > 1:
        raise NotDrawn('not evaluated here: SLOs by group')
    return next(iter(operand.groups.values()), None)


def _events(body: Mapping[str, Any], evaluator: Evaluator) -> float | None:
    count = (body.get('sli_specification') or {}).get('count')
    if count:
        good = _formula(count, 'good_events_formula', evaluator)
        total = _formula(count, 'total_events_formula', evaluator)
    else:
        query = body.get('query') or {}
        good, total = (_sum(evaluator.query(str(query.get(part, '')))) for part in ('numerator', 'denominator'))
    return None if total is None else finite(lambda: 100 * (good or 0.0) / total)


def _formula(count: Mapping[str, Any], key: str, evaluator: Evaluator) -> float | None:
    """Return a formula over the sums of its queries."""
    formula = count.get(key) or {}
    text = formula.get('formula') if isinstance(formula, Mapping) else formula
    queries = [{**query, 'aggregator': 'sum'} for query in count.get('queries') or ()]
    sums = {query['name']: _sum(evaluator.query(query['query'])) for query in queries}
    if all(value is None for value in sums.values()):
        return None
    result = evaluator.arithmetic(str(text), {name: value or 0.0 for name, value in sums.items()})
    if isinstance(result, Frame):
        raise NotDrawn(f'not evaluated here: {text}')
    return result


def _sum(operand: Operand) -> float | None:
    if isinstance(operand, float):
        return operand
    if len(operand.groups) > 1:
        raise NotDrawn('not evaluated here: SLOs by group')
    return next((over_time('sum', values, operand.step) for values in operand.groups.values()), None)
