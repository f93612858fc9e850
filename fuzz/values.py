"""Unusual JSON values and texts."""

from __future__ import annotations

import math
from typing import Any

from .choices import Choose, pick

NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    0.5,
    -0.0,
    1e-300,
    1e300,
    1.7976931348623157e308,
    math.nan,
    math.inf,
    -math.inf,
    2**31,
    2**53 + 1,
    -(2**63),
    2**64,
    10**18,
    10**400,
    -(10**400),
    253402300800,
    1e17,
)
TEXTS = (
    '',
    ' ',
    'x',
    '0',
    '-1',
    '1e999',
    'NaN',
    'Infinity',
    'null',
    '[]',
    '{}',
    '{"a": NaN}',
    '[' * 2000,
    '2026-11-24T18:00:00Z',
    '2026-11-24',
    '2026-W48',
    '0001-01-01T00:00:00+14:00',
    '9999-12-31T23:59:59.999999Z',
    '9999-12-31T23:59:59-14:00',
    '1970-01-01T00:00:00Z',
    '2026-02-30T25:61:61Z',
    '20261124T180000,5Z',
    '\x00',
    '\ud800',
    '\udfff\ud800',
    '\u202egpj',
    '\u0130\u0131\u00df',
    '\u0664\u0662',
    '\u00b2',
    '\U0001f4a5',
    'a:b,c|d#e',
    'line\nline\r\n',
    '../../..',
    '%s %n {0} {x!r}',
    '</a>&amp;<!--',
    'it\'s "so" \\',
    '1' * 5000,
    'x' * 3000,
)
ALPHABET = 'ab:=,.+-*/(){}[]<>$"\'\\ 0123456789eEnumkKMGTPixX%_|!?&;#@~^\n\t\x00\u00e9\u0664\ud800'


def number(choose: Choose) -> Any:
    """Return a JSON number, or one that only Python's JSON texts may contain."""
    if choose(3):
        return pick(choose, NUMBERS)
    value = choose(1 << (1 + choose(62)))
    return (value, -value, value / 7, value * 10 ** choose(40))[choose(4)]


def text(choose: Choose) -> str:
    """Return a text."""
    if choose(3):
        return pick(choose, TEXTS)
    return ''.join(pick(choose, ALPHABET) for _ in range(choose(12)))


def value(choose: Choose, depth: int = 3) -> Any:
    """Return any JSON value."""
    kind = choose(10 if depth else 8)
    if kind < 3:
        return (None, False, True)[kind]
    if kind < 5:
        return number(choose)
    if kind < 7:
        return text(choose)
    if kind == 7:
        return pick(choose, ([], {}, [None], [[]], [{}], {'': None}, [0, '', None, {}]))
    if kind == 8:
        if not choose(6):
            return nested(choose(200))
        return [value(choose, depth - 1) for _ in range(choose(4))]
    return {text(choose)[:40]: value(choose, depth - 1) for _ in range(choose(4))}


def nested(depth: int) -> Any:
    """Return lists in lists."""
    result: Any = []
    for _ in range(depth):
        result = [result]
    return result
