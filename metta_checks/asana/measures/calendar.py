"""Windows before a refresh, and days in the time zone of option `timezone`.

Windows are exact: 7 days are 168 hours. A week ends on Sunday.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from ..records import Task

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
# The longest window of the figures, and so the age up to which completed tasks are read.
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The time of a refresh, with its day and the last day of its week in a time zone."""

    now: datetime
    today: date
    sunday: date
    zone: tzinfo

    @classmethod
    def at(cls, now: datetime, zone: tzinfo) -> Calendar:
        """Return the calendar of a time zone at a time."""
        today = now.astimezone(zone).date()
        return cls(now, today, today + timedelta(days=7 - today.isoweekday()), zone)

    def due_day(self, task: Task) -> date | None:
        """Return the day on which a task is due, None without one. A due time takes precedence over a due date."""
        if task.due_at is None:
            return task.due_on
        try:
            return task.due_at.astimezone(self.zone).date()
        except OverflowError:
            # People use the last day of the year 9999 for "never". In zones east of UTC, it is beyond datetime.
            return task.due_on

    def is_overdue(self, task: Task) -> bool:
        """Return True when the due time has passed or, without a due time, when the due date lies before today."""
        if task.due_at is not None:
            return task.due_at < self.now
        return task.due_on is not None and task.due_on < self.today

    def is_on_time(self, task: Task) -> bool | None:
        """Return True when a task was completed by its due time or on its due date, None when one of them is unknown.

        A due time takes precedence over a due date.
        """
        if task.completed is None:
            return None
        if task.due_at is not None:
            return task.completed <= task.due_at
        return None if task.due_on is None else task.completed.astimezone(self.zone).date() <= task.due_on


def is_since(moment: datetime | None, start: datetime) -> bool:
    """Return True for a known time that is not before `start`."""
    return moment is not None and moment >= start


def is_before(moment: datetime | None, end: datetime) -> bool:
    """Return True for a known time before `end`."""
    return moment is not None and moment < end


def duration(start: datetime, end: datetime, unit: timedelta) -> float:
    """Return the time from start to end in a unit, never negative."""
    return max(timedelta(), end - start) / unit
