"""The parser of queries, formulas and monitor queries."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.as_code import query_tree
from metta_checks.as_code.monitor_query import parse_monitor
from metta_checks.as_code.query import parse_formula, parse_queries, parse_query, variables_in
from metta_checks.as_code.query_tree import (
    AllOf,
    AnyOf,
    Call,
    Condition,
    Filter,
    Function,
    Group,
    Membership,
    Negative,
    Not,
    Number,
    Operation,
    QuerySyntaxError,
    Reference,
    Series,
    Variable,
)

EVERYTHING = AllOf(())


def one_series(text: str) -> Series:
    parsed = parse_query(text)
    assert isinstance(parsed, Series)
    return parsed


def one_function(text: str) -> Function:
    parsed = parse_query(text)
    assert isinstance(parsed, Function)
    return parsed


def one_filter(text: str) -> Filter:
    return one_series(f'avg:m{{{text}}}').filter


def test_a_series():
    parsed = parse_query('sum:metta.github.ci.runs{env:production,conclusion:success} by {repo,workflow}.as_count()')
    assert parsed == Series(
        'sum',
        'metta.github.ci.runs',
        AllOf((Condition('env', 'production'), Condition('conclusion', 'success'))),
        ('repo', 'workflow'),
        (Call('as_count'),),
    )


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('*', EVERYTHING),
        ('', EVERYTHING),
        ('*,$env', Variable('env')),
        ('$env.value', Variable('env', value_only=True)),
        ('repo:$repo.value', Variable('repo', value_only=True, tag='repo')),
        ('repo:metta-ai/metta', Condition('repo', 'metta-ai/metta')),
        ('image:registry:5000/x', Condition('image', 'registry:5000/x')),
        ('workflow:"build and test"', Condition('workflow', 'build and test')),
        ('repo:metta*', Condition('repo', 'metta*')),
        ('host:$host.value-a', Condition('host', '$host.value-a')),
        ('!env:staging', Not(Condition('env', 'staging'))),
        ('NOT env:staging', Not(Condition('env', 'staging'))),
        ('a:b AND c:d', AllOf((Condition('a', 'b'), Condition('c', 'd')))),
        ('a:b OR c:d,e:f', AnyOf((Condition('a', 'b'), AllOf((Condition('c', 'd'), Condition('e', 'f')))))),
        ('(a:b or c:d) AND e:f', AllOf((AnyOf((Condition('a', 'b'), Condition('c', 'd'))), Condition('e', 'f')))),
        ('env IN (a, b)', Membership('env', ('a', 'b'))),
        ('env NOT IN (a,b)', Not(Membership('env', ('a', 'b')))),
        ('env:(a OR b)', Membership('env', ('a', 'b'))),
        ('production', Condition('', 'production')),
        # Forms that dashboards of Datadog's integrations use.
        ('$mesh.route', Variable('mesh.route')),
        ('$mesh.route.value', Variable('mesh.route', value_only=True)),
        ('route:$mesh.route.value', Variable('mesh.route', value_only=True, tag='route')),
        ('$mesh.route,$env', AllOf((Variable('mesh.route'), Variable('env')))),
        ('group:', Condition('group', '')),
        ('group:,a:b', AllOf((Condition('group', ''), Condition('a', 'b')))),
        ('(group: ) OR a:b', AnyOf((Condition('group', ''), Condition('a', 'b')))),
        ("queue:o'hara", Condition('queue', "o'hara")),
        ('!$env', Not(Variable('env'))),
        ('repo: metta*', Condition('repo', 'metta*')),
        ('url:https://a.example/b?c=d&e=f', Condition('url', 'https://a.example/b?c=d&e=f')),
        ('NOT (a:b OR a:c) AND $env', AllOf((Not(AnyOf((Condition('a', 'b'), Condition('a', 'c')))), Variable('env')))),
        ('env IN ($env.value)', Variable('env', value_only=True, tag='env')),
        ('env NOT IN ($env)', Not(Variable('env', tag='env'))),
        ('env IN (a, $env.value)', AnyOf((Variable('env', value_only=True, tag='env'), Membership('env', ('a',))))),
        ('env:($env.value OR a)', AnyOf((Variable('env', value_only=True, tag='env'), Membership('env', ('a',))))),
        ('env IN ($env.value-a)', Membership('env', ('$env.value-a',))),
    ],
)
def test_filters(text, expected):
    assert one_filter(text) == expected


@pytest.mark.parametrize(
    ('value', 'names'),
    [
        ('web-$zone.value-*', ['zone']),
        ('*$a.value$b-c.value', ['a', 'b-c']),
        ('$mesh.route.value-x', ['mesh.route']),
        ('$a', []),
        ('a', []),
    ],
)
def test_variables_in_a_value(value, names):
    assert variables_in(value) == names


@pytest.mark.parametrize(
    ('text', 'by'),
    [
        ('', ()),
        (' by {a, b}', ('a', 'b')),
        ('by{a}', ('a',)),
        (' by { a , $b }', ('a', '$b')),
        (' by {*}', ('*',)),
        (' BY {x.example/a-b}', ('x.example/a-b',)),
    ],
)
def test_groups(text, by):
    assert one_series(f'avg:m{{*}}{text}.as_count()').by == by


def test_arithmetic_binds_as_usual():
    a, b, c = (Reference(name, column) for name, column in (('a', 0), ('b', 4), ('c', 8)))
    assert parse_formula('a + b * c') == Operation('+', a, Operation('*', b, c))
    assert parse_formula('a - b - c') == Operation('-', Operation('-', a, b), c)
    assert parse_formula('-a') == Negative(Reference('a', 1))
    assert parse_formula('+a') == Reference('a', 1)
    assert parse_formula('a - +b') == Operation('-', a, Reference('b', 5))
    assert parse_formula('100 * (a)') == Operation('*', Number(100), Group(Reference('a', 7)))


def test_functions_modifiers_and_keywords():
    inner, *rest = one_function("top(avg:m{*} by {repo}.rollup(max, 3600), 10, 'mean', 'desc')").call.arguments
    assert isinstance(inner, Series)
    assert inner.modifiers == (Call('rollup', ('max', Number(3600.0))),)
    assert rest == [Number(10.0), 'mean', 'desc']
    parsed = one_function("anomalies(sum:m{*}, 'agile', 3, direction='above', interval=300)")
    assert parsed.call.keywords == (('direction', 'above'), ('interval', 300.0))
    assert parse_formula('a.rollup(avg, 60)') == Group(Reference('a'), (Call('rollup', ('avg', Number(60.0))),))
    assert one_function("percentile(avg:m{*} by {a,b}, 'p90', {a})").call.arguments[1:] == ('p90', 'a')
    assert one_series('count(v: v<=1):m{*}').aggregator == 'count(v: v<=1)'
    assert one_series('m{*}').aggregator == ''
    assert one_series('p99.9:m{*}').aggregator == 'p99.9'
    assert one_series('histogram:m{*}').aggregator == 'histogram'
    for name in ('rollup', 'throughput', 'reduce', 'rate', 'top10'):
        assert one_function(f"{name}(sum:m{{*}} by {{a}}, 'avg', 60)").call.name == name


def test_what_an_expression_reads():
    parsed = parse_query('sum:a{x:1} + abs(max:b{*}) / 2')
    assert [one.metric for one in query_tree.series(parsed)] == ['a', 'b']
    assert list(query_tree.conditions(one_filter('a:b,(!c:d OR $e)'))) == [
        Condition('a', 'b'),
        Condition('c', 'd'),
        Variable('e'),
    ]


def test_queries_joined_by_commas():
    found = parse_queries("avg:a{x:1,y:2} by {b,c}, top(sum:b{*}, 10, 'mean', 'desc') ,avg:c{*}")
    assert [[one.metric for one in query_tree.series(tree)] for tree in found] == [['a'], ['b'], ['c']]
    assert len(parse_queries('avg:a{*}')) == 1
    with pytest.raises(QuerySyntaxError, match='column 10: expected a series'):
        parse_queries('avg:a{*},')


def test_monitors():
    parsed = parse_monitor('max(last_30m):min:metta.github.ci.tests_passing_on_main{*} by {repo,env} < 1')
    assert (parsed.aggregator, parsed.window, parsed.comparator, parsed.threshold) == ('max', 'last_30m', '<', 1)
    parsed = parse_monitor('change(max(last_4h),1d_ago):sum:a{*} by {repo} + sum:b{*} by {repo} > 5')
    assert (parsed.change, parsed.shift) == ('change', '1d_ago')
    assert [one.metric for one in query_tree.series(parsed.expression)] == ['a', 'b']
    assert parse_monitor('avg(last_1h):avg:m{*} >= -0.5').threshold == -0.5
    parsed = parse_monitor('pct_change(avg(last_5m),last_10m):default_zero(sum:a{*}) > 43')
    assert (parsed.change, parsed.window, parsed.shift) == ('pct_change', 'last_5m', 'last_10m')
    assert parse_monitor('sum(last_1mo):sum:a{*}.as_count() > 1').window == 'last_1mo'
    assert parse_monitor('change(avg(last_1d),1mo_ago):avg:m{*} > 1').shift == '1mo_ago'


@pytest.mark.parametrize(
    ('expression', 'expected'),
    [
        ('avg:m{*}', ['avg:m by a']),
        ('sum:m{*} / (1 - -sum:n{*}) * 100', ['sum:m by a', 'sum:n by a']),
        ('default_zero(avg:m{*}.as_rate())', ['avg:m by a']),
        ('avg:m{*} by {b} + abs(avg:n{*})', ['avg:m by b', 'avg:n by a']),
    ],
)
def test_groups_after_the_threshold_are_those_of_series_without_groups(expression, expected):
    parsed = parse_monitor(f'avg(last_5m):{expression} > 0.9 by {{a}}')
    found = [f'{one.aggregator}:{one.metric} by {",".join(one.by)}' for one in query_tree.series(parsed.expression)]
    assert (found, parsed.threshold) == (expected, 0.9)
    assert all(not one.by for one in query_tree.series(parse_monitor('avg(last_5m):sum:m{*} + 1 > 0.9').expression))


@pytest.mark.parametrize(
    ('text', 'aggregator', 'window'),
    [
        ('formula("a / b * 100").last("5m") > 2', 'avg', 'last_5m'),
        ('formula("a / b * 100").rollup("max").last("1h") > 2', 'max', 'last_1h'),
        ('formula( "a / b * 100" ) .rollup("sum") .last("2mo")>2', 'sum', 'last_2mo'),
    ],
)
def test_monitors_of_a_formula(text, aggregator, window):
    parsed = parse_monitor(text)
    assert (parsed.aggregator, parsed.window, parsed.threshold) == (aggregator, window, 2)
    assert [one.name for one in query_tree.walk(parsed.expression) if isinstance(one, Reference)] == ['a', 'b']


@pytest.mark.parametrize(
    ('parse', 'text', 'message'),
    [
        (parse_query, '', 'column 1: expected a series, a function, a number or the name of a query, found the end'),
        (parse_query, 'avg:m', "column 6: expected '{', found the end"),
        (parse_query, 'metta.a', "column 8: expected a filter in braces after the metric's name, found the end"),
        (parse_query, 'mean:m{*}', 'column 1: unknown aggregator'),
        (parse_query, 'avg:m{*', "column 8: expected '}'"),
        (parse_query, 'avg:m{*} by {}', 'column 14: expected a tag'),
        (parse_query, 'avg:m{*}.rollup(avg, 60', "column 24: expected ','"),
        (parse_query, 'avg:m{*}, avg:n{*}', "column 9: expected the end, found ', avg:n{*}'"),
        (parse_query, 'avg:m{*} avg', "column 10: expected the end, found 'avg'"),
        (parse_query, 'avg:m{env:(}', "column 12: expected a value, found '}'"),
        (parse_query, 'avg:m{$shop,$tillcode:3*}', 'column 22: expected a comma: a variable brings its tag'),
        (parse_query, 'p123:m{*}', 'column 1: unknown aggregator'),
        (parse_monitor, 'formula("a +").last("5m") > 1', 'in the formula: column 4: expected a series'),
        (parse_monitor, 'formula("a") > 1', 'column 14: expected a window such as .last("5m")'),
        (parse_monitor, 'formula("a").last("5m")', 'column 24: expected one of >= <='),
        (parse_query, "top(avg:m{*}, limit=3, 'x')", 'column 24: expected name=value'),
        (parse_formula, 'a / ', 'column 5: expected a series'),
        (parse_formula, 'a + avg:m{*}', 'a series belongs in a query of its own'),
        (parse_monitor, 'avg:m{*} > 1', "column 4: expected '('"),
        (parse_monitor, 'avg(5m):m{*} > 1', 'column 5: expected a window such as last_30m'),
        (parse_monitor, 'change(avg(last_1h),1d):m{*} > 1', 'column 21: expected a shift such as 1d_ago'),
        (parse_monitor, 'avg(last_1h):avg:m{*}', 'column 22: expected one of >= <= == != > <'),
        (parse_monitor, 'avg(last_1h):avg:m{*} > x', "column 25: expected the threshold, a number, found 'x'"),
        (parse_monitor, 'mean(last_1h):avg:m{*} > 1', 'column 1: a monitor query begins with one of avg, sum'),
    ],
)
def test_errors_say_where_and_what(parse, text, message):
    with pytest.raises(QuerySyntaxError) as caught:
        parse(text)
    assert message in str(caught.value)


@given(st.text(alphabet='avgsum:{}(), by.$-+*/<>=0123456789\'"NOTINAD_mr', max_size=60))
def test_any_text_is_parsed_or_refused(text):
    for parse in (parse_query, parse_formula, parse_monitor):
        with suppress(QuerySyntaxError):
            parse(text)


@pytest.mark.parametrize('text', ['(' * 10000, '-' * 10000, 'avg:m{' + '(' * 10000, 'avg:m{' + '!' * 10000])
def test_endless_nesting_is_refused(text):
    with pytest.raises(QuerySyntaxError, match='nested more than 50 deep'):
        parse_query(text)
