"""JSON, bounded by its structure before it is parsed.

A body within the limit of bytes can still fill the memory: 64 MiB of `{}` become 22 million objects and 1.7 GiB. The
values are counted in the text, which takes less than a second for the largest body.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Values of one document. A page of 100 pull requests with everything in it has 40,000.
MAX_VALUES = 500_000
# Memory that decoding and parsing may take, by the estimate below. Measured peaks stay under 300 MiB above idle.
MAX_MEMORY_BYTES = 256 * 2**20
# Bytes that a value takes, at most: a member with a name of its own in a large object. Measured with CPython 3.11.
VALUE_BYTES = 216
PIECE_BYTES = 2**20

_TOKENS = b'{}[],:"'
_OTHER = bytes(set(range(256)) - set(_TOKENS))
_TWO_BYTES = re.compile(rb'[\xc4-\xef]')
_FOUR_BYTES = re.compile(rb'[\xf0-\xf7]')
_ESCAPED_TWO_BYTES = re.compile(rb'\\u(?!00)')
_ESCAPED_FOUR_BYTES = re.compile(rb'\\u[dD][89abAB]')


class TooComplex(ValueError):
    """A document that would take too much memory or time. The text says in which way."""


def loads(text: bytes | str, max_values: int = MAX_VALUES) -> Any:
    """Parse JSON in UTF-8. Raises TooComplex, ValueError when it is not JSON, and RecursionError."""
    if isinstance(text, str):
        check(text.encode('utf-8', 'surrogatepass'), max_values)
        return json.loads(text)
    check(text, max_values)
    return json.loads(text.decode('utf-8-sig', 'surrogatepass'))


def check(content: bytes, max_values: int = MAX_VALUES) -> None:
    """Raise TooComplex for JSON that would take too much memory or time to parse."""
    values = count_values(content, max_values)
    if _memory(content, values) > MAX_MEMORY_BYTES:
        raise TooComplex(f'that would take more than {MAX_MEMORY_BYTES // 2**20} MiB of memory')


def count_values(content: bytes, max_values: int = MAX_VALUES) -> int:
    """Return an upper limit of the number of values in JSON. Raises TooComplex when there are more than `max_values`.

    Every value is followed by a comma or by the end of its container. Commas and brackets within strings are left out
    only where it matters.
    """
    if (rough := sum(map(content.count, (b',', b'{', b'[')))) <= max_values:
        return rough
    if (exact := _values_outside_strings(content)) <= max_values:
        return exact
    raise TooComplex(f'of more than {max_values:,} values')


def _values_outside_strings(content: bytes) -> int:
    # No string contains a quotation mark afterwards.
    content = content.replace(b'\\\\', b'').replace(b'\\"', b'')
    values = 0
    in_string = 0
    for start in range(0, len(content), PIECE_BYTES):
        parts = content[start : start + PIECE_BYTES].translate(None, _OTHER).split(b'"')
        values += sum(part.count(b',') + part.count(b'{') + part.count(b'[') for part in parts[in_string::2] if part)
        in_string ^= (len(parts) - 1) & 1
    return values


def _memory(content: bytes, values: int) -> int:
    """Estimate the memory of the body, its text, and what is parsed, in bytes.

    A character takes as many bytes as the largest one of its text needs.
    """
    width = parsed = 1
    if not content.isascii():
        width = 4 if _FOUR_BYTES.search(content) else 2 if _TWO_BYTES.search(content) else 1
    if b'\\u' in content:
        parsed = 4 if _ESCAPED_FOUR_BYTES.search(content) else 2 if _ESCAPED_TWO_BYTES.search(content) else 1
    return len(content) * (1 + width + max(width, parsed)) + values * VALUE_BYTES
