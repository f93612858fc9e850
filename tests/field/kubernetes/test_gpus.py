"""GPUs: shares, slices, models, other accelerators, and the nodes that they are on."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from ..case import case
from .world import UNSCHEDULABLE, figures


def shared(count, replicas, strategy='time-slicing', product='NVIDIA-L4-SHARED'):
    return {
        'nvidia.com/gpu.product': product,
        'nvidia.com/gpu.count': str(count),
        'nvidia.com/gpu.replicas': str(replicas),
        'nvidia.com/gpu.sharing-strategy': strategy,
    }


@case('F', 'https://github.com/NVIDIA/gpu-operator/issues/684')
@pytest.mark.parametrize(
    ('resource', 'strategy', 'product'),
    [
        ('nvidia.com/gpu', 'time-slicing', 'NVIDIA-L4-SHARED'),
        ('nvidia.com/gpu', 'mps', 'NVIDIA-L4-SHARED'),
        ('nvidia.com/gpu.shared', 'time-slicing', 'NVIDIA-L4'),
    ],
)
def test_shares_of_gpus(world, resource, strategy, product):
    """GPUs that are shared.

    A node has 8 L4. Each is offered ten times (time-slicing, MPS, or time-slicing with a resource of another name),
    so `allocatable` says 80. Pods request 15 of these.

    Right: `gpu.allocatable` is 8, `gpu.requested` 1.5 and `gpu.free` 6.5, all with `gpu_type:l4`. Dividing only one
    of them would give 15 requested of 8.

    Unchanged: There is no warning.
    """
    world.node('n1', labels=shared(8, 10, strategy, product), allocatable={resource: '80'})
    for number in range(15):
        world.pod(f'notebook-{number}', {resource: '1'})
    run = world.run(collect_usage=False)
    found = figures(run, 'gpu.allocatable|gpu_type:l4', 'gpu.requested|gpu_type:l4', 'gpu.free|gpu_type:l4')
    assert list(found.values()) == [8, pytest.approx(1.5), pytest.approx(6.5)]
    assert run.warnings == []


@case('F', 'https://github.com/opencost/opencost/issues/2862')
def test_shares_that_labels_do_not_explain(world):
    """Shares that the labels do not explain.

    A node offers 80 GPUs that are shares (`sharing-strategy` is time-slicing), but its labels say 7 GPUs with ten
    replicas each. Another node has 8 GPUs that are not shared.

    Right: The GPUs of the first node, and the requests there, are left out; a warning says so. `gpu.allocatable` is
    8 and `gpu.requested` 2, never 80 and 12.

    Unchanged: `pods.running` is 2.
    """
    world.node('n1', labels=shared(7, 10, product='NVIDIA-L4-SHARED'), allocatable={'nvidia.com/gpu': '80'})
    world.node('n2', labels={'nvidia.com/gpu.product': 'NVIDIA-L4'}, allocatable={'nvidia.com/gpu': '8'})
    world.pod('a', {'nvidia.com/gpu': '10'})
    world.pod('b', {'nvidia.com/gpu': '2'}, node='n2')
    run = world.run(collect_usage=False)
    found = figures(run, 'gpu.allocatable', 'gpu.requested', 'gpu.free', 'pods.running')
    assert list(found.values()) == [8, 2, 6, 2]
    assert run.status == AgentCheck.WARNING
    assert 'GPUs left out: node n1' in run.message


@case('F', 'https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-operator-mig.html')
@pytest.mark.parametrize(
    ('resource', 'product'),
    [
        ('nvidia.com/mig-1g.10gb', 'NVIDIA-H100-80GB-HBM3'),
        ('nvidia.com/gpu', 'NVIDIA-H100-80GB-HBM3-MIG-1g.10gb'),
    ],
)
def test_slices_are_not_gpus(world, resource, product):
    """Slices of a GPU.

    A node has one H100 in 7 slices (MIG), as resources of their own (strategy "mixed") or as `nvidia.com/gpu`
    (strategy "single"). Pods hold 2 slices.

    Right: The type is `nvidia-mig-1g.10gb` in both: 7 offered, 2 requested, 5 free. They are not 7 H100.

    Unchanged: There is no series with `gpu_type:h100`.
    """
    labels = {'nvidia.com/gpu.product': product, 'nvidia.com/mig.strategy': 'single'}
    world.node('n1', labels=labels, allocatable={resource: '7'})
    world.pod('a', {resource: '2'})
    run = world.run(collect_usage=False)
    tag = 'gpu_type:nvidia-mig-1g.10gb'
    found = figures(run, f'gpu.allocatable|{tag}', f'gpu.requested|{tag}', f'gpu.free|{tag}')
    assert list(found.values()) == [7, 2, 5]
    assert len(run.series('metta.kubernetes.gpu.free')) == 1


@case('A', 'https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-sharing.html')
def test_gpus_by_model(world):
    """Two models of GPUs.

    One node has 8 A100 with 80 GB, another one 4 T4, in a cluster of GKE without NVIDIA's labels. Both are
    `nvidia.com/gpu`. A pod on each holds 2.

    Right: `gpu.free` is 6 with `gpu_type:a100-80gb` and 2 with `gpu_type:t4`.

    Unchanged: The sum over the types is 8.
    """
    world.node('n1', labels={'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-80GB'}, allocatable={'nvidia.com/gpu': '8'})
    world.node(
        'n2', labels={'cloud.google.com/gke-accelerator': 'nvidia-tesla-t4'}, allocatable={'nvidia.com/gpu': '4'}
    )
    world.pod('a', {'nvidia.com/gpu': '2'})
    world.pod('b', {'nvidia.com/gpu': '2'}, node='n2')
    run = world.run(collect_usage=False)
    found = figures(run, 'gpu.free|gpu_type:a100-80gb', 'gpu.free|gpu_type:t4')
    assert list(found.values()) == [6, 2]


@case('E', 'https://github.com/kubernetes-sigs/kueue/issues/4474')
@pytest.mark.parametrize(
    'state',
    [
        {'ready': False},
        {'spec': {'unschedulable': True}},
        {'spec': {'taints': [{'key': 'ToBeDeletedByClusterAutoscaler', 'effect': 'NoSchedule'}]}},
        {'spec': {'taints': [{'key': 'karpenter.sh/disrupted', 'effect': 'NoSchedule'}]}},
        None,
        {'allocatable': {'nvidia.com/gpu': '0'}},
    ],
)
def test_a_node_that_is_not_usable(world, state):
    """A node that is not usable.

    Two nodes have 8 GPUs each. The pods on the first one hold 6; it is not Ready, cordoned, about to be removed by
    Cluster Autoscaler or Karpenter, already deleted, or offers 0 GPUs since its driver broke. No pod is on the
    second one.

    Right: `gpu.free` is 8 and `gpu.largest_free_block` is 8: the first node offers none, and what pods hold there
    takes none away.

    Unchanged: `gpu.requested` is 6.
    """
    gpus = {'allocatable': {'nvidia.com/gpu': '8'}}
    if state is not None:
        world.node('n1', **{**gpus, **state})
    world.node('n2', **gpus)
    world.pod('a', {'nvidia.com/gpu': '6'})
    found = figures(world.run(collect_usage=False), 'gpu.free', 'gpu.requested', 'gpu.largest_free_block')
    assert list(found.values()) == [8, 6, 8]


@case('F', 'https://learn.microsoft.com/azure/aks/virtual-nodes')
@pytest.mark.parametrize(
    ('labels', 'taints'),
    [
        ({'type': 'virtual-kubelet'}, []),
        ({}, [{'key': 'virtual-kubelet.io/provider', 'value': 'azure', 'effect': 'NoSchedule'}]),
        ({'eks.amazonaws.com/compute-type': 'fargate'}, []),
    ],
)
def test_virtual_nodes(world, labels, taints):
    """A virtual node.

    A cluster has one machine with 16 cores, and a virtual node that says it has 800: Virtual Kubelet, or EKS
    Fargate. A pod that requests 100 cores runs there; one with 4 runs on the machine.

    Right: `resources.cpu_allocatable_cores` is 16, and `resources.cpu_idle_cores` is 12.

    Unchanged: `resources.cpu_requested_cores` is 104.
    """
    world.node('n1')
    world.node('v1', labels=labels, spec={'taints': taints}, allocatable={'cpu': '800'})
    world.pod('a', {'cpu': '4'})
    world.pod('burst', {'cpu': '100'}, node='v1')
    world.sample('a', {'main': ('1', '1Mi')})
    found = figures(
        world.run(cluster_idle=True),
        'resources.cpu_allocatable_cores', 'resources.cpu_idle_cores', 'resources.cpu_requested_cores',
    )  # fmt: skip
    assert list(found.values()) == [16, 12, 104]


@case('F', 'https://virtual-kubelet.io/docs/architecture/', guard=True)
def test_gpus_of_pods_on_a_virtual_node(world):
    """GPUs of a pod on a virtual node.

    A machine has 8 GPUs. A virtual node says that it has 100, and a pod with 4 GPUs and 4 cores runs there.

    Right: `gpu.requested` is 4 and `resources.cpu_requested_cores` is 4: the scheduler counts such a pod like any
    other, in both figures. `gpu.allocatable` and `gpu.free` are 8.

    Unchanged: `pods.running` is 1.
    """
    world.node('n1', allocatable={'nvidia.com/gpu': '8'})
    world.node('v1', labels={'type': 'virtual-kubelet'}, allocatable={'nvidia.com/gpu': '100'})
    world.pod('burst', {'cpu': '4', 'nvidia.com/gpu': '4'}, node='v1')
    found = figures(
        world.run(collect_usage=False),
        'gpu.requested', 'resources.cpu_requested_cores', 'gpu.allocatable', 'gpu.free', 'pods.running',
    )  # fmt: skip
    assert list(found.values()) == [4, 4, 8, 8, 1]


@case('A', 'https://learn.microsoft.com/azure/aks/virtual-nodes')
def test_the_model_that_a_waiting_pod_gets(world):
    """The model that a waiting pod gets.

    The machines of a cluster have H100. A virtual node offers GPUs of another model. A pod that needs 2 GPUs is
    Unschedulable.

    Right: `gpu.pending` is 2 for `h100`: it is the only model of the machines, and what waits does not get to virtual
    nodes.

    Unchanged: `gpu.allocatable` is 8.
    """
    world.node('n1', labels={'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3'}, allocatable={'nvidia.com/gpu': '8'})
    labels = {'type': 'virtual-kubelet', 'nvidia.com/gpu.product': 'NVIDIA-L4'}
    world.node('v1', labels=labels, allocatable={'nvidia.com/gpu': '8'})
    world.pod('next', {'nvidia.com/gpu': '2'}, node='', status={'phase': 'Pending', 'conditions': [UNSCHEDULABLE]})
    found = figures(world.run(collect_usage=False), 'gpu.pending|gpu_type:h100', 'gpu.allocatable|gpu_type:h100')
    assert list(found.values()) == [2, 8]


@case('A', 'https://github.com/NVIDIA/k8s-device-plugin/issues/313')
def test_a_node_whose_device_plugin_is_gone(world):
    """A node whose device plugin is gone.

    The device plugin of a node with H100 was removed, so the node offers no GPUs any more. A pod there still holds 4.
    Another node has L4, in tenths (time-slicing).

    Right: `gpu.requested` is 4 for `h100`, the model in the labels of the pod's node.

    Unchanged: `gpu.free` is 8 for `l4`.
    """
    world.node('n1', labels={'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3'})
    world.node('n2', labels=shared(8, 10), allocatable={'nvidia.com/gpu': '80'})
    world.pod('train', {'nvidia.com/gpu': '4'})
    found = figures(world.run(collect_usage=False), 'gpu.requested|gpu_type:h100', 'gpu.free|gpu_type:l4')
    assert list(found.values()) == [4, 8]


@case('F', 'https://github.com/NVIDIA/k8s-device-plugin/issues/58')
def test_shares_of_a_node_whose_driver_broke(world):
    """Shares of a node whose driver broke.

    A node with 8 L4, each shared ten times, offers 0 GPUs since its driver broke. Pods there still hold 15 shares.

    Right: `gpu.requested` is 1.5, not 15.

    Unchanged: `gpu.free` is 0, and there is no warning.
    """
    world.node('n1', labels=shared(8, 10), allocatable={'nvidia.com/gpu': '0'})
    for number in range(15):
        world.pod(f'notebook-{number}', {'nvidia.com/gpu': '1'})
    run = world.run(collect_usage=False)
    found = figures(run, 'gpu.requested|gpu_type:l4', 'gpu.free|gpu_type:l4')
    assert list(found.values()) == pytest.approx([1.5, 0])
    assert run.warnings == []


@case('C', 'https://docs.habana.ai/en/latest/Installation_Guide/Additional_Installation/Kubernetes_Installation/')
@pytest.mark.parametrize(
    ('resource', 'gpu_type'),
    [
        ('habana.ai/gaudi', 'habana-gaudi'),
        ('aws.amazon.com/neuron', 'aws-neuron'),
        ('google.com/tpu', 'google-tpu'),
        ('gpu.intel.com/i915', 'intel-i915'),
        ('amd.com/gpu', 'amd-gpu'),
    ],
)
def test_accelerators_of_other_vendors(world, resource, gpu_type):
    """Accelerators of other vendors.

    A node has 8 accelerators: Intel Gaudi, AWS Neuron, Google TPU, an Intel GPU, or an AMD GPU without a label. A pod
    holds 2.

    Right: They are counted under a type of their own: 8 offered, 2 requested and 6 free.

    Unchanged: There is no other type.
    """
    world.node('n1', allocatable={resource: '8'})
    world.pod('a', {resource: '2'})
    run = world.run(collect_usage=False)
    tag = f'gpu_type:{gpu_type}'
    found = figures(run, f'gpu.allocatable|{tag}', f'gpu.requested|{tag}', f'gpu.free|{tag}')
    assert list(found.values()) == [8, 2, 6]
    assert len(run.series('metta.kubernetes.gpu.free')) == 1


@case('F', 'https://awsdocs-neuron.readthedocs-hosted.com/en/latest/containers/kubernetes-getting-started.html')
def test_neuron_devices_and_their_cores(world):
    """Devices that are offered twice.

    A node with 4 Neuron devices of 2 cores each offers `aws.amazon.com/neuron` and `aws.amazon.com/neuroncore`. A pod
    requests 2 cores.

    Right: `gpu.allocatable` is 4 devices, and `gpu.requested` is 1 device.

    Unchanged: There is one type.
    """
    world.node('n1', allocatable={'aws.amazon.com/neuron': '4', 'aws.amazon.com/neuroncore': '8'})
    world.pod('a', {'aws.amazon.com/neuroncore': '2'})
    found = figures(world.run(collect_usage=False), 'gpu.allocatable', 'gpu.requested', 'gpu.free')
    assert list(found.values()) == [4, 1, 3]


MACHINES = [
    ('aws.amazon.com/neuron', 'inf1.6xlarge', 'inferentia'),
    ('aws.amazon.com/neuron', 'inf2.48xlarge', 'inferentia2'),
    ('aws.amazon.com/neuron', 'trn1n.32xlarge', 'trainium'),
    ('aws.amazon.com/neurondevice', 'trn2.48xlarge', 'trainium2'),
    ('habana.ai/gaudi', 'dl1.24xlarge', 'gaudi'),
    ('habana.ai/gaudi', 'gx3d.160x1792.8gaudi3', 'gaudi3'),
    ('qualcomm.com/qaic', 'dl2q.24xlarge', 'ai100'),
    # The type of the machine does not tell the generation.
    ('aws.amazon.com/neuron', 'm7i.8xlarge', 'aws-neuron'),
    ('habana.ai/gaudi', 'bare-metal', 'habana-gaudi'),
    ('habana.ai/gaudi', 'trn1.32xlarge', 'habana-gaudi'),
]


@case('A', 'https://docs.cast.ai/docs/neuron')
@pytest.mark.parametrize(('resource', 'machine', 'gpu_type'), MACHINES)
def test_the_generation_by_the_instance_type(world, resource, machine, gpu_type):
    """The generation by the instance type.

    A node has 8 accelerators of AWS, Intel or Qualcomm. These vendors set no label with the model, and generations of
    very different speed share one resource; the label `node.kubernetes.io/instance-type` has the type of the machine.
    A pod holds 2, and a pod of which the selector names this type waits for 8.

    Right: `gpu_type` is that of EC2's description of the machine (`trainium2`), so one query covers both sources:
    8 offered, 2 requested, 8 pending. A machine that tells no generation has the type of the resource (`aws-neuron`).

    Unchanged: There is one type.
    """
    label = {'node.kubernetes.io/instance-type': machine}
    world.node('n1', allocatable={resource: '8'}, labels=label)
    world.pod('held', {resource: '2'})
    unschedulable = {'phase': 'Pending', 'conditions': [UNSCHEDULABLE]}
    world.pod('waits', {resource: '8'}, node='', spec={'nodeSelector': label}, status=unschedulable)
    run = world.run(collect_usage=False)
    tag = f'gpu_type:{gpu_type}'
    found = figures(run, f'gpu.allocatable|{tag}', f'gpu.requested|{tag}', f'gpu.pending|{tag}')
    assert list(found.values()) == [8, 2, 8]
    assert len(run.series('metta.kubernetes.gpu.allocatable')) == 1
    world.assert_verified(run)


@case('A', 'https://kubernetes.io/docs/reference/labels-annotations-taints/#nodekubernetesioinstance-type')
def test_two_generations_in_one_cluster(world):
    """Two generations in one cluster.

    A node of type trn1.32xlarge has 16 Neuron devices, and one of type trn2.48xlarge has 16. A pod that selects no
    type waits for 16.

    Right: `gpu.free` is 16 for `trainium` and 16 for `trainium2`. The pod is in `gpu.pending` with `aws-neuron`: it
    takes whichever comes first.

    Unchanged: The sum of `gpu.allocatable` is 32.
    """
    for name, machine in (('n1', 'trn1.32xlarge'), ('n2', 'trn2.48xlarge')):
        labels = {'node.kubernetes.io/instance-type': machine}
        world.node(name, allocatable={'aws.amazon.com/neuron': '16'}, labels=labels)
    unschedulable = {'phase': 'Pending', 'conditions': [UNSCHEDULABLE]}
    world.pod('waits', {'aws.amazon.com/neuron': '16'}, node='', status=unschedulable)
    run = world.run(collect_usage=False)
    names = ('gpu.free|gpu_type:trainium', 'gpu.free|gpu_type:trainium2', 'gpu.pending|gpu_type:aws-neuron')
    assert list(figures(run, *names).values()) == [16, 16, 16]
    assert sum(run.series('metta.kubernetes.gpu.allocatable').values()) == 32
    world.assert_verified(run)


@case('A', 'https://kubernetes.io/docs/reference/labels-annotations-taints/#nodekubernetesioinstance-type')
def test_the_option_names_the_type(world):
    """The option names the type.

    `accelerator_types` names the Neuron devices of a node of type trn1.32xlarge `our-trainium`.

    Right: `gpu_type` is the name in the option: what the user says is not replaced by what a label says.

    Unchanged: `gpu.allocatable` is 16.
    """
    labels = {'node.kubernetes.io/instance-type': 'trn1.32xlarge'}
    world.node('n1', allocatable={'aws.amazon.com/neuron': '16'}, labels=labels)
    run = world.run(collect_usage=False, accelerator_types={'aws.amazon.com/neuron': 'our-trainium'})
    assert figures(run, 'gpu.allocatable|gpu_type:our-trainium') == {'gpu.allocatable|gpu_type:our-trainium': 16}
    world.assert_verified(run)


@case('J', 'https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-operator-kubevirt.html')
def test_devices_that_are_not_counted_are_told(world):
    """A resource that is not counted.

    A node offers two GPUs to virtual machines, as `nvidia.com/GA102GL_A10`.

    Right: A warning names the resource and the option `accelerator_types`. With the option, `gpu.allocatable` is 2
    with the type that it gives.

    Unchanged: Resources of other vendors, such as network interfaces, are not named.
    """
    world.node('n1', allocatable={'nvidia.com/GA102GL_A10': '2', 'vpc.amazonaws.com/pod-eni': '9'})
    told = world.run(collect_usage=False)
    assert told.status == AgentCheck.WARNING
    assert 'not counted as accelerators: nvidia.com/GA102GL_A10; set `accelerator_types`' in told.message


@case('J', 'https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-operator-kubevirt.html')
def test_devices_that_an_option_counts(world):
    """A resource that an option counts.

    A node offers two GPUs to virtual machines, as `nvidia.com/GA102GL_A10`, which `accelerator_types` names `a10`.

    Right: `gpu.allocatable` is 2 with `gpu_type:a10`.

    Unchanged: There is no warning.
    """
    world.node('n1', allocatable={'nvidia.com/GA102GL_A10': '2'})
    run = world.run(collect_usage=False, accelerator_types={'nvidia.com/GA102GL_A10': 'a10'})
    assert figures(run, 'gpu.allocatable|gpu_type:a10') == {'gpu.allocatable|gpu_type:a10': 2}
    assert run.warnings == []


def dra(world, *, product='NVIDIA H100 80GB HBM3'):
    """Add a node with four devices, of which a pod has been allocated two; a second pod shares one of them."""
    world.node('n1')
    devices = [{'name': f'gpu-{index}', 'attributes': {'productName': {'string': product}}} for index in range(4)]
    for generation, some in ((1, devices[:3]), (2, devices)):
        spec = {'driver': 'gpu.nvidia.com', 'nodeName': 'n1', 'pool': {'name': 'n1', 'generation': generation}}
        metadata = {'name': f'slice-{generation}', 'uid': f'slice-{generation}'}
        world.objects.resourceslices.append({'metadata': metadata, 'spec': {**spec, 'devices': some}})
    for name, numbers in (('train', (0, 1)), ('look', (1,))):
        results = [{'driver': 'gpu.nvidia.com', 'pool': 'n1', 'device': f'gpu-{number}'} for number in numbers]
        status = {
            'allocation': {'devices': {'results': results}},
            'reservedFor': [{'resource': 'pods', 'name': name, 'uid': f'uid-{name}'}],
        }
        metadata = {'name': name, 'namespace': 'team-a', 'uid': 'z' if name == 'look' else 'a'}
        world.objects.resourceclaims.append({'metadata': metadata, 'status': status})
        world.pod(name, spec={'resourceClaims': [{'name': 'gpu', 'resourceClaimName': name}]})


@case('C', 'https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/')
def test_devices_that_pods_claim(world):
    """Devices that pods claim.

    A driver offers four H100 on a node, in the newest of two generations of its slices. The claim of one pod has been
    allocated two of them; the claim of another pod shares one of these. The option `resource_claims` is on.

    Right: `gpu.allocatable` is 4, `gpu.requested` is 2 and `gpu.free` 2, with `gpu_type:h100`: each device counts
    once. `namespace.gpu_requested` is 2.

    Unchanged: There is no warning.
    """
    dra(world)
    run = world.run(collect_usage=False, resource_claims=True)
    tag = 'gpu_type:h100'
    found = figures(run, f'gpu.allocatable|{tag}', f'gpu.requested|{tag}', f'gpu.free|{tag}', 'namespace.gpu_requested')
    assert list(found.values()) == [4, 2, 2, 2]
    assert run.warnings == []


@case('J', 'https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/')
@pytest.mark.parametrize('reads', [False, True])
def test_claims_that_are_not_counted_are_told(world, reads):
    """Claims that are not counted.

    Two pods claim devices. The option `resource_claims` is off, or the credentials may not list the claims.

    Right: No GPU is counted, and a warning tells that and how to change it.

    Unchanged: `pods.running` is 2, and `resources.cpu_allocatable_cores` is 16.
    """
    dra(world)
    world.service.forbidden = {'resourceclaims'}
    run = world.run(collect_usage=False, resource_claims=reads)
    found = figures(run, 'gpu.allocatable', 'pods.running', 'resources.cpu_allocatable_cores')
    assert list(found.values()) == [None, 2, 16]
    assert run.status == AgentCheck.WARNING
    assert ('resources: ["resourceclaims"]' if reads else 'set `resource_claims: true`') in run.message
