"""Asana's figures through plain requests to its REST interface: every task of every project, page by page.

No search, no table, no filter on the server: about one request per 100 tasks ever created, and one per project. The
vendor's own SDK is generated from the same description of the interface; it would only add a large dependency.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import requests

from . import Figure, Recomputed

API_URL = 'https://app.asana.com/api/1.0'
PER_PAGE = 100
SECONDS = 60
PROJECT_FIELDS = (
    'completed,due_on,current_status_update.status_type,current_status_update.created_at,'
    'current_status.color,current_status.created_at'
)
TASK_FIELDS = (
    'created_at,modified_at,completed,completed_at,completed_by,created_by,assignee,due_on,due_at,parent,'
    'is_rendered_as_separator'
)
BUG_FIELDS = 'memberships.project,memberships.section.name'
COLORS = {'green': 'on_track', 'yellow': 'at_risk', 'red': 'off_track', 'blue': 'on_hold'}
# Letters and digits of scripts that separate words with spaces.
LETTERS = '0-9a-z\u00df-\u024f\u0370-\u052f'
# The end of a text that negates the word after it.
NEGATED = re.compile(
    r"(?:\b(?:not|non|never|no)|n['\u2019]t|\bnicht|[未非不])(?:[\s_-]+(?:longer|yet|currently|in))*[\s_-]*$|\b(?:in|un)-$"
)
KINDS = ('triage', 'active', 'backlog')
AGES = (('0_7d', 0, 7), ('7_30d', 7, 30), ('30_90d', 30, 90), ('over_90d', 90, 1_000_000))


@dataclass(slots=True)
class _Client:
    """Reads whole lists page by page, and counts the requests."""

    session: requests.Session
    base: str
    sent: int = 0

    def list(self, path: str, **params: str) -> Iterator[dict[str, Any]]:
        """Yield all objects of a list."""
        offset: dict[str, str] = {}
        while True:
            query = {**params, **offset, 'limit': str(PER_PAGE)}
            answer = self.session.get(f'{self.base}/{path}', params=query, timeout=SECONDS)
            self.sent += 1
            answer.raise_for_status()
            body = answer.json()
            yield from body['data']
            if body['next_page'] is None:
                return
            offset = {'offset': body['next_page']['offset']}


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return every core figure; cycle times only if they are based on the creation. None if the token sees no project.

    Raises the errors of `requests`: HTTPError for objects that the token may not read, and for the rate limit (429),
    which a large workspace on the free plan reaches.
    """
    with requests.Session() as session:
        session.headers['Authorization'] = f'Bearer {instance["access_token"]}'
        client = _Client(session, (instance.get('api_url') or API_URL).rstrip('/'))
        bugs_project = str(instance.get('bugs_project_gid') or '')
        workspace = str(instance['workspace_gid'])
        listed = list(client.list('projects', workspace=workspace, archived='false', opt_fields=PROJECT_FIELDS))
        if not listed and not list(client.list('projects', workspace=workspace)):
            # Not even an archived project: the token sees nothing, which is not the same as nothing being there.
            return Recomputed((), client.sent)
        tasks: dict[str, dict[str, Any]] = {}
        for project in listed:
            for task in client.list(f'projects/{project["gid"]}/tasks', opt_fields=TASK_FIELDS):
                tasks[task['gid']] = task
        bugs = None
        if bugs_project:
            bugs = list(client.list(f'projects/{bugs_project}/tasks', opt_fields=f'{TASK_FIELDS},{BUG_FIELDS}'))
    return Recomputed(tuple(_Figures(instance, now).all(listed, list(tasks.values()), bugs)), client.sent)


class _Figures:
    """Figures from plain loops over rows as Asana sends them."""

    def __init__(self, instance: Mapping[str, Any], now: datetime) -> None:
        self.instance = instance
        self.now = now
        name = instance.get('timezone') or 'UTC'
        self.zone = UTC if name.upper() == 'UTC' else ZoneInfo(name)
        self.today = now.astimezone(self.zone).date()
        self.sunday = self.today + timedelta(days=6 - self.today.weekday())

    def all(
        self, projects: list[dict[str, Any]], tasks: list[dict[str, Any]], bugs: list[dict[str, Any]] | None
    ) -> Iterator[Figure]:
        """Yield the figures of all rows; those of bugs only with a bugs project."""
        counted = [task for task in tasks if task['parent'] is None and not task['is_rendered_as_separator']]
        yield from self.projects([project for project in projects if not project['completed']])
        yield from self.tasks(counted)
        if self.instance.get('tasks_total', True):
            yield _figure('tasks.total', len(counted))
        if bugs is not None:
            yield from self.bugs([bug for bug in bugs if not bug['is_rendered_as_separator']])

    def projects(self, active: list[dict[str, Any]]) -> Iterator[Figure]:
        statuses = [self.status(project) for project in active]
        yield _figure('projects.active', len(active))
        for status in ('on_track', 'at_risk', 'off_track', 'on_hold'):
            yield _figure(f'projects.{status}', statuses.count(status))
        yield _figure('projects.no_status', statuses.count(None))
        yield _figure('projects.status_stale', sum(self.has_stale_status(project) for project in active))
        yield _figure('projects.overdue', sum(self.is_past_due(project) for project in active))

    @staticmethod
    def status(project: Mapping[str, Any]) -> str | None:
        update = project.get('current_status_update') or {}
        older = project.get('current_status') or {}
        color = older.get('color')
        return update.get('status_type') or (color and COLORS.get(color, color))

    def has_stale_status(self, project: Mapping[str, Any]) -> bool:
        """Return whether work goes on and the last status update is more than 14 days old."""
        if self.status(project) in ('on_hold', 'complete', 'dropped'):
            return False
        update = project['current_status_update'] or project['current_status']
        return bool(update) and not self.within(update['created_at'], 14)

    def is_past_due(self, project: Mapping[str, Any]) -> bool:
        return bool(project['due_on']) and _day(project['due_on']) < self.today

    def tasks(self, tasks: list[dict[str, Any]]) -> Iterator[Figure]:
        incomplete = [task for task in tasks if not task['completed']]
        completed = [task for task in tasks if self.within(task['completed_at'], 30)]
        yield _figure('tasks.open', len(incomplete))
        yield from self.due(incomplete)
        yield _figure('tasks.unassigned', sum(not task['assignee'] for task in incomplete))
        yield _figure('tasks.assigned', sum(bool(task['assignee']) for task in incomplete))
        yield _figure('tasks.stale_30d', sum(not self.within(task['modified_at'], 30) for task in incomplete))
        yield from self.week(tasks)
        yield _figure('tasks.completed_30d', len(completed))
        if incomplete or completed:
            rate = 100 * len(completed) / (len(completed) + len(incomplete))
            yield _figure('velocity.completion_rate_pct', rate)
        created = sum(self.within(task['created_at'], 30) for task in tasks)
        if created:
            yield _figure('velocity.throughput_ratio', len(completed) / created)
        yield from self.lead_times(completed)
        yield from self.ages_in_progress(incomplete)

    def week(self, tasks: list[dict[str, Any]]) -> Iterator[Figure]:
        """Yield the figures of tasks completed or created in the last 7 days."""
        completed = [task for task in tasks if self.within(task['completed_at'], 7)]
        created = [task for task in tasks if self.within(task['created_at'], 7)]
        yield _figure('tasks.completed_7d', len(completed))
        yield _figure('tasks.created_7d', len(created))
        yield _figure('velocity.completed_per_day_7d', len(completed) / 7)
        users = {task['completed_by']['gid'] for task in completed if task['completed_by']}
        users |= {task['created_by']['gid'] for task in created if task['created_by']}
        yield _figure('users.active_7d', len(users))

    def lead_times(self, completed: list[dict[str, Any]]) -> Iterator[Figure]:
        """Yield the times from creation to completion; they are cycle times, too, with the basis `created`."""
        hours = [_between(task['created_at'], task['completed_at']) / 3600 for task in completed]
        if not hours:
            return
        yield _figure('lead_time.p85_hours', _percentile(hours, 85))
        if self.instance.get('cycle_time_basis', 'created') == 'created':
            basis = ('basis:created',)
            yield _figure('cycle_time.avg_hours', sum(hours) / len(hours), basis)
            yield _figure('cycle_time.p50_hours', _percentile(hours, 50), basis)
            yield _figure('cycle_time.p90_hours', _percentile(hours, 90), basis)

    def ages_in_progress(self, incomplete: list[dict[str, Any]]) -> Iterator[Figure]:
        ages = [self.age_days(task) for task in incomplete]
        if ages:
            yield _figure('wip.age_p50_days', _percentile(ages, 50))
            yield _figure('wip.age_p85_days', _percentile(ages, 85))

    def due(self, incomplete: list[dict[str, Any]]) -> Iterator[Figure]:
        kinds = [self.due_kind(task) for task in incomplete]
        yield _figure('tasks.overdue', kinds.count('overdue'))
        yield _figure('tasks.due_today', kinds.count('today'))
        yield _figure('tasks.due_this_week', kinds.count('today') + kinds.count('week'))
        yield _figure('tasks.no_due_date', kinds.count('none'))

    def due_kind(self, task: Mapping[str, Any]) -> str:
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

    def bugs(self, bugs: list[dict[str, Any]]) -> Iterator[Figure]:
        incomplete = [bug for bug in bugs if not bug['completed']]
        kinds = [self.section_kind(bug) for bug in incomplete]
        for kind in (*KINDS, 'other'):
            yield _figure(f'projects.bugs.{kind}_count', kinds.count(kind))
        yield _figure('projects.bugs.total_open', len(incomplete))
        for days in (7, 30):
            completed = sum(self.within(bug['completed_at'], days) for bug in bugs)
            yield _figure(f'projects.bugs.completed_{days}d', completed)
        yield _figure('projects.bugs.created_7d', sum(self.within(bug['created_at'], 7) for bug in bugs))
        yield from self.bug_ages([self.age_days(bug) for bug in incomplete])

    @staticmethod
    def bug_ages(days: list[float]) -> Iterator[Figure]:
        for name, low, high in AGES:
            yield _figure('bugs.open_by_age', sum(low <= age < high for age in days), (f'age:{name}',))
        if days:
            yield _figure('projects.bugs.avg_age_days', sum(days) / len(days))
            yield _figure('projects.bugs.oldest_bug_days', max(days))
            yield _figure('bugs.age_days.p50', _percentile(days, 50))
            yield _figure('bugs.age_days.p90', _percentile(days, 90))

    def section_kind(self, bug: Mapping[str, Any]) -> str:
        """Return the first kind with a word of its own in the name of the bug's section, `other` without one."""
        own = str(self.instance['bugs_project_gid'])
        names = [m['section']['name'] for m in bug['memberships'] if m['project']['gid'] == own and m['section']]
        wanted = self.instance.get('section_map') or {}
        for kind in KINDS:
            if any(_says(name, word) for name in names for word in wanted.get(kind, (kind,))):
                return kind
        return 'other'

    def within(self, text: str | None, days: int) -> bool:
        return text is not None and _moment(text) >= self.now - timedelta(days=days)

    def age_days(self, task: Mapping[str, Any]) -> float:
        return max(0.0, (self.now - _moment(task['created_at'])) / timedelta(days=1))


def _says(name: str, wanted: str) -> bool:
    """Return whether a name contains the wanted words and does not negate them."""
    text = unicodedata.normalize('NFC', name).lower()
    words = re.findall(r'[^\W_]+', unicodedata.normalize('NFC', wanted).lower())
    pattern = r'[\W_]+'.join(map(re.escape, words))
    found = re.finditer(f'(?<![{LETTERS}]){pattern}(?![{LETTERS}])', text) if words else ()
    return any(not NEGATED.search(text[: match.start()]) for match in found)


def _figure(name: str, value: float, tags: tuple[str, ...] = ()) -> Figure:
    return Figure(f'metta.asana.{name}', float(value), tags)


def _percentile(values: list[float], percent: float) -> float:
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
