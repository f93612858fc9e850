"""A proxy on loopback between the check and a service of the sandbox, which injects faults according to a schedule.

With a certificate it is two things at one port: the forward proxy that clients are configured with, which answers
CONNECT, and the service behind it, which speaks TLS.
"""

from __future__ import annotations

import http.client
import random
import select
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from metta_checks.testing import Clock

from .faults import KINDS, LOOPBACK, Answer, Kind, Patience, Script, passed, pieces_of, trickle

HOST = LOOPBACK
# Hop-by-hop headers, which belong to a connection.
OWN_HEADERS = frozenset({'connection', 'content-length', 'transfer-encoding', 'keep-alive'})
# SO_LINGER on, for 0 seconds: closing sends RST.
RESET = struct.pack('ii', 1, 0)
# Seconds within which a closed connection is noticed, where pauses take no time.
MOMENT = 0.001


ESTABLISHED = b'HTTP/1.1 200 Connection established\r\n\r\n'
# The beginning of a record of the TLS handshake that is 16 KiB long.
HANDSHAKE = b'\x16\x03\x03\x40\x00\x02\x00\x3f\xfc'
# Faults of a tunnel, with their weights: the answer to CONNECT never ends, is a refusal, is not HTTP, or comes in
# pieces; the handshake of TLS never ends, breaks off, or is not TLS.
TUNNEL_FAULTS = {
    'connect_drip': 0.1, 'connect_refused': 1.0, 'connect_garbage': 1.0, 'connect_pieces': 1.0, 'tls_drip': 0.1,
    'tls_cut': 1.0, 'tls_garbage': 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as read by the proxy."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class FaultSchedule:
    """Faults per request, selected by a seed: the same for the same order of requests.

    rate: share of requests with a fault, 0 to 1; only: these kinds, all if empty; extra: kinds of one source
    (reordering of lists without a guaranteed order), with their weights.
    """

    seed: str
    patience: Patience
    rate: float = 0.0
    only: tuple[str, ...] = ()
    extra: Mapping[str, tuple[Kind, float]] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    tunnels: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self) -> tuple[str, Kind, random.Random]:
        """Return the fault of the next request: its name, its function, and a random generator for its details."""
        with self._lock:
            self.requests += 1
            dice = random.Random(f'{self.seed}/{self.requests}')
            if dice.random() >= self.rate:
                return 'none', passed, dice
            kinds = {**KINDS, **self.extra}
            names = self.only or tuple(kinds)
            [name] = dice.choices(names, [kinds[name][1] for name in names])
            self.struck[name] += 1
            return name, kinds[name][0], dice

    def draw_tunnel(self) -> str:
        """Return the fate of the next tunnel: `none` or one of TUNNEL_FAULTS."""
        with self._lock:
            self.tunnels += 1
            dice = random.Random(f'{self.seed}/tunnel/{self.tunnels}')
            # A client sets up few tunnels and sends many requests through each.
            if dice.random() >= self.rate:
                return 'none'
            [name] = dice.choices(tuple(TUNNEL_FAULTS), list(TUNNEL_FAULTS.values()))
            self.struck[name] += 1
            return name


class Proxy:
    """Forwards to a service on loopback, named by its URL. A context manager.

    Its pauses are those of `clock`: real ones, unless the clock stands still (see metta_checks.testing.Clock). `plan`
    may be replaced at any time. `watch` is called with the number of each request (from 1, since the last
    `restart_count`) before it is forwarded. While `refuse` is on, connections are refused.

    swallowed: requests that came on a connection that `drop_idle` had dropped
    strays: requests that were meant for another host, or came without TLS
    """

    def __init__(
        self, upstream: str, plan: FaultSchedule, clock: Clock | None = None, certificate: Path | None = None
    ) -> None:
        self.plan = plan
        self.swallowed = 0
        self.strays = 0
        self._clock = clock
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self.watch: Callable[[int], None] = lambda _: None
        self.seen = 0
        self._upstream = urlsplit(upstream).netloc
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._dropped: set[socket.socket] = set()
        self._lock = threading.Lock()
        # Held during a request to the service; requests are made one at a time.
        self._asking = threading.RLock()
        self._running = True
        self._accepting = threading.Event()
        self._accepting.set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        """The address of the service for clients."""
        return f'{"https" if self._tls else "http"}://{HOST}:{self.port}'

    @property
    def forward_url(self) -> str:
        """The address of the forward proxy, with a certificate."""
        return f'http://{HOST}:{self.port}'

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(64)
        listener.settimeout(0.05)
        return listener

    def _listen_again(self) -> socket.socket:
        # Recently closed connections may still hold the port.
        until = time.monotonic() + 30
        while True:
            try:
                return self._listen(self.port)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running = False
        self._accepting.set()
        self._thread.join()
        self._listener.close()
        self.hang_up()

    def restart_count(self) -> None:
        """Number requests from 1 again."""
        self.seen = 0

    def quiet(self) -> threading.RLock:
        """Return a lock to hold while the service is changed: no request is forwarded during that time."""
        return self._asking

    def hang_up(self) -> None:
        """Reset all connections."""
        with self._lock:
            for connection in self._open:
                _reset(connection)

    def drop_idle(self) -> None:
        """Drop all connections silently, as load balancers do: what comes on them is never answered."""
        with self._lock:
            self._dropped = set(self._open)

    def refuse(self, *, on: bool) -> None:
        """Start or end an outage: during it, connections are refused; open ones are reset."""
        if on == (not self._accepting.is_set()):
            return
        if on:
            self._accepting.clear()
            # Closing alone would leave the socket listening until the accepting thread notices.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.hang_up()
        else:
            self._listener = self._listen_again()
            self._accepting.set()

    def _accept(self) -> None:
        while self._running:
            self._accepting.wait()
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # No connection came, or an outage has begun.
                continue
            connection.settimeout(60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        service = http.client.HTTPConnection(self._upstream, timeout=60)
        end = 'close'
        try:
            if self._tls is not None:
                connection = self._tunnel(connection, self._tls)
            with connection.makefile('rb') as reader:
                end = 'keep'
                while end == 'keep' and (asked := _read(reader)) is not None:
                    end = self._answer(connection, service, asked)
        except (OSError, ValueError, http.client.HTTPException):
            # The client closed the connection, as in an outage or after a kill.
            end = 'close'
        finally:
            service.close()
            with self._lock:
                self._open.discard(connection)
                self._dropped.discard(connection)
                if end == 'reset':
                    _reset(connection)
                else:
                    connection.close()

    def _answer(self, connection: socket.socket, service: http.client.HTTPConnection, asked: Asked) -> str:
        """Answer a request. Returns the end of the connection: `keep`, `close` or `reset`."""
        if connection in self._dropped:
            # A request that the client gave up may be read here long after it was sent.
            self.swallowed += not _is_closed(connection)
            self._wait(connection, 10 * self.plan.patience.budget)
            return 'close'
        if dict(asked.headers).get('Host') != f'{HOST}:{self.port}':
            self.strays += 1
        self.seen += 1
        self.watch(self.seen)
        plan = self.plan
        _, kind, dice = plan.draw()
        with self._asking:
            answer = replace(_forward(service, asked), origin=self.url)
        script = kind(answer, dice, plan.patience)
        return script.end if self._perform(script, connection) else 'close'

    def _tunnel(self, connection: socket.socket, context: ssl.SSLContext) -> socket.socket:
        """Answer CONNECT and set up TLS. Raises OSError when it comes to nothing."""
        if (first := connection.recv(7, socket.MSG_PEEK)) != b'CONNECT':
            # After an error of TLS, the toolkit looks at the certificate, past the proxy, and sends nothing.
            direct = context.wrap_socket(connection, server_side=True) if first[:1] == HANDSHAKE[:1] else connection
            self.strays += bool(direct.recv(1))
            raise OSError('not through the proxy')
        while not connection.recv(65536).endswith(b'\r\n\r\n'):
            pass
        plan = self.plan
        match plan.draw_tunnel():
            case 'connect_drip':
                self._drip(connection, b'HTTP/1.1 200 Connection established\r\nX-Padding: ')
            case 'connect_refused':
                connection.sendall(b'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')
                raise OSError('refused')
            case 'connect_garbage':
                connection.sendall(b'SSH-2.0-proxy\r\n\r\n')
                raise OSError('garbage')
            case 'tls_drip':
                connection.sendall(ESTABLISHED)
                self._drip(connection, HANDSHAKE)
            case 'tls_cut':
                connection.sendall(ESTABLISHED + HANDSHAKE)
                raise OSError('cut')
            case 'tls_garbage':
                connection.sendall(ESTABLISHED + b'HTTP/1.1 400 Bad Request\r\n\r\n')
                raise OSError('garbage')
            case 'connect_pieces':
                self._perform(pieces_of(ESTABLISHED), connection)
            case _:
                connection.sendall(ESTABLISHED)
        secured = context.wrap_socket(connection, server_side=True)
        with self._lock:
            self._open.discard(connection)
            self._open.add(secured)
        return secured

    def _drip(self, connection: socket.socket, first: bytes) -> None:
        """Send bytes that never come to an end, each in time. Raises OSError."""
        self._perform(trickle(first, lambda _: b'\0', self.plan.patience), connection)
        raise OSError('dripped')

    def _perform(self, script: Script, connection: socket.socket) -> bool:
        """Play a script; return whether the client was still connected at its end."""
        for pause, data in script.parts():
            if pause and not self._wait(connection, pause):
                # The client has closed the connection. A late answer is sent anyway, to show that it is not used for
                # another request.
                connection.sendall(data)
                return False
            connection.sendall(data)
        return True

    def _wait(self, connection: socket.socket, seconds: float) -> bool:
        """Wait; return False as soon as the client closes its side."""
        if self._clock is not None:
            self._clock.sleep(seconds)
            seconds = MOMENT
        if not isinstance(connection, ssl.SSLSocket):
            return _wait(connection, seconds)
        # Below TLS, which cannot be peeked into.
        with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as below:
            return _wait(below, seconds)


def _is_closed(connection: socket.socket) -> bool:
    """Return True if the client has closed a connection."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return not socket.socket.recv(connection, 1, socket.MSG_PEEK)
    except OSError:
        return True


def _reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # The reading thread has its own reference: shutting down wakes it.
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    connection.close()


def _read(reader: BinaryIO) -> Asked | None:
    start = reader.readline().decode('latin-1')
    if not start.strip():
        return None
    method, target, _ = start.split(' ', 2)
    headers = []
    while (line := reader.readline().decode('latin-1').strip()) != '':
        name, _, value = line.partition(':')
        headers.append((name.strip(), value.strip()))
    length = next((int(value) for name, value in headers if name.lower() == 'content-length'), 0)
    return Asked(method, target, tuple(headers), reader.read(length))


def _forward(service: http.client.HTTPConnection, asked: Asked) -> Answer:
    service.putrequest(asked.method, asked.target, skip_host=True, skip_accept_encoding=True)
    for name, value in asked.headers:
        if name.lower() not in OWN_HEADERS:
            service.putheader(name, value)
    service.putheader('Content-Length', str(len(asked.body)))
    service.endheaders(asked.body)
    response = service.getresponse()
    body = response.read()
    headers = tuple((name, value) for name, value in response.getheaders() if name.lower() not in OWN_HEADERS)
    return Answer(response.status, headers, body, asked.target)


def _wait(connection: socket.socket, seconds: float) -> bool:
    """Wait; return False as soon as the client closes its side."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([connection], [], [], left)[0] and not connection.recv(1, socket.MSG_PEEK):
            return False
        time.sleep(min(0.002, left))
    return True
