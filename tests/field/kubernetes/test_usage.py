"""Usage: whose sample it is, samples that are impossible, and figures of one population; owners of pods."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from ..case import case
from .world import figures


@case('A', 'https://github.com/kubernetes/kubernetes/issues/107291')
def test_a_sample_of_an_earlier_pod(world):
    """A re-created pod of a StatefulSet.

    Pod `db-0` was re-created a minute ago. The newest sample of that name is two minutes old.

    Right: The sample is not the pod's: `resources.usage_coverage_pct` is 50, and `resources.cpu_used_cores` is 1, the
    usage of the other pod.

    Unchanged: `pods.running` is 2.
    """
    world.node('n1')
    pod = world.pod('db-0', {'cpu': '4'}, metadata={'creationTimestamp': world.ago(seconds=62)})
    pod['status']['startTime'] = world.ago(seconds=60)
    world.pod('db-1', {'cpu': '4'})
    world.sample('db-0', {'main': ('4', '1Gi')}, seconds_ago=120)
    world.sample('db-1', {'main': ('1', '1Gi')})
    found = figures(world.run(), 'resources.usage_coverage_pct', 'resources.cpu_used_cores', 'pods.running')
    assert list(found.values()) == [50, 1, 2]


@case('C', 'https://github.com/kubernetes/kubernetes/issues/107291')
def test_only_samples_of_earlier_pods(world):
    """Only samples of earlier pods.

    All pods were re-created a minute ago, and all samples are older.

    Right: All figures of usage are absent, and the service check is WARNING: nobody knows what these pods use.

    Unchanged: `pods.running` is 1.
    """
    pod = world.pod('db-0', {'cpu': '4'})
    pod['status']['startTime'] = world.ago(seconds=60)
    world.sample('db-0', {'main': ('4', '1Gi')}, seconds_ago=120)
    run = world.run(collect_nodes=False)
    found = figures(run, 'resources.cpu_waste_cores', 'resources.usage_coverage_pct', 'pods.running')
    assert (list(found.values()), run.status) == ([None, None, 1], AgentCheck.WARNING)


@case('C', 'https://github.com/kubernetes-sigs/metrics-server/issues/1300')
@pytest.mark.parametrize('usage', [('1844674407', '1Gi'), ('1', '9000Gi')])
def test_a_sample_beyond_the_node(world, usage):
    """A sample that is impossible.

    A container uses 1,844,674,407 cores, or 9,000 GiB, of a node with 16 cores and 64 GiB.

    Right: The sample is refused, and a warning names the container. `resources.cpu_used_cores` is 1, the usage of
    the other container.

    Unchanged: `pods.running` is 2.
    """
    world.node('n1')
    world.pod('wild', {'cpu': '4'})
    world.pod('calm', {'cpu': '4'})
    world.sample('wild', {'main': usage})
    world.sample('calm', {'main': ('1', '1Gi')})
    run = world.run()
    found = figures(run, 'resources.cpu_used_cores', 'resources.memory_used_gb', 'pods.running')
    assert list(found.values()) == [1, 1, 2]
    assert 'pod team-a/wild: the usage of container main is more than its node has' in run.message


SIDECAR = {'initContainers': [{'name': 'proxy', 'restartPolicy': 'Always', 'resources': {}}]}


def quiet(world, states, measured):
    """Add a pod that uses 1 millicore, with a sidecar and a second container in these states, and its sample."""
    running = {'running': {'startedAt': world.ago(minutes=50)}}
    containers = [{'name': name, 'resources': {'requests': {'cpu': '1'}}} for name in ('main', 'batch')]
    statuses = {name: {'name': name, 'state': states.get(name, running)} for name in ('main', 'batch', 'proxy')}
    world.pod(
        'quiet',
        spec={**SIDECAR, 'containers': containers, 'resources': {'requests': {'cpu': '4'}}},
        status={
            'containerStatuses': [statuses['main'], statuses['batch']],
            'initContainerStatuses': [statuses['proxy']],
        },
    )
    world.pod('other')
    world.sample('quiet', dict.fromkeys(measured, ('300u', '2Mi')))
    world.sample('other', {'main': ('2', '4Gi')})


QUIET = ('pods.idle_count', 'pods.low_cpu_usage', 'pods.low_memory_usage')


@case('C', 'https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/')
@pytest.mark.parametrize('missing', ['proxy', 'batch'])
def test_a_sample_without_a_running_sidecar(world, missing):
    """A sample without a running container.

    The sample of a pod has its other containers, which use next to nothing, but not its running sidecar (an init
    container with `restartPolicy: Always`), or not its second container.

    Right: The pod is not in `pods.idle_count`, `pods.low_cpu_usage` and `pods.low_memory_usage`: the container that is
    missing may be the busy one.

    Unchanged: `resources.usage_coverage_pct` is 100, and waste of the pod, which requests 4 cores as a whole, is 0.
    """
    quiet(world, {}, {'main', 'batch', 'proxy'} - {missing})
    found = figures(world.run(), *QUIET, 'resources.usage_coverage_pct', 'resources.cpu_waste_cores')
    assert list(found.values()) == [0, 0, 0, 100, 0]


@case('C', 'https://github.com/kubernetes-sigs/metrics-server/issues/1330')
@pytest.mark.parametrize(
    'state', [{'terminated': {'exitCode': 0, 'reason': 'Completed'}}, {'waiting': {'reason': 'CrashLoopBackOff'}}]
)
def test_a_sample_without_a_container_that_has_ended(world, state):
    """A sample without a container that does not run.

    The second container of a pod has ended, or waits to be restarted, so its sample lacks it. The others use next to
    nothing. The pod requests 4 cores as a whole.

    Right: The pod is in `pods.idle_count`, `pods.low_cpu_usage` and `pods.low_memory_usage`, and its waste is its
    request less its usage: a container that does not run uses nothing.

    Unchanged: `resources.usage_coverage_pct` is 100.
    """
    quiet(world, {'batch': state}, {'main', 'proxy'})
    found = figures(world.run(), *QUIET, 'resources.usage_coverage_pct', 'resources.cpu_waste_cores')
    assert list(found.values()) == pytest.approx([1, 1, 1, 100, 3.9994])


@case('H')
def test_efficiency_and_waste_of_one_population(world):
    """Overuse beside waste.

    One pod requests 100 cores and uses 3; another one requests 1 and uses 98.

    Right: Waste is 97 of 101 cores, and efficiency is 100 x 4 / 101 percent, not 100: what one pod uses beyond its
    request does not make the other one efficient. Overuse is 97.

    Unchanged: `resources.cpu_used_cores` is 101.
    """
    world.node('n1', allocatable={'cpu': '256'})
    world.pod('idle', {'cpu': '100'})
    world.pod('busy', {'cpu': '1'})
    world.sample('idle', {'main': ('3', '1Gi')})
    world.sample('busy', {'main': ('98', '1Gi')})
    found = figures(
        world.run(),
        'resources.cpu_waste_cores', 'resources.cpu_efficiency_pct', 'resources.cpu_overuse_cores',
        'resources.cpu_used_cores',
    )  # fmt: skip
    assert list(found.values()) == [97, pytest.approx(400 / 101), 97, 101]


OWNERS = {
    'deployment': ({'kind': 'ReplicaSet', 'name': 'api-5d8f'}, {'pod-template-hash': '5d8f'}),
    'bare': ({'kind': 'ReplicaSet', 'name': 'api-legacy'}, {}),
    'rollout': ({'kind': 'ReplicaSet', 'name': 'api-77c9'}, {'rollouts-pod-template-hash': '77c9'}),
    'set': ({'kind': 'StatefulSet', 'name': 'api'}, {}),
    'ray': ({'kind': 'RayCluster', 'name': 'ray'}, {}),
}


def owned(world):
    world.node('n1')
    for number, (name, (owner, labels)) in enumerate(OWNERS.items()):
        references = [{**owner, 'controller': True}]
        world.pod(name, {'cpu': str(number + 2)}, metadata={'ownerReferences': references, 'labels': labels})
        world.sample(name, {'main': ('1', '1Gi')})


@case('A', 'https://github.com/DataDog/datadog-agent/issues/54261')
def test_a_replica_set_without_a_deployment(world):
    """ReplicaSets that belong to no Deployment.

    Pods belong to Deployment `api`, to a ReplicaSet `api-legacy` that someone created, to an Argo Rollout `api`, to a
    StatefulSet and to a RayCluster.

    Right: `deployment.waste_cores` of `api` is that of its own pod, 1. All others are in `deployment:other`.

    Unchanged: All add up to `resources.cpu_waste_cores`, 15.
    """
    owned(world)
    run = world.run(per_deployment=10)
    found = figures(
        run,
        'deployment.waste_cores|deployment:api', 'deployment.waste_cores|deployment:other',
        'resources.cpu_waste_cores',
    )  # fmt: skip
    assert list(found.values()) == [1, 14, 15]


@case('A', 'https://argo-rollouts.readthedocs.io/en/stable/architecture/')
def test_waste_of_any_workload(world):
    """Waste of any workload.

    Pods belong to Deployment `api`, to a ReplicaSet `api-legacy` that someone created, to an Argo Rollout `api`, to a
    StatefulSet and to a RayCluster.

    Right: `workload.cpu_waste_cores` tells the Deployment, the Rollout, the ReplicaSet and the StatefulSet apart.

    Unchanged: All add up to `resources.cpu_waste_cores`.
    """
    owned(world)
    run = world.run(per_workload=10)
    series = run.series('metta.kubernetes.workload.cpu_waste_cores')
    kinds = {next(tag for tag in tags if tag.startswith('owner_kind:')): value for tags, value in series.items()}
    assert kinds == {
        'owner_kind:deployment': 1,
        'owner_kind:replicaset': 2,
        'owner_kind:rollout': 3,
        'owner_kind:statefulset': 4,
        'owner_kind:raycluster': 5,
    }
    assert sum(series.values()) == run.value('metta.kubernetes.resources.cpu_waste_cores')


@case('H', 'https://github.com/opencost/opencost/issues/1815', guard=True)
def test_usage_and_requests_that_exceed_the_node_together(world):
    """Usage and requests that exceed the node together.

    A node has 16 cores. One pod requests 12 and uses none; another one requests none and uses 12.

    Right: `resources.cpu_idle_cores` is 0, not -8: what is taken, the larger of request and usage of each pod, is more
    than the node has.

    Unchanged: The second node is idle with 16 cores, so the sum over both is 16. `resources.cpu_waste_cores` is 12.
    """
    for name in ('n1', 'n2'):
        world.node(name)
    world.pod('reserved', {'cpu': '12'})
    world.pod('busy')
    world.sample('reserved', {'main': ('0', '1Gi')})
    world.sample('busy', {'main': ('12', '1Gi')})
    found = figures(world.run(cluster_idle=True), 'resources.cpu_idle_cores', 'resources.cpu_waste_cores')
    assert list(found.values()) == [16, 12]


@case('H', 'https://github.com/kubernetes-sigs/kubernetes-mixin/issues/554', guard=True)
def test_requests_of_pods_that_have_ended(world):
    """Requests of pods that have ended.

    A node has 16 cores and a GPU. A pod that runs requests 8 cores and the GPU, in namespace `team-a`. Evicted pods of
    two namespaces, which nobody has deleted, request as much each.

    Right: `resources.cpu_requested_cores` is 8 of 16, and the requests by namespace add up to it. `gpu.requested` is 1,
    and so is the sum of `namespace.gpu_requested`.

    Unchanged: The evicted pods have no series of a namespace of their own.
    """
    requests = {'cpu': '8', 'nvidia.com/gpu': '1'}
    world.node('n1', labels={'nvidia.com/gpu.product': 'NVIDIA-L4'}, allocatable={'nvidia.com/gpu': '1'})
    world.pod('train', requests)
    for number, namespace in enumerate(('team-a', 'team-b')):
        status = {'phase': 'Failed', 'reason': 'Evicted'}
        world.pod(f'evicted-{number}', requests, namespace=namespace, status=status)
    run = world.run(per_namespace=True, collect_usage=False)
    names = ('resources.cpu_requested_cores', 'resources.cpu_allocatable_cores', 'gpu.requested|gpu_type:l4')
    assert list(figures(run, *names).values()) == [8, 16, 1]
    for name, total in (('cpu_requested_cores', 8), ('gpu_requested', 1)):
        by_namespace = run.series(f'metta.kubernetes.namespace.{name}')
        assert sum(by_namespace.values()) == total
        assert not any('kube_namespace:team-b' in tags for tags in by_namespace)
