"""The parts of GitHub's answers that are no records: pages, lists of files, errors of GraphQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadPayload
from .values import identity, named, nodes


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of a GraphQL answer, and what went wrong inside: message by path (`('repository', 'mergeQueue')`)."""

    data: Mapping[str, Any]
    errors: Mapping[tuple[str | int, ...], str]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of something, and where the next begins (None: nowhere)."""

    items: tuple[Any, ...]
    after: str | None
    total: int = 0


@dataclass(frozen=True, slots=True)
class FileList:
    """A page of the paths that a pull request changes; None where GitHub gives none."""

    number: int
    paths: tuple[str, ...] | None
    after: str | None


def after_of(connection: Mapping[str, Any], before: Any = None) -> str | None:
    """Where the next page begins. Raises BadPayload when that is where this one began: it would never end."""
    page = connection.get('pageInfo') or {}
    cursor = named(page.get('endCursor')) if page.get('hasNextPage') else None
    if cursor is not None and cursor == before:
        raise BadPayload('GitHub sent the same page twice')
    return cursor


def file_list(node: Mapping[str, Any], before: str | None = None) -> FileList:
    files = node.get('files')
    if files is None:
        return FileList(identity(node['number']), None, None)
    paths = tuple(str(one['path']) for one in nodes(files))
    return FileList(identity(node['number']), paths, after_of(files, before))


def error_list(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The errors of an answer, each with object `extensions`, text `type` and tuple `path`. Raises BadPayload."""
    listed = answer.get('errors') or []
    if not isinstance(listed, list):
        raise BadPayload('GitHub answered with errors that are no list')
    errors = [dict(error) if isinstance(error, Mapping) else {'message': error} for error in listed]
    for error in errors:
        error['extensions'] = found if isinstance(found := error.get('extensions'), Mapping) else {}
        error['type'] = str(error.get('type'))
        error['path'] = tuple(map(_step, found)) if isinstance(found := error.get('path'), list) else ()
    return errors


def _step(step: Any) -> str | int:
    return step if isinstance(step, int) else str(step)


def undefined_fields(answer: Mapping[str, Any]) -> list[str]:
    return [
        str(extensions['fieldName'])
        for error in answer['errors']
        if (extensions := error['extensions']).get('code') == 'undefinedField' and 'fieldName' in extensions
    ]
