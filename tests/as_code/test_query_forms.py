"""Forms of queries that dashboards and monitors in use have, with their meaning (query_forms.yaml)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from metta_checks.as_code import query_tree as tree
from metta_checks.as_code.monitor_query import parse_monitor
from metta_checks.as_code.query import parse_formula, parse_queries, parse_query

PARSERS = {'query': parse_query, 'queries': parse_queries, 'formula': parse_formula, 'monitor': parse_monitor}
FORMS = [
    (kind, text, meaning)
    for kind, forms in yaml.safe_load(Path(__file__).with_name('query_forms.yaml').read_text(encoding='utf-8')).items()
    for text, meaning in forms.items()
]


def filter_meaning(filter_: tree.Filter) -> str:
    match filter_:
        case tree.Condition(tag, value):
            return f'{tag} is {value}'
        case tree.Variable(name, value_only, tag):
            return f'{tag} is ${name}.value' if tag else f'${name}{".value" if value_only else ""}'
        case tree.Membership(tag, values):
            return f'{tag} is one of {" ".join(values)}'
        case tree.Not(inner):
            return f'not({filter_meaning(inner)})'
        case tree.AllOf(()):
            return 'everything'
        case tree.AllOf(filters):
            return f'all({", ".join(map(filter_meaning, filters))})'
        case tree.AnyOf(filters):
            return f'any({", ".join(map(filter_meaning, filters))})'


def call_meaning(call: tree.Call) -> str:
    arguments = [repr(one) if isinstance(one, str) else meaning_of(one) for one in call.arguments]
    return f'{call.name}({", ".join(arguments + [f"{key}={value!r}" for key, value in call.keywords])})'


def meaning_of(found: tree.Expression) -> str:
    """Return an expression with every bracket, and filters in words."""
    match found:
        case tree.Series(aggregator, metric, filter_, by, modifiers):
            series = f'{aggregator or "-"} of {metric} where {filter_meaning(filter_)}'
            return f'[{" ".join((series, *(("by", *by) if by else ()), *map(call_meaning, modifiers)))}]'
        case tree.Reference(name):
            return name
        case tree.Number(value):
            return f'{value:g}'
        case tree.Negative(operand):
            return f'(- {meaning_of(operand)})'
        case tree.Operation(operator, left, right):
            return f'({meaning_of(left)} {operator} {meaning_of(right)})'
        case tree.Function(call, modifiers):
            return ' '.join(map(call_meaning, (call, *modifiers)))
        case tree.Group(inner, modifiers):
            return ' '.join((meaning_of(inner), *map(call_meaning, modifiers)))


def meaning(found: tree.MonitorQuery | tree.Expression | list[tree.Expression]) -> str:
    if isinstance(found, list):
        return '; '.join(map(meaning_of, found))
    if not isinstance(found, tree.MonitorQuery):
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
