"""Rows as Asana sends them, and records, with only what a test is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from metta_checks.asana.records import Bug, Project, Task

# A Wednesday.
NOW = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
CREATED = '2026-03-01T09:00:00.000Z'


def ago(**delta: float) -> datetime:
    """Return a time before NOW."""
    return NOW - timedelta(**delta)


def task(
    gid: str = '1',
    *,
    done: float | None = None,
    age: float = 50,
    modified: datetime = NOW,
    due_on: date | None = None,
    due_at: datetime | None = None,
    **fields: Any,
) -> Task:
    """Return a task of `age` days, open or completed `done` days ago."""
    values = {
        'created_epoch': ago(days=age).timestamp(),
        'modified_epoch': modified.timestamp(),
        'open': done is None,
        'completed_epoch': None if done is None else ago(days=done).timestamp(),
        'due_epoch': due_at and due_at.timestamp(),
        'due_ordinal': due_on and due_on.toordinal(),
        'assignee': None,
        'creator': 'u1',
        'completer': None if done is None else 'u2',
        'projects': ('p1',),
        'blockers': (),
        'dependencies': (),
        'started_in': (),
    }
    return Task(gid=gid, **{**values, **fields})


def bug(
    gid: str = '1',
    *,
    done: float | None = None,
    age: float = 50,
    section: str | None = 'Triage',
    severity: str | None = None,
) -> Bug:
    """Return a bug of `age` days, open or completed `done` days ago."""
    return Bug(gid, ago(days=age), done is None, None if done is None else ago(days=done), section, severity)


def project(gid: str = 'p1', **fields: Any) -> Project:
    """Return an active project without a status."""
    values = {'name': 'Evals', 'completed': False, 'due_on': None, 'status': None, 'status_at': None}
    return Project(gid=gid, **{**values, **fields})


def figures(samples: Any) -> dict[str, float | None]:
    """Return samples by name, the values of tags appended."""
    return {' '.join((sample.name, *sample.tags.values())): sample.value for sample in samples}
