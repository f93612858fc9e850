"""Kubernetes quantities: `250m`, `1500M`, `1Ti`, `1e9`.

The API server stores what users wrote, so that every notation of the grammar occurs, even `100m` of memory.
Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import math
import re
from typing import Any

from ..core.fields import amount

MIB = 2**20
GIB = 2**30

_QUANTITY = re.compile(
    r'\+?(?P<digits>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)'
    r'(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]+))?'
)
# As exponents in text, so that Python's own decimal conversion rounds once and correctly.
_DECIMAL = {
    'n': '-9',
    'u': '-6',
    'm': '-3',
    'k': '3',
    'M': '6',
    'G': '9',
    'T': '12',
    'P': '15',
    'E': '18',
}
_BINARY = {f'{prefix}i': 1024.0**power for power, prefix in enumerate('KMGTPE', start=1)}


class BadQuantity(ValueError):
    """The value is not a quantity, or is one that no resource can have (negative, infinite)."""


def parse_quantity(value: Any) -> float:
    """Return a quantity as a number: cores of CPU, bytes of memory, pieces of devices.

    Accepts the grammar of Kubernetes without negative numbers, and plain JSON numbers. Raises BadQuantity.

    >>> parse_quantity('250m'), parse_quantity('1Ki'), parse_quantity('12e6')
    (0.25, 1024.0, 12000000.0)
    """
    number = _from_text(value) if isinstance(value, str) else amount(value)
    if number is None or not math.isfinite(number):
        raise BadQuantity(value)
    return number


def _from_text(text: str) -> float | None:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    digits, suffix, exponent = found.groups()
    if (factor := _BINARY.get(suffix)) is not None:
        return float(digits) * factor
    return float(f'{digits}e{exponent or _DECIMAL.get(suffix, "0")}')
