from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import fields, times
from metta_checks.core.times import Window

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_format_and_parse_are_inverse_to_the_second(moment):
    assert fields.moment(times.format_time(moment)) == moment.replace(microsecond=0)


def test_format_time_is_utc():
    moment = datetime(2026, 11, 24, 20, tzinfo=timezone(timedelta(hours=2)))
    assert times.format_time(moment) == '2026-11-24T18:00:00Z'


@pytest.mark.parametrize('value', [None, True, 'x', float('nan'), 1e20])
def test_from_epoch_tolerates_nonsense(value):
    assert times.from_epoch(value) is None


@given(moments, moments)
def test_durations_are_never_negative(one, other):
    assert times.seconds_between(one, other) >= 0
    assert times.hours_between(one, other) == times.seconds_between(one, other) / 3600


def test_window_is_closed():
    end = datetime(2026, 11, 24, tzinfo=UTC)
    window = Window.last(end, days=7)
    assert end in window
    assert end - timedelta(days=7) in window
    assert end + timedelta(microseconds=1) not in window
    assert end - timedelta(days=7, microseconds=1) not in window
    assert None not in window
