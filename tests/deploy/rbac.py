"""Rules of Kubernetes against requests to Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# (API group, resource, verb)
Right = tuple[str, str, str]
_PATH = re.compile(
    r'/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)(?P<name>/.+)?'
)
VERBS = {'GET': 'get', 'POST': 'create', 'PUT': 'update', 'PATCH': 'patch', 'DELETE': 'delete'}


def right(method: str, path: str, query: str = '') -> Right:
    """Return the permission that a request needs. Raises ValueError for a path that is not a resource."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f'{method} {path} asks for no resource')
    verb = VERBS[method]
    if not found['name'] and method == 'GET':
        verb = 'watch' if 'watch=' in query else 'list'
    elif not found['name'] and method == 'DELETE':
        verb = 'deletecollection'
    resource = found['resource']
    if found['name'] and '/' in found['name'][1:]:
        resource = f'{resource}/{found["name"][1:].partition("/")[2]}'
    return found['group'] or '', resource, verb


def rights(role: dict[str, Any]) -> set[Right]:
    """Return the permissions of a Role or ClusterRole. Raises ValueError for a wildcard, which cannot be compared."""
    found = {
        (group, resource, verb)
        for rule in role['rules']
        for group in rule['apiGroups']
        for resource in rule['resources']
        for verb in rule['verbs']
    }
    if any('*' in part for one in found for part in one):
        raise ValueError(f'{role["metadata"]["name"]} has a wildcard')
    return found


def differences(needed: Iterable[Right], granted: Iterable[Right]) -> dict[str, set[Right]]:
    """Return the missing and the superfluous permissions of rules."""
    found = {'missing': set(needed) - set(granted), 'superfluous': set(granted) - set(needed)}
    return {kind: some for kind, some in found.items() if some}
