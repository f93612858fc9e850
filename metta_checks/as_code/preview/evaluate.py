"""Evaluate dashboard requests on a recording with the semantics of Datadog, or report that a request is not evaluated.

Per series, points are rolled up into buckets (buckets.py). Then the series of a group are merged (space aggregation),
and functions and formulas follow. In arithmetic, gaps in counts are 0.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import product
from typing import Any

from ..declared import declared
from ..query import parse_formula, parse_query
from ..query_tree import (
    EVERY_TAG,
    Call,
    Expression,
    Function,
    Group,
    Negative,
    Number,
    Operation,
    QuerySyntaxError,
    Reference,
    Series,
)
from . import functions
from .buckets import Buckets, modifiers_of
from .filters import NotDrawn, Variables, predicate
from .frames import Frame, Operand, Values, Window, across, combine, over_time, present
from .frames import Group as GroupKey
from .functions import SHIFTS
from .recording import Recorded, Recording
from .request import ParsedRequest
from .result import Line, Outcome, Row
from .rows import changes, joined, label_of, ordered

NO_TAG = 'N/A'
AGGREGATORS = ('avg', 'sum', 'min', 'max', 'count')
SCALAR_KINDS = ('query_value', 'toplist', 'query_table', 'change')
KINDS = ('timeseries', *SCALAR_KINDS)
MAX_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class _Names:
    """Meaning of the names in a formula: queries, each with an aggregator where it is one number; known numbers."""

    queries: Mapping[str, str] = field(default_factory=dict)
    aggregators: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


class Evaluator:
    """Evaluate requests on a recording for one choice of template variables and one span of time.

    `variables` maps names of template variables to a value, several values or `*`; omitted ones have their dashboard's
    defaults. `start` and `end` are epoch seconds (default: the recording's), `step` is the width of a bucket (default:
    the recording's step).
    """

    def __init__(
        self,
        recording: Recording,
        variables: Mapping[str, str | Sequence[str]] | None = None,
        template_variables: Iterable[Mapping[str, Any]] = (),
        *,
        start: float | None = None,
        end: float | None = None,
        step: float | None = None,
    ) -> None:
        self.recording = recording
        self.variables = Variables(template_variables, variables)
        self.window = Window.of(
            recording.start if start is None else start,
            recording.end if end is None else end,
            recording.step if step is None else step,
        )
        self._buckets = Buckets(recording.step)
        self._queries: dict[tuple[str, Window], Operand] = {}

    def choosing(self, variables: Variables) -> Evaluator:
        """Return an evaluator for other values of the template variables, which shares the buckets of this one."""
        other = copy(self)
        other.variables = variables
        other._queries = {}
        return other

    # Requests.

    def request(self, widget_type: str, request: Mapping[str, Any]) -> Outcome:
        """Return the result of a widget's request. One that cannot be evaluated has a `problem`; nothing is raised."""
        try:
            return self._request(widget_type, request)
        except QuerySyntaxError as error:
            return Outcome(problem=f'does not parse: {error}')
        except NotDrawn as error:
            return Outcome(problem=str(error))

    def _request(self, kind: str, request: Mapping[str, Any]) -> Outcome:
        if kind not in KINDS:
            raise NotDrawn(f'requests of {kind} widgets are not drawn here')
        parsed = ParsedRequest(request)
        if kind == 'timeseries':
            columns = tuple(parsed.column(index) for index in range(len(parsed.formulas)))
            return Outcome(lines=self._lines(parsed), columns=columns, notes=tuple(self._overlays(parsed)))
        if kind == 'change':
            parsed.compare()
        operands = [self._value(formula, parsed, self.window, scalar=True) for formula in parsed.formulas]
        rows = joined(operands)
        columns = tuple(parsed.column(index) for index in range(len(parsed.formulas)))
        if kind == 'query_value':
            return self._single_value(parsed, rows, columns)
        arrange = changes if kind == 'change' else ordered
        return Outcome(rows=tuple(arrange(rows, request)), columns=columns)

    def _single_value(self, parsed: ParsedRequest, rows: list[Row], columns: tuple[tuple[str, str], ...]) -> Outcome:
        """Return the result of a query value: its number, and the lines of its background."""
        if len(rows) > 1:
            raise NotDrawn(f'{len(rows)} groups for one number: the query of a query value must not be grouped')
        lines: tuple[Line, ...] = ()
        notes: tuple[str, ...] = ()
        if rows:
            try:
                lines = self._lines(parsed)
            except NotDrawn as error:
                notes = (f'no background: {error}',)
        return Outcome(lines=lines, rows=tuple(ordered(rows, parsed.request)), columns=columns, notes=notes)

    def _lines(self, parsed: ParsedRequest) -> tuple[Line, ...]:
        lines = []
        for index, formula in enumerate(parsed.formulas):
            alias, unit = parsed.column(index)
            bare, _ = _without_overlay(formula, parsed)
            operand = self._value(bare, parsed, self.window, scalar=False)
            if isinstance(operand, float):
                times = self.window.times
                lines.append(Line(alias, {}, tuple((time, operand) for time in times), unit))
                continue
            for group, values in sorted(operand.groups.items()):
                own = label_of(group)
                named = parsed.aliased(index) or len(parsed.formulas) > 1 or not own
                label = ', '.join(part for part in (alias if named else '', own) if part)
                lines.append(Line(label, dict(group), tuple(zip(operand.times, values, strict=True)), unit))
        return tuple(lines)

    @staticmethod
    def _overlays(parsed: ParsedRequest) -> Iterable[str]:
        """Yield remarks about functions whose marks are missing on a chart."""
        names = (name for _, name in (_without_overlay(formula, parsed) for formula in parsed.formulas) if name)
        for name in dict.fromkeys(names):
            yield f'without {functions.OVERLAYS[name]} of {name}(): its algorithm is not published'

    def values(self, request: Mapping[str, Any]) -> list[Operand]:
        """Return the formulas of a request over time. Raises NotDrawn."""
        parsed = ParsedRequest(request)
        return [self._value(formula, parsed, self.window, scalar=False) for formula in parsed.formulas]

    # Expressions.

    def _value(self, expression: Expression, parsed: ParsedRequest, window: Window, *, scalar: bool) -> Operand:
        """Return a formula's value: over time, or (`scalar`) over the whole window with each query's aggregator."""
        queries = {name: text for name, (text, _) in parsed.queries.items()}
        aggregators = {name: aggregator for name, (_, aggregator) in parsed.queries.items()} if scalar else {}
        return self._evaluate(expression, window, _Names(queries, aggregators))

    def query(self, text: str, window: Window | None = None) -> Operand:
        """Return the value of a query over time. Raises NotDrawn."""
        key = (text, window or self.window)
        if key not in self._queries:
            self._queries[key] = self.expression(_parsed(text), key[1])
        return self._queries[key]

    def formula(self, expression: Expression, window: Window, queries: Mapping[str, str]) -> Operand:
        """Return the value of a formula over time, of queries by name. Raises QuerySyntaxError or NotDrawn."""
        return self._evaluate(expression, window, _Names(queries))

    def arithmetic(self, formula: str, values: Mapping[str, float]) -> Operand:
        """Return a formula over known numbers, by the names of their queries. Raises QuerySyntaxError or NotDrawn."""
        return self._evaluate(parse_formula(formula), self.window, _Names(numbers=values))

    def expression(self, expression: Expression, window: Window) -> Operand:
        """Return the value of a parsed query over time. Raises NotDrawn."""
        return self._evaluate(expression, window, _Names())

    def _by_name(self, name: str, window: Window, names: _Names) -> Operand:
        if name in names.numbers:
            return names.numbers[name]
        if name not in names.queries:
            raise NotDrawn(f'{name} is not the name of a query about metrics')
        operand = self.query(names.queries[name], window)
        aggregator = names.aggregators.get(name)
        return reduce(operand, aggregator) if aggregator and isinstance(operand, Frame) else operand

    def _evaluate(self, node: Expression, window: Window, names: _Names) -> Operand:
        match node:
            case Number(value):
                return value
            case Negative(operand):
                return combine('*', -1.0, self._evaluate(operand, window, names))
            case Operation(symbol, left, right):
                sides = (self._evaluate(side, window, names) for side in (left, right))
                return combine(symbol, *sides)
            case Group(inner, rollups):
                return _rolled(self._evaluate(inner, window, names), rollups)
            case Reference(name):
                return self._by_name(name, window, names)
            case Series():
                return self.series(node, window)
            case Function(call, rollups):
                return _rolled(self._function(call, window, names), rollups)
        raise TypeError(f'not an expression: {node!r}')

    def _function(self, call: Call, window: Window, names: _Names) -> Operand:
        inner = call.arguments[0] if call.arguments else None
        if inner is None or isinstance(inner, str) or call.keywords:
            raise functions.missing(call.name)
        arguments = call.arguments[1:]
        if call.name in SHIFTS or call.name == 'timeshift':
            seconds = SHIFTS.get(call.name) or -functions.number(call.name, arguments, 0)
            return _shifted(self._evaluate(inner, window.shifted(seconds), names), seconds)
        if call.name == 'pow':
            return combine('**', *(self._evaluate(side, window, names) for side in functions.both(call)))
        if call.name == 'diff' and (single := self._single(inner, names)):
            return self.series(replace(single, modifiers=(*single.modifiers, Call('diff'))), window)
        operand = self._evaluate(inner, window, names)
        if call.name == 'default_zero' and isinstance(operand, Frame):
            operand = self.with_zeros(operand)
        if isinstance(operand, float):
            raise NotDrawn(f'{call.name}() of a plain number is not drawn here')
        return functions.apply(call.name, operand, arguments)

    @staticmethod
    def _single(inner: Expression, names: _Names) -> Series | None:
        """Return the series of an argument that is nothing but one series over time, or its name."""
        if isinstance(inner, Reference) and inner.name in names.queries and not names.aggregators:
            inner = _parsed(names.queries[inner.name])
        return inner if isinstance(inner, Series) else None

    def with_zeros(self, frame: Frame) -> Frame:
        """Return the argument of default_zero(): an ungrouped query without any data becomes a series of gaps."""
        return frame if frame.groups or frame.by else replace(frame, groups={(): [None] * len(frame.times)})

    # Series.

    def series(self, node: Series, window: Window) -> Frame:
        """Return the value of one series of a query, by group and over time. Raises NotDrawn."""
        known = self.recording.series(node.metric)
        metric = declared().get(node.metric)
        if metric is None and not known:
            raise NotDrawn(f'unknown metric: {node.metric}')
        aggregator = _aggregator(node)
        if any(tag.startswith('$') or tag == EVERY_TAG for tag in node.by):
            raise NotDrawn(f'not drawn here: groups by {", ".join(node.by)}')
        modifiers = modifiers_of(node.modifiers)
        window = window.every(modifiers.seconds or window.step)
        if window.count > MAX_BUCKETS:
            raise NotDrawn(f'not drawn here: {window.count} points per series')
        test = predicate(node.filter, self.variables)
        members: dict[GroupKey, list[Values]] = {}
        for series in filter(test, known):
            values = self._buckets.of(series, window, modifiers, metric)
            for group in _groups(series, node.by):
                members.setdefault(group, []).append(values)
        groups = {group: across(aggregator, many) for group, many in members.items()}
        kept = {group: values for group, values in groups.items() if present(values)}
        counted = any(series.type == 'count' for series in known) and modifiers.fill != 'null'
        return Frame(tuple(window.times), window.step, node.by, kept, counted=counted)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Expression:
    """Return the tree of a query. Raises NotDrawn."""
    try:
        return parse_query(text)
    except QuerySyntaxError as error:
        raise NotDrawn(f'does not parse: {text}: {error}') from error


def _without_overlay(formula: Expression, parsed: ParsedRequest) -> tuple[Expression, str]:
    """Return the metric under a function that marks it on a chart, and the function; without one, the formula."""
    expression = formula
    if isinstance(formula, Reference) and formula.name in parsed.queries:
        expression = _parsed(parsed.queries[formula.name][0])
    match expression:
        case Function(Call(name, (inner, *_)), ()) if name in functions.OVERLAYS and not isinstance(inner, str):
            return inner, name
    return formula, ''


def _aggregator(node: Series) -> str:
    aggregator = node.aggregator or 'avg'
    if aggregator not in AGGREGATORS:
        raise NotDrawn(f'not drawn here: aggregator {aggregator}, which needs a distribution')
    return aggregator


def _shifted(operand: Operand, seconds: float) -> Operand:
    """Return an operand with later times; a plain or scalar number has none."""
    if isinstance(operand, float) or operand.scalar:
        return operand
    return replace(operand, times=tuple(time + seconds for time in operand.times))


def _groups(series: Recorded, by: Sequence[str]) -> Iterable[GroupKey]:
    """Return the groups that a series belongs to: several for a tag with several values."""
    return product(*([(tag, value) for value in series.by_key.get(tag, (NO_TAG,))] for tag in by))


def _rolled(operand: Operand, calls: Iterable[Call]) -> Operand:
    """Apply `.rollup(method, seconds)` to an expression, where the seconds are whole buckets."""
    for call in calls:
        modifiers = modifiers_of([call])
        if isinstance(operand, float) or call.name != 'rollup' or operand.scalar:
            raise NotDrawn(f'not drawn here: .{call.name}() behind an expression')
        seconds = modifiers.seconds or operand.step
        if seconds % operand.step:
            raise NotDrawn(f'not drawn here: .rollup() of {operand.step:g} s points into {seconds:g} s')
        method = modifiers.method or 'avg'
        starts = [math.floor(time / seconds) * seconds for time in operand.times]
        times = tuple(dict.fromkeys(starts))
        slices = [(bisect_left(starts, time), bisect_right(starts, time)) for time in times]
        operand = replace(
            operand.map(partial(_bucketed, method=method, slices=slices, step=operand.step)),
            times=times,
            step=seconds,
        )
    return operand


def _bucketed(values: Values, method: str, slices: Sequence[tuple[int, int]], step: float) -> Values:
    return [over_time(method, values[start:end], step) for start, end in slices]


def reduce(frame: Frame, aggregator: str) -> Frame:
    """Return the aggregate of each group."""
    groups = {group: [over_time(aggregator, values, frame.step)] for group, values in frame.groups.items()}
    return Frame((0.0,), frame.step, frame.by, groups, scalar=True, counted=frame.counted)
