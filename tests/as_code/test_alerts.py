"""The shipped monitors on the sandbox: a source that never worked alerts, a source that works does not."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from metta_checks.as_code.asset import load
from metta_checks.as_code.preview.recording import Recording
from metta_checks.as_code.preview.status import monitor_state
from metta_checks.check import SOURCES
from metta_checks.core.points import Point
from metta_checks.testing import Driver
from sandbox import Clock, Organization, Running, service

MONITORS = {
    asset.key: asset for asset in load(Path(__file__).resolve().parents[2] / 'assets') if asset.kind == 'monitor'
}
STATUSES = ('ok', 'warning', 'critical')
STEP = 300
AGE = 'metta.collector.data_age_seconds'
# Options with credentials that the service does not know.
WRONG = {
    'github': {'token': 'wrong'},
    'skypilot': {'token': 'wrong'},
    'asana': {'access_token': 'wrong'},
    'ec2': {'access_key_id': 'WRONGACCESSKEY000001'},
    'wandb': {'api_key': 'w' * 40},
    'kubernetes': {'token': 'wrong'},
}


def recorded(source: str, seconds: int, **changes) -> Recording:
    """The first minutes of an instance in production, with some options changed."""
    logging.disable(logging.CRITICAL)
    recording = Recording()
    clock = Clock(datetime(2026, 11, 26, 12, tzinfo=UTC))
    with Running(service(source, Organization(7), clock, scale=0.2)) as served:
        driver = Driver.of(served, tags=['env:production'], **changes)
        for _ in range(seconds // STEP + 1):
            run = driver.run()
            at = served.clock.now().timestamp()
            recording.add(at, run.points)
            assert run.service_check is not None
            status, message = run.service_check
            recording.add_check(
                at, 'metta.can_connect', STATUSES[status], message, (f'source:{source}', 'env:production')
            )
            served.clock.advance(STEP)
    logging.disable(logging.NOTSET)
    return recording


def state(recording: Recording, key: str, at: float | None = None):
    return monitor_state(MONITORS[key].body, recording, at=at)


@pytest.mark.integration
@pytest.mark.parametrize('source', SOURCES)
def test_a_source_with_wrong_credentials_from_the_start_alerts(source):
    recording = recorded(source, 4500, **WRONG[source])
    group = f'{source}, production'
    unreachable = state(recording, 'source_unreachable')
    assert unreachable.groups == {group: 'alert'}
    assert source in unreachable.detail
    stale = state(recording, 'collector_stale')
    assert stale.groups == {group: 'alert'}
    # Not at once: nobody is woken by a restart of the service.
    assert state(recording, 'source_unreachable', recording.start).state == 'ok'
    assert state(recording, 'collector_stale', recording.start).state == 'ok'


@pytest.mark.integration
def test_an_organization_whose_repositories_cannot_be_listed_alerts():
    """No block is even attempted, so the age is that of the refresh."""
    recording = recorded('github', 4500, token='wrong', organization='metta-ai', repositories=None)
    assert {series.by_key['block'][0] for series in recording.series(AGE)} == {'refresh'}
    assert state(recording, 'collector_stale').state == 'alert'
    assert state(recording, 'source_unreachable').state == 'alert'


@pytest.mark.integration
@pytest.mark.parametrize(
    ('source', 'options'),
    [
        ('wandb', {}),
        # Blocks that are read once a day.
        ('wandb', {'projects': None}),
        ('ec2', {'commitments': True, 'cost_explorer': True}),
        ('asana', {}),
    ],
)
def test_a_source_that_works_does_not_alert(source, options):
    recording = recorded(source, 4500, **options)
    group = f'{source}, production'
    assert state(recording, 'source_unreachable').groups == {group: 'ok'}
    assert state(recording, 'collector_stale').groups == {group: 'ok'}


def checks(*statuses: str, step: int = 60) -> Recording:
    recording = Recording()
    for index, status in enumerate(statuses):
        recording.add(index * step, [Point('metta.collector.up', 'gauge', 1, ('source:s',))])
        recording.add_check(index * step, 'metta.can_connect', status, f'it is {status}', ('env:e', 'source:s'))
    return recording


def service_check(query: str = '"metta.can_connect".over("*").by("source").last(5).count_by_status()', **thresholds):
    return {'type': 'service check', 'query': query, 'options': {'thresholds': thresholds, 'no_data_timeframe': 3}}


BAD, WARN, FINE = 'critical', 'warning', 'ok'


@pytest.mark.parametrize(
    ('statuses', 'state', 'detail'),
    [
        ((FINE, BAD, BAD, BAD), 'alert', 's: it is critical'),
        ((BAD, BAD, FINE, BAD, BAD), 'ok', 's: it is critical'),
        # Until enough statuses in a row say something else, the state stays.
        ((BAD, BAD, BAD, WARN, FINE), 'alert', 's: it is ok'),
        ((BAD, BAD, BAD, FINE, FINE), 'ok', 's: it is ok'),
        ((WARN, WARN, WARN, WARN), 'warn', 's: it is warning'),
    ],
)
def test_equal_statuses_in_a_row_are_counted(statuses, state, detail):
    found = monitor_state(service_check(ok=2, warning=4, critical=3), checks(*statuses))
    assert (found.state, found.detail) == (state, detail)


def test_filters_groups_and_silence_of_a_service_check():
    recording = checks(BAD, BAD, BAD)
    one = '"metta.can_connect".over("env:e").exclude("source:x").by("source","env").last(4).count_by_status()'
    assert monitor_state(service_check(one, critical=3), recording).groups == {'s, e': 'alert'}
    assert monitor_state(service_check(one, critical=3), recording, at=400).groups == {'s, e': 'none'}
    other = one.replace('env:e', 'env:f')
    assert monitor_state(service_check(other, critical=3), recording).detail == 'no data'
    every = one.replace('env:e', '')
    assert monitor_state(service_check(every, critical=3), recording).groups == {'s, e': 'alert'}
    broken = monitor_state(service_check('"metta.can_connect".last(4)'), recording)
    assert broken.detail.startswith('does not parse: column ')
