"""Connections, the lists of GitHub's GraphQL: their nodes, their total and the cursor of the next page.

GitHub's schema promises the types of ids, numbers and flags. A value of another type is an error, because it would lead
to wrong figures. Optional times and texts of another type count as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
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
