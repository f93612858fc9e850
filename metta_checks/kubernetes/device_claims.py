"""Devices of dynamic resource allocation: what drivers offer on nodes, and what pods have been allocated.

A driver publishes its devices in ResourceSlices. The scheduler writes the devices that it allocates into the
ResourceClaim of a pod. A device is held as long as a claim contains its allocation, whether or not a slice still
contains the device. See Kubernetes' documentation of dynamic resource allocation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .accelerator_types import AcceleratorTypes


class DeviceKey(NamedTuple):
    """The identity of a device."""

    driver: str
    pool: str
    name: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a driver offers.

    Attributes:
        node: name of its node
        gpu_type: type of the accelerator
    """

    node: str
    gpu_type: str


@dataclass(frozen=True, slots=True)
class HeldDevice:
    """A device that claims hold.

    Attributes:
        driver: its driver
        node: name of its node; empty when no slice contains the device any more
        gpu_type: type of the accelerator
        namespace: the namespace of the claim; of several claims, the first one by name
        pods: the uids of the pods that may use it; empty while the claims are kept for no pod
    """

    driver: str
    node: str
    gpu_type: str
    namespace: str
    pods: frozenset[str]


@dataclass(frozen=True, slots=True)
class DeviceClaims:
    """The devices of a cluster.

    Attributes:
        offered: number of devices by node and type
        held: the devices that were allocated to claims, each once
        unknown_drivers: drivers of which the devices are not known to be accelerators
    """

    offered: Mapping[tuple[str, str], int]
    held: tuple[HeldDevice, ...]
    unknown_drivers: frozenset[str]

    @classmethod
    def of(
        cls, slices: Iterable[Mapping[str, Any]], claims: Iterable[Mapping[str, Any]], types: AcceleratorTypes
    ) -> DeviceClaims:
        """Return the devices in the two lists."""
        newest = _newest(slices)
        devices = {
            DeviceKey(spec['driver'], spec['pool']['name'], entry['name']): _device(spec, entry, types)
            for spec in newest
            for entry in spec.get('devices') or ()
        }
        known = {key: device for key, device in devices.items() if device is not None}
        offered = Counter((device.node, device.gpu_type) for device in known.values())
        unknown = {key.driver for key, device in devices.items() if device is None}
        return cls(offered, tuple(_held(claims, known, types)), frozenset(unknown))


def _newest(slices: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the specifications of slices on nodes, of the newest generation of each pool; older ones are obsolete."""
    specs = [item['spec'] for item in slices if item['spec'].get('nodeName')]
    generations: dict[tuple[str, str], int] = {}
    for spec in specs:
        key = spec['driver'], spec['pool']['name']
        generations[key] = max(generations.get(key, 0), spec['pool'].get('generation') or 0)
    return [
        spec
        for spec in specs
        if (spec['pool'].get('generation') or 0) == generations[spec['driver'], spec['pool']['name']]
    ]


def _device(spec: Mapping[str, Any], entry: Mapping[str, Any], types: AcceleratorTypes) -> Device | None:
    texts = {name: text for name, one in (entry.get('attributes') or {}).items() if (text := (one or {}).get('string'))}
    gpu_type = types.of_device(spec['driver'], texts)
    return None if gpu_type is None else Device(spec['nodeName'], gpu_type)


def _held(
    claims: Iterable[Mapping[str, Any]], known: Mapping[DeviceKey, Device], types: AcceleratorTypes
) -> Iterator[HeldDevice]:
    """Yield the devices that claims hold. One that is offered no longer has the type of its driver."""
    namespaces: dict[DeviceKey, str] = {}
    pods: defaultdict[DeviceKey, set[str]] = defaultdict(set)
    for claim in claims:
        status = claim.get('status') or {}
        users = {one['uid'] for one in status.get('reservedFor') or () if one.get('resource') == 'pods'}
        for result in ((status.get('allocation') or {}).get('devices') or {}).get('results') or ():
            # Access for administration takes a device from nobody.
            if not result.get('adminAccess'):
                key = DeviceKey(result['driver'], result['pool'], result['device'])
                namespace = claim['metadata']['namespace']
                namespaces[key] = min(namespace, namespaces.get(key, namespace))
                pods[key] |= users
    for key, namespace in namespaces.items():
        gpu_type = types.of_driver(key.driver)
        device = known.get(key) or (Device('', gpu_type) if gpu_type else None)
        if device is not None:
            yield HeldDevice(key.driver, device.node, device.gpu_type, namespace, frozenset(pods[key]))
