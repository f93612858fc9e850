"""Answers that never end are ended, in the head and in the body, by the check's HTTP and by the AWS SDK."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

import sandbox
from chaos.faults import Patience
from chaos.proxy import Plan, Proxy
from sandbox import Clock, Organisation, Running
from tests.support import Driver

from .fake import FakeService
from .test_source import SUM, FakeDriver

TIMEOUT = 0.4
# The proxy drips for four times as long as a refresh may take.
PATIENCE = Patience(timeout=TIMEOUT, budget=3.0)
ENDLESS = ('drip', 'drip_chunks', 'drip_head')


@pytest.fixture
def plan():
    return Plan('seed', PATIENCE)


@pytest.mark.parametrize('kind', ENDLESS)
def test_http(plan, kind):
    with (
        Running(FakeService(Organisation(), Clock())) as service,
        Proxy(urlsplit(service.url).port, plan) as proxy,
    ):
        fake = FakeDriver.of(service, url=proxy.url, timeout=TIMEOUT)
        assert fake.run().value(SUM) == 6
        service.pass_time(900)
        plan.rate, plan.only = 1.0, (kind,)
        started = time.monotonic()
        run = fake.run()
        # Two requests, each of which may connect, wait and read for the time-out.
        assert time.monotonic() - started < 2 * 3 * TIMEOUT + 1.5
        assert run.errors()['numbers', 'timeout'] == 1
        assert run.value(SUM) == 6
        plan.rate = 0.0
        service.pass_time(900)
        again = fake.run()
        assert (again.error, again.value('metta.collector.data_age_seconds', 'block:numbers')) == ('', 0)


@pytest.mark.parametrize('kind', ENDLESS)
def test_a_refresh_that_has_less_time_than_a_request_ends_in_time(plan, kind):
    with (
        Running(FakeService(Organisation(), Clock())) as service,
        Proxy(urlsplit(service.url).port, plan) as proxy,
    ):
        fake = FakeDriver.of(service, url=proxy.url, timeout=20, refresh_timeout=1)
        plan.rate, plan.only = 1.0, (kind,)
        started = time.monotonic()
        run = fake.run()
        assert time.monotonic() - started < 2.5
        assert run.service_check[0] != 0


@pytest.mark.parametrize('kind', ENDLESS)
def test_the_aws_sdk(plan, kind):
    with (
        Running(sandbox.service('ec2', scale=0.1)) as service,
        Proxy(urlsplit(service.url).port, plan) as proxy,
    ):
        driver = Driver.of(
            service, endpoint_url=proxy.url, connect_timeout=TIMEOUT, read_timeout=TIMEOUT, refresh_timeout=4
        )
        assert driver.run().error == ''
        service.pass_time(900)
        plan.rate, plan.only = 1.0, (kind,)
        started = time.monotonic()
        run = driver.run()
        assert time.monotonic() - started < 7
        assert run.errors()['instances', 'timeout'] == 1
