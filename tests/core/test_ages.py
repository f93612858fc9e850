"""Comparisons of remembered times with the present."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.clock import SystemClock
from metta_checks.core.errors import RateLimited
from metta_checks.core.limits import RateLimits
from metta_checks.core.times import MAX_WAIT_SECONDS, TOLERANCE_SECONDS, age, wait
from metta_checks.testing import Clock

YEAR = 365 * 86400
times = st.floats(0, 4e9)


@given(times, times)
def test_a_time_of_the_future_has_no_age(at, now):
    assert age(None, now) is None
    assert age(at, now) == (None if at > now + TOLERANCE_SECONDS else max(0.0, now - at))


@given(times, times)
def test_a_wait_has_an_end(until, now):
    assert wait(None, now) is None
    longest = MAX_WAIT_SECONDS + TOLERANCE_SECONDS
    assert wait(until, now) == (None if until > now + longest else max(0.0, until - now))


def test_limits_closed_while_the_clock_was_ahead_are_open_when_it_is_set_right():
    right, ahead = Clock(), Clock()
    ahead.advance(YEAR)
    limits = RateLimits(ahead)
    limits.close('core', ahead.now().timestamp() + 900, 'wait')
    with pytest.raises(RateLimited):
        limits.check('core')
    again = RateLimits(right)
    again.load(limits.dump())
    again.check('core')
    limits.clock = right
    # A wait that the service asks for now is not longer than it said.
    until = right.now().timestamp() + 60
    limits.close('core', until, 'wait a minute')
    with pytest.raises(RateLimited, match='wait a minute'):
        limits.check('core')
    right.advance(60)
    limits.check('core')


def test_a_shorter_wait_does_not_end_a_longer_one():
    limits = RateLimits(SystemClock())
    now = SystemClock().now().timestamp()
    limits.close('core', now + 900, 'long')
    limits.close('core', now + 300, 'short')
    with pytest.raises(RateLimited, match='long'):
        limits.check('core')
