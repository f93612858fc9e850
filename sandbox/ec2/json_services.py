"""The services with a JSON protocol: price list, CloudWatch, Compute Optimizer, and Cost Explorer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from . import ec2_protocol, tariff
from .cost_explorer import CostExplorer
from .ec2_protocol import AwsError
from .estate import Estate, Machine

QUERIES, DATAPOINTS = 500, 100_800
HOUR = timedelta(hours=1)
# Highest CPU utilization in percent and bytes per hour, by the load of a machine.
LOADS = {
    'busy': (90.0, 4e9),
    'chatty': (3.5, 20e6),
    **dict.fromkeys(('idle', 'spiky', 'gap', 'gaps', 'deaf'), (3.5, 60_000.0)),
}
# Hours of the day for which CloudWatch has no data, by load.
GAPS = {'gap': (4,), 'gaps': (4, 11)}


class JsonServices:
    """The operations of these services, by `service:Operation`."""

    def __init__(self, estate: Estate, regions: tuple[str, ...], ambiguous: str, cost_explorer: CostExplorer) -> None:
        self.estate = estate
        self.products = list(tariff.products(regions, ambiguous))
        # Number of values on a page of metric data. AWS has 100,800.
        self.datapoints = DATAPOINTS
        # The status and the message of CloudWatch for machines that it cannot read, by id.
        self.unread: dict[str, tuple[str, str]] = {}
        # A message about a whole answer of CloudWatch, and the machines for which it has no result, by id.
        self.message = ''
        self.left_out: set[str] = set()
        self.opted_in = True
        # Elements of `errors`, with which Compute Optimizer says that it cannot read a thing, by region.
        self.recommendation_errors: dict[str, list[dict[str, str]]] = {}
        self.operations = {
            'pricing:GetProducts': self.get_products,
            'cloudwatch:GetMetricData': self.get_metric_data,
            'compute-optimizer:GetIdleRecommendations': self.idle_recommendations,
            **cost_explorer.operations,
        }

    def get_products(self, _: str, body: Mapping[str, Any], __: datetime) -> dict[str, Any]:
        """Return products as JSON texts, at most 100 per page."""
        if body.get('ServiceCode') != 'AmazonEC2':
            raise AwsError('InvalidParameterException', 'unknown service code')
        found = [product for product in self.products if all(_fits(product, rule) for rule in body.get('Filters', ()))]
        shown, token = ec2_protocol.page(found, body.get('NextToken'), body.get('MaxResults', 100), least=1, most=100)
        answer: dict[str, Any] = {'FormatVersion': 'aws_v1', 'PriceList': [json.dumps(product) for product in shown]}
        return {**answer, 'NextToken': token} if token else answer

    def get_metric_data(self, region: str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return hourly values per query. Values beyond the size of a page are on the next page."""
        if len(body['MetricDataQueries']) > QUERIES:
            raise AwsError('ValidationError', f'at most {QUERIES} queries')
        queries = [query for query in body['MetricDataQueries'] if _machine_id(query) not in self.left_out]
        machines = {machine.id: machine for machine in self.estate.machines if machine.region == region}
        start, end = (datetime.fromtimestamp(body[name], UTC) for name in ('StartTime', 'EndTime'))
        rows: list[tuple[str, datetime | None, float]] = []
        for query in queries:
            machine = machines.get(_machine_id(query))
            statistic = query['MetricStat']['Metric']['MetricName'], query['MetricStat']['Stat']
            points = list(series(machine, statistic, start, min(end, now))) if machine else []
            rows += [(query['Id'], at, value) for at, value in points] or [(query['Id'], None, 0.0)]
        shown, token = ec2_protocol.page(rows, body.get('NextToken'), self.datapoints, least=1, most=DATAPOINTS)
        results: dict[str, dict[str, Any]] = {}
        for name, at, value in shown:
            result = results.setdefault(
                name, {'Id': name, 'Label': name, 'StatusCode': 'Complete', 'Timestamps': [], 'Values': []}
            )
            if at is not None:
                result['Timestamps'].append(at.timestamp())
                result['Values'].append(value)
        if token and shown:
            results[shown[-1][0]]['StatusCode'] = 'PartialData'
        for query in queries:
            if _machine_id(query) in self.unread and query['Id'] in results:
                code, message = self.unread[_machine_id(query)]
                results[query['Id']] |= {'StatusCode': code, 'Messages': [{'Code': code, 'Value': message}]}
        told = [{'Code': 'Warning', 'Value': self.message}] if self.message else []
        answer: dict[str, Any] = {'MetricDataResults': list(results.values()), 'Messages': told}
        return {**answer, 'NextToken': token} if token else answer

    def idle_recommendations(self, region: str, body: Mapping[str, Any], _: datetime) -> dict[str, Any]:
        """Return idle running machines for accounts that opted in, five per page."""
        if not self.opted_in:
            raise AwsError('OptInRequiredException', 'not registered for recommendations')
        idle = [m for m in self.estate.machines if m.region == region and m.state == 'running' and m.load == 'idle']
        shown, token = ec2_protocol.page(idle, body.get('nextToken'), 5, least=1, most=1000)
        answer = {
            'idleRecommendations': [
                {
                    'resourceArn': f'arn:aws:ec2:{region}:123456789012:instance/{machine.id}',
                    'resourceId': machine.id,
                    'resourceType': 'EC2Instance',
                    'finding': 'Idle',
                }
                for machine in shown
            ],
            'errors': [] if token else self.recommendation_errors.get(region, []),
        }
        return {**answer, 'nextToken': token} if token else answer


def series(
    machine: Machine, statistic: tuple[str, str], start: datetime, end: datetime
) -> Iterator[tuple[datetime, float]]:
    """Return the hourly values of a machine since its start; none for a silent one."""
    if machine.load == 'silent' or machine.state != 'running':
        return
    if machine.load == 'deaf' and statistic[0] != 'CPUUtilization':
        return
    cpu, network = LOADS[machine.load]
    at = start
    while at < end:
        if at + HOUR > machine.started and at.hour not in GAPS.get(machine.load, ()):
            dice = int(hashlib.sha256(f'{machine.id}{at:%d%H}'.encode()).hexdigest()[:4], 16) / 0xFFFF
            value = {
                ('CPUUtilization', 'Maximum'): cpu,
                ('NetworkIn', 'Sum'): network,
                ('NetworkOut', 'Sum'): network / 2,
            }
            spike = machine.load == 'spiky' and at.hour == 3 and statistic[0] == 'CPUUtilization'
            yield at, 60.0 if spike else value[statistic] * (0.8 + 0.2 * dice)
        at += HOUR


def _machine_id(query: Mapping[str, Any]) -> str:
    machine_id: str = query['MetricStat']['Metric']['Dimensions'][0]['Value']
    return machine_id


def _fits(product: Mapping[str, Any], rule: Mapping[str, str]) -> bool:
    if rule['Type'] not in ('TERM_MATCH', 'EQUALS'):
        raise AwsError('InvalidParameterException', f'filter type {rule["Type"]}')
    inner = product['product']
    field = rule['Field']
    return rule['Value'] == (inner['productFamily'] if field == 'productFamily' else inner['attributes'].get(field))
