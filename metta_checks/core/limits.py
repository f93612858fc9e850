"""Rate limits of a service: the requests that are left, and the time to wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .clock import Clock
from .errors import RateLimited

# Ignore reset times more than a day away: no limit of any service lasts longer.
MAX_WAIT_SECONDS = 24 * 3600


class RateLimits:
    """What a service said about its limits, per resource, and until when it wants to be left alone."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._closed: dict[str, tuple[float, str]] = {}
        self.observed: dict[str, tuple[float, float]] = {}

    def observe(self, resource: str, *, remaining: float, limit: float) -> None:
        """Remember the numbers of an answer, for the self-metrics."""
        self.observed[resource] = (remaining, limit)

    def bounded(self, until: float) -> float:
        """The time to wait for, at most MAX_WAIT_SECONDS away: a service that says more is asked again then."""
        latest = self.clock.now().timestamp() + MAX_WAIT_SECONDS
        return until if until <= latest else latest

    def close(self, resource: str, until: float, message: str) -> None:
        """Send nothing to `resource` before `until` (seconds since the epoch). Never shortens an earlier wait."""
        until = self.bounded(until)
        if until > self._closed.get(resource, (0.0, ''))[0]:
            self._closed[resource] = (until, message)

    def check(self, resource: str) -> None:
        """Raises RateLimited while the resource is closed; costs no request."""
        until, message = self._closed.get(resource, (0.0, ''))
        if until > self.clock.now().timestamp():
            raise RateLimited(message, until=until)
        self._closed.pop(resource, None)

    def dump(self) -> dict[str, Any]:
        """JSON value of the closed resources."""
        return {resource: [until, message] for resource, (until, message) in self._closed.items()}

    def load(self, document: Mapping[str, Any]) -> None:
        """Take over what `dump` returned, in an earlier life."""
        self._closed = {resource: (float(until), str(message)) for resource, (until, message) in document.items()}
