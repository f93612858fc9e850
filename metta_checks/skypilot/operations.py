"""Asynchronous operations of a SkyPilot API server: a POST submits one, a later GET waits for its result.

The result is JSON text inside JSON. The error of an operation that failed comes with HTTP 500.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core import bounded_json
from ..core.errors import BadPayload, Rejected, SourceError, Unauthorized, Unavailable
from ..core.fields import items, mapping
from ..core.http import Response
from ..core.stored import stored
from ..core.text import one_line

MAX_MESSAGE = 200
TITLE = re.compile(rb'<title>([^<]{1,200})</title>', re.IGNORECASE)
# Values in a result. The queue of managed jobs comes as a whole, with 40 to 50 fields per job: 20,000 jobs.
MAX_RESULT_VALUES = 1_000_000
CHECK_ADDRESS = 'check that option `api_server_url` is the address of a SkyPilot API server'
# The operation that the job controller answers; others concern other clusters.
JOBS = 'jobs'
# Phrases in the server's error messages that tell its errors apart.
IDLE = 'No in-progress managed jobs'
UNKNOWN_FIELD = 'Unknown field'


class ControllerIdle(SourceError):
    """The job controller is stopped because no job is in progress. Not a failure."""

    reason = 'controller'


class ControllerDown(Unavailable):
    """The server cannot reach the job controller."""

    reason = 'controller'


class UnknownField(Rejected):
    """The server does not know a field that was asked for."""


class OperationFailed(Rejected):
    """The server accepted the operation, which then failed."""

    reason = 'failed'


@stored
class Submitted:
    """An operation without a result yet. A later run, even of another process, asks for the same result.

    Attributes:
        id: the server's id of the request
        at: when it was submitted, in seconds since the epoch
    """

    id: str
    at: float


@dataclass(slots=True)
class Operation:
    """An operation of this run.

    Attributes:
        name: as in messages
        submission: the error when it could not be submitted
        started: seconds of the monotonic clock when this run submitted it or found it submitted
        seconds: time from there to the result; None until then
    """

    name: str
    submission: Submitted | SourceError
    started: float = 0.0
    seconds: float | None = None


def not_html(response: Response) -> Response:
    """Return the response. Raises Unauthorized for a web page, which is in most cases a page to sign in."""
    if 'html' in response.headers.get('Content-Type', '').lower():
        raise Unauthorized(
            f'{response.request} answered a web page instead of JSON: a page to sign in, or another server; '
            f'{CHECK_ADDRESS}, and behind an OAuth2 proxy set option `token` to the token of a service account'
        )
    return response


def return_value(name: str, response: Response) -> Any:
    """Return the decoded result of an operation.

    Raises Unavailable when the server lost or interrupted the operation, BadPayload for an answer of another form, and
    ControllerIdle, ControllerDown, UnknownField or OperationFailed when the operation failed.
    """
    if response.status == 404:
        raise Unavailable(f'the server lost `{name}` after accepting it; the next run submits it again', reason='lost')
    if response.status == 500:
        raise _failure(name, response)
    answer = response.json_object()
    if answer.get('should_retry'):
        raise _interrupted(name)
    value = _decoded(answer.get('return_value'), name)
    status = answer.get('status')
    if value is None and status not in (None, 'SUCCEEDED'):
        shown = one_line(str(status), 40)
        raise Unavailable(f'the server ended `{name}` with status {shown} and without a result', reason='interrupted')
    return value


def refusal_reason(response: Response) -> str:
    """Return the reason in the body of a refusal, as one line."""
    try:
        answer = response.json_object()
    except BadPayload:
        return 'no reason given'
    stated = answer.get('message') or answer.get('detail') or answer.get('error')
    if (entries := items(stated)) is not None:
        # One entry per wrong field of the request.
        stated = '; '.join(map(_field_error, filter(mapping, entries)))
    return one_line(str(stated), MAX_MESSAGE) if stated else 'no reason given'


def page_title(response: Response) -> str:
    """Return the title of a page in HTML, as one line; empty without one."""
    title = TITLE.search(response.content)
    return one_line(title[1].decode(errors='replace'), MAX_MESSAGE) if title else ''


def _field_error(entry: Mapping[str, Any]) -> str:
    return f'{".".join(map(str, entry.get("loc", ())))}: {entry.get("msg")}'


def _failure(name: str, response: Response) -> SourceError:
    """Return the error behind a 500. Its `object` is a pickle and is never opened: type and message are enough."""
    error = _error_detail(name, response)
    if error is None:
        return Unavailable(f'{response.request} answered HTTP 500 without a reason', reason='http_5xx')
    kind, message = str(error.get('type')), one_line(str(error.get('message')), MAX_MESSAGE)
    if kind == 'RequestInterruptedError':
        return _interrupted(name)
    if kind == 'ClusterNotUpError' and name == JOBS:
        if IDLE in message:
            return ControllerIdle(f'the job controller is stopped: {message}')
        return ControllerDown(f'the server cannot reach the job controller: {message}')
    if UNKNOWN_FIELD in message:
        return UnknownField(f'the server refused `{name}`: {message}')
    return OperationFailed(f'`{name}` failed on the server with {kind}: {message}')


def _error_detail(name: str, response: Response) -> Mapping[str, Any] | None:
    try:
        detail = mapping(response.json_object().get('detail'))
        return mapping(_decoded(detail.get('error'), name)) if detail is not None else None
    except BadPayload:
        return None


def _interrupted(name: str) -> SourceError:
    return Unavailable(f'the server was restarted during `{name}`; the next run submits it again', reason='interrupted')


def _decoded(value: Any, name: str) -> Any:
    """Return the decoded JSON text that the server wraps into its JSON."""
    if not isinstance(value, str):
        raise BadPayload(f'the result of `{name}` is not the JSON text that SkyPilot servers send')
    try:
        return bounded_json.loads(value, MAX_RESULT_VALUES)
    except ValueError as error:
        raise BadPayload(f'the result of `{name}` is not valid JSON ({len(value)} characters)') from error
    except RecursionError as error:
        raise BadPayload(f'the result of `{name}` is JSON that is nested too deeply') from error
