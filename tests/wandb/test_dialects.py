"""Servers that understand fewer queries: no filter by heartbeat, old schema."""

from __future__ import annotations

import json

import pytest

from metta_checks.core import catalog
from metta_checks.testing import Driver
from metta_checks.wandb.dialect import OPTIONAL_NAMES
from sandbox.wandb.data import EVALS, MAIN

from .test_check import differences, finished, operations

pytestmark = pytest.mark.integration

PREFIX = 'metta.wandb.'


# Refused, ignored, never true: three ways in which a server may not filter by heartbeat.
@pytest.mark.parametrize('how', ['error', 'ignore', 'never'])
def test_without_the_heartbeat_filter_the_figures_are_the_same(serve, how):
    wandb = serve('wandb', activity=False, heartbeat_filter=how)
    driver = Driver.of(wandb)
    run = driver.run()
    assert (run.error, run.warnings) == ('', [])
    assert differences(run, wandb) == {}

    ended = wandb.run(state='running', run_type='ptm')
    wandb.end_run(ended)
    oldest = min(
        (run for run in wandb.projects[MAIN].runs.values() if run.state == 'running'), key=lambda run: run.heartbeat
    )
    wandb.notice_crash(oldest)
    wandb.pass_time(900)
    operations(wandb)
    second = driver.run()
    assert differences(second, wandb) == {}
    assert finished(second) == {('finished', 'ptm'): 1, ('crashed', oldest.run_type): 1}
    asked = operations(wandb)
    # Per project: latest heartbeats, live runs, counts, readings.
    assert asked == {'Runs': 4, 'Counts': 2, 'Running': 2}
    wandb.pass_time(900)
    assert finished(driver.run()) == {}


def test_without_the_heartbeat_filter_counts_need_the_table(serve):
    wandb = serve('wandb', scale=0.2, activity=False, heartbeat_filter='error')
    driver = Driver.of(wandb, projects=[EVALS])
    before = driver.run()
    wandb.pass_time(900)
    wandb.faults.add('status', status=500, times=1)
    run = driver.run()
    assert run.errors() == {('runs', 'http_5xx'): 1, ('counts', 'dependency'): 1}
    name = f'{PREFIX}runs.completed_7d'
    assert run.value(name) == before.value(name) is not None


def test_a_server_that_learns_to_filter_is_noticed_after_a_day(serve):
    wandb = serve('wandb', scale=0.2, activity=False, heartbeat_filter='error')
    driver = Driver.of(wandb, projects=[EVALS])
    driver.run()
    wandb.heartbeat_filter = 'yes'
    wandb.pass_time(900)
    operations(wandb)
    driver.run()
    assert operations(wandb)['Runs'] == 2
    wandb.pass_time(86400)
    driver.run()
    wandb.pass_time(900)
    operations(wandb)
    driver.run()
    assert operations(wandb)['Runs'] == 1


def test_a_server_that_forgets_to_filter_is_noticed_at_once(serve):
    wandb = serve('wandb', scale=0.2, activity=False)
    driver = Driver.of(wandb, projects=[EVALS])
    driver.run()
    wandb.heartbeat_filter = 'error'
    wandb.pass_time(900)
    assert set(driver.run().errors()) == {('runs', 'rejected'), ('counts', 'rejected')}
    wandb.pass_time(900)
    run = driver.run()
    assert run.errors() == {}
    assert run.value(f'{PREFIX}runs.stale') == 0


def test_without_the_filter_a_read_beyond_the_limit_says_so(serve):
    wandb = serve('wandb', activity=False, heartbeat_filter='error')
    run = Driver.of(wandb, projects=[MAIN], max_rows_per_refresh=100).run()
    assert 'more than 100 runs changed: the others are left out; raise option `max_rows_per_refresh`' in run.warnings[0]
    assert run.value('metta.collector.truncated', 'block:runs') == 1
    # Live runs are all there nevertheless.
    assert run.value(f'{PREFIX}training.elapsed_hours.max') == pytest.approx(338.4)


def test_an_old_server_gives_everything_but_gpu_hours(serve):
    wandb = serve('wandb', activity=False, old_schema=True)
    driver = Driver.of(wandb, projects=[MAIN])
    run = driver.run()
    assert run.error == ''
    said = [warning for warning in run.warnings if 'this W&B server does not know' in warning]
    assert [name for warning in said for name in OPTIONAL_NAMES if f'`{name}`' in warning] == [
        'computeSeconds',
        'runInfo',
        'keys',
    ]
    # The runs show how many GPUs they have in their system metrics, but not all of them have any.
    assert 'GPU-hours are not sent, because the GPUs of' in ' '.join(run.warnings)
    assert '`gpu_count_config_key`' in ' '.join(run.warnings)
    asked = [json.loads(entry.body) for entry in wandb.log]
    refused = [entry for entry in wandb.log if entry.status == 400]
    # The second answer confirms the first.
    assert len(refused) == 2
    assert 'computeSeconds' in refused[0].body
    missing = {metric.name for metric in catalog.load('wandb').metrics if not metric.option}
    missing -= {name.removeprefix(PREFIX) for name in run.names}
    assert missing == {
        'runs.finished',
        'training.run_duration_hours',
        'training.total_gpu_hours_7d',
        'training.cost_estimate_usd',
        'training.unpriced_gpu_hours_7d',
        'training.wasted_gpu_hours_7d',
        'training.wasted_cost_usd_7d',
        'gpus.hours_7d',
        'gpus.cost_usd_7d',
        'gpus.in_use',
        'gpus.idle',
        'gpus.idle_cost_hourly_usd',
        'gpus.utilization_24h_pct',
        'gpus.utilization_24h_coverage_pct',
        'summary.*.last',
        'summary.*.avg',
        'summary.*.max',
    }
    assert run.value(f'{PREFIX}summary.sps.avg') is not None
    names = ('metrics.best_accuracy', 'metrics.latest_loss', 'training.gpu_utilization_avg')
    wrong = {name for name, tags in differences(run, wandb) if f'project:{MAIN}' in tags}
    assert wrong.isdisjoint(PREFIX + name for name in names)
    # Pauses are not known there.
    ended = [run for run in wandb.projects[MAIN].runs.values() if run.state not in ('running', 'pending', 'preempting')]
    week = wandb.clock.now().timestamp() - 7 * 86400
    lives = [(run.heartbeat - run.created).total_seconds() / 3600 for run in ended if run.heartbeat.timestamp() >= week]
    assert run.value(f'{PREFIX}training.avg_duration_hours') == pytest.approx(sum(lives) / len(lives))
    assert not [body for body in asked if '__schema' in body['query']]
    wandb.pass_time(900)
    wandb.log.clear()
    assert driver.run().requests == 3
    assert {entry.status for entry in wandb.log} == {200}


def test_an_old_server_with_configured_gpu_counts_has_hours(serve):
    wandb = serve('wandb', scale=0.2, activity=False, old_schema=True)
    run = Driver.of(wandb, projects=[MAIN], gpu_count_config_key='num_gpus').run()
    assert run.require(f'{PREFIX}training.total_gpu_hours_7d') > 0
    assert run.require(f'{PREFIX}gpus.in_use', 'gpu_type:unknown') > 0


def test_a_renewed_server_is_noticed_after_a_day_and_read_again(serve):
    wandb = serve('wandb', scale=0.2, activity=False, old_schema=True)
    driver = Driver.of(wandb, projects=[MAIN])
    driver.run()
    wandb.old_schema = False
    wandb.pass_time(900)
    assert driver.run().value(f'{PREFIX}training.total_gpu_hours_7d') is None
    wandb.end_run(wandb.run(state='running'))
    wandb.pass_time(86400)
    run = driver.run()
    assert {key for key in differences(run, wandb) if f'project:{MAIN}' in key[1]} == set()
    assert sum(finished(run).values()) == 1


def test_an_old_server_that_stays_old_is_not_read_again_every_day(serve):
    wandb = serve('wandb', activity=False, old_schema=True)
    driver = Driver.of(wandb, projects=[MAIN])
    driver.run()
    wandb.pass_time(86400)
    operations(wandb)
    driver.run()
    # The daily question, refused twice and asked without the fields, and one page.
    assert operations(wandb) == {'Runs': 4, 'Counts': 2, 'Running': 1}
