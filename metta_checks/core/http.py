"""The one adapter around the Agent's HTTP wrapper `self.http`.

It keeps one connection, spends the refresh's budget, repeats a request once when the service is briefly away, respects
rate limits without ever sleeping, and turns every failure into a typed error with one clear line.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from .budget import Budget
from .errors import (
    BadPayload,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    SourceError,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from .limits import RateLimits
from .paging import Page, pages
from .text import one_line
from .times import parse_http_date, seconds_between, utc_time
from .watch import watch_session, watched

USER_AGENT = 'metta-checks (Datadog Agent integration)'
MAX_BODY_BYTES = 64 * 2**20
CHUNK_BYTES = 64 * 2**10
# By so much a watch waits longer than the socket.
GRACE_SECONDS = 0.25
RETRIED_STATUSES = frozenset({502, 503, 504})
DEFAULT_WAIT_SECONDS = 60
Kind = TypeVar('Kind')
Failure = TypeVar('Failure', bound=SourceError)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str
    # The request line without the query, for messages.
    request: str

    def json(self) -> Any:
        """The decoded body. Raises BadPayload."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            kind = one_line(self.headers.get('Content-Type', 'no content type'), 60)
            raise BadPayload(
                f'{self.request} answered {len(self.content)} bytes that are not JSON ({kind}, HTTP {self.status}): '
                'is there a proxy or a login page in between?'
            ) from error
        except RecursionError as error:
            raise BadPayload(f'{self.request} answered JSON that is nested too deeply') from error

    def json_object(self) -> dict[str, Any]:
        """The decoded body, which must be an object. Raises BadPayload."""
        return self._typed(dict, 'an object')

    def json_list(self) -> list[Any]:
        """The decoded body, which must be a list. Raises BadPayload."""
        return self._typed(list, 'a list')

    def _typed(self, kind: type[Kind], words: str) -> Kind:
        body = self.json()
        if not isinstance(body, kind):
            raise BadPayload(f'{self.request} answered {type(body).__name__}, not {words}')
        return body

    @property
    def links(self) -> dict[str, str]:
        """URLs of the `Link` header by relation. Raises BadPayload."""
        parsed = requests.utils.parse_header_links(self.headers.get('Link', ''))
        try:
            return {link['rel']: urljoin(self.url, link['url']) for link in parsed if 'rel' in link}
        except ValueError as error:
            raise BadPayload(f'{self.request} answered with a `Link` header that is no address') from error


class Auth(Protocol):
    """The credentials of an interface."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request. May send a request of its own, through another interface."""


class NoAuth:
    """No credentials, or those that the options of the HTTP wrapper send (`username` and `password`, for one)."""

    def headers(self) -> Mapping[str, str]:
        """Return no headers."""
        return {}


class BearerAuth:
    """A token in the header `Authorization`."""

    def __init__(self, token: str, extra: Mapping[str, str] = MappingProxyType({})) -> None:
        self._headers = {'Authorization': f'Bearer {token}', **extra}

    def headers(self) -> Mapping[str, str]:
        """Return the same header for every request."""
        return self._headers


class ResponsePolicy:
    """The meaning that a service gives to its answers beyond the general rules, which this class leaves in force."""

    def observe(self, response: Response, resource: str) -> None:
        """Read what any answer says of the rate limit it counts against."""

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the error that an answer other than 2xx stands for; None: the general rules decide."""
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An HTTP interface as its client addresses it.

    Attributes:
        url: what paths are appended to
        service: the name in messages
        auth: the credentials
        policy: the meaning of the service's answers
        remedies: what to do, by reason (`auth`, `permission`, `not_found`, `unavailable`, ...), appended to messages
        read_timeout: seconds to wait for an answer; None: as long as the wrapper's own
        options: further options of `self.http` for every request (verify, cert, ...)
    """

    url: str
    service: str
    auth: Auth = field(default_factory=NoAuth)
    policy: ResponsePolicy = field(default_factory=ResponsePolicy)
    remedies: Mapping[str, str] = field(default_factory=dict)
    read_timeout: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: in lower case
        path: below the URL of the interface, or an absolute URL of the same host
        params: the query
        body: a JSON value to send, None for none
        headers: beside those of the credentials
        resource: the rate limit it counts against
        accept: statuses other than 2xx that are answers, not errors
        retries: how often it is repeated at once when the service is briefly away
        retry_statuses: the statuses that say so
        read_timeout: replaces that of the interface
        allow_redirects: whether redirects are followed
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    resource: str = 'core'
    accept: tuple[int, ...] = ()
    retries: int = 1
    retry_statuses: Collection[int] = RETRIED_STATUSES
    read_timeout: float | None = None
    allow_redirects: bool = False


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request about to be sent: its address, its name in messages, and how long it may take."""

    request: Request
    url: str
    name: str
    connect_timeout: float
    read_timeout: float


class Api:
    """The client of an HTTP interface. It spends the budget of the instance and keeps to its rate limits."""

    def __init__(self, http: Any, endpoint: Endpoint, *, budget: Budget, limits: RateLimits) -> None:
        self.base_url = endpoint.url.rstrip('/')
        self.service = endpoint.service
        self.budget = budget
        self.limits = limits
        self._http = http
        self._endpoint = endpoint

    def get(self, path: str, params: Mapping[str, Any] | None = None, **how: Any) -> Response:
        """GET a path (or an absolute URL of the same service). `how` are further fields of `Request`."""
        return self.send(Request('get', path, params, **how))

    def post(self, path: str, body: Any, **how: Any) -> Response:
        """POST a JSON body. `how` are further fields of `Request`."""
        return self.send(Request('post', path, body=body, **how))

    def pages(self, path: str, params: Mapping[str, Any] | None = None, **how: Any) -> Iterator[Response]:
        """GET a list page by page, following `Link: <...>; rel="next"`."""

        def fetch(link: str | None) -> Page[Response]:
            response = self.get(path, params, **how) if link is None else self.get(link, **how)
            return Page((response,), cursor=response.links.get('next'))

        for page in pages(fetch, repeated=f'{self.service} sent the same page twice'):
            yield from page.rows

    def request_line(self, method: str, path: str) -> str:
        """Return the name of a request in messages: its method, path and host, without the query."""
        url = self._url(path)
        return f'{method.upper()} {urlsplit(url).path or "/"} at {place(url)}'

    def send(self, request: Request) -> Response:
        """Send one request and read the answer. Raises one of the errors of errors.py."""
        url = self._url(request.path)
        name = self.request_line(request.method, request.path)
        retries = request.retries
        while True:
            self.limits.check(request.resource)
            self.budget.spend()
            error: SourceError
            try:
                response = self._exchange(request, url, name)
            except TimedOut:
                raise
            except Unavailable as failure:
                error = failure
            else:
                self._endpoint.policy.observe(response, request.resource)
                if response.status < 300 or response.status in request.accept:
                    return response
                error = self._error(response, request.resource)
                if response.status not in request.retry_statuses:
                    raise error
            if retries <= 0 or not isinstance(error, Unavailable):
                raise error
            retries -= 1

    def _url(self, path: str) -> str:
        if '://' not in path:
            return f'{self.base_url}/{path.lstrip("/")}' if path else self.base_url
        # Links in answers are followed only to the host the credentials are for.
        if urlsplit(path)[:2] != urlsplit(self.base_url)[:2]:
            raise BadPayload(f'{self.service} sent a link to another host ({place(path)}), not followed')
        return path

    def _exchange(self, request: Request, url: str, name: str) -> Response:
        connect, read = self._http.options['timeout']
        left = max(self.budget.seconds_left(), 0.1)
        patience = request.read_timeout or self._endpoint.read_timeout or read
        exchange = _Exchange(request, url, name, min(connect, left), min(patience, left))
        watch_session(self._http.session)
        slow = self._failed(TimedOut, f'{name}: the answer came too slowly', 'timeout')
        # To connect, to wait for an answer and to read it may take their time each, but no more. The socket's timeout,
        # which tells a server that says nothing from one that is slow, comes first.
        allowed = min(exchange.connect_timeout + 2 * exchange.read_timeout, left) + GRACE_SECONDS
        with watched(allowed, self.budget.clock) as watch:
            try:
                response = self._answer(exchange)
            except Unavailable as error:
                if watch.expired:
                    raise slow from error
                raise
        if watch.expired:
            raise slow
        return response

    def _answer(self, exchange: _Exchange) -> Response:
        name = exchange.name
        try:
            answer = self._open(exchange)
            try:
                content = self._read(answer, name, self.budget.clock.monotonic() + exchange.read_timeout)
            finally:
                answer.close()
        except requests.exceptions.Timeout as error:
            connecting = isinstance(error, requests.exceptions.ConnectTimeout)
            seconds = exchange.connect_timeout if connecting else exchange.read_timeout
            raise self._failed(TimedOut, f'{name} gave no answer within {seconds:.0f} s', 'timeout') from error
        except requests.exceptions.SSLError as error:
            raise self._failed(
                Unavailable, f'{name}: the TLS certificate or handshake was not accepted ({_cause(error)})', 'tls'
            ) from error
        except requests.exceptions.ProxyError as error:
            raise self._failed(Unavailable, f'{name}: the proxy did not connect ({_cause(error)})', 'proxy') from error
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
            raise self._failed(Unavailable, f'{name}: the answer broke off in the middle', 'cut_off') from error
        except requests.exceptions.RequestException as error:
            raise self._failed(Unavailable, f'{name}: no connection ({_cause(error)})', 'unreachable') from error
        self.budget.receive(len(content), answer.headers.get('Date'))
        return Response(answer.status_code, answer.headers, content, answer.url, name)

    def _open(self, exchange: _Exchange) -> requests.Response:
        """Send the request, and return the answer as soon as its head is there."""
        request = exchange.request
        headers = {
            'User-Agent': USER_AGENT,
            'Accept': 'application/json',
            **self._endpoint.auth.headers(),
            **request.headers,
        }
        content: dict[str, Any] = {} if request.body is None else {'json': request.body}
        answer: requests.Response = getattr(self._http, request.method)(
            exchange.url,
            params=request.params,
            extra_headers=headers,
            persist=True,
            stream=True,
            timeout=(exchange.connect_timeout, exchange.read_timeout),
            allow_redirects=request.allow_redirects,
            **self._endpoint.options,
            **content,
        )
        return answer

    def _read(self, answer: requests.Response, request: str, deadline: float) -> bytes:
        parts = []
        size = 0
        for part in answer.iter_content(CHUNK_BYTES):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                # The error keeps this frame alive.
                parts.clear()
                raise BadPayload(f'{request} answered more than {MAX_BODY_BYTES // 2**20} MiB')
            if self.budget.clock.monotonic() > deadline:
                raise self._failed(TimedOut, f'{request}: the answer came too slowly', 'timeout')
        return b''.join(parts)

    def _error(self, response: Response, resource: str) -> SourceError:
        if (error := self._endpoint.policy.classify(response, resource)) is not None:
            if isinstance(error, RateLimited):
                self.limits.close(resource, error.until, str(error))
            return error
        status = response.status
        said = f'{response.request} answered HTTP {status}'
        if status == 401:
            return self._failed(Unauthorized, f'{said}: the credentials were not accepted', 'auth')
        if status == 403:
            return self._failed(Forbidden, f'{said}: permission denied', 'permission')
        if status == 404:
            return self._failed(NotFound, f'{said}: not found', 'not_found')
        if status == 429:
            now = self.budget.clock.now()
            until = now.timestamp() + (retry_after(response, now) or DEFAULT_WAIT_SECONDS)
            error = self.rate_limited(response, until)
            self.limits.close(resource, until, str(error))
            return error
        if status >= 500:
            return self._failed(Unavailable, said, 'unavailable', reason='http_5xx')
        if 300 <= status < 400:
            return self._failed(Rejected, f'{said}: a redirect, which is not followed', 'redirect')
        return self._failed(Rejected, said, 'rejected')

    def rate_limited(self, response: Response, until: float, what: str = 'the rate limit') -> RateLimited:
        """The error for an answer that asks to wait until then (seconds since the epoch)."""
        until = self.limits.bounded(until)
        return RateLimited(
            f'{self.service} says that {what} is used up (HTTP {response.status}): '
            f'nothing is sent before {utc_time(until)}',
            until=until,
        )

    def _failed(self, kind: type[Failure], message: str, remedy: str, reason: str | None = None) -> Failure:
        advice = self._endpoint.remedies.get(remedy)
        if reason is None and issubclass(kind, Unavailable):
            reason = remedy
        return kind(f'{message}; {advice}' if advice else message, reason=reason)


def retry_after(response: Response, now: datetime) -> float | None:
    """Seconds of the `Retry-After` header (a number or a date), None without a usable one."""
    value = response.headers.get('Retry-After', '').strip()
    if (seconds := whole_number(value)) is not None:
        return seconds
    moment = parse_http_date(value)
    return None if moment is None else seconds_between(now, moment)


def whole_number(value: str | None) -> float | None:
    """The number in a header that consists of ASCII digits, None for everything else."""
    # More digits than these are no time and no count.
    return float(value) if value and value.isascii() and value.isdecimal() and len(value) <= 18 else None


def place(url: str) -> str:
    """Host and port of a URL, for messages: without the user and the password that may stand before them."""
    return urlsplit(url).netloc.rpartition('@')[2]


def _cause(error: BaseException) -> str:
    """The innermost reason of a connection error, without URLs (which may hold credentials of a proxy)."""
    seen = error
    while (inner := getattr(seen, 'reason', None) or seen.__cause__ or seen.__context__) and isinstance(
        inner, BaseException
    ):
        seen = inner
    text = str(seen).split(': ')[-1].strip(' )\'"') or type(seen).__name__
    return text if '://' not in text else type(seen).__name__
