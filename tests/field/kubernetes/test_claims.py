"""Devices of dynamic resource allocation: who holds them, for how long, and beside which requests."""

from __future__ import annotations

import pytest

from ..case import case
from .world import figures

DRIVER = 'gpu.nvidia.com'
H100 = 'NVIDIA H100 80GB HBM3'


@case('A', 'https://awsdocs-neuron.readthedocs-hosted.com/en/latest/containers/neuron-dra.html')
@pytest.mark.parametrize(
    ('driver', 'attribute', 'value', 'gpu_type'),
    [
        ('neuron.aws.com', 'instanceType', 'trn2.48xlarge', 'trainium2'),
        ('gaudi.intel.com', 'model', 'Gaudi3', 'gaudi3'),
        ('gpu.intel.com', 'model', '0x56c0', 'intel-gpu'),
    ],
)
def test_the_generation_in_the_attributes_of_a_device(world, driver, attribute, value, gpu_type):
    """The generation in the attributes of a device.

    The driver of AWS tells the instance type of each device that it offers, the one of Intel Gaudi the model. The one
    of Intel's GPUs has numbers of PCI devices there.

    Right: `gpu_type` is the generation, and the type of the driver where the attribute has no name.

    Unchanged: `gpu.allocatable` is 2.
    """
    world.node('n1')
    devices = [{'name': f'd{number}', 'attributes': {attribute: {'string': value}}} for number in range(2)]
    pool = {'name': 'n1', 'generation': 1, 'resourceSliceCount': 1}
    spec = {'driver': driver, 'nodeName': 'n1', 'pool': pool, 'devices': devices}
    world.objects.resourceslices.append({'metadata': {'name': 's', 'uid': 's'}, 'spec': spec})
    found = run(world)
    assert found.value('metta.kubernetes.gpu.allocatable', f'gpu_type:{gpu_type}') == 2
    world.assert_verified(found)


def offer(world, *numbers, generation=1):
    """Add a node whose driver offers these devices."""
    if not world.objects.nodes:
        world.node('n1')
    devices = [{'name': f'gpu-{number}', 'attributes': {'productName': {'string': H100}}} for number in numbers]
    pool = {'name': 'n1', 'generation': generation, 'resourceSliceCount': 1}
    metadata = {'name': f'slice-{generation}', 'uid': f'slice-{generation}'}
    spec = {'driver': DRIVER, 'nodeName': 'n1', 'pool': pool, 'devices': devices}
    world.objects.resourceslices.append({'metadata': metadata, 'spec': spec})


def claim(world, name, numbers, *pods, namespace='team-a'):
    """Add a claim that was allocated devices and is reserved for pods."""
    results = [{'request': 'gpu', 'driver': DRIVER, 'pool': 'n1', 'device': f'gpu-{number}'} for number in numbers]
    status = {
        'allocation': {'devices': {'results': results}},
        'reservedFor': [{'resource': 'pods', 'name': pod, 'uid': f'uid-{pod}'} for pod in pods],
    }
    metadata = {'name': name, 'namespace': namespace, 'uid': f'uid-{name}'}
    world.objects.resourceclaims.append({'metadata': metadata, 'spec': {}, 'status': status})


def claiming(world, name, claim_name, **parts):
    """Add a pod that uses a claim."""
    return world.pod(name, spec={'resourceClaims': [{'name': 'gpu', 'resourceClaimName': claim_name}]}, **parts)


def run(world, **options):
    return world.run(collect_usage=False, resource_claims=True, **options)


@case('F', 'https://github.com/kubernetes-sigs/dranet/issues/99')
def test_a_device_that_left_the_slices(world):
    """A device that is offered no longer.

    A driver lists only devices that are not in use, so the newest generation of its slices has two of four. A pod
    holds the other two: they are in the allocation of its claim.

    Right: `gpu.requested` and `namespace.gpu_requested` are 2. The type is that of the driver, `nvidia-gpu`, since no
    slice tells the model any more.

    Unchanged: `gpu.allocatable` and `gpu.free` of the H100 that are offered are 2.
    """
    offer(world, 0, 1, 2, 3)
    offer(world, 2, 3, generation=2)
    claiming(world, 'train', 'gpus')
    claim(world, 'gpus', (0, 1), 'train')
    found = figures(
        run(world),
        'gpu.requested|gpu_type:nvidia-gpu', 'namespace.gpu_requested',
        'gpu.allocatable|gpu_type:h100', 'gpu.free|gpu_type:h100',
    )  # fmt: skip
    assert list(found.values()) == [2, 2, 2, 2]


@case('F', 'https://github.com/kubernetes/kubernetes/issues/118613')
@pytest.mark.parametrize('state', ['failed', 'unlisted', 'nobody'])
def test_a_claim_that_keeps_its_devices(world, state):
    """A claim that keeps its devices.

    A claim was allocated 2 of 4 devices. The pod that it was reserved for has failed, was deleted, or the claim is
    reserved for nobody any more; it has not been deallocated.

    Right: `gpu.requested` and `namespace.gpu_requested` are 2, and `gpu.free` is 2: the scheduler gives an allocated
    device to no other claim. In `workload.gpu_requested`, they are in `owner_name:other`.

    Unchanged: `gpu.allocatable` is 4.
    """
    offer(world, 0, 1, 2, 3)
    owner = {'kind': 'Job', 'name': 'train', 'controller': True}
    if state == 'failed':
        claiming(world, 'train', 'gpus', status={'phase': 'Failed'}, metadata={'ownerReferences': [owner]})
    claim(world, 'gpus', (0, 1), *(() if state == 'nobody' else ('train',)))
    found = figures(
        run(world, per_workload=5),
        'gpu.requested', 'namespace.gpu_requested', 'gpu.free', 'workload.gpu_requested|owner_name:other',
        'gpu.allocatable',
    )  # fmt: skip
    assert list(found.values()) == [2, 2, 2, 2, 4]


@case('F', 'https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/')
@pytest.mark.parametrize(('older', 'newer'), [('z', 'a'), ('a', 'z')])
def test_a_device_that_pods_of_two_controllers_share(world, older, newer):
    """A device that pods of two controllers share.

    A Job and a StatefulSet share a claim with one device. The pod of the Job is older. A third pod of the claim, the
    oldest one, is being deleted.

    Right: The device counts once, for the oldest pod that is not being deleted: `workload.gpu_requested` of the Job is
    1. `gpu.terminating` is 0, since the device does not become free.

    Unchanged: `gpu.requested` is 1.
    """
    offer(world, 0)
    for name, kind, hours in ((older, 'Job', 2), (newer, 'StatefulSet', 1), ('m', 'ReplicaSet', 3)):
        metadata = {
            'creationTimestamp': world.ago(hours=hours),
            'ownerReferences': [{'kind': kind, 'name': kind.lower(), 'controller': True}],
            **({'deletionTimestamp': world.ago(minutes=-5)} if name == 'm' else {}),
        }
        claiming(world, name, 'shared', metadata=metadata)
    claim(world, 'shared', (0,), newer, older, 'm')
    found = figures(
        run(world, per_workload=5), 'workload.gpu_requested|owner_kind:job', 'gpu.terminating', 'gpu.requested'
    )
    assert list(found.values()) == [1, 0, 1]
    assert len(run(world, per_workload=5).series('metta.kubernetes.workload.gpu_requested')) == 1


@case('F', 'https://github.com/kubernetes/enhancements/issues/5004')
def test_a_claim_for_one_of_two_extended_resources(world):
    """A claim for one of two extended resources.

    A pod requests 2 of `nvidia.com/gpu` and 4 of `habana.ai/gaudi`. The scheduler has served the first one by a claim
    (`status.extendedResourceClaimStatus.requestMappings`), and a device plugin serves the second one.

    Right: `gpu.requested` is 2 for `h100`, the devices of the claim, and 4 for `habana-gaudi`.

    Unchanged: `gpu.allocatable` is 2 and 8.
    """
    world.node('n1', allocatable={'habana.ai/gaudi': '8'})
    offer(world, 0, 1)
    mapping = {'containerName': 'main', 'resourceName': 'nvidia.com/gpu', 'requestName': 'container-0-request-0'}
    world.pod(
        'mixed',
        {'nvidia.com/gpu': '2', 'habana.ai/gaudi': '4'},
        status={'extendedResourceClaimStatus': {'resourceClaimName': 'made', 'requestMappings': [mapping]}},
    )
    claim(world, 'made', (0, 1), 'mixed')
    tags = ('gpu_type:h100', 'gpu_type:habana-gaudi')
    found = figures(run(world), *(f'gpu.{name}|{tag}' for name in ('requested', 'allocatable') for tag in tags))
    assert list(found.values()) == [2, 4, 2, 8]


@case('F', 'https://github.com/kubernetes-sigs/dra-driver-cpu/pull/202')
def test_a_claim_beside_a_request_of_a_device_plugin(world):
    """A claim beside a request that it does not serve.

    A pod has a claim with one device for extended resources, which serves none of its GPU requests: it requests 3 of
    `nvidia.com/gpu` of a device plugin, and the mapping names another resource.

    Right: `gpu.requested` is 1 + 3.

    Unchanged: `pods.running` is 1.
    """
    world.node('n1', labels={'nvidia.com/gpu.product': H100}, allocatable={'nvidia.com/gpu': '8'})
    offer(world, 0)
    mapping = {'containerName': 'main', 'resourceName': 'example.com/npu', 'requestName': 'container-0-request-0'}
    world.pod(
        'mixed',
        {'nvidia.com/gpu': '3', 'example.com/npu': '1'},
        status={'extendedResourceClaimStatus': {'resourceClaimName': 'made', 'requestMappings': [mapping]}},
    )
    claim(world, 'made', (0,), 'mixed')
    assert list(figures(run(world), 'gpu.requested|gpu_type:h100', 'pods.running').values()) == [4, 1]


@case('E', 'https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/', guard=True)
def test_claims_of_namespaces_that_are_left_out(world):
    """Claims of a namespace that is left out.

    Two pods have claims with one device each. The option `namespaces` leaves out the namespace of the second one.

    Right: `gpu.requested` is 1, as with requests of pods.

    Unchanged: `gpu.allocatable` is 2.
    """
    offer(world, 0, 1)
    for number, namespace in enumerate(('team-a', 'hidden')):
        claiming(world, f'pod-{number}', 'gpus', namespace=namespace)
        claim(world, f'gpus-{number}', (number,), f'pod-{number}', namespace=namespace)
    found = figures(run(world, namespaces={'exclude': ['hid*']}), 'gpu.requested', 'gpu.allocatable')
    assert list(found.values()) == [1, 2]
