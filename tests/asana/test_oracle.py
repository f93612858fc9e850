"""Two independent readers: Asana's own SDK reads the sandbox, and `verify` recomputes the check's figures."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

asana_sdk = pytest.importorskip('asana')

from metta_checks import verify  # noqa: E402
from metta_checks.testing import Driver  # noqa: E402
from metta_checks.verify import Figure  # noqa: E402
from sandbox.asana.model import Choice, CustomField  # noqa: E402
from sandbox.every_option import EVERY_OPTION  # noqa: E402

pytestmark = pytest.mark.integration

PREFIX = 'metta.asana.'


@pytest.fixture
def asana(serve):
    return serve('asana', tasks=700, bugs=240, projects=8)


@pytest.fixture
def sdk(asana):
    """The SDK's client, talking to the sandbox."""
    configuration = asana_sdk.Configuration()
    configuration.host = asana.instance()['api_url'].rstrip('/')
    configuration.access_token = asana.instance()['access_token']
    return asana_sdk.ApiClient(configuration)


def gids(listed):
    return [one['gid'] for one in listed]


def test_the_sdk_reads_whose_token_it_is(asana, sdk):
    me = asana_sdk.UsersApi(sdk).get_user('me', {})
    assert gids(me['workspaces']) == [asana.workspace.gid]


def test_the_sdk_reads_the_same_projects(asana, sdk):
    options = {'workspace': asana.workspace.gid, 'archived': False, 'limit': 3, 'opt_fields': 'name,completed'}
    listed = list(asana_sdk.ProjectsApi(sdk).get_projects(options))
    live = [project for project in asana.workspace.projects.values() if not project.archived]
    assert [(one['gid'], one['name'], one['completed']) for one in listed] == [
        (project.gid, project.name, project.completed) for project in live
    ]
    Driver.of(asana).run()
    # Three requests for three pages, and no more.
    assert len([entry for entry in asana.log if entry.path.endswith('/projects') and 'limit=3' in entry.query]) == 3


def test_the_sdk_reads_the_same_tasks_page_by_page(asana, sdk):
    since = (asana.clock.now() - timedelta(days=30)).isoformat().replace('+00:00', 'Z')
    options = {'limit': 50, 'completed_since': since, 'opt_fields': 'completed_at,memberships.section.name'}
    listed = list(asana_sdk.TasksApi(sdk).get_tasks_for_project(asana.bugs_project, options))
    month = asana.clock.now() - timedelta(days=30)
    expected = [
        task.gid
        for task in asana.workspace.tasks_of(asana.bugs_project)
        if not task.completed or task.completed_at >= month
    ]
    assert gids(listed) == expected
    assert len(expected) > 50
    assert {m['section']['name'] for one in listed for m in one['memberships'] if m['section']} >= {'Triage', 'Active'}


def test_the_check_tracks_the_gids_that_the_sdk_finds(asana, sdk):
    driver = Driver.of(asana)
    driver.run()
    asana.pass_time(900)
    driver.run()
    tracked = {row.gid for row in driver.check.snapshot.block('', 'tasks').state.tasks}
    options = {
        'limit': 100,
        'completed_since': (asana.clock.now() - timedelta(days=30)).isoformat().replace('+00:00', 'Z'),
        'opt_fields': 'parent,is_rendered_as_separator',
    }
    tasks = asana_sdk.TasksApi(sdk)
    live = [project.gid for project in asana.workspace.projects.values() if not project.archived]
    found = itertools.chain.from_iterable(tasks.get_tasks_for_project(gid, dict(options)) for gid in live)
    assert tracked == {t['gid'] for t in found if t['parent'] is None and not t['is_rendered_as_separator']}


def test_the_sdk_searches(asana, sdk):
    asana.pass_time(3600)
    after = asana.clock.now() - timedelta(seconds=3600)
    options = {'modified_at.after': after.isoformat(), 'sort_by': 'modified_at', 'sort_ascending': True, 'limit': 100}
    found = list(asana_sdk.TasksApi(sdk).search_tasks_for_workspace(asana.workspace.gid, options))
    modified = [task for task in asana.workspace.tasks.values() if task.modified_at > after]
    assert gids(found) == [task.gid for task in sorted(modified, key=lambda task: task.modified_at)]
    assert found


def test_the_sdk_reads_severities_and_reopenings(asana, sdk):
    options = {
        'limit': 100,
        'opt_fields': 'custom_field.name,custom_field.resource_subtype,custom_field.enum_options.name',
    }
    settings = asana_sdk.CustomFieldSettingsApi(sdk).get_custom_field_settings_for_project(asana.bugs_project, options)
    fields = {one['custom_field']['name']: one['custom_field'] for one in settings}
    assert {name: field['resource_subtype'] for name, field in fields.items()} == {
        'Customer': 'text',
        'Severity': 'enum',
    }
    assert [one['name'] for one in fields['Severity']['enum_options']][:2] == ['Critical', 'High']
    reopened = next(task for task in asana.workspace.tasks.values() if task.reopenings)
    stories = asana_sdk.StoriesApi(sdk).get_stories_for_task(
        reopened.gid, {'opt_fields': 'resource_subtype,created_at'}
    )
    kinds = [one['resource_subtype'] for one in stories]
    assert kinds.count('marked_incomplete') == len(reopened.reopenings)
    assert kinds.count('marked_complete') == len(reopened.reopenings) + (reopened.completed_at is not None)


def test_searches_use_documented_parameters_only(serve):
    service = serve('asana', tasks=200, bugs=20, projects=60, activity=False)
    driver = Driver.of(service)
    driver.run()
    service.pass_time(900)
    driver.run()
    queries = [entry.query for entry in service.log if entry.path.endswith('/tasks/search')]
    used = {name for query in queries for name in parse_qs(query)}
    documented = set(re.findall(r':param \S+ (\S+):', asana_sdk.TasksApi.search_tasks_for_workspace.__doc__))
    # The limit is documented for all lists and searches.
    assert used - documented <= {'limit'}
    assert {'projects.any', 'created_at.after', 'completed_at.after', 'completed', 'sort_by'} & used


def test_the_sdk_understands_the_refusals(asana, sdk):
    projects = asana_sdk.ProjectsApi(sdk)
    with pytest.raises(asana_sdk.rest.ApiException) as refused:
        list(asana_sdk.TasksApi(sdk).get_tasks_for_project('4711', {'limit': 100}))
    assert refused.value.status == 404
    with pytest.raises(asana_sdk.rest.ApiException) as refused:
        list(projects.get_projects({'workspace': asana.workspace.gid, 'limit': 101}))
    assert refused.value.status == 400
    asana.premium = False
    with pytest.raises(asana_sdk.rest.ApiException) as refused:
        list(asana_sdk.TasksApi(sdk).search_tasks_for_workspace(asana.workspace.gid, {'limit': 100}))
    assert refused.value.status == 402
    sdk.configuration.access_token = 'wrong'
    with pytest.raises(asana_sdk.rest.ApiException) as refused:
        list(projects.get_projects({'workspace': asana.workspace.gid, 'limit': 100}))
    assert refused.value.status == 401


# Verify.


def compared(run, service, instance):
    """All comparisons of a run with a recomputation at the same instant."""
    theirs = verify.recompute('asana', instance, service.clock.now())
    ours = [Figure(name, value, tags) for (name, tags), value in run.values.items() if name.startswith(PREFIX)]
    return list(verify.compare(ours, theirs.figures)), theirs.requests


@pytest.mark.parametrize('premium', [True, False])
def test_verify_gives_the_same_figures(serve, premium):
    service = serve('asana', tasks=700, bugs=240, projects=8, premium=premium)
    driver = Driver.of(service)
    run = driver.run()
    comparisons, sent = compared(run, service, service.instance())
    assert [one for one in comparisons if not one.agrees] == []
    assert {one.name for one in comparisons} == run.names
    service.pass_time(900)
    warm = driver.run().requests
    # All tasks, and the bugs once more: far more requests than a warm refresh.
    assert warm is not None
    assert sent > 3 * warm


def test_verify_agrees_with_a_warm_refresh_and_other_options(asana):
    options = {
        'timezone': 'Pacific/Auckland',
        'section_map': {'triage': ['inactive'], 'active': ['triage', 'back log']},
        'tasks_total': False,
    }
    driver = Driver.of(asana, **options)
    driver.run()
    asana.pass_time(900)
    run = driver.run()
    comparisons, _ = compared(run, asana, {**asana.instance(), **options})
    assert [one for one in comparisons if not one.agrees] == []
    assert {one.name for one in comparisons} == run.names


EVERYTHING = {key: value for key, value in EVERY_OPTION['asana'].items() if key != 'bugs_section_time'}


@pytest.mark.parametrize('premium', [True, False])
def test_verify_agrees_with_every_option(serve, premium):
    service = serve('asana', tasks=500, bugs=160, projects=8, premium=premium, creations=False)
    driver = Driver.of(service, **EVERYTHING)
    for _ in range(2):
        run = driver.drain(service.pass_time)[-1]
        comparisons, _ = compared(run, service, {**service.instance(), **EVERYTHING})
        assert [one for one in comparisons if not one.agrees] == []
        assert {one.name for one in comparisons} == run.names
        service.pass_time(3600)


def test_without_histories_one_reading_does_not_show_starts(asana):
    options = {**EVERYTHING, 'use_stories': False}
    recomputed = verify.recompute('asana', {**asana.instance(), **options}, asana.clock.now())
    assert not [figure for figure in recomputed.figures if '.cycle_time.' in figure.name]
    assert not [entry for entry in asana.log if entry.path.endswith('/stories')]


@pytest.mark.parametrize(
    ('field', 'absent'),
    [
        ('assignee', 'tasks.assigned'),
        ('completed', 'tasks.overdue'),
        ('created_at', 'wip.age_p50_days'),
        ('completed_at', 'tasks.completed_on_time_30d'),
        ('completed_by', 'users.active_7d'),
        ('created_by', 'users.active_7d'),
        ('custom_fields', 'bugs.open_by_severity'),
        ('dependencies', 'tasks.blocked'),
        ('due_at', 'project.overdue'),
        ('due_on', 'projects.overdue'),
        ('memberships', 'wip.count'),
        ('modified_at', 'tasks.stale_30d'),
        ('resource_subtype', 'milestones.open'),
    ],
)
def test_verify_leaves_out_what_needs_a_field_that_rows_lack(asana, field, absent):
    asana.withheld.add(field)
    run = Driver.of(asana, **EVERYTHING).run()
    comparisons, _ = compared(run, asana, {**asana.instance(), **EVERYTHING})
    assert [one for one in comparisons if not one.agrees] == []
    names = {one.name for one in comparisons}
    assert names == run.names
    assert f'{PREFIX}{absent}' not in names
    assert (f'{PREFIX}tasks.open' in names) == (field != 'completed')
    assert f'{PREFIX}tasks.total' in names


@pytest.mark.parametrize('field', ['parent', 'is_rendered_as_separator'])
def test_verify_counts_no_tasks_that_may_be_subtasks_or_separators(asana, field):
    asana.withheld.add(field)
    recomputed = verify.recompute('asana', asana.instance(), asana.clock.now())
    names = {figure.name for figure in recomputed.figures}
    assert f'{PREFIX}projects.active' in names
    assert f'{PREFIX}tasks.open' not in names


def test_verify_finds_the_severity_by_its_gid_and_refuses_a_name_of_two_fields(asana):
    bugs = asana.workspace.projects[asana.bugs_project]
    [severity] = [field for field in bugs.custom_fields if field.kind == 'enum']
    bugs.custom_fields = (*bugs.custom_fields, replace(severity, gid=asana.workspace.new_gid()))
    for wanted, known in ((severity.gid, True), ('SEVERITY', False)):
        options = {'bugs_severity_field': wanted}
        run = Driver.of(asana, **options).run()
        comparisons, _ = compared(run, asana, {**asana.instance(), **options})
        assert [one for one in comparisons if not one.agrees] == []
        assert (f'{PREFIX}bugs.open_by_severity' in {one.name for one in comparisons}) == known
        assert {one.name for one in comparisons} == run.names


def test_verify_shows_as_many_severities_as_the_check(asana):
    bugs = asana.workspace.projects[asana.bugs_project]
    choices = tuple(Choice(str(gid), f'Level {gid}', gid % 3 > 0) for gid in range(31, 61))
    field = CustomField('30', 'Level', 'enum', choices)
    bugs.custom_fields = (*bugs.custom_fields, field)
    for number, bug in enumerate(asana.workspace.tasks_of(asana.bugs_project)):
        if number % 7:
            bug.choices[field.gid] = choices[(number * number) % 23].gid
    options = {'bugs_severity_field': 'level'}
    run = Driver.of(asana, **options).run()
    comparisons, _ = compared(run, asana, {**asana.instance(), **options})
    assert [one for one in comparisons if not one.agrees] == []
    assert len([one for one in comparisons if one.name == f'{PREFIX}bugs.open_by_severity']) == 22


def test_verify_finds_a_difference(asana):
    run = Driver.of(asana).run()
    bug = next(b for b in asana.workspace.tasks_of(asana.bugs_project) if not b.completed and not b.separator)
    asana.workspace.remove_task(bug.gid)
    comparisons, _ = compared(run, asana, asana.instance())
    wrong = {one.name: (one.ours, one.theirs) for one in comparisons if not one.agrees}
    ours, theirs = wrong[f'{PREFIX}projects.bugs.total_open']
    assert ours == theirs + 1


def test_verify_without_a_bugs_project(asana):
    instance = {key: value for key, value in asana.instance().items() if key != 'bugs_project_gid'}
    run = Driver.of(asana, bugs_project_gid=None).run()
    comparisons, _ = compared(run, asana, instance)
    assert [one for one in comparisons if not one.agrees] == []


@pytest.mark.parametrize(
    ('section', 'kind'),
    [
        ('Active bugs', 'active'),
        ('Not active', 'other'),
        ('Non-active', 'other'),
        ('In-active', 'other'),
        ('No longer active', 'other'),
        ("Isn't active", 'other'),
        ('In active development', 'active'),
        ('Not started / active', 'active'),
        ('Backlog 🧊', 'backlog'),
        ('対応中Active', 'active'),
        ('Interactive', 'other'),
    ],
)
def test_check_and_verify_read_names_of_sections_alike(asana, section, kind):
    asana.clear()
    asana.create_task({asana.bugs_project: section})
    name = f'{PREFIX}projects.bugs.{kind}_count'
    run = Driver.of(asana).run()
    recomputed = verify.recompute('asana', asana.instance(), asana.clock.now())
    assert run.value(name) == 1
    assert [figure.value for figure in recomputed.figures if figure.name == name] == [1]


def test_a_token_without_projects_has_no_figures(asana):
    asana.hidden.update(asana.workspace.projects)
    assert Driver.of(asana, bugs_project_gid=None).run().names == set()
    assert verify.recompute('asana', asana.instance(), asana.clock.now()).figures == ()
