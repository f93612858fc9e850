"""Instances: states, ages, lifecycles, types, vCPUs and GPUs."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ...core.accelerators import accelerator_type
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
    neuron = (
        device['Count']
        for _, machine in account.running
        for device in account.types[machine.instance_type].get('NeuronInfo', {}).get('NeuronDevices', ())
    )
    yield row('instances.accelerators', sum(neuron))
    for model, number in _gpus(account, account.running).items():
        yield row('instances.gpus', number, gpu_type=model)


def _vcpus(account: Account, machine: Any) -> int:
    options = machine.cpu_options
    if options:
        return int(options['CoreCount'] * options['ThreadsPerCore'])
    return int(account.types[machine.instance_type]['VCpuInfo']['DefaultVCpus'])


def _gpus(account: Account, machines: list[Placed]) -> dict[str, float]:
    """Return the number of GPUs by model. A type with a part of a GPU says how large its partition is."""
    found: dict[str, float] = defaultdict(float)
    for _, machine in machines:
        for gpu in account.types[machine.instance_type].get('GpuInfo', {}).get('Gpus', ()):
            partitions = gpu.get('LogicalGpuCount', 0) * gpu.get('GpuPartitionSize', 0)
            found[accelerator_type(gpu['Name'], gpu.get('MemoryInfo', {}).get('SizeInMiB'))] += (
                gpu.get('Count') or partitions
            )
    return found
