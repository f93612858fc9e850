"""What AWS tells, parsed once: unknown values become None or `other`, never a guess."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..errors import BadPayload
from ..windows import parse_time

T = TypeVar('T')

ON_DEMAND = 'on_demand'
SPOT = 'spot'
LIFECYCLES = {None: ON_DEMAND, 'spot': SPOT, 'scheduled': 'scheduled', 'capacity-block': 'capacity_block'}
TENANCIES = {'default': 'Shared', 'dedicated': 'Dedicated', 'host': 'Host'}
# What an instance without a licence is billed as; also what emulators, which do not tell, are taken for.
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
    # Licence key of the price list: RunInstances (Linux), RunInstances:0002 (Windows), ...
    operation: str
    # Tenancy in the price list's words: Shared, Dedicated, Host.
    tenancy: str
    # When it was stopped, None when it is not or the reason cannot be read.
    stopped_at: datetime | None
    # The tags that were asked for.
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InstanceType:
    """What a type has. `gpus` by model; parts of a GPU are fractions."""

    vcpus: int
    gpus: Mapping[str, float]
    has_gpu: bool
    # Neuron devices.
    accelerators: int

    @property
    def accelerated(self) -> bool:
        """GPUs or Neuron devices."""
        return self.has_gpu or self.accelerators > 0

    def dump(self) -> list[Any]:
        """JSON value."""
        return [self.vcpus, dict(self.gpus), self.has_gpu, self.accelerators]

    @classmethod
    def load(cls, value: list[Any]) -> InstanceType:
        """What `dump` returned."""
        return cls(*value)


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An EBS snapshot. `size`: GiB of the volume; `full_bytes`: data in it, None when AWS does not say."""

    region: str
    state: str
    volume_id: str
    size: int
    full_bytes: int | None
    started: datetime | None


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """A spot price, USD per hour, since `since`."""

    instance_type: str
    zone: str
    product: str
    price: float
    since: datetime


@dataclass(frozen=True, slots=True)
class Utilisation:
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


def instance(raw: Mapping[str, Any], region: str, tag_keys: Collection[str] = ()) -> Instance:
    """From an element of DescribeInstances. Raises BadPayload when it lacks what every instance has."""
    lifecycle = _optional(raw, 'InstanceLifecycle', str) or None
    placement = _part(raw, 'Placement')
    options = _part(raw, 'CpuOptions')
    cores, threads = _optional(options, 'CoreCount', int), _optional(options, 'ThreadsPerCore', int)
    windows = (_optional(raw, 'Platform', str) or '').lower() == 'windows'
    state = _required(_required(raw, 'State', dict, 'instance'), 'Name', str, 'state of an instance')
    return Instance(
        instance_id=_required(raw, 'InstanceId', str, 'instance'),
        region=region,
        zone=_optional(placement, 'AvailabilityZone', str) or '',
        instance_type=_required(raw, 'InstanceType', str, 'instance'),
        state=state,
        lifecycle=LIFECYCLES.get(lifecycle, 'other'),
        launched=parse_time(raw.get('LaunchTime')),
        first_launched=_first_attached(_parts(raw, 'NetworkInterfaces')),
        vcpus=cores * threads if cores and threads else None,
        product=_optional(raw, 'PlatformDetails', str) or ('Windows' if windows else LINUX_PRODUCT),
        operation=_optional(raw, 'UsageOperation', str) or LINUX_OPERATION,
        tenancy=TENANCIES.get(_optional(placement, 'Tenancy', str) or 'default', ''),
        stopped_at=stopped_at(_optional(raw, 'StateTransitionReason', str)) if state == 'stopped' else None,
        tags={
            key: _required(tag, 'Value', str, 'tag')
            for tag in _parts(raw, 'Tags')
            if (key := _required(tag, 'Key', str, 'tag')) in tag_keys
        },
    )


def stopped_at(reason: str | None) -> datetime | None:
    """When an instance was stopped, from `User initiated (2026-11-12 03:04:05 GMT)`; None for other words."""
    found = _STOPPED_AT.search(reason or '')
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], '%Y-%m-%d %H:%M:%S').replace(tzinfo=UTC)
    except ValueError:
        return None


def instance_type(raw: Mapping[str, Any]) -> tuple[str, InstanceType]:
    """Name and contents, from an element of DescribeInstanceTypes. Raises BadPayload."""
    gpus: dict[str, float] = {}
    for gpu in _parts(_part(raw, 'GpuInfo'), 'Gpus'):
        model = slug(_optional(gpu, 'Name', str) or 'unknown')
        gpus[model] = gpus.get(model, 0) + _gpu_count(gpu)
    devices = _parts(_part(raw, 'NeuronInfo'), 'NeuronDevices')
    return _required(raw, 'InstanceType', str, 'instance type'), InstanceType(
        vcpus=_required(_required(raw, 'VCpuInfo', dict, 'instance type'), 'DefaultVCpus', int, 'instance type'),
        gpus=gpus,
        has_gpu=bool(raw.get('GpuInfo')),
        accelerators=sum(_optional(device, 'Count', int) or 0 for device in devices),
    )


def _gpu_count(gpu: Mapping[str, Any]) -> float:
    # Types with a part of a GPU (g6f, gr6f) have Count 0.
    partition = _optional(gpu, 'GpuPartitionSize', (int, float))
    if partition is not None and partition < 1:
        return (_optional(gpu, 'LogicalGpuCount', int) or 0) * partition
    return _optional(gpu, 'Count', int) or 0


def volume(raw: Mapping[str, Any], region: str) -> Volume:
    """From an element of DescribeVolumes. Raises BadPayload."""
    return Volume(
        volume_id=_required(raw, 'VolumeId', str, 'volume'),
        region=region,
        volume_type=_optional(raw, 'VolumeType', str) or 'standard',
        state=_required(raw, 'State', str, 'volume'),
        size=_required(raw, 'Size', int, 'volume'),
        iops=_optional(raw, 'Iops', int),
        throughput=_optional(raw, 'Throughput', int),
        created=parse_time(raw.get('CreateTime')),
        attached_to=tuple(
            held for attachment in _parts(raw, 'Attachments') if (held := _optional(attachment, 'InstanceId', str))
        ),
    )


def snapshot(raw: Mapping[str, Any], region: str) -> Snapshot:
    """From an element of DescribeSnapshots. Raises BadPayload."""
    return Snapshot(
        region=region,
        state=_required(raw, 'State', str, 'snapshot'),
        volume_id=_optional(raw, 'VolumeId', str) or NO_VOLUME,
        size=_required(raw, 'VolumeSize', int, 'snapshot'),
        full_bytes=_optional(raw, 'FullSnapshotSizeInBytes', int),
        started=parse_time(raw.get('StartTime')),
    )


def spot_price(raw: Mapping[str, Any]) -> SpotPrice:
    """From an element of DescribeSpotPriceHistory. Raises BadPayload."""
    text = _required(raw, 'SpotPrice', str, 'spot price')
    try:
        price = float(text)
    except ValueError as error:
        raise BadPayload(f'AWS sent a spot price that is no number ({text[:20]!r})') from error
    if not 0 <= price < math.inf:
        raise BadPayload(f'AWS sent a spot price that is no price ({text[:20]!r})')
    since = parse_time(raw.get('Timestamp'))
    if since is None:
        raise BadPayload('AWS sent a spot price without a time')
    return SpotPrice(
        instance_type=_required(raw, 'InstanceType', str, 'spot price'),
        zone=_required(raw, 'AvailabilityZone', str, 'spot price'),
        product=_required(raw, 'ProductDescription', str, 'spot price').removesuffix(' (Amazon VPC)'),
        price=price,
        since=since,
    )


def slug(text: str) -> str:
    """As a tag value or a part of a name: `RTX PRO 4500` is `rtx_pro_4500`."""
    return re.sub(r'[^a-z0-9]+', '_', text.lower()).strip('_')


def _first_attached(interfaces: Collection[Mapping[str, Any]]) -> datetime | None:
    # The interface at index 0 stays for the life of the instance. With several network cards each has an index 0:
    # the earliest is the first launch.
    attachments = [_part(interface, 'Attachment') for interface in interfaces]
    times = [
        parse_time(attachment.get('AttachTime')) for attachment in attachments if attachment.get('DeviceIndex') == 0
    ]
    return min((time for time in times if time is not None), default=None)


def _required(raw: Mapping[str, Any], key: str, kind: type[T], what: str) -> T:
    value = raw.get(key)
    if value is None:
        raise BadPayload(f'AWS sent one {what} without {key}: is there a proxy in between, or an emulator?')
    return _of(kind, value, key)


def _of(kind: type[T] | tuple[type[T], ...], value: Any, key: str) -> T:
    # Beyond 64 bits is no number of AWS either; the comparison is also false for NaN.
    too_large = isinstance(value, (int, float)) and not -(2**63) < value < 2**63
    if not isinstance(value, kind) or isinstance(value, bool) or too_large:
        raise BadPayload(f'AWS sent {key} as {type(value).__name__}: is there a proxy in between, or an emulator?')
    return value


def _optional(raw: Mapping[str, Any], key: str, kind: type[T] | tuple[type[T], ...]) -> T | None:
    value = raw.get(key)
    return None if value is None else _of(kind, value, key)


def _part(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    return _optional(raw, key, dict) or {}


def _parts(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [_of(dict, part, key) for part in _optional(raw, key, list) or ()]
