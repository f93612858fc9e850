"""Answers that never end are ended, in the head and in the body, by the check's HTTP and by the AWS SDK.

The proxy sends forever, bit by bit, and lets time pass on the clock that the check goes by: the run ends because its
deadline has passed there, or never.
"""

from __future__ import annotations

import pytest

import sandbox
from chaos.faults import Patience
from chaos.proxy import FaultSchedule, Proxy
from metta_checks.testing import Driver
from sandbox import Clock, Organization, Running

from .fake import FakeService
from .test_source import SUM, FakeDriver

# The proxy drips for longer than any of these tests may take.
PATIENCE = Patience(timeout=8.0, budget=1e6)
ENDLESS = ('drip', 'drip_chunks', 'drip_head')


@pytest.fixture
def plan():
    return FaultSchedule('seed', PATIENCE)


@pytest.fixture
def service():
    with Running(FakeService(Organization(), Clock())) as running:
        yield running


@pytest.fixture
def proxy(service, plan):
    with Proxy(service.url, plan, service.clock) as running:
        yield running


@pytest.mark.parametrize('kind', ENDLESS)
def test_http(service, proxy, plan, kind):
    fake = FakeDriver.of(service, url=proxy.url, timeout=30)
    assert fake.run().value(SUM) == 6
    service.pass_time(900)
    plan.rate, plan.only = 1.0, (kind,)
    began = service.clock.now()
    run = fake.run()
    # Two requests, each of which may connect, wait and read for the timeout.
    assert (service.clock.now() - began).total_seconds() < 2 * 3 * 30 + 20
    assert run.errors()['numbers', 'timeout'] == 1
    assert run.value(SUM) == 6
    plan.rate = 0.0
    service.pass_time(900)
    again = fake.run()
    assert (again.error, again.value('metta.collector.data_age_seconds', 'block:numbers')) == ('', 0)


@pytest.mark.parametrize('kind', ENDLESS)
def test_a_refresh_that_has_less_time_than_a_request_ends_in_time(service, proxy, plan, kind):
    fake = FakeDriver.of(service, url=proxy.url, timeout=30, refresh_timeout=20)
    plan.rate, plan.only = 1.0, (kind,)
    began = service.clock.now()
    run = fake.run()
    assert (service.clock.now() - began).total_seconds() < 30
    assert run.status != 0


@pytest.mark.parametrize('kind', ENDLESS)
def test_the_aws_sdk(plan, kind):
    with (
        Running(sandbox.service('ec2', scale=0.1)) as service,
        Proxy(service.url, plan, service.clock) as proxy,
    ):
        driver = Driver.of(service, endpoint_url=proxy.url, connect_timeout=30, read_timeout=30, refresh_timeout=300)
        assert driver.run().error == ''
        service.pass_time(900)
        plan.rate, plan.only = 1.0, (kind,)
        began = service.clock.now()
        run = driver.run()
        assert (service.clock.now() - began).total_seconds() < 400
        # The first region takes so long that the second one may have no time left.
        [reason] = [reason for block, reason in run.errors() if block == 'instances']
        assert reason in ('timeout', 'budget')
