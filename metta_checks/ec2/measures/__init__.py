"""Samples from records. Pure functions: no I/O, no clock. metrics.yaml holds the definitions."""

from . import addresses, billing, idle, instance_costs, instances, snapshots, storage_costs, volumes

__all__ = ['addresses', 'billing', 'idle', 'instance_costs', 'instances', 'snapshots', 'storage_costs', 'volumes']
