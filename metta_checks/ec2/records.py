"""What AWS tells, parsed once: unknown values become None or `other`, never a guess."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..core.accelerators import gpu_of_model
from ..core.errors import BadPayload
from ..core.fields import Contract, amount, decimal, integer, mapping, moment, number, text
from ..core.stored import stored

AWS = Contract('AWS', 'is there a proxy in between, or an emulator?')

ON_DEMAND = 'on_demand'
SPOT = 'spot'
LIFECYCLES = {None: ON_DEMAND, 'spot': SPOT, 'scheduled': 'scheduled', 'capacity-block': 'capacity_block'}
TENANCIES = {'default': 'Shared', 'dedicated': 'Dedicated', 'host': 'Host'}
# What an instance without a license is billed as; also what emulators, which do not tell, are taken for.
LINUX_OPERATION = 'RunInstances'
LINUX_PRODUCT = 'Linux/UNIX'
# Copies of snapshots name this instead of a volume.
NO_VOLUME = 'vol-ffffffff'
_STOPPED_AT = re.compile(r'\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)')


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance."""

    instance_id: str
    region: str
    zone: str
    instance_type: str
    # pending, running, stopping or stopped
    state: str
    # on_demand, spot, scheduled, capacity_block or other
    lifecycle: str
    # Last start.
    launched: datetime | None
    # First launch, as far as the instance tells.
    first_launched: datetime | None
    # Cores times threads of this instance, None when it does not say.
    vcpus: int | None
    # Product of the spot market: Linux/UNIX, Windows, ...
    product: str
    # License key of the price list: RunInstances (Linux), RunInstances:0002 (Windows), ...
    operation: str
    # Tenancy in the price list's words: Shared, Dedicated, Host.
    tenancy: str
    # When it was stopped, None when it is not or the reason cannot be read.
    stopped_at: datetime | None
    # The tags that were asked for.
    tags: Mapping[str, str]

    @classmethod
    def parse(cls, raw: Mapping[str, Any], region: str, tag_keys: Collection[str] = ()) -> Instance:
        """Return an instance from an element of DescribeInstances.

        Raises BadPayload when a field is missing that every instance has.
        """
        lifecycle = AWS.optional(text, raw, 'InstanceLifecycle')
        placement = AWS.part(raw, 'Placement')
        options = AWS.part(raw, 'CpuOptions')
        cores, threads = AWS.optional(integer, options, 'CoreCount'), AWS.optional(integer, options, 'ThreadsPerCore')
        windows = (AWS.optional(text, raw, 'Platform') or '').lower() == 'windows'
        state = AWS.required(text, AWS.required(mapping, raw, 'State', 'instance'), 'Name', 'state of an instance')
        return cls(
            instance_id=AWS.required(text, raw, 'InstanceId', 'instance'),
            region=region,
            zone=AWS.optional(text, placement, 'AvailabilityZone') or '',
            instance_type=AWS.required(text, raw, 'InstanceType', 'instance'),
            state=state,
            lifecycle=LIFECYCLES.get(lifecycle, 'other'),
            launched=moment(raw.get('LaunchTime')),
            first_launched=_first_attached(AWS.parts(raw, 'NetworkInterfaces')),
            vcpus=cores * threads if cores and threads else None,
            product=AWS.optional(text, raw, 'PlatformDetails') or ('Windows' if windows else LINUX_PRODUCT),
            operation=AWS.optional(text, raw, 'UsageOperation') or LINUX_OPERATION,
            tenancy=TENANCIES.get(AWS.optional(text, placement, 'Tenancy') or 'default', ''),
            stopped_at=stopped_at(AWS.optional(text, raw, 'StateTransitionReason')) if state == 'stopped' else None,
            tags={
                key: AWS.optional(text, tag, 'Value') or ''
                for tag in AWS.parts(raw, 'Tags')
                if (key := AWS.required(text, tag, 'Key', 'tag')) in tag_keys
            },
        )


@stored
class InstanceType:
    """The equipment of an instance type.

    Attributes:
        vcpus: number of virtual CPUs
        gpus: number of GPUs by model; parts of a GPU are fractions
        has_gpu: whether it has GPUs, of known models or others
        accelerators: number of Neuron devices
    """

    vcpus: int
    gpus: Mapping[str, float]
    has_gpu: bool
    accelerators: int

    @property
    def accelerated(self) -> bool:
        """GPUs or Neuron devices."""
        return self.has_gpu or self.accelerators > 0

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> tuple[str, InstanceType]:
        """Return name and contents from an element of DescribeInstanceTypes. Raises BadPayload."""
        gpus: dict[str, float] = {}
        for gpu in AWS.parts(AWS.part(raw, 'GpuInfo'), 'Gpus'):
            model = gpu_of_model(AWS.optional(text, gpu, 'Name'))
            gpus[model] = gpus.get(model, 0) + _gpu_count(gpu)
        devices = AWS.parts(AWS.part(raw, 'NeuronInfo'), 'NeuronDevices')
        processors = AWS.required(mapping, raw, 'VCpuInfo', 'instance type')
        return AWS.required(text, raw, 'InstanceType', 'instance type'), cls(
            vcpus=AWS.required(integer, processors, 'DefaultVCpus', 'instance type'),
            gpus=gpus,
            has_gpu=bool(raw.get('GpuInfo')),
            accelerators=sum(AWS.optional(integer, device, 'Count') or 0 for device in devices),
        )


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume. `size` in GiB, `throughput` in MiB/s."""

    volume_id: str
    region: str
    volume_type: str
    state: str
    size: int
    iops: int | None
    throughput: int | None
    created: datetime | None
    attached_to: tuple[str, ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any], region: str) -> Volume:
        """Return a volume from an element of DescribeVolumes. Raises BadPayload."""
        return cls(
            volume_id=AWS.required(text, raw, 'VolumeId', 'volume'),
            region=region,
            volume_type=AWS.optional(text, raw, 'VolumeType') or 'standard',
            state=AWS.required(text, raw, 'State', 'volume'),
            size=AWS.required(integer, raw, 'Size', 'volume'),
            iops=AWS.optional(integer, raw, 'Iops'),
            throughput=AWS.optional(integer, raw, 'Throughput'),
            created=moment(raw.get('CreateTime')),
            attached_to=tuple(
                held
                for attachment in AWS.parts(raw, 'Attachments')
                if (held := AWS.optional(text, attachment, 'InstanceId'))
            ),
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An EBS snapshot. `size`: GiB of the volume; `full_bytes`: data in it, None when AWS does not say."""

    region: str
    state: str
    volume_id: str
    size: int
    full_bytes: int | None
    started: datetime | None

    @classmethod
    def parse(cls, raw: Mapping[str, Any], region: str) -> Snapshot:
        """Return a snapshot from an element of DescribeSnapshots. Raises BadPayload."""
        return cls(
            region=region,
            state=AWS.required(text, raw, 'State', 'snapshot'),
            volume_id=AWS.optional(text, raw, 'VolumeId') or NO_VOLUME,
            size=AWS.required(integer, raw, 'VolumeSize', 'snapshot'),
            full_bytes=AWS.optional(integer, raw, 'FullSnapshotSizeInBytes'),
            started=moment(raw.get('StartTime')),
        )


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """A spot price, USD per hour, since `since`."""

    instance_type: str
    zone: str
    product: str
    price: float
    since: datetime

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> SpotPrice:
        """Return a spot price from an element of DescribeSpotPriceHistory. Raises BadPayload."""
        stated = AWS.required(text, raw, 'SpotPrice', 'spot price')
        price = amount(decimal(stated))
        if price is None:
            raise BadPayload(f'AWS sent a spot price that is no number of USD ({stated[:20]!r})')
        since = moment(raw.get('Timestamp'))
        if since is None:
            raise BadPayload('AWS sent a spot price without a time')
        return cls(
            instance_type=AWS.required(text, raw, 'InstanceType', 'spot price'),
            zone=AWS.required(text, raw, 'AvailabilityZone', 'spot price'),
            product=AWS.required(text, raw, 'ProductDescription', 'spot price').removesuffix(' (Amazon VPC)'),
            price=price,
            since=since,
        )


@dataclass(frozen=True, slots=True)
class Utilization:
    """What CloudWatch knows of an instance over a window; None without data."""

    cpu_max_pct: float | None
    network_bytes: float | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances of all regions, and what is known of their types."""

    instances: list[Instance]
    types: Mapping[str, InstanceType]

    @property
    def running(self) -> list[Instance]:
        """Those in state running exactly."""
        return [instance for instance in self.instances if instance.state == 'running']

    @property
    def stopped_ids(self) -> set[str]:
        """Ids of those in state stopped."""
        return {instance.instance_id for instance in self.instances if instance.state == 'stopped'}


def stopped_at(reason: str | None) -> datetime | None:
    """When an instance was stopped, from `User initiated (2026-11-12 03:04:05 GMT)`; None for other words."""
    found = _STOPPED_AT.search(reason or '')
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], '%Y-%m-%d %H:%M:%S').replace(tzinfo=UTC)
    except ValueError:
        return None


def _gpu_count(gpu: Mapping[str, Any]) -> float:
    # Types with a part of a GPU (g6f, gr6f) have Count 0.
    partition = AWS.optional(number, gpu, 'GpuPartitionSize')
    if partition is not None and partition < 1:
        return (AWS.optional(integer, gpu, 'LogicalGpuCount') or 0) * partition
    return AWS.optional(integer, gpu, 'Count') or 0


def _first_attached(interfaces: Collection[Mapping[str, Any]]) -> datetime | None:
    # The interface at index 0 stays for the life of the instance. With several network cards each has an index 0:
    # the earliest is the first launch.
    attachments = [AWS.part(interface, 'Attachment') for interface in interfaces]
    times = [moment(attachment.get('AttachTime')) for attachment in attachments if attachment.get('DeviceIndex') == 0]
    return min((time for time in times if time is not None), default=None)
