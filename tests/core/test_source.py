"""The behavior that all sources share: refresh, snapshot, failure, persistence, self-metrics."""

from __future__ import annotations

import threading

import pytest
from datadog_checks.base import AgentCheck
from datadog_checks.base.utils.diagnose import Diagnosis

from metta_checks.core.source import RefreshFailed
from metta_checks.testing import AGENT, Driver
from sandbox import Clock, Organization, Running

from .fake import FakeCheck, FakeService

OK, WARNING, CRITICAL = AgentCheck.OK, AgentCheck.WARNING, AgentCheck.CRITICAL
SUM = 'metta.fake.numbers.sum'


class FakeDriver(Driver):
    def __init__(self, instance, clock) -> None:
        super().__init__(instance, clock, check_class=FakeCheck)


@pytest.fixture
def service():
    with Running(FakeService(Organization(), Clock())) as running:
        yield running


def driver(service, **overrides):
    return FakeDriver.of(service, **overrides)


def test_refreshes_then_re_emits_without_a_request(service):
    fake = driver(service)
    first = fake.run()
    assert (first.error, first.service_check[0], first.requests) == ('', OK, 3)
    assert first.value(SUM, 'subject:a') == 6
    assert first.value('metta.fake.other.value', 'subject:b') == 3
    assert first.series('metta.fake.numbers.by_parity') == {}
    service.pass_time(60)
    second = fake.run()
    assert second.requests is None
    assert len(service.log) == 3
    assert second.value(SUM) == 6
    assert second.value('metta.collector.data_age_seconds', 'block:numbers') == 60
    assert service.connections == 1


def test_refreshes_again_after_the_interval_but_slow_blocks_keep_their_own(service):
    fake = driver(service)
    fake.run()
    service.pass_time(900)
    assert fake.run().requests == 2
    service.pass_time(900)
    assert [entry.path for entry in service.log].count('/slow') == 1
    for _ in range(3):
        fake.run()
        service.pass_time(900)
    assert [entry.path for entry in service.log].count('/slow') == 2


def test_counts_histograms_and_events_go_out_once_and_never_when_cold(service):
    fake = driver(service)
    cold = fake.run()
    assert cold.value('metta.fake.numbers.seen') is None
    assert not cold.histograms
    assert not cold.events
    service.numbers = (1, 2, 3, 4, 5)
    service.pass_time(900)
    warm = fake.run()
    assert warm.value('metta.fake.numbers.seen') == 2
    assert list(warm.histograms.values()) == [[4, 5]]
    assert [event['msg_title'] for event in warm.events] == ['New numbers']
    service.pass_time(60)
    again = fake.run()
    assert again.value('metta.fake.numbers.seen') is None
    assert not again.histograms
    assert not again.events


def test_a_failed_block_keeps_its_samples_then_goes_silent_and_takes_no_other_along(service):
    fake = driver(service)
    fake.run()
    service.faults.add('status', status=500, path='/numbers')
    service.numbers = (7,)
    service.pass_time(900)
    failed = fake.run()
    assert failed.error == ''
    assert failed.service_check[0] == WARNING
    assert failed.value(SUM) == 6
    assert failed.value('metta.fake.other.value') == 1
    assert failed.errors() == {('numbers', 'http_5xx'): 1, ('doubled', 'dependency'): 1}
    assert 'block numbers: GET /numbers at' in failed.warnings[0]
    service.pass_time(1799)
    assert fake.run().value(SUM) == 6
    service.pass_time(2)
    late = fake.run()
    assert late.value(SUM) is None
    assert late.value('metta.fake.other.value') == 1
    # The age outlives the figures, so that a monitor can tell a block that stopped from one that was never there.
    assert late.value('metta.collector.data_age_seconds', 'block:numbers') > 2700


ALIKE = [('Even', 'even'), ('an even', 'an_even'), ('e' * 200 + 'x', 'e' * 200 + 'y')]


@pytest.mark.parametrize('names', ALIKE)
def test_names_that_datadog_takes_for_one_are_added_up(service, names):
    service.by_parity = dict(zip(('odd', *names), (5, 1, 2), strict=True))
    run = driver(service).run()
    by_parity = [point for point in run.points if point.name == 'metta.fake.numbers.by_parity']
    assert sorted(point.value for point in by_parity) == [3, 5]
    assert run.errors() == {}


@pytest.mark.parametrize('names', ALIKE)
def test_what_cannot_be_added_up_has_no_figure(service, names):
    service.largest = dict(zip(('odd', *names), (3, 1, 2), strict=True))
    run = driver(service).run()
    largest = {point.tags: point.value for point in run.points if point.name == 'metta.fake.numbers.largest'}
    assert list(largest.values()) == [3]
    assert run.errors() == {('numbers', 'ambiguous'): 1}
    assert 'several values under the same tags' in run.warnings[0]
    assert run.value(SUM) == 6


def test_cold_failure_invents_nothing_but_its_age_counts(service):
    service.faults.add('status', status=500, path='/numbers')
    run = driver(service).run()
    assert not any(name.startswith('metta.fake.numbers') for name in run.names)
    assert run.value('metta.collector.data_age_seconds', 'block:numbers') == 0
    service.pass_time(2700)
    # Another process goes on counting.
    assert driver(service).run().value('metta.collector.data_age_seconds', 'block:numbers') == 2700
    service.faults.clear()
    service.pass_time(900)
    assert driver(service).run().value('metta.collector.data_age_seconds', 'block:numbers') == 0


def test_all_blocks_failed_raises_in_every_run_until_it_works_again(service):
    fake = driver(service)
    fake.run()
    service.faults.add('status', status=503)
    service.pass_time(900)
    failed = fake.run()
    assert failed.error.startswith('fake')
    assert failed.service_check[0] == CRITICAL
    assert failed.value('metta.collector.up') == 0
    assert failed.value(SUM) == 6
    service.pass_time(30)
    again = fake.run()
    assert again.error == failed.error
    assert again.requests is None
    service.faults.clear()
    service.pass_time(31)
    well = fake.run()
    assert (well.error, well.service_check[0], well.value('metta.collector.up')) == ('', OK, 1)


def test_refused_credentials_stop_the_refresh_and_hide_the_token(service):
    run = driver(service, token='wrong-secret').run()
    assert len(service.log) == 1
    assert run.service_check[0] == CRITICAL
    assert 'HTTP 401' in run.error
    assert 'check option `token`' in run.error
    assert 'wrong-secret' not in str(run)


def test_rate_limit_is_waited_for_without_a_request(service):
    service.faults.add('status', status=429, headers={'Retry-After': '90'}, times=1)
    fake = driver(service)
    first = fake.run()
    assert len(service.log) == 1
    assert (first.error, first.service_check[0]) == ('', WARNING)
    service.pass_time(60)
    fake.run()
    assert len(service.log) == 1
    service.pass_time(31)
    assert fake.run().value(SUM) == 6
    assert len(service.log) == 4


@pytest.mark.parametrize(
    ('fault', 'reason', 'words'),
    [
        ({'kind': 'truncate'}, 'cut_off', 'broke off in the middle'),
        ({'kind': 'not_json'}, 'bad_payload', 'not JSON (text/html'),
        ({'kind': 'reset'}, 'unreachable', 'no connection'),
        ({'kind': 'silent'}, 'timeout', 'gave no answer within'),
        ({'kind': 'status', 'status': 403}, 'permission', 'permission denied'),
        ({'kind': 'status', 'status': 404}, 'not_found', 'not found'),
        ({'kind': 'status', 'status': 302}, 'bad_payload', 'redirect'),
        ({'kind': 'status', 'status': 422}, 'rejected', 'HTTP 422'),
    ],
)
def test_every_failure_has_a_reason_and_one_line(service, fault, reason, words):
    driver(service).run()
    service.pass_time(900)
    service.faults.add(path='/other', **fault)
    # Short for the silent server; the others may miss it on a busy machine, which changes nothing here.
    run = driver(service, timeout=0.5).run()
    assert [key for key in run.errors() if key[0] == 'other'] == [('other', reason)]
    [warning] = [line for line in run.warnings if 'other' in line]
    assert words in warning
    assert '\n' not in warning
    assert run.value(SUM) == 6


def test_a_brief_outage_is_repeated_at_once(service):
    service.faults.add('status', status=502, path='/numbers', times=1)
    run = driver(service).run()
    assert run.value(SUM) == 6
    assert run.requests == 4


def test_unreachable_host_is_critical():
    fake = FakeDriver({'source': 'fake', 'url': 'http://127.0.0.1:1', 'token': 'right-token'}, Clock())
    run = fake.run()
    assert run.status == CRITICAL
    assert 'no connection (' in run.error
    assert run.errors()['numbers', 'unreachable'] == 1


def test_restart_goes_on_where_it_was_even_with_a_new_token(service):
    driver(service, tags=['a:b']).run()
    service.pass_time(60)
    restarted = driver(service, tags=['a:b'], refresh_timeout=500)
    run = restarted.run()
    assert len(service.log) == 3
    assert run.value(SUM) == 6


def test_what_goes_out_once_is_remembered_first(service, monkeypatch):
    fake = driver(service)
    fake.run()
    service.numbers = (1, 2, 3, 4)
    service.pass_time(900)

    def die(*_, **__):
        raise SystemExit('killed while submitting')

    # An Agent that dies between remembering and sending: nothing is sent twice when it is back.
    monkeypatch.setattr(fake.check, 'count', die)
    with pytest.raises(SystemExit):
        fake.check.check({})
    service.pass_time(900)
    run = driver(service).run()
    assert run.value(SUM) == 10
    assert run.value('metta.fake.numbers.seen') == 0


@pytest.mark.parametrize(
    'damage', [lambda text: text[:40], lambda text: '[]', lambda text: text.replace('"version":3', '"version":2')]
)
def test_unreadable_state_is_one_cold_refresh(service, damage):
    driver(service).run()
    for path in AGENT.folder.iterdir():
        path.write_text(damage(path.read_text('utf-8')), 'utf-8')
    run = driver(service).run()
    assert run.error == ''
    assert run.value(SUM) == 6
    assert len(service.log) == 6


def test_out_of_time_keeps_what_is_complete(service):
    service.faults.add('slow', seconds=61, path='/numbers')
    fake = driver(service, refresh_timeout=60)
    run = fake.run()
    assert run.errors()['numbers', 'timeout'] == 1
    assert run.errors()['other', 'budget'] == 1
    assert run.value('metta.collector.truncated', 'block:other') == 1


def test_a_defect_in_one_block_is_counted_and_leaves_the_others(service):
    service.numbers = ('one',)
    run = driver(service).run()
    assert run.errors()['numbers', 'internal'] == 1
    assert run.value('metta.fake.other.value') == 1


def test_bad_configuration_is_one_line(service):
    run = driver(service, refresh_interval='often').run()
    assert run.error.startswith('fake')
    assert 'option `refresh_interval`' in run.error
    assert '\n' not in run.error
    assert run.service_check[0] == CRITICAL


def test_diagnosis_for_the_agent(service):
    tags, good, clock = driver(service).check.diagnosis.run_explicit()
    assert ('tags' in tags.name, 'credentials' in good.name, 'clock' in clock.name) == (True, True, True)
    assert (tags.result, good.result) == (Diagnosis.DIAGNOSIS_WARNING, Diagnosis.DIAGNOSIS_SUCCESS)
    assert 'env:production' in tags.remediation
    _, bad, _ = driver(service, token='wrong-secret').check.diagnosis.run_explicit()
    assert bad.result == Diagnosis.DIAGNOSIS_FAIL
    assert 'HTTP 401' in bad.diagnosis
    assert 'wrong-secret' not in str(bad)


@pytest.mark.parametrize(
    ('instance', 'shared', 'seconds'),
    [
        ({}, {}, 30),
        ({'timeout': 5}, {'timeout': 7}, 5),
        ({'timeout': 5, 'read_timeout': 2}, {}, 2),
        ({}, {'timeout': 7}, 7),
    ],
)
def test_a_default_of_the_source_gives_way_to_every_option(service, instance, shared, seconds):
    check = FakeCheck('metta_checks', shared, [{**service.instance(), **instance}])
    assert check.read_timeout(30) == seconds
    # Where an option is set, it is what the toolkit's own wrapper makes of it.
    assert seconds == 30 or check.http.options['timeout'][1] == seconds


def test_refresh_failed_is_what_the_check_raises(service):
    service.faults.add('status', status=500)
    fake = driver(service)
    fake.check.run_check_initializations()
    with pytest.raises(RefreshFailed):
        fake.check.check({})


def test_a_block_that_is_tried_again_out_of_turn_does_not_hide_what_is_wrong_with_others(service):
    fake = driver(service)
    service.faults.add('status', status=404, path='/slow')
    service.faults.add('status', status=503, path='/other', times=2)
    first = fake.run()
    assert first.service_check[0] == WARNING
    service.pass_time(61)
    again = fake.run()
    assert again.value('metta.fake.other.value') == 3
    assert again.service_check[0] == WARNING
    assert any('block slow' in line for line in again.warnings)
    assert not any('block other' in line for line in again.warnings)


def test_a_few_blocks_that_fail_again_are_no_outage(service):
    fake = driver(service)
    service.faults.add('status', status=503, path='/other')
    fake.run()
    service.pass_time(61)
    again = fake.run()
    assert (again.error, again.service_check[0]) == ('', WARNING)


def test_a_slow_block_that_failed_does_not_wait_for_its_whole_interval(service):
    fake = driver(service)
    fake.run()
    service.pass_time(3600)
    service.faults.add('status', status=404, path='/slow', times=1)
    fake.run()
    service.pass_time(900)
    assert fake.run().value('metta.collector.data_age_seconds', 'block:slow') == 0


def test_no_thread_goes_on_before_another_one_has_initialized(service):
    initialized: list[bool] = []

    def initialize() -> None:
        check.run_check_initializations()
        initialized.append(hasattr(check, 'service'))

    other = threading.Thread(target=initialize)

    class SlowCheck(FakeCheck):
        def connect(self) -> None:
            other.start()
            # Time enough for the other thread to go on, if nothing holds it back.
            other.join(0.5)
            super().connect()

    SlowCheck.__module__ = FakeCheck.__module__
    check = SlowCheck('metta_checks', {}, [service.instance()])
    initialize()
    other.join()
    assert initialized == [True, True]
