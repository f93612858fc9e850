"""Values of GitHub's answers: names of repositories, connections of GraphQL.

GitHub's schema promises the types of ids, numbers and flags: another type is an error, because it would lead to wrong
figures. Optional times and text of another type count as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import BadPayload
from ..core.fields import Contract, flag, integer, items, objects, text

GITHUB = Contract('GitHub')


def full_name(value: Any) -> str | None:
    """Return the name of a repository, `owner/name`."""
    name = text(value)
    return name if name is not None and name.count('/') == 1 else None


def nodes(connection: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the nodes of a connection, none without one. GraphQL sends null for a node that it could not resolve.

    Raises BadPayload for nodes of another type.
    """
    listed = GITHUB.optional(items, connection or {}, 'nodes') or []
    found = objects([node for node in listed if node is not None])
    if found is None:
        raise BadPayload('GitHub sent nodes that are not objects')
    return [node for node in found if node]


def total(connection: Mapping[str, Any] | None) -> int | None:
    """Return the number of all nodes of a connection, on further pages too."""
    return GITHUB.optional(integer, connection or {}, 'totalCount')


def next_cursor(connection: Mapping[str, Any]) -> str | None:
    """Return the cursor at which the next page begins, None on the last one."""
    page = GITHUB.part(connection, 'pageInfo')
    return GITHUB.optional(text, page, 'endCursor') if GITHUB.optional(flag, page, 'hasNextPage') else None
