"""Idle instances: what missing data says."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

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
