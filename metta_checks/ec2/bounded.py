"""Answers of AWS are read up to a limit, as those of all other services are (http.py)."""

from __future__ import annotations

from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as NoMoreData

from ..core.errors import BadPayload
from ..core.http import CHUNK_BYTES, MAX_BODY_BYTES, place


class Bounded:
    """Stands before the HTTP session of a client of the SDK, which by itself reads whatever comes."""

    def __init__(self, session: URLLib3Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send a request and read the answer to its end. Raises BadPayload when it is larger than MAX_BODY_BYTES."""
        # Leaves the body to us; none of the operations in use has a streaming answer of its own.
        request.stream_output = True
        response = self._session.send(request)
        try:
            body = self._read(response.raw, request.url)
            response._content = body  # type: ignore[attr-defined]  # private: there is no other way to give it a body
        except NoMoreData as error:
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
                # What is still on its way would otherwise be taken for the answer to the next request.
                raw.close()
                # The error keeps this frame alive.
                parts.clear()
                raise BadPayload(f'the answer of {place(url)} is larger than {MAX_BODY_BYTES // 2**20} MiB')
        return b''.join(parts)


def bound(client: Any) -> None:
    """Let a client of the SDK read its answers up to the limit."""
    # The SDK has no other way to its HTTP session.
    client._endpoint.http_session = Bounded(client._endpoint.http_session)
