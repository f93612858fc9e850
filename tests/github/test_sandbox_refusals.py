"""Refusals of the sandbox in GitHub's shapes: limits, single sign-on, hidden objects, errors without a path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox import Running
from sandbox.github.service import GitHubService

from .served import github_service

pytestmark = pytest.mark.integration

REPOSITORY = '/repos/metta-ai/infra'
VIEWER = '{ viewer { login } }'
PULLS = """
{ repository(owner: "metta-ai", name: "infra") { name pullRequests(first: 3) { nodes { id number } } } }
"""


@pytest.fixture
def service() -> Iterator[GitHubService]:
    served = github_service(scale=0.02)
    with Running(served):
        yield served


def get(service: GitHubService, path: str, token: str = '', **headers: str) -> requests.Response:
    headers = {'Authorization': f'Bearer {token or service.token}', **headers}
    return requests.get(service.url + path, headers=headers, timeout=30, allow_redirects=False)


def ask(service: GitHubService, query: str) -> requests.Response:
    headers = {'Authorization': f'Bearer {service.token}'}
    return requests.post(f'{service.url}/graphql', headers=headers, json={'query': query}, timeout=30)


# Limits.


def test_an_etag_belongs_to_one_token(service):
    etag = get(service, REPOSITORY).headers['ETag']
    known = {'If-None-Match': etag}
    used = service.bucket('core').used
    assert get(service, REPOSITORY, **known).status_code == 304
    assert service.bucket('core').used == used
    other, _ = service.app.issue(service.clock.now())
    assert get(service, REPOSITORY, other, **known).status_code == 200
    assert service.bucket('core').used == used + 1


@pytest.mark.parametrize(
    ('kind', 'error'),
    [
        ('RATE_LIMITED', {'type': 'RATE_LIMITED'}),
        ('RATE_LIMIT', {'type': 'RATE_LIMIT', 'code': 'graphql_rate_limit'}),
    ],
)
def test_used_up_points_have_two_names(service, kind, error):
    service.rate_limit_error, service.rate_limit_retry_after = kind, 75
    service.exhaust('graphql')
    answer = ask(service, VIEWER)
    assert answer.status_code == 200
    assert answer.headers['Retry-After'] == '75'
    assert answer.headers['x-ratelimit-remaining'] == '0'
    (found,) = answer.json()['errors']
    assert {key: found[key] for key in found if key != 'message'} == error


@pytest.mark.parametrize(('status', 'told'), [(None, 403), (429, 429)])
def test_a_used_up_limit_of_requests_has_two_statuses(service, status, told):
    service.rate_limit_status = status
    service.exhaust('core')
    answer = get(service, REPOSITORY)
    assert answer.status_code == told
    assert answer.headers['x-ratelimit-remaining'] == '0'


@pytest.mark.parametrize(('status', 'rest'), [(200, 200), (403, 403), (429, 429)])
def test_a_secondary_limit_is_one_of_three_statuses_for_graphql(service, status, rest):
    service.secondary = {'status': status, 'retry_after': 30}
    answer = ask(service, VIEWER)
    assert (answer.status_code, answer.headers['Retry-After']) == (status, '30')
    assert 'secondary rate limit' in answer.text
    assert 'data' not in answer.json()
    assert int(answer.headers['x-ratelimit-remaining']) > 0
    assert get(service, REPOSITORY).status_code == rest


# Single sign-on.


def test_single_sign_on_names_the_url_that_authorizes(service):
    service.sso = 'required'
    answer = get(service, REPOSITORY)
    assert answer.status_code == 403
    assert answer.headers['X-GitHub-SSO'].startswith(f'required; url={service.url}/orgs/metta-ai/sso?')
    answer = ask(service, VIEWER)
    assert answer.status_code == 200
    assert answer.headers['X-GitHub-SSO'].startswith('required; url=')
    (error,) = answer.json()['errors']
    assert (error['type'], error['extensions']) == ('FORBIDDEN', {'saml_failure': True})


def test_partial_results_name_the_organization(service):
    service.sso = 'partial-results'
    service.infra.is_private = False
    answer = get(service, '/orgs/metta-ai/repos')
    assert answer.headers['X-GitHub-SSO'] == 'partial-results; organizations=5005'
    assert [row['name'] for row in answer.json()] == ['infra']
    assert 'X-GitHub-SSO' not in get(service, REPOSITORY).headers


# Parts that are null.


def test_a_hidden_object_is_null_in_its_list(service):
    before = ask(service, PULLS).json()['data']['repository']['pullRequests']['nodes']
    service.hidden.add(before[1]['id'])
    answer = ask(service, PULLS).json()
    assert answer['data']['repository']['pullRequests']['nodes'] == [before[0], None, before[2]]
    (error,) = answer['errors']
    assert (error['type'], error['path']) == ('FORBIDDEN', ['repository', 'pullRequests', 'nodes', 1])


def test_errors_may_name_no_path(service):
    service.errors_name_paths = False
    service.graphql.break_field('PullRequest.number')
    answer = ask(service, PULLS).json()
    # `number` cannot be null, so the whole object is.
    assert answer['data']['repository'] == {'name': 'infra', 'pullRequests': {'nodes': [None, None, None]}}
    assert {frozenset(error) for error in answer['errors']} == {frozenset(('type', 'message'))}


# Branches and files.


def test_the_old_name_of_the_default_branch_redirects(service):
    infra = service.infra
    assert get(service, f'{REPOSITORY}/branches/master').json()['name'] == 'master'
    runs = [run.head_branch for run in infra.runs.recent]
    infra.rename_default_branch('trunk')
    moved = get(service, f'{REPOSITORY}/branches/master')
    assert moved.status_code == 301
    assert moved.headers['Location'].endswith(f'/repositories/{infra.database_id}/branches/trunk')
    assert get(service, f'{REPOSITORY}/branches/trunk').status_code == 200
    assert [run.head_branch for run in infra.runs.recent] == runs
    assert get(service, f'{REPOSITORY}/branches/none').status_code == 404


def test_a_deleted_workflow_is_missing_among_the_files(service):
    def names() -> set[Any]:
        return {row['name'] for row in get(service, f'{REPOSITORY}/contents/.github/workflows').json()}

    assert 'docs.yml' in names()
    service.infra.deleted_files.add('.github/workflows/docs.yml')
    assert 'docs.yml' not in names()
    assert get(service, f'{REPOSITORY}/actions/workflows/docs.yml').status_code == 200
