"""Idle instances: what missing data says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks import verify
from metta_checks.testing import Clock, Driver

from ..case import case

IDLE, UNKNOWN = 'metta.ec2.instances.idle', 'metta.ec2.instances.idle_unknown'


@case('C', 'https://github.com/cloud-custodian/cloud-custodian/issues/8715')
@pytest.mark.parametrize(('load', 'idle'), [('idle', 1), ('gap', 1), ('gaps', 0), ('deaf', 0), ('silent', 0)])
def test_hours_without_data(account, load, idle):
    """Hours without data.

    CloudWatch has all 24 hourly values of a quiet instance, 23 of them, 22 of them, none of its network, or none.

    Right: With 24 and 23 hours it is idle. With fewer, and without the network, it is not known: the instance counts in
    `instances.idle_unknown`, never in `instances.idle`.

    Unchanged: A busy instance beside it is neither.
    """
    account.machine(load=load)
    account.machine(load='busy')
    run = Driver.of(account.service).run()
    assert run.value(IDLE) == idle
    assert run.value(UNKNOWN) == 1 - idle
    assert run.value('metta.ec2.cost.idle_hourly_usd') == pytest.approx(0.096 * idle)


@case('C', 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html')
def test_instances_beyond_the_limit(account):
    """Instances beyond the limit.

    Three quiet instances run, and `idle.max_instances` allows to ask about two.

    Right: Two are idle, and one is unknown: it was not asked about.

    Unchanged: The block is marked as truncated.
    """
    for _ in range(3):
        account.machine(load='idle')
    run = Driver.of(account.service, idle={'max_instances': 2}).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (2, 1)
    assert run.value('metta.collector.truncated', 'block:idle') == 1


@case(
    'C', 'https://docs.aws.amazon.com/compute-optimizer/latest/APIReference/API_GetIdleRecommendations.html', guard=True
)
def test_compute_optimizer_does_not_tell_what_it_does_not_know(account):
    """Compute Optimizer does not tell what it does not know.

    It lists the idle instances, and not those about which it lacks data.

    Right: The number of unknown instances is absent, not 0.

    Unchanged: The idle instance counts.
    """
    account.machine(load='idle')
    account.machine(load='silent')
    run = Driver.of(account.service, idle={'source': 'compute_optimizer'}).run()
    assert run.value(IDLE) == 1
    assert run.value('metta.ec2.instances.gpu_idle') == 0
    assert run.series(UNKNOWN) == {}


@case('C', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html')
def test_an_idle_instance_of_an_unknown_type(account):
    """An idle instance of an unknown type.

    AWS no longer describes the type of an idle instance, so that it may or may not have GPUs.

    Right: It counts in `instances.idle_unknown`.

    Unchanged: The figures of the other idle instance are there; before, one such instance removed both.
    """
    account.machine('cg1.4xlarge', load='idle')
    account.machine(load='idle')
    run = Driver.of(account.service).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 1)


@case('C', 'https://github.com/towardsthecloud/cloudburn/pull/237')
def test_a_part_of_the_values(account):
    """A part of the values.

    CloudWatch returns the values of an instance with the status `PartialData` and no token for the rest. The
    values look idle: 24 quiet hours. Eleven other instances are complete, one of them idle.

    Right: The instance counts in `instances.idle_unknown`, the other one in `instances.idle`. The check warns, in the
    words of AWS.

    Unchanged: `PartialData` on a page that another page follows loses nothing.
    """
    for _ in range(10):
        account.machine(load='busy')
    account.machine(load='idle')
    unread = account.machine(load='idle')
    services = account.service.json_services
    services.unread[unread.id] = ('PartialData', 'Only a part was read.')
    services.datapoints = 100
    run = Driver.of(account.service).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 1)
    assert run.errors() == {('idle', 'partial'): 1}
    assert 'CloudWatch could not judge 1 of 12 instances (PartialData: Only a part was read)' in run.warnings[0]


@case('E', 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataResult.html')
def test_a_metric_that_cloudwatch_fails_to_compute(account):
    """A metric that CloudWatch fails to compute.

    Of twelve instances, CloudWatch answers `InternalError` for one.

    Right: Eleven are judged: one is idle, and the failed one counts in `instances.idle_unknown`. Before, all figures of
    idle instances were missing until CloudWatch could compute every metric.

    Unchanged: When it fails for more than a tenth of the instances, the figures keep their last values: the next
    refresh asks again.
    """
    for _ in range(10):
        account.machine(load='busy')
    idle, unread = account.machine(load='idle'), account.machine(load='idle')
    account.service.json_services.unread[unread.id] = ('InternalError', '')
    driver = Driver.of(account.service, idle={'interval': 900})
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 1)
    assert run.errors() == {('idle', 'partial'): 1}
    account.service.pass_time(900)
    account.service.json_services.unread[idle.id] = ('InternalError', '')
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 1)
    assert 'could not judge 2 of 12 instances (InternalError)' in run.warnings[0]


@case('G', 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html')
def test_a_message_about_the_whole_answer(account):
    """A message about the whole answer.

    CloudWatch answers HTTP 200 with the message `Maximum number of allowed metrics exceeded`, and executes as much of
    the operation as it can: it returns no result for the metrics of one instance of twelve.

    Right: The instance is unknown, and the warning has the message of AWS.

    Unchanged: The idle instance beside it counts.
    """
    for _ in range(10):
        account.machine(load='busy')
    account.machine(load='idle')
    left_out = account.machine(load='idle')
    services = account.service.json_services
    services.message = 'Maximum number of allowed metrics exceeded'
    services.left_out.add(left_out.id)
    run = Driver.of(account.service).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 1)
    assert '(NoResult: Maximum number of allowed metrics exceeded)' in run.warnings[0]


IN_COMPUTE_OPTIMIZER = {'source': 'compute_optimizer', 'interval': 900}


@case('C', 'https://docs.aws.amazon.com/compute-optimizer/latest/APIReference/API_IdleRecommendationError.html')
def test_an_account_that_compute_optimizer_cannot_read(account):
    """An account that Compute Optimizer cannot read.

    Compute Optimizer answers HTTP 200 with an empty list of recommendations and an error about the account in
    `errors`.

    Right: The figures of idle instances are absent, not 0, and the warning has code and message of AWS. When they were
    known before, they keep their last values.

    Unchanged: All other figures.
    """
    account.machine(load='idle')
    errors = account.service.json_services.recommendation_errors
    errors['us-east-1'] = [{'identifier': '123456789012', 'code': 'InternalServerError', 'message': 'Try again.'}]
    driver = Driver.of(account.service, idle=IN_COMPUTE_OPTIMIZER)
    run = driver.run()
    assert run.series(IDLE) == run.series('metta.ec2.cost.idle_hourly_usd') == {}
    assert run.errors() == {('idle', 'partial'): 1}
    assert 'could not read 123456789012 in us-east-1 (InternalServerError: Try again)' in run.warnings[0]
    assert run.value('metta.ec2.instances.running') == 1
    failing = errors.pop('us-east-1')
    account.service.pass_time(900)
    assert driver.run().value(IDLE) == 1
    errors['us-east-1'] = failing
    account.service.pass_time(900)
    assert driver.run().value(IDLE) == 1


@case('C', 'https://docs.aws.amazon.com/compute-optimizer/latest/APIReference/API_IdleRecommendationError.html')
def test_an_instance_that_compute_optimizer_cannot_judge(account):
    """An instance that Compute Optimizer cannot judge.

    It reports an error about an instance of a family that it does not support, one about a volume, and one about an
    instance that no longer runs.

    Right: `instances.idle_unknown` is 1, the instance that runs, and the check warns.

    Unchanged: The idle instance counts.
    """
    account.machine(load='idle')
    unsupported = account.machine('p5.48xlarge')
    arn = f'arn:aws:ec2:us-east-1:123456789012:instance/{unsupported.id}'
    account.service.json_services.recommendation_errors['us-east-1'] = [
        {'identifier': arn, 'code': 'Unsupported', 'message': 'The family is not supported.'},
        {'identifier': 'vol-1', 'resourceType': 'EBSVolume', 'code': 'Unsupported', 'message': 'Not supported.'},
        {'identifier': 'i-00000000000000999', 'resourceType': 'EC2Instance', 'code': 'NotFound', 'message': 'Gone.'},
    ]
    options = {'idle': IN_COMPUTE_OPTIMIZER}
    run = Driver.of(account.service, **options).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 1)
    assert run.errors() == {('idle', 'partial'): 1}
    assert 'Compute Optimizer could not judge 1 of 2 instances (Unsupported: The family is' in run.warnings[0]
    instance = {**account.service.instance(), **options}
    theirs = verify.recompute('ec2', instance, account.service.clock.now())
    assert {figure.value for figure in theirs.figures if figure.name in (IDLE, UNKNOWN)} == {1}


@case('H', 'https://github.com/cloud-custodian/cloud-custodian/issues/7554')
def test_idle_instances_that_have_ended(account):
    """Idle instances that have ended.

    Three instances are idle, and CloudWatch lacks the data of a fourth one. An hour after the search, two of the idle
    ones and the unknown one are terminated. CloudWatch is asked every 6 hours.

    Right: `instances.idle` is 1 in the next refresh, `instances.idle_unknown` 0, and the price of the idle instances is
    that of one. Before, three idle instances of one that runs were shown for up to 6 hours.

    Unchanged: CloudWatch is not asked again.
    """
    machines = [account.machine(load=load) for load in ('idle', 'idle', 'idle', 'silent')]
    driver = Driver.of(account.service)
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (3, 1)
    for ended in machines[1:]:
        account.estate.machines.remove(ended)
    account.service.asked.clear()
    account.service.pass_time(3600)
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 0)
    assert run.value('metta.ec2.instances.running') == 1
    assert run.value('metta.ec2.cost.idle_hourly_usd') == pytest.approx(0.096)
    assert not any(call.startswith('cloudwatch:') for call in account.service.asked)


@case('B', 'https://github.com/cloud-custodian/cloud-custodian/issues/2725')
def test_an_idle_instance_that_was_started_again(account):
    """An idle instance that was started again.

    Two instances are idle. An hour after the search, one of them is stopped, resized and started again, which gives it
    a new `LaunchTime`. CloudWatch is asked every 6 hours.

    Right: `instances.idle` is 1 in the next refresh, and `cost.idle_hourly_usd` 0.096 USD: the last search says nothing
    about the time since the start, and an instance that has just been started is never idle.

    Unchanged: `instances.running` is 2, and CloudWatch is not asked again.
    """
    account.machine(load='idle')
    again = account.machine(load='idle')
    driver = Driver.of(account.service)
    assert driver.run().value(IDLE) == 2
    account.service.pass_time(3600)
    again.started = account.service.clock.now()
    account.service.asked.clear()
    run = driver.run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 0)
    assert run.value('metta.ec2.cost.idle_hourly_usd') == pytest.approx(0.096)
    assert run.value('metta.ec2.instances.running') == 2
    assert not any(call.startswith('cloudwatch:') for call in account.service.asked)


@case('I', 'https://github.com/percona/rds_exporter/pull/123', guard=True)
@pytest.mark.parametrize('minutes', [-4, 4])
@pytest.mark.parametrize('of_the_hour', [2, 58])
def test_a_clock_that_aws_tolerates(account, minutes, of_the_hour):
    """A clock that AWS tolerates.

    The clock of the Agent's machine is four minutes behind or ahead, two minutes before or after a full hour. AWS
    accepts such requests. One instance is idle, and one has just been started.

    Right: `instances.idle` is 1 and `instances.idle_unknown` 0: an hour that has not ended may be missing. No age is
    negative: `instances.avg_uptime_days` is 5.

    Unchanged: There is no warning.
    """
    account.service.pass_time((of_the_hour - account.service.clock.now().minute) % 60 * 60)
    now = account.service.clock.now()
    account.machine(load='idle')
    account.machine(created=now, started=now)
    run = Driver(account.service.instance(), Clock(now + timedelta(minutes=minutes))).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (1, 0)
    assert run.value('metta.ec2.instances.avg_uptime_days') == pytest.approx(5, abs=0.01)
    assert run.errors() == {}


@case('J', 'https://github.com/grafana/grafana/issues/20652', guard=True)
def test_more_values_than_cloudwatch_returns_at_once(account):
    """More values than CloudWatch returns at once.

    CloudWatch returns at most 100,800 values in an answer, here 30, and 500 metrics. Twelve idle instances have 864
    values, so that most of the values are on later pages.

    Right: All twelve are idle. None is unknown.

    Unchanged: The number of metrics that AWS bills.
    """
    for _ in range(12):
        account.machine(load='idle')
    account.service.json_services.datapoints = 30
    run = Driver.of(account.service).run()
    assert (run.value(IDLE), run.value(UNKNOWN)) == (12, 0)
    assert run.errors() == {}
    # 864 values in pages of 30, for one request about 36 metrics.
    assert sum(call.startswith('cloudwatch:') for call in account.service.asked) == 29
