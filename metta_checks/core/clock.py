"""The time that a check goes by: current instant, elapsed seconds and timers, from one object that tests replace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A pending call."""

    def cancel(self) -> None:
        """Do not make the call, if it has not been made yet."""


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """Return the current time, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backward; only differences mean something."""

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Call a function once, from another thread, after this number of seconds."""

    def wait(self, seconds: float, event: threading.Event) -> None:
        """Return after this number of seconds, or when the event is set."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the current time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds of the system's monotonic clock."""
        return time.monotonic()

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Call a function from a daemon thread after this number of seconds."""
        timer = threading.Timer(seconds, function)
        timer.daemon = True
        timer.start()
        return timer

    def wait(self, seconds: float, event: threading.Event) -> None:
        """Return after this number of seconds, or when the event is set."""
        event.wait(seconds)
