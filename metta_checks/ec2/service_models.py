"""The SDK's models of EC2 and CloudWatch, reduced to the operations and fields that the check reads.

The SDK parses an answer by going through every member that the model of the service has, reads times with a parser for
any format, and keeps the whole model of EC2, 700 operations, in memory. With a reduced model, and times as text that
records.py reads, large answers cost a fifth of the CPU time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.session import Session


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a service model that the check needs.

    Attributes:
        operations: the operations
        members: the members of those shapes that occur thousands of times, by shape; other shapes keep all members
        text_times: whether times are text, in answers and parameters
    """

    operations: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]]
    text_times: bool


EC2_OPERATIONS = (
    'DescribeAddresses',
    'DescribeAvailabilityZones',
    'DescribeCapacityReservations',
    'DescribeImages',
    'DescribeInstanceTypes',
    'DescribeInstances',
    'DescribeRegions',
    'DescribeSnapshots',
    'DescribeSpotInstanceRequests',
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
        'OutpostArn',
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
    'InstanceTypeInfo': (
        'FpgaInfo',
        'GpuInfo',
        'InferenceAcceleratorInfo',
        'InstanceType',
        'MediaAcceleratorInfo',
        'NeuronInfo',
        'VCpuInfo',
    ),
    'VCpuInfo': ('DefaultVCpus',),
    'Volume': (
        'Attachments',
        'AvailabilityZone',
        'CreateTime',
        'Iops',
        'OutpostArn',
        'Size',
        'State',
        'Tags',
        'Throughput',
        'VolumeId',
        'VolumeType',
    ),
    'VolumeAttachment': ('InstanceId',),
    'Snapshot': (
        'AvailabilityZone',
        'FullSnapshotSizeInBytes',
        'OutpostArn',
        'RestoreExpiryTime',
        'SnapshotId',
        'StartTime',
        'State',
        'StorageTier',
        'VolumeId',
        'VolumeSize',
    ),
    'Image': ('BlockDeviceMappings', 'State'),
    'BlockDeviceMapping': ('Ebs',),
    'EbsBlockDevice': ('SnapshotId',),
    'CapacityReservation': (
        'AvailableInstanceCount',
        'CapacityReservationId',
        'InstanceType',
        'TotalInstanceCount',
    ),
    'SpotInstanceRequest': ('LaunchSpecification', 'SpotInstanceRequestId', 'Status'),
    'LaunchSpecification': ('InstanceType',),
}
SELECTIONS = {
    'ec2': Selection(EC2_OPERATIONS, EC2_MEMBERS, text_times=True),
    # Timestamps are left out: parsing them would take longer than everything else.
    'cloudwatch': Selection(
        ('GetMetricData',), {'MetricDataResult': ('Id', 'Messages', 'StatusCode', 'Values')}, text_times=False
    ),
}

# Members that the SDK of Agent 7.72 does not know yet and would leave out of answers: parts of a GPU (g6f, gr6f).
ADDED_MEMBERS = {
    'GpuDeviceInfo': {
        'LogicalGpuCount': {'shape': 'LogicalGpuCount', 'locationName': 'logicalGpuCount'},
        'GpuPartitionSize': {'shape': 'GpuPartitionSize', 'locationName': 'gpuPartitionSize'},
    },
}
ADDED_SHAPES = {'LogicalGpuCount': {'type': 'integer'}, 'GpuPartitionSize': {'type': 'double'}}


class ReducingLoader(Loader):
    """Loads the SDK's service models, and reduces those in SELECTIONS."""

    def __init__(self, loader: Loader) -> None:
        super().__init__(extra_search_paths=loader.search_paths)
        self._reduced: dict[str, dict[str, Any]] = {}

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Mapping[str, Any]:
        """Return a service model, with the parameters of the SDK's own loader."""
        if service_name not in SELECTIONS or type_name != 'service-2':
            whole: Mapping[str, Any] = super().load_service_model(service_name, type_name, api_version)
            return whole
        if service_name not in self._reduced:
            # A loader keeps what it has loaded. This one is dropped, and with it the whole model.
            whole = Loader(extra_search_paths=self.search_paths).load_service_model(
                service_name, type_name, api_version
            )
            self._reduced[service_name] = reduced(whole, SELECTIONS[service_name])
        return self._reduced[service_name]


@cache
def loader() -> ReducingLoader:
    """Return the loader of this process. All instances of an Agent share the models that it has loaded."""
    return ReducingLoader(Session().get_component('data_loader'))


def reduced(whole: Mapping[str, Any], selection: Selection) -> dict[str, Any]:
    """Return a service model with the selected operations and members, and the shapes that these refer to."""
    operations = {name: whole['operations'][name] for name in selection.operations}
    known = {**ADDED_SHAPES, **whole['shapes']}
    shapes: dict[str, Any] = {}
    waiting = list(_references(list(operations.values())))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = _reduced_shape(name, known[name], selection)
            waiting += _references(shapes[name])
    return {**whole, 'operations': operations, 'shapes': shapes}


def _reduced_shape(name: str, shape: Mapping[str, Any], selection: Selection) -> Mapping[str, Any]:
    if shape['type'] == 'timestamp' and selection.text_times:
        return {'type': 'string'}
    if name in ADDED_MEMBERS:
        return {**shape, 'members': {**ADDED_MEMBERS[name], **shape['members']}}
    if name not in selection.members:
        return shape
    kept = selection.members[name]
    return {**shape, 'members': {name: member for name, member in shape['members'].items() if name in kept}}


def _references(part: Any) -> Iterator[str]:
    """Yield the names of the shapes that a part of a model refers to."""
    if isinstance(part, list):
        for value in part:
            yield from _references(value)
    if not isinstance(part, Mapping):
        return
    for key, value in part.items():
        if key == 'shape' and isinstance(value, str):
            yield value
        else:
            yield from _references(value)
