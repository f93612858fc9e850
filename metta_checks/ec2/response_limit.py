"""A limit on the size of the answers of AWS, as core/http.py has for other services."""

from __future__ import annotations

from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as ReadTimedOut

from ..core.errors import BadPayload
from ..core.http import CHUNK_BYTES, MAX_BODY_BYTES, place


class LimitedSession:
    """The HTTP session of a client of the SDK, which by itself reads an answer of any size."""

    def __init__(self, session: URLLib3Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send a request and read the answer to its end. Raises BadPayload when it is larger than MAX_BODY_BYTES."""
        # The session then leaves reading the body to the caller. None of the operations in use streams its answer.
        request.stream_output = True
        response = self._session.send(request)
        try:
            body = self._read(response.raw, request.url)
            response._content = body  # type: ignore[attr-defined]  # private: there is no other way to give it a body
        except ReadTimedOut as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except HTTPError as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error, request=request) from error
        return response

    @staticmethod
    def _read(raw: Any, url: str) -> bytes:
        parts = []
        size = 0
        for part in raw.stream(CHUNK_BYTES):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                # On a kept connection, the rest of this answer would be read as the answer to the next request.
                raw.close()
                # The error keeps this frame, and with it the parts, in memory.
                parts.clear()
                raise BadPayload(f'the answer of {place(url)} is larger than {MAX_BODY_BYTES // 2**20} MiB')
        return b''.join(parts)


def limit_responses(client: Any) -> None:
    """Limit the size of the answers that a client of the SDK reads."""
    # Private: the SDK has no public access to the HTTP session of a client.
    client._endpoint.http_session = LimitedSession(client._endpoint.http_session)
