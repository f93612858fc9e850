"""Against the real SkyPilot API server, seeded by tests/peers/skypilot (`make test-skypilot`)."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from datadog_checks.base import AgentCheck

from metta_checks import verify
from metta_checks.core import catalog
from metta_checks.skypilot import client
from metta_checks.skypilot.operations import UNKNOWN_FIELD
from metta_checks.skypilot.records import Queue
from metta_checks.testing import Driver, as_truth
from sandbox.skypilot.options import SkyPilotOptions
from sandbox.skypilot.truth import Truth
from tests.peers.skypilot import plan
from tests.seed_names import SKYPILOT

PEER = os.environ.get('METTA_SKYPILOT_PEER', '').rstrip('/')
pytestmark = [
    pytest.mark.skypilot,
    pytest.mark.skipif(not PEER, reason='METTA_SKYPILOT_PEER is not set: run tests/peers/skypilot/run.sh'),
]

PREFIX = 'metta.skypilot.'
# These figures grow while the test runs.
MOVING = ('runtime_seconds', 'age_hours', 'starting_seconds', 'spend_usd_24h', 'hours_24h')
RUNTIMES = tuple(f'runtime_seconds{end}' for end in ('', '.min', '.max', '.avg', '.p50', '.p90', '.p99'))
# The version of the interface that the sandbox speaks.
NEWEST = SkyPilotOptions().api_version
# 0.11 tells no place of a job that recovers.
OF_RECOVERING = (f'{PREFIX}regions.', f'{PREFIX}jobs.by_region')
# These depend on the time of the first refresh.
NOT_IN_TRUTH = ('jobs.pending_seconds.max', 'jobs.recovering_seconds.max')


@pytest.fixture(scope='module')
def document():
    return json.loads(Path(os.environ['METTA_SKYPILOT_PLAN']).read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def truth(document):
    """Return the figures of the seeded data at a time: {(name, tags): value}."""
    start = datetime.fromtimestamp(document['start'], UTC)
    jobs, clusters = plan.organization(start, document['scale'], plan.Release(**document['release']))

    def at(moment):
        return as_truth(Truth(jobs, clusters, moment, consolidation=True).figures())

    return at


@pytest.fixture(scope='module')
def api_version(document):
    return document['release']['api_version']


@pytest.fixture
def _newest(api_version):
    if api_version != NEWEST:
        pytest.skip('the sandbox is like the newest release')


def driver(**options):
    return Driver({'source': 'skypilot', 'api_server_url': PEER, 'refresh_interval': 900, **options})


def call(path, body):
    """Submit an operation and return its result, without the code of the check."""
    submitted = requests.post(f'{PEER}/{path}', json=body, timeout=60)
    submitted.raise_for_status()
    identifier = submitted.headers['X-Skypilot-Request-ID']
    return requests.get(f'{PEER}/api/get', params={'request_id': identifier}, timeout=60)


def result(path, body):
    return json.loads(call(path, body).json()['return_value'])


def is_plausible(name: str, ours: float, before: float, after: float) -> bool:
    """Return True for a value between the true values at two times."""
    if any(part in name for part in MOVING):
        low, high = sorted((before, after))
        # The server rounds some times to whole seconds.
        return low - 2 - 1e-3 * low <= ours <= high + 2 + 1e-3 * high
    return any(math.isclose(ours, true, rel_tol=1e-6) for true in (before, after))


def test_every_figure_is_what_was_written(truth, api_version):
    one = driver()
    before = truth(datetime.now(UTC))
    run = one.run()
    after = truth(datetime.now(UTC))
    assert (run.error, run.warnings, run.service_check) == ('', [], (AgentCheck.OK, ''))
    counts = {PREFIX + metric.name for metric in catalog.load('skypilot').metrics if metric.type == 'count'}
    ours = {
        key: value for key, value in run.figures().items() if key[0] not in counts and not key[0].endswith(NOT_IN_TRUTH)
    }
    assert ours.keys() - before.keys() == before.keys() - ours.keys() == set()
    assert before.keys() == after.keys()
    wrong = [key for key in ours if not is_plausible(key[0], ours[key], before[key], after[key])]
    assert [key for key in wrong if api_version == NEWEST or not key[0].startswith(OF_RECOVERING)] == []
    assert set(SKYPILOT) <= run.names
    assert run.requests <= 9


def test_a_warm_refresh_is_seven_requests_and_counts_nothing_twice():
    one = driver(refresh_interval=0)
    one.run()
    run = one.run()
    assert run.requests == 7
    assert run.series(f'{PREFIX}jobs.finished') == run.series(f'{PREFIX}jobs.recoveries') == {}


def test_verify_agrees():
    one = driver()
    run = one.run()
    theirs = verify.recompute('skypilot', {'api_server_url': PEER}, one.check.last_refresh or datetime.now(UTC))
    ours = [verify.Figure(name, v, tags) for (name, tags), v in run.values.items() if name.startswith(PREFIX)]
    moving = [one for one in verify.compare(ours, theirs.figures) if not one.agrees]
    # The running times of the two readings are some seconds apart.
    assert [one for one in moving if not one.name.endswith(('starting_seconds.max', *RUNTIMES))] == []
    assert all(one.ours == pytest.approx(one.theirs, abs=60) for one in moving)


def test_a_jobs_status_is_skypilots_own(api_version):
    statuses = json.loads(Path(os.environ['METTA_SKYPILOT_PLAN']).with_name('statuses.json').read_text('utf-8'))
    path, body = client.queue_call(api_version, fields=client.queue_fields(api_version))
    queue = Queue.parse(result(path, body), complete=True)
    assert {str(job.id): job.status for job in queue.jobs} == statuses
    assert any(len(job.tasks) > 1 for job in queue.jobs)
    assert any(job.is_group for job in queue.jobs) == (api_version >= client.PRIMARY_TASKS)


def kinds(records):
    """Return the types of the values of each field over all records."""
    found: dict[str, set[str]] = {}
    for record in records:
        for key, value in record.items():
            found.setdefault(key, set()).add(type(value).__name__)
    # Whole numbers may be written as integers or as floats.
    return {key: {'number' if name in ('int', 'float') else name for name in names} for key, names in found.items()}


@pytest.mark.usefixtures('_newest')
def test_the_sandbox_answers_in_the_same_shapes(serve, api_version):
    service = serve('skypilot', activity=False)
    path, body = client.queue_call(
        api_version, fields=client.queue_fields(api_version, extra=('user_name', 'job_name', 'workspace'))
    )
    real = result(path, body)
    copy = service._queue_v2(body)
    assert real.keys() == copy.keys()
    theirs, ours = kinds(real['jobs']), kinds(copy['jobs'])
    assert theirs.keys() - ours.keys() <= {'is_job_group'}
    assert ours.keys() <= theirs.keys()
    for key in ours:
        assert ours[key] <= theirs[key] | {'NoneType'}, key
    assert {type(value) for value in real['status_counts'].values()} == {int}

    real_status, copied_status = result('status', client.CLUSTERS_BODY), service._status(client.CLUSTERS_BODY)
    theirs, ours = kinds(real_status), kinds(copied_status)
    assert ours.keys() <= theirs.keys()
    assert {key: ours[key] for key in ours if not ours[key] <= theirs[key]} == {}
    assert {record['handle'] for record in real_status} == {record['handle'] for record in copied_status}
    assert not any(record.get('credentials') for record in real_status)

    theirs, ours = kinds(result('cost_report', client.COST_BODY)), kinds(service._cost_report(client.COST_BODY))
    assert ours.keys() <= theirs.keys()
    assert {key: ours[key] for key in ours if not ours[key] <= theirs[key] | {'NoneType'}} == {}

    path, body = client.prices_call(['aws'])
    theirs, ours = result(path, body), service._list_accelerators(body)
    assert theirs.keys() == ours.keys()
    assert [len(row) for row in theirs['L4']] == [len(row) for row in ours['L4']]


@pytest.mark.usefixtures('_newest')
def test_the_sandbox_fails_in_the_same_words(serve):
    service = serve('skypilot', scale=0.2, auth='none', activity=False)

    def both(method, path, **how):
        return [requests.request(method, f'{url}/{path}', timeout=60, **how) for url in (PEER, service.url)]

    for answers in (
        both('get', 'api/get', params={'request_id': 'nobody-knows'}),
        both('post', 'jobs/queue/v2'),
        both('post', 'jobs/queue/v2', json={'all_users': 'perhaps'}),
        both('post', 'status', json={}, headers={'X-SkyPilot-API-Version': '18', 'X-SkyPilot-Version': '0.10.3'}),
    ):
        real, copy = answers
        assert real.status_code == copy.status_code >= 400
        assert real.json().keys() == copy.json().keys()
    unknown = {'all_users': True, 'fields': ['job_id', 'no_such_field']}
    real = call('jobs/queue/v2', unknown)
    assert real.status_code == 500
    error = json.loads(real.json()['detail']['error'])
    assert UNKNOWN_FIELD in error['message']
    assert set(error) == {'object', 'type', 'message'}


def test_fields_that_are_not_requested_are_not_sent(api_version):
    path, body = client.queue_call(api_version, fields=client.queue_fields(api_version))
    rows = result(path, body)['jobs']
    # 0.11 sends the names of users with every row.
    names = {'user_name'} if api_version == NEWEST else set()
    secrets = {'user_yaml', 'entrypoint', 'env_file_path', 'metadata', *names}
    assert {name for row in rows for name in secrets if row.get(name)} == set()


def test_a_damaged_record_of_one_cluster(document):
    one = driver(refresh_interval=0)
    peer = int(os.environ['METTA_SKYPILOT_PEER_PID'])
    os.kill(peer, signal.SIGUSR1)
    try:
        time.sleep(2)
        run = one.run()
        assert 'the next run asks without the fields that need the records of the clusters' in run.warnings[0]
        run = one.run()
        running = 46 + ('WINDING_DOWN' in document['release']['statuses'])
        assert run.value(f'{PREFIX}jobs.running') == running
        assert run.value(f'{PREFIX}resources.gpus.total_count') is None
        assert ('jobs', 'handles') in run.errors()
    finally:
        os.kill(peer, signal.SIGUSR2)
        time.sleep(2)
    assert driver(api_server_url=f'{PEER}/').run().value(f'{PREFIX}resources.gpus.total_count') is not None


def test_findings():
    assert {finding.status for finding in driver().findings()} == {'ok'}
