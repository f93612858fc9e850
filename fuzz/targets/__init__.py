"""All targets, by name."""

from __future__ import annotations

from functools import cache

from ..target import Target


@cache
def all_targets() -> dict[str, Target]:
    """Return every target by name; nothing is recorded before a target is used."""
    from . import checks, exchanges, http, records, snapshots, texts

    modules = (texts, http, exchanges, records, snapshots, checks)
    return {target.name: target for module in modules for target in module.targets()}
