"""Due dates of completed tasks, and milestones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Clock, Driver

from ..case import case

TASKS = 'metta.asana.tasks.'
MILESTONES = 'metta.asana.milestones.'
# 23:30 in Berlin.
EVENING = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)


def parts(run):
    names = ('completed_on_time_30d', 'completed_late_30d', 'completed_on_time_pct_30d')
    return [run.value(f'{TASKS}{name}') for name in names]


@pytest.fixture
def evening(serve):
    service = serve('asana', clock=Clock(EVENING), tasks=60, bugs=10, activity=False)
    service.clear()
    return service


@case('I', 'https://github.com/GeneralTask/task-manager/pull/657')
@pytest.mark.parametrize(('zone', 'expected'), [('Europe/Berlin', [1, 0, 100]), ('Asia/Tokyo', [0, 1, 0])])
def test_a_task_that_was_completed_late_in_the_evening(evening, zone, expected):
    """A task that was completed late in the evening of its due date.

    A task is due on March 10, without a time. It was completed at 22:30 UTC of that day, which is 23:30 in
    Berlin and already March 11 in Tokyo.

    Right: With `timezone: Europe/Berlin`, the task was on time; with Asia/Tokyo, it was late. A due date is the
    day of the people who work there.

    Unchanged: `tasks.completed_7d` is 1 in both.
    """
    project = evening.create_project('Evals', ['To do']).gid
    evening.complete_task(evening.create_task({project: 'To do'}, due_on=EVENING.date()))
    run = Driver.of(evening, timezone=zone).run()
    assert (parts(run), run.value(f'{TASKS}completed_7d')) == (expected, 1)


@case('I', 'https://developers.asana.com/docs/tasks')
def test_a_task_with_a_due_time(evening):
    """A task with a due time.

    Two tasks were due at 22:00 UTC of March 10 and at 23:00 UTC. Both were completed at 22:30 UTC. Asana sends
    `due_on` in addition to `due_at`.

    Right: `tasks.completed_on_time_pct_30d` is 50: the due time decides, not the day.

    Unchanged: `tasks.completed_7d` is 2.
    """
    project = evening.create_project('Evals', ['To do']).gid
    for minutes in (-30, 30):
        due = EVENING + timedelta(minutes=minutes)
        evening.complete_task(evening.create_task({project: 'To do'}, due_at=due, due_on=due.date()))
    run = Driver.of(evening).run()
    assert (parts(run), run.value(f'{TASKS}completed_7d')) == ([1, 1, 50], 2)


@case('C', 'https://github.com/donetick/donetick/issues/611')
def test_completed_tasks_without_a_due_date(asana):
    """Tasks without a due date.

    One task without a due date was completed.

    Right: `tasks.completed_on_time_pct_30d` is absent: 100 would say that people keep to their dates, and 0
    that they do not. The parts are 0.

    Unchanged: `tasks.completed_30d` is 1.
    """
    project = asana.create_project('Evals', ['To do']).gid
    asana.complete_task(asana.create_task({project: 'To do'}))
    run = Driver.of(asana).run()
    assert (parts(run), run.value(f'{TASKS}completed_30d')) == ([0, 0, None], 1)


@case('C', 'https://developers.asana.com/docs/errors', guard=True)
def test_completed_tasks_of_which_the_due_date_is_not_shown(asana):
    """Rows without due dates.

    A task with a due date was completed. The rows that Asana sends have no field `due_on`.

    Right: `tasks.completed_on_time_30d` and its companions are absent, and the service check is WARNING.

    Unchanged: `tasks.completed_30d` is 1.
    """
    project = asana.create_project('Evals', ['To do']).gid
    asana.complete_task(asana.create_task({project: 'To do'}, due_on=asana.clock.now().date()))
    asana.withheld.add('due_on')
    run = Driver.of(asana).run()
    assert (parts(run), run.value(f'{TASKS}completed_30d')) == ([None, None, None], 1)
    assert run.status == AgentCheck.WARNING


@case('F', 'https://developers.asana.com/docs/tasks')
def test_milestones(asana):
    """Milestones and other tasks.

    A project has an open milestone, a milestone that was due yesterday, a completed milestone that was due
    yesterday, an approval that was due yesterday, and a milestone that is a subtask.

    Right: `milestones.open` is 2 and `milestones.overdue` is 1.

    Unchanged: `tasks.open` is 3 and `tasks.overdue` is 2: a milestone is a task, too.
    """
    project = asana.create_project('Evals', ['To do']).gid
    yesterday = (asana.clock.now() - timedelta(days=2)).date()
    asana.create_task({project: 'To do'}, subtype='milestone')
    asana.create_task({project: 'To do'}, subtype='milestone', due_on=yesterday)
    asana.complete_task(asana.create_task({project: 'To do'}, subtype='milestone', due_on=yesterday))
    asana.create_task({project: 'To do'}, subtype='approval', due_on=yesterday)
    asana.create_task({project: 'To do'}, subtype='milestone', parent='17')
    run = Driver.of(asana, milestones=True).run()
    assert [run.value(f'{MILESTONES}{name}') for name in ('open', 'overdue')] == [2, 1]
    assert [run.value(f'{TASKS}{name}') for name in ('open', 'overdue')] == [3, 2]


@case('C', 'https://developers.asana.com/docs/inputoutput-options', guard=True)
def test_milestones_that_are_not_marked(asana):
    """Rows without the type of a task.

    The rows that Asana sends have no field `resource_subtype`.

    Right: `milestones.open` and `milestones.overdue` are absent: any of the tasks may be a milestone.

    Unchanged: `tasks.open` is 1.
    """
    asana.create_task({asana.create_project('Evals', ['To do']).gid: 'To do'}, subtype='milestone')
    asana.withheld.add('resource_subtype')
    run = Driver.of(asana, milestones=True).run()
    assert [run.value(f'{MILESTONES}{name}') for name in ('open', 'overdue')] == [None, None]
    assert run.value(f'{TASKS}open') == 1


@case('H', 'https://github.com/cityofaustin/atd-data-tech/issues/21672')
def test_the_parts_of_punctuality(asana):
    """Tasks that were completed on time, late, and without a due date.

    Two tasks were completed on time, one late, and one that had no due date.

    Right: `tasks.completed_on_time_pct_30d` is 66.7: 2 of 3, the parts that are shown beside it.

    Unchanged: The parts are at most `tasks.completed_30d`, which is 4.
    """
    project = asana.create_project('Evals', ['To do']).gid
    today = asana.clock.now().date()
    for due_on in (today, today + timedelta(days=1), today - timedelta(days=2), None):
        asana.complete_task(asana.create_task({project: 'To do'}, due_on=due_on))
    run = Driver.of(asana).run()
    on_time, late, share = parts(run)
    assert (on_time, late, share) == (2, 1, pytest.approx(100 * on_time / (on_time + late)))
    assert on_time + late <= run.require(f'{TASKS}completed_30d') == 4
