"""GPUs and other accelerators of an instance type, by model, as DescribeInstanceTypes describes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...core.accelerators import accelerator_type


def gpus(described: Mapping[str, Any]) -> Counter[str]:
    """Return the number of GPUs by model. A type with a part of a GPU says how large its partition is."""
    found: Counter[str] = Counter()
    for gpu in described.get('GpuInfo', {}).get('Gpus', ()):
        partitions = gpu.get('LogicalGpuCount', 0) * gpu.get('GpuPartitionSize', 0)
        found[_model(gpu)] += gpu.get('Count') or partitions
    return found


def devices(described: Mapping[str, Any]) -> Counter[str]:
    """Return the number of Neuron devices by name."""
    found: Counter[str] = Counter()
    for device in described.get('NeuronInfo', {}).get('NeuronDevices', ()):
        found[_model(device)] += device['Count']
    return found


def _model(device: Mapping[str, Any]) -> str:
    return accelerator_type(device['Name'], device.get('MemoryInfo', {}).get('SizeInMiB'))
