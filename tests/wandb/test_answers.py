"""Errors in answers: they concern a part, or all of it."""

from __future__ import annotations

import json

import pytest

from metta_checks.core.errors import BadPayload, Forbidden, Rejected, Unavailable
from metta_checks.core.http import Response
from metta_checks.wandb.answers import SchemaError, Unreadable, data_of, no_part, parts_of_counts, parts_of_lists

pytestmark = pytest.mark.unit

RUNS = {'runs': {'edges': [{'node': {'name': 'a', 'summaryMetrics': None}}, {'node': None}]}}


def read(answer, status=200, confines=parts_of_lists):
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return data_of('Runs', Response(status, {}, body, 'http://wandb/graphql', 'POST /graphql'), confines)


def failed(*path, message='broken'):
    return {'message': message, 'path': list(path)}


def at(*path):
    return {'data': {'project': RUNS}, 'errors': [failed('project', *path)]}


def edges(data):
    return data['project']['runs']['edges']


@pytest.mark.parametrize(('status', 'reason'), [(200, 'rejected'), (500, 'unavailable')])
def test_a_field_of_one_run(status, reason):
    [first, second] = edges(read(at('runs', 'edges', 0, 'node', 'summaryMetrics'), status))
    assert first == {'node': {'name': 'a', 'summaryMetrics': Unreadable('broken', reason)}}
    assert second == {'node': None}


def test_a_part_of_a_field_is_the_field():
    [first, _] = edges(read(at('runs', 'edges', 0, 'node', 'summaryMetrics', 'deep', 3)))
    assert first['node']['summaryMetrics'] == Unreadable('broken', 'rejected')


def test_a_run_that_is_null():
    [_, second] = edges(read(at('runs', 'edges', 1, 'node', 'name')))
    assert second == {'node': Unreadable('broken', 'rejected')}


def test_a_count():
    answer = {'data': {'project': {'total': 5, 'stale': None}}, 'errors': [failed('project', 'stale')]}
    found = read(answer, confines=parts_of_counts)
    assert found == {'project': {'total': 5, 'stale': Unreadable('broken', 'rejected')}}
    with pytest.raises(Rejected, match='broken'):
        read(answer, confines=no_part)


@pytest.mark.parametrize('path', [(), ('project',), ('project', 'runs'), ('project', 'runs', 'pageInfo', 'endCursor')])
def test_an_error_that_concerns_the_whole_answer(path):
    answer = {'data': {'project': RUNS}, 'errors': [failed(*path)]}
    with pytest.raises(Rejected, match='W&B refused the query Runs: broken'):
        read(answer)
    with pytest.raises(Unavailable, match='W&B failed to answer the query Runs: broken'):
        read(answer, 500)


@pytest.mark.parametrize(
    'path', [('runs', 'edges', 7, 'node'), ('runs', 'edges', 'x', 'node'), ('runs', 'edges', -1, 'node')]
)
def test_a_place_that_is_not_there(path):
    with pytest.raises(BadPayload, match='broken'):
        read(at(*path))


def test_one_error_of_the_whole_among_others():
    answer = at('runs', 'edges', 0, 'node', 'summaryMetrics')
    answer['errors'].append({'message': 'permission denied'})
    with pytest.raises(Forbidden, match='broken; the user or service account'):
        read(answer)


def test_an_answer_of_errors_only():
    answer = at('runs', 'edges', 0, 'node', 'summaryMetrics')
    answer['errors'] *= 1001
    with pytest.raises(Rejected):
        read(answer)


@pytest.mark.parametrize(
    ('answer', 'status', 'error', 'said'),
    [
        ({'errors': 'odd'}, 200, Rejected, 'no reason given'),
        ({'errors': [5]}, 200, Rejected, 'no reason given'),
        ({'errors': [{'message': 'x', 'extensions': {'code': 'FORBIDDEN'}}]}, 200, Forbidden, 'x; the user'),
        ({'errors': [{'message': 'Cannot query field "host" on type "Run".'}]}, 400, SchemaError, 'host'),
        ({'message': 'no'}, 400, Rejected, 'HTTP 400'),
        ({'data': {'project': RUNS}}, 500, Unavailable, 'answered HTTP 500'),
        (b'<html>', 500, Unavailable, 'answered HTTP 500'),
        (b'<html>', 200, BadPayload, 'not JSON'),
        ({}, 200, BadPayload, 'one answer without data'),
        ({'data': None}, 200, BadPayload, 'one answer without data'),
    ],
)
def test_refusals(answer, status, error, said):
    with pytest.raises(error, match=said) as raised:
        read(answer, status)
    assert type(raised.value) is error
