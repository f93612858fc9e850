"""The HTTP adapter over real sockets: what it sends, follows, repeats and refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from datadog_checks.base.utils.http import RequestsWrapper
from werkzeug.wrappers import Request, Response

from metta_checks.core import http
from metta_checks.core.budget import Budget
from metta_checks.core.connections import MAX_BODY_BYTES
from metta_checks.core.errors import (
    BadPayload,
    Forbidden,
    OutOfBudget,
    RateLimited,
    Rejected,
    SourceError,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from metta_checks.core.http import Api, BearerAuth, Endpoint
from metta_checks.core.limits import RateLimits
from sandbox import Clock, Organization, Running, Service


class Echo(Service):
    """Answers what tests ask for by path."""

    name = 'echo'

    def answer(self, request: Request) -> Response:
        if request.path == '/pages':
            page = int(request.args.get('page', 1))
            links = {'Link': f'<{self.url}/pages?page={page + 1}>; rel="next"'} if page < 3 else {}
            return self.json([page], headers=links)
        if request.path == '/elsewhere':
            return self.json([], headers={'Link': '<http://evil.example/pages>; rel="next"'})
        if request.path == '/circle':
            return self.json([], headers={'Link': f'<{self.url}/circle>; rel="next"'})
        if request.path == '/large':
            return Response(b'x' * (MAX_BODY_BYTES + 1), content_type='application/json')
        if request.path == '/moved':
            return Response('', 301, {'Location': f'{self.url}/here'})
        return self.json({'headers': dict(request.headers), 'body': request.get_data(as_text=True)})


@pytest.fixture
def echo():
    with Running(Echo(Organization(), Clock())) as running:
        yield running


def api(service, instance=None, **how):
    budget = Budget(service.clock)
    budget.start(600)
    wrapper = RequestsWrapper({'timeout': 30, **(instance or {})}, {})
    limits = RateLimits(service.clock)
    return Api(wrapper, Endpoint(service.url, 'Echo', **how), budget=budget, limits=limits)


def test_sends_headers_of_the_instance_and_of_the_source(echo):
    headers = api(echo, auth=BearerAuth('x')).post('any', {'a': 1}).json_object()['headers']
    assert headers['Authorization'] == 'Bearer x'
    assert headers['User-Agent'] == http.USER_AGENT
    assert headers['Content-Type'] == 'application/json'


def test_follows_links_on_one_connection(echo):
    client = api(echo)
    assert [page.json_list() for page in client.pages('pages')] == [[1], [2], [3]]
    assert echo.connections == 1
    assert client.budget.requests == 3


def test_links_that_lead_back_are_not_followed_forever(echo):
    client = api(echo)
    with pytest.raises(BadPayload, match='Echo sent the same page twice'):
        list(client.pages('circle'))
    assert client.budget.requests == 2


def test_never_takes_credentials_to_another_host(echo):
    with pytest.raises(BadPayload, match='another host'):
        list(api(echo).pages('elsewhere'))


def test_redirects_only_on_request(echo):
    client = api(echo)
    with pytest.raises(BadPayload, match='redirect'):
        client.get('moved')
    assert client.get('moved', allow_redirects=True).status == 200


def test_size_is_capped(echo):
    with pytest.raises(BadPayload, match='more than'):
        api(echo).get('large')


def test_wrong_shape_is_a_bad_payload(echo):
    with pytest.raises(BadPayload, match='answered dict, not a list'):
        api(echo).get('any').json_list()


@pytest.mark.parametrize(
    ('status', 'error'),
    [(401, Unauthorized), (403, Forbidden), (422, Rejected), (429, RateLimited), (500, Unavailable)],
)
def test_statuses_become_typed_errors_with_the_remedy(echo, status, error):
    echo.faults.add('status', status=status)
    remedies = {'auth': 'do this', 'permission': 'do this', 'rejected': 'do this', 'unavailable': 'do this'}
    with pytest.raises(error) as caught:
        api(echo, remedies=remedies).get('any?secret=1')
    assert 'secret' not in str(caught.value)
    if status != 429:
        assert str(caught.value).endswith('; do this')


@pytest.mark.parametrize(
    ('status', 'message'),
    [
        (401, 'HTTP 401: the credentials were not accepted: fault; do this'),
        (403, 'HTTP 403: permission denied: fault; do this'),
        (404, 'HTTP 404: not found: fault; do this'),
        (422, 'HTTP 422: fault; do this'),
        (500, 'HTTP 500: fault; do this'),
    ],
)
def test_errors_show_the_reason_of_the_service(echo, status, message):
    class Reasons(http.ResponsePolicy):
        def reason(self, response):
            return response.json_object()['message']

    echo.faults.add('status', status=status)
    remedies = dict.fromkeys(('auth', 'permission', 'not_found', 'rejected', 'unavailable'), 'do this')
    with pytest.raises(SourceError) as caught:
        api(echo, policy=Reasons(), remedies=remedies).get('any')
    assert str(caught.value).endswith(f'answered {message}')


def test_bounded_repetition(echo):
    echo.faults.add('status', status=503)
    with pytest.raises(Unavailable):
        api(echo).get('any')
    assert len(echo.log) == 2
    with pytest.raises(Unavailable):
        api(echo).get('any', retries=0)
    assert len(echo.log) == 3


def test_a_wait_is_a_wait_for_its_resource_only(echo):
    echo.faults.add('status', status=429, times=1, headers={'Retry-After': '30'})
    client = api(echo)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            client.get('any', resource='search')
    assert len(echo.log) == 1
    assert caught.value.until == pytest.approx((echo.clock.now() + timedelta(seconds=30)).timestamp())
    assert client.get('any', resource='core').status == 200
    echo.clock.advance(31)
    assert client.get('any', resource='search').status == 200


def test_retry_after_may_be_a_date(echo):
    when = (echo.clock.now() + timedelta(seconds=45)).strftime('%a, %d %b %Y %H:%M:%S GMT')
    echo.faults.add('status', status=429, headers={'Retry-After': when})
    with pytest.raises(RateLimited) as caught:
        api(echo).get('any')
    assert caught.value.until == (echo.clock.now() + timedelta(seconds=45)).timestamp()


def test_a_silent_server_is_given_up(echo):
    echo.faults.add('silent')
    with pytest.raises(TimedOut, match='within 1 s'):
        api(echo, {'timeout': 1}).get('any')


def test_budget_of_requests(echo):
    client = api(echo)
    client.budget.start(30, requests=1)
    client.get('any')
    with pytest.raises(OutOfBudget, match='1 per refresh'):
        client.get('any')


def test_untrusted_certificate_is_said_so(echo):
    secure = Api(
        RequestsWrapper({'timeout': 30}, {}),
        Endpoint(echo.url.replace('http:', 'https:'), 'Echo'),
        budget=Budget(echo.clock),
        limits=RateLimits(echo.clock),
    )
    with pytest.raises(Unavailable) as caught:
        secure.get('any')
    assert caught.value.reason == 'tls'
    assert '\n' not in str(caught.value)
