"""Parsing: nulls, deleted accounts, bots, names of people."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import stored
from metta_checks.core.errors import BadPayload
from metta_checks.github import queries
from metta_checks.github.connections import next_cursor
from metta_checks.github.graphql import graphql_url
from metta_checks.github.people import Bots, person
from metta_checks.github.records import Commit, ForcePush, PullRequest
from metta_checks.github.reviews import Reviews
from metta_checks.github.run_records import Run, workflow_label

BOTS = Bots.of()
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
PULL = {
    'id': 'PR_1',
    'number': 1,
    'state': 'MERGED',
    'createdAt': '2023-11-01T00:00:00Z',
    'updatedAt': '2023-11-03T00:00:00Z',
    'mergedAt': '2023-11-03T00:00:00Z',
    'closedAt': '2023-11-03T00:00:00Z',
    'author': {'__typename': 'User', 'login': 'Ada'},
    'reviews': {'nodes': []},
    'timelineItems': {'nodes': []},
}
RUN = {'id': 1, 'created_at': '2023-11-01T00:00:00Z', 'status': 'completed', 'conclusion': 'success'}


def review(login: str | None, at: str | None, state: str = 'COMMENTED', kind: str = 'User'):
    author = None if login is None else {'__typename': kind, 'login': login}
    return {'state': state, 'submittedAt': at, 'author': author}


def reviewed(*reviews, **fields):
    return PullRequest.parse({**PULL, 'reviews': {'nodes': list(reviews)}, **fields}, BOTS)


class TestPullRequest:
    @pytest.mark.parametrize('missing', ['createdAt', 'updatedAt'])
    def test_a_missing_required_field_is_an_error(self, missing):
        with pytest.raises(BadPayload, match=missing):
            PullRequest.parse({**PULL, missing: None}, BOTS)

    def test_nulls_become_explicit(self):
        nulls = {'reviews': None, 'labels': {'nodes': [None]}, 'additions': None, 'reviewDecision': None}
        pull = PullRequest.parse({**PULL, **nulls}, BOTS)
        assert (pull.size, pull.comments, pull.checks, pull.decision) == (None, None, None, 'none')
        assert pull.reviews.is_reviewed is None

    def test_what_is_missing_is_unknown(self):
        pull = PullRequest.parse({key: value for key, value in PULL.items() if key != 'author'}, BOTS)
        assert (pull.decision, pull.by_bot, pull.reviews.is_reviewed) == (None, None, None)

    def test_survives_json(self):
        pull = reviewed(review('ben', '2023-11-02T00:00:00Z'), labels={'nodes': [{'name': 'Bug'}]})
        assert stored.load(PullRequest, json.loads(stored.dumps(pull))) == pull
        assert pull.labels == ('bug',)


class TestReadyAt:
    def ready_at(self, events, **fields):
        items = [{'__typename': 'ReadyForReviewEvent', 'createdAt': event} for event in events]
        return reviewed(timelineItems={'nodes': items}, **fields).ready

    def test_the_last_event_before_the_first_review(self):
        events = ['2023-11-01T01:00:00Z', '2023-11-01T02:00:00Z', '2023-11-01T04:00:00Z']
        reviews = {'nodes': [review('ben', '2023-11-01T03:00:00Z')]}
        assert self.ready_at(events, reviews=reviews) == datetime(2023, 11, 1, 2, tzinfo=UTC)

    def test_without_review_the_last_before_the_merge_or_the_last(self):
        events = ['2023-11-01T01:00:00Z', '2023-11-10T00:00:00Z']
        assert self.ready_at(events) == datetime(2023, 11, 1, 1, tzinfo=UTC)
        assert self.ready_at(events, mergedAt=None) == datetime(2023, 11, 10, tzinfo=UTC)

    def test_without_event_the_creation(self):
        assert self.ready_at([]) == datetime(2023, 11, 1, tzinfo=UTC)

    def test_the_creation_is_not_the_answer_when_earlier_events_are_unknown(self):
        later = {'pageInfo': {'hasPreviousPage': True}, 'nodes': []}
        assert reviewed(timelineItems=later).ready is None
        assert reviewed(timelineItems=None).ready is None

    @given(st.lists(st.floats(0, 300)), st.floats(0, 300))
    def test_never_after_the_first_review(self, events, first):
        moments = tuple(NOW + timedelta(hours=event) for event in events)
        limit = NOW + timedelta(hours=first)
        pull = reviewed()._replace(created=NOW, ready_events=moments, reviews=Reviews(limit, has_any=True))
        assert pull.ready is not None
        assert pull.ready <= limit


class TestPerson:
    @pytest.mark.parametrize(
        ('author', 'expected'),
        [
            ({'user': {'login': 'Ada'}, 'email': 'a@x.org', 'name': 'Ada L'}, 'ada'),
            ({'user': None, 'email': '123+Ada@users.noreply.github.com', 'name': 'Ada'}, 'ada'),
            ({'user': None, 'email': 'ada@users.noreply.github.com', 'name': 'Ada'}, 'ada'),
            ({'user': None, 'email': 'A@X.org', 'name': 'Ada'}, 'a@x.org'),
            ({'user': None, 'email': None, 'name': 'Ada L'}, 'ada l'),
            ({'user': None, 'email': None, 'name': None}, None),
            ({'user': {'login': 'renovate[bot]'}, 'email': 'x@y'}, None),
            ({'user': None, 'email': '49+dependabot[bot]@users.noreply.github.com', 'name': 'x'}, None),
            ({'user': None, 'email': 'noreply@anthropic.com', 'name': 'Claude'}, None),
            ({'user': {'login': 'copilot'}, 'email': 'c@github.com'}, None),
            ({'user': {'login': 'actions-user'}, 'email': 'action@github.com', 'name': 'GitHub Action'}, None),
            ({'user': {'login': 'someone'}, 'email': 'claude-code@anthropic.com', 'name': 'Claude'}, None),
            ({'user': {'login': 'nora'}, 'email': 'nora@x.org', 'name': 'Nora (aider)'}, 'nora'),
            ({'user': None, 'email': 'noreply@aider.chat', 'name': 'aider (model)'}, None),
            ({'user': {'login': 'talbot'}, 'email': 'abbott@robot.example', 'name': 'Abbott'}, 'talbot'),
        ],
    )
    def test_names(self, author, expected):
        assert person(author, BOTS) == expected


class TestRun:
    def test_null_name_and_branch(self):
        run = Run.parse({**RUN, 'name': None, 'path': '.github/workflows/ci.yml@refs/heads/x', 'head_branch': None})
        assert (run.workflow, run.branch, run.own) == ('ci.yml', '', False)
        assert workflow_label(None, None) == 'unknown'

    @pytest.mark.parametrize(
        ('event', 'head', 'own'),
        [
            ('push', {'id': 1}, True),
            ('schedule', {'id': 1}, True),
            ('pull_request', {'id': 1}, False),
            ('pull_request_target', {'id': 1}, False),
            ('push', {'id': 2}, False),
            ('push', None, False),
        ],
    )
    def test_runs_of_the_repository_itself(self, event, head, own):
        assert Run.parse({**RUN, 'event': event, 'repository': {'id': 1}, 'head_repository': head}).own is own

    def test_a_conclusion_counts_only_when_completed(self):
        assert Run.parse({**RUN, 'status': 'in_progress'}).conclusion == ''

    def test_time_is_never_negative(self):
        late = {**RUN, 'run_started_at': '2023-11-01T00:10:00Z', 'updated_at': '2023-11-01T00:00:00Z'}
        assert Run.parse(late).run_time == 0

    def test_survives_json(self):
        run = Run.parse(RUN)
        assert stored.load(Run, json.loads(stored.dumps(run))) == run


def test_commit_survives_json():
    commit = Commit.parse(
        {
            'oid': 'a',
            'committedDate': '2023-11-01T00:00:00Z',
            'messageHeadline': 'x',
            'additions': 1,
            'deletions': 2,
            'changedFilesIfAvailable': None,
            'parents': {'totalCount': 1},
            'authors': {'nodes': [{'user': {'login': 'b'}}, {'user': {'login': 'a'}}]},
        },
        BOTS,
    )
    assert commit.people == ('a', 'b')
    assert stored.load(Commit, json.loads(stored.dumps(commit))) == commit


def test_a_force_push_without_a_time_is_an_error():
    with pytest.raises(BadPayload, match='timestamp'):
        ForcePush.parse({'id': 1, 'timestamp': None})


@pytest.mark.parametrize(
    ('api', 'expected'),
    [
        ('https://api.github.com', 'https://api.github.com/graphql'),
        ('https://github.example/api/v3/', 'https://github.example/api/graphql'),
        ('https://api.acme.ghe.com', 'https://api.acme.ghe.com/graphql'),
    ],
)
def test_graphql_url(api, expected):
    assert graphql_url(api) == expected


def test_unknown_fields_can_be_left_out_of_a_query():
    shorter = queries.without(queries.now(), ['mergeQueue', 'isDisabled'])
    assert 'mergeQueue' not in shorter
    assert 'enqueuedAt' not in shorter
    assert 'isDisabled' not in shorter
    assert 'releases(first: 50' in shorter
    assert shorter.count('{') == shorter.count('}')
    assert queries.without(queries.now(), []).split() == queries.now().split()


@pytest.mark.parametrize('value', ['true', [True], 2])
def test_a_flag_of_another_type_is_an_error_not_the_last_page(value):
    with pytest.raises(BadPayload, match='hasNextPage'):
        next_cursor({'files': {'pageInfo': {'hasNextPage': value, 'endCursor': 'x'}}}, 'files')
    with pytest.raises(BadPayload, match='isDraft'):
        PullRequest.parse({**PULL, 'isDraft': value}, BOTS)
