"""The sandbox's clock. Data is made relative to it; it stands still unless told to run or to advance."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that starts at `start` (default: the current whole second)."""

    def __init__(self, start: datetime | None = None) -> None:
        self.start = start or datetime.now(UTC).replace(microsecond=0)
        self._now = self.start
        self._running_since: datetime | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The sandbox's time, UTC."""
        with self._lock:
            if self._running_since is None:
                return self._now
            return self._now + (datetime.now(UTC) - self._running_since)

    def advance(self, seconds: float) -> datetime:
        """Move on by so many seconds."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
        return self.now()

    def run(self) -> None:
        """From now on, pass as real time does."""
        with self._lock:
            if self._running_since is None:
                self._running_since = datetime.now(UTC)
