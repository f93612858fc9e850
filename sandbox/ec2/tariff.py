"""Prices and instance types of the sandbox. Invented, not current prices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .places import EDGE, LETTERS, LOCAL, WAVELENGTH, price_region

LINUX, WINDOWS, RHEL = 'RunInstances', 'RunInstances:0002', 'RunInstances:0010'
PLATFORMS = {LINUX: 'Linux/UNIX', WINDOWS: 'Windows', RHEL: 'Red Hat Enterprise Linux'}
# Added to the price of Linux, in USD per vCPU and hour.
LICENSES = {LINUX: 0.0, WINDOWS: 0.046, RHEL: 0.0144}
SHARED, DEDICATED, HOST = 'Shared', 'Dedicated', 'Host'
# us-west-2 costs the same here; the others cost more.
REGION_FACTORS = {'us-east-1': 1.0, 'us-west-2': 1.0, 'eu-central-1': 1.2, 'eu-west-1': 1.1}
LOCATION_TYPES = {LOCAL.border: 'AWS Local Zone', WAVELENGTH.border: 'AWS Wavelength Zone'}
# Places with prices of their own list these types for shared Linux, and volumes.
PLACE_KINDS = ('m5.large', 'g5.xlarge', 'g6.12xlarge')
PLACE_FACTORS = {LOCAL.border: 1.25, WAVELENGTH.border: 1.4}


@dataclass(frozen=True, slots=True)
class Kind:
    """An instance type: its hardware, and its Linux price in us-east-1. `devices` are accelerators other than GPUs."""

    vcpus: int
    price: float
    gpu: str = ''
    gpus: float = 0
    device: str = ''
    devices: int = 0
    # AWS no longer describes retired types.
    described: bool = True
    # The price list has it for Linux on shared hardware only.
    rare: bool = False

    @property
    def accelerated(self) -> bool:
        """The type has GPUs or other accelerators."""
        return bool(self.gpus or self.devices)


KINDS = {
    'p5.48xlarge': Kind(192, 55.04, 'h100', 8),
    'p4d.24xlarge': Kind(96, 32.77, 'a100', 8),
    'g6.12xlarge': Kind(48, 4.60, 'l4', 4),
    'g6.xlarge': Kind(4, 0.805, 'l4', 1),
    'g6f.large': Kind(2, 0.202, 'l4', 0.125),
    'g5.xlarge': Kind(4, 1.006, 'a10g', 1),
    'inf2.xlarge': Kind(4, 0.758, device='inferentia2', devices=1),
    'm5.large': Kind(2, 0.096),
    't3.micro': Kind(2, 0.0104),
    'trn1.2xlarge': Kind(8, 1.34375, device='trainium', devices=1, rare=True),
    'f2.12xlarge': Kind(48, 3.96, device='virtex-ultrascale-vu47p', devices=2, rare=True),
    'vt1.6xlarge': Kind(24, 1.3, device='u30', devices=2, rare=True),
    'dl2q.24xlarge': Kind(96, 8.9194, device='ai100', devices=8, rare=True),
    'cg1.4xlarge': Kind(16, 2.1, described=False, rare=True),
}


class VolumePrice(NamedTuple):
    """USD per GiB-month, per IOPS-month by tier, and per GiB/s-month (0: the type has no price for throughput)."""

    suffix: str
    gib: float
    iops: tuple[float, ...] = ()
    gibps: float = 0.0


VOLUMES = {
    'gp3': VolumePrice('.gp3', 0.08, (0.005,), 40.96),
    'gp2': VolumePrice('.gp2', 0.10),
    'io1': VolumePrice('.piops', 0.125, (0.065,)),
    'io2': VolumePrice('.io2', 0.125, (0.065, 0.0455, 0.0318)),
    'st1': VolumePrice('.st1', 0.045),
    'sc1': VolumePrice('.sc1', 0.015),
    'standard': VolumePrice('', 0.05),
}
SNAPSHOT_PRICE, ARCHIVE_PRICE = 0.05, 0.0125
SPOT_SHARE = {'p5.48xlarge': 0.45, 'g6.12xlarge': 0.38, 'g6.xlarge': 0.42}
# The price of g6.12xlarge in the afternoon (UTC).
RISING_TYPE, RISE, AFTERNOON = 'g6.12xlarge', 1.4, range(13, 19)


def factor(place: str) -> float:
    """Return the level of prices in a region or another place."""
    return REGION_FACTORS.get(place) or PLACE_FACTORS[place]


def ondemand(region: str, kind: str, operation: str, tenancy: str) -> float:
    """Return the price in USD per hour. It is 0 on a dedicated host, which has a price itself."""
    if tenancy == HOST:
        return 0.0
    base = KINDS[kind].price * factor(region) * (1.06 if tenancy == DEDICATED else 1)
    return round(base + LICENSES[operation] * KINDS[kind].vcpus, 4)


def spot_zones(region: str, kind: str) -> list[str]:
    """Return the zones with a spot market for a type. Wavelength Zones do not have one."""
    edge = [LOCAL.name] if region == LOCAL.region and kind in PLACE_KINDS else []
    return [region + letter for letter in LETTERS] + edge


def spot(region: str, zone: str, kind: str, platform: str, at: datetime) -> tuple[float, datetime]:
    """Return the price in force and the time of its last change. It changes at most once per hour."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    since = hour
    while since > hour - timedelta(hours=48) and _hourly(region, zone, kind, platform, since) == _hourly(
        region, zone, kind, platform, since - timedelta(hours=1)
    ):
        since -= timedelta(hours=1)
    return _hourly(region, zone, kind, platform, since), since


def _hourly(region: str, zone: str, kind: str, platform: str, hour: datetime) -> float:
    operation = next(code for code, name in PLATFORMS.items() if name == platform)
    share = SPOT_SHARE.get(kind, 0.4)
    if kind == RISING_TYPE and hour.hour in AFTERNOON:
        share *= RISE
    # Varies by a few percent between days and between zones.
    dice = int(hashlib.sha256(f'{zone}/{kind}/{hour:%Y-%m-%d}'.encode()).hexdigest()[:4], 16) / 0xFFFF
    listed = ondemand(price_region(region, zone), kind, operation, SHARED)
    return round(listed * share * (0.97 + 0.06 * dice), 4)


# The price list.


def products(regions: tuple[str, ...], ambiguous: str = '') -> Iterator[dict[str, Any]]:
    """Return all products of AmazonEC2. `ambiguous` is an instance type that is listed at two prices."""
    for region in regions:
        for kind, hardware in KINDS.items():
            for operation in (LINUX,) if hardware.rare else PLATFORMS:
                for tenancy in (SHARED,) if hardware.rare else (SHARED, DEDICATED, HOST):
                    yield from _instance_products(region, kind, operation, tenancy, twice=kind == ambiguous)
        yield from _storage_products(region)
    for zone in EDGE.values():
        if zone.region in regions and zone.border in PLACE_FACTORS:
            yield from _products_of_a_place(zone.border)


def _products_of_a_place(place: str) -> Iterator[dict[str, Any]]:
    for kind in PLACE_KINDS:
        yield from _instance_products(place, kind, LINUX, SHARED, twice=False)
    yield from _storage_products(place)


def _instance_products(
    region: str, kind: str, operation: str, tenancy: str, *, twice: bool
) -> Iterator[dict[str, Any]]:
    attributes = {
        'regionCode': region,
        'instanceType': kind,
        'tenancy': tenancy,
        'operation': operation,
        'operatingSystem': PLATFORMS[operation].split('/')[0],
        'vcpu': str(KINDS[kind].vcpus),
        'marketoption': 'OnDemand',
        'locationType': LOCATION_TYPES.get(region, 'AWS Region'),
    }
    price = ondemand(region, kind, operation, tenancy)
    box = f'{_prefix(region)}BoxUsage:{kind}'
    yield _item('Compute Instance', {**attributes, 'capacitystatus': 'Used', 'usagetype': box}, price, 'Hrs')
    # AWS lists placeholders with price 0 beside the real products.
    yield _item('Compute Instance', {**attributes, 'capacitystatus': 'Used', 'usagetype': f'{box}:0'}, 0.0, 'Hrs')
    for status in ('UnusedCapacityReservation', 'AllocatedCapacityReservation'):
        number = price if status.startswith('Unused') else 0.0
        yield _item(
            'Compute Instance', {**attributes, 'capacitystatus': status, 'usagetype': f'{status}:{kind}'}, number, 'Hrs'
        )
    if twice:
        yield _item(
            'Compute Instance', {**attributes, 'capacitystatus': 'Used', 'usagetype': f'{box}:2'}, price * 2 + 1, 'Hrs'
        )


def _storage_products(region: str) -> Iterator[dict[str, Any]]:
    level = factor(region)
    prefix = f'{_prefix(region)}EBS:'
    for name, (suffix, gib, tiers, gibps) in VOLUMES.items():
        attributes = {'regionCode': region, 'volumeApiName': name}
        yield _item('Storage', {**attributes, 'usagetype': f'{prefix}VolumeUsage{suffix}'}, gib * level, 'GB-Mo')
        for tier, price in zip(('', '.tier2', '.tier3'), tiers, strict=False):
            usage = f'{prefix}VolumeP-IOPS{suffix}{tier}'
            yield _item('System Operation', {**attributes, 'usagetype': usage}, price * level, 'IOPS-Mo')
        if gibps:
            usage = f'{prefix}VolumeP-Throughput{suffix}'
            yield _item('Provisioned Throughput', {**attributes, 'usagetype': usage}, gibps * level, 'GiBps-mo')
    attributes = {'regionCode': region}
    yield _item(
        'Storage Snapshot', {**attributes, 'usagetype': f'{prefix}SnapshotUsage'}, SNAPSHOT_PRICE * level, 'GB-Mo'
    )
    yield _item(
        'Storage Snapshot',
        {**attributes, 'usagetype': f'{prefix}SnapshotArchiveStorage'},
        ARCHIVE_PRICE * level,
        'GB-Mo',
    )


def _prefix(region: str) -> str:
    if region in PLACE_FACTORS:
        return {LOCAL.border: 'USW2-LAX1-', WAVELENGTH.border: 'USE1-WL1-'}[region]
    return '' if region == 'us-east-1' else region[:2].upper() + region[3].upper() + region[-1] + '-'


def _item(family: str, attributes: dict[str, str], price: float, unit: str) -> dict[str, Any]:
    attributes = {'servicecode': 'AmazonEC2', **attributes}
    sku = hashlib.sha256(json.dumps([family, attributes], sort_keys=True).encode()).hexdigest()[:16].upper()
    dimension = {
        'rateCode': f'{sku}.JRTCKXETXF.6YS6EN2CT7',
        'unit': unit,
        'beginRange': '0',
        'endRange': 'Inf',
        'description': f'${price} per {unit}',
        'appliesTo': [],
        'pricePerUnit': {'USD': f'{price:.10f}'},
    }
    offer = f'{sku}.JRTCKXETXF'
    return {
        'product': {'productFamily': family, 'attributes': attributes, 'sku': sku},
        'serviceCode': 'AmazonEC2',
        'terms': {
            'OnDemand': {
                offer: {
                    'priceDimensions': {dimension['rateCode']: dimension},
                    'sku': sku,
                    'effectiveDate': '2026-11-01T00:00:00Z',
                    'offerTermCode': 'JRTCKXETXF',
                    'termAttributes': {},
                }
            },
            'Reserved': {
                f'{sku}.4NA7Y494T4': {
                    'priceDimensions': {
                        f'{sku}.4NA7Y494T4.6YS6EN2CT7': {'unit': unit, 'pricePerUnit': {'USD': f'{price * 0.62:.10f}'}}
                    }
                }
            },
        },
        'version': '20261101000000',
        'publicationDate': '2026-11-01T00:00:00Z',
    }
