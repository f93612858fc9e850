"""Every kind of answer that GitHub gives, and what the check makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sandbox import Running
from tests.support import Driver

from .scripted import NOW, ScriptedGitHub, ago, closed_pull_request, commit, workflow_run

M = 'metta.github.'
RESET = int((NOW + timedelta(minutes=40)).timestamp())


@pytest.fixture
def github() -> Iterator[ScriptedGitHub]:
    with Running(ScriptedGitHub()) as service:
        yield service


def status(
    service: ScriptedGitHub, code: int, body: Any = None, headers: dict[str, str] | None = None, times: int = 10**6
):
    """A hook that answers so, so many times."""
    left = [times]

    def hook(request, variables):
        left[0] -= 1
        return service.json(body or {'message': 'no'}, code, headers) if left[0] >= 0 else None

    return hook


def with_errors(service: ScriptedGitHub, data: dict[str, Any] | None, *errors: dict[str, Any], code: int = 200):
    return lambda request, variables: service.json({'data': data, 'errors': list(errors)}, code)


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
    assert run.service_check[0] == 2
    assert run.names == set()
    assert len(github.log) <= 4


def test_an_installation_token_that_is_withdrawn_is_renewed_once(github, private_key):
    expires = (NOW + timedelta(hours=1)).strftime('%Y-%m-%dT%H:%M:%SZ')
    tokens = iter(['withdrawn', 'installation-token'])
    github.hooks['access_tokens'] = lambda request, _: github.json({'token': next(tokens), 'expires_at': expires}, 201)
    run = app(github, private_key).run()
    assert run.error == ''
    assert run.value(M + 'prs.open') == 1
    assert github.asked()[:4] == ['access_tokens', 'Now', 'access_tokens', 'Now']
    assert 'installation-token' not in str(run)


def test_an_app_whose_tokens_are_refused_is_told_once(github, private_key):
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
    assert run.service_check[0] == 1
    assert run.errors()['repository', 'rate_limit'] == 1
    assert run.value(M + 'prs.open') == 1, 'the last samples are kept'
    # While the wait lasts, not one request.
    github.log.clear()
    github.pass_time(900)
    assert driver.run().value(M + 'ci.workflow_runs_7d') == 2
    assert set(github.asked()) == {'activity', 'runs'}
    github.hooks.clear()
    github.pass_time(900)
    github.log.clear()
    assert driver.run().service_check[0] == 0
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
    assert run.service_check[0] == 1
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


def test_an_outage_teaches_no_page_size(github):
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
    assert run.service_check[0] == 1
    assert any('metta/one' in line and 'block ci' in line and 'actions=read' in line for line in run.warnings)
    assert run.value(M + 'prs.open') == 1
    assert run.value(M + 'ci.workflow_runs_7d') is None


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
    assert run.service_check[0] == 1
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


# Older servers.


def undefined(service: ScriptedGitHub, *fields: tuple[str, str]):
    """A server that does not know these fields (type, name)."""

    def hook(request, variables):
        query = request.get_json()['query']
        errors = [
            {
                'message': f"Field '{name}' doesn't exist on type '{kind}'",
                'path': ['query Now', 'repository', name],
                'extensions': {'code': 'undefinedField', 'typeName': kind, 'fieldName': name},
            }
            for kind, name in fields
            if name in query
        ]
        return service.json({'errors': errors}) if errors else None

    return hook


def test_unknown_fields_are_left_out_and_remembered(github):
    github.hooks['Now'] = undefined(github, ('Repository', 'mergeQueue'), ('Commit', 'changedFilesIfAvailable'))
    driver = Driver.of(github)
    overview = github.overview

    def reduced():
        repository = overview()
        del repository['mergeQueue']
        for one in repository['defaultBranchRef']['target']['inWindow']['nodes']:
            one.pop('changedFilesIfAvailable', None)
        return repository

    github.overview = reduced
    run = driver.run()
    assert run.warnings == []
    assert github.asked().count('Now') == 2
    assert run.value(M + 'prs.open') == 1
    assert run.series(M + 'merge_queue.entries') == {}
    assert run.value(M + 'code.file_changes_7d') is None, 'no commit has told its number'
    github.log.clear()
    github.pass_time(900)
    driver.run()
    assert github.asked().count('Now') == 1
    github.log.clear()
    github.pass_time(86400)
    driver.run()
    assert github.asked().count('Now') == 2, 'tried anew after a day'


def test_a_server_without_check_states_does_not_claim_green_merges(github):
    github.hooks['ClosedPullRequests'] = undefined(github, ('Commit', 'statusCheckRollup'))
    del github.closed[0]['head']['nodes'][0]['commit']['statusCheckRollup']
    run = Driver.of(github).run()
    assert run.value(M + 'prs.merged_7d') == 1
    assert run.value(M + 'prs.merged_red_7d') is None


def test_a_server_that_does_not_know_the_version_header(github):
    github.hooks['runs'] = lambda request, _: (
        github.json({'message': "The value of the 'X-GitHub-Api-Version' header is not a supported version."}, 400)
        if 'X-GitHub-Api-Version' in request.headers
        else None
    )
    driver = Driver.of(github)
    assert driver.run().value(M + 'ci.workflow_runs_7d') == 2
    github.log.clear()
    github.pass_time(900)
    driver.run()
    assert {entry.status for entry in github.log} == {200}


# What is no answer.


@pytest.mark.parametrize('body', ['<html>Sign in</html>', '{"data": {"repos', '[]', '{"data": null}', '{}'])
def test_what_is_no_graphql_answer_fails_its_blocks_only(github, body):
    from werkzeug.wrappers import Response

    github.hooks['Now'] = lambda request, _: Response(body, 200, content_type='text/html')
    run = Driver.of(github).run()
    assert run.errors()['repository', 'bad_payload'] == 1
    assert run.value(M + 'ci.workflow_runs_7d') == 2
    assert run.value(M + 'prs.open') is None


@pytest.mark.parametrize('field', ['createdAt', 'updatedAt', 'number'])
def test_a_pull_request_without_its_main_fields_fails_its_block_in_words(github, field):
    github.closed[0] = {**github.closed[0]}
    newest = github.overview()['newestClosed']
    del github.closed[0][field]
    overview = github.overview
    github.overview = lambda: {**overview_without_newest(overview, github), 'newestClosed': newest}
    run = Driver.of(github).run()
    assert run.errors()['pull_requests', 'bad_payload'] == 1
    assert run.value(M + 'commits.total_7d') == 2


def overview_without_newest(overview, service):
    kept, service.closed = service.closed, [closed_pull_request(7, hours=30)]
    try:
        return overview()
    finally:
        service.closed = kept


# Honesty.


def test_without_a_known_default_branch_nothing_is_said_about_branches(github):
    github.hooks['Now'] = status(github, 503)
    run = Driver.of(github).run()
    assert run.value(M + 'ci.workflow_runs_7d') == 2
    assert run.value(M + 'ci.tests_passing_on_main') is None
    assert all('branch_type:other' not in tags for name, tags in run.values)


def test_workflows_that_differ_in_case_only_are_one_series(github):
    github.runs = [workflow_run(1, 'CI', 'success', hours=3), workflow_run(2, 'ci', 'failure', hours=5)]
    run = Driver.of(github).run()
    assert run.value(M + 'ci.success_rate_pct', 'workflow:ci', 'branch_type:default') == 50


def test_a_repository_without_commits(github):
    overview = github.overview
    github.overview = lambda: {**overview(), 'defaultBranchRef': None}
    github.closed = [closed_pull_request(7, hours=30, baseRefName='other')]
    github.runs = []
    run = Driver.of(github).run()
    assert run.warnings == []
    assert run.value(M + 'commits.total_7d') == 0
    assert run.value(M + 'code.lines_added_7d') == 0
    assert run.value(M + 'commits.per_developer_7d') is None
    assert run.value(M + 'ci.tests_passing_on_main') is None


def test_a_first_read_of_more_runs_than_the_budget_allows_goes_on_in_the_next_run(github):
    github.runs = [workflow_run(number, 'tests', 'success', hours=1 + number / 100) for number in range(3000)]
    driver = Driver.of(github, max_requests=14)
    run = driver.run()
    assert run.value(M + 'ci.workflow_runs_7d') is None
    assert run.value('metta.collector.truncated', 'block:ci') == 1
    assert any('max_requests' in line for line in run.warnings)
    for _ in range(3):
        github.pass_time(60)
        run = driver.run()
    assert run.value(M + 'ci.workflow_runs_7d') == 3000
    assert run.series(M + 'ci.runs') == {}, 'nothing is counted on a first read'
    assert github.asked().count('runs') <= 45


def test_too_many_runs_are_said_and_give_no_number(github):
    github.runs = [workflow_run(number, 'tests', 'success', hours=1) for number in range(1200)]
    run = Driver.of(github).run()
    assert run.errors()['ci', 'too_many_runs'] == 1
    assert run.value('metta.collector.truncated', 'block:ci') == 1
    assert run.value(M + 'ci.workflow_runs_7d') is None


def test_rewritten_history_is_read_again(github):
    driver = Driver.of(github)
    driver.run()
    github.commits = [commit('c' * 40, hours=1, additions=100), commit('b' * 40, hours=40)]
    github.pass_time(900)
    run = driver.run()
    assert run.value(M + 'commits.total_7d') == 2
    assert run.value(M + 'code.lines_added_7d') == 103
