"""EC2's figures through boto3's resource objects: one region after the other, one request per price, nothing kept.

AWS bills two kinds of requests, which `charges` announces: CloudWatch's GetMetricData, once per metric and instance
here, and Cost Explorer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .. import Figure, NoSeries, Recomputed
from . import billing, costs, idle, instances, requests, storage
from .account import Account
from .rows import Row

# USD per metric of GetMetricData.
PER_METRIC = 0.01 / 1000
PREFIX = 'metta.ec2.'
# Assumed for `expected_requests`: instance types that run, and types of volumes in a region.
TYPES, VOLUME_TYPES = 10, 3
# Regions that are enabled for each account of AWS.
REGIONS = 17
# Rows of a list in an answer.
PER_PAGE = 1000
# Why a metric is not recomputed, by its name without the prefix.
LEFT_OUT: Mapping[str, str] = {
    'cost.price_age_hours': 'the age of the prices that the check keeps; here nothing is kept',
}


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return the figures of an instance.

    Raises botocore.exceptions.ClientError or BotoCoreError when AWS refuses or cannot be reached.
    """
    account = Account(instance, now)
    found = idle.find(account)
    rows = [
        *instances.rows(account),
        *storage.rows(account),
        *idle.rows(account, found),
        *costs.rows(account, found),
        *requests.rows(account),
        *billing.rows(account),
    ]
    return Recomputed.of(_figures(rows, account.number), account.requests)


def charges(instance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what AWS bills for a comparison, in which the check and the SDK send each request once.

    The number of instances comes from DescribeInstances, which is free.
    """
    account = Account(instance, datetime.now(UTC))
    lines = []
    if idle.source(account) == 'cloudwatch':
        metrics = 2 * len(idle.METRICS) * len(idle.judged(account))
        lines.append(f'CloudWatch, GetMetricData: {metrics} metrics, USD {metrics * PER_METRIC:.4f}')
    if asked := 2 * billing.requests(account):
        lines.append(f'Cost Explorer: {asked} requests, USD {asked * billing.PER_REQUEST:.2f}')
    return tuple(lines)


def expected_requests(instance: Mapping[str, Any], totals: Mapping[str, float]) -> float:
    """Return about how many requests a comparison sends, from the check's figures.

    The figures do not tell how many instance types run, so TYPES is assumed. AWS reports no rate limit.
    """
    listed = len(instance.get('regions') or ())
    regions = listed or REGIONS
    resources = totals['instances.total'] + totals['ebs.volumes.total'] + totals['ebs.snapshots.total']
    return (
        1
        + (0 if listed else 1 + regions)
        + regions * _lists(instance)
        + resources / PER_PAGE
        + min(totals['instances.running'], TYPES)
        + _of_prices(instance, totals, regions)
        + _of_idle(instance, totals, regions)
        + sum(number for option, number in billing.OPTIONS.items() if instance.get(option))
    )


def _lists(instance: Mapping[str, Any]) -> int:
    """Return the number of lists that a comparison reads in each region."""
    reads_snapshots = instance.get('read_snapshots', True)
    optional = (
        reads_snapshots,
        reads_snapshots and instance.get('read_images', True),
        instance.get('capacity_reservations'),
        instance.get('spot_interruptions'),
    )
    # Instances, volumes and addresses.
    return 3 + sum(map(bool, optional))


def _of_prices(instance: Mapping[str, Any], totals: Mapping[str, float], regions: int) -> float:
    """Return the number of requests about prices: of types and volumes to the price list, and to the spot market."""
    options = instance.get('prices') or {}
    requests = 0.0
    if options.get('source', 'auto') in ('auto', 'api'):
        requests += min(totals['instances.running'], TYPES)
        requests += min(totals['ebs.volumes.total'], VOLUME_TYPES * regions)
    if options.get('spot', True):
        requests += min(totals['instances.spot'], TYPES / 2)
    return requests


def _of_idle(instance: Mapping[str, Any], totals: Mapping[str, float], regions: int) -> float:
    """Return the number of requests about idle instances: to CloudWatch, one per metric and instance."""
    options = instance.get('idle') or {}
    chosen = options.get('source', 'cloudwatch')
    if chosen == 'compute_optimizer':
        return regions
    asked = min(totals['instances.running'], options.get('max_instances', 1000))
    return len(idle.METRICS) * asked if chosen == 'cloudwatch' else 0


def free_of_charge(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the instance without CloudWatch and Cost Explorer. Compute Optimizer is free."""
    idle_options = dict(instance.get('idle') or {})
    if idle_options.get('source', 'cloudwatch') == 'cloudwatch':
        idle_options['source'] = 'off'
    return {**instance, 'idle': idle_options, **dict.fromkeys(billing.OPTIONS, False)}


def _figures(rows: Iterable[Row], account: str) -> Iterable[Figure | NoSeries]:
    base = {'account': account} if account else {}
    for name, value, own in rows:
        if value is None:
            yield NoSeries(PREFIX + name)
            continue
        tags = sorted(f'{key}:{text}'.lower() for key, text in {**base, **own}.items())
        yield Figure(PREFIX + name, float(value), tuple(tags))
