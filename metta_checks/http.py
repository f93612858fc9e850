"""The one adapter around the Agent's HTTP wrapper `self.http`.

It keeps one connection, spends the refresh's budget, repeats a request once when the service is briefly away, respects
rate limits without ever sleeping, and turns every failure into a typed error with one clear line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

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
    one_line,
)
from .refresh import Budget, RateLimits
from .watch import watch_session, watched
from .windows import clock_time, parse_http_date, seconds_between

USER_AGENT = 'metta-checks (Datadog Agent integration)'
MAX_BODY_BYTES = 64 * 2**20
CHUNK_BYTES = 64 * 2**10
# By so much a watch waits longer than the socket.
GRACE_SECONDS = 0.25
RETRIED_STATUSES = frozenset({502, 503, 504})
DEFAULT_WAIT_SECONDS = 60


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

    def _typed(self, kind: type, words: str) -> Any:
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


class Api:
    """A service's HTTP interface.

    Parameters:
        http: the check's `self.http`
        base_url: what paths are appended to
        service: the name in messages
        budget, limits: those of the instance
        headers: called before each request, gives the headers with the credentials
        read_timeout: seconds to wait for an answer; None: as long as the wrapper's own
        remedies: what to do, by reason (`auth`, `permission`, `not_found`, `unavailable`, ...), appended to messages
        observe: called with (response, resource) for every answer, to read rate-limit headers
        classify: called with (response, resource) for every answer that is not 2xx, before the general rules; returns
        the
            error to raise, or None for the general rules
        options: further options of `self.http` for every request (verify, cert, ...)
    """

    def __init__(
        self,
        http: Any,
        base_url: str,
        *,
        service: str,
        budget: Budget,
        limits: RateLimits,
        headers: Callable[[], Mapping[str, str]] = dict,
        remedies: Mapping[str, str] = MappingProxyType({}),
        observe: Callable[[Response, str], None] | None = None,
        classify: Callable[[Response, str], SourceError | None] | None = None,
        read_timeout: float | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.base_url = base_url.rstrip('/')
        self.service = service
        self.budget = budget
        self.limits = limits
        self._http = http
        self._headers = headers
        self._remedies = remedies
        self._observe = observe
        self._classify = classify
        self._read_timeout = read_timeout
        self._options = options

    def get(self, path: str, params: Mapping[str, Any] | None = None, **how: Any) -> Response:
        """GET a path (or an absolute URL of the same service). See `send` for `how`."""
        return self.send('get', path, params=params, **how)

    def post(self, path: str, body: Any, **how: Any) -> Response:
        """POST a JSON body. See `send` for `how`."""
        return self.send('post', path, json=body, **how)

    def pages(self, path: str, params: Mapping[str, Any] | None = None, **how: Any) -> Iterator[Response]:
        """GET a list page by page, following `Link: <...>; rel="next"`."""
        response = self.get(path, params, **how)
        yield response
        while following := response.links.get('next'):
            response = self.get(following, **how)
            yield response

    def send(
        self,
        method: str,
        path: str,
        *,
        resource: str = 'core',
        headers: Mapping[str, str] | None = None,
        retries: int = 1,
        retry_statuses: Collection[int] = RETRIED_STATUSES,
        read_timeout: float | None = None,
        allow_redirects: bool = False,
        accept: tuple[int, ...] = (),
        **options: Any,
    ) -> Response:
        """Send one request and read the answer.

        `resource` is the rate limit it counts against; `accept` lists statuses other than 2xx that are answers, not
        errors; `read_timeout` replaces that of all requests. Raises one of the errors of errors.py.
        """
        url = self._url(path)
        request = f'{method.upper()} {urlsplit(url).path or "/"} at {place(url)}'
        while True:
            self.limits.check(resource)
            self.budget.spend()
            error: SourceError
            try:
                response = self._exchange(method, url, request, headers, read_timeout, allow_redirects, options)
            except TimedOut:
                raise
            except Unavailable as failure:
                error = failure
            else:
                if self._observe is not None:
                    self._observe(response, resource)
                if response.status < 300 or response.status in accept:
                    return response
                error = self._error(response, resource)
                if response.status not in retry_statuses:
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

    def _exchange(
        self,
        method: str,
        url: str,
        request: str,
        headers: Mapping[str, str] | None,
        read_timeout: float | None,
        allow_redirects: bool,
        options: Mapping[str, Any],
    ) -> Response:
        connect, read = self._http.options['timeout']
        left = max(self.budget.seconds_left(), 0.1)
        timeout = (min(connect, left), min(read_timeout or self._read_timeout or read, left))
        watch_session(self._http.session)
        slow = self._failed(TimedOut, f'{request}: the answer came too slowly', 'timeout')
        # To connect, to wait for an answer and to read it may take their time each, but no more. The socket's time-out,
        # which tells a server that says nothing from one that is slow, comes first.
        with watched(min(timeout[0] + 2 * timeout[1], left) + GRACE_SECONDS, self.budget.clock) as watch:
            try:
                response = self._answer(method, url, request, headers, timeout, allow_redirects, options)
            except Unavailable as error:
                if watch.expired:
                    raise slow from error
                raise
        if watch.expired:
            raise slow
        return response

    def _answer(
        self,
        method: str,
        url: str,
        request: str,
        headers: Mapping[str, str] | None,
        timeout: tuple[float, float],
        allow_redirects: bool,
        options: Mapping[str, Any],
    ) -> Response:
        all_headers = {'User-Agent': USER_AGENT, 'Accept': 'application/json', **self._headers(), **(headers or {})}
        try:
            answer = getattr(self._http, method)(
                url,
                extra_headers=all_headers,
                persist=True,
                stream=True,
                timeout=timeout,
                allow_redirects=allow_redirects,
                **self._options,
                **options,
            )
            try:
                content = self._read(answer, request, self.budget.clock.monotonic() + timeout[1])
            finally:
                answer.close()
        except requests.exceptions.Timeout as error:
            seconds = timeout[0] if isinstance(error, requests.exceptions.ConnectTimeout) else timeout[1]
            raise self._failed(TimedOut, f'{request} gave no answer within {seconds:.0f} s', 'timeout') from error
        except requests.exceptions.SSLError as error:
            raise self._failed(
                Unavailable, f'{request}: the TLS certificate or handshake was not accepted ({_cause(error)})', 'tls'
            ) from error
        except requests.exceptions.ProxyError as error:
            raise self._failed(
                Unavailable, f'{request}: the proxy did not connect ({_cause(error)})', 'proxy'
            ) from error
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
            raise self._failed(Unavailable, f'{request}: the answer broke off in the middle', 'cut_off') from error
        except requests.exceptions.RequestException as error:
            raise self._failed(Unavailable, f'{request}: no connection ({_cause(error)})', 'unreachable') from error
        self.budget.receive(len(content), answer.headers.get('Date'))
        return Response(answer.status_code, answer.headers, content, answer.url, request)

    def _read(self, answer: Any, request: str, deadline: float) -> bytes:
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
        if self._classify is not None and (error := self._classify(response, resource)) is not None:
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
            f'nothing is sent before {clock_time(until)}',
            until=until,
        )

    def _failed(self, kind: type[SourceError], message: str, remedy: str, reason: str | None = None) -> Any:
        advice = self._remedies.get(remedy)
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
