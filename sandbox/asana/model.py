"""A workspace: people, projects with sections, tasks; and how Asana shows them in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

COLORS = {
    'on_track': 'green',
    'at_risk': 'yellow',
    'off_track': 'red',
    'on_hold': 'blue',
    'complete': 'complete',
}


@dataclass(frozen=True, slots=True)
class User:
    """A person; `zone`: the time zone of this person's due times."""

    gid: str
    name: str
    zone: str


@dataclass(slots=True)
class Status:
    """The latest status update of a project."""

    type: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a custom field with a single choice."""

    gid: str
    name: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class CustomField:
    """A custom field of a project. `kind` is its type; only `enum` has choices."""

    gid: str
    name: str
    kind: str = 'enum'
    choices: tuple[Choice, ...] = ()


@dataclass(slots=True)
class Project:
    """A project, the names of its sections and its custom fields."""

    gid: str
    name: str
    sections: tuple[str, ...]
    archived: bool = False
    completed: bool = False
    due_on: date | None = None
    status: Status | None = None
    custom_fields: tuple[CustomField, ...] = ()


@dataclass(frozen=True, slots=True)
class Reopening:
    """A completion that was taken back: when the task was completed, and when it was marked as not completed."""

    completed_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """The arrival of a task in a section."""

    at: datetime
    project: str
    section: str


@dataclass(slots=True)
class Task:
    """A task, bug, milestone, subtask or separator."""

    gid: str
    created_at: datetime
    modified_at: datetime
    creator: User
    assignee: User | None = None
    completed_at: datetime | None = None
    completer: User | None = None
    due_on: date | None = None
    due_at: datetime | None = None
    parent: str | None = None
    separator: bool = False
    subtype: str = 'default_task'
    # Project gid -> section name, None for no section.
    memberships: dict[str, str | None] = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    reopenings: list[Reopening] = field(default_factory=list)
    # Custom field gid -> gid of the choice; a field without a value is not there.
    choices: dict[str, str] = field(default_factory=dict)

    @property
    def completed(self) -> bool:
        """The task is done."""
        return self.completed_at is not None


class Workspace:
    """Projects and tasks by gid."""

    def __init__(self, gid: str, name: str, users: Iterable[User]) -> None:
        self.gid = gid
        self.name = name
        self.users = list(users)
        self.projects: dict[str, Project] = {}
        self.tasks: dict[str, Task] = {}
        self._lists: dict[str, dict[str, None]] = {}
        self._last_gid = 1_204_000_000_000_000

    def new_gid(self) -> str:
        """Return a gid that is not taken."""
        self._last_gid += 7
        return str(self._last_gid)

    def add_project(self, project: Project) -> Project:
        """Add a project without tasks."""
        self.projects[project.gid] = project
        self._lists[project.gid] = {}
        return project

    def add_task(self, task: Task) -> Task:
        """Add a task to the lists of its projects."""
        self.tasks[task.gid] = task
        for project in task.memberships:
            self._lists[project][task.gid] = None
        return task

    def remove_task(self, gid: str) -> None:
        """Delete a task without leaving a trace."""
        for project in self.tasks.pop(gid).memberships:
            del self._lists[project][gid]

    def clear(self, keep: str) -> None:
        """Remove all tasks, and all projects but one."""
        self.projects = {keep: self.projects[keep]}
        self.tasks.clear()
        self._lists = {keep: {}}

    def place(self, task: Task, project: str, section: str | None, at: datetime) -> None:
        """Put a task into a section. Asana does not count this as a modification."""
        task.memberships[project] = section
        self._lists[project][task.gid] = None
        if section is not None:
            task.moves.append(Move(at, project, section))

    def reopen(self, task: Task, at: datetime) -> None:
        """Mark a completed task as not completed. Asana then forgets the time and the user of the completion."""
        assert task.completed_at is not None
        task.reopenings.append(Reopening(task.completed_at, at))
        task.completed_at = task.completer = None
        task.modified_at = at

    def withdraw(self, task: Task, project: str) -> None:
        """Take a task out of a project. Asana does not count this as a modification, either."""
        del task.memberships[project]
        del self._lists[project][task.gid]

    def tasks_of(self, project: str) -> Iterator[Task]:
        """List the tasks of a project in their order."""
        return (self.tasks[gid] for gid in self._lists[project])

    def counts(self, task: Task) -> bool:
        """Tell tasks of the workspace from subtasks, separators and tasks that are only in archived projects."""
        return (
            task.parent is None
            and not task.separator
            and any(not self.projects[project].archived for project in task.memberships)
        )


class Shown:
    """JSON objects with all fields; `select` takes those that were asked for."""

    def __init__(self, workspace: Workspace, *, status_types: bool) -> None:
        self._workspace = workspace
        self._status_types = status_types

    def project(self, project: Project) -> dict[str, Any]:
        """Return a project."""
        status = project.status
        update = older = None
        if status is not None:
            common = {'gid': f'9{project.gid}', 'title': 'Status', 'created_at': moment(status.created_at)}
            older = {**common, 'resource_type': 'project_status', 'color': COLORS.get(status.type, status.type)}
            update = {**common, 'resource_type': 'status_update', 'resource_subtype': 'project_status_update'}
            if self._status_types:
                update['status_type'] = status.type
        return {
            'gid': project.gid,
            'resource_type': 'project',
            'name': project.name,
            'archived': project.archived,
            'completed': project.completed,
            'due_on': day(project.due_on),
            'current_status': older,
            'current_status_update': update,
        }

    @staticmethod
    def section(name: str) -> dict[str, Any]:
        """Return a section of a project."""
        return {'gid': f'8{len(name)}', 'resource_type': 'section', 'name': name}

    def task(self, task: Task) -> dict[str, Any]:
        """Return a task."""
        projects = self._workspace.projects
        return {
            'gid': task.gid,
            'resource_type': 'task',
            'resource_subtype': task.subtype,
            'name': f'Task {task.gid}',
            'created_at': moment(task.created_at),
            'modified_at': moment(task.modified_at),
            'completed': task.completed,
            'completed_at': moment(task.completed_at),
            'completed_by': user(task.completer),
            'created_by': user(task.creator),
            'assignee': user(task.assignee),
            'due_on': day(task.due_on),
            'due_at': moment(task.due_at),
            'parent': task.parent and {'gid': task.parent, 'resource_type': 'task', 'name': f'Task {task.parent}'},
            'is_rendered_as_separator': task.separator,
            'projects': [compact(projects[gid], 'project') for gid in task.memberships],
            'memberships': [
                {
                    'project': compact(projects[gid], 'project'),
                    'section': section
                    and {'gid': f'8{gid}{len(section)}', 'resource_type': 'section', 'name': section},
                }
                for gid, section in task.memberships.items()
            ],
            'dependencies': [
                {'gid': gid, 'resource_type': 'task', 'completed': self._workspace.tasks[gid].completed}
                for gid in task.dependencies
                if gid in self._workspace.tasks
            ],
            'custom_fields': [
                self._value(field, task.choices.get(field.gid))
                for gid in task.memberships
                for field in projects[gid].custom_fields
            ],
        }

    @staticmethod
    def custom_field_setting(field: CustomField) -> dict[str, Any]:
        """Return a custom field as a setting of a project."""
        return {
            'gid': f'6{field.gid}',
            'resource_type': 'custom_field_setting',
            'custom_field': {
                **_custom_field(field),
                'enum_options': [_choice(one) for one in field.choices] if field.kind == 'enum' else [],
            },
        }

    @staticmethod
    def _value(field: CustomField, choice: str | None) -> dict[str, Any]:
        """Return a custom field with the value that a task has."""
        value = next((one for one in field.choices if one.gid == choice), None)
        return {
            **_custom_field(field),
            'display_value': value and value.name,
            **({'enum_value': value and _choice(value)} if field.kind == 'enum' else {}),
        }

    def stories(self, task: Task) -> list[dict[str, Any]]:
        """List the stories of a task, the oldest first."""
        rows = [
            (task.created_at, 'added_to_project', None),
            *((m.at, 'section_changed', m.section) for m in task.moves),
        ]
        for reopening in task.reopenings:
            rows.append((reopening.completed_at, 'marked_complete', None))
            rows.append((reopening.at, 'marked_incomplete', None))
        if task.completed_at is not None:
            rows.append((task.completed_at, 'marked_complete', None))
        return [
            {
                'gid': f'7{task.gid}{index}',
                'resource_type': 'story',
                'resource_subtype': kind,
                'created_at': moment(at),
                'new_section': section and {'gid': f'8{index}', 'resource_type': 'section', 'name': section},
            }
            for index, (at, kind, section) in enumerate(sorted(rows, key=lambda row: row[0]))
        ]


def select(shown: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """Return the fields of a comma list with dots; without a list, the compact form. The gid is always included."""
    if fields is None:
        return {key: shown[key] for key in ('gid', 'resource_type', 'resource_subtype', 'name') if key in shown}
    tree: dict[str, Any] = {}
    for path in fields.split(','):
        node = tree
        for part in path.strip().split('.'):
            node = node.setdefault(part, {})
    return _select(shown, tree)


def _select(shown: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    result = {'gid': shown['gid']} if 'gid' in shown else {}
    for name, inner in tree.items():
        if name in shown:
            result[name] = _inner(shown[name], inner)
    return result


def _inner(value: Any, tree: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inner(one, tree) for one in value]
    return _select(value, tree) if isinstance(value, dict) and tree else value


def _custom_field(field: CustomField) -> dict[str, Any]:
    return {'gid': field.gid, 'resource_type': 'custom_field', 'resource_subtype': field.kind, 'name': field.name}


def _choice(one: Choice) -> dict[str, Any]:
    return {'gid': one.gid, 'resource_type': 'enum_option', 'name': one.name, 'enabled': one.enabled}


def compact(one: Any, kind: str) -> dict[str, Any]:
    """Return the compact form that an object has inside of another."""
    return {'gid': one.gid, 'resource_type': kind, 'name': one.name}


def user(one: User | None) -> dict[str, Any] | None:
    """Return a person as part of a task."""
    return None if one is None else compact(one, 'user')


def moment(at: datetime | None) -> str | None:
    """Format a time as Asana does."""
    return None if at is None else at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')


def day(on: date | None) -> str | None:
    """Format a date as Asana does."""
    return None if on is None else on.isoformat()
