"""`--push` against an intake on loopback, through the official client."""

from __future__ import annotations

import gzip
import json
import zlib
from functools import partial

import pytest
from werkzeug.wrappers import Request, Response

from metta_checks.as_code.connection import configure
from metta_checks.cli.collecting import Collected
from metta_checks.cli.push import PushError, Sender
from metta_checks.core.points import Point
from sandbox import Clock, Organization, Running, Service


class Intake(Service):
    """Takes what Datadog takes."""

    name = 'datadog'

    def __init__(self) -> None:
        super().__init__(Organization(), Clock())
        self.received: list[tuple[str, object]] = []
        # Path -> status that it is answered with, once, after the data was taken.
        self.once: dict[str, int] = {}
        self.location = ''
        self.asked = 0
        self.has_validation = True

    def answer(self, request: Request) -> Response:
        if request.headers.get('DD-API-KEY') != 'right-key':
            return self.json({'errors': ['Forbidden']}, 403)
        if request.path == '/api/v1/validate':
            self.asked += 1
            return self.json({'valid': True}) if self.has_validation else self.json({}, 404)
        body = request.get_data()
        encoding = request.headers.get('Content-Encoding')
        if encoding == 'gzip':
            body = gzip.decompress(body)
        elif encoding == 'deflate':
            body = zlib.decompress(body)
        self.received.append((request.path, json.loads(body)))
        if request.path in self.once:
            return self.json({'errors': ['later']}, self.once.pop(request.path), {'Location': self.location})
        answer: dict[str, object] = {'errors': []} if 'series' in request.path else {'status': 'ok'}
        return self.json(answer, 202)

    def respond(self, request: Request):
        # Compressed bodies cannot be logged as text.
        return self.answer(request), None


COLLECTED = Collected(
    source='wandb',
    label='wandb (x)',
    at='2026-11-24T18:00:00+00:00',
    seconds=1,
    requests=3,
    bytes=10,
    error='',
    warnings=(),
    status='warning',
    message='one block failed',
    points=(
        Point('metta.wandb.runs.active', 'gauge', 44, ('project:metta',)),
        Point('metta.wandb.runs.finished', 'count', 2, ('state:crashed',)),
        Point('metta.wandb.training.run_duration_hours', 'histogram', 1, ('state:finished',)),
        Point('metta.wandb.training.run_duration_hours', 'histogram', 3, ('state:finished',)),
    ),
    events=(
        {
            'msg_title': 'Main is red',
            'msg_text': 'tests failed',
            'alert_type': 'error',
            'aggregation_key': 'main',
            'timestamp': 1,
            'source_type_name': 'metta_checks',
            'tags': ['repo:o/r'],
        },
    ),
)


@pytest.fixture
def intake(monkeypatch):
    with Running(Intake()) as running:
        monkeypatch.setenv('DD_API_KEY', 'right-key')
        monkeypatch.setenv('DD_URL', running.url)
        monkeypatch.setattr('metta_checks.cli.push.configure', partial(configure, backoff=0))
        yield running


def test_sends_series_service_checks_and_events(intake):
    assert Sender().push([COLLECTED]) == 7
    bodies = dict(intake.received)
    series = {row['metric']: row for row in bodies['/api/v2/series']['series']}
    assert series['metta.wandb.runs.active']['points'][0]['value'] == 44
    assert series['metta.wandb.runs.active']['tags'] == ['project:metta']
    # Types of the intake: 1 count, 3 gauge.
    assert (series['metta.wandb.runs.finished']['type'], series['metta.wandb.runs.active']['type']) == (1, 3)
    assert series['metta.wandb.training.run_duration_hours.avg']['points'][0]['value'] == 2
    assert series['metta.wandb.training.run_duration_hours.count']['points'][0]['value'] == 2
    [check] = bodies['/api/v1/check_run']
    assert (check['check'], check['status'], check['tags']) == ('metta.can_connect', 1, ['source:wandb'])
    assert bodies['/api/v1/events']['title'] == 'Main is red'


def test_a_wrong_key_is_one_line_without_the_key(intake, monkeypatch):
    monkeypatch.setenv('DD_API_KEY', 'wrong-key')
    with pytest.raises(PushError) as caught:
        Sender().push([COLLECTED])
    assert str(caught.value) == 'Datadog answered HTTP 403; check DD_API_KEY and DD_SITE'


def test_the_key_is_checked_before_anything_is_sent(intake, monkeypatch):
    Sender().check_key()
    assert (intake.asked, intake.received) == (1, [])
    # A proxy in front of the intake need not answer this question.
    intake.has_validation = False
    Sender().check_key()
    monkeypatch.setenv('DD_API_KEY', 'wrong-key')
    with pytest.raises(PushError, match='Datadog answered HTTP 403; check DD_API_KEY and DD_SITE'):
        Sender().check_key()


def test_no_key_is_said_before_anything_is_sent(intake, monkeypatch):
    monkeypatch.delenv('DD_API_KEY')
    with pytest.raises(PushError, match='set DD_API_KEY'):
        Sender().push([COLLECTED])
    assert not intake.received


def test_nobody_there_is_one_line(monkeypatch):
    monkeypatch.setenv('DD_API_KEY', 'right-key')
    monkeypatch.setenv('DD_URL', 'http://127.0.0.1:1')
    monkeypatch.setattr('metta_checks.cli.push.configure', partial(configure, backoff=0))
    with pytest.raises(PushError, match='no connection to'):
        Sender().push([COLLECTED])


@pytest.mark.parametrize('path', ['/api/v2/series', '/api/v1/check_run', '/api/v1/events'])
def test_what_may_have_been_taken_is_not_sent_again(intake, path):
    intake.once[path] = 503
    with pytest.raises(PushError, match='Datadog answered HTTP 503'):
        Sender().push([COLLECTED])
    assert [known for known, _ in intake.received].count(path) == 1


def test_what_came_too_fast_is_sent_again(intake):
    intake.once['/api/v2/series'] = 429
    assert Sender().push([COLLECTED]) == 7
    assert [path for path, _ in intake.received].count('/api/v2/series') == 2


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
@pytest.mark.parametrize('path', ['/api/v2/series', '/api/v1/check_run', '/api/v1/events'])
def test_the_key_does_not_follow_a_redirect(intake, path, status):
    other = Intake()
    with Running(other):
        intake.once[path], intake.location = status, f'{other.url}{path}'
        with pytest.raises(PushError) as caught:
            Sender().push([COLLECTED])
        assert (other.received, other.connections) == ([], 0)
    assert str(caught.value) == (
        f'Datadog answered HTTP {status}: {intake.url} redirects, and the key goes nowhere else; '
        'check DD_SITE or DD_URL'
    )


@pytest.mark.parametrize(
    ('variable', 'value', 'line'),
    [
        ('DD_SITE', 'nowhere', "DD_SITE is 'nowhere', which is not a Datadog site; use for example datadoghq.com"),
        ('DD_URL', 'http://intake.example', 'DD_URL: http://intake.example would send the keys unencrypted; use https'),
        (
            'DD_API_KEY',
            'one\ntwo',
            'DD_API_KEY holds characters that are not part of a key; check for line breaks and spaces',
        ),
    ],
)
def test_a_setting_that_cannot_be_right_is_one_line(intake, monkeypatch, variable, value, line):
    if variable == 'DD_SITE':
        monkeypatch.delenv('DD_URL')
    monkeypatch.setenv(variable, value)
    with pytest.raises(PushError) as caught:
        Sender().push([COLLECTED])
    assert str(caught.value).startswith(line)
    assert not intake.received
