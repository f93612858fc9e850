"""What Asana sends, parsed once.

Times are whole milliseconds since the epoch, as precise as Asana's own; dates are ordinals (`date.toordinal`). Tasks
are tuples of plain values, because thousands of them are kept between refreshes as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ..core.fields import day, flag, items, mapping, moment, text

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Colors of the status circle, which stand for the status where the status itself is not sent.
STATUS_OF_COLOR = {
    'green': 'on_track',
    'yellow': 'at_risk',
    'red': 'off_track',
    'blue': 'on_hold',
    'complete': 'complete',
}


class Unreadable(ValueError):
    """A row without what every row has (gid, creation time): it cannot be counted anywhere."""


class Task(NamedTuple):
    """A task that counts: no subtask, no separator."""

    gid: str
    created: int
    modified: int
    open: bool
    # None for open tasks.
    completed: int | None
    # Whoever has a due time has a due date, too; only the time counts then.
    due_at: int | None
    due_on: int | None
    # Gids of users.
    assignee: str | None
    creator: str | None
    completer: str | None
    # Gids of projects.
    projects: tuple[str, ...]
    # Gids of tasks it waits for, those that were not completed when it was read.
    blockers: tuple[str, ...]
    # Whether it stands in a section that means "somebody works on it".
    in_progress: bool

    @classmethod
    def parse(cls, row: Mapping[str, Any], started_sections: frozenset[str] = frozenset()) -> tuple[str, Task | None]:
        """Return (gid, task) of a row; no task for subtasks and separators. Raises Unreadable.

        `started_sections` are names in lower case.
        """
        gid, created = _gid_of(row), _created(row)
        if not counts(row):
            return gid, None
        is_open, completed = _completion(row)
        return gid, cls(
            gid=gid,
            created=created,
            modified=_milliseconds(row.get('modified_at')) or created,
            open=is_open,
            completed=completed,
            due_at=_milliseconds(row.get('due_at')),
            due_on=_ordinal(row.get('due_on')),
            assignee=_gid(row.get('assignee')),
            creator=_gid(row.get('created_by')),
            completer=_gid(row.get('completed_by')),
            projects=tuple(filter(None, map(_gid, items(row.get('projects')) or ()))),
            blockers=tuple(
                blocker
                for other in items(row.get('dependencies')) or ()
                if (blocker := _gid(other)) and not flag(other.get('completed'))
            ),
            in_progress=bool(started_sections) and any(name in started_sections for name in _sections(row)),
        )


@dataclass(frozen=True, slots=True)
class Bug:
    """A task listed in the Bugs project. `section` is its section there, None without one."""

    gid: str
    created: int
    open: bool
    completed: int | None
    section: str | None

    @classmethod
    def parse(cls, row: Mapping[str, Any], bugs_project: str) -> tuple[str, Bug | None]:
        """Return (gid, bug) of a row of the Bugs project; no bug for separators. Raises Unreadable."""
        gid, created = _gid_of(row), _created(row)
        if flag(row.get('is_rendered_as_separator')):
            return gid, None
        is_open, completed = _completion(row)
        section = None
        for membership in items(row.get('memberships')) or ():
            # A bug may stand in further projects, whose sections say nothing about it as a bug.
            if _gid(_inside(membership, 'project')) == bugs_project:
                section = _name(_inside(membership, 'section'))
        return gid, cls(gid, created, is_open, completed, section)


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is not archived. `status` is None without any; unknown values stay as Asana sends them."""

    gid: str
    name: str
    completed: bool
    due_on: int | None
    status: str | None
    status_at: int | None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Project:
        """Return a project of the list. Raises Unreadable."""
        update = mapping(row.get('current_status_update')) or {}
        older = mapping(row.get('current_status')) or {}
        status = text(update.get('status_type'))
        if status is None and (color := text(older.get('color'))) is not None:
            status = STATUS_OF_COLOR.get(color, color)
        return cls(
            gid=_gid_of(row),
            name=text(row.get('name')) or '',
            completed=flag(row.get('completed')) is True,
            due_on=_ordinal(row.get('due_on')),
            status=status,
            status_at=_milliseconds(update.get('created_at')) or _milliseconds(older.get('created_at')),
        )


@dataclass(frozen=True, slots=True)
class Me:
    """Whom the token belongs to, and gid -> name of the workspaces it sees (None when Asana does not say)."""

    name: str
    workspaces: Mapping[str, str] | None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Me:
        """Return the answer of /users/me."""
        listed = items(row.get('workspaces'))
        workspaces = None if listed is None else {gid: _name(one) or '' for one in listed if (gid := _gid(one))}
        return cls(text(row.get('name')) or 'unnamed', workspaces)


def milliseconds(time: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return (time - EPOCH) // MILLISECOND


def parse_counted(row: Mapping[str, Any]) -> tuple[str, bool]:
    """(gid, whether it is a task that counts). Raises Unreadable."""
    return _gid_of(row), counts(row)


def parse_entry(row: Mapping[str, Any], started_sections: frozenset[str]) -> tuple[str, int | None]:
    """(gid, when the task entered a started section) of a story; no time for all other stories. Raises Unreadable."""
    gid = _gid_of(row)
    if row.get('resource_subtype') != 'section_changed':
        return gid, None
    section = _name(row.get('new_section'))
    return gid, _created(row) if section is not None and section.lower() in started_sections else None


def counts(row: Mapping[str, Any]) -> bool:
    """Whether a row is a task of its own: subtasks belong to another one, separators are headings."""
    return row.get('parent') is None and not flag(row.get('is_rendered_as_separator'))


def _completion(row: Mapping[str, Any]) -> tuple[bool, int | None]:
    if not flag(row.get('completed')):
        return True, None
    # A completed task without a time stays out of every window, as if it were long ago.
    return False, _milliseconds(row.get('completed_at'))


def _created(row: Mapping[str, Any]) -> int:
    created = _milliseconds(row.get('created_at'))
    if created is None:
        raise Unreadable('a row without created_at')
    return created


def _sections(row: Mapping[str, Any]) -> list[str]:
    return [
        name.lower()
        for membership in items(row.get('memberships')) or ()
        if (name := _name(_inside(membership, 'section'))) is not None
    ]


def _gid_of(row: Any) -> str:
    gid = _gid(row)
    if gid is None:
        raise Unreadable('a row without gid')
    return gid


def _gid(value: Any) -> str | None:
    gid = text(_inside(value, 'gid'))
    # The same few users and projects stand in thousands of rows.
    return None if gid is None else sys.intern(gid)


def _name(value: Any) -> str | None:
    return text(_inside(value, 'name'))


def _inside(value: Any, key: str) -> Any:
    """Return a field of a nested object, None when there is no object."""
    return (mapping(value) or {}).get(key)


def _milliseconds(value: Any) -> int | None:
    found = moment(value)
    return None if found is None else milliseconds(found)


def _ordinal(value: Any) -> int | None:
    found = day(value)
    return None if found is None else found.toordinal()
