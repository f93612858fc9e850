"""The sandbox without sockets: requests go to the service as function calls, so that thousands of runs take minutes.

Only the transport below `self.http` (and below the AWS SDK) is exchanged; everything above it is the real one.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
import urllib3
from botocore.awsrequest import AWSResponse
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from metta_checks.core import transport
from sandbox import Service

OPERATION = re.compile(rb'query (\w+)')
ACTION = re.compile(rb'(?:^|&)Action=(\w+)')
ID = re.compile(r'(?<=/repos/)[^/]+/[^/]+|[0-9a-f-]{8,}|\b\d+')
# A run that asks for more than this would never end.
MAX_REQUESTS = 3_000
MAX_REMEMBERED = 4_000


class Endless(Exception):
    """A run that goes on asking."""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass
class Transport:
    """Answers requests out of a service, through `change(name, reply)`; remembers what the service said.

    The service's data must stand still meanwhile.
    """

    service: Service
    change: Callable[[str, Reply], Reply] = lambda _, reply: reply
    asked: int = 0
    _known: dict[tuple[str, str, bytes], Reply] = field(default_factory=dict)
    # Names of SkyPilot's operations by request id.
    _operations: dict[str, str] = field(default_factory=dict)

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Return the answer to one request. Raises Endless after too many."""
        self.asked += 1
        if self.asked > MAX_REQUESTS:
            raise Endless(f'more than {MAX_REQUESTS} requests in one run')
        key = (method, url, body)
        if key not in self._known:
            if len(self._known) > MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = self._ask(method, url, headers, body)
        reply = self._known[key]
        name = self._name(method, url, headers, body)
        if request_id := reply.headers.get('X-Skypilot-Request-ID'):
            self._operations[request_id] = urlsplit(url).path
        return self.change(name, reply)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        parts = urlsplit(url)
        builder = EnvironBuilder(
            parts.path or '/',
            base_url=f'{parts.scheme}://{parts.netloc}/',
            query_string=parts.query,
            method=method,
            headers=[(name, value) for name, value in headers.items() if name.lower() != 'content-length'],
            data=body,
        )
        response, _ = self.service.respond(Request(builder.get_environ()))
        left_out = {'content-length'}
        content = response.get_data()
        if response.headers.get('Content-Encoding') == 'gzip':
            # Unpacked, or nothing in it could be changed.
            content = gzip.decompress(content)
            left_out.add('content-encoding')
        headers = {name: value for name, value in response.headers if name.lower() not in left_out}
        return Reply(response.status_code, headers, content)

    def _name(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
        """Return the name of a request: its path or operation, without the numbers in it."""
        parts = urlsplit(url)
        if target := headers.get('X-Amz-Target'):
            return target if isinstance(target, str) else target.decode()
        if match := OPERATION.search(body) or ACTION.search(body):
            return match[1].decode()
        if parts.path == '/api/get':
            request_id = parse_qs(parts.query).get('request_id', [''])[0]
            return f'result of {self._operations.get(request_id, "?")}'
        return f'{method} {ID.sub("*", parts.path)}'


def _raw(reply: Reply) -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(
        body=io.BytesIO(reply.content),
        headers=dict(reply.headers),
        status=reply.status,
        preload_content=False,
        decode_content=False,
    )


class Adapter(transport.Transport):
    """The transport of an origin whose connections lead to a service without sockets."""

    def __init__(self, session: requests.Session, answers: Transport) -> None:
        super().__init__(session, tls_use_host_header=False)
        self._answers = answers

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        """Return a pool for one request."""
        return _Pool(self._answers, request)

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: there is no TLS."""


class _Pool:
    """The connections of urllib3 for one request."""

    def __init__(self, answers: Transport, request: requests.PreparedRequest) -> None:
        self._answers = answers
        self._request = request

    def urlopen(self, **_: Any) -> urllib3.HTTPResponse:
        request = self._request
        assert request.method is not None
        assert request.url is not None
        body = request.body or b''
        return _raw(
            self._answers.answer(
                request.method, request.url, request.headers, body if isinstance(body, bytes) else body.encode()
            )
        )


def sender(answers: Transport) -> Callable[..., AWSResponse]:
    """Return a handler of the event `before-send` of the AWS SDK."""

    def send(request: Any, **_: Any) -> AWSResponse:
        body = request.body or b''
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        body = body if isinstance(body, bytes) else body.encode()
        reply = answers.answer(request.method, request.url, headers, body)
        # The SDK passes the headers of urllib3, of which its stubs know nothing.
        reply_headers: Any = reply.headers
        return AWSResponse(request.url, reply.status, reply_headers, _raw(reply))

    return send
