"""A page of 50 pods as a real kube-apiserver 1.20.2 wrote it (the pods are those of test_kube_apiserver.py)."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from kubernetes.utils.quantity import parse_quantity as official

from metta_checks.core.http import Response
from metta_checks.kubernetes import payloads
from metta_checks.kubernetes.payloads import POD_LIST, decode_list
from metta_checks.kubernetes.records import Pod

from .build import Problems

pytestmark = pytest.mark.unit

PAGE = gzip.decompress((Path(__file__).parent / 'golden' / 'pods.json.gz').read_bytes())


def records():
    response = Response(200, {'Content-Type': 'application/json'}, PAGE, 'https://host/api/v1/pods', 'GET /api/v1/pods')
    token, items = decode_list(POD_LIST, response)
    problems = Problems()
    pods = [Pod.parse(item, problems) for item in items]
    assert problems == []
    return token, pods


@pytest.fixture(params=[10_000, 64 * 1024, 10**9], ids=['small pieces', 'pieces', 'whole'])
def parsed(request, monkeypatch):
    monkeypatch.setattr(payloads, 'PIECE_BYTES', request.param)
    return records()


def test_the_page_as_a_whole(parsed):
    token, pods = parsed
    assert token.startswith('eyJ2IjoibWV0YS5rOHMuaW8vdjEi')
    assert len({pod.uid for pod in pods}) == len(pods) == 50
    phases = [pod.phase for pod in pods]
    assert (phases.count('Running'), phases.count('Pending'), phases.count('Failed')) == (46, 2, 2)
    assert all(pod.node and pod.created and pod.started for pod in pods)
    assert {pod.owner.kind for pod in pods} <= {'ReplicaSet', 'Deployment'}


def test_requests_are_those_of_plain_decimal_sums(parsed):
    """Compare every effective request with sums over the plain JSON, by the official client's quantities."""
    _, pods = parsed
    raw = {item['metadata']['uid']: item['spec'] for item in json.loads(PAGE)['items']}
    for pod in pods:
        spec = raw[pod.uid]
        for resource in ('cpu', 'memory'):
            running, *init = (
                [official(c['resources'].get('requests', {}).get(resource, 0)) for c in spec.get(kind, ())]
                for kind in ('containers', 'initContainers')
            )
            expected = max([sum(running, Decimal(0)), *init[0]])
            assert pod.requested.get(resource, 0) == pytest.approx(float(expected), rel=1e-12), (pod.name, resource)


def test_the_server_keeps_most_notations():
    """Exponents, decimal suffixes and plain bytes stay; fractions become milli (the server sends `500m` for `0.5`)."""
    text = PAGE.decode()
    for notation in ('128974848', '1500M', '1e9', '12e6', '2k', '1Ti', '2e0', '500m', '64Mi'):
        assert f'"{notation}"' in text
    assert '"0.5"' not in text


def test_states(parsed):
    _, pods = parsed
    for pod in pods:
        number = int(pod.name.removeprefix('pod-'))
        statuses = {status.container: status for status in pod.statuses}
        waiting = {status.waiting for status in pod.statuses}
        assert ('ErrImagePull' in waiting) == (number % 50 == 8)
        assert ('CrashLoopBackOff' in waiting) == (number % 50 == 7)
        assert (statuses['main'].restarts if 'main' in statuses else 0) == number % 13
        killed = any(end.reason == 'OOMKilled' for status in pod.statuses for end in status.terminations)
        assert killed == (number % 50 in (9, 11))
