"""The program that waits for the sources after a deployment, against a Datadog on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from metta_checks.check import SOURCES
from metta_checks.testing import Driver

from .documents import DEPLOY, script

VALUES = ['--values', str(DEPLOY / 'helm' / 'values-staging.yaml')]
STAGING = ['ec2', 'kubernetes', 'skypilot']


def verify():
    return script('verify.py')


class Datadog:
    """The query endpoint: `series` maps a source to its points, (seconds from now, value)."""

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[float, float | None]]] = {source: [(1, 1.0)] for source in STAGING}
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[Request] = []
        self.url = ''
        # A number of requests, and a function that is called before the next one.
        self.turn: tuple[int, Callable[[], object]] | None = None

    def answer(self, request: Request) -> Response:
        if self.turn is not None and len(self.asked) == self.turn[0]:
            self.turn[1]()
        self.asked.append(request)
        now = time.time()
        series = [
            {
                'tag_set': ['env:staging', f'source:{source}'],
                'pointlist': [[(now + ago) * 1000, value] for ago, value in points],
            }
            for source, points in self.series.items()
        ]
        body = json.dumps({'status': 'ok', 'series': series})
        return Response(body, self.status, self.headers, content_type='application/json')


@pytest.fixture
def datadog(monkeypatch) -> Iterator[Datadog]:
    service = Datadog()
    server = make_server('127.0.0.1', 0, Request.application(service.answer), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service.url = f'http://127.0.0.1:{server.port}'
    monkeypatch.setenv('DD_API_KEY', 'an-api-key')
    monkeypatch.setenv('DD_APP_KEY', 'an-app-key')
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


def run(datadog, *arguments: str) -> int:
    return verify().main(
        ['--env', 'staging', *VALUES, '--url', datadog.url, '--wait', '0', '--pause', '0.01', *arguments]
    )


def test_all_sources_are_up(datadog, capsys):
    assert run(datadog) == 0
    assert capsys.readouterr().out == 'ec2: up\nkubernetes: up\nskypilot: up\n'
    [request] = datadog.asked
    assert request.headers['DD-API-KEY'] == 'an-api-key'
    assert request.headers['DD-APPLICATION-KEY'] == 'an-app-key'
    question = parse_qs(urlsplit(request.url).query)
    assert question['query'] == ['min:metta.collector.up{env:staging} by {source}']


@pytest.mark.parametrize(
    ('points', 'said'),
    [
        ([(1, 0.0)], 'down'),
        # From before the deployment: no word about what was deployed.
        ([(-600, 1.0)], 'silent'),
        ([(1, None)], 'silent'),
        ([(1, 1.0), (2, 0.0)], 'down'),
    ],
)
def test_one_that_is_not(datadog, capsys, points, said):
    datadog.series['ec2'] = points
    assert run(datadog) == 1
    assert f'ec2: {said}\n' in capsys.readouterr().out


def test_it_waits_as_long_as_it_takes(datadog):
    datadog.series['ec2'] = [(1, 0.0)]
    datadog.turn = 3, lambda: datadog.series.update(ec2=[(1, 1.0)])
    assert run(datadog, '--wait', '600') == 0
    assert len(datadog.asked) == 4


def test_passing_trouble_is_waited_for(datadog):
    datadog.status = 503
    datadog.turn = 3, lambda: setattr(datadog, 'status', 200)
    assert run(datadog, '--wait', '600') == 0
    assert len(datadog.asked) == 4


@pytest.mark.parametrize('status', [401, 403])
def test_a_refusal_is_told_without_the_keys(datadog, capsys, status):
    datadog.status = status
    assert run(datadog, '--wait', '600') == 2
    said = capsys.readouterr().err
    assert f'HTTP {status}; check DD_SITE, DD_API_KEY and DD_APP_KEY' in said
    assert 'an-a' not in said
    assert len(datadog.asked) == 1


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
def test_the_keys_do_not_follow_a_redirect(datadog, capsys, status):
    datadog.status = status
    datadog.headers = {'Location': f'{datadog.url}/elsewhere'}
    assert run(datadog, '--wait', '600') == 2
    said = capsys.readouterr().err
    assert said == f'{datadog.url} answered HTTP {status}, a redirect, and the keys go nowhere else; check DD_SITE\n'
    assert [request.path for request in datadog.asked] == ['/api/v1/query']


@pytest.mark.parametrize('url', ['http://datadog.example', 'file:///etc/hostname', 'ftp://127.0.0.1', 'nonsense'])
def test_the_keys_are_sent_encrypted_only(datadog, capsys, url):
    assert run(datadog, '--url', url) == 2
    assert capsys.readouterr().err == f'{url}: the keys are sent to an https address only\n'


def test_without_keys_nothing_is_asked(datadog, capsys, monkeypatch):
    monkeypatch.delenv('DD_APP_KEY')
    assert run(datadog) == 2
    assert capsys.readouterr().err == 'set DD_API_KEY and DD_APP_KEY\n'
    assert datadog.asked == []


def test_the_sources_are_those_of_the_overlay():
    assert verify().sources([DEPLOY / 'helm' / 'values-production.yaml']) == set(SOURCES)
    assert verify().sources([DEPLOY / 'helm' / 'values-staging.yaml']) == set(STAGING)


def test_the_metric_is_one_that_every_source_sends(serve):
    run = Driver.of(serve('kubernetes', pods=5)).run()
    assert run.value(verify().METRIC, 'source:kubernetes') == 1
