"""Commits of which GitHub gives only a part."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import commit, connection
from tests.github.scripted_hooks import with_errors

from ..case import case

M = 'metta.github.'
NAMES = ('commits.total_7d', 'commits.hotfix', 'developers.active_7d', 'code.lines_added_7d', 'code.lines_deleted_7d')
TARGET = ('repository', 'defaultBranchRef', 'target', 'inWindow', 'nodes')


def shown(run) -> list[float | None]:
    return [run.value(M + name) for name in NAMES]


@case('E', 'https://github.com/liatrio/liatrio-otel-collector/issues/186')
def test_additions_that_are_unavailable(pulls):
    """A commit whose additions are unavailable.

    GitHub cannot count the lines of one commit. `additions` is declared non-null, so GitHub answers null for the
    whole commit, with an error that names the field. Without the field, it shows the commit.

    Right: The commit is asked for without its lines. `code.lines_added_7d` and `code.lines_deleted_7d` are absent,
    never the sum of the others, and the service check is WARNING.

    Unchanged: The numbers of commits, hotfixes and people include the commit, also in the next refresh, which asks
    for nothing more.
    """
    broken = commit('c' * 40, hours=20, messageHeadline='hotfix: tokenizer')
    pulls.commits.insert(1, broken)
    error = {'path': [*TARGET, 1, 'additions'], 'message': 'The additions count for this commit is unavailable.'}

    def without_the_commit(request):
        return (
            [None if row is broken else row for row in pulls.commits] if 'additions' in request.json['query'] else None
        )

    def first(request, variables):
        repository = pulls.overview()
        repository['defaultBranchRef']['target']['inWindow']['nodes'] = without_the_commit(request)
        return with_errors(pulls, {'repository': repository}, error)(request, variables)

    def history(request, variables):
        nodes = without_the_commit(request)
        if nodes is None:
            lines = {'additions', 'deletions'}
            rows = [{key: value for key, value in row.items() if key not in lines} for row in pulls.commits]
            data = {'repository': {'ref': {'target': {'__typename': 'Commit', 'inWindow': connection(rows)}}}}
            return pulls.json({'data': data})
        page = {**connection(pulls.commits), 'nodes': nodes}
        data = {'repository': {'ref': {'target': {'__typename': 'Commit', 'inWindow': page}}}}
        path = ['repository', 'ref', 'target', 'inWindow', 'nodes', 1, 'additions']
        return with_errors(pulls, data, {**error, 'path': path})(request, variables)

    pulls.hooks |= {'Now': first, 'Commits': history}
    driver = Driver.of(pulls)
    run = driver.run()
    assert shown(run) == [3, 1, 1, None, None]
    assert 'does not count the lines of 1 commits' in run.message
    pulls.log.clear()
    pulls.pass_time(900)
    assert shown(driver.run()) == [3, 1, 1, None, None]
    assert 'Commits' not in pulls.asked()


@case('C', 'https://github.com/change-metrics/monocle/issues/222')
@pytest.mark.parametrize('field', ['additions', 'deletions'])
def test_a_commit_without_a_number_of_lines(pulls, field):
    """A commit with null in place of a number of lines.

    A server answers null for the additions or the deletions of one commit.

    Right: The sum of these lines is absent, because null is not 0.

    Unchanged: The other sum is there, and so are the numbers of commits and people.
    """
    pulls.commits.append(commit('c' * 40, hours=20, **{field: None}))
    sums = {'additions': [None, 3], 'deletions': [9, None]}
    assert shown(Driver.of(pulls).run()) == [3, 0, 1, *sums[field]]


@case('E', 'https://docs.github.com/en/graphql/reference/objects#commit')
@pytest.mark.parametrize(('parents', 'expected'), [(1, None), (2, 4)])
def test_files_that_github_has_not_counted(pulls, parents, expected):
    """A commit without a number of changed files.

    GitHub answers null for `changedFilesIfAvailable` of one commit of three: its files are not counted. The other two
    commits change two files each.

    Right: `code.file_changes_7d` is absent, never 4, because null is not 0. If the commit is a merge commit, which
    the figure leaves out, it is 4.

    Unchanged: The sums of lines and the number of commits are there.
    """
    pulls.commits.append(commit('c' * 40, hours=20, changedFilesIfAvailable=None, parents={'totalCount': parents}))
    run = Driver.of(pulls).run()
    assert run.value(M + 'code.file_changes_7d') == expected
    assert run.value(M + 'commits.total_7d') == 3
    assert run.value(M + 'code.lines_added_7d') is not None


@case('E', 'https://docs.github.com/en/graphql/guides/introduction-to-graphql')
def test_a_commit_that_github_does_not_show(pulls):
    """A commit that GitHub does not show at all.

    GitHub counts three commits and answers null for one of them, with and without its lines.

    Right: `commits.total_7d` is 3, as GitHub counts. The figures that need the commit are absent, and the service
    check is WARNING.

    Unchanged: The figures about pull requests are there.
    """
    rows = [*pulls.commits, None]
    page = {**connection(rows), 'totalCount': 3}
    error = {'type': 'FORBIDDEN', 'message': 'Resource not accessible by integration'}
    repository = pulls.overview()
    repository['defaultBranchRef']['target']['inWindow'] = page
    path = [*TARGET, 2]
    pulls.hooks['Now'] = with_errors(pulls, {'repository': repository}, {**error, 'path': path})
    data = {'repository': {'ref': {'target': {'__typename': 'Commit', 'inWindow': page}}}}
    path = ['repository', 'ref', 'target', 'inWindow', 'nodes', 2]
    pulls.hooks['Commits'] = with_errors(pulls, data, {**error, 'path': path})
    run = Driver.of(pulls).run()
    assert shown(run) == [3, None, None, None, None]
    assert (run.value(M + 'prs.merged_7d'), run.status) == (1, 1)
