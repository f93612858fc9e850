"""Reads AWS: one method per need, records out. Lists come page by page; raw pages are never kept."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from ..core.errors import SHAPE_ERRORS, BadPayload, Rejected, SourceError, Unauthorized
from ..core.stats import is_finite
from ..core.times import format_time
from . import records
from .aws import Aws
from .pricing import OnDemandKey, Product
from .records import Instance, InstanceType, Snapshot, SpotPrice, Utilization, Volume

T = TypeVar('T')

STATES = ('pending', 'running', 'stopping', 'stopped')
INSTANCES_PER_PAGE = 1000
VOLUMES_PER_PAGE = 500
SNAPSHOTS_PER_PAGE = 1000
TYPES_PER_CALL = 100
# GetMetricData takes 500 queries; three are needed per instance.
QUERIES_PER_CALL = 500
METRICS = (('CPUUtilization', 'Maximum'), ('NetworkIn', 'Sum'), ('NetworkOut', 'Sum'))
HOUR = 3600
# The price list has no endpoint in other regions. Key: how the region begins.
PRICE_LIST_REGIONS = {
    'aws': {'eu': 'eu-central-1', 'me': 'eu-central-1', 'af': 'eu-central-1', 'il': 'eu-central-1', 'ap': 'ap-south-1'},
    'aws-cn': {'cn': 'cn-northwest-1'},
}
BILLED_SERVICES = ('Amazon Elastic Compute Cloud - Compute', 'EC2 - Other')


class Client:
    """The account behind `aws`. All methods raise a SourceError."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    # The account.

    def key(self) -> str:
        """The access key in use."""
        return self._aws.key()

    def account(self) -> str:
        """The 12 digits of the account. Needs no permission."""
        answer = self._aws.call('sts', self._aws.home, 'get_caller_identity')
        return _required(answer, 'Account', str, 'sts:GetCallerIdentity')

    def regions(self) -> list[str]:
        """The regions that are enabled for the account."""
        answer = self._aws.call('ec2', self._aws.home, 'describe_regions')
        found = _objects(answer, 'Regions', 'ec2:DescribeRegions')
        # Without its name a region is none.
        names = (region.get('RegionName') for region in found if region.get('OptInStatus') != 'not-opted-in')
        return sorted(name for name in names if isinstance(name, str) and name)

    def may(self, region: str, operation: str) -> None:
        """Raises a SourceError when a read of EC2 (`describe_volumes`) is not allowed. Reads nothing."""
        with self._in_region(region):
            self._aws.dry_run(region, operation)

    # What is there.

    def instances(self, region: str, tag_keys: Collection[str] = ()) -> Iterator[Instance]:
        """Instances that are not terminated or about to be."""
        pages = self._pages(
            region,
            'describe_instances',
            'Reservations',
            INSTANCES_PER_PAGE,
            Filters=[{'Name': 'instance-state-name', 'Values': list(STATES)}],
        )
        for reservation in pages:
            for raw in _objects(reservation, 'Instances', 'ec2:DescribeInstances'):
                yield records.Instance.parse(raw, region, tag_keys)

    def types(self, region: str, names: Iterable[str]) -> Iterator[tuple[str, InstanceType]]:
        """Name and contents of those types that AWS still knows."""
        for some in _batches(sorted(names), TYPES_PER_CALL):
            # A filter leaves out what it does not know; the parameter InstanceTypes would refuse the whole call.
            pages = self._pages(
                region,
                'describe_instance_types',
                'InstanceTypes',
                TYPES_PER_CALL,
                Filters=[{'Name': 'instance-type', 'Values': some}],
            )
            for raw in pages:
                yield records.InstanceType.parse(raw)

    def volumes(self, region: str) -> Iterator[Volume]:
        """All volumes."""
        for raw in self._pages(region, 'describe_volumes', 'Volumes', VOLUMES_PER_PAGE):
            yield records.Volume.parse(raw, region)

    def snapshots(self, region: str) -> Iterator[Snapshot]:
        """The account's own snapshots; without the owner, AWS would list every public one."""
        for raw in self._pages(region, 'describe_snapshots', 'Snapshots', SNAPSHOTS_PER_PAGE, OwnerIds=['self']):
            yield records.Snapshot.parse(raw, region)

    def addresses(self, region: str) -> list[bool]:
        """For each Elastic IP address whether it is associated."""
        with self._in_region(region):
            answer = self._aws.call('ec2', region, 'describe_addresses')
        found = _objects(answer, 'Addresses', 'ec2:DescribeAddresses')
        return [bool(address.get('AssociationId') or address.get('InstanceId')) for address in found]

    # What it costs.

    def spot_prices(
        self, region: str, types: Collection[str], products: Collection[str], at: datetime
    ) -> Iterator[SpotPrice]:
        """Yield the prices in force at a time; of several of a kind the newest counts.

        For an empty window AWS returns the last change before it.
        """
        yield from map(
            records.SpotPrice.parse,
            self._pages(
                region,
                'describe_spot_price_history',
                'SpotPriceHistory',
                1000,
                InstanceTypes=sorted(types),
                ProductDescriptions=[
                    name for product in sorted(products) for name in (product, f'{product} (Amazon VPC)')
                ],
                StartTime=format_time(at),
                EndTime=format_time(at),
            ),
        )

    def has_price_list(self, region: str) -> bool:
        """Whether the partition of a region has a price list API."""
        return self._aws.partition(region) in PRICE_LIST_REGIONS

    def ondemand_products(self, key: OnDemandKey) -> Iterator[Product]:
        """What the price list has for instances of a kind."""
        return self._products(
            key.region,
            instanceType=key.instance_type,
            operation=key.operation,
            tenancy=key.tenancy,
            capacitystatus='Used',
            marketoption='OnDemand',
        )

    def volume_products(self, region: str, volume_type: str) -> Iterator[Product]:
        """What the price list has for volumes of a type: size, IOPS, throughput."""
        return self._products(region, volumeApiName=volume_type)

    def snapshot_products(self, region: str) -> Iterator[Product]:
        """What the price list has for snapshots."""
        return self._products(region, productFamily='Storage Snapshot')

    def billed(self, day: date) -> float:
        """USD billed for EC2 on a day (UTC), unblended, all regions. AWS bills $0.01 for the question."""
        answer = self._aws.call(
            'ce',
            # Cost Explorer knows one region per partition.
            'cn-northwest-1' if self._aws.partition(self._aws.home) == 'aws-cn' else 'us-east-1',
            'get_cost_and_usage',
            TimePeriod={'Start': day.isoformat(), 'End': (day + timedelta(days=1)).isoformat()},
            Granularity='DAILY',
            Metrics=['UnblendedCost'],
            Filter={'Dimensions': {'Key': 'SERVICE', 'Values': list(BILLED_SERVICES)}},
        )
        try:
            cost = answer['ResultsByTime'][0]['Total']['UnblendedCost']
            amount, unit = float(cost['Amount']), str(cost['Unit'])
        except SHAPE_ERRORS as error:
            raise BadPayload('ce:GetCostAndUsage answered without a total for the day') from error
        if unit != 'USD':
            raise BadPayload(f'ce:GetCostAndUsage answered in {unit[:20]}, not in USD')
        return amount

    # How busy it is.

    def utilization(self, region: str, ids: Sequence[str], end: datetime) -> dict[str, Utilization]:
        """CPU and network of the last 24 full hours before `end`. AWS bills $0.01 per 1,000 metrics, 3 per instance."""
        end = end.replace(minute=0, second=0, microsecond=0)
        result = {}
        for some in _batches(ids, QUERIES_PER_CALL // len(METRICS)):
            values = self._metric_values(region, some, end - timedelta(days=1), end)
            for instance_id in some:
                cpu, received, sent = (values[instance_id, metric] for metric, _ in METRICS)
                complete = bool(received and sent)
                result[instance_id] = Utilization(
                    max(cpu, default=None), sum(received) + sum(sent) if complete else None
                )
        return result

    def _metric_values(
        self, region: str, ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[tuple[str, str], list[float]]:
        asked = {
            f'q{number}': (instance_id, metric, statistic)
            for number, (instance_id, (metric, statistic)) in enumerate(
                (instance_id, metric) for instance_id in ids for metric in METRICS
            )
        }
        queries = [
            {
                'Id': query,
                'MetricStat': {
                    'Metric': {
                        'Namespace': 'AWS/EC2',
                        'MetricName': metric,
                        'Dimensions': [{'Name': 'InstanceId', 'Value': instance_id}],
                    },
                    'Period': HOUR,
                    'Stat': statistic,
                },
            }
            for query, (instance_id, metric, statistic) in asked.items()
        ]
        values: dict[tuple[str, str], list[float]] = {name[:2]: [] for name in asked.values()}
        what = 'cloudwatch:GetMetricData'
        pages = self._aws.pages(
            'cloudwatch', region, 'get_metric_data', MetricDataQueries=queries, StartTime=start, EndTime=end
        )
        for page in pages:
            for result in _objects(page, 'MetricDataResults', what):
                if result.get('StatusCode') in ('InternalError', 'Forbidden'):
                    raise BadPayload(f'{what} in {region} could not compute a metric ({result["StatusCode"]})')
                if str(result.get('Id')) not in asked:
                    raise BadPayload(f'{what} in {region} answered what was not asked')
                numbers = result.get('Values') or []
                if not isinstance(numbers, list) or not all(map(is_finite, numbers)):
                    raise BadPayload(f'{what} in {region} answered values that are no numbers')
                values[asked[str(result['Id'])][:2]] += numbers
        return values

    def idle_recommendations(self, region: str) -> list[str]:
        """Ids of the instances that Compute Optimizer finds idle. Free; the account must have opted in."""
        answers = self._aws.pages(
            'compute-optimizer',
            region,
            'get_idle_recommendations',
            token='nextToken',
            filters=[{'name': 'ResourceType', 'values': ['EC2Instance']}],
        )
        return [
            str(item.get('resourceId') or item.get('resourceArn') or '').rpartition('/')[2]
            for answer in answers
            for item in _objects(answer, 'idleRecommendations', 'compute-optimizer:GetIdleRecommendations')
            if item.get('finding') == 'Idle'
        ]

    # Inside.

    def _pages(self, region: str, operation: str, key: str, page_size: int, **parameters: Any) -> Iterator[Any]:
        what = f'ec2:{"".join(word.capitalize() for word in operation.split("_"))}'
        with self._in_region(region):
            for page in self._aws.pages('ec2', region, operation, **parameters, MaxResults=page_size):
                yield from _objects(page, key, f'{what} in {region}')

    def _products(self, region: str, **fields: str) -> Iterator[Product]:
        filters = {'regionCode': region, **fields}
        pages = self._aws.pages(
            'pricing',
            price_list_region(self._aws.partition(region), region),
            'get_products',
            ServiceCode='AmazonEC2',
            Filters=[{'Type': 'TERM_MATCH', 'Field': field, 'Value': value} for field, value in filters.items()],
        )
        for page in pages:
            for text in _required(page, 'PriceList', list, 'pricing:GetProducts'):
                try:
                    yield Product.parse(json.loads(text))
                except (ValueError, TypeError, RecursionError) as error:
                    raise BadPayload('pricing:GetProducts answered a product that cannot be read') from error

    @contextmanager
    def _in_region(self, region: str) -> Iterator[None]:
        """Tells credentials that are bad from a region that is not enabled: AWS refuses both in the same words."""
        try:
            yield
        except Unauthorized as error:
            if not self._accepted():
                raise
            raise Rejected(
                f'region {region} is not enabled for this account; enable it, or leave it out of option `regions`',
                reason='region_not_enabled',
            ) from error

    def _accepted(self) -> bool:
        try:
            self.account()
        except SourceError:
            return False
        return True


def price_list_region(partition: str, region: str) -> str:
    """Where the price list is asked for a region: the nearest endpoint of the partition."""
    return PRICE_LIST_REGIONS.get(partition, {}).get(region.partition('-')[0], 'us-east-1')


def _required(answer: Mapping[str, Any], key: str, kind: type[T], what: str) -> T:
    """Return what every answer has, even when there is nothing. Raises BadPayload: its absence is not a zero."""
    value = answer.get(key)
    if not isinstance(value, kind):
        raise BadPayload(f'{what} answered without {key}: is there a proxy in between, or an emulator?')
    return value


def _objects(answer: Mapping[str, Any], key: str, what: str) -> list[Mapping[str, Any]]:
    """Return a list of objects that every answer has. Raises BadPayload."""
    found = _required(answer, key, list, what)
    if not all(isinstance(item, Mapping) for item in found):
        raise BadPayload(f'{what} answered {key} that are no objects: is there a proxy in between, or an emulator?')
    return found


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
