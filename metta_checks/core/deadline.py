"""Deadlines of HTTP exchanges.

The timeouts of requests and of the AWS SDK limit every single read. A server or a proxy that sends a byte now and then
stays within them forever: while a tunnel or TLS is set up, in the head of an answer and in its body. A deadline ends
the whole exchange: when its time is over, another thread shuts the connection down, and the reader sees the end of the
data.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol

from .clock import Clock, Timer

_current: ContextVar[Deadline | None] = ContextVar('metta_checks_deadline', default=None)


class Connected(Protocol):
    """A connected socket, or TLS over one."""

    def fileno(self) -> int:
        """Return the file descriptor."""


class Deadline:
    """The end of an exchange.

    Attributes:
        expired: True when the time was over, or the instance canceled, before the exchange was over
    """

    def __init__(self) -> None:
        self.expired = False
        self._stopped = False
        # A duplicate of the descriptor in use: TLS takes the original away from the socket that it is given.
        self._socket: socket.socket | None = None
        self._timer: Timer | None = None
        self._lock = threading.Lock()

    def start(self, seconds: float, clock: Clock) -> None:
        """End the exchange after this time of a clock."""
        self._timer = clock.call_later(seconds, self.expire)

    def stop(self) -> None:
        """Release the connection: the exchange is over."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._stopped = True
            self._release()

    def cover(self, connection: Connected) -> None:
        """Shut this connection down when the time is over, and no longer the one before it."""
        with self._lock:
            if self._stopped:
                return
            self._release()
            # Family and type do not matter for a shutdown.
            self._socket = socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            if self.expired:
                self._shut_down()

    def expire(self) -> None:
        """End the exchange now, from any thread; do nothing when it is over."""
        with self._lock:
            if not self._stopped:
                self.expired = True
                self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            # The peer may have closed it already. The closing message of TLS is left out: it could block, too.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def current() -> Deadline | None:
    """Return the deadline of the exchange that this thread is in."""
    return _current.get()


def begin(seconds: float, clock: Clock) -> Deadline:
    """Set the deadline for the next exchange of this thread, until `Deadline.stop`.

    Nothing is raised when it passes: the reader's own error says that the connection ended, `expired` says why.
    """
    deadline = Deadline()
    _current.set(deadline)
    deadline.start(seconds, clock)
    return deadline


@contextlib.contextmanager
def within(seconds: float, clock: Clock) -> Iterator[Deadline]:
    """Set the deadline for the exchange inside the `with` block."""
    before = _current.get()
    deadline = begin(seconds, clock)
    try:
        yield deadline
    finally:
        deadline.stop()
        _current.set(before)
