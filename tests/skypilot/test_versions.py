"""Older servers, and servers whose version is not known."""

from __future__ import annotations

import json

import pytest

from metta_checks.skypilot import client
from metta_checks.testing import Driver, as_truth, compare
from tests.seed_names import SKYPILOT

pytestmark = pytest.mark.integration

PREFIX = 'metta.skypilot.'


def queue_request(service):
    (entry,) = [entry for entry in service.log if entry.path.startswith('/jobs/queue')]
    return entry.path, json.loads(entry.body)


@pytest.mark.parametrize('api_version', [14, 18, 24, 31, 62])
def test_every_version_gives_the_same_seed_names(serve, api_version):
    service = serve('skypilot', activity=False, api_version=api_version)
    run = Driver.of(service).run()
    assert (run.error, run.warnings) == ('', [])
    compared = compare(run.figures(), as_truth(service.truth(service.clock.now())), SKYPILOT)
    assert compared.lines == []
    assert {name for name, _ in compared.equal} == set(SKYPILOT)
    # Old servers do not count their rows; there they have all been sent, and are counted here.
    assert run.value(f'{PREFIX}tasks.count', 'status:running') == 46
    path, body = queue_request(service)
    assert path == ('/jobs/queue' if api_version < 18 else '/jobs/queue/v2')
    assert ('is_primary_in_job_group' in body.get('fields', ())) == (api_version >= 31)
    assert ('fields' in body) == (api_version >= 18)


def test_a_field_that_the_server_does_not_know_is_done_without(serve):
    service = serve('skypilot', scale=0.3, activity=False, api_version=24)
    driver = Driver.of(service)
    driver.run()
    # The server says that it is newer than it is.
    health = service._health
    service._health = lambda known: {**health(known=known), 'api_version': '40'}
    service.pass_time(900)
    run = driver.run()
    assert run.error == ''
    assert 'Unknown field: is_primary_in_job_group; the next run asks without `fields`' in run.warnings[0]
    assert run.value(f'{PREFIX}jobs.running') == 46
    service.log.clear()
    service.clock.advance(60)
    run = driver.run()
    assert (run.warnings, run.value(f'{PREFIX}resources.gpus.total_count')) == ([], 235)
    assert 'fields' not in queue_request(service)[1]
    # Remembered, and tried again the next day.
    service.log.clear()
    service.pass_time(900)
    driver.run()
    assert 'fields' not in queue_request(service)[1]
    service._health = health
    service.log.clear()
    service.pass_time(86400)
    driver.run()
    assert 'fields' in queue_request(service)[1]


def test_a_server_that_does_not_tell_its_version_is_asked_for_nothing_new(serve):
    service = serve('skypilot', scale=0.3, activity=False, api_version=24)
    service._health = lambda known: {'status': 'healthy'}
    run = Driver.of(service).run()
    assert run.value(f'{PREFIX}jobs.running') == 46
    path, body = queue_request(service)
    assert path == '/jobs/queue/v2'
    assert set(body['fields']) == {*client.FIELDS, *client.HANDLE_FIELDS}


def test_a_current_server_still_has_the_old_call_and_it_is_not_used(serve):
    service = serve('skypilot', scale=0.3, activity=False)
    rows = service._queue({})
    # The first system got rows without a region, accelerators and a user name.
    assert {row['region'] for row in rows} == {None}
    assert not any('accelerators' in row for row in rows)
    Driver.of(service).run()
    assert '/jobs/queue' not in {entry.path for entry in service.log}


def test_a_client_that_states_an_old_version_is_turned_away_so_none_is_stated(serve):
    service = serve('skypilot', scale=0.3, activity=False)
    stating = {'X-SkyPilot-API-Version': '18', 'X-SkyPilot-Version': '0.10.3'}
    run = Driver.of(service, headers=stating).run()
    assert 'does not accept the request: Your SkyPilot client is too old.' in run.error
    assert Driver.of(service, refresh_interval=0).run().error == ''
