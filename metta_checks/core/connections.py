"""Connections of urllib3 that hold the bounds of an exchange, for requests and for the AWS SDK alike.

From the first socket on, a connection is covered by the deadline of its thread. An answer is limited by its bytes on
the wire: head, interim answers, chunk sizes and trailers included, which no other layer counts.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .clock import Clock
from .deadline import current

# Decoded bytes of a body. The largest honest answers are pages of 500 pods (30 to 100 KiB each) and the job queue of a
# SkyPilot server.
MAX_BODY_BYTES = 64 * 2**20
# Bytes of an answer on the wire: a body that is not compressed, and its framing.
MAX_WIRE_BYTES = MAX_BODY_BYTES + 8 * 2**20
# Interim answers (1xx) before an answer. Servers send one or two: 100, and 103 with hints for browsers.
MAX_INTERIM_ANSWERS = 10
# A kept connection that was idle for longer is not used again. Load balancers drop idle connections, some without
# telling: AWS after 60 s or 350 s, Azure after 240 s. A refresh sends its requests without such pauses.
MAX_IDLE_SECONDS = 50
BUFFER_BYTES = 64 * 2**10


class RefusedAnswer(Exception):
    """An answer that breaks a bound or a rule of HTTP. The text continues a sentence: `<request> answered ...`."""


class KeptConnections:
    """The connections of some pools between exchanges. `close` closes those that are idle."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._used_at = 0.0

    @contextlib.contextmanager
    def lent(self, clock: Clock) -> Iterator[None]:
        """Lend the connections for an exchange. After MAX_IDLE_SECONDS without one, it begins with a new connection."""
        if clock.monotonic() - self._used_at > MAX_IDLE_SECONDS:
            self._close()
        try:
            yield
        finally:
            self._used_at = clock.monotonic()


class _Meter(io.RawIOBase):
    """The bytes of one answer, up to MAX_WIRE_BYTES."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw
        self._left = MAX_WIRE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise RefusedAnswer(f'more than {MAX_BODY_BYTES // 2**20} MiB')
        return count

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


class Answer(http.client.HTTPResponse):
    """An answer that is measured while it is read. Interim answers before it are skipped."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_Meter(self.fp.detach()), BUFFER_BYTES)
        self._interim_answers = 0

    def begin(self) -> None:
        """Read the head. Raises RefusedAnswer for too many interim answers and for an unknown transfer coding."""
        super().begin()
        # The library skips status 100 alone and takes any other interim answer for the answer itself. The connection
        # would then be one answer behind.
        while 100 <= self.status < 200:
            # Makes the library read the next head.
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first head
            super().begin()
        # The library takes any coding but `chunked` for none, and the framing of the body for its content.
        named = ','.join(self.headers.get_all('Transfer-Encoding', ())).lower()
        codings = {coding.strip() for coding in named.split(',')} - {'', 'identity'}
        if codings - {'chunked'}:
            raise RefusedAnswer(f'in the transfer coding {named.strip()[:40]!r}, which was not asked for')
        if codings and not self.chunked:
            # There is white space around it, or another header. Some proxies repeat the header of the server as well.
            self.chunked, self.chunk_left, self.length = True, None, None

    def _read_status(self) -> tuple[str, int, str]:
        # The library skips any number of answers with status 100. This is the one place that sees each of them.
        version, status, reason = super()._read_status()  # type: ignore[misc]  # private, the same since Python 3.0
        if 100 <= status < 200:
            self._interim_answers += 1
            if self._interim_answers > MAX_INTERIM_ANSWERS or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                raise RefusedAnswer(f'with HTTP {status} and never finally')
        return version, status, reason


class _Bounded:
    """Mixed into a connection of urllib3."""

    response_class = Answer
    _sock: Any = None

    @property
    def sock(self) -> Any:
        """The socket. A new one is covered by the deadline at once: tunnel and TLS are yet to be set up."""
        return self._sock

    @sock.setter
    def sock(self, connection: Any) -> None:
        self._sock = connection
        self._cover()

    def putrequest(self, *args: Any, **kwargs: Any) -> Any:
        """Begin a request, on a kept connection or before a new one."""
        self._cover()
        # The connection that this class is mixed into.
        connection: Any = super()
        return connection.putrequest(*args, **kwargs)

    def _cover(self) -> None:
        if self._sock is not None and (deadline := current()) is not None:
            deadline.cover(self._sock)


def bounded(pool_classes: Mapping[str, Any]) -> dict[str, Any]:
    """Return pool classes of urllib3 by scheme, whose connections hold the bounds, for `pool_classes_by_scheme`."""
    return {scheme: _bounded_pool(pool) for scheme, pool in pool_classes.items()}


@functools.cache
def _bounded_pool(pool: Any) -> Any:
    connection = pool.ConnectionCls
    if issubclass(connection, _Bounded):
        return pool
    bounded_connection = type(connection.__name__, (_Bounded, connection), {})
    return type(pool.__name__, (pool,), {'ConnectionCls': bounded_connection})
