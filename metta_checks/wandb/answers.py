"""The answers of W&B's GraphQL API. An error in an answer concerns all of it, or a part that is null there.

W&B may fail to read one run, or one count. The other runs and counts of the answer are right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..core.errors import BadPayload, Forbidden, Rejected, SourceError, Unavailable
from ..core.fields import Contract, items, mapping, text
from ..core.http import Response
from ..core.text import one_line
from .dialect import unknown_names

# Names of fields and positions in lists, from the data to a part of it.
Path = tuple[str | int, ...]
# Returns the part of an answer that an error concerns, by the path of the error; None: the whole answer.
Confines = Callable[[Path], Path | None]

# Statuses of answers in the form of GraphQL: a document that is refused, and a query that failed.
ANSWER_STATUSES = (HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
MAX_MESSAGE = 160
# An answer that lacks more parts has failed as a whole.
MAX_PARTS = 1000
# Codes of errors of the API that refuse access to a part of the data.
DENIED_CODES = frozenset({'PERMISSION_ERROR', 'PERMISSION_DENIED', 'FORBIDDEN'})
PERMISSION_REMEDY = 'the user or service account of option `api_key` must be a member of the team'
# An answer without data may come from another server.
ANSWER = Contract('W&B', hint='is option `api_url` the address of a W&B server?')


class SchemaError(Rejected):
    """The server does not know `names`, fields or arguments of the query that some servers lack."""

    def __init__(self, message: str, names: frozenset[str]) -> None:
        super().__init__(message)
        self.names = names


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of an answer that W&B could not read, in place of its value.

    Attributes:
        refusal: W&B's reason, as one line
        reason: the kind of failure, as in SourceError
    """

    refusal: str
    reason: str


def no_part(path: Path) -> None:
    """Confine no error: every part of the answer is needed."""
    return


def parts_of_counts(path: Path) -> Path | None:
    """Confine an error to a count of the project."""
    return path if len(path) == 2 else None


def parts_of_lists(path: Path) -> Path | None:
    """Confine an error to an element of a list of the project, or to a field of the element."""
    return path[:6] if len(path) >= 4 and path[2] == 'edges' else None


def data_of(operation: str, response: Response, confines: Confines) -> Mapping[str, Any]:
    """Return the data of an answer, with Unreadable in place of the parts that W&B could not read.

    Raises Forbidden, SchemaError, Rejected, or Unavailable for an error that concerns the whole answer.
    """
    failed = response.status == HTTPStatus.INTERNAL_SERVER_ERROR
    try:
        answer = response.json_object()
    except BadPayload:
        if failed:
            raise _failure(response) from None
        raise
    errors = [_Error.parse(entry) for entry in _listed(answer.get('errors'))]
    if not errors and response.status in ANSWER_STATUSES:
        raise _failure(response) if failed else Rejected(f'W&B refused the query {operation} (HTTP 400)')
    places = [confines(error.path) for error in errors]
    data: Any = answer.get('data')
    if errors and (mapping(data) is None or None in places or len(errors) > MAX_PARTS):
        raise _refusal(operation, errors, failed=failed)
    for error, place in zip(errors, places, strict=True):
        reason = Unavailable.reason if failed else Rejected.reason
        data = _marked(data, place or (), Unreadable(error.message, reason))
    return ANSWER.required(mapping, {'data': data}, 'data', 'answer')


@dataclass(frozen=True, slots=True)
class _Error:
    message: str
    code: str
    path: Path

    @classmethod
    def parse(cls, entry: Any) -> _Error:
        fields = mapping(entry) or {}
        path = items(fields.get('path')) or ()
        return cls(
            message=one_line(text(fields.get('message')) or 'no reason given', MAX_MESSAGE),
            code=text((mapping(fields.get('extensions')) or {}).get('code')) or '',
            path=tuple(step if isinstance(step, int) else str(step) for step in path),
        )

    @property
    def denies(self) -> bool:
        """True for an error that refuses access, by its code, or by the whole message where there is no code."""
        return self.code in DENIED_CODES or self.message.strip(' .').lower() == 'permission denied'


def _listed(errors: Any) -> Sequence[Any]:
    return items(errors) or ([errors] if errors else [])


def _failure(response: Response) -> SourceError:
    return Unavailable(f'{response.request} answered HTTP {response.status}', reason='http_5xx')


def _refusal(operation: str, errors: Iterable[_Error], *, failed: bool) -> SourceError:
    """Return the error of a refused operation, with W&B's first reason as one line."""
    listed = list(errors)
    message = f'W&B refused the query {operation}: {listed[0].message}'
    if any(error.denies for error in listed):
        return Forbidden(f'{message}; {PERMISSION_REMEDY}')
    if failed:
        return Unavailable(f'W&B failed to answer the query {operation}: {listed[0].message}', reason='http_5xx')
    names = unknown_names(error.message for error in listed)
    return SchemaError(message, names) if names else Rejected(message)


def _marked(value: Any, path: Path, mark: Unreadable) -> Any:
    """Return a value with the mark at a path, or at the null on the way there."""
    if not path or value is None:
        return mark
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        return {**value, str(step): _marked(value.get(str(step)), rest, mark)}
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return [_marked(element, rest, mark) if index == step else element for index, element in enumerate(value)]
    raise BadPayload(f'W&B sent an error about a part that its answer does not have: {mark.refusal}')
