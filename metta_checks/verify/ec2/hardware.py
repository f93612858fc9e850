"""GPUs and other accelerators of an instance type, by model, as DescribeInstanceTypes describes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...core.accelerators import accelerator_type
from .account import Account

# Accelerators that are not GPUs.
OTHERS = (
    ('NeuronInfo', 'NeuronDevices'),
    ('InferenceAcceleratorInfo', 'Accelerators'),
    ('FpgaInfo', 'Fpgas'),
    ('MediaAcceleratorInfo', 'Accelerators'),
)


def gpus(described: Mapping[str, Any]) -> Counter[str]:
    """Return the number of GPUs by model. A type with a part of a GPU says how large its partition is."""
    found: Counter[str] = Counter()
    for gpu in described.get('GpuInfo', {}).get('Gpus', ()):
        partitions = gpu.get('LogicalGpuCount', 0) * gpu.get('GpuPartitionSize', 0)
        found[_model(gpu)] += gpu.get('Count') or partitions
    return found


def devices(described: Mapping[str, Any]) -> Counter[str]:
    """Return the number of accelerators that are not GPUs, by name. Neuron devices are listed twice by AWS."""
    found: Counter[str] = Counter()
    for holder, key in OTHERS:
        if holder == 'InferenceAcceleratorInfo' and 'NeuronInfo' in described:
            continue
        for device in described.get(holder, {}).get(key, ()):
            found[_model(device)] += device['Count']
    return found


def is_accelerated(described: Mapping[str, Any]) -> bool:
    """Return whether a type has GPUs or other accelerators."""
    return any(holder in described for holder in ('GpuInfo', *(holder for holder, _ in OTHERS)))


def described(account: Account) -> list[tuple[Any, Mapping[str, Any]]]:
    """Return the running instances whose type AWS describes, each with the description."""
    found = ((machine, account.types.get(machine.instance_type)) for _, machine in account.running)
    return [(machine, one) for machine, one in found if one is not None]


def is_known(account: Account) -> bool:
    """Return whether the types of at least nine tenths of the running instances are described."""
    everything = len(account.running)
    return (everything - len(described(account))) * 10 <= everything


def _model(device: Mapping[str, Any]) -> str:
    return accelerator_type(device['Name'], device.get('MemoryInfo', {}).get('SizeInMiB'))
