"""Selections of template variables that show the same, compared with the filters themselves."""

from __future__ import annotations

import itertools
import random

import pytest

from metta_checks.as_code.preview.choices import Choices, choices
from metta_checks.as_code.preview.dependence import MAX_COMBINATIONS, Dependence
from metta_checks.as_code.preview.filters import NotDrawn, Variables, predicate, tag_is
from metta_checks.as_code.preview.recorded import RecordedData, States
from metta_checks.as_code.preview.recording import Recorded, Recording
from metta_checks.as_code.query import parse_query
from metta_checks.as_code.query_tree import Filter, series
from metta_checks.core.points import Point

DECLARED = [
    {'name': 'env', 'prefix': 'env', 'available_values': ['prod', 'dev', 'prod-*']},
    {'name': 'team', 'prefix': 'team', 'available_values': ['red', 'blue']},
    {'name': 'scope', 'available_values': ['team:red', 'zone:a']},
]
OFFERED = choices({'template_variables': DECLARED}, lambda _: (), {})
FILTERS = (
    '$env',
    '$env,$team',
    '$env,zone:a',
    'NOT $env',
    '$env OR $team',
    '($env OR zone:a) AND NOT $team',
    'env:$team.value',
    'zone:$env.value,$scope',
    '$scope',
    'zone:a',
    '*',
    '$unknown',
    '$env,!zone:b,$team',
    'env:$env.value-*',
    'NOT env IN (dev, $env.value-eu)',
    'env:$env.value-$team.value',
)


def filter_of(text: str) -> Filter:
    return series(parse_query(f'avg:x{{{text}}}'))[0].filter


def things() -> list[Recorded]:
    tags = itertools.product(
        ('', 'env:prod', 'env:prod-eu', 'env:dev', 'env:red'), ('', 'team:red'), ('zone:a', 'zone:b')
    )
    return [Recorded('x', 'gauge', tuple(tag for tag in some if tag)) for some in tags]


def selections(offered: Choices) -> list[tuple[frozenset[int], ...]]:
    every = [
        [
            frozenset(some)
            for size in range(len(one.values) + 1)
            for some in itertools.combinations(range(len(one.values)), size)
        ]
        for one in offered.variables
    ]
    return list(itertools.product(*every))


@pytest.mark.parametrize('text', FILTERS)
def test_equal_signatures_let_the_same_things_pass(text):
    some = things()
    dependence = Dependence.of([(filter_of(text), some)], OFFERED.variables)
    reachable = dependence.reachable([], OFFERED.variables)
    passing: dict[str, list[bool]] = {}
    for selection in selections(OFFERED):
        signature = dependence.signature(selection)
        assert signature in reachable
        if text == '$unknown':
            continue
        test = predicate(filter_of(text), Variables(DECLARED, OFFERED.values(selection)))
        found = [test(one) for one in some]
        assert passing.setdefault(signature, found) == found
    # No two signatures show the same: nothing is drawn twice.
    shown = [tuple(found) for found in passing.values()]
    assert len(shown) == len(set(shown))
    assert dependence.signature(OFFERED.initial) == '1' * len(dependence.conditions) or 'NOT' in text


def test_many_values_are_bounded():
    declared = [{'name': name, 'prefix': name, 'available_values': [f'{name}{n}' for n in range(12)]} for name in 'abc']
    offered = choices({'template_variables': declared}, lambda _: (), {})
    chance = random.Random(1)
    some = [Recorded('x', 'gauge', tuple(f'{name}:{name}{chance.randrange(12)}' for name in 'abc')) for _ in range(200)]
    dependence = Dependence.of([(filter_of('$a,$b,$c'), some)], offered.variables)
    reachable = dependence.reachable([], offered.variables)
    assert 100 < len(reachable) <= MAX_COMBINATIONS
    # The fewest values come first: all, then one value of one variable.
    sizes = [sum(map(len, selection)) for selection in reachable.values()]
    assert sizes == sorted(sizes)
    assert sizes[:3] == [0, 1, 1]


def test_values_that_no_series_has_are_one_selection():
    declared = [{'name': 'env', 'prefix': 'env', 'available_values': ['prod', 'x', 'y', 'z']}]
    offered = choices({'template_variables': declared}, lambda _: (), {})
    some = [Recorded('x', 'gauge', ('env:prod',)), Recorded('x', 'gauge', ())]
    dependence = Dependence.of([(filter_of('$env'), some)], offered.variables)
    # All; production; none of the series.
    assert list(dependence.reachable([], offered.variables).values()) == [
        (frozenset(),),
        (frozenset({0}),),
        (frozenset({1}),),
    ]


def test_the_widget_says_which_filters_it_has():
    recording = Recording()
    recording.add(0, [Point('metta.github.prs.open', 'gauge', 1, ('env:prod',))])
    recording.add_check(0, 'metta.can_connect', 'ok', '', ['env:prod'])
    recording.add_event(0, 'x', '', 'info', ['env:prod'])
    data = RecordedData(recording, States(recording, []), DECLARED, {})
    query = {'data_source': 'metrics', 'query': 'avg:metta.github.prs.open{$env}', 'name': 'a'}
    other = {'data_source': 'logs', 'name': 'b'}
    chart = {
        'type': 'timeseries',
        # A request that is not drawn does not hide the dependence of the others.
        'requests': [{'queries': [other]}, {'queries': [query]}, {'q': 'avg:metta.github.prs.open{$team}'}],
        'events': [{'q': 'tags:$env tags:team:$team.value words'}],
    }
    found = [filter_ for filter_, _ in data.filtered(chart)]
    assert found == [filter_of(text) for text in ('$env', '$team', '$env', 'team:$team.value')]
    status = {'type': 'check_status', 'check': 'metta.can_connect', 'tags': ['$env', 'zone:a', '*']}
    assert [filter_ for filter_, _ in data.filtered(status)] == [filter_of(text) for text in ('$env', 'zone:a', '*')]


def test_many_variables_are_bounded():
    declared = [
        {'name': name, 'prefix': name, 'available_values': [f'{name}{n}' for n in range(40)]} for name in 'abcdef'
    ]
    offered = choices({'template_variables': declared}, lambda _: (), {})
    some = [Recorded('x', 'gauge', tuple(f'{name}:{name}{number}' for name in 'abcdef')) for number in range(40)]
    dependence = Dependence.of([(filter_of('$a,$b,$c,$d,$e,$f'), some)], offered.variables)
    assert len(dependence.reachable([], offered.variables)) > 40


def test_many_series_are_bounded(monkeypatch):
    declared = [{'name': name, 'prefix': name, 'available_values': [f'{name}{n}' for n in range(12)]} for name in 'ab']
    offered = choices({'template_variables': declared}, lambda _: (), {})
    some = [Recorded('x', 'gauge', (f'a:a{one}', f'b:b{other}')) for one in range(12) for other in range(12)]
    dependence = Dependence.of([(filter_of('$a,$b'), some)], offered.variables)
    monkeypatch.setattr('metta_checks.as_code.preview.dependence.MAX_EVALUATIONS', 144 * 20)
    assert 10 < len(dependence.reachable([], offered.variables)) <= 20


def test_wildcards_of_which_each_has_the_values_of_the_next_are_bounded():
    values = ['a' * number + '*' for number in range(1, 41)]
    offered = choices({'template_variables': [{'name': 'env', 'prefix': 'env', 'available_values': values}]}, list, {})
    some = [Recorded('x', 'gauge', ('env:' + 'a' * number,)) for number in range(1, 41)]
    dependence = Dependence.of([(filter_of('$env'), some)], offered.variables)
    # All, and one per wildcard: each has the values of those after it.
    assert len(dependence._selections(offered.variables)) == 41


@pytest.mark.parametrize('values', [('$env.value', 'b'), ('$team.value', 'b')])
def test_a_value_that_looks_like_a_variable_is_a_value(values):
    declared = [
        {'name': 'env', 'prefix': 'env', 'available_values': list(values)},
        {'name': 'team', 'prefix': 'team', 'available_values': ['$env.value']},
    ]
    offered = choices({'template_variables': declared}, lambda _: (), {})
    some = [Recorded('x', 'gauge', ('env:x-b',))]
    dependence = Dependence.of([(filter_of('env:x-$env.value'), some)], offered.variables)
    # All; b; the other value.
    assert len(dependence.reachable([], offered.variables)) == 2


def test_four_variables_in_one_value_are_not_drawn():
    declared = [
        {'name': name, 'prefix': name, 'available_values': [f'{name}{n}' for n in range(40)]} for name in 'abcd'
    ]
    offered = choices({'template_variables': declared}, lambda _: (), {})
    filter_ = filter_of('zone:$a.value-$b.value-$c.value-$d.value')
    assert not Dependence.of([(filter_, [Recorded('x', 'gauge', ('zone:a1-b1-c1-d1',))])], offered.variables).conditions
    with pytest.raises(NotDrawn, match='more than 3 template variables'):
        predicate(filter_, Variables(declared, {}))


def test_many_wildcards_take_no_time():
    thing = Recorded('x', 'gauge', ('zone:' + 'a' * 60, 'zone:xaxbx'))
    assert not tag_is('zone', ['*a' * 30 + '*y'])(thing)
    assert tag_is('zone', ['*a*b*'])(thing)
    assert tag_is('zone', ['x*b**x'])(thing)
    assert not tag_is('zone', ['x*b*a*x'])(thing)
