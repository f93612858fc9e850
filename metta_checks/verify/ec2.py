"""EC2's figures through boto3's resource objects, one region after the other, with nothing cached."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import boto3
from botocore.exceptions import ClientError

from . import Figure, Recomputed

Service = Literal['cloudwatch', 'ec2', 'pricing', 'sts']
ALIVE = ('pending', 'running', 'stopping', 'stopped')
HOURS_PER_MONTH = 730
TENANCY = {'default': 'Shared', 'dedicated': 'Dedicated', 'host': 'Host'}
PRICE_LIST = {
    'eu': 'eu-central-1',
    'me': 'eu-central-1',
    'af': 'eu-central-1',
    'il': 'eu-central-1',
    'ap': 'ap-south-1',
}


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return the counts, ages, sizes, idle instances and prices of an instance.

    Prices come from the API whatever the instance's option `prices` says: with `file` or `table` the figures under
    `cost` differ, and with `spot: false` so do those of spot instances.
    """
    return _Recount(instance, now).result()


class _Recount:
    def __init__(self, instance: Mapping[str, Any], now: datetime) -> None:
        self.instance = instance
        self.now = now
        self.requests = 0
        self.regions = list(instance.get('regions') or ())
        self.session = self._session()
        self.session.events.register('before-send', self._count)
        self.tags: tuple[str, ...] = ()
        self.clients: dict[tuple[str, str], Any] = {}
        self.prices: dict[tuple[str, ...], float | None] = {}
        self.types: dict[str, dict[str, Any]] = {}

    def _count(self, **_: Any) -> None:
        self.requests += 1

    def _session(self) -> boto3.Session:
        own = boto3.Session(
            aws_access_key_id=self.instance.get('access_key_id'),
            aws_secret_access_key=self.instance.get('secret_access_key'),
            profile_name=self.instance.get('profile'),
        )
        if not self.instance.get('role_arn'):
            return own
        own.events.register('before-send', self._count)
        region = own.region_name or next(iter(self.instance.get('regions') or ()), 'us-east-1')
        sts = own.client('sts', region_name=region, endpoint_url=self.instance.get('endpoint_url'))
        condition = {'ExternalId': self.instance['external_id']} if self.instance.get('external_id') else {}
        role = sts.assume_role(RoleArn=self.instance['role_arn'], RoleSessionName='metta-checks-verify', **condition)
        keys = role['Credentials']
        return boto3.Session(keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken'])

    def _client(self, service: Service, region: str) -> Any:
        if (service, region) not in self.clients:
            self.clients[service, region] = self.session.client(
                service, region_name=region, endpoint_url=self.instance.get('endpoint_url')
            )
        return self.clients[service, region]

    def result(self) -> Recomputed:
        """Return all figures."""
        home = self.session.region_name or next(iter(self.instance.get('regions') or ()), 'us-east-1')
        self.tags = self._account_tags(home)
        if not self.regions:
            listed = self._client('ec2', home).describe_regions()['Regions']
            self.regions = [region['RegionName'] for region in listed]
        resources = {
            region: self.session.resource('ec2', region_name=region, endpoint_url=self.instance.get('endpoint_url'))
            for region in self.regions
        }
        machines = [
            (region, machine)
            for region, ec2 in resources.items()
            for machine in ec2.instances.all()
            if machine.state['Name'] in ALIVE
        ]
        figures = [
            *self._machines(machines),
            *self._storage(resources.values()),
            *self._idle(machines),
            *self._costs(machines),
        ]
        return Recomputed(tuple(figures), self.requests)

    def _account_tags(self, region: str) -> tuple[str, ...]:
        try:
            identity = self._client('sts', region).get_caller_identity()
        except ClientError:
            return ()
        return (f'account:{identity["Account"]}',)

    def _figure(self, name: str, value: float, *tags: str) -> Figure:
        return Figure(f'metta.ec2.{name}', float(value), tuple(sorted((*self.tags, *tags))))

    @staticmethod
    def _running(machines: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [(region, machine) for region, machine in machines if machine.state['Name'] == 'running']

    def _machines(self, machines: list[tuple[str, Any]]) -> Iterator[Figure]:
        running = self._running(machines)
        yield self._figure('instances.total', len(machines))
        yield self._figure('instances.running', len(running))
        yield self._figure('instances.stopped', sum(machine.state['Name'] == 'stopped' for _, machine in machines))
        yield self._figure('instances.spot', sum(machine.instance_lifecycle == 'spot' for _, machine in running))
        yield self._figure('instances.ondemand', sum(machine.instance_lifecycle is None for _, machine in running))
        accelerated = sum(self._has_accelerator(region, machine.instance_type) for region, machine in running)
        yield self._figure('instances.gpu_count', accelerated)
        yield self._figure('instances.cpu_count', len(running) - accelerated)
        for region in self.regions:
            here = sum(where == region for where, _ in running)
            yield self._figure('region.instances_running', here, f'region:{region}')
        if running:
            ages = [(self.now - self._first_launch(machine)) / timedelta(days=1) for _, machine in running]
            yield self._figure('instances.avg_age_days', sum(ages) / len(ages))
            yield self._figure('instances.oldest_age_days', max(ages))

    @staticmethod
    def _first_launch(machine: Any) -> datetime:
        """Return the time of attachment of the primary network interface; a restart changes only the launch time."""
        launched: datetime = machine.launch_time
        attachments = (interface['Attachment'] for interface in machine.network_interfaces_attribute)
        return next((each['AttachTime'] for each in attachments if each['DeviceIndex'] == 0), launched)

    def _has_accelerator(self, region: str, kind: str) -> bool:
        if kind not in self.types:
            described = self._client('ec2', region).describe_instance_types(InstanceTypes=[kind])
            self.types[kind] = described['InstanceTypes'][0]
        return 'GpuInfo' in self.types[kind] or 'NeuronInfo' in self.types[kind]

    def _storage(self, resources: Collection[Any]) -> Iterator[Figure]:
        yield from self._volumes([volume for ec2 in resources for volume in ec2.volumes.all()])
        yield from self._snapshots([copy for ec2 in resources for copy in ec2.snapshots.filter(OwnerIds=['self'])])
        addresses = [address for ec2 in resources for address in ec2.vpc_addresses.all()]
        yield self._figure('addresses.unassociated', sum(address.association_id is None for address in addresses))

    def _volumes(self, volumes: list[Any]) -> Iterator[Figure]:
        present = [volume for volume in volumes if volume.state not in ('deleting', 'deleted')]
        states = [volume.state for volume in present]
        yield self._figure('ebs.volumes.total', len(present))
        yield self._figure('ebs.volumes.attached', states.count('in-use'))
        yield self._figure('ebs.volumes.unattached', states.count('available'))
        yield self._figure('ebs.volumes.size_gb', sum(volume.size for volume in present))

    def _snapshots(self, snapshots: list[Any]) -> Iterator[Figure]:
        completed = [copy for copy in snapshots if copy.state == 'completed']
        yield self._figure('ebs.snapshots.total', len(completed))
        yield self._figure('ebs.snapshots.size_gb', sum(copy.volume_size for copy in completed))

    # Idle: one request per instance and metric.

    def _idle(self, machines: list[tuple[str, Any]]) -> Iterator[Figure]:
        idle = self.instance.get('idle') or {}
        # YAML reads an unquoted `off` as false.
        if idle.get('source', 'cloudwatch') != 'cloudwatch':
            return
        oldest = self.now - timedelta(hours=idle.get('min_age_hours', 24))
        judged = [(region, machine) for region, machine in self._running(machines) if machine.launch_time <= oldest]
        judged.sort(key=lambda pair: (pair[1].launch_time, pair[1].id))
        found = [
            self._has_accelerator(region, machine.instance_type)
            for region, machine in judged[: idle.get('max_instances', 1000)]
            if self._is_idle(region, machine.id, idle)
        ]
        yield self._figure('instances.idle', found.count(False))
        yield self._figure('instances.gpu_idle', found.count(True))

    def _is_idle(self, region: str, instance_id: str, idle: Mapping[str, Any]) -> bool:
        cpu = self._series(region, instance_id, 'CPUUtilization', 'Maximum')
        received = self._series(region, instance_id, 'NetworkIn', 'Sum')
        sent = self._series(region, instance_id, 'NetworkOut', 'Sum')
        if not (cpu and received and sent):
            return False
        megabytes = (sum(received) + sum(sent)) / 1e6
        cpu_limit: float = idle.get('cpu_max_pct', 5)
        network_limit: float = idle.get('network_max_mb_per_day', 5)
        return max(cpu) < cpu_limit and megabytes < network_limit

    def _series(self, region: str, instance_id: str, name: str, statistic: str) -> list[float]:
        end = self.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        metric = {
            'Namespace': 'AWS/EC2',
            'MetricName': name,
            'Dimensions': [{'Name': 'InstanceId', 'Value': instance_id}],
        }
        answer = self._client('cloudwatch', region).get_metric_data(
            MetricDataQueries=[{'Id': 'm', 'MetricStat': {'Metric': metric, 'Period': 3600, 'Stat': statistic}}],
            StartTime=end - timedelta(days=1),
            EndTime=end,
        )
        values: list[float] = answer['MetricDataResults'][0]['Values']
        return values

    # Prices: one request per (region, type, operation, tenancy), and per (zone, type, product) of the spot market.

    def _costs(self, machines: list[tuple[str, Any]]) -> Iterator[Figure]:
        running = self._running(machines)
        prices = [price for each in running if (price := self._price(*each)) is not None]
        if prices or not running:
            yield self._figure('cost.running_hourly_estimate', sum(prices))
            yield self._figure('cost.monthly_estimate', sum(prices) * HOURS_PER_MONTH)
        yield from self._spot_savings([each for each in running if each[1].instance_lifecycle == 'spot'])
        if running:
            yield self._figure('cost.price_coverage_pct', 100 * len(prices) / len(running))

    def _spot_savings(self, spot: list[tuple[str, Any]]) -> Iterator[Figure]:
        """Compare spot instances with their list price, as far as both prices are known."""
        pairs = [(self._spot_price(*each), self._list_price(*each)) for each in spot]
        known = [(price, listed) for price, listed in pairs if price is not None and listed is not None]
        if known:
            paid, listed_sum = sum(price for price, _ in known), sum(listed for _, listed in known)
            yield self._figure('cost.spot_savings_pct', 100 * (1 - paid / listed_sum))

    def _price(self, region: str, machine: Any) -> float | None:
        """Return USD per hour: the spot price of a spot instance, the list price of any other."""
        if machine.instance_lifecycle == 'spot':
            return self._spot_price(region, machine)
        return self._list_price(region, machine)

    def _list_price(self, region: str, machine: Any) -> float | None:
        operation = getattr(machine, 'usage_operation', None) or 'RunInstances'
        tenancy = TENANCY[machine.placement.get('Tenancy', 'default')]
        key = (region, machine.instance_type, operation, tenancy)
        if key not in self.prices:
            self.prices[key] = self._ask_price_list(*key)
        return self.prices[key]

    def _ask_price_list(self, region: str, kind: str, operation: str, tenancy: str) -> float | None:
        wanted = {
            'regionCode': region,
            'instanceType': kind,
            'operation': operation,
            'tenancy': tenancy,
            'capacitystatus': 'Used',
            'marketoption': 'OnDemand',
        }
        where = 'cn-northwest-1' if region.startswith('cn-') else PRICE_LIST.get(region.split('-')[0], 'us-east-1')
        pages = (
            self._client('pricing', where)
            .get_paginator('get_products')
            .paginate(
                ServiceCode='AmazonEC2',
                Filters=[{'Type': 'TERM_MATCH', 'Field': field, 'Value': value} for field, value in wanted.items()],
            )
        )
        found = {
            float(dimension['pricePerUnit']['USD'])
            for page in pages
            for product in map(json.loads, page['PriceList'])
            for term in product['terms'].get('OnDemand', {}).values()
            for dimension in term['priceDimensions'].values()
            if dimension['unit'] == 'Hrs'
        } - {0.0}
        return found.pop() if len(found) == 1 else None

    def _spot_price(self, region: str, machine: Any) -> float | None:
        product = getattr(machine, 'platform_details', None) or 'Linux/UNIX'
        zone = machine.placement['AvailabilityZone']
        key = ('spot', zone, machine.instance_type, product)
        if key not in self.prices:
            history = self._client('ec2', region).describe_spot_price_history(
                InstanceTypes=[machine.instance_type],
                ProductDescriptions=[product, f'{product} (Amazon VPC)'],
                AvailabilityZone=zone,
                StartTime=self.now,
                EndTime=self.now,
            )['SpotPriceHistory']
            newest = max(history, key=lambda change: change['Timestamp'], default=None)
            self.prices[key] = None if newest is None else float(newest['SpotPrice'])
        return self.prices[key]
