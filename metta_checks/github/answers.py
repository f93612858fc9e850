"""The parts of GitHub's answers that are no records: pages, lists of files, errors of GraphQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ..core.errors import SHAPE_ERRORS, BadPayload
from ..core.fields import integer, items, mapping, text
from ..core.paging import Page, pages
from ..core.text import one_line
from .records import Run
from .values import GITHUB, next_cursor, nodes

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
        entry = mapping(value) or {'message': value}
        return cls(
            message=one_line(str(entry.get('message') or 'no message'), 200),
            type=str(entry.get('type')),
            path=tuple(map(_step, items(entry.get('path')) or ())),
            extensions=mapping(entry.get('extensions')) or {},
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

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> FileList:
        """Return the paths that a pull request changes."""
        number = GITHUB.required(integer, node, 'number', 'pull request')
        files = GITHUB.optional(mapping, node, 'files')
        if files is None:
            return cls(number, None, None)
        paths = tuple(GITHUB.required(text, one, 'path', 'file') for one in nodes(files))
        return cls(number, paths, next_cursor(files))


@contextmanager
def parsing() -> Iterator[None]:
    """Read a part of an answer. Raises BadPayload for all that an answer of another shape makes the reader raise."""
    try:
        yield
    except SHAPE_ERRORS as error:
        what = one_line(str(error), 100)
        raise BadPayload(f'GitHub sent something unexpected ({type(error).__name__}: {what})') from error


def all_rows(fetch: Callable[[str | None], Page[T]], start: str | None = None) -> Iterator[T]:
    """Yield the rows of all pages; a page is fetched when the rows before it have been consumed."""
    for page in pages(fetch, start, repeated=SAME_PAGE):
        yield from page.rows


def error_list(answer: Mapping[str, Any]) -> list[GraphqlError]:
    """Return the errors of an answer. Raises BadPayload."""
    return [GraphqlError.parse(error) for error in GITHUB.optional(items, answer, 'errors') or []]


def _step(step: Any) -> str | int:
    return step if isinstance(step, int) else str(step)


def undefined_fields(errors: Iterable[GraphqlError]) -> list[str]:
    """Return the names of the fields that the server does not know."""
    return [
        str(error.extensions['fieldName'])
        for error in errors
        if error.extensions.get('code') == 'undefinedField' and 'fieldName' in error.extensions
    ]
