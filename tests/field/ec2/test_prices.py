"""The price list out of reach, and prices without it."""

from __future__ import annotations

from typing import Any

import pytest

from metta_checks.ec2.aws import Aws
from metta_checks.testing import Driver
from sandbox.ec2 import tariff

from ..case import case

OFF = {'idle': {'source': 'off'}, 'regions': ['us-east-1']}
HOURLY, COVERAGE = 'metta.ec2.cost.running_hourly_estimate', 'metta.ec2.cost.price_coverage_pct'


@case('E', 'https://github.com/aws/karpenter-provider-aws/issues/5587')
def test_a_network_without_the_price_list(account):
    """A network without the price list.

    The Agent runs in a private network. There are VPC endpoints of EC2 and none of the price list. A spot instance
    and an instance on demand run.

    Right: After three refreshes, which could be an outage, the spot instance is priced, and the coverage is 50 %. The
    message names `prices.source`.

    Unchanged: The volumes count, without a price.
    """
    account.machine('g6.12xlarge', lifecycle='spot')
    account.machine()
    account.disk()
    account.service.fail('pricing:GetProducts', 'ServiceUnavailable', 503)
    driver = Driver.of(account.service, **OFF)
    for _ in range(3):
        assert driver.run().series(HOURLY) == {}
        account.service.pass_time(900)
    run = driver.run()
    assert run.require(HOURLY) > 1
    assert run.value(COVERAGE) == 50
    assert '`prices.source`' in run.warnings[0]
    assert run.value('metta.ec2.ebs.volumes.total') == 1
    assert run.series('metta.ec2.cost.ebs_monthly_usd') == {}


@case('C', 'https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-list-query-api.html')
def test_a_price_list_that_fails_after_each_answer(account):
    """A price list that fails after each answer.

    Six instances of six types run. While the check starts, the price list answers one request of each refresh, and
    fails on the next one.

    Right: The estimate is absent for as long as the check learns one more price in each refresh, also in the fifth
    one. It is shown when all prices are known.

    Unchanged: The number of instances is right in each refresh.
    """
    for instance_type in ('m5.large', 't3.micro', 'g5.xlarge', 'g6.12xlarge', 'g6.xlarge', 'inf2.xlarge'):
        account.machine(instance_type)
    driver = Driver.of(account.service, **OFF)
    for _ in range(5):
        account.service.failures.clear()
        account.service.fail('pricing:GetProducts', 'ServiceUnavailable', 503, after=1)
        run = driver.run()
        assert run.series(HOURLY) == run.series(COVERAGE) == {}
        assert run.value('metta.ec2.instances.running') == 6
        account.service.pass_time(900)
    account.service.failures.clear()
    run = driver.run()
    assert run.require(HOURLY) > 5
    assert run.value(COVERAGE) == 100


@case('E', 'https://github.com/aws/karpenter-provider-aws/issues/2604', guard=True)
def test_a_price_list_that_a_policy_denies(account):
    """A price list that a policy denies.

    A service control policy denies the region of the price list. Option `prices.table` has a price.

    Right: The table prices its type at once, and the coverage shows the rest.

    Unchanged: The message names the action.
    """
    account.machine()
    account.machine('g5.xlarge')
    account.service.denied = {'pricing:GetProducts'}
    run = Driver.of(account.service, prices={'table': {'m5.large': 0.2}}, **OFF).run()
    assert run.value(HOURLY) == pytest.approx(0.2)
    assert run.value(COVERAGE) == 50
    assert 'pricing:GetProducts in us-east-1 is not allowed' in run.warnings[0]


@case('E', 'https://github.com/aws/karpenter-provider-aws/issues/2485', guard=True)
def test_an_outage_of_the_price_list_after_good_days(account):
    """An outage of the price list after good days.

    The list was read, and is away two days later.

    Right: The known prices go on, and the estimate does not change.

    Unchanged: The age of the prices grows.
    """
    account.machine()
    driver = Driver.of(account.service, **OFF)
    good = driver.run().value(HOURLY)
    account.service.pass_time(2 * 86400)
    account.service.fail('pricing:GetProducts', 'ServiceUnavailable', 503)
    run = driver.run()
    assert run.value(HOURLY) == good
    assert run.value('metta.ec2.cost.price_age_hours') == pytest.approx(48)


@case('G', 'https://github.com/aws/aws-cli/issues/8750')
def test_fips_endpoints_that_do_not_exist(account, monkeypatch):
    """FIPS endpoints that do not exist.

    AWS_USE_FIPS_ENDPOINT is true. AWS has FIPS endpoints of EC2 in us-east-1, none of the price list, and none of EC2
    in eu-west-1. The SDK makes names of endpoints that do not exist.

    Right: The price list, and EC2 in eu-west-1, are asked at their ordinary endpoints.

    Unchanged: EC2 in us-east-1 is asked at its FIPS endpoint.
    """
    monkeypatch.setenv('AWS_USE_FIPS_ENDPOINT', 'true')
    check: Any = Driver.of(account.service, endpoint_url=None, **OFF).check
    check.load_configuration_models()
    check.connect()
    aws = check._aws
    assert isinstance(aws, Aws)

    def address(service: str, region: str) -> str:
        return str(aws._client(service, region).meta.endpoint_url)

    assert address('ec2', 'us-east-1') == 'https://ec2-fips.us-east-1.amazonaws.com'
    assert address('ec2', 'eu-west-1') == 'https://ec2.eu-west-1.amazonaws.com'
    assert address('pricing', 'us-east-1') == 'https://api.pricing.us-east-1.amazonaws.com'
    assert address('ce', 'us-east-1') == 'https://ce.us-east-1.amazonaws.com'


@case('J', 'https://github.com/aws/aws-cli/issues/1978', guard=True)
def test_more_spot_prices_than_a_page_has(account):
    """More spot prices than a page has.

    AWS returns at most 1,000 spot prices on a page, here one, for three spot instances of two types in two zones.

    Right: `cost.running_hourly_estimate` is the sum of all three, also of those whose price is on the last page, and
    `cost.price_coverage_pct` is 100.

    Unchanged: There is no warning.
    """
    account.machine(lifecycle='spot')
    account.machine(lifecycle='spot', zone='us-east-1b')
    account.machine('g6.xlarge', lifecycle='spot', zone='us-east-1b')
    operations, now = account.service.inventory.operations, account.service.clock.now()
    real = operations['DescribeSpotPriceHistory']
    operations['DescribeSpotPriceHistory'] = lambda region, asked, at: real(region, {**asked, 'MaxResults': '1'}, at)
    run = Driver.of(account.service, **OFF).run()
    places = [('us-east-1a', 'm5.large'), ('us-east-1b', 'm5.large'), ('us-east-1b', 'g6.xlarge')]
    prices = [tariff.spot('us-east-1', zone, kind, 'Linux/UNIX', now)[0] for zone, kind in places]
    assert run.value(HOURLY) == pytest.approx(sum(prices))
    assert run.value(COVERAGE) == 100
    assert run.errors() == {}
