"""The table of tasks is kept current: search, crawls over several runs, free workspaces, started sections."""

from __future__ import annotations

import math
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from .test_check import differences, paths, true_value

pytestmark = pytest.mark.integration

PREFIX = 'metta.asana.'
OPEN = f'{PREFIX}tasks.open'


@pytest.fixture
def quiet(serve):
    """Return a service in which only tests make changes, and from which tasks.total is not read."""
    return serve('asana', tasks=400, bugs=60, projects=8, activity=False, tasks_total=False)


@pytest.fixture
def free(serve):
    return serve('asana', tasks=400, bugs=60, projects=8, activity=False, tasks_total=False, premium=False)


def some_project(service, index=0):
    """Return the gid of a live project that is not the Bugs project."""
    live = [p.gid for p in service.workspace.projects.values() if not p.archived and p.gid != service.bugs_project]
    return live[index]


def open_task(service, index=0):
    found = [t for t in service.workspace.tasks.values() if not t.completed and service.workspace.counts(t)]
    return found[index]


def pages(service, wanted):
    """Return the number of requests for all wanted tasks of the live projects."""
    live = [project.gid for project in service.workspace.projects.values() if not project.archived]
    sizes = [sum(wanted(task) for task in service.workspace.tasks_of(gid)) for gid in live]
    return sum(max(1, math.ceil(size / 100)) for size in sizes)


def searches(service):
    return [entry for entry in service.log if entry.path.endswith('/tasks/search')]


# Search.


def test_what_search_does_not_know_yet_is_found_the_next_time(quiet):
    quiet.search_lag = 60
    driver = Driver.of(quiet)
    before = driver.run().require(OPEN)
    quiet.pass_time(900)
    quiet.create_task({some_project(quiet): 'To do'})
    assert driver.run().value(OPEN) == before
    quiet.pass_time(900)
    assert driver.run().value(OPEN) == before + 1


def test_tasks_in_no_live_project_and_subtasks_are_not_counted(quiet):
    driver = Driver.of(quiet)
    before = driver.run().require(OPEN)
    archived = next(p.gid for p in quiet.workspace.projects.values() if p.archived)
    parent = open_task(quiet)
    quiet.create_task({})
    quiet.create_task({archived: 'To do'})
    quiet.create_task({some_project(quiet): 'To do'}, parent=parent.gid)
    quiet.create_task({some_project(quiet): None}, separator=True)
    quiet.pass_time(900)
    run = driver.run()
    assert run.value(OPEN) == before
    assert differences(run, quiet) == {}


def test_more_changes_than_a_page_are_read_without_loss(quiet):
    driver = Driver.of(quiet)
    driver.run()
    project = some_project(quiet)
    quiet.create_task({project: 'To do'})
    for _ in range(230):
        quiet.clock.advance(1)
        # Two tasks with the same time, of which one may be the last of a page and the other the first of the next.
        quiet.create_task({project: 'To do'})
        quiet.create_task({project: 'To do'})
    quiet.pass_time(700)
    quiet.log.clear()
    run = driver.run()
    assert differences(run, quiet) == {}
    assert len(searches(quiet)) == 5
    assert paths(quiet).count('/projects/-/tasks') == 0


def test_a_page_full_of_one_instant_takes_a_crawl(quiet):
    driver = Driver.of(quiet)
    driver.run()
    for _ in range(150):
        quiet.create_task({some_project(quiet): 'To do'})
    quiet.pass_time(900)
    paths(quiet)
    run = driver.run()
    assert differences(run, quiet) == {}
    assert paths(quiet).count('/projects/-/tasks') >= 7


def test_the_search_looks_back_a_little_further_than_the_last_time(quiet):
    driver = Driver.of(quiet)
    driver.run()
    last = quiet.clock.now()
    quiet.pass_time(900)
    quiet.log.clear()
    driver.run()
    query = parse_qs(searches(quiet)[0].query)
    assert (last - type(last).fromisoformat(query['modified_at.after'][0])).total_seconds() == 120
    assert query['sort_by'] == ['modified_at']
    assert query['is_subtask'] == ['false']


def test_deletions_and_moves_come_with_the_next_crawl(quiet):
    driver = Driver.of(quiet)
    before = driver.run().require(OPEN)
    quiet.workspace.remove_task(open_task(quiet).gid)
    task = open_task(quiet, 5)
    for project in list(task.memberships):
        quiet.workspace.withdraw(task, project)
    quiet.pass_time(900)
    # Neither is a modification, so search cannot find it.
    assert driver.run().value(OPEN) == before
    quiet.pass_time(6 * 3600 - 900)
    run = driver.run()
    assert run.value(OPEN) == before - 2
    assert differences(run, quiet) == {}


def test_completed_tasks_leave_the_table_after_their_window(quiet):
    driver = Driver.of(quiet, resync_interval=10**9)
    driver.run()
    quiet.complete_task(open_task(quiet))
    size = len(driver.check.snapshot.block('', 'tasks').state.tasks)
    for _ in range(31):
        quiet.pass_time(86_400)
        run = driver.run()
    assert differences(run, quiet, but=['projects.bugs.reopened_7d']) == {}
    assert run.value(f'{PREFIX}tasks.completed_30d') == 0
    assert len(driver.check.snapshot.block('', 'tasks').state.tasks) < size


# Crawls that take several runs.


def test_what_changes_behind_a_crawl_is_found_when_it_ends(quiet):
    driver = Driver.of(quiet, requests_per_run=9)
    driver.run()
    read = {row[0] for row in driver.check.snapshot.block('', 'tasks').state.crawl.tasks}
    done = next(task for gid, task in quiet.workspace.tasks.items() if gid in read and not task.completed)
    quiet.pass_time(60)
    quiet.complete_task(done)
    quiet.pass_time(60)
    run = driver.run()
    for name in (OPEN, f'{PREFIX}tasks.completed_7d'):
        assert run.value(name) == true_value(quiet, name)


def test_a_crawl_that_needs_more_than_a_run_goes_on_in_the_next_one(quiet):
    driver = Driver.of(quiet, requests_per_run=9)
    run = driver.run()
    assert len(quiet.log) == 9
    assert run.error == ''
    # Figures of the crawl are absent until it is complete; those of other blocks are sent.
    assert run.value(OPEN) is None
    assert run.value(f'{PREFIX}projects.active') is not None
    assert run.value(f'{PREFIX}projects.bugs.total_open') is not None
    assert run.value('metta.collector.truncated', 'block:tasks') == 1
    assert run.errors() == {('tasks', 'budget'): 1}
    assert run.status == AgentCheck.WARNING
    assert 'the refresh ran out of requests (9 per refresh)' in run.warnings[0]
    quiet.log.clear()
    quiet.pass_time(60)
    run = driver.run()
    # Only the crawl goes on, at the same place: no list is read twice.
    assert set(paths(quiet)) <= {'/projects/-/tasks', '/projects/BUGS/tasks', '/workspaces/-/tasks/search'}
    assert run.value(OPEN) is not None
    assert run.value('metta.collector.truncated', 'block:tasks') == 0
    assert (run.error, run.warnings, run.status) == ('', [], AgentCheck.OK)
    assert run.value(OPEN) == true_value(quiet, OPEN)


def test_figures_stay_until_the_next_crawl_is_complete(quiet):
    driver = Driver.of(quiet, requests_per_run=9, resync_interval=3600)
    driver.run()
    quiet.pass_time(60)
    before = driver.run().require(OPEN)
    # Only a crawl finds a deletion.
    quiet.workspace.remove_task(open_task(quiet).gid)
    truncated = []
    for _ in range(4):
        quiet.pass_time(900)
        run = driver.run()
        truncated.append(run.value('metta.collector.truncated', 'block:tasks'))
    assert truncated == [0, 0, 0, 1]
    assert run.value(OPEN) == before
    quiet.pass_time(60)
    assert driver.run().value(OPEN) == before - 1


def test_a_crawl_goes_on_after_a_restart(quiet):
    Driver.of(quiet, requests_per_run=9).run()
    asked = {entry.path for entry in quiet.log}
    quiet.log.clear()
    quiet.pass_time(60)
    run = Driver.of(quiet, requests_per_run=9).run()
    assert run.value(OPEN) is not None
    again = asked & {entry.path for entry in quiet.log}
    # At most the list in the middle of which the first run ended.
    assert len(again) <= 1
    # The bugs were read a minute before.
    ages = ('projects.bugs.avg_age_days', 'projects.bugs.oldest_bug_days', 'bugs.age_days.p50', 'bugs.age_days.p90')
    assert differences(run, quiet, but=ages) == {}


@pytest.mark.parametrize(('wait', 'offset_seconds'), [(60, 30.0), (700, 100_000.0)])
def test_a_list_begins_again_when_its_offset_has_expired(serve, wait, offset_seconds):
    """Asana refuses the offset, or the check does not use it because of its age: no row is lost or counted twice."""
    service = serve(
        'asana', tasks=1200, bugs=30, projects=2, activity=False, tasks_total=False, offset_seconds=offset_seconds
    )
    driver = Driver.of(service, requests_per_run=7)
    run = driver.run()
    assert driver.check.snapshot.block('', 'tasks').state.crawl.crawl.offset is not None
    begun = [entry.path for entry in service.log if 'offset=' not in entry.query]
    for _ in range(5):
        service.pass_time(wait)
        run = driver.run()
        # Each run begins the list again and gets no further than the budget allows.
        if run.value(OPEN) is not None:
            break
    assert run.value(OPEN) == true_value(service, OPEN)
    refused = [entry for entry in service.log if entry.status == 400]
    assert bool(refused) == (wait == 60)
    begun_again = [entry.path for entry in service.log if 'offset=' not in entry.query and entry.path in begun[-1:]]
    assert len(begun_again) > 1


def test_a_crawl_begins_again_after_hours_without_progress(quiet):
    driver = Driver.of(quiet, requests_per_run=9)
    driver.run()
    gone = open_task(quiet)
    quiet.workspace.remove_task(gone.gid)
    quiet.pass_time(5 * 3600)
    for _ in range(3):
        run = driver.run()
        quiet.pass_time(60)
    assert run.value(OPEN) == true_value(quiet, OPEN)


def test_the_total_goes_on_in_the_next_run_too(serve):
    service = serve('asana', tasks=400, bugs=60, projects=8, activity=False)
    driver = Driver.of(service, requests_per_run=9)
    for _ in range(4):
        run = driver.run()
        service.pass_time(60)
    total = f'{PREFIX}tasks.total'
    assert run.value(total) == true_value(service, total)
    asked = [entry.path for entry in service.log if 'completed_since' not in entry.query and '/tasks' in entry.path]
    lists = [path for path in asked if not path.endswith('search')]
    # Every page once.
    assert len(lists) == pages(service, lambda _: True)


# Free workspaces.


def test_a_free_workspace_gives_the_same_figures(serve):
    sizes = {'tasks': 400, 'bugs': 60, 'projects': 8, 'activity': False}
    paid = Driver.of(serve('asana', **sizes)).run()
    service = serve('asana', **sizes, premium=False)
    run = Driver.of(service).run()
    assert (run.error, run.warnings, run.service_check) == ('', [], (AgentCheck.OK, ''))
    assert differences(run, service) == {}
    counts = {key: value for key, value in paid.values.items() if key[0].startswith(f'{PREFIX}tasks.')}
    assert counts == {key: value for key, value in run.values.items() if key[0].startswith(f'{PREFIX}tasks.')}


def test_a_free_workspace_is_crawled_once_an_hour(free):
    driver = Driver.of(free)
    before = driver.run().require(OPEN)
    assert [entry.status for entry in searches(free)] == [402]
    free.create_task({some_project(free): 'To do'})
    for _ in range(3):
        free.pass_time(900)
        paths(free)
        run = driver.run()
        assert paths(free) == ['/projects', '/projects/BUGS/tasks']
        assert run.value(OPEN) == before
    assert run.value('metta.collector.data_age_seconds', 'block:tasks') == 2700
    free.pass_time(900)
    run = driver.run()
    assert run.value(OPEN) == before + 1
    assert not searches(free)
    assert differences(run, free) == {}


def test_a_free_workspace_keeps_no_rows(free):
    driver = Driver.of(free)
    driver.run()
    assert len(driver.check.snapshot.dump(0)) < 8_000


def test_the_plan_is_asked_for_again_after_a_day(free):
    driver = Driver.of(free)
    driver.run()
    free.premium = True
    free.pass_time(23 * 3600)
    driver.run()
    assert [entry.status for entry in searches(free)] == [402]
    free.log.clear()
    free.pass_time(3600)
    driver.run()
    assert [entry.status for entry in searches(free)] == [200]
    free.pass_time(900)
    paths(free)
    driver.run()
    assert paths(free) == ['/projects', '/projects/BUGS/tasks', '/workspaces/-/tasks/search']


def test_a_plan_that_ends_is_not_an_error(quiet):
    driver = Driver.of(quiet)
    driver.run()
    quiet.premium = False
    quiet.create_task({some_project(quiet): 'To do'})
    quiet.pass_time(900)
    run = driver.run()
    assert (run.error, run.warnings) == ('', [])
    assert differences(run, quiet) == {}


def test_the_free_limit_is_kept_by_the_budget(serve):
    """150 requests a minute are allowed; the crawl needs about 200."""
    service = serve('asana', tasks=400, bugs=30, projects=180, premium=False, activity=False, tasks_total=False)
    driver = Driver.of(service)
    run = driver.run()
    assert len(service.log) == 120
    assert run.value(OPEN) is None
    service.pass_time(60)
    run = driver.run()
    assert run.value(OPEN) is not None
    assert all(entry.status in (200, 402) for entry in service.log)


def test_a_paid_workspace_is_crawled_in_one_run_from_the_first(serve):
    """The check learns the plan during the run: the budget grows from that of the free plan to that of the paid one."""
    service = serve('asana', tasks=300, bugs=30, projects=150, activity=False, tasks_total=False)
    # The search that finds out the plan works, the search for all tasks does not.
    service.faults.add('status', status=400, path='*/tasks/search', after=1)
    run = Driver.of(service).run()
    assert len(service.log) > 150
    assert run.errors() == {('tasks', 'rejected'): 1}
    assert run.value(OPEN) is not None


def test_runs_more_often_than_once_a_minute_share_the_minute(serve):
    service = serve('asana', tasks=400, bugs=60, projects=60, premium=False, activity=False, tasks_total=False)
    # The Agent runs a check every 15 seconds by default.
    driver = Driver.of(service, min_collection_interval=None)
    for _ in range(4):
        run = driver.run()
        service.pass_time(15)
    assert len(service.log) < 4 * 30
    assert [len([entry for entry in service.log if entry.status == status]) for status in (402, 429)] == [1, 0]
    assert run.value(OPEN) is not None


# Started sections.


def test_cycle_time_begins_with_an_observed_entry(quiet):
    options = {'started_sections': ['in progress'], 'cycle_time_basis': 'started', 'resync_interval': 3600}
    driver = Driver.of(quiet, **options)
    run = driver.run()
    name = f'{PREFIX}cycle_time.avg_hours'
    # The check was not running when the tasks in started sections entered them.
    assert run.value(name) is None
    standing = run.require(f'{PREFIX}wip.count')
    assert standing > 0
    project = some_project(quiet)
    waiting = quiet.create_task({project: 'To do'})
    quiet.pass_time(3600)
    driver.run()
    quiet.workspace.place(waiting, project, 'In progress', quiet.clock.now())
    fresh = quiet.create_task({project: 'In progress'})
    quiet.pass_time(3600)
    assert driver.run().value(f'{PREFIX}wip.count') == standing + 2
    quiet.pass_time(7200)
    quiet.complete_task(waiting)
    quiet.complete_task(fresh)
    quiet.pass_time(900)
    run = driver.run()
    assert run.value(name, 'basis:started') == 2
    # The lead time of all tasks begins with the creation.
    assert run.require(f'{PREFIX}lead_time.p85_hours') > 2


def test_a_project_that_comes_back_brings_no_entries_that_nobody_saw(quiet):
    options = {'started_sections': ['in progress'], 'cycle_time_basis': 'started'}
    driver = Driver.of(quiet, **options)
    driver.run()
    archived = next(p for p in quiet.workspace.projects.values() if p.archived)
    long_ago = quiet.clock.now() - timedelta(days=100)
    old = quiet.create_task({archived.gid: 'In progress'}, created_at=long_ago)
    quiet.pass_time(900)
    archived.archived = False
    driver.run()
    quiet.pass_time(900)
    quiet.complete_task(old)
    quiet.pass_time(900)
    run = driver.run()
    assert run.require(f'{PREFIX}tasks.completed_7d') > 0
    assert run.value(f'{PREFIX}cycle_time.avg_hours') is None


def test_other_started_sections_begin_with_a_crawl(quiet):
    Driver.of(quiet, started_sections=['In progress']).run()
    quiet.pass_time(900)
    run = Driver.of(quiet, started_sections=['Review']).run()
    standing = [
        task
        for task in quiet.workspace.tasks.values()
        if not task.completed and quiet.workspace.counts(task) and 'Review' in task.memberships.values()
    ]
    assert run.value(f'{PREFIX}wip.count') == len(standing) > 0


def test_cycle_time_from_the_stories_is_exact_and_asked_for_once(quiet):
    options = {'started_sections': ['In progress'], 'cycle_time_basis': 'started', 'use_stories': True}
    driver = Driver.of(quiet, **options)
    run = driver.run()
    month = [t for t in quiet.workspace.tasks.values() if t.completed and quiet.workspace.counts(t)]
    month = [t for t in month if (quiet.clock.now() - t.completed_at).days < 30]
    hours = []
    for task in month:
        entries = [move.at for move in task.moves if move.section == 'In progress']
        if entries:
            hours.append((task.completed_at - min(entries)).total_seconds() / 3600)
    assert len(hours) > 1
    assert run.value(f'{PREFIX}cycle_time.avg_hours', 'basis:started') == pytest.approx(sum(hours) / len(hours))
    stories = [entry for entry in quiet.log if entry.path.endswith('/stories')]
    assert len(stories) == len(month)
    quiet.complete_task(open_task(quiet))
    quiet.pass_time(900)
    quiet.log.clear()
    driver.run()
    assert len([entry for entry in quiet.log if entry.path.endswith('/stories')]) == 1


def test_stories_that_need_more_than_a_run_go_on_without_another_crawl(free):
    options = {'started_sections': ['In progress'], 'use_stories': True, 'requests_per_run': 16}
    driver = Driver.of(free, **options)
    runs = 0
    run = driver.run()
    while run.value(OPEN) is None and runs < 10:
        free.pass_time(60)
        run = driver.run()
        runs += 1
    assert 0 < runs < 10
    asked = paths(free)
    stories = [path for path in asked if path.endswith('/stories')]
    assert len(stories) == len(set(stories))
    month = free.clock.now() - timedelta(days=30)
    crawled = pages(free, lambda task: not task.completed or task.completed_at >= month)
    # And one page of bugs.
    assert len([path for path in asked if path in ('/projects/-/tasks', '/projects/BUGS/tasks')]) == crawled + 1


def test_time_in_a_section_of_bugs(quiet):
    driver = Driver.of(quiet, bugs_section_time=True)
    name = f'{PREFIX}bugs.section_time_hours.p50'
    assert driver.run().series(name) == {}
    bug = next(b for b in quiet.workspace.tasks_of(quiet.bugs_project) if b.memberships[quiet.bugs_project] == 'Triage')
    bug.completed_at = None
    quiet.workspace.place(bug, quiet.bugs_project, 'Active', quiet.clock.now())
    quiet.pass_time(900)
    driver.run()
    quiet.pass_time(5400)
    assert driver.run().value(name, 'section:active') == 1.5
    quiet.pass_time(900)
    # With another map, the observation starts again.
    changed = Driver.of(quiet, bugs_section_time=True, section_map={'active': ['active', 'triage']})
    assert changed.run().series(name) == {}
