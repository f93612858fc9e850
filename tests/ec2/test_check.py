"""The check against the sandbox, over sockets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from metta_checks.core import catalog
from metta_checks.testing import Driver, Run, as_truth, compare
from sandbox.ec2.service import ACCOUNT, EXTERNAL_ID, ROLE, ROLE_ACCOUNT
from sandbox.every_option import EVERY_OPTION

# The situations in which every metric has a value.
SITUATIONS = ['capacity', 'interruptions', 'commitments']
# The age of a price depends on the time at which the check read it. The truth does not know it.
UNKNOWN = ('metta.ec2.cost.price_age_hours',)
# Read every six hours.
IDLE = (
    'metta.ec2.instances.idle',
    'metta.ec2.instances.gpu_idle',
    'metta.ec2.instances.idle_unknown',
    'metta.ec2.cost.idle_hourly_usd',
)
OPTIONAL = tuple(
    f'metta.ec2.{metric.name}'.replace('*', 'team')
    for metric in catalog.load('ec2').metrics
    if metric.option not in ('', 'idle')
)


def differences(
    run: Run,
    service,
    options: dict[str, Any] | None = None,
    *,
    without: tuple[str, ...] = (),
    names: set[str] | None = None,
) -> list[str]:
    """Lines about series (of all names, or of some) whose value is not the truth, or that only one side has."""
    ours, truth = run.figures(), as_truth(service.truth(service.clock.now(), options))
    known = {name for name, _ in ours.keys() | truth.keys()} if names is None else names
    return compare(ours, truth, known - {*UNKNOWN, *without}).lines


def asked(service) -> Counter[str]:
    """Return the number of requests per operation since the last call."""
    found = Counter(entry.split()[0] for entry in service.asked)
    service.asked.clear()
    return found


@pytest.fixture
def service(serve):
    return serve('ec2')


@pytest.mark.parametrize('situations', [(), ('all',)])
def test_every_figure_agrees_with_the_truth(serve, situations):
    service = serve('ec2', situations=situations)
    run = Driver.of(service, **EVERY_OPTION['ec2']).run()
    # One of the situations is an instance type that AWS does not describe.
    assert run.errors() == ({('instances', 'unknown_type'): 1} if situations else {})
    assert differences(run, service, EVERY_OPTION['ec2']) == []


def test_every_metric_of_the_catalog_is_sent(serve):
    run = Driver.of(serve('ec2', situations=SITUATIONS), **EVERY_OPTION['ec2']).run()
    declared = {f'metta.ec2.{metric.name}'.replace('*', 'team') for metric in catalog.load('ec2').metrics}
    assert run.names == declared


def test_without_options_only_the_core_is_sent(service):
    run = Driver.of(service).run()
    assert len(OPTIONAL) == 16
    assert run.names.isdisjoint(OPTIONAL)


def test_a_warm_refresh_reads_only_lists_that_change(service):
    driver = Driver.of(service, **EVERY_OPTION['ec2'])
    cold = driver.run()
    assert cold.requests == sum(asked(service).values()) == len(service.log)
    service.pass_time(900)
    warm = driver.run()
    assert asked(service) == {
        'ec2:DescribeInstances': 2,
        'ec2:DescribeVolumes': 2,
        'ec2:DescribeSnapshots': 2,
        'ec2:DescribeAddresses': 2,
        'ec2:DescribeSpotPriceHistory': 2,
        # In the region with snapshots whose volume is gone.
        'ec2:DescribeImages': 1,
        'ec2:DescribeCapacityReservations': 2,
        'ec2:DescribeSpotInstanceRequests': 2,
    }
    assert warm.requests == 15
    assert differences(warm, service, EVERY_OPTION['ec2']) == []


def test_no_requests_between_refreshes(service):
    driver = Driver.of(service)
    first = driver.run()
    service.log.clear()
    service.pass_time(60)
    again = driver.run()
    assert service.log == []
    assert again.requests is None
    assert again.figures() == first.figures()


def test_a_restart_keeps_prices_types_and_account(service):
    Driver.of(service).run()
    asked(service)
    service.pass_time(900)
    run = Driver.of(service).run()
    assert set(asked(service)) == {
        'ec2:DescribeInstances',
        'ec2:DescribeVolumes',
        'ec2:DescribeSnapshots',
        'ec2:DescribeAddresses',
        'ec2:DescribeSpotPriceHistory',
        'ec2:DescribeImages',
    }
    assert differences(run, service, without=OPTIONAL) == []
    assert run.value('metta.ec2.cost.price_age_hours') == pytest.approx(0.25)


def test_list_prices_are_read_daily_and_idle_instances_every_six_hours(serve):
    service = serve('ec2', scale=0.1)
    driver = Driver.of(service, refresh_interval=3600)
    driver.run()
    asked(service)
    seen = []
    for _ in range(24):
        service.pass_time(3600)
        driver.run()
        seen.append(asked(service))
    assert [hour + 1 for hour, calls in enumerate(seen) if calls['cloudwatch:GetMetricData']] == [6, 12, 18, 24]
    assert [hour + 1 for hour, calls in enumerate(seen) if calls['pricing:GetProducts']] == [24]
    assert sum(calls['ec2:DescribeInstanceTypes'] + calls['sts:GetCallerIdentity'] for calls in seen) == 0


def test_price_age_grows_until_prices_are_read_again(service):
    driver = Driver.of(service, refresh_interval=3600)
    assert driver.run().value('metta.ec2.cost.price_age_hours') == 0
    service.pass_time(5 * 3600)
    assert driver.run().value('metta.ec2.cost.price_age_hours') == pytest.approx(5)


def test_spot_prices_in_the_afternoon(serve):
    service = serve('ec2')
    # Noon, before the prices rise.
    hour = service.clock.now().hour
    service.pass_time(((12 - hour) % 24) * 3600)
    driver = Driver.of(service, refresh_interval=3600)
    before = driver.run()
    service.pass_time(2 * 3600)
    after = driver.run()
    assert differences(after, service, without=(*OPTIONAL, *IDLE)) == []
    assert after.require('metta.ec2.cost.spot_savings_pct') < before.require('metta.ec2.cost.spot_savings_pct') - 3


def test_all_enabled_regions_without_the_option(service):
    driver = Driver.of(service, regions=None)
    run = driver.run()
    assert run.error == ''
    regions = asked(service)['ec2:DescribeInstances']
    assert regions > 10
    assert len(run.series('metta.ec2.region.instances_running')) == regions
    assert run.value('metta.ec2.instances.total') == 102
    service.pass_time(900)
    # The list of regions is read once a day.
    driver.run()
    assert 'ec2:DescribeRegions' not in asked(service)


def test_a_role_in_another_account(service):
    driver = Driver.of(service, role_arn=ROLE, external_id=EXTERNAL_ID)
    run = driver.run()
    assert run.error == ''
    calls = asked(service)
    assert calls['sts:AssumeRole'] == 1
    assert run.value('metta.ec2.instances.total', f'account:{ROLE_ACCOUNT}') == 102
    service.pass_time(900)
    # The SDK keeps the credentials until shortly before they expire.
    driver.run()
    assert 'sts:AssumeRole' not in asked(service)


def test_a_role_without_its_external_id(service):
    run = Driver.of(service, role_arn=ROLE).run()
    assert (
        'sts:AssumeRole in us-east-1 was refused (AccessDenied: not authorized to perform sts:AssumeRole)' in run.error
    )
    assert 'check the options `role_arn` and `external_id`' in run.error
    assert run.status == 2
    assert run.requests == 1


def test_credentials_of_the_environment(service, monkeypatch):
    instance = service.instance()
    monkeypatch.setenv('AWS_ACCESS_KEY_ID', instance['access_key_id'])
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', instance['secret_access_key'])
    run = Driver.of(service, access_key_id=None, secret_access_key=None).run()
    assert run.error == ''
    assert run.value('metta.ec2.instances.total', f'account:{ACCOUNT}') == 102


def test_credentials_of_a_profile(service, monkeypatch, tmp_path):
    instance = service.instance()
    (tmp_path / 'credentials').write_text(
        f'[prod]\naws_access_key_id = {instance["access_key_id"]}\n'
        f'aws_secret_access_key = {instance["secret_access_key"]}\n'
    )
    monkeypatch.setenv('AWS_SHARED_CREDENTIALS_FILE', str(tmp_path / 'credentials'))
    run = Driver.of(service, access_key_id=None, secret_access_key=None, profile='prod').run()
    assert run.error == ''
    assert run.value('metta.ec2.instances.running') == 95


def test_lists_are_read_to_the_last_page(serve):
    service = serve('ec2', instances=1100, volumes=1100, regions=['us-east-1'])
    service.json_services.datapoints = 5000
    run = Driver.of(service, idle={'max_instances': 2000}).run()
    calls = asked(service)
    assert calls['ec2:DescribeInstances'] == 2
    assert calls['ec2:DescribeVolumes'] == 3
    # 166 instances per call, three pages per call.
    assert calls['cloudwatch:GetMetricData'] > 7
    seeds = {f'metta.ec2.{metric.name}' for metric in catalog.load('ec2').metrics if metric.seed}
    assert differences(run, service, names=seeds) == []


def test_more_instances_than_max_instances(service):
    run = Driver.of(service, idle={'max_instances': 10}).run()
    assert run.value('metta.collector.truncated', 'block:idle') == 1
    assert any('only the 10 that have been running longest' in warning for warning in run.warnings)
    # The ages are random: the 10 oldest instances include some of the idle ones.
    assert run.require('metta.ec2.instances.idle') <= 3


def test_compute_optimizer_replaces_the_rule(service):
    run = Driver.of(service, idle={'source': 'compute_optimizer'}).run()
    calls = asked(service)
    assert 'cloudwatch:GetMetricData' not in calls
    # Six idle instances in one of two regions, five per page.
    assert calls['compute-optimizer:GetIdleRecommendations'] == 3
    # The young instance counts, too: Compute Optimizer has a rule of its own.
    assert run.value('metta.ec2.instances.idle') == 4
    assert run.value('metta.ec2.instances.gpu_idle') == 2


def test_idle_figures_are_absent_as_soon_as_idle_is_off(service):
    Driver.of(service).run()
    asked(service)
    service.pass_time(900)
    run = Driver.of(service, idle={'source': False}).run()
    assert 'cloudwatch:GetMetricData' not in asked(service)
    for name in ('instances.idle', 'instances.gpu_idle', 'cost.idle_hourly_usd'):
        assert run.series(f'metta.ec2.{name}') == {}


def test_unused_gpu_models_are_0_for_a_week_then_absent(service):
    driver = Driver.of(
        service, refresh_interval=3600, idle={'source': 'off'}, prices={'source': 'table', 'table': {'x': 1}}
    )
    driver.run()
    for machine in service.estate.machines:
        if machine.kind == 'p4d.24xlarge':
            machine.state = 'terminated'
    service.pass_time(3600)
    assert driver.run().value('metta.ec2.instances.gpus', 'gpu_type:a100') == 0
    service.pass_time(8 * 86400)
    driver.run()
    service.pass_time(3600)
    assert driver.run().value('metta.ec2.instances.gpus', 'gpu_type:a100') is None


def test_an_empty_account(service):
    for part in (service.estate.machines, service.estate.disks, service.estate.copies, service.estate.addresses):
        part.clear()
    run = Driver.of(service).run()
    assert run.error == ''
    assert run.value('metta.ec2.cost.running_hourly_estimate') == 0
    assert run.value('metta.ec2.instances.total') == 0
    assert run.value('metta.ec2.ebs.volumes.size_gb') == 0
    for name in ('instances.avg_age_days', 'cost.spot_savings_pct', 'cost.price_coverage_pct', 'cost.price_age_hours'):
        assert run.series(f'metta.ec2.{name}') == {}


def test_the_probe_reports_permissions(service):
    service.denied = {'ec2:DescribeSnapshots'}
    driver = Driver.of(service)
    findings = driver.findings()
    assert [(f.name, f.status) for f in findings] == [
        ('account', 'ok'),
        ('region us-east-1', 'fail'),
        ('region us-west-2', 'fail'),
        ('prices', 'ok'),
    ]
    assert 'ec2:DescribeSnapshots in us-east-1 is not allowed' in findings[1].message
    assert 'ec2:DescribeInstances us-east-1' in service.asked
    assert driver.check.budget.bytes < 100_000
