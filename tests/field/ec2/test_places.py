"""Places: the prices of zones that are not Availability Zones."""

from __future__ import annotations

import pytest

from metta_checks.ec2.aws import ATTEMPTS
from metta_checks.testing import Driver

from ..case import case
from .account import WEST

OFF = {'idle': {'source': 'off'}}
HOURLY = 'metta.ec2.cost.running_hourly_estimate'
COVERAGE = 'metta.ec2.cost.price_coverage_pct'
REGIONAL = 'metta.ec2.region.hourly_usd'
# The sandbox's price of an m5.large in both regions.
M5 = 0.096


@case('A', 'https://github.com/vantage-sh/ec2instances.info/issues/616')
def test_an_instance_in_a_local_zone(account):
    """An instance in a Local Zone.

    Two m5.large run, one in Oregon (us-west-2a) and one in the Local Zone Los Angeles (us-west-2-lax-1a). The price
    list has the Local Zone under the region code `us-west-2-lax-1`, a quarter more expensive.

    Right: The estimate is 0.096 + 0.12 = 0.216 USD. All prices are known.

    Unchanged: Both instances are in the figures of their region.
    """
    account.machine(region=WEST)
    account.machine(region=WEST, zone='us-west-2-lax-1a')
    run = Driver.of(account.service, **OFF).run()
    assert run.errors() == {}
    assert run.value(HOURLY) == pytest.approx(M5 + M5 * 1.25)
    assert run.value(COVERAGE) == 100
    assert run.value('metta.ec2.region.instances_running', 'region:us-west-2') == 2


@case('A', 'https://github.com/vantage-sh/ec2instances.info/issues/714')
def test_an_instance_in_a_wavelength_zone(account):
    """An instance in a Wavelength Zone.

    An m5.large runs in us-east-1-wl1-bos-wlz-1. Its zone group is `us-east-1-wl1`; the price list has the place under
    the name of the zone itself.

    Right: The price is that of the Wavelength Zone, 0.1344 USD, not that of the region.

    Unchanged: The zones are read once a day: the next refresh does not ask for them again.
    """
    account.machine(zone='us-east-1-wl1-bos-wlz-1')
    driver = Driver.of(account.service, **OFF)
    assert driver.run().value(HOURLY) == pytest.approx(M5 * 1.4)
    account.service.asked.clear()
    account.service.pass_time(900)
    assert driver.run().value(HOURLY) == pytest.approx(M5 * 1.4)
    assert not any('DescribeAvailabilityZones' in call for call in account.service.asked)


@case('A', 'https://github.com/vantage-sh/ec2instances.info/issues/573')
def test_a_volume_in_a_local_zone(account):
    """A volume in a Local Zone.

    A gp3 volume of 100 GiB is in Oregon, another one in the Local Zone Los Angeles.

    Right: 8 USD a month for the first, 10 USD for the second one.

    Unchanged: All volumes have a price.
    """
    account.disk(region=WEST)
    account.disk(region=WEST, zone='us-west-2-lax-1a')
    run = Driver.of(account.service, **OFF).run()
    assert run.value('metta.ec2.cost.ebs_monthly_usd') == pytest.approx(8 + 10)
    assert run.value('metta.ec2.cost.ebs_price_coverage_pct') == 100


@case('A', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html')
def test_resources_on_an_outpost(account):
    """Resources on an Outpost.

    An instance and a volume have an OutpostArn. AWS bills the Outpost, not them.

    Right: They have no price and are in neither part of the coverage: with one other instance, the coverage is 100 %.

    Unchanged: They count as instances and volumes.
    """
    account.machine()
    account.machine(on_outpost=True)
    account.disk(on_outpost=True)
    run = Driver.of(account.service, **OFF).run()
    assert run.value(HOURLY) == pytest.approx(M5)
    assert run.value(COVERAGE) == 100
    assert run.value('metta.ec2.cost.ebs_monthly_usd') == 0
    assert run.series('metta.ec2.cost.ebs_price_coverage_pct') == {}
    assert run.value('metta.ec2.instances.running') == 2
    assert run.value('metta.ec2.ebs.volumes.total') == 1


@case('C', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html')
def test_zones_that_cannot_be_read_for_now(account):
    """Zones that cannot be read for now.

    The check starts while ec2:DescribeAvailabilityZones answers with HTTP 503. One m5.large runs in Oregon, one in the
    Local Zone Los Angeles.

    Right: The estimate is absent in that refresh. It is 0.216 USD in the next one, and stays when the call fails again.

    Unchanged: The numbers of instances are right in each refresh.
    """
    account.machine(region=WEST)
    account.machine(region=WEST, zone='us-west-2-lax-1a')
    account.service.fail('ec2:DescribeAvailabilityZones', 'ServiceUnavailable', 503)
    driver = Driver.of(account.service, refresh_interval=60, **OFF)
    run = driver.run()
    assert not run.series(HOURLY)
    assert run.value('metta.ec2.instances.running') == 2
    account.service.failures.clear()
    account.service.pass_time(61)
    assert driver.run().value(HOURLY) == pytest.approx(M5 + M5 * 1.25)
    account.service.fail('ec2:DescribeAvailabilityZones', 'ServiceUnavailable', 503)
    account.service.pass_time(90_000)
    run = driver.run()
    assert run.value(HOURLY) == pytest.approx(M5 + M5 * 1.25)
    assert run.value('metta.ec2.instances.running') == 2


@case('E', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html')
def test_zones_of_one_region_that_cannot_be_read_for_now(account):
    """Zones of one region that cannot be read for now.

    An m5.large runs in Virginia, one in Oregon and one in the Local Zone Los Angeles, with a volume in each place. The
    check starts while ec2:DescribeAvailabilityZones answers with HTTP 503.

    Right: The sums wait. `region.hourly_usd` of Virginia is there, 0.096 USD; that of Oregon is absent. The zones are
    asked for once in the refresh.

    Unchanged: The numbers and sizes of instances and volumes.
    """
    account.machine()
    account.machine(region=WEST)
    account.machine(region=WEST, zone='us-west-2-lax-1a')
    account.disk(region=WEST, zone='us-west-2-lax-1a')
    account.service.fail('ec2:DescribeAvailabilityZones', 'ServiceUnavailable', 503)
    run = Driver.of(account.service, **OFF).run()
    assert run.value(REGIONAL, 'region:us-east-1') == pytest.approx(M5)
    assert run.value(REGIONAL, 'region:us-west-2') is None
    assert run.series(HOURLY) == run.series('metta.ec2.cost.ebs_monthly_usd') == {}
    assert run.value('metta.ec2.ebs.volumes.total') == 1
    asked = [call for call in account.service.asked if call.startswith('ec2:DescribeAvailabilityZones')]
    # The first attempt and those of the SDK.
    assert len(asked) == ATTEMPTS


@case('E', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html')
def test_the_price_of_volumes_without_the_instances(account):
    """The price of volumes without the instances.

    ec2:DescribeInstances is throttled while the check starts. A volume of 100 GiB gp3 is attached to no instance.

    Right: The price of the volumes is there, 100 x 0.08 = 8 USD. Only that of volumes of stopped instances needs the
    instances: it is absent.

    Unchanged: When the instances can be read, it is 0.
    """
    account.disk(100)
    account.service.fail('ec2:DescribeInstances', 'RequestLimitExceeded', 503)
    driver = Driver.of(account.service, **OFF)
    run = driver.run()
    assert run.value('metta.ec2.cost.ebs_monthly_usd') == pytest.approx(8)
    assert run.value('metta.ec2.cost.unattached_ebs_monthly_usd') == pytest.approx(8)
    assert run.value('metta.ec2.cost.ebs_price_coverage_pct') == 100
    assert run.series('metta.ec2.cost.stopped_ebs_monthly_usd') == {}
    account.service.failures.clear()
    account.service.pass_time(900)
    assert driver.run().value('metta.ec2.cost.stopped_ebs_monthly_usd') == 0


@case('E', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html')
def test_zones_that_may_not_be_read(account):
    """Zones that may not be read.

    An instance runs in a Local Zone, and the policy does not allow ec2:DescribeAvailabilityZones.

    Right: The place of this instance is not known, so it has no price: it is not priced as in the region. The message
    names the action.

    Unchanged: The other instance has its price.
    """
    account.service.denied = {'ec2:DescribeAvailabilityZones'}
    account.machine(region=WEST)
    account.machine(region=WEST, zone='us-west-2-lax-1a')
    run = Driver.of(account.service, **OFF).run()
    assert run.errors() == {('region_prices', 'permission'): 1}
    assert 'add ec2:DescribeAvailabilityZones to the IAM policy' in run.warnings[0]
    assert run.value(HOURLY) == pytest.approx(M5)
    assert run.value(COVERAGE) == 50


@case('F', 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-blocks-pricing-billing.html')
def test_an_instance_in_a_capacity_block(account):
    """An instance in a capacity block.

    A p5.48xlarge runs in a capacity block, whose fee was paid in advance.

    Right: No hourly price: it is not in the estimate, and lowers the coverage. At on-demand prices it costs 55.04 USD.

    Unchanged: It counts by its lifecycle.
    """
    account.machine()
    account.machine('p5.48xlarge', lifecycle='capacity-block')
    run = Driver.of(account.service, **OFF).run()
    assert run.value(HOURLY) == pytest.approx(M5)
    assert run.value(COVERAGE) == 50
    assert run.value('metta.ec2.cost.ondemand_equivalent_hourly_usd') == pytest.approx(M5 + 55.04)
    assert run.value('metta.ec2.instances.by_lifecycle', 'lifecycle:capacity_block') == 1
