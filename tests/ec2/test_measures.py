from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.ec2 import measures, records
from metta_checks.ec2.records import Address, MetricValues, Reading, Site, Utilization
from metta_checks.ec2.snapshot_crawl import Totals
from metta_checks.ec2.tag_keys import TagKey

from .builders import GPU, NEURON, NOW, RULE, TYPES, ago, fleet, instance, snapshot, values, volume
from .test_records import moto_types


def counted(*instances, types=None, regions=('us-east-1',), max_types=30, seen=()):
    made = fleet(*instances, types=types)
    by_region = {region: [one for one in instances if one.region == region] for region in regions}
    return values(
        [
            *measures.instances.measure(made, NOW, max_types=max_types),
            *measures.accelerators.measure(made, seen),
            *measures.regions.running(by_region),
        ]
    )


def test_states_and_lifecycles():
    found = counted(
        *(instance(state=state) for state in ('pending', 'running', 'running', 'stopping', 'stopped')),
        instance(lifecycle='spot'),
        instance(lifecycle='capacity_block'),
        instance(lifecycle='other'),
        instance(state='stopped', lifecycle='spot'),
    )
    assert found['instances.total'] == 9
    assert found['instances.running'] == 5
    assert found['instances.stopped'] == 2
    assert found['instances.spot'] == 1
    assert found['instances.ondemand'] == 2
    by_lifecycle = {
        name: found['instances.by_lifecycle', name] for name in ('on_demand', 'spot', 'capacity_block', 'other')
    }
    assert by_lifecycle == {'on_demand': 2, 'spot': 1, 'capacity_block': 1, 'other': 1}
    assert found['instances.by_lifecycle', 'scheduled'] == 0


def test_gpus_and_neuron_devices():
    found = counted(
        instance('g6.12xlarge'),
        instance('g6.12xlarge'),
        instance('trn1.2xlarge'),
        instance(),
        instance('g6.12xlarge', 'stopped'),
    )
    assert found['instances.gpu_count'] == 3
    assert found['instances.cpu_count'] == 1
    assert found['instances.gpus', 'l4'] == 8
    assert found['instances.accelerators'] == 1


def test_an_unused_gpu_model_is_0():
    assert counted(instance(), seen=('h100',))['instances.gpus', 'h100'] == 0


def test_few_unknown_types_are_left_out():
    found = counted(instance('x99.large', vcpus=None), *(instance('g6.12xlarge') for _ in range(9)))
    assert found['instances.unknown_type'] == 1
    assert found['instances.gpu_count'] == 9
    assert found['instances.gpus', 'l4'] == 36
    assert found['instances.vcpus'] == 18


def test_many_unknown_types_make_dependent_sums_absent():
    found = counted(instance('x99.large', vcpus=None), *(instance() for _ in range(8)))
    assert found['instances.running'] == 9
    assert found['instances.unknown_type'] == 1
    assert found['instances.vcpus'] is None
    for name in ('gpu_count', 'cpu_count', 'accelerators'):
        assert f'instances.{name}' not in found


def test_gpus_by_lifecycle_and_by_tag():
    made = fleet(
        instance('g6.12xlarge', lifecycle='spot', tags={'team': 'ML'}),
        instance('g6.12xlarge', tags={'team': 'ml'}),
        instance('g6.12xlarge'),
        instance('trn1.2xlarge'),
    )
    assert values(measures.accelerators.by_lifecycle(made, ('h100|spot',))) == {
        ('gpus.running', 'h100', 'spot'): 0,
        ('gpus.running', 'l4', 'on_demand'): 8,
        ('gpus.running', 'l4', 'spot'): 4,
    }
    assert values(measures.accelerators.by_tag(made, TagKey.of('team'))) == {
        ('gpus.by_tag.team', 'ml'): 8,
        ('gpus.by_tag.team', 'none'): 4,
    }


def test_the_type_of_a_stopped_instance_is_not_needed():
    assert counted(instance('x99.large', 'stopped'), instance())['instances.gpu_count'] == 0


def test_vcpus_of_the_instance_override_those_of_its_type():
    assert counted(instance(vcpus=1), instance(vcpus=None))['instances.vcpus'] == 1 + 2


def test_ages_come_from_the_first_launch_and_uptime_from_the_last_start():
    found = counted(
        instance(first_launched=ago(days=100), launched=ago(days=1)),
        instance(first_launched=None, launched=ago(days=3)),
    )
    assert found['instances.avg_age_days'] == pytest.approx((100 + 3) / 2)
    assert found['instances.oldest_age_days'] == 100
    assert found['instances.avg_uptime_days'] == pytest.approx(2)


def test_ages_are_never_negative_and_absent_without_running_instances():
    assert counted(instance(first_launched=ago(days=-1)))['instances.avg_age_days'] == 0
    found = counted(instance(state='stopped'))
    assert found['instances.avg_age_days'] is None
    assert found['instances.oldest_age_days'] is None
    assert found['instances.running'] == 0


def test_further_types_are_summed_as_other():
    found = counted(*(instance(f'm{n % 4}.large') for n in range(10)), max_types=2)
    assert found['instances.by_type', 'm0.large'] == 3
    assert found['instances.by_type', 'm1.large'] == 3
    assert found['instances.by_type', 'other'] == 4


def test_every_configured_region_has_a_figure():
    found = counted(instance(), regions=('us-east-1', 'us-west-2'))
    assert found['region.instances_running', 'us-east-1'] == 1
    assert found['region.instances_running', 'us-west-2'] == 0


def test_stopped_for_a_week():
    found = counted(
        instance(state='stopped', stopped_at=ago(days=7, seconds=1)),
        instance(state='stopped', stopped_at=ago(days=7)),
        instance(state='stopped', stopped_at=None),
    )
    assert found['instances.stopped_over_7d'] == 1


@given(st.lists(st.sampled_from(['pending', 'running', 'stopping', 'stopped'])), st.lists(st.sampled_from(list(TYPES))))
def test_parts_add_up(states, types):
    found = counted(*(instance(state=state) for state in states), *(instance(name) for name in types))
    assert found['instances.total'] == len(states) + len(types)
    parts = [value for key, value in found.items() if key[0] == 'instances.by_lifecycle']
    assert sum(parts) == found['instances.running'] == found['instances.gpu_count'] + found['instances.cpu_count']
    assert sum(value for key, value in found.items() if key[0] == 'instances.by_type') == found['instances.running']


def test_vcpus_of_every_real_type_are_those_of_the_table():
    raw = moto_types()
    types = dict(records.InstanceType.parse(value) for value in raw.values())
    for name, kind in raw.items():
        assert counted(instance(name, vcpus=None), types=types)['instances.vcpus'] == kind['VCpuInfo']['DefaultVCpus']


# Idle.


@pytest.mark.parametrize(
    ('cpu', 'network', 'expected'),
    [
        (4.99, 4.99e6, True),
        (5.0, 1.0, False),
        (1.0, 5e6, False),
        (0.0, 0.0, True),
    ],
)
def test_the_idle_rule_needs_cpu_and_network(cpu, network, expected):
    assert measures.idle.is_idle(Utilization(cpu, network), RULE) is expected


def test_young_instances_are_not_candidates():
    young, old = instance(launched=ago(hours=23)), instance(launched=ago(hours=24))
    restarted = instance(launched=ago(hours=2), first_launched=ago(days=90))
    assert measures.idle.candidates([young, old, restarted], NOW, RULE) == [old]


def test_the_longest_running_come_first():
    found = measures.idle.candidates([instance(launched=ago(days=2)), instance(launched=ago(days=9))], NOW, RULE)
    assert [i.launched for i in found] == [ago(days=9), ago(days=2)]


def test_idle_gpu_instances_are_counted_separately():
    found = values(measures.idle.measure([instance(), instance('g6.12xlarge'), instance('trn1.2xlarge')], TYPES, 3))
    assert found == {'instances.idle': 1, 'instances.gpu_idle': 2, 'instances.idle_unknown': 3}


def test_an_idle_instance_of_unknown_type_is_left_out():
    known = instance()
    assert measures.idle.of_known_type([instance('x99.large'), known], TYPES) == [known]


@given(st.lists(st.floats(0, 4), max_size=24), st.integers(0, 24))
def test_a_missing_value_never_makes_an_instance_idle(cpu, hours):
    traffic = MetricValues('n', (1.0,) * hours)
    whole = Reading.of(MetricValues('c', (*cpu, 90.0)), traffic, traffic).utilization
    rest = Reading.of(MetricValues('c', tuple(cpu)), traffic, traffic).utilization
    assert whole is None or not measures.idle.is_idle(whole, RULE)
    assert rest is None or len(cpu) >= 23 <= hours


# Volumes, snapshots, addresses.


def test_volumes():
    found = measures.volumes.existing(
        [
            volume(10),
            volume(20, state='available', attached_to=(), created=ago(days=31)),
            volume(30, state='available', attached_to=(), created=ago(days=29)),
            volume(40, state='creating', attached_to=()),
            volume(50, state='error', attached_to=()),
            volume(60, state='deleting'),
            volume(70, state='deleted'),
            volume(80, attached_to=('i-stopped',)),
            volume(90, attached_to=('i-stopped', 'i-1')),
        ]
    )
    assert values(measures.volumes.measure(found, {'i-stopped'}, NOW)) == {
        'ebs.volumes.total': 7,
        'ebs.volumes.attached': 3,
        'ebs.volumes.unattached': 2,
        ('ebs.volumes.by_state', 'creating'): 1,
        ('ebs.volumes.by_state', 'available'): 2,
        ('ebs.volumes.by_state', 'in-use'): 3,
        ('ebs.volumes.by_state', 'error'): 1,
        'ebs.volumes.size_gb': 10 + 20 + 30 + 40 + 50 + 80 + 90,
        'ebs.volumes.unattached_size_gb': 50,
        'ebs.volumes.unattached_over_30d': 1,
        'ebs.volumes.stopped_attached_size_gb': 80,
    }


def test_volumes_of_stopped_instances_need_the_instances():
    assert 'ebs.volumes.stopped_attached_size_gb' not in values(measures.volumes.measure([volume()], None, NOW))


def test_snapshots():
    found = [
        snapshot(100, full_bytes=5 * 2**30, started=ago(days=91)),
        snapshot(100, full_bytes=None),
        snapshot(100, is_archived=True),
        snapshot(100, is_archived=True, restored_until=ago(days=-1)),
        snapshot(100, on_outpost=True),
    ]
    totals = Totals(0.0).joined(found, NOW)
    assert values(measures.snapshots.measure(totals)) == {
        'ebs.snapshots.total': 5,
        'ebs.snapshots.size_gb': 500,
        'ebs.snapshots.full_size_gb': 35,
        'ebs.snapshots.over_90d': 1,
        'ebs.snapshots.orphaned': 0,
    }
    east = Site('us-east-1', 'us-east-1a')
    assert sorted(totals.billed) == [(east, 'archive', 20), (east, 'standard', 5 + 100 + 10)]


@given(st.lists(st.tuples(st.integers(1, 99), st.none() | st.integers(0, 2**40), st.booleans())), st.integers(0, 9))
def test_the_sums_of_pages_are_the_sums_of_all(rows, cut):
    found = [snapshot(size, full_bytes=full, is_archived=archived) for size, full, archived in rows]
    pages = Totals(0.0).joined(found[:cut], NOW).joined(found[cut:], NOW)
    whole = Totals(0.0).joined(found, NOW)
    assert (pages.count, pages.size, pages.full_bytes) == (whole.count, whole.size, whole.full_bytes)
    assert pages.gib == pytest.approx(whole.gib)


def test_the_data_in_snapshots_is_unknown_without_the_field():
    assert Totals(0.0).joined([snapshot(full_bytes=None)], NOW).full_gib is None
    assert Totals(0.0).full_gib == 0


def test_addresses():
    found = [Address(is_associated=True), Address(is_associated=False), Address(is_associated=False)]
    assert values(measures.addresses.measure(found)) == {'addresses.unassociated': 2}


def test_kinds_of_accelerators():
    assert GPU.accelerated
    assert NEURON.accelerated
