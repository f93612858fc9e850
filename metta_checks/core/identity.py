"""Identity of an instance: the key of its snapshot, and other instances of this process with the same key."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol
from weakref import WeakValueDictionary, ref

from datadog_checks.base.utils.http import STANDARD_FIELDS

from .memo import fingerprint

# Options of all sources that change how, not what, they read: intervals, options of the Agent and of the toolkit's HTTP
# wrapper.
COMMON_READING_OPTIONS = frozenset(STANDARD_FIELDS) | {
    'min_collection_interval',
    'refresh_interval',
    'refresh_timeout',
    'empty_default_hostname',
    'name',
    'service',
}


def snapshot_key(instance: Mapping[str, Any], ignored: Collection[str]) -> str:
    """Return the key of an instance's snapshot.

    It depends on all options except COMMON_READING_OPTIONS and those to be `ignored`: instances with one key show the
    same series. The order of tags does not matter.
    """
    left_out = COMMON_READING_OPTIONS.union(ignored)
    shown = {name: value for name, value in instance.items() if name not in left_out}
    if isinstance(shown.get('tags'), (list, tuple)):
        shown['tags'] = sorted(map(str, shown['tags']))
    return hashlib.sha256(json.dumps(shown, sort_keys=True, default=str).encode()).hexdigest()[:32]


def credentials_key(secrets: Iterable[str]) -> str:
    """Return a fingerprint of the credentials in a configuration, '' without any, to notice that they changed."""
    found = sorted(set(secrets))
    return fingerprint(json.dumps(found)) if found else ''


class Runnable(Protocol):
    """An instance that the Agent runs until it cancels it."""

    @property
    def is_canceled(self) -> bool:
        """True once the Agent has unscheduled the instance."""


class Duplicates:
    """Notices two instances with one key that the Agent runs at the same time."""

    def __init__(self) -> None:
        self._last: WeakValueDictionary[str, Runnable] = WeakValueDictionary()
        self._twin: dict[str, tuple[ref[Runnable], ref[Runnable]]] = {}
        self._lock = threading.Lock()

    def ran(self, key: str, instance: Runnable, *, before: bool) -> bool:
        """Note a run of an instance, and return whether another one with its key is being run, too.

        `before`: whether the instance has run before. Then another one that ran in between is not its predecessor.
        """
        with self._lock:
            last = self._last.get(key)
            self._last[key] = instance
            if last is not None and last is not instance and before:
                self._twin[key] = ref(last), ref(instance)
            twins = [one for one in (twin() for twin in self._twin.get(key, ())) if one is not None]
            found = len(twins) == 2 and instance in twins and not any(one.is_canceled for one in twins)
            if not found:
                self._twin.pop(key, None)
            return found


# The instances of this process.
DUPLICATES = Duplicates()
