"""The six services on loopback, with one realistic, seeded organisation. Never part of the wheel."""

from __future__ import annotations

import importlib
from typing import Any

from .clock import Clock
from .organisation import Organisation
from .server import Figure, Running, Service

__all__ = ['SERVICES', 'Clock', 'Figure', 'Organisation', 'Running', 'Service', 'service']

SERVICES = {
    'github': 'GitHubService',
    'skypilot': 'SkyPilotService',
    'asana': 'AsanaService',
    'ec2': 'Ec2Service',
    'wandb': 'WandbService',
    'kubernetes': 'KubernetesService',
}


def service(name: str, organisation: Organisation | None = None, clock: Clock | None = None, **options: Any) -> Service:
    """One service by name (not yet serving). `options` are the service's own: scale, switches."""
    module = importlib.import_module(f'.{name}.service', __name__)
    return getattr(module, SERVICES[name])(organisation or Organisation(), clock or Clock(), **options)
