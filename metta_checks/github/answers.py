"""The parts of GitHub's answers that are no records: pages, lists of files, errors of GraphQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import SHAPE_ERRORS, BadPayload, one_line
from ..paging import Page, pages
from .records import Run
from .values import identity, named, nodes

T = TypeVar('T')

SAME_PAGE = 'GitHub sent the same page twice'

# Names of fields and positions in lists, from the data to a part of it.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class GraphqlError:
    """An error in a GraphQL answer."""

    message: str
    type: str
    path: Path
    extensions: Mapping[str, Any]

    @classmethod
    def parse(cls, value: Any) -> GraphqlError:
        """From an entry of `errors`; any value will do."""
        entry = value if isinstance(value, Mapping) else {'message': value}
        path, extensions = entry.get('path'), entry.get('extensions')
        return cls(
            message=one_line(str(entry.get('message') or 'no message'), 200),
            type=str(entry.get('type')),
            path=tuple(map(_step, path)) if isinstance(path, list) else (),
            extensions=extensions if isinstance(extensions, Mapping) else {},
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of a GraphQL answer, and what went wrong inside: message by path (`('repository', 'mergeQueue')`)."""

    data: Mapping[str, Any]
    errors: Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of workflow runs, which are listed by page number.

    Attributes:
        runs: the runs
        total: GitHub's count of the runs on all pages, which may stop at 1,000
    """

    runs: tuple[Run, ...]
    total: int


@dataclass(frozen=True, slots=True)
class FileList:
    """A page of the paths that a pull request changes; None where GitHub gives none."""

    number: int
    paths: tuple[str, ...] | None
    cursor: str | None


@contextmanager
def parsing() -> Iterator[None]:
    """Read a part of an answer. Raises BadPayload for all that an answer of another shape makes the reader raise."""
    try:
        yield
    except SHAPE_ERRORS as error:
        what = one_line(str(error), 100)
        raise BadPayload(f'GitHub sent something unexpected ({type(error).__name__}: {what})') from error


def next_cursor(connection: Mapping[str, Any]) -> str | None:
    """Return where the next page of a connection begins; None on the last page."""
    page = connection.get('pageInfo') or {}
    return named(page.get('endCursor')) if page.get('hasNextPage') else None


def all_rows(fetch: Callable[[str | None], Page[T]], start: str | None = None) -> Iterator[T]:
    """Yield the rows of all pages; a page is fetched when the rows before it have been consumed."""
    for page in pages(fetch, start, repeated=SAME_PAGE):
        yield from page.rows


def file_list(node: Mapping[str, Any]) -> FileList:
    """Return the paths that a pull request changes."""
    files = node.get('files')
    if files is None:
        return FileList(identity(node['number']), None, None)
    paths = tuple(str(one['path']) for one in nodes(files))
    return FileList(identity(node['number']), paths, next_cursor(files))


def error_list(answer: Mapping[str, Any]) -> list[GraphqlError]:
    """Return the errors of an answer. Raises BadPayload."""
    listed = answer.get('errors') or []
    if not isinstance(listed, list):
        raise BadPayload('GitHub answered with errors that are no list')
    return [GraphqlError.parse(error) for error in listed]


def _step(step: Any) -> str | int:
    return step if isinstance(step, int) else str(step)


def undefined_fields(errors: Iterable[GraphqlError]) -> list[str]:
    """Return the names of the fields that the server does not know."""
    return [
        str(error.extensions['fieldName'])
        for error in errors
        if error.extensions.get('code') == 'undefinedField' and 'fieldName' in error.extensions
    ]
