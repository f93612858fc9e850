"""Readers of fields: of decoded JSON, and of answers that botocore has parsed.

A reader takes any value and never raises. It returns the value in the type that it is named for, and None for
everything else: for null, for a missing field (`text(row.get('name'))`) and for a value of another type. Text is never
a number, a number is never text (but for `decimal`), and true and false are neither.

Most services omit, null and extend fields as they like: their fields are read with the readers alone, so that a damaged
field costs a figure and not the answer. A service that promises the types of its fields has a `Contract`, which raises
BadPayload for a value of another type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from .errors import BadPayload

T = TypeVar('T')

# Integers of all services are at most 64 bits wide.
INTEGER_LIMIT = 2**63
# Larger numbers are damage. Sums of numbers below it are finite.
NUMBER_LIMIT = 1e300


def text(value: Any) -> str | None:
    """Return text that is not empty."""
    return value if isinstance(value, str) and value else None


def integer(value: Any) -> int | None:
    """Return a whole number of at most 64 bits, also one that is written as 3.0."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -INTEGER_LIMIT <= value < INTEGER_LIMIT else None


def number(value: Any) -> float | None:
    """Return a number as a finite float. NaN, Infinity and numbers beyond NUMBER_LIMIT are None."""
    # The comparison is also false for NaN. Compares types, which is faster than isinstance: sources read every field of
    # thousands of rows.
    return float(value) if type(value) in (int, float) and -NUMBER_LIMIT < value < NUMBER_LIMIT else None


def amount(value: Any) -> float | None:
    """Return a number that is not negative."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def decimal(value: Any) -> float | None:
    """Return a number that is written as text, as AWS writes prices: `0.3100`."""
    try:
        return number(float(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def flag(value: Any) -> bool | None:
    """Return true or false, also when written as 1 or 0, as databases do."""
    return bool(value) if type(value) in (bool, int) and value in (0, 1) else None


def moment(value: Any) -> datetime | None:
    """Return an ISO 8601 time as aware UTC; a time without an offset is UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def timestamp(value: Any) -> float | None:
    """Return an ISO 8601 time as seconds since the epoch."""
    found = moment(value)
    return None if found is None else found.timestamp()


def day(value: Any) -> date | None:
    """Return an ISO 8601 date."""
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def mapping(value: Any) -> Mapping[str, Any] | None:
    """Return a JSON object."""
    return value if isinstance(value, Mapping) else None


def items(value: Any) -> list[Any] | None:
    """Return a list, of elements of any type."""
    return value if isinstance(value, list) else None


def objects(value: Any) -> list[Mapping[str, Any]] | None:
    """Return a list in which every element is a JSON object."""
    return value if isinstance(value, list) and all(isinstance(item, Mapping) for item in value) else None


@dataclass(frozen=True, slots=True)
class Contract:
    """Reads fields of a service that promises their types.

    `service` is the name of the service in messages. `hint` is a question to the user that ends them.
    """

    service: str
    hint: str = ''

    def optional(self, read: Callable[[Any], T | None], fields: Mapping[str, Any], key: str) -> T | None:
        """Return a field as `read` does. Missing, null and empty text are None.

        Raises BadPayload for a value that `read` does not take.
        """
        value = fields.get(key)
        if value is None or value == '':
            return None
        found = read(value)
        if found is None:
            raise self._broken(f'{key} as {type(value).__name__}')
        return found

    def required(self, read: Callable[[Any], T | None], fields: Mapping[str, Any], key: str, what: str = 'object') -> T:
        """Return a field that every `what` has. Raises BadPayload without it."""
        found = self.optional(read, fields, key)
        if found is None:
            raise self._broken(f'one {what} without {key}')
        return found

    def part(self, fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """Return the object in an optional field, an empty one without it."""
        return self.optional(mapping, fields, key) or {}

    def parts(self, fields: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        """Return the objects in an optional list, none without it."""
        return self.optional(objects, fields, key) or []

    def _broken(self, what: str) -> BadPayload:
        return BadPayload(f'{self.service} sent {what}' + (f': {self.hint}' if self.hint else ''))
