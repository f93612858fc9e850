"""All targets, by name."""

from __future__ import annotations

from functools import cache

from ..target import Target


@cache
def all_targets() -> dict[str, Target]:
    """Return every target by name; nothing is recorded before a target is used."""
    from . import checks, http, records, snapshots, texts

    return {target.name: target for module in (texts, http, records, snapshots, checks) for target in module.targets()}
