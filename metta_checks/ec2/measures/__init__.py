"""Pure functions: records and a time in, samples out. The definitions are in metrics.yaml."""

from . import addresses, billing, idle, instance_costs, instances, snapshots, storage_costs, volumes

__all__ = ['addresses', 'billing', 'idle', 'instance_costs', 'instances', 'snapshots', 'storage_costs', 'volumes']
