"""Bugs over time: resolution, reopened bugs, severity and the time in a section."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from sandbox.asana.model import Choice, CustomField, Reopening

from ..case import case

BUGS = 'metta.asana.projects.bugs.'
REOPENED = f'{BUGS}reopened_7d'
SEVERITY = 'metta.asana.bugs.open_by_severity'
STAY = 'metta.asana.bugs.section_stay_hours.p50'
SECTION_TIME = 'metta.asana.bugs.section_time_hours.p50'
DAY = 86_400
HIGH, LOW = Choice('31', 'High'), Choice('32', 'Low')


def bug(asana, section='Triage', **fields):
    return asana.create_task({asana.bugs_project: section}, **fields)


def watched(asana, *, days=8):
    """Return a driver that has compared the bugs for some days."""
    driver = Driver.of(asana, tasks_total=False)
    driver.run()
    for _ in range(days):
        asana.pass_time(DAY)
        driver.run()
    return driver


def give(asana, field, task=None, choice=None):
    """Give the Bugs project a custom field, and a task a value of it."""
    project = asana.workspace.projects[asana.bugs_project]
    if field not in project.custom_fields:
        project.custom_fields = (*project.custom_fields, field)
    if task is not None:
        task.choices[field.gid] = choice.gid


@case('B', 'https://developers.asana.com/docs/tasks')
def test_resolution_of_a_bug_that_was_completed_twice(asana):
    """A bug that was completed twice.

    A bug was created 60 hours ago, completed after 10 hours, reopened and completed again 12 hours ago. Asana
    keeps only the latest `completed_at`.

    Right: `projects.bugs.resolution_hours.p50` is 48: until the latest completion, nobody had resolved it.

    Unchanged: `projects.bugs.completed_7d` is 1: it is one bug.
    """
    now = asana.clock.now()
    one = bug(asana, created_at=now - timedelta(hours=60), completed_at=now - timedelta(hours=12))
    one.reopenings.append(Reopening(now - timedelta(hours=50), now - timedelta(hours=40)))
    run = Driver.of(asana).run()
    assert (run.value(f'{BUGS}resolution_hours.p50'), run.value(f'{BUGS}completed_7d')) == (48, 1)


@case('C', 'https://developers.asana.com/docs/tasks', guard=True)
def test_resolution_without_a_completed_bug(asana):
    """No bug was completed lately.

    One bug is open, and another one was completed 31 days ago.

    Right: `projects.bugs.resolution_hours.p50` and `.p90` are absent. 0 would mean that bugs are resolved at
    once.

    Unchanged: `projects.bugs.completed_30d` is 0.
    """
    now = asana.clock.now()
    bug(asana)
    bug(asana, created_at=now - timedelta(days=40), completed_at=now - timedelta(days=31))
    run = Driver.of(asana).run()
    assert [run.value(f'{BUGS}resolution_hours.{name}') for name in ('p50', 'p90')] == [None, None]
    assert run.value(f'{BUGS}completed_30d') == 0


@case('B', 'https://developers.asana.com/docs/tasks')
def test_a_reopened_bug(asana):
    """A bug is reopened.

    A bug is completed, and the next day somebody marks it as not completed. Asana then sends `completed: false`
    and `completed_at: null`, as if it had never been completed.

    Right: `projects.bugs.reopened_7d` is 1 for 7 days, and 0 after that.

    Unchanged: `projects.bugs.total_open` is 1, and `projects.bugs.completed_7d` is 0.
    """
    one = bug(asana)
    asana.complete_task(one)
    driver = watched(asana)
    assert driver.run().value(REOPENED) == 0
    asana.reopen_task(one)
    asana.pass_time(900)
    run = driver.run()
    assert [run.value(name) for name in (REOPENED, f'{BUGS}total_open', f'{BUGS}completed_7d')] == [1, 1, 0]
    for days, expected in ((6, 1), (1.1, 0)):
        asana.pass_time(days * DAY)
        assert driver.run().value(REOPENED) == expected


@case('C', 'https://developers.asana.com/reference/stories')
def test_a_reopened_bug_before_the_check_knows(asana):
    """A bug is reopened shortly after the installation.

    The check has run for one day when a bug is reopened. Nobody told it what happened in the six days before.

    Right: `projects.bugs.reopened_7d` is absent, and 1 after seven days of comparisons.

    Unchanged: There is no warning.
    """
    one = bug(asana)
    asana.complete_task(one)
    driver = watched(asana, days=1)
    asana.reopen_task(one)
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(REOPENED), run.warnings) == (None, [])
    for _ in range(6):
        asana.pass_time(DAY)
        run = driver.run()
    assert run.value(REOPENED) == 1


@case('B', 'https://developers.asana.com/reference/stories')
def test_a_bug_that_is_reopened_and_completed_between_two_refreshes(asana):
    """A bug is reopened and completed again within minutes.

    Between two refreshes, somebody reopens a completed bug and completes it again. Asana shows it as completed
    before and after, with a later `completed_at`.

    Right: `projects.bugs.reopened_7d` is 1: without a reopening, the time of completion does not change.

    Unchanged: `projects.bugs.total_open` is 0.
    """
    one = bug(asana)
    asana.complete_task(one)
    driver = watched(asana)
    asana.pass_time(60)
    asana.reopen_task(one)
    asana.pass_time(60)
    asana.complete_task(one)
    asana.pass_time(800)
    run = driver.run()
    assert (run.value(REOPENED), run.value(f'{BUGS}total_open')) == (1, 0)


@case('D', 'https://developers.asana.com/reference/stories')
@pytest.mark.parametrize(('reopened', 'expected'), [(True, 1), (False, 0)])
def test_a_bug_that_was_completed_long_ago(asana, reopened, expected):
    """A bug that was completed long ago.

    A bug was completed 90 days ago, so the list of bugs that the check reads does not have it. Now it is there
    and open, because somebody reopened it, or because an old task was added to the Bugs project.

    Right: `projects.bugs.reopened_7d` is 1 if the history of the task has a story `marked_incomplete` of the
    last 7 days, and else 0. The list alone does not tell the two apart.

    Unchanged: `projects.bugs.created_7d` is 0.
    """
    now = asana.clock.now()
    board = asana.create_project('Evals', ['To do']).gid
    one = asana.create_task({board: 'To do'}, created_at=now - timedelta(days=100))
    if reopened:
        asana.workspace.place(one, asana.bugs_project, 'Triage', now)
        one.completed_at = now - timedelta(days=90)
    driver = watched(asana)
    if reopened:
        asana.reopen_task(one)
    else:
        asana.workspace.place(one, asana.bugs_project, 'Triage', asana.clock.now())
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(REOPENED), run.value(f'{BUGS}created_7d')) == (expected, 0)


@case('E', 'https://developers.asana.com/docs/oauth-scopes')
def test_histories_that_the_token_may_not_read(asana):
    """The history of a bug is refused.

    An old task is added to the Bugs project. The token has no scope `stories:read`, so Asana answers 403 to its
    history.

    Right: `projects.bugs.reopened_7d` is absent, and the warning shows Asana's message.

    Unchanged: `projects.bugs.total_open` is 1.
    """
    driver = watched(asana)
    bug(asana, created_at=asana.clock.now() - timedelta(days=100))
    body = '{"errors": [{"message": "Missing scope: stories:read"}]}'
    asana.faults.add('status', status=403, body=body, path='*/stories')
    asana.pass_time(900)
    run = driver.run()
    assert (run.value(REOPENED), run.value(f'{BUGS}total_open')) == (None, 1)
    assert 'Asana says "Missing scope: stories:read"' in run.message


@case('A', 'https://developers.asana.com/docs/custom-fields-guide')
def test_two_custom_fields_of_the_same_name(asana):
    """Two custom fields of the same name.

    The Bugs project has two custom fields called "Severity": one of the organization, and one that a team made.
    `bugs_severity_field` says `Severity`.

    Right: `bugs.open_by_severity` is absent, and the warning lists both gids: nobody can tell which one is
    meant. With the gid, the figure is that of the one field.

    Unchanged: `projects.bugs.total_open` is 1.
    """
    one = bug(asana)
    give(asana, CustomField('21', 'Severity', 'enum', (HIGH, LOW)), one, HIGH)
    give(asana, CustomField('22', 'Severity', 'enum', (HIGH, LOW)), one, LOW)
    run = Driver.of(asana, bugs_severity_field='Severity').run()
    assert (run.series(SEVERITY), run.value(f'{BUGS}total_open')) == ({}, 1)
    assert run.status == AgentCheck.WARNING
    assert 'use the gid of one: 21 (Severity), 22 (Severity)' in run.message
    run = Driver.of(asana, bugs_severity_field='22').run()
    assert [run.value(SEVERITY, f'severity:{name}') for name in ('high', 'low', 'none')] == [0, 1, 0]


@case('A', 'https://developers.asana.com/docs/custom-fields-guide')
def test_two_values_of_the_same_name(asana):
    """Two values of a custom field with the same name.

    Somebody disabled the value "High" and made a new one with the same name. One open bug has the old value,
    another one the new value.

    Right: `bugs.open_by_severity` for "high" is 2.

    Unchanged: The parts add up to `projects.bugs.total_open`, which is 3 with a bug that has no value.
    """
    field = CustomField('21', 'Severity', 'enum', (Choice('30', 'High', enabled=False), HIGH, LOW))
    for choice in field.choices[:2]:
        give(asana, field, bug(asana), choice)
    bug(asana)
    run = Driver.of(asana, bugs_severity_field='severity').run()
    values = {name: run.value(SEVERITY, f'severity:{name}') for name in ('high', 'low', 'none')}
    assert values == {'high': 2, 'low': 0, 'none': 1}
    assert run.value(f'{BUGS}total_open') == 3


@case('C', 'https://github.com/Asana/SGTM/pull/85')
def test_custom_fields_that_the_plan_does_not_include(asana):
    """A plan without custom fields.

    The workspace is on the free plan: Asana answers 402 to the custom fields of the Bugs project, and tasks have
    none.

    Right: `bugs.open_by_severity` is absent, and the warning shows Asana's message.

    Unchanged: `projects.bugs.total_open` is 1.
    """
    bug(asana)
    asana.premium = False
    run = Driver.of(asana, bugs_severity_field='Severity').run()
    assert (run.series(SEVERITY), run.value(f'{BUGS}total_open')) == ({}, 1)
    assert 'Asana says "Custom Fields are not available for free users or guests."' in run.message


@case('C', 'https://developers.asana.com/docs/custom-field-settings')
def test_a_custom_field_that_was_removed(asana):
    """A custom field is removed from the project.

    The check knows the field "Severity". Then somebody removes it from the Bugs project, so that the tasks do
    not have it any more.

    Right: `bugs.open_by_severity` is absent, not "none" for every bug. The warning says which field is missing.

    Unchanged: `projects.bugs.total_open` is 1.
    """
    give(asana, CustomField('21', 'Severity', 'enum', (HIGH, LOW)), bug(asana), HIGH)
    driver = Driver.of(asana, bugs_severity_field='Severity')
    assert driver.run().value(SEVERITY, 'severity:high') == 1
    asana.workspace.projects[asana.bugs_project].custom_fields = ()
    asana.pass_time(900)
    run = driver.run()
    assert (run.series(SEVERITY), run.value(f'{BUGS}total_open')) == ({}, 1)
    assert '1 row lacks the field `custom_fields`' in run.message


@case('C', 'https://developers.asana.com/docs/custom-fields-guide')
def test_a_custom_field_of_another_type(asana):
    """A custom field of text.

    `bugs_severity_field` names a field in which people write freely.

    Right: `bugs.open_by_severity` is absent, and the warning says that a single choice is needed. Each text
    would be a series of its own.

    Unchanged: `projects.bugs.total_open` is 1.
    """
    bug(asana)
    give(asana, CustomField('21', 'Severity', 'text'))
    run = Driver.of(asana, bugs_severity_field='Severity').run()
    assert (run.series(SEVERITY), run.value(f'{BUGS}total_open')) == ({}, 1)
    assert '21 (Severity) is of the type text; a single choice is needed' in run.message


@case('B', 'https://github.com/apache/devlake/issues/7542')
def test_the_time_until_a_bug_leaves_triage(asana):
    """A bug leaves triage.

    A bug is created in "Triage". Two hours later it is moved to "Active", and an hour after that somebody
    completes it.

    Right: `bugs.section_stay_hours.p50` is 2 for triage and 1 for active. After the move, no section of an open
    bug tells how long triage took.

    Unchanged: `bugs.section_time_hours.p50` is absent: no open bug is in a section.
    """
    driver = Driver.of(asana, bugs_section_time=True)
    driver.run()
    asana.pass_time(900)
    one = bug(asana)
    run = driver.run()
    assert run.value(SECTION_TIME, 'section:triage') == 0
    asana.pass_time(7200)
    asana.workspace.place(one, asana.bugs_project, 'Active', asana.clock.now())
    driver.run()
    asana.pass_time(3600)
    asana.complete_task(one)
    run = driver.run()
    stays = [run.value(STAY, f'section:{section}') for section in ('triage', 'active')]
    assert (stays, run.series(SECTION_TIME)) == ([2, 1], {})


@case('C', 'https://developers.asana.com/docs/inputoutput-options')
def test_the_time_in_a_section_without_the_field(asana):
    """Rows without sections for an hour.

    A bug has been in "Active" for an hour when Asana leaves the field `memberships` out of the rows of one
    refresh.

    Right: In that refresh, `bugs.section_time_hours.p50` is absent. In the next one, it is the time since the
    entry: the bug never left.

    Unchanged: `projects.bugs.total_open` is 1 in both.
    """
    driver = Driver.of(asana, bugs_section_time=True)
    driver.run()
    asana.pass_time(900)
    bug(asana, 'Active')
    driver.run()
    asana.pass_time(3600)
    asana.withheld.add('memberships')
    run = driver.run()
    assert (run.series(SECTION_TIME), run.value(f'{BUGS}total_open')) == ({}, 1)
    asana.withheld.clear()
    asana.pass_time(3600)
    run = driver.run()
    assert (run.value(SECTION_TIME, 'section:active'), run.value(f'{BUGS}total_open')) == (2, 1)


@case('D', 'https://developers.asana.com/reference/stories')
def test_a_bug_with_a_long_history(asana):
    """A bug with a long history.

    A bug with 130 stories was completed 90 days ago and is reopened now. Asana sends stories oldest first and
    100 per page, so that the reopening is at the end of the second page.

    Right: `projects.bugs.reopened_7d` is 1.

    Unchanged: Its history is read once, with two requests.
    """
    now = asana.clock.now()
    one = bug(asana, created_at=now - timedelta(days=200))
    for hours in range(130):
        asana.workspace.place(one, asana.bugs_project, 'Triage', now - timedelta(days=190) + timedelta(hours=hours))
    one.completed_at = now - timedelta(days=90)
    driver = watched(asana)
    asana.reopen_task(one)
    asana.log.clear()
    asana.pass_time(900)
    assert driver.run().value(REOPENED) == 1
    asana.pass_time(900)
    assert driver.run().value(REOPENED) == 1
    assert len([entry for entry in asana.log if entry.path.endswith('/stories')]) == 2


@case('F', 'https://developers.asana.com/reference/stories')
def test_a_bug_that_is_reopened_twice(asana):
    """A bug that is reopened twice.

    A bug goes back and forth between two people: it is completed and reopened twice within two days.

    Right: `projects.bugs.reopened_7d` is 1: it is one bug.

    Unchanged: `projects.bugs.total_open` is 1.
    """
    one = bug(asana)
    driver = watched(asana)
    for _ in range(2):
        asana.complete_task(one)
        asana.pass_time(DAY / 2)
        driver.run()
        asana.reopen_task(one)
        asana.pass_time(DAY / 2)
        run = driver.run()
    assert (run.value(REOPENED), run.value(f'{BUGS}total_open')) == (1, 1)


@case('J', 'https://developers.asana.com/docs/rate-limits')
def test_many_old_tasks_that_become_bugs(asana):
    """Many old tasks that become bugs at once.

    Somebody adds 30 old tasks to the Bugs project. One request per history would use up the rate limit that
    other programs share.

    Right: The check reads 20 histories per refresh. Until it has read all of them, `projects.bugs.reopened_7d`
    is absent; then it is 0.

    Unchanged: `projects.bugs.total_open` is 30 in the first refresh.
    """
    driver = watched(asana)
    for _ in range(30):
        bug(asana, created_at=asana.clock.now() - timedelta(days=100))
    asana.log.clear()
    found = []
    for _ in range(2):
        asana.pass_time(900)
        run = driver.run()
        found.append((run.value(REOPENED), run.value(f'{BUGS}total_open'), len(driver.check.unfinished)))
    assert found == [(None, 30, 1), (0, 30, 0)]
    assert len([entry for entry in asana.log if entry.path.endswith('/stories')]) == 30


@case('J', 'https://developers.asana.com/docs/create-an-enum-option')
def test_more_values_than_a_tag_may_have(asana):
    """A custom field with many values.

    The Bugs project has a field with 40 values, one for each customer, and an open bug for each of them.

    Right: 20 values have a series of their own, and the others are in `severity:other`, which is 20. Each value
    would be a series that Datadog bills.

    Unchanged: The parts add up to `projects.bugs.total_open`, which is 40.
    """
    choices = tuple(Choice(str(100 + number), f'Customer {number}') for number in range(40))
    field = CustomField('21', 'Customer', 'enum', choices)
    for choice in choices:
        give(asana, field, bug(asana), choice)
    run = Driver.of(asana, bugs_severity_field='Customer').run()
    values = run.series(SEVERITY)
    assert (len(values), run.value(SEVERITY, 'severity:other')) == (22, 20)
    assert sum(values.values()) == run.value(f'{BUGS}total_open') == 40


@case('H', 'https://developers.asana.com/docs/pagination')
def test_a_bug_that_moves_while_the_pages_are_read(asana):
    """A bug that is on two pages.

    While the check reads the pages of the Bugs project, somebody drags a bug to the end of the list. Asana then
    sends it on the first page and again on the second one.

    Right: `bugs.open_by_severity` adds up to `projects.bugs.total_open`, as do the counts by section and by age:
    all come from the same rows, each bug once.

    Unchanged: `projects.bugs.total_open` is 120.
    """
    field = CustomField('21', 'Severity', 'enum', (HIGH, LOW))
    bugs = [bug(asana) for _ in range(120)]
    for one in bugs:
        give(asana, field, one, HIGH)
    asana.twice.add(bugs[0].gid)
    run = Driver.of(asana, bugs_severity_field='Severity').run()
    sections = [run.require(f'{BUGS}{kind}_count') for kind in ('triage', 'active', 'backlog', 'other')]
    ages = run.series('metta.asana.bugs.open_by_age')
    sums = [sum(run.series(SEVERITY).values()), sum(sections), sum(ages.values())]
    assert (sums, run.value(f'{BUGS}total_open')) == ([120, 120, 120], 120)
