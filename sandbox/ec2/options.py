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
        situations: names of the rare situations to add, from `situations.py`: zones, archive, images, volume_states,
            accelerators, capacity, interruptions, commitments, late_costs, organization, sparse, tags, retired; `all`:
            all of them
        denied_regions: regions in which a service control policy denies everything
        denied_actions: actions that the policy of the credentials does not allow, such as `ec2:DescribeVolumes`
        not_opted_in: services (`ec2`, `ce`) that answer OptInRequired, as to an account that is not verified
        without_data: operations of Cost Explorer that answer DataUnavailableException
    """

    instances: int = 0
    volumes: int = 0
    regions: Sequence[str] = (EAST, WEST)
    ambiguous: str = ''
    situations: Sequence[str] = ()
    denied_regions: Sequence[str] = ()
    denied_actions: Sequence[str] = ()
    not_opted_in: Sequence[str] = ()
    without_data: Sequence[str] = ()
