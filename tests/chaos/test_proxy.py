"""Every fault does what it says, over real sockets, to an ordinary client."""

from __future__ import annotations

import json
import random
import socket
from typing import Any

import pytest
import requests

import sandbox
from chaos.faults import KINDS, Answer, Patience
from chaos.proxy import FaultSchedule, Proxy
from chaos.scenes import SCENES
from sandbox import Clock, Running

# Answers that come late come far too late, so that a client that waits for one of these gives up first on any machine.
PATIENCE = Patience(timeout=30.0, budget=75.0)
# Result of each fault in requests: an exception, or (status, damage of the body).
BROKEN = requests.exceptions.RequestException
EXPECTED: dict[str, Any] = {
    'delay': (200, 'right'),
    'pieces': (200, 'right'),
    'twice': (200, 'right'),
    'cut': BROKEN,
    # A client of HTTP takes the end of the connection for the end of the head, and the body for empty.
    'cut_head': [BROKEN, (200, 'not JSON')],
    'cut_unframed': (200, 'not JSON'),
    'hang_up': BROKEN,
    'reset': BROKEN,
    'reset_middle': BROKEN,
    'late': BROKEN,
    'silent': BROKEN,
    'long_length': BROKEN,
    'short_length': (200, 'not JSON'),
    'bad_chunks': BROKEN,
    'bad_gzip': BROKEN,
    'garbage': BROKEN,
    'bad_utf8': (200, 'not JSON'),
    'half_body': (200, 'not JSON'),
    'empty': (200, 'not JSON'),
    'html': (200, 'not JSON'),
    'wrong_type': (200, 'other JSON'),
    'hollow': (200, 'other JSON'),
    'inner_null': (200, 'other JSON'),
    'status_500': (500, 'other JSON'),
    'status_502': (502, 'not JSON'),
    'status_503': (503, 'other JSON'),
    'status_503_retry': (503, 'other JSON'),
    'status_504': (504, 'other JSON'),
    'status_429': (429, 'other JSON'),
    'status_429_retry': (429, 'other JSON'),
    'redirect': (302, 'other JSON'),
    # The library takes 103 for the answer, and leaves the answer on the connection.
    'interim': (103, 'not JSON'),
    'interim_only': (103, 'not JSON'),
    'interim_many': (103, 'not JSON'),
    'switching': (101, 'not JSON'),
    'redirect_same': (307, 'not JSON'),
    'redirect_away': (302, 'right'),
    'redirect_bad': BROKEN,
    'redirect_body': (302, 'not JSON'),
    'bomb': (200, 'not JSON'),
    'bomb_of_objects': (200, 'not JSON'),
}
# The client gives up.
LATE = {'late', 'silent', 'long_length'}
ENDLESS = {'drip', 'drip_chunks', 'drip_head'}


@pytest.fixture(scope='module')
def service():
    with Running(sandbox.service('kubernetes', scale=0.02)) as running:
        yield running


@pytest.fixture(scope='module')
def served(service):
    with Proxy(service.url, FaultSchedule('seed', PATIENCE)) as proxy:
        yield service, proxy


def ask(served, kind, timeout=PATIENCE.timeout):
    service, proxy = served
    proxy.plan.rate, proxy.plan.only = (1.0, (kind,)) if kind else (0.0, ())
    headers = {'Authorization': f'Bearer {service.instance()["token"]}'}
    url = f'{proxy.url}/api/v1/nodes?limit=500'
    return requests.get(url, headers=headers, timeout=timeout, allow_redirects=False)


def outcome(served, kind):
    right = ask(served, None).json()
    try:
        answer = ask(served, kind, 0.1 if kind in LATE else PATIENCE.timeout)
    except (BROKEN, ValueError):
        return BROKEN
    try:
        value = json.loads(answer.content)
    except ValueError:
        return answer.status_code, 'not JSON'
    return answer.status_code, 'right' if value == right else 'other JSON'


def test_every_kind_is_expected_here():
    assert EXPECTED.keys() | ENDLESS == KINDS.keys()


@pytest.mark.parametrize('kind', EXPECTED)
def test_a_fault_can_be_noticed(served, kind):
    expected = EXPECTED[kind]
    assert outcome(served, kind) in (expected if isinstance(expected, list) else [expected])


@pytest.mark.parametrize('kind', sorted(ENDLESS))
def test_an_endless_answer_keeps_a_client_that_only_limits_single_reads(service, kind):
    clock = Clock()
    with Proxy(service.url, FaultSchedule('seed', PATIENCE), clock) as proxy, pytest.raises((BROKEN, ValueError)):
        ask((service, proxy), kind).json()
    assert clock.monotonic() > 3 * PATIENCE.budget


@pytest.mark.parametrize('kind', sorted(ENDLESS))
def test_an_endless_answer_stays_within_the_time_of_a_read(kind):
    script = KINDS[kind][0](Answer(200, (), b'{}'), random.Random(1), PATIENCE)
    pauses = [pause for pause, _ in script.parts()]
    assert max(pauses) < PATIENCE.timeout
    assert sum(pauses) > 3 * PATIENCE.budget


def test_a_reset_is_a_reset_and_not_a_close(served):
    _, proxy = served
    proxy.plan.rate, proxy.plan.only = 1.0, ('reset',)
    with socket.create_connection(('127.0.0.1', proxy.port), timeout=PATIENCE.timeout) as client:
        client.sendall(b'GET /version HTTP/1.1\r\nHost: x\r\n\r\n')
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_an_outage_refuses_connections_and_ends(served):
    _, proxy = served
    for _ in range(3):
        proxy.refuse(on=True)
        with pytest.raises(requests.exceptions.ConnectionError, match='refused'):
            ask(served, None)
        proxy.refuse(on=False)
        assert ask(served, None).status_code == 200


def test_the_same_seed_strikes_the_same_requests():
    def fates(seed):
        plan = FaultSchedule(seed, PATIENCE, rate=0.5)
        return [plan.draw()[0] for _ in range(50)]

    assert fates('a') == fates('a') != fates('b')
    assert 10 < sum(fate != 'none' for fate in fates('a')) < 40


def test_requests_are_seen_before_they_are_forwarded(served):
    _, proxy = served
    seen: list[int] = []
    proxy.restart_count()
    proxy.watch = seen.append
    try:
        ask(served, None)
        ask(served, None)
    finally:
        proxy.watch = lambda _: None
    assert seen == [1, 2]


@pytest.mark.parametrize('source', [name for name, scene in SCENES.items() if 'shuffle' in scene.faults])
def test_reordering_changes_nothing_but_the_order(source):
    shuffle, _ = SCENES[source].faults['shuffle']
    rows = [{'n': number} for number in range(50)]
    key = {'skypilot': '', 'asana': 'data', 'kubernetes': 'items'}[source]
    body = json.dumps({key: rows, 'more': 1} if key else rows).encode()
    [(_, sent)] = shuffle(Answer(200, (), body), random.Random(1), PATIENCE).parts()
    value = json.loads(sent.split(b'\r\n\r\n', 1)[1])
    found = value[key] if key else value
    [(_, searched)] = shuffle(Answer(200, (), body, '/tasks/search?x'), random.Random(1), PATIENCE).parts()
    assert json.loads(searched.split(b'\r\n\r\n', 1)[1]) == json.loads(body)
    assert found != rows
    assert sorted(found, key=lambda row: row['n']) == rows
