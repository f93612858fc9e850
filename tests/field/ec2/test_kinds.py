"""Kinds of things: accelerators, states of volumes, reserved capacity, and interrupted instances."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from metta_checks.testing import Driver
from sandbox.ec2.estate import SpotRequest

from ..case import case

OFF = {'idle': {'source': 'off'}, 'regions': ['us-east-1']}


@case('F', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html')
@pytest.mark.parametrize(
    ('kind', 'number'), [('f2.12xlarge', 2), ('vt1.6xlarge', 2), ('dl2q.24xlarge', 8), ('trn1.2xlarge', 1)]
)
def test_accelerators_that_are_not_gpus(account, kind, number):
    """Accelerators that are not GPUs.

    An instance with FPGAs, media accelerators, inference accelerators or Neuron devices runs.

    Right: It counts among the accelerated instances, not as a CPU instance, and its devices as accelerators.

    Unchanged: They are not GPUs.
    """
    account.machine(kind)
    run = Driver.of(account.service, gpu_breakdown=True, **OFF).run()
    assert run.value('metta.ec2.instances.gpu_count') == 1
    assert run.value('metta.ec2.instances.cpu_count') == 0
    assert run.value('metta.ec2.instances.accelerators') == number
    assert run.series('metta.ec2.instances.gpus') == {}


@case('C', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Volume.html')
def test_volumes_in_other_states(account):
    """Volumes in other states.

    One volume is being created, and two have the state `error`, beside one that is available.

    Right: Each state has its number; together they are the total.

    Unchanged: One volume is unattached.
    """
    for state in ('creating', 'error', 'error', 'available'):
        account.disk(state=state)
    run = Driver.of(account.service, **OFF).run()
    states = {
        state: run.value('metta.ec2.ebs.volumes.by_state', f'state:{state}')
        for state in ('creating', 'available', 'in-use', 'error')
    }
    assert states == {'creating': 1, 'available': 1, 'in-use': 0, 'error': 2}
    assert run.value('metta.ec2.ebs.volumes.total') == 4
    assert run.value('metta.ec2.ebs.volumes.unattached') == 1


@case('E', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html')
def test_one_unknown_type_among_many(account):
    """One unknown type among many.

    AWS no longer describes the type of 1 of 20 instances. The others have 19 GPUs.

    Right: The figures of GPUs cover the others, and `instances.unknown_type` is 1. Before, they were absent.

    Unchanged: With 1 of 5 instances the figures are absent: the sum could be far off.
    """
    account.machine('cg1.4xlarge')
    machines = [account.machine('g5.xlarge') for _ in range(19)]
    run = Driver.of(account.service, **OFF).run()
    assert run.value('metta.ec2.instances.unknown_type') == 1
    assert run.value('metta.ec2.instances.gpus', 'gpu_type:a10g') == 19
    assert run.value('metta.ec2.cost.gpu_hourly_usd') == pytest.approx(19 * 1.006)
    for machine in machines[4:]:
        machine.state = 'terminated'
    account.service.pass_time(900)
    run = Driver.of(account.service, **OFF).run()
    assert run.value('metta.ec2.instances.unknown_type') == 1
    assert run.series('metta.ec2.instances.gpu_count') == {}


@case('C', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html')
def test_types_that_cannot_be_read(account):
    """Types that cannot be read.

    DescribeInstanceTypes answers 503 when the check starts.

    Right: It is not known whether AWS describes the types: `instances.unknown_type` and the figures of GPUs are absent,
    and CloudWatch is not asked, which would cost money.

    Unchanged: The instances count.
    """
    account.machine('g5.xlarge', load='idle')
    account.service.fail('ec2:DescribeInstanceTypes', 'Unavailable', 503)
    run = Driver.of(account.service, regions=['us-east-1']).run()
    assert run.errors() == {('instances', 'http_5xx'): 1}
    for name in ('unknown_type', 'gpu_count', 'gpus', 'gpu_idle', 'idle_unknown'):
        assert run.series(f'metta.ec2.instances.{name}') == {}
    assert not any(call.startswith('cloudwatch:') for call in account.service.asked)
    assert run.value('metta.ec2.instances.running') == 1


@case('H', 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-purchasing-options.html')
def test_gpus_by_lifecycle(account):
    """GPUs by lifecycle.

    Four L4 are in a spot instance, one A10G in an instance on demand, and a Trainium instance runs beside them.

    Right: The GPUs by type and lifecycle add up to `instances.gpus`, and the cost by type, in which Trainium has its
    own part, to `cost.gpu_hourly_usd`.

    Unchanged: Without the option there are no such series.
    """
    account.machine('g6.12xlarge', lifecycle='spot')
    account.machine('g5.xlarge')
    account.machine('inf2.xlarge')
    run = Driver.of(account.service, gpu_breakdown=True, **OFF).run()
    assert run.value('metta.ec2.gpus.running', 'gpu_type:l4', 'lifecycle:spot') == 4
    assert run.value('metta.ec2.gpus.running', 'gpu_type:a10g', 'lifecycle:on_demand') == 1
    assert sum(run.series('metta.ec2.gpus.running').values()) == sum(run.series('metta.ec2.instances.gpus').values())
    parts = run.series('metta.ec2.cost.by_gpu_type_hourly_usd')
    assert len(parts) == 3
    assert sum(parts.values()) == pytest.approx(run.require('metta.ec2.cost.gpu_hourly_usd'))
    account.service.pass_time(900)
    assert Driver.of(account.service, **OFF).run().series('metta.ec2.gpus.running') == {}


@case('F', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeCapacityReservations.html')
def test_reserved_capacity(serve):
    """Reserved capacity.

    The account has reservations of 4 and a capacity block of 2 p5.48xlarge, of which 3 and 0 are unused, 10 m5.large in
    one region and 5 in another, of which 4 are unused, and expired and pending ones. Another account shares 6.

    Right: 6 p5.48xlarge, 3 unused; 15 m5.large, 4 unused. Expired and pending reservations do not count, nor do those
    of others.

    Unchanged: Without the option, nothing is asked.
    """
    service = serve('ec2', scale=0.02, situations=['capacity'])
    run = Driver.of(service, capacity_reservations=True, idle={'source': 'off'}).run()
    assert run.errors() == {}
    found = {
        kind: tuple(
            run.value(f'metta.ec2.capacity.{name}_instances', f'instance_type:{kind}')
            for name in ('reserved', 'unused')
        )
        for kind in ('p5.48xlarge', 'm5.large', 'g6.12xlarge')
    }
    assert found == {'p5.48xlarge': (6, 3), 'm5.large': (15, 4), 'g6.12xlarge': (None, None)}
    service.asked.clear()
    service.pass_time(900)
    Driver.of(service, idle={'source': 'off'}).run()
    assert not any('CapacityReservations' in call for call in service.asked)


@case('B', 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html')
def test_a_persistent_request_that_is_interrupted_twice(account):
    """A persistent request that is interrupted twice.

    The instance of a persistent request is stopped for lack of capacity. An hour later the request is fulfilled again,
    so that its status no longer shows the interruption. Then its instance is stopped again.

    Right: 1, 1, 2 interruptions in 24 hours; what was seen is kept. A day later 0.

    Unchanged: An instance that a person stopped does not count.
    """

    def request(code: str) -> SpotRequest:
        now = account.service.clock.now()
        return SpotRequest('sir-1', 'us-east-1', 'g6.12xlarge', 'open', code, now, True)

    driver = Driver.of(account.service, spot_interruptions=True, **OFF)
    other = SpotRequest(
        'sir-2', 'us-east-1', 'g6.xlarge', 'disabled', 'instance-stopped-by-user', account.service.clock.now(), True
    )
    seen = []
    for code in ('instance-stopped-no-capacity', 'fulfilled', 'instance-stopped-no-capacity'):
        account.estate.requests[:] = [request(code), other]
        seen.append(driver.run().series('metta.ec2.spot.interruptions_24h'))
        account.service.pass_time(3600)
    assert [list(series.values()) for series in seen] == [[1], [1], [2]]
    account.service.pass_time(86400)
    assert list(driver.run().series('metta.ec2.spot.interruptions_24h').values()) == [0]


@case('B', 'https://github.com/mlevit/aws-auto-cleanup/issues/129', guard=True)
def test_an_old_instance_that_was_restarted(account):
    """An old instance that was restarted.

    An instance was created 90 days ago, and stopped and started again 2 days ago. AWS replaces `LaunchTime` at each
    start; the primary network interface keeps the time of its attachment.

    Right: `instances.avg_age_days` and `instances.oldest_age_days` are 90.

    Unchanged: `instances.avg_uptime_days` is 2.
    """
    now = account.service.clock.now()
    account.machine(created=now - timedelta(days=90), started=now - timedelta(days=2))
    run = Driver.of(account.service, **OFF).run()
    assert run.value('metta.ec2.instances.avg_age_days') == pytest.approx(90, abs=1e-3)
    assert run.value('metta.ec2.instances.oldest_age_days') == pytest.approx(90, abs=1e-3)
    assert run.value('metta.ec2.instances.avg_uptime_days') == pytest.approx(2, abs=1e-3)


@case('B', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotInstanceRequests.html', guard=True)
def test_an_interrupted_request_that_aws_no_longer_lists(account):
    """An interrupted request that AWS no longer lists.

    AWS terminates the instance of a one-time request for lack of capacity. Some hours later it no longer lists the
    closed request.

    Right: `spot.interruptions_24h` is 1 for 24 hours, and then 0. An interruption that was seen has happened.

    Unchanged: The series stays for the type, so that 0 is shown.
    """
    now = account.service.clock.now()
    code = 'instance-terminated-no-capacity'
    account.estate.requests[:] = [SpotRequest('sir-1', 'us-east-1', 'g6.xlarge', 'closed', code, now)]
    driver = Driver.of(account.service, spot_interruptions=True, **OFF)
    seen = [driver.run().value('metta.ec2.spot.interruptions_24h', 'instance_type:g6.xlarge')]
    account.estate.requests.clear()
    for _ in range(3):
        account.service.pass_time(9 * 3600)
        seen.append(driver.run().value('metta.ec2.spot.interruptions_24h', 'instance_type:g6.xlarge'))
    assert seen == [1, 1, 1, 0]


@case('B', 'https://github.com/prowler-cloud/prowler/pull/12075', guard=True)
def test_an_old_instance_that_was_stopped_yesterday(account):
    """An old instance that was stopped yesterday.

    Of two stopped instances, one was started 300 days ago and stopped yesterday, and the other one started 10 days ago
    and stopped 8 days ago. `LaunchTime` is that of the last start; the time of the stop is in the reason of the stop.

    Right: `instances.stopped_over_7d` is 1. The last start says nothing about the stop.

    Unchanged: `instances.stopped` is 2.
    """
    now = account.service.clock.now()
    for started, stopped in ((300, 1), (10, 8)):
        times = {'started': now - timedelta(days=started), 'stopped': now - timedelta(days=stopped)}
        account.machine(state='stopped', **times)
    run = Driver.of(account.service, **OFF).run()
    assert run.value('metta.ec2.instances.stopped_over_7d') == 1
    assert run.value('metta.ec2.instances.stopped') == 2


@case('I', 'https://github.com/aws/aws-sdk-pandas/pull/3438', guard=True)
@pytest.mark.parametrize('zone', ['Pacific/Auckland', 'America/Los_Angeles'])
def test_a_machine_in_another_time_zone(account, monkeypatch, zone):
    """A machine in another time zone.

    The Agent's machine is set to the time of Auckland or Los Angeles. Two instances were stopped 2 hours less and 2
    hours more than 7 days ago, and the bill of the day that counts is 500 USD higher than that of the other days.

    Right: `instances.stopped_over_7d` is 1, since the time in the reason of a stop is UTC. The bill is that of a day
    from midnight to midnight UTC.

    Unchanged: `instances.stopped` is 2.
    """
    now = account.service.clock.now()
    for hours in (7 * 24 - 2, 7 * 24 + 2):
        account.machine(state='stopped', stopped=now - timedelta(hours=hours))
    account.service.cost_explorer.extra[(now - timedelta(hours=36)).date() - timedelta(days=1)] = 500
    monkeypatch.setenv('TZ', zone)
    time.tzset()
    try:
        run = Driver.of(account.service, cost_explorer=True, **OFF).run()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert run.value('metta.ec2.instances.stopped_over_7d') == 1
    assert run.value('metta.ec2.cost.billed_yesterday_usd') == pytest.approx(1234.5678901 + 500)
    assert run.value('metta.ec2.instances.stopped') == 2


@case('H', 'https://github.com/opencost/opencost/issues/2081', guard=True)
def test_instances_of_all_lifecycles(account):
    """Instances of all lifecycles.

    In each of two regions, an instance on demand, a spot instance, a scheduled one, one in a capacity block and one of
    a lifecycle that is newer than the check are running.

    Right: The parts add up: 5 lifecycles of 2 instances, and 2 regions of 5, are the 10 of `instances.running`. The
    prices of the regions add up to `cost.running_hourly_estimate`.

    Unchanged: `cost.price_coverage_pct` is 80: a capacity block has no price.
    """
    for region in ('us-east-1', 'us-west-2'):
        for lifecycle in ('', 'spot', 'scheduled', 'capacity-block', 'of-the-future'):
            account.machine(region=region, lifecycle=lifecycle)
    run = Driver.of(account.service, idle={'source': 'off'}).run()

    def parts(name: str) -> list[float]:
        return sorted(run.series(f'metta.ec2.{name}').values())

    assert parts('instances.by_lifecycle') == [2] * 5
    assert parts('region.instances_running') == [5, 5]
    assert run.value('metta.ec2.instances.running') == 10
    assert sum(parts('region.hourly_usd')) == pytest.approx(run.require('metta.ec2.cost.running_hourly_estimate'))
    assert run.value('metta.ec2.cost.price_coverage_pct') == 80


@case('H', 'https://github.com/vuhp/cloud-cost-cli/issues/2', guard=True)
def test_volumes_that_nobody_uses(account):
    """Volumes that nobody uses.

    A volume of 100 GiB is attached to a running instance, one of 200 GiB to a stopped one, and one of 800
    GiB to none.

    Right: 800 GiB are unattached and 200 GiB attached only to stopped instances: no volume is in both figures, and one
    that a running instance uses is in neither. The same holds for the prices.

    Unchanged: The total is 1,100 GiB.
    """
    running, stopped = account.machine(), account.machine(state='stopped')
    account.disk(100, machine=running.id, state='in-use')
    account.disk(200, machine=stopped.id, state='in-use')
    account.disk(800)
    run = Driver.of(account.service, **OFF).run()
    assert run.value('metta.ec2.ebs.volumes.size_gb') == 1100
    assert run.value('metta.ec2.ebs.volumes.unattached_size_gb') == 800
    assert run.value('metta.ec2.ebs.volumes.stopped_attached_size_gb') == 200
    assert run.value('metta.ec2.cost.ebs_monthly_usd') == pytest.approx(1100 * 0.08)
    assert run.value('metta.ec2.cost.unattached_ebs_monthly_usd') == pytest.approx(800 * 0.08)
    assert run.value('metta.ec2.cost.stopped_ebs_monthly_usd') == pytest.approx(200 * 0.08)
