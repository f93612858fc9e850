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


@case('C', 'https://developers.asana.com/reference/tasks', guard=True)
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


@case('C', 'https://developers.asana.com/reference/project-statuses')
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


@case('C', 'https://developers.asana.com/docs/inputoutput-options')
def test_without_projects(asana):
    """Rows without projects.

    The rows of tasks lack `projects`, so nobody can tell whether a task is in a project that counts.

    Right: `tasks.open` is absent, and the service check is WARNING.

    Unchanged: `projects.active` is 2.
    """
    asana.create_task({asana.create_project('Evals', ['To do']).gid: 'To do'})
    asana.withheld.add('projects')
    run = Driver.of(asana).run()
    assert (run.value(f'{PREFIX}tasks.open'), run.value(f'{PREFIX}projects.active')) == (None, 2)
    assert run.status == AgentCheck.WARNING


@case('E', 'https://developers.asana.com/docs/inputoutput-options')
@pytest.mark.parametrize(
    ('field', 'absent', 'there'),
    [
        (
            'completed',
            ('tasks.open', 'tasks.overdue', 'wip.age_p50_days', 'velocity.completion_rate_pct'),
            {'tasks.created_7d': 2, 'tasks.completed_7d': 1, 'lead_time.p85_hours': 2, 'tasks.total': 2},
        ),
        (
            'created_at',
            ('tasks.created_7d', 'wip.age_p50_days', 'lead_time.p85_hours', 'users.active_7d'),
            {'tasks.open': 1, 'tasks.completed_7d': 1, 'velocity.completion_rate_pct': 50, 'tasks.total': 2},
        ),
    ],
)
def test_tasks_without_their_state_or_creation(asana, field, absent, there):
    """Tasks without the state of completion, or without the time of creation.

    One of two tasks was completed two hours after its creation. The rows of tasks lack `completed` or `created_at`.
    Asana sends the fields of a list only on request, and only those that the token may see.

    Right: Only the figures that need the field are absent: `tasks.open` and the age of open tasks without
    `completed`, `tasks.created_7d` and the lead time without `created_at`. The tasks completed in 7 d are 1 in both,
    because their time is in `completed_at`. One warning per block names the field.

    Unchanged: `tasks.total` is 2.
    """
    board = asana.create_project('Evals', ['To do']).gid
    done = asana.create_task({board: 'To do'})
    asana.create_task({board: 'To do'})
    asana.pass_time(7200)
    asana.complete_task(done)
    asana.withheld.add(field)
    run = Driver.of(asana).run()
    assert [name for name in absent if run.value(f'{PREFIX}{name}') is not None] == []
    found = {name: sum(run.series(f'{PREFIX}{name}').values()) for name in there}
    assert found == there
    assert (run.status, run.errors()['tasks', 'missing_field']) == (AgentCheck.WARNING, 1)
    assert [line for line in run.warnings if 'block tasks:' in line and f'2 rows lack the field `{field}`' in line]


@case('E', 'https://developers.asana.com/docs/inputoutput-options')
def test_a_single_task_without_its_creation(asana):
    """One task of many without the time of creation.

    One of three open tasks has no field `created_at` in its row.

    Right: `tasks.open` is 3, and `tasks.created_7d` is absent: it may be 2 or 3.

    Unchanged: `tasks.unassigned` is 3.
    """
    board = asana.create_project('Evals', ['To do']).gid
    tasks = [asana.create_task({board: 'To do'}) for _ in range(3)]
    asana.withheld_of[tasks[1].gid] = {'created_at'}
    run = Driver.of(asana).run()
    names = ('tasks.open', 'tasks.unassigned', 'tasks.created_7d')
    assert [run.value(f'{PREFIX}{name}') for name in names] == [3, 3, None]


@case('E', 'https://developers.asana.com/docs/inputoutput-options')
@pytest.mark.parametrize(
    ('field', 'absent', 'there'),
    [
        (
            'completed',
            ('total_open', 'triage_count', 'avg_age_days', 'reopened_7d'),
            {'created_7d': 2, 'completed_7d': 1, 'resolution_hours.p50': 2},
        ),
        (
            'created_at',
            ('created_7d', 'avg_age_days', 'resolution_hours.p50', 'reopened_7d'),
            {'total_open': 1, 'triage_count': 1, 'completed_7d': 1},
        ),
    ],
)
def test_bugs_without_their_state_or_creation(asana, field, absent, there):
    """Bugs without the state of completion, or without the time of creation.

    One of two bugs was completed two hours after its creation, and the check has compared the bugs for 7 days. The rows
    lack `completed` or `created_at`.

    Right: Only the figures that need the field are absent: without `completed` the open bugs and their sections,
    without `created_at` the time to resolution. `projects.bugs.completed_7d` is 1 in both.

    Unchanged: `tasks.total` is 2.
    """
    driver = Driver.of(asana)
    driver.run()
    asana.pass_time(7 * 86_400)
    driver.run()
    done, _ = (asana.create_task({asana.bugs_project: 'Triage'}) for _ in range(2))
    asana.pass_time(7200)
    asana.complete_task(done)
    asana.withheld.add(field)
    run = driver.refresh()
    bugs = f'{PREFIX}projects.bugs.'
    assert [name for name in absent if run.value(f'{bugs}{name}') is not None] == []
    assert {name: run.value(f'{bugs}{name}') for name in there} == there
    assert run.errors()['bugs', 'missing_field'] == 1


@case('B', 'https://developers.asana.com/docs/inputoutput-options')
@pytest.mark.parametrize('field', ['completed', 'created_at'])
def test_a_bug_reopened_while_a_field_is_missing(asana, field):
    """A bug that is reopened while rows lack a field.

    The check has compared the bugs for 7 days. A completed bug is reopened, and the rows of the next refresh lack
    `completed` or `created_at`. An hour later they have it again.

    Right: `projects.bugs.reopened_7d` is absent in that refresh, and 1 in the one after it. The comparison goes on
    from the last complete reading.

    Unchanged: Nobody else reopened a bug.
    """
    driver = Driver.of(asana)
    one = asana.create_task({asana.bugs_project: 'Triage'})
    asana.complete_task(one)
    driver.run()
    asana.pass_time(7 * 86_400)
    driver.run()
    asana.workspace.reopen(one, asana.clock.now())
    asana.withheld.add(field)
    asana.pass_time(900)
    assert driver.run().value(f'{PREFIX}projects.bugs.reopened_7d') is None
    asana.withheld.clear()
    asana.pass_time(3600)
    assert driver.run().value(f'{PREFIX}projects.bugs.reopened_7d') == 1


@case('E', 'https://developers.asana.com/reference/searchtasksforworkspace')
def test_a_search_whose_rows_lack_their_creation(asana):
    """A large workspace whose rows lack the time of creation.

    In a workspace of 60 projects, the check reads the tasks by search, whose pages go on at the last time of creation.
    The rows lack `created_at`, and the search finds more tasks than a page holds.

    Right: The lists of the projects are read instead: `tasks.open` is 121, and `tasks.created_7d` is absent.

    Unchanged: `projects.active` is 61.
    """
    boards = [asana.create_project(f'Evals {number}', ['To do']).gid for number in range(60)]
    for number in range(121):
        asana.create_task({boards[number % 60]: 'To do'})
    asana.pass_time(600)
    asana.withheld.add('created_at')
    run = Driver.of(asana).drain(asana.pass_time)[-1]
    names = ('tasks.open', 'tasks.created_7d', 'projects.active')
    assert [run.value(f'{PREFIX}{name}') for name in names] == [121, None, 61]
