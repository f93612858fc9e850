"""Utilization of GPUs, as Prometheus and the DCGM exporter tell it."""

from __future__ import annotations

import json

import pytest
from datadog_checks.base import AgentCheck

from ..case import case
from .world import figures

GPUS = {'nvidia.com/gpu': '8'}
H100 = {'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3'}
PRICES = {'cpu_core_hour': 0.03, 'memory_gib_hour': 0.004, 'gpu_hour': {'h100': 3.0}}


@pytest.fixture
def training(world):
    """A node with 8 H100, of which a pod has held 4 for an hour."""
    world.node('n1', labels=H100, allocatable=GPUS)
    world.pod('train', {'nvidia.com/gpu': '4'})
    return world


def run(world, **options):
    return world.run(collect_usage=False, gpu_usage=world.service.gpu_usage(), prices=PRICES, **options)


NAMES = ('gpu.utilization_pct', 'gpu.idle', 'namespace.gpu_idle', 'cost.gpu_idle_hourly_usd')


@case('C', 'https://github.com/NVIDIA/dcgm-exporter')
def test_gpus_that_nobody_uses(training):
    """GPUs that a pod holds and does not use.

    A pod holds 4 H100. Two are at 90 percent, two at 0 for an hour. The exporter also measures the 4 other GPUs of
    the node, which no pod holds, with the labels of its own pod only.

    Right: `gpu.utilization_pct` is 45, `gpu.idle` and `namespace.gpu_idle` are 2, and
    `cost.gpu_idle_hourly_usd` is 2 x 3 USD.

    Unchanged: `gpu.requested` is 4.
    """
    for index in range(4):
        training.gpu(f'GPU-{index}', 'train', 90 if index < 2 else 0)
    for index in range(4, 8):
        training.gpu(f'GPU-{index}', '', 0, exported_namespace='')
    assert list(figures(run(training), *NAMES, 'gpu.requested').values()) == [45, 2, 2, 6, 4]


@case('C', 'https://github.com/NVIDIA/dcgm-exporter')
@pytest.mark.parametrize('minutes', [2, 14])
def test_a_pod_that_has_just_started(world, minutes):
    """A pod that has just started.

    A pod got 4 GPUs some minutes ago, and is still loading its data: they are at 0.

    Right: `gpu.idle` is 0: nobody can say yet that they are idle.

    Unchanged: `gpu.utilization_pct` is 0.
    """
    world.node('n1', labels=H100, allocatable=GPUS)
    pod = world.pod('young', {'nvidia.com/gpu': '4'})
    pod['status']['startTime'] = world.ago(minutes=minutes)
    for index in range(4):
        world.gpu(f'GPU-{index}', 'young', 0, minutes=minutes)
    assert list(figures(run(world), 'gpu.idle', 'gpu.utilization_pct').values()) == [0, 0]


@case('C', 'https://github.com/NVIDIA/dcgm-exporter')
def test_an_exporter_that_has_just_started(training):
    """An exporter that has just started.

    The exporter was installed a minute ago. The only points of the GPUs of a pod are at 0.

    Right: `gpu.idle` is 0: one point does not tell half an hour.

    Unchanged: `gpu.utilization_pct` is 0.
    """
    for index in range(4):
        training.gpu(f'GPU-{index}', 'train', 0, minutes=1)
    assert list(figures(run(training), 'gpu.idle', 'gpu.utilization_pct').values()) == [0, 0]


@case('F', 'https://github.com/NVIDIA/dcgm-exporter/issues/340')
@pytest.mark.parametrize('honored', [True, False])
def test_labels_that_prometheus_renames(training, honored):
    """Labels that Prometheus renames.

    The exporter writes the labels `pod` and `namespace`. Prometheus keeps them (`honor_labels: true`), or renames them
    to `exported_pod` and `exported_namespace`.

    Right: `gpu.utilization_pct` is 80 in both.

    Unchanged: `gpu.idle` is 0.
    """
    training.gpu('GPU-0', 'train', 80)
    if honored:
        labels = training.objects.gpu_series[0].labels
        labels.update(pod=labels.pop('exported_pod'), namespace=labels.pop('exported_namespace'))
    assert list(figures(run(training), 'gpu.utilization_pct', 'gpu.idle').values()) == [80, 0]


@case('F', 'https://github.com/NVIDIA/dcgm-exporter/issues/582')
def test_a_gpu_that_pods_share(world):
    """A GPU that pods share.

    One L4 is shared by four pods (time-slicing). It has a series for each of the pods, all at 2 percent.

    Right: `gpu.idle` is 1, not 4: it is one GPU.

    Unchanged: `gpu.requested` is 1, and `gpu.utilization_pct` is 2.
    """
    labels = {
        'nvidia.com/gpu.product': 'NVIDIA-L4-SHARED',
        'nvidia.com/gpu.count': '1',
        'nvidia.com/gpu.replicas': '4',
        'nvidia.com/gpu.sharing-strategy': 'time-slicing',
    }
    world.node('n1', labels=labels, allocatable={'nvidia.com/gpu': '4'})
    for name in 'abcd':
        world.pod(name, {'nvidia.com/gpu': '1'})
        world.gpu('GPU-0', name, 2)
    assert list(figures(run(world), 'gpu.idle', 'gpu.requested', 'gpu.utilization_pct').values()) == [1, 1, 2]


@case('F', 'https://prometheus.io/docs/prometheus/latest/storage/')
def test_two_replicas_of_prometheus(training):
    """Two replicas of Prometheus.

    Two replicas have scraped the same exporter. Each of the 4 GPUs of a pod has two series, at 0 and 0.

    Right: `gpu.idle` is 4, not 8.

    Unchanged: `gpu.requested` is 4.
    """
    for replica in ('a', 'b'):
        for index in range(4):
            training.gpu(f'GPU-{index}', 'train', 0, replica=replica)
    assert list(figures(run(training), 'gpu.idle', 'gpu.requested').values()) == [4, 4]


@case('C', 'https://github.com/NVIDIA/dcgm-exporter')
def test_no_series_of_any_pod(training):
    """An exporter without the labels of pods.

    The exporter runs without its mapping of GPUs to pods. Its series have the labels of its own pod only.

    Right: The figures of utilization are absent, and the service check is WARNING and names the metric.

    Unchanged: `gpu.requested` is 4.
    """
    training.gpu('GPU-0', '', 0, exported_namespace='')
    found = run(training)
    assert list(figures(found, *NAMES, 'gpu.requested').values()) == [None, None, None, None, 4]
    assert found.status == AgentCheck.WARNING
    assert 'Prometheus has no series of DCGM_FI_DEV_GPU_UTIL for any of the 1 pods' in found.message


@case('A', 'https://docs.nvidia.com/datacenter/dcgm/latest/gpu-telemetry/dcgm-exporter.html')
@pytest.mark.parametrize('gpus', ['2', '0'])
def test_a_pod_with_accelerators_of_two_vendors(world, gpus):
    """A pod with accelerators of two vendors.

    A pod holds 4 Gaudi and 2 H100. The DCGM exporter measures its two GPUs, at 0. Another pod holds 4 Gaudi only, and
    a leftover series of a GPU has its name.

    Right: `gpu.idle` and `gpu.utilization_pct` exist for `h100` only: the exporter measures NVIDIA's GPUs. `gpu.idle`
    is 2, and 0 for the second pod.

    Unchanged: `gpu.requested` is 4 for `habana-gaudi`.
    """
    world.node('n1', labels=H100, allocatable={'nvidia.com/gpu': '8', 'habana.ai/gaudi': '8'})
    world.pod('other', {'nvidia.com/gpu': '1'})
    world.gpu('GPU-7', 'other', 50)
    world.pod('mixed', {'habana.ai/gaudi': '4', 'nvidia.com/gpu': gpus})
    for index in range(2):
        world.gpu(f'GPU-{index}', 'mixed', 0)
    found = run(world)
    names = ('gpu.idle|gpu_type:habana-gaudi', 'gpu.idle|gpu_type:h100', 'gpu.requested|gpu_type:habana-gaudi')
    assert list(figures(found, *names).values()) == [None, int(gpus), 4]
    assert len(found.series('metta.kubernetes.gpu.utilization_pct')) == 1


@case('A', 'https://github.com/NVIDIA/dcgm-exporter/issues/577')
def test_a_pod_with_a_gpu_and_a_slice(world):
    """A pod with a GPU and a slice of another one.

    A pod holds 2 whole H100, at 90 percent, and one MIG slice, at 0. The series of the slice has `GPU_I_PROFILE`.

    Right: `gpu.utilization_pct` is 90 for `h100` and 0 for `nvidia-mig-1g.10gb`, and `gpu.idle` is 0 and 1.

    Unchanged: `gpu.requested` is 2 for `h100`.
    """
    world.node('n1', labels=H100, allocatable={'nvidia.com/gpu': '7', 'nvidia.com/mig-1g.10gb': '7'})
    world.pod('mixed', {'nvidia.com/gpu': '2', 'nvidia.com/mig-1g.10gb': '1'})
    for index in range(2):
        world.gpu(f'GPU-{index}', 'mixed', 90)
    world.gpu('GPU-7', 'mixed', 0, GPU_I_ID='3', GPU_I_PROFILE='1g.10gb')
    types = ('gpu_type:h100', 'gpu_type:nvidia-mig-1g.10gb')
    names = [f'gpu.{name}|{tag}' for name in ('utilization_pct', 'idle') for tag in types]
    assert list(figures(run(world), *names, 'gpu.requested|gpu_type:h100').values()) == [90, 0, 0, 1, 2]


@case('C', 'https://github.com/NVIDIA/dcgm-exporter')
def test_an_exporter_that_stopped(training):
    """An exporter that stopped.

    The exporter of a node stopped 20 minutes ago. Before, the 4 GPUs of a pod were at 0.

    Right: `gpu.idle` is 0: nobody knows what they have done since. The GPU must be measured in both halves of the
    window.

    Unchanged: `gpu.utilization_pct` is 0, the average of what was measured.
    """
    for index in range(4):
        training.gpu(f'GPU-{index}', 'train', 0)
        training.objects.gpu_series[-1].until = 20 * 60
    assert list(figures(run(training), 'gpu.idle', 'gpu.utilization_pct').values()) == [0, 0]


@case('E', 'https://prometheus.io/docs/prometheus/latest/querying/api/')
@pytest.mark.parametrize('status', [401, 403, 404, 422, 429, 500, 503])
def test_prometheus_refuses(training, status):
    """A Prometheus that refuses.

    Prometheus answers each query with an error: refused credentials, a wrong path, too many series, a timeout.

    Right: The figures of utilization are absent, and the service check is WARNING.

    Unchanged: All other figures are there: `gpu.requested` is 4, `pods.running` is 1.
    """
    training.service.faults.add('status', status=status, path='/prometheus/api/v1/query', body='{}')
    found = run(training)
    assert list(figures(found, *NAMES, 'gpu.requested', 'pods.running').values()) == [None, None, None, None, 4, 1]
    assert (found.error, found.status) == ('', AgentCheck.WARNING)


@case('G', 'https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview')
@pytest.mark.parametrize(('status', 'kind'), [(400, 'bad_data'), (422, 'execution'), (503, 'timeout')])
def test_prometheus_says_why_it_refuses(training, status, kind):
    """The reason of a refusal.

    Prometheus refuses the query, because option `selector` is not a list of label matchers or matches too many series,
    and says so in the field `error` of its answer.

    Right: The message of the service check contains Prometheus' own reason.

    Unchanged: `gpu.requested` is 4.
    """
    reason = 'invalid parameter "query": 1:42: parse error: unexpected <by>'
    body = json.dumps({'status': 'error', 'errorType': kind, 'error': reason})
    training.service.faults.add('status', status=status, path='/prometheus/api/v1/query', body=body)
    found = run(training)
    assert reason in found.message
    assert found.value('metta.kubernetes.gpu.requested') == 4


@case('F', 'https://prometheus.io/docs/prometheus/latest/storage/')
def test_the_doctor_counts_gpus(training):
    """The number of GPUs that the doctor tells.

    Two replicas of Prometheus have scraped the same exporter, so each of the 4 GPUs of a pod has two series.

    Right: `metta-checks doctor` says that 4 GPUs are measured, not 8.

    Unchanged: `gpu.idle` is 4.
    """
    for replica in ('a', 'b'):
        for index in range(4):
            training.gpu(f'GPU-{index}', 'train', 0, replica=replica)
    assert figures(run(training), 'gpu.idle') == {'gpu.idle': 4}
    [told] = [one.message for one in training.findings() if one.name == 'Prometheus']
    assert told == '4 GPUs are measured'


@case('J', 'https://github.com/thanos-io/thanos/issues/1191')
def test_a_prometheus_behind_another_server_is_away(training):
    """A Prometheus behind another server is away.

    A server asks the Prometheus of two clusters of nodes. One of them does not answer, so the series of two of the four
    GPUs are missing. The answer has status `success` and a warning.

    Right: `metta.collector.truncated` of block `gpu_usage` is 1, and the warning of the check has that of the server.

    Unchanged: `gpu.utilization_pct` is 90, of the GPUs that are known.
    """
    for index in range(2):
        training.gpu(f'GPU-{index}', 'train', 90)
    answer = training.service.answer
    said = 'receive series from prometheus-b: context deadline exceeded'

    def partial(request):
        response = answer(request)
        if request.path.endswith('/query'):
            response.set_data(json.dumps({**json.loads(response.get_data()), 'warnings': [said]}))
        return response

    training.service.answer = partial
    found = run(training)
    assert found.value('metta.collector.truncated', 'block:gpu_usage') == 1
    assert [said in line for line in found.warnings] == [True]
    assert found.value('metta.kubernetes.gpu.utilization_pct', 'gpu_type:h100') == 90
