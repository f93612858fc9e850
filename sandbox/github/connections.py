"""Pages of rows, cursors, and the register of resolvers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from graphql import GraphQLError, GraphQLResolveInfo

from .model import History

T = TypeVar('T')
T_co = TypeVar('T_co', covariant=True)
F = TypeVar('F', bound=Callable[..., Any])


def failure(message: str, kind: str) -> GraphQLError:
    """Return an error of one of GitHub's types."""
    return GraphQLError(message, extensions={'type': kind})


def cursor(index: int) -> str:
    """Return the opaque cursor of a position."""
    return base64.b64encode(f'cursor:v2:{index:08d}'.encode()).decode()


def place(text: str) -> int:
    """Return the position that a cursor stands for. Raises GraphQLError for other texts."""
    try:
        return int(base64.b64decode(text, validate=True).decode().removeprefix('cursor:v2:'))
    except (binascii.Error, ValueError):
        raise failure(f'`{text}` does not appear to be a valid cursor.', 'INVALID_CURSOR_ARGUMENTS') from None


def moment(text: str | None) -> datetime | None:
    """Parse a time among the arguments. Raises GraphQLError for other texts."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise GraphQLError(f'{text!r} is not a valid time') from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class Rows(Protocol[T_co]):
    """Rows by their position."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> T_co: ...


class Connection:
    """A page of rows."""

    def __init__(
        self,
        rows: Rows[Any],
        *,
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
        make: Callable[[Any], Any] | None = None,
        **_: Any,
    ) -> None:
        self.total = len(rows)
        self.start = place(after) + 1 if after else 0
        self.stop = min(place(before), self.total) if before else self.total
        if first is not None:
            self.stop = min(self.stop, self.start + first)
        elif last is not None:
            self.start = max(self.start, self.stop - last)
        self._rows = rows
        self._make = make

    @staticmethod
    def resolve_total_count(source: Connection, _: GraphQLResolveInfo) -> int:
        """Return the number of rows on all pages."""
        return source.total

    resolve_filtered_count = resolve_total_count

    @staticmethod
    def resolve_nodes(source: Connection, info: GraphQLResolveInfo) -> list[Any]:
        """Return the rows of the page. A hidden one is null, with an error."""
        rows = [source._rows[index] for index in range(source.start, source.stop)]
        hidden = info.context.site.hidden
        if hidden:
            refusal = failure('Resource not accessible by personal access token', 'FORBIDDEN')
            rows = [refusal if getattr(row, 'id', None) in hidden else row for row in rows]
        return [row if isinstance(row, GraphQLError) else source._make(row) for row in rows] if source._make else rows

    @staticmethod
    def resolve_page_info(source: Connection, _: GraphQLResolveInfo) -> dict[str, Any]:
        """Return the cursors of the page, and whether there are pages before and after it."""
        filled = source.start < source.stop
        return {
            'start_cursor': cursor(source.start) if filled else None,
            'end_cursor': cursor(source.stop - 1) if filled else None,
            'has_next_page': filled and source.stop < source.total,
            'has_previous_page': source.start > 0,
        }


class Places(Generic[T]):
    """Some positions of a history; its rows are made when they are read."""

    def __init__(self, history: History[T], places: range) -> None:
        self._history = history
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> T:
        return self._history[self._places[index]]


FIELDS: dict[str, Callable[..., Any]] = {}


def resolves(*coordinates: str) -> Callable[[F], F]:
    """Register a resolver for `Type.field`s."""

    def register(function: F) -> F:
        FIELDS.update(dict.fromkeys(coordinates, function))
        return function

    return register


def snake(name: str) -> str:
    """Convert GitHub's name of a field to that of an attribute."""
    return re.sub(r'(?<!^)([A-Z])', r'_\1', name).lower()


def keys(type_name: str, *names: str) -> None:
    """Register fields that are read from a dict, under the name in snake case."""
    for name in names:
        FIELDS[f'{type_name}.{name}'] = _key(snake(name))


def _key(key: str) -> Callable[..., Any]:
    return lambda source, _: source[key]
