"""Two independent readers: Asana's own SDK reads the sandbox, and `verify` recomputes the check's figures."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

asana_sdk = pytest.importorskip('asana')

from metta_checks import verify  # noqa: E402
from metta_checks.testing import Driver  # noqa: E402
from metta_checks.verify import Figure  # noqa: E402

from .rows import UNVERIFIED  # noqa: E402

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
    ours = [
        Figure(name, value, tags)
        for (name, tags), value in run.values.items()
        if name.startswith(PREFIX) and name not in UNVERIFIED
    ]
    return list(verify.compare(ours, theirs.figures)), theirs.requests


@pytest.mark.parametrize('premium', [True, False])
def test_verify_gives_the_same_figures(serve, premium):
    service = serve('asana', tasks=700, bugs=240, projects=8, premium=premium)
    driver = Driver.of(service)
    run = driver.run()
    comparisons, sent = compared(run, service, service.instance())
    assert [one for one in comparisons if not one.agrees] == []
    assert {one.name for one in comparisons} == run.names - UNVERIFIED
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
    assert {one.name for one in comparisons} == run.names - UNVERIFIED


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
