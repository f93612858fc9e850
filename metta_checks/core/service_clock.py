"""The time of a service, with which the times in its answers are compared: the Agent's clock may be wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

from .budget import Budget

# Smaller differences are those of a clock that is right: the header has whole seconds, and answers take time.
TOLERANCE_SECONDS = 30


class ServiceClock:
    """Converts times of the Agent's clock, by the header `Date` of the last answer."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def time(self, moment: datetime) -> datetime:
        """Return the time of the service at a time of the Agent. Before the first answer, the two are the same."""
        skew = self._budget.skew or 0.0
        return moment - timedelta(seconds=skew) if abs(skew) > TOLERANCE_SECONDS else moment
