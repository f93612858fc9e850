"""The answers of AWS as records, parsed once. An unknown value becomes None or `other`, never a guess."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..core.accelerators import accelerator_type
from ..core.fields import Contract, amount, decimal, integer, items, mapping, moment, number, text
from ..core.stored import stored
from ..core.text import one_line

HINT = 'is there a proxy in between, or an emulator?'
AWS = Contract('AWS', HINT)

ON_DEMAND = 'on_demand'
SPOT = 'spot'
CAPACITY_BLOCK = 'capacity_block'
OTHER_LIFECYCLE = 'other'
LIFECYCLES = {None: ON_DEMAND, 'spot': SPOT, 'scheduled': 'scheduled', 'capacity-block': CAPACITY_BLOCK}
SHARED_TENANCY = 'Shared'
TENANCIES = {'default': SHARED_TENANCY, 'dedicated': 'Dedicated', 'host': 'Host'}
# The price list's name for Linux without a license. Emulators leave the field out: their instances count as Linux.
LINUX_OPERATION = 'RunInstances'
LINUX_PRODUCT = 'Linux/UNIX'
AVAILABILITY_ZONE = 'availability-zone'
# The volume id of snapshots that are copies of other snapshots.
NO_VOLUME = 'vol-ffffffff'
# The number of hourly values of a day that tell how busy an instance was. The newest one can be late.
LEAST_HOURS = 23
# Characters of a reason of AWS.
MAX_REASON = 300
# The status of CloudWatch for a metric of which it returned all values, or a part of them.
COMPLETE, PARTIAL_DATA = 'Complete', 'PartialData'
EC2_INSTANCE = 'EC2Instance'
INSTANCE_PREFIX = 'i-'
_STOPPED_AT = re.compile(r'\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)')


def usd(value: Any) -> float | None:
    """Return a price that is written as text and is not negative."""
    return amount(decimal(value))


@dataclass(frozen=True, slots=True)
class Region:
    """A region.

    Attributes:
        name: its name, such as us-east-1
        is_enabled: whether the account can use it
    """

    name: str
    is_enabled: bool

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Region:
        """Return a region from an element of DescribeRegions. Raises BadPayload."""
        return cls(
            name=AWS.required(text, raw, 'RegionName', 'region'),
            is_enabled=AWS.optional(text, raw, 'OptInStatus') != 'not-opted-in',
        )


class Site(NamedTuple):
    """The location of a resource.

    Attributes:
        region: the region
        zone: the name of the zone, empty when AWS does not report it
        on_outpost: whether it is on an Outpost, which AWS bills in place of it
    """

    region: str
    zone: str = ''
    on_outpost: bool = False


@dataclass(frozen=True, slots=True)
class Zone:
    """An Availability Zone, a Local Zone or a Wavelength Zone.

    Attributes:
        name: its name, such as us-west-2-lax-1a
        place: the name of its prices in the price list; None when AWS does not report it
    """

    name: str
    place: str | None

    @classmethod
    def parse(cls, raw: Mapping[str, Any], region: str) -> Zone:
        """Return a zone from an element of DescribeAvailabilityZones. Raises BadPayload."""
        in_region = AWS.optional(text, raw, 'ZoneType') == AVAILABILITY_ZONE
        group = AWS.optional(text, raw, 'NetworkBorderGroup') or AWS.optional(text, raw, 'GroupName')
        return cls(AWS.required(text, raw, 'ZoneName', 'zone'), region if in_region else group)


@dataclass(frozen=True, slots=True)
class Instance:
    """An EC2 instance.

    Attributes:
        instance_id: its id
        site: where it runs
        instance_type: the name of its type
        state: pending, running, stopping or stopped
        lifecycle: on_demand, spot, scheduled, capacity_block or other
        launched: the last start
        first_launched: the first launch, as far as the network interfaces show it
        vcpus: cores times threads of this instance; None when AWS does not report them
        product: the product of the spot market, such as Linux/UNIX or Windows
        operation: the license key of the price list: RunInstances (Linux), RunInstances:0002 (Windows), ...
        tenancy: as the price list names it: Shared, Dedicated or Host; empty for other tenancies
        stopped_at: the time of the stop; None when it is not stopped or AWS does not report the time
        tags: the tags whose keys the configuration names
    """

    instance_id: str
    site: Site
    instance_type: str
    state: str
    lifecycle: str
    launched: datetime | None
    first_launched: datetime | None
    vcpus: int | None
    product: str
    operation: str
    tenancy: str
    stopped_at: datetime | None
    tags: Mapping[str, str]

    @property
    def region(self) -> str:
        """The region."""
        return self.site.region

    @classmethod
    def parse(cls, raw: Mapping[str, Any], region: str, tag_keys: Collection[str] = ()) -> Instance:
        """Return an instance from an element of DescribeInstances. Raises BadPayload."""
        placement = AWS.part(raw, 'Placement')
        state = AWS.required(text, AWS.required(mapping, raw, 'State', 'instance'), 'Name', 'state of an instance')
        return cls(
            instance_id=AWS.required(text, raw, 'InstanceId', 'instance'),
            site=_site(region, placement, raw),
            instance_type=AWS.required(text, raw, 'InstanceType', 'instance'),
            state=state,
            lifecycle=LIFECYCLES.get(AWS.optional(text, raw, 'InstanceLifecycle'), OTHER_LIFECYCLE),
            launched=moment(raw.get('LaunchTime')),
            first_launched=_first_attached(AWS.parts(raw, 'NetworkInterfaces')),
            vcpus=_vcpus(AWS.part(raw, 'CpuOptions')),
            product=_spot_product(raw),
            operation=AWS.optional(text, raw, 'UsageOperation') or LINUX_OPERATION,
            tenancy=TENANCIES.get(AWS.optional(text, placement, 'Tenancy') or 'default', ''),
            stopped_at=stopped_at(AWS.optional(text, raw, 'StateTransitionReason')) if state == 'stopped' else None,
            tags=_tags(AWS.parts(raw, 'Tags'), tag_keys) if tag_keys else {},
        )


@stored
class InstanceType:
    """The equipment of an instance type.

    Attributes:
        vcpus: number of virtual CPUs
        gpus: number of GPUs by model; parts of a GPU are fractions
        has_gpu: whether it has GPUs, of known models or others
        accelerators: number of other accelerators by model: Neuron devices, FPGAs, media and inference accelerators
    """

    vcpus: int
    gpus: Mapping[str, float]
    has_gpu: bool
    accelerators: Mapping[str, float]

    @property
    def accelerated(self) -> bool:
        """Return whether it has GPUs or other accelerators."""
        return self.has_gpu or bool(self.accelerators)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> tuple[str, InstanceType]:
        """Return name and equipment from an element of DescribeInstanceTypes. Raises BadPayload."""
        processors = AWS.required(mapping, raw, 'VCpuInfo', 'instance type')
        return AWS.required(text, raw, 'InstanceType', 'instance type'), cls(
            vcpus=AWS.required(integer, processors, 'DefaultVCpus', 'instance type'),
            gpus=_by_model(AWS.parts(AWS.part(raw, 'GpuInfo'), 'Gpus'), _gpu_count),
            has_gpu=bool(raw.get('GpuInfo')),
            accelerators=_by_model(_accelerators(raw), _device_count),
        )


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume.

    Attributes:
        volume_id: its id
        site: where it is stored
        volume_type: the type, such as gp3
        state: creating, available, in-use, deleting, deleted or error
        size: size in GiB
        iops: provisioned IOPS
        throughput: provisioned throughput in MiB/s
        created: the time of its creation
        attached_to: ids of the instances that it is attached to
        tags: the tags whose keys the configuration names
    """

    volume_id: str
    site: Site
    volume_type: str
    state: str
    size: int
    iops: int | None
    throughput: int | None
    created: datetime | None
    attached_to: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def is_unattached(self) -> bool:
        """Return whether it is attached to no instance, and could be."""
        return self.state == 'available'

    def is_attached_only_to(self, instance_ids: Collection[str]) -> bool:
        """Return whether it is attached, and to none but these instances."""
        return bool(self.attached_to) and all(instance_id in instance_ids for instance_id in self.attached_to)

    @classmethod
    def parse(cls, raw: Mapping[str, Any], region: str, tag_keys: Collection[str] = ()) -> Volume:
        """Return a volume from an element of DescribeVolumes. Raises BadPayload."""
        holders = [AWS.optional(text, attachment, 'InstanceId') for attachment in AWS.parts(raw, 'Attachments')]
        return cls(
            volume_id=AWS.required(text, raw, 'VolumeId', 'volume'),
            site=_site(region, raw, raw),
            volume_type=AWS.optional(text, raw, 'VolumeType') or 'standard',
            state=AWS.required(text, raw, 'State', 'volume'),
            size=AWS.required(integer, raw, 'Size', 'volume'),
            iops=AWS.optional(integer, raw, 'Iops'),
            throughput=AWS.optional(integer, raw, 'Throughput'),
            created=moment(raw.get('CreateTime')),
            attached_to=tuple(filter(None, holders)),
            tags=_tags(AWS.parts(raw, 'Tags'), tag_keys) if tag_keys else {},
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An EBS snapshot.

    Attributes:
        snapshot_id: its id
        site: where it is stored
        state: pending, completed, error, recoverable or recovering
        volume_id: id of the volume that it was taken of; NO_VOLUME for a copy
        size: size of the volume in GiB
        full_bytes: bytes of data in it; None when AWS does not report them
        started: the time at which it was begun
        is_archived: whether it is in the archive tier
        restored_until: the end of a temporary restore from the archive; None for snapshots that are not restored
    """

    snapshot_id: str
    site: Site
    state: str
    volume_id: str
    size: int
    full_bytes: int | None
    started: datetime | None
    is_archived: bool
    restored_until: datetime | None

    @classmethod
    def parse(cls, raw: Mapping[str, Any], region: str) -> Snapshot:
        """Return a snapshot from an element of DescribeSnapshots. Raises BadPayload."""
        return cls(
            snapshot_id=AWS.required(text, raw, 'SnapshotId', 'snapshot'),
            site=_site(region, raw, raw),
            state=AWS.required(text, raw, 'State', 'snapshot'),
            volume_id=AWS.optional(text, raw, 'VolumeId') or NO_VOLUME,
            size=AWS.required(integer, raw, 'VolumeSize', 'snapshot'),
            full_bytes=AWS.optional(integer, raw, 'FullSnapshotSizeInBytes'),
            started=moment(raw.get('StartTime')),
            is_archived=AWS.optional(text, raw, 'StorageTier') == 'archive',
            restored_until=moment(raw.get('RestoreExpiryTime')),
        )


def image_snapshots(raw: Mapping[str, Any]) -> set[str]:
    """Return the ids of the snapshots that an image needs, an element of DescribeImages. Raises BadPayload.

    A deregistered image needs none. AWS still lists it for a short time.
    """
    if AWS.optional(text, raw, 'State') == 'deregistered':
        return set()
    devices = AWS.parts(raw, 'BlockDeviceMappings')
    found = (AWS.optional(text, AWS.part(device, 'Ebs'), 'SnapshotId') for device in devices)
    return {snapshot_id for snapshot_id in found if snapshot_id is not None}


@dataclass(frozen=True, slots=True)
class Address:
    """An Elastic IP address.

    Attributes:
        is_associated: whether it is associated with an instance or a network interface
    """

    is_associated: bool

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Address:
        """Return an address from an element of DescribeAddresses. Raises BadPayload."""
        holder = AWS.optional(text, raw, 'AssociationId') or AWS.optional(text, raw, 'InstanceId')
        return cls(is_associated=holder is not None)


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """A change of a spot price.

    Attributes:
        instance_type: the instance type
        zone: the name of the availability zone
        product: the product of the spot market, such as Linux/UNIX
        price: USD per hour
        since: the time of the change
    """

    instance_type: str
    zone: str
    product: str
    price: float
    since: datetime

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> SpotPrice:
        """Return a spot price from an element of DescribeSpotPriceHistory. Raises BadPayload."""
        return cls(
            instance_type=AWS.required(text, raw, 'InstanceType', 'spot price'),
            zone=AWS.required(text, raw, 'AvailabilityZone', 'spot price'),
            product=AWS.required(text, raw, 'ProductDescription', 'spot price').removesuffix(' (Amazon VPC)'),
            price=AWS.required(usd, raw, 'SpotPrice', 'spot price'),
            since=AWS.required(moment, raw, 'Timestamp', 'spot price'),
        )


@dataclass(frozen=True, slots=True)
class MetricValues:
    """Values of one query to CloudWatch, in one answer or in several.

    Attributes:
        query: the id of the query
        values: its values, in no particular order
        status: COMPLETE, or another status of CloudWatch: values are missing
        message: the reason that CloudWatch states, may be empty
    """

    query: str
    values: tuple[float, ...]
    status: str = COMPLETE
    message: str = ''

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, has_next_page: bool = False) -> MetricValues:
        """Return values from an element of GetMetricData. Raises BadPayload."""
        # Emulators leave the status out.
        status = AWS.optional(text, raw, 'StatusCode') or COMPLETE
        return cls(
            query=AWS.required(text, raw, 'Id', 'result of a metric'),
            values=tuple(AWS.optional(_numbers, raw, 'Values') or ()),
            # The next page has the rest.
            status=COMPLETE if has_next_page and status == PARTIAL_DATA else status,
            message=messages(raw),
        )

    def joined(self, later: MetricValues) -> MetricValues:
        """Return the values with those of a later page, whose status replaces that of this one."""
        return MetricValues(self.query, (*self.values, *later.values), later.status, later.message)

    @property
    def failure(self) -> str:
        """The reason why values are missing, empty when CloudWatch returned all that it has."""
        if self.status == COMPLETE:
            return ''
        return f'{self.status}: {self.message}' if self.message else self.status


def messages(raw: Mapping[str, Any]) -> str:
    """Return what CloudWatch says about a metric or about a whole answer, as one line. Raises BadPayload."""
    found = (AWS.optional(text, message, 'Value') for message in AWS.parts(raw, 'Messages'))
    return one_line('; '.join(filter(None, found)), MAX_REASON).rstrip(' .')


@dataclass(frozen=True, slots=True)
class Utilization:
    """CPU and network of an instance over the last 24 full hours.

    Attributes:
        cpu_max_pct: the highest CPU utilization, in percent
        network_bytes: bytes received and sent
    """

    cpu_max_pct: float
    network_bytes: float


@dataclass(frozen=True, slots=True)
class Reading:
    """An instance in CloudWatch.

    Attributes:
        utilization: its utilization; None when a metric lacks more than one hour: hours without a value say nothing
            about the instance
        failure: the reason for which AWS did not return all values, empty when there is none
    """

    utilization: Utilization | None
    failure: str = ''

    @classmethod
    def of(cls, cpu: MetricValues, received: MetricValues, sent: MetricValues) -> Reading:
        """Return the reading of an instance from the hourly values of CloudWatch."""
        metrics = (cpu, received, sent)
        if failure := next(filter(None, (metric.failure for metric in metrics)), ''):
            return cls(None, failure)
        if min(len(metric.values) for metric in metrics) < LEAST_HOURS:
            return cls(None)
        return cls(Utilization(max(cpu.values), math.fsum((*received.values, *sent.values))))


@dataclass(frozen=True, slots=True)
class IdleRecommendation:
    """A finding of Compute Optimizer.

    Attributes:
        instance_id: id of the instance
        is_idle: whether Compute Optimizer finds it idle
    """

    instance_id: str
    is_idle: bool

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> IdleRecommendation:
        """Return a finding from an element of `idleRecommendations`. Raises BadPayload."""
        resource = AWS.optional(text, raw, 'resourceId') or AWS.optional(text, raw, 'resourceArn') or ''
        return cls(
            instance_id=resource.rpartition('/')[2],
            is_idle=AWS.optional(text, raw, 'finding') == 'Idle',
        )


@dataclass(frozen=True, slots=True)
class RecommendationError:
    """A thing that Compute Optimizer could not read, in an answer that is not an error.

    Attributes:
        identifier: an instance, or something else: an account
        detail: code and reason of AWS
        concerns_instances: False for an error about resources of another type
    """

    identifier: str
    detail: str
    concerns_instances: bool

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> RecommendationError:
        """Return an error from an element of `errors`. Raises BadPayload."""
        code, message = AWS.optional(text, raw, 'code'), AWS.optional(text, raw, 'message')
        return cls(
            identifier=(AWS.optional(text, raw, 'identifier') or '').rpartition('/')[2],
            detail=one_line(': '.join(filter(None, (code, message))), MAX_REASON).rstrip(' .') or 'no reason given',
            concerns_instances=AWS.optional(text, raw, 'resourceType') in (None, EC2_INSTANCE),
        )

    @property
    def is_about_instance(self) -> bool:
        """True if one instance could not be read, False if a whole account could not be read."""
        return self.identifier.startswith(INSTANCE_PREFIX)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances of all regions.

    Attributes:
        instances: instances in state pending, running, stopping or stopped
        types: the equipment of their types by name, without types that AWS does not describe
        unread_types: the types that could not be read, so that it is not known whether AWS describes them
    """

    instances: list[Instance]
    types: Mapping[str, InstanceType]
    unread_types: frozenset[str] = frozenset()

    @property
    def running(self) -> list[Instance]:
        """The instances in state running."""
        return [instance for instance in self.instances if instance.state == 'running']

    @property
    def stopped_ids(self) -> set[str]:
        """Ids of the instances in state stopped."""
        return {instance.instance_id for instance in self.instances if instance.state == 'stopped'}

    @property
    def described(self) -> list[tuple[Instance, InstanceType]]:
        """The running instances with their types, without those whose type AWS does not describe."""
        found = ((instance, self.types.get(instance.instance_type)) for instance in self.running)
        return [(instance, instance_type) for instance, instance_type in found if instance_type is not None]


def stopped_at(reason: str | None) -> datetime | None:
    """Return the time in a reason such as `User initiated (2026-11-12 03:04:05 GMT)`; None for other reasons."""
    found = _STOPPED_AT.search(reason or '')
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], '%Y-%m-%d %H:%M:%S').replace(tzinfo=UTC)
    except ValueError:
        return None


def _vcpus(options: Mapping[str, Any]) -> int | None:
    cores, threads = AWS.optional(integer, options, 'CoreCount'), AWS.optional(integer, options, 'ThreadsPerCore')
    return cores * threads if cores and threads else None


def _spot_product(raw: Mapping[str, Any]) -> str:
    windows = (AWS.optional(text, raw, 'Platform') or '').lower() == 'windows'
    return AWS.optional(text, raw, 'PlatformDetails') or ('Windows' if windows else LINUX_PRODUCT)


def _tags(tags: Iterable[Mapping[str, Any]], keys: Collection[str]) -> dict[str, str]:
    found = ((AWS.required(text, tag, 'Key', 'tag'), tag) for tag in tags)
    return {key: AWS.optional(text, tag, 'Value') or '' for key, tag in found if key in keys}


def _site(region: str, placement: Mapping[str, Any], raw: Mapping[str, Any]) -> Site:
    return Site(
        region,
        AWS.optional(text, placement, 'AvailabilityZone') or '',
        AWS.optional(text, raw, 'OutpostArn') is not None,
    )


def _accelerators(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the accelerators of a type that are not GPUs."""
    neuron = AWS.parts(AWS.part(raw, 'NeuronInfo'), 'NeuronDevices')
    # AWS describes the Inferentia devices of inf1 under both names.
    yield from neuron or AWS.parts(AWS.part(raw, 'InferenceAcceleratorInfo'), 'Accelerators')
    yield from AWS.parts(AWS.part(raw, 'FpgaInfo'), 'Fpgas')
    yield from AWS.parts(AWS.part(raw, 'MediaAcceleratorInfo'), 'Accelerators')


def _by_model(devices: Iterable[Mapping[str, Any]], count: Callable[[Mapping[str, Any]], float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for device in devices:
        memory_mib = AWS.optional(integer, AWS.part(device, 'MemoryInfo'), 'SizeInMiB')
        model = accelerator_type(AWS.optional(text, device, 'Name'), memory_mib)
        found[model] = found.get(model, 0) + count(device)
    return found


def _device_count(device: Mapping[str, Any]) -> float:
    return AWS.optional(integer, device, 'Count') or 0


def _gpu_count(gpu: Mapping[str, Any]) -> float:
    # Types with a part of a GPU (g6f, gr6f) have Count 0.
    partition = AWS.optional(number, gpu, 'GpuPartitionSize')
    if partition is not None and partition < 1:
        return (AWS.optional(integer, gpu, 'LogicalGpuCount') or 0) * partition
    return AWS.optional(integer, gpu, 'Count') or 0


def _first_attached(interfaces: Iterable[Mapping[str, Any]]) -> datetime | None:
    # The interface at index 0 stays for the life of the instance. Each network card has an index 0 of its own: the
    # earliest is the first launch.
    attachments = [AWS.part(interface, 'Attachment') for interface in interfaces]
    times = [moment(attachment.get('AttachTime')) for attachment in attachments if attachment.get('DeviceIndex') == 0]
    return min((time for time in times if time is not None), default=None)


def _numbers(value: Any) -> list[float] | None:
    """Return a list of numbers, None when an element is not a number."""
    elements = items(value)
    if elements is None:
        return None
    found = [number(element) for element in elements]
    known = [element for element in found if element is not None]
    return known if len(known) == len(found) else None
