"""Reviews by people other than the author, read in pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.github.people import Bots
from metta_checks.github.reviews import HIDDEN, Reviews

BOTS = Bots.of()
START = datetime(2026, 11, 2, tzinfo=UTC)
ADA = {'__typename': 'User', 'login': 'Ada'}
STATES = ('APPROVED', 'CHANGES_REQUESTED', 'COMMENTED', 'DISMISSED')


def review(login: str | None, hours: float, state: str = 'COMMENTED', kind: str = 'User') -> dict[str, Any]:
    author = None if login is None else {'__typename': kind, 'login': login}
    return {'state': state, 'submittedAt': at(hours).isoformat(), 'author': author}


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def parse(*nodes: Any, author: Any = ADA, merged: float | None = None, **connection: Any) -> Reviews:
    node = {'author': author, 'reviews': {'nodes': list(nodes), **connection}}
    if merged is not None:
        node['mergedAt'] = at(merged).isoformat()
    return Reviews.parse(node, BOTS)


def test_only_other_people_review():
    reviews = parse(
        review('ada', 1),
        review('dependabot[bot]', 2),
        review('linter', 3, kind='Bot'),
        review('claude', 4, 'APPROVED'),
        review('ben', 6, 'APPROVED'),
        review('ben', 5, 'CHANGES_REQUESTED'),
    )
    assert (reviews.first, reviews.first_approval, reviews.last_approval) == (at(5), at(6), at(6))
    assert reviews.change_requests == 1
    assert reviews.is_complete


def test_a_pending_review_has_no_time_and_does_not_count():
    assert parse({**review('ben', 1, 'PENDING'), 'submittedAt': None}).is_reviewed is False


def test_an_approval_after_the_merge_is_not_one_of_the_merge():
    reviews = parse(review('ben', 4, 'APPROVED'), merged=3)
    assert (reviews.first_approval, reviews.last_approval, reviews.is_approved) == (at(4), None, False)


def test_deleted_accounts_are_not_one_person():
    assert parse(review(None, 1, 'APPROVED'), author=None).is_approved
    assert parse(review(None, 1)).is_reviewed
    # This may be a reply by the author, whose account was deleted later.
    assert parse(review(None, 1), author=None).is_reviewed is False


@pytest.mark.parametrize(
    'hidden', [None, {'state': 'APPROVED', 'submittedAt': START.isoformat()}], ids=['review', 'author of a review']
)
def test_a_hidden_review_makes_times_unknown_but_not_that_there_is_one(hidden):
    assert parse(hidden).is_reviewed is None
    reviews = parse(hidden, review('ben', 1, 'APPROVED'))
    assert reviews.is_reviewed
    assert (reviews.first, reviews.is_approved, reviews.is_complete) == (None, None, False)


def test_a_hidden_author_makes_everything_unknown():
    assert Reviews.parse({'reviews': {'nodes': [review('ben', 1)]}}, BOTS) == HIDDEN
    assert Reviews.parse({'author': ADA}, BOTS) == HIDDEN
    assert HIDDEN.is_reviewed is None


@pytest.mark.parametrize(
    ('connection', 'is_complete'),
    [
        ({}, True),
        ({'totalCount': 1}, True),
        ({'totalCount': 2}, False),
        ({'totalCount': 2, 'pageInfo': {'hasNextPage': True, 'endCursor': 'x'}}, False),
        # GitHub counts a pending review that it does not list.
        ({'totalCount': 2, 'pageInfo': {'hasNextPage': False, 'endCursor': 'x'}}, True),
    ],
)
def test_reviews_on_further_pages_are_known_to_be_missing(connection, is_complete):
    reviews = parse(review('dependabot', 1), **connection)
    assert (reviews.is_complete, reviews.is_reviewed) == (is_complete, False if is_complete else None)


rows = st.lists(st.tuples(st.sampled_from(['ada', 'ben', 'renovate', None]), st.sampled_from(STATES)), max_size=12)


@given(rows, st.integers(1, 5))
def test_facts_do_not_depend_on_the_size_of_pages(rows, size):
    nodes = [review(login, hours, state) for hours, (login, state) in enumerate(rows)]
    whole = parse(*nodes, merged=7)
    pages = [nodes[place : place + size] for place in range(0, len(nodes), size)] or [[]]
    found = None
    for number, page in enumerate(pages):
        more = {'hasNextPage': number + 1 < len(pages), 'endCursor': None}
        read = parse(*page, merged=7, totalCount=len(nodes), pageInfo=more)
        found = read if found is None else found.followed_by(read)
        assert found.is_complete == (number + 1 == len(pages))
    assert found == whole
