"""The sandbox's deployments, comparisons, releases and issues, the same in both APIs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from sandbox import Running
from sandbox.github.model import Deployment
from sandbox.github.service import GitHubService

from .served import github_service

pytestmark = pytest.mark.integration

METTA = '/repos/metta-ai/metta'


@pytest.fixture(scope='module')
def service() -> Iterator[GitHubService]:
    served = github_service(scale=0.3)
    with Running(served):
        yield served


def get(service: GitHubService, path: str, **params: Any) -> Any:
    headers = {'Authorization': f'Bearer {service.token}'}
    answer = requests.get(service.url + METTA + path, headers=headers, params=params, timeout=30)
    return answer.json() if answer.status_code == 200 else answer.status_code


def ask(service: GitHubService, selection: str) -> Any:
    query = f'{{ repository(owner: "metta-ai", name: "metta") {{ {selection} }} }}'
    headers = {'Authorization': f'Bearer {service.token}'}
    answer = requests.post(f'{service.url}/graphql', headers=headers, json={'query': query}, timeout=30).json()
    assert 'errors' not in answer
    return answer['data']['repository']


def production(service: GitHubService) -> list[Deployment]:
    return [row for row in service.metta.deployments if row.environment == 'production']


def test_a_success_that_was_replaced_keeps_its_history(service):
    found = get(service, '/deployments', environment='production', per_page=100)
    assert {row['environment'] for row in found} == {'production'}
    histories = [[row['state'] for row in get(service, f'/deployments/{row["id"]}/statuses')] for row in found[:8]]
    assert histories.count(['failure', 'in_progress', 'queued']) == 1
    assert histories.count(['success', 'in_progress', 'queued']) == 1
    assert histories.count(['inactive', 'success', 'in_progress', 'queued']) == 6
    nodes = ask(
        service,
        'deployments(first: 8, environments: ["production"], orderBy: {field: CREATED_AT, direction: DESC}) '
        '{ nodes { databaseId commitOid state ref { name } commit { oid } statuses(first: 9) { nodes { state } } } }',
    )['deployments']['nodes']
    assert [(node['databaseId'], node['commitOid']) for node in nodes] == [(row['id'], row['sha']) for row in found[:8]]
    assert [[row['state'].lower() for row in node['statuses']['nodes']] for node in nodes] == histories
    assert {node['ref']['name'] for node in nodes} == {'main'}
    assert get(service, '/deployments/1/statuses') == 404


def test_commits_are_deployed_after_they_were_made_and_production_goes_back_twice(service):
    for row in service.metta.deployments:
        assert row.commit.committed_date < row.created_at
    live = [row for row in production(service) if any(status.state == 'SUCCESS' for status in row.statuses)]
    times = [row.commit.committed_date for row in live]
    assert sum(later < earlier for later, earlier in pairwise(times)) == 2


def test_both_apis_compare_commits(service):
    newer, older = (row.commit.oid for row in production(service)[:2])
    found = get(service, f'/compare/{older}...{newer}')
    assert found['status'] == 'ahead'
    assert found['ahead_by'] == found['total_commits'] == len(found['commits']) > 0
    assert found['commits'][-1]['sha'] == newer
    assert older not in {row['sha'] for row in found['commits']}
    back = get(service, f'/compare/{newer}...{older}')
    assert (back['status'], back['behind_by'], back['commits']) == ('behind', found['ahead_by'], [])
    assert get(service, f'/compare/{newer}...{newer}')['status'] == 'identical'
    node = ask(service, f'defaultBranchRef {{ compare(headRef: "{older}") {{ status aheadBy behindBy }} }}')
    assert node['defaultBranchRef']['compare']['status'] == 'BEHIND'
    assert get(service, f'/compare/{newer}...{"0" * 40}') == 404


def test_a_commit_has_the_history_before_it(service):
    commit = service.metta.commits[5]
    node = ask(
        service, f'object(oid: "{commit.oid}") {{ ... on Commit {{ history(first: 2) {{ nodes {{ oid }} }} }} }}'
    )
    assert [row['oid'] for row in node['object']['history']['nodes']] == [commit.oid, service.metta.commits[6].oid]


def test_releases_and_runs_of_main_name_commits_of_main(service):
    nodes = ask(service, 'releases(first: 3) { nodes { tagName tagCommit { oid committedDate } createdAt } }')
    rows = get(service, '/releases')
    for node, row in zip(nodes['releases']['nodes'], rows, strict=False):
        assert node['tagName'] == row['tag_name']
        assert node['tagCommit']['committedDate'] <= node['createdAt']
    own = [run for run in service.metta.runs.recent if run.head_branch == 'main' and run.head == 'own']
    run = next(run for run in own if run.status == 'completed')
    commit = service.metta.commit_at(run.created_at)
    assert run.head_sha == commit.oid
    assert commit.committed_date <= run.created_at


def test_issues_have_authors_and_pull_requests_among_them(service):
    rows = get(service, '/issues', state='all', per_page=100)
    issues = [row for row in rows if 'pull_request' not in row]
    assert 0 < len(issues) < len(rows)
    assert {(row['user'] or {'type': None})['type'] for row in issues} == {'User', 'Bot', None}
    opened = get(service, '/issues', per_page=100)
    assert {row['state'] for row in opened} == {'open'}
    nodes = ask(service, 'issues(first: 5, states: [CLOSED]) { nodes { number closed stateReason author { login } } }')
    assert {(node['closed'], node['stateReason']) for node in nodes['issues']['nodes']} == {(True, 'COMPLETED')}


def test_a_pull_request_may_have_more_reviews_than_a_page(service):
    busy = [pull for pull in service.metta.pulls.values() if len(pull.reviews) > 20]
    merged, waiting = sorted(busy, key=lambda pull: pull.state)
    assert (merged.state, waiting.state, waiting.review_decision) == ('MERGED', 'OPEN', 'APPROVED')
    node = ask(
        service,
        f'pullRequest(number: {merged.number}) {{ reviews(last: 1) {{ totalCount nodes {{ state }} }} '
        'latestOpinionatedReviews(first: 5) { nodes { state } } latestReviews(first: 9) { totalCount } }',
    )['pullRequest']
    assert node['reviews'] == {'totalCount': 34, 'nodes': [{'state': 'APPROVED'}]}
    assert node['latestOpinionatedReviews'] == {'nodes': [{'state': 'APPROVED'}]}
    assert node['latestReviews'] == {'totalCount': 4}
    assert len(get(service, f'/pulls/{merged.number}/reviews', per_page=100)) == 34
