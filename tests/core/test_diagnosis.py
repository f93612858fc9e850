"""Findings of `diagnose` and `doctor` that all sources share: tags, age of the data, clocks, references to secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import diagnosis
from metta_checks.core.budget import Budget
from metta_checks.core.times import parse_http_date
from sandbox import Clock, Organization, Running

from .fake import FakeCheck, FakeService


@pytest.fixture
def service():
    with Running(FakeService(Organization(), Clock())) as running:
        yield running


def check(service, **options):
    check = FakeCheck('metta_checks', {}, [{**service.instance(), **options}])
    check.clock = service.clock
    return check


def said(check):
    return {finding.name: (finding.status, finding.message) for finding in check.findings()}


def test_all_is_well(service):
    assert said(check(service, tags=['env:staging', 'team:one'])) == {
        'tags': ('ok', 'env:staging is on every series'),
        'credentials': ('ok', 'accepted'),
        'clock': ('ok', 'within 60 s of the clock of the service'),
    }


def test_without_an_environment(service):
    [finding] = [one for one in check(service).findings() if one.name == 'tags']
    assert finding.status == 'warning'
    assert 'env:production' in finding.remedy


def test_the_clock_is_compared_also_when_the_service_refuses(service):
    refused = said(check(service, token='wrong-token'))
    assert refused['auth'][0] == 'fail'
    assert refused['clock'][0] == 'ok'


def test_nothing_is_said_of_a_clock_that_nobody_saw(service):
    assert 'clock' not in said(check(service, url='http://127.0.0.1:9'))


def dated(moment):
    return {'Date': format_datetime(moment, usegmt=True)}


@pytest.mark.parametrize(
    ('ahead', 'seconds', 'words'), [(-3600, (3600, 3601), 'ahead of'), (300, (299, 300), 'behind'), (30, (), '')]
)
def test_a_clock_that_is_wrong(ahead, seconds, words):
    budget = Budget(Clock())
    budget.receive(10, dated(datetime.now(UTC) + timedelta(seconds=ahead)))
    [finding] = diagnosis.of_clock(budget.skew)
    assert finding.status == ('warning' if words else 'ok')
    assert not words or any(f'{number} s {words} the clock' in finding.message for number in seconds)
    assert budget.bytes == 10


def test_an_answer_without_a_date_leaves_what_is_known():
    budget = Budget(Clock())
    budget.receive(1, {})
    assert budget.skew is None
    budget.receive(1, dated(datetime.now(UTC)))
    budget.receive(1, {'Date': 'yesterday'})
    assert budget.skew == pytest.approx(0, abs=60)


def test_the_date_of_a_cached_answer_is_not_the_time_of_the_service():
    clock = Clock(datetime(2026, 12, 1, tzinfo=UTC))
    budget = Budget(clock)
    an_hour_ago = dated(clock.now() - timedelta(hours=1))
    budget.receive(1, {**an_hour_ago, 'Age': '3600'})
    assert budget.skew is None
    budget.receive(1, {**an_hour_ago, 'Age': '0'})
    assert budget.skew == 3600


@pytest.mark.parametrize('after', [0, 45, 90])
def test_a_date_between_question_and_answer_is_that_of_a_right_clock(after):
    clock = Clock(datetime(2026, 12, 1, tzinfo=UTC))
    budget = Budget(clock)
    asked_at = clock.now()
    clock.advance(90)
    budget.receive(1, dated(asked_at + timedelta(seconds=after)), asked_at)
    assert budget.skew == 0
    budget.receive(1, dated(asked_at - timedelta(seconds=60)), asked_at)
    assert budget.skew == 150


@pytest.mark.parametrize('date', ['Fri, 31 Dec 9999 23:59:59 GMT', 'Mon, 01 Jan 1800 00:00:00 GMT'])
def test_a_date_of_another_age_is_not_that_of_a_clock(date):
    budget = Budget(Clock())
    budget.receive(1, {'Date': date})
    assert budget.skew is None


@given(st.text())
def test_any_header_is_a_date_or_none(text):
    moment = parse_http_date(text)
    assert moment is None or moment.utcoffset() == timedelta(0)


def test_how_old_the_figures_are(service):
    # The second is another process of the same Agent: it finds what the first one stored.
    check(service).run()
    service.pass_time(100)
    assert said(check(service))['last refresh'] == ('ok', '100 s ago')
    service.pass_time(3 * 900)
    status, message = said(check(service))['last refresh']
    assert (status, message.partition(':')[0]) == ('warning', '2800 s ago')


@pytest.mark.parametrize('option', ['token', 'password'])
def test_a_reference_that_nothing_resolved(service, option):
    message = json.loads(check(service, **{option: 'ENC[metta/fake;token]'}).run())[0]['message']
    assert f'option `{option}` is still the reference `ENC[...]`' in message
    assert service.log == []
    assert said(check(service, token='ENC[metta/fake;token]'))['configuration'][0] == 'fail'
