"""Talks to a SkyPilot API server: every operation is submitted first and its result fetched later.

The vendor's SDK is not used: it is large, tied to the server's version, and unpickles what the server sends. Requests
carry no version headers, so that every server answers as it does to old clients, without conversion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.clock import Clock
from ..core.errors import (
    BadPayload,
    Forbidden,
    OutOfBudget,
    RateLimited,
    Rejected,
    SourceError,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from ..core.fields import integer, text
from ..core.http import Api, Auth, BearerAuth, NoAuth, Response, ResponsePolicy
from ..core.stored import stored
from ..core.text import one_line

# Path and body of each operation, by name.
Calls = Mapping[str, tuple[str, Mapping[str, Any]]]

REQUEST_ID_HEADERS = ('X-Skypilot-Request-ID', 'X-Request-ID')
# A result that has not come after so long is given up, and the operation submitted anew.
GIVE_UP_SECONDS = 600
MAX_MESSAGE = 200
# Since when servers know ...
QUEUE_V2 = 18
PRIMARY_TASKS = 31

# What the server's own words say, in its error texts.
IDLE = 'No in-progress managed jobs'
UNKNOWN_FIELD = 'Unknown field'

FIELDS = (
    'job_id',
    'task_id',
    'status',
    'user_hash',
    'submitted_at',
    'start_at',
    'end_at',
    'job_duration',
    'recovery_count',
    'resources',
)
# For these the server opens the handle of every cluster; a single damaged one fails the whole call.
HANDLE_FIELDS = ('cluster_resources', 'accelerators', 'cloud', 'region')

CLUSTERS_BODY = {
    'all_users': True,
    # Never asks the clouds, and never sends SSH keys or handles.
    'refresh': 'NONE',
    'include_credentials': False,
    'summary_response': True,
    'include_handle': False,
}
COST_BODY = {'days': 1, 'exclude_managed_clusters': False, 'dashboard_summary_response': False}


class NotPermitted(Forbidden):
    """The server refuses the account as such: nothing else needs to be tried."""

    fatal = True


class ControllerIdle(SourceError):
    """The job controller is stopped because no job is in progress. Not a failure."""

    reason = 'controller'


class ControllerDown(Unavailable):
    """The job controller cannot be reached, says the server."""

    reason = 'controller'


class UnknownField(Rejected):
    """The server does not know a field that was asked for."""


class OperationFailed(Rejected):
    """The server accepted the operation and failed in it."""

    reason = 'failed'


@dataclass(frozen=True, slots=True)
class Server:
    """What /api/health says; to callers without credentials of a protected server it tells no version."""

    api_version: int | None
    version: str | None


@stored
class Submitted:
    """An operation without a result yet: a later run, even of another process, asks for the same result.

    Attributes:
        id: the server's id of the request
        at: when it was submitted, in seconds since the epoch
    """

    id: str
    at: float


class Operation:
    """A submitted operation, or why it could not be submitted."""

    def __init__(
        self,
        name: str,
        *,
        request_id: str = '',
        at: float | None = None,
        submitted: float = 0.0,
        error: SourceError | None = None,
    ) -> None:
        self.name = name
        self.request_id = request_id
        # When it was submitted, perhaps in an earlier run (seconds since the epoch): the result is of that time.
        self.at = at
        self.error = error
        # Seconds of the clock at submission, and from there to the result (None before it).
        self.submitted = submitted
        self.seconds: float | None = None


class Batch:
    """Operations that are submitted together, when the first result is asked for: the server works on all at once.

    `prepare` says what to submit; when it raises, that is the answer to all of them.
    """

    def __init__(self, client: Client, prepare: Callable[[], Calls]) -> None:
        self._client = client
        self._prepare = prepare
        self._blocked: SourceError | None = None
        self._operations: dict[str, Operation] = {}

    def result(self, name: str) -> Any:
        """See Client.result."""
        if self._blocked is not None:
            raise self._blocked
        if not self._operations:
            try:
                self._operations = self._client.submit(self._prepare())
            except SourceError as error:
                self._blocked = error
                raise
        return self._client.result(self._operations[name])

    def asked_at(self, name: str) -> float | None:
        """When the operation was submitted, in this run or an earlier one (seconds since the epoch)."""
        operation = self._operations.get(name)
        return operation.at if operation else None

    def are_of_one_time(self, *names: str) -> bool:
        """Whether operations were submitted in the same run."""
        times = {at for name in names if (at := self.asked_at(name)) is not None}
        return len(times) < 2

    @property
    def seconds(self) -> dict[str, float]:
        """How long each operation took that succeeded, from submission to result."""
        return {name: one.seconds for name, one in self._operations.items() if one.seconds is not None}


class Client:
    """The reads of the source.

    Parameters:
        api: the server's interface, with `Refusals` as its policy
        clock: the time of the check, for giving up
        result_timeout: seconds to wait for a result in one run
    """

    def __init__(self, api: Api, clock: Clock, result_timeout: float) -> None:
        self._api = api
        self._clock = clock
        self._result_timeout = result_timeout
        # Submitted operations without a result yet, by name.
        self.open: dict[str, Submitted] = {}

    def health(self) -> Server:
        """The server's version. Raises Unauthorized for a login page."""
        answer = _not_html(self._api.get('api/health')).json_object()
        return Server(_version(answer.get('api_version')), text(answer.get('version')))

    def submit(self, calls: Calls) -> dict[str, Operation]:
        """Submit operations {name: (path, body)}; the server works on them side by side.

        Never raises: errors come with the result, so that each fails on its own. An operation that is still open from
        an earlier run is not submitted again.
        """
        operations: dict[str, Operation] = {}
        fatal: SourceError | None = None
        # One time for all that is submitted together, by which results of one run are known.
        moment = self._clock.now().timestamp()
        for name, (path, body) in calls.items():
            if fatal is not None:
                operations[name] = Operation(name, error=fatal)
                continue
            try:
                request_id = self._still_open(name) or self._submit(name, path, body, moment)
                operations[name] = Operation(
                    name, request_id=request_id, at=self.open[name].at, submitted=self._clock.monotonic()
                )
            except SourceError as error:
                operations[name] = Operation(name, error=error)
                fatal = error if error.fatal else None
        return operations

    def result(self, operation: Operation) -> Any:
        """The decoded return value.

        Raises what went wrong in submitting; TimedOut when the result has not come in time (it stays open); Unavailable
        when the server lost it; ControllerIdle, ControllerDown, UnknownField, OperationFailed for a failure over there.
        """
        if operation.error is not None:
            raise operation.error
        try:
            response = self._api.get(
                'api/get',
                {'request_id': operation.request_id},
                accept=(404, 500),
                read_timeout=self._result_timeout,
            )
        except TimedOut as error:
            raise TimedOut(
                f'the server has not finished `{operation.name}` within {self._result_timeout:.0f} s; the next run '
                'asks for the same result (option `result_timeout`)'
            ) from error
        except (OutOfBudget, RateLimited):
            raise
        except SourceError:
            # The server has finished; the next run had better ask for something newer.
            self.open.pop(operation.name, None)
            raise
        self.open.pop(operation.name, None)
        value = _return_value(operation.name, _not_html(response))
        operation.seconds = self._clock.monotonic() - operation.submitted
        return value

    def call(self, name: str, path: str, body: Mapping[str, Any]) -> Any:
        """Submit one operation and wait for its result."""
        return self.result(self.submit({name: (path, body)})[name])

    def _still_open(self, name: str) -> str | None:
        known = self.open.get(name)
        if known is None:
            return None
        if not 0 <= self._clock.now().timestamp() - known.at < GIVE_UP_SECONDS:
            del self.open[name]
            return None
        return known.id

    def _submit(self, name: str, path: str, body: Mapping[str, Any], moment: float) -> str:
        # Not repeated: a server that got the first one would work twice.
        response = _not_html(self._api.post(path, body, retries=0))
        request_id = next((response.headers[header] for header in REQUEST_ID_HEADERS if header in response.headers), '')
        if not request_id:
            raise BadPayload(
                f'{response.request} answered without a request id: is option `api_server_url` a SkyPilot API server?'
            )
        self.open[name] = Submitted(request_id, moment)
        return request_id


def queue_call(
    api_version: int | None, *, fields: Iterable[str] | None, limit: int | None = None
) -> tuple[str, dict[str, Any]]:
    """Return path and body of the call for the job queue.

    `fields` None asks for whole records; `limit` jobs at most are asked for, the newest.
    """
    # Never `refresh: true`: it would start a stopped controller, which costs money.
    body: dict[str, Any] = {'refresh': False, 'all_users': True}
    if api_version is not None and api_version < QUEUE_V2:
        return 'jobs/queue', body
    if fields is not None:
        body['fields'] = list(fields)
    if limit is not None:
        body |= {'page': 1, 'limit': limit}
    return 'jobs/queue/v2', body


def queue_fields(api_version: int | None, *, handles: bool = True, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """The fields to ask for: never those that hold secrets (user_yaml, entrypoint, environment files)."""
    # An unknown field fails the call, so of a server without a version only the oldest ones are asked for.
    newer = ('is_primary_in_job_group',) if api_version is not None and api_version >= PRIMARY_TASKS else ()
    return (*FIELDS, *(HANDLE_FIELDS if handles else ()), *newer, *extra)


def prices_call(clouds: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Path and body for the price catalog of some clouds."""
    return 'list_accelerators', {
        'gpus_only': True,
        'clouds': sorted(clouds),
        'all_regions': True,
        'require_price': True,
    }


def auth(token: str | None) -> Auth:
    """Return the credentials of a service account; Basic authentication is the business of the HTTP wrapper."""
    # The second header makes an authenticating proxy in front of the server let the token pass.
    return BearerAuth(token, {'X-Skypilot-Auth-Mode': 'token'}) if token else NoAuth()


class Refusals(ResponsePolicy):
    """The meaning of this server's statuses beyond the general rules."""

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the error for a login page, for an account without a role and for a request of the wrong form."""
        said = f'{response.request} answered HTTP {response.status}'
        if 300 <= response.status < 400:
            return Unauthorized(
                f'{said}: a redirect to a login page, which is not followed; '
                'behind an OAuth2 proxy option `token` needs the token of a service account'
            )
        if response.status == 403:
            return NotPermitted(
                f'{said}: permission denied; the account of option `token` or `username` needs the role viewer, and '
                'access to the workspaces'
            )
        if response.status in (400, 422):
            return Rejected(f'{said}: the server does not accept the request: {_words(response)}')
        return None


def _not_html(response: Response) -> Response:
    if 'html' in response.headers.get('Content-Type', '').lower():
        raise Unauthorized(
            f'{response.request} answered a web page instead of JSON: a login page, or no SkyPilot API server; check '
            'option `api_server_url`, and behind an OAuth2 proxy set `token` to the token of a service account'
        )
    return response


def _return_value(name: str, response: Response) -> Any:
    if response.status == 404:
        raise Unavailable(f'the server forgot `{name}`, which it had accepted; the next run asks again', reason='lost')
    if response.status == 500:
        raise _failure(name, response)
    answer = response.json_object()
    if answer.get('should_retry'):
        raise _interrupted(name)
    value = _decoded(answer.get('return_value'), name)
    if value is None and answer.get('status') not in (None, 'SUCCEEDED'):
        status = one_line(str(answer['status']), 40)
        raise Unavailable(f'the server ended `{name}` as {status}, without a result', reason='interrupted')
    return value


def _failure(name: str, response: Response) -> SourceError:
    """The error behind a 500. Its `object` is a pickle and stays closed: type and message say enough."""
    try:
        detail = response.json_object().get('detail')
        error = _decoded(detail.get('error'), name) if isinstance(detail, Mapping) else None
    except BadPayload:
        error = None
    if not isinstance(error, Mapping):
        return Unavailable(f'{response.request} answered HTTP 500 without a reason', reason='http_5xx')
    kind, message = str(error.get('type')), _line(str(error.get('message')))
    if kind == 'RequestInterruptedError':
        return _interrupted(name)
    if kind == 'ClusterNotUpError':
        if IDLE in message:
            return ControllerIdle(f'the job controller is stopped: {message}')
        return ControllerDown(f'the job controller cannot be reached, says the server: {message}')
    if UNKNOWN_FIELD in message:
        return UnknownField(f'the server refused `{name}`: {message}')
    return OperationFailed(f'the server failed in `{name}` with {kind}: {message}')


def _interrupted(name: str) -> SourceError:
    return Unavailable(f'the server was restarted during `{name}`; the next run asks again', reason='interrupted')


def _decoded(value: Any, name: str) -> Any:
    """The JSON text that the server wraps into its JSON."""
    if not isinstance(value, str):
        raise BadPayload(f'the result of `{name}` is not the JSON text that SkyPilot servers send')
    try:
        return json.loads(value)
    except ValueError as error:
        raise BadPayload(f'the result of `{name}` is not valid JSON ({len(value)} characters)') from error
    except RecursionError as error:
        raise BadPayload(f'the result of `{name}` is JSON that is nested too deeply') from error


def _words(response: Response) -> str:
    """What a refusal says, in one line."""
    try:
        answer = response.json_object()
    except BadPayload:
        return 'no reason given'
    said = answer.get('message') or answer.get('detail') or answer.get('error')
    if isinstance(said, list):
        # One entry per field of the body that is not as it should be.
        parts = [entry for entry in said if isinstance(entry, Mapping)]
        said = '; '.join(f'{".".join(map(str, part.get("loc", ())))}: {part.get("msg")}' for part in parts)
    return _line(str(said)) if said else 'no reason given'


def _line(message: str) -> str:
    line = ' '.join(message.split())
    return line if len(line) <= MAX_MESSAGE else f'{line[: MAX_MESSAGE - 3]}...'


def _version(value: Any) -> int | None:
    """The API version is a number as text."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return integer(value)
