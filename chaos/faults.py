"""Faults: pure functions from an answer and a random generator to a script of bytes, pauses and an end.

All damage is of a kind that a client *can* notice: bytes that are neither JSON nor XML, a body shorter than promised,
another status, a value of another type, an empty object. No client can notice over plain HTTP that a digit in a valid
body was changed, so this is not done.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

LOOPBACK = '127.0.0.1'
MIB = 2**20
LOGIN_PAGE = b'<!doctype html><title>Sign in</title><form action="/login"></form>'
OTHER_TYPES: tuple[Any, ...] = ([], 42, 'ok', None, True, {'message': 'ok'})
REASONS = {
    200: 'OK', 302: 'Found', 307: 'Temporary Redirect', 429: 'Too Many Requests', 500: 'Internal Server Error',
    502: 'Bad Gateway',
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the service, read to its end. `Content-Length` is not among the headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    # Requested path, with its query, and the origin of the proxy, such as `http://127.0.0.1:8080`.
    target: str = ''
    origin: str = ''

    def head(self, *extra: tuple[str, str], length: int | None) -> bytes:
        """Return the head, with a Content-Length unless None."""
        lines = [f'HTTP/1.1 {self.status} {REASONS.get(self.status, "Status")}']
        lines += [f'{name}: {value}' for name, value in (*self.headers, *extra)]
        if length is not None:
            lines.append(f'Content-Length: {length}')
        return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')

    def whole(self) -> bytes:
        """Return head and body unchanged."""
        return self.head(length=len(self.body)) + self.body


@dataclass(frozen=True, slots=True)
class Script:
    """The bytes to send: parts, each after a pause in seconds; then `keep` the connection, `close` or `reset` it.

    Parts are generated lazily, so that an endless script ends when the client closes the connection.
    """

    parts: Callable[[], Iterator[tuple[float, bytes]]]
    end: str = 'keep'


@dataclass(frozen=True, slots=True)
class Patience:
    """Time limits of the client under test, in seconds: per read, and for a whole refresh."""

    timeout: float
    budget: float


Kind = Callable[[Answer, random.Random, Patience], Script]


def _script(*parts: tuple[float, bytes], end: str = 'keep') -> Script:
    return Script(lambda: iter(parts), end)


def _plain(status: int, body: bytes, kind: str, *headers: tuple[str, str]) -> Answer:
    return Answer(status, (('Content-Type', kind), *headers), body)


def passed(answer: Answer, *_: Any) -> Script:
    """Send the answer unchanged."""
    return _script((0.0, answer.whole()))


# Delays.


def delay(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send the answer with a short delay."""
    return _script((dice.uniform(0.005, 0.04), answer.whole()))


def late(answer: Answer, _: random.Random, patience: Patience) -> Script:
    """Send the complete answer after the client has given up, on the connection that it left."""
    return _script((1.3 * patience.timeout, answer.whole()))


def silent(_: Answer, __: random.Random, patience: Patience) -> Script:
    """Accept the request and never answer, as on a half-open connection."""
    return _script((4 * patience.timeout, b''), end='close')


def pieces(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send the answer in small pieces, but in time."""
    return pieces_of(answer.whole(), dice.randint(3, 12))


def pieces_of(data: bytes, number: int = 5) -> Script:
    """Return a script that sends bytes in small pieces, but in time."""
    size = max(1, len(data) // number)
    return _script(*((0.002, data[start : start + size]) for start in range(0, len(data), size)))


def trickle(first: bytes, rest: Callable[[int], bytes], patience: Patience) -> Script:
    """Return a script of bytes that come one by one: `first`, then those of `rest`."""

    def parts() -> Iterator[tuple[float, bytes]]:
        yield 0.0, first
        # Always within the read timeout, and never finished within the budget.
        pause = patience.timeout / 4
        for index in range(int(4 * patience.budget / pause)):
            yield pause, rest(index)

    return Script(parts, 'close')


def drip(answer: Answer, _: random.Random, patience: Patience) -> Script:
    """Send the body byte by byte, so slowly that it would take much longer than the refresh may."""
    body = answer.body + b' ' * 4096
    return trickle(answer.head(length=len(body)), lambda index: body[index : index + 1], patience)


def drip_chunks(answer: Answer, _: random.Random, patience: Patience) -> Script:
    """Send the body in chunks of one byte, as slowly as `drip`."""
    head = answer.head(('Transfer-Encoding', 'chunked'), length=None)
    body = answer.body + b' ' * 4096
    return trickle(head, lambda index: b'1\r\n' + body[index : index + 1] + b'\r\n', patience)


def drip_head(_: Answer, __: random.Random, patience: Patience) -> Script:
    """Send a head that never ends: one letter of a header at a time."""
    return trickle(b'HTTP/1.1 200 OK\r\nX-Padding: ', lambda _: b'x', patience)


# Cuts and resets.


def _middle(data: bytes, dice: random.Random) -> int:
    return dice.randrange(1, len(data)) if len(data) > 1 else 0


def cut(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Close the connection in the middle of the body."""
    head = answer.head(length=len(answer.body))
    return _script((0.0, head + answer.body[: _middle(answer.body, dice)]), end='close' if answer.body else 'reset')


def cut_head(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Close the connection in the middle of the status line or the headers."""
    head = answer.head(length=len(answer.body))
    return _script((0.0, head[: _middle(head, dice)]), end='close')


def cut_unframed(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send a body without a length, as old proxies do, that ends in the middle: only the format shows it."""
    head = answer.head(('Connection', 'close'), length=None)
    return _script((0.0, head + answer.body[: _middle(answer.body, dice)]), end='close')


def hang_up(_: Answer, __: random.Random, ___: Patience) -> Script:
    """Close the connection without an answer."""
    return _script(end='close')


def reset(_: Answer, __: random.Random, ___: Patience) -> Script:
    """Reset the connection (RST) without an answer."""
    return _script(end='reset')


def reset_middle(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Reset the connection (RST) in the middle of the body."""
    head = answer.head(length=len(answer.body))
    return _script((0.0, head + answer.body[: _middle(answer.body, dice)]), (0.01, b''), end='reset')


# Framing.


def long_length(answer: Answer, _: random.Random, patience: Patience) -> Script:
    """Send a body that is shorter than its Content-Length, and keep the connection open."""
    return _script((0.0, answer.head(length=len(answer.body) + 64) + answer.body), (4 * patience.timeout, b''))


def short_length(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send a body that is longer than its Content-Length: the rest stays on the connection."""
    return _script((0.0, answer.head(length=_middle(answer.body, dice)) + answer.body))


def bad_chunks(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send chunks, of which the second has no size."""
    head = answer.head(('Transfer-Encoding', 'chunked'), length=None)
    part = answer.body[: _middle(answer.body, dice)]
    return _script((0.0, head + b'%x\r\n%s\r\nnot-a-size\r\n' % (len(part), part)), end='close')


def bad_gzip(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send a compressed body that is damaged; its checksum shows it."""
    data = bytearray(gzip.compress(answer.body + b' ', mtime=0))
    for index in dice.sample(range(10, len(data) - 8), min(4, len(data) - 18)):
        data[index] ^= 1 << dice.randrange(8)
    data[-8] ^= 0xFF
    return _script((0.0, answer.head(('Content-Encoding', 'gzip'), length=len(data)) + bytes(data)))


def garbage(_: Answer, dice: random.Random, __: Patience) -> Script:
    """Send bytes that are not HTTP."""
    return _script((0.0, dice.randbytes(200) + b'\r\n\r\n'), end='close')


def twice(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Send the answer twice: the second must not be used as the answer to the next request."""
    return _script((0.0, answer.whole() + answer.whole()))


# Content.


def bad_utf8(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Replace a byte of the body by one that is not valid UTF-8."""
    place = _middle(answer.body, dice)
    body = answer.body[:place] + b'\xff' + answer.body[place + 1 :]
    return _script((0.0, replace(answer, body=body or b'\xff').whole()))


def half_body(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send a part of the body with a matching Content-Length: only the format shows it."""
    return _script((0.0, replace(answer, body=answer.body[: _middle(answer.body, dice)]).whole()))


def empty(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Send an empty body."""
    return _script((0.0, replace(answer, body=b'').whole()))


def html(_: Answer, __: random.Random, ___: Patience) -> Script:
    """Send a login page with status 200."""
    return _script((0.0, _plain(200, LOGIN_PAGE, 'text/html').whole()))


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def wrong_type(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Send JSON of another type than the real answer; JSON where the answer is XML."""
    real = _json(answer)
    others = [other for other in OTHER_TYPES if type(other) is not type(real)]
    body = json.dumps(dice.choice(others)).encode()
    return _script((0.0, replace(answer, body=body).whole()))


def hollow(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Send an empty answer: `{}`, `{"data": {}}` for GraphQL, an empty root element for XML.

    Lists become null: an empty list would be a valid answer.
    """
    real = _json(answer)
    if real is None and answer.body.lstrip().startswith(b'<'):
        root = answer.body.split(b'<?', 1)[-1].split(b'?>', 1)[-1].split(b'<', 1)[1].split(b'>', 1)[0]
        body = b'<' + root + b'></' + root.split()[0] + b'>'
    elif isinstance(real, dict):
        body = b'{"data": {}}' if 'data' in real and len(real) == 1 else b'{}'
    else:
        body = b'null'
    return _script((0.0, replace(answer, body=body).whole()))


def inner_null(answer: Answer, dice: random.Random, _: Patience) -> Script:
    """Replace a list within the answer by a number, which no API sends."""
    real = _json(answer)
    lists = list(_lists(real))
    if not lists:
        return hollow(answer, dice, _)
    holder, key = dice.choice(lists)
    holder[key] = 7
    return _script((0.0, replace(answer, body=json.dumps(real).encode()).whole()))


def _lists(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (holder, key) of the outermost lists within a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, list):
                yield value, key
            else:
                yield from _lists(inner)


# Interim answers.

INTERIM = b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n'


def interim(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Send interim answers (1xx) and then the answer."""
    return _script((0.0, INTERIM + answer.whole()))


def interim_only(_: Answer, __: random.Random, ___: Patience) -> Script:
    """Send interim answers and close the connection."""
    return _script((0.0, INTERIM), end='close')


def interim_many(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Send far more interim answers than any server does, and then the answer."""
    return _script((0.0, 50 * INTERIM + answer.whole()))


def switching(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Switch to a protocol that nobody asked for, and go on in HTTP."""
    switch = b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'
    return _script((0.0, switch + answer.whole()))


# Redirects. Some services are followed to their own origin; an answer of any other place is never one.


def _redirect(status: int, location: str, body: bytes = b'', *headers: tuple[str, str]) -> Script:
    return _script((0.0, _plain(status, body, 'application/json', ('Location', location), *headers).whole()))


def redirect_same(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Redirect to the same address."""
    return _redirect(307, answer.target or '/')


def redirect_away(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Redirect to another host. The proxy listens there, too, and notes who comes."""
    return _redirect(302, answer.origin.replace(LOOPBACK, 'localhost') + answer.target, answer.body)


def redirect_bad(_: Answer, __: random.Random, ___: Patience) -> Script:
    """Redirect to an address that is not a URL."""
    return _redirect(302, 'http://[::1')


def redirect_body(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Redirect to the same address, with a body that is a thousand times larger when it is decompressed."""
    return _redirect(302, answer.target or '/', _bomb(b'\0' * MIB, 96), ('Content-Encoding', 'gzip'))


# Amplification.


@functools.cache
def _bomb(mebibyte: bytes, size: int) -> bytes:
    """Return a content of `size` MiB, compressed."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b''.join(packer.compress(mebibyte) for _ in range(size)) + packer.flush()


def bomb(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Send a body that is a thousand times larger when it is decompressed."""
    data = _bomb(b' ' * MIB, 96)
    return _script((0.0, answer.head(('Content-Encoding', 'gzip'), length=len(data)) + data))


def bomb_of_objects(answer: Answer, _: random.Random, __: Patience) -> Script:
    """Send the beginning of a list of millions of objects: a small body that would be a large value in memory."""
    data = _bomb((b'[{},' + b'{},' * MIB)[:MIB], 32)
    return _script((0.0, answer.head(('Content-Encoding', 'gzip'), length=len(data)) + data))


# Refusals.


def _status(status: int, *headers: tuple[str, str], body: bytes = b'{"message": "fault"}') -> Kind:
    def refuse(_: Answer, __: random.Random, ___: Patience) -> Script:
        return _script((0.0, _plain(status, body, 'application/json', *headers).whole()))

    refuse.__doc__ = f'HTTP {status}' + ''.join(f', {name}: {value}' for name, value in headers) + '.'
    return refuse


REFUSALS: dict[str, Kind] = {
    'status_500': _status(500),
    'status_502': _status(502, body=b'<html>Bad gateway</html>'),
    'status_503': _status(503),
    'status_503_retry': _status(503, ('Retry-After', '30')),
    'status_504': _status(504),
    'status_429': _status(429),
    'status_429_retry': _status(429, ('Retry-After', '45')),
    'redirect': _status(302, ('Location', '/login')),
}

# Kinds that do no damage: a client that fails for one of these gives up too early.
HARMLESS = frozenset({'none', 'delay', 'pieces', 'interim', 'shuffle'})

# Kind -> relative frequency. Faults that cost a timeout are less frequent, to save time.
KINDS: dict[str, tuple[Kind, float]] = {
    **{
        kind.__name__: (kind, 1.0)
        for kind in (
            delay, pieces, cut, cut_head, cut_unframed, hang_up, reset, reset_middle, short_length, bad_chunks,
            bad_gzip, garbage, twice, bad_utf8, half_body, empty, html, wrong_type, hollow, inner_null, interim,
        )
    },
    **{kind.__name__: (kind, 0.25) for kind in (late, silent, long_length)},
    **{
        kind.__name__: (kind, 0.5)
        for kind in (interim_only, interim_many, switching, redirect_same, redirect_away, redirect_bad)
    },
    **{kind.__name__: (kind, 0.05) for kind in (redirect_body, bomb, bomb_of_objects)},
    **{kind.__name__: (kind, 0.08) for kind in (drip, drip_chunks, drip_head)},
    **{name: (kind, 0.6) for name, kind in REFUSALS.items()},
}  # fmt: skip
