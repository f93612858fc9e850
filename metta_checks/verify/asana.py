"""Asana's figures through Asana's own SDK: every task of every project, page by page.

No search, no table, no filter on the server: about one request per 100 tasks ever created, and one per project. A
figure is left out when rows lack a field that it needs.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asana
from asana.rest import ApiException

from . import Figure, NoSeries, Recomputed

Result = Figure | NoSeries

OBSERVED = 'needs times that only the running check observes, since a task has only its present section'
LEFT_OUT: Mapping[str, str] = {
    'projects.bugs.reopened_7d': 'known after 7 days of comparisons, since a task does not keep a former completion',
    'bugs.section_time_hours.p50': OBSERVED,
    'bugs.section_stay_hours.p50': OBSERVED,
    'bugs.section_stay_hours.p90': OBSERVED,
}
API_URL = 'https://app.asana.com/api/1.0'
PER_PAGE = 100
SECONDS = 60
PAYMENT_REQUIRED = 402
PROJECT_FIELDS = (
    'name,completed,due_on,current_status_update.status_type,current_status_update.created_at,'
    'current_status.color,current_status.created_at'
)
TASK_FIELDS = (
    'created_at,modified_at,completed,completed_at,completed_by,created_by,assignee,due_on,due_at,parent,'
    'is_rendered_as_separator'
)
SECTION_FIELDS = 'memberships.project,memberships.section.name'
SETTING_FIELDS = (
    'custom_field.name,custom_field.resource_subtype,custom_field.enum_options.name,custom_field.enum_options.enabled'
)
SEVERITY_FIELDS = 'custom_fields.enum_value.name'
STORY_FIELDS = 'resource_subtype,created_at,new_section.name'
COLORS = {'green': 'on_track', 'yellow': 'at_risk', 'red': 'off_track', 'blue': 'on_hold'}
# Letters and digits of scripts that separate words with spaces.
LETTERS = '0-9a-z\u00df-\u024f\u0370-\u052f'
# The end of a text that negates the word after it.
NEGATED = re.compile(
    r"(?:\b(?:not|non|never|no)|n['\u2019]t|\bnicht|[未非不])(?:[\s_-]+(?:longer|yet|currently|in))*[\s_-]*$|\b(?:in|un)-$"
)
KINDS = ('triage', 'active', 'backlog')
AGES = (('0_7d', 0, 7), ('7_30d', 7, 30), ('30_90d', 30, 90), ('over_90d', 90, 1_000_000))
MAX_SEVERITIES = 20


class Unsent(Exception):
    """A row lacks a field."""


class Row(dict[str, Any]):
    """An object of Asana's. Raises Unsent for a field that it lacks, also with `[]`."""

    def __missing__(self, name: str) -> Any:
        raise Unsent(name)


class _Client:
    """Reads whole lists page by page, and counts the requests. Nothing is retried, nothing waits for a limit."""

    def __init__(self, instance: Mapping[str, Any]) -> None:
        configuration = asana.Configuration()
        configuration.host = (instance.get('api_url') or API_URL).rstrip('/')
        configuration.access_token = instance['access_token']
        configuration.retry_strategy = False
        # The iterator of the SDK does not show how many pages it read.
        configuration.return_page_iterator = False
        client = asana.ApiClient(configuration)
        self._projects = asana.ProjectsApi(client)
        self._tasks = asana.TasksApi(client)
        self._stories = asana.StoriesApi(client)
        self._settings = asana.CustomFieldSettingsApi(client)
        self.sent = 0

    def projects(self, workspace: str, **options: Any) -> Iterator[Row]:
        """Yield the projects of a workspace."""
        return self._all(self._projects.get_projects, workspace=workspace, **options)

    def tasks(self, project: str, fields: str) -> Iterator[Row]:
        """Yield the tasks of a project."""
        return self._all(self._tasks.get_tasks_for_project, project, opt_fields=fields)

    def stories(self, task: str) -> Iterator[Row]:
        """Yield the history of a task."""
        return self._all(self._stories.get_stories_for_task, task, opt_fields=STORY_FIELDS)

    def custom_fields(self, project: str) -> list[Row]:
        """Return the custom fields of a project; none on plans without them."""
        read = self._settings.get_custom_field_settings_for_project
        try:
            return [one['custom_field'] for one in self._all(read, project, opt_fields=SETTING_FIELDS)]
        except ApiException as error:
            if error.status != PAYMENT_REQUIRED:
                raise
            return []

    def _all(self, read: Callable[..., Any], *gids: str, **options: Any) -> Iterator[Row]:
        options['limit'] = PER_PAGE
        while True:
            answer = _rows(read(*gids, options, _request_timeout=SECONDS))
            self.sent += 1
            yield from answer['data']
            if answer['next_page'] is None:
                return
            options['offset'] = answer['next_page']['offset']


def _rows(value: Any) -> Any:
    """Return a value of JSON with rows in place of its objects."""
    if isinstance(value, dict):
        return Row((name, _rows(one)) for name, one in value.items())
    return [_rows(one) for one in value] if isinstance(value, list) else value


@dataclass(slots=True)
class _Workspace:
    """The rows of a workspace, and the starts of its tasks.

    Attributes:
        projects: the projects that are not archived
        tasks: their tasks by gid
        listed: the gids of the tasks of each project
        bugs: the tasks of the Bugs project; None without one
        severity_field: the custom field of the severity; None without one
        started_at: the first entry into a started section by the task's gid, where histories were read
    """

    projects: list[Row]
    tasks: dict[str, Row] = field(default_factory=dict)
    listed: dict[str, list[str]] = field(default_factory=dict)
    bugs: list[Row] | None = None
    severity_field: Row | None = None
    started_at: dict[str, str] | None = None


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return every figure that one reading shows. None if the token sees no project.

    Raises asana.rest.ApiException for objects that the token may not read, and for the rate limit (429), which a large
    workspace on the free plan reaches; urllib3.exceptions.HTTPError when the connection fails.
    """
    client = _Client(instance)
    workspace = _Reader(client, instance, now).read()
    if workspace is None:
        return Recomputed((), client.sent)
    return Recomputed.of(_Figures(instance, now).all(workspace), client.sent)


def expected_requests(instance: Mapping[str, Any], totals: Mapping[str, float]) -> float:
    """Return about how many requests a comparison sends, from the check's figures."""
    tasks = max(totals['tasks.total'], totals['tasks.open'])
    # A page per hundred tasks, and one per project that is not full. The Bugs project is read twice.
    requests = 2 + totals['projects.active'] + tasks / PER_PAGE
    if instance.get('bugs_project_gid'):
        requests += 1 + totals['projects.bugs.total_open'] / PER_PAGE
    if instance.get('use_stories') and instance.get('cycle_time_basis') == 'started':
        requests += totals['tasks.completed_30d']
    return requests


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what the options of an instance need."""

    client: _Client
    instance: Mapping[str, Any]
    now: datetime

    def read(self) -> _Workspace | None:
        """Return all rows; None if the token sees no project."""
        gid = str(self.instance['workspace_gid'])
        rows = self.client.projects(gid, archived=False, opt_fields=PROJECT_FIELDS)
        listed = list({row['gid']: row for row in rows}.values())
        if not listed and not list(self.client.projects(gid)):
            # Not even an archived project: the token sees nothing, which is not the same as nothing being there.
            return None
        workspace = _Workspace(listed)
        for project in listed:
            tasks = list(self.client.tasks(project['gid'], self.task_fields()))
            workspace.listed[project['gid']] = [task['gid'] for task in tasks]
            workspace.tasks.update((task['gid'], task) for task in tasks)
        self.read_bugs(workspace)
        if self.instance.get('cycle_time_basis') == 'started' and self.instance.get('use_stories'):
            recent = [task for task in workspace.tasks.values() if self.is_recent(task)]
            with suppress(Unsent):
                workspace.started_at = dict(self.starts(recent))
        return workspace

    def task_fields(self) -> str:
        fields = [TASK_FIELDS]
        if self.instance.get('milestones'):
            fields.append('resource_subtype')
        if self.instance.get('blocked_fields'):
            fields.append('dependencies.completed')
        if self.instance.get('started_sections'):
            fields.append(SECTION_FIELDS)
        return ','.join(fields)

    def read_bugs(self, workspace: _Workspace) -> None:
        """Read the Bugs project and the custom field of the severity, if the instance has them."""
        project = str(self.instance.get('bugs_project_gid') or '')
        if not project:
            return
        fields = f'{TASK_FIELDS},{SECTION_FIELDS},{SEVERITY_FIELDS}'
        workspace.bugs = list(self.client.tasks(project, fields))
        wanted = str(self.instance.get('bugs_severity_field') or '')
        if wanted:
            with suppress(Unsent):
                workspace.severity_field = _single_choice(self.client.custom_fields(project), wanted)

    def is_recent(self, task: Row) -> bool:
        """Return whether a task was completed in the last 30 days; False where rows do not say when."""
        ended = task.get('completed_at')
        return ended is not None and _moment(ended) >= self.now - timedelta(days=30)

    def starts(self, tasks: Iterable[Row]) -> Iterator[tuple[str, str]]:
        """Yield the gid and the first entry into a started section, for tasks whose history has one."""
        sections = self.instance['started_sections']
        for task in tasks:
            entries = [
                story['created_at']
                for story in self.client.stories(task['gid'])
                if story['resource_subtype'] == 'section_changed' and _is_any(_name(story.get('new_section')), sections)
            ]
            entries = [entry for entry in entries if _moment(entry) <= _moment(task['completed_at'])]
            if entries:
                yield task['gid'], min(entries, key=_moment)


def _single_choice(fields: list[Row], wanted: str) -> Row | None:
    """Return the field with a single choice of a gid or a name. None: there is none, or several have the name."""
    choices = [one for one in fields if one['resource_subtype'] == 'enum']
    found = [one for one in choices if one['gid'] == wanted] or [
        one for one in choices if one['name'].casefold() == wanted.casefold()
    ]
    return found[0] if len(found) == 1 else None


class _Figures:
    """Figures from plain loops over rows as Asana sends them."""

    def __init__(self, instance: Mapping[str, Any], now: datetime) -> None:
        self.instance = instance
        self.now = now
        name = instance.get('timezone') or 'UTC'
        self.zone = UTC if name.upper() == 'UTC' else ZoneInfo(name)
        self.today = now.astimezone(self.zone).date()
        self.sunday = self.today + timedelta(days=6 - self.today.weekday())

    def all(self, workspace: _Workspace) -> Iterator[Result]:
        """Yield the figures of all rows; those of bugs only with a Bugs project."""
        yield from _known(self.active_projects(workspace.projects))
        yield from _known(self.counted_tasks(workspace))
        if workspace.bugs is not None:
            yield from _known(self.counted_bugs(workspace.bugs, workspace.severity_field))

    # Projects.

    def active_projects(self, projects: list[Row]) -> Iterator[Result]:
        active = [project for project in projects if not project['completed']]
        yield _figure('projects.active', len(active))
        yield from _known(self.statuses(active))
        yield from _known(self.overdue_projects(active))

    def statuses(self, active: list[Row]) -> Iterator[Result]:
        statuses = [self.status(project) for project in active]
        for status in ('on_track', 'at_risk', 'off_track', 'on_hold'):
            yield _figure(f'projects.{status}', statuses.count(status))
        yield _figure('projects.no_status', statuses.count(None))
        yield _figure('projects.status_stale', sum(self.has_stale_status(project) for project in active))

    def overdue_projects(self, active: list[Row]) -> Iterator[Result]:
        past = [one for one in active if one['due_on'] and _day(one['due_on']) < self.today]
        yield _figure('projects.overdue', len(past))

    @staticmethod
    def status(project: Row) -> str | None:
        if 'current_status_update' not in project and 'current_status' not in project:
            raise Unsent('current_status_update')
        update = project.get('current_status_update') or {}
        color = (project.get('current_status') or {}).get('color')
        return update.get('status_type') or (color and COLORS.get(color, color))

    def has_stale_status(self, project: Row) -> bool:
        """Return whether work goes on and the last status update is more than 14 days old."""
        if self.status(project) in ('on_hold', 'complete', 'dropped'):
            return False
        update = project.get('current_status_update') or project.get('current_status')
        return update is not None and not self.within(update['created_at'], 14)

    # Tasks.

    def counted_tasks(self, workspace: _Workspace) -> Iterator[Result]:
        counted = {gid: one for gid, one in workspace.tasks.items() if _is_counted(one)}
        tasks = list(counted.values())
        if self.instance.get('tasks_total', True):
            yield _figure('tasks.total', len(tasks))
        yield from _known(self.week(tasks))
        yield from _known(self.created_week(tasks))
        yield from _known(self.active_users(tasks))
        yield from _known(self.month(tasks))
        yield from _known(self.cycle_times(tasks, workspace.started_at))
        yield from _known(self.punctuality(tasks))
        yield from _known(self.single_projects(workspace, counted))
        yield from _known(self.open_tasks(workspace, [task for task in tasks if not task['completed']]))

    def open_tasks(self, workspace: _Workspace, incomplete: list[Row]) -> Iterator[Result]:
        yield _figure('tasks.open', len(incomplete))
        yield from _known(self.due(incomplete))
        yield from _known(self.assigned(incomplete))
        yield from _known(self.stale(incomplete))
        yield from _known(self.ages(incomplete))
        if self.instance.get('milestones'):
            yield from _known(self.milestones(incomplete))
        if self.instance.get('blocked_fields'):
            yield from _known(self.blocked(incomplete, workspace.tasks))
        if self.instance.get('started_sections'):
            yield from _known(self.in_progress(incomplete, {project['gid'] for project in workspace.projects}))

    @staticmethod
    def assigned(incomplete: list[Row]) -> Iterator[Result]:
        assigned = sum(bool(task['assignee']) for task in incomplete)
        yield _figure('tasks.assigned', assigned)
        yield _figure('tasks.unassigned', len(incomplete) - assigned)

    def stale(self, incomplete: list[Row]) -> Iterator[Result]:
        yield _figure('tasks.stale_30d', sum(not self.within(task['modified_at'], 30) for task in incomplete))

    def week(self, tasks: list[Row]) -> Iterator[Result]:
        completed = sum(self.within(task['completed_at'], 7) for task in tasks)
        yield _figure('tasks.completed_7d', completed)
        yield _figure('velocity.completed_per_day_7d', completed / 7)

    def created_week(self, tasks: list[Row]) -> Iterator[Result]:
        yield _figure('tasks.created_7d', sum(self.within(task['created_at'], 7) for task in tasks))

    def active_users(self, tasks: list[Row]) -> Iterator[Result]:
        """Yield the number of users who completed or created a task in the last 7 days."""
        users = [task['completed_by'] for task in tasks if self.within(task['completed_at'], 7)]
        users += [task['created_by'] for task in tasks if self.within(task['created_at'], 7)]
        yield _figure('users.active_7d', len({user['gid'] for user in users if user}))

    def month(self, tasks: list[Row]) -> Iterator[Result]:
        """Yield the figures of tasks completed in the last 30 days."""
        completed = [task for task in tasks if self.within(task['completed_at'], 30)]
        yield _figure('tasks.completed_30d', len(completed))
        yield from _known(self.completion_rate(tasks, len(completed)))
        yield from _known(self.throughput(tasks, len(completed)))

    @staticmethod
    def completion_rate(tasks: list[Row], completed: int) -> Iterator[Result]:
        finished_or_open = completed + sum(not task['completed'] for task in tasks)
        yield _figure('velocity.completion_rate_pct', _share(completed, finished_or_open))

    def throughput(self, tasks: list[Row], completed: int) -> Iterator[Result]:
        created = sum(self.within(task['created_at'], 30) for task in tasks)
        yield _figure('velocity.throughput_ratio', completed / created if created else None)
        yield _figure('lead_time.p85_hours', _percentile(self.resolution_hours(tasks), 85))

    def cycle_times(self, tasks: list[Row], started_at: Mapping[str, str] | None) -> Iterator[Result]:
        """Yield the times to completion; from an observed start, which one reading does not show, none."""
        basis = self.instance.get('cycle_time_basis') or 'created'
        if basis == 'created':
            hours = self.resolution_hours(tasks)
        elif started_at is None:
            return
        else:
            completed = [task for task in tasks if self.within(task['completed_at'], 30)]
            starts = [(started_at.get(task['gid']), task['completed_at']) for task in completed]
            hours = [_between(start, end) / 3600 for start, end in starts if start is not None]
        tags = (f'basis:{basis}',)
        yield _figure('cycle_time.avg_hours', _mean(hours), tags)
        yield _figure('cycle_time.p50_hours', _percentile(hours, 50), tags)
        yield _figure('cycle_time.p90_hours', _percentile(hours, 90), tags)

    def punctuality(self, tasks: list[Row]) -> Iterator[Result]:
        """Yield how many of the tasks with a due date were completed by then, in the last 30 days."""
        completed = [task for task in tasks if self.within(task['completed_at'], 30)]
        late = [self.was_late(task) for task in completed if task['due_at'] or task['due_on']]
        yield _figure('tasks.completed_on_time_30d', late.count(False))
        yield _figure('tasks.completed_late_30d', late.count(True))
        yield _figure('tasks.completed_on_time_pct_30d', _share(late.count(False), len(late)))

    def was_late(self, task: Row) -> bool:
        ended = _moment(task['completed_at'])
        if task['due_at']:
            return ended > _moment(task['due_at'])
        return ended.astimezone(self.zone).date() > _day(task['due_on'])

    def ages(self, incomplete: list[Row]) -> Iterator[Result]:
        ages = [self.age_days(task) for task in incomplete]
        yield _figure('wip.age_p50_days', _percentile(ages, 50))
        yield _figure('wip.age_p85_days', _percentile(ages, 85))

    def due(self, incomplete: list[Row]) -> Iterator[Result]:
        kinds = [self.due_kind(task) for task in incomplete]
        yield _figure('tasks.overdue', kinds.count('overdue'))
        yield _figure('tasks.due_today', kinds.count('today'))
        yield _figure('tasks.due_this_week', kinds.count('today') + kinds.count('week'))
        yield _figure('tasks.no_due_date', kinds.count('none'))

    def due_kind(self, task: Row) -> str:
        if task['due_at']:
            moment = _moment(task['due_at'])
            if moment < self.now:
                return 'overdue'
            day = moment.astimezone(self.zone).date()
        elif task['due_on']:
            day = _day(task['due_on'])
            if day < self.today:
                return 'overdue'
        else:
            return 'none'
        if day == self.today:
            return 'today'
        return 'week' if day <= self.sunday else 'later'

    def milestones(self, incomplete: list[Row]) -> Iterator[Result]:
        milestones = [task for task in incomplete if task['resource_subtype'] == 'milestone']
        yield _figure('milestones.open', len(milestones))
        yield _figure('milestones.overdue', sum(self.due_kind(task) == 'overdue' for task in milestones))

    @staticmethod
    def blocked(incomplete: list[Row], known: Mapping[str, Row]) -> Iterator[Result]:
        """Yield the number of tasks that wait for another one; Asana documents only the gid of a dependency."""
        waiting = [
            [one if 'completed' in one else known.get(one['gid'], one) for one in task['dependencies']]
            for task in incomplete
        ]
        yield _figure('tasks.blocked', sum(any(not one['completed'] for one in others) for others in waiting))

    def in_progress(self, incomplete: list[Row], projects: set[str]) -> Iterator[Result]:
        """Yield the number of tasks in started sections of these projects."""
        sections = self.instance['started_sections']
        places = [[m for m in task['memberships'] if m['project']['gid'] in projects] for task in incomplete]
        yield _figure('wip.count', sum(any(_is_any(_name(m['section']), sections) for m in own) for own in places))

    def single_projects(self, workspace: _Workspace, counted: Mapping[str, Row]) -> Iterator[Result]:
        """Yield the figures of option `projects`; projects of the same name are one."""
        names = {project['gid']: project['name'].lower() for project in workspace.projects}
        gids: dict[str, set[str]] = {}
        for project in map(str, self.instance.get('projects') or ()):
            if project in names:
                gids.setdefault(names[project], set()).update(workspace.listed[project])
        for name, listed in gids.items():
            own = [counted[gid] for gid in listed if gid in counted]
            yield from _known(self.single_project_open(own, f'project:{name}'))
            yield from _known(self.single_project_completed(own, f'project:{name}'))

    def single_project_open(self, own: list[Row], tag: str) -> Iterator[Result]:
        incomplete = [task for task in own if not task['completed']]
        yield _figure('project.open', len(incomplete), (tag,))
        yield _figure('project.overdue', sum(self.due_kind(task) == 'overdue' for task in incomplete), (tag,))

    def single_project_completed(self, own: list[Row], tag: str) -> Iterator[Result]:
        yield _figure('project.completed_7d', sum(self.within(task['completed_at'], 7) for task in own), (tag,))

    # Bugs.

    def counted_bugs(self, rows: list[Row], severity: Row | None) -> Iterator[Result]:
        bugs = [bug for bug in rows if not bug['is_rendered_as_separator']]
        yield from _known(self.completed_bugs(bugs))
        yield from _known(self.created_bugs(bugs))
        yield from _known(self.resolution(bugs))
        incomplete = [bug for bug in bugs if not bug['completed']]
        yield _figure('projects.bugs.total_open', len(incomplete))
        yield from _known(self.sections(incomplete))
        yield from _known(self.bug_ages(incomplete))
        if severity is not None:
            yield from _known(self.severities(incomplete, severity))

    def completed_bugs(self, bugs: list[Row]) -> Iterator[Result]:
        for days in (7, 30):
            completed = sum(self.within(bug['completed_at'], days) for bug in bugs)
            yield _figure(f'projects.bugs.completed_{days}d', completed)

    def created_bugs(self, bugs: list[Row]) -> Iterator[Result]:
        yield _figure('projects.bugs.created_7d', sum(self.within(bug['created_at'], 7) for bug in bugs))

    def resolution(self, bugs: list[Row]) -> Iterator[Result]:
        hours = self.resolution_hours(bugs)
        yield _figure('projects.bugs.resolution_hours.p50', _percentile(hours, 50))
        yield _figure('projects.bugs.resolution_hours.p90', _percentile(hours, 90))

    def sections(self, incomplete: list[Row]) -> Iterator[Result]:
        kinds = [self.section_kind(bug) for bug in incomplete]
        for kind in (*KINDS, 'other'):
            yield _figure(f'projects.bugs.{kind}_count', kinds.count(kind))

    def bug_ages(self, incomplete: list[Row]) -> Iterator[Result]:
        days = [self.age_days(bug) for bug in incomplete]
        for name, low, high in AGES:
            yield _figure('bugs.open_by_age', sum(low <= age < high for age in days), (f'age:{name}',))
        yield _figure('projects.bugs.avg_age_days', _mean(days))
        yield _figure('projects.bugs.oldest_bug_days', max(days, default=None))
        yield _figure('bugs.age_days.p50', _percentile(days, 50))
        yield _figure('bugs.age_days.p90', _percentile(days, 90))

    def section_kind(self, bug: Row) -> str:
        """Return the first kind with a word of its own in the name of the bug's section, `other` without one."""
        own = str(self.instance['bugs_project_gid'])
        names = [_name(place['section']) for place in bug['memberships'] if place['project']['gid'] == own]
        wanted = self.instance.get('section_map') or {}
        for kind in KINDS:
            if any(_is_any(name, wanted.get(kind, (kind,))) for name in names):
                return kind
        return 'other'

    @staticmethod
    def severities(incomplete: list[Row], severity: Row) -> Iterator[Result]:
        """Yield the number of bugs by the value of a custom field, at most 20 besides `none`."""
        enabled = [one['name'].lower() for one in severity['enum_options'] if one['enabled']]
        counts = Counter(dict.fromkeys(['none', *enabled], 0))
        counts.update(_choice(bug, severity['gid']) for bug in incomplete)
        ordered = sorted(counts, key=lambda name: (name != 'none', -counts[name], name))
        shown = set(ordered[: MAX_SEVERITIES + 1])
        by_label: Counter[str] = Counter()
        for name, number in counts.items():
            by_label[name if name in shown else 'other'] += number
        for name, number in by_label.items():
            yield _figure('bugs.open_by_severity', number, (f'severity:{name}',))

    # Times.

    def resolution_hours(self, tasks: Iterable[Row]) -> list[float]:
        """Return the hours from creation to completion of the tasks completed in the last 30 days."""
        completed = [task for task in tasks if self.within(task['completed_at'], 30)]
        return [_between(task['created_at'], task['completed_at']) / 3600 for task in completed]

    def within(self, text: str | None, days: int) -> bool:
        return text is not None and _moment(text) >= self.now - timedelta(days=days)

    def age_days(self, task: Row) -> float:
        return max(0.0, (self.now - _moment(task['created_at'])) / timedelta(days=1))


def _known(figures: Iterator[Result]) -> Iterator[Result]:
    """Yield figures up to one whose rows lack a field."""
    try:
        yield from figures
    except Unsent:
        return


def _is_counted(task: Row) -> bool:
    return task['parent'] is None and not task['is_rendered_as_separator']


def _choice(bug: Row, field_gid: str) -> str:
    """Return the name of a bug's value of a custom field."""
    for one in bug['custom_fields']:
        if one['gid'] == field_gid:
            return str(one['enum_value']['name']).lower() if one['enum_value'] else 'none'
    raise Unsent('custom_fields')


def _name(section: Row | None) -> str:
    return section['name'] if section else ''


def _is_any(name: str, wanted: Iterable[str]) -> bool:
    return any(_says(name, words) for words in wanted)


def _says(name: str, wanted: str) -> bool:
    """Return whether a name contains the wanted words and does not negate them."""
    text = unicodedata.normalize('NFC', name).lower()
    words = re.findall(r'[^\W_]+', unicodedata.normalize('NFC', wanted).lower())
    pattern = r'[\W_]+'.join(map(re.escape, words))
    found = re.finditer(f'(?<![{LETTERS}]){pattern}(?![{LETTERS}])', text) if words else ()
    return any(not NEGATED.search(text[: match.start()]) for match in found)


def _figure(name: str, value: float | None, tags: tuple[str, ...] = ()) -> Result:
    full_name = f'metta.asana.{name}'
    return NoSeries(full_name) if value is None else Figure(full_name, float(value), tags)


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _percentile(values: list[float], percent: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    rank = percent / 100 * (len(ordered) - 1)
    low = int(rank)
    following = ordered[min(low + 1, len(ordered) - 1)]
    return ordered[low] + (following - ordered[low]) * (rank - low)


def _between(start: str, end: str) -> float:
    return max(0.0, (_moment(end) - _moment(start)).total_seconds())


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _day(text: str) -> date:
    return date.fromisoformat(text)
