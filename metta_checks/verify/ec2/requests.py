"""Capacity Reservations, and spot instances that AWS interrupted: whole lists, selected here and not by filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from .account import Account
from .rows import Row, by_tag

# AWS documents these codes for interruptions of its own; the others are of people, schedules or experiments.
INTERRUPTED = frozenset(
    {
        'instance-terminated-by-price',
        'instance-terminated-no-capacity',
        'instance-terminated-capacity-oversubscribed',
        'instance-terminated-launch-group-constraint',
        'instance-stopped-by-price',
        'instance-stopped-no-capacity',
        'instance-stopped-capacity-oversubscribed',
    }
)


def rows(account: Account) -> Iterator[Row]:
    """Yield the figures of options `capacity_reservations` and `spot_interruptions`."""
    if account.option('capacity_reservations', False):
        yield from _capacity(account)
    if account.option('spot_interruptions', False):
        yield from _interruptions(account)


def _listed(account: Account, operation: str, key: str) -> Iterator[Any]:
    for region in account.regions:
        for page in account.client('ec2', region).get_paginator(operation).paginate():
            yield from page[key]


def _capacity(account: Account) -> Iterator[Row]:
    total: Counter[str] = Counter()
    unused: Counter[str] = Counter()
    # AWS may list a reservation on two pages.
    listed = _listed(account, 'describe_capacity_reservations', 'CapacityReservations')
    for one in {one['CapacityReservationId']: one for one in listed}.values():
        if one['State'] == 'active' and one['OwnerId'] == account.number:
            total[one['InstanceType']] += one['TotalInstanceCount']
            unused[one['InstanceType']] += one['AvailableInstanceCount']
    limit = account.option('max_types', 30)
    yield from by_tag('capacity.reserved_instances', 'instance_type', total, limit)
    yield from by_tag('capacity.unused_instances', 'instance_type', {kind: unused[kind] for kind in total}, limit)


def _interruptions(account: Account) -> Iterator[Row]:
    start = account.now - timedelta(days=1)
    found = Counter(
        one['LaunchSpecification']['InstanceType']
        for one in _listed(account, 'describe_spot_instance_requests', 'SpotInstanceRequests')
        if one['Status']['Code'] in INTERRUPTED and one['Status']['UpdateTime'] > start
    )
    yield from by_tag('spot.interruptions_24h', 'instance_type', found, account.option('max_types', 30))
