"""Failures: the message for the user, and the figures that are still sent."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver, as_truth
from sandbox.skypilot.service import Failure

pytestmark = pytest.mark.integration

PREFIX = 'metta.skypilot.'
RUNNING = 'metta.skypilot.jobs.running'
FAILED = 'metta.skypilot.jobs.failed_7d'
CLUSTERS = 'metta.skypilot.clusters.active'
COST = 'metta.skypilot.cost.hourly_usd'
USERS = 'metta.skypilot.users.active_count'
UP = 'metta.skypilot.controller.up'
ALL = (RUNNING, FAILED, CLUSTERS, COST, USERS)


@pytest.fixture
def sky(serve):
    return serve('skypilot', scale=0.3, activity=False)


@pytest.fixture
def driver(sky):
    """Return a driver that has refreshed once; the next refresh is due, with one running job less."""
    one = Driver.of(sky)
    assert one.run().error == ''
    sky.life.end(next(job for job in sky.jobs.values() if job.status == 'RUNNING'), 'SUCCEEDED')
    sky.pass_time(900)
    sky.log.clear()
    return one


def shown(run):
    return [run.value(name) for name in ALL]


def shown_owners(sky):
    jobs = [job for job in sky.jobs.values() if job.current.ended is None]
    up = [cluster for cluster in sky.clusters if cluster.job is None and cluster.status == 'UP']
    return {one.owner for one in (*jobs, *up)}


def posted(sky):
    return [entry.path for entry in sky.log if entry.method == 'POST']


class TestCredentials:
    @pytest.mark.parametrize('credentials', [{'token': 'sky_wrongwrong'}, {'token': None}])
    def test_a_wrong_or_missing_token_is_critical_and_asks_once(self, sky, credentials):
        run = Driver.of(sky, **credentials).run()
        assert run.error.startswith('skypilot: block jobs: POST /jobs/queue/v2 at 127.0.0.1:')
        assert 'the credentials were not accepted: Authentication required; check option `token`' in run.error
        assert run.status == AgentCheck.CRITICAL
        assert run.errors() == {(block, 'auth'): 1 for block in ('jobs', 'clusters', 'cost')}
        assert run.names == set()
        assert posted(sky) == ['/jobs/queue/v2']
        assert 'wrongwrong' not in run.error + str(run.warnings) + str(run.service_check)

    def test_basic_authentication(self, serve):
        service = serve('skypilot', scale=0.3, activity=False, auth='basic')
        assert Driver.of(service).run().value(RUNNING) == 46
        run = Driver.of(service, password='guessed', refresh_interval=0).run()
        assert run.status == AgentCheck.CRITICAL
        assert 'guessed' not in run.error

    def test_a_server_without_authentication(self, serve):
        service = serve('skypilot', scale=0.3, activity=False, auth='none')
        assert Driver.of(service).run().value(RUNNING) == 46

    def test_a_login_proxy_wants_a_service_account(self, serve):
        service = serve('skypilot', scale=0.3, activity=False, auth='oauth2')
        run = Driver.of(service, token=None).run()
        assert 'a redirect to login.metta-ai.example, probably a page to sign in' in run.error
        assert 'behind an OAuth2 proxy, set option `token`' in run.error
        assert run.status == AgentCheck.CRITICAL
        assert len(service.log) == 1
        assert Driver.of(service, refresh_interval=0).run().value(RUNNING) == 46

    def test_a_login_page_is_recognized(self, sky, driver):
        sky.faults.add('not_json')
        run = driver.run()
        assert run.status == AgentCheck.CRITICAL
        assert 'answered a web page instead of JSON: a page to sign in, or another server' in run.error
        assert len(sky.log) == 1

    def test_an_account_without_the_role(self, sky):
        sky.may_read = False
        run = Driver.of(sky).run()
        assert 'give the account of option `token` or `username` the role viewer' in run.error
        assert run.status == AgentCheck.CRITICAL
        assert posted(sky) == ['/jobs/queue/v2']

    def test_a_token_that_is_revoked_keeps_the_old_figures_for_a_while_then_shows_nothing(self, sky, driver):
        before = shown(driver.run())
        sky.faults.add('status', status=401)
        for _ in range(3):
            sky.pass_time(900)
            assert shown(driver.run()) == before
        sky.pass_time(900)
        assert shown(driver.run()) == [None] * 5
        sky.faults.clear()
        sky.pass_time(900)
        assert shown(driver.run())[:1] == [45]


class TestConfiguration:
    def test_two_identities(self, sky):
        run = Driver.of(sky, username='a', password='b').run()
        assert run.error == 'skypilot: options `token` and `username` exclude each other: set one'
        assert run.status == AgentCheck.CRITICAL

    def test_wrong_prices(self, sky):
        run = Driver.of(sky, prices={'l4': 0.8}).run()
        assert 'skypilot: option `prices`: l4 needs USD per GPU-hour as `ondemand`, `spot` or both' in run.error

    def test_no_address(self):
        run = Driver({'source': 'skypilot'}).run()
        assert 'option `api_server_url` is missing' in run.error

    def test_no_server_listens(self, sky, driver):
        run = Driver.of(sky, api_server_url='http://127.0.0.1:9').run()
        assert run.error.startswith('skypilot: block jobs: GET /api/health at 127.0.0.1:9: no connection')
        assert 'check option `api_server_url`, DNS and the proxy options' in run.error
        assert run.status == AgentCheck.CRITICAL
        # All blocks wait: apart from the two requests for the version, nothing was sent.
        assert run.requests == 2

    def test_another_web_server(self, sky):
        run = Driver.of(sky, api_server_url=f'{sky.url}/elsewhere').run()
        assert 'not found; check that option `api_server_url` is the address of a SkyPilot API server' in run.error


class TestOneBlockFails:
    @pytest.mark.parametrize(
        ('path', 'stale', 'others'),
        [
            ('/jobs/queue/v2', RUNNING, (CLUSTERS, COST)),
            ('/status', CLUSTERS, (RUNNING, COST)),
            ('/cost_report', COST, (RUNNING, CLUSTERS, USERS)),
        ],
    )
    @pytest.mark.parametrize(
        'fault', [{'kind': 'status', 'status': 503}, {'kind': 'status'}, {'kind': 'reset'}, {'kind': 'truncate'}]
    )
    def test_the_others_go_on_and_the_old_figures_stay(self, sky, driver, path, stale, others, fault):
        before = driver.check.snapshot.block('', 'jobs').gauges
        sky.faults.add(path=path, **fault)
        run = driver.run()
        assert run.error == ''
        assert run.status == AgentCheck.WARNING
        assert run.value(stale) is not None
        assert all(run.value(name) is not None for name in others)
        assert run.value(RUNNING) == (46 if stale == RUNNING else 45)
        if stale == RUNNING:
            assert driver.check.snapshot.block('', 'jobs').gauges == before
        sky.faults.clear()
        # The block is tried again after a minute, before the next refresh.
        sky.clock.advance(60)
        run = driver.run()
        assert run.value(RUNNING) == 45
        assert run.status == AgentCheck.OK
        assert run.value(USERS) == len(shown_owners(sky))

    def test_users_need_jobs_and_clusters_of_the_same_refresh(self, sky, driver):
        sky.faults.add('status', status=503, path='/status')
        run = driver.run()
        assert run.errors()['users', 'dependency'] == 1
        assert run.value(USERS) == 24
        # Without the clusters, nobody knows which of those in status INIT have machines: the last figures stay.
        assert run.errors()['cost', 'dependency'] == 1
        assert run.value(COST) is not None

    def test_a_refused_request_has_the_reason_of_the_server(self, sky, driver):
        body = '{"detail": [{"type": "missing", "loc": ["body", "all_users"], "msg": "Field required"}]}'
        sky.faults.add('status', status=422, path='/status', body=body)
        run = driver.run()
        assert 'HTTP 422: the server does not accept the request: body.all_users: Field required' in run.warnings[0]
        assert run.errors()['clusters', 'rejected'] == 1

    def test_another_version_of_the_interface(self, sky, driver):
        body = '{"error": "version_mismatch", "message": "Your SkyPilot client is too old."}'
        sky.faults.add('status', status=400, path='/jobs/queue/v2', body=body)
        assert 'does not accept the request: Your SkyPilot client is too old.' in driver.run().warnings[0]

    def test_a_rate_limit_of_a_proxy(self, sky, driver):
        sky.faults.add('status', status=429, path='/jobs/queue/v2', headers={'Retry-After': '120'})
        run = driver.run()
        assert run.error == ''
        assert 'SkyPilot says that the rate limit is used up (HTTP 429): nothing is sent before' in run.message
        assert run.value(RUNNING) == 46
        sky.faults.clear()
        sky.log.clear()
        sky.clock.advance(60)
        driver.run()
        assert sky.log == []
        sky.clock.advance(61)
        assert driver.run().value(RUNNING) == 45

    def test_a_row_that_cannot_be_read_is_left_out_with_a_warning(self, sky, driver):
        rows = sky._rows
        sky._rows = lambda jobs, fields: [*rows(jobs, fields), {'job_id': None, 'status': 'RUNNING'}]
        run = driver.run()
        assert run.value(RUNNING) == 45
        assert 'block jobs: 1 rows of the job queue could not be read and are left out' in run.warnings[0]
        assert run.status == AgentCheck.WARNING

    def test_an_answer_without_jobs(self, sky, driver):
        sky._queue_v2 = lambda body: {'total': 3}
        run = driver.run()
        assert 'the job queue has no list of jobs' in run.warnings[0]
        assert run.errors()['jobs', 'bad_payload'] == 1
        assert run.value(RUNNING) == 46

    def test_only_the_price_list_is_missing(self, sky):
        sky.faults.add('status', status=422, path='/list_accelerators')
        run = Driver.of(sky).run()
        assert run.error == ''
        assert 'block cost: the price list is not available' in run.warnings[0]
        assert run.value(f'{PREFIX}cost.unpriced_clusters') == 5
        assert run.require(COST) > 0

    def test_an_outage_of_the_price_list_is_not_a_fall_in_costs(self, sky):
        sky.faults.add('status', status=503, path='/list_accelerators', times=1)
        impatient = Driver.of(sky)
        run = impatient.run()
        assert run.errors() == {('cost', 'http_5xx'): 1}
        assert run.value(COST) is None
        assert run.value(f'{PREFIX}cost.unpriced_clusters') is None
        sky.clock.advance(60)
        run = impatient.run()
        assert run.value(f'{PREFIX}cost.unpriced_clusters') == 4


class TestResults:
    def test_a_slow_result_is_fetched_later_under_the_same_id(self, sky, driver):
        sky.delay['jobs.queue_v2'] = 90
        impatient = Driver.of(sky, result_timeout=30)
        run = impatient.run()
        assert run.errors() == {('jobs', 'timeout'): 1, ('users', 'dependency'): 1}
        assert (
            'the server has not finished `jobs` within 30 s; the next run asks for the same result' in run.warnings[0]
        )
        assert run.value(RUNNING) == 46
        first = impatient.check.memory.operations['jobs'].id
        sky.clock.advance(60)
        # A restart does not change this.
        run = Driver.of(sky).run()
        assert run.value(RUNNING) == 45
        assert posted(sky).count('/jobs/queue/v2') == 1
        assert ('/api/get', f'request_id={first}') in [(entry.path, entry.query) for entry in sky.log]
        # The users wait for jobs and clusters of the same time, in the next full refresh.
        assert run.warnings == ['skypilot: block users: needs block `jobs`, which has no result']

    def test_a_late_result_is_of_the_time_when_it_was_asked_for(self, sky, driver):
        before = as_truth(sky.truth(sky.clock.now()))
        sky.delay['jobs.queue_v2'] = 90
        impatient = Driver.of(sky, result_timeout=30, refresh_interval=300)
        impatient.run()
        sky.pass_time(210)
        run = impatient.run()
        for name in ('jobs.runtime_seconds.max', 'jobs.runtime_seconds.avg', 'jobs.running'):
            assert run.value(PREFIX + name) == pytest.approx(before[PREFIX + name, ()])
        assert run.value('metta.collector.data_age_seconds', 'block:jobs') == 300
        assert run.value('metta.collector.data_age_seconds', 'block:gpus') == 300
        assert run.value('metta.collector.data_age_seconds', 'block:clusters') == 0
        # These need jobs and clusters of the same time.
        assert run.value('metta.collector.data_age_seconds', 'block:users') != 0
        sky.delay.clear()
        sky.pass_time(300)
        run = impatient.run()
        assert run.value('metta.collector.data_age_seconds', 'block:jobs') == 0
        assert run.value('metta.collector.data_age_seconds', 'block:users') == 0
        assert run.status == AgentCheck.OK

    def test_a_result_that_was_cut_off_is_submitted_again(self, sky, driver):
        driver = Driver.of(sky, refresh_interval=300)
        driver.run()
        sky.faults.add('truncate', path='/api/get', times=2)
        sky.pass_time(300)
        driver.run()
        sky.pass_time(300)
        run = driver.run()
        assert run.value('metta.collector.data_age_seconds', 'block:jobs') == 0
        now = as_truth(sky.truth(sky.clock.now()))
        assert run.value(f'{PREFIX}jobs.runtime_seconds.max') == now[f'{PREFIX}jobs.runtime_seconds.max', ()]

    def test_an_id_is_given_up_after_ten_minutes(self, sky, driver):
        sky.delay['jobs.queue_v2'] = 90
        impatient = Driver.of(sky, result_timeout=30)
        impatient.run()
        sky.delay.clear()
        sky.clock.advance(511)
        assert impatient.run().value(RUNNING) == 45
        assert posted(sky).count('/jobs/queue/v2') == 2

    def test_an_id_that_the_server_forgot_is_dropped(self, sky, driver):
        sky.delay['jobs.queue_v2'] = 90
        impatient = Driver.of(sky, result_timeout=30)
        impatient.run()
        sky.delay.clear()
        sky.forget()
        sky.clock.advance(60)
        run = impatient.run()
        assert run.errors()['jobs', 'lost'] == 1
        assert 'the server lost `jobs` after accepting it; the next run submits it again' in run.warnings[0]
        sky.clock.advance(120)
        assert impatient.run().value(RUNNING) == 45

    def test_a_restart_of_the_server_interrupts(self, sky, driver):
        answer = sky._get
        sky._get = lambda request_id: (sky.restart(), answer(request_id))[1]
        run = driver.run()
        assert run.errors()['jobs', 'interrupted'] == 1
        assert 'block jobs: the server was restarted during `jobs`; the next run submits it again' in run.error
        assert run.value(RUNNING) == 46
        sky._get = answer
        sky.clock.advance(60)
        assert driver.run().value(RUNNING) == 45

    def test_a_damaged_envelope(self, sky, driver):
        sky.faults.add('status', status=200, path='/api/get', body='{"return_value": "{half"}')
        run = driver.run()
        assert 'the result of `jobs` is not valid JSON (5 characters)' in run.error
        assert {reason for _, reason in run.errors()} == {'bad_payload'}

    def test_no_request_id(self, sky, driver):
        answer = sky.answer

        def without_ids(request):
            response = answer(request)
            if request.path == '/status':
                del response.headers['X-Skypilot-Request-ID']
            return response

        sky.answer = without_ids
        assert 'POST /status at 127.0.0.1' in driver.run().warnings[0]
        sky.pass_time(900)
        assert 'answered without a request id' in driver.run().warnings[0]

    def test_an_error_without_a_reason(self, sky, driver):
        sky.faults.add('status', status=500, path='/api/get', body='Internal Server Error', times=1)
        run = driver.run()
        assert run.errors()['jobs', 'http_5xx'] == 1

    def test_an_unknown_failure_has_the_reason_of_the_server(self, sky, driver):
        def broken(body):
            raise Failure('FileNotFoundError', 'no catalog\nvms.csv')

        sky._cost_report = broken
        run = driver.run()
        assert 'block cost: `cost` failed on the server with FileNotFoundError: no catalog vms.csv' in run.warnings[0]
        assert run.errors()['cost', 'failed'] == 1


class TestController:
    def test_an_idle_controller_is_not_a_failure(self, sky, driver):
        sky.controller = 'idle'
        run = driver.run()
        assert (run.error, run.warnings, run.service_check) == ('', [], (AgentCheck.OK, ''))
        assert (run.value(UP), run.value(RUNNING), run.value(f'{PREFIX}jobs.queued')) == (0, 0, 0)
        # The past is unknown, while the clusters are known.
        assert run.value(FAILED) is None
        assert run.value(f'{PREFIX}jobs.runtime_seconds.avg') is None
        assert run.series(f'{PREFIX}tasks.count') == {}
        assert run.value(CLUSTERS) == 2
        assert run.value(USERS) == 2
        assert not [tags for tags in run.series(f'{PREFIX}gpus.in_use') if 'kind:job' in tags]
        sky.controller = 'up'
        sky.pass_time(900)
        run = driver.run()
        assert (run.value(UP), run.value(RUNNING)) == (1, 45)
        assert run.series(f'{PREFIX}jobs.finished') == {('status:succeeded',): 1}

    def test_an_unreachable_controller_is_a_failure_of_the_jobs_only(self, sky, driver):
        sky.controller = 'unreachable'
        run = driver.run()
        assert run.error == ''
        assert run.status == AgentCheck.WARNING
        assert 'the server cannot reach the job controller: Failed to connect to jobs' in run.message
        assert run.value(UP) == 0
        assert run.value(RUNNING) == 46
        assert run.errors()['jobs', 'controller'] == 1
        sky.controller = 'up'
        sky.clock.advance(60)
        run = driver.run()
        assert (run.value(UP), run.value(RUNNING)) == (1, 45)

    def test_one_damaged_cluster_record_costs_the_machines_not_the_jobs(self, sky, driver):
        sky.bad_handle = True
        run = driver.run()
        assert (
            "`jobs` failed on the server with ModuleNotFoundError: No module named 'sky.backends.gone'"
            in run.warnings[0]
        )
        assert 'the next run asks without the fields that need the records of the clusters' in run.warnings[0]
        assert run.value(RUNNING) == 46
        sky.clock.advance(60)
        run = driver.run()
        assert run.value(RUNNING) == 45
        assert run.value(f'{PREFIX}jobs.queued') == 3
        assert run.value(f'{PREFIX}resources.gpus.total_count') is None
        assert run.value(f'{PREFIX}resources.spot_jobs') is None
        assert run.value(f'{PREFIX}regions.other') is None
        assert not [tags for tags in run.series(f'{PREFIX}gpus.in_use') if 'kind:job' in tags]
        assert run.status == AgentCheck.WARNING
        assert run.errors() == {('jobs', 'handles'): 1}
        assert 'GPUs, markets and regions of jobs are missing' in run.warnings[0]
        # The full query is tried again after an hour.
        sky.bad_handle = False
        sky.pass_time(900)
        assert driver.run().value(f'{PREFIX}regions.other') is None
        sky.pass_time(3600)
        run = driver.run()
        assert run.value(f'{PREFIX}regions.other') is not None
        assert run.status == AgentCheck.OK

    def test_a_queue_that_fails_with_both_queries_is_a_failure(self, sky, driver):
        def broken(body):
            raise Failure('OperationalError', 'database is locked')

        sky._queue_v2 = broken
        driver.run()
        sky.clock.advance(60)
        run = driver.run()
        assert 'block jobs: `jobs` failed on the server with OperationalError: database is locked' in run.warnings[0]
        assert run.errors()['jobs', 'failed'] == 1
        assert run.value(RUNNING) == 46


class TestLimits:
    def test_more_rows_than_allowed(self, sky):
        driver = Driver.of(sky, max_rows=30)
        run = driver.run()
        assert run.value('metta.collector.truncated', 'block:jobs') == 1
        assert '; only the newest' in run.warnings[0]
        assert run.status == AgentCheck.WARNING
        assert 0 < run.require(RUNNING) < 46
        before = run.value(RUNNING)
        # The next call has this limit, and still gets the server's own counts of tasks.
        sky.log.clear()
        sky.pass_time(900)
        run = driver.run()
        (body,) = [entry.body for entry in sky.log if entry.path == '/jobs/queue/v2']
        assert '"limit": 30' in body
        assert run.value(RUNNING) == before
        assert run.value(f'{PREFIX}tasks.count', 'status:running') == 46
        assert run.value('metta.collector.truncated', 'block:jobs') == 1

    def test_a_refresh_out_of_time_keeps_what_it_has(self, sky, driver):
        sky.delay['status'] = 90
        run = Driver.of(sky, refresh_timeout=60, result_timeout=600).run()
        assert run.errors() == {('clusters', 'timeout'): 1, ('cost', 'budget'): 1, ('users', 'dependency'): 1}
        assert run.value(RUNNING) == 45
        assert run.value(CLUSTERS) == 2
        assert run.status == AgentCheck.WARNING
