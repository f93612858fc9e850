"""The namespaces that an instance reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

# A name without wildcards matches exactly one namespace.
_PLAIN = re.compile(r'[a-z0-9]([-a-z0-9]*[a-z0-9])?')
# More namespaces than this are read with one list of the whole cluster.
MAX_LISTED = 10


class Namespaces:
    """The namespaces that match an `include` pattern, or all without one, and no `exclude` pattern.

    Parameters:
        include: shell patterns
        exclude: shell patterns
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        is_read = self._known.get(name)
        if is_read is None:
            is_read = (not self.include or _matches(name, self.include)) and not _matches(name, self.exclude)
            self._known[name] = is_read
        return is_read

    def unmatched(self, names: Iterable[str]) -> list[str]:
        """Return the `include` patterns with wildcards that match none of these namespaces."""
        known = set(names)
        patterns = (pattern for pattern in self.include if not _PLAIN.fullmatch(pattern))
        return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in known)]

    def scopes(self) -> tuple[str, ...]:
        """Return the namespaces to list one by one; `('',)` for one list of the whole cluster.

        A few plain names are listed one by one, so that a Role in each of them is enough.
        """
        names = tuple(dict.fromkeys(self.include))
        if 0 < len(names) <= MAX_LISTED and all(map(_PLAIN.fullmatch, names)):
            return tuple(name for name in names if name in self)
        return ('',)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
