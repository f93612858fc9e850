"""In a workspace with many projects, search finds the first rows of the table and counts all tasks."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.asana import search_pace, task_search
from metta_checks.asana.task_search import MIN_PROJECTS
from metta_checks.testing import Driver

from .test_check import differences, true_value
from .test_task_sync import searches

pytestmark = pytest.mark.integration

OPEN = 'metta.asana.tasks.open'
TOTAL = 'metta.asana.tasks.total'


@pytest.fixture
def wide(serve):
    """Return a service with many projects, in which only tests make changes."""
    return serve('asana', tasks=900, bugs=60, projects=120, activity=False)


def lists(service):
    """Return the requests for lists of tasks, without those of the Bugs project."""
    paths = [entry.path for entry in service.log]
    return [path for path in paths if path.endswith('/tasks') and service.bugs_project not in path]


def test_a_search_finds_all_tasks_without_a_list(wide):
    run = Driver.of(wide).run()
    assert (run.error, run.warnings, lists(wide)) == ('', [], [])
    assert differences(run, wide) == {}
    rows = [task for task in wide.workspace.tasks.values() if task.parent is None]
    # Two searches per 100 projects for the table and one for the count, the test for the plan, and further pages.
    assert len(searches(wide)) <= 1 + 3 * 2 + 2 * math.ceil(len(rows) / 100)
    assert len(wide.log) < 40


def test_later_crawls_read_the_lists(wide):
    driver = Driver.of(wide, tasks_total=False)
    driver.run()
    assert lists(wide) == []
    wide.pass_time(21_600)
    assert differences(driver.run(), wide, but=['tasks.total']) == {}
    assert len(set(lists(wide))) == 119


@pytest.mark.parametrize(('projects', 'by_search'), [(MIN_PROJECTS - 1, False), (MIN_PROJECTS, True)])
def test_few_projects_are_listed(serve, projects, by_search):
    service = serve('asana', tasks=200, bugs=20, projects=projects, activity=False)
    run = Driver.of(service).run()
    assert differences(run, service) == {}
    assert (lists(service) == []) == by_search


def test_searches_keep_to_their_pace_and_continue_where_they_were(wide, monkeypatch):
    monkeypatch.setattr(search_pace, 'SEARCHES_PER_MINUTE', 5)
    driver = Driver.of(wide)
    first = driver.run()
    assert (len(searches(wide)), first.value(OPEN), first.status) == (4, None, AgentCheck.WARNING)
    assert 'Asana allows 5 searches per minute: the next run continues' in first.message
    runs = driver.drain(wide.pass_time)
    assert (runs[-1].value(OPEN), runs[-1].value(TOTAL)) == (true_value(wide, OPEN), true_value(wide, TOTAL))
    queries = [entry.query for entry in searches(wide)]
    assert len(queries) == len(set(queries))
    assert 429 not in {entry.status for entry in wide.log}


def test_a_restart_continues_the_search(wide, monkeypatch):
    monkeypatch.setattr(search_pace, 'SEARCHES_PER_MINUTE', 5)
    Driver.of(wide).run()
    wide.pass_time(60)
    Driver.of(wide).drain(wide.pass_time)
    queries = [entry.query for entry in searches(wide)]
    assert len(queries) == len(set(queries))


def test_changes_during_a_long_search_are_found_at_its_end(wide, monkeypatch):
    monkeypatch.setattr(search_pace, 'SEARCHES_PER_MINUTE', 5)
    driver = Driver.of(wide, tasks_total=False)
    driver.run()
    before = true_value(wide, OPEN)
    for task in [task for task in wide.workspace.tasks.values() if not task.completed and wide.workspace.counts(task)][
        :5
    ]:
        wide.complete_task(task)
    wide.pass_time(60)
    run = driver.drain(wide.pass_time)[-1]
    assert run.value(OPEN) == true_value(wide, OPEN) == before - 5


def test_a_search_that_takes_too_long_gives_way_to_the_lists(wide, monkeypatch):
    monkeypatch.setattr(search_pace, 'SEARCHES_PER_MINUTE', 2)
    monkeypatch.setattr(task_search, 'MAX_SECONDS', 180)
    driver = Driver.of(wide, tasks_total=False)
    runs = driver.drain(wide.pass_time)
    # The search needs 8 runs, one a minute.
    assert len(runs) == 4
    assert runs[-1].value(OPEN) == true_value(wide, OPEN)
    assert (runs[-1].status, len(set(lists(wide)))) == (AgentCheck.OK, 119)


def test_the_count_of_the_next_day_reads_the_lists(wide):
    driver = Driver.of(wide)
    driver.run()
    wide.pass_time(86_400)
    wide.log.clear()
    run = driver.run()
    assert differences(run, wide) == {}
    # The crawl and the count.
    assert len(lists(wide)) >= 2 * 119


@pytest.mark.parametrize('status', [400, 403, 404, 503])
def test_when_search_fails_the_lists_are_read(wide, status):
    # After the search that finds out the plan.
    wide.faults.add('status', status=status, path='*/tasks/search', after=1)
    run = Driver.of(wide).run()
    assert differences(run, wide) == {}
    assert run.status == AgentCheck.WARNING
    assert 'search fails, so the lists of all projects are read instead' in run.message


def test_when_search_fails_during_the_count_the_lists_are_counted(wide):
    driver = Driver.of(wide, tasks_total=False)
    driver.run()
    used = len(searches(wide))
    wide.log.clear()
    wide.faults.add('status', status=400, path='*/tasks/search', after=used + 1)
    run = Driver.of(wide).run()
    assert (run.value(OPEN), run.value(TOTAL)) == (true_value(wide, OPEN), true_value(wide, TOTAL))
    assert run.errors() == {('tasks_total', 'rejected'): 1}


@pytest.mark.parametrize(('number', 'by_search'), [(99, True), (101, False)])
def test_tasks_that_were_created_at_the_same_time(wide, number, by_search):
    project = next(gid for gid in wide.workspace.projects if gid != wide.bugs_project)
    created = wide.clock.now() - timedelta(hours=1)
    for _ in range(number):
        wide.create_task({project: 'To do'}, created_at=created)
    wide.pass_time(60)
    run = Driver.of(wide).run()
    assert differences(run, wide) == {}
    assert (lists(wide) == []) == by_search
