"""The JSON that the commands print: one shape for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Raised when a field is removed or changes its meaning. New fields do not raise it.
SCHEMA_VERSION = 1


def document(command: str, results: Iterable[Any]) -> dict[str, Any]:
    """Return the JSON document of a command. Its results are objects, one per instance or per row."""
    return {'schema_version': SCHEMA_VERSION, 'command': command, 'results': list(results)}
