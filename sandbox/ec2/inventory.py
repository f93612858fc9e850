"""The Describe operations of EC2 on the estate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from . import ec2_protocol, tariff
from .ec2_protocol import items, tag
from .estate import Capacity, Copy, Disk, Estate, Image, Machine, SpotRequest
from .places import OUTPOST, Zone, of_region

OWNER = '123456789012'
STATES = {'pending': 0, 'running': 16, 'shutting-down': 32, 'terminated': 48, 'stopping': 64, 'stopped': 80}


class Inventory:
    """The Describe operations, each for one region."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        # Operation -> method. Moto answers the other operations.
        self.operations = {
            'DescribeInstances': self.instances,
            'DescribeVolumes': self.volumes,
            'DescribeSnapshots': self.snapshots,
            'DescribeAddresses': self.addresses,
            'DescribeSpotPriceHistory': self.spot_prices,
            'DescribeAvailabilityZones': self.zones,
            'DescribeImages': self.images,
            'DescribeCapacityReservations': self.capacities,
            'DescribeSpotInstanceRequests': self.spot_requests,
        }

    def instances(self, region: str, parameters: Mapping[str, str], _: datetime) -> str:
        """Return one reservation per instance; MaxResults counts instances."""
        wanted = ec2_protocol.filters(parameters, ('instance-state-name', 'instance-type'))
        found = [
            machine
            for machine in self.estate.machines
            if machine.region == region
            and ec2_protocol.matches(machine.state, wanted.get('instance-state-name', '*'))
            and ec2_protocol.matches(machine.kind, wanted.get('instance-type', '*'))
        ]
        shown, token = ec2_protocol.page(found, parameters.get('NextToken'), _size(parameters), least=5, most=1000)
        return ec2_protocol.answer('DescribeInstances', items('reservationSet', shown, _reservation), token)

    def volumes(self, region: str, parameters: Mapping[str, str], _: datetime) -> str:
        """Return volumes, at most 500 per page."""
        ec2_protocol.filters(parameters, ())
        found = [disk for disk in self.estate.disks if disk.region == region]
        shown, token = ec2_protocol.page(found, parameters.get('NextToken'), _size(parameters), least=5, most=500)
        return ec2_protocol.answer('DescribeVolumes', items('volumeSet', shown, _volume), token)

    def snapshots(self, region: str, parameters: Mapping[str, str], now: datetime) -> str:
        """Return snapshots; without an owner, also the public snapshots of other accounts."""
        found = [copy for copy in self.estate.copies if copy.region == region]
        if ec2_protocol.numbered(parameters, 'Owner') != ['self']:
            found += [Copy(f'snap-{n:017d}', region, 'completed', 'vol-ffffffff', 8, None, now) for n in range(1300)]
        shown, token = ec2_protocol.page(found, parameters.get('NextToken'), _size(parameters), least=5, most=1000)
        return ec2_protocol.answer('DescribeSnapshots', items('snapshotSet', shown, _snapshot), token)

    def addresses(self, region: str, _: Mapping[str, str], __: datetime) -> str:
        """Return addresses. EC2 has no pages for them."""
        found = [(number, used) for number, (where, used) in enumerate(self.estate.addresses) if where == region]
        return ec2_protocol.answer('DescribeAddresses', items('addressesSet', found, _address))

    def zones(self, region: str, parameters: Mapping[str, str], _: datetime) -> str:
        """Return the zones of a region. The account has opted in to all of them."""
        ec2_protocol.filters(parameters, ('zone-name', 'zone-type'))
        return ec2_protocol.answer('DescribeAvailabilityZones', items('availabilityZoneInfo', of_region(region), _zone))

    def images(self, region: str, parameters: Mapping[str, str], _: datetime) -> str:
        """Return the account's own images, disabled ones only when they are asked for."""
        ec2_protocol.filters(parameters, ())
        if ec2_protocol.numbered(parameters, 'Owner') != ['self']:
            raise ec2_protocol.AwsError('InvalidParameterValue', 'the sandbox has no images of other accounts')
        disabled = parameters.get('IncludeDisabled') == 'true'
        found = [
            image for image in self.estate.images if image.region == region and (disabled or image.state != 'disabled')
        ]
        shown, token = ec2_protocol.page(found, parameters.get('NextToken'), _size(parameters), least=5, most=1000)
        return ec2_protocol.answer('DescribeImages', items('imagesSet', shown, _image), token)

    def capacities(self, region: str, parameters: Mapping[str, str], _: datetime) -> str:
        """Return Capacity Reservations, also those of other accounts that are shared."""
        wanted = ec2_protocol.filters(parameters, ('owner-id', 'state', 'instance-type'))
        found = [
            one
            for one in self.estate.capacities
            if one.region == region
            and ec2_protocol.matches(one.owner or OWNER, wanted.get('owner-id', '*'))
            and ec2_protocol.matches(one.state, wanted.get('state', '*'))
            and ec2_protocol.matches(one.kind, wanted.get('instance-type', '*'))
        ]
        shown, token = ec2_protocol.page(found, parameters.get('NextToken'), _size(parameters), least=1, most=1000)
        return ec2_protocol.answer(
            'DescribeCapacityReservations', items('capacityReservationSet', shown, _capacity), token
        )

    def spot_requests(self, region: str, parameters: Mapping[str, str], _: datetime) -> str:
        """Return requests for spot instances."""
        wanted = ec2_protocol.filters(parameters, ('state', 'status-code', 'type'))
        found = [
            one
            for one in self.estate.requests
            if one.region == region
            and ec2_protocol.matches(one.state, wanted.get('state', '*'))
            and ec2_protocol.matches(one.code, wanted.get('status-code', '*'))
            and ec2_protocol.matches('persistent' if one.persistent else 'one-time', wanted.get('type', '*'))
        ]
        shown, token = ec2_protocol.page(found, parameters.get('NextToken'), _size(parameters), least=5, most=1000)
        return ec2_protocol.answer(
            'DescribeSpotInstanceRequests', items('spotInstanceRequestSet', shown, _request), token
        )

    def spot_prices(self, region: str, parameters: Mapping[str, str], now: datetime) -> str:
        """Return the price changes within a window, and the last one before it."""
        products = ec2_protocol.numbered(parameters, 'ProductDescription') or list(tariff.PLATFORMS.values())
        kinds = ec2_protocol.numbered(parameters, 'InstanceType') or list(tariff.KINDS)
        end = _time(parameters.get('EndTime')) or now
        start = _time(parameters.get('StartTime')) or end
        only = parameters.get('AvailabilityZone')
        found = []
        for kind in kinds:
            if kind not in tariff.KINDS:
                raise ec2_protocol.AwsError('InvalidParameterValue', f'Invalid instance type: {kind}')
            for zone in tariff.spot_zones(region, kind):
                for platform in products:
                    if platform in tariff.PLATFORMS.values() and only in (None, zone):
                        found += _changes(region, zone, kind, platform, start, min(end, now))
        shown, token = ec2_protocol.page(found, parameters.get('NextToken'), _size(parameters), least=1, most=1000)
        return ec2_protocol.answer('DescribeSpotPriceHistory', items('spotPriceHistorySet', shown, ''.join), token)


def _changes(region: str, zone: str, kind: str, platform: str, start: datetime, end: datetime) -> list[list[str]]:
    rows, at = [], end
    while True:
        price, since = tariff.spot(region, zone, kind, platform, at)
        rows.append(
            [
                tag('instanceType', kind),
                tag('productDescription', platform),
                tag('spotPrice', f'{price:.6f}'),
                tag('timestamp', since),
                tag('availabilityZone', zone),
            ]
        )
        if since <= start:
            return rows
        at = since - (at.resolution)


def _size(parameters: Mapping[str, str]) -> int | None:
    text = parameters.get('MaxResults')
    return int(text) if text else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _reservation(machine: Machine) -> str:
    return (
        f'<reservationId>r-{machine.id[2:]}</reservationId>{tag("ownerId", OWNER)}<groupSet/>'
        f'{items("instancesSet", [machine], _instance)}'
    )


def _instance(machine: Machine) -> str:
    kind = tariff.KINDS[machine.kind]
    cores, threads = machine.cpu or (max(1, kind.vcpus // 2), 2)
    reason = ''
    if machine.state == 'stopped':
        stopped = machine.stopped
        reason = (
            f'User initiated ({stopped:%Y-%m-%d %H:%M:%S} GMT)' if stopped else 'Server.ScheduledStop: stopped by AWS'
        )
    tags = {
        'Name': f'{machine.team or "misc"}-{machine.id[-4:]}',
        'aws:autoscaling:groupName': 'workers',
        **machine.tags,
    }
    if machine.team:
        tags['team'] = machine.team
    return ''.join(
        [
            tag('instanceId', machine.id),
            tag('imageId', 'ami-0abcdef1234567890'),
            f'<instanceState><code>{STATES[machine.state]}</code><name>{machine.state}</name></instanceState>',
            f'<privateDnsName>ip-10-0-0-1.{machine.region}.compute.internal</privateDnsName><dnsName/>',
            tag('reason', reason),
            '<keyName>ops</keyName><amiLaunchIndex>0</amiLaunchIndex><productCodes/>',
            tag('instanceType', machine.kind),
            tag('launchTime', machine.started),
            (
                f'<placement><availabilityZone>{machine.zone}</availabilityZone><groupName/>'
                f'<tenancy>{machine.tenancy}</tenancy></placement>'
            ),
            tag('platform', 'windows' if machine.operation == tariff.WINDOWS else None),
            '<monitoring><state>disabled</state></monitoring><subnetId>subnet-0bb1c79de3EXAMPLE</subnetId>',
            '<vpcId>vpc-0a1b2c3d4e5f67890</vpcId><privateIpAddress>10.0.0.1</privateIpAddress>',
            (
                '<sourceDestCheck>true</sourceDestCheck><groupSet><item><groupId>sg-0123456789abcdef0</groupId>'
                '<groupName>workers</groupName></item></groupSet><architecture>x86_64</architecture>'
            ),
            '<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>',
            (
                f'<blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-{machine.id[2:]}</volumeId>'
                f'<status>attached</status>{tag("attachTime", machine.created)}'
                '<deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>'
            ),
            '<virtualizationType>hvm</virtualizationType><clientToken/>',
            tag('instanceLifecycle', machine.lifecycle or None),
            items('tagSet', sorted(tags.items()), _tag),
            '<hypervisor>xen</hypervisor>',
            items('networkInterfaceSet', (1, 0), lambda index: _interface(machine, index)),
            '<ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport>',
            f'<cpuOptions><coreCount>{cores}</coreCount><threadsPerCore>{threads}</threadsPerCore></cpuOptions>',
            (
                '<capacityReservationSpecification><capacityReservationPreference>open</capacityReservationPreference>'
                '</capacityReservationSpecification><hibernationOptions><configured>false</configured></hibernationOptions>'
            ),
            '<metadataOptions><state>applied</state><httpTokens>required</httpTokens></metadataOptions>',
            tag('platformDetails', tariff.PLATFORMS[machine.operation]),
            tag('usageOperation', machine.operation),
            tag('usageOperationUpdateTime', machine.created),
            tag('outpostArn', OUTPOST if machine.on_outpost else None),
        ]
    )


def _interface(machine: Machine, index: int) -> str:
    # The second interface was attached later. Only the one at index 0 shows the first launch.
    attached = machine.created if index == 0 else machine.started
    return (
        f'<networkInterfaceId>eni-{index}{machine.id[3:]}</networkInterfaceId><status>in-use</status>'
        f'<attachment><attachmentId>eni-attach-{index}{machine.id[3:]}</attachmentId><deviceIndex>{index}</deviceIndex>'
        f'<status>attached</status>{tag("attachTime", attached)}<deleteOnTermination>true</deleteOnTermination>'
        '<networkCardIndex>0</networkCardIndex></attachment>'
    )


def _volume(disk: Disk) -> str:
    attachments = [disk] if disk.machine else []
    return ''.join(
        [
            tag('volumeId', disk.id),
            tag('size', disk.size),
            '<snapshotId/>',
            tag('availabilityZone', disk.zone or f'{disk.region}a'),
            tag('outpostArn', OUTPOST if disk.on_outpost else None),
            tag('status', disk.state),
            tag('createTime', disk.created),
            items('attachmentSet', attachments, _attachment),
            tag('volumeType', disk.kind),
            tag('iops', disk.iops),
            tag('throughput', disk.throughput),
            '<encrypted>true</encrypted><multiAttachEnabled>false</multiAttachEnabled>',
            items('tagSet', sorted(disk.tags.items()), _tag),
        ]
    )


def _attachment(disk: Disk) -> str:
    return (
        f'{tag("volumeId", disk.id)}{tag("instanceId", disk.machine)}<device>/dev/xvda</device>'
        f'<status>attached</status>{tag("attachTime", disk.created)}<deleteOnTermination>true</deleteOnTermination>'
    )


def _snapshot(copy: Copy) -> str:
    return ''.join(
        [
            tag('snapshotId', copy.id),
            tag('volumeId', copy.disk),
            tag('status', copy.state),
            tag('startTime', copy.begun),
            '<progress>100%</progress>',
            tag('ownerId', OWNER),
            tag('volumeSize', copy.size),
            tag('fullSnapshotSizeInBytes', copy.full_bytes),
            '<description>nightly</description><encrypted>true</encrypted>',
            tag('storageTier', 'archive' if copy.archived else 'standard'),
            tag('restoreExpiryTime', copy.restored_until),
            tag('availabilityZone', copy.zone or None),
            tag('outpostArn', OUTPOST if copy.on_outpost else None),
        ]
    )


def _address(pair: tuple[int, bool]) -> str:
    number, used = pair
    association = f'<associationId>eipassoc-{number:017x}</associationId>' if used else ''
    return (
        f'<publicIp>198.51.100.{number}</publicIp><allocationId>eipalloc-{number:017x}</allocationId>'
        f'<domain>vpc</domain>{association}'
    )


def _tag(pair: tuple[str, str]) -> str:
    return tag('key', pair[0]) + tag('value', pair[1])


def _zone(zone: Zone) -> str:
    ordinary = zone.kind == 'availability-zone'
    return ''.join(
        [
            tag('zoneName', zone.name),
            tag('zoneState', 'available'),
            tag('regionName', zone.region),
            tag('zoneType', zone.kind),
            tag('groupName', zone.group),
            tag('networkBorderGroup', zone.border),
            tag('optInStatus', 'opt-in-not-required' if ordinary else 'opted-in'),
            tag('parentZoneName', None if ordinary else f'{zone.region}a'),
            '<messageSet/>',
        ]
    )


def _image(image: Image) -> str:
    return ''.join(
        [
            tag('imageId', image.id),
            tag('imageOwnerId', OWNER),
            tag('imageState', image.state),
            '<isPublic>false</isPublic><architecture>x86_64</architecture><imageType>machine</imageType>',
            items('blockDeviceMapping', image.snapshots, _mapping),
            '<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>',
        ]
    )


def _mapping(snapshot: str) -> str:
    return (
        f'<deviceName>/dev/xvda</deviceName><ebs>{tag("snapshotId", snapshot)}<volumeSize>30</volumeSize>'
        '<deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType></ebs>'
    )


def _capacity(one: Capacity) -> str:
    return ''.join(
        [
            tag('capacityReservationId', one.id),
            tag('ownerId', one.owner or OWNER),
            tag('instanceType', one.kind),
            '<instancePlatform>Linux/UNIX</instancePlatform><tenancy>default</tenancy>',
            tag('availabilityZone', f'{one.region}a'),
            tag('totalInstanceCount', one.total),
            tag('availableInstanceCount', one.available),
            tag('state', one.state),
            tag('reservationType', 'capacity-block' if one.block else 'default'),
            '<endDateType>unlimited</endDateType><instanceMatchCriteria>open</instanceMatchCriteria>',
        ]
    )


def _request(one: SpotRequest) -> str:
    return ''.join(
        [
            tag('spotInstanceRequestId', one.id),
            tag('state', one.state),
            f'<status>{tag("code", one.code)}{tag("updateTime", one.changed)}<message>as told</message></status>',
            tag('type', 'persistent' if one.persistent else 'one-time'),
            f'<launchSpecification>{tag("instanceType", one.kind)}</launchSpecification>',
            tag('launchedAvailabilityZone', f'{one.region}a'),
            '<productDescription>Linux/UNIX</productDescription>',
        ]
    )
