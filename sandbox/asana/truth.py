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
        yield from self._punctuality(tasks)
        yield from self._projects([p for p in self._workspace.projects.values() if not p.archived])
        yield from self._bugs(bugs)
        if total:
            yield from one('tasks.total', len(tasks))

    def _tasks(self, tasks: Sequence[Task]) -> Iterator[Figure]:
        opened = [task for task in tasks if not task.completed]
        done_7d, done_30d = self._completed(tasks, self._week), self._completed(tasks, self._month)
        overdue = [task for task in opened if self._is_overdue(task)]
        ahead = [due for task in opened if (due := self._due(task)) is not None and not self._is_overdue(task)]
        sunday = self._today
        while sunday.isoweekday() != 7:
            sunday += DAY
        yield from one('tasks.open', len(opened))
        yield from one('tasks.completed_7d', len(done_7d))
        yield from one('tasks.completed_30d', len(done_30d))
        yield from one('tasks.created_7d', sum(task.created_at >= self._week for task in tasks))
        yield from one('tasks.overdue', len(overdue))
        yield from one('tasks.due_today', sum(due == self._today for due in ahead))
        yield from one('tasks.due_this_week', sum(self._today <= due <= sunday for due in ahead))
        yield from one('tasks.no_due_date', sum(task.due_on is None and task.due_at is None for task in opened))
        yield from one('tasks.assigned', sum(task.assignee is not None for task in opened))
        yield from one('tasks.unassigned', sum(task.assignee is None for task in opened))
        yield from one('tasks.stale_30d', sum(task.modified_at < self._month for task in opened))
        yield from one('velocity.completed_per_day_7d', len(done_7d) / 7)
        if done_30d or opened:
            yield from one('velocity.completion_rate_pct', len(done_30d) / (len(done_30d) + len(opened)) * 100)
        created = [task for task in tasks if task.created_at >= self._month]
        if created:
            yield from one('velocity.throughput_ratio', len(done_30d) / len(created))
        active = {task.completer.gid for task, _ in done_7d if task.completer is not None}
        active |= {task.creator.gid for task in tasks if task.created_at >= self._week}
        yield from one('users.active_7d', len(active))

    def _flow(self, tasks: Sequence[Task]) -> Iterator[Figure]:
        hours = self._hours_to_completion(tasks)
        tags = ('basis:created',)
        if hours:
            yield from one('cycle_time.avg_hours', sum(hours) / len(hours), tags)
            yield from one('cycle_time.p50_hours', quantile(hours, 0.5), tags)
            yield from one('cycle_time.p90_hours', quantile(hours, 0.9), tags)
            yield from one('lead_time.p85_hours', quantile(hours, 0.85))
        ages = [(self._now - task.created_at) / DAY for task in tasks if not task.completed]
        if ages:
            yield from one('wip.age_p50_days', quantile(ages, 0.5))
            yield from one('wip.age_p85_days', quantile(ages, 0.85))

    def _punctuality(self, tasks: Sequence[Task]) -> Iterator[Figure]:
        done = [(task, at) for task, at in self._completed(tasks, self._month) if task.due_on or task.due_at]
        late = sum(self._was_late(task, at) for task, at in done)
        yield from one('tasks.completed_on_time_30d', len(done) - late)
        yield from one('tasks.completed_late_30d', late)
        if done:
            yield from one('tasks.completed_on_time_pct_30d', 100 - 100 * late / len(done))

    def _projects(self, listed: Sequence[Project]) -> Iterator[Figure]:
        active = [project for project in listed if not project.completed]
        yield from one('projects.active', len(active))
        for status in ('on_track', 'at_risk', 'off_track', 'on_hold'):
            number = sum(project.status is not None and project.status.type == status for project in active)
            yield from one(f'projects.{status}', number)
        yield from one('projects.no_status', sum(project.status is None for project in active))
        updates = [p.status for p in active if p.status is not None]
        awaited = [update for update in updates if update.type not in ('on_hold', 'complete', 'dropped')]
        stale = [update for update in awaited if self._now - update.created_at > timedelta(days=14)]
        yield from one('projects.status_stale', len(stale))
        overdue = [p for p in active if p.due_on is not None and p.due_on < self._today]
        yield from one('projects.overdue', len(overdue))

    def _bugs(self, bugs: Sequence[Task]) -> Iterator[Figure]:
        opened = [bug for bug in bugs if not bug.completed]
        kinds = [self._kind(bug) for bug in opened]
        for kind in ('triage', 'active', 'backlog', 'other'):
            yield from one(f'projects.bugs.{kind}_count', kinds.count(kind))
        yield from one('projects.bugs.total_open', len(opened))
        yield from one('projects.bugs.completed_7d', len(self._completed(bugs, self._week)))
        yield from one('projects.bugs.completed_30d', len(self._completed(bugs, self._month)))
        yield from one('projects.bugs.created_7d', sum(bug.created_at >= self._week for bug in bugs))
        ages = [(self._now - bug.created_at) / DAY for bug in opened]
        if ages:
            yield from one('projects.bugs.avg_age_days', sum(ages) / len(ages))
            yield from one('projects.bugs.oldest_bug_days', max(ages))
            yield from one('bugs.age_days.p50', quantile(ages, 0.5))
            yield from one('bugs.age_days.p90', quantile(ages, 0.9))
        hours = self._hours_to_completion(bugs)
        if hours:
            yield from one('projects.bugs.resolution_hours.p50', quantile(hours, 0.5))
            yield from one('projects.bugs.resolution_hours.p90', quantile(hours, 0.9))
        for name, (low, high) in AGES.items():
            yield from one('bugs.open_by_age', sum(low <= age < high for age in ages), (f'age:{name}',))

    def _kind(self, bug: Task) -> str:
        return self._kind_of_section(bug.memberships[self._bugs_project])

    @staticmethod
    def _kind_of_section(section: str | None) -> str:
        words = re.split(r'[\W_]+', (section or '').lower())
        plain = [word for before, word in pairwise(['', *words]) if before not in ('not', 'non', 'longer', 'in', 'un')]
        return next((kind for kind in ('triage', 'active', 'backlog') if kind in plain), 'other')

    def _due(self, task: Task) -> date | None:
        return task.due_at.astimezone(self._zone).date() if task.due_at else task.due_on

    def _is_overdue(self, task: Task) -> bool:
        if task.due_at is not None:
            return task.due_at < self._now
        return task.due_on is not None and task.due_on < self._today

    def _was_late(self, task: Task, completed_at: datetime) -> bool:
        if task.due_at is not None:
            return completed_at > task.due_at
        return task.due_on is not None and completed_at.astimezone(self._zone).date() > task.due_on

    def _hours_to_completion(self, tasks: Iterable[Task]) -> list[float]:
        """Return the times from creation to completion of tasks completed in 30 days, in hours."""
        return [(at - task.created_at) / HOUR for task, at in self._completed(tasks, self._month)]

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


def one(name: str, value: Any, tags: tuple[str, ...] = ()) -> Iterator[Figure]:
    """Make one figure."""
    yield Figure(PREFIX + name, float(value), tags)
