"""Reading lists that services send page by page.

Each page says where the next one begins. That cursor is opaque: an offset, a token, or the address in a `Link` header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from .errors import BadPayload

Row = TypeVar('Row', covariant=True)
AnyPage = TypeVar('AnyPage', bound='HasCursor')


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a list.

    Attributes:
        rows: the rows that could be read
        unreadable: number of rows that could not be read and are left out
        cursor: where the next page begins; None on the last page
    """

    rows: Sequence[Row]
    unreadable: int = 0
    cursor: str | None = None


class HasCursor(Protocol):
    """A page of any form, as `pages` needs it."""

    @property
    def cursor(self) -> str | None:
        """Where the next page begins; None on the last page."""


def pages(
    fetch: Callable[[str | None], AnyPage], start: str | None = None, *, repeated: str, limit: int | None = None
) -> Iterator[AnyPage]:
    """Yield page after page of a list. A page is fetched when the one before it has been consumed.

    Raises BadPayload for a page that leads back to an earlier one, in place of yielding it. No page is fetched twice,
    so that the list ends whatever the service answers.

    Parameters:
        fetch: gives the page that begins at a cursor; None: the first page
        start: the cursor of an earlier reading, to go on there
        repeated: the message of the BadPayload
        limit: number of pages after which to stop; the last page then still has a cursor
    """
    asked: set[str | None] = set()
    cursor = start
    while limit is None or len(asked) < limit:
        asked.add(cursor)
        page = fetch(cursor)
        if page.cursor is not None and page.cursor in asked:
            raise BadPayload(repeated)
        yield page
        if page.cursor is None:
            return
        cursor = page.cursor
