"""The API through the official client: raw JSON, paging, retries, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metta_checks.as_code import remote as remote_module
from metta_checks.as_code.connection import ATTEMPTS
from metta_checks.as_code.remote import Datadog, Missing, Refused, Rejected, RemoteError, Unavailable
from sandbox import Running

from .documents import dashboard, monitor, slo, timeseries
from .fake_datadog import API_KEY, APP_KEY, FakeDatadog

pytestmark = pytest.mark.integration
BODIES = {'dashboard': dashboard(), 'monitor': monitor()['definition'], 'slo': slo()}


@pytest.mark.parametrize('kind', BODIES)
def test_an_object_lives_from_creation_to_deletion(kind: str, remote: Datadog) -> None:
    created = remote.create(kind, BODIES[kind])
    (listed,) = remote.objects(kind)
    assert (listed.id, listed.title) == (created.id, created.title)
    assert listed.title == BODIES[kind]['title' if kind == 'dashboard' else 'name']
    assert listed.modified
    changed = {**BODIES[kind], 'title' if kind == 'dashboard' else 'name': 'Another'}
    assert remote.update(kind, created.id, changed).title == 'Another'
    assert remote.find(kind, created.id).title == 'Another'
    remote.delete(kind, created.id)
    assert remote.objects(kind) == []
    remote.delete(kind, created.id)
    with pytest.raises(Missing, match='404'):
        remote.get(kind, created.id)


def test_what_the_client_does_not_know_survives(remote: Datadog) -> None:
    body = dashboard(widgets=[timeseries('A', from_next_year={'deep': [1, None, True]})], also_new='x')
    stored = remote.get('dashboard', remote.create('dashboard', body).id)
    assert stored['also_new'] == 'x'
    assert stored['widgets'][0]['definition']['from_next_year'] == {'deep': [1, None, True]}


@pytest.mark.parametrize('kind', BODIES)
def test_all_pages_are_read(kind: str, remote: Datadog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(remote_module.PAGES, kind, 2)
    ids = {remote.create(kind, BODIES[kind]).id for _ in range(5)}
    assert {live.id for live in remote.objects(kind)} == ids


def test_a_server_that_ignores_pages_does_not_hold_us(
    remote: Datadog, datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(remote_module.PAGES, 'slo', 1)
    remote.create('slo', BODIES['slo'])
    body = '{"data": [{"id": "1", "name": "a"}]}'
    datadog.faults.add('status', status=200, body=body, method='GET')
    assert [live.id for live in remote.objects('slo')] == ['1']


def test_details_are_read_once_until_modified(remote: Datadog, datadog: FakeDatadog) -> None:
    identifier = remote.create('dashboard', dashboard()).id
    for _ in range(3):
        (live,) = remote.objects('dashboard')
        assert live.body is None
        remote.body(live)
    assert len(datadog.calls('GET', identifier)) == 1
    remote.update('dashboard', identifier, dashboard(title='Changed'))
    (live,) = remote.objects('dashboard')
    assert remote.body(live)['title'] == 'Changed'
    assert len(datadog.calls('GET', identifier)) == 2


# Retries.


@pytest.mark.parametrize('status', [429, 500, 503])
@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_passing_failures_are_tried_again(method: str, status: int, remote: Datadog, datadog: FakeDatadog) -> None:
    identifier = remote.create('slo', slo()).id
    datadog.faults.add('status', status=status, times=2, method=method)
    if method == 'GET':
        assert remote.get('slo', identifier)['id'] == identifier
    elif method == 'PUT':
        assert remote.update('slo', identifier, slo(name='Changed')).title == 'Changed'
    else:
        remote.delete('slo', identifier)
        assert datadog.slos == {}
    assert len(datadog.calls(method)) == 3


def test_too_many_requests_names_the_wait(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=429, times=1, headers={'X-Ratelimit-Reset': '0'})
    assert remote.objects('slo') == []


@pytest.mark.parametrize('status', [500, 502, 503, 504])
def test_a_creation_that_failed_is_not_repeated(status: int, remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=status, method='POST', times=1)
    with pytest.raises(Unavailable, match=str(status)) as caught:
        remote.create('slo', slo())
    assert caught.value.uncertain
    assert len(datadog.calls('POST')) == 1


def test_a_creation_whose_answer_was_lost_is_not_repeated(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('reset', method='POST', times=1)
    with pytest.raises(Unavailable, match='no answer') as caught:
        remote.create('dashboard', dashboard())
    assert caught.value.uncertain
    assert len(datadog.dashboards) == 1


def test_a_creation_that_came_too_fast_is_repeated(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=429, method='POST', times=1)
    remote.create('slo', slo())
    assert len(datadog.slos) == 1


def test_a_lasting_failure_is_given_up(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=503, body='<html>Sorry</html>')
    with pytest.raises(Unavailable) as caught:
        remote.objects('monitor')
    assert str(caught.value) == 'GET /api/v1/monitor: HTTP 503; try again later'
    assert len(datadog.log) == ATTEMPTS


# Errors.


def test_wrong_keys(datadog: FakeDatadog) -> None:
    with Datadog('wrong-key-1', 'wrong-key-2', url=datadog.url) as remote, pytest.raises(Refused) as caught:
        remote.objects('dashboard')
    message = str(caught.value)
    assert message == (
        'GET /api/v1/dashboard: HTTP 403: Forbidden; check that DD_API_KEY and DD_APP_KEY belong to the organization '
        'at 127.0.0.1 and that the application key has the scope dashboards_read'
    )


def test_not_allowed_to_write(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.forbidden = {'monitors_write'}
    with pytest.raises(Refused, match='the application key has the scope monitors_write'):
        remote.create('monitor', BODIES['monitor'])


def test_unauthorised(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=401, body='{"errors": ["Unauthorized"]}')
    with pytest.raises(Refused, match='401: Unauthorized; check DD_API_KEY and DD_APP_KEY, and that DD_SITE'):
        remote.objects('slo')


def test_what_was_wrong_is_said(remote: Datadog) -> None:
    with pytest.raises(Rejected) as caught:
        remote.create('dashboard', {'title': 'x', 'layout_type': 'ordered'})
    assert str(caught.value) == "POST /api/v1/dashboard: HTTP 400: 'widgets' is a required property"


def test_a_key_that_is_echoed_is_not_shown(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=400, body=f'{{"errors": ["no such key: {API_KEY} {APP_KEY}"]}}')
    with pytest.raises(Rejected) as caught:
        remote.objects('slo')
    assert API_KEY not in str(caught.value)
    assert APP_KEY not in str(caught.value)


@pytest.mark.parametrize(
    'body', ['{"error": {"errors": ["bad"]}}', '{"errors": null, "message": "bad"}', '"bad"', '{"errors": ["bad"]}']
)
def test_every_way_to_say_what_is_wrong(body: str, remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=400, body=body)
    with pytest.raises(Rejected) as caught:
        remote.objects('slo')
    assert str(caught.value) == 'GET /api/v1/slo: HTTP 400: bad'


def test_a_deletion_needs_no_answer(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=204, body='', method='DELETE')
    remote.delete('slo', 'x')


def test_a_login_page_is_no_answer(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('not_json')
    with pytest.raises(Unavailable, match='did not answer with JSON; check DD_SITE or DD_URL'):
        remote.objects('slo')


def test_json_that_is_no_list(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=200, body='{"hello": 1}')
    with pytest.raises(Unavailable, match='not a list of dashboards'):
        remote.objects('dashboard')


def test_nobody_there() -> None:
    with (
        Datadog('a', 'b', url='http://127.0.0.1:9', attempts=1) as remote,
        pytest.raises(Unavailable, match=r'no answer from http://127\.0\.0\.1:9'),
    ):
        remote.objects('slo')


@pytest.mark.parametrize(
    ('where', 'message'),
    [
        ({'site': 'datadog.com'}, "DD_SITE is 'datadog.com'"),
        ({'url': 'api.datadoghq.com'}, 'DD_URL: expected a URL such as https://'),
        ({'url': 'https://user:secret@host'}, 'DD_URL: expected a URL such as https://'),
        ({'url': 'https://[::'}, 'DD_URL: expected a URL such as https://'),
        ({'url': 'http://example.com'}, 'would send the keys unencrypted'),
    ],
)
def test_places_that_get_no_keys(where: dict[str, Any], message: str) -> None:
    with pytest.raises(RemoteError, match=message.replace('(', r'\(')):
        Datadog('a', 'b', **where)


@pytest.mark.parametrize('key', ['a\nb', ' a', 'ä'])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(RemoteError, match='DD_APP_KEY holds characters') as caught:
        Datadog('a', key)
    assert repr(key) not in str(caught.value)


def test_monitors_are_validated_without_being_made(remote: Datadog, datadog: FakeDatadog) -> None:
    assert remote.validate_monitor(BODIES['monitor']) == ''
    wrong = {**BODIES['monitor'], 'options': {'thresholds': {'critical': 1}}}
    assert 'does not match' in remote.validate_monitor(wrong)
    assert datadog.monitors == {}


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
@pytest.mark.parametrize('method', ['GET', 'POST', 'PUT', 'DELETE'])
def test_the_keys_do_not_follow_a_redirect(remote: Datadog, datadog: FakeDatadog, method: str, status: int) -> None:
    identifier = remote.create('slo', BODIES['slo']).id
    calls: dict[str, Callable[[], object]] = {
        'GET': lambda: remote.get('slo', identifier),
        'POST': lambda: remote.create('slo', BODIES['slo']),
        'PUT': lambda: remote.update('slo', identifier, BODIES['slo']),
        'DELETE': lambda: remote.delete('slo', identifier),
    }
    with Running(FakeDatadog()) as other:
        elsewhere = {'Location': f'{other.url}/api/v1/slo/{identifier}'}
        datadog.faults.add('status', status=status, headers=elsewhere, body='', method=method)
        with pytest.raises(Unavailable) as caught:
            calls[method]()
        assert (other.log, other.connections) == ([], 0)
    assert f'HTTP {status}: {datadog.url} redirects, and the keys go nowhere else' in str(caught.value)


def test_nor_one_on_the_same_host(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=307, headers={'Location': '/api/v1/monitor'}, body='', method='GET')
    with pytest.raises(Unavailable, match='redirects'):
        remote.objects('slo')
    assert datadog.calls('GET', 'monitor') == []
