"""Records with plausible values. A test names only the fields that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from metta_checks.core.refresh import Sample
from metta_checks.ec2.prices import Price, PricedInstance
from metta_checks.ec2.records import Fleet, Instance, InstanceType, Site, Snapshot, Volume
from metta_checks.ec2.settings import IdleSettings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RULE = IdleSettings()
CPU = InstanceType(vcpus=2, gpus={}, has_gpu=False, accelerators={})
GPU = InstanceType(vcpus=48, gpus={'l4': 4}, has_gpu=True, accelerators={})
NEURON = InstanceType(vcpus=8, gpus={}, has_gpu=False, accelerators={'trainium': 1})
TYPES = {'m5.large': CPU, 'g6.12xlarge': GPU, 'trn1.2xlarge': NEURON}


def ago(**delta: float) -> datetime:
    """Return a time before NOW."""
    return NOW - timedelta(**delta)


def site(what: dict[str, Any]) -> Site:
    """Return the site in the keywords of a record, and take it out of them."""
    region = what.pop('region', 'us-east-1')
    return Site(region, what.pop('zone', f'{region}a'), what.pop('on_outpost', False))


def instance(instance_type: str = 'm5.large', state: str = 'running', **what: Any) -> Instance:
    """Return a running Linux instance on demand, 10 days old."""
    given = {
        'instance_id': f'i-{id(what):x}',
        'site': site(what),
        'lifecycle': 'on_demand',
        'launched': ago(days=10),
        'first_launched': ago(days=10),
        'vcpus': 2,
        'product': 'Linux/UNIX',
        'operation': 'RunInstances',
        'tenancy': 'Shared',
        'stopped_at': None,
        'tags': {},
    }
    return Instance(instance_type=instance_type, state=state, **{**given, **what})


def fleet(*instances: Instance, types: dict[str, InstanceType] | None = None) -> Fleet:
    """Return instances with TYPES, or other types."""
    return Fleet(list(instances), TYPES if types is None else types)


def volume(size: int = 100, **what: Any) -> Volume:
    """Return an attached gp3 volume with the included IOPS and throughput."""
    given = {
        'volume_id': 'vol-1',
        'site': site(what),
        'volume_type': 'gp3',
        'state': 'in-use',
        'iops': 3000,
        'throughput': 125,
        'created': ago(days=10),
        'attached_to': ('i-1',),
        'tags': {},
    }
    return Volume(size=size, **{**given, **what})


def snapshot(size: int = 100, **what: Any) -> Snapshot:
    """Return a completed snapshot of an existing volume."""
    given = {
        'snapshot_id': 'snap-1',
        'site': site(what),
        'state': 'completed',
        'volume_id': 'vol-1',
        'full_bytes': 10 * 2**30,
        'started': ago(days=10),
        'is_archived': False,
        'restored_until': None,
    }
    return Snapshot(size=size, **{**given, **what})


def priced(price: float | None, ondemand: float | None = None, **what: Any) -> PricedInstance:
    """Return an instance with prices that were read now. `price` is the spot price of a spot instance."""
    made = instance(**what)
    spot, listed = (price, ondemand) if made.lifecycle == 'spot' else (None, price if ondemand is None else ondemand)
    prices = [None if value is None else Price(value, NOW) for value in (spot, listed)]
    return PricedInstance(made, prices[0], prices[1])


def values(samples: Iterable[Sample]) -> dict[Any, float | None]:
    """Return the values of samples by name, or by name and tag value."""
    result: dict[Any, float | None] = {}
    for sample in samples:
        key = (sample.name, *sample.tags.values()) if sample.tags else sample.name
        assert key not in result, f'{key} twice'
        result[key] = sample.value
    return result
