"""Answers of GraphQL with parts that are null, and errors that do not say which part they are about."""

from __future__ import annotations

from typing import Any

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import ScriptedGitHub, ago, closed_pull_request, commit

from ..case import case

M = 'metta.github.'
MESSAGE = 'Something went wrong while executing your query. Please include `AB12:34CD` when reporting this issue.'
# Figures of the first query, of the commits and of REST.
FIGURES = (
    'prs.open',
    'branches.count',
    'branches.active',
    'repo.issues_open',
    'repo.stars',
    'merge_queue.oldest_minutes',
    'releases.published_30d',
    'commits.total_7d',
    'commits.force_merge_7d',
    'ci.tests_passing_on_main',
    'code.files_changed_7d',
    'prs.merged_7d',
)


def without(repository: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Set a part of a repository to null."""
    place: Any = repository
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = None
    return repository


def answer_without(github: ScriptedGitHub, *path: Any, error: dict[str, Any] | None = None) -> None:
    """Answer the first query with a part that is null, and with an error."""
    github.hooks['Now'] = lambda request, variables: github.json(
        {
            'data': {'repository': without(github.overview(), path)},
            **({} if error is None else {'errors': [error]}),
        }
    )


def values(run) -> dict[str, float | None]:
    return {name: run.value(M + name) for name in FIGURES if name != 'merge_queue.oldest_minutes'}


PARTS = (
    ('branches',),
    ('openIssues',),
    ('stargazerCount',),
    ('mergeQueue',),
    ('releases',),
    ('newestClosed',),
    ('openPullRequests',),
    ('openPullRequests', 'nodes'),
    ('defaultBranchRef',),
    ('defaultBranchRef', 'target'),
    ('defaultBranchRef', 'target', 'inWindow'),
    ('defaultBranchRef', 'target', 'inWindow', 'totalCount'),
    ('defaultBranchRef', 'target', 'newest'),
)


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
@pytest.mark.parametrize('path', PARTS, ids='.'.join)
def test_a_null_part_and_an_error_without_a_path(scripted, path):
    """A part of the repository is null, and an error names no part.

    GitHub answers 200 with data in which one part is null, beside an error that has a message and no path.

    Right: Every figure that needs the part keeps its last value. None falls to 0 and none is absent, and the default
    branch is still known. The service check is WARNING, with GitHub's message.

    Unchanged: All other figures.
    """
    driver = Driver.of(scripted)
    before = values(driver.run())
    assert None not in before.values()
    answer_without(scripted, *path, error={'message': MESSAGE})
    for _ in range(2):
        scripted.pass_time(900)
        run = driver.run()
        assert values(run) == before
        assert run.value(M + 'merge_queue.oldest_minutes') is not None
        if path != ('newestClosed',):
            # Without it, the closed pull requests are read.
            assert run.status == 1
            assert any('Something went wrong' in line for line in run.warnings)
    scripted.hooks.clear()
    scripted.pass_time(900)
    run = driver.run()
    assert (values(run), run.status) == (before, 0)


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
@pytest.mark.parametrize('path', [('defaultBranchRef', 'target'), ('openPullRequests', 'totalCount'), ('releases',)])
def test_a_null_part_without_any_error(scripted, path):
    """A part that is never null is null, without an error.

    GitHub answers with a default branch that points at nothing, or with a list without its total.

    Right: The figures that need it keep their last values.

    Unchanged: All other figures.
    """
    driver = Driver.of(scripted)
    before = values(driver.run())
    answer_without(scripted, *path)
    scripted.pass_time(900)
    run = driver.run()
    assert values(run) == before
    assert run.status == 1


@case('C', 'https://docs.github.com/en/graphql/reference/objects#repository', guard=True)
@pytest.mark.parametrize('path', [('defaultBranchRef',), ('mergeQueue',)])
def test_a_repository_without_a_branch_or_a_queue(scripted, path):
    """A repository has no commits, or no merge queue.

    GitHub answers null for the part, and no error.

    Right: There is nothing: no commits, or no figures of a queue.

    Unchanged: The service check is OK.
    """
    answer_without(scripted, *path)
    run = Driver.of(scripted).run()
    assert run.status == 0
    assert run.value(M + 'merge_queue.oldest_minutes') is (
        None if path == ('mergeQueue',) else run.value(M + 'merge_queue.oldest_minutes')
    )
    assert run.value(M + 'commits.total_7d') == (0 if path == ('defaultBranchRef',) else 2)


@case('C', guard=True)
def test_a_part_that_stays_unknown(scripted):
    """The merge queue is null, with an error without a path, for a whole day.

    GitHub answers all other parts.

    Right: The last figures of the block are kept until they are three refresh intervals old. Then the parts that
    GitHub shows are sent again, and those of the queue are absent.

    Unchanged: The other blocks are not affected.
    """
    driver = Driver.of(scripted)
    driver.run()
    answer_without(scripted, 'mergeQueue', error={'message': MESSAGE})
    for _ in range(3):
        scripted.pass_time(900)
        run = driver.run()
    assert run.value(M + 'repo.stars') == 5
    assert run.value(M + 'merge_queue.oldest_minutes') is None
    assert run.value(M + 'prs.open') == 1


@case('E', 'https://github.com/jasperapp/jasper/issues/187', guard=True)
def test_a_forbidden_part(scripted):
    """The credentials may not see the merge queue.

    GitHub answers null for it, with an error FORBIDDEN that names it.

    Right: The figures of the queue are absent from the first refresh on, and the others are up to date.

    Unchanged: GitHub's message is shown.
    """
    forbidden = {'type': 'FORBIDDEN', 'path': ['repository', 'mergeQueue'], 'message': 'Resource not accessible'}
    driver = Driver.of(scripted)
    driver.run()
    answer_without(scripted, 'mergeQueue', error=forbidden)
    scripted.pass_time(900)
    run = driver.run()
    assert run.series(M + 'merge_queue.entries') == {}
    assert run.value(M + 'repo.stars') == 5
    assert any('Resource not accessible' in line for line in run.warnings)


@case(
    'A',
    'https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-branches-in-your-repository/renaming-a-branch',
)
def test_a_renamed_default_branch(scripted):
    """The default branch is renamed from main to trunk.

    Pull requests that were merged before keep the former name as their base, and the branch main does not exist any
    more. The list of activities of the new branch is empty.

    Right: `code.files_changed_7d` still counts the files of the pull requests merged before, and
    `commits.force_merge_7d` the force pushes.

    Unchanged: No event says that somebody pushed by force.
    """
    driver = Driver.of(scripted)
    before = values(driver.run())
    rename(scripted, 'trunk')
    pushes, scripted.pushes = scripted.pushes, []
    for _ in range(3):
        scripted.pass_time(900)
        run = driver.run()
        assert run.value(M + 'code.files_changed_7d') == before['code.files_changed_7d'] == 2
        assert run.value(M + 'commits.force_merge_7d') == len(pushes) == 1
        assert run.events == []
    assert scripted.asked().count('Branch') == 1


@case(
    'A',
    'https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-branches-in-your-repository/changing-the-default-branch',
    guard=True,
)
def test_another_default_branch(scripted):
    """Another branch becomes the default branch.

    The former one, main, still exists.

    Right: `code.files_changed_7d` counts the pull requests merged into the new default branch, of which there is one.

    Unchanged: `prs.merged_7d` counts merges into any branch.
    """
    scripted.closed.append(closed_pull_request(6, hours=40, baseRefName='next'))
    scripted.paths['PR_6'] = ['c.py', 'd.py', 'e.py']
    driver = Driver.of(scripted)
    assert driver.run().value(M + 'code.files_changed_7d') == 2
    rename(scripted, 'next')
    scripted.hooks['Branch'] = lambda request, variables: scripted.json(
        {'data': {'repository': {'ref': {'name': 'main'}}}}
    )
    for _ in range(2):
        scripted.pass_time(900)
        run = driver.run()
    assert run.value(M + 'code.files_changed_7d') == 3
    assert run.value(M + 'prs.merged_7d') == 2


def rename(github: ScriptedGitHub, name: str) -> None:
    """Give the default branch another name."""
    overview = github.overview

    def renamed():
        found = overview()
        return {**found, 'defaultBranchRef': {**found['defaultBranchRef'], 'name': name}}

    github.overview = renamed  # type: ignore[method-assign]  # a test replaces it


@case('D', 'https://docs.github.com/en/rest/repos/repos#list-repository-activities')
def test_force_pushes_are_asked_for_when_the_branch_has_moved(scripted):
    """Somebody pushes by force once a day.

    GitHub lists the push in the activities, some minutes after the default branch has moved.

    Right: The list is read in the first refresh, and again in the two refreshes after the branch has moved. The push
    that is listed late is counted, and is an event.

    Unchanged: While the branch stays where it is, the list is not asked for, and pushes that are older than 7 days are
    not counted any more.
    """
    driver = Driver.of(scripted)
    driver.run()
    for _ in range(3):
        scripted.pass_time(900)
        driver.run()
    assert scripted.asked().count('activity') == 1
    scripted.commits[0] = commit('d' * 40, hours=1)
    scripted.pass_time(900)
    run = driver.run()
    assert run.value(M + 'commits.force_merge_7d') == 1
    scripted.pushes.insert(0, {'id': 2, 'timestamp': ago(hours=-1), 'actor': None, 'before': '3', 'after': '4'})
    scripted.pass_time(900)
    run = driver.run()
    assert run.value(M + 'commits.force_merge_7d') == 2
    assert len(run.events) == 1
    for _ in range(3):
        scripted.pass_time(900)
        driver.run()
    assert scripted.asked().count('activity') == 3
    scripted.pass_time(7 * 86400 + 3600)
    assert driver.run().value(M + 'commits.force_merge_7d') == 0
    assert scripted.asked().count('activity') == 3
