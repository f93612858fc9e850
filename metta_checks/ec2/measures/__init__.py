"""Pure functions: records and a time in, samples out. The definitions are in metrics.yaml."""

from . import (
    accelerators,
    addresses,
    billing,
    capacity,
    idle,
    instance_costs,
    instances,
    regions,
    snapshots,
    storage_costs,
    volumes,
)

__all__ = [
    'accelerators',
    'addresses',
    'billing',
    'capacity',
    'idle',
    'instance_costs',
    'instances',
    'regions',
    'snapshots',
    'storage_costs',
    'volumes',
]
