"""The fields, arguments and filters that a server understands. Self-managed servers may be old."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ..core.stored import stored

# Fields and arguments that a server may lack, with the figures that need them.
OPTIONAL_NAMES = {
    'computeSeconds': 'running times include pauses',
    'runInfo': 'types of GPUs are unknown, and their number is taken from the system metrics',
    'host': 'GPUs of runs at the same time are unknown, unless the runs name the ids of their GPUs',
    'keys': 'whole summaries are read, and ids of GPUs are not',
}
_UNKNOWN_NAME = re.compile(r'(?:Cannot query field|Unknown argument) "(\w+)"')


@stored
class Dialect:
    """The queries that a server understands.

    Attributes:
        missing: the names in OPTIONAL_NAMES that it does not know, in their order
        heartbeat_filter: True when filters may name heartbeatAt; None before it was tried
    """

    missing: tuple[str, ...] = ()
    heartbeat_filter: bool | None = None

    def has(self, name: str) -> bool:
        """Return True when the server knows a field or argument."""
        return name not in self.missing

    def without(self, names: Iterable[str]) -> Dialect:
        """Return the dialect without further names."""
        missing = {*self.missing, *names}
        return replace(self, missing=tuple(name for name in OPTIONAL_NAMES if name in missing))


def unknown_names(messages: Iterable[str]) -> frozenset[str]:
    """Return the optional names that error messages of GraphQL's validation say the server does not know."""
    found = {name for message in messages for name in _UNKNOWN_NAME.findall(message)}
    return frozenset(found & set(OPTIONAL_NAMES))
