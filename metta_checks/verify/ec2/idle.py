"""Idle instances: one request to CloudWatch per instance and metric, or the findings of Compute Optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

from .account import Account, Placed
from .rows import Row, row

METRICS = (('CPUUtilization', 'Maximum'), ('NetworkIn', 'Sum'), ('NetworkOut', 'Sum'))


def source(account: Account) -> str:
    """Return the source of idle instances: cloudwatch, compute_optimizer or off."""
    chosen = account.option('idle', {}).get('source', 'cloudwatch')
    # YAML reads an unquoted `off` as false.
    return chosen or 'off'


def rows(account: Account, idle: list[Placed]) -> Iterator[Row]:
    """Yield the number of idle instances with and without accelerators; nothing when they are switched off."""
    if source(account) == 'off':
        return
    accelerated = [account.has_accelerator(machine) for _, machine in idle]
    yield row('instances.idle', accelerated.count(False))
    yield row('instances.gpu_idle', accelerated.count(True))


def find(account: Account) -> list[Placed]:
    """Return the idle instances."""
    if source(account) == 'compute_optimizer':
        return _recommended(account)
    if source(account) == 'off':
        return []
    return [(region, machine) for region, machine in judged(account) if _is_idle(account, region, machine.id)]


def judged(account: Account) -> list[Placed]:
    """Return the instances that CloudWatch is asked about: those that have been running longest."""
    limits = account.option('idle', {})
    oldest = account.now - timedelta(hours=limits.get('min_age_hours', 24))
    found = [(region, machine) for region, machine in account.running if machine.launch_time <= oldest]
    found.sort(key=lambda pair: (pair[1].launch_time, pair[1].id))
    return found[: limits.get('max_instances', 1000)]


def _is_idle(account: Account, region: str, instance_id: str) -> bool:
    limits = account.option('idle', {})
    cpu, received, sent = (_series(account, region, instance_id, *metric) for metric in METRICS)
    if not (cpu and received and sent):
        return False
    megabytes = (sum(received) + sum(sent)) / 1e6
    return bool(max(cpu) < limits.get('cpu_max_pct', 5) and megabytes < limits.get('network_max_mb_per_day', 5))


def _series(account: Account, region: str, instance_id: str, name: str, statistic: str) -> list[float]:
    """Return the hourly values of the last 24 full hours."""
    end = account.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    metric = {
        'Namespace': 'AWS/EC2',
        'MetricName': name,
        'Dimensions': [{'Name': 'InstanceId', 'Value': instance_id}],
    }
    answer = account.client('cloudwatch', region).get_metric_data(
        MetricDataQueries=[{'Id': 'm', 'MetricStat': {'Metric': metric, 'Period': 3600, 'Stat': statistic}}],
        StartTime=end - timedelta(days=1),
        EndTime=end,
    )
    values: list[float] = answer['MetricDataResults'][0]['Values']
    return values


def _recommended(account: Account) -> list[Placed]:
    """Return the running instances that Compute Optimizer finds idle."""
    idle: set[str] = set()
    for region in account.regions:
        asked: dict[str, Any] = {}
        while True:
            answer = account.client('compute-optimizer', region).get_idle_recommendations(**asked)
            idle |= {found['resourceId'] for found in answer['idleRecommendations'] if found['finding'] == 'Idle'}
            if not answer.get('nextToken'):
                break
            asked = {'nextToken': answer['nextToken']}
    return [(region, machine) for region, machine in account.running if machine.id in idle]
