"""Compare remembered times, stored or not, with the present time.

The clock of a machine can be wrong and be set right later. A time noted while it was ahead lies in the future then, and
would hold for as long as the clock was ahead: `age` and `wait` return None for it, as for a time nobody knows.
"""

from __future__ import annotations

# Clocks are corrected by some seconds now and then; a remembered time may be ahead by that much.
TOLERANCE_SECONDS = 60
# Ignore reset times more than a day away: no limit of any service lasts longer.
MAX_WAIT_SECONDS = 24 * 3600


def age(at: float | None, now: float) -> float | None:
    """Return the seconds since a time that has passed, never negative; None for no time and for one in the future."""
    if at is None or at > now + TOLERANCE_SECONDS:
        return None
    return max(0.0, now - at)


def wait(until: float | None, now: float) -> float | None:
    """Return the seconds until a time to wait for, 0 when it has come.

    None for no time and for one further away than any wait.
    """
    if until is None or until > now + MAX_WAIT_SECONDS + TOLERANCE_SECONDS:
        return None
    return max(0.0, until - now)
