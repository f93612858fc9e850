"""Single values of GitHub's answers.

All raise TypeError, ValueError or AttributeError for what is something else; `answers.parsing` turns these into
BadPayload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..windows import parse_time

# GitHub's numbers are 64 bits wide.
MAX_WHOLE = 2**63


def epoch(value: Any) -> float | None:
    """GitHub's time as seconds since the epoch; None for null and what is no time."""
    moment = parse_time(value)
    return moment.timestamp() if moment else None


def nodes(connection: Any) -> list[Mapping[str, Any]]:
    """The nodes of a connection that are there: GraphQL gives null for what it could not resolve."""
    found = (connection or {}).get('nodes') or ()
    if not isinstance(found, (list, tuple)) or not all(node is None or isinstance(node, Mapping) for node in found):
        raise TypeError(f'nodes: {type(found).__name__} of something else')
    return [node for node in found if node]


def total(connection: Any) -> int | None:
    """The totalCount of a connection, None without one."""
    return whole((connection or {}).get('totalCount'))


def whole(value: Any) -> int | None:
    """A whole number, None for null."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or abs(value) >= MAX_WHOLE):
        raise TypeError(f'{str(value)[:20]!r} is no whole number')
    return value


def identity(value: Any) -> int:
    """The number of a thing, which everything has."""
    if (number := whole(value)) is None:
        raise TypeError('null in the place of a number')
    return number


def named(value: Any) -> str | None:
    """A text, None for null."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f'{type(value).__name__} in the place of a text')
    return value


def full_name(value: Any) -> str:
    """owner/name."""
    if not isinstance(value, str) or value.count('/') != 1:
        raise TypeError(f'{str(value)[:40]!r} is no owner/name')
    return value
