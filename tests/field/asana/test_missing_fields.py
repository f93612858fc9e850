"""Fields that Asana leaves out of rows, although the check asks for them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case

PREFIX = 'metta.asana.'


@case('C', 'https://github.com/sbywater/django-asana/issues/6')
def test_without_dependencies(asana):
    """Rows without dependencies.

    Dependencies are a feature of paid plans. `blocked_fields` is on, one open task waits for another one, and
    the rows that Asana sends have no field `dependencies`.

    Right: `tasks.blocked` is absent, and the service check is WARNING and names the field. The check cannot
    know that no task is blocked.

    Unchanged: `tasks.open` is 2.
    """
    board = asana.create_project('Evals', ['To do']).gid
    first = asana.create_task({board: 'To do'})
    asana.create_task({board: 'To do'}, dependencies=[first.gid])
    asana.withheld.add('dependencies')
    run = Driver.of(asana, blocked_fields=True).run()
    assert (run.value(f'{PREFIX}tasks.blocked'), run.value(f'{PREFIX}tasks.open')) == (None, 2)
    assert run.status == AgentCheck.WARNING
    assert '2 rows lack the field `dependencies`' in run.message


@case('C', guard=True)
def test_without_any_dependency(asana):
    """Tasks that depend on nothing.

    `blocked_fields` is on, and the field `dependencies` of the only open task is an empty list.

    Right: `tasks.blocked` is 0: the field is there, so this is a fact.

    Unchanged: There is no warning.
    """
    asana.create_task({asana.create_project('Evals', ['To do']).gid: 'To do'})
    run = Driver.of(asana, blocked_fields=True).run()
    assert (run.value(f'{PREFIX}tasks.blocked'), run.warnings) == (0, [])


@case('C', 'https://developers.asana.com/docs/errors')
@pytest.mark.parametrize(
    ('field', 'absent', 'there'),
    [
        ('assignee', ('tasks.assigned', 'tasks.unassigned'), 'tasks.overdue'),
        ('due_on', ('tasks.overdue', 'tasks.due_today', 'tasks.due_this_week', 'tasks.no_due_date'), 'tasks.assigned'),
        ('created_by', ('users.active_7d',), 'tasks.overdue'),
        ('modified_at', ('tasks.stale_30d',), 'tasks.overdue'),
        (
            'completed_at',
            ('tasks.completed_7d', 'velocity.completion_rate_pct', 'lead_time.p85_hours'),
            'tasks.overdue',
        ),
        ('memberships', ('wip.count', 'projects.bugs.triage_count', 'projects.bugs.other_count'), 'tasks.overdue'),
    ],
)
def test_without_an_optional_field(asana, field, absent, there):
    """Rows without another optional field.

    The token may see tasks, but not one of their fields: the assignee, the due date, the creator, the time of
    the last change, the time of completion, or the sections. The rows lack that field. (Null would mean that
    the task has none.)

    Right: The figures that need the field are absent, for example `tasks.assigned` and `tasks.unassigned`
    without the assignee, and the service check is WARNING.

    Unchanged: `tasks.open` is 1, and figures that need other fields are there.
    """
    board = asana.create_project('Evals', ['To do']).gid
    asana.create_task({board: 'To do'})
    asana.complete_task(asana.create_task({board: 'To do'}))
    asana.create_task({asana.bugs_project: 'Triage'}, parent='17')
    asana.withheld.add(field)
    run = Driver.of(asana, started_sections=['In progress']).run()
    assert [name for name in absent if run.value(f'{PREFIX}{name}') is not None] == []
    assert (run.value(f'{PREFIX}tasks.open'), run.value(f'{PREFIX}{there}') is not None) == (1, True)
    assert run.status == AgentCheck.WARNING
    assert f'the field `{field}`' in run.message


@case('C')
def test_projects_without_a_status(asana):
    """Projects of which the status is not shown.

    The rows of the list of projects have neither `current_status_update` nor the older `current_status`.

    Right: `projects.no_status`, `projects.on_track` and `projects.status_stale` are absent. A project without
    the field is not a project without a status.

    Unchanged: `projects.active` is 1, and `projects.overdue` is 1.
    """
    project = asana.workspace.projects[asana.bugs_project]
    project.due_on = (asana.clock.now() - timedelta(days=2)).date()
    asana.withheld.update(('current_status', 'current_status_update'))
    run = Driver.of(asana).run()
    names = ('no_status', 'on_track', 'status_stale', 'active', 'overdue')
    assert [run.value(f'{PREFIX}projects.{name}') for name in names] == [None, None, None, 1, 1]


@case('C', 'https://developers.asana.com/docs/inputoutput-options')
@pytest.mark.parametrize('field', ['parent', 'is_rendered_as_separator'])
def test_without_the_kind_of_a_row(asana, field):
    """Rows without a field that tells tasks from other rows.

    The rows lack `parent`, which subtasks have, or `is_rendered_as_separator`, which is true for separators. Asana
    sends both only on request.

    Right: The figures of tasks are absent: the rows may be subtasks or separators. Without
    `is_rendered_as_separator`, those of bugs are absent, too, and without either, `tasks.total`. The service check is
    WARNING and names the field.

    Unchanged: `projects.active` is 2.
    """
    asana.create_task({asana.create_project('Evals', ['To do']).gid: 'To do'})
    asana.create_task({asana.bugs_project: 'Triage'}, parent='17')
    asana.withheld.add(field)
    run = Driver.of(asana).run()
    names = ('tasks.open', 'tasks.created_7d', 'users.active_7d', 'tasks.total', 'projects.bugs.triage_count')
    bugs = {'parent': 1, 'is_rendered_as_separator': None}[field]
    assert [run.value(f'{PREFIX}{name}') for name in names] == [None, None, None, None, bugs]
    assert (run.value(f'{PREFIX}projects.active'), run.status) == (2, AgentCheck.WARNING)
    assert f'the field `{field}`' in run.message


@case('C')
@pytest.mark.parametrize('field', ['completed', 'projects'])
def test_without_a_field_that_every_task_has(asana, field):
    """Rows without the state of completion, or without projects.

    The rows of tasks lack `completed` or `projects`. Without the first, nobody can tell whether a task is open;
    without the second, whether it is in a project that counts.

    Right: `tasks.open` is absent, and the service check is WARNING.

    Unchanged: `projects.active` is 2, unless the rows of projects lack `completed`, too. Then it is absent.
    """
    asana.create_task({asana.create_project('Evals', ['To do']).gid: 'To do'})
    asana.withheld.add(field)
    run = Driver.of(asana).run()
    assert run.value(f'{PREFIX}tasks.open') is None
    assert run.value(f'{PREFIX}projects.active') == {'completed': None, 'projects': 2}[field]
    assert run.status == AgentCheck.WARNING
