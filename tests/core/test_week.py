"""Recording a week of the sandbox: what is recorded, that it is the truth, and that it is the same every time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metta_checks.as_code.preview.recording import Recording
from metta_checks.cli.collecting import Runner
from metta_checks.cli.configuration import Configured
from metta_checks.testing import as_truth
from sandbox import Clock, Organization, Running, week
from sandbox.working_week import life_of
from sandbox.working_week.life import (
    deployment_fails,
    intensity,
    main_is_broken,
    spot_is_short,
    weekend_cluster_is_up,
)

# Thursday evening: a day before lies the shortage, that morning main was broken.
END = datetime(2026, 11, 26, 20, tzinfo=UTC)
MEASURED = 'metta.collector.refresh.duration_seconds'


def part(source, *, days=0.5, step=7200, env='production', seed=7, scale=1.0):
    return week.Part(source, env, seed, scale, END, days, step)


def test_the_last_moment_is_the_end():
    moments = part('ec2', days=1, step=14400).moments()
    assert len(moments) == 7
    assert (moments[0], moments[-1]) == (END - timedelta(days=1), END)


def test_staging_is_recorded_of_the_sources_that_differ():
    found = [(one.source, one.env) for one in week.parts(('github', 'ec2', 'asana'), END, days=7, step=7200)]
    assert found == [('github', 'production'), ('ec2', 'production'), ('asana', 'production'), ('ec2', 'staging')]
    production, staging = week.parts(['kubernetes'], END, days=7, step=7200)
    assert staging.seed != production.seed
    assert staging.scale < production.scale


# Of runs that waited before they began, which only an instance knows that reads while they wait.
DURATIONS = {
    'metta.github.ci.avg_workflow_duration_minutes',
    *(f'metta.github.ci.duration_{percent}_minutes' for percent in ('p50', 'p90', 'p99')),
    *(f'metta.github.ci.run_duration_minutes.{percent}' for percent in ('p50', 'p90')),
    'metta.github.ci.run_minutes_7d',
}


def test_people_work_by_day_and_rest_at_weekends():
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    hours = [monday + timedelta(hours=hour) for hour in range(7 * 24)]
    assert sum(map(intensity, hours)) / len(hours) == pytest.approx(1)
    assert intensity(monday.replace(hour=11)) > 4 * intensity(monday.replace(hour=3))
    assert intensity(monday.replace(hour=11)) > 3 * intensity(monday.replace(hour=11) + timedelta(days=5))
    assert {hour.weekday() for hour in hours if spot_is_short(hour)} == {2}
    assert {hour.weekday() for hour in hours if main_is_broken(hour)} == {3}
    assert {hour.weekday() for hour in hours if deployment_fails(hour)} == {4}
    assert {hour.weekday() for hour in hours if weekend_cluster_is_up(hour)} == {4, 5, 6, 0}
    assert sum(map(weekend_cluster_is_up, hours)) == 7 + 48 + 9


def test_a_cluster_is_idle_over_the_weekend():
    saturday = datetime(2026, 11, 28, 12, tzinfo=UTC)
    found = week.play(week.Part('skypilot', 'production', 7, 0.1, saturday, 1, 7200))
    (gpus,) = found.series('metta.skypilot.clusters.idle_gpus')
    assert gpus.values[-1] - gpus.values[0] == 8
    (cost,) = found.series('metta.skypilot.cost.idle_clusters_hourly_usd')
    assert cost.values[-1] > 50 + cost.values[0]


def test_a_deployment_fails_on_friday():
    friday = datetime(2026, 11, 27, 20, tzinfo=UTC)
    found = week.play(week.Part('github', 'production', 7, 0.05, friday, 0.4, 7200))
    assert any('deployment to production failed' in event.title for event in found.events)
    finished = found.series('metta.github.deployments.finished')
    assert any(sum(one.values) > 0 for one in finished if 'state:failure' in one.tags)


@pytest.mark.parametrize('source', ['github', 'skypilot', 'asana', 'ec2', 'wandb', 'kubernetes'])
def test_what_the_check_reads_of_the_week_is_the_truth(source):
    """After a day with shortage and broken main, read again and again as the week goes by."""
    organization = Organization()
    with Running(week.quiet(source, organization, Clock(END - timedelta(hours=32)))) as served:
        life = life_of(served, organization.random('test'))
        runner = Runner(Configured(Path('test'), {}, {**served.instance(), 'refresh_interval': 900}), served.clock)
        for _ in range(5):
            runs = runner.drain(served.clock.advance)
            assert {(run.error, run.status, run.message) for run in runs[-1:]} == {('', 'ok', '')}
            life.pass_until(served.clock.now() + timedelta(hours=8))
        now = served.clock.now()
        # GitHub's runs are read again bit by bit: some refreshes later nothing is missing.
        for _ in range(45 if source == 'github' else 1):
            points = runner.drain(served.clock.advance)[0].points
            read = {(point.name, tuple(sorted(point.tags))): point.value for point in points}
            # Series of options that are off are true, but not read. tasks.total is read once a day.
            names = {name for name, _ in read} - {'metta.asana.tasks.total'} - DURATIONS
            truth = as_truth(one for one in served.truth(now) if one.name in names)
            wrong = {key: (true, read.get(key)) for key, true in truth.items() if read.get(key) != pytest.approx(true)}
            if not wrong:
                break
        assert served.clock.now() == now
    assert not wrong
    assert len({name for name, _ in truth}) > 30


@pytest.mark.parametrize('source', ['skypilot', 'wandb', 'kubernetes'])
def test_the_same_part_gives_the_same_recording(source):
    one, other = (list(week.play(part(source)).lines()) for _ in range(2))
    assert [line for line in one if line.get('name') != MEASURED] == [
        line for line in other if line.get('name') != MEASURED
    ]
    assert len({line['time'] for line in one}) == 7
    assert {line['status'] for line in one if 'check' in line} == {'ok'}


def test_what_is_submitted_once_is_recorded_though_the_last_run_only_re_emits():
    recording = week.play(part('skypilot', step=14400))
    requests = [series for series in recording.series('metta.collector.requests') if 'env:production' in series.tags]
    assert [len(series.times) for series in requests] == [4]
    assert all(value > 0 for value in requests[0].values)
    finished = recording.series('metta.skypilot.jobs.finished')
    assert sum(sum(series.values) for series in finished) > 3
    # Refreshed between one and fourteen minutes before each moment but the first.
    ages = [value for series in recording.series('metta.collector.data_age_seconds') for value in series.values[1:]]
    assert all(60 <= age <= 900 for age in ages)


def test_staging_is_smaller_and_has_names_of_its_own():
    production, staging = (week.play(one) for one in week.parts(['kubernetes'], END, days=1 / 12, step=7200))
    pods = [recording.series('metta.kubernetes.pods.running')[0] for recording in (production, staging)]
    assert pods[1].values[-1] < pods[0].values[-1] / 2
    assert [series.tags for series in pods] == [
        ('cluster:prod', 'env:production'),
        ('cluster:staging', 'env:staging'),
    ]
    running = week.play(part('skypilot', days=1 / 12, env='staging', seed=8, scale=0.25))
    assert running.series('metta.skypilot.jobs.running')[0].values[0] < 23


def test_the_command_line(tmp_path, capsys):
    path = tmp_path / 'run.jsonl.gz'
    arguments = ['skypilot', '--days', '0.25', '--step', '10800', '--end', '2026-11-26T20:00', '--processes', '2']
    assert week.main([*arguments, '--output', str(path)]) == 0
    assert f'{path}: 0.25 days up to 2026-11-26 20:00 UTC' in capsys.readouterr().out
    recording = Recording.load(path)
    assert (recording.end, recording.step) == (END.timestamp(), 10800)
    assert recording.tag_values()['env'] == ['production', 'staging']
    assert {state.tags for state in recording.latest_checks('metta.can_connect')} == {
        ('env:production', 'source:skypilot'),
        ('env:staging', 'source:skypilot'),
    }


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['jira'], 'unknown source: jira'),
        (['--step', '60'], '--step: at least 900'),
        (['--days', '0'], '--days: must be positive'),
    ],
)
def test_wrong_arguments(arguments, reason, capsys):
    with pytest.raises(SystemExit):
        week.parse(arguments)
    assert reason in capsys.readouterr().err
