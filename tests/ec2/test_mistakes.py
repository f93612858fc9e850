"""Mistakes of the first system, one test each."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from metta_checks.ec2 import records
from metta_checks.testing import Driver
from sandbox.ec2 import tariff
from sandbox.ec2.estate import Machine

from .test_records import moto_types

NO_PRICES = {'source': 'table', 'table': {'none': 1.0}, 'spot': False}


@pytest.fixture
def service(serve):
    return serve('ec2')


def only(service, *machines: dict) -> None:
    """Replace the machines of the sandbox by these; they are 10 days old."""
    old = service.clock.now() - timedelta(days=10)
    service.estate.machines[:] = [
        Machine(
            **{
                'id': f'i-{number:017x}',
                'region': 'us-east-1',
                'zone': 'us-east-1a',
                'kind': 'm5.large',
                'state': 'running',
                'created': old,
                'started': old,
                **machine,
            }
        )
        for number, machine in enumerate(machines)
    ]


def run(service, **options):
    return Driver.of(service, **{'idle': {'source': 'off'}, **options}).run()


def test_1_terminated_and_stopped_instances_do_not_count_as_running(service):
    only(service, *[{'state': 'terminated'}] * 7, {'state': 'stopped'}, *[{}] * 8)
    result = run(service)
    assert result.value('metta.ec2.instances.total') == 9
    assert result.value('metta.ec2.instances.running') == 8
    assert result.value('metta.ec2.instances.stopped') == 1


def test_2_vcpus_come_from_the_instance_or_its_type_not_from_the_size_name(service):
    only(service, {'kind': 'p5.48xlarge'})
    assert run(service).value('metta.ec2.instances.vcpus') == 192


@pytest.mark.parametrize(
    'kind', ['g6.12xlarge', 'p5.48xlarge', 'p6-b200.48xlarge', 'trn1.2xlarge', 'g6f.large', 'g5g.xlarge']
)
def test_3_accelerators_come_from_the_type_not_from_a_list_of_families(kind):
    name, read = records.InstanceType.parse(moto_types()[kind])
    assert (name, read.accelerated) == (kind, True)


@pytest.mark.parametrize(
    ('machine', 'idle'),
    [
        ({'load': 'idle'}, 1),
        ({'load': 'busy'}, 0),
        ({'load': 'chatty'}, 0),
        ({'load': 'spiky'}, 0),
        ({'load': 'silent'}, 0),
        ({'load': 'idle', 'state': 'stopped'}, 0),
        ({'load': 'idle', 'kind': 'g5.xlarge'}, 0),
    ],
)
def test_4_idle_instances_are_found(service, machine, idle):
    only(service, machine)
    result = Driver.of(service).run()
    assert result.value('metta.ec2.instances.idle') == idle
    assert result.value('metta.ec2.instances.gpu_idle') == (1 if machine.get('kind') else 0)


def test_4_young_instances_are_not_idle(service):
    now = service.clock.now()
    for hours, idle in ((23, 0), (25, 1)):
        only(service, {'load': 'idle', 'started': now - timedelta(hours=hours)})
        assert (
            Driver.of(service, tags=[f'hours:{hours}'], refresh_interval=0).run().value('metta.ec2.instances.idle')
            == idle
        )
        service.pass_time(6 * 3600)
        now = service.clock.now()


def test_5_prices_and_savings_come_from_aws(service):
    only(service, {'kind': 'p4d.24xlarge'}, {'kind': 'g6.12xlarge', 'lifecycle': 'spot'}, {'operation': tariff.WINDOWS})
    result = run(service)
    spot = tariff.spot('us-east-1', 'us-east-1a', 'g6.12xlarge', 'Linux/UNIX', service.clock.now())[0]
    hourly = 32.77 + spot + 0.188
    assert result.value('metta.ec2.cost.running_hourly_estimate') == pytest.approx(hourly)
    assert result.value('metta.ec2.cost.monthly_estimate') == pytest.approx(hourly * 730)
    assert result.value('metta.ec2.cost.spot_savings_pct') == pytest.approx(100 * (1 - spot / 4.60))


def test_5_without_a_price_there_is_no_estimate(service):
    only(service, {}, {})
    result = run(service, prices=NO_PRICES)
    for name in ('running_hourly_estimate', 'monthly_estimate', 'spot_savings_pct'):
        assert result.series(f'metta.ec2.cost.{name}') == {}
    assert result.value('metta.ec2.cost.price_coverage_pct') == 0


def test_6_all_pages_are_read(serve):
    service = serve('ec2', instances=1003, volumes=501, regions=['us-east-1'])
    result = run(service)
    assert result.value('metta.ec2.instances.total') == 1003
    assert result.value('metta.ec2.ebs.volumes.total') == 501


def test_7_all_regions_and_the_account_are_shown(service):
    only(service, {}, {'region': 'us-west-2', 'zone': 'us-west-2a'})
    result = run(service)
    assert result.value('metta.ec2.instances.running', 'account:123456789012') == 2
    assert result.value('metta.ec2.region.instances_running', 'region:us-west-2') == 1


def test_8_a_restart_keeps_the_age(service):
    only(
        service,
        {'created': service.clock.now() - timedelta(days=90), 'started': service.clock.now() - timedelta(hours=1)},
    )
    result = run(service)
    assert result.value('metta.ec2.instances.oldest_age_days') == pytest.approx(90, abs=1e-4)
    assert result.value('metta.ec2.instances.avg_uptime_days') == pytest.approx(1 / 24, abs=1e-4)


def test_9_a_capacity_block_is_not_on_demand(service):
    only(service, {'lifecycle': 'capacity-block'}, {'lifecycle': 'interruptible-capacity-reservation'}, {})
    result = run(service)
    assert result.value('metta.ec2.instances.ondemand') == 1
    assert result.value('metta.ec2.instances.spot') == 0
    assert result.value('metta.ec2.instances.by_lifecycle', 'lifecycle:capacity_block') == 1
    assert result.value('metta.ec2.instances.by_lifecycle', 'lifecycle:other') == 1


def test_10_snapshots_have_the_size_of_their_data_and_of_their_volumes(service):
    result = run(service)
    assert 0 < result.value('metta.ec2.ebs.snapshots.full_size_gb') < result.value('metta.ec2.ebs.snapshots.size_gb')


def test_11_a_missing_permission_is_named_and_affects_one_block(service):
    service.denied = {'ec2:DescribeSnapshots'}
    result = run(service)
    assert result.errors() == {('snapshots', 'permission'): 1}
    assert result.warnings == [
        (
            'ec2 (us-east-1, us-west-2): block snapshots: ec2:DescribeSnapshots in us-east-1 is not allowed '
            '(UnauthorizedOperation: not authorized); add ec2:DescribeSnapshots to the IAM policy of the credentials'
        )
    ]
    assert result.status == 1
    assert result.series('metta.ec2.ebs.snapshots.total') == {}
    assert result.value('metta.ec2.instances.total') == 102
    assert result.value('metta.ec2.cost.running_hourly_estimate') > 0


def test_12_no_request_is_sent_twice(service):
    run(service)
    assert {name: number for name, number in Counter(entry.body for entry in service.log).items() if number > 2} == {}
    assert max(Counter(call for call in service.asked if 'GetProducts' not in call).values()) == 1
