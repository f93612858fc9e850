"""Reading of all tasks by search, in a workspace with many projects.

The lists of projects take at least one request per project. A search covers many projects, so all but the last of its
pages are full. It is the cheaper way to begin and to count all tasks. Later crawls read the lists: unlike the index of
search, they cannot lag behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from ..core.errors import Forbidden, NotFound, Rejected, SourceError
from ..core.paging import Page
from .client import Client, format_milliseconds
from .records import CountedTask, Task

T = TypeVar('T')

# With fewer projects, the lists take at most this many requests more, and searches are limited to 60 per minute.
MIN_PROJECTS = 60
# A search for more than about 29,000 tasks takes longer. The lists have 20 times as many requests per minute.
MAX_SECONDS = 600
# Projects that one search names, in the query of its URL.
PROJECTS_PER_SEARCH = 100
# The tasks that a search finds.
OPEN = 'open'
COMPLETED = 'completed'
EVERY = 'every'


class SearchFailed(SourceError):
    """Search refuses: the error is not about one of the projects, and the lists of projects may still work."""

    reason = 'rejected'


class TooManyTasks(SourceError):
    """The search takes longer than the lists of the projects would."""

    reason = 'budget'


def check_duration(begun_at: float, now: float) -> None:
    """Raise TooManyTasks for a search that began too long ago. Times are seconds since the epoch."""
    if now - begun_at >= MAX_SECONDS:
        raise TooManyTasks('the search takes too long')


class TaskSearch:
    """Searches for the tasks of the projects of one workspace.

    A search consists of parts, each with a name that is stored while a crawl over the parts is not complete.
    """

    def __init__(self, client: Client, workspace: str) -> None:
        self._client = client
        self._workspace = workspace

    @staticmethod
    def parts(projects: Collection[str], *kinds: str) -> tuple[str, ...]:
        """Return the names of the parts of a search for tasks of these kinds: OPEN, COMPLETED, EVERY."""
        gids = list(projects)
        starts = range(0, len(gids), PROJECTS_PER_SEARCH)
        return tuple(
            f'{kind} {",".join(gids[start : start + PROJECTS_PER_SEARCH])}' for kind in kinds for start in starts
        )

    def tasks(self, part: str, since: datetime, after: str | None) -> Iterator[Page[tuple[str, Task | None]]]:
        """Yield pages of a part, from a time of creation on; of completed tasks, those completed after `since`.

        Raises SearchFailed when Asana refuses the search.
        """
        return _unrelated_to_projects(self._client.created(self._workspace, _query(part, since), after))

    def counted(self, part: str, after: str | None) -> Iterator[Page[CountedTask]]:
        """Yield pages of a part of kind EVERY, from a time of creation on. Raises SearchFailed."""
        return _unrelated_to_projects(self._client.created_counted(self._workspace, _query(part, None), after))


def _query(part: str, since: datetime | None) -> Mapping[str, str]:
    kind, _, gids = part.partition(' ')
    query = {'projects.any': gids}
    if kind == OPEN:
        query['completed'] = 'false'
    elif since is not None:
        query['completed_at.after'] = format_milliseconds(since)
    return query


def _unrelated_to_projects(pages: Iterator[Page[T]]) -> Iterator[Page[T]]:
    """Yield pages. A crawl leaves a project out that is refused, but must not leave out a part of a search."""
    try:
        yield from pages
    except (Forbidden, NotFound, Rejected) as error:
        raise SearchFailed(str(error), reason=error.reason) from error
