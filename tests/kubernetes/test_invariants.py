"""Properties that hold in every cluster: what is held, free and unusable, sums over namespaces, order and pages."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.kubernetes import client
from metta_checks.kubernetes.accelerator_types import AcceleratorTypes
from metta_checks.kubernetes.device_claims import DeviceClaims, HeldDevice
from metta_checks.kubernetes.history import History
from metta_checks.kubernetes.inventory import Inventory
from metta_checks.kubernetes.measures import gpu_usage as gpu_usage_measures
from metta_checks.kubernetes.measures import gpus as gpu_measures
from metta_checks.kubernetes.measures import nodes as node_measures
from metta_checks.kubernetes.measures import pods as pod_measures
from metta_checks.kubernetes.measures import usage as usage_measures
from metta_checks.kubernetes.prometheus import Gpu, GpuUsage, Reading
from metta_checks.kubernetes.records import PodKey, PodUsage
from metta_checks.kubernetes.settings import Prices, Settings
from metta_checks.testing import Driver

from .build import NOW, container, node, pod, samples, stamp

NODES = ('n1', 'n2', 'n3')
RESOURCES = ('nvidia.com/gpu', 'amd.com/gpu', 'nvidia.com/mig-1g.10gb')
NAMESPACES = ('team-a', 'team-b', 'team-c')
SETTINGS = Settings(per_namespace=True, max_namespaces=2, max_workloads=2, prices=Prices(0.03, 0.004))
PRODUCTS: tuple[dict[str, str], ...] = (
    {},
    {'nvidia.com/gpu.product': 'NVIDIA-L4'},
    {'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3'},
)


@st.composite
def nodes(draw):
    made = []
    for name in draw(st.sets(st.sampled_from(NODES))):
        amounts = {'cpu': draw(st.integers(0, 64)), 'memory': draw(st.integers(0, 64)) * 2**30}
        amounts |= {resource: draw(st.integers(0, 8)) for resource in draw(st.sets(st.sampled_from(RESOURCES)))}
        marks = {key: draw(st.booleans()) for key in ('accepts_pods', 'virtual')}
        made.append(node(name, amounts, ready=draw(st.booleans()), labels=draw(st.sampled_from(PRODUCTS)), **marks))
    return made


@st.composite
def pods(draw):
    made = []
    for number in range(draw(st.integers(0, 6))):
        requests = {'cpu': str(draw(st.integers(0, 9))), 'memory': f'{draw(st.integers(0, 9))}Gi'}
        requests |= {resource: str(draw(st.integers(0, 8))) for resource in draw(st.sets(st.sampled_from(RESOURCES)))}
        spec = {'nodeName': draw(st.sampled_from(('', *NODES)))}
        if draw(st.booleans()):
            spec['resources'] = {'requests': {'cpu': str(draw(st.integers(0, 20)))}}
        if draw(st.booleans()):
            spec['schedulingGates'] = [{'name': 'gate'}]
        owner = {'kind': draw(st.sampled_from(('Job', 'StatefulSet'))), 'name': f'w{number % 4}', 'controller': True}
        metadata = {'ownerReferences': draw(st.sampled_from(([], [owner])))}
        if draw(st.booleans()):
            metadata['deletionTimestamp'] = stamp()
        made.append(
            pod(
                f'p{number}',
                namespace=draw(st.sampled_from(NAMESPACES)),
                phase=draw(st.sampled_from(('Running', 'Pending', 'Failed', 'Unknown'))),
                containers=[container('main', requests), container('side', {'cpu': '1'})],
                conditions=draw(
                    st.sampled_from(([], [{'type': 'PodScheduled', 'status': 'False', 'reason': 'Unschedulable'}]))
                ),
                spec=spec,
                metadata=metadata,
            )
        )
    return made


@st.composite
def usages(draw):
    found: dict[PodKey, PodUsage] = {}
    for number in range(6):
        for namespace in NAMESPACES:
            amounts = {
                name: (f'{draw(st.integers(0, 9000))}m', f'{draw(st.integers(0, 9000))}Mi') for name in ('main', 'side')
            }
            found |= samples({f'p{number}': amounts}, namespace=namespace)
    return found


@st.composite
def device_claims(draw):
    """Draw devices that a driver offers, and claims that keep some of them for any pods, or for none."""
    offered = {(name, 'h100'): draw(st.integers(0, 4)) for name in draw(st.sets(st.sampled_from(NODES)))}
    held = [
        HeldDevice(
            'gpu.nvidia.com',
            draw(st.sampled_from(('', *NODES))),
            draw(st.sampled_from(('h100', 'nvidia-gpu'))),
            draw(st.sampled_from(NAMESPACES)),
            frozenset(draw(st.sets(st.sampled_from([f'uid-p{number}' for number in range(7)])))),
        )
        for _ in range(draw(st.integers(0, 5)))
    ]
    return DeviceClaims(offered, tuple(held), frozenset())


def totals(found, name):
    return [sample.value for sample in found if sample.name == name and sample.value is not None]


def inventory_of(some_nodes, some_pods, claims=None):
    inventory = Inventory(some_nodes, AcceleratorTypes(), claims)
    inventory.hold(some_pods)
    return inventory


@pytest.mark.unit
@given(nodes(), pods(), st.none() | device_claims())
def test_held_free_and_unusable_make_up_a_node(some_nodes, some_pods, claims):
    usable = {one.name for one in some_nodes if one.usable}
    for (name, _), stock in inventory_of(some_nodes, some_pods, claims).stocks.items():
        assert stock.free == (max(0.0, stock.allocatable - stock.held) if name in usable else 0.0)
        assert stock.held + stock.free + stock.unusable == max(stock.allocatable, stock.held)


@pytest.mark.unit
@given(nodes(), pods(), st.none() | device_claims())
def test_gpus_of_namespaces_and_workloads_add_up(some_nodes, some_pods, claims):
    inventory = inventory_of(some_nodes, some_pods, claims)
    states = list(gpu_measures.states(inventory, some_pods))
    owners = list(gpu_measures.by_owner(inventory, some_pods, SETTINGS))
    requested = sum(totals(states, 'gpu.requested'))
    assert sum(totals(owners, 'namespace.gpu_requested')) == requested
    assert sum(totals(owners, 'workload.gpu_requested')) == requested
    assert sum(totals(states, 'gpu.terminating')) <= requested
    for sample in states:
        if sample.name == 'gpu.largest_free_block':
            free = [other.value for other in states if other.name == 'gpu.free' and other.tags == sample.tags]
            assert [sample.value] <= free


@pytest.mark.unit
@given(
    nodes(),
    pods(),
    st.none() | device_claims(),
    st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.sampled_from(('', '1g.10gb'))), max_size=9),
)
def test_idle_gpus_are_held(some_nodes, some_pods, claims, measured):
    inventory = inventory_of(some_nodes, some_pods, claims)
    readings = {
        one.key: {
            Gpu(f'{one.name}/{index}', profile): Reading(*numbers) for index, (*numbers, profile) in enumerate(measured)
        }
        for one in some_pods
    }
    found = gpu_usage_measures.measured(inventory, some_pods, readings)
    option = GpuUsage('http://prometheus', 'METRIC', '', 1800, 5)
    idle = list(gpu_usage_measures.usage(found, NOW, option=option, settings=SETTINGS))
    held = inventory.totals(lambda stock: stock.held)
    for sample in idle:
        if sample.name == 'gpu.idle':
            assert sample.value is not None
            assert 0 <= sample.value <= held[sample.tags['gpu_type']] + 1e-9
    assert sum(totals(idle, 'namespace.gpu_idle')) == pytest.approx(sum(totals(idle, 'gpu.idle')))


@pytest.mark.unit
@given(nodes(), pods(), usages())
def test_usage_adds_up(some_nodes, some_pods, usage):
    found = list(usage_measures.usage(some_pods, usage, NOW, settings=SETTINGS))
    for resource, unit in (('cpu', 'cores'), ('memory', 'gb')):
        [waste] = totals(found, f'resources.{resource}_waste_{unit}')
        for scope in ('namespace', 'workload'):
            assert sum(totals(found, f'{scope}.{resource}_waste_{unit}')) == pytest.approx(waste)
        [used] = totals(found, f'resources.{resource}_used_{unit}')
        [over] = totals(found, f'resources.{resource}_overuse_{unit}')
        assert 0 <= over <= used + 1e-9
        for efficiency in totals(found, f'resources.{resource}_efficiency_pct'):
            assert 0 <= efficiency <= 100
            # Waste is what efficiency leaves: both are of one population.
            assert (waste == 0) == (efficiency == pytest.approx(100))
    [cost] = totals(found, 'cost.waste_hourly_usd')
    assert sum(totals(found, 'cost.namespace_waste_hourly_usd')) == pytest.approx(cost)


@pytest.mark.unit
@given(nodes(), pods(), usages())
def test_idle_capacity_is_part_of_the_capacity(some_nodes, some_pods, usage):
    offered = list(node_measures.allocatable(some_nodes))
    idle = list(node_measures.idle(some_nodes, some_pods, usage))
    for resource, unit in (('cpu', 'cores'), ('memory', 'gb')):
        [capacity] = totals(offered, f'resources.{resource}_allocatable_{unit}')
        [left] = totals(idle, f'resources.{resource}_idle_{unit}')
        assert 0 <= left <= capacity


@pytest.mark.unit
@given(pods())
def test_requests_of_namespaces_add_up(some_pods):
    found = health(some_pods)
    for name in ('cpu_requested_cores', 'memory_requested_gb'):
        [total] = totals(found, f'resources.{name}')
        assert sum(totals(found, f'namespace.{name}')) == pytest.approx(total)


@pytest.mark.unit
@given(pods())
def test_removing_a_pod_raises_no_number_of_pods(some_pods):
    whole, part = health(some_pods), health(some_pods[1:])
    for before, after in zip(whole, part, strict=False):
        if before.name.startswith('pods.') and not before.tags:
            assert after.name == before.name
            assert after.value <= before.value


def health(some_pods):
    current = History.of(some_pods, NOW, None)
    return list(pod_measures.pods(some_pods, NOW, previous=None, current=current, settings=SETTINGS))


@pytest.mark.unit
@given(nodes(), pods(), device_claims())
def test_every_claimed_device_is_held_once(some_nodes, some_pods, claims):
    without, with_claims = (
        inventory_of(some_nodes, some_pods, some).totals(lambda stock: stock.held) for some in (None, claims)
    )
    added = sum(with_claims.values()) - sum(without.values())
    assert added == pytest.approx(len(claims.held))


@pytest.mark.unit
@given(nodes(), pods(), usages(), st.randoms(use_true_random=False))
def test_the_order_of_the_lists_does_not_matter(some_nodes, some_pods, usage, dice):
    def everything(some_nodes, some_pods):
        inventory = inventory_of(some_nodes, some_pods)
        found = [
            *health(some_pods),
            *gpu_measures.allocatable(inventory),
            *gpu_measures.states(inventory, some_pods),
            *gpu_measures.by_owner(inventory, some_pods, SETTINGS),
            *usage_measures.usage(some_pods, usage, NOW, settings=SETTINGS),
            *node_measures.idle(some_nodes, some_pods, usage),
        ]
        return {
            (one.name, *sorted(one.tags.items())): one.value if one.value is None else round(one.value, 6)
            for one in found
        }

    other_nodes, other_pods = list(some_nodes), list(some_pods)
    dice.shuffle(other_nodes)
    dice.shuffle(other_pods)
    assert everything(other_nodes, other_pods) == everything(some_nodes, some_pods)


@pytest.mark.integration
@pytest.mark.parametrize('size', [7, 100, 10_000])
def test_the_size_of_pages_does_not_matter(serve, monkeypatch, size):
    service = serve('kubernetes', pods=150)
    usual = Driver.of(service, refresh_interval=0).run()
    monkeypatch.setattr(client, 'PAGE_SIZE', size)
    random.Random(size).shuffle(service.cluster.pods)
    service.changed()
    found = Driver.of(service, refresh_interval=0).run()
    assert gauges(found) == pytest.approx(gauges(usual))


def gauges(run):
    return {key: value for key, value in run.figures().items() if not key[0].startswith('metta.kubernetes.containers.')}
