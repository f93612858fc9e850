"""Figures of block `projects`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo

from ...core.refresh import Sample
from ..records import Project
from .calendar import Calendar

STALE_STATUS = timedelta(days=14)
# Statuses that have a metric `projects.<status>`.
STATUSES = ('on_track', 'at_risk', 'off_track', 'on_hold')
# Statuses of projects in which nobody works, so that no further status update is due.
RESTING_STATUSES = frozenset({'on_hold', 'complete', 'dropped'})
# Projects with the status `complete` or `dropped` are counted only in projects.active.
KNOWN_STATUSES = frozenset({*STATUSES, *RESTING_STATUSES})


def projects(listed: Iterable[Project], now: datetime, zone: tzinfo) -> Iterator[Sample]:
    """Yield the projects by status. Completed projects are left out of all figures."""
    active = [project for project in listed if not project.completed]
    by_status = Counter(project.status for project in active)
    yield Sample('projects.active', len(active))
    for status in STATUSES:
        yield Sample(f'projects.{status}', by_status[status])
    yield Sample('projects.no_status', by_status[None])
    yield Sample('projects.status_stale', sum(_is_stale(project, now) for project in active))
    today = Calendar.at(now, zone).today
    yield Sample('projects.overdue', sum(project.due_on is not None and project.due_on < today for project in active))


def _is_stale(project: Project, now: datetime) -> bool:
    is_old = project.status_at is not None and project.status_at < now - STALE_STATUS
    return is_old and project.status not in RESTING_STATUSES


def unknown_statuses(listed: Iterable[Project]) -> Counter[str]:
    """Return the number of active projects by status, for statuses without a metric."""
    statuses = (project.status for project in listed if not project.completed)
    return Counter(status for status in statuses if status is not None and status not in KNOWN_STATUSES)
