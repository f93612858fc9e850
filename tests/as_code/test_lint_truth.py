"""Stacked parts, bars, windows and sums (MC12 to MC14, MC16): what is allowed; test_mutations.py has what is not."""

from __future__ import annotations

import pytest

from metta_checks.as_code.asset import Asset
from metta_checks.as_code.declared import declared
from metta_checks.as_code.lint import lint
from metta_checks.as_code.lint.stacking import DISJOINT
from metta_checks.as_code.lint.windows import window


def findings(*requests: dict, title: str = 'Title', description: str = '') -> set[str]:
    """Return the rules of this file that a chart of some requests breaks."""
    chart = {'type': 'timeseries', 'title': title, 'requests': list(requests)}
    document = {'title': 'x', 'description': description, 'widgets': [{'definition': chart}]}
    found = lint([Asset('dashboard', 'x', document)], complete=False)
    return {one.rule for one in found} & {'MC12', 'MC13', 'MC14', 'MC16'}


def request(kind: str, *queries: str, formula: str = '{}', **keys) -> dict:
    names = [f'q{index}' for index in range(len(queries))]
    return {
        'display_type': kind,
        'queries': [
            {'data_source': 'metrics', 'name': name, 'query': query} for name, query in zip(names, queries, strict=True)
        ],
        'formulas': [{'formula': formula.format(name), 'alias': 'x'} for name in names],
        **keys,
    }


OPEN, STALE = 'sum:metta.github.prs.open{*}', 'sum:metta.github.prs.stale_count_14d{*}'
RUNS = 'sum:metta.github.ci.runs{%s}.as_count()'


@pytest.mark.parametrize(
    'requests',
    [
        (request('line', OPEN, STALE),),
        (request('area', OPEN), request('line', STALE)),
        (request('area', OPEN), request('area', STALE, on_right_yaxis=True)),
        (request('bars', RUNS % 'conclusion:success', RUNS % 'conclusion:failure'),),
        (request('area', 'sum:metta.ec2.instances.spot{*}', 'sum:metta.ec2.instances.ondemand{*}'),),
        # Of metrics of others, the catalogs say nothing.
        (request('area', 'sum:system.mem.total{*}', 'sum:system.mem.used{*}'),),
    ],
)
def test_drawn_as_they_are(requests):
    assert findings(*requests) == set()


@pytest.mark.parametrize(
    'requests',
    [
        (request('area', OPEN, STALE),),
        (request('area', OPEN), request('area', STALE)),
        (request('bars', RUNS % 'conclusion:success', RUNS % 'conclusion:success'),),
        (request('area', 'sum:metta.github.runners.by_label{*} by {label}'),),
        (request('area', 'max:metta.github.prs.age_hours.p90{*} by {repo}'),),
    ],
)
def test_stacked_what_shares_members(requests):
    assert findings(*requests) == {'MC12'}


@pytest.mark.parametrize(
    ('query', 'fault'),
    [
        ('sum:metta.github.prs.open{*}', False),
        ('sum:metta.github.ci.runs{*}.as_count()', False),
        ('max:metta.github.prs.age_hours.p90{*}', False),
        ('sum:metta.github.prs.age_hours.p90{*}', True),
        ('sum:metta.github.developers.active_7d{*}', True),
        ('sum:metta.github.runners.by_label{*}', True),
        ('sum:metta.github.runners.by_label{*} by {label}', False),
        ('sum:metta.github.runners.by_label{label:gpu}', False),
        ('sum:metta.github.runners.by_label{label:gpu*}', True),
        ('sum:metta.github.runners.by_label{!label:gpu}', True),
        ('sum:system.load.1{*}', False),
    ],
)
def test_only_numbers_of_things_are_summed(query, fault):
    assert findings(request('line', query), title='In 7 days') == ({'MC16'} if fault else set())


def test_a_function_turns_a_level_into_events():
    total = 'sum:metta.github.prs.open{*}'
    assert findings(request('bars', total)) == {'MC13'}
    assert findings(request('bars', total, formula='diff({})')) == set()


MERGED = request('line', 'sum:metta.github.prs.merged_7d{*}')


@pytest.mark.parametrize(
    ('title', 'description', 'fault'),
    [
        ('Merged', '', True),
        ('Merged, 7 days', '', False),
        ('Merged in a week', '', False),
        ('Merged, 30 days', '', True),
        ('Merged, 17 days', '', True),
        ('Merged', 'All figures cover the last 7 days.', False),
        ('Merged', 'All figures cover the last 30 days.', True),
    ],
)
def test_a_window_is_said_where_it_is_not_that_of_the_page(title, description, fault):
    assert findings(MERGED, title=title, description=description) == ({'MC14'} if fault else set())


def test_every_metric_with_a_span_in_its_name_has_it_in_its_definition():
    spans = {'_24h': 24, '_7d': 168, '_30d': 720}
    for name, metric in declared().items():
        for suffix, hours in spans.items():
            if name.endswith(suffix) and '_over_' not in name and '.over_' not in name and 'buckets' not in name:
                assert window(metric) == hours, name


def test_the_tables_name_metrics_that_exist():
    for family in DISJOINT:
        assert family <= set(declared())
