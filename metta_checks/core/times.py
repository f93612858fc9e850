"""Points in time and windows, always UTC, never with a clock of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any


def parse_http_date(value: str | None) -> datetime | None:
    """The time in a header such as `Date`, as aware UTC. None without one and for what is no time."""
    try:
        moment = parsedate_to_datetime(value or '')
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def from_epoch(value: Any) -> datetime | None:
    """Seconds since the epoch as aware UTC. None for null, booleans, non-numbers and times outside datetime's range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def format_time(moment: datetime) -> str:
    """ISO 8601 with seconds and `Z`, as web APIs want it."""
    return moment.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


def clock_time(moment: float) -> str:
    """Seconds since the epoch as `18:00:05 UTC`, for messages."""
    known = from_epoch(moment)
    return f'{known:%H:%M:%S} UTC' if known else 'a time beyond the calendar'


def seconds_between(start: datetime, end: datetime) -> float:
    """Seconds from start to end, never negative: clocks of two machines may differ by a little."""
    return max(0.0, (end - start).total_seconds())


def hours_between(start: datetime, end: datetime) -> float:
    """Hours from start to end, never negative."""
    return seconds_between(start, end) / 3600


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval [start, end]."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, end: datetime, **delta: float) -> Window:
        """The window of a length given as for timedelta (days=7) that ends at `end`."""
        return cls(end - timedelta(**delta), end)

    def __contains__(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= moment <= self.end
