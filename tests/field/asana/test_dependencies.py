"""Dependencies of which Asana's rows show only the gid."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case

BLOCKED = 'metta.asana.tasks.blocked'


@pytest.fixture
def bare(asana, monkeypatch):
    """Return a workspace whose rows of tasks show only the gids of dependencies, as Asana documents."""
    show = asana._shown.task

    def only_gids(task):
        row = show(task)
        return {**row, 'dependencies': [{'gid': one['gid']} for one in row['dependencies']]}

    monkeypatch.setattr(asana._shown, 'task', only_gids)
    return asana


def lookups(asana) -> int:
    return sum(entry.path.endswith('/dependencies') for entry in asana.log)


@case('C', 'https://developers.asana.com/reference/tasks', guard=True)
def test_a_completed_dependency_of_the_table(bare):
    """A dependency that is completed and is in a project.

    `blocked_fields` is on. One open task depends on a task that was completed, another one on an open task. The rows
    say only the gids of the dependencies.

    Right: `tasks.blocked` is 1: the rows of the dependencies themselves say whether they are completed.

    Unchanged: No request is sent for a single task.
    """
    board = bare.create_project('Evals', ['To do']).gid
    finished, unfinished = bare.create_task({board: 'To do'}), bare.create_task({board: 'To do'})
    bare.complete_task(finished)
    bare.create_task({board: 'To do'}, dependencies=[finished.gid])
    bare.create_task({board: 'To do'}, dependencies=[unfinished.gid])
    run = Driver.of(bare, blocked_fields=True).run()
    assert (run.value(BLOCKED), run.warnings, lookups(bare)) == (1, [], 0)


@case('C', 'https://developers.asana.com/reference/tasks')
@pytest.mark.parametrize(('is_completed', 'expected'), [(True, 0), (False, 1)])
def test_a_dependency_outside_of_the_projects(bare, is_completed, expected):
    """A dependency that is in no list.

    An open task depends on a task without a project. The rows say only its gid.

    Right: Asana is asked for the dependencies of the task. `tasks.blocked` is 0 if the other one is completed, else 1.

    Unchanged: There is no warning. A completed dependency is not asked for again.
    """
    private = bare.create_task({})
    if is_completed:
        bare.complete_task(private)
    bare.create_task({bare.bugs_project: 'Triage'}, dependencies=[private.gid])
    driver = Driver.of(bare, blocked_fields=True)
    run = driver.run()
    assert (run.value(BLOCKED), run.warnings, lookups(bare)) == (expected, [], 1)
    bare.pass_time(3600)
    run = driver.run()
    assert (run.value(BLOCKED), lookups(bare)) == (expected, 1 if is_completed else 2)


@case('E', 'https://developers.asana.com/reference/tasks')
def test_more_dependencies_than_requests(bare):
    """More dependencies outside of the projects than one refresh asks for.

    25 open tasks depend on tasks that were completed and have no project. The rows say only their gids.

    Right: `tasks.blocked` is absent after the first refresh, which asks for 20, with a warning that says why. After
    the second one it is 0.

    Unchanged: `tasks.open` is 25.
    """
    for _ in range(25):
        other = bare.create_task({})
        bare.complete_task(other)
        bare.create_task({bare.bugs_project: 'Triage'}, dependencies=[other.gid])
    driver = Driver.of(bare, blocked_fields=True)
    run = driver.run()
    assert (run.value(BLOCKED), run.value('metta.asana.tasks.open'), run.status) == (None, 25, AgentCheck.WARNING)
    assert '5 tasks have dependencies of unknown state' in run.message
    assert driver.check.unfinished == {'tasks.blocked'}
    bare.pass_time(3600)
    run = driver.run()
    assert (run.value(BLOCKED), run.warnings, driver.check.unfinished) == (0, [], frozenset())
