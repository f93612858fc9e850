"""EC2's figures through boto3's resource objects, one region after the other, with nothing cached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
        try:
            self.tags = (f'account:{self._client("sts", home).get_caller_identity()["Account"]}',)
        except ClientError:
            self.tags = ()
        if not self.regions:
            listed = self._client('ec2', home).describe_regions()['Regions']
            self.regions = [region['RegionName'] for region in listed]
        resources = {
            region: self.session.resource('ec2', region_name=region, endpoint_url=self.instance.get('endpoint_url'))
            for region in self.regions
        }
        machines = [(region, machine) for region, ec2 in resources.items() for machine in ec2.instances.all()]
        machines = [(region, machine) for region, machine in machines if machine.state['Name'] in ALIVE]
        figures = [
            *self._machines(machines),
            *self._storage(resources),
            *self._idle(machines),
            *self._costs(machines),
        ]
        return Recomputed(tuple(figures), self.requests)

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

    def _storage(self, resources: Mapping[str, Any]) -> Iterator[Figure]:
        volumes = [volume for ec2 in resources.values() for volume in ec2.volumes.all()]
        volumes = [volume for volume in volumes if volume.state not in ('deleting', 'deleted')]
        snapshots = [copy for ec2 in resources.values() for copy in ec2.snapshots.filter(OwnerIds=['self'])]
        snapshots = [copy for copy in snapshots if copy.state == 'completed']
        addresses = [address for ec2 in resources.values() for address in ec2.vpc_addresses.all()]
        yield self._figure('ebs.volumes.total', len(volumes))
        yield self._figure('ebs.volumes.attached', sum(volume.state == 'in-use' for volume in volumes))
        yield self._figure('ebs.volumes.unattached', sum(volume.state == 'available' for volume in volumes))
        yield self._figure('ebs.volumes.size_gb', sum(volume.size for volume in volumes))
        yield self._figure('ebs.snapshots.total', len(snapshots))
        yield self._figure('ebs.snapshots.size_gb', sum(copy.volume_size for copy in snapshots))
        yield self._figure('addresses.unassociated', sum(address.association_id is None for address in addresses))

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
        prices, spot_pairs = [], []
        for region, machine in running:
            listed = self._list_price(region, machine)
            price = self._spot_price(region, machine) if machine.instance_lifecycle == 'spot' else listed
            if price is not None:
                prices.append(price)
                if machine.instance_lifecycle == 'spot' and listed is not None:
                    spot_pairs.append((price, listed))
        if prices or not running:
            yield self._figure('cost.running_hourly_estimate', sum(prices))
            yield self._figure('cost.monthly_estimate', sum(prices) * HOURS_PER_MONTH)
        if spot_pairs:
            spot, listed = (sum(pair[index] for pair in spot_pairs) for index in (0, 1))
            yield self._figure('cost.spot_savings_pct', 100 * (1 - spot / listed))
        if running:
            yield self._figure('cost.price_coverage_pct', 100 * len(prices) / len(running))

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
