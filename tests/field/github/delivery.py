"""A GitHub of one small repository with deployments, releases and a history of commits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.github.scripted import ScriptedGitHub


class DeliveringGitHub(ScriptedGitHub):
    """Serves metta/one with deployments and their statuses, releases, and comparisons of commits.

    Times are hours before the present time of the service's clock when a thing is made. `gone` are the deployments that
    were deleted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, dict[str, Any]] = {}
        self.deployments: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.gone: set[str] = set()

    def at(self, hours: float) -> str:
        """Return the time some hours ago as GitHub writes it."""
        return (self.clock.now() - timedelta(hours=hours)).strftime('%Y-%m-%dT%H:%M:%SZ')

    def commit(self, sha: str, *parents: str, hours: float, message: str = 'Do something') -> str:
        """Add a commit and return its SHA."""
        self.history[sha] = {
            'sha': sha,
            'commit': {'committer': {'date': self.at(hours)}, 'message': message},
            'parents': [{'sha': parent} for parent in parents],
        }
        return sha

    def chain(self, *shas: str, hours: float = 1000) -> None:
        """Add commits, each the parent of the next one, an hour apart from each other."""
        for index, sha in enumerate(shas):
            self.commit(sha, *shas[max(0, index - 1) : index], hours=hours - index)

    def deploy(
        self, sha: str, *states: str, hours: float, environment: str = 'production', minutes: float = 6
    ) -> dict[str, Any]:
        """Add a deployment whose last state came `hours` ago, each state `minutes` after the one before."""
        times = [self.at(hours + minutes * step / 60) for step in range(len(states) + 1)][::-1]
        node = {
            '__typename': 'Deployment',
            'id': f'DE_{len(self.deployments)}',
            'environment': environment,
            'commitOid': sha,
            'createdAt': times[0],
            'state': states[-1] if states else 'PENDING',
            'statuses': {
                'totalCount': len(states),
                'nodes': [
                    {'state': state, 'createdAt': at} for state, at in zip(states[::-1], times[:0:-1], strict=True)
                ],
            },
        }
        self.deployments.append(node)
        return node

    def release(self, tag: str, sha: str, *, hours: float, **fields: Any) -> None:
        """Add a published release of a commit."""
        self.releases.append(
            {
                'id': f'RE_{tag}',
                'tagName': tag,
                'isDraft': False,
                'isPrerelease': False,
                'publishedAt': self.at(hours),
                'createdAt': self.at(hours),
                'url': f'https://x/{tag}',
                'tagCommit': {'oid': sha},
                **fields,
            }
        )

    def instance(self) -> dict[str, Any]:
        return {**super().instance(), 'dora': {'source': 'deployments'}}

    def rest(self, request: Request, what: str) -> Response:
        if '...' in what:
            return self.compared(request, *what.split('...'))
        return super().rest(request, what)

    def compared(self, request: Request, base: str, head: str) -> Response:
        """Answer a comparison of two commits."""
        if base not in self.history or head not in self.history:
            return self.json({'message': 'Not Found'}, 404)
        old, new = self.ancestors(base), self.ancestors(head)
        ahead = sorted(new - old, key=lambda sha: self.history[sha]['commit']['committer']['date'])
        words = {(True, True): 'diverged', (True, False): 'ahead', (False, True): 'behind', (False, False): 'identical'}
        size, number = int(request.args.get('per_page', 250)), int(request.args.get('page', 1))
        return self.json(
            {
                'status': words[bool(ahead), bool(old - new)],
                'ahead_by': len(ahead),
                'behind_by': len(old - new),
                'total_commits': len(ahead),
                'commits': [self.history[sha] for sha in ahead[size * (number - 1) : size * number]],
            }
        )

    def ancestors(self, sha: str) -> set[str]:
        """Return a commit with all that it contains."""
        found: set[str] = set()
        waiting = [sha]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += [parent['sha'] for parent in self.history[one]['parents']]
        return found

    def data(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        if operation == 'DeploymentsById':
            by_id = {node['id']: node for node in self.deployments if node['id'] not in self.gone}
            return {'nodes': [by_id.get(one) for one in variables['ids']]}
        if operation in ('Deployments', 'Releases'):
            key = operation.lower()
            rows = [node for node in getattr(self, key) if node['id'] not in self.gone]
            return {'repository': {key: page(rows, variables)}}
        return super().data(operation, variables)

    def overview(self) -> dict[str, Any]:
        """Return the repository as the first query shows it, with its newest releases."""
        return {**super().overview(), 'releases': page(self.releases, {'page': 50})}


def page(rows: list[dict[str, Any]], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of a connection, the newest first."""
    ordered = sorted(rows, key=lambda node: node['createdAt'], reverse=True)
    start = int(variables.get('after') or 0)
    end = start + variables['page']
    return {
        'totalCount': len(rows),
        'pageInfo': {'hasNextPage': end < len(rows), 'endCursor': str(end)},
        'nodes': ordered[start:end],
    }
