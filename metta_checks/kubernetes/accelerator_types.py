"""The accelerators behind the extended resources of nodes: their types, and how many of them one unit stands for.

An extended resource counts devices, parts of devices (MIG) or shares of devices (time-slicing, MPS). GPU Feature
Discovery describes them in labels of the node. See the documentation of NVIDIA's device plugin and GPU Operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from ..core.accelerators import UNKNOWN_GPU, accelerator_type, gpu_of_resource, is_gpu
from . import instance_types

SHARED = '.shared'
MIG_RESOURCE = 'nvidia.com/mig-'
TPU_RESOURCE = 'google.com/tpu'
# The resources of accelerators in addition to those with the name `gpu`, and their types.
TYPES = MappingProxyType(
    {
        'aws.amazon.com/neuron': 'aws-neuron',
        'aws.amazon.com/neuroncore': 'aws-neuron',
        'aws.amazon.com/neurondevice': 'aws-neuron',
        TPU_RESOURCE: 'google-tpu',
        'gpu.intel.com/i915': 'intel-i915',
        'gpu.intel.com/xe': 'intel-xe',
        'habana.ai/gaudi': 'habana-gaudi',
        'qualcomm.com/qaic': 'qualcomm-qaic',
    }
)
GAUDI_DRIVER = 'gaudi.intel.com'
NEURON_DRIVER = 'neuron.aws.com'
# The drivers of dynamic resource allocation, and the types of devices without a model.
DRIVERS = MappingProxyType(
    {
        'gpu.nvidia.com': 'nvidia-gpu',
        'gpu.amd.com': 'amd-gpu',
        'gpu.intel.com': 'intel-gpu',
        GAUDI_DRIVER: 'habana-gaudi',
        NEURON_DRIVER: 'aws-neuron',
        'tpu.google.com': 'google-tpu',
    }
)
# Resources that count the devices of another resource of the same node once more.
ALIASES = MappingProxyType(
    {
        'aws.amazon.com/neuroncore': 'aws.amazon.com/neuron',
        'aws.amazon.com/neurondevice': 'aws.amazon.com/neuron',
    }
)
# Vendors of accelerators. A resource of theirs that has no type may be one that should be counted.
VENDORS = frozenset({'nvidia.com', 'amd.com', 'habana.ai', 'google.com', 'gpu.intel.com', 'qualcomm.com'})
# Resources of these vendors that are not devices.
OTHERS = frozenset({'gpu.intel.com/i915_monitoring', 'gpu.intel.com/xe_monitoring'})
# The labels with the model, by the domain of the resource.
MODEL_LABELS = MappingProxyType(
    {
        'nvidia.com': ('nvidia.com/gpu.product', 'cloud.google.com/gke-accelerator'),
        'amd.com': ('amd.com/gpu.product-name',),
        'google.com': ('cloud.google.com/gke-tpu-accelerator',),
    }
)
# The type by the instance type of the node, by the domain of the resource. These vendors set no label with the model.
BY_INSTANCE_TYPE = MappingProxyType(
    {
        'aws.amazon.com': instance_types.neuron,
        'habana.ai': instance_types.gaudi,
        'qualcomm.com': instance_types.cloud_ai,
    }
)
_LABELS = frozenset(chain(*MODEL_LABELS.values(), instance_types.INSTANCE_TYPE_LABELS))
_SHARING_LABELS = ('.count', '.replicas', '.sharing-strategy')


@dataclass(frozen=True, slots=True)
class Unit:
    """The meaning of one unit of a resource on a node.

    Attributes:
        gpu_type: type of the accelerator
        devices: number of accelerators in one unit, below 1 for a share of one
    """

    gpu_type: str
    devices: float = 1.0


class UnknownShare(ValueError):
    """A node shares its accelerators in a way that its labels do not explain; the message says how.

    Attributes:
        gpu_type: type of the accelerators
    """

    def __init__(self, message: str, gpu_type: str) -> None:
        super().__init__(message)
        self.gpu_type = gpu_type


class AcceleratorTypes:
    """The types of accelerators by extended resource.

    Parameters:
        further: types of further resources and drivers, which also replace those of known ones, models included
    """

    def __init__(self, further: Mapping[str, str] = MappingProxyType({})) -> None:
        self._further = further
        self._types = {**TYPES, **further}
        self._drivers = {**DRIVERS, **further}

    def of_driver(self, driver: str) -> str | None:
        """Return the type of the devices of a driver, None when they are not known to be accelerators."""
        return self._drivers.get(driver)

    def of_device(self, driver: str, attributes: Mapping[str, str]) -> str | None:
        """Return the type of a device of a driver, by the texts among its attributes; None for no accelerator."""
        by_driver = self.of_driver(driver)
        if by_driver is None or driver in self._further:
            return by_driver
        if profile := attributes.get('profile'):
            return gpu_of_resource(f'{MIG_RESOURCE}{profile}')
        if driver == NEURON_DRIVER:
            return instance_types.neuron(attributes.get('instanceType', '')) or by_driver
        gpu_type = accelerator_type(attributes.get('model' if driver == GAUDI_DRIVER else 'productName'))
        return by_driver if gpu_type == UNKNOWN_GPU else gpu_type

    def of_resource(self, resource: str) -> str | None:
        """Return the type of a resource by its name alone, None when it is not known to be an accelerator."""
        base = resource.removesuffix(SHARED)
        if base in self._types:
            return self._types[base]
        return gpu_of_resource(base) if is_gpu(base) or base.startswith(MIG_RESOURCE) else None

    def is_unknown(self, resource: str) -> bool:
        """Return True for a resource of a vendor of accelerators that has no type."""
        vendor = resource.partition('/')[0]
        return vendor in VENDORS and resource not in OTHERS and self.of_resource(resource) is None

    def selected(self, resource: str, labels: Mapping[str, Any]) -> str | None:
        """Return the type of a resource on nodes with these labels, None when they do not tell it."""
        base = resource.removesuffix(SHARED)
        if base in self._further or self.of_resource(base) is None:
            return None
        domain = base.partition('/')[0]
        if domain in BY_INSTANCE_TYPE:
            return BY_INSTANCE_TYPE[domain](instance_types.instance_type(labels))
        if not is_gpu(base) and base != TPU_RESOURCE:
            return None
        # With the MIG strategy "single", a GPU of the resource is a slice, which the product names.
        product = next(filter(None, map(labels.get, MODEL_LABELS.get(domain, ()))), None)
        gpu_type = accelerator_type(product)
        return None if gpu_type == UNKNOWN_GPU else gpu_type

    def unit(self, resource: str, allocatable: Mapping[str, float], labels: Mapping[str, str]) -> Unit | None:
        """Return what a resource of a node stands for, None when it is not an accelerator. Raises UnknownShare."""
        by_name = self.of_resource(resource)
        if by_name is None:
            return None
        gpu_type = self.selected(resource, labels) or by_name
        alias_of = allocatable.get(ALIASES.get(resource, ''))
        if alias_of is not None:
            return Unit(gpu_type, alias_of / allocatable[resource] if allocatable[resource] else 1.0)
        devices = _devices_per_unit(resource, allocatable[resource], labels)
        if devices is None:
            raise UnknownShare(_unexplained(resource, allocatable[resource], labels), gpu_type)
        return Unit(gpu_type, devices)


def is_accelerator_label(name: str) -> bool:
    """Return True for a label of a node that describes its accelerators."""
    return name in _LABELS or (name.startswith('nvidia.com/') and name.endswith(_SHARING_LABELS))


def is_of_nvidia(source: str) -> bool:
    """Return True for a resource or a driver of NVIDIA."""
    return source.partition('/')[0] in ('nvidia.com', 'gpu.nvidia.com')


def is_slice(source: str, gpu_type: str) -> bool:
    """Return True for slices of a GPU (MIG): by the resource, or by the type of a node that has only slices."""
    return source.startswith(MIG_RESOURCE) or gpu_type.startswith(gpu_of_resource(MIG_RESOURCE))


def _devices_per_unit(resource: str, allocatable: float, labels: Mapping[str, str]) -> float | None:
    """Return the number of accelerators in one unit, None for a share that the labels do not explain."""
    base = resource.removesuffix(SHARED)
    strategy, replicas = labels.get(f'{base}.sharing-strategy', ''), _number(labels.get(f'{base}.replicas', ''))
    is_shared = strategy != 'none' if strategy else replicas > 1
    if not base.startswith('nvidia.com/') or not (is_shared or resource.endswith(SHARED)):
        return 1.0
    # A node that offers none may have pods that still hold some.
    expected = (0, _number(labels.get(f'{base}.count', '')) * replicas)
    return 1 / replicas if is_shared and replicas and allocatable in expected else None


def _unexplained(resource: str, allocatable: float, labels: Mapping[str, str]) -> str:
    base = resource.removesuffix(SHARED)
    strategy, count, replicas = (
        labels.get(f'{base}.{name}', 'none') for name in ('sharing-strategy', 'count', 'replicas')
    )
    return (
        f'{allocatable:g} {resource} are shares ({strategy}), but not the labels {base}.count ({count}) '
        f'times {base}.replicas ({replicas})'
    )


def _number(label: str) -> int:
    return int(label) if label.isascii() and label.isdecimal() and len(label) < 10 else 0
