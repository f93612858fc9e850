"""JSON and XML are bounded by their structure before they are parsed; the largest honest answers pass."""

from __future__ import annotations

import gzip
import json

import pytest

from metta_checks.core import bounded_json
from metta_checks.core.bounded_json import MAX_VALUES, TooComplex, count_values
from metta_checks.ec2.response_limit import MAX_TAGS

from .test_answers import MIB, grown
from .wire import SOURCES, WRAPPED, answer, answering, driver, serving

# The budget of any answer, above what an idle check takes.
ALLOWED = 300 * MIB


def flood(element, size=62 * MIB):
    """Return a list with as many of the elements as fit, packed."""
    return gzip.compress(b'[' + b','.join([element] * (size // (len(element) + 1))) + b']', 1)


@pytest.mark.parametrize('element', [b'{}', b'{"a":1}'], ids=['empty', 'small'])
@pytest.mark.parametrize('source', ['asana', 'kubernetes'])
def test_a_flood_of_small_values_is_refused(source, element, clock):
    with serving(answering(answer(flood(element), '200 OK', 'Content-Encoding: gzip')), clock) as server:
        error, growth = grown(source, server.url)
    assert 'values' in error
    assert growth < ALLOWED


@pytest.mark.parametrize('source', WRAPPED)
def test_every_source_refuses_it(source, clock):
    body = answer(flood(b'{}', 4 * MIB), '200 OK', 'Content-Encoding: gzip')
    with serving(answering(body), clock) as server:
        run = driver(source, server.url, clock).run()
    assert f'more than {2_000_000 if source == "kubernetes" else MAX_VALUES:,} values' in run.error


@pytest.mark.parametrize(
    ('body', 'said'),
    [
        (b'<a>' + b'<b/>' * (16 * MIB - 2) + b'</a>', f'{MAX_TAGS:,} tags'),
        (b'{"a":[' + b'{},' * (20 * MIB) + b'{}]}', 'values'),
        (b'<!DOCTYPE a [<!ENTITY b "cccccccc">]><a>&b;</a>', 'document type'),
        ('<a>&b;</a>'.encode('utf-16'), 'encoding'),
        (b'\x80' * (10 * MIB), 'neither XML nor JSON'),
    ],
    ids=['tags', 'values', 'entities', 'utf-16', 'cbor'],
)
def test_the_aws_sdk_parses_nothing_that_is_too_complex(body, said, clock):
    with serving(answering(answer(body)), clock) as server:
        error, growth = grown('ec2', server.url)
    assert said in error or said == 'encoding'
    assert growth < ALLOWED


def honest_pods(pods=500, objects=900):
    """Return a page of pods with many managed fields, as the API server writes it."""
    managed: dict[str, dict[str, str]] = {f'f:field{number}': {} for number in range(objects)}
    return {
        'kind': 'PodList',
        'metadata': {'resourceVersion': '1'},
        'items': [
            {
                'metadata': {
                    'name': f'pod-{number}',
                    'namespace': 'default',
                    'uid': f'uid-{number}',
                    'creationTimestamp': '2026-01-01T00:00:00Z',
                    'managedFields': [{'manager': 'controller', 'fieldsV1': managed}],
                },
                'spec': {'nodeName': 'node', 'containers': [{'name': 'main', 'resources': {'requests': {'cpu': '1'}}}]},
                'status': {'phase': 'Pending'},
            }
            for number in range(pods)
        ],
    }


@pytest.mark.parametrize('indent', [None, 1])
def test_a_page_of_500_pods_with_450_000_small_objects_passes(indent, clock):
    separators = (',', ':') if indent is None else None
    pods = answer(json.dumps(honest_pods(), indent=indent, separators=separators).encode())
    empty = answer(b'{"metadata":{},"items":[]}')

    def behave(connection):
        while (head := connection.read_request()) is not None:
            connection.send(pods if head.startswith(b'GET /api/v1/pods') else empty)

    with serving(behave, clock) as server:
        run = driver('kubernetes', server.url, clock).run()
    if indent is None:
        assert 'pods' not in {block for block, _ in run.errors()}
        assert sum(run.series('metta.kubernetes.pods.pending').values()) == 500
    else:
        # No API server indents its lists. Such a page cannot be cut, and is refused before it fills the memory.
        assert 'values' in run.warnings[0]


# The count.


@pytest.mark.parametrize(
    'document',
    [
        {'a': '{[,' * 100_000},
        {'a': '"' * 100_000 + ',' * 200_000},
        {'a': '\\' * 99_999 + '"' + ',' * 200_000},
        {'a': '\\\\"' * 50_000 + ',' * 200_000, 'b': [1, 2, 3]},
        [json.dumps({'a': list(range(1000))}) for _ in range(300)],
    ],
)
def test_texts_are_not_counted(document):
    assert count_values(json.dumps(document).encode(), 10_000) < 1_000


@pytest.mark.parametrize('element', ['{}', '[]', '"a,b"', '"a\\"b"', '"\\\\"', '{"a":"\\\\\\""}'])
def test_values_between_texts_are_counted(element):
    content = ('[' + ','.join([element] * 600_000) + ']').encode()
    with pytest.raises(TooComplex):
        count_values(content, 500_000)
    assert count_values(content, 1_300_000) >= 600_000


def test_a_large_text_in_wide_characters_is_refused():
    wide = '\U0001f600' + 'x' * (48 * MIB)
    for content in (json.dumps(wide, ensure_ascii=False).encode(), json.dumps(wide).encode(), json.dumps(wide)):
        with pytest.raises(TooComplex, match='memory'):
            bounded_json.loads(content)
    assert bounded_json.loads(json.dumps('x' * (40 * MIB))) == 'x' * (40 * MIB)


def test_sources_are_all_covered():
    assert set(SOURCES) == {*WRAPPED, 'ec2'}
