"""Faults of Asana: the message to the user, and the figures that stay."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from datadog_checks.base import AgentCheck
from werkzeug.wrappers import Response

from metta_checks.testing import Clock, Driver

from .rows import NOW
from .test_check import differences, paths, true_value

pytestmark = pytest.mark.integration

PREFIX = 'metta.asana.'
OPEN = f'{PREFIX}tasks.open'
BUGS_OPEN = f'{PREFIX}projects.bugs.total_open'
ACTIVE = f'{PREFIX}projects.active'
TOTAL = f'{PREFIX}tasks.total'
SHOWN = (OPEN, BUGS_OPEN, ACTIVE, TOTAL)


@pytest.fixture
def asana(serve):
    return serve('asana', tasks=300, bugs=60, projects=6, activity=False)


@pytest.fixture
def driver(asana):
    """Return a driver that has refreshed once, a quarter of an hour ago."""
    one = Driver.of(asana)
    assert one.run().error == ''
    asana.log.clear()
    asana.pass_time(900)
    return one


def shown(run):
    return [run.value(name) for name in SHOWN]


def change_answers(service, change, path=''):
    """Let `change` alter the body of answers to a path, which no fault of HTTP can do."""
    answer = service.answer

    def changed(request):
        real = answer(request)
        if path not in request.path or real.status_code != 200:
            return real
        return service.json(change(real.get_json()))

    service.answer = changed
    return lambda: setattr(service, 'answer', answer)


def bugs_path(service):
    return f'/api/1.0/projects/{service.bugs_project}/tasks'


# Credentials and permissions.


def test_a_wrong_token_is_critical_and_asks_once(asana):
    run = Driver.of(asana, access_token='2/wrong-token-wrong').run()
    assert run.error.startswith(f'asana ({asana.workspace.gid}): block projects: GET /api/1.0/users/me at 127.0.0.1')
    assert (
        'answered HTTP 401: the credentials were not accepted: Not Authorized; option `access_token` was rejected'
        in run.error
    )
    assert run.status == AgentCheck.CRITICAL
    assert run.errors() == {(block, 'auth'): 1 for block in ('projects', 'bugs', 'tasks', 'tasks_total')}
    assert run.names == set()
    assert len(asana.log) == 1
    assert 'wrong-token' not in run.error + str(run.warnings)


def test_a_token_that_is_revoked_keeps_the_figures_for_a_while_then_shows_nothing(asana, driver):
    before = shown(driver.run())
    asana.faults.add('status', status=401)
    for _ in range(3):
        asana.pass_time(900)
        run = driver.run()
        assert run.status == AgentCheck.CRITICAL
    assert shown(run) == before
    asana.pass_time(900)
    # The total is counted once a day, so it is kept for three days.
    assert shown(driver.run()) == [None, None, None, before[3]]
    asana.faults.clear()
    asana.pass_time(900)
    assert shown(driver.run()) == before


def test_a_missing_scope_is_critical(asana):
    asana.faults.add('status', status=403)
    run = Driver.of(asana).run()
    assert (
        'answered HTTP 403: permission denied: fault; the user or service account of option `access_token`' in run.error
    )
    assert run.status == AgentCheck.CRITICAL
    assert run.errors()['projects', 'permission'] == 1


def test_a_token_without_the_scope_to_tell_its_user_works(asana):
    asana.faults.add('status', status=403, path='*/users/me')
    run = Driver.of(asana).run()
    assert (run.error, run.warnings) == ('', [])
    assert differences(run, asana) == {}


def test_another_workspace_is_named_with_those_that_are_seen(asana):
    run = Driver.of(asana, workspace_gid='4711', bugs_project_gid=None).run()
    assert (
        'option `workspace_gid`: the token does not see workspace 4711; it sees: '
        f'{asana.workspace.gid} (metta-ai)' in run.error
    )
    assert run.status == AgentCheck.CRITICAL


@pytest.mark.parametrize('status', [403, 404])
def test_a_bugs_project_that_cannot_be_read_fails_alone(asana, status):
    asana.faults.add('status', status=status, path=bugs_path(asana), times=1)
    run = Driver.of(asana).run()
    reason = {403: 'permission', 404: 'not_found'}[status]
    assert run.error == ''
    assert run.errors() == {('bugs', reason): 1}
    assert f'the Bugs project {asana.bugs_project} (option `bugs_project_gid`) cannot be read' in run.warnings[0]
    assert '`bugs_project_gid`' in run.warnings[0]
    assert run.status == AgentCheck.WARNING
    assert run.value(BUGS_OPEN) is None
    assert run.value(OPEN) is not None


def test_a_wrong_gid_is_named(asana):
    run = Driver.of(asana, bugs_project_gid='Bugs').run()
    assert run.errors() == {('bugs', 'rejected'): 1}
    assert 'Asana says "project: Not a recognized ID: Bugs"' in run.warnings[0]
    assert run.value(OPEN) is not None


def test_a_closed_project_is_left_out_and_counted(asana):
    closed = [p.gid for p in asana.workspace.projects.values() if not p.archived][2]
    asana.closed.add(closed)
    run = Driver.of(asana).run()
    assert run.error == ''
    assert run.errors() == {('tasks', 'permission'): 1, ('tasks_total', 'permission'): 1}
    assert '1 project could not be read: its tasks are missing (permission)' in run.warnings[0]
    counted = [
        task
        for task in asana.workspace.tasks.values()
        if asana.workspace.counts(task)
        and not task.completed
        and any(not asana.workspace.projects[gid].archived and gid != closed for gid in task.memberships)
    ]
    assert run.value(OPEN) == len(counted)
    assert run.status == AgentCheck.WARNING


def test_when_all_projects_are_closed_no_zero_is_made_up(asana):
    asana.closed.update(asana.workspace.projects)
    run = Driver.of(asana).run()
    assert run.value(OPEN) is None
    assert run.value(TOTAL) is None
    assert run.value(ACTIVE) == 6
    assert set(run.errors()) == {(block, 'permission') for block in ('bugs', 'tasks', 'tasks_total')}


def test_an_optional_project_that_is_not_there_is_named(asana):
    run = Driver.of(asana, projects=['4711']).run()
    assert run.errors() == {('projects', 'not_found'): 1}
    assert 'option `projects`: 4711: no such project in the workspace' in run.warnings[0]
    assert run.series(f'{PREFIX}project.open') == {}


def test_a_token_that_sees_no_project_is_reported(asana):
    change_answers(asana, lambda body: {**body, 'data': [], 'next_page': None}, '/projects')
    run = Driver.of(asana, bugs_project_gid=None).run()
    assert 'the token sees no project in this workspace' in run.warnings[0]
    assert run.value(ACTIVE) is None
    assert run.status == AgentCheck.WARNING


# Rate limits.


def test_a_429_ends_the_run_at_once_and_the_figures_stay(asana, driver):
    before = shown(driver.run())
    asana.pass_time(900)
    asana.faults.add('status', status=429, headers={'Retry-After': '90'}, times=1)
    asana.log.clear()
    run = driver.run()
    assert len(asana.log) == 1
    assert run.error == ''
    assert run.status == AgentCheck.WARNING
    assert 'Asana says that the rate limit is used up (HTTP 429): nothing is sent before' in run.message
    assert run.errors()['projects', 'rate_limit'] == 1
    assert shown(run) == before
    asana.pass_time(60)
    driver.run()
    assert len(asana.log) == 1
    asana.pass_time(30)
    run = driver.run()
    assert paths(asana)[1:] == ['/projects', '/projects/BUGS/tasks', '/workspaces/-/tasks/search']
    assert run.service_check == (AgentCheck.OK, '')
    assert differences(run, asana) == {}


def test_a_crawl_goes_on_after_a_429_where_it_was(asana):
    driver = Driver.of(asana, tasks_total=False)
    asana.faults.add('status', status=429, headers={'Retry-After': '90'}, times=1, after=8)
    run = driver.run()
    assert len(asana.log) == 9
    assert run.value(OPEN) is None
    assert run.value(BUGS_OPEN) is not None
    asana.log.clear()
    asana.pass_time(90)
    run = driver.run()
    assert run.value(OPEN) == true_value(asana, OPEN)
    # The rest of the six lists, and none of them again. One search for changes that were made during the crawl.
    assert len(asana.log) == 6 - (8 - 4) + 1
    assert run.service_check == (AgentCheck.OK, '')


def test_a_429_survives_a_restart(asana):
    Driver.of(asana).run()
    asana.pass_time(900)
    asana.faults.add('status', status=429, headers={'Retry-After': '300'}, times=1)
    Driver.of(asana).run()
    asana.log.clear()
    asana.pass_time(60)
    run = Driver.of(asana).run()
    assert asana.log == []
    assert run.value(OPEN) is not None


def test_the_limit_of_the_plan_is_enforced_and_survived(serve):
    """Another program uses the same token: the budget cannot know."""
    service = serve('asana', tasks=300, bugs=60, projects=20, activity=False, rate_limit=15)
    driver = Driver.of(service)
    run = driver.run()
    assert [entry.status for entry in service.log].count(429) == 1
    for _ in range(12):
        if run.value(TOTAL) is not None:
            break
        service.pass_time(60)
        run = driver.run()
    assert (run.value(OPEN), run.value(TOTAL)) == (true_value(service, OPEN), true_value(service, TOTAL))


def test_the_night_with_a_429(serve):
    service = serve('asana', tasks=300, bugs=60, projects=6)
    driver = Driver.of(service, tasks_total=False)
    driver.run()
    statuses = []
    for _ in range(28):
        service.pass_time(900)
        statuses.append(driver.run().status)
    assert statuses.count(AgentCheck.WARNING) == 1
    service.pass_time(120)
    run = driver.run()
    assert run.service_check == (AgentCheck.OK, '')
    assert differences(run, service, but=['tasks.total']) == {}


def test_the_limit_of_search_leaves_the_rest_alone(asana, driver):
    asana.faults.add('status', status=429, headers={'Retry-After': '120'}, path='*/tasks/search', times=1)
    run = driver.run()
    assert run.errors() == {('tasks', 'rate_limit'): 1}
    assert None not in shown(run)
    asana.log.clear()
    asana.pass_time(120)
    run = driver.run()
    assert paths(asana) == ['/workspaces/-/tasks/search']
    assert run.status == AgentCheck.OK


# Outages.


def test_one_502_is_repeated_at_once(asana, driver):
    asana.faults.add('status', status=502, times=1)
    run = driver.run()
    assert (run.error, run.warnings) == ('', [])
    assert differences(run, asana) == {}


def test_a_service_that_is_down_keeps_the_figures_and_is_asked_again(asana, driver):
    before = shown(driver.run())
    asana.pass_time(900)
    asana.faults.add('status', status=503)
    run = driver.run()
    assert run.status == AgentCheck.CRITICAL
    assert 'answered HTTP 503' in run.error
    assert shown(run) == before
    asana.faults.clear()
    asana.pass_time(60)
    run = driver.run()
    assert run.service_check == (AgentCheck.OK, '')
    assert differences(run, asana) == {}


def test_a_failing_search_leaves_the_other_blocks_live(asana, driver):
    asana.faults.add('status', status=500, path='*/tasks/search', times=1)
    asana.create_task({asana.bugs_project: 'Triage'})
    before = driver.run()
    assert before.errors() == {('tasks', 'http_5xx'): 1}
    assert before.value(BUGS_OPEN) == true_value(asana, BUGS_OPEN)
    asana.pass_time(60)
    run = driver.run()
    assert differences(run, asana, but=['tasks.total', *AGES]) == {}
    assert run.value(OPEN) == before.require(OPEN) + 1


# The bugs were read a minute before the tasks.
AGES = (
    'projects.bugs.avg_age_days',
    'projects.bugs.oldest_bug_days',
    'bugs.age_days.p50',
    'bugs.age_days.p90',
)


@pytest.mark.parametrize(
    ('fault', 'reason', 'words'),
    [
        ({'kind': 'not_json'}, 'bad_payload', 'that are not JSON (text/html, HTTP 200): is there a proxy'),
        ({'kind': 'truncate'}, 'cut_off', 'the answer broke off in the middle'),
        ({'kind': 'reset'}, 'unreachable', 'no connection'),
        ({'kind': 'slow', 'seconds': 100}, 'timeout', 'the answer came too slowly'),
        ({'kind': 'status', 'status': 500, 'body': '<html>'}, 'http_5xx', 'answered HTTP 500'),
        ({'kind': 'status', 'status': 400, 'body': '[]'}, 'rejected', 'Asana says "no reason given"'),
    ],
)
def test_a_broken_list_fails_its_block_alone(asana, fault, reason, words):
    driver = Driver.of(asana)
    before = shown(driver.run())
    asana.pass_time(900)
    asana.faults.add(**fault, path=bugs_path(asana))
    run = driver.run()
    assert run.errors() == {('bugs', reason): 1}
    assert words in run.warnings[0]
    assert run.status == AgentCheck.WARNING
    assert shown(run) == before
    assert run.value('metta.collector.data_age_seconds', 'block:bugs') == 900
    assert run.value('metta.collector.data_age_seconds', 'block:tasks') == 0


def test_an_option_says_how_long_to_wait(asana):
    asana.faults.add('silent', times=1)
    asana.faults.add('reset')
    run = Driver.of(asana, read_timeout=1).run()
    assert 'gave no answer within 1 s' in run.error
    assert 'option `read_timeout` gives Asana more time' in run.error


def test_a_broken_crawl_goes_on_where_it_was(asana):
    driver = Driver.of(asana, tasks_total=False)
    asana.faults.add('reset', after=7, times=2)
    run = driver.run()
    assert run.value(OPEN) is None
    assert run.errors() == {('tasks', 'unreachable'): 1}
    done = {entry.path for entry in asana.log[4:7]}
    asana.log.clear()
    asana.pass_time(60)
    run = driver.run()
    assert run.value(OPEN) == true_value(asana, OPEN)
    assert not done & {entry.path for entry in asana.log}


@pytest.mark.parametrize('premium', [True, False])
def test_what_has_a_slow_rhythm_does_not_wait_for_it_after_a_failure(serve, premium):
    asana = serve('asana', tasks=200, bugs=30, projects=5, activity=False, premium=premium)
    asana.faults.add('not_json', path='*/tasks')
    driver = Driver.of(asana)
    assert set(driver.run().errors()) == {(block, 'bad_payload') for block in ('bugs', 'tasks', 'tasks_total')}
    asana.faults.clear()
    asana.pass_time(900)
    run = driver.run()
    assert run.errors() == {}
    assert differences(run, asana) == {}


def test_nobody_there():
    run = Driver(
        {
            'source': 'asana',
            'api_url': 'http://127.0.0.1:1/api/1.0',
            'access_token': '2/token/token',
            'workspace_gid': '1',
        },
        clock=Clock(NOW),
    ).run()
    assert 'no connection' in run.error
    assert 'check option `api_url`, DNS and the proxy options' in run.error
    assert run.status == AgentCheck.CRITICAL


def test_a_refresh_that_takes_too_long_ends(asana):
    driver = Driver.of(asana, refresh_timeout=60)
    asana.faults.add('slow', seconds=25)
    run = driver.run()
    assert run.errors() == {('bugs', 'timeout'): 1, ('tasks', 'budget'): 1, ('tasks_total', 'budget'): 1}
    assert run.value(OPEN) is None
    asana.faults.clear()
    for _ in range(3):
        asana.pass_time(60)
        run = driver.run()
    assert run.value(OPEN) is not None


# Answers of another form than documented.


def without(field, share):
    """Take a field out of a share of the rows."""

    def change(body):
        rows = body['data']
        for row in rows[: round(len(rows) * share)]:
            row.pop(field, None)
        return body

    return change


def test_rows_that_cannot_be_read_are_left_out_and_said(asana):
    change_answers(asana, without('gid', 0.4), bugs_path(asana))
    run = Driver.of(asana, tasks_total=False).run()
    assert run.errors()['bugs', 'bad_payload'] == 1
    assert any('bugs left out because they could not be read' in warning for warning in run.warnings)
    assert run.status == AgentCheck.WARNING
    assert 0 < run.require(BUGS_OPEN) < true_value(asana, BUGS_OPEN)


@pytest.mark.parametrize('share', [0.6, 1])
def test_a_page_that_is_mostly_unreadable_is_not_counted(asana, share):
    change_answers(asana, without('gid', share), bugs_path(asana))
    run = Driver.of(asana, tasks_total=False).run()
    assert run.value(BUGS_OPEN) is None
    assert 'rows lack the fields asked for' in run.warnings[0]
    assert run.errors()['bugs', 'bad_payload'] == 1


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda body: {**body, 'data': None}, '`data` is not a list'),
        (lambda body: {'errors': []}, '`data` is not a list'),
        (lambda body: [1], 'answered list, not an object'),
        (lambda body: {**body, 'next_page': {'offset': ''}}, 'does not say where it begins'),
        (lambda body: {**body, 'next_page': 'more'}, 'does not say where it begins'),
        (lambda body: {**body, 'next_page': {'offset': 7}}, 'does not say where it begins'),
    ],
)
def test_an_answer_of_another_shape_fails_its_block_alone(asana, driver, change, words):
    before = driver.run()
    asana.pass_time(900)
    restore = change_answers(asana, change, bugs_path(asana))
    run = driver.run()
    assert run.errors() == {('bugs', 'bad_payload'): 1}
    assert words in run.warnings[0]
    assert run.value(BUGS_OPEN) == before.value(BUGS_OPEN)
    restore()
    asana.pass_time(900)
    assert driver.run().errors() == {}


def test_an_offset_that_leads_back_to_itself_is_not_followed_forever(asana):
    answer = asana.answer

    def repeating(request):
        if request.path == bugs_path(asana):
            return Response(json.dumps({'data': [], 'next_page': {'offset': 'same'}}), content_type='application/json')
        return answer(request)

    asana.answer = repeating
    run = Driver.of(asana, tasks_total=False, requests_per_run=100).run()
    assert run.errors()['bugs', 'bad_payload'] == 1
    assert len([entry for entry in asana.log if entry.path == bugs_path(asana)]) <= 4


def test_an_offset_refused_in_the_bugs_project_is_asked_for_again_once(serve):
    asana = serve('asana', tasks=800, bugs=600, projects=3, activity=False, tasks_total=False)
    body = json.dumps({'errors': [{'message': 'offset: Your pagination token has expired'}]})
    asana.faults.add('status', status=400, body=body, path=bugs_path(asana), after=1, times=1)
    run = Driver.of(asana).run()
    assert (run.error, run.warnings) == ('', [])
    assert differences(run, asana) == {}


def test_a_stored_table_of_another_version_is_read_again(asana, driver):
    block = driver.check.snapshot.block('', 'tasks')
    block.state = replace(block.state, columns='gid color')
    run = driver.run()
    assert (run.error, run.warnings) == ('', [])
    assert '/projects/-/tasks' in paths(asana)
    assert differences(run, asana) == {}


def test_a_stored_table_of_another_shape_is_read_again(asana, driver):
    block = driver.check.snapshot.block('', 'tasks')
    block.state, block.is_raw = {'tasks': [['gid', 'color']]}, True
    run = driver.run()
    assert (run.error, run.warnings) == ('', [])
    assert '/projects/-/tasks' in paths(asana)
    assert differences(run, asana) == {}
