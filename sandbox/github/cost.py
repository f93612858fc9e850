"""The cost of a GraphQL document by GitHub's documented formula, and violations of GitHub's rules of paging.

Points: the requests needed for all connections, with every page full, divided by 100, rounded, at least 1. Works on any
schema, so a test can apply it to the published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    value_from_ast_untyped,
)

MAX_NODES = 500_000
MAX_PAGE = 100
META_FIELDS = frozenset(('__typename', '__schema', '__type'))


@dataclass(slots=True)
class Cost:
    """The requests and nodes of a document, its largest page per connection type, and its errors."""

    requests: int = 0
    nodes: int = 0
    # Type name -> largest page; `nodes` -> number of ids.
    pages: dict[str, int] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def points(self) -> int:
        """Points of the hourly limit."""
        return max(1, int(self.requests / 100 + 0.5))


def cost(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Cost:
    """Compute the cost of one operation of a document with these variables."""
    if schema.query_type is None:
        raise ValueError('the schema has no queries')
    crawl = _Crawl(schema, document, variables)
    name = operation.operation.value + (f' {operation.name.value}' if operation.name else '')
    crawl.selections(operation.selection_set, schema.query_type, 1, (name,))
    result = crawl.cost
    if not result.errors and result.nodes > MAX_NODES:
        asked = f'This query requests up to {result.nodes:,} possible nodes'
        message = f'{asked} which exceeds the maximum limit of {MAX_NODES:,}.'
        result.errors.append({'type': 'MAX_NODE_LIMIT_EXCEEDED', 'message': message})
    return result


class _Crawl:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.schema = schema
        self.variables = dict(variables)
        self.fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self.cost = Cost()

    def selections(
        self, selection_set: SelectionSetNode, parent: GraphQLNamedType, times: int, path: tuple[str, ...]
    ) -> None:
        """Add the cost of the selections of a type that is read `times` times."""
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                self.field(selection, parent, times, path)
            elif isinstance(selection, InlineFragmentNode):
                self.inline(selection, parent, times, path)
            elif isinstance(selection, FragmentSpreadNode):
                self.fragment(selection.name.value, times, path)

    def inline(self, node: InlineFragmentNode, parent: GraphQLNamedType, times: int, path: tuple[str, ...]) -> None:
        """Add the cost of the selections of a type, or of the same type under a condition."""
        condition = node.type_condition
        if condition is None:
            self.selections(node.selection_set, parent, times, (*path, '...'))
        elif (inner := self.type(condition.name.value, path, condition)) is not None:
            self.selections(node.selection_set, inner, times, (*path, f'... on {inner.name}'))

    def fragment(self, name: str, times: int, path: tuple[str, ...]) -> None:
        """Add the cost of a named fragment. The validation finds unknown ones."""
        node = self.fragments.get(name)
        if node is None:
            return
        condition = node.type_condition
        if (inner := self.type(condition.name.value, path, condition)) is not None:
            self.selections(node.selection_set, inner, times, (f'fragment {name}',))

    def type(self, name: str, path: tuple[str, ...], node: Any) -> GraphQLNamedType | None:
        """Find a type by its name; notes an error for one that does not exist."""
        found = self.schema.get_type(name)
        if found is None:
            extensions = {'code': 'undefinedType', 'typeName': name}
            self.error(f"No such type {name}, so it can't be a fragment condition", path, node, extensions=extensions)
        return found

    def field(self, node: FieldNode, parent: GraphQLNamedType, times: int, path: tuple[str, ...]) -> None:
        """Add the cost of one field and its selections."""
        name = node.name.value
        if name in META_FIELDS:
            return
        path = (*path, node.alias.value if node.alias else name)
        fields = parent.fields if isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType)) else {}
        definition = fields.get(name)
        if definition is None:
            extensions = {'code': 'undefinedField', 'typeName': parent.name, 'fieldName': name}
            self.error(f"Field '{name}' doesn't exist on type '{parent.name}'", path, node, extensions=extensions)
            return
        arguments = {
            argument.name.value: value_from_ast_untyped(argument.value, self.variables)
            for argument in node.arguments or ()
        }
        named = get_named_type(definition.type)
        if named.name.endswith('Connection') and 'first' in definition.args:
            page = self.page(name, arguments, path, node)
            self.cost.requests += times
            self.cost.nodes += times * page
            self.cost.pages[named.name] = max(page, self.cost.pages.get(named.name, 0))
            times *= page
        elif parent is self.schema.query_type and name == 'nodes':
            ids = arguments.get('ids') or ()
            self.cost.nodes += len(ids)
            self.cost.pages['nodes'] = len(ids)
            times *= len(ids)
            if len(ids) > MAX_PAGE:
                message = f'You may not provide more than {MAX_PAGE} node ids; you provided {len(ids)}.'
                self.error(message, path, node, kind='ARGUMENT_LIMIT')
        if node.selection_set is not None:
            self.selections(node.selection_set, named, times, path)

    def page(self, name: str, arguments: Mapping[str, Any], path: tuple[str, ...], node: FieldNode) -> int:
        """Return the page size of a connection; notes an error when it is missing or too large."""
        for side in ('first', 'last'):
            size = arguments.get(side)
            if size is None:
                continue
            if size > MAX_PAGE:
                message = (
                    f'Requesting {size} records on the `{name}` connection exceeds the `{side}` limit of '
                    f'{MAX_PAGE} records.'
                )
                self.error(message, path, node, kind='EXCESSIVE_PAGINATION')
            elif size < 1:
                message = f'`{side}` on the `{name}` connection cannot be less than one.'
                self.error(message, path, node, kind='ARGUMENT_ERROR')
            return size
        message = f'You must provide a `first` or `last` value to properly paginate the `{name}` connection.'
        self.error(message, path, node, kind='MISSING_PAGINATION_BOUNDARIES')
        return 0

    def error(
        self,
        message: str,
        path: tuple[str, ...],
        node: Any,
        *,
        kind: str | None = None,
        extensions: dict[str, Any] | None = None,
    ) -> None:
        """Note an error in GitHub's form."""
        position = node.loc.source.get_location(node.loc.start)
        error: dict[str, Any] = {'type': kind} if kind else {}
        error['path'] = list(path)
        if extensions:
            error['extensions'] = extensions
        error['locations'] = [{'line': position.line, 'column': position.column}]
        error['message'] = message
        if error not in self.cost.errors:
            self.cost.errors.append(error)
