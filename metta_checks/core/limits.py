"""Rate limits of a service: the requests that are left, and the time to wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .clock import Clock
from .errors import RateLimited
from .times import MAX_WAIT_SECONDS, wait


class RateLimits:
    """The limits of a service, by resource, as its answers state them, and the waits that it asked for."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._closed: dict[str, tuple[float, str]] = {}
        self.observed: dict[str, tuple[float, float]] = {}

    def observe(self, resource: str, *, remaining: float, limit: float) -> None:
        """Remember the numbers of an answer, for the self-metrics."""
        self.observed[resource] = (remaining, limit)

    def bounded(self, until: float) -> float:
        """Return the time to wait for, at most MAX_WAIT_SECONDS away."""
        latest = self.clock.now().timestamp() + MAX_WAIT_SECONDS
        return until if until <= latest else latest

    def close(self, resource: str, until: float, message: str) -> None:
        """Send nothing to `resource` before `until` (seconds since the epoch). Never shortens an earlier wait."""
        until = self.bounded(until)
        if not self._is_closed(resource) or until > self._closed[resource][0]:
            self._closed[resource] = (until, message)

    def check(self, resource: str) -> None:
        """Raises RateLimited while the resource is closed; costs no request."""
        if self._is_closed(resource):
            until, message = self._closed[resource]
            raise RateLimited(message, until=until)
        self._closed.pop(resource, None)

    def _is_closed(self, resource: str) -> bool:
        """Return whether a wait goes on; one that was noted while the clock was ahead does not."""
        return resource in self._closed and bool(wait(self._closed[resource][0], self.clock.now().timestamp()))

    def dump(self) -> dict[str, Any]:
        """Return the waits as a JSON value."""
        return {resource: [until, message] for resource, (until, message) in self._closed.items()}

    def load(self, document: Mapping[str, Any]) -> None:
        """Restore the waits from what `dump` returned."""
        self._closed = {resource: (float(until), str(message)) for resource, (until, message) in document.items()}
