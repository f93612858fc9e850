"""Usage, GPUs, deployments and nodes: each definition, and the mistakes of the first system by number."""

from __future__ import annotations

import pytest

from metta_checks.kubernetes.measures import deployments as deployment_measures
from metta_checks.kubernetes.measures import nodes as node_measures
from metta_checks.kubernetes.measures import usage as usage_measures
from metta_checks.kubernetes.records import Deployment
from metta_checks.kubernetes.settings import Prices, Settings, Thresholds

from .build import Problems, container, gpus, node, pod, samples, stamp, values, waste

pytestmark = pytest.mark.unit

GIB = 2**30


def asking(name, cpu='1', memory='1Gi', **fields):
    return pod(name, containers=[container('main', {'cpu': cpu, 'memory': memory})], **fields)


def test_mistake_5_one_container_over_its_request_hides_no_waste_of_another():
    two = pod('p', containers=[container('idle', {'cpu': '4'}), container('busy', {'cpu': '1'})])
    found = waste([two], samples({'p': {'idle': ('1', '1Gi'), 'busy': ('3', '1Gi')}}))
    assert found['resources.cpu_waste_cores'] == 3
    assert found['resources.cpu_overuse_cores'] == 2
    assert found['resources.cpu_used_cores'] == 4
    # Two of the five requested cores are used.
    assert found['resources.cpu_efficiency_pct'] == 40
    # Without a memory request, there is no efficiency, but there is usage.
    assert found['resources.memory_waste_gb'] == 0
    assert 'resources.memory_efficiency_pct' not in found
    assert found['resources.memory_used_gb'] == 2


def test_mistake_2_odd_quantities_and_one_bad_one_leave_the_others_alone():
    problems = Problems()
    pods = [
        asking('a', '2', '1500M'),
        asking('b', '2e0', '1Ti'),
        asking('c', '2000m', '2k'),
        asking('d', '2', '100m'),
        pod('e', containers=[container('main', {'cpu': 'two'})], problems=problems),
    ]
    usage = samples({name: {'main': ('500000000n', '0')} for name in 'abcde'})
    found = waste(pods, usage)
    assert found['resources.cpu_waste_cores'] == 4 * 1.5
    assert found['resources.memory_waste_gb'] == pytest.approx((1.5e9 + 2**40 + 2000 + 0.1) / GIB)
    assert len(problems) == 1


def test_mistake_3_usage_is_read_in_all_units():
    units = {'a': ('900000n', '51199Ki'), 'b': ('900u', '52428799'), 'c': ('9m', '49Mi'), 'd': ('10m', '50Mi')}
    found = waste([asking(name) for name in units], samples({name: {'main': used} for name, used in units.items()}))
    assert found['pods.low_memory_usage'] == 3
    assert found['pods.low_cpu_usage'] == 3
    assert found['pods.idle_count'] == 0


def test_mistake_9_only_live_and_sampled_pods_are_measured():
    pods = [
        asking('live', '1'),
        asking('pending', '100', phase='Pending'),
        asking('failed', '100', phase='Failed'),
        asking('going', '100', metadata={'deletionTimestamp': stamp()}),
        asking('unsampled', '100'),
    ]
    usage = samples({name: {'main': ('500m', '512Mi')} for name in ('live', 'pending', 'failed', 'going', 'gone')})
    found = waste(pods, usage)
    assert found['resources.cpu_efficiency_pct'] == found['resources.memory_efficiency_pct'] == 50
    assert found['resources.cpu_waste_cores'] == 0.5
    assert found['resources.usage_coverage_pct'] == 50


def test_a_pod_of_another_namespace_is_another_pod():
    found = waste([asking('p', namespace='team-b')], samples({'p': {'main': ('1', '1')}}, namespace='team-a'))
    assert found['resources.usage_coverage_pct'] == 0


def test_mistake_10_init_containers_are_not_wasted_and_sidecars_are():
    record = pod(
        'p',
        init=[container('unpack', {'cpu': '8'}), container('mesh', {'cpu': '2'}, restartPolicy='Always')],
        containers=[container('main', {'cpu': '1'})],
        spec={'overhead': {'cpu': '5'}},
    )
    found = waste([record], samples({'p': {'main': ('1', '0'), 'mesh': ('500m', '0'), 'unpack': ('1', '0')}}))
    assert found['resources.cpu_waste_cores'] == 1.5
    assert found['resources.cpu_used_cores'] == 1.5
    assert found['resources.cpu_efficiency_pct'] == 50


def test_containers_without_request_are_used_but_not_measured():
    record = pod('p', containers=[container('a', {'cpu': '1', 'memory': '0'}), container('b')])
    found = waste([record], samples({'p': {'a': ('1', '1Gi'), 'b': ('3', '1Gi')}}))
    assert (found['resources.cpu_used_cores'], found['resources.cpu_efficiency_pct']) == (4, 100)
    assert 'resources.memory_efficiency_pct' not in found


def test_efficiency_is_limited_to_each_request():
    assert waste([asking('p')], samples({'p': {'main': ('3', '0')}}))['resources.cpu_efficiency_pct'] == 100


def test_without_live_pods_there_is_no_coverage_and_no_efficiency():
    found = waste([asking('p', phase='Pending')], {})
    assert not {name for name in found if name.endswith('_pct')}
    assert found['resources.cpu_waste_cores'] == 0


# Over-allocation.


@pytest.mark.parametrize(
    ('cpu', 'memory', 'expected'),
    [
        ('199m', '1Gi', 1),
        ('200m', '1Gi', 0),
        ('1', '200Mi', 1),
        ('1', '205Mi', 0),
        ('100m', '100Mi', 1),
    ],
)
def test_overallocated_is_one_resource_below_a_fifth(cpu, memory, expected):
    found = waste([asking('p')], samples({'p': {'main': (cpu, memory)}}))
    assert found['resources.overallocated_pods'] == expected


@pytest.mark.parametrize(('cpu', 'used'), [('1500m', '300m'), ('0.7', '140m'), ('2100m', '420m'), ('300m', '60m')])
def test_exactly_a_fifth_is_not_below_it(cpu, used):
    assert waste([asking('p', cpu)], samples({'p': {'main': (used, '1Gi')}}))['resources.overallocated_pods'] == 0


@pytest.mark.parametrize(
    ('age', 'started', 'expected'), [(60, 14.9, 0), (60, 15, 1), (14.9, None, 0), (15, None, 1), (5, 60, 1)]
)
def test_young_pods_are_not_overallocated(age, started, expected):
    record = asking('p', age_minutes=age, started_minutes=started)
    assert waste([record], samples({'p': {'main': ('0', '0')}}))['resources.overallocated_pods'] == expected


def test_overallocation_is_of_the_pod_as_a_whole():
    record = pod('p', containers=[container('a', {'cpu': '4'}), container('b', {'cpu': '1'}), container('c')])
    one_busy = samples({'p': {'a': ('0', '0'), 'b': ('1', '0'), 'c': ('9', '0')}})
    assert waste([record], one_busy)['resources.overallocated_pods'] == 0


# Idle.


@pytest.mark.parametrize(
    ('cpu', 'memory', 'idle', 'low_cpu', 'low_memory'),
    [
        ('999999n', '10239Ki', 1, 1, 1),
        ('1m', '10239Ki', 0, 1, 1),
        ('999999n', '10Mi', 0, 1, 1),
        ('9999999n', '51199Ki', 0, 1, 1),
        ('10m', '50Mi', 0, 0, 0),
    ],
)
def test_thresholds_of_idleness_are_strict(cpu, memory, idle, low_cpu, low_memory):
    found = waste([asking('p')], samples({'p': {'main': (cpu, memory)}}))
    assert (found['pods.idle_count'], found['pods.low_cpu_usage'], found['pods.low_memory_usage']) == (
        idle,
        low_cpu,
        low_memory,
    )


def test_the_sample_as_a_whole_is_idle_or_not():
    record = pod('p', containers=[container('a'), container('b')])
    found = waste([record], samples({'p': {'a': ('0', '1Mi'), 'b': ('0', '1Mi'), 'c': ('1', '1Gi')}}))
    assert found['pods.idle_count'] == found['pods.low_cpu_usage'] == 0
    # Rounding must not bring ten times a tenth of a threshold below the threshold.
    many = pod('q', containers=[container(f'c{number}') for number in range(10)])
    tenths = samples({'q': {f'c{number}': ('1m', '5Mi') for number in range(10)}})
    assert waste([many], tenths)['pods.low_cpu_usage'] == waste([many], tenths)['pods.low_memory_usage'] == 0


def test_a_pod_with_an_unreadable_sample_is_not_idle():
    problems = Problems()
    usage = samples({'p': {'a': ('0', '0'), 'b': ('busy', '1Gi')}, 'q': {'a': ('0', None)}}, problems=problems)
    record = pod('p', containers=[container('a', {'cpu': '1'}), container('b', {'cpu': '1'})])
    found = waste([record, pod('q', containers=[container('a', {'cpu': '1'})])], usage)
    assert found['pods.idle_count'] == found['pods.low_cpu_usage'] == 0
    assert found['resources.cpu_waste_cores'] == 1
    assert found['resources.usage_coverage_pct'] == 50
    assert [reason for reason, _ in problems] == ['bad_quantity'] * 2
    assert "pod team-a/p: the usage 'busy' of container b" in problems[0][1]


def test_thresholds_are_options():
    thresholds = Thresholds(
        overallocated_ratio=0.6, overallocated_min_age_minutes=0, idle_cpu_millicores=600, idle_memory_mib=600
    )
    young = asking('p', age_minutes=1)
    found = waste([young], samples({'p': {'main': ('500m', '512Mi')}}), thresholds=thresholds)
    assert (found['resources.overallocated_pods'], found['pods.idle_count'], found['pods.low_cpu_usage']) == (1, 1, 0)


# Namespaces, deployments, prices.


def test_waste_by_namespace_adds_up():
    pods = [asking(name, cpu, namespace=name) for name, cpu in (('a', '1'), ('b', '3'), ('c', '2'))]
    usage = {
        key: used for name in 'abc' for key, used in samples({name: {'main': ('0', '1Gi')}}, namespace=name).items()
    }
    found = waste(pods, usage, max_namespaces=2)
    shown = {name.partition(':')[2]: value for name, value in found.items() if name.startswith('namespace.cpu')}
    assert shown == {'b': 3, 'c': 2, 'other': 1}
    assert sum(shown.values()) == found['resources.cpu_waste_cores']


def test_mistake_16_price_of_waste():
    pods = [asking('p', '10', '20Gi')]
    usage = samples({'p': {'main': ('2', '4Gi')}})
    prices = Prices(cpu_core_hour=0.031611, memory_gib_hour=0.004237)
    found = waste(pods, usage, prices=prices)
    assert found['cost.waste_hourly_usd'] == pytest.approx(8 * 0.031611 + 16 * 0.004237)
    assert 'cost.waste_hourly_usd' not in waste(pods, usage)


def test_waste_by_deployment_adds_up():
    def of(name, deployment, cpu):
        owner = {'kind': 'ReplicaSet', 'name': f'{deployment}-5d8', 'controller': True}
        return asking(name, cpu, metadata={'ownerReferences': [owner], 'labels': {'pod-template-hash': '5d8'}})

    pods = [of('a', 'web', '4'), of('b', 'web', '1'), of('c', 'api', '3'), of('d', 'job', '2'), asking('e', '7')]
    usage = samples({name: {'main': ('0', '1Gi')} for name in 'abcde'})
    found = usage_measures.usage(pods, usage, pods[0].created, settings=Settings(max_deployments=2))
    shown = {
        (sample.tags['kube_namespace'], sample.tags['deployment']): sample.value
        for sample in found
        if sample.name == 'deployment.waste_cores'
    }
    assert shown == {('team-a', 'web'): 5, ('team-a', 'api'): 3, ('other', 'other'): 2 + 7}


# Deployments, nodes, GPUs.


def test_zero_replicas():
    deployments = [Deployment('n', str(number), replicas) for number, replicas in enumerate((0, 0, 1, 5))]
    assert values(deployment_measures.deployments(deployments)) == {'deployments.zero_replicas': 2}


NODES = [
    node('a', {'cpu': 4, 'memory': 8 * GIB}),
    node('b', {'cpu': 100, 'memory': 100 * GIB, 'nvidia.com/gpu': 8}),
    node('c', {'cpu': 100, 'memory': 100 * GIB, 'nvidia.com/gpu': 8}, ready=False),
    node('d', {'cpu': 1, 'memory': GIB, 'amd.com/gpu': 4}),
]


def training(gpus, node='b', **fields):
    return pod(
        containers=[container('a', {'cpu': '1', 'nvidia.com/gpu': str(gpus)})], spec={'nodeName': node}, **fields
    )


def test_allocatable_of_ready_nodes():
    assert values(node_measures.allocatable(NODES)) == {
        'resources.cpu_allocatable_cores': 105,
        'resources.memory_allocatable_gb': 109,
    }


def of_type(found, gpu_type):
    return {name.partition(':')[0]: value for name, value in found.items() if name.endswith(f':{gpu_type}')}


def test_gpus_by_state():
    unschedulable = [{'type': 'PodScheduled', 'status': 'False', 'reason': 'Unschedulable'}]
    pods = [
        training(2),
        training(1, phase='Pending'),
        training(4, node='', phase='Pending', conditions=unschedulable),
        training(4, phase='Failed'),
        training(3, metadata={'deletionTimestamp': stamp()}),
        training(5, node='c'),
    ]
    found = gpus(NODES, pods)
    assert of_type(found, 'nvidia-gpu') == {
        'gpu.allocatable': 8,
        'gpu.requested': 2 + 1 + 3 + 5,
        'gpu.free': 2,
        'gpu.largest_free_block': 2,
        'gpu.terminating': 3,
        'gpu.pending': 4,
        'gpu.queued': 0,
    }
    assert of_type(found, 'amd-gpu') == {
        **dict.fromkeys(of_type(found, 'nvidia-gpu'), 0),
        'gpu.allocatable': 4,
        'gpu.free': 4,
        'gpu.largest_free_block': 4,
    }


def test_free_gpus_are_never_below_zero():
    found = gpus([node('b', {'nvidia.com/gpu': 1})], [training(2)])
    assert (found['gpu.requested:nvidia-gpu'], found['gpu.free:nvidia-gpu']) == (2, 0)


def test_idle_is_allocatable_less_the_larger_of_request_and_use():
    def on_b(name, *amounts, **fields):
        return asking(name, *amounts, **{'spec': {'nodeName': 'b'}, **fields})

    pods = [on_b('modest', '10', '10Gi'), on_b('greedy', '1', '1Gi'), on_b('waits', '2', '2Gi', phase='Pending')]
    pods.append(on_b('unplaced', '50', '50Gi', phase='Pending', spec={'nodeName': ''}))
    pods.append(on_b('elsewhere', '50', '50Gi', spec={'nodeName': 'c'}))
    usage = samples({'modest': {'main': ('1', '1Gi')}, 'greedy': {'main': ('5', '9Gi')}})
    found = values(node_measures.idle(NODES, pods, usage))
    assert found == {'resources.cpu_idle_cores': 105 - 10 - 5 - 2, 'resources.memory_idle_gb': 109 - 10 - 9 - 2}
