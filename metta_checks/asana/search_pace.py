"""Pace of searches, which Asana limits more than other requests."""

from __future__ import annotations

from collections import deque

from ..core.clock import Clock
from ..core.errors import OutOfBudget
from .settings import MINUTE_SECONDS, SHARE

# Asana's published limit in searches per minute and token.
SEARCHES_PER_MINUTE = 60


class SearchPace:
    """Keeps searches below Asana's limit: a search beyond the pace waits for a later run, and gets no 429."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: deque[float] = deque()

    def spend(self) -> None:
        """Account for a search about to be sent. Raises OutOfBudget when the last minute has had enough of them."""
        now = self._clock.monotonic()
        while self._sent and now - self._sent[0] >= MINUTE_SECONDS:
            self._sent.popleft()
        if len(self._sent) >= int(SHARE * SEARCHES_PER_MINUTE):
            raise OutOfBudget(f'Asana allows {SEARCHES_PER_MINUTE} searches per minute: the next run continues')
        self._sent.append(now)
