"""Connections, the lists of GitHub's GraphQL: their nodes, their total and the cursor of the next page.

GitHub's schema promises the types of ids, numbers and flags. A value of another type is an error, because it would lead
to wrong figures. Optional times and texts of another type count as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import BadPayload
from ..core.fields import Contract, flag, integer, items, mapping, objects, text

GITHUB = Contract('GitHub')


def nodes(fields: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the nodes of the connection in a field; none when the field is null or missing."""
    return resolved(GITHUB.part(fields, key), 'nodes')


def resolved(fields: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects of the list in a field, without those that GraphQL could not resolve, which are null.

    Raises BadPayload for an element of another type.
    """
    listed = GITHUB.optional(items, fields, key) or []
    found = objects([node for node in listed if node is not None])
    if found is None:
        raise BadPayload(f'GitHub sent {key} that are not objects')
    return [node for node in found if node]


def unresolved(fields: Mapping[str, Any], key: str) -> int:
    """Return the number of nodes of the connection in a field that GraphQL could not resolve, which are null."""
    listed = GITHUB.optional(items, GITHUB.part(fields, key), 'nodes') or []
    return sum(not node for node in listed)


def shows_page(fields: Mapping[str, Any], key: str) -> bool:
    """Return whether GitHub shows every node on the page of the connection in a field."""
    return GITHUB.optional(items, GITHUB.part(fields, key), 'nodes') is not None and not unresolved(fields, key)


def total(fields: Mapping[str, Any], key: str) -> int | None:
    """Return the number of all nodes of the connection in a field, also of those on further pages."""
    return GITHUB.optional(integer, GITHUB.part(fields, key), 'totalCount')


def next_cursor(fields: Mapping[str, Any], key: str) -> str | None:
    """Return the cursor of the next page of the connection in a field, None on the last page."""
    page = GITHUB.part(GITHUB.part(fields, key), 'pageInfo')
    return GITHUB.optional(text, page, 'endCursor') if GITHUB.optional(flag, page, 'hasNextPage') else None


def descend(fields: Mapping[str, Any], *keys: str) -> Mapping[str, Any] | None:
    """Return the object at a path of fields, None when one of them is null or missing."""
    found: Mapping[str, Any] | None = fields
    for key in keys:
        if found is None:
            return None
        found = GITHUB.optional(mapping, found, key)
    return found


def without_unknown(data: Mapping[str, Any], paths: Iterable[Sequence[str | int]]) -> dict[str, Any]:
    """Return data without the nulls that errors are about, so that they are missing instead of known to be nothing.

    A path names the place of an error, which may lie below its null. An error without a path may be about any null.
    Nulls in lists stay.
    """
    found: Any = dict(data)
    for path in paths:
        found = _without_null_at(found, path) if path else _without_nulls(found)
    known: dict[str, Any] = found
    return known


def _without_null_at(value: Any, path: Sequence[str | int]) -> Any:
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step in value:
        if value[step] is None:
            return {key: part for key, part in value.items() if key != step}
        return {**value, step: _without_null_at(value[step], rest)} if rest else value
    if isinstance(value, list) and isinstance(step, int) and rest:
        return [_without_null_at(part, rest) if place == step else part for place, part in enumerate(value)]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value
