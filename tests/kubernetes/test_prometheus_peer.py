"""Against a real Prometheus (`make test-prometheus`): option `gpu_usage`, with a stand-in for the DCGM exporter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from datadog_checks.base import AgentCheck

import sandbox
from metta_checks.testing import Driver, Run
from sandbox.kubernetes.prometheus import GpuSeries, of_pods
from sandbox.kubernetes.service import KubernetesService
from tests.field.kubernetes.world import World, figures
from tests.peers.prometheus.exporter import HISTORY_SECONDS, STEP_SECONDS, Exporter, Gpu, gpu
from tests.peers.prometheus.server import Job, Prometheus

PEER = os.environ.get('METTA_PROMETHEUS_PEER', '')
pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.skipif(
        not PEER, reason='METTA_PROMETHEUS_PEER (the program) is not set: run tests/peers/prometheus/run.sh'
    ),
]
PREFIX = 'metta.kubernetes.'
GPUS = {'nvidia.com/gpu': '8'}
H100 = {'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3'}
SHARED = {
    'nvidia.com/gpu.product': 'NVIDIA-L4-SHARED',
    'nvidia.com/gpu.count': '1',
    'nvidia.com/gpu.replicas': '4',
    'nvidia.com/gpu.sharing-strategy': 'time-slicing',
}
PRICES = {'cpu_core_hour': 0.03, 'memory_gib_hour': 0.004, 'gpu_hour': {'h100': 3.0}}
NAMES = ('gpu.utilization_pct', 'gpu.idle', 'namespace.gpu_idle', 'cost.gpu_idle_hourly_usd', 'gpu.requested')
RATIO = 'DCGM_FI_PROF_GR_ENGINE_ACTIVE'
# Two of the pod's four GPUs are busy; no pod holds the other four of the node.
TRAINING = [gpu(n, 'train', 90 if n < 2 else 0) for n in range(4)] + [gpu(n, '', 0) for n in range(4, 8)]
NODES = {
    'training': TRAINING,
    'honored': TRAINING,
    'replica-a': TRAINING,
    'replica-b': TRAINING,
    'stopped': [gpu(0, 'train', 100, stopped=15 * 60), gpu(1, 'train', 0)],
    'young': [gpu(n, 'train', 0, since=STEP_SECONDS) for n in range(4)],
    'vanished': [gpu(n, 'train', 0, until=40 * 60) for n in range(4)],
    'shared': [gpu(0, name, 2, labels={'vgpu': str(n)}) for n, name in enumerate('abcd')],
    'ratio': [gpu(0, 'train', 0.875, metric=RATIO), gpu(1, 'train', 0.01, metric=RATIO)],
    'slices': [
        gpu(0, 'train', 0.5 * n, metric=RATIO, labels={'GPU_I_PROFILE': '1g.10gb', 'GPU_I_ID': str(n + 7)})
        for n in range(2)
    ],
    'unmapped': [gpu(n, '', 0) for n in range(8)],
}
# Two replicas of Prometheus that scrape the same exporter differ in a label.
REPLICAS = {f'replica-{name}': {'cluster': 'replicas', 'replica': name} for name in 'ab'}


@pytest.fixture(scope='module')
def cluster() -> KubernetesService:
    """Return the cluster of the sandbox."""
    service = sandbox.service('kubernetes')
    assert isinstance(service, KubernetesService)
    return service


def as_scraped(series: GpuSeries) -> Gpu:
    """Return a series of the sandbox's Prometheus as the exporter writes it."""
    labels = {name: value for name, value in series.labels.items() if not name.startswith('exported_')}
    own = {'namespace': series.labels['exported_namespace'], 'pod': series.labels['exported_pod']}
    since = min(HISTORY_SECONDS, series.since // STEP_SECONDS * STEP_SECONDS)
    return Gpu({**labels, **own}, series.value, since=since)


@pytest.fixture(scope='module')
def prometheus(cluster, tmp_path_factory) -> Iterator[Prometheus]:
    """Return a Prometheus that has scraped all histories, with the labels of pods renamed and kept."""
    series = of_pods(cluster.cluster.pods, cluster.clock.now())
    with Exporter({**NODES, 'sandbox': [as_scraped(one) for one in series]}) as exporter:
        jobs = [
            Job(node, exporter.address, honor_labels=node == 'honored', labels=REPLICAS.get(node, {}))
            for node in exporter.nodes
        ]
        with Prometheus(Path(PEER), tmp_path_factory.mktemp('prometheus'), jobs) as server:
            assert exporter.wait(120), server.log()[-1000:]
            yield server


def usage(prometheus: Prometheus, name: str, **options: object) -> dict[str, object]:
    """Return the option `gpu_usage` for the series of one cluster."""
    return {'prometheus_url': prometheus.url, 'selector': f'cluster="{name}"', **options}


@pytest.fixture
def world(serve) -> World:
    """Return a node with 8 H100, of which a pod has held 4 for an hour."""
    made = World(serve('kubernetes', pods=1))
    made.node('n1', labels=H100, allocatable=GPUS)
    made.pod('train', {'nvidia.com/gpu': '4'})
    return made


def run(world: World, option: dict[str, object]) -> Run:
    return world.run(collect_usage=False, gpu_usage=option, prices=PRICES)


def values(found: Run) -> list[float | None]:
    assert (found.error, found.warnings) == ('', [])
    return list(figures(found, *NAMES).values())


@pytest.mark.parametrize('name', ['training', 'honored', 'replicas'])
def test_idle_gpus_and_their_cost(prometheus, world, name):
    # The mean of 90, 90, 0 and 0 percent; two idle GPUs at 3 USD per hour.
    assert values(run(world, usage(prometheus, name))) == [45, 2, 2, 6, 4]


def test_a_run_that_stopped_in_the_window_is_not_idle(prometheus, world):
    utilization, *rest = values(run(world, usage(prometheus, 'stopped')))
    # Half of the window at 100 percent, and the other GPU at 0; the window ends when Prometheus is asked.
    assert utilization == pytest.approx(25, abs=3)
    assert rest == [1, 1, 3, 4]


def test_a_shorter_window_sees_the_stop(prometheus, world):
    assert values(run(world, usage(prometheus, 'stopped', window_minutes=10))) == [0, 2, 2, 6, 4]


def test_an_exporter_that_has_just_started(prometheus, world):
    assert values(run(world, usage(prometheus, 'young'))) == [0, 0, 0, 0, 4]


def test_a_pod_that_has_just_started(prometheus, world):
    world.objects.pods[0]['status']['startTime'] = world.ago(minutes=10)
    assert values(run(world, usage(prometheus, 'training'))) == [45, 0, 0, 0, 4]


def test_a_gpu_that_pods_share(prometheus, world):
    world.objects.nodes.clear()
    world.objects.pods.clear()
    world.node('n1', labels=SHARED, allocatable={'nvidia.com/gpu': '4'})
    for name in 'abcd':
        world.pod(name, {'nvidia.com/gpu': '1'})
    # No price for its type: the cost is absent.
    assert values(run(world, usage(prometheus, 'shared'))) == [2, 1, 1, None, 1]


def test_a_ratio(prometheus, world):
    found = values(run(world, usage(prometheus, 'ratio', metric=RATIO)))
    assert found == [pytest.approx(44.25), 1, 1, 3, 4]


def test_slices_of_a_gpu(prometheus, world):
    world.objects.nodes.clear()
    world.objects.pods.clear()
    slices = {'nvidia.com/mig-1g.10gb': '2'}
    world.node('n1', labels={**H100, 'nvidia.com/mig.strategy': 'mixed'}, allocatable=slices)
    world.pod('train', slices)
    assert values(run(world, usage(prometheus, 'slices', metric=RATIO))) == [25, 1, 1, None, 2]


@pytest.mark.parametrize('name', ['unmapped', 'vanished', 'no-such-cluster'])
def test_no_series_of_any_pod(prometheus, world, name):
    found = run(world, usage(prometheus, name))
    assert list(figures(found, *NAMES).values()) == [None, None, None, None, 4]
    assert (found.error, found.status) == ('', AgentCheck.WARNING)
    assert 'Prometheus has no series of DCGM_FI_DEV_GPU_UTIL for any of the 1 pods' in found.message


def test_a_selector_that_prometheus_does_not_understand(prometheus, world):
    found = run(world, usage(prometheus, 'training', selector='cluster='))
    assert list(figures(found, *NAMES).values()) == [None, None, None, None, 4]
    assert found.status == AgentCheck.WARNING
    # Prometheus' own words, which depend on its version, and the advice.
    assert 'answered HTTP 400: invalid parameter "query"' in found.message
    assert 'parse error' in found.message
    assert 'check `metric` and `selector` of option `gpu_usage`' in found.message


def test_the_address_is_not_that_of_the_api(prometheus, world):
    found = run(world, usage(prometheus, 'training', prometheus_url=f'{prometheus.url}/prometheus'))
    assert list(figures(found, *NAMES).values()) == [None, None, None, None, 4]
    assert 'the address of Prometheus, without /api/v1' in found.message


def test_the_diagnosis(prometheus, world):
    driver = Driver.of(world.service, gpu_usage=usage(prometheus, 'training'))
    found = {finding.name: finding for finding in driver.findings()}['Prometheus']
    assert found.status == 'ok'
    # The exporter measures all GPUs of the node, four of them for the pod.
    assert found.message == '8 GPUs are measured'


def test_the_sandbox_answers_as_prometheus_does(prometheus, cluster):
    prices = {**cluster.instance()['prices'], 'gpu_hour': {'h100': 3.0, 'a100-80gb': 2.0}}
    with sandbox.Running(cluster):
        copied, real = (
            Driver.of(cluster, refresh_interval=0, prices=prices, gpu_usage=option).run()
            for option in (cluster.gpu_usage(), usage(prometheus, 'sandbox'))
        )
    names = [name for name in NAMES if copied.series(PREFIX + name)]
    assert names == list(NAMES)
    assert [real.series(PREFIX + name) for name in names] == [copied.series(PREFIX + name) for name in names]
