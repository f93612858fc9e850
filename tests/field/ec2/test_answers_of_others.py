"""Answers that do not come from AWS, but from a load balancer or a proxy in front of it."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

from ..case import case

OFF = {'idle': {'source': 'off'}}
INSTANCES = 'metta.ec2.instances.total'
PAGES = {
    'html': '<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>',
    'document type': '<!DOCTYPE html>\n<html><head><title>Busy</title></head><body>Busy</body></html>',
    'text': 'upstream connect error or disconnect/reset before headers',
    'json': '{"message": "Service Unavailable"}',
    'nothing': '',
}


@pytest.fixture
def service(serve):
    return serve('ec2')


def refuse(service, status, body, **headers):
    service.faults.add('status', status=status, body=body, headers=headers)


@case('G', 'https://github.com/boto/botocore/pull/2463')
@pytest.mark.parametrize('status', [500, 502, 503, 504])
@pytest.mark.parametrize('page', PAGES)
def test_a_server_error_of_a_load_balancer(service, status, page):
    """A server error of a load balancer.

    After a good refresh, a load balancer answers every request with 500, 502, 503 or 504 and a page of its own: HTML, a
    document type, plain text, JSON or nothing. The SDK cannot parse most of them.

    Right: The reason is `http_5xx`, since the service is away, not `bad_payload`. The figures stay, and the blocks are
    tried again after 60 s.

    Unchanged: With the next answer of AWS everything is read.
    """
    driver = Driver.of(service, **OFF)
    good = driver.run().value(INSTANCES)
    service.pass_time(900)
    refuse(service, status, PAGES[page])
    run = driver.run()
    assert {reason for _, reason in run.errors()} <= {'http_5xx', 'dependency'}
    assert run.errors()['instances', 'http_5xx'] == 1
    assert f'answered HTTP {status}' in run.error
    assert run.value(INSTANCES) == good
    service.faults.clear()
    service.pass_time(60)
    assert driver.run().errors() == {}


@case('G', 'https://github.com/aws/aws-sdk-java/issues/1217')
@pytest.mark.parametrize('page', PAGES)
def test_a_limit_of_a_load_balancer(service, page):
    """A limit of a load balancer.

    A load balancer answers every request with 429, a page of its own and the header `Retry-After: 300`.

    Right: The reason is `rate_limit`, and the blocks wait for 300 s, as told.

    Unchanged: The figures of the last refresh stay.
    """
    driver = Driver.of(service, **OFF)
    good = driver.run().value(INSTANCES)
    service.pass_time(900)
    refuse(service, 429, PAGES[page], **{'Retry-After': '300'})
    run = driver.run()
    assert {reason for _, reason in run.errors()} <= {'rate_limit', 'dependency'}
    assert 'AWS throttles requests' in run.warnings[0]
    assert run.value(INSTANCES) == good
    service.faults.clear()
    service.log.clear()
    service.pass_time(299)
    driver.run()
    assert len(service.log) == 0
    service.pass_time(2)
    assert driver.run().errors() == {}


@case('G', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html')
def test_a_limit_of_aws_that_names_a_time(service):
    """A limit of AWS that names a time.

    EC2 answers 503 with its code `RequestLimitExceeded`, in its own form, and with `Retry-After: 240`.

    Right: The blocks wait for 240 s, not for the 60 s without such a header.

    Unchanged: The reason is `rate_limit`.
    """
    error = '<Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>'
    driver = Driver.of(service, **OFF)
    driver.run()
    service.pass_time(900)
    refuse(service, 503, f'<Response><Errors>{error}</Errors></Response>', **{'Retry-After': '240'})
    run = driver.run()
    assert {reason for _, reason in run.errors()} <= {'rate_limit', 'dependency'}
    service.faults.clear()
    service.log.clear()
    service.pass_time(239)
    driver.run()
    assert len(service.log) == 0
    service.pass_time(2)
    assert driver.run().errors() == {}


@case('G', 'https://github.com/boto/botocore/pull/478', guard=True)
@pytest.mark.parametrize('status', [200, 403])
def test_a_login_page_in_place_of_aws(service, status):
    """A login page in place of AWS.

    A proxy answers every request with 200 or 403 and the HTML of a login page.

    Right: The reason is `bad_payload`, and the message asks whether a proxy or a login page is in between.

    Unchanged: No figure appears.
    """
    refuse(service, status, PAGES['html'])
    run = Driver.of(service, **OFF).run()
    assert {reason for _, reason in run.errors()} <= {'bad_payload', 'dependency', 'rejected'}
    assert run.value(INSTANCES) is None
