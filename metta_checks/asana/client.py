"""Talks to Asana's REST interface; yields records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from ..core.errors import BadPayload, Rejected, SourceError
from ..core.http import Api, Response, ResponsePolicy
from ..core.paging import Page, pages
from .records import (
    EPOCH,
    MILLISECOND,
    Bug,
    Me,
    Project,
    Task,
    Unreadable,
    milliseconds,
    parse_counted,
    parse_entry,
)
from .settings import Settings

T = TypeVar('T')

# Asana answers 400 to lists without a limit that are longer than about 1,000; this is the most it allows.
PAGE_SIZE = 100
MAX_MESSAGE = 160
NO_NEXT_PAGE = 'it promises a further page and does not say where it begins'
# Search has a rate limit of its own beside that of the token.
CORE = 'core'
SEARCH = 'search'

# Fields that are asked for; every nested one costs more of Asana's limit on the cost of a request.
PROJECT_FIELDS = (
    'name,completed,due_on,current_status_update.status_type,current_status_update.created_at,'
    'current_status.color,current_status.created_at'
)
TASK_FIELDS = (
    'created_at,modified_at,completed,completed_at,due_at,due_on,assignee.gid,created_by.gid,completed_by.gid,'
    'parent.gid,is_rendered_as_separator,projects.gid'
)
SECTION_FIELDS = 'memberships.section.name'
BLOCKED_FIELDS = 'dependencies.completed'
BUG_FIELDS = (
    'created_at,completed,completed_at,is_rendered_as_separator,memberships.project.gid,memberships.section.name'
)
COUNTED_FIELDS = 'parent.gid,is_rendered_as_separator'
STORY_FIELDS = 'created_at,resource_subtype,new_section.name'


class PaymentRequired(Rejected):
    """The workspace's plan does not include this (search, on free workspaces)."""

    reason = 'payment_required'


class OffsetExpired(Rejected):
    """Asana does not know the offset of a list any more: the list begins anew."""

    reason = 'offset'


class Client:
    """What the source asks Asana. Every method raises the errors of errors.py."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._api = api
        self._started_sections = settings.started_sections
        self.task_fields = ','.join(
            (
                TASK_FIELDS,
                *((SECTION_FIELDS,) if settings.started_sections else ()),
                *((BLOCKED_FIELDS,) if settings.blocked else ()),
            )
        )

    def me(self) -> Me:
        """Whom the token belongs to."""
        response = self._get('users/me', {'opt_fields': 'name,workspaces.name'})
        data = response.json_object().get('data')
        if not isinstance(data, Mapping):
            raise BadPayload(_misshapen(response.request, '`data` is not an object'))
        return Me.parse(data)

    def projects(self, workspace: str) -> Iterator[Page[Project]]:
        """The workspace's projects that are not archived and that the token may see."""
        params = {'workspace': workspace, 'archived': 'false', 'opt_fields': PROJECT_FIELDS}
        return self._list('projects', params, Project.parse)

    def tasks(self, project: str, since: int, offset: str | None) -> Iterator[Page[tuple[str, Task | None]]]:
        """The project's tasks from an offset on: the open ones, and those completed since (milliseconds)."""
        params = {'completed_since': timestamp(since), 'opt_fields': self.task_fields}
        return self._list(_tasks_of(project), params, self._task, offset)

    def every_task(self, project: str, offset: str | None) -> Iterator[Page[tuple[str, bool]]]:
        """(gid, whether it is a task that counts) of all tasks of the project, from an offset on."""
        return self._list(_tasks_of(project), {'opt_fields': COUNTED_FIELDS}, parse_counted, offset)

    def bugs(self, project: str, since: int) -> Iterator[Page[tuple[str, Bug | None]]]:
        """The project's tasks with their section in it: the open ones, and those completed since (milliseconds)."""
        params = {'completed_since': timestamp(since), 'opt_fields': BUG_FIELDS}
        return self._list(_tasks_of(project), params, lambda row: Bug.parse(row, project))

    def modified(self, workspace: str, after: int) -> Page[tuple[str, Task | None]]:
        """Up to PAGE_SIZE tasks modified after a time (milliseconds), in the order of their modification; no subtasks.

        There are no further pages: search has no offsets. Raises PaymentRequired on free workspaces.
        """
        params = {
            'modified_at.after': timestamp(after),
            'sort_by': 'modified_at',
            'sort_ascending': 'true',
            'is_subtask': 'false',
            'opt_fields': self.task_fields,
        }
        return self._page(f'workspaces/{workspace}/tasks/search', params, self._task, None, resource=SEARCH)

    def can_search(self, workspace: str, now: datetime) -> bool:
        """Whether the workspace's plan includes search. Asks for nothing that could be found."""
        params = {'modified_at.after': timestamp(milliseconds(now)), 'limit': 1, 'opt_fields': 'gid'}
        try:
            self._get(f'workspaces/{workspace}/tasks/search', params, resource=SEARCH)
        except PaymentRequired:
            return False
        return True

    def entries(self, task: str) -> Iterator[Page[tuple[str, int | None]]]:
        """The task's stories, oldest first: (gid, when it entered a started section or None)."""
        params = {'opt_fields': STORY_FIELDS}
        return self._list(f'tasks/{task}/stories', params, lambda row: parse_entry(row, self._started_sections))

    def readable(self, project: str) -> None:
        """Ask for one task of a project, for the error it may raise."""
        self._get(_tasks_of(project), {'limit': 1, 'opt_fields': 'gid'})

    # Inside.

    def _task(self, row: Mapping[str, Any]) -> tuple[str, Task | None]:
        return Task.parse(row, self._started_sections)

    def _list(
        self,
        path: str,
        params: Mapping[str, Any],
        parse: Callable[[Mapping[str, Any]], T],
        start: str | None = None,
    ) -> Iterator[Page[T]]:
        def fetch(offset: str | None) -> Page[T]:
            return self._page(path, params, parse, offset)

        request = self._api.request_line('get', path)
        return pages(fetch, start, repeated=_misshapen(request, NO_NEXT_PAGE))

    def _page(
        self,
        path: str,
        params: Mapping[str, Any],
        parse: Callable[[Mapping[str, Any]], T],
        offset: str | None,
        *,
        resource: str = CORE,
    ) -> Page[T]:
        query = {**params, 'limit': PAGE_SIZE, **({'offset': offset} if offset else {})}
        response = self._get(path, query, resource=resource)
        body = response.json_object()
        listed = body.get('data')
        if not isinstance(listed, list):
            raise BadPayload(_misshapen(response.request, '`data` is not a list'))
        rows = []
        for row in listed:
            try:
                rows.append(parse(row if isinstance(row, Mapping) else {}))
            except Unreadable:
                continue
        # A row or two are left out and said; an answer that is mostly unreadable is not counted at all.
        if 2 * len(rows) < len(listed):
            lacking = f'{len(listed) - len(rows)} of {len(listed)} rows lack the fields asked for'
            raise BadPayload(_misshapen(response.request, lacking))
        return Page(rows, len(listed) - len(rows), _next(response, body))

    def _get(self, path: str, params: Mapping[str, Any], *, resource: str = CORE) -> Response:
        if resource != CORE:
            # The token's own limit is over all requests.
            self._api.limits.check(CORE)
        return self._api.get(path, params, resource=resource)


class Refusals(ResponsePolicy):
    """The refusals that only Asana has."""

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the error for a plan without search, for an expired offset and for a wrong gid."""
        said = f'{response.request} answered HTTP {response.status}'
        if response.status == 402:
            return PaymentRequired(f'{said}: the workspace is on a plan without search')
        if response.status == 400:
            message = _message(response)
            if any(words in message.lower() for words in ('offset', 'pagination token')):
                return OffsetExpired(f'{said}: the offset has expired')
            return Rejected(
                f'{said}: Asana says "{message}"; gids are the long numbers in the addresses of Asana\'s pages'
            )
        return None


def timestamp(moment: int) -> str:
    """ISO 8601 of milliseconds since the epoch, as Asana writes it."""
    return (EPOCH + moment * MILLISECOND).isoformat(timespec='milliseconds').replace('+00:00', 'Z')


def _tasks_of(project: str) -> str:
    return f'projects/{project}/tasks'


def _next(response: Response, body: Mapping[str, Any]) -> str | None:
    following = body.get('next_page')
    if following is None:
        return None
    offset = following.get('offset') if isinstance(following, Mapping) else None
    if not isinstance(offset, str) or not offset:
        raise BadPayload(_misshapen(response.request, NO_NEXT_PAGE))
    return offset


def _misshapen(request: str, what: str) -> str:
    return (
        f'{request} gave an answer that is not one of Asana: {what}; '
        'is option `api_url` the address of Asana, with nothing in between?'
    )


def _message(response: Response) -> str:
    """The reason Asana gives, as one short line."""
    try:
        first = response.json_object()['errors'][0]['message']
    except (BadPayload, LookupError, TypeError):
        return 'no reason given'
    text = ' '.join(str(first).split())
    return text if len(text) <= MAX_MESSAGE else f'{text[: MAX_MESSAGE - 3]}...'
