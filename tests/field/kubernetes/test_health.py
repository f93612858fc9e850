"""Health of pods: waiting, starting, stuck, failing and terminating."""

from __future__ import annotations

import pytest

from ..case import case
from .world import GATED, UNSCHEDULABLE, figures

HEALTH = ('pods.crash_looping', 'pods.image_pull_errors', 'pods.pending_stuck', 'namespace.pods_unhealthy')
GATE = {'schedulingGates': [{'name': 'example.com/quota'}]}


def waiting(reason, **fields):
    return {'name': 'main', 'restartCount': 0, 'state': {'waiting': {'reason': reason}}, **fields}


@case('B', 'https://github.com/kubernetes-monitoring/kubernetes-mixin/issues/1256')
def test_stuck_from_the_admission_on(world):
    """A pod that waited in a queue.

    A pod had a scheduling gate for an hour. Then the gate was removed, and the scheduler finds no node. The API does
    not tell when the gate was removed, and the time of condition PodScheduled does not change.

    Right: It is not in `pods.pending_stuck` in the first refresh after the removal. It is, when it has waited for more
    than 5 minutes since then.

    Unchanged: `pods.unschedulable` is 1 as soon as the scheduler says so.
    """
    pod = world.pod('queued', node='', spec=GATE, status={'phase': 'Pending', 'conditions': [GATED]})
    assert list(figures(world.run(collect_usage=False), *HEALTH).values()) == [0, 0, 0, 0]
    world.service.pass_time(900)
    pod['spec'].pop('schedulingGates')
    pod['status']['conditions'] = [UNSCHEDULABLE]
    world.service.changed()
    found = figures(world.run(), 'pods.pending_stuck', 'pods.unschedulable', 'namespace.pods_unhealthy')
    assert list(found.values()) == [0, 1, 0]
    world.service.pass_time(301)
    assert list(figures(world.run(), 'pods.pending_stuck', 'pods.unschedulable').values()) == [1, 1]


@case('B', 'https://kueue.sigs.k8s.io/docs/tasks/run/plain_pods/')
def test_an_admitted_pod_in_the_first_refresh(world):
    """A pod of Kueue in the first refresh.

    The label `kueue.x-k8s.io/managed` says that Kueue managed the gates of a pod, which it has removed. The pod is an
    hour old, and the scheduler finds no node. It is the first refresh, so nobody knows when it was admitted.

    Right: `pods.pending_stuck` is 0: it counts from now on.

    Unchanged: `pods.unschedulable` is 1.
    """
    labels = {'kueue.x-k8s.io/managed': 'true'}
    world.pod(
        'admitted', node='', metadata={'labels': labels}, status={'phase': 'Pending', 'conditions': [UNSCHEDULABLE]}
    )
    found = figures(world.run(collect_usage=False), 'pods.pending_stuck', 'pods.unschedulable')
    assert list(found.values()) == [0, 1]


@case('B', 'https://github.com/kubernetes/kubernetes/issues/108135')
def test_a_long_init_container(world):
    """A long init container.

    A pod has been in phase Pending for an hour, because its init container loads a model.

    Right: `pods.pending_stuck` and `namespace.pods_unhealthy` are 0: it is starting.

    Unchanged: `pods.pending` is 1, and `pods.waiting` is 1 with `reason:podinitializing`.
    """
    world.pod(
        'loading',
        spec={'initContainers': [{'name': 'load'}]},
        status={
            'phase': 'Pending',
            'containerStatuses': [waiting('PodInitializing')],
            'initContainerStatuses': [{'name': 'load', 'state': {'running': {'startedAt': world.ago(minutes=59)}}}],
        },
    )
    found = figures(world.run(collect_usage=False), *HEALTH, 'pods.pending', 'pods.waiting|reason:podinitializing')
    assert list(found.values()) == [0, 0, 0, 0, 1, 1]


@case('B', 'https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/', guard=True)
def test_a_sidecar_that_runs_while_the_image_is_missing(world):
    """A sidecar that runs beside a container that cannot start.

    The sidecar of a pod, an init container that is always restarted, runs. The pod has been in phase Pending for an
    hour, since the image of its container does not exist.

    Right: `pods.pending_stuck` and `pods.image_pull_errors` are 1.

    Unchanged: `namespace.pods_unhealthy` counts the pod once.
    """
    world.pod(
        'broken',
        spec={'initContainers': [{'name': 'mesh', 'restartPolicy': 'Always'}]},
        status={
            'phase': 'Pending',
            'containerStatuses': [waiting('ImagePullBackOff')],
            'initContainerStatuses': [{'name': 'mesh', 'state': {'running': {'startedAt': world.ago(minutes=59)}}}],
        },
    )
    assert list(figures(world.run(collect_usage=False), *HEALTH).values()) == [0, 1, 1, 1]


@case('B', 'https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/')
def test_a_pod_that_has_just_got_its_node(world):
    """A pod that has just got its node.

    A pod waited an hour for a node. It was assigned to one a minute ago, and its image is being pulled.

    Right: `pods.pending_stuck` is 0.

    Unchanged: `pods.pending` is 1.
    """
    scheduled = {'type': 'PodScheduled', 'status': 'True', 'lastTransitionTime': world.ago(minutes=1)}
    world.pod(
        'lucky',
        status={'phase': 'Pending', 'conditions': [scheduled], 'containerStatuses': [waiting('ContainerCreating')]},
    )
    found = figures(world.run(collect_usage=False), 'pods.pending_stuck', 'pods.pending')
    assert list(found.values()) == [0, 1]


@case('F', 'https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/')
@pytest.mark.parametrize(
    'state',
    [
        {'waiting': {'reason': 'ImagePullBackOff'}},
        {'waiting': {'reason': 'CrashLoopBackOff'}},
        {'terminated': {'reason': 'OOMKilled', 'exitCode': 137}},
    ],
)
def test_a_debug_container_that_fails(world, state):
    """A debug container that fails.

    Someone attached an ephemeral container to a healthy pod. Its image does not exist, or it ran out of memory.

    Right: No figure of health counts the pod.

    Unchanged: `pods.running` is 1.
    """
    if 'terminated' in state:
        state = {'terminated': {**state['terminated'], 'finishedAt': world.ago(hours=1)}}
    world.pod('fine', status={'ephemeralContainerStatuses': [{'name': 'debug', 'restartCount': 0, 'state': state}]})
    found = figures(world.run(collect_usage=False), *HEALTH, 'pods.oomkilled_24h', 'pods.running')
    assert list(found.values()) == [0, 0, 0, 0, 0, 1]


@case('C', 'https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/')
@pytest.mark.parametrize('reason', ['CreateContainerConfigError', 'RunContainerError', 'CreateContainerError'])
def test_a_container_that_cannot_start(world, reason):
    """A container that cannot start.

    The Secret that a container needs does not exist, or its command does not. The pod is a minute old.

    Right: `namespace.pods_unhealthy` is 1, and `pods.waiting` is 1 with the reason.

    Unchanged: `pods.image_pull_errors`, `pods.crash_looping` and `pods.pending_stuck` are 0.
    """
    world.pod(
        'misconfigured',
        metadata={'creationTimestamp': world.ago(minutes=1)},
        status={'phase': 'Pending', 'containerStatuses': [waiting(reason)]},
    )
    found = figures(world.run(collect_usage=False), *HEALTH, f'pods.waiting|reason:{reason.lower()}')
    assert list(found.values()) == [0, 0, 0, 1, 1]


@case('C', 'https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/')
@pytest.mark.parametrize(('minutes', 'expected'), [(14, 0), (16, 1)])
def test_a_pod_that_is_not_ready(world, minutes, expected):
    """A pod that does not get ready.

    The readiness probe of a running pod has failed for 14, or 16 minutes.

    Right: `namespace.pods_unhealthy` is 0, and 1 after more than 15 minutes.

    Unchanged: `pods.not_ready` is 1 in both.
    """
    ready = {'type': 'Ready', 'status': 'False', 'lastTransitionTime': world.ago(minutes=minutes)}
    world.pod('slow', status={'conditions': [ready]})
    found = figures(world.run(collect_usage=False), 'namespace.pods_unhealthy', 'pods.not_ready')
    assert list(found.values()) == [expected, 1]


@case('B', 'https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts')
@pytest.mark.parametrize(
    ('restarts', 'ran', 'since', 'code', 'expected'),
    [
        (7, 30, 120, 1, 1),
        # It has run for more than ten minutes: the kubelet has forgotten the crashes.
        (7, 30, 700, 1, 0),
        # The run before lasted for a day.
        (40, 86400, 120, 1, 0),
        (1, 30, 120, 1, 0),
        (7, 30, 120, 0, 0),
    ],
)
def test_a_crash_loop_in_the_first_refresh(world, restarts, ran, since, code, expected):
    """A container that runs between two crashes.

    A container has been restarted 7 times. Its last run failed after 30 seconds, and it has been running for two
    minutes when it is read for the first time.

    Right: `pods.crash_looping` is 1. It is 0 if the container has run for more than 10 minutes, if the run before had
    lasted for a day, if it was restarted once, or if it ended with exit code 0.

    Unchanged: `containers.restarts` is not sent in the first refresh.
    """
    ended = {
        'reason': 'Error',
        'exitCode': code,
        'startedAt': world.ago(seconds=since + 5 + ran),
        'finishedAt': world.ago(seconds=since + 5),
    }
    status = {
        'name': 'main',
        'restartCount': restarts,
        'state': {'running': {'startedAt': world.ago(seconds=since)}},
        'lastState': {'terminated': ended},
    }
    world.pod('flapping', status={'containerStatuses': [status]})
    found = figures(world.run(collect_usage=False), 'pods.crash_looping', 'containers.restarts')
    assert list(found.values()) == [expected, None]


@case('C', 'https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination')
@pytest.mark.parametrize(('minutes', 'expected'), [(-10, 0), (4, 0), (30, 1)])
def test_a_pod_that_does_not_go(world, minutes, expected):
    """A pod that does not go.

    The deletion of a pod was requested. Its grace period ends in 10 minutes, ended 4 minutes ago, or half an hour ago.

    Right: `pods.terminating_stuck` is 1 only in the last situation.

    Unchanged: `pods.terminating` is 1.
    """
    world.pod('clinging', metadata={'deletionTimestamp': world.ago(minutes=minutes)})
    found = figures(world.run(collect_usage=False), 'pods.terminating', 'pods.terminating_stuck')
    assert list(found.values()) == [1, expected]
