"""The check against the sandbox: right numbers, few requests, nothing lost."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, pairwise
from urllib.parse import parse_qs

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth, compare
from sandbox import Clock
from sandbox.asana.model import Project, Status

pytestmark = pytest.mark.integration

PREFIX = 'metta.asana.'
BUGS = f'{PREFIX}projects.bugs.'


@pytest.fixture
def asana(serve):
    return serve('asana')


@pytest.fixture
def quiet(serve):
    """A small workspace in which nothing happens unless a test makes it happen."""
    return serve('asana', tasks=300, bugs=60, projects=8, activity=False)


def paths(service):
    """Return the paths that were requested since the last call, without gids."""
    asked = [entry.path.removeprefix('/api/1.0') for entry in service.log]
    service.log.clear()
    gids = dict.fromkeys((*service.workspace.projects, service.workspace.gid), '-')
    gids[service.bugs_project] = 'BUGS'
    return ['/'.join(gids.get(part, part) for part in path.split('/')) for path in asked]


def differences(run, service, *, but=()):
    """Return the series on which the check and the truth differ, without those of some metrics."""
    different = compare(run.figures(), as_truth(service.truth(service.clock.now()))).different
    return {key: one for key, one in different.items() if key[0].removeprefix(PREFIX) not in but}


def true_value(service, name):
    """Return the true value of a metric that has no tags."""
    return as_truth(service.truth(service.clock.now()))[name, ()]


def test_the_sandbox_tells_the_story(asana):
    run = Driver.of(asana).run()
    assert (run.error, run.warnings, run.service_check) == ('', [], (AgentCheck.OK, ''))
    projects = {name: run.value(f'{PREFIX}projects.{name}') for name in ('active', 'on_track', 'at_risk', 'off_track')}
    assert projects == {'active': 32, 'on_track': 18, 'at_risk': 5, 'off_track': 3}
    assert run.value(f'{PREFIX}projects.on_hold') == 2
    assert run.value(f'{PREFIX}projects.no_status') == 4
    assert run.value(f'{PREFIX}projects.status_stale') == 1
    sections = [run.value(f'{BUGS}{kind}_count') for kind in ('triage', 'active', 'backlog', 'other')]
    assert sections == [22, 31, 55, 12]
    assert run.value(f'{BUGS}total_open') == 120
    assert run.value(f'{BUGS}oldest_bug_days') == 211
    assert run.require(f'{BUGS}created_7d') >= 14
    assert run.require(f'{PREFIX}tasks.overdue') >= 9
    assert run.require(f'{PREFIX}tasks.due_this_week') >= 28
    assert 1200 < run.require(f'{PREFIX}tasks.total') < 1400


def test_every_core_figure_is_emitted_and_true_now_and_later(asana):
    driver = Driver.of(asana)
    run = driver.run()
    core = {f'{PREFIX}{metric.name}' for metric in catalog.load('asana').metrics if not metric.option}
    # Known after 7 days of comparisons.
    assert core - {f'{BUGS}reopened_7d'} == run.names
    assert differences(run, asana) == {}
    for _ in range(6):
        asana.pass_time(900)
        run = driver.run()
        assert run.error == ''
        # Counted once a day.
        assert differences(run, asana, but=['tasks.total']) == {}


@pytest.mark.parametrize(
    'start',
    [
        datetime(2026, 3, 15, 22, 55, tzinfo=UTC),  # Sunday, five minutes before midnight in Berlin
        datetime(2026, 3, 29, 0, 50, tzinfo=UTC),  # the hour in which Berlin's clocks go forward
        datetime(2026, 12, 31, 23, 10, tzinfo=UTC),  # already the new year there
    ],
)
def test_the_figures_are_true_around_midnight(serve, start):
    service = serve('asana', clock=Clock(start), tasks=400, bugs=40, projects=6)
    driver = Driver.of(service)
    assert differences(driver.run(), service) == {}
    service.pass_time(900)
    assert differences(driver.run(), service, but=['tasks.total']) == {}


def test_when_somebody_leaves_tasks_are_without_an_owner(asana):
    driver = Driver.of(asana, tasks_total=False)
    unassigned = []
    # After six hours, which is also when the next crawl is due.
    for _ in range(26):
        asana.pass_time(900)
        run = driver.run()
        unassigned.append(run.require(f'{PREFIX}tasks.unassigned'))
    assert differences(run, asana, but=['tasks.total']) == {}
    assert max(later - before for before, later in pairwise(unassigned)) >= 15


def test_optional_figures_are_emitted_by_their_options(asana):
    projects = list(asana.workspace.projects)[:3]
    options = {
        'projects': projects,
        'blocked_fields': True,
        'bugs_severity_field': 'severity',
        'bugs_section_time': True,
        'milestones': True,
        'started_sections': ['In progress', 'Active'],
        'cycle_time_basis': 'started',
        'use_stories': True,
    }
    driver = Driver.of(asana, **options)
    driver.run()
    names = set()
    for section in ('Active', 'Backlog', 'Active'):
        for bug in list(asana.workspace.tasks_of(asana.bugs_project)):
            if not bug.completed and not bug.separator:
                asana.workspace.place(bug, asana.bugs_project, section, asana.clock.now())
        asana.pass_time(2 * 86_400)
        names |= driver.run().names
    asana.pass_time(2 * 86_400)
    names |= driver.drain(asana.pass_time)[-1].names
    everything = {f'{PREFIX}{metric.name}' for metric in catalog.load('asana').metrics}
    assert names == everything


def test_optional_figures_are_those_of_the_truth(asana):
    gids = list(asana.workspace.projects)[1:4]
    options = {
        'projects': gids,
        'blocked_fields': True,
        'bugs_severity_field': 'severity',
        'milestones': True,
        'started_sections': ['In progress'],
        'cycle_time_basis': 'started',
        'use_stories': True,
        # Search does not find moves between sections.
        'resync_interval': 60,
    }
    driver = Driver.of(asana, **options)
    for _ in range(3):
        run = driver.run()
        truths = asana.truths(asana.clock.now())
        [severity] = [f for f in asana.workspace.projects[asana.bugs_project].custom_fields if f.kind == 'enum']
        truth = as_truth(
            chain(
                truths.single_projects(gids),
                truths.blocked(),
                truths.severities(severity),
                truths.milestones(),
                truths.in_progress({'In progress'}),
                truths.cycle_times({'In progress'}),
            )
        )
        assert compare(run.figures(), truth, {name for name, _ in truth}).lines == []
        assert len({name for name, _ in truth}) == 11
        asana.pass_time(900)


def test_projects_of_one_name_are_one_in_the_truth(quiet):
    one, other = list(quiet.workspace.projects.values())[1:3]
    other.name = one.name.upper()
    quiet.create_task({one.gid: 'To do', other.gid: 'To do'})
    gids = [one.gid, other.gid]
    run = Driver.of(quiet, projects=gids).run()
    truth = as_truth(quiet.truths(quiet.clock.now()).single_projects(gids))
    assert len(truth) == 3
    assert compare(run.figures(), truth, {name for name, _ in truth}).lines == []


def test_reopened_bugs_are_those_of_the_truth(quiet):
    driver = Driver.of(quiet, tasks_total=False)
    driver.run()
    bugs = [bug for bug in quiet.workspace.tasks_of(quiet.bugs_project) if not bug.separator]
    seen = []
    for number in range(40):
        quiet.pass_time(6 * 3600)
        # Completed, reopened at the next step, and some of them completed again at the one after that.
        if number % 3 == 0:
            quiet.complete_task(bugs[number])
        elif number % 3 == 1:
            quiet.reopen_task(bugs[number - 1])
        elif number % 2:
            quiet.complete_task(bugs[number - 2])
        run = driver.run()
        quiet.pass_time(60)
        [truth] = quiet.truths(quiet.clock.now()).reopened()
        value = run.value(truth.name)
        seen.append(value)
        assert value in (None, truth.value), seen
    assert set(seen[:26]) == {None}
    assert None not in seen[29:]
    assert seen[-1] == 9


def test_times_in_sections_are_those_of_the_truth(quiet):
    driver = Driver.of(quiet, bugs_section_time=True, tasks_total=False)
    started = quiet.clock.now()
    driver.run()
    bugs = [b for b in quiet.workspace.tasks_of(quiet.bugs_project) if not b.completed and not b.separator]
    names = {f'{PREFIX}bugs.section_{name}' for name in ('time_hours.p50', 'stay_hours.p50', 'stay_hours.p90')}
    for number, section in enumerate(('Active', 'Backlog', 'Triage', 'Inactive - parked', 'Active')):
        quiet.pass_time(86_400 + 900 * number)
        for bug in bugs[number % 3 :: 3]:
            if not bug.completed and bug.memberships[quiet.bugs_project] != section:
                quiet.workspace.place(bug, quiet.bugs_project, section, quiet.clock.now())
        for bug in bugs[(number + 1) % 3 :: 6]:
            if not bug.completed:
                quiet.complete_task(bug)
        run = driver.run()
        truth = as_truth(quiet.truths(quiet.clock.now()).section_times(started))
        assert compare(run.figures(), truth, names).lines == []
    assert {name for name, _ in truth} == names


def test_the_first_refresh_and_a_warm_one_ask_no_more_than_they_must(quiet):
    driver = Driver.of(quiet)
    driver.run()
    asked = paths(quiet)
    crawled = asked[5:]
    assert asked[:5] == [
        '/users/me',
        '/projects',
        # One reading of the Bugs project gives all of its figures. The first system read it twice, or never.
        '/projects/BUGS/tasks',
        '/workspaces/-/tasks/search',
        '/projects/BUGS/tasks',
    ]
    # Twice: for the table, and once a day for the total.
    assert set(crawled) == {'/projects/-/tasks', '/projects/BUGS/tasks'}
    quiet.pass_time(900)
    driver.run()
    assert paths(quiet) == ['/projects', '/projects/BUGS/tasks', '/workspaces/-/tasks/search']
    quiet.pass_time(60)
    run = driver.run()
    assert paths(quiet) == []
    assert run.requests is None
    assert run.value(f'{PREFIX}tasks.open') is not None


def test_every_list_is_asked_for_in_pages_and_only_for_known_fields(quiet):
    Driver.of(quiet).run()
    for entry in quiet.log:
        query = parse_qs(entry.query)
        assert query['opt_fields']
        if entry.path != '/api/1.0/users/me':
            assert query['limit'] in (['100'], ['1'])
    assert all(entry.status == 200 for entry in quiet.log)


def test_one_connection_is_kept_until_it_was_idle_for_long(quiet):
    driver = Driver.of(quiet, refresh_interval=0)
    driver.run()
    quiet.pass_time(30)
    driver.run()
    assert quiet.connections == 1
    quiet.pass_time(900)
    driver.run()
    assert quiet.connections == 2


def test_bugs_are_counted_where_the_first_system_counted_none(quiet):
    run = Driver.of(quiet).run()
    opened = [b for b in quiet.workspace.tasks_of(quiet.bugs_project) if not b.completed and not b.separator]
    assert run.value(f'{BUGS}total_open') == len(opened) > 0
    assert [entry for entry in quiet.log if f'/{quiet.bugs_project}/tasks' in entry.path]


def test_a_bug_in_two_projects_stands_where_the_bugs_project_says(quiet):
    driver = Driver.of(quiet)
    before = driver.run()
    other = next(p for p in quiet.workspace.projects.values() if p.gid != quiet.bugs_project and not p.archived)
    # First in the other project, in a section of another kind.
    quiet.create_task({other.gid: 'Active', quiet.bugs_project: 'Backlog'})
    quiet.pass_time(900)
    run = driver.run()
    grown = {
        kind: run.require(f'{BUGS}{kind}_count') - before.require(f'{BUGS}{kind}_count')
        for kind in ('active', 'backlog')
    }
    assert grown == {'active': 0, 'backlog': 1}


def test_more_projects_than_a_list_without_pages_can_hold(serve):
    service = serve('asana', tasks=40, bugs=10, projects=1_200, activity=False, tasks_total=False)
    # Enough for the lists; the crawl would go on in later runs, which this test does not look at.
    run = Driver.of(service, requests_per_run=20).run()
    assert set(run.errors()) == {('tasks', 'budget')}
    assert paths(service).count('/projects') == 12
    names = [f'{PREFIX}projects.{name}' for name in ('active', 'on_track', 'at_risk', 'off_track', 'no_status')]
    assert compare(run.figures(), as_truth(service.truth(service.clock.now())), names).lines == []
    assert run.require(f'{PREFIX}projects.active') > 1_100


def test_the_color_stands_in_for_a_status_type_that_is_not_sent(serve):
    service = serve('asana', tasks=60, bugs=10, status_types=False, activity=False)
    run = Driver.of(service).run()
    assert [run.value(f'{PREFIX}projects.{track}') for track in ('on_track', 'at_risk', 'off_track', 'on_hold')] == [
        18,
        5,
        3,
        2,
    ]
    assert differences(run, service) == {}


def test_an_unknown_status_is_said(quiet):
    project = next(iter(quiet.workspace.projects.values()))
    project.status = Status('paused_for_now', quiet.clock.now())
    run = Driver.of(quiet).run()
    assert run.errors() == {('projects', 'unknown_status'): 1}
    assert "1 project has the unknown status 'paused_for_now'" in run.warnings[0]
    assert run.status == AgentCheck.WARNING


def test_without_a_bugs_project_there_is_no_figure_of_bugs(quiet):
    run = Driver.of(quiet, bugs_project_gid=None).run()
    assert (run.error, run.warnings) == ('', [])
    assert not [name for name in run.names if 'bugs' in name]
    assert run.value(f'{PREFIX}tasks.open') is not None


def test_without_the_total_nothing_is_read_for_it(quiet):
    run = Driver.of(quiet, tasks_total=False).run()
    assert run.value(f'{PREFIX}tasks.total') is None
    lists = [entry for entry in quiet.log if entry.path.endswith('/tasks')]
    assert all('completed_since=' in entry.query for entry in lists)


def test_the_total_is_counted_once_a_day(quiet):
    driver = Driver.of(quiet)
    first = driver.run().require(f'{PREFIX}tasks.total')
    gid = next(gid for gid, task in quiet.workspace.tasks.items() if quiet.workspace.counts(task))
    quiet.workspace.remove_task(gid)
    for _ in range(3):
        quiet.pass_time(6 * 3600)
        assert driver.run().value(f'{PREFIX}tasks.total') == first
    quiet.pass_time(6 * 3600)
    assert driver.run().value(f'{PREFIX}tasks.total') == first - 1


def test_a_restart_goes_on_where_it_was(quiet):
    first = Driver.of(quiet)
    before = first.run()
    quiet.pass_time(900)
    first.run()
    paths(quiet)
    quiet.pass_time(60)
    again = Driver.of(quiet)
    run = again.run()
    assert paths(quiet) == []
    assert run.value(f'{PREFIX}tasks.open') == before.value(f'{PREFIX}tasks.open')
    quiet.pass_time(900)
    run = again.run()
    assert paths(quiet) == ['/projects', '/projects/BUGS/tasks', '/workspaces/-/tasks/search']
    assert differences(run, quiet) == {}


def test_the_persisted_table_is_small_and_holds_no_names(quiet):
    driver = Driver.of(quiet)
    driver.run()
    rows = driver.check.snapshot.block('', 'tasks').state.tasks
    text = driver.check.snapshot.dump(0)
    assert len(text) < 250 * len(rows) + 4_000
    assert 'Task 1' not in text
    assert quiet.workspace.users[0].name not in text


def test_a_new_token_loses_nothing(quiet):
    Driver.of(quiet).run()
    quiet.pass_time(60)
    paths(quiet)
    quiet.access_token = 'another-token'
    run = Driver.of(quiet).run()
    assert run.value(f'{PREFIX}tasks.open') is not None
    # The check tries a new token at once and asks for its user, and no crawl begins.
    assert paths(quiet) == ['/users/me', '/projects', '/projects/BUGS/tasks', '/workspaces/-/tasks/search']


def test_what_doctor_finds(asana):
    findings = Driver.of(asana).findings()
    assert [(one.name, one.status) for one in findings] == [
        ('credentials', 'ok'),
        ('projects', 'ok'),
        ('Bugs project', 'ok'),
        ('plan', 'ok'),
    ]
    assert findings[1].message == '33 projects are visible'
    assert findings[3].message.startswith('paid')
    assert len(asana.log) == 4


def test_what_doctor_finds_wrong(quiet):
    quiet.premium = False
    quiet.closed.add(quiet.bugs_project)
    findings = {one.name: one for one in Driver.of(quiet).findings()}
    assert findings['Bugs project'].status == 'fail'
    assert 'bugs_project_gid' in findings['Bugs project'].remedy
    assert findings['plan'].message.startswith('free')
    workspace = {one.name: one for one in Driver.of(quiet, workspace_gid='4711').findings()}['workspace']
    assert (workspace.status, workspace.remedy) == (
        'fail',
        f'it sees: {quiet.workspace.gid} (metta-ai); correct the option',
    )
    wrong = Driver.of(quiet, access_token='wrong-token').findings()
    assert [(one.name, one.status) for one in wrong] == [('auth', 'fail')]


def test_a_project_that_comes_back_is_read_without_a_full_crawl(quiet):
    driver = Driver.of(quiet)
    driver.run()
    archived = next(p for p in quiet.workspace.projects.values() if p.archived and not p.completed)
    archived.archived = False
    quiet.workspace.add_project(Project(quiet.workspace.new_gid(), 'Fresh', ('To do',)))
    quiet.pass_time(900)
    paths(quiet)
    run = driver.run()
    assert differences(run, quiet, but=['tasks.total']) == {}
    assert paths(quiet).count('/projects/-/tasks') == 2
    archived.archived = True
    quiet.pass_time(900)
    run = driver.run()
    assert differences(run, quiet, but=['tasks.total']) == {}
    assert '/projects/-/tasks' not in paths(quiet)
    archived.archived = False
    quiet.pass_time(900)
    run = driver.run()
    assert differences(run, quiet, but=['tasks.total']) == {}
    assert paths(quiet).count('/projects/-/tasks') == 1
