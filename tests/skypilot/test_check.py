"""The check on the sandbox: figures, requests, counts of changes, and restarts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth, compare
from sandbox.every_option import EVERY_OPTION
from sandbox.skypilot.shapes import SECRET
from sandbox.skypilot.truth_watch import Watch
from tests.field.skypilot.machines import add_cluster
from tests.seed_names import SKYPILOT

from .build import OF_MEMORY

pytestmark = pytest.mark.integration

PREFIX = 'metta.skypilot.'
DAY = 86400
# The sandbox does not know when the check refreshed, nor how long the answers took.
NOT_IN_TRUTH = {
    *OF_MEMORY,
    f'{PREFIX}api.result_seconds',
    *(PREFIX + metric.name for metric in catalog.load('skypilot').metrics if metric.type == 'count'),
}


@pytest.fixture
def sky(serve):
    """Serve the default organization, in which jobs change only when a test changes them."""
    return serve('skypilot', activity=False)


def differences(run, service, **options):
    """Return lines about the series on which the check and the truth disagree after a refresh."""
    ours = {key: value for key, value in run.figures().items() if key[0] not in NOT_IN_TRUTH}
    return compare(ours, as_truth(service.truth(service.clock.now(), options))).lines


def value(run, name, *tags):
    return run.value(PREFIX + name, *tags)


def test_the_sandbox_has_the_expected_figures(sky):
    run = Driver.of(sky).run()
    assert value(run, 'jobs.running') == 46
    buckets = [value(run, f'jobs.runtime_buckets.{name}') for name in ('0_1h', '1_4h', '4_24h', 'over_24h')]
    assert buckets == [2, 3, 4, 37]
    assert value(run, 'jobs.runtime_seconds.p99') / DAY == pytest.approx(14.01)
    assert (value(run, 'resources.spot_jobs'), value(run, 'resources.ondemand_jobs')) == (41, 7)
    assert value(run, 'resources.gpus.l4_count') == 184
    assert value(run, 'resources.gpus.total_count') == 235
    assert value(run, 'users.active_count') == 24
    assert value(run, 'jobs.queued') == 3
    assert value(run, 'jobs.count', 'status:recovering') == 2
    regions = [value(run, f'regions.{name}') for name in ('us_east_1', 'us_west_2', 'other')]
    assert regions == [30, 12, 6]
    assert value(run, 'clusters.active') == 2
    assert value(run, 'clusters.no_autostop') == 1
    assert value(run, 'clusters.age_hours.max') == pytest.approx(9 * 24, abs=0.001)
    # Some prices come from the price list, and some are not known at all.
    assert value(run, 'cost.unpriced_clusters') == 4
    assert 90 < value(run, 'cost.price_coverage_pct') < 100


@pytest.mark.parametrize('scale', [0.3, 1, 10])
def test_every_figure_is_the_truth_cold_warm_and_after_changes(serve, scale):
    service = serve('skypilot', scale=scale, activity=False)
    driver = Driver.of(service)
    run = driver.run()
    assert (run.error, run.warnings, run.service_check) == ('', [], (AgentCheck.OK, ''))
    assert differences(run, service) == []
    assert set(SKYPILOT) <= run.names

    running = [job for job in service.jobs.values() if job.status == 'RUNNING']
    service.life.end(running[0], 'FAILED')
    service.life.lose(running[5])
    service.life.end(running[6], 'SUCCEEDED')
    new = service.life.queue('new', service.organization.people[27])
    service.life.start(new)
    service.pass_time(900)
    run = driver.run()
    assert differences(run, service) == []
    assert value(run, 'jobs.starting_seconds.max') == 900
    assert value(run, 'users.active_count') == 25

    service.life.run(new)
    service.life.recover(running[5])
    service.pass_time(900)
    assert differences(driver.run(), service) == []


@pytest.mark.parametrize('consolidation', [True, False])
def test_rare_situations_and_options_give_the_truth(serve, consolidation):
    service = serve('skypilot', scale=0.3, rare=True, consolidation=consolidation)
    service.unreachable_clusters = {'dev-v100'}
    options = {**EVERY_OPTION['skypilot'], 'max_jobs': 200}
    driver = Driver.of(service, **options)
    for _ in range(4):
        run = driver.run()
        assert run.error == ''
        assert differences(run, service, **options) == []
        service.pass_time(7 * 3600)


def test_the_other_jobs_are_summed(serve):
    service = serve('skypilot', scale=0.3, rare=True, activity=False)
    run = Driver.of(service, per_job=True, max_jobs=5).run()
    assert differences(run, service, per_job=True, max_jobs=5) == []
    assert len(run.series(f'{PREFIX}job.gpus')) == 6


# Preemptions take a day of watching.
@pytest.mark.parametrize(('step', 'steps', 'unseen'), [(3600, 40, set()), (300, 60, {f'{PREFIX}jobs.preemptions_24h'})])
def test_what_is_remembered_is_what_somebody_sees_who_looks_as_often(serve, step, steps, unseen):
    service = serve('skypilot', scale=0.3)
    driver, watch = Driver.of(service, refresh_interval=60), Watch()
    seen = set()
    for _ in range(steps):
        run = driver.run()
        ours = {key: value for key, value in run.figures().items() if key[0] in OF_MEMORY}
        compared = compare(ours, as_truth(watch.look(service.jobs, service.clock.now())))
        assert compared.lines == []
        seen |= {name for name, _ in compared.equal}
        service.pass_time(step)
    assert seen == OF_MEMORY - unseen


def test_a_day_of_activity_is_followed_without_losing_or_repeating_a_job(serve):
    service = serve('skypilot')
    driver = Driver.of(service)
    driver.run()
    before = {job.number: job.status for job in service.jobs.values()}
    recovered = sum(task.recoveries for job in service.jobs.values() for task in job.tasks)
    finished: dict[str, float] = {}
    recoveries = queued = 0.0
    for _ in range(24):
        service.pass_time(3600)
        run = driver.run()
        assert run.error == ''
        assert differences(run, service) == []
        for tags, count in run.series(f'{PREFIX}jobs.finished').items():
            finished[tags[0]] = finished.get(tags[0], 0) + count
        recoveries += sum(run.series(f'{PREFIX}jobs.recoveries').values())
        queued = max(queued, value(run, 'jobs.queued'))
    ended = [
        job.status for job in service.jobs.values() if job.current.ended and before.get(job.number) in (None, 'RUNNING')
    ]
    assert finished == {f'status:{status.lower()}': ended.count(status) for status in set(ended)}
    assert finished['status:failed_controller'] == 1
    assert recoveries == sum(task.recoveries for job in service.jobs.values() for task in job.tasks) - recovered == 9


def test_at_two_in_the_afternoon_spot_machines_are_short(serve):
    service = serve('skypilot')
    driver = Driver.of(service)
    calm = driver.run()
    now = service.clock.now()
    until = (14 * 3600 - (now.hour * 3600 + now.minute * 60 + now.second)) % DAY or DAY
    service.pass_time(until + 60)
    short = driver.run()
    assert value(short, 'jobs.count', 'status:recovering') == 2 + 9
    assert 17 <= value(short, 'jobs.queued') <= 18
    assert value(short, 'cost.hourly_usd') < value(calm, 'cost.hourly_usd')
    service.pass_time(1800)
    assert value(driver.run(), 'jobs.count', 'status:recovering') == 2


def test_the_calls_of_a_refresh_and_nothing_else(sky):
    driver = Driver.of(sky)
    driver.run()
    asked = [(entry.method, entry.path) for entry in sky.log]
    get = ('GET', '/api/get')
    queue, status, cost = ('POST', '/jobs/queue/v2'), ('POST', '/status'), ('POST', '/cost_report')
    # All operations are submitted before the first result is fetched. The price list is read once, for the machines
    # without a price in a bill.
    plain = [('GET', '/api/health'), queue, status, cost, get, get, get]
    assert asked == [*plain, ('POST', '/list_accelerators'), get]
    assert sky.connections == 1
    for _ in range(3):
        sky.log.clear()
        sky.pass_time(900)
        run = driver.run()
        assert [(entry.method, entry.path) for entry in sky.log] == plain
        assert run.requests == 7
    sky.log.clear()
    sky.pass_time(12 * 3600)
    driver.run()
    assert len(sky.log) == 9
    sky.log.clear()
    sky.clock.advance(60)
    again = driver.run()
    assert sky.log == []
    assert value(again, 'jobs.running') == 46


def test_no_request_asks_for_secrets_or_starts_anything(sky):
    Driver.of(sky, by_user=True, by_workspace=True, per_job=True).run()
    bodies = {entry.path: json.loads(entry.body) for entry in sky.log if entry.method == 'POST'}
    queue = bodies['/jobs/queue/v2']
    assert (queue['refresh'], queue['all_users']) == (False, True)
    assert not {'user_yaml', 'entrypoint', 'env_file_path', 'metadata', 'details'} & set(queue['fields'])
    assert {'user_name', 'job_name', 'workspace', 'is_primary_in_job_group'} <= set(queue['fields'])
    assert bodies['/status'] == {
        'all_users': True,
        'refresh': 'NONE',
        'include_credentials': False,
        'summary_response': True,
        'include_handle': False,
    }
    assert bodies['/cost_report'] == {
        'days': 1,
        'exclude_managed_clusters': False,
        'dashboard_summary_response': False,
    }
    assert bodies['/list_accelerators']['clouds'] == ['aws']


def test_personal_names_are_not_even_asked_for_by_default(sky):
    Driver.of(sky).run()
    (body,) = [json.loads(entry.body) for entry in sky.log if entry.path == '/jobs/queue/v2']
    assert not {'user_name', 'job_name', 'workspace'} & set(body['fields'])


def test_endings_and_recoveries_are_counted_once_and_not_at_first(sky):
    driver = Driver.of(sky)
    run = driver.run()
    assert run.series(f'{PREFIX}jobs.finished') == run.series(f'{PREFIX}jobs.recoveries') == {}
    job = next(job for job in sky.jobs.values() if job.status == 'RUNNING' and job.current.market == 'spot')
    sky.life.lose(job)
    sky.life.recover(job)
    sky.life.end(next(job for job in sky.jobs.values() if job.status == 'RUNNING'), 'FAILED_SETUP')
    sky.pass_time(900)
    run = driver.run()
    assert run.series(f'{PREFIX}jobs.finished') == {('status:failed_setup',): 1}
    assert run.series(f'{PREFIX}jobs.recoveries') == {('market:spot',): 1}
    sky.clock.advance(60)
    assert driver.run().series(f'{PREFIX}jobs.finished') == {}
    sky.pass_time(900)
    assert driver.run().series(f'{PREFIX}jobs.finished') == {}


def test_a_restart_continues_with_the_stored_state(sky):
    first = Driver.of(sky)
    first.run()
    sky.life.end(next(job for job in sky.jobs.values() if job.status == 'RUNNING'), 'SUCCEEDED')
    sky.pass_time(900)
    sky.log.clear()
    run = Driver.of(sky).run()
    assert differences(run, sky) == []
    # The end of a job is counted, the time in the queue goes on, and the price list is still known.
    assert run.series(f'{PREFIX}jobs.finished') == {('status:succeeded',): 1}
    assert value(run, 'jobs.pending_seconds.max') == 900
    assert len(sky.log) == 7
    third = Driver.of(sky)
    sky.clock.advance(60)
    sky.log.clear()
    assert value(third.run(), 'jobs.running') == 45
    assert sky.log == []


def test_the_number_of_series_does_not_grow(serve):
    service = serve('skypilot')
    driver = Driver.of(service)
    numbers = set()
    for _ in range(10):
        run = driver.run()
        numbers.add(len([key for key in run.values if 'finished' not in key[0] and 'recoveries' not in key[0]]))
        service.pass_time(1800)
    assert max(numbers) - min(numbers) <= 12
    assert max(numbers) < 150
    assert not [tag for _, tags in run.values for tag in tags if tag.startswith(('job_id', 'user:', 'job_name'))]


def test_every_seed_name_has_one_series(sky):
    run = Driver.of(sky).run()
    assert {name: list(run.series(name)) for name in SKYPILOT} == {name: [()] for name in SKYPILOT}


def test_every_core_metric_is_emitted_and_the_options_add_theirs(sky):
    options = {'by_user': True, 'by_workspace': True, 'per_job': True, 'api_timing': True, 'pools': True}
    driver = Driver.of(sky, **options, idle_minutes=60, tags=['team:x'])
    add_cluster(sky, 'batch-1', managed=True, pool='batch')
    driver.run()
    sky.pass_time(DAY)
    driver.run()
    running = [job for job in sky.jobs.values() if job.status == 'RUNNING' and job.current.market == 'spot']
    sky.life.lose(running[0])
    sky.life.recover(running[0])
    sky.life.end(running[1], 'FAILED')
    sky.life.start(sky.life.queue('new', sky.organization.people[0]))
    newer = sky.life.queue('newer', sky.organization.people[0])
    sky.life.start(newer)
    sky.life.run(newer)
    sky.pass_time(900)
    run = driver.run()
    assert run.names == {PREFIX + metric.name for metric in catalog.load('skypilot').metrics}
    assert all('team:x' in tags for _, tags in run.values)


def test_options(sky):
    run = Driver.of(sky, by_user=True, by_workspace=True, per_job=True, max_jobs=5, api_timing=True).run()
    assert sum(run.series(f'{PREFIX}users.jobs').values()) == 48
    assert sum(run.series(f'{PREFIX}users.gpus').values()) == 235 + 2
    assert value(run, 'jobs.count', 'status:running', 'workspace:research') > 0
    in_use = run.series(f'{PREFIX}gpus.in_use')
    assert sum(amount for tags, amount in in_use.items() if 'kind:job' in tags) == 235
    assert any('workspace:research' in tags for tags in in_use)
    runtimes = run.series(f'{PREFIX}job.runtime_seconds')
    assert len(runtimes) == 6
    assert max(runtimes.values()) / DAY > 14.1
    assert sum(run.series(f'{PREFIX}job.gpus').values()) == 235
    # The stuck jobs are two L4 jobs on one and two machines, at the price of the bill.
    longest = max(runtimes, key=lambda tags: 'job_id:other' not in tags and runtimes[tags])
    assert run.series(f'{PREFIX}job.hourly_usd')[longest] > 0
    timed = run.series(f'{PREFIX}api.result_seconds')
    assert set(timed) == {('endpoint:clusters',), ('endpoint:cost',), ('endpoint:jobs',)}


def test_the_option_prices_fills_the_gaps(sky):
    plain = Driver.of(sky, refresh_interval=0).run()
    priced = Driver.of(sky, refresh_interval=0, prices={'L40S': {'spot': 1.5}}).run()
    # Two clusters on Kubernetes remain: with GPUs that the option does not name, or without any.
    assert value(priced, 'cost.unpriced_clusters') == 2
    # Two machines with four GPUs.
    assert value(priced, 'cost.hourly_usd') - value(plain, 'cost.hourly_usd') == pytest.approx(2 * 4 * 1.5)


def test_jobs_on_a_remote_controller_are_not_in_the_bill(serve):
    service = serve('skypilot', consolidation=False, activity=False)
    run = Driver.of(service).run()
    assert differences(run, service) == []
    kinds = {tag for tags in run.series(f'{PREFIX}cost.breakdown_hourly_usd') for tag in tags if tag.startswith('kind')}
    assert kinds == {'kind:cluster'}


def test_the_user_of_finished_jobs_only_does_not_count_the_owner_of_a_cluster_does(sky):
    run = Driver.of(sky).run()
    people = sky.organization.people
    finished = {job.owner for job in sky.jobs.values() if job.current.ended}
    assert set(people[24:]) <= finished
    assert people[23] not in {job.owner for job in sky.jobs.values()}
    assert value(run, 'users.active_count') == 24


def test_neither_the_vendors_sdk_nor_pandas_is_imported():
    code = (
        'import sys; from datadog_checks.metta_checks import MettaChecks;'
        "MettaChecks('metta_checks', {}, [{'source': 'skypilot', 'api_server_url': 'http://x'}]);"
        "print([name for name in ('sky', 'pandas', 'boto3', 'kubernetes') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip().splitlines()[-1] == '[]'


def test_no_secret_is_kept(serve):
    # An old server sends whole records, including environment variables.
    service = serve('skypilot', api_version=18, activity=False)
    driver = Driver.of(service)
    driver.run()
    assert SECRET.split('=')[1] not in driver.check.snapshot.dump(0)


def test_findings(sky):
    findings = {finding.name: finding for finding in Driver.of(sky).findings()}
    assert {finding.status for finding in findings.values()} == {'ok'}
    assert findings['server'].message == 'SkyPilot 0.14.1, API version 62'
    assert findings['clusters'].message == '6 clusters are visible'
    assert findings['job controller'].message == '201 jobs are visible'
    sky.controller = 'idle'
    assert Driver.of(sky).findings()[-1].status == 'ok'
    sky.controller = 'unreachable'
    assert Driver.of(sky).findings()[-1].status == 'fail'
    wrong = Driver.of(sky, token='sky_wrong').findings()
    assert [(finding.name, finding.status) for finding in wrong] == [('server', 'ok'), ('auth', 'fail')]
