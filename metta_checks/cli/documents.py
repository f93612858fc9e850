"""The JSON that the commands print: one shape for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

# Raised when a field is removed or changes its meaning. New fields do not raise it.
SCHEMA_VERSION = 1


NOTHING: Mapping[str, Any] = MappingProxyType({})


def document(command: str, results: Iterable[Any], summary: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
    """Return the JSON document of a command.

    Parameters:
        results: objects, one per instance, finding, file or object of Datadog
        summary: facts about the results as a whole
    """
    return {'schema_version': SCHEMA_VERSION, 'command': command, 'summary': dict(summary), 'results': list(results)}
