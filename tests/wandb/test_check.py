"""The check against the sandbox: right numbers, few requests, nothing twice, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

import sandbox
from metta_checks.core import catalog
from metta_checks.testing import Driver, Run, as_truth, compare
from sandbox import Running
from sandbox.wandb.data import EVALS, MAIN

pytestmark = pytest.mark.integration

PREFIX = 'metta.wandb.'
MAIN_TAG = f'project:{MAIN}'
COUNTS = {f'{PREFIX}{metric.name}' for metric in catalog.load('wandb').metrics if metric.type == 'count'}
# Figures of earlier refreshes, which only the check can know.
MEMORIES = {f'{PREFIX}gpus.utilization_24h_pct', f'{PREFIX}gpus.utilization_24h_coverage_pct'}
SEED = [f'{PREFIX}{metric.name}' for metric in catalog.load('wandb').metrics if metric.seed]


@pytest.fixture
def wandb(serve):
    """The default organization, in which nothing happens unless a test makes it happen."""
    return serve('wandb', activity=False)


@pytest.fixture(scope='module')
def first_run() -> Run:
    with Running(sandbox.service('wandb', scale=0.2, activity=False)) as service:
        return Driver.of(service).run()


def operations(service):
    """Return the number of requests since the last call, by operation."""
    asked = Counter(json.loads(entry.body)['operationName'] for entry in service.log)
    service.log.clear()
    return asked


def differences(run, service):
    """Return the gauges on which the check and the truth differ."""
    truth = as_truth(service.truth(service.clock.now()))
    ours = {
        key: value
        for key, value in run.figures().items()
        # A GPU type that is not in use any more is shown as 0, which the truth leaves out.
        if key[0] not in COUNTS | MEMORIES and (value or key in truth or not key[0].endswith('gpus.in_use'))
    }
    return compare(ours, truth).different


def finished(run):
    """runs.finished of the main project as (state, run_type) -> number."""
    result = {}
    for tags, value in run.series(f'{PREFIX}runs.finished').items():
        pairs = dict(tag.split(':', 1) for tag in tags)
        if pairs['project'] == MAIN:
            result[pairs['state'], pairs['run_type']] = value
    return result


def durations(run):
    """Return all values of the histogram of the main project."""
    name = f'{PREFIX}training.run_duration_hours'
    return sorted(
        value
        for (known, tags), values in run.histograms.items()
        if known == name and MAIN_TAG in tags
        for value in values
    )


def test_the_sandbox_tells_the_story(wandb):
    run = Driver.of(wandb).run()
    values = {name.removeprefix(PREFIX): run.require(name, MAIN_TAG) for name in SEED}
    assert len(SEED) == 13
    assert values['runs.active'] == 45
    assert values['runs.total'] == 2600
    assert (values['runs.completed_7d'], values['runs.failed_7d']) == (150, 50)
    assert values['metrics.best_accuracy'] == 0.93
    assert run.value(f'{PREFIX}runs.stale', MAIN_TAG) == 3
    assert run.value(f'{PREFIX}gpus.idle', MAIN_TAG) == 8
    assert 70 < run.require(f'{PREFIX}gpus.utilization_pct', MAIN_TAG, 'gpu_type:l4') < 86
    assert values['training.gpu_utilization_avg'] < values['training.gpu_utilization_pct']
    assert run.require(f'{PREFIX}training.unpriced_gpu_hours_7d', MAIN_TAG) > 0


@pytest.mark.parametrize('name', SEED)
def test_every_seed_name_has_one_series_per_project(first_run, name):
    projects = sorted(dict(tag.split(':', 1) for tag in tags)['project'] for tags in first_run.series(name))
    assert projects == [MAIN, EVALS]


def test_every_figure_is_the_truth_before_and_after_changes(wandb):
    driver = Driver.of(wandb)
    run = driver.run()
    assert (run.error, run.warnings, run.service_check) == ('', [], (AgentCheck.OK, ''))
    assert differences(run, wandb) == {}
    assert {name for name, _ in run.values} >= set(SEED)

    healthy = [one for one in wandb.projects[MAIN].runs.values() if one.pulse is not None]
    wandb.end_run(healthy[0], 'finished', accuracy=0.99, loss=0.01)
    wandb.end_run(healthy[1], 'killed')
    wandb.lose_run(healthy[2])
    started = wandb.start_run(MAIN, 'ptm-new', gpu_type='t4', gpus=2, run_type='ptm')
    wandb.pass_time(900)
    second = driver.run()
    assert differences(second, wandb) == {}
    assert second.value(f'{PREFIX}metrics.best_accuracy', MAIN_TAG) == 0.99
    assert second.value(f'{PREFIX}gpus.in_use', MAIN_TAG, 'gpu_type:t4') == 2

    wandb.notice_crash(healthy[2])
    wandb.end_run(started, 'failed')
    wandb.delete_run(MAIN, healthy[3])
    wandb.pass_time(900)
    third = driver.run()
    assert differences(third, wandb) == {}
    assert third.value(f'{PREFIX}gpus.in_use', MAIN_TAG, 'gpu_type:t4') == 0

    wandb.resume_run(healthy[2])
    wandb.pass_time(7 * 86400 - 1800)
    assert differences(driver.run(), wandb) == {}


def test_a_day_of_activity_is_followed_without_losing_or_repeating_a_run(serve):
    service = serve('wandb', scale=0.2)
    driver = Driver.of(service)
    driver.run()
    ended = {run.id for project in service.projects.values() for run in project.runs.values() if run.pulse is None}
    counted: Counter[tuple[str, ...]] = Counter()
    sent = 0
    for _ in range(24):
        service.pass_time(3600)
        run = driver.run()
        assert differences(run, service) == {}
        counted.update(run.series(f'{PREFIX}runs.finished'))
        sent += sum(map(len, run.histograms.values()))
    # 36 short runs, but the last one may not be over, and the nine that the shortage ended and that were resumed.
    short = [
        run
        for project in service.projects.values()
        for run in project.runs.values()
        if run.id not in ended and run.display_name.startswith('local-') and run.state not in ('running', 'preempting')
    ]
    assert sum(counted.values()) == sent
    assert len(short) >= 35
    # Crashes of the shortage that were resumed before the check looked again (25 min against 60) are not seen as ends.
    assert len(short) <= sent <= len(short) + 9


# Mistake 1 of the first system: three scans of all history and a request per run.
def test_requests_cold_and_warm(wandb):
    driver = Driver.of(wandb, projects=[MAIN])
    assert driver.run().requests == 7
    assert operations(wandb) == {'Viewer': 1, 'Counts': 2, 'Runs': 3, 'Running': 1}
    wandb.pass_time(900)
    assert driver.run().requests == 3
    assert operations(wandb) == {'Runs': 1, 'Counts': 1, 'Running': 1}
    wandb.pass_time(60)
    assert driver.run().requests is None
    assert operations(wandb) == {}
    # One connection per refresh: it is not used again after a long idle time.
    assert wandb.connections == 2
    # Once a day, one more: does the server still filter by heartbeat?
    wandb.pass_time(86400)
    assert driver.run().requests == 4


def test_a_quiet_project_takes_three_requests(wandb):
    for run in list(wandb.projects[EVALS].runs.values()):
        if run.state not in ('finished', 'failed', 'crashed', 'killed', 'preempted'):
            wandb.end_run(run)
    driver = Driver.of(wandb, projects=[EVALS])
    driver.run()
    wandb.pass_time(900)
    assert driver.run().requests == 3


def test_the_system_metrics_are_read_with_the_runs(wandb):
    Driver.of(wandb, projects=[MAIN]).run()
    for entry in wandb.log:
        body = json.loads(entry.body)
        assert ('systemMetrics' in body['query']) == (body['operationName'] in ('Runs', 'Running'))
        assert body['query'].count('query ') == 1
    running = next(body for entry in wandb.log if (body := json.loads(entry.body))['operationName'] == 'Running')
    assert json.loads(running['variables']['filters']) == {'state': {'$in': ['running', 'preempting']}}


# Mistake 15: every finished run sent again and again.
def test_an_end_is_sent_exactly_once_over_refreshes_and_a_restart(wandb):
    driver = Driver.of(wandb)
    cold = driver.run()
    assert finished(cold) == {}
    assert durations(cold) == []
    ended = wandb.run(state='running', run_type='ptm')
    wandb.end_run(ended)
    hours = []
    counts: Counter[tuple[str, str]] = Counter()
    for step in range(6):
        wandb.pass_time(900)
        if step == 3:
            driver = Driver.of(wandb)
        run = driver.run()
        hours += durations(run)
        counts.update(finished(run))
    assert counts == {('finished', 'ptm'): 1}
    assert hours == [pytest.approx(ended.compute / 3600)]


def test_an_end_goes_out_in_the_run_that_refreshes_only(wandb):
    driver = Driver.of(wandb)
    driver.run()
    wandb.end_run(wandb.run(state='running'))
    wandb.pass_time(900)
    assert sum(finished(driver.run()).values()) == 1
    wandb.pass_time(60)
    again = driver.run()
    assert finished(again) == {}
    assert again.value(f'{PREFIX}runs.active', MAIN_TAG) == 44


# Mistake 14: runs older than a day vanished.
def test_a_run_of_14_days_is_active_and_its_end_is_reported(wandb):
    driver = Driver.of(wandb)
    first = driver.run()
    oldest = min(
        (run for run in wandb.projects[MAIN].runs.values() if run.state == 'running'), key=lambda run: run.created
    )
    assert first.value(f'{PREFIX}training.elapsed_hours.max', MAIN_TAG) == pytest.approx(338.4)
    wandb.end_run(oldest, 'killed')
    wandb.pass_time(900)
    run = driver.run()
    assert sum(finished(run).values()) == 1
    assert run.value(f'{PREFIX}runs.ended_7d', MAIN_TAG, 'state:killed') == 11


def test_a_crash_that_is_noticed_late_is_found_by_name(wandb):
    """Its heartbeat is 31 hours old: no filter by time finds it."""
    driver = Driver.of(wandb)
    before = driver.run()
    silent = min(
        (run for run in wandb.projects[MAIN].runs.values() if run.state == 'running'), key=lambda run: run.heartbeat
    )
    wandb.notice_crash(silent)
    wandb.pass_time(900)
    run = driver.run()
    assert finished(run) == {('crashed', silent.run_type): 1}
    # One crash is known, and the machine of the run that is being preempted has been silent since.
    assert run.value(f'{PREFIX}runs.stale', MAIN_TAG) == before.require(f'{PREFIX}runs.stale', MAIN_TAG) - 1 + 1
    assert differences(run, wandb) == {}


def test_a_resumed_run_that_ends_again_is_sent_again(wandb):
    driver = Driver.of(wandb)
    driver.run()
    run = wandb.run(state='running', run_type='stable')
    sent = []
    for _ in range(2):
        wandb.end_run(run)
        wandb.pass_time(900)
        sent += durations(driver.run())
        wandb.resume_run(run)
        wandb.pass_time(900)
        assert durations(driver.run()) == []
    assert len(sent) == 2
    assert sent[1] - sent[0] == pytest.approx(0.25, abs=0.01)


def test_a_restart_is_warm(wandb):
    Driver.of(wandb).run()
    operations(wandb)
    wandb.pass_time(900)
    restarted = Driver.of(wandb, api_key=wandb.instance()['api_key'], refresh_interval=900)
    run = restarted.run()
    assert run.requests == 6
    assert operations(wandb) == {'Runs': 2, 'Counts': 2, 'Running': 2}
    assert differences(run, wandb) == {}


def test_another_summary_key_means_a_full_read_and_counts_no_end(wandb):
    Driver.of(wandb, projects=[MAIN]).run()
    wandb.end_run(wandb.run(state='running'))
    wandb.pass_time(60)
    operations(wandb)
    changed = Driver.of(wandb, projects=[MAIN], accuracy_key='overview/steps_per_second').run()
    # The option decides which values are shown: there is no snapshot yet that the runs could be compared with.
    assert operations(wandb)['Runs'] == 3
    assert finished(changed) == {}
    assert changed.require(f'{PREFIX}metrics.best_accuracy') > 1


def test_deleted_runs_are_noticed_by_the_servers_count_and_read_again_once_a_day(wandb):
    driver = Driver.of(wandb, projects=[MAIN])
    driver.run()
    week = [run for run in wandb.projects[MAIN].runs.values() if run.state == 'finished'][-5:]
    for run in week:
        wandb.delete_run(MAIN, run)
    requests = []
    for _ in range(4):
        wandb.pass_time(900)
        operations(wandb)
        run = driver.run()
        requests.append(operations(wandb)['Runs'])
    assert requests == [1, 1, 3, 1]
    assert run.value(f'{PREFIX}runs.ended_7d', 'state:finished') == run.value(f'{PREFIX}runs.completed_7d') <= 145


# Mistake 12: a long-lived process saw its first answer forever.
def test_the_second_refresh_sees_changes(wandb):
    driver = Driver.of(wandb, projects=[EVALS])
    first = driver.run().require(f'{PREFIX}runs.total')
    wandb.start_run(EVALS, 'new')
    wandb.pass_time(900)
    assert driver.run().value(f'{PREFIX}runs.total') == first + 1


# Mistake 13: one project.
def test_a_project_without_access_leaves_the_others_alone(wandb):
    run = Driver.of(wandb, projects=[MAIN, 'metta-private']).run()
    assert run.error == ''
    assert run.errors() == {('runs', 'not_found'): 1, ('counts', 'not_found'): 1, ('gpus', 'not_found'): 1}
    assert run.value(f'{PREFIX}runs.active', MAIN_TAG) == 45
    assert not [tags for name, tags in run.values if 'project:metta-private' in tags]
    assert run.status == AgentCheck.WARNING
    assert 'W&B shows no project `metta-ai/metta-private` to this key: no such project, or no access' in run.warnings[0]


def test_without_a_list_all_projects_are_read_and_the_list_once_a_day(wandb):
    driver = Driver.of(wandb, projects=[])
    run = driver.run()
    assert differences(run, wandb) == {}
    wandb.pass_time(900)
    operations(wandb)
    driver.run()
    assert 'Projects' not in operations(wandb)
    wandb.pass_time(86400)
    driver.run()
    assert operations(wandb)['Projects'] == 1


def test_a_first_read_that_is_too_large_goes_on_in_the_next_runs(wandb):
    driver = Driver.of(wandb, projects=[MAIN], max_rows_per_refresh=100, page_size=50)
    first = driver.run()
    assert first.value(f'{PREFIX}runs.active') == 45
    assert first.value(f'{PREFIX}training.avg_duration_hours') is None
    wandb.end_run(wandb.run(state='running', run_type='ptm'))
    wandb.pass_time(60)
    second = driver.run()
    assert second.value(f'{PREFIX}training.avg_duration_hours') is None
    wandb.pass_time(60)
    third = driver.run()
    assert third.value(f'{PREFIX}training.avg_duration_hours') is not None
    # A run that ended during the first reading is known as it was at its beginning. The next refresh corrects it.
    wandb.pass_time(900)
    assert {key for key in differences(driver.run(), wandb) if MAIN_TAG in key[1]} == set()


def test_every_core_metric_is_sent_and_opt_in_ones_only_on_demand(wandb):
    core = Driver.of(wandb)
    core.run()
    wandb.end_run(wandb.run(state='running'))
    wandb.pass_time(900)
    sent = core.run().names
    wandb.pass_time(900)
    breakdowns = dict.fromkeys(('by_user', 'by_group', 'by_run_type', 'by_state'), True)
    switches = dict.fromkeys(('all_time', 'sweeps', 'per_run', 'gpu_details'), True)
    everything = Driver.of(wandb, max_runs=3, **breakdowns, **switches)
    optional = everything.run()
    for metric in catalog.load('wandb').metrics:
        name = PREFIX + metric.name.replace('*', 'sps')
        assert (name in sent) == (not metric.option), name
        if metric.option:
            assert optional.series(name), name
    assert optional.value(f'{PREFIX}sweeps.count', MAIN_TAG, 'state:finished') == 9
    # Strings come first in the server's order: the first number is what counts.
    assert optional.value(f'{PREFIX}metrics.best_accuracy_all_time', MAIN_TAG) == 0.97
    assert len([tags for tags in optional.series(f'{PREFIX}run.elapsed_hours') if MAIN_TAG in tags]) == 3
    wandb.end_run(wandb.run(state='running'))
    wandb.pass_time(900)
    [(tags, _)] = everything.run().series(f'{PREFIX}runs.finished').items()
    assert [tag for tag in tags if tag.startswith('user:')]


def test_the_configured_number_of_gpus_is_read(wandb):
    run = Driver.of(wandb, projects=[MAIN], gpu_count_config_key='num_gpus').run()
    recent = wandb.clock.now() - timedelta(minutes=10)
    runs = wandb.projects[MAIN].runs.values()
    healthy = [run for run in runs if run.state in ('running', 'preempting') and run.heartbeat >= recent]
    expected = sum(run.config['num_gpus'] for run in healthy)
    assert sum(run.series(f'{PREFIX}gpus.in_use').values()) == expected
    assert expected > sum(run.gpus for run in healthy)


# Mistake 11: the key went to disk and to logs.
def test_nothing_is_written_and_the_key_is_nowhere(wandb, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with caplog.at_level('DEBUG'):
        driver = Driver.of(wandb)
        driver.run()
        wandb.faults.add('status', status=401)
        wandb.pass_time(900)
        run = driver.run()
    key = wandb.instance()['api_key']
    assert list(tmp_path.iterdir()) == []
    assert key not in caplog.text
    assert key not in run.error + str(run.warnings) + str(run.service_check)
    assert key not in driver.check.read_persistent_cache('snapshot')


def test_the_source_does_not_load_the_sdk():
    code = "import sys, metta_checks.wandb.check; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
