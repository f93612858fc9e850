"""Devices of dynamic resource allocation: what drivers offer on nodes, and what pods have been allocated.

A driver publishes its devices in ResourceSlices. The scheduler writes the devices that it allocates into the
ResourceClaim of a pod. See Kubernetes' documentation of dynamic resource allocation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.accelerators import UNKNOWN_GPU, gpu_of_product, gpu_of_resource
from .accelerator_types import MIG_RESOURCE, AcceleratorTypes


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
class DeviceClaims:
    """The devices of a cluster.

    Attributes:
        offered: number of devices by node and type
        allocated: number of devices by uid of the pod and by type; a device that pods share counts for one of them
        unknown_drivers: drivers of which the devices are not known to be accelerators
    """

    offered: Mapping[tuple[str, str], int]
    allocated: Mapping[str, Mapping[str, int]]
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
        return cls(offered, _allocated(claims, known), frozenset(unknown))


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
    by_driver = types.of_driver(spec['driver'])
    if by_driver is None:
        return None
    attributes = entry.get('attributes') or {}
    if profile := _text(attributes, 'profile'):
        return Device(spec['nodeName'], gpu_of_resource(f'{MIG_RESOURCE}{profile}'))
    model = gpu_of_product(_text(attributes, 'productName'))
    return Device(spec['nodeName'], by_driver if model == UNKNOWN_GPU else model)


def _text(attributes: Mapping[str, Any], name: str) -> str:
    return (attributes.get(name) or {}).get('string') or ''


def _allocated(
    claims: Iterable[Mapping[str, Any]], devices: Mapping[DeviceKey, Device]
) -> dict[str, Mapping[str, int]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seen: set[DeviceKey] = set()
    for claim in sorted(claims, key=lambda item: str(item['metadata']['uid'])):
        status = claim.get('status') or {}
        pods = sorted(one['uid'] for one in status.get('reservedFor') or () if one.get('resource') == 'pods')
        results = ((status.get('allocation') or {}).get('devices') or {}).get('results') or ()
        for result in results if pods else ():
            key = DeviceKey(result['driver'], result['pool'], result['device'])
            # Access for administration takes a device from nobody.
            if key in devices and key not in seen and not result.get('adminAccess'):
                seen.add(key)
                found[pods[0]][devices[key].gpu_type] += 1
    return dict(found)
