"""Requests of dashboards evaluated on small recordings, against values computed by hand."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from metta_checks.as_code.preview.evaluate import Evaluator
from metta_checks.as_code.preview.filters import Variables, predicate
from metta_checks.as_code.preview.recording import Recording
from metta_checks.as_code.query import parse_query
from metta_checks.as_code.query_tree import series
from metta_checks.core.points import Point

STEP = 3600
OPEN = 'metta.github.prs.open'
RUNS = 'metta.github.ci.runs'
REPOSITORIES = {'a': (10, 20, 30, 40), 'b': (1, 2, None, 4)}


def recorded(name=OPEN, kind='gauge', step=STEP, **series) -> Recording:
    """One series per keyword (`repo`), one value per step; None is a gap."""
    recording = Recording()
    for repo, values in series.items():
        for index, value in enumerate(values):
            if value is not None:
                recording.add(index * step, [Point(name, kind, value, (f'repo:{repo}', 'env:production'))])
    return recording


@pytest.fixture
def prs() -> Recording:
    return recorded(**REPOSITORIES)


def request(*queries, formulas=None, **more):
    return {
        'queries': [
            {'data_source': 'metrics', 'name': f'q{index}', **({'query': query} if isinstance(query, str) else query)}
            for index, query in enumerate(queries, 1)
        ],
        **({'formulas': [{'formula': one} if isinstance(one, str) else one for one in formulas]} if formulas else {}),
        **more,
    }


def lines(recording, *queries, formulas=None, **options):
    """{label: values} of a timeseries."""
    outcome = Evaluator(recording, **options).request('timeseries', request(*queries, formulas=formulas))
    assert not outcome.problem, outcome.problem
    return {line.label: [value for _, value in line.points] for line in outcome.lines}


def only(recording, *queries, **options):
    [values] = lines(recording, *queries, **options).values()
    return values


def value(recording, query, aggregator='last', formula='q1', **options):
    outcome = Evaluator(recording, **options).request(
        'query_value', request({'query': query, 'aggregator': aggregator}, formulas=[formula])
    )
    assert not outcome.problem, outcome.problem
    return outcome.rows[0].values[0] if outcome.rows else None


def problem(recording, *queries, kind='timeseries', **more):
    outcome = Evaluator(recording).request(kind, request(*queries, **more))
    assert outcome.lines == outcome.rows == ()
    return outcome.problem


# Space and time.


@pytest.mark.parametrize(
    ('aggregator', 'expected'),
    [
        ('avg', [5.5, 11, 30, 22]),
        ('sum', [11, 22, 30, 44]),
        ('min', [1, 2, 30, 4]),
        ('max', [10, 20, 30, 40]),
        ('count', [2, 2, 1, 2]),
    ],
)
def test_space_aggregation(prs, aggregator, expected):
    assert only(prs, f'{aggregator}:{OPEN}{{*}}') == expected


def test_groups_have_their_tags_and_a_missing_tag_is_a_group_of_its_own(prs):
    prs.add(0, [Point(OPEN, 'gauge', 7, ('env:staging',))])
    outcome = Evaluator(prs).request('timeseries', request(f'sum:{OPEN}{{*}} by {{repo,env}}'))
    assert [(line.label, line.group) for line in outcome.lines] == [
        ('N/A, staging', {'repo': 'N/A', 'env': 'staging'}),
        ('a, production', {'repo': 'a', 'env': 'production'}),
        ('b, production', {'repo': 'b', 'env': 'production'}),
    ]
    assert outcome.lines[1].points == ((0, 10), (3600, 20), (7200, 30), (10800, 40))


def test_a_series_with_two_values_of_a_tag_stands_in_both_groups():
    recording = Recording()
    recording.add(0, [Point(OPEN, 'gauge', 7, ('team:x', 'team:y'))])
    assert lines(recording, f'sum:{OPEN}{{*}} by {{team}}') == {'x': [7], 'y': [7]}


def test_wider_buckets_average_gauges_and_sum_counts(prs):
    counts = recorded(RUNS, 'count', a=(1, 2, 3, 4))
    assert only(prs, f'sum:{OPEN}{{repo:a}}', step=7200) == [15, 35]
    assert only(counts, f'sum:{RUNS}{{*}}', step=7200) == [3, 7]
    assert only(counts, f'sum:{RUNS}{{*}}.as_count()', step=7200) == [3, 7]
    assert only(counts, f'sum:{RUNS}{{*}}.as_rate()', step=7200) == [3 / 7200, 7 / 7200]


def test_a_rate_in_narrow_buckets_divides_by_the_time_that_the_count_covers():
    counts = recorded(RUNS, 'count', a=(36, 72))
    assert only(counts, f'sum:{RUNS}{{*}}.as_rate()', step=1800) == [0.01, None, 0.02]


def test_the_count_of_a_histogram_is_a_rate_unless_counted():
    recording = Recording()
    name = 'metta.wandb.training.run_duration_hours'
    for time in (0, STEP):
        recording.add(time, [Point(name, 'histogram', 2, ()), Point(name, 'histogram', 4, ())])
    assert only(recording, f'avg:{name}.avg{{*}}') == [3, 3]
    assert only(recording, f'sum:{name}.count{{*}}.as_count()') == [2, 2]
    assert only(recording, f'sum:{name}.count{{*}}') == [2 / STEP, 2 / STEP]


@pytest.mark.parametrize(
    ('rollup', 'expected'),
    [
        ('avg, 7200', [15, 35]),
        ('max, 7200', [20, 40]),
        ('min', [10, 20, 30, 40]),
        ('sum, 14400', [100]),
        ('count, 7200', [2, 2]),
        ('7200', [15, 35]),
    ],
)
def test_rollup(prs, rollup, expected):
    assert only(prs, f'sum:{OPEN}{{repo:a}}.rollup({rollup})') == expected


def test_gauges_go_on_over_a_step_but_not_over_a_missing_point():
    sparse = recorded(a=(10, 20, None, 40), b=(1, 1, 1, 1))
    assert only(sparse, f'sum:{OPEN}{{repo:a}}', step=1800) == [10, 15, 20, None, None, None, 40]
    assert only(sparse, f'sum:{OPEN}{{repo:a}}.fill(linear, 7200)') == [10, 20, 30, 40]
    assert only(sparse, f'sum:{OPEN}{{repo:a}}.fill(null)', step=1800) == [10, None, 20, None, None, None, 40]
    assert only(sparse, f'sum:{OPEN}{{repo:a}}.fill(last, 7200)') == [10, 20, 20, 40]
    assert only(sparse, f'sum:{OPEN}{{repo:a}}.fill(zero, 3600)') == [10, 20, 0, 40]
    # An hour is more than the limit of 300 s.
    assert only(sparse, f'sum:{OPEN}{{repo:a}}.fill(zero)') == [10, 20, None, 40]
    assert only(sparse, f'sum:{OPEN}{{repo:a}}.fill(last)', step=1800) == [10, 10, 20, 20, None, None, 40]


def test_a_minute_recording_has_the_documented_limit_of_five_minutes():
    near = recorded(step=60, a=(0, *[None] * 4, 50, *[None] * 5, 110), b=range(12))
    assert only(near, f'sum:{OPEN}{{repo:a}}') == [0, 10, 20, 30, 40, 50, None, None, None, None, None, 110]


@pytest.mark.parametrize(
    ('fill', 'expected'),
    [
        ('linear', [0, 10, 20, 30, None, None, None, None, None, None, 90]),
        # https://docs.datadoghq.com/dashboards/functions/interpolation/: the limit is the longest gap, in seconds.
        ('linear, 120', [0, None, None, 30, None, None, None, None, None, None, 90]),
        ('linear, 180', [0, 10, 20, 30, None, None, None, None, None, None, 90]),
        ('linear, 600', [0, 10, 20, 30, 38.6, 47.1, 55.7, 64.3, 72.9, 81.4, 90]),
        ('last, 60', [0, 0, None, 30, 30, None, None, None, None, None, 90]),
        ('zero, 120', [0, 0, 0, 30, 0, 0, None, None, None, None, 90]),
        ('null', [0, None, None, 30, None, None, None, None, None, None, 90]),
    ],
)
def test_a_gap_is_filled_up_to_its_limit(fill, expected):
    near = recorded(step=60, a=(0, None, None, 30, *[None] * 6, 90), b=range(11))
    found = only(near, f'sum:{OPEN}{{repo:a}}.fill({fill})')
    assert [None if value is None else round(value, 1) for value in found] == expected


def test_gaps_in_counts_are_zero_in_arithmetic():
    """https://docs.datadoghq.com/dashboards/functions/interpolation/: counts are always aligned as 0."""
    recording = recorded(RUNS, 'count', a=(1, None, 3, None), b=(4, 5, None, None), c=(1, 1, 1, 1))
    a, b = (f'sum:{RUNS}{{repo:{repo}}}' for repo in 'ab')
    assert only(recording, f'{a}.as_count()', f'{b}.as_count()', formulas=['q1 + q2']) == [5, 5, 3, None]
    assert only(recording, f'{a}.as_count()', f'{b}.as_count()', formulas=['q1 / q2']) == [0.25, 0, None, None]
    # Alone, a gap stays a gap, and an explicit fill decides.
    assert only(recording, f'{a}.as_count()') == [1, None, 3, None]
    assert only(recording, f'{a}.as_count().fill(null)', b, formulas=['q1 + q2']) == [5, None, 3, None]
    gauges = recorded(a=(1, None, 3, None), b=(4, 5, None, None))
    a, b = (f'sum:{OPEN}{{repo:{repo}}}.fill(null)' for repo in 'ab')
    assert only(gauges, a, b, formulas=['q1 + q2']) == [5, None, None]
    assert only(gauges, a, b, formulas=['default_zero(q1) + default_zero(q2)']) == [5, 5, 3]


def test_default_zero_shows_zero_where_a_query_has_no_data():
    recording = recorded(a=(1, 2, 3))
    assert only(recording, f'default_zero(sum:{OPEN}{{repo:z}})') == [0, 0, 0]
    assert only(recording, f'sum:{OPEN}{{repo:z}}', formulas=['default_zero(q1)']) == [0, 0, 0]
    # The groups are unknown.
    assert lines(recording, f'default_zero(sum:{OPEN}{{repo:z}} by {{repo}})') == {}


def test_only_the_window_counts(prs):
    assert only(prs, f'sum:{OPEN}{{repo:a}}', start=3600, end=7200) == [20, 30]
    assert value(prs, f'sum:{OPEN}{{repo:a}}', 'sum', start=3600, end=7200) == 50


# Filters.


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('*', 'abc'),
        ('repo:a', 'a'),
        ('repo:A', 'a'),
        ('!repo:a', 'bc'),
        ('repo:a OR repo:b', 'ab'),
        ('repo:a,env:staging', ''),
        ('repo IN (a, c)', 'ac'),
        ('repo NOT IN (a, c)', 'b'),
        ('env:prod*', 'ab'),
        ('env:production AND NOT repo:b', 'a'),
        ('(repo:a OR repo:c) AND env:staging', 'c'),
        ('$env', 'ab'),
        ('env:$env.value', 'ab'),
        ('$scope', 'abc'),
        ('$env,$repo', 'b'),
        ('missing:x', ''),
        ('!missing:x', 'abc'),
    ],
)
def test_filters(text, expected):
    recording = Recording()
    for repo, env in (('a', 'production'), ('b', 'production'), ('c', 'staging')):
        recording.add(0, [Point(OPEN, 'gauge', 1, (f'repo:{repo}', f'env:{env}'))])
    declared = [
        {'name': 'env', 'prefix': 'env', 'defaults': ['*']},
        {'name': 'scope', 'defaults': ['*']},
        {'name': 'repo', 'prefix': 'repo', 'defaults': ['b']},
    ]
    found = lines(
        recording,
        f'sum:{OPEN}{{{text}}} by {{repo}}',
        variables={'env': 'production'},
        template_variables=declared,
    )
    assert ''.join(found) == expected


def test_a_variable_without_prefix_is_a_whole_tag_and_may_have_several_values(prs):
    declared = [{'name': 'scope', 'defaults': ['*']}]
    options = {'template_variables': declared}
    assert list(lines(prs, f'sum:{OPEN}{{$scope}} by {{repo}}', variables={'scope': 'repo:b'}, **options)) == ['b']
    both = {'scope': ['repo:b', 'repo:a']}
    assert list(lines(prs, f'sum:{OPEN}{{$scope}} by {{repo}}', variables=both, **options)) == ['a', 'b']


def _filters(depth: int, dice: random.Random) -> str:
    kind = dice.randrange(7 if depth else 4)
    if kind < 3:
        return f'{dice.choice("xyz")}:{dice.choice(("1", "2", "3", "*"))}'
    if kind == 3:
        return f'{dice.choice("xyz")} IN (1, {dice.choice("23")})'
    inner = [_filters(depth - 1, dice) for _ in range(2)]
    return {4: f'NOT ({inner[0]})', 5: f'({inner[0]} AND {inner[1]})', 6: f'({inner[0]} OR {inner[1]})'}[kind]


def test_the_algebra_of_filters():
    """Against all combinations of tags: a filter and its complement part them; AND and OR are both and either."""
    recording = Recording()
    for values in itertools.product(('1', '2', '3', ''), repeat=3):
        tags = tuple(f'{key}:{value}' for key, value in zip('xyz', values, strict=True) if value)
        recording.add(0, [Point(OPEN, 'gauge', 1, tags)])
    everything = recording.series(OPEN)
    assert len(everything) == 64

    def passing(text: str) -> set[tuple[str, ...]]:
        (one,) = series(parse_query(f'{OPEN}{{{text}}}'))
        test = predicate(one.filter, Variables())
        return {recorded.tags for recorded in everything if test(recorded)}

    dice = random.Random(1)
    whole = passing('*')
    sizes = set()
    for _ in range(300):
        one, other = _filters(3, dice), _filters(2, dice)
        sizes.add(len(passing(one)))
        assert passing(f'({one}) AND NOT ({one})') == set()
        assert passing(f'({one}) OR NOT ({one})') == whole
        assert passing(f'({one}) AND ({other})') == passing(one) & passing(other)
        assert passing(f'({one}) OR ({other})') == passing(one) | passing(other)
        assert passing(f'NOT (({one}) AND ({other}))') == passing(f'NOT ({one}) OR NOT ({other})')
    assert len(sizes) > 10


@pytest.mark.parametrize(
    ('text', 'chosen', 'found'),
    [
        ('x:$zone.value-1', 'a', {'a-1'}),
        ('x:*-$number.value', ['1', '2'], {'a-1', 'b-1', 'a-2'}),
        ('x:$zone.value-1', '*', {'a-1', 'b-1'}),
        ('x IN ($zone.value-2, b-1)', 'a', {'a-2', 'b-1'}),
        ('x IN ($zone.value, b-1)', 'a-1', {'a-1', 'b-1'}),
        ('x NOT IN ($zone.value)', 'a-1', {'b-1', 'a-2'}),
    ],
)
def test_variables_within_values(text, chosen, found):
    """A part of a value, or one of several values, may be the choice of a variable."""
    recording = Recording()
    for value in ('a-1', 'b-1', 'a-2'):
        recording.add(0, [Point(OPEN, 'gauge', 1, (f'x:{value}',))])
    name = 'number' if '$number' in text else 'zone'
    (one,) = series(parse_query(f'{OPEN}{{{text}}}'))
    test = predicate(one.filter, Variables([{'name': name, 'prefix': 'x'}], {name: chosen}))
    assert {recorded.tags[0].removeprefix('x:') for recorded in recording.series(OPEN) if test(recorded)} == found


def test_the_sum_over_groups_is_the_total():
    dice = random.Random(2)
    recording = Recording()
    for index, time in itertools.product(range(40), range(0, 20 * STEP, STEP)):
        if dice.random() < 0.8:
            tags = (f'repo:{index % 7}', *((f'team:{index % 3}',) if index % 5 else ()), f'id:{index}')
            recording.add(time, [Point(OPEN, 'gauge', dice.uniform(-5, 5), tags)])
    for step in (STEP, 3 * STEP):
        total = only(recording, f'sum:{OPEN}{{*}}', step=step)
        for by in ('repo', 'team', 'repo,team', 'id'):
            groups = lines(recording, f'sum:{OPEN}{{*}} by {{{by}}}', step=step).values()
            assert [math.fsum(v for v in values if v is not None) for values in zip(*groups, strict=True)] == (
                pytest.approx(total)
            )
        low, mean, high = (only(recording, f'{name}:{OPEN}{{*}}', step=step) for name in ('min', 'avg', 'max'))
        assert all(a <= b <= c for a, b, c in zip(low, mean, high, strict=True))


# Formulas.


def test_arithmetic_aligns_groups_and_a_single_series_stands_beside_all(prs):
    by, total = f'sum:{OPEN}{{*}} by {{repo}}', f'sum:{OPEN}{{*}}'
    assert lines(prs, by, total, formulas=['100 * q1 / q2'])['b'] == (
        pytest.approx([100 / 11, 200 / 22, None, 400 / 44])
    )
    assert lines(prs, total, by, formulas=['q1 - q2'])['a'] == [1, 2, 0, 4]
    assert lines(prs, by, formulas=['-(q1 - 1) * 2 + 0.5'])['b'] == [0.5, -1.5, None, -5.5]


def test_groups_that_one_side_lacks_have_no_result(prs):
    found = lines(prs, f'sum:{OPEN}{{repo:a}} by {{repo}}', f'sum:{OPEN}{{*}} by {{repo}}', formulas=['q1 + q2'])
    assert found == {'a': [20, 40, 60, 80]}


def test_a_narrower_group_stands_beside_the_wider_ones(prs):
    wide, narrow = f'sum:{OPEN}{{*}} by {{repo,env}}', f'sum:{OPEN}{{*}} by {{env}}'
    found = lines(prs, narrow, wide, formulas=['q1 - q2'])
    assert found['a, production'] == [1, 2, 0, 4]
    assert 'different groups' in problem(prs, f'{OPEN}{{*}} by {{repo}}', narrow, formulas=['q1 + q2'])


def test_division_by_zero_and_logarithms_of_nothing_are_gaps():
    recording = recorded(a=(0, 4), b=(8, 8))
    a, b = (f'sum:{OPEN}{{repo:{repo}}}' for repo in 'ab')
    assert only(recording, a, b, formulas=['q2 / q1']) == [None, 2]
    assert only(recording, a, formulas=['log2(q1)']) == [None, 2]
    assert only(recording, a, formulas=['log10(q1 * 25)']) == [None, 2]
    assert problem(recording, a, formulas=['1 / 0']) == '1 / 0 is undefined'


@pytest.mark.parametrize(
    ('formula', 'expected'),
    [
        ('abs(q1)', [2, 5, None, 7, 3]),
        ('default_zero(q1)', [2, -5, 0, 7, 3]),
        # https://docs.datadoghq.com/dashboards/functions/exclusion/: a gap becomes the limit.
        ('clamp_min(q1, 0)', [2, 0, 0, 7, 3]),
        ('clamp_max(q1, 3)', [2, -5, 3, 3, 3]),
        ('clamp_max(default_zero(q1), 3)', [2, -5, 0, 3, 3]),
        ('cutoff_min(q1, 2.5)', [None, None, None, 7, 3]),
        ('cutoff_min(q1, 3)', [None, None, None, 7, 3]),
        ('cutoff_max(q1, -1)', [None, -5, None, None, None]),
        ('cutoff_max(q1, 2)', [2, -5, None, None, None]),
        ('diff(q1)', [None, -7, None, 12, -4]),
        # https://docs.datadoghq.com/dashboards/functions/rate/: the time between two points, also across a gap.
        ('dt(q1)', [None, 3600, None, 7200, 3600]),
        ('per_second(q1)', [None, -7 / 3600, None, 6 / 3600, -4 / 3600]),
        ('per_minute(q1)', [None, -7 / 60, None, 6 / 60, -4 / 60]),
        ('per_hour(q1)', [None, -7, None, 6, -4]),
        ('derivative(q1)', [None, -7 / 3600, None, 6 / 3600, -4 / 3600]),
        ('throughput(q1)', [2 / 3600, -5 / 3600, None, 7 / 3600, 3 / 3600]),
        ('cumsum(q1)', [2, -3, None, 4, 7]),
        ('pow(q1, 2)', [4, 25, None, 49, 9]),
        ('pow(2, q1)', [4, 1 / 32, None, 128, 8]),
        ('pow(q1 - 2, q1)', [0, (-7) ** -5, None, 5**7, 1]),
        ('median_3(q1)', [None, None, None, 2, 3]),
        ('median_5(q1)', [None, None, None, None, None]),
        ('moving_rollup(q1, 7200, "sum")', [2, -3, -5, 7, 10]),
        ('moving_rollup(q1, 10800)', [2, -1.5, -1.5, 1, 5]),
        ('hour_before(q1)', [None, 2, -5, None, 7]),
        ('timeshift(q1, -7200)', [None, None, 2, -5, None]),
        ('q1 - hour_before(q1)', [None, -7, None, None, -4]),
        ('count_not_null(q1)', [1, 1, None, 1, 1]),
        ('(q1 + 1).rollup(max, 7200)', [3, 8, 4]),
    ],
)
def test_functions(formula, expected):
    recording = recorded(a=(2, -5, None, 7, 3))
    assert only(recording, f'sum:{OPEN}{{*}}', formulas=[formula]) == expected


def test_a_difference_is_computed_before_series_are_merged(prs):
    """https://docs.datadoghq.com/dashboards/functions/rate/: after time aggregation, before space aggregation."""
    # Series a grows by 10 per hour; b by 1, then by 2 across a gap.
    for query, expected in (('max', [None, 10, 10, 10]), ('min', [None, 1, 10, 2]), ('sum', [None, 11, 10, 12])):
        assert only(prs, f'{query}:{OPEN}{{*}}', formulas=['diff(q1)']) == expected
        assert only(prs, f'diff({query}:{OPEN}{{*}})') == expected
    # The difference of a calculated value has one series only.
    assert only(prs, f'max:{OPEN}{{*}}', formulas=['diff(q1 * 2)']) == [None, 20, 20, 20]
    assert only(prs, f'min:{OPEN}{{*}}', formulas=['diff(q1 * 2)']) == [None, 2, 56, -52]


def test_the_time_between_points_is_that_of_all_groups():
    """https://docs.datadoghq.com/dashboards/functions/rate/: dt() returns one series, whatever the groups are."""
    recording = recorded(a=(1, None, None, 1, None), b=(None, 2, None, None, 2))
    assert lines(recording, f'sum:{OPEN}{{*}} by {{repo}}', formulas=['dt(q1)']) == {
        'dt(q1)': [None, 3600, None, 7200, 3600]
    }


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ((1, 3, 5), [1, 3, 5]),
        # The slope is (-1 * -2 + 1 * 2) / 2 around the mean of 3.
        ((1, 5, 3), [2, 3, 4]),
        ((None, 4, None, 8, None), [None, 4, 6, 8, None]),
        ((None, 7, None), [None, 7, None]),
    ],
)
def test_a_trend_line_is_the_line_of_least_squares(values, expected):
    recording = recorded(a=values, b=(0,) * len(values))
    found = only(recording, f'sum:{OPEN}{{repo:a}}', formulas=['trend_line(q1)'], end=(len(values) - 1) * STEP)
    assert found == [None if one is None else pytest.approx(one) for one in expected]


def test_groups_are_aggregated_once_more_by_fewer_tags(prs):
    """https://docs.datadoghq.com/metrics/nested_queries/"""
    prs.add(0, [Point(OPEN, 'gauge', 5, ('repo:a', 'env:staging'))])
    query = f'max:{OPEN}{{*}} by {{repo,env}}'
    assert lines(prs, f'sum({query}, {{repo}})') == {'a': [15, 20, 30, 40], 'b': [1, 2, None, 4]}
    assert lines(prs, f'min({query}, {{env}})') == {'production': [1, 2, 30, 4], 'staging': [5, None, None, None]}
    assert lines(prs, query, formulas=['avg(q1, {env,repo})'])['production, b'] == [1, 2, None, 4]
    assert problem(prs, f'sum({query}, {{team}})') == (
        'sum(): argument 2 must be some of the tags by which the query groups'
    )


def test_functions_stand_in_queries_as_well():
    recording = recorded(a=(2, -5, None, 7, 3))
    assert only(recording, f'diff(sum:{OPEN}{{*}})') == [None, -7, None, 12, -4]
    assert value(recording, f'diff(sum:{OPEN}{{*}})', 'max') == 12


def test_day_and_week_before():
    recording = recorded(step=86400, a=range(10))
    assert only(recording, f'sum:{OPEN}{{*}}', formulas=['week_before(q1)'], start=8 * 86400) == [1, 2]
    assert only(recording, f'sum:{OPEN}{{*}}', formulas=['q1 - day_before(q1)'], start=8 * 86400) == [1, 1]
    assert value(recording, f'sum:{OPEN}{{*}}', 'avg', 'q1 - week_before(q1)', start=8 * 86400) == 7


@pytest.mark.parametrize(
    ('formula', 'expected'),
    [
        ("top(q1, 2, 'mean', 'desc')", 'cd'),
        ("top(q1, 1, 'last', 'asc')", 'c'),
        ("top(q1, 1, 'max', 'desc')", 'c'),
        ('top5(q1)', 'abcd'),
        ("bottom(q1, 2, 'mean', 'asc')", 'ab'),
        ('bottom5_last(q1)', 'abcd'),
    ],
)
def test_rankings(formula, expected):
    recording = recorded(a=(1, 1), b=(2, 2), c=(9, 0), d=(4, 4))
    outcome = Evaluator(recording).request(
        'timeseries', request(f'sum:{OPEN}{{*}} by {{repo}}', formulas=[{'formula': formula, 'alias': 'x'}])
    )
    assert ''.join(line.group['repo'] for line in outcome.lines) == expected


def test_counting_and_leaving_out_groups(prs):
    prs.add(0, [Point(OPEN, 'gauge', 0, ())])
    by = f'sum:{OPEN}{{*}} by {{repo}}'
    assert only(prs, by, formulas=['count_not_null(q1)']) == [3, 2, 1, 2]
    assert only(prs, by, formulas=['count_nonzero(q1)']) == [2, 2, 1, 2]
    assert list(lines(prs, by, formulas=["exclude_null(q1, 'repo')"])) == ['a', 'b']
    assert list(lines(prs, by)) == ['N/A', 'a', 'b']


# Numbers, lists and tables.


@pytest.mark.parametrize(
    ('aggregator', 'expected'), [('last', 4), ('avg', 7 / 3), ('sum', 7), ('min', 1), ('max', 4), ('area', 7 * 3600)]
)
def test_query_values(prs, aggregator, expected):
    assert value(prs, f'sum:{OPEN}{{repo:b}}', aggregator) == pytest.approx(expected)


def test_formulas_of_numbers_work_on_the_aggregated_queries():
    recording = recorded(a=(1, 3), b=(2, 2))
    made = request(
        {'query': f'sum:{OPEN}{{repo:a}}', 'aggregator': 'max'},
        {'query': f'sum:{OPEN}{{repo:b}}', 'aggregator': 'sum'},
        formulas=['100 * q1 / (q1 + q2)'],
    )
    outcome = Evaluator(recording).request('query_value', made)
    assert outcome.rows[0].values == (300 / 7,)
    assert [value for _, value in outcome.lines[0].points] == [100 / 3, 60]


def test_a_number_whose_background_is_not_drawn_is_still_a_number():
    made = request(f'sum:{OPEN}{{*}}', f'sum:{OPEN}{{*}}.rollup(avg, 7200)', formulas=['q1 / q2'])
    outcome = Evaluator(recorded(a=(1, 3))).request('query_value', made)
    assert outcome.rows[0].values == (1,)
    assert outcome.lines == ()
    assert outcome.notes == ('no background: arithmetic with queries of different rollups is not drawn here',)


def table(recording, made, kind='query_table'):
    outcome = Evaluator(recording).request(kind, made)
    assert not outcome.problem, outcome.problem
    return [(row.label, *row.values) for row in outcome.rows]


def test_tables_join_by_group_and_sort():
    recording = recorded(a=(1,), b=(3,), c=(2,))
    recording.add(0, [Point(RUNS, 'count', 5, ('repo:b',)), Point(RUNS, 'count', 6, ('repo:d',))])
    queries = (f'sum:{OPEN}{{*}} by {{repo}}', f'sum:{RUNS}{{*}} by {{repo}}.as_count()', f'sum:{OPEN}{{*}}')
    made = request(*queries, formulas=['q1', 'q2', 'q3'])
    assert table(recording, made) == [('b', 3, 5, 6), ('c', 2, None, 6), ('a', 1, None, 6), ('d', None, 6, 6)]
    made['sort'] = {'count': 2, 'order_by': [{'type': 'formula', 'index': 1, 'order': 'desc'}]}
    assert table(recording, made) == [('d', None, 6, 6), ('b', 3, 5, 6)]
    made['sort'] = {'count': 50, 'order_by': [{'type': 'group', 'name': 'repo', 'order': 'asc'}]}
    assert [row[0] for row in table(recording, made)] == ['a', 'b', 'c', 'd']


def test_toplists_have_a_limit_and_an_order():
    recording = recorded(a=(1,), b=(3,), c=(2,))
    by = f'sum:{OPEN}{{*}} by {{repo}}'
    limited = request(by, formulas=[{'formula': 'q1', 'limit': {'count': 2, 'order': 'asc'}}])
    assert table(recording, limited, 'toplist') == [('a', 1), ('c', 2)]
    assert table(recording, request(by), 'toplist') == [('b', 3), ('c', 2), ('a', 1)]


def test_changes_are_now_and_before_in_the_asked_order():
    recording = recorded(a=(1, 1, 5), b=(10, 10, 11), c=(5, 5, 2))
    by = {'query': f'sum:{OPEN}{{*}} by {{repo}}', 'aggregator': 'last'}
    made = request(by, formulas=['hour_before(q1)', 'q1'], change_type='absolute', order_by='change')
    assert table(recording, made, 'change') == [('a', 5, 1), ('b', 11, 10), ('c', 2, 5)]
    made = request(by, compare_to='hour_before', order_by='name', order_dir='asc')
    assert table(recording, made, 'change') == [('a', 5, 1), ('b', 11, 10), ('c', 2, 5)]
    made = request(by, compare_to='hour_before', order_by='present')
    assert [row[0] for row in table(recording, made, 'change')] == ['b', 'a', 'c']
    made = request(by, compare_to='week_before', order_by='change', change_type='relative')
    assert {row[2] for row in table(recording, made, 'change')} == {None}


def test_labels_and_units(prs):
    unit = {'unit': {'type': 'canonical_unit', 'unit_name': 'dollar', 'per_unit_name': 'hour'}}
    made = request(
        'avg:metta.github.prs.cycle_time_hours{*}',
        formulas=['q1', 'abs(q1)', 'q1 * 2', {'formula': 'q1', 'alias': 'cost', 'number_format': unit}],
    )
    outcome = Evaluator(prs).request('query_table', made)
    assert outcome.columns == (('q1', 'hour'), ('abs(q1)', 'hour'), ('q1 * 2', ''), ('cost', 'dollar/hour'))
    made = request(f'sum:{OPEN}{{*}} by {{repo}}', formulas=[{'formula': 'q1', 'alias': 'open'}])
    assert [line.label for line in Evaluator(prs).request('timeseries', made).lines] == ['open, a', 'open, b']


# Requests that are not drawn.


def test_no_points_is_no_data_but_an_unknown_name_is_a_problem(prs):
    for kind in ('timeseries', 'query_value', 'toplist', 'query_table'):
        outcome = Evaluator(prs).request(kind, request('avg:metta.github.repo.stars{*}'))
        assert outcome.empty
        assert problem(prs, 'avg:metta.github.repo.starz{*}', kind=kind) == 'unknown metric: metta.github.repo.starz'


@pytest.mark.parametrize(
    ('query', 'expected'),
    [
        (f'avg:{OPEN}{{*', f'does not parse: avg:{OPEN}{{*: column'),
        (
            f'2 * anomalies(avg:{OPEN}{{*}}, "agile", 2)',
            'not drawn here: anomalies(), because Datadog does not publish',
        ),
        (f'ewma_3(avg:{OPEN}{{*}})', 'not drawn here: ewma_3(), because Datadog does not publish its weights'),
        (f'avg:{OPEN}{{*}} by {{*}}', 'not drawn here: groups by *'),
        (f'pow(avg:{OPEN}{{*}})', 'pow(): two expressions are needed'),
        (f'p95:{OPEN}{{*}}', 'not drawn here: aggregator p95'),
        (f'avg:{OPEN}{{$nobody}}', 'unknown template variable $nobody'),
        (f'avg:{OPEN}{{*}}.weighted()', 'not drawn here: .weighted()'),
        (f'avg:{OPEN}{{*}}.rollup(p95, 60)', 'not drawn here: .rollup(p95)'),
        (f'avg:{OPEN}{{*}}.rollup(avg, daily, 1)', 'not drawn here: these arguments of .rollup()'),
        (f'avg:{OPEN}{{*}}.rollup(avg, 1)', 'not drawn here: 10801 points per series'),
        (f'avg:{OPEN}{{*}}.rollup(avg, 0)', 'not drawn here: .rollup(avg)'),
        (f'clamp_min(avg:{OPEN}{{*}})', 'clamp_min(): argument 2 must be a number'),
        (f'abs(avg:{OPEN}{{*}}, window="x")', 'not drawn here: abs()'),
        ('a + b', 'a is not the name of a query about metrics'),
    ],
)
def test_problems_of_queries(prs, query, expected):
    assert problem(prs, query).startswith(expected)


@pytest.mark.parametrize(('name', 'marks'), [('anomalies', 'band'), ('outliers', 'marks'), ('forecast', 'values')])
def test_a_metric_is_drawn_without_its_marks(prs, name, marks):
    query = f'sum:{OPEN}{{repo:a}}'
    said = f'without the {marks} of {name}(): its algorithm is not published'
    for one in (
        request(f'{name}({query}, "x", 2)'),
        request(query, formulas=[f"{name}(q1, 'x', 2, interval=60)"]),
        {'q': f'{name}({query}, "x", 2)'},
    ):
        found = Evaluator(prs).request('timeseries', one)
        assert [value for _, value in found.lines[0].points] == [10, 20, 30, 40]
        assert found.notes == (said,)
        assert Evaluator(prs).request('query_value', one).problem.startswith(f'not drawn here: {name}()')


def test_problems_of_requests(prs):
    good = f'avg:{OPEN}{{*}}'
    assert problem(prs, good, formulas=['q7']) == 'q7 is not the name of a query about metrics'
    assert problem(prs, good, formulas=['q1 +']).startswith('does not parse: q1 +: column 5')
    assert problem(prs, {'query': good, 'data_source': 'logs'}) == "not drawn here: data source 'logs'"
    assert problem(prs, good, formulas=['diff(q1)'], kind='query_value').startswith('diff() of a single value')
    assert problem(prs, f'{good} by {{repo}}', kind='query_value').startswith('2 groups for one number')
    assert problem(prs, {'query': good, 'aggregator': 'p95'}, kind='query_value') == (
        "aggregator 'p95' is not drawn here"
    )
    assert problem(prs, good, kind='scatterplot') == 'requests of scatterplot widgets are not drawn here'
    assert Evaluator(prs).request('timeseries', {}).problem == 'the request has no queries'


def test_the_form_before_formulas(prs):
    """`q` holds queries separated by commas, also arithmetic and functions; `metadata` has their aliases."""
    open_ = f'sum:{OPEN}{{*}}'
    request = {'q': f'{open_}, {open_} / 2', 'metadata': [{'expression': open_, 'alias_name': 'open'}]}
    found = Evaluator(prs).request('timeseries', request)
    assert [line.label for line in found.lines] == ['open', f'{open_} / 2']
    whole, half = ([value for _, value in line.points] for line in found.lines)
    assert half == [None if value is None else value / 2 for value in whole]
    table = Evaluator(prs).request('query_table', {'q': f'{open_} by {{repo}}', 'aggregator': 'max', 'alias': 'open'})
    assert table.columns[0][0] == 'open'
    assert len(table.rows) > 1
    (number,) = Evaluator(prs).request('query_value', {'q': open_, 'aggregator': 'last'}).rows
    assert number.values == (whole[-1],)
