"""Which namespaces are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

# A name without wildcards: exactly one namespace.
_PLAIN = re.compile(r'[a-z0-9]([-a-z0-9]*[a-z0-9])?')
# More namespaces than this are read with one list of the whole cluster.
MAX_LISTED = 10


class Namespaces:
    """Shell patterns: a namespace is seen if an `include` pattern matches (or there is none) and no `exclude` does."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        seen = self._known.get(name)
        if seen is None:
            included = not self.include or any(fnmatchcase(name, pattern) for pattern in self.include)
            seen = included and not any(fnmatchcase(name, pattern) for pattern in self.exclude)
            self._known[name] = seen
        return seen

    def scopes(self) -> tuple[str, ...]:
        """Namespaces to list one by one; `('',)` for one list of the whole cluster.

        A few plain names are listed one by one, so that a Role in each of them suffices.
        """
        names = tuple(dict.fromkeys(self.include))
        if 0 < len(names) <= MAX_LISTED and all(_PLAIN.fullmatch(name) for name in names):
            return tuple(name for name in names if name in self)
        return ('',)
