"""Reading the body of an answer: in parts, decoded here, up to a limit.

The decoders of urllib3 are not used: older versions decode a part as a whole, however much it becomes, and decode
encodings that were never asked for.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any

from .connections import BUFFER_BYTES, MAX_BODY_BYTES, RefusedAnswer

# The accepted encodings. zlib recognizes both.
ACCEPTED_ENCODINGS = 'gzip, deflate'
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
# Compressed streams, one behind the other, in one body. Servers send one.
MAX_STREAMS = 16


def read_body(answer: Any, encoding: str = '') -> bytes:
    """Read the body of an answer of urllib3 to its end.

    Parameters:
        answer: urllib3's response, of which nothing has been read
        encoding: its `Content-Encoding`

    Raises RefusedAnswer for more than MAX_BODY_BYTES and for an unknown encoding, and what urllib3 raises.
    """
    # Grows in place, and returns its bytes without a copy.
    body = io.BytesIO()
    for part in _decoded(_parts(answer), encoding.strip().lower()):
        if body.tell() + len(part) > MAX_BODY_BYTES:
            # The error keeps this frame alive.
            body.close()
            raise RefusedAnswer(f'more than {MAX_BODY_BYTES // 2**20} MiB')
        body.write(part)
    return body.getvalue()


def _parts(answer: Any) -> Iterator[bytes]:
    while part := answer.read(BUFFER_BYTES, decode_content=False):
        yield part


def _decoded(parts: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding in ('', 'identity'):
        return parts
    if encoding in ('gzip', 'x-gzip', 'deflate'):
        return _inflated(parts)
    raise RefusedAnswer(f'in the encoding {encoding[:20]!r}, which was not asked for')


def _inflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    inflater = _Inflater()
    for part in parts:
        yield from inflater.feed(part)
    yield from inflater.finish()


class _Inflater:
    """Decompresses data, at most BUFFER_BYTES at a time."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._number = 1
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data becomes. Raises RefusedAnswer when it is damaged."""
        while data:
            if self._stream.eof:
                self._begin_next()
            try:
                inflated = self._stream.decompress(data, BUFFER_BYTES)
            except zlib.error as error:
                if self._has_begun:
                    raise RefusedAnswer('compressed data that is damaged') from error
                if self._number > 1:
                    # Padding behind the data.
                    return
                # Some servers leave the header of `deflate` out.
                self._stream, self._has_begun = zlib.decompressobj(-zlib.MAX_WBITS), True
                continue
            self._has_begun = True
            if inflated:
                yield inflated
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> Iterator[bytes]:
        """Yield the rest. Raises RefusedAnswer when the data has ended too early."""
        while self._has_begun and not self._stream.eof:
            if not (inflated := self._stream.decompress(b'', BUFFER_BYTES)):
                raise RefusedAnswer('compressed data that ends too early')
            yield inflated

    def _begin_next(self) -> None:
        self._number += 1
        if self._number > MAX_STREAMS:
            raise RefusedAnswer(f'with more than {MAX_STREAMS} compressed streams')
        self._stream, self._has_begun = zlib.decompressobj(_ZLIB_OR_GZIP), False
