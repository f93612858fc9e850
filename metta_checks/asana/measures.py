"""The figures: records and a point in time in, samples out. Definitions: metrics.yaml.

Windows are exact (7 d = 168 h before `now`). "Today" and the week, which ends on Sunday, are those of a time zone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from ..core import stats
from ..core.refresh import Sample
from ..core.stored import stored
from .records import EPOCH, MILLISECOND, Bug, Project, Task, milliseconds

HOUR = 3_600_000
DAY = 24 * HOUR
WEEK_DAYS = 7
# Longest window of the figures, and so how far back completed tasks are read.
MONTH_DAYS = 30
STALE_STATUS_DAYS = 14
STALE_TASK_DAYS = 30

# What sections of the Bugs project stand for; the first one that matches wins.
SECTIONS = ('triage', 'active', 'backlog')
# Status of a project -> its metric. Projects that are complete have none: they are not on any of these tracks.
TRACKS = {'on_track': 'on_track', 'at_risk': 'at_risk', 'off_track': 'off_track', 'on_hold': 'on_hold'}
KNOWN_STATUSES = frozenset({*TRACKS, 'complete'})
# Upper bounds in days, not included.
AGE_BUCKETS = (('0_7d', 7), ('7_30d', 30), ('30_90d', 90), ('over_90d', float('inf')))


class Standing(NamedTuple):
    """The kind of section that a bug stands in, and the milliseconds of its entry where that was observed."""

    kind: str | None = None
    since: int | None = None


@stored
class BugSections:
    """The sections that open bugs stood in, to observe when a bug moves.

    Attributes:
        section_map: option `section_map`; under another map, no bug has moved
        bugs: by gid
    """

    section_map: str
    bugs: dict[str, Standing]


@dataclass(frozen=True, slots=True)
class Calendar:
    """What day it is where the teams are."""

    now: int
    today: int
    # The last day of the ISO week.
    sunday: int
    zone: tzinfo

    @classmethod
    def at(cls, now: datetime, zone: tzinfo) -> Calendar:
        """The calendar at a point in time."""
        today = now.astimezone(zone).date()
        ordinal = today.toordinal()
        return cls(milliseconds(now), ordinal, ordinal + 7 - today.isoweekday(), zone)

    def since(self, days: float) -> int:
        """The begin of the window of so many days."""
        return self.now - int(days * DAY)

    def due_day(self, task: Task) -> int | None:
        """The day a task is due, None without one."""
        if task.due_at is None:
            return task.due_on
        return (EPOCH + task.due_at * MILLISECOND).astimezone(self.zone).date().toordinal()

    def overdue(self, task: Task) -> bool:
        """Whether the due time has passed, or where there is none, the due day."""
        if task.due_at is not None:
            return task.due_at < self.now
        return task.due_on is not None and task.due_on < self.today


def projects(listed: Iterable[Project], now: datetime, zone: tzinfo) -> Iterator[Sample]:
    """Projects by status. Those marked as completed are left out of all of them."""
    calendar = Calendar.at(now, zone)
    active = [project for project in listed if not project.completed]
    by_status = Counter(project.status for project in active)
    yield Sample('projects.active', len(active))
    for status, name in TRACKS.items():
        yield Sample(f'projects.{name}', by_status[status])
    yield Sample('projects.no_status', by_status[None])
    stale_before = calendar.since(STALE_STATUS_DAYS)
    yield Sample('projects.status_stale', sum(p.status_at is not None and p.status_at < stale_before for p in active))
    yield Sample('projects.overdue', sum(p.due_on is not None and p.due_on < calendar.today for p in active))


def unknown_statuses(listed: Iterable[Project]) -> Counter[str]:
    """Status values that no metric knows, with the number of active projects that have them."""
    return Counter(
        project.status
        for project in listed
        if not project.completed and project.status is not None and project.status not in KNOWN_STATUSES
    )


def bugs(listed: Collection[Bug], now: datetime, section_of: Callable[[str | None], str | None]) -> Iterator[Sample]:
    """The Bugs project: what is open, by section and age, and what came and went."""
    moment = milliseconds(now)
    week, month = moment - WEEK_DAYS * DAY, moment - MONTH_DAYS * DAY
    opened = [bug for bug in listed if bug.open]
    by_section = Counter(section_of(bug.section) for bug in opened)
    for section in SECTIONS:
        yield Sample(f'projects.bugs.{section}_count', by_section[section])
    yield Sample('projects.bugs.other_count', by_section[None])
    yield Sample('projects.bugs.total_open', len(opened))
    yield Sample('projects.bugs.completed_7d', _completed_since(listed, week))
    yield Sample('projects.bugs.completed_30d', _completed_since(listed, month))
    yield Sample('projects.bugs.created_7d', sum(bug.created >= week for bug in listed))
    ages = [_days(bug.created, moment) for bug in opened]
    summary = stats.summary(ages, ('avg', 'max', 'p50', 'p90'))
    yield Sample('projects.bugs.avg_age_days', summary['avg'])
    yield Sample('projects.bugs.oldest_bug_days', summary['max'])
    yield Sample('bugs.age_days.p50', summary['p50'])
    yield Sample('bugs.age_days.p90', summary['p90'])
    lower = 0.0
    for age, upper in AGE_BUCKETS:
        yield Sample('bugs.open_by_age', sum(lower <= days < upper for days in ages), {'age': age})
        lower = upper


def standing(
    listed: Iterable[Bug],
    before: Mapping[str, Standing] | None,
    now: datetime,
    section_of: Callable[[str | None], str | None],
) -> dict[str, Standing]:
    """Where open bugs stand, by gid. `before` is the result of the last time.

    The time of the entry is unknown for bugs that stood there when they were first seen.
    """
    moment = milliseconds(now)
    known = before or {}
    result: dict[str, Standing] = {}
    for bug in listed:
        if bug.open:
            kind = section_of(bug.section)
            was, since = known.get(bug.gid, Standing())
            # New bugs are not older than the last look, but the first look says nothing about anyone.
            moved = before is not None and (bug.gid not in known or was != kind)
            result[bug.gid] = Standing(kind, moment if moved else since)
    return result


def section_time(standing: Mapping[str, Standing], now: datetime) -> Iterator[Sample]:
    """Time that open bugs have been where they are, as far as their entry was observed; see `standing`."""
    moment = milliseconds(now)
    for section in SECTIONS:
        hours = [_hours(at, moment) for kind, at in standing.values() if kind == section and at is not None]
        yield Sample('bugs.section_time_hours.p50', stats.percentile(hours, 50), {'section': section})


def tasks(
    listed: Collection[Task],
    now: datetime,
    zone: tzinfo,
    *,
    started: Mapping[str, int | None] | None = None,
) -> Iterator[Sample]:
    """All figures of the workspace's tasks: open ones, and those completed in 30 d.

    `started`: gid -> when work began; None bases cycle time on the creation.
    """
    calendar = Calendar.at(now, zone)
    week, month = calendar.since(WEEK_DAYS), calendar.since(MONTH_DAYS)
    opened = [task for task in listed if task.open]
    done_week = _completed_since(listed, week)
    done = [(task, task.completed) for task in listed if task.completed is not None and task.completed >= month]
    yield Sample('tasks.open', len(opened))
    yield Sample('tasks.completed_7d', done_week)
    yield Sample('tasks.completed_30d', len(done))
    yield Sample('tasks.created_7d', sum(task.created >= week for task in listed))
    yield from _due(opened, calendar)
    assigned = sum(task.assignee is not None for task in opened)
    yield Sample('tasks.assigned', assigned)
    yield Sample('tasks.unassigned', len(opened) - assigned)
    stale_before = calendar.since(STALE_TASK_DAYS)
    yield Sample('tasks.stale_30d', sum(task.modified < stale_before for task in opened))
    yield Sample('velocity.completed_per_day_7d', done_week / WEEK_DAYS)
    yield Sample('velocity.completion_rate_pct', stats.percentage(len(done), len(done) + len(opened)))
    created = sum(task.created >= month for task in listed)
    yield Sample('velocity.throughput_ratio', stats.ratio(len(done), created))
    yield from _flow(done, opened, calendar, started)
    yield Sample('users.active_7d', len(_active_users(listed, week)))


def _due(opened: Iterable[Task], calendar: Calendar) -> Iterator[Sample]:
    overdue = today = this_week = undated = 0
    for task in opened:
        day = calendar.due_day(task)
        if day is None:
            undated += 1
        elif calendar.overdue(task):
            overdue += 1
        else:
            today += day == calendar.today
            this_week += calendar.today <= day <= calendar.sunday
    yield Sample('tasks.overdue', overdue)
    yield Sample('tasks.due_today', today)
    yield Sample('tasks.due_this_week', this_week)
    yield Sample('tasks.no_due_date', undated)


def _flow(
    done: Collection[tuple[Task, int]],
    opened: Iterable[Task],
    calendar: Calendar,
    started: Mapping[str, int | None] | None,
) -> Iterator[Sample]:
    lead = [_hours(task.created, completed) for task, completed in done]
    if started is None:
        cycle = lead
    else:
        cycle = [_hours(at, completed) for task, completed in done if (at := started.get(task.gid)) is not None]
    tags = {'basis': 'created' if started is None else 'started'}
    summary = stats.summary(cycle, ('avg', 'p50', 'p90'))
    yield Sample('cycle_time.avg_hours', summary['avg'], tags)
    yield Sample('cycle_time.p50_hours', summary['p50'], tags)
    yield Sample('cycle_time.p90_hours', summary['p90'], tags)
    yield Sample('lead_time.p85_hours', stats.percentile(lead, 85))
    ages = sorted(_days(task.created, calendar.now) for task in opened)
    yield Sample('wip.age_p50_days', stats.percentile(ages, 50))
    yield Sample('wip.age_p85_days', stats.percentile(ages, 85))


def in_progress(listed: Iterable[Task]) -> Iterator[Sample]:
    """Open tasks in a started section."""
    yield Sample('wip.count', sum(task.open and task.in_progress for task in listed))


def blocked(listed: Collection[Task]) -> Iterator[Sample]:
    """Open tasks that wait for another one. What was completed since they were read blocks no more."""
    finished = {task.gid for task in listed if not task.open}
    yield Sample(
        'tasks.blocked', sum(task.open and any(gid not in finished for gid in task.blockers) for task in listed)
    )


def single_projects(
    listed: Collection[Task], names: Mapping[str, str], now: datetime, zone: tzinfo
) -> Iterator[Sample]:
    """The figures of single projects, gid -> name. Projects of the same name are one."""
    calendar = Calendar.at(now, zone)
    week = calendar.since(WEEK_DAYS)
    of_name: dict[str, set[str]] = {}
    for gid, name in names.items():
        of_name.setdefault(name.lower(), set()).add(gid)
    for name, gids in of_name.items():
        own = [task for task in listed if not gids.isdisjoint(task.projects)]
        tags = {'project': name}
        yield Sample('project.open', sum(task.open for task in own), tags)
        yield Sample('project.overdue', sum(task.open and calendar.overdue(task) for task in own), tags)
        yield Sample('project.completed_7d', _completed_since(own, week), tags)


def total(number: int) -> Iterator[Sample]:
    """All tasks there ever were."""
    yield Sample('tasks.total', number)


def _active_users(listed: Collection[Task], since: int) -> set[str]:
    users = {task.creator for task in listed if task.created >= since}
    users |= {task.completer for task in listed if task.completed is not None and task.completed >= since}
    return {user for user in users if user is not None}


def _completed_since(listed: Iterable[Task | Bug], since: int) -> int:
    return sum(one.completed is not None and one.completed >= since for one in listed)


def _hours(start: int, end: int) -> float:
    return max(0, end - start) / HOUR


def _days(start: int, end: int) -> float:
    return max(0, end - start) / DAY
