"""Changes that people made in Datadog, merged back into a file in which the rest keeps its notation."""

from __future__ import annotations

from typing import Any

from .canonical import canonical, plain
from .changes import align, as_text, same


def merge(kind: str, source: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """Return the source with the changes of `live` applied; parts with the same meaning keep their notation.

    The result has the canonical form of `live`.
    """
    wanted = canonical(kind, live)
    merged = _merge(source, canonical(kind, source), wanted)
    return merged if same(canonical(kind, merged), wanted) else wanted


def _merge(raw: Any, ours: Any, theirs: Any) -> Any:
    """Return `raw` (as in the file, canonical form `ours`) with the changes that lead to `theirs`."""
    if same(ours, theirs):
        return raw
    sides = (raw, ours, theirs)
    if all(isinstance(side, dict) for side in sides):
        return _merge_objects(raw, ours, theirs)
    if all(isinstance(side, list) for side in sides) and len(raw) == len(ours):
        return _merge_lists(raw, ours, theirs)
    return theirs


def _merge_objects(raw: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key, value in raw.items():
        if key in theirs:
            merged[key] = _merge(value, ours[key], theirs[key]) if key in ours else theirs[key]
        elif key not in ours:
            # In neither: a default that is written out. In the file only: removed in Datadog.
            merged[key] = value
    merged |= {key: value for key, value in theirs.items() if key not in merged}
    # The older spelling is dropped: Datadog accepts one of the two.
    for older, newer in (('default', 'defaults'), ('value', 'values')):
        if newer in merged and older in raw and newer not in raw:
            merged.pop(older, None)
    return merged


def _merge_lists(raw: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    if _reordered(raw, ours):
        return _merge_unordered(raw, theirs)
    return [
        theirs[after] if before is None else _merge(raw[before], ours[before], theirs[after])
        for before, after in align(ours, theirs)
        if after is not None
    ]


def _reordered(raw: list[Any], ours: list[Any]) -> bool:
    """Return whether the canonical form has another order of a list of plain values."""
    before, after = [as_text(plain(item)) for item in raw], [as_text(item) for item in ours]
    return before != after and sorted(before) == sorted(after)


def _merge_unordered(raw: list[Any], theirs: list[Any]) -> list[Any]:
    """Return the items that stay, in the order of the source, followed by the new ones."""
    missing = [as_text(item) for item in theirs]
    kept = []
    for item in raw:
        if (text := as_text(plain(item))) in missing:
            missing.remove(text)
            kept.append(item)
    return kept + [item for item in theirs if as_text(item) in missing]
