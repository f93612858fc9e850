"""Stored values: frozen dataclasses, which the core keeps as JSON between runs and checks when it reads them back.

    @stored
    class Restarts:
        by_container: dict[str, int]

A document of another shape (unknown or missing fields, other types) is refused as a whole: its block is cold.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any, TypeVar, dataclass_transform

T = TypeVar('T')

# Seconds since the epoch up to 2096, which hold microseconds exactly. pydantic takes numbers beyond 2603 for
# milliseconds, and people write 9999-12-31 for "never".
MAX_SECONDS = 4e9


@dataclass_transform(frozen_default=True)
def stored(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass that can be stored.

    Its fields are JSON values, sets, aware times, dataclasses and named tuples.
    """
    # For pydantic, which the Agent bundles: it checks the documents.
    cls.__pydantic_config__ = {'extra': 'forbid'}  # type: ignore[attr-defined]  # pydantic's protocol
    return dataclasses.dataclass(frozen=True, slots=True)(cls)


@stored
class NoMemory:
    """The memory of a source without a memory of the instance as a whole."""


def dumps(value: Any) -> str:
    """Return a document of stored dataclasses, lists, dictionaries and plain values."""
    return json.dumps(value, default=_fields, separators=(',', ':'))


def load(kind: type[T], document: Any) -> T:
    """Return the value of a decoded document, as its type. Raises ValueError for a document of another shape."""
    value: T = _adapter(kind).validate_python(document)
    return value


def _fields(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, datetime):
        # Less than half the length of ISO 8601. pydantic reads seconds since the epoch as aware UTC.
        seconds = value.timestamp()
        if not 0 <= seconds < MAX_SECONDS:
            return value.isoformat()
        return int(seconds) if seconds.is_integer() else seconds
    raise TypeError(f'{type(value).__name__} cannot be stored')


# By type.
_adapters: dict[Any, Any] = {}


def _adapter(kind: Any) -> Any:
    if kind not in _adapters:
        # Imported when something is read back: the configuration models have imported it by then.
        from pydantic import TypeAdapter

        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
