"""The requests to AWS; yields records. Lists are read page by page, and raw pages are not kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from ..core import bounded_json
from ..core.errors import BadPayload, Rejected, SourceError, Unauthorized
from ..core.fields import Contract, items, mapping, objects, text
from ..core.paging import Page
from ..core.times import format_time
from . import endpoints
from .aws import Aws
from .capacity import INTERRUPTED, Interruption, Reservation
from .price_list import Product
from .prices import OnDemandKey
from .records import (
    AWS,
    COMPLETE,
    EC2_INSTANCE,
    HINT,
    Address,
    IdleRecommendation,
    Instance,
    InstanceType,
    MetricValues,
    Reading,
    RecommendationError,
    Region,
    Snapshot,
    SpotPrice,
    Volume,
    Zone,
    image_snapshots,
    messages,
)
from .sdk_errors import Call

T = TypeVar('T')

STATES = ('pending', 'running', 'stopping', 'stopped')
INSTANCES_PER_PAGE = 1000
VOLUMES_PER_PAGE = 500
SNAPSHOTS_PER_PAGE = 1000
IMAGES_PER_PAGE = 1000
REQUESTS_PER_PAGE = 1000
RESERVATIONS_PER_PAGE = 1000
SPOT_PRICES_PER_PAGE = 1000
TYPES_PER_CALL = 100
# GetMetricData takes 500 queries; an instance needs one per metric.
QUERIES_PER_CALL = 500
METRICS = (('CPUUtilization', 'Maximum'), ('NetworkIn', 'Sum'), ('NetworkOut', 'Sum'))
HOUR_SECONDS = 3600
DAY = timedelta(days=1)
# The reason of the error for a region that the account cannot use.
NOT_ENABLED = 'region_not_enabled'


class Client:
    """The requests of the source, for one account. Every method raises a SourceError."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    # The account.

    def key(self) -> str:
        """Return the access key in use."""
        return self._aws.key()

    def account(self) -> str:
        """Return the 12 digits of the account. Needs no permission."""
        call = Call('sts', self._aws.home, 'get_caller_identity')
        return _contract(call).required(text, self._aws.call(*call), 'Account', 'answer')

    def regions(self) -> list[str]:
        """Return the names of the regions that are enabled for the account."""
        call = Call('ec2', self._aws.home, 'describe_regions')
        regions = map(Region.parse, _list(self._aws.call(*call), 'Regions', call))
        return sorted(region.name for region in regions if region.is_enabled)

    def check_permission(self, region: str, operation: str) -> None:
        """Check that a read operation of EC2 (`describe_volumes`) is allowed. Reads no data."""
        with self._in_region(region):
            self._aws.dry_run(region, operation)

    # The resources.

    def instances(self, region: str, tag_keys: Collection[str] = ()) -> Iterator[Instance]:
        """Yield the instances that are not terminated or shutting down."""
        filters = [{'Name': 'instance-state-name', 'Values': list(STATES)}]
        call = Call('ec2', region, 'describe_instances')
        launches = self._rows(call, 'Reservations', Filters=filters, MaxResults=INSTANCES_PER_PAGE)
        rows = (raw for launch in launches for raw in _list(launch, 'Instances', call))
        for raw in _distinct(rows, 'InstanceId'):
            yield Instance.parse(raw, region, tag_keys)

    def types(self, region: str, names: Iterable[str]) -> Iterator[tuple[str, InstanceType]]:
        """Yield name and equipment of the types that AWS describes."""
        call = Call('ec2', region, 'describe_instance_types')
        for batch in _batches(sorted(names), TYPES_PER_CALL):
            # The parameter InstanceTypes would refuse the whole call for an unknown name. A filter leaves it out.
            filters = [{'Name': 'instance-type', 'Values': batch}]
            rows = self._rows(call, 'InstanceTypes', Filters=filters, MaxResults=TYPES_PER_CALL)
            yield from map(InstanceType.parse, rows)

    def zones(self, region: str) -> list[Zone]:
        """Return the zones of a region, Local Zones and Wavelength Zones included."""
        call = Call('ec2', region, 'describe_availability_zones')
        with self._in_region(region):
            answer = self._aws.call(*call, AllAvailabilityZones=True)
        return [Zone.parse(raw, region) for raw in _list(answer, 'AvailabilityZones', call)]

    def volumes(self, region: str, tag_keys: Collection[str] = ()) -> Iterator[Volume]:
        """Yield all volumes."""
        rows = self._rows(Call('ec2', region, 'describe_volumes'), 'Volumes', MaxResults=VOLUMES_PER_PAGE)
        for raw in _distinct(rows, 'VolumeId'):
            yield Volume.parse(raw, region, tag_keys)

    def snapshot_pages(self, region: str, start: str | None = None) -> Iterator[Page[Snapshot]]:
        """Yield the snapshots that the account owns, page by page, from a cursor on.

        Without the owner, AWS would list all public snapshots.
        """
        call = Call('ec2', region, 'describe_snapshots')
        with self._in_region(region):
            for answer in self._aws.pages(call, start=start, OwnerIds=['self'], MaxResults=SNAPSHOTS_PER_PAGE):
                rows = [Snapshot.parse(raw, region) for raw in _list(answer, 'Snapshots', call)]
                yield Page(rows, cursor=_contract(call).optional(text, answer, 'NextToken'))

    def image_snapshots(self, region: str) -> set[str]:
        """Return the ids of the snapshots that images of the account need, disabled images included."""
        call = Call('ec2', region, 'describe_images')
        rows = self._rows(call, 'Images', Owners=['self'], IncludeDisabled=True, MaxResults=IMAGES_PER_PAGE)
        return {snapshot_id for raw in rows for snapshot_id in image_snapshots(raw)}

    def addresses(self, region: str) -> list[Address]:
        """Return the Elastic IP addresses."""
        call = Call('ec2', region, 'describe_addresses')
        with self._in_region(region):
            return [Address.parse(raw) for raw in _list(self._aws.call(*call), 'Addresses', call)]

    def reservations(self, region: str, account: str) -> Iterator[Reservation]:
        """Yield the capacity reservations of an account that are in force. Others may share theirs with it."""
        filters = [{'Name': 'owner-id', 'Values': [account]}, {'Name': 'state', 'Values': ['active']}]
        call = Call('ec2', region, 'describe_capacity_reservations')
        rows = self._rows(call, 'CapacityReservations', Filters=filters, MaxResults=RESERVATIONS_PER_PAGE)
        yield from map(Reservation.parse, _distinct(rows, 'CapacityReservationId'))

    def interruptions(self, region: str) -> Iterator[Interruption]:
        """Yield the interruptions that AWS still lists, as the status of the requests for spot instances."""
        filters = [{'Name': 'status-code', 'Values': list(INTERRUPTED)}]
        call = Call('ec2', region, 'describe_spot_instance_requests')
        rows = self._rows(call, 'SpotInstanceRequests', Filters=filters, MaxResults=REQUESTS_PER_PAGE)
        yield from map(Interruption.parse, rows)

    # The prices.

    def spot_prices(
        self, region: str, types: Collection[str], products: Collection[str], at: datetime
    ) -> Iterator[SpotPrice]:
        """Yield the price changes in force at a time. Of several changes of one price, the newest one counts.

        For an empty window, AWS returns the last change before it.
        """
        rows = self._rows(
            Call('ec2', region, 'describe_spot_price_history'),
            'SpotPriceHistory',
            InstanceTypes=sorted(types),
            ProductDescriptions=[name for product in sorted(products) for name in (product, f'{product} (Amazon VPC)')],
            StartTime=format_time(at),
            EndTime=format_time(at),
            MaxResults=SPOT_PRICES_PER_PAGE,
        )
        yield from map(SpotPrice.parse, rows)

    def has_price_list(self, region: str) -> bool:
        """Return whether the partition of a region has a price list API."""
        return endpoints.has_price_list(self._aws.partition(region))

    def ondemand_products(self, key: OnDemandKey) -> Iterator[Product]:
        """Yield the products of the price list for an instance."""
        return self._products(
            key.region,
            key.place,
            instanceType=key.instance_type,
            operation=key.operation,
            tenancy=key.tenancy,
            capacitystatus='Used',
            marketoption='OnDemand',
        )

    def volume_products(self, region: str, place: str, volume_type: str) -> Iterator[Product]:
        """Yield the products of the price list for a volume type: size, IOPS and throughput."""
        return self._products(region, place, volumeApiName=volume_type)

    def snapshot_products(self, region: str, place: str) -> Iterator[Product]:
        """Yield the products of the price list for snapshots."""
        return self._products(region, place, productFamily='Storage Snapshot')

    # The utilization.

    def utilization(self, region: str, ids: Sequence[str], end: datetime) -> dict[str, Reading]:
        """Return CPU and network of the last 24 full hours before `end`, by instance id.

        AWS bills $0.01 per 1,000 metrics; an instance needs 3.
        """
        end = end.replace(minute=0, second=0, microsecond=0)
        result: dict[str, Reading] = {}
        for batch in _batches(ids, QUERIES_PER_CALL // len(METRICS)):
            values = self._metric_values(region, batch, end - DAY, end)
            for instance_id in batch:
                result[instance_id] = Reading.of(*(values[instance_id, metric] for metric, _ in METRICS))
        return result

    def _metric_values(
        self, region: str, ids: Iterable[str], start: datetime, end: datetime
    ) -> dict[tuple[str, str], MetricValues]:
        """Return the hourly values by instance id and metric."""
        asked = {f'q{number}': one for number, one in enumerate((i, *metric) for i in ids for metric in METRICS)}
        values: dict[str, MetricValues] = {}
        stated = ''
        call = Call('cloudwatch', region, 'get_metric_data')
        queries = [_metric_query(query, *one) for query, one in asked.items()]
        for page in self._aws.pages(call, MetricDataQueries=queries, StartTime=start, EndTime=end):
            stated = stated or messages(page)
            for raw in _list(page, 'MetricDataResults', call):
                found = MetricValues.parse(raw, has_next_page=bool(page.get('NextToken')))
                if found.query not in asked:
                    raise BadPayload(f'{call} sent a result of another query')
                known = values.get(found.query)
                values[found.query] = found if known is None else known.joined(found)
        # AWS executes as much as it can of an operation that it has a message about.
        for query in asked.keys() - values.keys():
            values[query] = MetricValues(query, (), 'NoResult' if stated else COMPLETE, stated)
        return {(instance_id, metric): values[query] for query, (instance_id, metric, _) in asked.items()}

    def idle_recommendations(self, region: str) -> Iterator[IdleRecommendation | RecommendationError]:
        """Yield the findings of Compute Optimizer on instances. Free; the account must have opted in."""
        call = Call('compute-optimizer', region, 'get_idle_recommendations')
        filters = [{'name': 'ResourceType', 'values': [EC2_INSTANCE]}]
        for page in self._aws.pages(call, token='nextToken', filters=filters):
            yield from map(IdleRecommendation.parse, _list(page, 'idleRecommendations', call))
            yield from map(RecommendationError.parse, AWS.parts(page, 'errors'))

    # Requests.

    def _rows(self, call: Call, key: str, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a list. Some come twice when AWS no longer takes a cursor: the list then begins again."""
        with self._in_region(call.region):
            for page in self._pages(call, **parameters):
                yield from _list(page, key, call)

    def _pages(self, call: Call, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        has_begun = False
        try:
            for page in self._aws.pages(call, **parameters):
                has_begun = True
                yield page
        except Rejected:
            if not has_begun:
                raise
            yield from self._aws.pages(call, **parameters)

    def _products(self, region: str, place: str, **fields: str) -> Iterator[Product]:
        call = Call('pricing', endpoints.price_list_region(self._aws.partition(region), region), 'get_products')
        filters = [
            {'Type': 'TERM_MATCH', 'Field': field, 'Value': value}
            for field, value in {'regionCode': place, **fields}.items()
        ]
        for page in self._aws.pages(call, ServiceCode='AmazonEC2', Filters=filters):
            for document in _contract(call).required(items, page, 'PriceList', 'answer'):
                yield Product.parse(_decoded(document))

    @contextmanager
    def _in_region(self, region: str) -> Iterator[None]:
        """Raise Rejected for a region that is not enabled. AWS refuses it in the same words as bad credentials."""
        try:
            yield
        except Unauthorized as error:
            if not self._has_valid_credentials():
                raise
            raise Rejected(
                f'region {region} is not enabled for this account; enable it, or leave it out of option `regions`',
                reason=NOT_ENABLED,
            ) from error

    def _has_valid_credentials(self) -> bool:
        try:
            self.account()
        except SourceError:
            return False
        return True


def _contract(call: Call) -> Contract:
    return Contract(str(call), HINT)


def _list(answer: Mapping[str, Any], key: str, call: Call) -> list[Mapping[str, Any]]:
    """Return a list of objects that every answer has. Raises BadPayload: a missing list is not an empty one."""
    return _contract(call).required(objects, answer, key, 'answer')


def _distinct(rows: Iterable[Mapping[str, Any]], identity: str) -> Iterator[Mapping[str, Any]]:
    """Yield each resource once. AWS may repeat rows of a list that changes while its pages are read.

    Raises BadPayload for a row without its identity.
    """
    seen: set[str] = set()
    for row in rows:
        found = AWS.required(text, row, identity, 'resource')
        if found not in seen:
            seen.add(found)
            yield row


def _decoded(document: Any) -> Mapping[str, Any]:
    """Return a product of the price list, which is JSON inside of JSON. Raises BadPayload."""
    try:
        product = mapping(bounded_json.loads(document)) if isinstance(document, str) else None
    except (ValueError, RecursionError):
        product = None
    if product is None:
        raise BadPayload('pricing:GetProducts sent a product that is not a JSON object')
    return product


def _metric_query(query: str, instance_id: str, metric: str, statistic: str) -> dict[str, Any]:
    return {
        'Id': query,
        'MetricStat': {
            'Metric': {
                'Namespace': 'AWS/EC2',
                'MetricName': metric,
                'Dimensions': [{'Name': 'InstanceId', 'Value': instance_id}],
            },
            'Period': HOUR_SECONDS,
            'Stat': statistic,
        },
    }


def _batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
