"""Instances: states, ages, lifecycles, types, vCPUs and GPUs."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from . import hardware
from .account import Account, Placed
from .rows import Row, by_tag, row

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
    if not account.running:
        return
    ages = [(account.now - first_launch(machine)) / DAY for _, machine in account.running]
    uptimes = [(account.now - machine.launch_time) / DAY for _, machine in account.running]
    yield row('instances.avg_age_days', sum(ages) / len(ages))
    yield row('instances.oldest_age_days', max(ages))
    yield row('instances.avg_uptime_days', sum(uptimes) / len(uptimes))


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
    accelerated = sum(account.has_accelerator(machine) for _, machine in account.running)
    yield row('instances.gpu_count', accelerated)
    yield row('instances.cpu_count', len(account.running) - accelerated)
    yield row('instances.vcpus', sum(_vcpus(account, machine) for _, machine in account.running))
    devices = (sum(hardware.devices(account.types[m.instance_type]).values()) for _, m in account.running)
    yield row('instances.accelerators', sum(devices))
    for model, number in _gpus(account, account.running).items():
        yield row('instances.gpus', number, gpu_type=model)
    if account.option('gpu_breakdown', False):
        yield from _gpus_by_lifecycle(account)


def _gpus_by_lifecycle(account: Account) -> Iterator[Row]:
    groups: dict[str, list[Placed]] = defaultdict(list)
    for region, machine in account.running:
        groups[LIFECYCLES.get(machine.instance_lifecycle, 'other')].append((region, machine))
    for lifecycle, machines in groups.items():
        for model, number in _gpus(account, machines).items():
            yield row('gpus.running', number, gpu_type=model, lifecycle=lifecycle)


def _vcpus(account: Account, machine: Any) -> int:
    options = machine.cpu_options
    if options:
        return int(options['CoreCount'] * options['ThreadsPerCore'])
    return int(account.types[machine.instance_type]['VCpuInfo']['DefaultVCpus'])


def _gpus(account: Account, machines: list[Placed]) -> Counter[str]:
    """Return the number of GPUs by model."""
    found: Counter[str] = Counter()
    for _, machine in machines:
        found.update(hardware.gpus(account.types[machine.instance_type]))
    return found
