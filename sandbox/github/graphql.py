"""GitHub's GraphQL API: documents are parsed, validated, costed and executed over the repositories' data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldsOnCorrectTypeRule,
    GraphQLError,
    GraphQLField,
    GraphQLFieldResolver,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    get_named_type,
    get_operation_ast,
    is_interface_type,
    is_object_type,
    parse,
    specified_rules,
    validate,
)

from . import content_fields, fields
from .connections import FIELDS, Connection, failure, snake
from .cost import Cost, cost
from .schema import SCHEMA
from .site import Site

# Importing them registers their resolvers.
RESOLVERS = (fields, content_fields)
# The cost computation finds unknown fields itself and reports them as GitHub does.
RULES = [rule for rule in specified_rules if rule is not FieldsOnCorrectTypeRule]
TIMES = frozenset(('DateTime', 'GitTimestamp'))
# A field, and the permission without which it is refused.
PERMISSIONS = {
    'Repository.pullRequests': 'pull_requests',
    'Repository.pullRequest': 'pull_requests',
    'Repository.issues': 'issues',
    'Repository.mergeQueue': 'merge_queues',
    'Repository.refs': 'contents',
    'Repository.defaultBranchRef': 'contents',
    'Repository.ref': 'contents',
    'Repository.releases': 'contents',
    'Repository.deployments': 'deployments',
    'Commit.statusCheckRollup': 'statuses',
}


@dataclass(slots=True)
class Context:
    """The context of a request, for resolvers."""

    site: Site
    cost: Cost


class GraphQL:
    """The schema of one site, with resolvers and faults inside answers."""

    def __init__(self, site: Site, missing: Sequence[str] = ()) -> None:
        """`missing`: `Type.field` or `Type.field.argument` that this (older) server does not have."""
        self.site = site
        self.schema = schema_without(missing)
        self._document = lru_cache(maxsize=64)(self._parse)
        self._resolvers: dict[str, GraphQLFieldResolver | None] = {}
        self._equip()

    def _equip(self) -> None:
        for type_ in self.schema.type_map.values():
            if isinstance(type_, GraphQLUnionType) or is_interface_type(type_):
                type_.resolve_type = _typename
            if not is_object_type(type_) or type_.name.startswith('__'):
                continue
            for name, field in type_.fields.items():
                coordinate = f'{type_.name}.{name}'
                if type_.name.endswith('Connection'):
                    resolve = getattr(Connection, f'resolve_{snake(name)}')
                else:
                    resolve = FIELDS.get(coordinate) or _attribute(snake(name))
                if get_named_type(field.type).name in TIMES:
                    resolve = _timed(resolve)
                permission = PERMISSIONS.get(coordinate)
                field.resolve = _guarded(resolve, permission) if permission else resolve

    # Faults inside answers.

    def break_field(
        self, coordinate: str, kind: str | None = 'INTERNAL', message: str = 'Something went wrong'
    ) -> None:
        """Make `Type.field` null, with an error of this type; without an error when `kind` is None."""
        type_name, _, name = coordinate.partition('.')
        field = _fields(self.schema, type_name)[name]
        self._resolvers.setdefault(coordinate, field.resolve)

        def resolve(*_: Any, **__: Any) -> None:
            if kind is not None:
                raise failure(message, kind)

        field.resolve = resolve

    def mend(self) -> None:
        """Repair all fields."""
        for coordinate, resolve in self._resolvers.items():
            type_name, _, name = coordinate.partition('.')
            _fields(self.schema, type_name)[name].resolve = resolve
        self._resolvers.clear()

    # Answers.

    def _parse(self, text: str) -> tuple[DocumentNode, list[GraphQLError]]:
        document = parse(text)
        return document, validate(self.schema, document, RULES)

    def prepare(
        self, text: str, variables: Mapping[str, Any], operation_name: str | None
    ) -> tuple[DocumentNode | None, OperationDefinitionNode | None, Cost, list[dict[str, Any]]]:
        """Parse, validate and price a document.

        Returns:
            document, operation, cost, errors in GitHub's form
        """
        nothing = Cost()
        try:
            document, problems = self._document(text)
        except GraphQLError as error:
            return None, None, nothing, [_formatted(error)]
        operation = get_operation_ast(document, operation_name)
        if operation is None:
            return None, None, nothing, [{'message': 'An operation name is required'}]
        price = cost(self.schema, document, operation, variables)
        return document, operation, price, price.errors or [_formatted(problem) for problem in problems]

    def execute(
        self, document: DocumentNode, price: Cost, variables: Mapping[str, Any], operation_name: str | None
    ) -> dict[str, Any]:
        """Execute a prepared document. Returns the body of the answer."""
        result = execute_sync(
            self.schema,
            document,
            context_value=Context(self.site, price),
            variable_values=dict(variables),
            operation_name=operation_name,
        )
        answer: dict[str, Any] = {'data': result.data}
        if result.errors:
            answer['errors'] = [_formatted(error) for error in result.errors]
        if not self.site.errors_name_paths:
            for error in answer.get('errors', ()):
                error.pop('path', None)
                error.pop('locations', None)
        return answer


def schema_without(missing: Sequence[str] = ()) -> GraphQLSchema:
    """Build the schema without these `Type.field`s and `Type.field.argument`s. Raises KeyError for unknown ones."""
    schema = build_schema(SCHEMA)
    for coordinate in missing:
        type_name, name, *argument = coordinate.split('.')
        fields = _fields(schema, type_name)
        if argument:
            del fields[name].args[argument[0]]
        else:
            del fields[name]
    return schema


def _fields(schema: GraphQLSchema, type_name: str) -> dict[str, GraphQLField]:
    """Return the fields of a type. Raises KeyError for a type without fields."""
    found = schema.type_map[type_name]
    if not isinstance(found, (GraphQLInterfaceType, GraphQLObjectType)):
        raise KeyError(type_name)
    return found.fields


def _attribute(name: str) -> Callable[..., Any]:
    def resolve(source: Any, _: Any, **__: Any) -> Any:
        return getattr(source, name)

    return resolve


def _guarded(resolve: Callable[..., Any], permission: str) -> Callable[..., Any]:
    def guarded(source: Any, info: Any, **arguments: Any) -> Any:
        if permission in info.context.site.denied:
            raise failure('Resource not accessible by personal access token', 'FORBIDDEN')
        return resolve(source, info, **arguments)

    return guarded


def _typename(value: Any, *_: Any) -> str:
    return value.typename


def _formatted(error: GraphQLError) -> dict[str, Any]:
    """Format an error as GitHub does: `type` is beside the message, not among the extensions."""
    formatted: dict[str, Any] = dict(error.formatted)
    extensions = dict(formatted.pop('extensions', {}))
    kind = extensions.pop('type', None)
    head = {'type': kind} if kind else {}
    tail = {'extensions': extensions} if extensions else {}
    return {**head, **formatted, **tail}


def _timed(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def timed(source: Any, info: Any, **arguments: Any) -> str | None:
        value = resolve(source, info, **arguments)
        return None if value is None else f'{value:%Y-%m-%dT%H:%M:%SZ}'

    return timed
