"""The check on the sandbox: every figure compared with the truth, requests, namespaces, time and restarts."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth, compare
from sandbox.kubernetes.service import TOKEN
from tests.seed_names import KUBERNETES

pytestmark = pytest.mark.integration

PREFIX = 'metta.kubernetes.'
# For credentials that are limited to namespaces.
NAMESPACED = {'collect_nodes': False, 'cluster_idle': None, 'per_workload': None}
# The sandbox does not know when the previous refresh was.
COUNTS = {f'{PREFIX}containers.restarts', f'{PREFIX}containers.oom_kills'}


@pytest.fixture
def service(serve):
    return serve('kubernetes')


@pytest.fixture
def driver(service):
    return Driver.of(service, refresh_interval=0)


def gauges(run):
    return {key: value for key, value in run.figures().items() if key[0] not in COUNTS}


@pytest.mark.parametrize('options', [{}, {'scale': 3}, {'pods': 1200}])
def test_everything_equals_the_truth_cold_and_warm(serve, options):
    service = serve('kubernetes', **options)
    driver = Driver.of(service, refresh_interval=0)
    for _ in range(3):
        run = driver.run()
        assert (run.error, run.warnings) == ('', [])
        assert run.service_check == (AgentCheck.OK, '')
        assert compare(gauges(run), as_truth(service.truth(service.clock.now()))).lines == []
        service.pass_time(900)


def test_mistakes_14_and_15_each_seed_name_has_exactly_one_series(driver):
    run = driver.run()
    for name in KUBERNETES:
        assert list(run.series(name)) == [('cluster:prod',)], name


def test_mistake_1_and_3_usage_is_there_and_differs_from_all_and_nothing(driver):
    run = driver.run()
    running = run.require(f'{PREFIX}pods.running')
    for name in ('pods.idle_count', 'pods.low_cpu_usage', 'pods.low_memory_usage', 'resources.overallocated_pods'):
        assert 0 < run.require(PREFIX + name) < running, name


def test_the_catalog_is_emitted_as_a_whole(service):
    prices = {**service.instance()['prices'], 'gpu_hour': {'h100': 3.0}}
    driver = Driver.of(service, refresh_interval=0, gpu_usage=service.gpu_usage(), prices=prices)
    names = driver.run().names
    service.pass_time(900)
    names |= driver.run().names
    known = catalog.load('kubernetes')
    assert names == {known.full_name(metric.name) for metric in known.metrics}


def test_without_options_only_core_metrics_and_no_cluster_tag(service):
    off = dict.fromkeys(('cluster_name', 'prices', 'per_deployment', 'per_namespace', 'per_workload', 'cluster_idle'))
    run = Driver.of(service, **off).run()
    known = catalog.load('kubernetes')
    core = {known.full_name(metric.name) for metric in known.metrics if not metric.option} - COUNTS
    assert run.names == core
    assert list(run.series(f'{PREFIX}pods.running')) == [()]


def test_the_users_tags_are_on_everything(service):
    run = Driver.of(service, tags=['env:prod']).run()
    assert all('env:prod' in tags for _, tags in run.values)


# Requests (mistakes 11 and 13).


def test_one_pass_in_pages_of_500(serve):
    service = serve('kubernetes', pods=1200)
    run = Driver.of(service).run()
    log = [(entry.path, parse_qs(entry.query)) for entry in service.log]
    assert [path for path, _ in log] == [
        '/apis/metrics.k8s.io/v1beta1/pods',
        *['/api/v1/pods'] * 3,
        '/api/v1/nodes',
        '/apis/apps/v1/deployments',
    ]
    for _, query in log[1:4]:
        assert query['limit'] == ['500']
        assert query['fieldSelector'] == ['status.phase!=Succeeded']
        assert 'resourceVersion' not in query
    assert 'continue' not in log[1][1]
    assert 'continue' in log[2][1]
    assert log[2][1]['continue'] != log[3][1]['continue']
    assert run.requests == 6
    assert service.connections == 1


def test_between_refreshes_no_request_is_sent(service):
    driver = Driver.of(service, refresh_interval=900)
    first = driver.run()
    service.log.clear()
    service.pass_time(60)
    second = driver.run()
    assert service.log == []
    assert gauges(second) == gauges(first)
    assert second.requests is None


def test_lists_of_blocks_that_are_off_are_not_requested(service):
    run = Driver.of(service, collect_nodes=False, collect_usage=False, cluster_idle=None).run()
    assert run.error == ''
    assert run.warnings == []
    assert {entry.path for entry in service.log} == {'/api/v1/pods', '/apis/apps/v1/deployments'}
    assert run.value(f'{PREFIX}resources.cpu_waste_cores') is None
    assert run.value(f'{PREFIX}resources.cpu_allocatable_cores') is None
    assert run.require(f'{PREFIX}pods.running') > 0


# Namespaces.


def test_a_few_namespaces_are_listed_one_by_one(service):
    run = Driver.of(service, namespaces={'include': ['team-data', 'team-legacy']}, **NAMESPACED).run()
    assert run.error == ''
    assert {entry.path for entry in service.log} == {
        f'/{root}/namespaces/{namespace}/{plural}'
        for namespace in ('team-data', 'team-legacy')
        for root, plural in (
            ('api/v1', 'pods'),
            ('apis/apps/v1', 'deployments'),
            ('apis/metrics.k8s.io/v1beta1', 'pods'),
        )
    }
    waste = run.series(f'{PREFIX}namespace.cpu_waste_cores')
    assert {tags[1] for tags in waste} == {'kube_namespace:team-data', 'kube_namespace:team-legacy'}


def test_patterns_are_applied_before_anything_is_computed(service):
    run = Driver.of(service, namespaces={'include': ['team-*'], 'exclude': ['team-[a-k]*', 'team-sim-?']}).run()
    pods = [pod for pod in service.cluster.pods if pod.namespace[5] > 'k' and 'sim' not in pod.namespace and pod.live]
    deployments = [d for d in service.cluster.deployments if d.namespace[5] > 'k' and 'sim' not in d.namespace]
    assert run.value(f'{PREFIX}pods.running') == len(pods)
    assert run.value(f'{PREFIX}deployments.zero_replicas') == sum(d.replicas == 0 for d in deployments)
    waste = run.series(f'{PREFIX}namespace.cpu_waste_cores')
    assert sum(waste.values()) == pytest.approx(run.value(f'{PREFIX}resources.cpu_waste_cores'), rel=1e-9)
    assert len(waste) == len({pod.namespace for pod in pods})


# Time.


def test_mistake_12_a_flapping_service_that_always_runs_when_one_looks(service, driver):
    driver.run()
    before = sum(container.restarts for pod in service.cluster.pods for container in pod.all_containers)
    service.pass_time(900)
    run = driver.run()
    after = sum(container.restarts for pod in service.cluster.pods for container in pod.all_containers)
    assert run.value(f'{PREFIX}pods.crash_looping') == 4
    assert run.value(f'{PREFIX}containers.restarts') == after - before > 0
    service.pass_time(2 * 3600)
    assert driver.run().value(f'{PREFIX}pods.crash_looping') == 4
    service.pass_time(900)
    # The crash-looping service was repaired; the flapping one still restarts.
    assert driver.run().value(f'{PREFIX}pods.crash_looping') == 1
    service.pass_time(60)
    # It last failed less than two minutes ago.
    assert driver.run().value(f'{PREFIX}pods.crash_looping') == 1


def test_gpus_are_free_after_the_run_ends(service, driver):
    before = driver.run()
    assert before.value(f'{PREFIX}gpu.free', 'gpu_type:h100') == 0
    assert before.value(f'{PREFIX}pods.unschedulable') == 4
    service.pass_time(900)
    after = driver.run()
    assert after.value(f'{PREFIX}gpu.free', 'gpu_type:h100') == 24
    assert after.value(f'{PREFIX}gpu.largest_free_block', 'gpu_type:h100') == 8
    assert after.value(f'{PREFIX}gpu.requested', 'gpu_type:h100') == 8


def test_an_oom_kill_at_night_is_counted_once(service, driver):
    first = driver.run()
    assert first.value(f'{PREFIX}containers.oom_kills') is None
    service.pass_time(17 * 3600)
    night = driver.run()
    assert night.value(f'{PREFIX}containers.oom_kills') == 4
    assert night.value(f'{PREFIX}pods.oomkilled_24h') == 6
    service.pass_time(900)
    assert driver.run().value(f'{PREFIX}containers.oom_kills') == 0


def test_waste_falls_to_nothing_invented_while_metrics_server_is_away(service):
    driver = Driver.of(service)
    first = driver.run()
    service.pass_time(6 * 3600 - 900)
    driver.run()
    service.pass_time(900)
    outage = driver.run()
    assert outage.errors() == {('usage', 'http_5xx'): 1, ('idle', 'dependency'): 1}
    wasted = f'{PREFIX}resources.cpu_waste_cores'
    assert outage.require(wasted) > 0.9 * first.require(wasted)
    assert outage.value('metta.collector.data_age_seconds', 'block:usage') == 900
    assert outage.value('metta.collector.data_age_seconds', 'block:pods') == 0
    service.pass_time(20 * 60)
    back = driver.run()
    assert back.error == ''
    assert back.warnings == []
    assert back.value('metta.collector.data_age_seconds', 'block:usage') == 0


# Restart.


def test_a_restart_continues_with_the_stored_state(service):
    Driver.of(service).run()
    service.log.clear()
    service.pass_time(60)
    again = Driver.of(service, token=f'{TOKEN}')
    run = again.run()
    assert service.log == []
    assert run.require(f'{PREFIX}pods.running') > 0
    service.pass_time(900)
    # Restarts of containers are counted since the last refresh before the restart of the Agent.
    assert again.run().require(f'{PREFIX}containers.restarts') > 0


def test_another_selection_starts_cold(service):
    Driver.of(service).run()
    service.pass_time(60)
    run = Driver.of(service, namespaces={'exclude': ['team-data']}).run()
    assert run.requests == 4
    assert run.value(f'{PREFIX}containers.restarts') is None
