"""Idle instances: one request to CloudWatch per instance and metric, or the findings of Compute Optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from . import hardware
from .account import Account, Placed
from .rows import Row, row

# Hours of the last 24 of which a metric must have a value.
HOURS = 23
METRICS = (('CPUUtilization', 'Maximum'), ('NetworkIn', 'Sum'), ('NetworkOut', 'Sum'))


def source(account: Account) -> str:
    """Return the source of idle instances: cloudwatch, compute_optimizer or off."""
    chosen = account.option('idle', {}).get('source', 'cloudwatch')
    # YAML reads an unquoted `off` as false.
    return chosen or 'off'


@dataclass(frozen=True)
class Found:
    """Idle instances, and the number of those of which it is not known; None where the source does not tell."""

    idle: list[Placed]
    unknown: int | None = None


def rows(account: Account, found: Found) -> Iterator[Row]:
    """Yield the number of idle instances with and without accelerators; nothing when they are switched off."""
    if source(account) == 'off':
        return
    accelerated = [hardware.is_accelerated(account.types[machine.instance_type]) for _, machine in found.idle]
    yield row('instances.idle', accelerated.count(False))
    yield row('instances.gpu_idle', accelerated.count(True))
    yield row('instances.idle_unknown', found.unknown)


def find(account: Account) -> Found:
    """Return the idle instances. An idle one of a type that AWS does not describe counts as unknown."""
    if source(account) == 'off':
        return Found([])
    if source(account) == 'compute_optimizer':
        idle, unknown = _recommended(account)
    else:
        asked = judged(account)
        answers = [_is_idle(account, region, machine.id) for region, machine in asked]
        idle = [pair for pair, answer in zip(asked, answers, strict=True) if answer]
        unknown = answers.count(None) + len(_old(account)) - len(asked)
    described = [pair for pair in idle if pair[1].instance_type in account.types]
    if without_type := len(idle) - len(described):
        unknown = (unknown or 0) + without_type
    return Found(described, unknown)


def _old(account: Account) -> list[Placed]:
    """Return the running instances that have run long enough, those that have run longest first."""
    oldest = account.now - timedelta(hours=account.option('idle', {}).get('min_age_hours', 24))
    found = [(region, machine) for region, machine in account.running if machine.launch_time <= oldest]
    return sorted(found, key=lambda pair: (pair[1].launch_time, pair[1].id))


def judged(account: Account) -> list[Placed]:
    """Return the instances that CloudWatch is asked about."""
    return _old(account)[: account.option('idle', {}).get('max_instances', 1000)]


def _is_idle(account: Account, region: str, instance_id: str) -> bool | None:
    """Return whether an instance is idle; None when a metric lacks more than one of the 24 hours."""
    limits = account.option('idle', {})
    cpu, received, sent = (_series(account, region, instance_id, *metric) for metric in METRICS)
    if min(map(len, (cpu, received, sent))) < HOURS:
        return None
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
    [found] = answer['MetricDataResults']
    values: list[float] = found['Values']
    # An error, or a part of the values: nothing is known.
    return values if found['StatusCode'] == 'Complete' else []


def _recommended(account: Account) -> tuple[list[Placed], int | None]:
    """Return the running instances that Compute Optimizer finds idle, and the number of those with an error.

    Raises ValueError when it reports an error about anything but an instance: the list is not complete then.
    """
    idle: set[str] = set()
    failed: set[str] = set()
    for region in account.regions:
        asked: dict[str, Any] = {}
        while True:
            answer = account.client('compute-optimizer', region).get_idle_recommendations(**asked)
            idle |= {found['resourceId'] for found in answer['idleRecommendations'] if found['finding'] == 'Idle'}
            failed |= {_failed(error) for error in answer['errors']}
            if not answer.get('nextToken'):
                break
            asked = {'nextToken': answer['nextToken']}
    unknown = sum(machine.id in failed for _, machine in account.running)
    return [(region, machine) for region, machine in account.running if machine.id in idle], unknown or None


def _failed(error: Mapping[str, Any]) -> str:
    """Return the id of the instance that an error is about, empty for another kind of resource."""
    if error.get('resourceType', 'EC2Instance') != 'EC2Instance':
        return ''
    resource = str(error['identifier']).split('/')[-1]
    if not resource.startswith('i-'):
        raise ValueError(f'Compute Optimizer could not read {resource}: {error.get("code")}')
    return resource
