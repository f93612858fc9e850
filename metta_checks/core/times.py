"""Points in time and windows, in UTC, and the age of remembered times. No function reads a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

# Clocks are corrected by some seconds now and then; a remembered time may be ahead by that much.
TOLERANCE_SECONDS = 60
# Ignore reset times more than a day away: no limit of any service lasts longer.
MAX_WAIT_SECONDS = 24 * 3600


def parse_http_date(value: str | None) -> datetime | None:
    """Return the time in a header such as `Date` as aware UTC, or None if there is none."""
    try:
        moment = parsedate_to_datetime(value or '')
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def from_epoch(value: Any) -> datetime | None:
    """Return seconds since the epoch as aware UTC, or None for other types and for times that datetime cannot hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def format_time(moment: datetime) -> str:
    """Return ISO 8601 with seconds and `Z`, the form that web APIs expect."""
    return moment.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


def utc_time(moment: float) -> str:
    """Return seconds since the epoch as `2026-11-24 18:00:05 UTC`, for messages."""
    known = from_epoch(moment)
    return f'{known:%Y-%m-%d %H:%M:%S} UTC' if known else 'a time that is out of range'


def seconds_between(start: datetime, end: datetime) -> float:
    """Return the seconds from start to end, at least 0: the clocks of two machines may differ slightly."""
    return max(0.0, (end - start).total_seconds())


def hours_between(start: datetime, end: datetime) -> float:
    """Return the hours from start to end, at least 0."""
    return seconds_between(start, end) / 3600


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval [start, end]."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, end: datetime, **delta: float) -> Window:
        """Return the window that ends at `end`; its length is given as for timedelta (days=7)."""
        return cls(end - timedelta(**delta), end)

    def __contains__(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= moment <= self.end


def age(at: float | None, now: float) -> float | None:
    """Return the seconds since `at`, at least 0. None without a time, and for a time in the future.

    The clock of a machine can be wrong and be set right later. A time that was noted while it was ahead lies in the
    future then, and nobody knows how old it is.
    """
    if at is None or at > now + TOLERANCE_SECONDS:
        return None
    return max(0.0, now - at)


def wait(until: float | None, now: float) -> float | None:
    """Return the seconds until `until`, 0 once it has passed. None without a time, and for one beyond any wait."""
    if until is None or until > now + MAX_WAIT_SECONDS + TOLERANCE_SECONDS:
        return None
    return max(0.0, until - now)
