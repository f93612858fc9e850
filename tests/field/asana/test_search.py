"""Search in a workspace with many projects."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case

OPEN = 'metta.asana.tasks.open'
TOTAL = 'metta.asana.tasks.total'


@pytest.fixture
def wide(asana):
    """Return a workspace with 80 projects, each with an open and a completed task."""
    for index in range(80):
        project = asana.create_project(f'Board {index}', ['To do']).gid
        created = asana.clock.now() - timedelta(hours=index)
        asana.create_task({project: 'To do'}, created_at=created)
        asana.complete_task(asana.create_task({project: 'To do'}, created_at=created))
    asana.pass_time(60)
    asana.log.clear()
    return asana


@case('J', 'https://github.com/withcoral/coral/pull/836')
def test_a_first_refresh_of_many_small_projects(wide):
    """Many small projects.

    A workspace has 80 projects with two tasks each, on a paid plan. Asana counts requests, not rows, and the
    list of a project takes a request however few its tasks are.

    Right: `tasks.open` is 80 and `tasks.total` is 160, with fewer requests than there are projects.

    Unchanged: The service check is OK.
    """
    run = Driver.of(wide).run()
    assert (run.value(OPEN), run.value(TOTAL), run.status) == (80, 160, AgentCheck.OK)
    assert len(wide.log) < 15


@case('C', 'https://github.com/roychri/mcp-server-asana/issues/35', guard=True)
def test_a_search_that_ignores_the_projects(wide):
    """A search that finds tasks of other projects.

    An old project is archived; it has ten tasks, five of them open. A search for the tasks of the other
    projects finds them all the same, because Asana ignores the filter.

    Right: `tasks.open` is 80 and `tasks.total` is 160: the projects of each row decide, not the filter.

    Unchanged: The service check is OK.
    """
    old = wide.create_project('Old', ['To do'], archived=True).gid
    for _ in range(5):
        wide.create_task({old: 'To do'})
        wide.complete_task(wide.create_task({old: 'To do'}))
    wide.pass_time(60)
    wide.ignored.add('projects.any')
    run = Driver.of(wide).run()
    assert (run.value(OPEN), run.value(TOTAL), run.status) == (80, 160, AgentCheck.OK)


@case('E', 'https://github.com/Asana/comment-on-task-github-action/issues/24')
def test_a_search_that_breaks_off(wide):
    """A search that breaks off.

    Search answers 500 from its third request on, while lists work. It is the first refresh.

    Right: `tasks.open` is 80 and `tasks.total` is 160, from the lists, and the service check is WARNING.

    Unchanged: The projects are those of the list: `projects.active` is 81.
    """
    wide.faults.add('status', status=500, path='*/tasks/search', after=2)
    run = Driver.of(wide).run()
    assert (run.value(OPEN), run.value(TOTAL), run.value('metta.asana.projects.active')) == (80, 160, 81)
    assert run.status == AgentCheck.WARNING
    assert 'search fails, so the lists of all projects are read instead' in run.message
