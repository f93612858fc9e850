"""The part of W&B's GraphQL schema that is known, executed by graphql-core over the runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from graphql import DocumentNode, GraphQLError, GraphQLSchema, build_schema, execute_sync, parse, validate

from .data import Project, Run
from .filters import BadFilter, Predicate, compile_filter, sort_key

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000
CURSOR = 'arrayconnection:'

SDL = """
scalar JSONString
scalar JSON
scalar DateTime

type Query {
  viewer: User
  project(name: String, entityName: String): Project
  models(entityName: String, after: String, first: Int): ProjectConnection
}
type User {
  id: ID! name: String username: String entity: String email: String admin: Boolean flags: JSONString
  deletedAt: DateTime teams: TeamConnection apiKeys: ApiKeyConnection
}
type Team { name: String }
type TeamEdge { node: Team }
type TeamConnection { edges: [TeamEdge] }
type ApiKey { id: ID! name: String description: String }
type ApiKeyEdge { node: ApiKey }
type ApiKeyConnection { edges: [ApiKeyEdge] }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type Project {
  id: ID! internalId: String name: String entityName: String readOnly: Boolean createdAt: DateTime isBenchmark: Boolean
  user: User
  runCount(filters: JSONString): Int
  runs(filters: JSONString, after: String, first: Int, order: String): RunConnection
  run(name: String!): Run
  sweeps(after: String, first: Int): SweepConnection
  totalSweeps: Int
}
type ProjectEdge { cursor: String node: Project }
type ProjectConnection { edges: [ProjectEdge] pageInfo: PageInfo! }
type RunConnection { edges: [RunEdge] pageInfo: PageInfo! totalCount: Int }
type RunEdge { cursor: String node: Run }
type Run {
  id: ID! projectId: Int name: String! displayName: String state: String tags: [String!] group: String jobType: String
  sweepName: String commit: String readOnly: Boolean description: String notes: String host: String
  createdAt: DateTime heartbeatAt: DateTime
  systemMetrics: JSONString historyLineCount: Int historyKeys: JSON
  user: User
  %(run)s
}
type Sweep {
  id: ID! name: String displayName: String method: String state: String runCount: Int runCountExpected: Int
  bestLoss: Float createdAt: DateTime
}
type SweepEdge { cursor: String node: Sweep }
type SweepConnection { edges: [SweepEdge] pageInfo: PageInfo! }
"""
COMPLETE = """
  updatedAt: DateTime computeSeconds: Float runInfo: RunInfo
  config(keys: [String!]): JSONString summaryMetrics(keys: [String!]): JSONString
}
type RunInfo { gpu: String gpuCount: Int cpuCount: Int
"""
# Fields of old self-managed servers.
OLD = 'config: JSONString summaryMetrics: JSONString'


@lru_cache(maxsize=8)
def schema(old: bool, missing: tuple[str, ...] = ()) -> GraphQLSchema:
    """Build the schema of a current or of an old server.

    Args:
        old: no computeSeconds, runInfo, updatedAt, nor `keys`
        missing: `Type.field` and `Type.field.argument` that the server lacks as well
    """
    built = build_schema(SDL % {'run': OLD if old else COMPLETE})
    for path in missing:
        name, field, *argument = path.split('.')
        fields = built.type_map[name].fields  # type: ignore[attr-defined]  # the types named here are objects
        if argument:
            del fields[field].args[argument[0]]
        else:
            del fields[field]
    return built


@lru_cache(maxsize=64)
def _document(query: str, old: bool, missing: tuple[str, ...]) -> DocumentNode | list[GraphQLError]:
    """Parse and validate a query. Returns the document, or its errors."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return [error]
    return validate(schema(old, missing), document) or document


def answer(
    root: Root,
    query: str,
    variables: Mapping[str, Any],
    operation: str | None,
    *,
    old: bool,
    missing: Sequence[str] = (),
) -> tuple[int, Any]:
    """Answer a query with a status and a body: 400 for a query that does not fit the schema."""
    document = _document(query, old, tuple(missing))
    if isinstance(document, list):
        # W&B's server sets names in double quotes: https://github.com/wandb/wandb/issues/10124
        return 400, {'errors': [{'message': error.message.replace("'", '"')} for error in document]}
    result = execute_sync(
        schema(old, tuple(missing)),
        document,
        root,
        variable_values=dict(variables),
        operation_name=operation or None,
    )
    body: dict[str, Any] = {'data': result.data}
    if result.errors:
        body['errors'] = [{'message': error.message, 'path': error.path} for error in result.errors]
    return 200, body


class Root:
    """The root of queries. Attributes and methods of these classes are the fields of the schema."""

    def __init__(self, viewer: Any, projects: Callable[[], Mapping[str, Project]], entity: str) -> None:
        self._viewer = viewer
        self._projects = projects
        self._entity = entity
        self.heartbeat = 'yes'
        self.denied: frozenset[str] = frozenset()
        self.clear()

    def clear(self) -> None:
        """Forget sorted lists: the runs have changed."""
        self._sorted: dict[tuple[str, str, str], list[Run]] = {}

    def viewer(self, _: Any) -> Any:
        """Return the owner of the key."""
        return self._viewer

    def project(self, _: Any, name: str | None = None, entityName: str | None = None) -> Any:  # noqa: N803 W&B's name
        """Find a project of the entity by its name."""
        if name in self.denied:
            raise GraphQLError('permission denied')
        project = self._projects().get(name or '')
        return ProjectView(self, project, self._entity) if project and entityName == self._entity else None

    def models(self, _: Any, entityName: str | None = None, after: str | None = None, first: int | None = None) -> Any:  # noqa: N803 W&B's name
        """List the projects of the entity."""
        if entityName != self._entity:
            return None
        views = [ProjectView(self, project, self._entity) for project in self._projects().values()]
        return _numbered(views, after, first)

    def predicate(self, filters: str | None) -> Predicate:
        """Compile a JSON filter. Raises GraphQLError as the server does."""
        try:
            return compile_filter(json.loads(filters or '{}'), self.heartbeat)
        except (BadFilter, ValueError) as error:
            raise GraphQLError(f'invalid filter: {error}') from None

    def sorted_runs(self, project: Project, filters: str | None, order: str) -> list[Run]:
        """Return the runs that match, in an order."""
        name = (project.name, filters or '', order)
        if name not in self._sorted:
            try:
                key, descending = sort_key(order)
            except BadFilter as error:
                raise GraphQLError(f'invalid order: {error}') from None
            self._sorted[name] = sorted(
                filter(self.predicate(filters), project.runs.values()), key=key, reverse=descending
            )
        return self._sorted[name]


class ProjectView:
    """A project as the schema shows it."""

    def __init__(self, root: Root, project: Project, entity: str) -> None:
        self._root = root
        self._project = project
        self.id = f'Project:{project.name}'
        self.internalId = '101'
        self.createdAt = '2023-05-01T08:00:00Z'
        self.isBenchmark = False
        self.readOnly = False
        self.user = None
        self.name = project.name
        self.entityName = entity
        self.totalSweeps = len(project.sweeps)

    def runCount(self, _: Any, filters: str | None = None) -> int:  # noqa: N802 W&B's name
        """Count the runs that match."""
        if not filters or filters == '{}':
            return len(self._project.runs)
        predicate = self._root.predicate(filters)
        return sum(map(predicate, self._project.runs.values()))

    def run(self, _: Any, name: str) -> Any:
        """Find a run by its id, which the schema calls its name."""
        run = self._project.runs.get(name)
        return RunView(run) if run else None

    def runs(
        self,
        _: Any,
        filters: str | None = None,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
    ) -> Any:
        """List the runs that match, in an order, from a cursor on."""
        runs = self._root.sorted_runs(self._project, filters, order or '+created_at')
        return {**_numbered(runs, after, first, RunView), 'totalCount': len(runs)}

    def sweeps(self, _: Any, after: str | None = None, first: int | None = None) -> Any:
        """List the sweeps."""
        sweeps = [
            {'id': f'Sweep:{name}', 'name': name, 'displayName': name, 'method': 'bayes', 'state': state}
            for name, state in self._project.sweeps
        ]
        return _numbered(sweeps, after, first)


class RunView:
    """A run as the schema shows it."""

    __slots__ = ('_run',)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        read = _FIELDS.get(name)
        if read is None:
            raise AttributeError(name)
        self._check(name)
        return read(self._run)

    def _check(self, field: str) -> None:
        if field in self._run.unreadable:
            # As in https://github.com/wandb/wandb/issues/677
            raise GraphQLError('Error 3143: Invalid JSON path expression')

    def config(self, _: Any, keys: list[str] | None = None) -> str:
        """Return the configuration as JSON; with `keys`, only those."""
        self._check('config')
        return json.dumps(_selected(self._run.settings, keys))

    def summaryMetrics(self, _: Any, keys: list[str] | None = None) -> str:  # noqa: N802 W&B's name
        """Return the summary as JSON; with `keys`, only those."""
        self._check('summaryMetrics')
        return json.dumps(_selected(self._run.summary, keys))


_FIELDS: dict[str, Callable[[Run], Any]] = {
    'id': lambda run: base64.b64encode(f'Run:v1:{run.id}'.encode()).decode(),
    'name': lambda run: run.id,
    'displayName': lambda run: run.display_name,
    'state': lambda run: run.state,
    'tags': lambda run: list(run.tags),
    'group': lambda run: run.group,
    'jobType': lambda run: run.job_type,
    'sweepName': lambda run: run.sweep,
    'host': lambda run: run.host,
    'createdAt': lambda run: iso(run.created, run.number),
    'heartbeatAt': lambda run: iso(run.heartbeat, run.number),
    'updatedAt': lambda run: iso(run.last_seen, run.number),
    'computeSeconds': lambda run: run.compute,
    'systemMetrics': lambda run: json.dumps(run.system),
    'commit': lambda run: 'c0ffee',
    'readOnly': lambda run: False,
    'description': lambda run: None,
    'notes': lambda run: None,
    'historyKeys': lambda run: None,
    'projectId': lambda run: 101,
    'historyLineCount': lambda run: int(run.compute // 60),
    'user': lambda run: (
        run.user and {'id': f'User:{run.user.login}', 'name': run.user.name, 'username': run.user.login}
    ),
    'runInfo': lambda run: run.info,
}


def iso(moment: datetime | None, number: int) -> str | None:
    """Format a time in one of the two spellings of W&B: with `Z`, or without a zone."""
    if moment is None:
        return None
    return moment.replace(tzinfo=None).isoformat() + ('' if number % 3 == 1 else 'Z')


def _selected(values: Mapping[str, Any], keys: list[str] | None) -> Mapping[str, Any]:
    return values if keys is None else {key: values[key] for key in keys if key in values}


def _encoded(position: int) -> str:
    """Return the cursor of a position in a list, in the form of W&B's (https://github.com/wandb/wandb/issues/6614)."""
    return base64.b64encode(f'{CURSOR}{position}'.encode()).decode()


def _decoded(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().removeprefix(CURSOR))
    except ValueError:
        raise GraphQLError('invalid cursor') from None


def _numbered(
    values: Sequence[Any], after: str | None, first: int | None, view: Callable[[Any], Any] = lambda value: value
) -> dict[str, Any]:
    """Return a connection whose cursors are positions: elements that vanish meanwhile move the later ones."""
    start = _decoded(after) + 1 if after else 0
    end = start + max(1, min(first or DEFAULT_PAGE, LARGEST_PAGE))
    edges = [{'cursor': _encoded(start + index), 'node': view(value)} for index, value in enumerate(values[start:end])]
    more = end < len(values)
    return {'edges': edges, 'pageInfo': {'hasNextPage': more, 'endCursor': edges[-1]['cursor'] if edges else None}}
