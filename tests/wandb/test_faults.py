"""Faults of W&B: the message to the user, and the figures that stay."""

from __future__ import annotations

import json

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.core.source import CACHE_KEY
from metta_checks.testing import Driver, as_truth
from metta_checks.wandb import run_sync
from sandbox.wandb.data import EVALS, MAIN

pytestmark = pytest.mark.integration

ACTIVE = 'metta.wandb.runs.active'
DURATION = 'metta.wandb.training.avg_duration_hours'
UTILIZATION = 'metta.wandb.training.gpu_utilization_avg'
COUNTED = (ACTIVE, DURATION, UTILIZATION)


@pytest.fixture
def wandb(serve):
    return serve('wandb', scale=0.2, activity=False)


@pytest.fixture
def driver(wandb):
    """Return a driver of the small project alone that has refreshed once."""
    one = Driver.of(wandb, projects=[EVALS])
    assert one.run().error == ''
    wandb.log.clear()
    wandb.pass_time(900)
    return one


def shown(run):
    return [run.value(name) for name in COUNTED]


def fail_operation(service, operation, body, status=200):
    """Answer one operation in another way, which no fault of HTTP can do. Return the repair."""
    answer = service.answer

    def changed(request):
        real = answer(request)
        if request.path == '/graphql' and request.get_json()['operationName'] == operation:
            return service.json(body(real.get_json()) if callable(body) else body, status)
        return real

    service.answer = changed
    return lambda: setattr(service, 'answer', answer)


def test_a_wrong_key_is_critical_and_asks_once(wandb):
    run = Driver.of(wandb, api_key='wrong' * 8).run()
    assert run.error.startswith('wandb (metta-ai): metta, block runs: POST /graphql at 127.0.0.1')
    assert 'the credentials were not accepted: user is not logged in; check option `api_key`' in run.error
    assert run.status == AgentCheck.CRITICAL
    assert run.errors()['runs', 'auth'] == 2
    assert run.names == set()
    assert len(wandb.log) == 1
    assert 'wrongwrong' not in run.error + str(run.warnings)


def test_a_key_that_stops_working_keeps_the_old_figures_for_a_while_then_shows_nothing(wandb, driver):
    before = shown(driver.run())
    wandb.faults.add('status', status=401)
    for _ in range(3):
        wandb.pass_time(900)
        run = driver.run()
        assert run.status == AgentCheck.CRITICAL
    assert shown(run) == before
    wandb.pass_time(900)
    assert shown(driver.run()) == [None, None, None]
    wandb.faults.clear()
    wandb.pass_time(900)
    wandb.log.clear()
    again = driver.run()
    assert shown(again)[:2] == before[:2]
    # After a refusal, the check asks again for the user of the key.
    assert json.loads(wandb.log[0].body)['operationName'] == 'Viewer'


def test_an_anonymous_key_is_refused(wandb):
    fail_operation(wandb, 'Viewer', {'data': {'viewer': None}})
    run = Driver.of(wandb).run()
    assert 'W&B does not recognize the API key; check option `api_key`' in run.error
    assert run.status == AgentCheck.CRITICAL


def test_a_missing_permission_is_critical(wandb):
    wandb.faults.add('status', status=403)
    run = Driver.of(wandb, projects=[MAIN]).run()
    assert (
        'permission denied: fault; the user or service account of option `api_key` must be a member of the team'
        in run.error
    )
    assert run.status == AgentCheck.CRITICAL
    assert set(run.errors()) == {(block, 'permission') for block in ('runs', 'counts', 'gpus')}


def test_a_rate_limit_pauses_all_projects_keeps_the_figures_and_ends_by_itself(wandb):
    driver = Driver.of(wandb)
    before = driver.run()
    wandb.requests_left = 1
    wandb.reset_seconds = 120
    wandb.pass_time(900)
    wandb.log.clear()
    run = driver.run()
    # The headers of the one answer announce the limit: no project sends another request.
    assert len(wandb.log) == 1
    assert run.error == ''
    assert run.status == AgentCheck.WARNING
    assert 'the rate limit of W&B is used up (HTTP 200): nothing is sent before' in run.message
    assert 'rate_limit' in {reason for _, reason in run.errors()}
    assert run.value(ACTIVE, f'project:{MAIN}') == before.value(ACTIVE, f'project:{MAIN}') == 45
    assert run.value('metta.collector.rate_limit.remaining') == 0
    wandb.pass_time(60)
    driver.run()
    assert len(wandb.log) == 1
    wandb.pass_time(60)
    wandb.log.clear()
    assert driver.run().status == AgentCheck.OK
    assert len(wandb.log) >= 3


def test_a_429_without_other_headers_is_understood(serve):
    wandb = serve('wandb', scale=0.2, activity=False, rate_headers='on_429')
    driver = Driver.of(wandb, projects=[EVALS])
    first = driver.run()
    assert first.value('metta.collector.rate_limit.remaining') is None
    wandb.faults.add('status', status=429, times=1)
    wandb.pass_time(900)
    run = driver.run()
    assert run.status == AgentCheck.WARNING
    assert shown(run) == shown(first)
    wandb.log.clear()
    wandb.pass_time(59)
    driver.run()
    assert wandb.log == []
    wandb.pass_time(1)
    assert driver.run().status == AgentCheck.OK


def test_the_wait_of_a_429_is_the_servers(wandb, driver):
    wandb.faults.add('status', status=429, headers={'RateLimit-Reset': '300', 'RateLimit-Remaining': '0'}, times=1)
    driver.run()
    wandb.log.clear()
    wandb.pass_time(299)
    driver.run()
    assert wandb.log == []
    wandb.pass_time(1)
    assert driver.run().status == AgentCheck.OK


# Mistake 4 of the first system: any error became a count of 0.
@pytest.mark.parametrize(
    ('fault', 'reason', 'said'),
    [
        ({'kind': 'status', 'status': 500}, 'http_5xx', 'answered HTTP 500'),
        ({'kind': 'status', 'status': 503}, 'http_5xx', 'answered HTTP 503'),
        ({'kind': 'reset'}, 'unreachable', 'no connection'),
        ({'kind': 'truncate'}, 'cut_off', 'the answer broke off in the middle'),
        ({'kind': 'not_json'}, 'bad_payload', 'that are not JSON'),
        ({'kind': 'status', 'status': 404}, 'not_found', 'is option `api_url` the address of a W&B server'),
        ({'kind': 'status', 'status': 200, 'body': '[]'}, 'bad_payload', 'answered list, not an object'),
        ({'kind': 'status', 'status': 200, 'body': '{}'}, 'bad_payload', 'W&B sent one answer without data'),
    ],
)
def test_an_outage_keeps_the_old_figures_then_shows_nothing_never_zero(wandb, driver, fault, reason, said):
    before = shown(driver.run())
    wandb.faults.add(**fault)
    wandb.pass_time(900)
    run = driver.run()
    assert said in run.error
    assert run.status == AgentCheck.CRITICAL
    assert set(run.errors()) == {(block, reason) for block in ('runs', 'counts', 'gpus')}
    assert shown(run) == before
    wandb.pass_time(3 * 900)
    gone = driver.run()
    assert shown(gone) == [None, None, None]
    assert not gone.names


def test_a_server_that_hangs_times_out(wandb, driver):
    before = shown(driver.run())
    wandb.faults.add('slow', seconds=700)
    wandb.pass_time(900)
    run = driver.run()
    assert 'the answer came too slowly' in run.message
    # The refresh has no time left for the other blocks.
    assert run.errors() == {('runs', 'timeout'): 1, ('counts', 'budget'): 1, ('gpus', 'budget'): 1}
    assert shown(run) == before


def test_an_option_says_how_long_to_wait(wandb):
    wandb.faults.add('silent', times=1)
    wandb.faults.add('reset')
    run = Driver.of(wandb, projects=[EVALS], read_timeout=1).run()
    assert 'gave no answer within 1 s' in run.error
    assert '`read_timeout` gives W&B more time' in run.error


def test_one_hiccup_is_not_noticed(wandb, driver):
    wandb.faults.add('status', status=502, times=1)
    run = driver.run()
    assert run.status == AgentCheck.OK
    assert run.requests == 4


# Mistake 17: one try around everything.
@pytest.mark.parametrize(
    ('operation', 'block', 'index'), [('Counts', 'counts', 0), ('Runs', 'runs', 1), ('Running', 'gpus', 2)]
)
def test_one_block_fails_alone_and_partial_data_is_no_data(wandb, driver, operation, block, index):
    before = shown(driver.run())
    wandb.end_run(wandb.run(EVALS, state='running'))
    wandb.pass_time(900)
    repair = fail_operation(
        wandb, operation, lambda real: {**real, 'errors': [{'message': 'upstream\ntimed out', 'path': ['project']}]}
    )
    run = driver.run()
    assert run.error == ''
    assert run.errors() == {(block, 'rejected'): 1}
    [warning] = run.warnings
    assert warning == f'wandb (metta-ai): {EVALS}, block {block}: W&B refused the query {operation}: upstream timed out'
    assert shown(run)[index] == before[index]
    assert [value != old for value, old in zip(shown(run), before, strict=True)].count(True) == 2
    repair()
    wandb.pass_time(900)
    assert driver.run().status == AgentCheck.OK


def test_half_a_page_is_noticed(serve):
    wandb = serve('wandb', activity=False)
    driver = Driver.of(wandb, projects=[MAIN])
    before = shown(driver.run())
    wandb.half_pages = True
    wandb.pass_time(900)
    run = driver.run()
    assert set(run.errors()) == {('runs', 'bad_payload'), ('gpus', 'bad_payload')}
    assert 'the answer is not complete' in run.warnings[0]
    assert shown(run)[1:] == before[1:]


@pytest.mark.parametrize('cursor', ['again', '', None, 5, ['again']])
def test_pages_that_lead_nowhere_are_not_followed_forever(wandb, driver, cursor):
    answers: list[dict[str, object]] = []

    def promise(real):
        if not answers:
            real['data']['project']['runs']['pageInfo'] = {'hasNextPage': True, 'endCursor': cursor}
            answers.append(real)
        return answers[0]

    fail_operation(wandb, 'Running', promise)
    run = driver.run()
    assert run.errors() == {('gpus', 'bad_payload'): 1}
    assert 'does not say where it begins' in run.warnings[0]
    assert len(wandb.log) < 8


@pytest.mark.parametrize('node', [None, 5, {}, {'name': 'x'}])
def test_a_run_that_cannot_be_read_is_left_out_and_named_as_a_problem(wandb, driver, node):
    def spoil(real):
        real['data']['project']['runs']['edges'][0]['node'] = node
        return real

    before = shown(driver.run())
    fail_operation(wandb, 'Runs', spoil)
    wandb.pass_time(900)
    run = driver.run()
    assert run.errors() == {('runs', 'bad_payload'): 1}
    assert 'runs left out because they have no id, state or creation time: 1' in run.warnings[0]
    assert run.status == AgentCheck.WARNING
    # The run that was live before does not count as deleted.
    assert shown(run)[:2] == before[:2]
    assert run.value('metta.wandb.training.elapsed_hours.max') == pytest.approx(2.25 + 0.25)


def test_a_damaged_summary_is_named_as_a_problem(wandb, driver):
    def spoil(real):
        real['data']['project']['runs']['edges'][0]['node']['summaryMetrics'] = '{"accuracy": 0.'
        return real

    fail_operation(wandb, 'Runs', spoil)
    run = driver.run()
    assert 'runs with a summary or configuration that is left out because it cannot be read: 1' in run.warnings[0]
    assert None not in shown(run)


def test_damaged_readings_are_named_as_a_problem(wandb, driver):
    def spoil(real):
        real['data']['project']['runs']['edges'][0]['node']['systemMetrics'] = 'NaN'
        return real

    fail_operation(wandb, 'Running', spoil)
    run = driver.run()
    assert 'runs without figures because their system metrics could not be read: 1' in run.warnings[0]
    assert shown(run)[2] is not None


def test_a_count_that_is_no_number_fails_the_block(wandb, driver):
    def spoil(real):
        real['data']['project']['total'] = None
        return real

    fail_operation(wandb, 'Counts', spoil)
    run = driver.run()
    assert run.errors() == {('counts', 'bad_payload'): 1}
    assert 'W&B sent one answer without total' in run.warnings[0]


def test_an_interrupted_first_read_goes_on_where_it_stopped(serve):
    wandb = serve('wandb', activity=False)
    wandb.faults.add('status', status=500, after=5, times=1)
    driver = Driver.of(wandb, projects=[MAIN], page_size=50)
    first = driver.run()
    assert first.errors() == {('runs', 'http_5xx'): 1}
    assert first.value(DURATION) is None
    wandb.pass_time(60)
    wandb.log.clear()
    second = driver.run()
    assert second.errors() == {}
    pages = [json.loads(entry.body) for entry in wandb.log if json.loads(entry.body)['operationName'] == 'Runs']
    # 259 rows: three pages were there already.
    assert len(pages) == 3
    assert pages[0]['variables']['after'] is not None
    truth = as_truth(wandb.truth(wandb.clock.now()))
    [expected] = [value for (name, tags), value in truth.items() if name == DURATION and f'project:{MAIN}' in tags]
    assert second.value(DURATION) == pytest.approx(expected, rel=1e-3)


def test_a_cursor_that_the_server_has_forgotten_begins_again(serve):
    wandb = serve('wandb', activity=False)
    wandb.faults.add('status', status=500, after=5, times=1)
    driver = Driver.of(wandb, projects=[MAIN], page_size=50)
    driver.run()
    repair = fail_operation(wandb, 'Runs', {'errors': [{'message': 'invalid cursor'}]})
    wandb.pass_time(60)
    assert driver.run().errors() == {('runs', 'rejected'): 1}
    repair()
    wandb.pass_time(900)
    wandb.log.clear()
    assert driver.run().errors() == {}
    pages = [json.loads(entry.body) for entry in wandb.log if json.loads(entry.body)['operationName'] == 'Runs']
    assert pages[0]['variables']['after'] is None


def test_a_table_beyond_its_limit_is_cut_and_says_so(serve, monkeypatch):
    wandb = serve('wandb', activity=False)
    whole = Driver.of(wandb, projects=[MAIN], tags=['whole:yes']).run()
    monkeypatch.setattr(run_sync, 'MAX_ROWS', 100)
    driver = Driver.of(wandb, projects=[MAIN], max_rows_per_refresh=100)
    run = driver.run()
    assert 'more than 100 runs in 7 days' in run.warnings[0]
    assert run.value('metta.collector.truncated', 'block:runs') == 1
    # The live runs are all there, whenever they were created, and the newest ones of the others.
    for name in ('training.elapsed_hours.avg', 'training.elapsed_hours.max', 'runs.pending_hours.max'):
        assert run.value(f'metta.wandb.{name}') == pytest.approx(whole.require(f'metta.wandb.{name}'))
    assert run.value('metta.wandb.training.duration_hours') is not None
    # A refresh of changes does not complete the table.
    wandb.pass_time(900)
    assert driver.run().value('metta.collector.truncated', 'block:runs') == 1


def test_a_state_of_another_version_is_read_again(wandb):
    driver = Driver.of(wandb, projects=[EVALS])
    driver.run()
    text = driver.check.read_persistent_cache(CACHE_KEY)
    driver.check.write_persistent_cache(CACHE_KEY, text.replace('"reread_at":', '"format":1,"reread_at":'))
    wandb.pass_time(900)
    run = Driver.of(wandb, projects=[EVALS]).run()
    assert (run.error, run.warnings) == ('', [])
    assert None not in shown(run)


def test_an_unknown_entity(wandb):
    run = Driver.of(wandb, entity='nobody', projects=None).run()
    assert 'W&B shows no entity `nobody` to this key: no such entity, or no access' in run.error
    assert run.status == AgentCheck.CRITICAL


def test_a_list_of_projects_that_came_late_does_not_wait_for_the_next_refresh(wandb):
    driver = Driver.of(wandb, projects=[])
    wandb.faults.add('status', status=500, times=1)
    assert driver.run().status == AgentCheck.CRITICAL
    wandb.pass_time(60)
    run = driver.run()
    assert run.error == ''
    assert run.value(ACTIVE, f'project:{MAIN}') == 45


def test_an_unreachable_server(wandb):
    run = Driver.of(wandb, api_url='http://127.0.0.1:1', projects=[EVALS]).run()
    assert 'POST /graphql at 127.0.0.1:1: no connection' in run.error
    assert 'check option `api_url`, DNS and the proxy options' in run.error
    assert run.status == AgentCheck.CRITICAL
