"""Health of pods: each definition, and the mistakes of the first system by number."""

from __future__ import annotations

import pytest

from .build import container, end, health, item, pod, stamp, status

pytestmark = pytest.mark.unit

FULL = {'cpu': '1', 'memory': '1Gi'}
REASONS = [
    'ImagePullBackOff',
    'ErrImagePull',
    'InvalidImageName',
    'ErrImageNeverPull',
    'ImageInspectError',
    'RegistryUnavailable',
    'SignatureValidationFailed',
]


def test_without_pods_all_figures_are_zero():
    found = health([])
    assert found['pods.failed'] == found['resources.cpu_requested_cores'] == 0
    assert 'containers.restarts' not in found


def test_mistake_6_pods_are_counted_not_containers():
    triple = [
        status(name, restarts=9, waiting=reason)
        for name, reason in (('a', 'CrashLoopBackOff'), ('b', 'CrashLoopBackOff'), ('c', 'ErrImagePull'))
    ]
    found = health(
        [pod(statuses=triple), pod(statuses=[status(waiting='ErrImagePull'), status('b', waiting='ErrImagePull')])]
    )
    assert found['pods.crash_looping'] == 1
    assert found['pods.image_pull_errors'] == 2
    assert found['pods.high_restarts'] == 1


LOOPING = status(restarts=6, waiting='CrashLoopBackOff', ended_before=end('OOMKilled', 137))


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [({'statuses': [LOOPING]}, 1), ({'init_statuses': [LOOPING]}, 1), ({'ephemeral_statuses': [LOOPING]}, 0)],
)
def test_regular_and_init_containers_count(fields, expected):
    found = health([pod(**fields)])
    assert found['pods.crash_looping'] == found['pods.high_restarts'] == found['pods.oomkilled_24h'] == expected


@pytest.mark.parametrize(
    ('statuses', 'expected'),
    [
        # Mistake 7: an OOM kill can also be in the present state.
        ([status(ended=end('OOMKilled', 137))], 1),
        ([status(ended_before=end('OOMKilled', 137))], 1),
        ([status(ended=end('Error', 1), ended_before=end('OOMKilled', 137))], 1),
        ([status(ended_before=end('OOMKilled', 137, hours=24))], 1),
        ([status(ended_before=end('OOMKilled', 137, hours=24.001))], 0),
        ([status(ended_before=end('OOMKilled', 137, hours=25))], 0),
        ([status(ended_before=end('Error', 137))], 0),
        ([status(ended_before={'reason': 'OOMKilled', 'exitCode': 137})], 0),
        ([status('a', ended=end('OOMKilled')), status('b', ended_before=end('OOMKilled'))], 1),
    ],
)
def test_oom_in_24_hours(statuses, expected):
    assert health([pod(statuses=statuses)])['pods.oomkilled_24h'] == expected


@pytest.mark.parametrize('reason', REASONS)
def test_mistake_8_every_reason_for_a_missing_image(reason):
    assert health([pod(phase='Pending', statuses=[status(waiting=reason)])])['pods.image_pull_errors'] == 1


@pytest.mark.parametrize(
    'reason', ['ContainerCreating', 'PodInitializing', 'ErrImagePullish', 'CreateContainerError', '']
)
def test_other_reasons_are_not_image_pull_errors(reason):
    assert health([pod(phase='Pending', statuses=[status(waiting=reason)])])['pods.image_pull_errors'] == 0


def test_the_reasons_are_an_option():
    pods = [pod(statuses=[status(waiting='CrunchyPullError')]), pod(statuses=[status(waiting='ErrImagePull')])]
    assert health(pods, image_pull_errors=('CrunchyPullError',))['pods.image_pull_errors'] == 1


@pytest.mark.parametrize(('restarts', 'expected'), [(5, 0), (6, 1)])
def test_high_restarts_is_strict(restarts, expected):
    assert health([pod(statuses=[status(restarts=restarts)])])['pods.high_restarts'] == expected


# Mistake 12: a crash loop may be visible only between two refreshes.


def risen(before, after, code=1, waiting=''):
    def one(restarts):
        return [pod('p', statuses=[status(restarts=restarts, waiting=waiting, ended_before=end(code=code))])]

    return health(one(after), one(before))['pods.crash_looping']


@pytest.mark.parametrize(
    ('before', 'after', 'code', 'expected'),
    [(3, 5, 1, 1), (0, 2, 1, 1), (3, 4, 1, 0), (3, 3, 1, 0), (3, 5, 0, 0), (3, 5, None, 0), (9, 2, 1, 0)],
)
def test_two_restarts_between_refreshes_are_a_crash_loop(before, after, code, expected):
    assert risen(before, after, code) == expected


def test_old_restarts_are_not_a_crash_loop():
    assert risen(40, 40) == 0
    flapping = [pod('p', statuses=[status(restarts=40, ended_before=end())])]
    assert health(flapping)['pods.crash_looping'] == 0


def test_a_pod_of_the_same_name_is_another_pod():
    before = [pod('p', metadata={'uid': 'old'}, statuses=[status(restarts=9, ended_before=end())])]
    after = [pod('p', metadata={'uid': 'new'}, statuses=[status(restarts=1, ended_before=end())])]
    found = health(after, before)
    assert found['containers.restarts'] == 1
    assert found['pods.crash_looping'] == 0


def test_restarts_between_refreshes():
    before = [pod('p', statuses=[status('a', restarts=3), status('b', restarts=7)]), pod('q')]
    after = [
        pod('p', statuses=[status('a', restarts=5), status('b', restarts=1)]),
        pod('q', init_statuses=[status('i', restarts=2)]),
        pod('new', statuses=[status(restarts=4)]),
    ]
    assert health(after, before)['containers.restarts'] == 2 + 2 + 4


def test_oom_kills_are_counted_once_each():
    first = [pod('p', statuses=[status(ended_before=end('OOMKilled', container_id='c1', hours=3))])]
    # The same end moves from the present to the previous state, and there is a new one.
    moved = [
        pod(
            'p',
            statuses=[
                status(
                    ended=end('OOMKilled', container_id='c2', hours=1),
                    ended_before=end('OOMKilled', container_id='c1', hours=3),
                )
            ],
        )
    ]
    later = [pod('p', statuses=[status(ended_before=end('OOMKilled', container_id='c2', hours=1))])]
    assert 'containers.oom_kills' not in health(first)
    assert health(first, first)['containers.oom_kills'] == 0
    assert health(moved, first)['containers.oom_kills'] == 1
    assert health(later, moved)['containers.oom_kills'] == 0


# Phases.


def test_phases():
    pods = [
        pod(phase='Failed'),
        pod(phase='Failed', reason='Evicted'),
        pod(phase='Failed', reason='NodeShutdown'),
        pod(phase='Pending', age_minutes=1),
        pod(),
        pod(ready=False),
        pod(metadata={'deletionTimestamp': stamp()}),
        pod(phase='Unknown'),
    ]
    found = health(pods)
    assert (found['pods.failed'], found['pods.evicted'], found['pods.pending']) == (3, 1, 1)
    assert (found['pods.running'], found['pods.not_ready']) == (2, 1)


@pytest.mark.parametrize(('minutes', 'expected'), [(4.9, 0), (5, 0), (5.1, 1)])
def test_pending_for_long_counts_from_creation(minutes, expected):
    assert health([pod(phase='Pending', age_minutes=minutes, started_minutes=1)])['pods.pending_stuck'] == expected
    assert health([pod(phase='Running', age_minutes=minutes)])['pods.pending_stuck'] == 0


@pytest.mark.parametrize(
    ('phase', 'reason', 'scheduled', 'expected'),
    [
        ('Pending', 'Unschedulable', 'False', 1),
        ('Pending', 'SchedulingGated', 'False', 0),
        ('Pending', 'Unschedulable', 'True', 0),
        ('Running', 'Unschedulable', 'False', 0),
    ],
)
def test_unschedulable(phase, reason, scheduled, expected):
    condition = {'type': 'PodScheduled', 'status': scheduled, 'reason': reason}
    assert health([pod(phase=phase, conditions=[condition])])['pods.unschedulable'] == expected


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [
        ({'containers': [container('a', FULL)]}, 0),
        ({'containers': [container('a', {'cpu': '1'})]}, 1),
        ({'containers': [container('a', {'cpu': '0', 'memory': '1'})]}, 1),
        ({'containers': [container('a', FULL), container('b'), container('c')]}, 1),
        ({'containers': [container('a', FULL)], 'init': [container('i')]}, 0),
        ({'containers': [container('a', FULL)], 'init': [container('i', restartPolicy='Always')]}, 1),
        ({'containers': [container('a')], 'spec': {'resources': {'requests': FULL}}}, 0),
        ({'containers': [container('a')], 'spec': {'resources': {'requests': {'cpu': '1'}}}}, 1),
        ({'containers': [container('a')], 'phase': 'Pending'}, 0),
    ],
)
def test_pods_without_requests(fields, expected):
    assert health([pod(**fields)])['pods.no_requests'] == expected


def test_requests_are_those_of_pods_that_hold_them_or_wait_for_a_node():
    def asking(**fields):
        return pod(containers=[container('a', {'cpu': '2', 'memory': '1Gi'})], **fields)

    pods = [
        asking(),
        asking(phase='Pending'),
        asking(phase='Failed'),
        asking(metadata={'deletionTimestamp': stamp()}),
        pod(init=[container('i', {'cpu': '8'})], containers=[container('a', {'cpu': '1'})]),
    ]
    found = health(pods)
    assert found['resources.cpu_requested_cores'] == 2 + 2 + 2 + 8
    assert found['resources.memory_requested_gb'] == 3


def test_unhealthy_pods_by_namespace():
    pods = [
        pod(namespace='a', statuses=[status('x', waiting='CrashLoopBackOff'), status('y', waiting='ErrImagePull')]),
        pod(namespace='a', phase='Failed'),
        pod(namespace='a'),
        pod(namespace='b', phase='Pending', age_minutes=10),
        pod(namespace='b', phase='Pending', age_minutes=1),
        pod(namespace='c'),
    ]
    found = health(pods)
    by_namespace = {name.partition(':')[2]: value for name, value in found.items() if name.startswith('namespace.')}
    assert by_namespace == {'a': 2, 'b': 1, 'c': 0}
    capped = health(pods, max_namespaces=1)
    assert capped['namespace.pods_unhealthy:a'] == 2
    assert capped['namespace.pods_unhealthy:other'] == 1


def test_items_of_the_tests_are_unique():
    assert item()['metadata']['uid'] != item()['metadata']['uid']
