"""Resources that pods hold: until they are gone, of the pod as a whole, and during a resize."""

from __future__ import annotations

import pytest

from ..case import case
from .world import GATED, UNSCHEDULABLE, figures

GPU = {'cpu': '4', 'memory': '8Gi', 'nvidia.com/gpu': '8'}
H100 = {'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3'}


@case('F', 'https://github.com/kubernetes/enhancements/issues/3940')
def test_a_pod_in_its_grace_period(world):
    """A pod in its grace period.

    The only node has 8 GPUs. A pod holds them all. Its deletion was requested, and it has an hour to save its
    work. Another pod runs beside it.

    Right: `gpu.requested` and `gpu.terminating` are 8, `gpu.free` is 0, `resources.cpu_requested_cores` is 4 and
    `resources.cpu_idle_cores` is 16 - 4: the scheduler gives no part of it to others until the pod is gone.

    Unchanged: `pods.running` is 1, and the grace period is not over, so `pods.terminating_stuck` is 0.
    """
    world.node('n1', allocatable={'nvidia.com/gpu': '8'})
    world.pod('saving', GPU, metadata={'deletionTimestamp': world.ago(hours=-1)})
    world.pod('other', {'cpu': '0'})
    world.sample('other', {'main': ('0', '1Mi')})
    run = world.run(cluster_idle=True)
    assert run.value('metta.kubernetes.gpu.free') == 0
    assert figures(
        run, 'gpu.requested', 'resources.cpu_requested_cores', 'resources.cpu_idle_cores', 'pods.running'
    ) == {
        'gpu.requested': 8,
        'resources.cpu_requested_cores': 4,
        'resources.cpu_idle_cores': 12,
        'pods.running': 1,
    }
    assert figures(run, 'gpu.terminating', 'pods.terminating', 'pods.terminating_stuck') == {
        'gpu.terminating': 8,
        'pods.terminating': 1,
        'pods.terminating_stuck': 0,
    }


@case('F', 'https://github.com/kubernetes-sigs/kueue/issues/510')
def test_a_pod_of_an_unreachable_kubelet(world):
    """A pod in phase Unknown.

    The kubelet of a node with 8 GPUs stopped answering. The pod there has phase Unknown, and is still assigned to
    the node.

    Right: `gpu.requested` is 8, and `resources.cpu_requested_cores` is 4.

    Unchanged: `gpu.free` is 0, and `pods.running` is 0.
    """
    world.node('n1', ready=False, allocatable={'nvidia.com/gpu': '8'})
    world.pod('lost', GPU, status={'phase': 'Unknown'})
    found = figures(
        world.run(collect_usage=False), 'gpu.requested', 'gpu.free', 'resources.cpu_requested_cores', 'pods.running'
    )
    assert found == {'gpu.requested': 8, 'gpu.free': 0, 'resources.cpu_requested_cores': 4, 'pods.running': 0}


@case('F', 'https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/', guard=True)
def test_a_failed_pod_of_a_node(world):
    """A failed pod that still exists.

    A pod with 8 GPUs failed a day ago. Nothing has removed it, and it is still assigned to its node.

    Right: `gpu.requested` is 0, and `gpu.free` is 8: the scheduler does not count pods in a terminal phase.

    Unchanged: `pods.failed` is 1.
    """
    world.node('n1', allocatable={'nvidia.com/gpu': '8'})
    world.pod('old', GPU, status={'phase': 'Failed'})
    found = figures(world.run(collect_usage=False), 'gpu.requested', 'gpu.free', 'pods.failed')
    assert found == {'gpu.requested': 0, 'gpu.free': 8, 'pods.failed': 1}


@case('F', 'https://github.com/kubernetes/kube-state-metrics/issues/3107')
@pytest.mark.parametrize(
    ('containers', 'used', 'whole', 'expected'),
    [
        ({'main': '0'}, {'main': '110m'}, '16', [15.89, 100 * 0.11 / 16, 0, 0.11]),
        ({'main': '1', 'side': '0'}, {'main': '3', 'side': '0'}, '4', [1, 75, 0, 3]),
    ],
)
def test_a_request_of_the_pod_as_a_whole(world, containers, used, whole, expected):
    """A request of the pod as a whole.

    A pod requests 16 cores as a whole (`spec.resources`), its container requests none and uses 0.11. Another pod
    requests 4 as a whole; one of its two containers requests 1 and uses 3.

    Right: Waste is 15.89 cores, and efficiency 0.7 percent. In the second pod, waste is 1, efficiency 75 percent
    and overuse 0: what the pod shares among its containers is not overuse.

    Unchanged: `resources.cpu_used_cores` is the sum over the containers.
    """
    world.node('n1')
    spec = {
        'containers': [{'name': name, 'resources': {'requests': {'cpu': cpu}}} for name, cpu in containers.items()],
        'resources': {'requests': {'cpu': whole}},
    }
    world.pod('shared', spec=spec)
    world.sample('shared', {name: (cpu, '1Mi') for name, cpu in used.items()})
    found = figures(
        world.run(),
        'resources.cpu_waste_cores', 'resources.cpu_efficiency_pct', 'resources.cpu_overuse_cores',
        'resources.cpu_used_cores',
    )  # fmt: skip
    assert list(found.values()) == pytest.approx(expected)


@case('F', 'https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/')
def test_cpu_of_the_pod_and_memory_of_its_containers(world):
    """CPU of the pod, memory of its containers.

    A pod requests 4 cores as a whole, and its container requests 8 GiB of memory. It uses 1 core and 2 GiB.

    Right: CPU waste is 3 cores, counted by the pod; memory waste is 6 GiB, counted by the container.

    Unchanged: `pods.no_requests` is 0.
    """
    world.node('n1')
    world.pod(
        'mixed',
        {'memory': '8Gi'},
        spec={
            'containers': [{'name': 'main', 'resources': {'requests': {'memory': '8Gi'}}}],
            'resources': {'requests': {'cpu': '4'}},
        },
    )
    world.sample('mixed', {'main': ('1', '2Gi')})
    found = figures(world.run(), 'resources.cpu_waste_cores', 'resources.memory_waste_gb', 'pods.no_requests')
    assert list(found.values()) == [3, 6, 0]


@case('F', 'https://github.com/kubernetes/kubernetes/pull/141814')
@pytest.mark.parametrize(('reason', 'expected'), [('Deferred', 8), ('Infeasible', 4)])
def test_a_resize_of_the_pod_as_a_whole(world, reason, expected):
    """A resize of the pod as a whole.

    A pod was resized in place from 4 to 8 cores, as a whole. Its node has allocated 4 so far, and runs it with 3.

    Right: `resources.cpu_requested_cores` is 8, the largest of the three, as the scheduler counts. It is 4 when the
    node has said that the resize is infeasible.

    Unchanged: `pods.running` is 1.
    """
    world.node('n1')
    status = {
        'conditions': [{'type': 'PodResizePending', 'status': 'True', 'reason': reason}],
        'allocatedResources': {'cpu': '4'},
        'resources': {'requests': {'cpu': '3'}},
    }
    world.pod('growing', spec={'resources': {'requests': {'cpu': '8'}}}, status=status)
    found = figures(world.run(collect_usage=False), 'resources.cpu_requested_cores', 'pods.running')
    assert list(found.values()) == [expected, 1]


@case('F', 'https://github.com/kubernetes/kubernetes/pull/141814')
def test_a_shrinking_pod(world):
    """A pod that shrinks.

    A pod was resized in place from 8 to 2 cores, as a whole. Its node has not taken anything back yet.

    Right: `resources.cpu_requested_cores` is 8 until the node has done so.

    Unchanged: `pods.running` is 1.
    """
    world.node('n1')
    status = {'allocatedResources': {'cpu': '8'}, 'resources': {'requests': {'cpu': '8'}}}
    world.pod('shrinking', spec={'resources': {'requests': {'cpu': '2'}}}, status=status)
    found = figures(world.run(collect_usage=False), 'resources.cpu_requested_cores', 'pods.running')
    assert list(found.values()) == [8, 1]


@case('F', 'https://kueue.sigs.k8s.io/docs/tasks/run/plain_pods/')
def test_gated_pods_hold_nothing(world):
    """A pod that Kueue has not admitted.

    A pod with 8 GPUs and 4 cores has a scheduling gate. It was created an hour ago.

    Right: It is in `pods.gated`, and its GPUs are in `gpu.queued`. It is not in `pods.pending_stuck`,
    `pods.unschedulable` or `namespace.pods_unhealthy`, and it requests no CPU yet.

    Unchanged: `pods.pending` is 1: its phase is Pending.
    """
    world.node('n1', labels=H100, allocatable={'nvidia.com/gpu': '8'})
    world.pod(
        'queued', GPU, node='',
        spec={'schedulingGates': [{'name': 'kueue.x-k8s.io/admission'}]},
        status={'phase': 'Pending', 'conditions': [GATED]},
    )  # fmt: skip
    found = figures(
        world.run(collect_usage=False),
        'pods.pending', 'pods.pending_stuck', 'pods.unschedulable', 'namespace.pods_unhealthy',
        'resources.cpu_requested_cores', 'gpu.requested', 'gpu.free', 'pods.gated', 'gpu.queued',
    )  # fmt: skip
    assert list(found.values()) == [1, 0, 0, 0, 0, 0, 8, 1, 8]


@case('F', 'https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/')
def test_gpus_that_are_waited_for(world):
    """A pod that finds no node.

    Two nodes with 8 GPUs each have 4 free. A pod that needs 8 is Unschedulable.

    Right: `gpu.pending` is 8 and `gpu.free` is 8, but `gpu.largest_free_block` is 4: no pod can get more than
    that.

    Unchanged: `pods.unschedulable` is 1.
    """
    for name in ('n1', 'n2'):
        world.node(name, labels=H100, allocatable={'nvidia.com/gpu': '8'})
        world.pod(f'half-of-{name}', {'nvidia.com/gpu': '4'}, node=name)
    world.pod('large', GPU, node='', status={'phase': 'Pending', 'conditions': [UNSCHEDULABLE]})
    found = figures(
        world.run(collect_usage=False), 'gpu.pending', 'gpu.free', 'gpu.largest_free_block', 'pods.unschedulable'
    )
    assert list(found.values()) == [8, 8, 4, 1]
