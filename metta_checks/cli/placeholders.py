"""Values of an example file that nobody has replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Names in angle brackets, and values that look like real ones.
PLACEHOLDER = re.compile(r'<[A-Z][A-Z0-9_]*>|my-org/my-repository')


def unreplaced(instance: Mapping[str, Any]) -> list[str]:
    """Return the options of an instance whose value contains a placeholder, in the order of the file."""
    return [name for name, value in instance.items() if any(PLACEHOLDER.search(text) for text in _texts(value))]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
