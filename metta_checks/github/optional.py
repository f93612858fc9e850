"""What is read only on request: deployments and self-hosted runners."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import BadPayload
from ..core.paging import Page, pages
from .answers import SAME_PAGE, all_rows, parsing
from .client import Client
from .records import Deployment, Runner
from .values import next_cursor, nodes

# A week of a thousand deployments is read to its end.
MAX_PAGES = 10
RUNNERS_PAGE = 100


def deployments(client: Client, owner: str, name: str) -> Iterator[Deployment | None]:
    """Deployments, the newest first; pages are fetched as they are consumed. Ends with None when there are too many."""

    def fetch(cursor: str | None) -> Page[Deployment]:
        variables = {'owner': owner, 'name': name, 'after': cursor}
        answer = client.page('deployments', variables)
        with parsing():
            connection = (answer.data.get('repository') or {}).get('deployments')
            if connection is None:
                raise BadPayload('GitHub gave no list of deployments')
            return Page([Deployment.parse(node) for node in nodes(connection)], cursor=next_cursor(connection))

    for page in pages(fetch, repeated=SAME_PAGE, limit=MAX_PAGES):
        yield from page.rows
    if page.cursor is not None:
        yield None


def runners(client: Client, owner: str, name: str) -> list[Runner]:
    """The repository's self-hosted runners."""

    def fetch(link: str | None) -> Page[Runner]:
        first = f'repos/{owner}/{name}/actions/runners'
        response = client.get(first, {'per_page': RUNNERS_PAGE}) if link is None else client.get(link)
        rows = response.json_object().get('runners')
        if not isinstance(rows, list):
            raise BadPayload(f'{response.request} answered without runners')
        with parsing():
            return Page([Runner.parse(row) for row in rows], cursor=response.links.get('next'))

    return list(all_rows(fetch))
