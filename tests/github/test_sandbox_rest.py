"""The sandbox's REST: pages, filters, caps, limits and refusals are GitHub's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth, Github
from requests import Response

from sandbox import Running
from sandbox.github.access import APP_ID, INSTALLATION_ID
from sandbox.github.service import GitHubService

from .served import github_service

pytestmark = pytest.mark.integration

RUNS = '/repos/metta-ai/metta/actions/runs'
ACTIVITY = '/repos/metta-ai/metta/activity'
TOKENS = f'/app/installations/{INSTALLATION_ID}/access_tokens'


@pytest.fixture(scope='module')
def shared() -> Iterator[GitHubService]:
    """Serve the large scenario, which no test changes."""
    service = github_service()
    with Running(service):
        yield service


@pytest.fixture
def small(serve) -> GitHubService:
    """Serve a small scenario, which tests may change."""
    return serve('github', scale=0.02)


def get(service: GitHubService, path: str, headers: dict[str, str] | None = None, **params: Any) -> Response:
    headers = {'Authorization': f'Bearer {service.token}', **(headers or {})}
    return requests.get(service.api_url + path, headers=headers, params=params, timeout=30, allow_redirects=False)


def stamp(moment) -> str:
    return f'{moment:%Y-%m-%dT%H:%M:%SZ}'


# Workflow runs.


def test_an_unfiltered_list_ends_at_40_000(shared):
    """Mistake 1: a filter sent in the wrong place pages through the whole history, and fails."""
    page = get(shared, RUNS, per_page=100, page=400)
    assert page.status_code == 200
    assert page.json()['total_count'] == 60_000
    assert len(page.json()['workflow_runs']) == 100
    beyond = get(shared, RUNS, per_page=100, page=401)
    assert beyond.status_code == 422
    # A header is not a filter.
    week_ago = stamp(shared.clock.now() - timedelta(days=7))
    assert get(shared, RUNS, {'created_after': week_ago}).json()['total_count'] == 60_000


def test_any_filter_caps_the_list_at_1_000(shared):
    created = f'>={stamp(shared.clock.now() - timedelta(days=7))}'
    first = get(shared, RUNS, created=created, per_page=100)
    assert first.json()['total_count'] == 2_000
    assert first.links['last']['url'].endswith('page=10')
    assert len(get(shared, RUNS, created=created, per_page=100, page=10).json()['workflow_runs']) == 100
    assert get(shared, RUNS, created=created, per_page=100, page=11).json()['workflow_runs'] == []
    # Any filter, even one that leaves no run out.
    assert get(shared, RUNS, created='>=2000-01-01', per_page=100, page=11).json()['workflow_runs'] == []


def test_counts_may_be_capped_too(serve):
    service = serve('github', scale=0.02, runs_in_window=1_200, capped_totals=True)
    created = f'>={stamp(service.clock.now() - timedelta(days=7))}'
    assert get(service, RUNS, created=created).json()['total_count'] == 1_000
    service.capped_totals = False
    assert get(service, RUNS, created=created).json()['total_count'] == 1_200


def test_ranges_of_created_are_closed(shared):
    runs = shared.metta.runs.recent
    newer, older = runs[20], runs[60]
    between = [run for run in runs if older.created_at <= run.created_at <= newer.created_at]
    span = f'{stamp(older.created_at)}..{stamp(newer.created_at)}'
    answer = get(shared, RUNS, created=span, per_page=100).json()
    assert answer['total_count'] == len(between)
    assert [row['id'] for row in answer['workflow_runs']] == [run.id for run in between]
    assert get(shared, RUNS, created=f'>{stamp(newer.created_at)}').json()['total_count'] < 21
    everything = get(shared, RUNS, created=f'*..{stamp(newer.created_at)}').json()['total_count']
    assert everything == 60_000 - sum(run.created_at > newer.created_at for run in runs)


def test_a_bare_date_means_equality(shared):
    """Mistake 2: a date without an operator finds only the runs of that instant, of which there are none."""
    day = f'{shared.clock.now() - timedelta(days=3):%Y-%m-%d}'
    assert get(shared, RUNS, created=day).json()['total_count'] == 0
    exact = shared.metta.runs.recent[5].created_at
    assert get(shared, RUNS, created=stamp(exact)).json()['total_count'] >= 1


def test_other_filters_of_runs(shared):
    week = [run for run in shared.metta.runs.recent if run.created_at >= shared.clock.now() - timedelta(days=7)]
    created = f'>={stamp(shared.clock.now() - timedelta(days=7))}'
    failed = get(shared, RUNS, created=created, status='failure').json()
    assert failed['total_count'] == sum(run.conclusion == 'failure' for run in week)
    main = get(shared, RUNS, created=created, branch='main', event='push').json()
    assert main['total_count'] == sum(run.head_branch == 'main' and run.event == 'push' for run in week)
    assert get(shared, RUNS, created='yesterday').status_code == 422


def test_runs_are_as_large_as_githubs_and_have_nulls(shared):
    created = f'>={stamp(shared.clock.now() - timedelta(days=7))}'
    rows = []
    for number in range(1, 11):
        page = get(shared, RUNS, created=created, per_page=100, page=number)
        assert 10_000 < len(page.content) / 100 < 14_000
        rows += page.json()['workflow_runs']
    for field in ('name', 'head_branch', 'head_repository', 'actor', 'conclusion'):
        assert any(row[field] is None for row in rows), field
    own = shared.metta.database_id
    # A fork's branch may have the name of the default branch.
    assert any(
        row['head_branch'] == 'main' and row['head_repository'] and row['head_repository']['id'] != own for row in rows
    )


def test_runs_need_not_come_in_order(small):
    small.swapped_runs = True
    rows = get(small, RUNS, per_page=10).json()['workflow_runs']
    created = [row['created_at'] for row in rows]
    assert created != sorted(created, reverse=True)


def test_the_past_is_made_on_demand(shared):
    last = get(shared, RUNS, per_page=100, page=400).json()['workflow_runs'][-1]
    assert last['id'] == shared.metta.runs[39_999].id
    assert len(shared.metta.runs.recent) == 2_000


# Pages, addresses, caches.


def test_pages_hold_at_most_100_and_link_to_each_other(shared):
    first = get(shared, '/repos/metta-ai/metta/branches', per_page=500)
    assert len(first.json()) == 100
    names = [row['name'] for row in first.json()]
    assert 'prev' not in first.links
    url: str | None = first.links['next']['url']
    while url:
        page = requests.get(url, headers={'Authorization': f'Bearer {shared.token}'}, timeout=30)
        names += [row['name'] for row in page.json()]
        url = page.links.get('next', {}).get('url')
    assert names == shared.metta.branches
    assert len(names) == 1_158


def test_activity_is_filtered_and_paged_by_cursor(shared):
    force = get(shared, ACTIVITY, activity_type='force_push', ref='refs/heads/main', time_period='week').json()
    assert len(force) == 2
    everywhere = get(shared, ACTIVITY, activity_type='force_push', time_period='week').json()
    assert len(everywhere) > len(force)
    older = get(shared, ACTIVITY, activity_type='force_push', ref='refs/heads/main', time_period='quarter').json()
    assert len(older) == 4
    page = get(shared, ACTIVITY, per_page=100)
    following = requests.get(
        page.links['next']['url'], headers={'Authorization': f'Bearer {shared.token}'}, timeout=30
    ).json()
    ids = [row['id'] for row in page.json() + following]
    assert ids == [push.id for push in shared.metta.activity][: len(ids)]
    assert get(shared, ACTIVITY, time_period='fortnight').status_code == 422


def test_lists_of_pull_requests_lack_what_single_ones_have(shared):
    """Mistake 5: `comments` is not a field of list items."""
    (row, *_) = get(shared, '/repos/metta-ai/metta/pulls', state='all', per_page=1).json()
    alone = get(shared, f'/repos/metta-ai/metta/pulls/{row["number"]}').json()
    assert set(alone) - set(row) == {
        'additions', 'changed_files', 'comments', 'commits', 'deletions', 'merged', 'review_comments',
    }  # fmt: skip


def test_a_known_etag_gives_no_body_and_costs_no_limit(small):
    first = get(small, ACTIVITY)
    used = small.bucket('core').used
    again = get(small, ACTIVITY, {'If-None-Match': first.headers['ETag']})
    assert (again.status_code, again.content) == (304, b'')
    assert small.bucket('core').used == used
    assert get(small, ACTIVITY, {'If-None-Match': 'W/"other"'}).status_code == 200


def test_a_renamed_repository_redirects(shared):
    old = get(shared, '/repos/metta-ai/metta-legacy/actions/runs', per_page=1, created='>=2026-01-01')
    assert old.status_code == 301
    followed = requests.get(
        old.headers['Location'], headers={'Authorization': f'Bearer {shared.token}'}, timeout=30
    ).json()
    assert len(followed['workflow_runs']) == 1
    assert followed['workflow_runs'][0]['repository']['full_name'] == 'metta-ai/metta'
    home = get(shared, '/repos/metta-ai/metta-legacy')
    location = requests.get(home.headers['Location'], headers={'Authorization': f'Bearer {shared.token}'}, timeout=30)
    assert location.json()['full_name'] == 'metta-ai/metta'


@pytest.mark.parametrize('path', ['/repos/metta-ai/nothing', '/repos/metta-ai/metta/shoes', '/nothing'])
def test_unknown_things_are_not_found(shared, path):
    assert get(shared, path).status_code == 404


# Limits and permissions.


def test_headers_state_the_limit(small):
    headers = get(small, RUNS).headers
    assert (headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']) == ('5000', '4999')
    assert (headers['x-ratelimit-used'], headers['x-ratelimit-resource']) == ('1', 'core')
    assert get(small, '/rate_limit').json()['resources']['core']['remaining'] == 4_999
    assert get(small, RUNS).headers['x-ratelimit-remaining'] == '4998'


def test_a_used_up_limit_refuses_until_its_reset(small):
    small.exhaust('core')
    refused = get(small, RUNS)
    assert refused.status_code == 403
    assert refused.headers['x-ratelimit-remaining'] == '0'
    reset = int(refused.headers['x-ratelimit-reset'])
    small.pass_time(reset - small.clock.now().timestamp())
    assert get(small, RUNS).status_code == 200


@pytest.mark.parametrize('seconds', [30, None])
def test_the_secondary_limit(small, seconds):
    small.secondary = {'status': 429, 'retry_after': seconds, 'times': 1}
    refused = get(small, RUNS)
    assert refused.status_code == 429
    assert refused.headers.get('Retry-After') == (None if seconds is None else '30')
    assert 'secondary rate limit' in refused.json()['message']
    assert refused.headers['x-ratelimit-remaining'] != '0'
    assert get(small, RUNS).status_code == 200


def test_missing_permissions_are_named(small):
    small.denied = {'actions'}
    refused = get(small, RUNS)
    assert refused.status_code == 403
    assert refused.headers['X-Accepted-GitHub-Permissions'] == 'actions=read'
    assert get(small, ACTIVITY).status_code == 200
    small.denied = {'metadata'}
    assert get(small, '/repos/metta-ai/metta').status_code == 403


def test_wrong_tokens_are_refused(shared):
    for value in ('Bearer wrong', 'token wrong', 'Basic abc', ''):
        assert get(shared, RUNS, {'Authorization': value}).status_code == 401
    assert get(shared, RUNS, {'Authorization': f'token {shared.token}'}).status_code == 200


def test_an_enterprise_server(serve):
    service = serve('github', scale=0.02, ghes=True, api_version=False)
    answer = get(service, RUNS)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.lower().startswith('x-ratelimit')]
    assert requests.get(service.url + RUNS, timeout=30).status_code == 404
    assert get(service, '/rate_limit').status_code == 404
    refused = get(service, RUNS, {'X-GitHub-Api-Version': '2022-11-28'})
    assert refused.status_code == 400
    assert 'X-GitHub-Api-Version' in refused.json()['message']


# Apps.


def app_token(service: GitHubService, key: str | None = None, **changes: Any) -> Response:
    now = int(time.time())
    claims = {'iat': now - 60, 'exp': now + 540, 'iss': str(APP_ID), **changes}
    algorithm = 'RS256' if key is None else 'HS256'
    token = jwt.encode(claims, key or service.app.private_key, algorithm=algorithm)
    return requests.post(service.api_url + TOKENS, headers={'Authorization': f'Bearer {token}'}, timeout=30)


def test_an_app_gets_a_token_for_an_hour(small):
    answer = app_token(small)
    assert answer.status_code == 201
    assert answer.json()['expires_at'] == stamp(small.clock.now() + timedelta(hours=1))
    bearer = {'Authorization': f'Bearer {answer.json()["token"]}'}
    assert get(small, RUNS, bearer).status_code == 200
    small.app.revoke()
    assert get(small, RUNS, bearer).status_code == 401
    fresh = {'Authorization': f'Bearer {app_token(small).json()["token"]}'}
    small.pass_time(3599)
    assert get(small, RUNS, fresh).status_code == 200
    small.pass_time(1)
    assert get(small, RUNS, fresh).status_code == 401


def test_app_tokens_must_be_right(small):
    now = int(time.time())
    assert app_token(small, key='a secret that both sides know, not a key pair').status_code == 401
    assert app_token(small, exp=now - 1).status_code == 401
    assert app_token(small, iat=now + 3600, exp=now + 3700).status_code == 401
    assert app_token(small, exp=now + 3600).status_code == 401
    assert app_token(small, iss='1').status_code == 404
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {'iat': now - 60, 'exp': now + 540, 'iss': str(APP_ID)}
    token = jwt.encode(claims, other, algorithm='RS256')
    refused = requests.post(small.api_url + TOKENS, headers={'Authorization': f'Bearer {token}'}, timeout=30)
    assert refused.status_code == 401


def test_pygithub_gets_a_token_for_an_app(small):
    instance = small.app_instance()
    app = Auth.AppAuth(instance['app_id'], instance['app_private_key'])
    installation = app.get_installation_auth(instance['app_installation_id'])
    with Github(base_url=small.api_url, auth=installation, retry=None) as client:
        assert client.get_repo('metta-ai/infra').default_branch == 'master'
    assert [(entry.method, entry.status) for entry in small.log] == [('POST', 201), ('GET', 200)]
