"""An end to answers that never end.

The timeouts of requests and of the AWS SDK limit every single read. A server, or something in between, that sends a
byte now and then stays within them for ever, in the head of an answer as in its body. A watch ends the whole exchange:
when its time is over, another thread shuts the connection down, and whoever was reading sees it end.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from .clock import Clock, Timer

_current: ContextVar[Watch | None] = ContextVar('metta_checks_watch', default=None)


class Watch:
    """The time of an exchange. `expired` says whether the watch has ended it."""

    def __init__(self) -> None:
        self.expired = False
        self._socket: Any = None
        self._timer: Timer | None = None
        self._lock = threading.Lock()

    def start(self, seconds: float, clock: Clock) -> None:
        """So much time of a clock from now on."""
        self._timer = clock.call_later(seconds, self._expire)

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def over(self, connection: Any) -> None:
        """Watch over this socket from now on."""
        with self._lock:
            self._socket = connection
            if self.expired:
                self._end()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            self._end()

    def _end(self) -> None:
        if self._socket is not None:
            # It may have been closed in the meantime. TLS gets no goodbye, which could block, too.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def begin(seconds: float, clock: Clock) -> Watch:
    """Watch over whatever this thread asks next on connections of watched pools, until `stop`.

    Nothing is raised: what a reader makes of a connection that ended is its own, `expired` tells it why.
    """
    watch = Watch()
    _current.set(watch)
    watch.start(seconds, clock)
    return watch


@contextlib.contextmanager
def watched(seconds: float, clock: Clock) -> Iterator[Watch]:
    """As `begin`, for what is asked inside."""
    watch = begin(seconds, clock)
    try:
        yield watch
    finally:
        watch.stop()


def watched_classes(classes: Mapping[str, Any]) -> dict[str, Any]:
    """urllib3's pool classes by scheme, so that the connections of their pools are watched."""
    return {
        scheme: pool if issubclass(pool.ConnectionCls, _Watched) else _watched_pool(pool)
        for scheme, pool in classes.items()
    }


def watch_session(session: Any) -> None:
    """Let the connections that a session of requests opens from now on be watched."""
    if not isinstance(session.get_adapter, _Adapters):
        session.get_adapter = _Adapters(session.get_adapter)


def watch_client(client: Any) -> None:
    """Let the connections that a client of the AWS SDK opens from now on be watched."""
    # The SDK has no other way to its pools. What it does not have any more cannot be watched.
    session: Any = getattr(getattr(client, '_endpoint', None), 'http_session', None)
    if hasattr(session, '_pool_classes_by_scheme') and hasattr(session, '_manager'):
        session._pool_classes_by_scheme = watched_classes(session._pool_classes_by_scheme)
        session._manager.pool_classes_by_scheme = session._pool_classes_by_scheme


class _Adapters:
    """Replaces `get_adapter` of a session.

    The toolkit mounts other adapters whenever TLS options change, so they are looked at when they are used.
    """

    def __init__(self, get_adapter: Callable[[str], Any]) -> None:
        self._get_adapter = get_adapter

    def __call__(self, url: str) -> Any:
        adapter = self._get_adapter(url)
        if hasattr(adapter, 'poolmanager') and not isinstance(adapter.proxy_manager, _Managers):
            adapter.poolmanager.pool_classes_by_scheme = watched_classes(adapter.poolmanager.pool_classes_by_scheme)
            adapter.proxy_manager = _Managers(adapter.proxy_manager)
        return adapter


class _Managers(dict[str, Any]):
    """The pool managers of an adapter by proxy, which come when they are first needed."""

    def __setitem__(self, proxy: str, manager: Any) -> None:
        manager.pool_classes_by_scheme = watched_classes(manager.pool_classes_by_scheme)
        super().__setitem__(proxy, manager)


class _Watched:
    """Mixed into a connection: by the time an answer is awaited, its socket is known."""

    sock: Any

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        """As the connection's own."""
        if (watch := _current.get()) is not None:
            watch.over(self.sock)
        # The connection that this class is mixed into.
        connection: Any = super()
        return connection.getresponse(*args, **kwargs)


def _watched_pool(pool: Any) -> Any:
    connection = pool.ConnectionCls
    watched_connection = type(connection.__name__, (_Watched, connection), {})
    return type(pool.__name__, (pool,), {'ConnectionCls': watched_connection})
