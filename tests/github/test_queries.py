"""The documents of the queries are valid, also without the fields that a server lacks."""

from __future__ import annotations

from itertools import combinations

import pytest
from graphql import parse, validate

from metta_checks.github import queries

from .served import github_service

# Fields that older servers lack or credentials may not read, by document.
FIELDS = {
    'now': (*dict.fromkeys(queries.OPTIONAL.values()), 'statusCheckRollup', 'changedFilesIfAvailable', 'isDraft'),
    'open_pull_requests': ('isDraft', 'reviewDecision', 'timelineItems'),
    'closed_pull_requests': ('totalCommentsCount', 'statusCheckRollup', 'timelineItems', 'labels', 'isDraft'),
    'commits': ('changedFilesIfAvailable',),
}


@pytest.fixture(scope='module')
def schema():
    return github_service(scale=0.01).graphql.schema


@pytest.mark.parametrize('name', queries.DOCUMENTS)
def test_documents_are_valid(schema, name):
    assert validate(schema, parse(queries.DOCUMENTS[name])) == []


@pytest.mark.parametrize('name', FIELDS)
@pytest.mark.parametrize('number', [1, 2, 3])
def test_documents_without_these_fields_are_valid(schema, name, number):
    for fields in combinations(FIELDS[name], min(number, len(FIELDS[name]))):
        shorter = queries.without(queries.DOCUMENTS[name], fields)
        assert validate(schema, parse(shorter)) == [], fields
        for field in fields:
            assert f'{field}(' not in shorter
            assert f' {field}\n' not in shorter
