"""Our GraphQL documents and the sandbox's schema, compared with GitHub's published schema."""

from __future__ import annotations

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    NoDeprecatedCustomRule,
    build_schema,
    get_operation_ast,
    is_input_type,
    is_required_argument,
    is_scalar_type,
    parse,
    validate,
)

from metta_checks.github import queries
from metta_checks.verify.github import commits, default_branch, pulls, surroundings
from sandbox.github.cost import cost
from sandbox.github.graphql import schema_without

from .published import graphql_sdl

pytestmark = pytest.mark.integration

WITH_FIELDS = (GraphQLObjectType, GraphQLInterfaceType)
OURS = {
    **queries.DOCUMENTS,
    'verify authors': commits.AUTHORS,
    'verify files': commits.FILES,
    'verify rollups': default_branch.ROLLUPS,
    'verify decisions': pulls.OPEN_DECISIONS,
    'verify checks': pulls.CHECKS,
    'verify queue': surroundings.QUEUE,
}
# Points per document and page size, by GitHub's formula.
POINTS = {
    ('now', 50): 1,
    ('open_pull_requests', 50): 1,
    ('closed_pull_requests', 50): 3,
    ('closed_pull_requests', 25): 2,
    ('checks', None): 1,
    ('more_reviews', None): 1,
    ('commits', 100): 2,
    ('files', 25): 1,
    ('more_files', None): 1,
    ('branch', None): 1,
    ('first_closed', 8): 1,
    ('repositories', None): 1,
    ('deployments', 100): 1,
    ('deployments_by_id', None): 1,
    ('releases', 100): 1,
    ('merge_queue', None): 1,
    ('issues', 100): 1,
}
GITHUBS_EXAMPLE = """
query {
  viewer {
    login
    repositories(first: 100) {
      edges { node { id issues(first: 50) { edges { node { id labels(first: 60) { edges { node { id name } } } } } } } }
    }
  }
}
"""


@pytest.fixture(scope='module')
def github() -> GraphQLSchema:
    return build_schema(graphql_sdl(), assume_valid=True)


@pytest.fixture(scope='module')
def sandbox_schema() -> GraphQLSchema:
    return schema_without()


def points(schema: GraphQLSchema, text: str, page: int | None) -> int:
    document = parse(text)
    operation = get_operation_ast(document, None)
    assert operation is not None
    price = cost(
        schema,
        document,
        operation,
        {'page': page, 'commits': 20, 'checks': 20, 'ids': ['x'] * queries.PAGES['files'][0]},
    )
    assert price.errors == []
    return price.points


@pytest.mark.parametrize('name', OURS)
def test_documents_fit_the_published_schema(github, name):
    assert [error.message for error in validate(github, parse(OURS[name]))] == []


@pytest.mark.parametrize('name', OURS)
def test_documents_fit_the_sandbox(sandbox_schema, name):
    assert [error.message for error in validate(sandbox_schema, parse(OURS[name]))] == []


def test_validation_finds_a_wrong_field(github):
    wrong = queries.COMMITS.replace('changedFilesIfAvailable', 'changedFilesPerhaps')
    (error,) = validate(github, parse(wrong))
    assert error.message.startswith("Cannot query field 'changedFilesPerhaps' on type 'Commit'.")


def test_no_document_asks_for_deprecated_fields(github):
    """GitHub removes deprecated fields, such as `changedFiles` of a commit."""
    for name, text in OURS.items():
        found = validate(github, parse(text), [NoDeprecatedCustomRule])
        assert [error.message for error in found] == [], name


def test_the_formula_gives_githubs_own_example(github):
    assert points(github, GITHUBS_EXAMPLE, None) == 51


@pytest.mark.parametrize(('name', 'page'), POINTS)
def test_documents_cost_what_they_should(github, sandbox_schema, name, page):
    assert points(github, queries.DOCUMENTS[name], page) == POINTS[name, page]
    assert points(sandbox_schema, queries.DOCUMENTS[name], page) == POINTS[name, page]


def test_every_document_and_page_has_its_price():
    assert {name for name, _ in POINTS} == set(queries.DOCUMENTS)
    sizes = {(name, sizes[0]) for name, sizes in queries.PAGES.items()}
    assert sizes | {('closed_pull_requests', queries.CLOSED_PAGE_WARM)} <= set(POINTS)


# Every line of the sandbox's schema is in GitHub's.


def differences(ours: GraphQLSchema, github: GraphQLSchema) -> list[str]:
    """Return all parts of the sandbox's schema that are missing or different in GitHub's."""
    found = []
    for name, type_ in ours.type_map.items():
        if name.startswith('__') or name in ('String', 'Int', 'Boolean', 'ID', 'Float'):
            continue
        theirs = github.type_map.get(name)
        if theirs is None or type(theirs) is not type(type_):
            found.append(f'{name}: not such a type')
        elif isinstance(type_, GraphQLEnumType) and isinstance(theirs, GraphQLEnumType):
            found += [f'{name}.{value}: unknown value' for value in type_.values if value not in theirs.values]
        elif isinstance(type_, GraphQLUnionType) and isinstance(theirs, GraphQLUnionType):
            members = {member.name for member in theirs.types}
            found += [f'{name}: {one.name} is not a member' for one in type_.types if one.name not in members]
        elif isinstance(type_, GraphQLInputObjectType) and isinstance(theirs, GraphQLInputObjectType):
            found += inputs(name, type_.fields, theirs.fields)
        elif isinstance(type_, WITH_FIELDS) and isinstance(theirs, WITH_FIELDS):
            implemented = {one.name for one in theirs.interfaces}
            found += [f'{name}: lacks {one.name}' for one in type_.interfaces if one.name not in implemented]
            found += fields(name, type_.fields, theirs.fields)
        else:
            assert is_scalar_type(type_)
    return found


def fields(name: str, ours: dict, theirs: dict) -> list[str]:
    found = []
    for key, field in ours.items():
        other = theirs.get(key)
        if other is None:
            found.append(f'{name}.{key}: unknown')
            continue
        if str(field.type) != str(other.type):
            found.append(f'{name}.{key}: {field.type}, GitHub {other.type}')
        found += inputs(f'{name}.{key}', field.args, other.args)
        found += [
            f'{name}.{key}: lacks argument {argument}'
            for argument, definition in other.args.items()
            if is_required_argument(definition) and argument not in field.args
        ]
    return found


def inputs(name: str, ours: dict, theirs: dict) -> list[str]:
    found = []
    for key, value in ours.items():
        assert is_input_type(value.type)
        if key not in theirs:
            found.append(f'{name}({key}): unknown')
        elif str(value.type) != str(theirs[key].type):
            found.append(f'{name}({key}): {value.type}, GitHub {theirs[key].type}')
    return found


def test_the_sandbox_speaks_githubs_schema(sandbox_schema, github):
    assert differences(sandbox_schema, github) == []


def test_a_difference_would_be_found(github):
    invented = build_schema(
        'type Query { viewer: User } type User { id: ID! login: String shoes: Int followers(first: String): Nothing }'
        ' type Nothing { no: Int } enum IssueState { AJAR }'
    )
    assert differences(invented, github) == [
        'Query.viewer: User, GitHub User!',
        'User.login: String, GitHub String!',
        'User.shoes: unknown',
        'User.followers: Nothing, GitHub FollowerConnection!',
        'User.followers(first): String, GitHub Int',
        'Nothing: not such a type',
        'IssueState.AJAR: unknown value',
    ]
