"""The rhythm of the week, and the common base of all lives."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from ..server import Service

HOUR = timedelta(hours=1)
# The interval between events.
BEAT = timedelta(minutes=30)
WEDNESDAY, THURSDAY, FRIDAY, SATURDAY = 2, 3, 4, 5
SHORTAGE_HOURS = (13, 19)
BROKEN_HOURS = (9, 16)
# A cluster for the weekend is launched on Friday evening and stopped on Monday morning.
LAUNCH_HOUR, STOP_HOUR = 17, 9
DEPLOYMENT_HOUR = 14
NIGHT = 0.3
WEEKEND = 0.35


def intensity(moment: datetime) -> float:
    """Return the activity of people, 1 on the average of a week."""
    return _busy(moment.weekday(), moment.hour + moment.minute / 60) / _MEAN


def _busy(weekday: int, hour: float) -> float:
    peaks = sum(math.exp(-(((hour - peak) / width) ** 2)) for peak, width in ((10.5, 2.5), (15.5, 2.8)))
    return NIGHT + 2 * peaks * (WEEKEND / 3 if weekday >= SATURDAY else 1)


_MEAN = sum(_busy(day, hour) for day in range(7) for hour in range(24)) / (7 * 24)


def spot_is_short(moment: datetime) -> bool:
    """Tell times at which spot machines are not available."""
    return moment.weekday() == WEDNESDAY and SHORTAGE_HOURS[0] <= moment.hour < SHORTAGE_HOURS[1]


def main_is_broken(moment: datetime) -> bool:
    """Tell times at which the tests fail on the main branch."""
    return moment.weekday() == THURSDAY and BROKEN_HOURS[0] <= moment.hour < BROKEN_HOURS[1]


def weekend_cluster_is_up(moment: datetime) -> bool:
    """Tell times at which a cluster of the weekend is up: from Friday evening to Monday morning."""
    day, hour = moment.weekday(), moment.hour
    return day >= SATURDAY or (day == FRIDAY and hour >= LAUNCH_HOUR) or (day == 0 and hour < STOP_HOUR)


def deployment_fails(moment: datetime) -> bool:
    """Tell times at which deployments fail."""
    return moment.weekday() == FRIDAY and DEPLOYMENT_HOUR <= moment.hour < DEPLOYMENT_HOUR + 2


class Life:
    """The events of one service. `pass_until` lets time pass, beat by beat, and makes them."""

    service: Service

    def __init__(self, service: Service, dice: random.Random) -> None:
        self.service = service
        self.dice = dice
        self._later: list[tuple[datetime, int, Callable[[], None]]] = []
        self._planned = 0
        self.begin()

    @property
    def now(self) -> datetime:
        """The service's time."""
        return self.service.clock.now()

    def pass_until(self, moment: datetime) -> None:
        """Advance to a moment and make all events until then."""
        while (now := self.now) < moment:
            before = now
            self.advance((min(moment, now + BEAT) - now).total_seconds())
            while self._later and self._later[0][0] <= self.now:
                heapq.heappop(self._later)[2]()
            self.beat(before)

    def later(self, hours: float, change: Callable[[], None]) -> None:
        """Plan a change."""
        self._planned += 1
        heapq.heappush(self._later, (self.now + hours * HOUR, self._planned, change))

    def often(self, per_hour: float, before: datetime) -> int:
        """Draw the number of events in this beat, for an average rate per hour that is higher by day."""
        mean = per_hour * intensity(self.now) * ((self.now - before) / HOUR)
        count, chance = 0, self.dice.random()
        limit = math.exp(-mean)
        while chance > limit:
            count += 1
            chance *= self.dice.random()
        return count

    # Defined by subclasses.

    def begin(self) -> None:
        """Prepare the first beat."""

    def advance(self, seconds: float) -> None:
        """Advance the service by some seconds."""
        self.service.pass_time(seconds)

    def beat(self, before: datetime) -> None:
        """Make the events between `before` and now."""
