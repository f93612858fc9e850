"""The SDK's description of EC2, cut down to what is read.

The SDK parses an answer by going through every member that the description knows, reads times with a parser for any
format, and keeps the whole description, 700 operations, in memory. With the rest left out and times left as text
(records.py reads them), large answers cost a fifth of the CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.loaders import Loader

OPERATIONS = (
    'DescribeAddresses',
    'DescribeInstanceTypes',
    'DescribeInstances',
    'DescribeRegions',
    'DescribeSnapshots',
    'DescribeSpotPriceHistory',
    'DescribeVolumes',
)
# What records.py reads of the shapes that come in thousands.
MEMBERS = {
    'Reservation': ('Instances',),
    'Instance': (
        'CpuOptions',
        'InstanceId',
        'InstanceLifecycle',
        'InstanceType',
        'LaunchTime',
        'NetworkInterfaces',
        'Placement',
        'Platform',
        'PlatformDetails',
        'State',
        'StateTransitionReason',
        'Tags',
        'UsageOperation',
    ),
    'InstanceState': ('Name',),
    'Placement': ('AvailabilityZone', 'Tenancy'),
    'CpuOptions': ('CoreCount', 'ThreadsPerCore'),
    'InstanceNetworkInterface': ('Attachment',),
    'InstanceNetworkInterfaceAttachment': ('AttachTime', 'DeviceIndex'),
    'InstanceTypeInfo': ('InstanceType', 'VCpuInfo', 'GpuInfo', 'NeuronInfo'),
    'VCpuInfo': ('DefaultVCpus',),
    'Volume': ('Attachments', 'CreateTime', 'Iops', 'Size', 'State', 'Throughput', 'VolumeId', 'VolumeType'),
    'VolumeAttachment': ('InstanceId',),
    'Snapshot': ('FullSnapshotSizeInBytes', 'StartTime', 'State', 'VolumeId', 'VolumeSize'),
}


class ReducedLoader(Loader):
    """Loads the SDK's descriptions; that of EC2 reduced."""

    def __init__(self, loader: Loader) -> None:
        super().__init__(extra_search_paths=loader.search_paths)
        self._reduced: dict[str, Any] | None = None

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Mapping[str, Any]:
        """As the SDK's own loader."""
        if (service_name, type_name) != ('ec2', 'service-2'):
            return super().load_service_model(service_name, type_name, api_version)
        if self._reduced is None:
            # From a loader of its own, which goes with the whole description in its cache.
            whole = Loader(extra_search_paths=self.search_paths).load_service_model(
                service_name, type_name, api_version
            )
            self._reduced = reduced(whole)
        return self._reduced


def reduced(whole: Mapping[str, Any]) -> dict[str, Any]:
    """A description with only OPERATIONS, only MEMBERS of the shapes named there, and the shapes these need; times are
    strings."""
    operations = {name: whole['operations'][name] for name in OPERATIONS}
    shapes: dict[str, Any] = {}
    waiting = [name for operation in operations.values() for name in _references(operation)]
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = _cut(whole['shapes'][name], MEMBERS.get(name))
            waiting += _references(shapes[name])
    return {**whole, 'operations': operations, 'shapes': shapes}


def _cut(shape: Mapping[str, Any], names: tuple[str, ...] | None) -> Mapping[str, Any]:
    if shape['type'] == 'timestamp':
        return {'type': 'string'}
    if names is None:
        return shape
    return {**shape, 'members': {name: member for name, member in shape['members'].items() if name in names}}


def _references(part: Any) -> Iterator[str]:
    """Names of the shapes that a part of a description refers to."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == 'shape' and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
