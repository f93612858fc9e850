"""`verify --coverage`: which metrics are compared on the sandbox with every option on, and why others are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from metta_checks import verify
from metta_checks.check import SOURCES
from metta_checks.core import catalog
from metta_checks.verify.coverage import CHANGES, coverage
from sandbox.__main__ import write_configuration
from sandbox.every_option import EVERY_OPTION, every_option

from .test_commands import metta_checks, results

# Options of a sandbox service without which some metrics have no value.
SITUATIONS: dict[str, dict[str, Any]] = {
    'ec2': {'situations': ['all']},
    'skypilot': {'rare': True},
    'wandb': {'rare': True},
}
CATALOG = catalog.parse("""
source: demo
prefix: metta.demo.
tags: {}
metrics:
  - {name: jobs.open, block: jobs, description: Open jobs.}
  - {name: jobs.done, block: jobs, description: Jobs that ended, type: count}
  - {name: jobs.old, block: jobs, description: Old jobs., option: old}
  - {name: jobs.summary.*.last, block: jobs, description: Last values.}
  - {name: jobs.hidden, block: jobs, description: Hidden jobs.}
""")


OURS = ['metta.demo.jobs.open', 'metta.demo.jobs.done', 'metta.demo.jobs.hidden']


def recomputed(*figures: str, without_series: Iterable[str] = ()) -> verify.Recomputed:
    rows = (verify.Figure(name, 1) for name in figures)
    return verify.Recomputed.of(chain(rows, map(verify.NoSeries, without_series)), requests=1)


def test_what_is_recomputed_is_compared():
    covered = coverage(CATALOG, (), recomputed('metta.demo.jobs.open', 'metta.demo.jobs.summary.loss.last'), {})
    assert covered.compared == ('metta.demo.jobs.open', 'metta.demo.jobs.summary.*.last')
    assert (covered.percent, covered.without_series) == (40, ())


def test_what_is_absent_on_both_sides_is_compared_and_shown_apart():
    nothing = recomputed('metta.demo.jobs.open', without_series=['metta.demo.jobs.hidden', 'metta.demo.jobs.old'])
    covered = coverage(CATALOG, ['metta.demo.jobs.open'], nothing, {})
    assert covered.compared == ('metta.demo.jobs.open', 'metta.demo.jobs.old', 'metta.demo.jobs.hidden')
    assert covered.without_series == ('metta.demo.jobs.old', 'metta.demo.jobs.hidden')
    # With a series of the check there is something to compare, and it differs.
    covered = coverage(CATALOG, OURS, nothing, {})
    assert covered.without_series == ('metta.demo.jobs.old',)
    ours = [verify.Figure('metta.demo.jobs.hidden', 2, ('state:new',))]
    [pair] = verify.compare(ours, [], without_series=nothing.without_series)
    assert (pair.ours, pair.theirs, pair.agrees) == (2, None, False)


def test_a_metric_with_a_pattern_in_its_name_can_be_absent():
    covered = coverage(CATALOG, (), recomputed(without_series=['metta.demo.jobs.summary.loss.last']), {})
    assert covered.without_series == ('metta.demo.jobs.summary.*.last',)


def test_a_metric_is_without_series_only_if_it_has_none():
    found = recomputed('metta.demo.jobs.open', without_series=['metta.demo.jobs.open', 'metta.demo.jobs.old'])
    assert found.without_series == {'metta.demo.jobs.old'}


def test_an_option_that_is_off_is_a_reason_of_its_own():
    covered = coverage(CATALOG, (), recomputed(without_series=['metta.demo.jobs.old']), {}, off=['old'])
    assert covered.left_out['metta.demo.jobs.old'] == 'option `old` is off'


def test_everything_else_has_a_reason():
    covered = coverage(CATALOG, OURS, recomputed(), {'jobs.hidden': 'the SDK hides them'})
    assert covered.left_out == {
        'metta.demo.jobs.open': 'not recomputed',
        'metta.demo.jobs.done': CHANGES,
        'metta.demo.jobs.old': 'no value',
        'metta.demo.jobs.summary.*.last': 'no value',
        'metta.demo.jobs.hidden': 'the SDK hides them',
    }


@pytest.mark.parametrize(
    ('ours', 'theirs', 'agrees'), [(7200.0, 7202.5, True), (7200.0, 7204.5, False), (7203.0, 7200.0, True)]
)
def test_an_age_may_grow_by_the_time_between_the_looks(ours, theirs, agrees):
    recomputed = [verify.Figure('metta.demo.jobs.age_seconds', theirs, per_second=1)]
    [pair] = verify.compare([verify.Figure('metta.demo.jobs.age_seconds', ours)], recomputed, seconds=3)
    assert (pair.tolerance, pair.agrees) == (3, agrees)


def test_a_count_does_not_grow():
    [pair] = verify.compare(
        [verify.Figure('metta.demo.jobs.open', 20_001)], [verify.Figure('metta.demo.jobs.open', 20_000)], seconds=60
    )
    assert not pair.agrees


@pytest.mark.parametrize('source', SOURCES)
def test_reasons_are_about_metrics_of_the_catalog(source):
    names = {metric.name for metric in catalog.load(source).metrics}
    assert verify.left_out(source).keys() <= names


def assert_expected(said: str, requests: int) -> None:
    """Compare the number of requests that was announced with that of the requests that were sent."""
    for announced in re.findall(r'takes about ([\d,]+) request', said):
        assert requests / 1.5 <= int(announced.replace(',', '')) <= 1.5 * requests


@pytest.mark.parametrize('source', ['asana', 'ec2', 'github', 'kubernetes', 'skypilot', 'wandb'])
def test_a_source_announces_its_requests(source):
    assert verify.expected_requests(source, {}, ()) is not None


@pytest.mark.integration
def test_the_check_keeps_its_share_of_the_limit(tmp_path, serve):
    github = serve('github', history=300)
    conf_d = write_configuration(tmp_path, {'github': {**github.instance(), 'repositories': ['metta-ai/infra']}})
    answer = metta_checks('verify', 'github', '-c', str(conf_d), '--json')
    [report] = results(answer, 'verify')
    assert 'of 5,000 are left (core)' in answer.stderr
    assert_expected(answer.stderr, report['requests']['theirs'])
    assert report['series']['compared'] <= report['series']['all']
    github.exhaust('core', 60)
    before = len(github.log)
    answer = metta_checks('verify', 'github', '-c', str(conf_d))
    assert answer.returncode == 1
    assert 'not compared, so that the check keeps its share' in answer.stderr
    assert 'figures agree' not in answer.stderr
    # The check itself has read, PyGithub has not.
    assert len(github.log) - before < 60


@pytest.mark.integration
@pytest.mark.parametrize(
    ('source', 'percent'),
    [('asana', 93), ('ec2', 98), ('kubernetes', 96), ('skypilot', 88), ('wandb', 96)],
)
def test_every_option_agrees(tmp_path, serve, source, percent):
    service = serve(source, **SITUATIONS.get(source, {}))
    instance = {**service.instance(), **every_option(service)}
    conf_d = write_configuration(tmp_path, {source: instance})
    answer = metta_checks('verify', source, '-c', str(conf_d), '--json')
    assert answer.returncode == 0, answer.stdout + answer.stderr
    [report] = results(answer, 'verify')
    assert_expected(answer.stderr, report['requests']['theirs'])
    covered = report['coverage']
    assert covered['percent'] >= percent, covered['left_out']
    # A reason that has become wrong must go.
    prefix = catalog.load(source).prefix
    assert not {prefix + name for name in verify.left_out(source)} & set(covered['compared'])


@pytest.mark.integration
def test_says_first_what_the_service_bills(tmp_path, serve):
    service = serve('ec2', scale=0.1)
    running = sum(machine.state == 'running' for machine in service.estate.machines)
    young = sum(
        machine.state == 'running' and service.clock.now() - machine.started < timedelta(days=1)
        for machine in service.estate.machines
    )
    instance = {**service.instance(), **EVERY_OPTION['ec2']}
    conf_d = write_configuration(tmp_path, {'ec2': instance})
    answer = metta_checks('verify', 'ec2', '-c', str(conf_d), '--json')
    metrics = 2 * 3 * (running - young)
    assert f'CloudWatch, GetMetricData: {metrics} metrics, USD 0.00' in answer.stderr
    assert 'Cost Explorer: ' in answer.stderr
    service.asked.clear()
    answer = metta_checks('verify', 'ec2', '-c', str(conf_d), '--json', '--free')
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert 'USD' not in answer.stderr
    assert not [entry for entry in service.asked if entry.startswith(('cloudwatch:', 'ce:'))]


@pytest.mark.integration
def test_names_what_is_not_compared(tmp_path, serve):
    conf_d = write_configuration(tmp_path, {'kubernetes': serve('kubernetes').instance()})
    answer = metta_checks('verify', 'kubernetes', '-c', str(conf_d), '--coverage', COLUMNS='200')
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert 'metta.kubernetes.containers.restarts' in answer.stdout
    assert CHANGES in answer.stdout
    assert re.search(r'compared are \d+ of \d+ series, \d+ of \d+ metrics \(\d\d %\)', answer.stderr)
    # Named in the table already.
    assert 'not compared: ' not in answer.stderr
    answer = metta_checks('verify', 'kubernetes', '-c', str(conf_d))
    # All figures agree.
    assert answer.stdout == ''
    restarts = 'containers.restarts, containers.oom_kills'
    assert f'kubernetes (prod): not compared: {restarts} ({CHANGES})' in answer.stderr
    usage = 'gpu.utilization_pct, gpu.idle, namespace.gpu_idle, cost.gpu_idle_hourly_usd'
    assert f'kubernetes (prod): not compared: {usage} (option `gpu_usage` is off)' in answer.stderr
