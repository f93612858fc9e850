"""Reads a SkyPilot API server.

The vendor's SDK is not used: it is large, tied to the server's version, and unpickles what the server sends. Requests
carry no version headers, so that every server answers as it does to old clients, without conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..core.address import place
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
)
from ..core.fields import decimal, integer, text
from ..core.http import Api, Auth, BearerAuth, NoAuth, Response, ResponsePolicy
from .operations import CHECK_ADDRESS, Operation, Submitted, not_html, page_title, refusal_reason, return_value

# Path and body of each operation, by name.
Calls = Mapping[str, tuple[str, Mapping[str, Any]]]

REQUEST_ID_HEADERS = ('X-Skypilot-Request-ID', 'X-Request-ID')
# An operation without a result after this time is given up and submitted again.
GIVE_UP_SECONDS = 600
# The API versions that introduced the paged job queue, the field `is_primary_in_job_group`, and a queue that knows the
# names of tasks, of pools and of their workers.
QUEUE_V2 = 18
PRIMARY_TASKS = 31
POOLS = 42

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
# The short form `cluster_resources` cuts off instance types after 15 characters.
HANDLE_FIELDS = ('cluster_resources_full', 'accelerators', 'cloud', 'region')
POOL_FIELDS = ('task_name', 'pool', 'current_cluster_name')

CLUSTERS_BODY = {
    'all_users': True,
    # Keeps the server from asking the clouds, and from sending SSH keys and handles.
    'refresh': 'NONE',
    'include_credentials': False,
    'summary_response': True,
    'include_handle': False,
}
COST_BODY = {'days': 1, 'exclude_managed_clusters': False, 'dashboard_summary_response': False}


class NotPermitted(Forbidden):
    """The server refuses the account for every operation: nothing else needs to be tried."""

    fatal = True


@dataclass(frozen=True, slots=True)
class Server:
    """The answer of /api/health. A protected server omits its versions for callers without credentials."""

    api_version: int | None
    version: str | None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Server:
        """Return the versions. The API version is a whole number, which some servers write as text."""
        api_version = answer.get('api_version')
        number = integer(api_version)
        return cls(number if number is not None else integer(decimal(api_version)), text(answer.get('version')))


class Batch:
    """Operations that are submitted together with the first result that is asked for, so that they run in parallel.

    Parameters:
        client: submits them
        prepare: returns the operations to submit; an error that it raises is the result of all of them
    """

    def __init__(self, client: Client, prepare: Callable[[], Calls]) -> None:
        self._client = client
        self._prepare = prepare
        self._blocked: SourceError | None = None
        self._operations: dict[str, Operation] = {}

    def result(self, name: str) -> Any:
        """Return the result of an operation. Raises the errors of Client.result."""
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
        """Return when the operation was submitted, in this run or an earlier one, in seconds since the epoch."""
        operation = self._operations.get(name)
        return operation.submission.at if operation and isinstance(operation.submission, Submitted) else None

    def are_of_one_time(self, *names: str) -> bool:
        """Return True when the operations were submitted in the same run."""
        times = {at for name in names if (at := self.asked_at(name)) is not None}
        return len(times) < 2

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds from submission to result of each operation that succeeded, by name."""
        return {name: one.seconds for name, one in self._operations.items() if one.seconds is not None}


class Client:
    """Submits operations and fetches their results.

    Parameters:
        api: the server's interface, with `Refusals` as its policy
        clock: the time of the check, to give up operations
        result_timeout: seconds to wait for a result in one run
    """

    def __init__(self, api: Api, clock: Clock, result_timeout: float) -> None:
        self._api = api
        self._clock = clock
        self._result_timeout = result_timeout
        # Submitted operations without a result yet, by name.
        self.open: dict[str, Submitted] = {}

    def health(self) -> Server:
        """Return the server's version. Raises Unauthorized for a login page."""
        return Server.parse(not_html(self._api.get('api/health')).json_object())

    def submit(self, calls: Calls) -> dict[str, Operation]:
        """Submit operations {name: (path, body)}, which the server works on in parallel.

        Never raises: errors come with the result, so that each operation fails on its own. An operation that is still
        open from an earlier run is not submitted again.
        """
        operations: dict[str, Operation] = {}
        fatal: SourceError | None = None
        # One time for all that is submitted together, by which results of one run are recognized.
        moment = self._clock.now().timestamp()
        for name, (path, body) in calls.items():
            if fatal is not None:
                operations[name] = Operation(name, fatal)
                continue
            try:
                submitted = self._still_open(name) or self._submit(name, path, body, moment)
                operations[name] = Operation(name, submitted, started=self._clock.monotonic())
            except SourceError as error:
                operations[name] = Operation(name, error)
                fatal = error if error.fatal else None
        return operations

    def result(self, operation: Operation) -> Any:
        """Return the decoded return value.

        Raises the error of the submission; TimedOut when the result has not come in time (the operation stays open);
        and the errors of operations.return_value.
        """
        if isinstance(operation.submission, SourceError):
            raise operation.submission
        try:
            response = self._api.get(
                'api/get',
                {'request_id': operation.submission.id},
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
            # The server has finished, so the next run asks for something newer.
            self.open.pop(operation.name, None)
            raise
        self.open.pop(operation.name, None)
        value = return_value(operation.name, not_html(response))
        operation.seconds = self._clock.monotonic() - operation.started
        return value

    def call(self, name: str, path: str, body: Mapping[str, Any]) -> Any:
        """Submit one operation and return its result."""
        return self.result(self.submit({name: (path, body)})[name])

    def _still_open(self, name: str) -> Submitted | None:
        known = self.open.get(name)
        if known is None:
            return None
        if not 0 <= self._clock.now().timestamp() - known.at < GIVE_UP_SECONDS:
            del self.open[name]
            return None
        return known

    def _submit(self, name: str, path: str, body: Mapping[str, Any], moment: float) -> Submitted:
        # Not retried: a server that received the first request would work twice.
        response = not_html(self._api.post(path, body, retries=0))
        request_id = next((response.headers[header] for header in REQUEST_ID_HEADERS if header in response.headers), '')
        if not request_id:
            raise BadPayload(f'{response.request} answered without a request id; {CHECK_ADDRESS}')
        self.open[name] = Submitted(request_id, moment)
        return self.open[name]


def queue_call(
    api_version: int | None, *, fields: Iterable[str] | None, limit: int | None = None
) -> tuple[str, dict[str, Any]]:
    """Return path and body of the call for the job queue.

    Parameters:
        api_version: the server's, None when it is unknown
        fields: the fields to ask for; None for whole records
        limit: number of jobs to ask for, the newest ones; None for all
    """
    # `refresh: true` would start a stopped controller, which costs money.
    body: dict[str, Any] = {'refresh': False, 'all_users': True}
    if api_version is not None and api_version < QUEUE_V2:
        return 'jobs/queue', body
    if fields is not None:
        body['fields'] = list(fields)
    if limit is not None:
        body |= {'page': 1, 'limit': limit}
    return 'jobs/queue/v2', body


def queue_fields(api_version: int | None, *, handles: bool = True, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the fields to ask for: never those that hold secrets (user_yaml, entrypoint, environment files)."""
    # An unknown field fails the call, so a server of unknown version is asked for the oldest fields only.
    newer: tuple[str, ...] = (
        ('is_primary_in_job_group',) if api_version is not None and api_version >= PRIMARY_TASKS else ()
    )
    if api_version is not None and api_version >= POOLS:
        newer += POOL_FIELDS
    return (*FIELDS, *(HANDLE_FIELDS if handles else ()), *newer, *extra)


def prices_call(clouds: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Return path and body of the call for the prices of some clouds."""
    return 'list_accelerators', {
        'gpus_only': True,
        'clouds': sorted(clouds),
        'all_regions': True,
        'require_price': True,
    }


def auth(token: str | None) -> Auth:
    """Return the credentials of a service account. The HTTP wrapper adds those of basic authentication."""
    # The second header makes an authenticating proxy in front of the server let the token pass.
    return BearerAuth(token, {'X-Skypilot-Auth-Mode': 'token'}) if token else NoAuth()


class Refusals(ResponsePolicy):
    """The meaning of this server's statuses beyond the general rules."""

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the error for a login page, for an account without a role and for a request of the wrong form."""
        answered = f'{response.request} answered HTTP {response.status}'
        if 300 <= response.status < 400:
            return _redirected(response, answered)
        if response.status == 403:
            return NotPermitted(
                f'{answered}: permission denied: {refusal_reason(response)}',
                remedy='give the account of option `token` or `username` the role viewer and access to the workspaces',
            )
        if response.status in (400, 422):
            return Rejected(f'{answered}: the server does not accept the request: {refusal_reason(response)}')
        return None

    def reason(self, response: Response) -> str:
        """Return the words of the server, or the title of a page of a proxy before it."""
        return super().reason(response) or page_title(response)


def _redirected(response: Response, answered: str) -> SourceError:
    """Return the error for a redirect, by its address. It is not followed: the token belongs to one address."""
    try:
        target = urlsplit(urljoin(response.url, response.headers.get('Location', '')))
        asked = urlsplit(response.url)
        is_same_host = target.hostname == asked.hostname
    except ValueError:
        return BadPayload(f'{answered}: a redirect to an address that cannot be read')
    if is_same_host and target.path == asked.path and target.scheme != asked.scheme:
        return BadPayload(
            f'{answered}: a redirect to {target.scheme}; begin option `api_server_url` with {target.scheme}://'
        )
    if is_same_host and target.path.rstrip('/') == asked.path.rstrip('/'):
        return BadPayload(
            f'{answered}: a redirect to {target.path}; check that no proxy changes the paths of the API server'
        )
    return Unauthorized(
        f'{answered}: a redirect to {place(target.geturl())}, probably a page to sign in, which the check does not '
        'follow',
        remedy='behind an OAuth2 proxy, set option `token` to the token of a service account',
    )
