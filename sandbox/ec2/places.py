"""Zones of the sandbox: ordinary ones, a Local Zone, a Wavelength Zone, and a Local Zone that the price list lacks."""

from __future__ import annotations

from typing import NamedTuple

LETTERS = ('a', 'b', 'c')
OUTPOST = 'arn:aws:outposts:us-east-1:123456789012:outpost/op-1234567890abcdef0'


class Zone(NamedTuple):
    """A zone that is not an Availability Zone. `border` is the region code of the price list."""

    name: str
    region: str
    kind: str
    group: str
    border: str


LOCAL = Zone('us-west-2-lax-1a', 'us-west-2', 'local-zone', 'us-west-2-lax-1', 'us-west-2-lax-1')
WAVELENGTH = Zone('us-east-1-wl1-bos-wlz-1', 'us-east-1', 'wavelength-zone', 'us-east-1-wl1', 'us-east-1-wl1-bos-wlz-1')
UNPRICED = Zone('us-east-1-mia-2a', 'us-east-1', 'local-zone', 'us-east-1-mia-2', 'us-east-1-mia-2')
EDGE = {zone.name: zone for zone in (LOCAL, WAVELENGTH, UNPRICED)}


def of_region(region: str) -> list[Zone]:
    """Return all zones of a region. Their group is not the name of the region, as AWS has it since 2025."""
    ordinary = [Zone(region + letter, region, 'availability-zone', f'{region}-zg-1', region) for letter in LETTERS]
    return ordinary + [zone for zone in EDGE.values() if zone.region == region]


def price_region(region: str, zone: str) -> str:
    """Return the region code of the price list for a zone."""
    return EDGE[zone].border if zone in EDGE else region
