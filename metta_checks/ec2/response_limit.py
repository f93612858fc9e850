"""Limits on the answers of AWS, as core/http.py has them for other services."""

from __future__ import annotations

from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as ReadTimedOut

from ..core import bounded_json
from ..core.address import place
from ..core.body import read_body
from ..core.budget import Budget
from ..core.clock import Clock
from ..core.connections import KeptConnections, RefusedAnswer, bounded
from ..core.errors import BadPayload

# Tags of XML, opening and closing ones. A page of 1,000 instances has 300,000.
MAX_TAGS = 1_000_000
# An answer in CBOR, where a value may be one byte. 500 series of CloudWatch, a value every five minutes for a day, take
# 3 MiB.
MAX_CBOR_BYTES = 4 * 2**20


class LimitedSession:
    """The HTTP session of a client of the SDK, which by itself reads an answer of any size."""

    def __init__(self, session: URLLib3Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._connections = KeptConnections(session.close)
        # Private: the SDK has no public access to the pools of its session.
        classes = bounded(session._pool_classes_by_scheme)  # type: ignore[attr-defined]
        session._pool_classes_by_scheme = classes  # type: ignore[attr-defined]
        session._manager.pool_classes_by_scheme = classes  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send a request and read the answer to its end. Raises BadPayload for an answer that breaks a limit."""
        # The session then leaves reading the body to the caller. None of the operations in use streams its answer.
        request.stream_output = True
        try:
            with self._connections.lent(self._clock):
                response = self._session.send(request)
                try:
                    body = read_body(response.raw)
                finally:
                    # Hangs up unless the answer was read to its end.
                    response.raw.close()
            body = _checked(body, response.status_code)
        except HTTPClientError as error:
            # The session wraps whatever it does not know.
            if isinstance(cause := error.kwargs.get('error'), RefusedAnswer):
                raise _refused(request, cause) from error
            raise
        except RefusedAnswer as error:
            raise _refused(request, error) from error
        except ReadTimedOut as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except HTTPError as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error, request=request) from error
        response._content = body  # type: ignore[attr-defined]  # private: there is no other way to give it a body
        return response


def limit_responses(client: Any, budget: Budget) -> None:
    """Limit the answers that a client of the SDK reads. The budget has the clock."""
    # Private: the SDK has no public access to the HTTP session of a client.
    client._endpoint.http_session = LimitedSession(client._endpoint.http_session, budget.clock)


def _checked(body: bytes, status: int) -> bytes:
    """Return a body that may be parsed. Raises RefusedAnswer."""
    try:
        _check_structure(body)
    except RefusedAnswer:
        if status < 400:
            raise
        # The page of a load balancer or a proxy, whose status says enough.
        return b''
    return body


def _check_structure(body: bytes) -> None:
    """Raise RefusedAnswer for a body that would take too much memory or time to parse.

    AWS answers in XML, JSON or CBOR. The parser is the operation's own, whatever the answer says it is.
    """
    first = body[:64].lstrip()[:1]
    if first == b'<':
        if body.count(b'<') > MAX_TAGS:
            raise RefusedAnswer(f'XML of more than {MAX_TAGS:,} tags')
        if b'<!DOCTYPE' in body or b'\0' in body:
            raise RefusedAnswer('XML with a document type or in another encoding than UTF-8')
    elif first in (b'{', b'['):
        try:
            bounded_json.check(body)
        except bounded_json.TooComplex as error:
            raise RefusedAnswer(f'JSON {error}') from error
    elif len(body) > MAX_CBOR_BYTES:
        raise RefusedAnswer(f'more than {MAX_CBOR_BYTES // 2**20} MiB of neither XML nor JSON')


def _refused(request: AWSPreparedRequest, error: RefusedAnswer) -> BadPayload:
    return BadPayload(f'{place(request.url)} answered {error}')
