"""Kubernetes quantities: `250m`, `1500M`, `1Ti`, `1e9`.

The API server stores what users wrote, so every notation of the grammar turns up, also the odd ones (`100m` of memory).
Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import math
from typing import Any

from ..core.fields import amount

# As exponents in text, so that Python's own decimal conversion rounds once and correctly.
_DECIMAL = {
    'n': 'e-9',
    'u': 'e-6',
    'm': 'e-3',
    'k': 'e3',
    'M': 'e6',
    'G': 'e9',
    'T': 'e12',
    'P': 'e15',
    'E': 'e18',
}
_BINARY = {prefix: 1024.0**power for power, prefix in enumerate('KMGTPE', start=1)}


class BadQuantity(ValueError):
    """Not a quantity, or one that no resource can have (negative, infinite)."""


def parse_quantity(value: Any) -> float:
    """The number behind a quantity: cores for CPU, bytes for memory, pieces for devices.

    Accepts the grammar of Kubernetes without negative numbers, and plain JSON numbers. Raises BadQuantity.

    >>> parse_quantity('250m'), parse_quantity('1Ki'), parse_quantity('12e6')
    (0.25, 1024.0, 12000000.0)
    """
    if not isinstance(value, str):
        return _finite(amount(value), value)
    text = value.removeprefix('+')
    last = text[-1:]
    if last == 'i':
        factor = _BINARY.get(text[-2:-1])
        if factor is None or not _is_digits(text[:-2]):
            raise BadQuantity(value)
        return _finite(float(text[:-2]) * factor, value)
    if (exponent := _DECIMAL.get(last)) is not None:
        if not _is_digits(text[:-1]):
            raise BadQuantity(value)
        return _finite(float(text[:-1] + exponent), value)
    if _is_digits(text):
        return _finite(float(text), value)
    mantissa, _, power = text.replace('E', 'e').partition('e')
    if not _is_digits(mantissa) or not (power.isascii() and power.removeprefix('-').removeprefix('+').isdigit()):
        raise BadQuantity(value)
    if power.startswith('-+'):
        raise BadQuantity(value)
    return _finite(float(f'{mantissa}e{power}'), value)


def _is_digits(text: str) -> bool:
    """ASCII digits with at most one point: `float` alone would take `1_000`, `nan`, blanks, digits of other scripts."""
    return text.replace('.', '', 1).isdigit() and text.isascii()


def _finite(number: float | None, value: Any) -> float:
    if number is None or not math.isfinite(number):
        raise BadQuantity(value)
    return number
