"""Failures of AWS, of the network and of permissions: the message to the user, and the figures that remain."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as sdk

from metta_checks.core.budget import Budget
from metta_checks.ec2.aws import ATTEMPTS
from metta_checks.ec2.sdk_errors import BY_KIND, Call, of_refusal
from metta_checks.testing import Clock, Driver

from .builders import NOW

OFF = {'idle': {'source': 'off'}}
WHERE = 'ec2 (us-east-1, us-west-2): block '


@pytest.fixture
def service(serve):
    return serve('ec2')


def after_a_good_refresh(service, **options):
    """Return a driver 15 minutes after its first refresh, and the run of that refresh."""
    driver = Driver.of(service, **OFF, **options)
    good = driver.run()
    assert good.error == ''
    service.pass_time(900)
    service.log.clear()
    service.asked.clear()
    return driver, good


def test_a_wrong_secret(service):
    run = Driver.of(service, secret_access_key='wrong-secret').run()
    assert run.error == (
        f'{WHERE}instances: sts:GetCallerIdentity in us-east-1: the credentials were not accepted '
        '(SignatureDoesNotMatch); check the options `access_key_id`, `secret_access_key` and `profile` or the role of '
        'this machine (and 7 more)'
    )
    assert run.status == 2
    # One request: the following ones would be refused, too.
    assert run.requests == 1
    assert run.figures() == {}
    assert 'wrong-secret' not in str(run)


def test_no_credentials_at_all(service, monkeypatch, tmp_path):
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    for variable in ('AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE'):
        monkeypatch.setenv(variable, str(tmp_path / 'none'))
    for variable in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'):
        monkeypatch.delenv(variable, raising=False)
    run = Driver.of(service, access_key_id=None, secret_access_key=None).run()
    assert (
        'no usable credentials; set `role_arn`, `profile` or `access_key_id`, or give this machine a role' in run.error
    )
    assert run.requests == 0
    assert run.status == 2


def test_credentials_that_expire_between_refreshes(service):
    driver, good = after_a_good_refresh(service)
    service.secrets.clear()
    run = driver.run()
    assert 'the credentials were not accepted (AuthFailure)' in run.error
    assert run.values.keys() >= good.figures().keys()
    assert run.value('metta.collector.up') == 0


@pytest.mark.parametrize(
    ('action', 'blocks', 'gone'),
    [
        (
            'ec2:DescribeInstances',
            {'instances', 'regions', 'region_prices', 'prices'},
            'instances.total',
        ),
        ('ec2:DescribeVolumes', {'volumes', 'storage_prices'}, 'ebs.volumes.total'),
        ('ec2:DescribeSnapshots', {'snapshots'}, 'ebs.snapshots.total'),
        ('ec2:DescribeAddresses', {'addresses'}, 'addresses.unassociated'),
        ('cloudwatch:GetMetricData', {'idle'}, 'instances.idle'),
        ('ce:GetCostAndUsage', {'billing'}, 'cost.billed_yesterday_usd'),
    ],
)
def test_a_missing_permission(service, action, blocks, gone):
    service.denied = {action}
    run = Driver.of(service, cost_explorer=True).run()
    assert {block for block, _ in run.errors()} == blocks
    assert {reason for _, reason in run.errors()} <= {'permission', 'dependency'}
    assert any(f'{action} in us-east-1 is not allowed' in warning for warning in run.warnings)
    assert any(f'add {action} to the IAM policy' in warning for warning in run.warnings)
    assert run.series(f'metta.ec2.{gone}') == {}
    assert run.status == 1
    assert len(run.figures()) > 5


def test_without_the_permission_for_types_their_figures_are_absent(service):
    service.denied = {'ec2:DescribeInstanceTypes'}
    run = Driver.of(service).run()
    assert run.errors()['instances', 'permission'] == 1
    assert run.value('metta.ec2.instances.running') == 95
    assert run.value('metta.ec2.instances.vcpus') == 2590
    for name in ('gpu_count', 'unknown_type', 'idle', 'idle_unknown'):
        assert run.series(f'metta.ec2.instances.{name}') == {}
    assert not any(call.startswith('cloudwatch:') for call in service.asked)
    assert run.series('metta.ec2.cost.gpu_hourly_usd') == {}
    assert run.require('metta.ec2.cost.running_hourly_estimate') > 0


def test_without_the_price_list_spot_prices_are_used(service):
    service.denied = {'pricing:GetProducts'}
    run = Driver.of(service, **OFF).run()
    assert run.errors() == {('region_prices', 'permission'): 1}
    assert service.asked.count('pricing:GetProducts us-east-1') == 1
    # 38 of the 95 instances are spot instances.
    assert run.value('metta.ec2.cost.price_coverage_pct') == pytest.approx(40)
    assert run.series('metta.ec2.cost.spot_savings_pct') == {}
    assert run.series('metta.ec2.cost.ebs_monthly_usd') == {}


def test_without_spot_prices_list_prices_are_used(service):
    service.denied = {'ec2:DescribeSpotPriceHistory'}
    run = Driver.of(service, **OFF).run()
    assert run.errors() == {('region_prices', 'permission'): 1}
    assert run.value('metta.ec2.cost.price_coverage_pct') == pytest.approx(100 * 55 / 95)
    assert run.series('metta.ec2.cost.spot_savings_pct') == {}
    assert run.require('metta.ec2.cost.ondemand_equivalent_hourly_usd') > 0


@pytest.mark.parametrize(('status', 'reason'), [(500, 'http_5xx'), (302, 'bad_payload')])
def test_a_long_outage_of_the_price_list_lowers_the_coverage(service, status, reason):
    service.fail('pricing:GetProducts', 'InternalErrorException', status)
    driver = Driver.of(service, **OFF)
    for _ in range(3):
        run = driver.run()
        # A short outage must not look like a fall in costs.
        assert run.errors() == {
            ('region_prices', reason): 1,
            ('prices', 'dependency'): 1,
            ('storage_prices', reason): 1,
        }
        assert run.series('metta.ec2.cost.running_hourly_estimate') == {}
        service.pass_time(900)
    run = driver.run()
    assert run.errors() == {('region_prices', reason): 1}
    assert '`prices.source`' in run.warnings[0]
    # The spot instances have prices.
    assert run.value('metta.ec2.cost.price_coverage_pct') == pytest.approx(40)
    assert run.require('metta.ec2.cost.running_hourly_estimate') > 0


def test_an_outage_of_the_spot_market_does_not_look_like_a_fall_in_costs(service):
    service.fail('ec2:DescribeSpotPriceHistory', 'InternalError', 500, region='us-west-2')
    run = Driver.of(service, **OFF).run()
    assert run.errors() == {('region_prices', 'http_5xx'): 1, ('prices', 'http_5xx'): 1}
    assert run.series('metta.ec2.cost.running_hourly_estimate') == {}
    # The other region goes on.
    assert run.require('metta.ec2.region.hourly_usd', 'region:us-east-1') > 0
    assert run.value('metta.ec2.region.hourly_usd', 'region:us-west-2') is None
    assert run.require('metta.ec2.cost.ebs_monthly_usd') > 0


def test_known_prices_outlive_an_outage_of_the_price_list(service):
    driver, _ = after_a_good_refresh(service)
    service.pass_time(30 * 3600)
    service.fail('pricing:GetProducts', 'InternalErrorException', 500)
    run = driver.run()
    assert run.errors() == {('region_prices', 'http_5xx'): 1}
    assert run.value('metta.ec2.cost.price_age_hours') == pytest.approx(30.25)
    assert run.require('metta.ec2.cost.price_coverage_pct') > 97


def test_prices_that_were_read_are_kept_when_others_fail(service):
    service.fail('ec2:DescribeSpotPriceHistory', 'InternalError', 500)
    driver = Driver.of(service, **OFF)
    assert driver.run().errors() == {('region_prices', 'http_5xx'): 1, ('prices', 'http_5xx'): 1}
    known = driver.check.memory.prices
    assert known.ondemand
    assert not known.spot
    service.failures.clear()
    service.pass_time(900)
    assert driver.run().errors() == {}
    assert driver.check.memory.prices.ondemand == known.ondemand


def test_ambiguous_prices_are_not_used(serve):
    service = serve('ec2', ambiguous='g5.xlarge')
    run = Driver.of(service, **OFF).run()
    assert run.errors() == {('region_prices', 'ambiguous_price'): 1}
    assert '2 prices for g5.xlarge (RunInstances, Shared) in us-east-1: none of them is used' in run.warnings[0]
    assert run.value('metta.ec2.cost.price_coverage_pct') == pytest.approx(100 * (93 - 20) / 95)
    service.pass_time(900)
    # An ambiguous price is not read again for a day.
    again = Driver.of(service, **OFF).run()
    assert again.errors() == {}
    assert again.value('metta.ec2.cost.price_coverage_pct') == run.value('metta.ec2.cost.price_coverage_pct')


@pytest.mark.parametrize(('code', 'status'), [('RequestLimitExceeded', 503), ('Throttling', 400)])
def test_throttling_keeps_the_figures_and_waits_for_the_next_run(service, code, status):
    driver, good = after_a_good_refresh(service)
    service.fail('ec2:DescribeVolumes', code, status)
    run = driver.run()
    assert run.errors() == {('volumes', 'rate_limit'): 1, ('storage_prices', 'dependency'): 1}
    assert (
        f'ec2:DescribeVolumes in us-east-1: AWS throttles requests ({code}: as told); the block waits for the next run'
        in run.warnings[0]
    )
    assert run.value('metta.ec2.ebs.volumes.size_gb') == good.value('metta.ec2.ebs.volumes.size_gb')
    assert run.status == 1
    service.failures.clear()
    service.pass_time(60)
    after = driver.run()
    assert after.errors() == {}
    assert after.service_check == (0, '')


def test_a_temporary_failure_is_retried_at_once(service):
    service.fail('ec2:DescribeVolumes', 'InternalError', 500, times=1)
    run = Driver.of(service, **OFF).run()
    assert run.errors() == {}
    assert service.asked.count('ec2:DescribeVolumes us-east-1') == 2
    # Repeated requests count.
    assert run.requests == len(service.log)


def test_an_outage_is_retried_twice_and_again_a_minute_later(service):
    driver, good = after_a_good_refresh(service)
    service.fail('ec2:DescribeSnapshots', 'Unavailable', 503)
    run = driver.run()
    assert run.errors() == {('snapshots', 'http_5xx'): 1}
    assert service.asked.count('ec2:DescribeSnapshots us-east-1') == 3
    assert run.value('metta.ec2.ebs.snapshots.total') == good.value('metta.ec2.ebs.snapshots.total')
    service.failures.clear()
    service.pass_time(60)
    assert driver.run().errors() == {}


def test_an_incomplete_list_is_not_used(serve):
    service = serve('ec2', instances=1100, regions=['us-east-1'])
    service.fail('ec2:DescribeInstances', 'InternalError', 500, after=1)
    run = Driver.of(service, **OFF).run()
    assert run.errors()['instances', 'http_5xx'] == 1
    assert run.series('metta.ec2.instances.total') == {}
    assert run.value('metta.ec2.ebs.volumes.total') == 80


def test_a_failed_region_makes_the_sums_absent(service):
    service.fail('ec2:DescribeInstances', 'InvalidParameterValue', 400, region='us-west-2')
    run = Driver.of(service, **OFF).run()
    assert run.errors()['instances', 'rejected'] == 1
    assert (
        'ec2:DescribeInstances in us-west-2 was rejected with HTTP 400 (InvalidParameterValue: as told)'
        in run.warnings[0]
    )
    assert run.series('metta.ec2.instances.running') == {}
    assert run.value('metta.ec2.region.instances_running', 'region:us-east-1') == 85
    assert run.value('metta.ec2.region.instances_running', 'region:us-west-2') is None


def test_a_disabled_region_differs_from_bad_credentials(service):
    service.disabled_regions = {'us-west-2'}
    run = Driver.of(service, **OFF).run()
    assert run.errors()['instances', 'region_not_enabled'] == 1
    assert (
        'region us-west-2 is not enabled for this account; enable it, or leave it out of option `regions`'
        in run.warnings[0]
    )


def test_an_account_that_has_not_opted_in(service):
    service.json_services.opted_in = False
    run = Driver.of(service, idle={'source': 'compute_optimizer'}).run()
    assert run.errors() == {('idle', 'permission'): 1}
    assert 'the account has not opted in (OptInRequiredException: not registered' in run.warnings[0]
    assert 'opt in, or choose another `idle.source`' in run.warnings[0]


def test_without_sts_only_the_tag_is_missing(service):
    service.denied = {'sts:GetCallerIdentity'}
    run = Driver.of(service, **OFF).run()
    assert run.errors() == {('instances', 'permission'): 1}
    assert run.series('metta.ec2.instances.total') == {(): 102}


def test_a_region_that_does_not_exist():
    instance = {
        'source': 'ec2',
        'regions': ['mars-north-1'],
        'access_key_id': 'nobody',
        'secret_access_key': 'no-secret',
        'endpoint_url': 'http://127.0.0.1:9',
    }
    run = Driver(instance, Clock(NOW)).run()
    assert run.error == (
        'ec2 (mars-north-1): block instances: ec2:DescribeInstances in mars-north-1: no connection; '
        'is there such a region? check `regions`, `endpoint_url`, DNS and the proxy options (and 7 more)'
    )
    assert run.status == 2
    assert run.figures() == {}


@pytest.mark.parametrize(
    ('kind', 'reason', 'words'),
    [
        (
            'not_json',
            'bad_payload',
            'the answer is cut off or not from AWS; is there a proxy or a login page in between?',
        ),
        ('truncate', 'bad_payload', 'the answer is cut off or not from AWS'),
        ('reset', 'cut_off', 'the connection broke off before the answer was complete'),
    ],
)
def test_broken_answers(service, kind, reason, words):
    driver, good = after_a_good_refresh(service)
    service.faults.add(kind)
    run = driver.run()
    assert run.errors()['instances', reason] == 1
    assert words in run.error
    assert run.figures() == good.figures()


@pytest.mark.parametrize(('kind', 'fault', 'read_timeout'), [('silent', {}, 0.2), ('slow', {'seconds': 100}, 30)])
def test_an_answer_that_comes_too_late(service, kind, fault, read_timeout):
    _, good = after_a_good_refresh(service)
    # All attempts of the first request.
    service.faults.add(kind, times=ATTEMPTS, **fault)
    run = Driver.of(service, **OFF, read_timeout=read_timeout).run()
    assert run.errors()['instances', 'timeout'] == 1
    assert any(
        'gave no answer in time; check the network, or raise the options `connect_timeout` and `read_timeout`' in line
        for line in (run.error, *run.warnings)
    )
    assert run.value('metta.ec2.instances.total') == good.value('metta.ec2.instances.total')


@pytest.mark.parametrize(
    ('body', 'kind'), [('<Answer/>', 'text/xml'), ('{}', 'application/json'), ('{"message": "hello"}', 'text/html')]
)
def test_an_answer_without_its_list_is_not_an_empty_list(service, body, kind):
    driver, good = after_a_good_refresh(service)
    service.faults.add('status', status=200, body=body, headers={'Content-Type': kind})
    run = driver.run()
    assert run.errors()['instances', 'bad_payload'] == 1
    assert run.figures() == good.figures()


@pytest.mark.parametrize(
    ('tokens', 'requests', 'words'),
    [
        (['a', 'a'], 2, ': AWS sent the same page twice; the list is not used'),
        (['a', 'b', 'a'], 3, ': AWS sent the same page twice; the list is not used'),
        ([5], 1, ' sent nextToken as int'),
    ],
)
def test_repeated_pages_end_the_list(service, tokens, requests, words):
    asked: list[object] = []

    def repeating(region, body, now):
        asked.append(body.get('nextToken'))
        return {'idleRecommendations': [], 'nextToken': tokens[len(asked) - 1]}

    action = 'compute-optimizer:GetIdleRecommendations'
    service.json_services.operations[action] = repeating
    run = Driver.of(service, regions=['us-east-1'], idle={'source': 'compute_optimizer'}).run()
    assert run.errors() == {('idle', 'bad_payload'): 1}
    assert f'{action} in us-east-1{words}' in run.warnings[0]
    assert asked == [None, *tokens][:requests]


def test_the_time_budget_is_used_up(service):
    driver, good = after_a_good_refresh(service, refresh_timeout=60)
    service.faults.add('slow', seconds=40)
    run = driver.run()
    assert set(run.errors().values()) == {1}
    assert {reason for _, reason in run.errors()} <= {'budget', 'dependency'}
    assert run.status == 1
    assert run.value('metta.ec2.ebs.volumes.total') == good.value('metta.ec2.ebs.volumes.total')


def test_a_canceled_check_sends_no_requests(service):
    driver, _ = after_a_good_refresh(service)
    driver.check.cancel()
    driver.run()
    assert service.log == []


def test_a_proxy_that_does_not_answer(service):
    run = Driver.of(service, proxy={'http': 'http://user:pass-word@127.0.0.1:9'}).run()
    assert 'the proxy did not connect; check the option `proxy`' in run.error + str(run.warnings)
    assert 'pass-word' not in str(run)


@pytest.mark.parametrize('how', [{'no_proxy': ['127.0.0.1']}, None])
def test_no_proxy_and_skip_proxy(service, how):
    proxy = {'http': 'http://127.0.0.1:9', **(how or {})}
    options = {'proxy': proxy} if how else {'proxy': proxy, 'skip_proxy': True}
    assert Driver.of(service, **OFF, **options).run().error == ''


def test_a_certificate_that_is_not_there(service):
    service.url = service.url.replace('http://', 'https://')
    run = Driver.of(service, **OFF).run()
    assert run.error
    assert run.status == 2


def test_every_kind_of_failure_has_one_line():
    for _, make in BY_KIND:
        error = make('ec2:DescribeInstances in us-east-1')
        assert str(error).startswith('ec2:DescribeInstances in us-east-1')
        assert '\n' not in str(error)
    assert issubclass(sdk.ConnectionClosedError, sdk.HTTPClientError)


def test_the_budget_counts_bytes(service):
    driver = Driver.of(service, **OFF)
    driver.run()
    assert isinstance(driver.check.budget, Budget)
    assert driver.check.budget.bytes == sum(entry.bytes for entry in service.log)


def test_the_cost_of_idle_instances_ends_when_the_idle_figures_end(service):
    driver = Driver.of(service, refresh_interval=3600)
    assert driver.run().require('metta.ec2.cost.idle_hourly_usd') > 0
    service.fail('cloudwatch:GetMetricData', 'InternalFailure', 500)
    service.pass_time(17 * 3600)
    assert driver.run().value('metta.ec2.cost.idle_hourly_usd') is not None
    service.pass_time(2 * 3600)
    run = driver.run()
    assert run.value('metta.ec2.instances.idle') is None
    assert run.value('metta.ec2.cost.idle_hourly_usd') is None
    assert run.require('metta.ec2.cost.running_hourly_estimate') > 0


@pytest.mark.parametrize(
    ('message', 'detail'),
    [
        (
            'User: arn:aws:iam::1:user/x is not authorized.',
            'UnauthorizedOperation: User: arn:aws:iam::1:user/x is not authorized',
        ),
        (
            'You are not authorized to perform this operation. Encoded authorization failure message: 4GIOHlTkIaWH',
            'UnauthorizedOperation: You are not authorized to perform this operation',
        ),
        ('no\nline\tbreaks', 'UnauthorizedOperation: no line breaks'),
        ('', 'UnauthorizedOperation'),
    ],
)
def test_the_reason_of_aws_is_shown_as_one_line(message, detail):
    error = refusal('UnauthorizedOperation', message)
    assert str(error) == (
        f'ec2:DescribeVolumes in us-east-1 is not allowed ({detail}); '
        'add ec2:DescribeVolumes to the IAM policy of the credentials'
    )


def test_the_reason_of_refused_credentials_is_not_shown():
    error = refusal('SignatureDoesNotMatch', 'The Canonical String should have been: x-amz-security-token:some-token')
    assert '(SignatureDoesNotMatch)' in str(error)
    assert 'some-token' not in str(error)


def refusal(code: str, message: str) -> Exception:
    answer: Any = {'Error': {'Code': code, 'Message': message}, 'ResponseMetadata': {'HTTPStatusCode': 403}}
    call = Call('ec2', 'us-east-1', 'describe_volumes')
    return of_refusal(sdk.ClientError(answer, 'DescribeVolumes'), call, NOW)
