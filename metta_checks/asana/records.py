"""Records of Asana: projects, tasks, bugs, stories and the user, parsed once from the rows of its answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, TypeVar

from ..core.fields import day, flag, items, mapping, moment, text, timestamp
from ..core.times import from_epoch
from .section_names import SectionNames

# Status by the color of its circle, for projects for which Asana sends a color only.
STATUS_OF_COLOR = {
    'green': 'on_track',
    'yellow': 'at_risk',
    'red': 'off_track',
    'blue': 'on_hold',
    'complete': 'complete',
}
NO_SECTIONS = SectionNames()
# Fields of tasks that some plans and permissions leave out of the rows, although a request asks for them.
OPEN_FIELDS = ('created_by', 'modified_at', 'due_at', 'due_on', 'assignee')
# Fields without which nobody can tell whether a row is a task, a subtask or a separator.
KIND_FIELDS = ('parent', 'is_rendered_as_separator')
COMPLETED_FIELDS = ('created_by', 'completed_at', 'completed_by', 'due_at', 'due_on')
T = TypeVar('T')


class Unreadable(ValueError):
    """A row lacks a field that every row has (gid), or has a value that makes no sense, so no figure can count it."""


class Task(NamedTuple):
    """A task that counts: not a subtask, not a separator.

    Tens of thousands of tasks are stored between refreshes. With seconds since the epoch and ordinals of days, they
    take less than half of the memory and 60 % of the stored bytes that datetimes take. The properties give datetimes.

    Attributes:
        gid: its id in Asana
        created_epoch: when it was created, in seconds since the epoch; None: its row does not tell
        modified_epoch: when it was last changed, in seconds since the epoch; None: its row does not tell
        open: True until it is completed; None: its row does not tell
        completed_epoch: when it was completed, in seconds since the epoch; None for open tasks, and without a time
        due_epoch: the due time in seconds since the epoch; it takes precedence over the due date, also sent by Asana
        due_ordinal: the due date, as the ordinal of the day
        assignee: gid of the user it is assigned to
        creator: gid of the user who created it
        completer: gid of the user who completed it
        projects: gids of its projects
        blockers: gids of the tasks that it depends on and that were not completed when it was read
        dependencies: gids of the tasks that it depends on and whose state its row does not show
        started_in: gids of the projects in which it is in a section of option `started_sections`
        milestone: True for tasks of the type milestone
        lacks: names of fields that were asked for and are not in its row; those values are unknown
    """

    gid: str
    created_epoch: float | None
    modified_epoch: float | None
    open: bool | None
    completed_epoch: float | None
    due_epoch: float | None
    due_ordinal: int | None
    assignee: str | None
    creator: str | None
    completer: str | None
    projects: tuple[str, ...]
    blockers: tuple[str, ...]
    dependencies: tuple[str, ...]
    started_in: tuple[str, ...]
    milestone: bool = False
    lacks: tuple[str, ...] = ()

    @property
    def created(self) -> datetime | None:
        """The time of creation."""
        return from_epoch(self.created_epoch)

    @property
    def modified(self) -> datetime | None:
        """The time of the last change; the creation where Asana does not send one."""
        return from_epoch(self.modified_epoch)

    @property
    def is_completed(self) -> bool:
        """True if it is known to be completed."""
        return self.open is False or self.completed_epoch is not None

    @property
    def completed(self) -> datetime | None:
        """The time of completion. None for open tasks, and for completed ones without a time."""
        return from_epoch(self.completed_epoch)

    @property
    def due_at(self) -> datetime | None:
        """The due time, None without one."""
        return from_epoch(self.due_epoch)

    @property
    def due_on(self) -> date | None:
        """The due date, None without one."""
        return None if self.due_ordinal is None else date.fromordinal(self.due_ordinal)

    @classmethod
    def parse(
        cls,
        row: Mapping[str, Any],
        started_sections: SectionNames = NO_SECTIONS,
        open_fields: Iterable[str] = OPEN_FIELDS,
    ) -> tuple[str, Task | None]:
        """Return (gid, task) of a row; no task for subtasks and separators. Raises Unreadable.

        `open_fields` are the fields that were asked for and that the row of an open task may lack.
        """
        gid, created = _required_gid(row), _known(row, 'created_at', timestamp)
        if not _counts(row):
            return gid, None
        due_on = day(row.get('due_on'))
        is_completed = _known(row, 'completed', flag)
        return gid, cls(
            gid=gid,
            created_epoch=created,
            modified_epoch=timestamp(row.get('modified_at')) or created,
            open=None if is_completed is None else not is_completed,
            completed_epoch=None if is_completed is False else timestamp(row.get('completed_at')),
            due_epoch=timestamp(row.get('due_at')),
            due_ordinal=None if due_on is None else due_on.toordinal(),
            assignee=_gid(row.get('assignee')),
            creator=_gid(row.get('created_by')),
            completer=_gid(row.get('completed_by')),
            projects=_required_projects(row),
            blockers=_blockers(row),
            dependencies=_dependencies_of_unknown_state(row),
            started_in=_started_in(row, started_sections),
            milestone=row.get('resource_subtype') == 'milestone',
            lacks=(
                *_unknown(created_at=created, completed=is_completed),
                *_lacks(row, (*KIND_FIELDS, *_fields(is_completed, open_fields, COMPLETED_FIELDS))),
            ),
        )


class CountedTask(NamedTuple):
    """A task that is only counted.

    Attributes:
        gid: its id in Asana
        counts: False for subtasks and separators
        projects: gids of its projects, empty when they were not asked for
    """

    gid: str
    counts: bool
    projects: tuple[str, ...] = ()

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> CountedTask:
        """Return the row of a list of tasks. Raises Unreadable."""
        counts = _counts(row)
        if counts and (lacking := _lacks(row, KIND_FIELDS)):
            raise Unreadable(f'a row without {lacking[0]}')
        return cls(_required_gid(row), counts, _gids(row.get('projects')))


class Dependency(NamedTuple):
    """A task that another task depends on.

    Attributes:
        gid: its id in Asana
        completed: whether it is completed, None when Asana does not send that
    """

    gid: str
    completed: bool | None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Dependency:
        """Return a row of the list of a task's dependencies. Raises Unreadable."""
        return cls(_required_gid(row), flag(row.get('completed')))


@dataclass(frozen=True, slots=True)
class Bug:
    """A task listed in the Bugs project.

    Attributes:
        gid: its id in Asana
        created: when it was created; None: its row does not tell
        open: True until it is completed; None: its row does not tell
        completed: when it was completed; None for open bugs, and for completed ones without a time
        section: name of its section in the Bugs project, None without one
        severity: name of its value of the custom field in option `bugs_severity_field`, None without a value
        lacks: names of fields that were asked for and are not in its row; those values are unknown
    """

    gid: str
    created: datetime | None
    open: bool | None
    completed: datetime | None
    section: str | None
    severity: str | None = None
    lacks: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls, row: Mapping[str, Any], bugs_project: str, severity_field: str | None = None
    ) -> tuple[str, Bug | None]:
        """Return (gid, bug) of a row of the Bugs project; no bug for separators. Raises Unreadable.

        `severity_field` is the gid of the custom field of option `bugs_severity_field`, None without the option.
        """
        gid, created = _required_gid(row), creation(row)
        if flag(row.get('is_rendered_as_separator')):
            return gid, None
        is_completed = _known(row, 'completed', flag)
        severity = None if severity_field is None else _custom_field(row, severity_field)
        lacks = (
            *_unknown(created_at=created, completed=is_completed),
            *_lacks(row, ('is_rendered_as_separator', *_fields(is_completed, ('memberships',), ('completed_at',)))),
        )
        # A bug without a value has the field, with the value null.
        if severity_field is not None and severity is None and not is_completed:
            lacks = (*lacks, 'custom_fields')
        return gid, cls(
            gid=gid,
            created=created,
            open=None if is_completed is None else not is_completed,
            completed=None if is_completed is False else moment(row.get('completed_at')),
            section=_section_in(row, bugs_project),
            severity=_name(_inside(severity, 'enum_value')),
            lacks=lacks,
        )


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is not archived. `status` is None without any; unknown values stay as Asana sends them."""

    gid: str
    name: str
    completed: bool
    due_on: date | None
    status: str | None
    status_at: datetime | None
    # Names of fields that are not in the row, so that those values are unknown.
    lacks: tuple[str, ...] = ()

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Project:
        """Return a project of the list. Raises Unreadable."""
        update = mapping(row.get('current_status_update')) or {}
        older = mapping(row.get('current_status')) or {}
        return cls(
            gid=_required_gid(row),
            name=_name(row) or '',
            completed=flag(row.get('completed')) is True,
            due_on=day(row.get('due_on')),
            status=text(update.get('status_type')) or _status_of_color(older),
            status_at=moment(update.get('created_at')) or moment(older.get('created_at')),
            lacks=_project_lacks(row),
        )


class Story(NamedTuple):
    """A story: an entry in the history of a task.

    Attributes:
        gid: its id in Asana
        entered: when the task entered a started section, None for another story
        reopened: when the task was marked as not completed, None for another story
    """

    gid: str
    entered: datetime | None = None
    reopened: datetime | None = None

    @classmethod
    def parse(cls, row: Mapping[str, Any], started_sections: SectionNames) -> Story:
        """Return a story. Raises Unreadable."""
        gid, kind = _required_gid(row), row.get('resource_subtype')
        if kind == 'marked_incomplete':
            return cls(gid, reopened=_required_creation(row))
        section = _name(row.get('new_section'))
        if kind == 'section_changed' and section is not None and section in started_sections:
            return cls(gid, entered=_required_creation(row))
        return cls(gid)


class CustomField(NamedTuple):
    """A custom field of a project.

    Attributes:
        gid: its id in Asana
        name: its name
        kind: its type, `enum` for a single choice; None when Asana sends none
        values: the names of its choices that are enabled
    """

    gid: str
    name: str
    kind: str | None
    values: tuple[str, ...]

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> CustomField:
        """Return the custom field in the settings of a project. Raises Unreadable."""
        field = mapping(row.get('custom_field')) or {}
        choices = [one for one in items(field.get('enum_options')) or () if flag(_inside(one, 'enabled')) is not False]
        names = [name for one in choices if (name := _name(one)) is not None]
        return cls(_required_gid(field), _name(field) or '', text(field.get('resource_subtype')), tuple(names))


@dataclass(frozen=True, slots=True)
class Me:
    """The user of the token, and the names by gid of the workspaces that it sees (None when Asana omits them)."""

    name: str
    workspaces: Mapping[str, str] | None

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Me:
        """Return the answer of /users/me."""
        listed = items(row.get('workspaces'))
        workspaces = None if listed is None else {gid: _name(one) or '' for one in listed if (gid := _gid(one))}
        return cls(_name(row) or 'unnamed', workspaces)


def creation(row: Mapping[str, Any]) -> datetime | None:
    """Return the time of creation of a row, None when the row lacks it. Raises Unreadable."""
    return _known(row, 'created_at', moment)


def _required_creation(row: Mapping[str, Any]) -> datetime:
    created = creation(row)
    if created is None:
        raise Unreadable('a row without created_at')
    return created


def _counts(row: Mapping[str, Any]) -> bool:
    """Return False for subtasks, which belong to another task, and for separators, which are headings."""
    return row.get('parent') is None and not flag(row.get('is_rendered_as_separator'))


def _gids(listed: Any) -> tuple[str, ...]:
    return tuple(gid for one in items(listed) or () if (gid := _gid(one)) is not None)


def _blockers(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the gids of the tasks that a task depends on and that are not completed."""
    return _gids([one for one in items(row.get('dependencies')) or () if flag(_inside(one, 'completed')) is False])


def _dependencies_of_unknown_state(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the gids of the tasks that a task depends on and of which Asana sends only the gid."""
    return _gids([one for one in items(row.get('dependencies')) or () if flag(_inside(one, 'completed')) is None])


def _started_in(row: Mapping[str, Any], started_sections: SectionNames) -> tuple[str, ...]:
    """Return the gids of the projects in which the task is in a started section."""
    if not started_sections:
        return ()
    memberships = items(row.get('memberships')) or ()
    started = [one for one in memberships if (_name(_inside(one, 'section')) or '') in started_sections]
    return tuple(gid for one in started if (gid := _gid(_inside(one, 'project'))) is not None)


def _lacks(row: Mapping[str, Any], fields: Iterable[str]) -> tuple[str, ...]:
    """Return the fields that are not in a row. A field that is null is there: the task has no such value."""
    return tuple(field for field in fields if field not in row)


def _section_in(row: Mapping[str, Any], project: str) -> str | None:
    """Return the name of the task's section in one of its projects. Sections in its other projects are ignored."""
    found = None
    for membership in items(row.get('memberships')) or ():
        if _gid(_inside(membership, 'project')) == project:
            found = _name(_inside(membership, 'section'))
    return found


def _custom_field(row: Mapping[str, Any], field: str) -> Mapping[str, Any] | None:
    """Return the custom field with this gid, None when the row does not have it."""
    return next((one for one in items(row.get('custom_fields')) or () if _gid(one) == field), None)


def _project_lacks(row: Mapping[str, Any]) -> tuple[str, ...]:
    # One of the two fields is enough: the older one has the color of the status.
    status = () if 'current_status' in row else _lacks(row, ('current_status_update',))
    return (*_lacks(row, ('completed', 'due_on')), *status)


def _known(row: Mapping[str, Any], field: str, read: Callable[[Any], T | None]) -> T | None:
    """Return the value of a field that no row has without one: None when the row lacks it. Raises Unreadable."""
    value = read(row.get(field))
    if value is None and row.get(field) is not None:
        raise Unreadable(f'a row with an unreadable {field}')
    return value


def _unknown(**values: object) -> tuple[str, ...]:
    """Return the names of the values that are None."""
    return tuple(name for name, value in values.items() if value is None)


def _fields(is_completed: bool | None, of_open: Iterable[str], of_completed: Iterable[str]) -> Iterable[str]:
    """Return the fields that an open or a completed task has, both when it may be either."""
    if is_completed is None:
        return dict.fromkeys((*of_open, *of_completed))
    return of_completed if is_completed else of_open


def _required_projects(row: Mapping[str, Any]) -> tuple[str, ...]:
    if 'projects' not in row:
        raise Unreadable('a row without projects')
    return _gids(row['projects'])


def _status_of_color(status: Mapping[str, Any]) -> str | None:
    color = text(status.get('color'))
    return None if color is None else STATUS_OF_COLOR.get(color, color)


def _required_gid(row: Any) -> str:
    """Return the gid of a row. Raises Unreadable without one."""
    gid = _gid(row)
    if gid is None:
        raise Unreadable('a row without gid')
    return gid


def _gid(value: Any) -> str | None:
    """Return the gid of an object, None without one."""
    gid = text(_inside(value, 'gid'))
    # The same few users and projects stand in thousands of rows.
    return None if gid is None else sys.intern(gid)


def _name(value: Any) -> str | None:
    return text(_inside(value, 'name'))


def _inside(value: Any, key: str) -> Any:
    """Return a field of a nested object, None when there is no object."""
    return (mapping(value) or {}).get(key)
