"""The six services on loopback, with the data of one realistic, seeded organization. Never part of the wheel."""

from __future__ import annotations

import importlib
from typing import Any

from metta_checks.testing import Clock

from .options import ServiceOptions, UnknownOption
from .organization import Organization
from .server import Figure, Running, Service

__all__ = [
    'SERVICES',
    'Clock',
    'Figure',
    'Organization',
    'Running',
    'Service',
    'ServiceOptions',
    'UnknownOption',
    'service',
]

SERVICES = {
    'github': 'GitHubService',
    'skypilot': 'SkyPilotService',
    'asana': 'AsanaService',
    'ec2': 'Ec2Service',
    'wandb': 'WandbService',
    'kubernetes': 'KubernetesService',
}


def service(name: str, organization: Organization | None = None, clock: Clock | None = None, **options: Any) -> Service:
    """Make a service by its name. It is not yet serving.

    Args:
        name: one of SERVICES
        organization: the organization that the service has the data of; default: that of seed 7
        clock: its clock; default: one that stands still at the present second
        options: options of the service by name; see its `options.py`

    Raises:
        UnknownOption: an option that the service does not have
    """
    module = importlib.import_module(f'.{name}.service', __name__)
    kind = getattr(module, SERVICES[name])
    return kind(organization or Organization(), clock or Clock(), kind.options_type.parse(name, options))
