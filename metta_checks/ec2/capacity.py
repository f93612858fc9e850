"""Reserved capacity, and interruptions of spot instances, as AWS reports them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..core.fields import integer, mapping, moment, text
from ..core.memo import Sightings
from ..core.stored import stored
from .records import AWS

DAY = timedelta(days=1)
WEEK_SECONDS = 7 * 86400

# The statuses of a request for spot instances whose instance AWS has taken away.
INTERRUPTED = (
    'instance-stopped-by-price',
    'instance-stopped-capacity-oversubscribed',
    'instance-stopped-no-capacity',
    'instance-terminated-by-price',
    'instance-terminated-capacity-oversubscribed',
    'instance-terminated-launch-group-constraint',
    'instance-terminated-no-capacity',
)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A capacity reservation, or a capacity block.

    Attributes:
        instance_type: the instance type
        instances: number of instances that it reserves capacity for
        unused: number of them that do not run
    """

    instance_type: str
    instances: int
    unused: int

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Reservation:
        """Return a reservation from an element of DescribeCapacityReservations. Raises BadPayload."""
        return cls(
            instance_type=AWS.required(text, raw, 'InstanceType', 'capacity reservation'),
            instances=AWS.required(integer, raw, 'TotalInstanceCount', 'capacity reservation'),
            unused=AWS.required(integer, raw, 'AvailableInstanceCount', 'capacity reservation'),
        )


@stored
class Interruption:
    """The end of a spot instance that AWS has taken away.

    Attributes:
        request_id: id of the request for the instance; a persistent request can be interrupted several times
        instance_type: the instance type
        at: the time
    """

    request_id: str
    instance_type: str
    at: datetime

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Interruption:
        """Return an interruption from an element of DescribeSpotInstanceRequests. Raises BadPayload."""
        status = AWS.required(mapping, raw, 'Status', 'spot request')
        launch = AWS.required(mapping, raw, 'LaunchSpecification', 'spot request')
        return cls(
            request_id=AWS.required(text, raw, 'SpotInstanceRequestId', 'spot request'),
            instance_type=AWS.required(text, launch, 'InstanceType', 'spot request'),
            at=AWS.required(moment, status, 'UpdateTime', 'status of a spot request'),
        )


@stored
class Interruptions:
    """The interruptions of the last 24 hours.

    The status of a persistent request changes when its next instance starts, so that they are kept as they were seen.

    Attributes:
        last: the interruptions
        types: the instance types that were interrupted in the last 7 days
    """

    last: tuple[Interruption, ...] = ()
    types: Sightings = field(default_factory=Sightings)

    def joined(self, found: Iterable[Interruption], now: datetime) -> Interruptions:
        """Return the interruptions with those that were found, without those that are older than 24 hours."""
        known = {(one.request_id, one.at): one for one in (*self.last, *found)}
        last = tuple(one for one in known.values() if now - one.at < DAY)
        types = {one.instance_type for one in last}
        return Interruptions(last, self.types.joined(types, now.timestamp(), keep=WEEK_SECONDS))
