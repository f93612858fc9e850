"""W&B's Mongo-style filters and its orders, evaluated over runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from .data import Run

Predicate = Callable[[Run], bool]
Getter = Callable[[Run], Any]


class BadFilter(Exception):
    """A filter or an order that the server does not understand."""


FIELDS: dict[str, Getter] = {
    'name': lambda run: run.id,
    'state': lambda run: run.state,
    'displayName': lambda run: run.display_name,
    'createdAt': lambda run: run.created,
    'heartbeatAt': lambda run: run.heartbeat,
    'group': lambda run: run.group,
    'jobType': lambda run: run.job_type,
    'sweep': lambda run: run.sweep,
    'tags': lambda run: run.tags,
    'username': lambda run: run.user.login if run.user else None,
    'host': lambda run: run.host,
    'duration': lambda run: run.compute,
}
SNAKE_CASE = {
    'display_name': 'displayName',
    'created_at': 'createdAt',
    'heartbeat_at': 'heartbeatAt',
    'job_type': 'jobType',
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {'$gt': gt, '$gte': ge, '$lt': lt, '$lte': le}
NEGATIONS = {'$nin': '$in', '$ne': '$eq'}
TIMES = frozenset({'createdAt', 'heartbeatAt'})


def getter(field: str) -> tuple[Getter, bool]:
    """Return the reader of a field, and True for a time. Raises BadFilter for an unknown field."""
    field = SNAKE_CASE.get(field, field)
    if field in FIELDS:
        return FIELDS[field], field in TIMES
    prefix, _, key = field.partition('.')
    if prefix == 'summary_metrics' and key:
        return (lambda run: run.summary.get(key)), False
    if prefix == 'config' and key:
        name = key.removesuffix('.value')
        return (lambda run: run.config.get(name)), False
    raise BadFilter(f'unknown field {field!r} in filter')


def compile_filter(filters: Any, heartbeat: str = 'yes') -> Predicate:
    """Compile a filter to a predicate.

    `heartbeat` is about conditions on heartbeatAt: `yes` they work, `error` they are refused, `ignore` they always
    hold, `never` they never hold.
    """
    if not isinstance(filters, dict):
        raise BadFilter('a filter must be an object')
    parts = [_condition(field, value, heartbeat) for field, value in filters.items()]
    if len(parts) == 1:
        return parts[0]
    return lambda run: all(part(run) for part in parts)


def _condition(field: str, value: Any, heartbeat: str) -> Predicate:
    if field in ('$and', '$or', '$nor'):
        parts = [compile_filter(part, heartbeat) for part in value]
        if field == '$and':
            return lambda run: all(part(run) for part in parts)
        if field == '$or':
            return lambda run: any(part(run) for part in parts)
        return lambda run: not any(part(run) for part in parts)
    if SNAKE_CASE.get(field, field) == 'heartbeatAt' and heartbeat != 'yes':
        if heartbeat == 'error':
            raise BadFilter("unknown field 'heartbeatAt' in filter")
        return lambda run: heartbeat == 'ignore'
    read, is_time = getter(field)
    operators = value if isinstance(value, dict) else {'$eq': value}
    tests = [_test(operator, operand, is_time) for operator, operand in operators.items()]
    if len(tests) == 1:
        test = tests[0]
        return lambda run: test(read(run))
    return lambda run: all(test(read(run)) for test in tests)


def _test(operator: str, operand: Any, is_time: bool) -> Callable[[Any], bool]:
    if operator in NEGATIONS:
        test = _test(NEGATIONS[operator], operand, is_time)
        return lambda value: not test(value)
    if operator == '$exists':
        return lambda value: (value is not None) == bool(operand)
    if operator == '$regex':
        pattern = re.compile(operand)
        return lambda value: isinstance(value, str) and bool(pattern.search(value))
    if operator == '$in':
        wanted = set(map(_time, operand) if is_time else operand)
        return lambda value: not wanted.isdisjoint(_elements(value))
    operand = _time(operand) if is_time else operand
    if operator == '$eq':
        return lambda value: operand in _elements(value)
    if operator not in COMPARISONS:
        raise BadFilter(f'unknown operator {operator!r} in filter')
    compare = COMPARISONS[operator]
    # Nothing compares with null, nor a number with a string.
    kind = datetime if is_time else (int, float) if isinstance(operand, (int, float)) else str
    return lambda value: isinstance(value, kind) and compare(value, operand)


def _elements(value: Any) -> Sequence[Any]:
    """Return the elements of a list, such as tags; a single value is a list of one."""
    return value if isinstance(value, (tuple, list)) else (value,)


def _time(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadFilter(f'{value!r} is not a time') from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def sort_key(order: str) -> tuple[Callable[[Run], tuple[Any, ...]], bool]:
    """Compile an order such as `-heartbeat_at` to a sort key and True for descending. The id breaks ties.

    Absent values come first, then numbers and times, then strings (ascending).
    """
    descending = order.startswith('-')
    read, _ = getter(order.lstrip('+-'))

    def key(run: Run) -> tuple[Any, ...]:
        value = read(run)
        if isinstance(value, datetime):
            return (1, value.timestamp(), run.id)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return (1, value, run.id)
        return (2, value, run.id) if isinstance(value, str) else (0, 0, run.id)

    return key, descending
