"""Events: one per change, and none for a state that was known before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metta_checks.github.settings import web_url
from metta_checks.testing import Driver
from sandbox import Running

from .scripted import ScriptedGitHub, ago, commit, release, workflow_run

M = 'metta.github.'


@pytest.fixture
def github() -> Iterator[ScriptedGitHub]:
    service = ScriptedGitHub()
    with Running(service):
        yield service


def titles(run) -> list[str]:
    return [event['msg_title'] for event in run.events]


def test_a_first_read_sends_none(github):
    github.runs = [workflow_run(1, 'tests', 'failure', hours=3)]
    assert Driver.of(github, required_workflows=['tests']).run().events == []


def test_the_default_branch_becomes_red_and_green_again(github):
    github.runs = [workflow_run(1, 'tests', 'success', hours=6), workflow_run(2, 'docs', 'failure', hours=5)]
    driver = Driver.of(github, required_workflows=['tests'], tags=['team:x'])
    run = driver.run()
    assert run.value(M + 'ci.tests_passing_on_main') == 1
    assert run.value(M + 'main.last_green_age_hours') == 0

    github.runs.append(workflow_run(3, 'tests', 'failure', hours=2, head_sha='c0ffee' * 6))
    github.pass_time(900)
    run = driver.run()
    assert titles(run) == ['metta/one: main is red']
    event = run.events[0]
    assert 'tests' in event['msg_text']
    assert 'c0ffee' in event['msg_text']
    assert f'{web_url(github.url)}/metta/one/actions/runs/3' in event['msg_text']
    assert event['alert_type'] == 'error'
    assert set(event['tags']) == {'team:x', 'org:metta', 'repo:metta/one'}
    assert run.value(M + 'ci.tests_passing_on_main') == 0

    github.pass_time(900)
    run = driver.run()
    assert run.events == [], 'once'
    # Red since the end of the failed run, ten minutes after its creation two hours before the start.
    assert run.value(M + 'main.red_hours_7d') == pytest.approx(2 + 0.5 - 1 / 6)
    assert run.value(M + 'main.last_green_age_hours') == pytest.approx(2 + 0.5 - 1 / 6)

    github.runs.append(workflow_run(4, 'tests', 'success', hours=1))
    github.pass_time(900)
    run = driver.run()
    assert titles(run) == ['metta/one: main is green again']
    assert 'after 1.0 hours' in run.events[0]['msg_text']
    assert run.value(M + 'main.time_to_green_hours.max') == 1
    github.pass_time(900)
    assert driver.run().events == []


@pytest.mark.parametrize(
    'fields',
    [
        {'conclusion': 'cancelled'},
        {'conclusion': 'skipped'},
        {'conclusion': None, 'status': 'in_progress'},
        {'event': 'pull_request'},
        {'head_branch': 'topic'},
        {'head_repository': {'id': 2}},
        {'head_repository': None},
    ],
)
def test_runs_without_a_result_do_not_turn_the_branch_red(github, fields):
    github.runs = [workflow_run(1, 'tests', 'success', hours=6)]
    driver = Driver.of(github, required_workflows=['tests'])
    driver.run()
    github.runs.append({**workflow_run(2, 'tests', 'failure', hours=0.2), **fields})
    github.pass_time(900)
    run = driver.run()
    assert run.events == []
    assert run.value(M + 'ci.tests_passing_on_main') == 1


def test_a_rerun_makes_it_green(github):
    github.runs = [workflow_run(1, 'tests', 'success', hours=6), workflow_run(2, 'tests', 'failure', hours=0.1)]
    driver = Driver.of(github, required_workflows=['tests'])
    assert driver.run().value(M + 'ci.tests_passing_on_main') == 0
    github.runs[1] = workflow_run(2, 'tests', 'success', hours=0.1, run_attempt=2, updated_at=ago(minutes=-10))
    github.pass_time(900)
    run = driver.run()
    assert titles(run) == ['metta/one: main is green again']
    assert run.value(M + 'ci.flaky_checks_7d') == 1
    assert run.value(M + 'ci.runs', 'conclusion:success') == 1


def test_a_force_push(github):
    driver = Driver.of(github)
    assert driver.run().events == []
    github.commits[0] = commit('e' * 40, hours=1)
    github.pushes.insert(
        0, {'id': 2, 'timestamp': ago(minutes=3), 'actor': {'login': 'ben'}, 'before': 'f' * 40, 'after': 'e' * 40}
    )
    github.pass_time(900)
    run = driver.run()
    assert titles(run) == ['Force push to metta/one']
    assert 'ben force-pushed main: ffffffffffff was replaced by eeeeeeeeeeee.' in run.events[0]['msg_text']
    assert not any('ben' in tag for tag in run.events[0]['tags'])
    assert run.value(M + 'commits.force_merge_7d') == 2
    github.pass_time(900)
    assert driver.run().events == []


def test_an_unchanged_list_of_pushes_is_confirmed_by_its_etag(github):
    driver = Driver.of(github)
    driver.run()
    github.hooks['activity'] = lambda request, _: (
        github.json(None, 304) if request.headers.get('If-None-Match') == '"1"' else None
    )
    github.commits.insert(0, commit('c' * 40, hours=1))
    github.pass_time(900)
    run = driver.run()
    assert run.value(M + 'commits.force_merge_7d') == 1
    assert [entry.status for entry in github.log if entry.path.endswith('/activity')] == [200, 304]
    # Pushes leave the window although the list stays the same.
    github.pass_time(7 * 86400)
    assert driver.run().value(M + 'commits.force_merge_7d') == 0


def test_a_release(github):
    driver = Driver.of(github)
    driver.run()
    overview = github.overview
    drafted = {**release('v2', hours=1), 'isDraft': True}
    github.overview = lambda: {**overview(), 'releases': {'nodes': [drafted, release('v1', days=3)]}}
    github.pass_time(900)
    assert driver.run().events == [], 'a draft is none'
    github.overview = lambda: {**overview(), 'releases': {'nodes': [release('v2', hours=-0.4), release('v1', days=3)]}}
    github.pass_time(900)
    run = driver.run()
    assert titles(run) == ['Release v2']
    assert 'https://x/v2' in run.events[0]['msg_text']
    assert run.value(M + 'releases.published_30d') == 2
    github.pass_time(900)
    assert driver.run().events == []


def test_an_old_release_that_comes_into_view_is_not_an_event(github):
    driver = Driver.of(github)
    driver.run()
    overview = github.overview
    github.overview = lambda: {**overview(), 'releases': {'nodes': [release('v0', days=300)]}}
    github.pass_time(900)
    assert driver.run().events == []


def test_a_failed_block_sends_nothing_twice_and_loses_nothing(github):
    github.runs = [workflow_run(1, 'tests', 'success', hours=6)]
    driver = Driver.of(github, required_workflows=['tests'])
    driver.run()
    github.runs.append(workflow_run(2, 'tests', 'failure', hours=0.2))
    github.faults.add('status', status=500, path='*/actions/runs')
    github.pass_time(900)
    assert driver.run().events == []
    github.faults.clear()
    github.pass_time(900)
    run = driver.run()
    assert titles(run) == ['metta/one: main is red']
    assert run.value(M + 'ci.runs', 'conclusion:failure') == 1
