"""The requests to Asana's REST API; yields records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from ..core.errors import BadPayload, Forbidden, NotFound, Rejected, SourceError, Unavailable
from ..core.fields import flag, items, mapping, objects, text
from ..core.http import Api, Response, ResponsePolicy
from ..core.paging import Page, pages
from ..core.text import one_line
from .records import (
    OPEN_FIELDS,
    Bug,
    CountedTask,
    CustomField,
    Dependency,
    Me,
    Project,
    Story,
    Task,
    Unreadable,
    creation,
)
from .search_pace import SearchPace
from .settings import Settings

T = TypeVar('T')

# Asana's maximum. It answers 400 to a list of more than about 1,000 rows without a limit.
PAGE_SIZE = 100
# Asana's times are this precise.
PRECISION = timedelta(milliseconds=1)
MAX_MESSAGE = 160
# Precondition failed, unavailable for legal reasons.
REFUSALS = frozenset({412, 451})
SERVER_ERROR = 500
GID_HINT = "gids are the long numbers in the addresses of Asana's pages"
NO_NEXT_PAGE = 'it promises a further page and does not say where it begins'
# The "what to do" of an error line, by kind of error.
REMEDIES = {
    'auth': 'option `access_token` was rejected; create a new personal access token (https://app.asana.com/0/my-apps) '
    'or service account',
    'permission': 'the user or service account of option `access_token` must be a member, with the scopes '
    '`tasks:read` and `projects:read`',
    'not_found': 'check the gid; Asana also says "not found" for what the token may not see',
    'unreachable': 'check option `api_url`, DNS and the proxy options',
    'tls': 'check the options `tls_verify` and `tls_ca_cert`',
    'timeout': 'a later run tries again; option `read_timeout` gives Asana more time',
}
# The errors for which Asana's own message stands between the general words and the remedy.
EXPLAINED: dict[int, tuple[type[SourceError], str, str]] = {
    403: (Forbidden, 'permission denied', 'permission'),
    404: (NotFound, 'not found', 'not_found'),
}
# Search has a rate limit of its own in addition to that of the token.
CORE = 'core'
SEARCH = 'search'

# Values of `opt_fields`. Every nested field counts toward Asana's limit on the cost of a request.
PROJECT_FIELDS = (
    'name,completed,due_on,current_status_update.status_type,current_status_update.created_at,'
    'current_status.color,current_status.created_at'
)
TASK_FIELDS = (
    'created_at,modified_at,completed,completed_at,due_at,due_on,assignee.gid,created_by.gid,completed_by.gid,'
    'parent.gid,is_rendered_as_separator,projects.gid'
)
SECTION_FIELDS = 'memberships.project.gid,memberships.section.name'
BLOCKED_FIELDS = 'dependencies.completed'
KIND_FIELDS = 'resource_subtype'
BUG_FIELDS = (
    'created_at,completed,completed_at,is_rendered_as_separator,memberships.project.gid,memberships.section.name'
)
SEVERITY_FIELDS = 'custom_fields.gid,custom_fields.enum_value.name'
CUSTOM_FIELDS = (
    'custom_field.name,custom_field.resource_subtype,custom_field.enum_options.name,custom_field.enum_options.enabled'
)
COUNTED_FIELDS = 'parent.gid,is_rendered_as_separator'
SEARCHED_FIELDS = f'created_at,projects.gid,{COUNTED_FIELDS}'
STORY_FIELDS = 'created_at,resource_subtype,new_section.name'


class PaymentRequired(Rejected):
    """The workspace's plan does not include this (search, on free workspaces)."""

    reason = 'payment_required'


class OffsetExpired(Rejected):
    """The offset of a list has expired: the list has to be read again from its beginning."""

    reason = 'offset'


class Client:
    """The requests of the source. Every method raises the errors of core/errors.py."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._api = api
        self._pace = SearchPace(api.budget.clock)
        self._started_sections = settings.started_sections
        self._open_fields = (
            *OPEN_FIELDS,
            *(('memberships',) if settings.started_sections else ()),
            *(('dependencies',) if settings.blocked else ()),
            *((KIND_FIELDS,) if settings.milestones else ()),
        )
        self.task_fields = ','.join(
            (
                TASK_FIELDS,
                *((SECTION_FIELDS,) if settings.started_sections else ()),
                *((BLOCKED_FIELDS,) if settings.blocked else ()),
                *((KIND_FIELDS,) if settings.milestones else ()),
            )
        )

    def me(self) -> Me:
        """Return the user of the token."""
        response = self._get('users/me', {'opt_fields': 'name,workspaces.name'})
        data = mapping(response.json_object().get('data'))
        if data is None:
            raise BadPayload(_misshapen(response.request, '`data` is not an object'))
        return Me.parse(data)

    def projects(self, workspace: str) -> Iterator[Page[Project]]:
        """Yield pages of the workspace's projects that are not archived and that the token may see."""
        params = {'workspace': workspace, 'archived': 'false', 'opt_fields': PROJECT_FIELDS}
        return self._list('projects', params, Project.parse)

    def unarchived_project(self, gid: str) -> Project | None:
        """Return a project, None when it is archived."""
        response = self._get(f'projects/{gid}', {'opt_fields': f'archived,{PROJECT_FIELDS}'})
        data = mapping(response.json_object().get('data')) or {}
        try:
            return None if flag(data.get('archived')) else Project.parse(data)
        except Unreadable as error:
            raise BadPayload(_misshapen(response.request, str(error))) from error

    def sees_project(self, workspace: str) -> bool:
        """Return True when the token sees any project of the workspace, archived ones included."""
        response = self._get('projects', {'workspace': workspace, 'limit': 1, 'opt_fields': 'gid'})
        return bool(items(response.json_object().get('data')))

    def tasks(self, project: str, since: datetime, offset: str | None) -> Iterator[Page[tuple[str, Task | None]]]:
        """Yield pages of the project's tasks from an offset on: open ones, and those completed at `since` or later."""
        params = {'completed_since': format_milliseconds(since), 'opt_fields': self.task_fields}
        return self._list(_tasks_of(project), params, self._task, offset)

    def every_task(self, project: str, offset: str | None) -> Iterator[Page[CountedTask]]:
        """Yield pages of all tasks of the project, from an offset on."""
        return self._list(_tasks_of(project), {'opt_fields': COUNTED_FIELDS}, CountedTask.parse, offset)

    def bugs(self, project: str, since: datetime, severity_field: str | None) -> Iterator[Page[tuple[str, Bug | None]]]:
        """Yield pages of the Bugs project: open bugs, and those completed at `since` or later.

        `severity_field` is the gid of a custom field to read, None for none.
        """
        fields = BUG_FIELDS if severity_field is None else f'{BUG_FIELDS},{SEVERITY_FIELDS}'
        params = {'completed_since': format_milliseconds(since), 'opt_fields': fields}
        return self._list(_tasks_of(project), params, lambda row: Bug.parse(row, project, severity_field))

    def custom_fields(self, project: str) -> Iterator[Page[CustomField]]:
        """Yield pages of the custom fields of a project. Raises Rejected on plans without custom fields."""
        path = f'projects/{project}/custom_field_settings'
        return self._list(path, {'opt_fields': CUSTOM_FIELDS}, CustomField.parse)

    def modified(self, workspace: str, after: datetime) -> Page[tuple[str, Task | None]]:
        """Return up to PAGE_SIZE tasks modified after a time, in the order of their modification; no subtasks.

        There are no further pages: search has no offsets. Raises PaymentRequired on free workspaces.
        """
        params = {
            'modified_at.after': format_milliseconds(after),
            'sort_by': 'modified_at',
            'sort_ascending': 'true',
            'is_subtask': 'false',
            'opt_fields': self.task_fields,
        }
        return self._page(f'workspaces/{workspace}/tasks/search', params, self._task, None, resource=SEARCH)

    def created(
        self, workspace: str, query: Mapping[str, str], after: str | None
    ) -> Iterator[Page[tuple[str, Task | None]]]:
        """Yield pages of the tasks that a search finds, from a time of creation on, in that order; no subtasks.

        Raises BadPayload when more tasks than a page holds were created at the same time.
        """
        return self._search(workspace, query, self.task_fields, self._task, after)

    def created_counted(
        self, workspace: str, query: Mapping[str, str], after: str | None
    ) -> Iterator[Page[CountedTask]]:
        """Yield the pages of `created`, with what a count needs."""
        return self._search(workspace, query, SEARCHED_FIELDS, CountedTask.parse, after)

    def can_search(self, workspace: str, now: datetime) -> bool:
        """Return True when the workspace's plan includes search. The search it tries finds no task."""
        params = {'modified_at.after': format_milliseconds(now), 'limit': 1, 'opt_fields': 'gid'}
        try:
            self._get(f'workspaces/{workspace}/tasks/search', params, resource=SEARCH)
        except PaymentRequired:
            return False
        return True

    def stories(self, task: str) -> Iterator[Page[Story]]:
        """Yield pages of the task's stories, oldest first."""
        params = {'opt_fields': STORY_FIELDS}
        return self._list(f'tasks/{task}/stories', params, lambda row: Story.parse(row, self._started_sections))

    def dependencies(self, task: str) -> Iterator[Page[Dependency]]:
        """Yield pages of the tasks that a task depends on."""
        return self._list(f'tasks/{task}/dependencies', {'opt_fields': 'completed'}, Dependency.parse)

    def sections(self, project: str) -> Iterator[Page[str | None]]:
        """Yield pages of the names of the project's sections, None for a section without a name."""
        return self._list(f'projects/{project}/sections', {'opt_fields': 'name'}, lambda row: text(row.get('name')))

    def check_readable(self, project: str) -> None:
        """Ask for one task of a project. Raises Forbidden or NotFound when the token cannot read the project."""
        self._get(_tasks_of(project), {'limit': 1, 'opt_fields': 'gid'})

    def _task(self, row: Mapping[str, Any]) -> tuple[str, Task | None]:
        return Task.parse(row, self._started_sections, self._open_fields)

    def _search(
        self,
        workspace: str,
        query: Mapping[str, str],
        fields: str,
        parse: Callable[[Mapping[str, Any]], T],
        start: str | None,
    ) -> Iterator[Page[T]]:
        """Yield pages of a search. Search has no offsets: each page begins at the last time of the page before."""
        path = f'workspaces/{workspace}/tasks/search'
        order = {'sort_by': 'created_at', 'sort_ascending': 'true', 'is_subtask': 'false', 'opt_fields': fields}

        def fetch(after: str | None) -> Page[T]:
            params = {**query, **order, **({} if after is None else {'created_at.after': after})}
            page = self._page(path, params, lambda row: (creation(row), parse(row)), None, resource=SEARCH)
            is_full = len(page.rows) + page.unreadable >= PAGE_SIZE
            latest = max((created for created, _ in page.rows if created is not None), default=None)
            if is_full and latest is None:
                # Without their times of creation, nobody can tell where the next page begins.
                raise BadPayload(f'{self._api.request_line("get", path)}: the rows lack the field `created_at`')
            # Tasks that were created at the same time may continue on the next page.
            cursor = format_milliseconds(latest - PRECISION) if is_full and latest is not None else None
            return Page([row for _, row in page.rows], page.unreadable, cursor)

        repeated = f'{self._api.request_line("get", path)}: more than {PAGE_SIZE} tasks were created at the same time'
        return pages(fetch, start, repeated=repeated)

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
        listed = items(body.get('data'))
        if listed is None:
            raise BadPayload(_misshapen(response.request, '`data` is not a list'))
        rows = _readable_rows(listed, parse)
        # Single unreadable rows are left out and reported. An answer with more unreadable than readable ones is bad.
        if 2 * len(rows) < len(listed):
            lacking = f'{len(listed) - len(rows)} of {len(listed)} rows lack the fields asked for'
            raise BadPayload(_misshapen(response.request, lacking))
        return Page(rows, len(listed) - len(rows), _next(response, body))

    def _get(self, path: str, params: Mapping[str, Any], *, resource: str = CORE) -> Response:
        if resource != CORE:
            # The limit of the token applies to all requests.
            self._api.limits.check(CORE)
            self._pace.spend()
        return self._api.get(path, params, resource=resource)


class Refusals(ResponsePolicy):
    """The errors for statuses to which Asana gives a meaning of its own, and for those that it explains."""

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the error for a plan without search, an expired offset, a wrong gid and an explained refusal."""
        said = f'{response.request} answered HTTP {response.status}'
        if response.status == 402 and resource == SEARCH:
            return PaymentRequired(f'{said}: the workspace is on a plan without search')
        if response.status == 402:
            return Rejected(f'{said}: {_reason(response)}', reason=PaymentRequired.reason)
        if response.status in REFUSALS:
            return Rejected(f'{said}: {_reason(response)}')
        if response.status >= SERVER_ERROR and (phrase := text(_first_error(response).get('phrase'))):
            return Unavailable(
                f'{said}; Asana\'s support finds the incident by the phrase "{one_line(phrase, MAX_MESSAGE)}"',
                reason='http_5xx',
            )
        if response.status == 400:
            message = text(_first_error(response).get('message')) or ''
            if any(words in message.lower() for words in ('offset', 'pagination token')):
                return OffsetExpired(f'{said}: the offset has expired')
            return Rejected(f'{said}: {_reason(response)}', remedy=GID_HINT)
        if response.status in EXPLAINED and text(_first_error(response).get('message')):
            kind, words, remedy = EXPLAINED[response.status]
            return kind(f'{said}: {words}: {_reason(response)}', remedy=REMEDIES[remedy])
        return None


def format_milliseconds(moment: datetime) -> str:
    """Return a time as Asana writes it: ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec='milliseconds').replace('+00:00', 'Z')


def _tasks_of(project: str) -> str:
    return f'projects/{project}/tasks'


def _readable_rows(listed: list[Any], parse: Callable[[Mapping[str, Any]], T]) -> list[T]:
    rows = []
    for row in listed:
        try:
            rows.append(parse(mapping(row) or {}))
        except Unreadable:
            continue
    return rows


def _next(response: Response, body: Mapping[str, Any]) -> str | None:
    """Return the offset of the next page, None on the last one."""
    following = body.get('next_page')
    if following is None:
        return None
    offset = text((mapping(following) or {}).get('offset'))
    if offset is None:
        raise BadPayload(_misshapen(response.request, NO_NEXT_PAGE))
    return offset


def _misshapen(request: str, what: str) -> str:
    return (
        f'{request} gave an unexpected answer: {what}; '
        'check that option `api_url` is the address of Asana, without a proxy that changes answers'
    )


def _first_error(response: Response) -> Mapping[str, Any]:
    """Return the first error of an answer, an empty one without any."""
    try:
        errors = objects(response.json_object().get('errors'))
    except BadPayload:
        errors = None
    return errors[0] if errors else {}


def _reason(response: Response) -> str:
    """Return Asana's own message and help for a refusal, each as one short line."""
    error = _first_error(response)
    message, advice = text(error.get('message')), text(error.get('help'))
    said = f'Asana says "{one_line(message or "no reason given", MAX_MESSAGE)}"'
    return f'{said} ({one_line(advice, MAX_MESSAGE)})' if advice else said
