"""Every fault does what it says, over real sockets, to an ordinary client."""

from __future__ import annotations

import json
import random
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests

import sandbox
from chaos.faults import KINDS, Answer, Patience
from chaos.proxy import Plan, Proxy
from chaos.scenes import SCENES
from sandbox import Running

PATIENCE = Patience(timeout=0.4, budget=1.0)
# What requests makes of each fault: an exception, or (status, what is the matter with the body).
BROKEN = requests.exceptions.RequestException
EXPECTED = {
    'delay': (200, 'right'),
    'pieces': (200, 'right'),
    'twice': (200, 'right'),
    'cut': BROKEN,
    # A client of HTTP takes the end of the connection for the end of the head, and the body for empty.
    'cut_head': (BROKEN, (200, 'not JSON')),
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
}
ENDLESS = {'drip', 'drip_chunks', 'drip_head'}


@pytest.fixture(scope='module')
def served():
    with Running(sandbox.service('kubernetes', scale=0.02)) as service:
        plan = Plan('seed', PATIENCE)
        with Proxy(urlsplit(service.url).port, plan) as proxy:
            yield service, plan, proxy


def ask(served, kind, timeout=PATIENCE.timeout):
    service, plan, proxy = served
    plan.rate, plan.only = (1.0, (kind,)) if kind else (0.0, ())
    headers = {'Authorization': f'Bearer {service.instance()["token"]}'}
    url = f'{proxy.url}/api/v1/nodes?limit=500'
    return requests.get(url, headers=headers, timeout=timeout, allow_redirects=False)


def outcome(served, kind):
    right = ask(served, None).json()
    try:
        answer = ask(served, kind)
    except BROKEN:
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
    found = outcome(served, kind)
    assert found == expected or (kind == 'cut_head' and found in expected)


@pytest.mark.parametrize('kind', sorted(ENDLESS))
def test_an_endless_answer_keeps_a_client_that_only_limits_single_reads(served, kind):
    started = time.monotonic()
    with pytest.raises((BROKEN, ValueError)):
        ask(served, kind).json()
    assert time.monotonic() - started > 3 * PATIENCE.budget


def test_a_reset_is_a_reset_and_not_a_close(served):
    _, plan, proxy = served
    plan.rate, plan.only = 1.0, ('reset',)
    with socket.create_connection(('127.0.0.1', proxy.port), timeout=2) as client:
        client.sendall(b'GET /version HTTP/1.1\r\nHost: x\r\n\r\n')
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_an_outage_refuses_connections_and_ends(served):
    _, _, proxy = served
    for _ in range(3):
        proxy.refuse(on=True)
        with pytest.raises(requests.exceptions.ConnectionError, match='refused'):
            ask(served, None)
        proxy.refuse(on=False)
        assert ask(served, None).status_code == 200


def test_the_same_seed_strikes_the_same_requests():
    def fates(seed):
        plan = Plan(seed, PATIENCE, rate=0.5)
        return [plan.draw()[0] for _ in range(50)]

    assert fates('a') == fates('a') != fates('b')
    assert 10 < sum(fate != 'none' for fate in fates('a')) < 40


def test_requests_are_seen_before_they_are_forwarded(served):
    _, _, proxy = served
    seen = []
    proxy.count_afresh()
    proxy.watch = seen.append
    try:
        ask(served, None)
        ask(served, None)
    finally:
        proxy.watch = lambda _: None
    assert seen == [1, 2]


@pytest.mark.parametrize('source', [name for name, scene in SCENES.items() if scene.reorder])
def test_reordering_changes_nothing_but_the_order(source):
    [(shuffle, _)] = SCENES[source].reorder.values()
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
