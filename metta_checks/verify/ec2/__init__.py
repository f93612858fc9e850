"""EC2's figures through boto3's resource objects: one region after the other, one request per price, nothing kept.

AWS bills two kinds of requests, which `charges` announces: CloudWatch's GetMetricData, once per metric and instance
here, and Cost Explorer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .. import Figure, Recomputed
from . import billing, costs, idle, instances, requests, storage
from .account import Account
from .rows import Row

# USD per metric of GetMetricData.
PER_METRIC = 0.01 / 1000
PREFIX = 'metta.ec2.'
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
    return Recomputed(tuple(_figures(rows, account.number)), account.requests)


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


def free_of_charge(instance: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the instance without CloudWatch and Cost Explorer. Compute Optimizer is free."""
    idle_options = dict(instance.get('idle') or {})
    if idle_options.get('source', 'cloudwatch') == 'cloudwatch':
        idle_options['source'] = 'off'
    return {**instance, 'idle': idle_options, **dict.fromkeys(billing.OPTIONS, False)}


def _figures(rows: Iterable[Row], account: str) -> Iterable[Figure]:
    base = {'account': account} if account else {}
    for name, value, own in rows:
        if value is not None:
            tags = sorted(f'{key}:{text}'.lower() for key, text in {**base, **own}.items())
            yield Figure(PREFIX + name, float(value), tuple(tags))
