"""A GitHub that shows as many reviews and events of a pull request as a query asks for, as GitHub does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.github.scripted import ScriptedGitHub, ago

REVIEWS = re.compile(r'reviews\(first: (\d+)')
EVENTS = re.compile(r'timelineItems\(\s*(first|last): (\d+), itemTypes: \[([\w, ]+)\]')
PAGE = 100


class PullsGitHub(ScriptedGitHub):
    """Serves metta/one, with pull requests whose lists have any length, and issues."""

    def __init__(self) -> None:
        super().__init__()
        self.open = []
        self.issues: list[dict[str, Any]] = []
        self._query = ''

    def answer(self, request: Request) -> Response:
        self._query = (request.get_json(silent=True) or {}).get('query', '')
        return super().answer(request)

    def data(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        if operation == 'MoreReviews':
            [pull] = (one for one in (*self.open, *self.closed) if one['id'] == variables['id'])
            return {'node': {**pull, 'reviews': cut(pull['reviews']['nodes'], PAGE, int(variables['after']))}}
        if operation == 'Issues':
            page = cut(self.issues, variables['page'], int(variables['after'] or 0))
            opened = sum(one['state'] == 'OPEN' for one in self.issues)
            return {'repository': {'openIssues': {'totalCount': opened}, 'issues': page}}
        opened, closed = self.open, self.closed
        self.open, self.closed = list(map(self._shown, opened)), list(map(self._shown, closed))
        try:
            return super().data(operation, variables)
        finally:
            self.open, self.closed = opened, closed

    def _shown(self, pull: dict[str, Any]) -> dict[str, Any]:
        reviews, events = REVIEWS.search(self._query), EVENTS.search(self._query)
        shown = dict(pull)
        if reviews and pull['reviews'] is not None:
            shown['reviews'] = cut(pull['reviews']['nodes'], int(reviews[1]))
        if events:
            kinds = {kind.strip().title().replace('_', '') for kind in events[3].split(',')}
            listed = [event for event in pull['timelineItems']['nodes'] if event['__typename'] in kinds]
            size = int(events[2])
            few = listed[:size] if events[1] == 'first' else listed[-size:]
            page = {'hasPreviousPage': events[1] == 'last' and len(few) < len(listed)}
            shown['timelineItems'] = {'pageInfo': page, 'nodes': few}
        return shown


def cut(rows: list[Any], size: int, start: int = 0) -> dict[str, Any]:
    """Return a page of a connection. Its cursors are positions."""
    end = min(start + size, len(rows))
    return {
        'totalCount': len(rows),
        'pageInfo': {'hasNextPage': end < len(rows), 'endCursor': str(end)},
        'nodes': rows[start:end],
    }


def account(login: str | None, kind: str = 'User') -> dict[str, str] | None:
    """Return an account; None stands for a deleted one."""
    return None if login is None else {'__typename': kind, 'login': login}


def review(login: str | None, state: str = 'COMMENTED', kind: str = 'User', **age: float) -> dict[str, Any]:
    """Return a review submitted some time ago."""
    return {'state': state, 'submittedAt': ago(**age), 'author': account(login, kind)}


def event(kind: str, **age: float) -> dict[str, Any]:
    """Return an event of a pull request, such as `ReadyForReview`."""
    return {'__typename': f'{kind}Event', 'createdAt': ago(**age)}
