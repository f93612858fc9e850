"""The Asana service: authentication, paging, limits, search, time."""

from __future__ import annotations

import math
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

from ..organization import Organization
from ..server import Figure, Service
from .activity import Activity
from .data import WORKSPACE_GID, ZONES, Generator, Sizes
from .model import Project, Shown, Task, select
from .options import AsanaOptions
from .truth_optional import OptionalTruth

T = TypeVar('T')
Listed = TypeVar('Listed', Project, Task)

ACCESS_TOKEN = '2/1197000000000001/1204000000000002:5a17db0c5a17db0c5a17db0c5a17db0c'
BASE = '/api/1.0/'
MAX_LIMIT = 100
MAX_WITHOUT_LIMIT = 1000
# Requests per minute.
LIMITS = {True: 1500, False: 150}
SEARCH_LIMIT = 60
MINUTE = timedelta(minutes=1)
NIGHT_AFTER = timedelta(hours=7)
NIGHT_LASTS = timedelta(seconds=90)


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Offset:
    """The place where a list continues; forgotten at a time."""

    path: str
    after: int
    until: datetime


class AsanaService(Service):
    """One workspace with a Bugs project.

    Attributes:
        premium: paid plan; search is answered with 402 without it, and the rate limit is that of a free workspace
        rate_limit: requests per minute; None: as the plan has it
        search_lag: seconds until search finds a change
        offset_seconds: lifetime of an offset
        tasks_total: the check reports tasks.total
        closed: gids of projects that the token may list, but not read
        hidden: gids of projects that the token does not see
        unlisted: gids of projects that the list of projects leaves out
        twice: gids of tasks and projects that a list has at its end once more
        ignored: names of parameters that search ignores
        withheld: names of fields that rows lack even when a request asks for them
        withheld_of: names of further fields that one row lacks, by its gid
        access_token: the token that is accepted
    """

    name = 'asana'
    options_type = AsanaOptions

    def __init__(self, organization: Organization, clock: Clock, options: AsanaOptions) -> None:
        super().__init__(organization, clock)
        self.premium = options.premium
        self.rate_limit = options.rate_limit
        self.search_lag = options.search_lag
        self.offset_seconds = options.offset_seconds
        self.tasks_total = options.tasks_total
        self.closed: set[str] = set()
        self.hidden: set[str] = set()
        self.unlisted: set[str] = set()
        self.withheld: set[str] = set()
        self.withheld_of: dict[str, set[str]] = {}
        self.twice: set[str] = set()
        self.ignored: set[str] = set()
        self.access_token = ACCESS_TOKEN
        generator = Generator(organization, clock.now(), Sizes.of(options))
        self.workspace = generator.build()
        self.bugs_project = generator.bugs_project
        self._shown = Shown(self.workspace, status_types=options.status_types)
        self._activity = Activity(
            generator,
            organization.random('asana-activity'),
            organization.random('asana-reopenings'),
            creations=options.creations,
        )
        self._active = options.activity
        self._night = clock.now() + NIGHT_AFTER
        self._offsets: dict[str, Offset] = {}
        self._recent: deque[datetime] = deque()
        self._recent_searches: deque[datetime] = deque()
        self._routes: list[tuple[re.Pattern[str], Callable[..., Response]]] = [
            (re.compile('users/me'), self._me),
            (re.compile('projects'), self._list_projects),
            (re.compile(r'projects/(\w+)'), self._show_project),
            (re.compile(r'projects/(\w+)/tasks'), self._list_tasks),
            (re.compile(r'projects/(\w+)/sections'), self._list_sections),
            (re.compile(r'projects/(\w+)/custom_field_settings'), self._list_custom_fields),
            (re.compile(r'workspaces/(\w+)/tasks/search'), self._search),
            (re.compile(r'tasks/(\w+)/stories'), self._list_stories),
            (re.compile(r'tasks/(\w+)/dependencies'), self._list_dependencies),
        ]

    # The service's contract.

    def instance(self) -> dict[str, Any]:
        """Return an instance for the workspace with its Bugs project; due dates are those of Berlin."""
        return {
            'source': 'asana',
            'api_url': f'{self.url}{BASE}',
            'access_token': self.access_token,
            'workspace_gid': WORKSPACE_GID,
            'bugs_project_gid': self.bugs_project,
            'timezone': ZONES[0],
            'min_collection_interval': 60,
            **({} if self.tasks_total else {'tasks_total': False}),
        }

    def truth(self, now: datetime) -> Iterable[Figure]:
        """Compute every core figure."""
        return self.truths(now).figures(total=self.tasks_total)

    def truths(self, now: datetime) -> OptionalTruth:
        """Return the truth that also has the figures that options switch on."""
        return OptionalTruth(self.workspace, self.bugs_project, now, ZONES[0])

    def pass_time(self, seconds: float) -> None:
        """Let people work, except in the last minute: search may not find its changes yet."""
        start = self.clock.now()
        self.clock.advance(seconds)
        if self._active:
            self._activity.happen(start, self.clock.now())

    # Changes that tests make, at the present time.

    def clear(self) -> None:
        """Remove everything but the empty Bugs project, for a test that describes a workspace of its own."""
        self.workspace.clear(self.bugs_project)
        bugs = self.workspace.projects[self.bugs_project]
        bugs.status, bugs.custom_fields = None, ()

    def create_project(self, name: str, sections: Sequence[str], **fields: Any) -> Project:
        """Create a project."""
        return self.workspace.add_project(Project(self.workspace.new_gid(), name, tuple(sections), **fields))

    def create_task(self, memberships: dict[str, str | None], **fields: Any) -> Task:
        """Create a task in these projects and sections."""
        now = self.clock.now()
        creator = self.workspace.users[0]
        return self.workspace.add_task(
            Task(
                **{'created_at': now, **fields},
                gid=self.workspace.new_gid(),
                modified_at=now,
                creator=creator,
                memberships=dict(memberships),
            )
        )

    def complete_task(self, task: Task) -> None:
        """Complete a task."""
        task.completed_at = task.modified_at = self.clock.now()
        task.completer = self.workspace.users[1]

    def reopen_task(self, task: Task) -> None:
        """Mark a completed task as not completed."""
        self.workspace.reopen(task, self.clock.now())

    # Answering.

    def answer(self, request: Request) -> Response:
        """Answer clients that have the token."""
        try:
            if request.headers.get('Authorization') != f'Bearer {self.access_token}':
                raise Refused(401, 'Not Authorized')
            self._count(self._recent, self.rate_limit or LIMITS[self.premium])
            path = request.path.removeprefix(BASE)
            for pattern, route in self._routes:
                if request.path.startswith(BASE) and (match := pattern.fullmatch(path)):
                    if request.method != 'GET':
                        raise Refused(405, 'Method Not Allowed')
                    return route(request, *match.groups())
            raise Refused(404, 'No matching route for request')
        except Refused as refused:
            help_text = 'For more information on API status codes and how to handle them, read the docs'
            body = {'errors': [{'message': str(refused), 'help': help_text}]}
            return self.json(body, refused.status, refused.headers)

    def _count(self, recent: deque[datetime], limit: int) -> None:
        """Count a request. The limit applies to the requests of the last minute, including refused ones."""
        now = self.clock.now()
        if self._active and self._night <= now < self._night + NIGHT_LASTS:
            raise self._too_many(self._night + NIGHT_LASTS - now)
        while recent and now - recent[0] >= MINUTE:
            recent.popleft()
        recent.append(now)
        if len(recent) > limit:
            raise self._too_many(recent[len(recent) - limit - 1] + MINUTE - now)

    @staticmethod
    def _too_many(wait: timedelta) -> Refused:
        seconds = max(1, math.ceil(wait.total_seconds()))
        message = 'You have made too many requests recently. Please, be chill.'
        return Refused(429, message, {'Retry-After': str(seconds)})

    def _me(self, request: Request) -> Response:
        me = self.workspace.users[0]
        workspace = {'gid': self.workspace.gid, 'resource_type': 'workspace', 'name': self.workspace.name}
        shown = {'gid': me.gid, 'resource_type': 'user', 'name': me.name, 'workspaces': [workspace]}
        fields = request.args.get('opt_fields')
        return self.json({'data': select(shown, fields) if fields else shown})

    def _list_projects(self, request: Request) -> Response:
        workspace = request.args.get('workspace')
        if workspace is None:
            raise Refused(400, 'workspace: Missing input')
        self._known_workspace(workspace)
        wanted = _flag(request, 'archived')
        listed = [p for p in self.workspace.projects.values() if wanted is None or p.archived == wanted]
        listed = [p for p in listed if p.gid not in self.hidden | self.unlisted]
        return self._page(request, self._repeated(listed), self._shown.project)

    def _show_project(self, request: Request, project: str) -> Response:
        self._check_project(project)
        shown = self._shown.project(self.workspace.projects[project])
        fields = request.args.get('opt_fields')
        return self.json({'data': self._select(shown, fields) if fields else shown})

    def _check_project(self, project: str) -> None:
        if not project.isdigit():
            raise Refused(400, f'project: Not a recognized ID: {project}')
        if project not in self.workspace.projects or project in self.hidden:
            raise Refused(404, f'project: Unknown object: {project}')
        if project in self.closed:
            raise Refused(403, 'project: You do not have access to this project')

    def _list_sections(self, request: Request, project: str) -> Response:
        self._check_project(project)
        return self._page(request, self.workspace.projects[project].sections, self._shown.section)

    def _list_custom_fields(self, request: Request, project: str) -> Response:
        self._check_project(project)
        if not self.premium:
            raise Refused(402, 'Custom Fields are not available for free users or guests.')
        return self._page(request, self.workspace.projects[project].custom_fields, self._shown.custom_field_setting)

    def _list_tasks(self, request: Request, project: str) -> Response:
        self._check_project(project)
        listed = list(self.workspace.tasks_of(project))
        since = request.args.get('completed_since')
        if since is not None:
            begin = self._time('completed_since', since)
            listed = [task for task in listed if task.completed_at is None or task.completed_at >= begin]
        return self._page(request, self._repeated(listed), self._shown.task)

    def _list_stories(self, request: Request, task: str) -> Response:
        if task not in self.workspace.tasks:
            raise Refused(404, f'task: Unknown object: {task}')
        return self._page(request, self._shown.stories(self.workspace.tasks[task]), lambda story: story)

    def _list_dependencies(self, request: Request, task: str) -> Response:
        if task not in self.workspace.tasks:
            raise Refused(404, f'task: Unknown object: {task}')
        others = [self.workspace.tasks[gid] for gid in self.workspace.tasks[task].dependencies]
        return self._page(request, others, self._shown.task)

    def _search(self, request: Request, workspace: str) -> Response:
        self._known_workspace(workspace)
        if not self.premium:
            raise Refused(402, 'Payment Required')
        self._count(self._recent_searches, SEARCH_LIMIT)
        if 'offset' in request.args:
            raise Refused(400, 'offset: Not a valid parameter')
        limit = self._limit(request)
        found = self._found(request)
        # Asana's default order is by modification, the latest first.
        ascending = _flag(request, 'sort_ascending') is True
        by_creation = request.args.get('sort_by') == 'created_at'
        found.sort(key=lambda task: task.created_at if by_creation else task.modified_at, reverse=not ascending)
        fields = request.args.get('opt_fields')
        shown = [self._select(self._shown.task(task), fields) for task in found[: limit or MAX_LIMIT]]
        return self.json({'data': shown})

    def _found(self, request: Request) -> list[Task]:
        indexed = self.clock.now() - timedelta(seconds=self.search_lag)
        begins = {
            name: self._time(f'{name}.after', after)
            for name in ('modified_at', 'created_at', 'completed_at')
            if (after := request.args.get(f'{name}.after'))
        }
        subtasks, completed = _flag(request, 'is_subtask'), _flag(request, 'completed')
        wanted = '' if 'projects.any' in self.ignored else request.args.get('projects.any', '')
        projects = set(wanted.split(',')) - {''}
        return [
            task
            for task in self.workspace.tasks.values()
            if task.modified_at <= indexed
            and all((at := getattr(task, name)) is not None and at > begin for name, begin in begins.items())
            and (subtasks is None or (task.parent is not None) == subtasks)
            and (completed is None or task.completed == completed)
            and (not projects or not projects.isdisjoint(task.memberships))
            and (self.closed | self.hidden).isdisjoint(task.memberships)
        ]

    def _repeated(self, listed: list[Listed]) -> list[Listed]:
        return listed + [one for one in listed if one.gid in self.twice]

    # Pages.

    def _page(self, request: Request, listed: Sequence[T], show: Callable[[T], dict[str, Any]]) -> Response:
        limit = self._limit(request)
        if limit is None and len(listed) > MAX_WITHOUT_LIMIT:
            raise Refused(
                400, 'The result is too large. You should use pagination (may require specifying a workspace)!'
            )
        start = self._start(request)
        end = len(listed) if limit is None else start + limit
        fields = request.args.get('opt_fields')
        body: dict[str, Any] = {'data': [self._select(show(one), fields) for one in listed[start:end]]}
        if limit is not None:
            body['next_page'] = self._next(request, end) if end < len(listed) else None
        return self.json(body)

    def _select(self, shown: dict[str, Any], fields: str | None) -> dict[str, Any]:
        # On the free plan, tasks have no custom fields.
        withheld = self.withheld | self.withheld_of.get(shown['gid'], set())
        if not self.premium:
            withheld.add('custom_fields')
        return {key: value for key, value in select(shown, fields).items() if key not in withheld}

    def _next(self, request: Request, end: int) -> dict[str, str]:
        token = secrets.token_hex(24)
        until = self.clock.now() + timedelta(seconds=self.offset_seconds)
        self._offsets[token] = Offset(request.path, end, until)
        path = request.path.removeprefix(BASE.rstrip('/'))
        return {'offset': token, 'path': f'{path}?offset={token}', 'uri': f'{self.url}{request.path}?offset={token}'}

    def _start(self, request: Request) -> int:
        token = request.args.get('offset')
        if token is None:
            return 0
        offset = self._offsets.get(token)
        if offset is None or offset.path != request.path:
            raise Refused(400, 'offset: Your pagination token is invalid')
        if offset.until < self.clock.now():
            raise Refused(400, 'offset: Your pagination token has expired')
        return offset.after

    @staticmethod
    def _limit(request: Request) -> int | None:
        value = request.args.get('limit')
        if value is None:
            return None
        if not value.isdigit() or not 1 <= int(value) <= MAX_LIMIT:
            raise Refused(400, f'limit: Must be between 1 and {MAX_LIMIT}')
        return int(value)

    def _time(self, name: str, value: str) -> datetime:
        if value == 'now':
            return self.clock.now()
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise Refused(400, f'{name}: Not a valid datetime') from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    def _known_workspace(self, gid: str) -> None:
        if not gid.isdigit():
            raise Refused(400, f'workspace: Not a recognized ID: {gid}')
        if gid != self.workspace.gid:
            raise Refused(404, f'workspace: Unknown object: {gid}')


def _flag(request: Request, name: str) -> bool | None:
    """Return a boolean of the query in any case (the official SDK writes `False`); None: not in the query."""
    return {'true': True, 'false': False}.get(request.args.get(name, '').lower())
