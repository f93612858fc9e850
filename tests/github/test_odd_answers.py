"""Answers of older servers, damaged answers, and figures that must not be invented."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from metta_checks.github.changed_files import Paths
from metta_checks.github.records import FileList
from metta_checks.testing import Driver
from sandbox import Running

from .scripted import NOW, ScriptedGitHub, closed_pull_request, commit, connection, workflow_run
from .scripted_hooks import status

M = 'metta.github.'
RESET = int((NOW + timedelta(minutes=40)).timestamp())


@pytest.fixture
def github() -> Iterator[ScriptedGitHub]:
    service = ScriptedGitHub()
    with Running(service):
        yield service


# Older servers.


def undefined(service: ScriptedGitHub, *fields: tuple[str, str]):
    """Return a hook of a server that does not know these fields (type, name)."""

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
    assert run.value(M + 'code.file_changes_7d') is None, 'no commit states the number of its files'
    github.log.clear()
    github.pass_time(900)
    driver.run()
    assert github.asked().count('Now') == 1
    github.log.clear()
    github.pass_time(86400)
    driver.run()
    assert github.asked().count('Now') == 2, 'tried again after a day'


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


# Damaged answers.


@pytest.mark.parametrize('body', ['<html>Sign in</html>', '{"data": {"repos', '[]', '{"data": null}', '{}'])
def test_an_answer_that_is_not_graphql_fails_only_its_blocks(github, body):
    from werkzeug.wrappers import Response

    github.hooks['Now'] = lambda request, _: Response(body, 200, content_type='text/html')
    run = Driver.of(github).run()
    assert run.errors()['repository', 'bad_payload'] == 1
    assert run.value(M + 'ci.workflow_runs_7d') == 2
    assert run.value(M + 'prs.open') is None


@pytest.mark.parametrize('field', ['createdAt', 'updatedAt', 'number'])
def test_a_pull_request_without_a_required_field_fails_its_block(github, field):
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


@pytest.mark.parametrize(('cursors', 'requests'), [(['a', 'a'], 2), (['a', 'b', 'a'], 3)])
def test_cursors_that_lead_back_are_not_followed_forever(github, cursors, requests):
    asked: list[object] = []

    def repeating(request, variables):
        asked.append(variables['after'])
        listed = {**connection(github.closed), 'pageInfo': {'hasNextPage': True, 'endCursor': cursors[len(asked) - 1]}}
        return github.json({'data': {'repository': {'closedPullRequests': listed}}})

    github.hooks['ClosedPullRequests'] = repeating
    run = Driver.of(github).run()
    assert run.errors()['pull_requests', 'bad_payload'] == 1
    assert any('GitHub sent the same page twice' in line for line in run.warnings)
    assert asked == [None, *cursors][:requests]


def test_links_that_lead_back_are_not_followed_forever(github):
    def repeating(request, _):
        link = f'<{github.url}{request.path}?page=2>; rel="next"'
        return github.json(github.pushes, headers={'Link': link})

    github.hooks['activity'] = repeating
    run = Driver.of(github).run()
    assert run.errors()['activity', 'bad_payload'] == 1
    assert any('GitHub sent the same page twice' in line for line in run.warnings)
    assert github.asked().count('activity') == 2


# Unknown figures.


def test_without_a_known_default_branch_there_are_no_figures_of_branches(github):
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


def test_a_repository_that_loses_its_default_branch_has_no_commits(github):
    driver = Driver.of(github)
    assert driver.run().value(M + 'commits.total_7d') == 2
    overview = github.overview
    github.overview = lambda: {**overview(), 'defaultBranchRef': None}
    github.pass_time(900)
    assert driver.run().value(M + 'commits.total_7d') == 0


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


def test_too_many_runs_are_reported_and_give_no_figure(github):
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


def test_a_path_with_half_of_a_surrogate_pair_is_counted():
    assert Paths.of(FileList(1, ('a\ud800', 'a'), None), ()) != Paths.of(FileList(1, ('a', 'a'), None), ())
