"""The rhythm of the week, and what all lives have in common."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from ..server import Service

HOUR = timedelta(hours=1)
# How often things happen.
BEAT = timedelta(minutes=30)
WEDNESDAY, THURSDAY, SATURDAY = 2, 3, 5
SHORTAGE_HOURS = (13, 19)
BROKEN_HOURS = (9, 16)
NIGHT = 0.3
WEEKEND = 0.35


def intensity(moment: datetime) -> float:
    """How busy people are, 1 on the average of a week."""
    return _busy(moment.weekday(), moment.hour + moment.minute / 60) / _MEAN


def _busy(weekday: int, hour: float) -> float:
    peaks = sum(math.exp(-(((hour - peak) / width) ** 2)) for peak, width in ((10.5, 2.5), (15.5, 2.8)))
    return NIGHT + 2 * peaks * (WEEKEND / 3 if weekday >= SATURDAY else 1)


_MEAN = sum(_busy(day, hour) for day in range(7) for hour in range(24)) / (7 * 24)


def spot_is_short(moment: datetime) -> bool:
    """Whether there are no spot machines to be had."""
    return moment.weekday() == WEDNESDAY and SHORTAGE_HOURS[0] <= moment.hour < SHORTAGE_HOURS[1]


def main_is_broken(moment: datetime) -> bool:
    """Whether the tests fail on the main branch."""
    return moment.weekday() == THURSDAY and BROKEN_HOURS[0] <= moment.hour < BROKEN_HOURS[1]


class Life:
    """What happens in one service. `pass_until` lets the time pass, and it happen, beat by beat."""

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
        """Let everything happen until a moment."""
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
        """How often something happens in this beat: at so many times an hour on average, more by day."""
        mean = per_hour * intensity(self.now) * ((self.now - before) / HOUR)
        count, chance = 0, self.dice.random()
        limit = math.exp(-mean)
        while chance > limit:
            count += 1
            chance *= self.dice.random()
        return count

    # What a source defines.

    def begin(self) -> None:
        """Before the first beat."""

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass in the service."""
        self.service.pass_time(seconds)

    def beat(self, before: datetime) -> None:
        """What happened between `before` and now."""
