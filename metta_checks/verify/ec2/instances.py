"""Instances: states, ages, lifecycles, types, vCPUs and GPUs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from . import ec2_tags, hardware
from .account import Account
from .rows import Row, by_tag, row, tagged

LIFECYCLES = {None: 'on_demand', 'spot': 'spot', 'scheduled': 'scheduled', 'capacity-block': 'capacity_block'}
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
# The time in the reason of a stop, such as `User initiated (2026-11-20 08:15:00 GMT)`.
STOP_TIME = re.compile(r'\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)')


def rows(account: Account) -> Iterator[Row]:
    """Yield the figures of the block of instances."""
    yield from _states(account)
    yield from _ages(account)
    yield from _split(account)
    yield from _hardware(account)


def _states(account: Account) -> Iterator[Row]:
    states = Counter(machine.state['Name'] for _, machine in account.machines)
    yield row('instances.total', states.total())
    yield row('instances.running', states['running'])
    yield row('instances.stopped', states['stopped'])
    for region in account.regions:
        yield row('region.instances_running', sum(where == region for where, _ in account.running), region=region)
    limit = account.now - WEEK
    stops = [_stopped_at(machine) for _, machine in account.machines if machine.state['Name'] == 'stopped']
    yield row('instances.stopped_over_7d', sum(stop is not None and stop < limit for stop in stops))


def _stopped_at(machine: Any) -> datetime | None:
    found = STOP_TIME.search(machine.state_transition_reason or '')
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None


def _ages(account: Account) -> Iterator[Row]:
    ages = [(account.now - first_launch(machine)) / DAY for _, machine in account.running]
    uptimes = [(account.now - machine.launch_time) / DAY for _, machine in account.running]
    yield row('instances.avg_age_days', sum(ages) / len(ages) if ages else None)
    yield row('instances.oldest_age_days', max(ages, default=None))
    yield row('instances.avg_uptime_days', sum(uptimes) / len(uptimes) if uptimes else None)


def first_launch(machine: Any) -> datetime:
    """Return the time of attachment of the primary network interface; a restart changes only the launch time."""
    launched: datetime = machine.launch_time
    attachments = (interface['Attachment'] for interface in machine.network_interfaces_attribute)
    return next((each['AttachTime'] for each in attachments if each['DeviceIndex'] == 0), launched)


def _split(account: Account) -> Iterator[Row]:
    lifecycles = Counter(LIFECYCLES.get(machine.instance_lifecycle, 'other') for _, machine in account.running)
    yield row('instances.spot', lifecycles['spot'])
    yield row('instances.ondemand', lifecycles['on_demand'])
    for name in (*LIFECYCLES.values(), 'other'):
        yield row('instances.by_lifecycle', lifecycles[name], lifecycle=name)
    kinds = Counter(machine.instance_type for _, machine in account.running)
    yield from by_tag('instances.by_type', 'instance_type', kinds, account.option('max_types', 30))


def _hardware(account: Account) -> Iterator[Row]:
    cores = [_vcpus(account, machine) for _, machine in account.running]
    known = [number for number in cores if number is not None]
    yield row('instances.vcpus', sum(known) if _mostly(len(known), len(cores)) else None)
    yield row('instances.unknown_type', len(account.running) - len(hardware.described(account)))
    if not hardware.is_known(account):
        return
    found = [described for _, described in hardware.described(account)]
    accelerated = sum(map(hardware.is_accelerated, found))
    yield row('instances.gpu_count', accelerated)
    yield row('instances.cpu_count', len(found) - accelerated)
    yield row('instances.accelerators', sum(hardware.devices(described).total() for described in found))
    yield from _gpus(account)


def _gpus(account: Account) -> Iterator[Row]:
    models: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for machine, described in hardware.described(account):
        lifecycle = LIFECYCLES.get(machine.instance_lifecycle, 'other')
        for model, number in hardware.gpus(described).items():
            models[model] += number
            pairs[model, lifecycle] += number
    yield from tagged('instances.gpus', 'gpu_type', models)
    if account.option('gpu_breakdown', False):
        if not pairs:
            yield row('gpus.running', None)
        for (model, lifecycle), number in pairs.items():
            yield row('gpus.running', number, gpu_type=model, lifecycle=lifecycle)
    for key in account.option('tag_by', ()):
        values: Counter[str] = Counter()
        for machine, described in hardware.described(account):
            values[ec2_tags.value_of(machine.tags, key)] += hardware.gpus(described).total()
        name, tag = ec2_tags.stored_key(key)
        yield from by_tag(f'gpus.by_tag.{name}', tag, +values, ec2_tags.MAX_VALUES)


def _vcpus(account: Account, machine: Any) -> int | None:
    options = machine.cpu_options
    if options:
        return int(options['CoreCount'] * options['ThreadsPerCore'])
    described = account.types.get(machine.instance_type)
    return int(described['VCpuInfo']['DefaultVCpus']) if described else None


def _mostly(known: int, everything: int) -> bool:
    return (everything - known) * 10 <= everything
