"""A GitHub of one small repository whose answers a test can replace one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox import Clock, Organization, Service

TOKEN = 'right-token'
INSTALLATION_TOKEN = 'installation-token'
# The repository of the instance. Under another name, it is found as well, with the same contents.
ONE = 'metta/one'
OPERATION = re.compile(r'query (\w+)')
NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)

Hook = Callable[[Request, Mapping[str, Any]], Response | None]


def ago(**delta: float) -> str:
    """Return a time before NOW as GitHub writes it."""
    return (NOW - timedelta(**delta)).strftime('%Y-%m-%dT%H:%M:%SZ')


class ScriptedGitHub(Service):
    """Serves metta/one. `hooks` replace answers, by GraphQL operation, by last part of a REST path, or `*`."""

    name = 'github'

    def __init__(self) -> None:
        super().__init__(Organization(), Clock(NOW))
        self.hooks: dict[str, Hook] = {}
        self.slug = ONE
        self.runs = [workflow_run(1, 'tests', 'success', hours=3), workflow_run(2, 'lint', 'failure', hours=5)]
        self.open = [open_pull_request(11, days=1)]
        self.closed = [closed_pull_request(7, hours=30)]
        self.commits = [commit('a' * 40, hours=2), commit('b' * 40, hours=40)]
        self.pushes = [{'id': 1, 'timestamp': ago(hours=9), 'actor': {'login': 'ada'}, 'before': '1', 'after': '2'}]
        self.paths = {'PR_7': ['a.py', 'b.py']}

    def instance(self) -> dict[str, Any]:
        return {'source': 'github', 'api_url': self.url, 'token': TOKEN, 'repositories': [ONE]}

    def asked(self) -> list[str]:
        """Return the requests in order: GraphQL operations and last parts of REST paths."""
        return [
            match[1] if (match := OPERATION.search(entry.body)) else entry.path.rsplit('/', 1)[-1] for entry in self.log
        ]

    def answer(self, request: Request) -> Response:
        body = request.get_json(silent=True) or {}
        match = OPERATION.search(body.get('query', ''))
        what = match[1] if match else request.path.rsplit('/', 1)[-1]
        for key in (what, '*'):
            if key in self.hooks and (response := self.hooks[key](request, body.get('variables') or {})) is not None:
                return response
        if request.headers.get('Authorization') not in (f'Bearer {TOKEN}', f'Bearer {INSTALLATION_TOKEN}'):
            return self.json({'message': 'Bad credentials'}, 401)
        if match:
            return self.json({'data': {**self.data(what, body['variables']), 'rateLimit': {'cost': 1}}})
        return self.rest(request, what)

    def rest(self, request: Request, what: str) -> Response:
        """Answer a request to REST."""
        if what == 'runs':
            low, high = request.args.get('created', '..Z').split('..')
            rows = [run for run in self.runs if low <= run['created_at'] <= high]
            rows.sort(key=lambda run: run['created_at'], reverse=True)
            first = 100 * (int(request.args.get('page', 1)) - 1)
            return self.json({'total_count': len(rows), 'workflow_runs': rows[:1000][first : first + 100]})
        if what == 'activity':
            return self.json(self.pushes, headers={'ETag': '"1"'})
        if what == 'rate_limit':
            return self.json({'resources': {}})
        return self.json({'message': 'Not Found'}, 404)

    def data(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        if operation == 'Now':
            names = asked_for(variables).items()
            return {alias: self.overview() | ({'nameWithOwner': name} if name != ONE else {}) for alias, name in names}
        if operation in ('ClosedPullRequests', 'Checks'):
            page = {'repository': {'closedPullRequests': connection(self.closed)}}
            asked = [one for one in self.closed if one['id'] in variables.get('ids', ())]
            checked = [{key: one[key] for key in ('id', 'head')} for one in asked]
            return {**(page if operation == 'ClosedPullRequests' else {}), 'checked': checked}
        if operation == 'Commits':
            return {'repository': {'ref': {'target': {'__typename': 'Commit', 'inWindow': connection(self.commits)}}}}
        if operation == 'FirstClosed':
            return {alias: {'closedPullRequests': connection(self.closed)} for alias in asked_for(variables)}
        if operation == 'Branch':
            branch = self.overview()['defaultBranchRef']
            is_there = branch is not None and variables['branch'] == f'refs/heads/{branch["name"]}'
            return {'repository': {'ref': {'name': branch['name']} if is_there else None}}
        if operation == 'Files':
            numbers = {pull['id']: pull['number'] for pull in self.closed}
            return {
                'nodes': [
                    {
                        '__typename': 'PullRequest',
                        'number': numbers[one],
                        'files': connection([{'path': path} for path in self.paths[one]]),
                    }
                    for one in variables['ids']
                ]
            }
        raise AssertionError(operation)

    def overview(self) -> dict[str, Any]:
        """Return the repository as the first query shows it."""
        return {
            'nameWithOwner': self.slug,
            'isArchived': False,
            'isDisabled': False,
            'diskUsage': 1_500_000,
            'stargazerCount': 5,
            'forkCount': 2,
            'branches': {'totalCount': 4},
            'openIssues': {'totalCount': 3},
            'newestClosed': {'nodes': [{key: self.closed[0][key] for key in ('number', 'updatedAt')}]},
            'defaultBranchRef': {
                'name': 'main',
                'target': {
                    '__typename': 'Commit',
                    'oid': self.commits[0]['oid'],
                    'inWindow': connection(self.commits),
                    'newest': {
                        'nodes': [
                            {'oid': one['oid'], 'statusCheckRollup': {'state': 'SUCCESS'}} for one in self.commits
                        ]
                    },
                },
            },
            'mergeQueue': {
                'entries': {'totalCount': 1, 'nodes': [{'enqueuedAt': ago(minutes=20), 'state': 'QUEUED'}]},
                'nextEntryEstimatedTimeToMerge': 600,
            },
            'releases': {'nodes': [release('v1', days=3)]},
            'openPullRequests': connection(self.open),
        }


def asked_for(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the repositories that the first query asks for, by their alias in the answer."""
    places = [key.removeprefix('owner') for key in variables if key.startswith('owner')]
    return {f'repository{place}': f'{variables[f"owner{place}"]}/{variables[f"name{place}"]}' for place in places}


def connection(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a connection of one page."""
    return {'totalCount': len(nodes), 'pageInfo': {'hasNextPage': False, 'endCursor': None}, 'nodes': nodes}


def release(tag: str, **age: float) -> dict[str, Any]:
    """Return a published release."""
    return {
        'tagName': tag,
        'isDraft': False,
        'isPrerelease': False,
        'publishedAt': ago(**age),
        'url': f'https://x/{tag}',
    }


def workflow_run(
    number: int, workflow: str, conclusion: str | None, *, hours: float = 1, **fields: Any
) -> dict[str, Any]:
    """Return a run on main of ten minutes, created `hours` ago. `conclusion` None: in progress."""
    return {
        'id': number,
        'name': workflow,
        'path': '.github/workflows/ci.yml',
        'status': 'completed' if conclusion else 'in_progress',
        'conclusion': conclusion,
        'event': 'push',
        'head_branch': 'main',
        'head_sha': 'a' * 40,
        'run_attempt': 1,
        'created_at': ago(hours=hours),
        'run_started_at': ago(hours=hours),
        'updated_at': ago(hours=hours, minutes=-10),
        'repository': {'id': 1},
        'head_repository': {'id': 1},
        **fields,
    }


def open_pull_request(number: int, **age: float) -> dict[str, Any]:
    """Return an open pull request without review."""
    return {
        'id': f'PR_{number}',
        'number': number,
        'state': 'OPEN',
        'createdAt': ago(**age),
        'updatedAt': ago(**age),
        'isDraft': False,
        'reviewDecision': 'REVIEW_REQUIRED',
        'author': {'__typename': 'User', 'login': 'ada'},
        'reviews': {'nodes': []},
        'timelineItems': {'nodes': []},
    }


def closed_pull_request(number: int, *, hours: float, **fields: Any) -> dict[str, Any]:
    """Return a pull request merged `hours` ago, a day after its creation, approved in between."""
    return {
        **open_pull_request(number, hours=hours + 24),
        'state': 'MERGED',
        'updatedAt': ago(hours=hours),
        'mergedAt': ago(hours=hours),
        'closedAt': ago(hours=hours),
        'baseRefName': 'main',
        'additions': 10,
        'deletions': 5,
        'changedFiles': 2,
        'totalCommentsCount': 4,
        'head': {'nodes': [{'commit': {'statusCheckRollup': {'state': 'FAILURE'}}}]},
        'first': {'nodes': [{'commit': {'authoredDate': ago(hours=hours + 30)}}]},
        'labels': {'nodes': []},
        'reviews': {
            'nodes': [
                {
                    'state': 'APPROVED',
                    'submittedAt': ago(hours=hours + 12),
                    'author': {'__typename': 'User', 'login': 'ben'},
                }
            ]
        },
        **fields,
    }


def commit(oid: str, *, hours: float, **fields: Any) -> dict[str, Any]:
    """Return a commit by Ada with one parent."""
    return {
        'oid': oid,
        'committedDate': ago(hours=hours),
        'messageHeadline': 'Do something',
        'additions': 3,
        'deletions': 1,
        'changedFilesIfAvailable': 2,
        'parents': {'totalCount': 1},
        'authors': {'nodes': [{'name': 'Ada', 'email': 'ada@x.example', 'user': {'login': 'ada'}}]},
        **fields,
    }
