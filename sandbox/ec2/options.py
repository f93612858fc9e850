"""Options of the EC2 service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..options import ServiceOptions

EAST, WEST = 'us-east-1', 'us-west-2'


@dataclass(frozen=True)
class Ec2Options(ServiceOptions):
    """Options of the EC2 service.

    Attributes:
        instances: fill up with idle and busy machines to this number
        volumes: fill up with attached volumes to this number
        regions: regions with resources, which the check reads
        ambiguous: an instance type with two prices in the price list
    """

    instances: int = 0
    volumes: int = 0
    regions: Sequence[str] = (EAST, WEST)
    ambiguous: str = ''
