"""Figures of the blocks `tasks` and `tasks_total`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo

from ...core import stats
from ...core.refresh import Sample
from ..dependencies import Dependencies, is_blocked
from ..records import Task
from .calendar import MONTH, WEEK, Calendar, is_before, is_since

STALE = timedelta(days=30)


def tasks(listed: Collection[Task], now: datetime, zone: tzinfo) -> Iterator[Sample]:
    """Yield the figures of all tasks: open ones, and those completed in 30 days."""
    open_tasks = [task for task in listed if task.open]
    completed_7d, completed_30d = _completed_since(listed, now - WEEK), _completed_since(listed, now - MONTH)
    yield Sample('tasks.open', len(open_tasks))
    yield Sample('tasks.completed_7d', completed_7d)
    yield Sample('tasks.completed_30d', completed_30d)
    yield Sample('tasks.created_7d', _created_since(listed, now - WEEK))
    yield from _due(open_tasks, Calendar.at(now, zone))
    assigned = sum(task.assignee is not None for task in open_tasks)
    yield Sample('tasks.assigned', assigned)
    yield Sample('tasks.unassigned', len(open_tasks) - assigned)
    yield Sample('tasks.stale_30d', sum(is_before(task.modified, now - STALE) for task in open_tasks))
    yield Sample('velocity.completed_per_day_7d', completed_7d / WEEK.days)
    yield Sample('velocity.completion_rate_pct', stats.percentage(completed_30d, completed_30d + len(open_tasks)))
    yield Sample('velocity.throughput_ratio', stats.ratio(completed_30d, _created_since(listed, now - MONTH)))


def _due(open_tasks: Iterable[Task], calendar: Calendar) -> Iterator[Sample]:
    overdue = today = this_week = undated = 0
    for task in open_tasks:
        day = calendar.due_day(task)
        if day is None:
            undated += 1
        elif calendar.is_overdue(task):
            overdue += 1
        else:
            today += day == calendar.today
            this_week += calendar.today <= day <= calendar.sunday
    yield Sample('tasks.overdue', overdue)
    yield Sample('tasks.due_today', today)
    yield Sample('tasks.due_this_week', this_week)
    yield Sample('tasks.no_due_date', undated)


def punctuality(listed: Iterable[Task], now: datetime, zone: tzinfo) -> Iterator[Sample]:
    """Yield the tasks with a due date completed in 30 days, by whether they were completed on time."""
    calendar = Calendar.at(now, zone)
    completed = (task for task in listed if is_since(task.completed, now - MONTH))
    counts = Counter(calendar.is_on_time(task) for task in completed)
    on_time, late = counts[True], counts[False]
    yield Sample('tasks.completed_on_time_30d', on_time)
    yield Sample('tasks.completed_late_30d', late)
    yield Sample('tasks.completed_on_time_pct_30d', stats.percentage(on_time, on_time + late))


def milestones(listed: Iterable[Task], now: datetime, zone: tzinfo) -> Iterator[Sample]:
    """Yield the open milestones, and those of them that are overdue."""
    calendar = Calendar.at(now, zone)
    open_milestones = [task for task in listed if task.milestone and task.open]
    yield Sample('milestones.open', len(open_milestones))
    yield Sample('milestones.overdue', sum(calendar.is_overdue(task) for task in open_milestones))


def active_users(listed: Collection[Task], now: datetime) -> Iterator[Sample]:
    """Yield the number of users who created or completed a task in 7 days."""
    start = now - WEEK
    creators = {task.creator for task in listed if is_since(task.created, start)}
    completers = {task.completer for task in listed if is_since(task.completed, start)}
    yield Sample('users.active_7d', len((creators | completers) - {None}))


def in_progress(listed: Collection[Task], projects: Iterable[str]) -> Iterator[Sample]:
    """Yield the number of open tasks in a started section of one of the projects."""
    open_tasks = [task for task in listed if task.open]
    unarchived = frozenset(projects)
    yield Sample('wip.count', sum(not unarchived.isdisjoint(task.started_in) for task in open_tasks))


def blocked(listed: Collection[Task], known: Dependencies) -> Iterator[Sample]:
    """Yield the number of open tasks that depend on an open task; nothing when that is unknown of one task."""
    table = {task.gid: task for task in listed}
    states = [is_blocked(task, table, known) for task in listed if task.open]
    yield Sample('tasks.blocked', None if None in states else states.count(True))


def single_projects(
    listed: Collection[Task], names: Mapping[str, str], now: datetime, zone: tzinfo
) -> Iterator[Sample]:
    """Yield the figures of single projects, whose names are given by gid. Projects of the same name are one."""
    gids_by_name: dict[str, set[str]] = {}
    for gid, name in names.items():
        gids_by_name.setdefault(name.lower(), set()).add(gid)
    calendar = Calendar.at(now, zone)
    for name, gids in gids_by_name.items():
        own = [task for task in listed if not gids.isdisjoint(task.projects)]
        open_tasks = [task for task in own if task.open]
        tags = {'project': name}
        yield Sample('project.open', len(open_tasks), tags)
        yield Sample('project.overdue', sum(calendar.is_overdue(task) for task in open_tasks), tags)
        yield Sample('project.completed_7d', _completed_since(own, now - WEEK), tags)


def total(number: int) -> Iterator[Sample]:
    """Yield the number of all tasks, open and completed."""
    yield Sample('tasks.total', number)


def _created_since(listed: Iterable[Task], start: datetime) -> int:
    return sum(is_since(task.created, start) for task in listed)


def _completed_since(listed: Iterable[Task], start: datetime) -> int:
    return sum(is_since(task.completed, start) for task in listed)
