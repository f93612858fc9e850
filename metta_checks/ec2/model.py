"""The SDK's descriptions of EC2 and CloudWatch, cut down to what is read.

The SDK parses an answer by going through every member that the description knows, reads times with a parser for any
format, and keeps the whole description, 700 operations, in memory. With the rest left out and times left as text
(records.py reads them), large answers cost a fifth of the CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.session import Session


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a service: operations, and the members of those shapes that come in thousands."""

    operations: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]]
    # Times are left as text, in answers and parameters.
    text_times: bool


EC2_OPERATIONS = (
    'DescribeAddresses',
    'DescribeInstanceTypes',
    'DescribeInstances',
    'DescribeRegions',
    'DescribeSnapshots',
    'DescribeSpotPriceHistory',
    'DescribeVolumes',
)
EC2_MEMBERS = {
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
READINGS = {
    'ec2': Reading(EC2_OPERATIONS, EC2_MEMBERS, text_times=True),
    # Without the times of the values: parsing them takes longer than all the rest.
    'cloudwatch': Reading(('GetMetricData',), {'MetricDataResult': ('Id', 'StatusCode', 'Values')}, text_times=False),
}

# What the SDK of Agent 7.72 does not know yet and would drop from answers: parts of a GPU (g6f, gr6f).
LATER_MEMBERS = {
    'GpuDeviceInfo': {
        'LogicalGpuCount': {'shape': 'LogicalGpuCount', 'locationName': 'logicalGpuCount'},
        'GpuPartitionSize': {'shape': 'GpuPartitionSize', 'locationName': 'gpuPartitionSize'},
    },
}
LATER_SHAPES = {'LogicalGpuCount': {'type': 'integer'}, 'GpuPartitionSize': {'type': 'double'}}


class ReducedLoader(Loader):
    """Loads the SDK's descriptions; those of READINGS reduced."""

    def __init__(self, loader: Loader) -> None:
        super().__init__(extra_search_paths=loader.search_paths)
        self._reduced: dict[str, dict[str, Any]] = {}

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Mapping[str, Any]:
        """As the SDK's own loader."""
        if service_name not in READINGS or type_name != 'service-2':
            whole: Mapping[str, Any] = super().load_service_model(service_name, type_name, api_version)
            return whole
        if service_name not in self._reduced:
            # From a loader of its own, which goes with the whole description in its cache.
            whole = Loader(extra_search_paths=self.search_paths).load_service_model(
                service_name, type_name, api_version
            )
            self._reduced[service_name] = reduced(whole, READINGS[service_name])
        return self._reduced[service_name]


@cache
def loader() -> ReducedLoader:
    """The one of this process: the instances of an Agent share what is read once."""
    return ReducedLoader(Session().get_component('data_loader'))


def reduced(whole: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """A description with only the operations and members that are read, and the shapes these need."""
    operations = {name: whole['operations'][name] for name in reading.operations}
    shapes: dict[str, Any] = {}
    waiting = [name for operation in operations.values() for name in _references(operation)]
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            known = whole['shapes'][name] if name in whole['shapes'] else LATER_SHAPES[name]
            shapes[name] = _cut(name, known, reading)
            waiting += _references(shapes[name])
    return {**whole, 'operations': operations, 'shapes': shapes}


def _cut(name: str, shape: Mapping[str, Any], reading: Reading) -> Mapping[str, Any]:
    if shape['type'] == 'timestamp' and reading.text_times:
        return {'type': 'string'}
    if name in LATER_MEMBERS:
        return {**shape, 'members': {**LATER_MEMBERS[name], **shape['members']}}
    if name not in reading.members:
        return shape
    kept = reading.members[name]
    return {**shape, 'members': {name: member for name, member in shape['members'].items() if name in kept}}


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
