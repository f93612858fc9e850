"""Devices of dynamic resource allocation: those that drivers offer on nodes, and those that pods were given.

https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubernetes import client

from ...core.accelerators import accelerator_type
from .accelerators import NEURON, of_machine
from .reading import Cluster, Pod, given

DRIVERS = {
    'gpu.nvidia.com': 'nvidia-gpu',
    'gpu.amd.com': 'amd-gpu',
    'gpu.intel.com': 'intel-gpu',
    'gaudi.intel.com': 'habana-gaudi',
    'neuron.aws.com': 'aws-neuron',
    'tpu.google.com': 'google-tpu',
}
# Driver, pool and name of a device.
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Device:
    """A device: its type and the node that has it."""

    gpu_type: str
    node: str


def offered(cluster: Cluster, types: Mapping[str, str]) -> dict[Key, Device]:
    """Return the accelerators that drivers offer on single nodes, in the newest generation of each pool."""
    newest: dict[tuple[str, str], int] = {}
    for one in cluster.slices:
        pool = (one.spec.driver, one.spec.pool.name)
        newest[pool] = max(newest.get(pool, 0), one.spec.pool.generation)
    found = {}
    for one in cluster.slices:
        driver, pool_name = one.spec.driver, one.spec.pool.name
        is_newest = one.spec.pool.generation == newest[driver, pool_name]
        if one.spec.node_name and is_newest and (driver in types or driver in DRIVERS):
            for device in one.spec.devices or ():
                found[driver, pool_name, device.name] = Device(_type(driver, device, types), one.spec.node_name)
    return found


def held(cluster: Cluster) -> Iterator[tuple[Key, str, list[Pod]]]:
    """Yield the devices that claims keep, each once, with a namespace and the pods on a node that may use it.

    The allocation is in the claim, whatever the slices say:
    https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4381-dra-structured-parameters
    """
    holders = {pod.uid: pod for pod in cluster.pods if pod.holds}
    shared: dict[Key, tuple[list[str], list[Pod]]] = {}
    for claim in cluster.claims:
        status = claim.status
        if status is None or status.allocation is None:
            continue
        pods = [holders[user.uid] for user in status.reserved_for or () if user.uid in holders]
        devices = status.allocation.devices
        for result in (devices and devices.results) or ():
            # Access for administration (monitoring) takes the device from nobody.
            if not result.admin_access:
                namespaces, users = shared.setdefault((result.driver, result.pool, result.device), ([], []))
                namespaces.append(given(given(claim.metadata).namespace))
                users += pods
    for key, (namespaces, users) in shared.items():
        yield key, min(namespaces), users


def claimed_resources(pod: Pod) -> set[str]:
    """Return the extended resources of a pod for which the scheduler made a claim. Old clients do not have the field.

    https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#extended-resource
    """
    status = getattr(pod.status, 'extended_resource_claim_status', None)
    return {mapping.resource_name for mapping in (status and status.request_mappings) or ()}


def withdrawn(key: Key, pods: list[Pod], types: Mapping[str, str]) -> Device | None:
    """Return a device that its driver offers no longer; None if it is not an accelerator."""
    gpu_type = types.get(key[0]) or DRIVERS.get(key[0])
    return Device(gpu_type, (pods[0].spec.node_name or '') if pods else '') if gpu_type else None


def _type(driver: str, device: client.V1Device, types: Mapping[str, str]) -> str:
    attributes = {name.rpartition('/')[2]: given(one).string for name, one in (device.attributes or {}).items()}
    if driver in types:
        return types[driver]
    if profile := attributes.get('profile'):
        return f'nvidia-mig-{profile}'
    product = {
        'neuron.aws.com': of_machine(attributes.get('instanceType') or '', NEURON[0]),
        'gaudi.intel.com': attributes.get('model'),
    }.get(driver, attributes.get('productName'))
    return accelerator_type(product) if product else DRIVERS[driver]
