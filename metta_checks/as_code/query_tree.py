"""Tree of a metric query, a formula or a monitor query (see query.py for the parser).

Used by the lint (do metric and tags exist?), the preview (which value is shown?) and the list of metrics per asset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias


class QuerySyntaxError(ValueError):
    """A query does not parse. `column` counts from 0; the text names the expected and the found token."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Condition:
    """`tag:value` in a filter. `tag` is empty for a bare value; `value` may contain `*`."""

    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name` in a filter (a template variable; `$name.value` has `value_only`). `tag` is set for `tag:$name.value`."""

    name: str
    value_only: bool = False
    tag: str = ''


@dataclass(frozen=True, slots=True)
class Membership:
    """`tag IN (a, b)`; `tag NOT IN (a, b)` stands inside a Not."""

    tag: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """A negated filter."""

    filter: Filter


@dataclass(frozen=True, slots=True)
class AllOf:
    """Filters that must all hold: commas and AND. Empty for `*`, which matches everything."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Filters of which at least one must hold: OR."""

    filters: tuple[Filter, ...]


Filter: TypeAlias = Condition | Variable | Membership | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)` or, as a modifier, `.name(arguments)`. Keyword arguments are (name, literal)."""

    name: str
    arguments: tuple[Expression | str, ...] = ()
    keywords: tuple[tuple[str, float | str], ...] = ()


# In the groups of a query: every tag of the series.
EVERY_TAG = '*'


@dataclass(frozen=True, slots=True)
class Series:
    """`aggregator:metric{filter} by {tags}.modifier()`. `aggregator` is empty if the query has none."""

    aggregator: str
    metric: str
    filter: Filter
    by: tuple[str, ...] = ()
    modifiers: tuple[Call, ...] = ()
    column: int = 0
    # True if the filter has symbols (`,` or `!`) beside words (AND, OR, NOT or IN).
    mixed: bool = False
    # True if AND (or a comma) stands beside OR without parentheses.
    unclear: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of a query in a formula."""

    name: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Negative:
    """`-operand`."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Operation:
    """`left operator right`; operator is one of + - * /."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Function:
    """A function call with modifiers: `abs(a).rollup(avg, 60)`."""

    call: Call
    modifiers: tuple[Call, ...] = ()
    column: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """A parenthesized expression with modifiers."""

    inner: Expression
    modifiers: tuple[Call, ...] = ()


Expression: TypeAlias = Series | Reference | Number | Negative | Operation | Function | Group


@dataclass(frozen=True, slots=True)
class MonitorQuery:
    """`head(window):expression comparator threshold`. `change` and `shift` are set for change alerts."""

    aggregator: str
    window: str
    expression: Expression
    comparator: str
    threshold: float
    # Either change or pct_change, else empty; and the shift of the comparison (`1d_ago`).
    change: str = ''
    shift: str = ''
    # True if `expression` is a formula over the queries in the monitor's options.
    is_formula: bool = False


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield every node of an expression, parents first."""
    yield expression
    match expression:
        case Negative(operand):
            yield from walk(operand)
        case Operation(_, left, right):
            yield from walk(left)
            yield from walk(right)
        case Group(inner, modifiers):
            yield from walk(inner)
            yield from _arguments(modifiers)
        case Function(call, modifiers):
            yield from _arguments((call, *modifiers))
        case Series(modifiers=modifiers):
            yield from _arguments(modifiers)


def _arguments(calls: tuple[Call, ...]) -> Iterator[Expression]:
    for call in calls:
        for argument in call.arguments:
            if not isinstance(argument, str):
                yield from walk(argument)


def grouped(expression: Expression, by: tuple[str, ...]) -> Expression:
    """Return the expression in which the series without groups have these."""
    match expression:
        case Series(by=()):
            return replace(expression, by=by)
        case Negative(operand):
            return Negative(grouped(operand, by))
        case Operation(_, left, right):
            return replace(expression, left=grouped(left, by), right=grouped(right, by))
        case Group(inner):
            return replace(expression, inner=grouped(inner, by))
        case Function(call):
            arguments = tuple(one if isinstance(one, str) else grouped(one, by) for one in call.arguments)
            return replace(expression, call=replace(call, arguments=arguments))
    return expression


def series(expression: Expression) -> list[Series]:
    """Yield the series that an expression reads."""
    return [node for node in walk(expression) if isinstance(node, Series)]


def conditions(filter_: Filter) -> Iterator[Condition | Variable | Membership]:
    """Yield the leaves of a filter."""
    match filter_:
        case Not(inner):
            yield from conditions(inner)
        case AllOf(filters) | AnyOf(filters):
            for inner in filters:
                yield from conditions(inner)
        case _:
            yield filter_
