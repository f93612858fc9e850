"""The time of the W&B server. Its heartbeats and creation times are compared with it, not with the Agent's clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..core.budget import Budget

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
