"""Forms of queries that dashboards and monitors in use have, with their meaning (query_forms.yaml)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from metta_checks.as_code.monitor_query import parse_monitor
from metta_checks.as_code.query import (
    AllOf,
    AnyOf,
    Call,
    Condition,
    Expression,
    Filter,
    Function,
    Group,
    Membership,
    Negative,
    Not,
    Number,
    Operation,
    Reference,
    Series,
    Variable,
    parse_formula,
    parse_queries,
    parse_query,
)
from metta_checks.as_code.query_tree import MonitorQuery

PARSERS = {'query': parse_query, 'queries': parse_queries, 'formula': parse_formula, 'monitor': parse_monitor}
FORMS = [
    (kind, text, meaning)
    for kind, forms in yaml.safe_load(Path(__file__).with_name('query_forms.yaml').read_text(encoding='utf-8')).items()
    for text, meaning in forms.items()
]


def filter_meaning(filter_: Filter) -> str:
    match filter_:
        case Condition(tag, value):
            return f'{tag} is {value}'
        case Variable(name, value_only, tag):
            return f'{tag} is ${name}.value' if tag else f'${name}{".value" if value_only else ""}'
        case Membership(tag, values):
            return f'{tag} is one of {" ".join(values)}'
        case Not(inner):
            return f'not({filter_meaning(inner)})'
        case AllOf(()):
            return 'everything'
        case AllOf(filters):
            return f'all({", ".join(map(filter_meaning, filters))})'
        case AnyOf(filters):
            return f'any({", ".join(map(filter_meaning, filters))})'


def call_meaning(call: Call) -> str:
    arguments = [repr(one) if isinstance(one, str) else meaning_of(one) for one in call.arguments]
    return f'{call.name}({", ".join(arguments + [f"{key}={value!r}" for key, value in call.keywords])})'


def meaning_of(found: Expression) -> str:
    """Return an expression with every bracket, and filters in words."""
    match found:
        case Series(aggregator, metric, filter_, by, modifiers):
            series = f'{aggregator or "-"} of {metric} where {filter_meaning(filter_)}'
            return f'[{" ".join((series, *(("by", *by) if by else ()), *map(call_meaning, modifiers)))}]'
        case Reference(name):
            return name
        case Number(value):
            return f'{value:g}'
        case Negative(operand):
            return f'(- {meaning_of(operand)})'
        case Operation(operator, left, right):
            return f'({meaning_of(left)} {operator} {meaning_of(right)})'
        case Function(call, modifiers):
            return ' '.join(map(call_meaning, (call, *modifiers)))
        case Group(inner, modifiers):
            return ' '.join((meaning_of(inner), *map(call_meaning, modifiers)))


def meaning(found: MonitorQuery | Expression | list[Expression]) -> str:
    if isinstance(found, list):
        return '; '.join(map(meaning_of, found))
    if not isinstance(found, MonitorQuery):
        return meaning_of(found)
    change = f'{found.change} since {found.shift} of ' if found.change else ''
    formula = 'formula ' if found.is_formula else ''
    head = f'{change}{found.aggregator} over {found.window} of {formula}{meaning_of(found.expression)}'
    return f'{head} {found.comparator} {found.threshold:g}'


@pytest.mark.parametrize(('kind', 'text', 'expected'), FORMS)
def test_a_form_has_its_meaning(kind, text, expected):
    assert meaning(PARSERS[kind](text)) == expected


def test_the_forms_are_many():
    assert len(FORMS) >= 60
