"""Keys of run summaries and configurations, whose objects may be nested and whose names may contain dots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.fields import mapping

# A longer key is looked up literally and by its first part only.
MAX_PARTS = 8


def value_at(values: Mapping[str, Any], key: str) -> Any:
    """Return the value under a key, None without one.

    The key is looked up literally, then as a path of keys joined by dots. Each key of the path may contain dots itself:
    `eval.top1.max` finds {"eval.top1": {"max": 0.9}}. The longest first key wins.
    """
    if key in values:
        return values[key]
    for name, rest in _splits(key):
        found = mapping(values.get(name))
        if found is not None and (value := value_at(found, rest)) is not None:
            return value
    return None


def top_level_names(key: str) -> list[str]:
    """Return the names at the top level under which `value_at` looks for a key."""
    return [key, *(name for name, _ in _splits(key))]


def _splits(key: str) -> list[tuple[str, str]]:
    """Return the ways to split a key in two at a dot, with the longest first part first."""
    parts = key.split('.')
    if len(parts) > MAX_PARTS:
        return [(parts[0], key.partition('.')[2])]
    return [('.'.join(parts[:end]), '.'.join(parts[end:])) for end in range(len(parts) - 1, 0, -1)]
