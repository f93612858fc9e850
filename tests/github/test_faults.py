"""Failures of GitHub: the messages, the figures that remain, and that none is invented."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metta_checks.core import catalog
from metta_checks.testing import Driver, Run
from sandbox import Running
from sandbox.github.service import GitHubService

from .served import github_service
from .test_check import COUNTS, ONE, M, asked, compared, gauges

pytestmark = pytest.mark.integration

BLOCKS = {M + metric.name: metric.block for metric in catalog.load('github').metrics}
# Without optional blocks, and without the block of figures about the refresh itself.
CORE = {metric.block for metric in catalog.load('github').metrics if not metric.option} - {'refresh'}
GRAPHQL = {'repository', 'pull_requests', 'commits', 'files'}
REST = {'activity', 'ci'}


@pytest.fixture
def github(serve):
    return serve('github', scale=0.05)


@pytest.fixture(scope='module')
def shared() -> Iterator[GitHubService]:
    service = github_service(scale=0.05)
    with Running(service):
        yield service


@pytest.fixture
def steady(shared) -> Iterator[GitHubService]:
    """Return a service to which a test may add faults, but which it must not change otherwise."""
    yield shared
    shared.faults.clear()


def blocks(run: Run) -> set[str]:
    """Return the blocks with figures in a run."""
    return {BLOCKS[name] for name, _ in gauges(run)}


def invented(run: Run, service) -> dict:
    """Return the figures that differ from the present truth."""
    return {key: one for key, one in compared(run, service).different.items() if one.ours is not None}


FAULTS = [
    ({'kind': 'status', 'status': 500}, 'http_5xx', 'answered HTTP 500'),
    ({'kind': 'status', 'status': 503}, 'http_5xx', 'answered HTTP 503'),
    ({'kind': 'status', 'status': 404}, 'not_found', 'answered HTTP 404: fault'),
    ({'kind': 'status', 'status': 403}, 'permission', 'answered HTTP 403: fault'),
    ({'kind': 'status', 'status': 429}, 'rate_limit', 'rate limit is used up'),
    ({'kind': 'status', 'status': 422}, 'rejected', 'answered HTTP 422'),
    ({'kind': 'not_json'}, 'bad_payload', 'not JSON'),
    ({'kind': 'truncate'}, 'cut_off', 'broke off'),
    ({'kind': 'reset'}, 'unreachable', 'no connection'),
    ({'kind': 'status', 'status': 200, 'body': '{"message": "half a page"}'}, 'bad_payload', 'without'),
    ({'kind': 'status', 'status': 200, 'body': '[{"id": 1}]'}, 'bad_payload', ''),
]


@pytest.mark.parametrize(('fault', 'reason', 'words'), FAULTS)
def test_graphql_fails_from_the_start(steady, fault, reason, words):
    steady.faults.add(path='/graphql', **fault)
    run = Driver.of(steady, **ONE).run()
    assert run.errors()['repository', reason] == 1
    assert any('metta-ai/metta' in line and words in line for line in run.warnings)
    # A limit without a name closes both resources. Other faults leave the figures of runs that need no default branch.
    assert blocks(run) == (set() if reason == 'rate_limit' else {'ci'})
    assert run.value(M + 'ci.tests_passing_on_main') is None
    assert run.series(M + 'ci.runs_7d') == {}
    assert invented(run, steady) == {}
    assert run.status == 1


@pytest.mark.parametrize(('fault', 'reason', 'words'), FAULTS)
def test_runs_fail_from_the_start(steady, fault, reason, words):
    steady.faults.add(path='*/actions/runs', **fault)
    run = Driver.of(steady, **ONE).run()
    assert run.errors() == {('ci', reason): 1}
    assert any('block ci' in line and words in line for line in run.warnings)
    assert blocks(run) == CORE - {'ci', *([] if 'files' in blocks(run) else ['files'])}
    assert invented(run, steady) == {}


@pytest.mark.parametrize(('fault', 'reason', 'words'), FAULTS)
def test_activity_fails_from_the_start(steady, fault, reason, words):
    if fault.get('body', '').startswith('['):
        reason = 'bad_payload'
    steady.faults.add(path='*/activity', **fault)
    run = Driver.of(steady, **ONE).run()
    if reason == 'rate_limit':
        assert {block for block, _ in run.errors()} == {'activity', 'ci'}
    else:
        assert run.errors() == {('activity', reason): 1}
    assert run.value(M + 'commits.force_merge_7d') is None
    assert invented(run, steady) == {}


@pytest.mark.parametrize('path', ['/graphql', '*/actions/runs', '*'])
def test_an_outage_after_good_times_shows_the_last_values_for_three_intervals(github, path):
    driver = Driver.of(github, **ONE)
    driver.run()
    github.pass_time(900)
    before = gauges(driver.run())
    github.faults.add('status', status=502, path=path)
    for _ in range(2):
        github.pass_time(900)
        run = driver.run()
        failed = GRAPHQL if path == '/graphql' else {'ci'} if 'runs' in path else GRAPHQL | REST
        after = gauges(run)
        for key, value in before.items():
            if BLOCKS[key[0]] in failed:
                assert after[key] == value, key
        assert not (run.names & COUNTS - {M + 'api.points', M + 'api.shared_points'}) or path != '*'
    github.pass_time(2 * 900)
    run = driver.run()
    assert blocks(run) & failed == set(), 'older than that they are gone'
    assert bool(run.error) == (path == '*')
    assert run.status == (2 if path == '*' else 1)
    github.faults.clear()
    github.pass_time(900)
    run = driver.run()
    assert run.error == ''
    assert run.warnings == []
    assert blocks(run) == CORE


def test_a_slow_answer_is_abandoned(github):
    github.faults.add('slow', seconds=60, path='*/actions/runs')
    run = Driver.of(github, **ONE).run()
    assert run.errors() == {('ci', 'timeout'): 1}
    [warning] = run.warnings
    assert 'the answer came too slowly; check the network, or raise option `timeout`' in warning


def test_nothing_listens():
    instance = {'source': 'github', 'api_url': 'http://127.0.0.1:9', 'token': 'secret-token', 'repositories': ['a/b']}
    run = Driver(instance).run()
    assert 'no connection' in run.error
    assert 'check `api_url`' in run.error
    assert 'secret-token' not in str(run)
    assert run.status == 2


def test_a_single_failure_has_no_effect(github):
    github.faults.add('status', status=502, path='*', times=1)
    run = Driver.of(github, **ONE).run()
    assert run.error == ''
    assert run.warnings == []


def test_a_refused_token_ends_the_refresh_at_once(github):
    run = Driver.of(github, token='github_pat_wrong').run()
    assert 'credentials were not accepted' in run.error
    assert 'github_pat_wrong' not in str(run)
    assert run.names == set()
    assert run.status == 2
    assert sum(asked(github).values()) <= 4


def test_a_missing_repository_does_not_affect_the_other(github):
    run = Driver.of(github, repositories=['metta-ai/metta', 'metta-ai/nothing']).run()
    assert run.error == ''
    assert run.value(M + 'prs.open') is not None
    assert any('metta-ai/nothing' in line and 'check the name' in line for line in run.warnings)


@pytest.mark.parametrize(
    ('denied', 'absent'),
    [
        ('actions', 'ci.workflow_runs_7d'),
        ('issues', 'repo.issues_open'),
        ('merge_queues', 'merge_queue.entries'),
        ('statuses', 'prs.merged_red_7d'),
        (('issues', 'merge_queues', 'statuses'), 'prs.merged_red_7d'),
    ],
)
def test_a_missing_permission_fails_only_the_blocks_that_need_it(serve, denied, absent):
    github = serve('github', scale=0.05)
    github.denied = {denied} if isinstance(denied, str) else set(denied)
    driver = Driver.of(github, **ONE)
    run = driver.run()
    assert any('not accessible' in line or 'lacks' in line or 'needs' in line for line in run.warnings)
    assert run.series(M + absent) == {}
    assert run.value(M + 'prs.merged_7d') is not None
    assert run.value(M + 'commits.total_7d') is not None
    assert run.value(M + 'branches.active') is not None
    assert invented(run, github) == {}
    asked(github)
    github.pass_time(900)
    driver.run()
    assert asked(github)['Now'] == 1, 'what is refused is not asked for again and again'


def test_without_pull_requests_the_rest_goes_on(github):
    github.denied = {'pull_requests'}
    run = Driver.of(github, **ONE).run()
    assert blocks(run) == {'repository', 'commits', 'activity', 'ci'}
    assert invented(run, github) == {}


@pytest.mark.parametrize('answer', [502, 504, 'RESOURCE_LIMITS_EXCEEDED', 'something went wrong'])
def test_heavy_pages_are_learned_once(serve, answer):
    github = serve('github', scale=0.3, runs_in_window=50)
    github.heavy = {'PullRequestConnection': 25}
    github.heavy_answer = answer
    driver = Driver.of(github, **ONE)
    run = driver.run()
    assert run.warnings == []
    assert invented(run, github) == {}
    first = asked(github)
    github.pass_time(900)
    run = driver.run()
    assert run.warnings == []
    second = asked(github)
    assert first['Now'] == 2
    assert second['Now'] == 1, 'the size is kept'


def test_lists_of_files_that_github_cannot_give(github):
    merged = [pull.number for pull in github.metta.pulls.values() if pull.state == 'MERGED']
    github.unlisted_files = set(merged[-1:])
    driver = Driver.of(github, **ONE)
    for _ in range(4):
        run = driver.run()
        github.pass_time(900)
    assert run.value(M + 'code.files_changed_7d') is None


def test_exhausted_points(github):
    driver = Driver.of(github, **ONE)
    driver.run()
    github.exhaust('graphql')
    github.pass_time(900)
    run = driver.run()
    assert [event['msg_title'] for event in run.events] == ['GitHub rate limit: graphql']
    assert run.errors()['repository', 'rate_limit'] == 1
    assert run.value(M + 'prs.open') is not None
    assert run.value('metta.collector.rate_limit.remaining', 'resource:graphql') == 0
    asked(github)
    # The hour ends 60 minutes after the first request.
    for _ in range(3):
        github.pass_time(900)
        run = driver.run()
    assert run.errors() == {}
    assert asked(github)['Now'] >= 1


@pytest.mark.parametrize('retry_after', [120, None])
def test_a_secondary_limit_is_waited_out(github, retry_after):
    github.secondary = {'status': 403, 'retry_after': retry_after, 'times': 1}
    driver = Driver.of(github, **ONE)
    run = driver.run()
    assert run.status == 1
    assert run.error == ''
    assert sum(asked(github).values()) == 1
    github.pass_time((retry_after or 60) - 1)
    driver.run()
    assert sum(asked(github).values()) == 0
    github.pass_time(2)
    run = driver.run()
    assert run.warnings == []
    assert invented(run, github) == {}


def test_time_that_runs_out_leaves_the_rest_for_the_next_run(github):
    github.faults.add('slow', seconds=70, path='/graphql', times=1)
    driver = Driver.of(github, refresh_timeout=60)
    run = driver.run()
    assert {reason for _, reason in run.errors()} == {'budget', 'dependency'}
    assert run.status == 1
    github.faults.clear()
    github.pass_time(60)
    run = driver.run()
    github.pass_time(60)
    run = driver.run()
    assert run.value(M + 'ci.workflow_runs_7d', 'repo:metta-ai/infra') is not None
