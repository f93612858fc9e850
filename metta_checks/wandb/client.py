"""Talks to W&B's GraphQL interface; yields records.

One operation per document, because a server that lacks one field refuses the document as a whole. The schema is not
public: where an answer may differ between servers, the client finds out by asking and remembers it in its `Dialect`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from ..core.errors import BadPayload, NotFound, RateLimited, Rejected, SourceError, Unauthorized
from ..core.fields import number
from ..core.http import DEFAULT_WAIT_SECONDS, Api, Response, ResponsePolicy, retry_after
from ..core.limits import RateLimits
from ..core.paging import Page, pages
from ..core.stored import stored
from ..core.times import utc_time
from . import filters
from .filters import Filter
from .records import GpuReadings, Run, number_at

T = TypeVar('T')

# The one rate limit of the interface: per user, over all projects.
RESOURCE = 'graphql'
# The scale of RateLimit-Remaining, for answers that do not state a limit.
DOCUMENTED_LIMIT = 1000
# Runs may be deleted while their pages are read; more missing ones mean that the answer is not complete.
MISSING_ROWS_ALLOWED = 2
MAX_MESSAGE = 160
NO_NEXT_PAGE = 'W&B promises a further page but does not say where it begins'
# Fields and arguments that old self-hosted servers lack, as their error messages name them.
OPTIONAL_NAMES = ('computeSeconds', 'runInfo', 'updatedAt', 'keys')


@stored
class Dialect:
    """The queries that a server understands.

    Attributes:
        complete: whether it knows computeSeconds, runInfo, updatedAt and the argument `keys`
        heartbeat_filter: whether filters may name heartbeatAt; None before it was tried
    """

    complete: bool = True
    heartbeat_filter: bool | None = None

    @property
    def name(self) -> str:
        """`complete` or `minimal`."""
        return 'complete' if self.complete else 'minimal'


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whom the key belongs to."""

    username: str
    entity: str


class SchemaError(Rejected):
    """The server does not know a field or an argument of the query."""


@dataclass(frozen=True, slots=True)
class _Listing(Generic[T]):
    """An operation that lists runs."""

    operation: str
    # Gives the fields to ask for, which depend on the dialect at the time.
    fields: Callable[[], str]
    # Returns None for a node that cannot be understood.
    parse: Callable[[Mapping[str, Any]], T | None]


class Client:
    """The reads of the source.

    Parameters:
        api: the server's interface, with `ApiKey` and `RateHeaders`
        keys: the summary keys to ask for
        gpu_count_key: the configuration key to ask for, if any
        page_size: runs per page
    """

    def __init__(
        self,
        api: Api,
        *,
        keys: Sequence[str],
        gpu_count_key: str | None = None,
        page_size: int = 100,
    ) -> None:
        # What is known of the server; replaced when it turns out to be different.
        self.dialect = Dialect()
        self._api = api
        self._keys = keys
        self._gpu_count_key = gpu_count_key
        self._page_size = page_size
        self._runs = _Listing('Runs', self._run_fields, partial(Run.parse, gpu_count_key=gpu_count_key))
        self._running = _Listing(
            'Running', self._reading_fields, partial(GpuReadings.parse, gpu_count_key=gpu_count_key)
        )

    def viewer(self) -> Viewer:
        """Whom the key belongs to. Raises Unauthorized when the server takes us for nobody."""
        data = self._ask('Viewer', 'query Viewer { viewer { id username entity } }', {})
        viewer = data.get('viewer')
        if not isinstance(viewer, Mapping):
            raise Unauthorized('W&B does not know whom the API key belongs to; check option `api_key`')
        return Viewer(str(viewer.get('username') or ''), str(viewer.get('entity') or ''))

    def projects(self, entity: str) -> Iterator[str]:
        """Names of the entity's projects, in the server's order. Raises NotFound without such an entity."""
        query = (
            'query Projects($entity: String, $after: String, $first: Int) { '
            'models(entityName: $entity, after: $after, first: $first) { '
            'edges { node { name } } pageInfo { hasNextPage endCursor } } }'
        )

        def fetch(cursor: str | None) -> Page[str]:
            data = self._ask('Projects', query, {'entity': entity, 'after': cursor, 'first': self._page_size})
            if data.get('models') is None:
                raise NotFound(f'W&B shows no entity `{entity}` to this key: no such entity, or no access')
            return _page(data['models'], lambda node: str(node.get('name') or '') or None)

        for page in pages(fetch, repeated=NO_NEXT_PAGE):
            yield from page.rows

    def counts(self, entity: str, project: str, questions: Mapping[str, Filter]) -> dict[str, int]:
        """How many runs match each filter, by the filter's name, in one request."""
        names = list(questions)
        variables = ', '.join(f'$f{index}: JSONString' for index in range(len(names)))
        aliases = ' '.join(f'{name}: runCount(filters: $f{index})' for index, name in enumerate(names))
        query = (
            f'query Counts($entity: String!, $project: String!, {variables}) {{ '
            f'project(name: $project, entityName: $entity) {{ {aliases} }} }}'
        )
        values = {f'f{index}': json.dumps(questions[name]) for index, name in enumerate(names)}
        found = self._ask_project('Counts', query, entity, project, values)
        return {name: _count(found.get(name), name) for name in names}

    def filters_by_heartbeat(self, entity: str, project: str, now: datetime) -> bool:
        """Whether the server's filters understand heartbeatAt, which is not in W&B's list of fields to filter by.

        A server may refuse the field, ignore the condition (runs of the future are found) or never match it.
        """
        try:
            counted = self.counts(entity, project, filters.heartbeat_probe(now))
        except Rejected:
            return False
        return counted['future'] == 0 and (counted['past'] > 0 or counted['ended'] == 0)

    def learn(self, entity: str, project: str, now: datetime) -> None:
        """Find out what the server understands, and whether one that lacked fields has been renewed."""
        if not self.dialect.complete:
            self.dialect = replace(self.dialect, complete=True)
            variables = {'filters': '{}', 'order': filters.OLDEST_FIRST, 'after': None, 'first': 1}
            self._ask_runs(self._runs, entity, project, variables, counted=False)
        understood = self.filters_by_heartbeat(entity, project, now)
        self.dialect = replace(self.dialect, heartbeat_filter=understood)

    def runs(
        self, entity: str, project: str, condition: Filter, order: str = filters.OLDEST_FIRST, after: str | None = None
    ) -> Iterator[Page[Run]]:
        """Pages of runs that match a filter, beginning after a cursor.

        Raises BadPayload when, read from the first page to the last, fewer come than the server counts.
        """
        return self._walk(self._runs, entity, project, condition, order, after)

    def running(self, entity: str, project: str) -> Iterator[Page[GpuReadings]]:
        """Pages of the GPU readings of the running runs."""
        return self._walk(self._running, entity, project, filters.state('running'), filters.OLDEST_FIRST)

    def best(self, entity: str, project: str, key: str) -> float | None:
        """The largest number under a summary key over all finished runs; None when the first page has no number."""
        page = next(self.runs(entity, project, filters.state('finished'), f'-summary_metrics.{key}'))
        numbers = (number_at(run.summary, key) for run in page.rows)
        return next((value for value in numbers if value is not None), None)

    def sweeps(self, entity: str, project: str) -> Iterator[Page[str]]:
        """Pages of the states of the project's sweeps, in lower case."""
        query = (
            'query Sweeps($entity: String!, $project: String!, $after: String, $first: Int) { '
            'project(name: $project, entityName: $entity) { sweeps(after: $after, first: $first) { '
            'edges { node { id state } } pageInfo { hasNextPage endCursor } } } }'
        )

        def fetch(cursor: str | None) -> Page[str]:
            variables = {'after': cursor, 'first': self._page_size}
            found = self._ask_project('Sweeps', query, entity, project, variables)
            return _page(found.get('sweeps'), lambda node: str(node.get('state') or '').lower() or None)

        return pages(fetch, repeated=NO_NEXT_PAGE)

    # Inside.

    def _run_fields(self) -> str:
        fields = 'id name displayName state createdAt heartbeatAt tags group jobType sweepName user { username }'
        if not self.dialect.complete:
            return f'{fields} summaryMetrics{" config" if self._gpu_count_key else ""}'
        return f'{fields} updatedAt computeSeconds {self._hardware_fields()} summaryMetrics(keys: {self._top_level()})'

    def _reading_fields(self) -> str:
        if not self.dialect.complete:
            return f'name heartbeatAt systemMetrics{" config" if self._gpu_count_key else ""}'
        return f'name heartbeatAt systemMetrics {self._hardware_fields()}'

    def _hardware_fields(self) -> str:
        config = f' config(keys: {json.dumps([self._gpu_count_key])})' if self._gpu_count_key else ''
        return f'runInfo {{ gpu gpuCount }}{config}'

    def _top_level(self) -> str:
        """The keys as a GraphQL list. The server selects top-level keys: of a path, the first part is needed."""
        return json.dumps(list(dict.fromkeys(part for key in self._keys for part in (key, key.split('.')[0]))))

    def _walk(
        self,
        listing: _Listing[T],
        entity: str,
        project: str,
        condition: Filter,
        order: str,
        after: str | None = None,
    ) -> Iterator[Page[T]]:
        expected = None
        received = 0

        def fetch(cursor: str | None) -> Page[T]:
            nonlocal expected
            variables = {
                'filters': json.dumps(condition),
                'order': order,
                'after': cursor,
                'first': self._page_size,
            }
            found = self._ask_runs(listing, entity, project, variables, counted=cursor is None)
            if cursor is None:
                expected = _count(found.get('matching'), 'matching')
            return _page(found.get('runs'), listing.parse)

        for page in pages(fetch, after, repeated=NO_NEXT_PAGE):
            received += len(page.rows) + page.unreadable
            if page.cursor is None and expected is not None and received < expected - MISSING_ROWS_ALLOWED:
                raise BadPayload(f'W&B counts {expected} runs and sent {received}: the answer is not complete')
            yield page

    def _ask_runs(
        self,
        listing: _Listing[Any],
        entity: str,
        project: str,
        variables: Mapping[str, Any],
        *,
        counted: bool,
    ) -> Mapping[str, Any]:
        """One page; asked again with the minimal set of fields when the server turns out not to know the others."""

        def query() -> str:
            count = 'matching: runCount(filters: $filters) ' if counted else ''
            return (
                f'query {listing.operation}($entity: String!, $project: String!, $filters: JSONString, $order: String, '
                f'$after: String, $first: Int) {{ project(name: $project, entityName: $entity) {{ {count}'
                f'runs(filters: $filters, order: $order, after: $after, first: $first) {{ '
                f'edges {{ node {{ {listing.fields()} }} }} pageInfo {{ hasNextPage endCursor }} }} }} }}'
            )

        try:
            return self._ask_project(listing.operation, query(), entity, project, variables)
        except SchemaError:
            if not self.dialect.complete:
                raise
            self.dialect = replace(self.dialect, complete=False)
        return self._ask_project(listing.operation, query(), entity, project, variables)

    def _ask_project(
        self, operation: str, query: str, entity: str, project: str, variables: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        data = self._ask(operation, query, {'entity': entity, 'project': project, **variables})
        if data.get('project') is None:
            raise NotFound(
                f'W&B shows no project `{entity}/{project}` to this key: no such project, or no access; '
                'check options `entity` and `projects`, and that the key belongs to a member of the team'
            )
        return _object(data['project'], 'project')

    def _ask(self, operation: str, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        body = {'operationName': operation, 'query': query, 'variables': variables}
        # A refused document comes with HTTP 400 and says why in the body.
        response = self._api.post('graphql', body, resource=RESOURCE, accept=(400,))
        answer = response.json_object()
        # Partial data would be half a number: any error fails the whole operation.
        if answer.get('errors'):
            raise _refusal(operation, answer['errors'])
        if response.status == 400:
            raise Rejected(f'W&B refused the query {operation} (HTTP 400)')
        return _object(answer.get('data'), 'data')


class ApiKey:
    """The credentials: an API key, as the password of the user `api`."""

    def __init__(self, api_key: str) -> None:
        self._headers = {'Authorization': f'Basic {base64.b64encode(f"api:{api_key}".encode()).decode()}'}

    def headers(self) -> Mapping[str, str]:
        """Return the same header for every request."""
        return self._headers


class RateHeaders(ResponsePolicy):
    """Reads RateLimit-* headers."""

    def __init__(self, limits: RateLimits, clock: Callable[[], datetime]) -> None:
        self._limits = limits
        self._clock = clock

    def observe(self, response: Response, resource: str) -> None:
        """Remember what is left, and send nothing more when that is nothing."""
        remaining = _header(response, 'RateLimit-Remaining')
        if remaining is None:
            return
        limit = _header(response, 'RateLimit-Limit') or DOCUMENTED_LIMIT
        self._limits.observe(resource, remaining=remaining, limit=limit)
        if remaining <= 0:
            error = self._wait(response)
            self._limits.close(resource, error.until, str(error))

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """The wait that a 429 asks for."""
        return self._wait(response) if response.status == 429 else None

    def _wait(self, response: Response) -> RateLimited:
        now = self._clock()
        seconds = _header(response, 'RateLimit-Reset') or retry_after(response, now) or DEFAULT_WAIT_SECONDS
        until = self._limits.bounded(now.timestamp() + seconds)
        return RateLimited(
            f'the rate limit of W&B is used up (HTTP {response.status}): nothing is sent before {utc_time(until)}; '
            'the limit is per user, so other programs with the same key count too',
            until=until,
        )


def _header(response: Response, name: str) -> float | None:
    try:
        return number(float(response.headers[name]))
    except (KeyError, ValueError):
        return None


def _refusal(operation: str, errors: Any) -> Rejected:
    """The first error of an answer as one line."""
    listed = errors if isinstance(errors, list) else [errors]
    texts = [' '.join(str(error.get('message', '')).split()) for error in listed if isinstance(error, Mapping)]
    first = next(filter(None, texts), 'no reason given')
    shown = first if len(first) <= MAX_MESSAGE else f'{first[: MAX_MESSAGE - 3]}...'
    kind = SchemaError if any(name in text for text in texts for name in OPTIONAL_NAMES) else Rejected
    return kind(f'W&B refused the query {operation}: {shown}')


def _page(connection: Any, parse: Callable[[Mapping[str, Any]], T | None]) -> Page[T]:
    """One page of a connection. Raises BadPayload when it is not one, or does not lead to the next page."""
    edges = _object(connection, 'connection').get('edges')
    info = _object(connection.get('pageInfo'), 'pageInfo')
    if not isinstance(edges, list):
        raise BadPayload('W&B answered a list of runs without edges')
    nodes = [edge.get('node') for edge in edges if isinstance(edge, Mapping)]
    parsed = [parse(node) if isinstance(node, Mapping) else None for node in nodes]
    rows = [row for row in parsed if row is not None]
    cursor = info.get('endCursor') if info.get('hasNextPage') else None
    if info.get('hasNextPage') and not (edges and cursor and isinstance(cursor, str)):
        raise BadPayload(NO_NEXT_PAGE)
    return Page(rows, len(edges) - len(rows), cursor)


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadPayload(f'W&B answered without {what}: is option `api_url` the address of a W&B server?')
    return value


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadPayload(f'W&B answered no number of runs for `{name}`')
    return value
