"""The requests to W&B's GraphQL API; yields records.

Each document has one operation, because a server that lacks one field refuses the document as a whole. The schema is
not public: the client tries the queries that only some servers understand, and remembers the result in its `Dialect`.
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
from ..core.fields import Contract, decimal, integer, items, mapping, text
from ..core.http import DEFAULT_WAIT_SECONDS, Api, Response, ResponsePolicy, retry_after
from ..core.limits import RateLimits
from ..core.paging import Page, pages
from ..core.times import utc_time
from . import filters
from .answers import (
    ANSWER_STATUSES,
    Confines,
    SchemaError,
    Unreadable,
    data_of,
    no_part,
    parts_of_counts,
    parts_of_lists,
)
from .dialect import OPTIONAL_NAMES, Dialect
from .filters import Filter
from .hardware import SDK_KEY
from .keys import top_level_names
from .records import GpuReadings, Project, Run, Viewer, number_at
from .run_times import SUMMARY_KEYS

T = TypeVar('T')
Row = TypeVar('Row', Run, GpuReadings)

# The rate limit of the API is per user, over all projects.
RESOURCE = 'graphql'
# The documented limit, for answers with a RateLimit-Remaining header and without a RateLimit-Limit header.
DOCUMENTED_LIMIT = 1000
# Runs may be deleted while their pages are read. When more runs are missing, the answer is not complete.
MISSING_ROWS_ALLOWED = 2
# Pages that are read for the best run of all time.
MAX_BEST_PAGES = 10
NO_NEXT_PAGE = 'W&B promises a further page but does not say where it begins'
CONTRACT = Contract('W&B')


@dataclass(frozen=True, slots=True)
class RunPage(Page[Row]):
    """A page of runs.

    Attributes:
        missing: on the last page, the number of runs that the server counted and did not send; None: not known
        refusal: W&B's reason for a part of the page that it could not read; empty without
    """

    missing: int | None = None
    refusal: str = ''


@dataclass(frozen=True, slots=True)
class _Listing(Generic[Row]):
    """An operation that lists runs."""

    operation: str
    # Returns the fields to ask for, which depend on the present dialect.
    fields: Callable[[], str]
    # Returns None for a node that cannot be read.
    parse: Callable[[Mapping[str, Any]], Row | None]


class Client:
    """The requests of the source.

    Parameters:
        api: the HTTP adapter, with `ApiKey` and `RateHeaders`
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
        # Replaced when the server turns out to understand other queries.
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
        """Return the user of the key. Raises Unauthorized when the server does not recognize the key."""
        data = self._ask('Viewer', 'query Viewer { viewer { id username entity } }', {})
        viewer = mapping(data.get('viewer'))
        if viewer is None:
            raise Unauthorized('W&B does not recognize the API key', remedy='check option `api_key`')
        return Viewer.parse(viewer)

    def projects(self, entity: str) -> Iterator[str]:
        """Yield the names of the entity's projects, in the server's order. Raises NotFound without such an entity."""
        query = (
            'query Projects($entity: String, $after: String, $first: Int) { '
            'models(entityName: $entity, after: $after, first: $first) { '
            'edges { node { name } } pageInfo { hasNextPage endCursor } } }'
        )

        def fetch(cursor: str | None) -> Page[str]:
            data = self._ask('Projects', query, {'entity': entity, 'after': cursor, 'first': self._page_size})
            if data.get('models') is None:
                raise NotFound(f'W&B shows no entity `{entity}` to this key: no such entity, or no access')
            return _page(data, 'models', lambda node: text(node.get('name')))

        for page in pages(fetch, repeated=NO_NEXT_PAGE):
            yield from page.rows

    def counts(self, project: Project, conditions: Mapping[str, Filter]) -> dict[str, int]:
        """Return the number of runs that match each filter, by the filter's name. Sends one request."""
        found = self._counted(project, conditions, no_part)
        return {name: _count(found, name) for name in conditions}

    def readable_counts(
        self, project: Project, conditions: Mapping[str, Filter]
    ) -> tuple[dict[str, int | None], dict[str, Unreadable]]:
        """Return the counts as `counts` does, with None for those that W&B could not give, and its reasons."""
        found = self._counted(project, conditions, parts_of_counts)
        refused = {name: part for name in conditions if isinstance(part := found.get(name), Unreadable)}
        return {name: None if name in refused else _count(found, name) for name in conditions}, refused

    def _counted(self, project: Project, conditions: Mapping[str, Filter], confines: Confines) -> Mapping[str, Any]:
        names = list(conditions)
        variables = ', '.join(f'$f{index}: JSONString' for index in range(len(names)))
        aliases = ' '.join(f'{name}: runCount(filters: $f{index})' for index, name in enumerate(names))
        query = (
            f'query Counts($entity: String!, $project: String!, {variables}) {{ '
            f'project(name: $project, entityName: $entity) {{ {aliases} }} }}'
        )
        values = {f'f{index}': json.dumps(conditions[name]) for index, name in enumerate(names)}
        return self._ask_project('Counts', query, project, values, confines)

    def filters_by_heartbeat(self, project: Project, now: datetime) -> bool:
        """Return True when the server's filters understand heartbeatAt, which W&B does not document as a filter.

        A server may refuse the field, ignore the condition (so that it finds runs of the future) or never match it.
        """
        try:
            counted = self.counts(project, filters.heartbeat_probe(now))
        except Rejected:
            return False
        return counted['future'] == 0 and (counted['past'] > 0 or counted['ended'] == 0)

    def learn(self, project: Project, now: datetime) -> None:
        """Find out which queries the server understands. A server that lacked fields may have been upgraded."""
        if self.dialect.missing:
            self.dialect = replace(self.dialect, missing=())
            variables = {'filters': '{}', 'order': filters.OLDEST_FIRST, 'after': None, 'first': 1}
            self._ask_runs(self._runs, project, variables, counted=False)
        understood = self.filters_by_heartbeat(project, now)
        self.dialect = replace(self.dialect, heartbeat_filter=understood)

    def runs(
        self, project: Project, condition: Filter, order: str = filters.OLDEST_FIRST, after: str | None = None
    ) -> Iterator[RunPage[Run]]:
        """Yield pages of runs that match a filter, beginning after a cursor.

        Raises BadPayload when all pages together have fewer rows than the server counts.
        """
        return self._list(self._runs, project, condition, order, after)

    def running(self, project: Project) -> Iterator[RunPage[GpuReadings]]:
        """Yield pages of the GPU readings of the active runs."""
        return self._list(self._running, project, filters.active(), filters.OLDEST_FIRST)

    def best(self, project: Project, key: str) -> float | None:
        """Return the largest number under a summary key over all finished runs; None without one.

        Values that are not numbers, such as "NaN", may come first. Raises BadPayload when the server does not sort the
        runs by this key, and when the first pages have no number.
        """
        pages_of_runs = self.runs(project, filters.state('finished'), f'-summary_metrics.{key}')
        for position, page in enumerate(pages_of_runs, 1):
            numbers = [value for run in page.rows if (value := number_at(run.summary, key)) is not None]
            if numbers != sorted(numbers, reverse=True):
                raise BadPayload(f'W&B does not sort the runs by `{key}`')
            if numbers:
                return numbers[0]
            if position == MAX_BEST_PAGES and page.cursor is not None:
                raise BadPayload(f'the first {position} pages of the runs sorted by `{key}` have no number')
        return None

    def sweeps(self, project: Project) -> Iterator[Page[str]]:
        """Yield pages of the states of the project's sweeps, in lower case."""
        query = (
            'query Sweeps($entity: String!, $project: String!, $after: String, $first: Int) { '
            'project(name: $project, entityName: $entity) { sweeps(after: $after, first: $first) { '
            'edges { node { id state } } pageInfo { hasNextPage endCursor } } } }'
        )

        def fetch(cursor: str | None) -> Page[str]:
            variables = {'after': cursor, 'first': self._page_size}
            found = self._ask_project('Sweeps', query, project, variables, no_part)
            return _page(found, 'sweeps', _sweep_state)

        return pages(fetch, repeated=NO_NEXT_PAGE)

    def _run_fields(self) -> str:
        fields = 'id displayName state createdAt tags group jobType sweepName user { username }'
        return ' '.join((fields, self._reading_fields(), self._optional('computeSeconds'), self._summary_fields()))

    def _reading_fields(self) -> str:
        """Return the fields of a run's GPUs and of their readings."""
        fields = ('name heartbeatAt systemMetrics', self._optional('host'), self._config_field())
        return ' '.join((*fields, 'runInfo { gpu gpuCount }' if self.dialect.has('runInfo') else ''))

    def _optional(self, name: str) -> str:
        return name if self.dialect.has(name) else ''

    def _config_field(self) -> str:
        # Whole configurations are large: they are read only for the option.
        if not self.dialect.has('keys'):
            return 'config' if self._gpu_count_key else ''
        names = top_level_names(self._gpu_count_key) if self._gpu_count_key else []
        return f'config(keys: {json.dumps([SDK_KEY, *names])})'

    def _summary_fields(self) -> str:
        """Return the field of the summary. The server selects keys at its top level."""
        if not self.dialect.has('keys'):
            return 'summaryMetrics'
        names = [*SUMMARY_KEYS, *(name for key in self._keys for name in top_level_names(key))]
        return f'summaryMetrics(keys: {json.dumps(list(dict.fromkeys(names)))})'

    def _list(
        self, listing: _Listing[Row], project: Project, condition: Filter, order: str, after: str | None = None
    ) -> Iterator[RunPage[Row]]:
        expected = None
        received = unreadable = 0
        ids: set[str] = set()

        def fetch(cursor: str | None) -> RunPage[Row]:
            nonlocal expected
            variables = {'filters': json.dumps(condition), 'order': order, 'after': cursor, 'first': self._page_size}
            found = self._ask_runs(listing, project, variables, counted=cursor is None)
            if cursor is None:
                expected = _count(found, 'matching')
            page = _page(found, 'runs', listing.parse)
            return RunPage(page.rows, page.unreadable, page.cursor, refusal=_refusal(found))

        for page in pages(fetch, after, repeated=NO_NEXT_PAGE):
            received += len(page.rows) + page.unreadable
            unreadable += page.unreadable
            ids.update(row.id for row in page.rows)
            if page.cursor is None and expected is not None:
                if received < expected - MISSING_ROWS_ALLOWED:
                    raise BadPayload(f'W&B counts {expected} runs and sent {received}: the answer is not complete')
                # Pages of a list that changes meanwhile repeat runs, and leave others out.
                page = replace(page, missing=max(0, expected - len(ids) - unreadable))
            yield page

    def _ask_runs(
        self, listing: _Listing[Any], project: Project, variables: Mapping[str, Any], *, counted: bool
    ) -> Mapping[str, Any]:
        """Return one page.

        A field that the server says twice it does not know is left out from then on.
        """

        def query() -> str:
            count = 'matching: runCount(filters: $filters) ' if counted else ''
            return (
                f'query {listing.operation}($entity: String!, $project: String!, $filters: JSONString, $order: String, '
                f'$after: String, $first: Int) {{ project(name: $project, entityName: $entity) {{ {count}'
                f'runs(filters: $filters, order: $order, after: $after, first: $first) {{ '
                f'edges {{ node {{ {listing.fields()} }} }} pageInfo {{ hasNextPage endCursor }} }} }} }}'
            )

        suspected: frozenset[str] = frozenset()
        for _ in range(2 * len(OPTIONAL_NAMES)):
            try:
                return self._ask_project(listing.operation, query(), project, variables, parts_of_lists)
            except SchemaError as error:
                confirmed = suspected & error.names
                if confirmed:
                    self.dialect = self.dialect.without(confirmed)
                suspected = error.names - confirmed
        return self._ask_project(listing.operation, query(), project, variables, parts_of_lists)

    def _ask_project(
        self, operation: str, query: str, project: Project, variables: Mapping[str, Any], confines: Confines
    ) -> Mapping[str, Any]:
        names = {'entity': project.entity, 'project': project.name}
        data = self._ask(operation, query, {**names, **variables}, confines)
        if data.get('project') is None:
            raise NotFound(
                f'W&B shows no project `{project.entity}/{project.name}` to this key: no such project, or no access; '
                'check options `entity` and `projects`, and that the key belongs to a member of the team'
            )
        return CONTRACT.required(mapping, data, 'project', 'answer')

    def _ask(
        self, operation: str, query: str, variables: Mapping[str, Any], confines: Confines = no_part
    ) -> Mapping[str, Any]:
        body = {'operationName': operation, 'query': query, 'variables': variables}
        response = self._api.post('graphql', body, resource=RESOURCE, accept=ANSWER_STATUSES)
        return data_of(operation, response, confines)


class ApiKey:
    """Credentials: an API key, which is the password of the user `api`."""

    def __init__(self, api_key: str) -> None:
        self._headers = {'Authorization': f'Basic {base64.b64encode(f"api:{api_key}".encode()).decode()}'}

    def headers(self) -> Mapping[str, str]:
        """Return the same header for every request."""
        return self._headers


class RateHeaders(ResponsePolicy):
    """The rate limit that W&B states in RateLimit-* headers."""

    def __init__(self, limits: RateLimits, clock: Callable[[], datetime]) -> None:
        self._limits = limits
        self._clock = clock

    def observe(self, response: Response, resource: str) -> None:
        """Remember how many requests are left. When none is left, close the resource until its reset time."""
        remaining = decimal(response.headers.get('RateLimit-Remaining'))
        if remaining is None:
            return
        limit = decimal(response.headers.get('RateLimit-Limit')) or DOCUMENTED_LIMIT
        self._limits.observe(resource, remaining=remaining, limit=limit)
        if remaining <= 0:
            error = self._wait(response)
            self._limits.close(resource, error.until, str(error))

    def classify(self, response: Response, resource: str) -> SourceError | None:
        """Return the wait that a 429 asks for."""
        return self._wait(response) if response.status == 429 else None

    def _wait(self, response: Response) -> RateLimited:
        now = self._clock()
        reset = decimal(response.headers.get('RateLimit-Reset'))
        seconds = reset or retry_after(response.headers, now) or DEFAULT_WAIT_SECONDS
        until = self._limits.bounded(now.timestamp() + seconds)
        return RateLimited(
            f'the rate limit of W&B is used up (HTTP {response.status}): nothing is sent before {utc_time(until)}; '
            'the limit is per user, so other programs with the same key count too',
            until=until,
        )


def _refusal(found: Mapping[str, Any]) -> str:
    """Return W&B's first reason for a part of a page of runs that it could not read; empty without one."""
    edges = items((mapping(found.get('runs')) or {}).get('edges')) or ()
    nodes = [edge if isinstance(edge, Unreadable) else (mapping(edge) or {}).get('node') for edge in edges]
    parts = [part for node in nodes for part in (node, *(mapping(node) or {}).values())]
    return next((part.refusal for part in parts if isinstance(part, Unreadable)), '')


def _page(found: Mapping[str, Any], key: str, parse: Callable[[Mapping[str, Any]], T | None]) -> Page[T]:
    """Return one page of a connection. Raises BadPayload for other answers, and without the cursor of a next page."""
    connection = CONTRACT.required(mapping, found, key, 'answer')
    edges = CONTRACT.required(items, connection, 'edges', 'list')
    info = CONTRACT.required(mapping, connection, 'pageInfo', 'list')
    cursor = text(info.get('endCursor')) if info.get('hasNextPage') else None
    if info.get('hasNextPage') and not (edges and cursor):
        raise BadPayload(NO_NEXT_PAGE)
    nodes = [mapping((mapping(edge) or {}).get('node')) for edge in edges]
    rows = [row for node in nodes if node is not None and (row := parse(node)) is not None]
    return Page(rows, len(edges) - len(rows), cursor)


def _sweep_state(node: Mapping[str, Any]) -> str | None:
    state = text(node.get('state'))
    return None if state is None else state.lower()


def _count(found: Mapping[str, Any], name: str) -> int:
    count = CONTRACT.required(integer, found, name, 'answer')
    if count < 0:
        raise BadPayload(f'W&B sent a negative number of runs for `{name}`')
    return count
