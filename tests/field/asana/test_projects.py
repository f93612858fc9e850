"""Projects: which ones the token sees, which ones are archived, and the age of their status."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from sandbox.asana.model import Status

from ..case import case

OPEN = 'metta.asana.tasks.open'
TOTAL = 'metta.asana.tasks.total'
ACTIVE = 'metta.asana.projects.active'
STALE = 'metta.asana.projects.status_stale'
IN_PROGRESS = 'metta.asana.wip.count'
STARTED = ['In progress']


@case('C', 'https://developers.asana.com/docs/errors')
def test_a_token_that_lost_its_projects(asana):
    """A token loses its projects.

    Two projects have one open task each. Then the user of the token is removed from all projects. Asana answers
    the list of projects with 200 and an empty list, search finds nothing, and the list of a project is refused
    with 404.

    Right: `projects.active` is absent, `tasks.open` and `tasks.total` stay at 2, the last known values, for
    their time, and the service check is WARNING. Nobody completed a task, so 0 would be wrong.

    Unchanged: When the token sees the projects again, all figures are back with the next refresh.
    """
    projects = [asana.create_project(name, ['To do']).gid for name in ('Evals', 'Replays')]
    for project in projects:
        asana.create_task({project: 'To do'})
    driver = Driver.of(asana)
    assert driver.run().value(OPEN) == 2
    asana.hidden.update(asana.workspace.projects)
    for _ in range(2):
        asana.pass_time(900)
        run = driver.run()
        assert (run.value(ACTIVE), run.value(OPEN), run.value(TOTAL)) == (None, 2, 2)
        assert run.status == AgentCheck.WARNING
        assert 'the token sees no project in this workspace' in run.message
    asana.hidden.clear()
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(ACTIVE), run.value(OPEN), run.status) == (3, 2, AgentCheck.OK)


@case('C', 'https://developers.asana.com/docs/errors')
@pytest.mark.parametrize('status', [403, 404])
def test_a_token_that_lost_some_of_its_projects(asana, status):
    """A token loses one of its projects.

    Two projects have one open task each. The user of the token is removed from one of them. Asana's list of
    projects is shorter by one, without a word, and a request for that project is refused with 403 or 404.

    Right: The service check is WARNING for a day and names the gid. `tasks.open` is 1: the other task is no
    longer known.

    Unchanged: `projects.active` is 2, the Bugs project included, and the list costs one request more, once.
    """
    projects = [asana.create_project(name, ['To do']).gid for name in ('Evals', 'Replays')]
    for project in projects:
        asana.create_task({project: 'To do'})
    driver = Driver.of(asana, tasks_total=False)
    assert driver.run().value(OPEN) == 2
    asana.hidden.add(projects[0])
    asana.faults.add('status', status=status, path=f'*/projects/{projects[0]}', times=1)
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(OPEN), run.value(ACTIVE), run.status) == (1, 2, AgentCheck.WARNING)
    assert 'the token no longer sees 1 project that it saw before' in run.message
    assert projects[0] in run.message
    asana.log.clear()
    asana.pass_time(900)
    assert driver.run().status == AgentCheck.WARNING
    assert not [entry for entry in asana.log if entry.path.endswith(f'/projects/{projects[0]}')]
    asana.pass_time(86_400)
    assert driver.run().status == AgentCheck.OK


@case('C', 'https://developers.asana.com/reference/getprojectsforworkspace', guard=True)
def test_a_project_that_is_archived_between_two_refreshes(asana):
    """A project is archived.

    Two projects have one open task each, and somebody archives one of them.

    Right: `tasks.open` is 1, and the service check is OK: the project is there and archived, nothing was lost.

    Unchanged: `projects.active` is 2, the Bugs project included.
    """
    projects = [asana.create_project(name, ['To do']) for name in ('Evals', 'Replays')]
    for project in projects:
        asana.create_task({project.gid: 'To do'})
    driver = Driver.of(asana)
    driver.run()
    projects[0].archived = True
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(OPEN), run.value(ACTIVE), run.status) == (1, 2, AgentCheck.OK)


@case('C', 'https://github.com/Asana/node-asana/issues/243')
def test_a_project_that_is_missing_from_the_list_once(asana):
    """A project is missing from the list once.

    Asana leaves a project out of one answer to the list of projects. A request for the project itself still
    answers, and says that it is not archived.

    Right: `projects.active` stays 3 and `tasks.open` stays 2: a row that is missing once is not gone.

    Unchanged: The service check is OK.
    """
    projects = [asana.create_project(name, ['To do']).gid for name in ('Evals', 'Replays')]
    for project in projects:
        asana.create_task({project: 'To do'})
    driver = Driver.of(asana)
    driver.run()
    asana.unlisted.add(projects[0])
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(OPEN), run.value(ACTIVE), run.status) == (2, 3, AgentCheck.OK)


@case('C', 'https://developers.asana.com/docs/authentication')
def test_a_new_token_without_projects(asana):
    """A new token whose user is in no project.

    The workspace has tasks, but somebody just created the service account and added it to no project.

    Right: `tasks.open`, `tasks.total` and `projects.active` are absent, and the service check is WARNING. The
    check does not know any of them.

    Unchanged: No figure of tasks or projects is 0.
    """
    asana.create_task({asana.create_project('Evals', ['To do']).gid: 'To do'})
    asana.hidden.update(asana.workspace.projects)
    run = Driver.of(asana, bugs_project_gid=None).run()
    assert run.names == set()
    assert run.status == AgentCheck.WARNING


@case('C', 'https://developers.asana.com/reference/getprojectsforworkspace')
def test_all_projects_are_archived(asana):
    """All projects are archived.

    A team closes its workspace down and archives the last project. The list of projects that are not archived
    is empty.

    Right: `projects.active` and `tasks.open` are 0. The token sees the archived projects, so the empty list is
    a fact.

    Unchanged: The service check is OK.
    """
    for project in asana.workspace.projects.values():
        project.archived = True
    run = Driver.of(asana, bugs_project_gid=None).run()
    assert (run.value(ACTIVE), run.value(OPEN)) == (0, 0)
    assert run.status == AgentCheck.OK


@case('F', 'https://www.usecarly.com/blog/how-to-archive-project-in-asana/')
def test_a_section_of_an_archived_project(asana):
    """A task in progress in an archived project only.

    A task was "In progress" on the board of last quarter, which is archived now. It is also on this quarter's
    board, in "To do". Archiving a project leaves its tasks and their sections as they are.

    Right: `wip.count` is 0: nobody works on the task on a board that is in use.

    Unchanged: `tasks.open` is 1.
    """
    old = asana.create_project('Last quarter', STARTED, archived=True).gid
    new = asana.create_project('This quarter', ['To do', *STARTED]).gid
    asana.create_task({old: 'In progress', new: 'To do'})
    asana.create_task({new: 'In progress'}, completed_at=asana.clock.now())
    run = Driver.of(asana, started_sections=STARTED).run()
    assert (run.value(IN_PROGRESS), run.value(OPEN)) == (0, 1)


@case('F', 'https://www.usecarly.com/blog/how-to-archive-project-in-asana/')
def test_a_board_that_is_archived_between_two_crawls(asana):
    """A board is archived between two crawls.

    A task is "In progress" on one board and in "To do" on another one. An hour later, somebody archives the
    first board. Asana does not count that as a change of the task, so search does not find it.

    Right: `wip.count` is 1 before and 0 in the next refresh, since the list of projects is read in each of
    them.

    Unchanged: `tasks.open` is 1 before and after.
    """
    old = asana.create_project('Last quarter', STARTED).gid
    new = asana.create_project('This quarter', ['To do']).gid
    asana.create_task({old: 'In progress', new: 'To do'})
    driver = Driver.of(asana, started_sections=STARTED)
    run = driver.run()
    assert (run.value(IN_PROGRESS), run.value(OPEN)) == (1, 1)
    asana.workspace.projects[old].archived = True
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(IN_PROGRESS), run.value(OPEN)) == (0, 1)


@case('F', 'https://forum.asana.com/t/best-practices-when-deleting-a-project/100480', guard=True)
def test_a_task_in_progress_on_two_boards(asana):
    """A task in progress on two boards.

    A task is on two boards at once, in the section "In progress" of both.

    Right: `wip.count` is 1: it is one piece of work.

    Unchanged: `tasks.open` is 1.
    """
    boards = [asana.create_project(name, STARTED).gid for name in ('Evals', 'Replays')]
    asana.create_task(dict.fromkeys(boards, 'In progress'))
    run = Driver.of(asana, started_sections=STARTED).run()
    assert (run.value(IN_PROGRESS), run.value(OPEN)) == (1, 1)


@case('F', 'https://forum.asana.com/t/best-practices-when-deleting-a-project/100480', guard=True)
def test_a_subtask_in_the_bugs_project(asana):
    """A subtask that was added to the Bugs project.

    A task in "Evals" has a subtask, and somebody adds that subtask to the section "Triage" of the Bugs project.

    Right: `projects.bugs.triage_count` and `projects.bugs.total_open` are 1: every task in the Bugs project is
    a bug.

    Unchanged: `tasks.open` is 1: subtasks are not tasks of their own, in the Bugs project as elsewhere.
    """
    parent = asana.create_task({asana.create_project('Evals', ['To do']).gid: 'To do'})
    asana.create_task({asana.bugs_project: 'Triage'}, parent=parent.gid)
    run = Driver.of(asana).run()
    bugs = [run.value(f'metta.asana.projects.bugs.{name}') for name in ('triage_count', 'total_open')]
    assert (bugs, run.value(OPEN)) == ([1, 1], 1)


@case('C', 'https://github.com/Asana/node-asana-preview/blob/HEAD/docs/StatusUpdateBaseAllOf.md')
@pytest.mark.parametrize('status', ['on_hold', 'complete', 'dropped'])
def test_a_status_that_needs_no_update(asana, status):
    """The old status of a project in which nobody works.

    Two projects had their last status update 40 days ago. One is on track, the other one is on hold (or
    complete, or dropped, two more values that Asana documents).

    Right: `projects.status_stale` is 1. Nobody owes a further update on a project that rests or has ended.

    Unchanged: `projects.active` is 3, the Bugs project included, and there is no warning of an unknown status.
    """
    for kind in ('on_track', status):
        project = asana.create_project(kind, ['To do'])
        project.status = Status(kind, asana.clock.now() - timedelta(days=40))
    run = Driver.of(asana).run()
    assert (run.value(STALE), run.value(ACTIVE)) == (1, 3)
    assert run.warnings == []


@case('C', 'https://developers.asana.com/reference/project-statuses')
def test_the_color_of_a_project_on_hold(serve):
    """A project on hold of which only the color is known.

    Asana sends the older field `current_status` with the color "blue", which stands for "on hold", and an
    update without a status type. The update is 40 days old.

    Right: `projects.status_stale` is 0, and `projects.on_hold` is 1.

    Unchanged: `projects.no_status` is 1, the Bugs project.
    """
    asana = serve('asana', tasks=60, bugs=10, activity=False, status_types=False)
    asana.clear()
    asana.create_project('Evals', ['To do']).status = Status('on_hold', asana.clock.now() - timedelta(days=40))
    run = Driver.of(asana).run()
    assert (run.value(STALE), run.value('metta.asana.projects.on_hold')) == (0, 1)
    assert run.value('metta.asana.projects.no_status') == 1


@case('C', 'https://forum.asana.com/t/add-a-not-started-project-status/1048258', guard=True)
@pytest.mark.parametrize('status', ['on_track', 'at_risk', 'off_track'])
def test_a_status_that_needs_an_update(asana, status):
    """The old status of a project in which people work.

    The last status update of a project says on track, at risk or off track, and it is 15 days old.

    Right: `projects.status_stale` is 1.

    Unchanged: The status still counts, for example in `projects.on_track`.
    """
    asana.create_project('Evals', ['To do']).status = Status(status, asana.clock.now() - timedelta(days=15))
    run = Driver.of(asana).run()
    assert (run.value(STALE), run.value(f'metta.asana.projects.{status}')) == (1, 1)


@case('D', 'https://developers.asana.com/docs/pagination')
def test_a_project_on_two_pages(asana):
    """A project that is on two pages.

    While the check reads the list of projects, somebody creates another one. Asana then sends a project on the first
    page and again on the second one.

    Right: `projects.active` counts it once, and so do the counts by status.

    Unchanged: `tasks.open`.
    """
    project = asana.create_project('Evals', ['To do'], status=Status('on_track', asana.clock.now()))
    asana.create_task({project.gid: 'To do'})
    asana.twice.add(project.gid)
    run = Driver.of(asana).run()
    assert (run.value(ACTIVE), run.value('metta.asana.projects.on_track'), run.value(OPEN)) == (2, 1, 1)
