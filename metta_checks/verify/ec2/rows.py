"""Figures before they get their full names, and the values of their tags."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

# Name without the prefix, value (None: unknown), tags beyond that of the account.
Row = tuple[str, float | None, Mapping[str, str]]
OTHER = 'other'


def row(name: str, value: float | None, **tags: str) -> Row:
    """Return a figure with its own tags."""
    return name, value, tags


def tagged(name: str, key: str, values: Mapping[str, float]) -> Iterable[Row]:
    """Yield all values under their own tag values."""
    return by_tag(name, key, values, len(values))


def by_tag(name: str, key: str, values: Mapping[str, float], limit: int) -> Iterable[Row]:
    """Yield the largest values under their own tag values, and the sum of all others as `other`."""
    if not values:
        yield row(name, None)
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    shown, rest = ordered[:limit], ordered[limit:]
    for value, amount in shown:
        yield name, amount, {key: value}
    if rest:
        yield name, math.fsum(amount for _, amount in rest), {key: OTHER}


def known_sum(values: Iterable[float | None]) -> float | None:
    """Return the sum of the known values: 0 without values, None when there are values and none is known."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return None if listed and not known else math.fsum(known)
