"""Meaning of a unit of an extended resource: the type of the accelerator, and how much of one.

Labels: https://github.com/NVIDIA/k8s-device-plugin/tree/main/docs/gpu-feature-discovery and
https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-sharing.html
Instance types: https://aws.amazon.com/ec2/instance-types/accelerated-computing/ and
https://kubernetes.io/docs/reference/labels-annotations-taints/#nodekubernetesioinstance-type
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kubernetes import client

from ...core.accelerators import accelerator_type, gpu_of_resource
from .nodes import allocatable, is_virtual
from .reading import amount, given

SINGLE = {
    'gpu.intel.com/i915': 'intel-i915',
    'gpu.intel.com/xe': 'intel-xe',
    'habana.ai/gaudi': 'habana-gaudi',
    'google.com/tpu': 'google-tpu',
    'qualcomm.com/qaic': 'qualcomm-qaic',
}
# Resources of one device, the one that is counted where a node offers several first.
NEURON = ('aws.amazon.com/neuron', 'aws.amazon.com/neurondevice', 'aws.amazon.com/neuroncore')
MODEL_LABELS = {
    'nvidia.com/gpu': ('nvidia.com/gpu.product', 'cloud.google.com/gke-accelerator'),
    'amd.com/gpu': ('amd.com/gpu.product-name',),
    'google.com/tpu': ('cloud.google.com/gke-tpu-accelerator',),
}
# Families of EC2 instances, and their accelerators.
FAMILIES = {
    'inf1': 'Inferentia', 'inf2': 'Inferentia2', 'trn1': 'Trainium', 'trn1n': 'Trainium', 'trn2': 'Trainium2',
    'trn2u': 'Trainium2', 'trn3': 'Trainium3', 'dl1': 'Gaudi HL-205', 'dl2q': 'Qualcomm AI100',
}  # fmt: skip
# The accelerators of each family, by the resource.
OF_FAMILIES = {
    **dict.fromkeys(NEURON, ('Inferentia', 'Trainium')),
    'habana.ai/gaudi': ('Gaudi',),
    'qualcomm.com/qaic': ('Qualcomm',),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type, and the part of an accelerator that a unit is: 0 if the labels of the node do not tell."""

    gpu_type: str
    part: Decimal = Decimal(1)


def of_machine(instance_type: str, resource: str) -> str:
    """Return the product behind a resource on a machine of this type; empty when the type does not tell it."""
    product = FAMILIES.get(instance_type.partition('.')[0], '')
    if product.startswith(OF_FAMILIES.get(resource, ())):
        return product
    generation = re.search(r'gaudi\d', instance_type) if resource == 'habana.ai/gaudi' else None
    return generation[0] if generation else ''


class Accelerators:
    """The accelerators of the nodes of a cluster. `types` has those of resources that are not known."""

    def __init__(self, nodes: Iterable[client.V1Node], types: Mapping[str, str]) -> None:
        self._nodes = {given(node.metadata).name: node for node in nodes}
        self._types = types

    def is_accelerator(self, resource: str) -> bool:
        """Return whether a resource is counted."""
        base = resource.removesuffix('.shared')
        is_known = base in SINGLE or base in NEURON or base.startswith('nvidia.com/mig-')
        return resource in self._types or is_known or base.endswith('/gpu')

    def offered(self, node: client.V1Node) -> Iterator[tuple[str, Decimal]]:
        """Yield types and numbers of the accelerators that a node offers to pods."""
        offers = allocatable(node)
        doubles = [resource for resource in NEURON if amount(offers, resource)][1:]
        for resource in offers:
            units = amount(offers, resource)
            if units and resource not in doubles and self.is_accelerator(resource):
                kind = self.on(node, resource)
                if kind.part:
                    yield kind.gpu_type, units * kind.part

    def of_pod(self, pod: client.V1PodSpec, resource: str) -> Kind:
        """Return what a unit is for a pod: on its node; without one, of the model that it selects or the only one."""
        if node := self._nodes.get(pod.node_name or ''):
            return self.on(node, resource)
        kinds = {
            self.on(node, resource)
            for node in self._nodes.values()
            if amount(allocatable(node), resource) and not is_virtual(node)
        }
        selector = pod.node_selector or {}
        selected = '' if resource in self._types else self._model(selector, resource.removesuffix('.shared'))
        if selected:
            kinds = {kind for kind in kinds if kind.gpu_type == selected}
        if len(kinds) == 1:
            return kinds.pop()
        parts = {kind.part for kind in kinds if kind.part}
        gpu_type = selected or self._plain(resource)
        if kinds and not parts:
            return Kind(gpu_type, Decimal(0))
        return Kind(gpu_type, parts.pop() if len(parts) == 1 else Decimal(1))

    def on(self, node: client.V1Node, resource: str) -> Kind:
        """Return what a unit of a resource is on a node."""
        labels, base = given(node.metadata).labels or {}, resource.removesuffix('.shared')
        gpu_type = self._types.get(resource) or self._model(labels, base) or self._plain(resource)
        return Kind(gpu_type, self._part(node, resource, labels))

    def _plain(self, resource: str) -> str:
        base = resource.removesuffix('.shared')
        return self._types.get(resource) or SINGLE.get(base) or gpu_of_resource(NEURON[0] if base in NEURON else base)

    @staticmethod
    def _model(labels: Mapping[str, str], resource: str) -> str:
        names = (labels.get(label) for label in MODEL_LABELS.get(resource, ()))
        machine = labels.get('node.kubernetes.io/instance-type', '')
        name = next(filter(None, names), '') or of_machine(machine, resource)
        return accelerator_type(name) if name else ''

    @staticmethod
    def _part(node: client.V1Node, resource: str, labels: Mapping[str, str]) -> Decimal:
        offers, base = allocatable(node), resource.removesuffix('.shared')
        if base == NEURON[2]:
            devices = max(amount(offers, one) for one in NEURON[:2])
            return devices / amount(offers, base) if devices and amount(offers, base) else Decimal(1)
        replicas = int(labels.get(f'{base}.replicas') or 0)
        strategy = labels.get(f'{base}.sharing-strategy')
        is_shared = strategy != 'none' if strategy else replicas > 1
        if not is_shared:
            # The name says that it is shared, and no label how.
            return Decimal(resource == base)
        # A node that offers none any more may have pods that still hold shares.
        explained = amount(offers, resource) in (0, int(labels.get(f'{base}.count') or 0) * replicas)
        return 1 / Decimal(replicas) if replicas and explained else Decimal(0)
