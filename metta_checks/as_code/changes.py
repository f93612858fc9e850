"""Differences between two documents, by path (`widgets[0].definition.title`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

ABSENT: Any = type('Absent', (), {'__repr__': lambda _: '(absent)', '__bool__': lambda _: False})()


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two documents. `old` or `new` is ABSENT where there is no value."""

    path: str
    old: Any
    new: Any

    def document(self) -> dict[str, Any]:
        """Return the change for JSON output, without `old` or `new` where there is no value."""
        sides = {'old': self.old, 'new': self.new}
        return {'path': self.path, **{side: value for side, value in sides.items() if value is not ABSENT}}


def same(one: Any, other: Any) -> bool:
    """Return whether two canonical values are equal; unlike in Python, true is not 1."""
    return as_text(one) == as_text(other)


def changes(old: Any, new: Any, path: str = '') -> list[Change]:
    """Return the differences between two canonical forms, by path (`widgets[0].definition.title`)."""
    return list(_compare(old, new, path))


def as_text(value: Any) -> str:
    """Return a value as a text that is equal for equal values only; unlike in Python, true is not 1."""
    return json.dumps(value, sort_keys=True, default=repr)


def _compare(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            where = f'{path}.{key}' if path else key
            yield from _compare(old.get(key, ABSENT), new.get(key, ABSENT), where)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(old, new, path)
    elif not same(old, new):
        yield Change(path, old, new)


def _compare_lists(old: list[Any], new: list[Any], path: str) -> Iterator[Change]:
    pairs = align(old, new)
    for before, after in pairs:
        where = f'{path}[{before if after is None else after}]'
        was = ABSENT if before is None else old[before]
        yield from _compare(was, ABSENT if after is None else new[after], where)
    kept = [before for before, after in pairs if before is not None and after is not None]
    if kept != sorted(kept):
        yield Change(f'{path} (order)', _names(old, sorted(kept)), _names(old, kept))


def _names(items: list[Any], indices: Iterable[int]) -> list[str]:
    """Return the identity of each item at the indices; its index in brackets for an item without one."""
    return [_identity(items[index]) or f'[{index}]' for index in indices]


def align(old: list[Any], new: list[Any]) -> list[tuple[int | None, int | None]]:
    """Pair the items of two lists, in the order of the new list; removed items come last."""
    before, after = _identities(old), _identities(new)
    if before is not None and after is not None:
        return _paired_by_identity(before, after)
    if len(old) == len(new):
        return [(index, index) for index in range(len(new))]
    return _sequence(old, new)


def _paired_by_identity(before: dict[str, int], after: dict[str, int]) -> list[tuple[int | None, int | None]]:
    partner = {after[name]: index for name, index in before.items() if name in after}
    removed = [index for name, index in before.items() if name not in after]
    added = [index for name, index in after.items() if name not in before]
    if len(removed) == len(added):
        # As many items removed as added: renamed, not replaced.
        partner.update(zip(added, removed, strict=True))
        removed = []
    return [*((partner.get(index), index) for index in after.values()), *((index, None) for index in removed)]


def _sequence(old: list[Any], new: list[Any]) -> list[tuple[int | None, int | None]]:
    pairs: list[tuple[int | None, int | None]] = []
    gone: list[tuple[int | None, int | None]] = []
    matcher = SequenceMatcher(None, [as_text(item) for item in old], [as_text(item) for item in new], autojunk=False)
    for _, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        common = min(old_end - old_start, new_end - new_start)
        pairs += [(old_start + step, new_start + step) for step in range(common)]
        pairs += [(None, index) for index in range(new_start + common, new_end)]
        gone += [(index, None) for index in range(old_start + common, old_end)]
    return pairs + gone


def _identities(items: Iterable[Any]) -> dict[str, int] | None:
    """Return the identity of each item; None when an item has none or two items share one."""
    names = [_identity(item) for item in items]
    if None in names or len(set(names)) != len(names):
        return None
    return {name: index for index, name in enumerate(names) if name is not None}


def _identity(item: Any) -> str | None:
    """Return the title of a widget, the name of a query or variable, or the time frame of a threshold."""
    if not isinstance(item, dict):
        return None
    definition = item.get('definition')
    if isinstance(definition, dict):
        title = definition.get('title')
        return f'{definition.get("type")}: {title}' if isinstance(title, str) else None
    for key in ('name', 'timeframe'):
        if isinstance(value := item.get(key), str):
            return value
    return None
