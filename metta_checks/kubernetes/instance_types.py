"""The accelerators of cloud machines by the instance type, where the vendor's software sets no label with the model.

Families of EC2: https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..core.accelerators import accelerator_type

# The labels of a node with its type; the second one is older.
INSTANCE_TYPE_LABELS = ('node.kubernetes.io/instance-type', 'beta.kubernetes.io/instance-type')
_NEURON = re.compile(r'(inf|trn)(\d{1,2})[a-z-]*\.[\w-]+')
_NEURON_PRODUCTS = MappingProxyType({'inf': 'inferentia', 'trn': 'trainium'})
# Other clouds name the accelerators in the type of the machine: `gx3d.160x1792.8gaudi3`.
_GAUDI = re.compile(r'gaudi-?(\d?)(?!\d)')


def instance_type(labels: Mapping[str, Any]) -> str:
    """Return the instance type in the labels of a node or in a selector of nodes, empty when they do not tell it."""
    found = next(filter(None, map(labels.get, INSTANCE_TYPE_LABELS)), '')
    return found if isinstance(found, str) else ''


def neuron(name: str) -> str | None:
    """Return the type of the Neuron devices of an instance type, None when it is not known to have any."""
    found = _NEURON.fullmatch(name)
    return accelerator_type(f'{_NEURON_PRODUCTS[found[1]]}{found[2]}') if found else None


def gaudi(name: str) -> str | None:
    """Return the type of the Gaudi devices of an instance type, None when it does not tell the generation."""
    if name.startswith('dl1.'):
        return 'gaudi'
    found = _GAUDI.search(name)
    return accelerator_type(f'gaudi{found[1]}') if found else None


def cloud_ai(name: str) -> str | None:
    """Return the type of the Cloud AI devices of Qualcomm of an instance type, None when it does not tell it."""
    return 'ai100' if name.startswith('dl2q.') else None
