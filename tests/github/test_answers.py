"""The check's reaction to every kind of answer of GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from metta_checks.testing import Driver
from sandbox import Running

from .scripted import NOW, ScriptedGitHub, ago, closed_pull_request
from .scripted_hooks import status, with_errors

M = 'metta.github.'
RESET = int((NOW + timedelta(minutes=40)).timestamp())


@pytest.fixture
def github() -> Iterator[ScriptedGitHub]:
    service = ScriptedGitHub()
    with Running(service):
        yield service


def test_all_is_well(github):
    run = Driver.of(github).run()
    assert run.error == ''
    assert run.warnings == []
    assert run.value(M + 'prs.merged_7d', 'org:metta', 'repo:metta/one') == 1
    assert run.value(M + 'code.files_changed_7d') == 2
    assert run.value(M + 'ci.workflow_runs_7d') == 2
    assert run.value(M + 'commits.force_merge_7d') == 1
    assert run.value(M + 'merge_queue.eta_minutes') == 10
    assert github.asked() == ['Now', 'ClosedPullRequests', 'Files', 'activity', 'runs']
    assert github.connections == 1


# Credentials.


def test_refused_credentials_end_the_refresh(github):
    run = Driver.of(github, token='wrong').run()
    assert 'credentials were not accepted' in run.error
    assert '`token`' in run.error
    assert run.status == 2
    assert run.names == set()
    assert len(github.log) <= 4


def test_an_installation_token_that_is_revoked_is_renewed_once(github, private_key):
    expires = (NOW + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')
    tokens = iter(['withdrawn', 'installation-token'])
    github.hooks['access_tokens'] = lambda request, _: github.json({'token': next(tokens), 'expires_at': expires}, 201)
    run = app(github, private_key).run()
    assert run.error == ''
    assert run.value(M + 'prs.open') == 1
    assert github.asked()[:4] == ['access_tokens', 'Now', 'access_tokens', 'Now']
    assert 'installation-token' not in str(run)


def test_an_app_whose_tokens_are_refused_is_reported_once(github, private_key):
    expires = (NOW + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')
    github.hooks['access_tokens'] = lambda request, _: github.json({'token': 'bad', 'expires_at': expires}, 201)
    run = app(github, private_key).run()
    assert 'credentials were not accepted' in run.error
    assert len(github.log) <= 4


@pytest.fixture(scope='module')
def private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def app(service: ScriptedGitHub, private_key: str) -> Driver:
    return Driver.of(service, token=None, app_id='1', app_installation_id='2', app_private_key=private_key)


# Limits.


@pytest.mark.parametrize('code', [403, 429])
def test_primary_limit_of_graphql_leaves_rest_alone(github, code):
    driver = Driver.of(github)
    driver.run()
    limit = {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-limit': '5000',
        'x-ratelimit-reset': str(RESET),
        'x-ratelimit-resource': 'graphql',
    }
    github.hooks['Now'] = status(github, code, headers=limit)
    github.pass_time(900)
    run = driver.run()
    assert run.status == 1
    assert run.errors()['repository', 'rate_limit'] == 1
    assert run.value(M + 'prs.open') == 1, 'the last samples are kept'
    # No request while the wait lasts.
    github.log.clear()
    github.pass_time(900)
    assert driver.run().value(M + 'ci.workflow_runs_7d') == 2
    assert set(github.asked()) == {'activity', 'runs'}
    github.hooks.clear()
    github.pass_time(900)
    github.log.clear()
    assert driver.run().status == 0
    assert 'Now' in github.asked()


def test_the_resource_that_github_names_is_closed_too(github):
    limit = {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-limit': '5000',
        'x-ratelimit-reset': str(RESET),
        'x-ratelimit-resource': 'core',
    }
    github.hooks['Now'] = status(github, 403, headers=limit)
    Driver.of(github).run()
    assert github.asked() == ['Now']


@pytest.mark.parametrize('code', [403, 429])
def test_retry_after_closes_both(github, code):
    github.hooks['Now'] = status(github, code, headers={'Retry-After': '120'}, times=1)
    driver = Driver.of(github)
    run = driver.run()
    assert run.status == 1
    assert github.asked() == ['Now']
    github.pass_time(60)
    driver.run()
    assert github.asked() == ['Now'], 'not one request before the time'
    github.pass_time(61)
    assert driver.run().value(M + 'prs.open') == 1


def test_a_secondary_limit_without_a_time_waits_a_minute_then_two(github):
    message = {'message': 'You have exceeded a secondary rate limit. Please wait a few minutes.'}
    github.hooks['*'] = status(github, 403, message)
    driver = Driver.of(github)
    driver.run()
    assert github.asked() == ['Now']
    for seconds in (61, 121, 241):
        github.log.clear()
        github.pass_time(seconds - 5)
        driver.run()
        assert github.asked() == [], 'not before its time'
        github.pass_time(5)
        driver.run()
        assert len(github.asked()) == 1


@pytest.mark.parametrize('code', [200, 403])
def test_used_up_points_leave_rest_alone(github, code):
    github.hooks['Now'] = lambda request, _: github.json(
        {'errors': [{'type': 'RATE_LIMITED', 'message': 'API rate limit exceeded'}]},
        code,
        {'x-ratelimit-reset': str(RESET)},
    )
    driver = Driver.of(github)
    run = driver.run()
    assert run.errors()['repository', 'rate_limit'] == 1
    assert run.value(M + 'ci.workflow_runs_7d') == 2
    assert github.asked() == ['Now', 'runs']
    assert [event['msg_title'] for event in run.events] == ['GitHub rate limit: graphql']
    github.pass_time(900)
    assert driver.run().events == [], 'once per reset'


def test_the_reserve_is_left_to_others(github):
    headers = {'x-ratelimit-limit': '5000', 'x-ratelimit-reset': str(RESET), 'x-ratelimit-resource': 'graphql'}
    github.hooks['ClosedPullRequests'] = lambda request, variables: github.json(
        {'data': github.data('ClosedPullRequests', variables)}, 200, {**headers, 'x-ratelimit-remaining': '500'}
    )
    run = Driver.of(github).run()
    assert run.value('metta.collector.rate_limit.remaining', 'resource:graphql') == 500
    assert run.value(M + 'prs.merged_7d') == 1, 'the answer itself is good'
    assert run.value(M + 'code.files_changed_7d') is None
    assert github.asked() == ['Now', 'ClosedPullRequests', 'activity', 'runs']


# Too heavy.


@pytest.mark.parametrize(
    'heavy',
    [
        {'type': 'RESOURCE_LIMITS_EXCEEDED', 'message': 'too much'},
        {'message': 'Something went wrong while executing your query. Please include `1:2` when reporting.'},
    ],
)
def test_a_page_that_is_too_heavy_is_halved_and_the_size_is_kept(github, heavy):
    sizes = []

    def hook(request, variables):
        sizes.append(variables['page'])
        return github.json({'data': None, 'errors': [heavy]}) if variables['page'] > 12 else None

    github.hooks['ClosedPullRequests'] = hook
    driver = Driver.of(github)
    run = driver.run()
    assert run.value(M + 'prs.merged_7d') == 1
    assert sizes == [50, 25, 12]
    github.closed[0]['updatedAt'] = ago(minutes=1)
    github.pass_time(900)
    driver.run()
    assert sizes == [50, 25, 12, 12]


def test_an_outage_changes_no_page_size(github):
    github.hooks['Now'] = status(github, 502)
    driver = Driver.of(github)
    run = driver.run()
    assert run.errors()['repository', 'http_5xx'] == 1
    assert github.asked().count('Now') == 3
    assert run.value(M + 'prs.open') is None
    assert run.value(M + 'ci.workflow_runs_7d') == 2
    pages = []
    github.hooks['Now'] = lambda request, variables: pages.append(variables['page'])
    github.pass_time(900)
    driver.run()
    assert pages == [50]


def test_file_lists_are_asked_for_in_smaller_groups(github):
    github.closed = [closed_pull_request(number, hours=30) for number in range(100, 120)]
    github.paths = {f'PR_{number}': [f'{number}.py'] for number in range(100, 120)}
    groups = []

    def hook(request, variables):
        groups.append(len(variables['ids']))
        return github.json({'message': 'Bad Gateway'}, 502) if groups[-1] > 5 else None

    github.hooks['Files'] = hook
    driver = Driver.of(github)
    run = driver.run()
    assert groups[:3] == [20, 10, 5]
    assert run.value(M + 'code.files_changed_7d') is None
    for _ in range(4):
        github.pass_time(900)
        run = driver.run()
    assert run.value(M + 'code.files_changed_7d') == 20
    assert all(size <= 5 for size in groups[3:])


# Permissions and names.


def test_a_missing_permission_is_named_and_other_blocks_go_on(github):
    github.hooks['runs'] = status(github, 403, headers={'X-Accepted-GitHub-Permissions': 'actions=read'})
    run = Driver.of(github).run()
    assert run.status == 1
    assert any('metta/one' in line and 'block ci' in line and 'actions=read' in line for line in run.warnings)
    assert run.value(M + 'prs.open') == 1
    assert run.value(M + 'ci.workflow_runs_7d') is None


@pytest.mark.parametrize(
    ('headers', 'remedy'),
    [
        ({}, ''),
        (
            {'X-GitHub-SSO': 'required; url=https://github.com/orgs/metta/sso?authorization_request=SECRET'},
            '; authorize the token for single sign-on: https://github.com/orgs/metta/sso',
        ),
        ({'X-Accepted-GitHub-Permissions': 'actions=read'}, '; the token or App needs the permission actions=read'),
    ],
)
def test_a_refusal_states_githubs_reason_and_a_remedy(github, headers, remedy):
    reason = 'Resource protected by organization SAML enforcement.'
    github.hooks['runs'] = lambda request, _: github.json({'message': reason}, 403, headers=headers)
    (line,) = Driver.of(github).run().warnings
    assert line.endswith(f'answered HTTP 403: {reason}{remedy}')


def test_a_repository_that_is_not_there(github):
    error = {'type': 'NOT_FOUND', 'path': ['repository'], 'message': "Could not resolve to a Repository 'metta/one'."}
    github.hooks['Now'] = with_errors(github, {'repository': None}, error)
    github.hooks['runs'] = status(github, 404)
    run = Driver.of(github).run()
    assert 'metta/one' in run.error
    assert 'check the name' in run.error


def test_a_renamed_repository_keeps_its_history_and_changes_its_tag(github):
    driver = Driver.of(github)
    driver.run()
    github.slug = 'metta/two'
    github.hooks['runs'] = lambda request, _: (
        github.json({}, 301, {'Location': request.url.replace('/metta/one/', '/metta/two/')})
        if '/metta/one/' in request.path
        else None
    )
    github.pass_time(900)
    run = driver.run()
    assert run.warnings == []
    assert run.value(M + 'ci.workflow_runs_7d', 'repo:metta/two') == 2
    assert run.series(M + 'prs.open').keys() == {('org:metta', 'repo:metta/two')}


def test_a_redirect_is_followed_even_while_graphql_is_away(github):
    driver = Driver.of(github)
    driver.run()
    github.hooks['Now'] = status(github, 503)
    github.hooks['runs'] = lambda request, _: (
        github.json({}, 301, {'Location': request.url.replace('/metta/one/', '/metta/two/')})
        if '/metta/one/' in request.path
        else None
    )
    github.pass_time(900)
    assert driver.run().value(M + 'ci.workflow_runs_7d') == 2


# Partial answers.


@pytest.mark.parametrize(
    ('path', 'absent', 'present'),
    [
        (['repository', 'mergeQueue'], ['merge_queue.entries'], ['prs.open', 'commits.total_7d', 'branches.active']),
        (['repository', 'releases'], ['releases.age_days'], ['prs.open', 'commits.total_7d', 'branches.active']),
        (['repository', 'openPullRequests'], ['prs.open'], ['branches.active', 'commits.total_7d']),
        (
            ['repository', 'defaultBranchRef', 'target', 'inWindow'],
            ['commits.total_7d'],
            ['prs.open', 'branches.count'],
        ),
        (
            ['repository', 'defaultBranchRef', 'target', 'newest', 'nodes', 0, 'statusCheckRollup'],
            ['ci.tests_passing_on_main'],
            ['commits.total_7d', 'prs.open', 'branches.active', 'ci.workflow_runs_7d', 'commits.force_merge_7d'],
        ),
        (['repository', 'branches'], ['branches.count', 'branches.active'], ['prs.open', 'repo.stars']),
    ],
)
def test_only_what_depends_on_a_failed_path_is_absent(github, path, absent, present):
    repository = github.overview()
    place = repository
    for part in path[1:-1]:
        place = place[part]
    place[path[-1]] = None
    error = {'path': path, 'type': 'FORBIDDEN', 'message': 'Resource not accessible by personal access token'}
    github.hooks['Now'] = with_errors(github, {'repository': repository}, error)
    run = Driver.of(github).run()
    assert run.status == 1
    assert any('not accessible' in line for line in run.warnings)
    assert [name for name in absent if run.series(M + name)] == []
    assert [name for name in present if not run.series(M + name)] == []


def test_hidden_check_states_cost_only_what_needs_them(github):
    github.closed[0]['head']['nodes'][0]['commit']['statusCheckRollup'] = None
    path = ['repository', 'closedPullRequests', 'nodes', 0, 'head', 'nodes', 0, 'commit', 'statusCheckRollup']
    error = {'path': path, 'type': 'FORBIDDEN', 'message': 'Resource not accessible by personal access token'}
    github.hooks['ClosedPullRequests'] = lambda request, variables: github.json(
        {'data': github.data('ClosedPullRequests', variables), 'errors': [error]}
    )
    run = Driver.of(github).run()
    assert run.value(M + 'prs.merged_7d') == 1
    assert run.value(M + 'prs.merged_red_7d') is None
    assert any('not accessible' in line for line in run.warnings)


def test_a_file_list_that_github_cannot_give_leaves_the_metric_out_and_is_asked_for_again(github):
    error = {'path': ['nodes', 0, 'files'], 'message': 'timeout'}
    github.hooks['Files'] = with_errors(
        github, {'nodes': [{'__typename': 'PullRequest', 'number': 7, 'files': None}]}, error
    )
    driver = Driver.of(github)
    run = driver.run()
    assert run.value(M + 'code.files_changed_7d') is None
    assert any('timeout' in line for line in run.warnings)
    github.hooks.clear()
    github.pass_time(900)
    assert driver.run().value(M + 'code.files_changed_7d') == 2
