"""Failures: the message for the user, and the figures that are still sent. No figure becomes 0."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver
from sandbox.kubernetes.service import READER_TOKEN
from tests.seed_names import KUBERNETES

pytestmark = pytest.mark.integration

PREFIX = 'metta.kubernetes.'
PODS = '/api/v1/pods'
METRICS = '/apis/metrics.k8s.io/v1beta1/pods'
DEPLOYMENTS = '/apis/apps/v1/deployments'
NODES = '/api/v1/nodes'
# One figure of each block.
FIGURE = {
    'pods': 'pods.running',
    'usage': 'resources.cpu_waste_cores',
    'deployments': 'deployments.zero_replicas',
    'nodes': 'resources.cpu_allocatable_cores',
    'idle': 'resources.cpu_idle_cores',
}
# The blocks that fail together with a block.
ALONG = {'pods': {'pods', 'usage', 'idle'}, 'usage': {'usage', 'idle'}, 'nodes': {'nodes', 'idle'}}
LISTS = {'pods': PODS, 'usage': METRICS, 'deployments': DEPLOYMENTS, 'nodes': NODES}


@pytest.fixture
def service(serve):
    return serve('kubernetes', pods=100)


@pytest.fixture
def paged(serve):
    """Serve pods in two pages."""
    return serve('kubernetes', pods=700)


def shown(run):
    return {block for block, name in FIGURE.items() if run.value(PREFIX + name) is not None}


def ages(run):
    return {block: run.value('metta.collector.data_age_seconds', f'block:{block}') for block in FIGURE}


# Mistake 4: figures that could not be read were reported as 0.


def test_a_token_without_rights_shows_nothing_and_names_the_rules(service):
    run = Driver.of(service, token=READER_TOKEN).run()
    assert run.names == set()
    assert run.status == AgentCheck.CRITICAL
    assert run.value('metta.collector.up') == 0
    errors = run.errors()
    assert {key: errors[key] for key in errors if key[1] == 'permission'} == {
        (block, 'permission'): 1 for block in LISTS
    }
    assert 'the credentials may not list pods in the whole cluster (HTTP 403)' in run.error
    assert 'missing RBAC rule: apiGroups: [""], resources: ["pods"], verbs: ["list"]' in run.error
    assert READER_TOKEN not in run.error


@pytest.mark.parametrize(
    ('plural', 'block', 'rule'),
    [
        ('pods', 'pods', 'apiGroups: [""], resources: ["pods"]'),
        ('metrics', 'usage', 'apiGroups: ["metrics.k8s.io"], resources: ["pods"]'),
        ('deployments', 'deployments', 'apiGroups: ["apps"], resources: ["deployments"]'),
        ('nodes', 'nodes', 'apiGroups: [""], resources: ["nodes"]'),
    ],
)
def test_a_missing_right_costs_its_block(service, plural, block, rule):
    service.forbidden = {plural}
    run = Driver.of(service).run()
    assert run.error == ''
    assert run.status == AgentCheck.WARNING
    assert shown(run) == FIGURE.keys() - ALONG.get(block, {block})
    assert any(f'block {block}: the credentials may not list' in line and rule in line for line in run.warnings)
    assert run.errors()[block, 'permission'] == 1


def test_a_missing_right_in_a_namespace(service):
    service.forbidden = {'deployments'}
    run = Driver.of(service, namespaces={'include': ['team-data']}).run()
    assert any('may not list deployments of API group apps in namespace team-data' in line for line in run.warnings)


@pytest.mark.parametrize('token', ['wrong', None])
def test_a_wrong_token_ends_the_refresh_after_one_request(service, token):
    run = Driver.of(service, token=token).run()
    assert run.requests == 1
    assert run.names == set()
    assert run.status == AgentCheck.CRITICAL
    assert 'HTTP 401: the credentials were not accepted; the token is invalid, expired' in run.error
    assert set(run.errors()) == {('refresh', 'auth')}


def test_a_token_that_expires_half_way(paged):
    paged.faults.add('status', status=401, path=PODS, after=1, body='{}')
    run = Driver.of(paged).run()
    # One page of pods was read. Its pods are not shown, and no other list is requested.
    assert run.names == set()
    assert {entry.path for entry in paged.log} == {METRICS, PODS}
    assert run.status == AgentCheck.CRITICAL


# The metrics API.


@pytest.mark.parametrize(('state', 'reason'), [('absent', 'not_found'), ('not_ready', 'http_5xx')])
def test_without_metrics_server_only_usage_is_missing(service, state, reason):
    service.metrics_server = state
    run = Driver.of(service).run()
    assert run.error == ''
    assert shown(run) == {'pods', 'deployments', 'nodes'}
    assert run.errors() == {('usage', reason): 1, ('idle', 'dependency'): 1}
    assert any('metrics-server is not installed or not ready' in line for line in run.warnings)
    missing = {name for name in KUBERNETES if run.value(name) is None}
    assert missing == {
        name
        for name in KUBERNETES
        if name.startswith(f'{PREFIX}resources.') or name.endswith(('idle_count', 'low_cpu_usage', 'low_memory_usage'))
    }


def test_a_metrics_server_without_samples_does_not_mean_an_idle_cluster(service):
    service.sampled = False
    run = Driver.of(service).run()
    assert shown(run) == {'pods', 'deployments', 'nodes'}
    assert run.errors() == {('usage', 'no_samples'): 1, ('idle', 'dependency'): 1}
    assert any('has no sample of any of the' in line for line in run.warnings)


def test_a_metrics_server_that_comes_back_is_asked_before_the_next_full_refresh(service):
    service.metrics_server = 'not_ready'
    driver = Driver.of(service)
    assert 'usage' not in shown(driver.run())
    service.pass_time(30)
    assert driver.run().requests is None
    service.metrics_server = 'ok'
    service.pass_time(31)
    run = driver.run()
    assert shown(run) == FIGURE.keys()
    assert set(ages(run).values()) == {0}


# One block at a time.


@pytest.mark.parametrize('block', LISTS)
def test_a_failed_block_keeps_its_last_figures_for_a_while(service, block):
    driver = Driver.of(service, refresh_interval=900)
    first = driver.run()
    service.faults.add('status', status=500, path=LISTS[block], body='{}')
    failed = ALONG.get(block, {block})
    for number in (1, 2, 3):
        service.pass_time(900)
        run = driver.run()
        assert run.error == ''
        assert shown(run) == FIGURE.keys()
        for name in failed:
            assert run.value(PREFIX + FIGURE[name]) == first.value(PREFIX + FIGURE[name])
        assert ages(run) == {name: 900 * number if name in failed else 0 for name in FIGURE}
    service.pass_time(900)
    assert shown(driver.run()) == FIGURE.keys() - failed


def test_gpus_are_not_invented_without_pods(service):
    service.faults.add('status', status=500, path=PODS, body='{}')
    run = Driver.of(service).run()
    assert run.value(f'{PREFIX}gpu.allocatable', 'gpu_type:h100') == 32
    assert run.value(f'{PREFIX}gpu.requested', 'gpu_type:h100') is None
    assert run.value(f'{PREFIX}gpu.free', 'gpu_type:h100') is None
    assert run.errors()['nodes', 'dependency'] == 1


@pytest.mark.parametrize(
    ('kind', 'fault', 'reason', 'said'),
    [
        ('status', {'status': 503}, 'http_5xx', 'answered HTTP 503'),
        ('status', {'status': 418}, 'rejected', 'answered HTTP 418'),
        ('status', {'status': 404}, 'not_found', 'check that this is the address of a Kubernetes API server'),
        ('not_json', {}, 'bad_payload', 'not JSON'),
        ('truncate', {}, 'cut_off', 'the answer broke off in the middle'),
        ('reset', {}, 'unreachable', 'no connection'),
        ('slow', {'seconds': 300}, 'timeout', 'the answer came too slowly'),
    ],
)
@pytest.mark.parametrize('after', [0, 1])
def test_faults_of_the_first_and_of_a_later_page(paged, kind, fault, reason, said, after):
    paged.faults.add(kind, path=PODS, after=after, **fault)
    run = Driver.of(paged, timeout=30).run()
    assert run.error == ''
    assert shown(run) == {'deployments', 'nodes'}
    assert run.errors()['pods', reason] == 1
    assert any('block pods' in line and said in line for line in run.warnings)
    assert all('\n' not in line for line in run.warnings)
    assert run.status == AgentCheck.WARNING


def test_a_silent_server(service):
    good = Driver.of(service).run()
    service.pass_time(900)
    service.faults.add('silent', path=PODS)
    run = Driver.of(service, read_timeout=0.2).run()
    assert run.errors()['pods', 'timeout'] == 1
    assert any('block pods' in line and 'gave no answer within' in line for line in (run.error, *run.warnings))
    assert run.value(f'{PREFIX}pods.running') == good.value(f'{PREFIX}pods.running')


@pytest.mark.parametrize(
    'body',
    ['{}', '{"metadata":{}}', '{"metadata":{},"items":[{}]}', '[]', 'null', '{"metadata":{},"items":[{"metadata":'],
)
@pytest.mark.parametrize('block', LISTS)
def test_answers_of_another_form(service, block, body):
    service.faults.add('status', status=200, path=LISTS[block], body=body)
    run = Driver.of(service).run()
    assert shown(run) == FIGURE.keys() - ALONG.get(block, {block})
    assert run.errors()[block, 'bad_payload'] == 1


def test_a_short_failure_is_retried_at_once(service):
    service.faults.add('status', status=502, path=PODS, times=1)
    service.faults.add('reset', path=DEPLOYMENTS, times=1)
    run = Driver.of(service).run()
    assert (run.error, run.warnings) == ('', [])
    assert run.requests == 4 + 2


# Rate limits and budgets.


def test_a_busy_server_gets_no_request_before_its_time(service):
    driver = Driver.of(service, refresh_interval=900)
    driver.run()
    service.pass_time(900)
    service.faults.add('status', status=429, path=PODS, headers={'Retry-After': '90'}, times=1)
    service.log.clear()
    run = driver.run()
    # No list is requested after the 429.
    assert [entry.path for entry in service.log] == [METRICS, PODS]
    assert run.errors()['pods', 'rate_limit'] == 1
    assert any('nothing is sent before' in line for line in run.warnings)
    assert shown(run) == FIGURE.keys()
    assert run.status == AgentCheck.WARNING
    service.pass_time(60)
    assert driver.run().requests is None
    service.pass_time(60)
    run = driver.run()
    assert (run.warnings, set(ages(run).values())) == ([], {0})


def test_an_unreachable_server(service):
    run = Driver.of(service, api_server_url='http://127.0.0.1:1').run()
    assert run.names == set()
    assert 'no connection' in run.error
    assert run.status == AgentCheck.CRITICAL


def test_a_refresh_that_runs_out_of_time_shows_no_half_of_a_list(paged):
    driver = Driver.of(paged, refresh_timeout=60, timeout=30)
    paged.faults.add('slow', path=PODS, seconds=61, after=1, times=1)
    run = driver.run()
    assert 'pods' not in shown(run)
    assert run.value(f'{PREFIX}resources.cpu_waste_cores') is None
    assert run.errors()['deployments', 'budget'] == 1
    paged.pass_time(60)
    assert shown(driver.run()) == FIGURE.keys()


# Expired continue tokens.


def test_an_expired_list_is_read_again(paged):
    good = Driver.of(paged).run()
    paged.expire_tokens(times=1)
    run = Driver.of(paged, refresh_interval=0).run()
    assert (run.error, run.warnings, run.errors()) == ('', [], {})
    for name in KUBERNETES:
        assert run.value(name) == pytest.approx(good.value(name)), name
    # The page that expired, and the first one once more.
    assert run.requests == (good.requests or 0) + 2


def test_a_second_expiry_fails_the_block(paged):
    paged.expire_tokens(times=2)
    run = Driver.of(paged).run()
    assert 'pods' not in shown(run)
    assert run.errors()['pods', 'expired_token'] == 1
    assert any('the list expired twice' in line for line in run.warnings)


def test_a_repeated_token_ends_the_list(paged):
    body = '{"metadata":{"continue":"again"},"items":[]}'
    paged.faults.add('status', status=200, path=PODS, body=body)
    run = Driver.of(paged).run()
    assert any('the list would never end' in line for line in run.warnings)
    assert run.errors()['pods', 'bad_payload'] == 1


# Bad quantities.


def test_bad_quantities_cost_their_containers_only(service):
    good = Driver.of(service).run()
    live = [pod for pod in service.cluster.pods if pod.live and pod.sampled and pod.containers[0].cpu]
    for pod in live[:3]:
        pod.containers[0].cpu = pod.containers[0].cpu._replace(text='1K')
    service.changed()
    run = Driver.of(service, refresh_interval=0).run()
    assert run.errors() == {('pods', 'bad_quantity'): 3}
    assert len(run.warnings) == 3
    assert run.value(f'{PREFIX}pods.running') == good.value(f'{PREFIX}pods.running')
    lost = sum(max(0, pod.containers[0].cpu.value - pod.containers[0].used_cpu) / 1e9 for pod in live[:3])
    wasted = f'{PREFIX}resources.cpu_waste_cores'
    assert run.value(wasted) == pytest.approx(good.value(wasted) - lost)


# Diagnosis.


def findings(service, **options):
    return {finding.name: finding for finding in Driver.of(service, **options).findings()}


def test_diagnosis_of_a_healthy_cluster(service):
    found = findings(service)
    assert {finding.status for finding in found.values()} == {'ok'}
    assert set(found) == {'list pods', 'list deployments.apps', 'list pods.metrics.k8s.io', 'list nodes'}
    assert sum(entry.bytes for entry in service.log if entry.path == PODS) < 50_000


def test_diagnosis_names_what_is_missing(service):
    service.forbidden = {'deployments'}
    service.metrics_server = 'absent'
    found = findings(service)
    assert found['list pods'].status == 'ok'
    assert found['list deployments.apps'].status == 'fail'
    assert 'resources: ["deployments"]' in found['list deployments.apps'].remedy
    assert '`collect_usage: false`' in found['list pods.metrics.k8s.io'].remedy


def test_diagnosis_of_a_wrong_token(service):
    found = findings(service, token='wrong')
    assert found['auth'].status == 'fail'
    assert 'the token is invalid, expired' in found['auth'].remedy
