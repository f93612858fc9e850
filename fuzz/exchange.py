"""A server on loopback that answers with the bytes of a case: raw exchanges, below any library of HTTP.

Every answer says which request it belongs to. A case changes the first answer to one request; everything else that the
server sends is right.
"""

from __future__ import annotations

import gzip
import json
import re
import select
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from metta_checks.testing import Clock

HOST = '127.0.0.1'
# The number of a request: in its path, or in a parameter of a call of AWS.
NUMBER = re.compile(rb'/answer/(\d+)|AccessKeyId=0*(\d+)')
# An answer that nobody asked for.
NOBODY = -1
# Seconds after an answer in which the next request may come on the same connection.
KEPT_SECONDS = 0.03
# Seconds in which the first request comes on a new connection, on a machine that is busy.
FIRST_SECONDS = 30.0
# SO_LINGER on, for 0 seconds: closing sends RST.
RESET = struct.pack('ii', 1, 0)
XML = (
    '<GetAccessKeyInfoResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetAccessKeyInfoResult>'
    '<Account>{0}</Account></GetAccessKeyInfoResult></GetAccessKeyInfoResponse>'
)


def body(number: int, *, as_xml: bool = False) -> bytes:
    """Return the body of the answer to a request."""
    if as_xml:
        return XML.format(number).encode()
    return json.dumps({'number': number, 'padding': 'x' * 40, 'again': number}).encode()


def whole(content: bytes) -> bytes:
    """Return a right answer."""
    return b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(content) + content


@cache
def bomb() -> bytes:
    """Return 128 MiB of blanks, compressed."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b''.join(packer.compress(b' ' * 2**20) for _ in range(128)) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    '': lambda content: content,
    'gzip': lambda content: gzip.compress(content, mtime=0),
    'deflate': zlib.compress,
    'raw': lambda content: zlib.compress(content, wbits=-zlib.MAX_WBITS),
    'bomb': lambda _: bomb(),
}


def interim(case: dict[str, Any]) -> bytes:
    """Return the interim answers of a case."""
    return _latin(''.join(f'{line}\r\n\r\n' for line in case['interim']))


def answer(case: dict[str, Any], content: bytes, port: int) -> bytes:
    """Return the bytes of an answer with the changes of a case."""
    packed = bytearray(PACK[case['packed']](content))
    if case['packed'] not in ('', 'raw', 'bomb'):
        # Only what a checksum covers may be damaged without notice by the framing.
        for position, value in case['damage']:
            packed[position % len(packed)] ^= value
    headers = [tuple(header) for header in case['headers']]
    if case['encoding']:
        headers.append(('Content-Encoding', case['encoding']))
    if case['location']:
        headers.append(('Location', case['location'].replace('PORT', str(port))))
    framed = bytes(packed)
    if case['framing'] in ('length', 'both'):
        headers.append(('Content-Length', case['length'] or str(len(framed))))
    if case['framing'] in ('chunked', 'both'):
        headers.append(('Transfer-Encoding', case['transfer'] or 'chunked'))
        if case['transfer'] != 'identity':
            framed = _chunked(framed, case['chunks'], case['trailer'])
    head = '\r\n'.join([case['status'], *(f'{name}: {value}' for name, value in headers)]) + '\r\n\r\n'
    data = bytearray(interim(case) + _latin(head))
    for position, value in case['flips']:
        # In the head only: a body that is not compressed has no checksum.
        data[position % len(data)] ^= value
    data += framed
    if case['cut'] is not None:
        return bytes(data[: case['cut'] % len(data)])
    return bytes(data) + (whole(body(NOBODY)) if case['extra'] else b'')


def _chunked(content: bytes, sizes: list[str], trailer: str) -> bytes:
    """Return a body in chunks. `sizes` replace the sizes of the first chunks."""
    parts = [content[start : start + max(1, len(content) // 3)] for start in range(0, len(content), len(content) // 3)]
    lines = [f'{len(part):x}' for part in parts]
    lines[: len(sizes)] = [size or line for size, line in zip(sizes, lines, strict=False)]
    data = b''.join(_latin(line) + b'\r\n' + part + b'\r\n' for line, part in zip(lines, parts, strict=True))
    return data + b'0\r\n' + _latin(trailer) + b'\r\n'


def _latin(text: str) -> bytes:
    return text.encode('latin-1', 'replace')


@dataclass(frozen=True, slots=True)
class Case:
    """The changes of the answer to one request.

    Attributes:
        changes: see `answer`
        clock: the clock of the client; a second passes with each byte that drips
        is_over: set once the client has its answer; bytes that drip later take no time from the next request
    """

    changes: dict[str, Any]
    clock: Clock
    is_over: threading.Event = field(default_factory=threading.Event)


class Server:
    """Answers requests by their numbers. `cases` hold the changes of the next answer to a request.

    defects: errors of the server itself
    """

    def __init__(self) -> None:
        self.defects: list[Exception] = []
        self.cases: dict[int, Case] = {}
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address."""
        return f'http://{HOST}:{self.port}'

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            try:
                self._answer_all(connection)
            except OSError:
                raise
            except Exception as error:
                self.defects.append(error)

    def _answer_all(self, connection: socket.socket) -> None:
        wait = FIRST_SECONDS
        while (request := _read(connection, wait)) is not None:
            wait = KEPT_SECONDS
            found = NUMBER.search(request)
            number = int(found[1] or found[2]) if found else NOBODY
            content = body(number, as_xml=b'AccessKeyId=' in request)
            case = self.cases.pop(number, None)
            if case is None:
                connection.sendall(whole(content))
                continue
            changes = case.changes
            data = answer(changes, content, self.port)
            if changes['pause']:
                # A client that takes an interim answer for the answer sends its next request meanwhile.
                connection.sendall(data[: len(interim(changes))])
                select.select([connection], [], [], KEPT_SECONDS)
                data = data[len(interim(changes)) :]
            _send(connection, data, case if changes['drip'] else None)
            if changes['end'] == 'reset':
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if changes['end'] != 'keep':
                return


def _send(connection: socket.socket, data: bytes, dripping: Case | None) -> None:
    """Send bytes at once, or those of a dripping case one by one, and then others until it is over."""
    if dripping is None:
        connection.sendall(data)
        return
    for position in range(2000):
        connection.sendall(data[position : position + 1] or b'x')
        if dripping.is_over.is_set():
            return
        dripping.clock.advance(1)


def _read(connection: socket.socket, wait: float) -> bytes | None:
    """Return a request; None when none comes within `wait` seconds."""
    data = b''
    while b'\r\n\r\n' not in data:
        if not select.select([connection], [], [], wait)[0] or not (more := connection.recv(65536)):
            return None
        data += more
    head, _, rest = data.partition(b'\r\n\r\n')
    length = re.search(rb'(?i)content-length: *(\d+)', head)
    while length and len(rest) < int(length[1]):
        rest += connection.recv(65536)
    return head + b'\r\n\r\n' + rest


@cache
def server() -> Server:
    """Return the server of this process."""
    return Server()
