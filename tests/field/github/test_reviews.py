"""Reviews: more than a list shows, of which GitHub shows only a part, and by deleted accounts."""

from __future__ import annotations

from typing import Any

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import closed_pull_request, open_pull_request
from tests.github.scripted_hooks import with_errors

from ..case import case
from .pulls import account, review

M = 'metta.github.'


def by_bots(number: int, hours: float) -> list[dict[str, Any]]:
    return [review('review-helper', kind='Bot', hours=hours) for _ in range(number)]


def of_reviews(run) -> list[float | None]:
    """Return the figures about the reviews of the only merged pull request."""
    names = ('with_review_comments_pct', 'merged_without_approval_7d', 'approval_to_merge_hours.p50')
    return [run.value(f'{M}prs.{name}') for name in names]


@case('D', 'https://github.com/reviewpad/reviewpad/issues/825')
def test_the_approval_is_the_thirty_first_review(pulls):
    """The thirty-first review approves.

    A pull request gets 20 reviews by a bot and 10 comments by its author, each of which GitHub records as a review.
    Then a colleague approves, two hours before the merge.

    Right: The pull request is reviewed (100 %) and approved (0 without approval), and the time from approval to
    merge is two hours.

    Unchanged: `prs.merged_7d` is 1.
    """
    own = [review('ada', hours=40) for _ in range(10)]
    reviews = [*by_bots(20, hours=45), *own, review('ben', 'APPROVED', hours=32)]
    pulls.closed = [closed_pull_request(7, hours=30, reviews={'nodes': reviews})]
    run = Driver.of(pulls).run()
    assert of_reviews(run) == [100, 0, 2]
    assert run.value(M + 'prs.merged_7d') == 1


@case('H', 'https://docs.github.com/en/graphql/reference/enums#pullrequestreviewdecision')
def test_an_approved_pull_request_does_not_wait(pulls):
    """An approved pull request with many reviews by bots.

    An open pull request has 20 reviews by a bot, and GitHub's review decision is APPROVED. Beside it, another open
    pull request has no review.

    Right: `prs.waiting_for_review` is 1, the other one. A pull request cannot be approved and wait for its first
    review.

    Unchanged: `prs.open` is 2, and `prs.open_by_state` shows one as approved.
    """
    approved = {
        **open_pull_request(11, days=3),
        'reviewDecision': 'APPROVED',
        'reviews': {'nodes': by_bots(20, hours=48)},
    }
    pulls.open = [approved, open_pull_request(12, days=1)]
    run = Driver.of(pulls).run()
    assert (run.value(M + 'prs.waiting_for_review'), run.value(M + 'prs.open')) == (1, 2)
    assert run.value(M + 'prs.oldest_unreviewed_hours') == 24
    assert run.value(M + 'prs.open_by_state', 'draft:false', 'review:approved') == 1


@case('D', 'https://github.com/agynio/gh-pr-review/issues/29')
def test_more_reviews_than_a_page(pulls):
    """More than a hundred reviews.

    A pull request has 130 reviews by a bot, and then an approval by a colleague, an hour before the merge. GitHub
    shows at most 100 reviews at once.

    Right: The second page is read, so the pull request is reviewed and approved, an hour before the merge.

    Unchanged: No further page is asked for of the open pull request, which a colleague has reviewed.
    """
    pulls.open = [{**open_pull_request(11, days=1), 'reviews': {'nodes': [review('ben', 'APPROVED', hours=3)]}}]
    reviews = [*by_bots(130, hours=40), review('ben', 'APPROVED', hours=31)]
    pulls.closed = [closed_pull_request(7, hours=30, reviews={'nodes': reviews})]
    assert of_reviews(Driver.of(pulls).run()) == [100, 0, 1]
    assert pulls.asked().count('MoreReviews') == 1


@case('D', 'https://github.com/owid/etl/pull/6577')
def test_reviews_that_take_several_refreshes(pulls):
    """More reviews than one refresh reads.

    A pull request has 700 reviews by a bot before a colleague approves it, an hour before the merge.

    Right: In the first refresh, the reviews are not all known, so the figures about them are absent. The next
    refresh goes on where the first one ended, and then they are known.

    Unchanged: `prs.merged_7d` is 1 in both, and no refresh sends more than five requests for reviews.
    """
    reviews = [*by_bots(700, hours=40), review('ben', 'APPROVED', hours=31)]
    pulls.closed = [closed_pull_request(7, hours=30, reviews={'nodes': reviews})]
    driver = Driver.of(pulls)
    first = driver.run()
    assert of_reviews(first) == [None, None, None]
    assert pulls.asked().count('MoreReviews') == 5
    pulls.pass_time(900)
    second = driver.run()
    assert of_reviews(second) == [100, 0, 1]
    assert [run.value(M + 'prs.merged_7d') for run in (first, second)] == [1, 1]


@case('E', 'https://github.com/cli/cli/issues/6013')
@pytest.mark.parametrize('part', ['review', 'author of a review', 'reviews'])
def test_a_review_that_github_does_not_show(pulls, part):
    """A review that the token may not see.

    GitHub answers null for one review of a merged pull request, for the author of one, or for all of its reviews,
    and an error names the place. The review may be the approval.

    Right: The figures about reviews and approvals of merged pull requests are absent, and the service check is
    WARNING.

    Unchanged: `prs.merged_7d` is 1, and the time from creation to merge is 24 hours.
    """
    place = ['repository', 'closedPullRequests', 'nodes', 0, 'reviews']
    nodes = {
        'review': ([None], ['nodes', 0]),
        'author of a review': ([{**review('ben', 'APPROVED', hours=31), 'author': None}], ['nodes', 0, 'author']),
        'reviews': (None, []),
    }
    listed, below = nodes[part]
    pulls.closed = [closed_pull_request(7, hours=30, reviews=None if listed is None else {'nodes': listed})]
    page = {'pageInfo': {'hasNextPage': False, 'endCursor': None}, 'nodes': pulls.closed}
    error = {'type': 'FORBIDDEN', 'path': [*place, *below], 'message': 'Resource not accessible by integration'}
    pulls.hooks['ClosedPullRequests'] = with_errors(pulls, {'repository': {'closedPullRequests': page}}, error)
    run = Driver.of(pulls).run()
    assert of_reviews(run) == [None, None, None]
    assert (run.value(M + 'prs.merged_7d'), run.value(M + 'prs.avg_time_to_merge_hours')) == (1, 24)
    assert run.status == 1


@case('A', 'https://github.com/NixOS/nixpkgs/pull/417642')
def test_two_deleted_accounts(pulls):
    """A deleted account approved the pull request of a deleted account.

    GitHub shows both accounts as null. It lets nobody approve a pull request of their own, so the accounts were
    two.

    Right: The pull request is reviewed and approved, two hours before the merge.

    Unchanged: `prs.merged_7d` is 1.
    """
    reviews = {'nodes': [review(None, 'APPROVED', hours=32)]}
    pulls.closed = [closed_pull_request(7, hours=30, author=None, reviews=reviews)]
    run = Driver.of(pulls).run()
    assert of_reviews(run) == [100, 0, 2]
    assert run.value(M + 'prs.merged_7d') == 1


@case('A', 'https://github.com/chdsbd/kodiak/pull/541', guard=True)
@pytest.mark.parametrize(('author', 'share'), [(None, 0), ('ada', 100)])
def test_a_comment_of_a_deleted_account(pulls, author, share):
    """A deleted account commented on a pull request.

    GitHub records replies by the author as reviews with the state COMMENTED, too, and shows a deleted account as
    null.

    Right: The comment is a review by somebody else only when the author of the pull request has an account.

    Unchanged: Nobody approved, so `prs.merged_without_approval_7d` is 1.
    """
    reviews = {'nodes': [review(None, hours=32)]}
    pulls.closed = [closed_pull_request(7, hours=30, author=account(author), reviews=reviews)]
    assert of_reviews(Driver.of(pulls).run()) == [share, 1, None]


@case('B', 'https://docs.github.com/en/graphql/reference/objects#pullrequest')
def test_the_first_approval_is_not_the_latest_opinion(pulls):
    """An approval, a request for changes, and another approval by one reviewer.

    The latest opinion of each reviewer, which GitHub offers as a list of its own, has only the last approval. A
    pull request was created 54 hours ago and merged 30 hours ago. Ben approved 50 hours ago, requested changes 40
    hours ago, and approved again 32 hours ago.

    Right: `prs.first_approval_hours.p50` is 4, and `prs.review_rounds.p50` is 1.

    Unchanged: The time from the last approval to the merge is two hours.
    """
    opinions = (('APPROVED', 50), ('CHANGES_REQUESTED', 40), ('APPROVED', 32))
    reviews = {'nodes': [review('ben', state, hours=hours) for state, hours in opinions]}
    pulls.closed = [closed_pull_request(7, hours=30, reviews=reviews)]
    run = Driver.of(pulls).run()
    assert (run.value(M + 'prs.first_approval_hours.p50'), run.value(M + 'prs.review_rounds.p50')) == (4, 1)
    assert run.value(M + 'prs.approval_to_merge_hours.p50') == 2
