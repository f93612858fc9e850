"""Parsing: effective requests, states, nulls, and lists that are decoded in pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.errors import BadPayload
from metta_checks.core.http import Response
from metta_checks.kubernetes import payloads
from metta_checks.kubernetes.namespaces import Namespaces
from metta_checks.kubernetes.payloads import NODE_LIST, POD_LIST, decode, decode_list
from metta_checks.kubernetes.records import Deployment, Node, Pod

from .build import Problems, container, end, item, pod, status

pytestmark = pytest.mark.unit

GIB = 2**30
SIDECAR = {'restartPolicy': 'Always'}


def response(body, request='GET /api/v1/pods at host') -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(',', ':')).encode()
    return Response(200, {'Content-Type': 'application/json'}, content, 'https://host/api/v1/pods', request)


# The first system ignored init containers, sidecars, overhead and pod-level requests (mistake 10).


def test_containers_add_up():
    record = pod(containers=[container('a', {'cpu': '1', 'memory': '1Gi'}), container('b', {'cpu': '500m'})])
    assert record.requested == {'cpu': 1.5, 'memory': GIB}
    assert [(kept.name, dict(kept.requested)) for kept in record.containers] == [
        ('a', {'cpu': 1, 'memory': GIB}),
        ('b', {'cpu': 0.5}),
    ]


def test_an_init_container_raises_the_request_but_is_not_kept():
    record = pod(init=[container('unpack', {'cpu': '8'})], containers=[container('a', {'cpu': '1', 'memory': '1'})])
    assert record.requested == {'cpu': 8, 'memory': 1}
    assert [kept.name for kept in record.containers] == ['a']


def test_init_containers_count_beside_the_sidecars_started_before_them():
    record = pod(
        init=[
            container('first', {'cpu': '4'}),
            container('mesh', {'cpu': '1'}, **SIDECAR),
            container('second', {'cpu': '3500m'}),
            container('logs', {'cpu': '2'}, **SIDECAR),
        ],
        containers=[container('a', {'cpu': '1'})],
    )
    # The peaks are 4, 1, 1 + 3.5 and 1 + 2; the running containers take 1 + 2 + 1.
    assert record.requested == {'cpu': 4.5}
    assert [kept.name for kept in record.containers] == ['mesh', 'logs', 'a']


def test_sidecars_add_to_the_containers():
    record = pod(init=[container('mesh', {'cpu': '1'}, **SIDECAR)], containers=[container('a', {'cpu': '2'})])
    assert record.requested == {'cpu': 3}


def test_pod_level_requests_replace_and_overhead_adds():
    record = pod(
        containers=[container('a', {'cpu': '2', 'memory': '1Gi'})],
        spec={'resources': {'requests': {'cpu': '5'}}, 'overhead': {'cpu': '250m', 'memory': '1Gi'}},
    )
    assert record.requested == {'cpu': 5.25, 'memory': 2 * GIB}
    assert record.pod_level == {'cpu': 5}


@pytest.mark.parametrize(
    ('conditions', 'expected'),
    [
        ([], 3),
        ([{'type': 'PodResizePending', 'status': 'True', 'reason': 'Deferred'}], 3),
        ([{'type': 'PodResizePending', 'status': 'True', 'reason': 'Infeasible'}], 2),
    ],
)
def test_a_resize_in_progress_counts_at_its_largest(conditions, expected):
    resized = status('a', allocatedResources={'cpu': '1'}, resources={'requests': {'cpu': '2'}})
    record = pod(containers=[container('a', {'cpu': '3'})], statuses=[resized], conditions=conditions)
    assert record.requested == {'cpu': expected}
    assert record.containers[0].requested == {'cpu': expected}


def test_an_infeasible_resize_without_figures_of_the_node_falls_back_on_the_specification():
    infeasible = [{'type': 'PodResizePending', 'status': 'True', 'reason': 'Infeasible'}]
    record = pod(containers=[container('a', {'cpu': '3'})], statuses=[status('a')], conditions=infeasible)
    assert record.requested == {'cpu': 3}


def test_only_cpu_memory_and_extended_resources_are_kept():
    record = pod(
        containers=[container('a', {'cpu': '1', 'ephemeral-storage': '1Gi', 'nvidia.com/gpu': '8', 'amd.com/gpu': '1'})]
    )
    assert record.requested == {'cpu': 1, 'nvidia.com/gpu': 8, 'amd.com/gpu': 1}


# Bad quantities (mistake 2): each affects one container.


def test_a_bad_quantity_costs_its_container():
    problems = Problems()
    record = pod(
        'p',
        containers=[container('good', {'cpu': '1'}), container('bad', {'cpu': '1K', 'memory': '1Gi'})],
        problems=problems,
    )
    assert record.requested == {'cpu': 1}
    assert [kept.name for kept in record.containers] == ['good']
    assert problems == [
        ('bad_quantity', "pod team-a/p: the request '1K' of container bad is not a quantity; it is left out")
    ]


@pytest.mark.parametrize(
    'spec',
    [{'overhead': {'cpu': '1_000'}}, {'resources': {'requests': {'cpu': 'much'}}}, {'overhead': {'cpu': 'x' * 99}}],
)
def test_bad_quantities_of_the_pod_as_a_whole(spec):
    problems = Problems()
    record = pod(containers=[container('a', {'cpu': '1'})], spec=spec, problems=problems)
    assert record.requested == {'cpu': 1}
    assert [reason for reason, _ in problems] == ['bad_quantity']
    assert len(problems[0][1]) < 160


def test_a_bad_quantity_of_a_resize_or_an_init_container():
    problems = Problems()
    resized = status('a', allocatedResources={'cpu': '1K'})
    record = pod(
        containers=[container('a', {'cpu': '1'})],
        statuses=[resized],
        init=[container('i', {'cpu': 'y'}), container('s', {'cpu': 'z'}, **SIDECAR)],
        problems=problems,
    )
    assert record.requested == {}
    assert record.containers == ()
    assert len(problems) == 3


# States.


def test_states_of_all_kinds_of_containers_are_kept_if_they_say_something():
    record = pod(
        statuses=[status('fine'), status('back', restarts=3, ended_before=end('OOMKilled', 137))],
        init_statuses=[status('init', ended=end('Error', 2, container_id='new'), ended_before=end(container_id='old'))],
        ephemeral_statuses=[status('debug', waiting='ErrImagePull')],
    )
    assert [entry.container for entry in record.statuses] == ['back', 'init']
    assert [termination.container_id for termination in record.statuses[1].terminations] == ['new', 'old']
    assert record.statuses[0].last_exit_failed


def test_nulls_and_missing_fields():
    body = {
        'metadata': {'name': 'p', 'namespace': 'n', 'uid': 'u', 'ownerReferences': None, 'creationTimestamp': None},
        'spec': {'containers': [{'name': 'a', 'resources': None}], 'initContainers': None},
        'status': {'conditions': None, 'containerStatuses': [{'name': 'a', 'state': None, 'restartCount': None}]},
    }
    record = Pod.parse(POD_LIST.validate_python({'metadata': {}, 'items': [body]})['items'][0], Problems())
    assert (record.phase, record.live, record.pending, record.ready, record.node) == ('', False, False, False, '')
    assert (record.requested, record.statuses, record.created) == ({}, (), None)


HASH = {'pod-template-hash': '5d89'}


@pytest.mark.parametrize(
    ('owner', 'labels', 'expected'),
    [
        ({'kind': 'ReplicaSet', 'name': 'my-app-5d89', 'controller': True}, HASH, ('Deployment', 'my-app')),
        ({'kind': 'ReplicaSet', 'name': 'my-app-5d89', 'controller': True}, {}, ('ReplicaSet', 'my-app-5d89')),
        ({'kind': 'ReplicaSet', 'name': 'api-legacy', 'controller': True}, HASH, ('ReplicaSet', 'api-legacy')),
        (
            {'kind': 'ReplicaSet', 'name': 'my-app-5d89', 'controller': True},
            {'rollouts-pod-template-hash': '5d89'},
            ('Rollout', 'my-app'),
        ),
        ({'kind': 'ReplicaSet', 'name': 'my-app-5d89'}, HASH, ('', '')),
        ({'kind': 'Job', 'name': 'my-job-1', 'controller': True}, {}, ('Job', 'my-job-1')),
    ],
)
def test_the_owner_is_the_controller_or_the_workload_behind_a_replica_set(owner, labels, expected):
    assert pod(metadata={'ownerReferences': [owner], 'labels': labels}).owner == expected


@pytest.mark.parametrize(('replicas', 'expected'), [({}, 1), ({'replicas': None}, 1), ({'replicas': 0}, 0)])
def test_replicas_that_are_not_set_are_one(replicas, expected):
    assert Deployment.parse({'metadata': {'name': 'd', 'namespace': 'n'}, 'spec': replicas}).replicas == expected


def test_a_node_with_a_bad_quantity_keeps_the_rest():
    problems = Problems()
    body = {
        'metadata': {'name': 'n1', 'uid': 'u1'},
        'status': {
            'allocatable': {'cpu': '3920m', 'memory': 'lots', 'nvidia.com/gpu': '8', 'pods': '110'},
            'conditions': [{'type': 'Ready', 'status': 'True'}],
        },
    }
    node = Node.parse(NODE_LIST.validate_python({'metadata': {}, 'items': [body]})['items'][0], problems)
    assert (node.ready, node.allocatable) == (True, {'cpu': 3.92, 'nvidia.com/gpu': 8})
    assert problems == [('bad_quantity', "node n1: memory 'lots' is not a quantity; it is left out")]


# Payloads.


def test_html_instead_of_json():
    with pytest.raises(BadPayload, match='not JSON'):
        decode(POD_LIST, response(b'<html>login</html>'))


@pytest.mark.parametrize(
    ('body', 'place'),
    [
        ({}, 'metadata: Field required'),
        ({'metadata': {}}, 'items: Field required'),
        ({'metadata': {}, 'items': {}}, 'items: Input should be a valid array'),
        ({'metadata': {}, 'items': [{'metadata': {'name': 'x'}}]}, 'items.0.metadata'),
        ([], 'the body: '),
    ],
)
def test_answers_that_are_not_lists_of_pods(body, place):
    with pytest.raises(BadPayload) as caught:
        decode_list(POD_LIST, response(body))
    assert place in str(caught.value)
    assert '\n' not in str(caught.value)


def test_values_are_never_shown():
    with pytest.raises(BadPayload) as caught:
        decode(POD_LIST, response({'metadata': {}, 'items': [{'metadata': 'SECRET'}]}))
    assert 'SECRET' not in str(caught.value)


def test_go_writes_empty_lists_as_null():
    token, items = decode_list(POD_LIST, response({'metadata': {'continue': None}, 'items': None}))
    assert (token, list(items)) == ('', [])


def read(body: dict, piece: int, monkeypatch) -> tuple[str, list]:
    monkeypatch.setattr(payloads, 'PIECE_BYTES', piece)
    token, items = decode_list(POD_LIST, response(body))
    return token, list(items)


@pytest.mark.parametrize('piece', [0, 1, 100, 1000, 5000, 10**9])
def test_pieces_give_what_the_whole_gives(piece, monkeypatch):
    # Annotations and nested objects can look like the end of an item.
    tricky = {'annotations': {'a': '},{"metadata":{"name":"b"}},{"'}, 'labels': {'x': ']}'}}
    template = {'metadata': {'name': 'claim'}, 'spec': {}}
    nested = {'volumes': [{'ephemeral': {'x': 1}}, template, template]}
    pods = [
        item(f'p{number}', metadata=tricky if number % 3 else {}, spec=nested if number % 4 == 1 else {})
        for number in range(40)
    ]
    body = {'kind': 'PodList', 'metadata': {'continue': 'more'}, 'items': pods}
    expected = POD_LIST.validate_python(body)
    assert read(body, piece, monkeypatch) == ('more', expected['items'])


@pytest.mark.parametrize('piece', [0, 500, 10**9])
def test_a_list_whose_metadata_come_last(piece, monkeypatch):
    pods = [item(f'p{number}') for number in range(9)]
    token, items = read({'items': pods, 'kind': 'PodList', 'metadata': {'continue': 'more'}}, piece, monkeypatch)
    assert (token, [entry['metadata']['name'] for entry in items]) == ('more', [f'p{number}' for number in range(9)])


def test_a_broken_item_far_into_a_list_is_reported_with_its_place(monkeypatch):
    monkeypatch.setattr(payloads, 'PIECE_BYTES', 1000)
    pods = [item(f'p{number}') for number in range(30)]
    pods[25]['spec']['containers'] = 'none'
    _, items = decode_list(POD_LIST, response({'metadata': {}, 'items': pods}))
    with pytest.raises(BadPayload, match=r'items\.25\.spec\.containers'):
        list(items)


# Namespaces.


def test_patterns():
    namespaces = Namespaces(['team-*', 'infra'], ['team-sandbox', '*-tmp'])
    seen = [
        name for name in ('team-a', 'infra', 'team-sandbox', 'team-a-tmp', 'infra-2', 'default') if name in namespaces
    ]
    assert seen == ['team-a', 'infra']
    assert namespaces.scopes() == ('',)
    assert 'anything' in Namespaces()


@pytest.mark.parametrize(
    ('include', 'exclude', 'scopes'),
    [
        ([], [], ('',)),
        (['a', 'b', 'a'], [], ('a', 'b')),
        (['a', 'b'], ['b*'], ('a',)),
        (['a', 'b-*'], [], ('',)),
        ([f'n{number}' for number in range(10)], [], tuple(f'n{number}' for number in range(10))),
        ([f'n{number}' for number in range(11)], [], ('',)),
    ],
)
def test_a_few_plain_names_are_listed_one_by_one(include, exclude, scopes):
    assert Namespaces(include, exclude).scopes() == scopes


@given(name=st.from_regex(r'[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?', fullmatch=True))
def test_a_plain_name_includes_itself_only(name):
    namespaces = Namespaces([name])
    assert name in namespaces
    assert f'{name}x' not in namespaces
    assert namespaces.scopes() == (name,)
