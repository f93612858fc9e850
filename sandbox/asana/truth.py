"""The figures that the check should report, by the plainest means: loops over all tasks, datetimes, no tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from ..server import Figure
from .model import Project, Task, Workspace

PREFIX = 'metta.asana.'
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
AGES = {'0_7d': (0, 7), '7_30d': (7, 30), '30_90d': (30, 90), 'over_90d': (90, math.inf)}


class Truth:
    """The figures of a workspace at a point in time."""

    def __init__(self, workspace: Workspace, bugs_project: str, now: datetime, timezone: str) -> None:
        self._workspace = workspace
        self._bugs_project = bugs_project
        self._now = now
        self._zone = ZoneInfo(timezone)
        self._today = now.astimezone(self._zone).date()
        self._week = now - timedelta(days=7)
        self._month = now - timedelta(days=30)

    def figures(self, *, total: bool) -> Iterator[Figure]:
        """Compute every core figure, tasks.total only on demand."""
        tasks = [task for task in self._workspace.tasks.values() if self._workspace.counts(task)]
        bugs = [task for task in self._workspace.tasks_of(self._bugs_project) if not task.separator]
        yield from self._tasks(tasks)
        yield from self._flow(tasks)
        yield from self._projects([p for p in self._workspace.projects.values() if not p.archived])
        yield from self._bugs(bugs)
        if total:
            yield from _one('tasks.total', len(tasks))

    def single_projects(self, gids: Iterable[str]) -> Iterator[Figure]:
        """Compute the opt-in figures of single projects."""
        for gid in gids:
            tags = (f'project:{self._workspace.projects[gid].name.lower()}',)
            own = [task for task in self._workspace.tasks_of(gid) if self._workspace.counts(task)]
            yield from _one('project.open', sum(not task.completed for task in own), tags)
            overdue = [task for task in own if not task.completed and self._is_overdue(task)]
            yield from _one('project.overdue', len(overdue), tags)
            yield from _one('project.completed_7d', len(self._completed(own, self._week)), tags)

    def _tasks(self, tasks: Sequence[Task]) -> Iterator[Figure]:
        opened = [task for task in tasks if not task.completed]
        done_7d, done_30d = self._completed(tasks, self._week), self._completed(tasks, self._month)
        overdue = [task for task in opened if self._is_overdue(task)]
        ahead = [due for task in opened if (due := self._due(task)) is not None and not self._is_overdue(task)]
        sunday = self._today
        while sunday.isoweekday() != 7:
            sunday += DAY
        yield from _one('tasks.open', len(opened))
        yield from _one('tasks.completed_7d', len(done_7d))
        yield from _one('tasks.completed_30d', len(done_30d))
        yield from _one('tasks.created_7d', sum(task.created_at >= self._week for task in tasks))
        yield from _one('tasks.overdue', len(overdue))
        yield from _one('tasks.due_today', sum(due == self._today for due in ahead))
        yield from _one('tasks.due_this_week', sum(self._today <= due <= sunday for due in ahead))
        yield from _one('tasks.no_due_date', sum(task.due_on is None and task.due_at is None for task in opened))
        yield from _one('tasks.assigned', sum(task.assignee is not None for task in opened))
        yield from _one('tasks.unassigned', sum(task.assignee is None for task in opened))
        yield from _one('tasks.stale_30d', sum(task.modified_at < self._month for task in opened))
        yield from _one('velocity.completed_per_day_7d', len(done_7d) / 7)
        if done_30d or opened:
            yield from _one('velocity.completion_rate_pct', len(done_30d) / (len(done_30d) + len(opened)) * 100)
        created = [task for task in tasks if task.created_at >= self._month]
        if created:
            yield from _one('velocity.throughput_ratio', len(done_30d) / len(created))
        active = {task.completer.gid for task, _ in done_7d if task.completer is not None}
        active |= {task.creator.gid for task in tasks if task.created_at >= self._week}
        yield from _one('users.active_7d', len(active))

    def _flow(self, tasks: Sequence[Task]) -> Iterator[Figure]:
        hours = [(at - task.created_at) / HOUR for task, at in self._completed(tasks, self._month)]
        tags = ('basis:created',)
        if hours:
            yield from _one('cycle_time.avg_hours', sum(hours) / len(hours), tags)
            yield from _one('cycle_time.p50_hours', quantile(hours, 0.5), tags)
            yield from _one('cycle_time.p90_hours', quantile(hours, 0.9), tags)
            yield from _one('lead_time.p85_hours', quantile(hours, 0.85))
        ages = [(self._now - task.created_at) / DAY for task in tasks if not task.completed]
        if ages:
            yield from _one('wip.age_p50_days', quantile(ages, 0.5))
            yield from _one('wip.age_p85_days', quantile(ages, 0.85))

    def _projects(self, listed: Sequence[Project]) -> Iterator[Figure]:
        active = [project for project in listed if not project.completed]
        yield from _one('projects.active', len(active))
        for status in ('on_track', 'at_risk', 'off_track', 'on_hold'):
            number = sum(project.status is not None and project.status.type == status for project in active)
            yield from _one(f'projects.{status}', number)
        yield from _one('projects.no_status', sum(project.status is None for project in active))
        updates = [p.status for p in active if p.status is not None]
        awaited = [update for update in updates if update.type not in ('on_hold', 'complete', 'dropped')]
        stale = [update for update in awaited if self._now - update.created_at > timedelta(days=14)]
        yield from _one('projects.status_stale', len(stale))
        overdue = [p for p in active if p.due_on is not None and p.due_on < self._today]
        yield from _one('projects.overdue', len(overdue))

    def _bugs(self, bugs: Sequence[Task]) -> Iterator[Figure]:
        opened = [bug for bug in bugs if not bug.completed]
        kinds = [self._kind(bug) for bug in opened]
        for kind in ('triage', 'active', 'backlog', 'other'):
            yield from _one(f'projects.bugs.{kind}_count', kinds.count(kind))
        yield from _one('projects.bugs.total_open', len(opened))
        yield from _one('projects.bugs.completed_7d', len(self._completed(bugs, self._week)))
        yield from _one('projects.bugs.completed_30d', len(self._completed(bugs, self._month)))
        yield from _one('projects.bugs.created_7d', sum(bug.created_at >= self._week for bug in bugs))
        ages = [(self._now - bug.created_at) / DAY for bug in opened]
        if ages:
            yield from _one('projects.bugs.avg_age_days', sum(ages) / len(ages))
            yield from _one('projects.bugs.oldest_bug_days', max(ages))
            yield from _one('bugs.age_days.p50', quantile(ages, 0.5))
            yield from _one('bugs.age_days.p90', quantile(ages, 0.9))
        for name, (low, high) in AGES.items():
            yield from _one('bugs.open_by_age', sum(low <= age < high for age in ages), (f'age:{name}',))

    def _kind(self, bug: Task) -> str:
        words = re.split(r'[\W_]+', (bug.memberships[self._bugs_project] or '').lower())
        plain = [word for before, word in pairwise(['', *words]) if before not in ('not', 'non', 'longer', 'in', 'un')]
        return next((kind for kind in ('triage', 'active', 'backlog') if kind in plain), 'other')

    def _due(self, task: Task) -> date | None:
        return task.due_at.astimezone(self._zone).date() if task.due_at else task.due_on

    def _is_overdue(self, task: Task) -> bool:
        if task.due_at is not None:
            return task.due_at < self._now
        return task.due_on is not None and task.due_on < self._today

    @staticmethod
    def _completed(tasks: Iterable[Task], since: datetime) -> list[tuple[Task, datetime]]:
        """Return tasks that were completed since then, and when."""
        ends = [(task, task.completed_at) for task in tasks]
        return [(task, at) for task, at in ends if at is not None and at >= since]


def quantile(values: Iterable[float], fraction: float) -> float:
    """Interpolate linearly between the two nearest of the sorted values."""
    ordered = sorted(values)
    place = fraction * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] * (1 - (place - below)) + ordered[above] * (place - below)


def _one(name: str, value: Any, tags: tuple[str, ...] = ()) -> Iterator[Figure]:
    yield Figure(PREFIX + name, float(value), tags)
