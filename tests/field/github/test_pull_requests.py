"""Pull requests: drafts, checks after the merge, bots, and parts that GitHub does not show."""

from __future__ import annotations

from typing import Any

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import ago, closed_pull_request, commit, connection, open_pull_request
from tests.github.scripted_hooks import with_errors

from ..case import case
from .pulls import account, event

M = 'metta.github.'
FORBIDDEN = {'type': 'FORBIDDEN', 'message': 'Resource not accessible by integration'}


def checks(state: str | None) -> dict:
    return {'nodes': [{'commit': {'statusCheckRollup': None if state is None else {'state': state}}}]}


def by_type(run, name: str) -> list[float | None]:
    return [run.value(f'{M}{name}', f'author_type:{kind}') for kind in ('human', 'bot')]


@case('D', 'https://docs.github.com/en/graphql/reference/objects#readyforreviewevent')
def test_ready_after_many_requests_for_review(pulls):
    """A draft that asked many people for reviews.

    A draft was created 720 hours ago. Reviews were requested 25 times, then it was marked as ready for review, and
    14 hours later it was merged, 30 hours ago. Nobody reviewed it.

    Right: `prs.cycle_time_hours` is 14: the draft phase does not count.

    Unchanged: `prs.avg_time_to_merge_hours`, which begins with the creation, is 690.
    """
    requests = [event('ReviewRequested', hours=700 - hour) for hour in range(25)]
    events = [*requests, event('ReadyForReview', hours=44)]
    drafted = {'createdAt': ago(hours=720), 'reviews': {'nodes': []}, 'timelineItems': {'nodes': events}}
    pulls.closed = [closed_pull_request(7, hours=30, **drafted)]
    run = Driver.of(pulls).run()
    assert run.value(M + 'prs.cycle_time_hours') == 14
    assert run.value(M + 'prs.avg_time_to_merge_hours') == 690


@case('D', 'https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api')
def test_ready_more_often_than_github_shows(pulls):
    """A pull request that left draft more often than one page shows.

    A script turned a pull request into a draft and back 60 times after its first review. GitHub shows the last 50
    of these events, so the time at which it became ready for its first review is not known.

    Right: `prs.cycle_time_hours` is absent.

    Unchanged: `prs.merged_7d` is 1.
    """
    events = [event('ReadyForReview', hours=35, minutes=-minute) for minute in range(60)]
    pulls.closed = [closed_pull_request(7, hours=30, timelineItems={'nodes': events})]
    run = Driver.of(pulls).run()
    assert (run.value(M + 'prs.cycle_time_hours'), run.value(M + 'prs.merged_7d')) == (None, 1)


@case('B', 'https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository')
@pytest.mark.parametrize('changed', [False, True], ids=['alone', 'beside another merge'])
def test_checks_that_fail_after_the_merge(pulls, changed):
    """Checks that fail after the merge.

    A pull request was merged an hour ago while its checks were running. They fail now, which does not change the
    pull request's time of the last change.

    Right: `prs.merged_red_7d` is 1 in the next refresh, as in the first refresh of another instance.

    Unchanged: `prs.merged_7d` counts each merge once.
    """
    pulls.closed = [closed_pull_request(7, hours=1, head=checks('PENDING'))]
    driver = Driver.of(pulls)
    assert driver.run().value(M + 'prs.merged_red_7d') == 0
    pulls.closed = [closed_pull_request(7, hours=1, head=checks('FAILURE'))]
    if changed:
        pulls.closed.insert(0, closed_pull_request(8, hours=0.1, head=checks('SUCCESS')))
        pulls.paths['PR_8'] = []
    pulls.pass_time(900)
    warm, cold = driver.run(), Driver.of(pulls, tags=['another:instance']).run()
    assert [run.value(M + 'prs.merged_red_7d') for run in (warm, cold)] == [1, 1]
    assert [run.value(M + 'prs.merged_7d') for run in (warm, cold)] == [1 + changed, 1 + changed]


@case('E', 'https://github.com/jasperapp/jasper/issues/187')
@pytest.mark.parametrize('state', ['open', 'closed'])
def test_a_pull_request_that_github_does_not_show(pulls, state):
    """One pull request that the token may not see.

    GitHub answers null in place of one of two pull requests in a list, and an error names it.

    Right: With an open one, the figures about open pull requests are absent, but for their number: GitHub counts
    it. With a merged one, the figures about merged ones are absent.

    Unchanged: The figures about the other list are there, and so are those of other blocks.
    """
    pulls.open = [open_pull_request(11, days=1)]
    pulls.paths['PR_7'] = []
    if state == 'open':
        listed = {**connection(pulls.open), 'totalCount': 2, 'nodes': [None, *pulls.open]}
        repository = {**pulls.overview(), 'openPullRequests': listed}
        path = ['repository', 'openPullRequests', 'nodes', 0]
        pulls.hooks['Now'] = with_errors(pulls, {'repository': repository}, {**FORBIDDEN, 'path': path})
    else:
        listed = {**connection(pulls.closed), 'nodes': [None, *pulls.closed]}
        path = ['repository', 'closedPullRequests', 'nodes', 0]
        data = {'repository': {'closedPullRequests': listed}}
        pulls.hooks['ClosedPullRequests'] = with_errors(pulls, data, {**FORBIDDEN, 'path': path})
    run = Driver.of(pulls).run()
    names = ('prs.open', 'prs.waiting_for_review', 'prs.merged_7d', 'prs.opened_7d', 'commits.total_7d')
    values = {'open': [2, None, 1, None, 2], 'closed': [1, 1, None, None, 2]}
    assert [run.value(M + name) for name in names] == values[state]
    assert run.status == 1


@case('E', 'https://github.com/cli/cli/issues/6013')
@pytest.mark.parametrize('exclude_bots', [False, True])
def test_an_author_that_github_does_not_show(pulls, exclude_bots):
    """An author hidden from the token.

    GitHub answers null for the author of one of two open pull requests, and an error names it. A deleted account
    would be null without an error.

    Right: `prs.open_by_author` is absent: nobody knows whether the author is a bot. With option `exclude_bots`,
    nobody knows whether the pull request counts, so `prs.open` is absent, too.

    Unchanged: Without that option, `prs.open` is 2.
    """
    pulls.open = [{**open_pull_request(11, days=1), 'author': None}, open_pull_request(12, days=1)]
    path = ['repository', 'openPullRequests', 'nodes', 0, 'author']
    data = {'repository': pulls.overview()}
    pulls.hooks['Now'] = with_errors(pulls, data, {**FORBIDDEN, 'path': path})
    run = Driver.of(pulls, exclude_bots=exclude_bots).run()
    assert by_type(run, 'prs.open_by_author') == [None, None]
    assert run.value(M + 'prs.open') == (None if exclude_bots else 2)
    assert run.value(M + 'prs.merged_7d') == 1


@case('F', 'https://github.com/apache/devlake/issues/8381')
def test_bots_dominate(pulls):
    """Twenty pull requests by Dependabot, and two by people.

    Dependabot's pull requests are merged an hour after their creation, those of people after 24 hours.

    Right: The figures by type of author show 20 merges by bots with a cycle time of one hour, and 2 by people with
    24. With option `exclude_bots`, only people count: `prs.merged_7d` is 2, and `prs.cycle_time_hours` is 24.

    Unchanged: Without the option, `prs.merged_7d` is 22.
    """
    bot: dict[str, Any] = {'author': account('dependabot', 'Bot'), 'createdAt': ago(hours=31), 'reviews': {'nodes': []}}
    pulls.closed = [closed_pull_request(number, hours=30, **bot) for number in range(20, 40)]
    pulls.closed += [closed_pull_request(number, hours=30, reviews={'nodes': []}) for number in (7, 8)]
    pulls.open = [{**open_pull_request(11, days=1), 'author': bot['author']}]
    pulls.paths = {pull['id']: [] for pull in pulls.closed}
    run = Driver.of(pulls).run()
    assert by_type(run, 'prs.merged_by_author_7d') == [2, 20]
    assert by_type(run, 'prs.cycle_time_by_author_hours.p50') == [24, 1]
    assert by_type(run, 'prs.open_by_author') == [0, 1]
    assert run.value(M + 'prs.merged_7d') == 22
    people = Driver.of(pulls, exclude_bots=True).run()
    names = ('prs.merged_7d', 'prs.cycle_time_hours', 'prs.open', 'prs.opened_7d')
    assert [people.value(M + name) for name in names] == [2, 24, 0, 2]
    assert by_type(people, 'prs.merged_by_author_7d') == [2, None]


@case('F', 'https://github.com/bors-ng/bors-ng/issues/1217')
@pytest.mark.parametrize(('patterns', 'merged', 'closed'), [(None, 0, 2), ([r'\bresolves pull (\d+)$'], 1, 1)])
def test_a_merge_bot_closes(pulls, patterns, merged, closed):
    """A bot that merges by a commit of its own and closes the pull request.

    GitHub shows both pull requests as CLOSED. A commit of the default branch says in its message that it resolves
    pull 7. The other one was given up.

    Right: With option `merge_commit_patterns`, pull request 7 counts as merged when it was closed, 24 hours after
    its creation, and one was closed without being merged.

    Unchanged: Without the option, both were closed without being merged.
    """
    given_up = {'state': 'CLOSED', 'mergedAt': None}
    pulls.closed = [closed_pull_request(number, hours=30, **given_up) for number in (7, 8)]
    message = 'Speed up the loader\n\nThis resolves pull 7\nReviewed by ben'
    pulls.commits = [commit('a' * 40, hours=31, message=message)]
    driver = Driver.of(pulls, **({} if patterns is None else {'merge_commit_patterns': patterns}))
    run = driver.run()
    assert run.value(M + 'prs.merged_7d') == merged
    assert run.value(M + 'prs.closed_without_merge_7d') == closed
    assert run.value(M + 'prs.avg_time_to_merge_hours') == (24 if merged else None)
    pulls.pass_time(900)
    again = driver.run()
    assert again.value(M + 'prs.merged_7d') == merged
    assert again.value(M + 'prs.merged') == 0, 'it is counted once'


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
def test_a_changed_file_that_github_does_not_show(pulls):
    """A null among the changed files of a pull request.

    Once, GitHub answers null in place of one of two paths, with an error that names no place.

    Right: `code.files_changed_7d` is absent, the list is asked for again, and then the figure is 2.

    Unchanged: `prs.merged_7d` is 1 in both refreshes.
    """
    files: dict[str, Any] = {'__typename': 'PullRequest', 'number': 7, 'files': connection([{'path': 'a.py'}])}
    files['files']['nodes'].append(None)
    pulls.hooks['Files'] = with_errors(pulls, {'nodes': [files]}, {'message': 'Something went wrong'})
    driver = Driver.of(pulls)
    first = driver.run()
    del pulls.hooks['Files']
    pulls.pass_time(900)
    second = driver.run()
    assert [run.value(M + 'code.files_changed_7d') for run in (first, second)] == [None, 2]
    assert [run.value(M + 'prs.merged_7d') for run in (first, second)] == [1, 1]


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
@pytest.mark.parametrize('first', [[None], [{'commit': None}]], ids=['null in the list', 'null commit'])
def test_a_first_commit_that_github_does_not_show(pulls, first):
    """A null in place of the first commit.

    Of two merged pull requests, GitHub answers null for the first commit of one, with an error that names no place.

    Right: `prs.coding_time_hours.p50` is absent, not that of the other one.

    Unchanged: `prs.merged_7d` is 2.
    """
    pulls.closed = [closed_pull_request(7, hours=30), closed_pull_request(8, hours=40, first={'nodes': first})]
    data = {'repository': {'closedPullRequests': connection(pulls.closed)}}
    pulls.hooks['ClosedPullRequests'] = with_errors(pulls, data, {'message': 'Something went wrong'})
    run = Driver.of(pulls).run()
    assert (run.value(M + 'prs.coding_time_hours.p50'), run.value(M + 'prs.merged_7d')) == (None, 2)


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
@pytest.mark.parametrize(
    'first',
    [
        None,
        {'nodes': None},
        {'nodes': [{'commit': {'authoredDate': None}}]},
    ],
)
def test_commits_that_github_does_not_show(pulls, first):
    """The commits of a merged pull request are null.

    Two pull requests were merged. GitHub answers null for the commits of one of them, or for the date of its first
    commit, beside an error without a path.

    Right: `prs.coding_time_hours` is absent: the time of one pull request is not that of both.

    Unchanged: `prs.merged_7d` is 2.
    """
    pulls.closed = [closed_pull_request(7, hours=30), closed_pull_request(8, hours=20, first=first)]
    data = {'repository': {'closedPullRequests': connection(pulls.closed)}}
    pulls.hooks['ClosedPullRequests'] = with_errors(pulls, data, {'message': 'Something went wrong'})
    run = Driver.of(pulls).run()
    assert run.value(M + 'prs.coding_time_hours.p50') is None
    assert run.value(M + 'prs.merged_7d') == 2


@case('C', 'https://docs.github.com/en/graphql/reference/objects#pullrequest', guard=True)
def test_a_pull_request_without_commits(pulls):
    """A merged pull request without commits.

    Two pull requests were merged. The list of the commits of one of them is empty.

    Right: `prs.coding_time_hours` is that of the other one: there is no coding time without a commit.

    Unchanged: `prs.merged_7d` is 2.
    """
    pulls.closed = [closed_pull_request(7, hours=30), closed_pull_request(8, hours=20, first={'nodes': []})]
    run = Driver.of(pulls).run()
    assert run.value(M + 'prs.coding_time_hours.p50') is not None
    assert run.value(M + 'prs.merged_7d') == 2


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
@pytest.mark.parametrize('head', [None, {'nodes': [None]}])
def test_a_last_commit_that_github_does_not_show(pulls, head):
    """The last commit of a merged pull request is null.

    GitHub answers null for the last commit of a merged pull request, beside an error without a path, so its checks
    are not known.

    Right: `prs.merged_red_7d` is absent, not 0.

    Unchanged: `prs.merged_7d` is 1.
    """
    pulls.closed = [closed_pull_request(7, hours=30, head=head)]
    run = Driver.of(pulls).run()
    assert (run.value(M + 'prs.merged_red_7d'), run.value(M + 'prs.merged_7d')) == (None, 1)


@case('C', 'https://github.com/octokit/graphql.js/issues/14')
@pytest.mark.parametrize('labels', [None, {'nodes': [None]}])
def test_labels_that_github_does_not_show(pulls, labels):
    """The labels of a merged pull request are null.

    Option `hotfix_labels` is set. GitHub answers null for the labels of one of two merged pull requests, beside an
    error without a path.

    Right: `prs.hotfix_merged_7d` is absent, not the number among the others.

    Unchanged: `prs.merged_7d` is 2.
    """
    pulls.closed = [
        closed_pull_request(7, hours=30, labels={'nodes': [{'name': 'hotfix'}]}),
        closed_pull_request(8, hours=40, labels=labels),
    ]
    data = {'repository': {'closedPullRequests': connection(pulls.closed)}}
    pulls.hooks['ClosedPullRequests'] = with_errors(pulls, data, {'message': 'Something went wrong'})
    run = Driver.of(pulls, hotfix_labels=['hotfix']).run()
    assert (run.value(M + 'prs.hotfix_merged_7d'), run.value(M + 'prs.merged_7d')) == (None, 2)


@case('H', 'https://github.com/GitHawkApp/GitHawk/issues/2750')
def test_a_pull_request_in_both_lists(pulls):
    """A merged pull request that the list of open ones still shows.

    A pull request was merged nine minutes ago. GitHub's index of open pull requests lags behind, so that it is in the
    list of open ones and in that of closed ones. In the next refresh it is in the second list only.

    Right: It is merged: its row in the list of closed ones has the later change. `prs.open` is 0 and `prs.merged_7d` is
    1 in both refreshes, as in the first refresh of another instance. The count `prs.merged` is 1, once.

    Unchanged: `prs.opened_7d` is 1.
    """
    waiting = open_pull_request(11, days=1)
    old = closed_pull_request(7, hours=400)
    pulls.open, pulls.closed = [waiting], [old]
    driver = Driver.of(pulls)
    driver.run()
    pulls.pass_time(900)
    pulls.closed = [closed_pull_request(11, hours=-0.1), old]
    pulls.paths['PR_11'] = []
    names = ('prs.open', 'prs.merged_7d', 'prs.opened_7d', 'prs.merged')
    both = driver.run()
    pulls.open = []
    pulls.pass_time(900)
    warm, cold = driver.run(), Driver.of(pulls, tags=['another:instance']).run()
    assert [[run.value(M + name) for name in names] for run in (both, warm, cold)] == [
        [0, 1, 1, 1],
        [0, 1, 1, 0],
        [0, 1, 1, None],
    ]


@case(
    'H',
    'https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/incorporating-changes-from-a-pull-request',
    guard=True,
)
def test_a_pull_request_that_is_opened_again(pulls):
    """A closed pull request that is opened again while the list of closed ones still shows it.

    A pull request was closed an hour ago and opened again ten minutes ago. The list of closed ones lags behind.

    Right: `prs.open` is 1 and `prs.closed_without_merge_7d` is 0: its row in the list of open ones has the later
    change.

    Unchanged: `prs.opened_7d` is 1: it counts once.
    """
    closed = closed_pull_request(11, hours=1, state='CLOSED', mergedAt=None)
    pulls.open, pulls.closed = [{**open_pull_request(11, hours=25), 'updatedAt': ago(hours=0.15)}], [closed]
    run = Driver.of(pulls).run()
    names = ('prs.open', 'prs.closed_without_merge_7d', 'prs.opened_7d')
    assert [run.value(M + name) for name in names] == [1, 0, 1]


@case('C', 'https://github.com/shiftkey/desktop/issues/30')
def test_a_merged_pull_request_that_is_listed_late(pulls):
    """A merged pull request that is listed later than one merged after it.

    Two pull requests were merged within a minute. In the first refresh after that, GitHub's lists lag behind: the one
    merged first is still open, the other one is closed. In the next refresh, the one merged first is closed, too.

    Right: `prs.merged_7d` is 2 in the next refresh, as in the first refresh of another instance, and `prs.merged` is 1
    in each of the two.

    Unchanged: `prs.opened_7d` is 2.
    """
    old = closed_pull_request(7, hours=400)
    pulls.open, pulls.closed = [open_pull_request(11, days=1), open_pull_request(12, days=1)], [old]
    pulls.paths.update(PR_11=[], PR_12=[])
    driver = Driver.of(pulls)
    driver.run()
    pulls.pass_time(900)
    pulls.open, pulls.closed = pulls.open[:1], [closed_pull_request(12, hours=-0.21), old]
    late = driver.run()
    pulls.pass_time(900)
    pulls.open, pulls.closed = [], [pulls.closed[0], closed_pull_request(11, hours=-0.2), old]
    warm, cold = driver.run(), Driver.of(pulls, tags=['another:instance']).run()
    names = ('prs.open', 'prs.merged_7d', 'prs.opened_7d', 'prs.merged')
    assert [[run.value(M + name) for name in names] for run in (late, warm, cold)] == [
        [1, 1, 2, 1],
        [0, 2, 2, 1],
        [0, 2, 2, None],
    ]
