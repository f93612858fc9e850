"""The time and the number of requests that a refresh may spend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from .clock import Clock
from .errors import OutOfBudget
from .times import parse_http_date

# The header `Date` has whole seconds.
DATE_PRECISION = timedelta(seconds=1)
# A date that differs by more is not the time of a clock; with times of the year 9999, nothing can be calculated.
MAX_SKEW_SECONDS = 100 * 365 * 86400


class Budget:
    """The time and the requests that a refresh may spend.

    The clients of an instance share one budget; each refresh restarts it.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.requests = 0
        self.bytes = 0
        # Seconds that this machine's clock is ahead of the service's, None before an answer that says.
        self.skew: float | None = None
        self._deadline = float('inf')
        self._limit: int | None = None
        self._canceled = threading.Event()
        self._end_exchange: Callable[[], None] = lambda: None

    def start(self, seconds: float, requests: int | None = None) -> None:
        """Begin a new account.

        `seconds` is its time, `requests` the most that it allows to send; None: any number.
        """
        self.requests = 0
        self.bytes = 0
        self._deadline = self.clock.monotonic() + seconds
        self._limit = requests

    def cap(self, requests: int | None) -> None:
        """Change how many requests the running account allows, those already sent included."""
        self._limit = requests

    def cancel(self) -> None:
        """Allow no further requests, and end the one that is under way. May be called from any thread."""
        self._canceled.set()
        self._end_exchange()

    def on_cancel(self, end: Callable[[], None]) -> None:
        """Set the function that ends the exchange under way; it may be called after the end of the exchange, too."""
        self._end_exchange = end
        if self._canceled.is_set():
            end()

    def seconds_left(self) -> float:
        """Return the time left, never negative."""
        return max(0.0, self._deadline - self.clock.monotonic())

    def wait(self, seconds: float) -> None:
        """Let this time pass. Returns at once when the account is canceled."""
        self.clock.wait(max(0.0, seconds), self._canceled)

    def check(self) -> None:
        """Do nothing while a request may be sent. Raises OutOfBudget otherwise."""
        if self._canceled.is_set():
            raise OutOfBudget('the check is being stopped', reason='cancelled')
        if self.seconds_left() <= 0:
            raise OutOfBudget('the refresh ran out of time (option `refresh_timeout`)')
        if self._limit is not None and self.requests >= self._limit:
            raise OutOfBudget(f'the refresh ran out of requests ({self._limit} per refresh)')

    def spend(self) -> None:
        """Account for one request about to be sent. Raises OutOfBudget instead when nothing is left."""
        self.check()
        self.requests += 1

    def receive(self, size: int, headers: Mapping[str, str], asked_at: datetime | None = None) -> None:
        """Account for an answer: its bytes, and its header `Date`, which is of a time after the question."""
        self.bytes += size
        said = parse_http_date(headers.get('Date'))
        # A cache sends `Age`: the date is when it asked the service.
        if said is None or headers.get('Age', '0').strip() != '0':
            return
        now = self.clock.now()
        skew = (now - said).total_seconds()
        is_slow = asked_at is not None and asked_at - DATE_PRECISION <= said <= now
        if abs(skew) <= MAX_SKEW_SECONDS:
            self.skew = 0.0 if is_slow else skew
