"""Deployments and runners, which options switch on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from metta_checks.github.deployment_records import Deployment
from metta_checks.github.measures import deployments, runners
from metta_checks.github.runner_records import Runner
from metta_checks.testing import Driver
from sandbox.github.model import Deployment as Served
from sandbox.github.model import DeploymentStatus

from .test_check import ONE, M, asked

START = datetime(2026, 11, 1, tzinfo=UTC)


def deployment(number: int, environment: str = 'production', outcome: str | None = 'success', minutes: float = 10):
    created = START + timedelta(hours=number)
    ended = None if outcome is None else created + timedelta(minutes=minutes)
    return Deployment(str(number), environment, outcome or 'in_progress', created, outcome, ended)


def status(state: str, time: str) -> dict:
    return {'state': state, 'createdAt': time}


@pytest.mark.parametrize(
    ('statuses', 'outcome', 'minutes'),
    [
        ([status('SUCCESS', '2026-11-01T00:06:00Z'), status('IN_PROGRESS', '2026-11-01T00:01:00Z')], 'success', 6),
        # Replaced by the next deployment, long after it succeeded.
        ([status('INACTIVE', '2026-11-03T00:00:00Z'), status('SUCCESS', '2026-11-01T00:06:00Z')], 'success', 6),
        ([status('ERROR', '2026-11-01T00:02:00Z')], 'error', 2),
        ([status('QUEUED', '2026-11-01T00:02:00Z')], None, None),
        ([], None, None),
    ],
)
def test_a_deployment_ends_with_its_first_final_state(statuses, outcome, minutes):
    node = {
        'id': 'D',
        'environment': None,
        'createdAt': '2026-11-01T00:00:00Z',
        'state': None,
        'statuses': {'nodes': statuses},
    }
    row = Deployment.parse(node)
    assert (row.environment, row.state, row.outcome) == ('none', 'unknown', outcome)
    assert (None if row.ended is None else (row.ended - row.created) / timedelta(minutes=1)) == minutes


def test_figures_of_deployments():
    rows = [deployment(1, minutes=10), deployment(2, minutes=20), deployment(3, outcome=None), deployment(4, 'Dev')]
    result = {(sample.name, *sorted(sample.tags.values())): sample.value for sample in deployments.measure(rows)}
    assert result['deployments.created_7d', 'production', 'success'] == 2
    assert result['deployments.created_7d', 'in_progress', 'production'] == 1
    assert result['deployments.created_7d', 'dev', 'success'] == 1
    assert result['deployments.duration_minutes.p50', 'production'] == 15


def test_environments_are_bounded():
    rows = [deployment(number, f'pr-{number}') for number in range(50)] + [deployment(99, 'production')] * 2
    label = deployments.environments(rows)
    assert len(set(label.values())) == 21
    assert label['production'] == 'production'


def test_figures_of_runners():
    rows = [Runner(1, 'Linux', True, True), Runner(2, 'linux', True, False), Runner(3, 'linux', False, True)]
    result = {(sample.name, *sample.tags.values()): sample.value for sample in runners.by_system(rows)}
    assert result == {('runners.online', 'linux'): 2, ('runners.busy', 'linux'): 1}


@pytest.fixture
def github(serve):
    return serve('github', scale=0.02)


def deploy(github, number: int, state: str, minutes_ago: float = 5) -> None:
    created = github.clock.now() - timedelta(minutes=minutes_ago)
    github.metta.deployments.insert(
        0,
        Served(
            number=number,
            environment='production',
            commit=github.metta.commits.recent[0],
            created_at=created,
            statuses=[DeploymentStatus(state, created + timedelta(minutes=2))],
        ),
    )


def test_nothing_is_read_without_the_options(github):
    run = Driver.of(github, **ONE).run()
    assert not {'Deployments', 'runners'} & set(asked(github))
    assert not any('deployments' in name or 'runners' in name for name in run.names)


def test_deployments_of_the_week(github):
    driver = Driver.of(github, **ONE, deployments=True, runners=True)
    run = driver.run()
    assert run.warnings == []
    assert asked(github)['Deployments'] == 1
    week = [row for row in github.metta.deployments if row.created_at >= github.clock.now() - timedelta(days=7)]
    per_environment = Counter(row.environment for row in week)
    truth = {
        (figure.name, next(tag for tag in figure.tags if tag.startswith('environment:'))): figure.value
        for figure in github.optional_truth(github.clock.now(), deployments=True)
        if figure.name.startswith(M + 'deployments.duration') and 'repo:metta-ai/metta' in figure.tags
    }
    for environment, number in per_environment.items():
        shown = run.series(M + 'deployments.created_7d')
        assert sum(value for tags, value in shown.items() if f'environment:{environment}' in tags) == number
        for statistic in ('p50', 'p90'):
            name, tag = f'{M}deployments.duration_minutes.{statistic}', f'environment:{environment}'
            assert run.value(name, tag) == pytest.approx(truth[name, tag])
    assert run.series(M + 'deployments.finished') == {}
    assert run.series(M + 'runners.online') != {}
    assert run.events == []


def test_a_deployment_is_counted_when_it_ends_and_an_event_when_the_outcome_changes(github):
    driver = Driver.of(github, **ONE, deployments=True)
    deploy(github, 80_000, 'SUCCESS')
    driver.run()
    github.pass_time(900)
    deploy(github, 80_001, 'IN_PROGRESS')
    run = driver.run()
    assert run.series(M + 'deployments.finished') == {}
    assert run.events == []
    github.pass_time(900)
    github.metta.deployments[0].statuses.append(DeploymentStatus('FAILURE', github.clock.now() - timedelta(minutes=1)))
    run = driver.run()
    assert run.value(M + 'deployments.finished', 'environment:production', 'state:failure') == 1
    assert [event['msg_title'] for event in run.events] == ['metta-ai/metta: deployment to production failed']
    assert 'environment:production' in run.events[0]['tags']
    github.pass_time(900)
    deploy(github, 80_002, 'FAILURE')
    run = driver.run()
    assert run.value(M + 'deployments.finished', 'state:failure') == 1
    assert run.events == [], 'it was broken before'
    github.pass_time(900)
    deploy(github, 80_003, 'SUCCESS')
    run = driver.run()
    assert [event['msg_title'] for event in run.events] == ['metta-ai/metta: production recovered']


def test_too_many_deployments_are_reported(github, monkeypatch):
    monkeypatch.setattr('metta_checks.github.client.DEPLOYMENT_PAGES', 1)
    for number in range(120):
        deploy(github, 90_000 + number, 'SUCCESS')
    run = Driver.of(github, **ONE, deployments=True).run()
    assert run.value('metta.collector.truncated', 'block:deployments') == 1
    assert any('more than 100 deployments' in line for line in run.warnings)


@pytest.mark.parametrize(('denied', 'blocks'), [('deployments', {'deployments'}), ('actions', {'ci', 'runners'})])
def test_a_missing_permission_fails_the_blocks_that_need_it(github, denied, blocks):
    github.denied = {denied}
    run = Driver.of(github, **ONE, deployments=True, runners=True).run()
    assert {known for known, _ in run.errors()} == blocks
    assert run.value(M + 'prs.open') is not None
