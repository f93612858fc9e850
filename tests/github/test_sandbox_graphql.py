"""The sandbox's GraphQL: evaluated, paged, costed and refused as GitHub does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import requests

import sandbox
from sandbox import Running
from sandbox.github.service import GitHubService

from .served import github_service

pytestmark = pytest.mark.integration


@pytest.fixture(scope='module')
def shared() -> Iterator[GitHubService]:
    """Return a service that no test changes."""
    service = github_service(scale=0.1)
    with Running(service):
        yield service


def send(service: GitHubService, query: str, variables: Mapping[str, Any] | None = None) -> requests.Response:
    url = f'{service.url}/api/graphql' if service.ghes else f'{service.url}/graphql'
    headers = {'Authorization': f'Bearer {service.token}'}
    return requests.post(url, headers=headers, json={'query': query, 'variables': variables or {}}, timeout=30)


def ask(service: GitHubService, query: str, **variables: Any) -> dict[str, Any]:
    response = send(service, query, variables)
    assert response.status_code == 200
    return response.json()


def error_of(service: GitHubService, query: str, **variables: Any) -> dict[str, Any]:
    answer = ask(service, query, **variables)
    (error,) = answer['errors']
    return error


def metta(selection: str, operation: str = 'query', also: str = '') -> str:
    """Return a query of the large repository with these fields, and further fields of the query."""
    return f'{operation} {{ repository(owner: "metta-ai", name: "metta") {{ {selection} }} {also} }}'


# Evaluation.


def test_fields_are_read_from_the_data(shared):
    data = ask(
        shared,
        metta("""
          nameWithOwner diskUsage isEmpty owner { __typename login }
          defaultBranchRef { name target { __typename ... on Commit { oid history(first: 2) { nodes { oid } } } } }
          open: pullRequests(states: [OPEN], first: 1) { totalCount }
          refs(refPrefix: "refs/heads/", first: 1) { totalCount }"""),
    )['data']['repository']
    newest = shared.metta.commits[0].oid
    assert data['nameWithOwner'] == 'metta-ai/metta'
    assert data['owner'] == {'__typename': 'Organization', 'login': 'metta-ai'}
    assert data['defaultBranchRef']['target']['oid'] == newest
    assert data['defaultBranchRef']['target']['history']['nodes'][0] == {'oid': newest}
    assert data['open']['totalCount'] == sum(pull.state == 'OPEN' for pull in shared.metta.pulls.values())
    assert data['refs']['totalCount'] == len(shared.metta.branches)


def test_an_empty_repository_has_no_default_branch(shared):
    data = ask(shared, '{ repository(owner: "metta-ai", name: "empty") { isEmpty defaultBranchRef { name } } }')
    assert data['data']['repository'] == {'isEmpty': True, 'defaultBranchRef': None}


def test_history_is_filtered_by_commit_date(shared):
    since = (shared.clock.now() - timedelta(days=2)).isoformat()
    query = metta(
        """
        defaultBranchRef { target { ... on Commit {
          history(since: $since, first: 100) { totalCount nodes { committedDate } }
        } } }""",
        'query($since: GitTimestamp!)',
    )
    history = ask(shared, query, since=since)['data']['repository']['defaultBranchRef']['target']['history']
    expected = [
        commit
        for commit in shared.metta.commits.recent
        if commit.committed_date >= shared.clock.now() - timedelta(days=2)
    ]
    assert history['totalCount'] == len(expected) == len(history['nodes']) > 0
    dates = [node['committedDate'] for node in history['nodes']]
    assert dates == sorted(dates, reverse=True)


def test_pages_join_without_gap_or_overlap(shared):
    query = metta(
        """
        pullRequests(states: [MERGED, CLOSED], first: 7, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}) {
          totalCount pageInfo { hasNextPage endCursor } nodes { number updatedAt }
        }""",
        'query($after: String)',
    )
    nodes, after = [], None
    while True:
        page = ask(shared, query, after=after)['data']['repository']['pullRequests']
        nodes += page['nodes']
        after = page['pageInfo']['endCursor']
        if not page['pageInfo']['hasNextPage']:
            break
    assert len({node['number'] for node in nodes}) == len(nodes) == page['totalCount']
    assert [node['updatedAt'] for node in nodes] == sorted((node['updatedAt'] for node in nodes), reverse=True)


def test_last_reads_from_the_end(shared):
    pull = next(pull for pull in shared.metta.pulls.values() if len(pull.commits) > 1)
    query = metta('pullRequest(number: $one) { commits(last: 1) { nodes { commit { oid } } } }', 'query($one: Int!)')
    nodes = ask(shared, query, one=pull.number)['data']['repository']['pullRequest']['commits']['nodes']
    assert nodes == [{'commit': {'oid': pull.commits[-1].oid}}]


def test_nodes_are_found_by_their_ids_also_when_one_is_missing(shared):
    known = next(pull for pull in shared.metta.pulls.values() if pull.merged)
    query = """query($ids: [ID!]!) {
      nodes(ids: $ids) { __typename ... on PullRequest { number files(first: 2) { totalCount } } }
    }"""
    answer = ask(shared, query, ids=[known.id, 'PR_kwDO00100199999999'])
    assert answer['data']['nodes'] == [
        {'__typename': 'PullRequest', 'number': known.number, 'files': {'totalCount': len(known.files)}},
        None,
    ]
    (error,) = answer['errors']
    assert (error['type'], error['path']) == ('NOT_FOUND', ['nodes', 1])


def test_authors_are_accounts_bots_or_nobody(shared):
    query = metta('pullRequests(last: 100) { nodes { author { __typename login } } }')
    nodes = ask(shared, query)['data']['repository']['pullRequests']['nodes']
    assert {'User', 'Bot'} <= {node['author']['__typename'] for node in nodes if node['author']}


def test_an_organization_lists_its_repositories(shared):
    query = """{ organization(login: "Metta-AI") { repositories(first: 100) {
      totalCount nodes { name isArchived isFork isDisabled } } } }"""
    nodes = ask(shared, query)['data']['organization']['repositories']['nodes']
    assert {node['name'] for node in nodes if not (node['isArchived'] or node['isFork'] or node['isDisabled'])} == {
        'metta', 'infra', 'empty',
    }  # fmt: skip
    assert len(nodes) == 6


def test_former_names_are_followed(shared):
    follow = '{ repository(owner: "metta-ai", name: "METTA-legacy") { nameWithOwner } }'
    assert ask(shared, follow)['data']['repository']['nameWithOwner'] == 'metta-ai/metta'
    strict = follow.replace('"METTA-legacy"', '"METTA-legacy", followRenames: false')
    assert error_of(shared, strict)['type'] == 'NOT_FOUND'


# Rules.


def test_connections_need_a_page_size(shared):
    error = error_of(shared, metta('pullRequests { totalCount }'))
    assert error['type'] == 'MISSING_PAGINATION_BOUNDARIES'
    assert error['path'] == ['query', 'repository', 'pullRequests']


@pytest.mark.parametrize(('size', 'kind'), [(101, 'EXCESSIVE_PAGINATION'), (0, 'ARGUMENT_ERROR')])
def test_page_sizes_have_limits(shared, size, kind):
    query = metta('issues(first: $size) { totalCount }', 'query Q($size: Int!)')
    error = error_of(shared, query, size=size)
    assert (error['type'], error['path']) == (kind, ['query Q', 'repository', 'issues'])


def test_too_many_nodes_are_refused(shared):
    query = metta("""
      pullRequests(first: 100) { nodes { commits(first: 100) { nodes { commit {
        authors(first: 100) { nodes { name } }
      } } } } }""")
    error = error_of(shared, query)
    assert error['type'] == 'MAX_NODE_LIMIT_EXCEEDED'
    assert '1,010,100' in error['message']


def test_unknown_fields_are_named(shared):
    error = error_of(shared, metta('shoes: footwear', 'query Q'))
    assert error['extensions'] == {'code': 'undefinedField', 'typeName': 'Repository', 'fieldName': 'footwear'}
    assert error['path'] == ['query Q', 'repository', 'shoes']
    assert 'data' not in ask(shared, metta('shoes: footwear', 'query Q'))


def test_unknown_arguments_and_broken_syntax_are_refused(shared):
    assert 'color' in error_of(shared, metta('ref(qualifiedName: "main", color: 1) { name }'))['message']
    assert 'Syntax Error' in error_of(shared, '{ repository(')['message']


def test_cursors_are_checked(shared):
    error = error_of(shared, metta('issues(first: 1, after: "seven") { nodes { number } }'))
    assert error['type'] == 'INVALID_CURSOR_ARGUMENTS'


def test_unknown_repositories_are_null_with_an_error(shared):
    answer = ask(shared, '{ repository(owner: "metta-ai", name: "nothing") { name } }')
    assert answer['data'] == {'repository': None}
    (error,) = answer['errors']
    assert (error['type'], error['path']) == ('NOT_FOUND', ['repository'])


# Cost.


def test_points_are_counted_and_reported(serve):
    service = serve('github', scale=0.02)
    query = metta(
        """
        pullRequests(first: 50) { nodes {
          reviews(first: 30) { totalCount } labels(first: 20) { totalCount } commits(first: 1) { totalCount }
          files(first: 10) { totalCount }
        } }""",
        also='rateLimit { cost limit remaining used nodeCount resetAt }',
    )
    first = ask(service, query)['data']['rateLimit']
    # One request for the pull requests and four for each of the fifty: 201.
    assert (first['cost'], first['remaining'], first['used']) == (2, 4998, 2)
    assert first['nodeCount'] == 50 + 50 * (30 + 20 + 1 + 10)
    response = send(service, query)
    assert response.headers['x-ratelimit-resource'] == 'graphql'
    assert response.headers['x-ratelimit-remaining'] == '4996'


def test_used_up_points_come_back_after_an_hour(serve):
    service = serve('github', scale=0.02)
    query = metta('name', also='rateLimit { remaining }')
    service.exhaust('graphql', remaining=1)
    assert ask(service, query)['data']['rateLimit'] == {'remaining': 0}
    response = send(service, query)
    assert response.status_code == 200
    assert response.json()['errors'][0]['type'] == 'RATE_LIMITED'
    assert response.headers['x-ratelimit-remaining'] == '0'
    service.rate_limit_status = 403
    assert send(service, query).status_code == 403
    assert int(response.headers['x-ratelimit-reset']) == (service.clock.now() + timedelta(hours=1)).timestamp()
    service.pass_time(3600)
    assert ask(service, query)['data']['rateLimit'] == {'remaining': 4999}


# Faults inside of answers, other servers.


def test_broken_fields_are_null_with_an_error_and_its_path(serve):
    service = serve('github', scale=0.02)
    query = metta('name queue: mergeQueue { id } issues(first: 1) { totalCount }')
    service.graphql.break_field('Repository.mergeQueue', 'FORBIDDEN', 'Resource not accessible')
    answer = ask(service, query)
    assert answer['data']['repository']['name'] == 'metta'
    assert answer['data']['repository']['queue'] is None
    (error,) = answer['errors']
    assert (error['type'], error['path'], error['message']) == (
        'FORBIDDEN',
        ['repository', 'queue'],
        'Resource not accessible',
    )
    # A null in a non-null field makes its parent null.
    service.graphql.break_field('Repository.issues', 'INTERNAL', 'No')
    assert ask(service, query)['data'] == {'repository': None}
    service.graphql.mend()
    assert 'errors' not in ask(service, query)


def test_null_fields_come_without_an_error(serve):
    service = serve('github', scale=0.02)
    service.graphql.break_field('PullRequest.totalCommentsCount', None)
    answer = ask(service, metta('pullRequests(first: 1) { nodes { totalCommentsCount } }'))
    assert answer == {'data': {'repository': {'pullRequests': {'nodes': [{'totalCommentsCount': None}]}}}}


def test_lists_of_files_can_be_null(serve):
    service = serve('github', scale=0.02)
    pull = next(iter(service.metta.pulls.values()))
    service.unlisted_files = {pull.number}
    query = metta('pullRequest(number: $one) { files(first: 1) { totalCount } }', 'query($one: Int!)')
    assert ask(service, query, one=pull.number)['data']['repository']['pullRequest'] == {'files': None}


def test_permissions_hide_fields(serve):
    service = serve('github', scale=0.02)
    service.denied = {'issues'}
    answer = ask(service, metta('name mergeQueue { id } issues(first: 1) { totalCount }'))
    assert answer['data'] == {'repository': None}
    assert answer['errors'][0]['type'] == 'FORBIDDEN'
    service.denied = {'merge_queues'}
    answer = ask(service, metta('name mergeQueue { id }'))
    assert answer['data']['repository'] == {'name': 'metta', 'mergeQueue': None}


@pytest.mark.parametrize(
    ('answer', 'status', 'kind'),
    [
        (502, 502, None),
        ('something went wrong', 200, None),
        ('RESOURCE_LIMITS_EXCEEDED', 200, 'RESOURCE_LIMITS_EXCEEDED'),
    ],
)
def test_heavy_pages_are_refused(serve, answer, status, kind):
    service = serve('github', scale=0.02)
    service.heavy = {'PullRequestConnection': 25}
    service.heavy_answer = answer
    query = metta('pullRequests(first: $size) { totalCount }', 'query($size: Int!)')
    response = send(service, query, {'size': 26})
    assert response.status_code == status
    assert response.json()['data'] is None
    assert response.json()['errors'][0].get('type') == kind
    assert 'errors' not in ask(service, query, size=25)


def test_an_enterprise_server_has_no_limits_and_other_paths(serve):
    service = serve('github', scale=0.02, ghes=True)
    response = send(service, metta('name', also='rateLimit { cost }'))
    assert response.json() == {'data': {'repository': {'name': 'metta'}, 'rateLimit': None}}
    assert not [name for name in response.headers if name.lower().startswith('x-ratelimit')]
    assert requests.post(f'{service.url}/graphql', json={}, timeout=30).status_code == 404


def test_an_old_server_lacks_fields(serve):
    service = serve('github', scale=0.02, ghes=True, missing_fields=['PullRequest.totalCommentsCount'])
    query = metta('pullRequests(first: 1) { nodes { totalCommentsCount } }')
    assert error_of(service, query)['extensions']['code'] == 'undefinedField'


def test_an_unknown_field_cannot_be_missing():
    with pytest.raises(KeyError):
        sandbox.service('github', scale=0.02, missing_fields=['Repository.shoes'])


def test_wrong_tokens_are_refused(shared):
    for headers in ({}, {'Authorization': 'Bearer wrong'}):
        response = requests.post(f'{shared.url}/graphql', headers=headers, json={'query': '{ __typename }'}, timeout=30)
        assert response.status_code == 401
        assert 'x-ratelimit-remaining' not in response.headers
