"""States of monitors and SLOs on small recordings, against values computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from metta_checks.as_code.asset import load
from metta_checks.as_code.preview.recording import Recording
from metta_checks.as_code.preview.status import monitor_state, slo_status
from metta_checks.core.points import Point

OPEN = 'metta.github.prs.open'
RUNS = 'metta.github.ci.runs'
HOUR = 3600
ASSETS = Path(__file__).resolve().parents[2] / 'assets'


def recorded(name=OPEN, kind='gauge', **series) -> Recording:
    recording = Recording()
    for repo, values in series.items():
        for index, value in enumerate(values):
            if value is not None:
                recording.add(index * HOUR, [Point(name, kind, value, (f'repo:{repo}',))])
    return recording


def monitor(query, **thresholds):
    return {'type': 'query alert', 'query': query, 'options': {'thresholds': thresholds}}


def test_every_group_is_compared_with_both_thresholds():
    recording = recorded(a=(9, 9, 9), b=(9, 9, 6), c=(9, 1, 9), d=(5, None, None))
    found = monitor_state(monitor(f'min(last_2h):max:{OPEN}{{*}} by {{repo}} > 8', warning=5), recording)
    assert found.groups == {'a': 'alert', 'b': 'warn', 'c': 'ok', 'd': 'none'}
    assert found.counts == {'alert': 1, 'warn': 1, 'none': 1, 'ok': 1}
    assert (found.state, found.detail) == ('alert', 'a: 9 (limit > 8)')


@pytest.mark.parametrize(
    ('query', 'state', 'detail'),
    [
        (f'max(last_3h):sum:{OPEN}{{*}} > 8', 'alert', '9 (limit > 8)'),
        (f'max(last_2h):sum:{OPEN}{{*}} > 8', 'ok', '4 (limit > 8)'),
        (f'avg(last_2h):sum:{OPEN}{{*}} <= 3', 'alert', '3 (limit <= 3)'),
        (f'avg(last_5m):sum:{OPEN}{{*}} == 2', 'alert', '2 (limit == 2)'),
        (f'sum(last_3h):sum:{OPEN}{{*}} - 1 < 12', 'ok', '12 (limit < 12)'),
        (f'max(last_5m):sum:{OPEN}{{repo:z}} > 1', 'none', 'no data'),
    ],
)
def test_the_window_holds_the_last_points(query, state, detail):
    found = monitor_state(monitor(query), recorded(a=(9, 4, 2)))
    assert (found.state, found.detail) == (state, detail)


def test_at_another_moment():
    body = monitor(f'max(last_1h):sum:{OPEN}{{*}} > 8')
    assert monitor_state(body, recorded(a=(9, 4, 2)), at=0).state == 'alert'


def test_changes_are_the_aggregate_of_the_differences():
    recording = recorded(a=(1, 2, 5, 9), b=(8, 8, 8, 8))
    # Differences to two hours before: 4 and 7.
    body = monitor(f'change(avg(last_2h),2h_ago):sum:{OPEN}{{*}} by {{repo}} > 5')
    assert monitor_state(body, recording).detail == 'a: 5.5 (limit > 5)'
    # 400 % and 350 %.
    body = monitor(f'pct_change(max(last_2h),2h_ago):sum:{OPEN}{{repo:a}} > 399')
    assert monitor_state(body, recording).detail == '400 (limit > 399)'
    body = monitor(f'change(avg(last_2h),1d_ago):sum:{OPEN}{{*}} > 5')
    assert monitor_state(body, recording).state == 'none'


@pytest.mark.parametrize(
    ('body', 'detail'),
    [
        (
            monitor(f"avg(last_4h):anomalies(avg:{OPEN}{{*}}, 'agile', 2, interval=60) >= 1"),
            'not evaluated here: anomalies()',
        ),
        (monitor(f'percentile(last_4h):avg:{OPEN}{{*}} > 1'), "aggregator 'percentile' is not evaluated here"),
        (monitor(f'avg(next_1w):avg:{OPEN}{{*}} > 1'), "time frame not evaluated here: 'next_1w'"),
        (monitor('avg(last_5m):1 > 0'), 'not evaluated here: a query without a series'),
        (monitor('avg(last_5m):avg:nothing{*} > 0'), 'unknown metric: nothing'),
        (monitor('nonsense'), 'does not parse: column 1'),
        ({'type': 'service check', 'query': ''}, 'does not parse: column 1: expected the name of a service check'),
        ({'type': 'log alert', 'query': ''}, "not evaluated here: monitors of type 'log alert'"),
    ],
)
def test_what_is_not_evaluated_says_so(body, detail):
    found = monitor_state(body, recorded(a=(1, 2)))
    assert found.state == 'skipped'
    assert found.detail.startswith(detail)


# Arithmetic with as_count(): https://docs.datadoghq.com/monitors/guide/as-count-in-monitor-evaluations/

FAILED, ALL = f'sum:{RUNS}{{conclusion:failure}}', f'sum:{RUNS}{{*}}'


def counted(*rows: tuple[int | None, int | None], step: int = 60) -> Recording:
    """Failures and successes of each minute."""
    recording = Recording()
    for index, row in enumerate(rows):
        recording.add(index * step, [Point(OPEN, 'gauge', 1, ('repo:x',))])
        for conclusion, value in zip(('failure', 'success'), row, strict=True):
            if value is not None:
                recording.add(index * step, [Point(RUNS, 'count', value, (f'conclusion:{conclusion}', 'repo:x'))])
    return recording


# The example of that page: one to five errors among ten requests a minute.
EXAMPLE = counted(*((errors, 10 - errors) for errors in range(1, 6)))


@pytest.mark.parametrize(
    ('query', 'value'),
    [
        (f'sum(last_5m):{FAILED}.as_count() / {ALL}.as_count()', '0.3'),
        (f'sum(last_5m):{FAILED}.as_rate() / {ALL}.as_rate()', '1.5'),
        (f'sum(last_5m):( {FAILED}.as_count() / {ALL}.as_count() ) * 100', '30'),
        (f'avg(last_5m):{FAILED}.as_count() / {ALL}.as_count()', '0.3'),
        # No arithmetic: as everywhere else.
        (f'max(last_5m):{FAILED}.as_count()', '5'),
    ],
)
def test_counts_are_aggregated_before_the_arithmetic(query, value):
    assert monitor_state(monitor(f'{query} > 0.2'), EXAMPLE).detail == f'{value} (limit > 0.2)'


@pytest.mark.parametrize(
    ('formula', 'value'),
    [
        ('formula("failed / every").last("5m")', '0.3'),
        ('formula("100 * failed / every").rollup("sum").last("5m")', '30'),
    ],
)
def test_a_monitor_of_a_formula(formula, value):
    variables = [
        {'data_source': 'metrics', 'name': 'failed', 'query': f'{FAILED}.as_count()'},
        {'data_source': 'metrics', 'name': 'every', 'query': f'{ALL}.as_count()'},
    ]
    body = monitor(f'{formula} > 0.2')
    body['options']['variables'] = variables
    assert monitor_state(body, EXAMPLE).detail == f'{value} (limit > 0.2)'
    body['options']['variables'] = variables[:1]
    assert monitor_state(body, EXAMPLE).detail == 'every is not the name of a query about metrics'


def test_a_window_without_data_has_none_also_with_default_zero():
    """https://docs.datadoghq.com/dashboards/functions/interpolation/: in monitors, default_zero() needs a point."""
    recording = counted((1, 9), (None, 10), (None, 10))
    query = f'max(last_5m):default_zero({FAILED}) > 5'
    assert monitor_state(monitor(query), recording).state == 'ok'
    query = f'max(last_5m):default_zero(sum:{RUNS}{{conclusion:other}}) > 5'
    assert monitor_state(monitor(query), recording).state == 'none'


def time_slice(comparator='<=', threshold=20, query=f'sum:{OPEN}{{*}}', **more):
    rule = {'queries': [{'data_source': 'metrics', 'name': 'q', 'query': query}], 'formulas': [{'formula': 'q'}]}
    return {
        'type': 'time_slice',
        'sli_specification': {'time_slice': {'query': rule, 'comparator': comparator, 'threshold': threshold}},
        'timeframe': '7d',
        'target_threshold': 80,
        'warning_threshold': 90,
        **more,
    }


def test_time_slices_without_data_are_good():
    recording = recorded(a=(20, 21, None, None, 5, 5, 5, 5, 5, 5), b=[None] * 2 + [0] * 2)
    recording.add(10 * HOUR, [Point('other', 'gauge', 1, ())])
    # One of eleven moments is bad; 5 is the last value, the eleventh moment has none.
    found = slo_status(time_slice(), recording)
    assert found.status == pytest.approx(100 * 10 / 11)
    assert found.budget == pytest.approx(100 * (100 * 10 / 11 - 80) / 20)
    assert (found.state, found.target, found.warning) == ('ok', 80, 90)
    assert found.detail == 'over 0.417 days of the recording'


@pytest.mark.parametrize(
    ('values', 'status', 'state', 'budget'),
    [
        ((1,) * 10, 100, 'ok', 100),
        ((30,) + (1,) * 7, 87.5, 'warn', 37.5),
        ((30,) * 2 + (1,) * 2, 50, 'alert', -150),
    ],
)
def test_states_and_budgets(values, status, state, budget):
    found = slo_status(time_slice(), recorded(a=values))
    assert (found.status, found.state, found.budget) == (status, state, budget)


def test_only_the_time_frame_counts():
    recording = recorded(a=[99] * 10 + [1] * 25)
    found = slo_status(time_slice(timeframe='1d', target_threshold=99.9, warning_threshold=None), recording)
    assert (found.status, found.state) == (100, 'ok')


def events(good, *bad):
    recording = Recording()
    for conclusion, values in (('success', good), *bad):
        for index, value in enumerate(values):
            recording.add(index * HOUR, [Point(RUNS, 'count', value, (f'conclusion:{conclusion}',))])
    queries = [
        {'data_source': 'metrics', 'name': name, 'query': f'sum:{RUNS}{{conclusion:{name}}}.as_count()'}
        for name in ('success', 'failure', 'timed_out')
    ]
    return recording, {
        'type': 'metric',
        'sli_specification': {
            'count': {
                'good_events_formula': {'formula': 'success'},
                'total_events_formula': {'formula': 'success + failure + timed_out'},
                'queries': queries,
            }
        },
        'thresholds': [{'timeframe': '30d', 'target': 95, 'warning': 97}, {'timeframe': '7d', 'target': 90}],
        'timeframe': '7d',
    }


def test_events_are_summed_up_before_they_are_divided():
    recording, body = events((10, 0, 8), ('failure', (1, 1, 0)))
    found = slo_status(body, recording)
    assert found.status == 90
    assert (found.target, found.warning, found.state, found.budget) == (90, None, 'ok', 0)


def test_no_events_is_no_data_and_only_failures_is_nothing():
    assert slo_status(events(())[1], events(())[0]).status is None
    recording, body = events((), ('failure', (3,)))
    assert slo_status(body, recording).status == 0
    recording, body = events((0,))
    assert slo_status(body, recording).state == 'none'


def test_the_older_form_of_events():
    recording, body = events((9,), ('failure', (1,)))
    del body['sli_specification']
    good, every = (f'sum:{RUNS}{{{filter_}}}.as_count()' for filter_ in ('conclusion:success', '*'))
    body['query'] = {'numerator': good, 'denominator': every}
    assert slo_status(body, recording).status == 90


@pytest.mark.parametrize(
    ('body', 'detail'),
    [
        (time_slice(query=f'sum:{OPEN}{{*}} by {{repo}}'), 'not evaluated here: SLOs by group'),
        (time_slice(comparator='~'), 'the time slice needs a comparator'),
        (time_slice(query='sum:nothing{*}'), 'unknown metric: nothing'),
        (time_slice(timeframe='custom'), "time frame not evaluated here: 'custom'"),
        ({'type': 'monitor'}, "not evaluated here: SLOs of type 'monitor'"),
        (time_slice(query=f'sum:{RUNS}{{*}}'), 'no data in 0.0417 days'),
    ],
)
def test_slos_that_are_not_evaluated_say_so(body, detail):
    found = slo_status(body, recorded(a=(1, 2), b=(1, 2)))
    assert (found.state, found.status, found.budget) == ('none', None, None)
    assert found.detail.startswith(detail)


def test_the_shipped_monitors_and_slos_are_evaluated_or_anomalies():
    """On an empty recording: nothing but `no data` and anomalies may come of them."""
    assets = load(ASSETS)
    details = {monitor_state(asset.body, Recording()).detail for asset in assets if asset.kind == 'monitor'}
    assert details == {
        'no data',
        'not evaluated here: anomalies(), because Datadog does not publish its algorithm',
    }
    details = {slo_status(asset.body, Recording()).detail for asset in assets if asset.kind == 'slo'}
    assert details == {'no data in 0 days'}
