"""The one adapter around the Agent's HTTP wrapper `self.http`.

It keeps one connection, spends the budget of the refresh, repeats a request once when the service is briefly away,
keeps to rate limits without sleeping, and turns every failure into a typed error with one clear line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from http.client import HTTPException
from http.client import responses as http_phrases
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from . import bounded_json, deadline, transport
from .address import NotAnAddress, configured, place
from .body import ACCEPTED_ENCODINGS
from .budget import Budget
from .connections import RefusedAnswer
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
from .fields import items, mapping, text
from .limits import RateLimits
from .paging import Page, pages
from .text import one_line
from .times import parse_http_date, seconds_between, utc_time

USER_AGENT = 'metta-checks (Datadog Agent integration)'
# The deadline of an exchange comes this much after the socket timeout, so that a silent server is reported as silent,
# not as slow.
GRACE_SECONDS = 0.25
# Redirects that a request follows, one after the other. GitHub sends one for a renamed repository.
MAX_REDIRECTS = 5
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
RETRIED_STATUSES = frozenset({502, 503, 504})
DEFAULT_WAIT_SECONDS = 60
# Fields of JSON in which services give the reason of a refusal, the most telling ones first.
REASON_FIELDS = ('message', 'error_description', 'detail', 'error')
MAX_REASON = 300
BAD_PROXY = (
    requests.exceptions.ProxyError,
    # The URL of the request itself was read before.
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.ProxySchemeUnknown,
)
# Errors of the libraries for an exchange that breaks the rules of HTTP.
INVALID = (
    requests.exceptions.InvalidHeader,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.HTTPError,
    HTTPException,
    ValueError,
)
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
    # Values that its JSON may have.
    max_values: int = bounded_json.MAX_VALUES

    def json(self) -> Any:
        """Return the decoded body. Raises BadPayload."""
        try:
            return bounded_json.loads(self.content, self.max_values)
        except bounded_json.TooComplex as error:
            raise BadPayload(f'{self.request} answered JSON {error}') from error
        except ValueError as error:
            kind = one_line(self.headers.get('Content-Type', 'no content type'), 60)
            raise BadPayload(
                f'{self.request} answered {len(self.content)} bytes that are not JSON ({kind}, HTTP {self.status}): '
                'is there a proxy or a login page in between?'
            ) from error
        except RecursionError as error:
            raise BadPayload(f'{self.request} answered JSON that is nested too deeply') from error

    def json_object(self) -> dict[str, Any]:
        """Return the decoded body, which must be an object. Raises BadPayload."""
        return self._typed(dict, 'an object')

    def json_list(self) -> list[Any]:
        """Return the decoded body, which must be a list. Raises BadPayload."""
        return self._typed(list, 'a list')

    def _typed(self, kind: type[Kind], words: str) -> Kind:
        body = self.json()
        if not isinstance(body, kind):
            raise BadPayload(f'{self.request} answered {type(body).__name__}, not {words}')
        return body

    @property
    def links(self) -> dict[str, str]:
        """Return the URLs of the `Link` header by relation. Raises BadPayload."""
        parsed = requests.utils.parse_header_links(self.headers.get('Link', ''))
        try:
            return {link['rel']: urljoin(self.url, link['url']) for link in parsed if 'rel' in link}
        except ValueError as error:
            raise BadPayload(f'{self.request} answered with a `Link` header that is not a URL') from error


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
    """The meaning of the answers of a service, where it differs from the general rules. This class adds nothing."""

    def observe(self, response: Response, resource: str) -> None:
        """Note what an answer, of any status, says about its rate limit."""

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the error that an answer other than 2xx stands for; None: the general rules decide."""
        return None

    def reason(self, response: Response) -> str:
        """Return the service's own words about a refusal, for messages; empty without any."""
        return stated_reason(response)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An HTTP interface as its client addresses it.

    Attributes:
        url: base URL of all paths
        service: the name in messages
        auth: the credentials
        policy: the meaning of the service's answers
        remedies: advice by reason (`auth`, `permission`, `not_found`, `unavailable`, ...), appended to messages
        read_timeout: seconds to wait for an answer; None: the timeout of the wrapper
        options: further options of `self.http` for every request (verify, cert, ...)
        max_values: highest number of values in the JSON of an answer
    """

    url: str
    service: str
    auth: Auth = field(default_factory=NoAuth)
    policy: ResponsePolicy = field(default_factory=ResponsePolicy)
    remedies: Mapping[str, str] = field(default_factory=dict)
    read_timeout: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    max_values: int = bounded_json.MAX_VALUES


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: in lower case
        path: below the URL of the interface, or an absolute URL of the same host
        params: the query
        body: a JSON value to send, None for none
        headers: in addition to those of `auth`
        resource: the rate limit it counts against
        accept: statuses other than 2xx that are answers, not errors
        retries: number of immediate repetitions after one of `retry_statuses` or a lost connection
        retry_statuses: statuses that are retried
        read_timeout: replaces that of the interface
        allow_redirects: follow redirects to the same origin, of a GET
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
    """A request about to be sent: its address, its name in messages, its headers and its timeouts."""

    request: Request
    url: str
    name: str
    headers: Mapping[str, str]
    connect_timeout: float
    read_timeout: float


class Api:
    """The client of an HTTP interface. It spends the budget of the instance and keeps to its rate limits.

    Raises ConfigurationError for a URL that cannot be one of an HTTP interface.
    """

    def __init__(self, http: Any, endpoint: Endpoint, *, budget: Budget, limits: RateLimits) -> None:
        self._address = configured(endpoint.url, endpoint.service)
        self.base_url = self._address.url
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
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send(request)
            if not self._is_followed(request, response):
                return response
            request = replace(request, path=self._target(response), params=None)
        raise self._failed(
            BadPayload, f'{response.request}: more than {MAX_REDIRECTS} redirects, one after the other', 'redirect'
        )

    def _send(self, request: Request) -> Response:
        """Send a request, with its repetitions. Return an answer to keep: an accepted status or a redirect."""
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
                if response.status < 300 or response.status in request.accept or self._is_followed(request, response):
                    return response
                error = self._error(response, request.resource)
                if response.status not in request.retry_statuses:
                    raise error
            if retries <= 0 or not isinstance(error, Unavailable):
                raise error
            retries -= 1

    @staticmethod
    def _is_followed(request: Request, response: Response) -> bool:
        return (
            request.allow_redirects
            and request.method == 'get'
            and response.status in REDIRECT_STATUSES
            and 'Location' in response.headers
        )

    def _target(self, response: Response) -> str:
        """Return the URL that a redirect leads to. Raises BadPayload unless it has the same scheme, host and port."""
        try:
            # Headers are decoded as Latin-1, addresses are written in UTF-8.
            location = response.headers['Location'].encode('latin-1').decode()
            target = urljoin(response.url, location)
            self._address.join(target)
        except NotAnAddress as error:
            raise BadPayload(f'{response.request} was redirected to {place(target)}: {error}, not followed') from error
        except ValueError as error:
            raise BadPayload(f'{response.request} was redirected to an address that cannot be read') from error
        return target

    def _url(self, path: str) -> str:
        # Links in answers are followed only to the host that the credentials are for.
        try:
            return self._address.join(path)
        except NotAnAddress as error:
            raise BadPayload(f'{self.service} sent a link to {place(path)}: {error}, not followed') from error

    def _exchange(self, request: Request, url: str, name: str) -> Response:
        headers = self._headers(request, name)
        connect, read = self._http.options['timeout']
        clock = self.budget.clock
        left = max(self.budget.seconds_left(), 0.1)
        wanted_timeout = request.read_timeout or self._endpoint.read_timeout or read
        exchange = _Exchange(request, url, name, headers, min(connect, left), min(wanted_timeout, left))
        slow = self._failed(TimedOut, f'{name}: the answer came too slowly', 'timeout')
        # Connecting, waiting for the answer and reading it may each take their own time, but no more.
        allowed = min(exchange.connect_timeout + 2 * exchange.read_timeout, left) + GRACE_SECONDS
        connections = transport.mounted(self._http, self._address.origin).connections
        with deadline.within(allowed, clock) as limit, connections.lent(clock):
            self.budget.on_cancel(limit.expire)
            try:
                response = self._answer(exchange)
            except SourceError as error:
                if limit.expired:
                    raise slow from error
                raise
        if limit.expired:
            raise slow
        return response

    def _answer(self, exchange: _Exchange) -> Response:
        name = exchange.name
        asked_at = self.budget.clock.now()
        try:
            answer = self._open(exchange)
        except requests.exceptions.Timeout as error:
            connecting = isinstance(error, requests.exceptions.ConnectTimeout)
            seconds = exchange.connect_timeout if connecting else exchange.read_timeout
            raise self._failed(TimedOut, f'{name} gave no answer within {seconds:.3g} s', 'timeout') from error
        except transport.NotTrusted as error:
            raise self._failed(
                Unavailable, f'{name}: the TLS certificate or handshake was not accepted ({_cause(error)})', 'tls'
            ) from error
        except BAD_PROXY as error:
            raise self._failed(Unavailable, f'{name}: the proxy did not connect ({_cause(error)})', 'proxy') from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise self._failed(Unavailable, f'{name}: the answer broke off in the middle', 'cut_off') from error
        except RefusedAnswer as error:
            raise BadPayload(f'{name} answered {error}') from error
        except INVALID as error:
            raise BadPayload(f'{name}: the answer breaks the rules of HTTP ({type(error).__name__})') from error
        except requests.exceptions.RequestException as error:
            raise self._failed(Unavailable, f'{name}: no connection ({_cause(error)})', 'unreachable') from error
        content = answer.content
        self.budget.receive(len(content), answer.headers, asked_at)
        return Response(
            answer.status_code, answer.raw.headers, content, answer.url, name, max_values=self._endpoint.max_values
        )

    def _headers(self, request: Request, name: str) -> Mapping[str, str]:
        credentials = self._endpoint.auth.headers()
        if not all(map(_is_sendable, credentials.values())):
            raise self._failed(
                Unauthorized, f'{name}: the credentials have a character that HTTP does not allow', 'auth'
            )
        return {
            'User-Agent': USER_AGENT,
            'Accept': 'application/json',
            'Accept-Encoding': ACCEPTED_ENCODINGS,
            **credentials,
            **request.headers,
        }

    def _open(self, exchange: _Exchange) -> requests.Response:
        """Send the request and return the complete answer."""
        request = exchange.request
        # Credentials come from the configuration, never from ~/.netrc.
        own = {} if self._http.options.get('auth') else {'auth': transport.OwnCredentials()}
        content: dict[str, Any] = {} if request.body is None else {'json': request.body}
        answer: requests.Response = getattr(self._http, request.method)(
            exchange.url,
            params=request.params,
            extra_headers=exchange.headers,
            persist=True,
            stream=True,
            timeout=(exchange.connect_timeout, exchange.read_timeout),
            # A redirect that is followed is a request of its own.
            allow_redirects=False,
            **own,
            **self._endpoint.options,
            **content,
        )
        return answer

    def _error(self, response: Response, resource: str) -> SourceError:
        if (error := self._endpoint.policy.classify(response, resource)) is not None:
            if isinstance(error, RateLimited):
                self.limits.close(resource, error.until, str(error))
            return error
        status = response.status
        said = f'{response.request} answered HTTP {status}'
        reason = self._endpoint.policy.reason(response)
        because = f': {reason}' if reason else ''
        if status == 401:
            return self._failed(Unauthorized, f'{said}: the credentials were not accepted{because}', 'auth')
        if status == 403:
            return self._failed(Forbidden, f'{said}: permission denied{because}', 'permission')
        if status == 404:
            return self._failed(NotFound, f'{said}: not found{because}', 'not_found')
        if status == 429:
            now = self.budget.clock.now()
            until = now.timestamp() + (retry_after(response.headers, now) or DEFAULT_WAIT_SECONDS)
            error = self.rate_limited(response, until)
            self.limits.close(resource, until, str(error))
            return error
        if status >= 500:
            return self._failed(Unavailable, f'{said}{because}', 'unavailable', reason='http_5xx')
        if status in REDIRECT_STATUSES:
            # A proxy sends it, or a login page: it says nothing about the object that was asked for.
            where = _redirected_to(response)
            return self._failed(BadPayload, f'{said}: a redirect to {where}, which is not followed', 'redirect')
        return self._failed(Rejected, f'{said}{because}', 'rejected')

    def rate_limited(self, response: Response, until: float, what: str = 'the rate limit') -> RateLimited:
        """Return the error for an answer that asks to wait until `until` (seconds since the epoch)."""
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
        return kind(message, reason=reason, remedy=advice or '')


def stated_reason(response: Response) -> str:
    """Return the reason that the JSON of a refusal states in one of the usual fields.

    Empty without one, and for one that only repeats the status.
    """
    try:
        body = response.json_object()
    except BadPayload:
        return ''
    for part in (body, mapping(body.get('error')), *(items(body.get('errors')) or ())):
        for name in REASON_FIELDS:
            if reason := text((mapping(part) or {}).get(name)):
                return '' if is_phrase(reason, response.status) else one_line(reason, MAX_REASON)
    return ''


def _redirected_to(response: Response) -> str:
    """Return host and port that a redirect leads to, for messages."""
    try:
        return place(urljoin(response.url, response.headers.get('Location', '')))
    except ValueError:
        return 'an address that cannot be read'


def is_phrase(words: str, status: int) -> bool:
    """Return True if words are the standard phrase of a status, such as "Not Found"."""
    return words.strip(' .').lower() == http_phrases.get(status, '').lower()


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of the header `Retry-After` (a number or a date), None without a usable one."""
    value = headers.get('Retry-After', '').strip()
    if (seconds := whole_number(value)) is not None:
        return seconds
    moment = parse_http_date(value)
    return None if moment is None else seconds_between(now, moment)


def whole_number(value: str | None) -> float | None:
    """Return the number in a header that consists of ASCII digits, None for everything else."""
    # A number with more digits is neither a time nor a count.
    return float(value) if value and value.isascii() and value.isdecimal() and len(value) <= 18 else None


def _is_sendable(value: str) -> bool:
    """Return True for the value of a header."""
    return value.isprintable() and all(ord(character) < 256 for character in value)


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a connection error, without URLs, which may contain credentials of a proxy."""
    seen = error
    while (inner := getattr(seen, 'reason', None) or seen.__cause__ or seen.__context__) and isinstance(
        inner, BaseException
    ):
        seen = inner
    text = one_line(str(seen)).split(': ')[-1].strip(' )\'"') or type(seen).__name__
    return text if '://' not in text else type(seen).__name__
