"""Refusals: what they say, and how far they reach."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case

OPEN = 'metta.asana.tasks.open'
BUGS = 'metta.asana.projects.bugs.total_open'
SEARCH = '*/tasks/search'
HELP = 'Read the page on errors: https://developers.asana.com/docs/errors'


def refuse(asana, status, message, path, times=None, **more):
    """Refuse requests as Asana does, with a message and help."""
    body = json.dumps({'errors': [{'message': message, 'help': HELP, **more}]})
    asana.faults.add('status', status=status, body=body, path=path, times=times)


def board(asana, name='Evals'):
    project = asana.create_project(name, ['To do']).gid
    asana.create_task({project: 'To do'})
    return project


def list_of(project):
    return f'*/projects/{project}/tasks'


@case('E', 'https://github.com/Asana/comment-on-task-github-action/issues/24')
@pytest.mark.parametrize('status', [500, 503, 403])
def test_a_fresh_instance_while_search_fails(asana, status):
    """A fresh instance while search fails.

    The lists of projects and tasks work. Search answers 500, 503 or 403 to every request. The check starts for
    the first time, in a workspace with one open task.

    Right: `tasks.open` is 1, from the lists of the projects, and the service check is WARNING with the reason.

    Unchanged: The plan stays unknown, so the check looks for search again after `free_crawl_interval`.
    """
    board(asana)
    asana.faults.add('status', status=status, path=SEARCH)
    driver = Driver.of(asana)
    run = driver.run()
    assert (run.value(OPEN), run.status) == (1, AgentCheck.WARNING)
    assert 'search fails, so the lists of all projects are read instead' in run.message
    asana.faults.clear()
    asana.pass_time(3600)
    run = driver.run()
    assert (run.value(OPEN), run.status) == (1, AgentCheck.OK)


@case('E', 'https://github.com/Asana/comment-on-task-github-action/issues/24')
@pytest.mark.parametrize(('status', 'wait'), [(500, 60), (403, 900)])
def test_a_running_instance_while_search_fails(asana, status, wait):
    """A running instance while search fails.

    Search worked yesterday and answers 500 or 403 now, for hours. A task was created since then.

    Right: The first failure is tried again. After the second one, the check reads the lists of the projects:
    `tasks.open` grows from 1 to 2. It reads them again every `free_crawl_interval`, and returns to search when
    that works.

    Unchanged: `tasks.open` never disappears.
    """
    project = board(asana)
    driver = Driver.of(asana)
    assert driver.run().value(OPEN) == 1
    asana.faults.add('status', status=status, path=SEARCH)
    asana.create_task({project: 'To do'})
    asana.pass_time(900)
    assert driver.run().value(OPEN) == 1
    asana.pass_time(wait)
    assert driver.run().value(OPEN) == 2
    for _ in range(8):
        asana.create_task({project: 'To do'})
        asana.pass_time(900)
        assert driver.run().require(OPEN) >= 2
    asana.faults.clear()
    asana.pass_time(3600)
    run = driver.run()
    assert (run.value(OPEN), run.status) == (10, AgentCheck.OK)


@case('E', 'https://github.com/roychri/mcp-server-asana/issues/23', guard=True)
def test_search_that_is_not_in_the_plan(asana):
    """Search is not in the plan.

    The workspace is on a plan without search: search answers 402, and the lists work.

    Right: `tasks.open` is 1, from the lists of the projects.

    Unchanged: The service check is OK, since nothing is wrong.
    """
    board(asana)
    asana.premium = False
    run = Driver.of(asana).run()
    assert (run.value(OPEN), run.status) == (1, AgentCheck.OK)


@case('G', 'https://github.com/estuary/connectors/issues/1197')
def test_a_list_that_the_plan_does_not_include(asana):
    """A list that the plan does not include.

    Asana answers 402 to the list of the Bugs project, while search works. Its message says which feature is
    missing.

    Right: The warning of block `bugs` shows Asana's own message and help. 402 does not mean "no search" here.

    Unchanged: The plan is still a paid one: the next refresh searches for changes instead of reading all lists.
    """
    board(asana)
    refuse(asana, 402, 'Bug boards are only available to premium users.', list_of(asana.bugs_project))
    driver = Driver.of(asana)
    run = driver.run()
    assert any('Asana says "Bug boards are only available to premium users."' in one for one in run.warnings)
    assert any(HELP in one for one in run.warnings)
    assert run.value(OPEN) == 1
    asana.log.clear()
    asana.pass_time(900)
    driver.run()
    assert [entry.path for entry in asana.log if entry.path.endswith('/tasks/search')]


@case('G', 'https://github.com/airbytehq/airbyte/issues/33842')
@pytest.mark.parametrize('status', [412, 451])
def test_a_refusal_in_asanas_own_words(asana, status):
    """A refusal with a status that is rare.

    Asana answers 412 or 451 to the list of the Bugs project and says why in `errors[].message` and
    `errors[].help`.

    Right: The warning of block `bugs` shows both, and the figures of bugs are absent.

    Unchanged: `tasks.open` is 1.
    """
    board(asana)
    refuse(asana, status, 'Sync token invalid or too old.', list_of(asana.bugs_project))
    run = Driver.of(asana).run()
    assert f'answered HTTP {status}: Asana says "Sync token invalid or too old." ({HELP})' in run.warnings[0]
    assert (run.value(BUGS), run.value(OPEN)) == (None, 1)


@case('G', 'https://github.com/mannieschumpert/quicktask/issues/12')
def test_a_name_in_place_of_a_gid(asana):
    """A name in place of a gid.

    `bugs_project_gid` says "Bugs". Asana answers 400 with the message that this is not an id.

    Right: The warning shows Asana's message and help, and says where gids are found.

    Unchanged: `tasks.open` is 1.
    """
    board(asana)
    run = Driver.of(asana, bugs_project_gid='Bugs').run()
    assert 'Asana says "project: Not a recognized ID: Bugs" (For more information' in run.warnings[0]
    assert 'gids are the long numbers' in run.warnings[0]
    assert run.value(OPEN) == 1


@case('G', 'https://developers.asana.com/docs/errors')
def test_the_phrase_of_a_server_error(asana):
    """The phrase of a server error.

    Asana answers 500 once to the list of the Bugs project, with the field `errors[].phrase`. By that phrase,
    its support finds the incident.

    Right: The warning of block `bugs` shows the phrase.

    Unchanged: `tasks.open` is 1.
    """
    board(asana)
    refuse(asana, 500, 'Server Error', list_of(asana.bugs_project), times=1, phrase='3 tame newts sing loudly')
    run = Driver.of(asana).run()
    assert 'the phrase "3 tame newts sing loudly"' in run.warnings[0]
    assert run.value(OPEN) == 1


@case('E', 'https://github.com/airbytehq/airbyte/pull/19561')
@pytest.mark.parametrize('status', [402, 451])
def test_one_project_that_is_refused(asana, status):
    """One project that is refused.

    Two projects have one open task each. Asana answers 402 or 451 to the list of one of them.

    Right: `tasks.open` is 1: one project takes only its own tasks along. The service check is WARNING, says
    that the tasks of one project are missing, and shows Asana's message.

    Unchanged: `projects.active` is 3, the Bugs project included.
    """
    board(asana)
    refuse(asana, status, 'This project is not available in your region.', list_of(board(asana, 'Replays')))
    run = Driver.of(asana, tasks_total=False).run()
    assert (run.value(OPEN), run.value('metta.asana.projects.active')) == (1, 3)
    assert run.status == AgentCheck.WARNING
    assert '1 project could not be read: its tasks are missing' in run.message
    assert 'Asana says "This project is not available in your region."' in run.message


@case('E', 'https://github.com/airbytehq/airbyte/issues/13676')
def test_lists_that_are_all_refused(asana):
    """Lists of tasks that are all refused.

    Asana answers 400 to the list of tasks of each of ten projects, because of a field that it no longer knows.

    Right: `tasks.open` is absent, not 0. The check stops after three projects, since the refusal is not about
    one of them, and the warning shows Asana's message.

    Unchanged: `projects.active` is 11.
    """
    for index in range(10):
        board(asana, f'Board {index}')
    refuse(asana, 400, 'opt_fields: Unknown field', '*/projects/*/tasks')
    run = Driver.of(asana, bugs_project_gid=None, tasks_total=False).run()
    assert (run.value(OPEN), run.value('metta.asana.projects.active')) == (None, 11)
    assert 'Asana says "opt_fields: Unknown field"' in run.message
    assert len([entry for entry in asana.log if entry.path.endswith('/tasks')]) == 3


@case('G', 'https://developers.asana.com/docs/oauth-scopes')
@pytest.mark.parametrize(
    ('status', 'message', 'remedy'),
    [
        (403, 'Missing required scope: projects:read', 'with the scopes `tasks:read` and `projects:read`'),
        (404, 'workspace: Unknown object: 7', 'Asana also says "not found" for what the token may not see'),
    ],
)
def test_a_refusal_that_asana_explains(asana, status, message, remedy):
    """A refusal that Asana explains.

    Asana answers 403 or 404 to the list of projects, and `errors[].message` says why.

    Right: The error shows Asana's own message and help, and after them the advice.

    Unchanged: The reason of `collector.errors` is `permission` or `not_found`.
    """
    refuse(asana, status, message, '*/projects')
    run = Driver.of(asana, bugs_project_gid=None, tasks_total=False).run()
    assert f'answered HTTP {status}: ' in run.error
    assert f'Asana says "{message}" ({HELP}); ' in run.error
    assert remedy in run.error
    assert ('projects', {403: 'permission', 404: 'not_found'}[status]) in run.errors()


@case('E', 'https://github.com/airbytehq/airbyte/issues/13676')
@pytest.mark.parametrize('status', [400, 403, 404])
def test_one_history_that_is_refused(asana, status):
    """The history of a task that left its last project.

    `use_stories` is on. Two tasks were completed. One of them was then removed from its only project, so that
    the token sees it no more, and Asana answers 400, 403 or 404 to its stories.

    Right: `cycle_time.avg_hours` with `basis:started` is 4, from the other task: one history costs one task.

    Unchanged: `tasks.completed_7d` is 2 until the next crawl, and the refused history is not asked for again.
    """
    now = asana.clock.now()
    project = asana.create_project('Evals', ['To do', 'Doing']).gid
    tasks = [asana.create_task({project: 'To do'}, created_at=now - timedelta(hours=9)) for _ in range(2)]
    for task in tasks:
        asana.workspace.place(task, project, 'Doing', now - timedelta(hours=4))
        asana.complete_task(task)
    asana.faults.add('status', status=status, path=f'*/tasks/{tasks[0].gid}/stories')
    options = {'started_sections': ['Doing'], 'use_stories': True, 'cycle_time_basis': 'started'}
    driver = Driver.of(asana, **options)
    run = driver.run()
    assert run.value('metta.asana.cycle_time.avg_hours', 'basis:started') == 4
    assert run.value('metta.asana.tasks.completed_7d') == 2
    assert run.status == AgentCheck.WARNING
    asana.log.clear()
    asana.pass_time(900)
    assert driver.run().status == AgentCheck.OK
    assert not [entry for entry in asana.log if entry.path.endswith('/stories')]


@case('E', 'https://developers.asana.com/docs/oauth-scopes')
def test_histories_that_are_all_refused(asana):
    """A token without the scope for stories.

    `use_stories` is on, and Asana answers 403 to the stories of each of ten completed tasks, because the token
    has no scope `stories:read`. Then somebody adds the scope.

    Right: `cycle_time.avg_hours` is absent, the warning shows Asana's message, and the check stops after three
    histories. With the scope, the figure is there.

    Unchanged: `tasks.completed_7d` is 10.
    """
    now = asana.clock.now()
    project = asana.create_project('Evals', ['To do', 'Doing']).gid
    for _ in range(10):
        task = asana.create_task({project: 'To do'}, created_at=now - timedelta(hours=9))
        asana.workspace.place(task, project, 'Doing', now - timedelta(hours=4))
        asana.complete_task(task)
    refuse(asana, 403, 'Missing required scope: stories:read', '*/stories')
    options = {'started_sections': ['Doing'], 'use_stories': True, 'cycle_time_basis': 'started'}
    driver = Driver.of(asana, **options)
    run = driver.run()
    assert run.series('metta.asana.cycle_time.avg_hours') == {}
    assert run.value('metta.asana.tasks.completed_7d') == 10
    assert 'Asana says "Missing required scope: stories:read"' in run.message
    assert len([entry for entry in asana.log if entry.path.endswith('/stories')]) == 3
    asana.faults.clear()
    asana.pass_time(900)
    assert driver.run().value('metta.asana.cycle_time.avg_hours', 'basis:started') == 4


@case('C', 'https://developers.asana.com/docs/errors')
@pytest.mark.parametrize('status', [402, 403, 404, 412, 451])
def test_a_project_that_is_refused_for_a_moment(asana, status):
    """A project that is refused for a moment.

    Two projects have one open task each. In the first refresh, Asana refuses the tasks of one of them, because somebody
    changes its members at this time. 15 minutes later, Asana answers again.

    Right: The first refresh warns that the tasks of one project are missing; the next one has both tasks.

    Unchanged: A project that is refused for good is left out, with a warning.
    """
    projects = [asana.create_project(name, ['To do']).gid for name in ('Evals', 'Replays')]
    for project in projects:
        asana.create_task({project: 'To do'})
    refuse(asana, status, 'Refused for now', f'*/projects/{projects[1]}/tasks', times=1)
    driver = Driver.of(asana, tasks_total=False)
    run = driver.run()
    assert (run.value(OPEN), run.status) == (1, AgentCheck.WARNING)
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(OPEN), run.status) == (2, AgentCheck.OK)


@case('E', 'https://developers.asana.com/docs/errors')
def test_a_new_project_that_is_refused(asana):
    """A new project that the token may not read.

    One project has one open task. Somebody creates a project and does not share it: Asana lists it, and refuses its
    tasks with 403.

    Right: `tasks.open` stays current, and every refresh warns until the project can be read.

    Unchanged: The tasks of the project are not counted.
    """
    seen = asana.create_project('Evals', ['To do']).gid
    asana.create_task({seen: 'To do'})
    driver = Driver.of(asana, tasks_total=False)
    assert driver.run().value(OPEN) == 1
    asana.closed.add(asana.create_project('Replays', ['To do']).gid)
    for expected in (2, 3):
        asana.create_task({seen: 'To do'})
        asana.pass_time(900)
        run = driver.run()
        assert (run.value(OPEN), run.status) == (expected, AgentCheck.WARNING)


@case('E', 'https://developers.asana.com/docs/rate-limits')
@pytest.mark.parametrize('status', [403, 404, 412])
def test_many_projects_that_are_refused(asana, status):
    """Many projects that are refused for good.

    Asana lists 41 projects and refuses the tasks of 40 of them with 403, 404 or 412. The other one has one open task.

    Right: `tasks.open` stays current. The refreshes after the first crawl ask for 10 of the 40 again, in turn, and warn
    of all 40. After 4 refreshes in which Asana answers, all tasks are counted.

    Unchanged: The first crawl asks for each project.
    """
    seen = asana.create_project('Evals', ['To do']).gid
    asana.create_task({seen: 'To do'})
    others = [asana.create_project(f'Replay {number}', ['To do']).gid for number in range(40)]
    for project in others:
        asana.create_task({project: 'To do'})
        refuse(asana, status, 'Refused', list_of(project))
    # Later changes are all that search finds.
    asana.pass_time(3600)
    driver = Driver.of(asana, tasks_total=False)
    requests = []
    for expected in (1, 2, 3):
        run = driver.run()
        assert (run.value(OPEN), run.status) == (expected, AgentCheck.WARNING)
        assert '40 projects could not be read' in run.message
        requests.append(run.requests or 0)
        asana.create_task({seen: 'To do'})
        asana.pass_time(900)
    assert requests[0] >= 41
    assert max(requests[1:]) < 25
    asana.faults.clear()
    for _ in range(4):
        run = driver.run()
        asana.pass_time(900)
    assert (run.value(OPEN), run.status) == (44, AgentCheck.OK)
