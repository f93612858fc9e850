"""What hardly changes and need not be asked for in every refresh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Cache:
    """A section of the instance's memory, a JSON object: changed in place and persisted with it.

    What AWS does not have is remembered as None, so that it is not asked for in every refresh.
    """

    def __init__(self, memory: dict[str, Any], section: str, now: float, *, fresh: float, usable: float) -> None:
        """Open a section.

        `fresh`: seconds until something is asked for again; `usable`: until it is not used any more, should asking
        fail.
        """
        self._entries: dict[str, list[Any]] = memory.setdefault(section, {})
        self._now = now
        self._fresh = fresh
        for key in [key for key, (_, at) in self._entries.items() if not 0 <= now - at <= usable]:
            del self._entries[key]

    def stale(self, keys: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        """Yield the keys that have to be asked for."""
        return (key for key in keys if self.is_stale(key))

    def is_stale(self, key: tuple[str, ...]) -> bool:
        """Return whether a key has to be asked for."""
        entry = self._entries.get('|'.join(key))
        # A second of grace, because refreshes do not start to the millisecond.
        return entry is None or self._now - entry[1] >= self._fresh - 1

    def knows(self, key: tuple[str, ...]) -> bool:
        """Whether it was ever answered, be it with "there is none"."""
        return '|'.join(key) in self._entries

    def put(self, key: tuple[str, ...], value: Any) -> None:
        """Remember what was read now: a JSON value, None for "there is none"."""
        self._entries['|'.join(key)] = [value, self._now]

    def get(self, key: tuple[str, ...]) -> tuple[Any, float] | None:
        """Value and time of reading, None when unknown or known to be missing."""
        value, at = self._entries.get('|'.join(key), (None, 0.0))
        return None if value is None else (value, at)
