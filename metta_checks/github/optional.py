"""What is read only on request: deployments and self-hosted runners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import BadPayload
from .answers import after_of, parsing
from .client import Client
from .records import Deployment, Runner
from .values import nodes

# A week of a thousand deployments is read to its end.
MAX_PAGES = 10
RUNNERS_PAGE = 100


def deployments(client: Client, owner: str, name: str) -> Iterator[Deployment | None]:
    """Deployments, the newest first; pages are fetched as they are consumed. Ends with None when there are too many."""
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        variables = {'owner': owner, 'name': name, 'after': cursor}
        answer = client.page('deployments', variables)
        with parsing():
            connection = (answer.data.get('repository') or {}).get('deployments')
            if connection is None:
                raise BadPayload('GitHub gave no list of deployments')
            found = [Deployment.parse(node) for node in nodes(connection)]
            cursor = after_of(connection, cursor)
        yield from found
        if cursor is None:
            return
    yield None


def runners(client: Client, owner: str, name: str) -> list[Runner]:
    """The repository's self-hosted runners."""
    found: list[Runner] = []
    path: str | None = f'repos/{owner}/{name}/actions/runners'
    params: Mapping[str, Any] | None = {'per_page': RUNNERS_PAGE}
    while path is not None:
        response = client.get(path, params)
        rows = response.json_object().get('runners')
        if not isinstance(rows, list):
            raise BadPayload(f'{response.request} answered without runners')
        with parsing():
            found += [Runner.parse(row) for row in rows]
        path, params = response.links.get('next'), None
    return found
