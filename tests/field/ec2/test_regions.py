"""Regions: some are denied, some are down."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case
from .account import EAST, WEST

OFF = {'idle': {'source': 'off'}}
RUNNING, REGIONAL = 'metta.ec2.instances.running', 'metta.ec2.region.instances_running'
HOURLY = 'metta.ec2.region.hourly_usd'


@case('E', 'https://github.com/cartography-cncf/cartography/issues/1114')
def test_a_region_that_a_service_control_policy_denies(account):
    """A region that a service control policy denies.

    Option `regions` is not set. DescribeRegions lists all enabled regions, and the organization denies everything in
    us-west-2 and eu-west-1.

    Right: Both are left out, with one warning that names them, shows AWS's reason and says that naming `regions` ends
    it. The sums cover the other regions.

    Unchanged: The figures of the other regions.
    """
    account.machine()
    account.machine(region=WEST)
    account.service.denied_regions = {WEST, 'eu-west-1'}
    run = Driver.of(account.service, regions=None, **OFF).run()
    assert run.errors() == {('instances', 'region_denied'): 1}
    assert '2 of the regions that AWS lists are left out' in run.warnings[0]
    assert 'eu-west-1, us-west-2' in run.warnings[0]
    assert 'name the regions to read in option `regions`' in run.warnings[0]
    assert 'with an explicit deny in a service control policy' in run.warnings[0]
    assert run.value(RUNNING) == 1
    assert run.value(REGIONAL, 'region:us-east-1') == 1
    assert run.value(REGIONAL, 'region:us-west-2') is None
    # Nothing else is asked there.
    assert [call for call in account.service.asked if call.endswith(WEST)] == ['ec2:DescribeInstances us-west-2']


@case('E', 'https://github.com/aws-solutions/cost-optimizer-for-amazon-workspaces/issues/14')
def test_a_named_region_that_is_denied(account):
    """A named region that is denied.

    Option `regions` names two regions, and a policy denies one.

    Right: The sums are absent: the configuration asks for this region.

    Unchanged: The other region has its own figures.
    """
    account.machine()
    account.service.denied_regions = {WEST}
    run = Driver.of(account.service, **OFF).run()
    assert run.errors()['instances', 'permission'] == 1
    assert run.series(RUNNING) == {}
    assert run.value(REGIONAL, 'region:us-east-1') == 1
    assert run.value(HOURLY, 'region:us-east-1') == pytest.approx(0.096)


@case('G', 'https://github.com/awslabs/aws-well-architected-labs/issues/854', guard=True)
def test_all_regions_are_denied(account):
    """All regions are denied.

    Option `regions` is not set, and the policy of the credentials does not allow ec2:DescribeInstances anywhere.

    Right: That is not a policy about regions: the block fails with AWS's reason, and names the action.

    Unchanged: No figure of instances appears.
    """
    account.service.denied = {f'ec2:Describe{name}' for name in ('Instances', 'Volumes', 'Snapshots', 'Addresses')}
    run = Driver.of(account.service, regions=None, **OFF).run()
    assert run.status == AgentCheck.CRITICAL
    assert run.errors()['instances', 'permission'] == 1
    assert 'add ec2:DescribeInstances to the IAM policy' in run.error
    assert run.figures() == {}


@case('E', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html')
def test_a_region_that_is_down(account):
    """A region that is down.

    The check starts while EC2 answers 503 in us-west-2.

    Right: There is no sum without this region. The figures of us-east-1 are there, fresh in each refresh.

    Unchanged: When the region is back, so are the sums.
    """
    account.machine()
    account.machine(region=WEST)
    account.service.fail('ec2:DescribeInstances', 'Unavailable', 503, region=WEST)
    driver = Driver.of(account.service, **OFF)
    for number in (1, 2):
        run = driver.run()
        assert run.errors()['instances', 'http_5xx'] == 1
        assert run.series(RUNNING) == {}
        assert run.series('metta.ec2.cost.running_hourly_estimate') == {}
        assert run.value(REGIONAL, 'region:us-east-1') == number
        assert run.value(HOURLY, 'region:us-east-1') == pytest.approx(0.096 * number)
        assert run.value(REGIONAL, 'region:us-west-2') is None
        account.machine()
        account.service.pass_time(900)
    account.service.failures.clear()
    run = driver.run()
    assert run.errors() == {}
    assert run.value(RUNNING) == 4


@case('E', 'https://aws.amazon.com/premiumsupport/technology/pes/')
def test_a_region_that_goes_down_later(account):
    """A region that goes down later.

    After a good refresh, EC2 answers 503 in us-west-2, and an instance is started in us-east-1.

    Right: The sums keep their last values. The figure of us-east-1 shows both instances.

    Unchanged: The error names the region.
    """
    account.machine(region=EAST)
    driver = Driver.of(account.service, **OFF)
    assert driver.run().value(RUNNING) == 1
    account.machine()
    account.service.fail('ec2:DescribeInstances', 'Unavailable', 503, region=WEST)
    account.service.pass_time(900)
    run = driver.run()
    assert run.value(RUNNING) == 1
    assert run.value(REGIONAL, 'region:us-east-1') == 2
    assert 'ec2:DescribeInstances in us-west-2 answered HTTP 503' in run.warnings[0]


@case('G', 'https://github.com/boto/boto3/issues/3620')
def test_the_region_of_the_environment(account, monkeypatch):
    """The region of the environment.

    EKS sets AWS_REGION in pods. The SDK of Python knows AWS_DEFAULT_REGION only; the command line of AWS takes
    AWS_REGION first.

    Right: Services that are not regional are asked in the region of AWS_REGION.

    Unchanged: The regions of the configuration are read.
    """
    monkeypatch.setenv('AWS_REGION', 'eu-west-1')
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-west-2')
    run = Driver.of(account.service, **OFF).run()
    assert run.errors() == {}
    assert 'sts:GetCallerIdentity eu-west-1' in account.service.asked
    assert 'ec2:DescribeInstances us-east-1' in account.service.asked


@case('G', 'https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-differences.html')
def test_a_partition_without_cost_explorer(account):
    """A partition without Cost Explorer.

    The check reads GovCloud, with `cost_explorer` and `commitments`.

    Right: Nothing is asked, since GovCloud has no Cost Explorer. The message says where the costs are.

    Unchanged: The other figures.
    """
    run = Driver.of(account.service, regions=['us-gov-west-1'], cost_explorer=True, commitments=True, **OFF).run()
    assert run.errors()['billing', 'no_cost_explorer'] == 1
    assert 'AWS has no Cost Explorer in partition aws-us-gov' in run.warnings[0]
    assert not any(call.startswith('ce:') for call in account.service.asked)
    assert run.value('metta.ec2.instances.total') == 0
