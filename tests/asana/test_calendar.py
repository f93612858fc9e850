"""Due dates around midnight, the end of the week and the change of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.asana.measures.calendar import Calendar
from metta_checks.asana.measures.tasks import tasks

from .rows import figures, task

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo('Europe/Berlin')
ANGELES = ZoneInfo('America/Los_Angeles')
DUE = ('tasks.overdue', 'tasks.due_today', 'tasks.due_this_week', 'tasks.no_due_date')


def due(now, zone, *, on=None, at=None):
    """Return the four figures of a single task."""
    values = figures(tasks([task(due_on=on, due_at=at)], now.astimezone(UTC), zone))
    return tuple(values[name] for name in DUE)


def test_midnight_is_that_of_the_time_zone():
    friday = date(2026, 3, 13)
    before = datetime(2026, 3, 13, 23, 59, 59, tzinfo=BERLIN)
    assert due(before, BERLIN, on=friday) == (0, 1, 1, 0)
    assert due(before + timedelta(seconds=1), BERLIN, on=friday) == (1, 0, 0, 0)
    # In California the same task has the whole afternoon left.
    assert due(before + timedelta(seconds=1), ANGELES, on=friday) == (0, 1, 1, 0)


def test_the_week_ends_on_sunday():
    sunday, monday = date(2026, 3, 15), date(2026, 3, 16)
    now = datetime(2026, 3, 15, 12, tzinfo=BERLIN)
    assert due(now, BERLIN, on=sunday) == (0, 1, 1, 0)
    assert due(now, BERLIN, on=monday) == (0, 0, 0, 0)
    assert due(now + timedelta(days=1), BERLIN, on=monday + timedelta(days=6)) == (0, 0, 1, 0)


def test_a_due_time_late_in_the_evening_of_another_zone():
    """23:30 in Los Angeles is 7:30 of the next day in Berlin."""
    late = datetime(2026, 3, 13, 23, 30, tzinfo=ANGELES)
    now = datetime(2026, 3, 13, 12, 0, tzinfo=BERLIN)
    on = date(2026, 3, 13)
    assert due(now, ANGELES, on=on, at=late) == (0, 1, 1, 0)
    assert due(now, BERLIN, on=on, at=late) == (0, 0, 1, 0)
    # On Sunday evening it is next week in Berlin already.
    sunday = datetime(2026, 3, 15, 23, 30, tzinfo=ANGELES)
    assert due(sunday - timedelta(days=1), ANGELES, on=sunday.date(), at=sunday) == (0, 0, 1, 0)
    assert due(sunday - timedelta(days=1), BERLIN, on=sunday.date(), at=sunday) == (0, 0, 0, 0)


@pytest.mark.parametrize('day', [date(2026, 3, 29), date(2026, 10, 25)])
def test_days_of_23_and_25_hours(day):
    start = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
    end = datetime(day.year, day.month, day.day, 23, 59, tzinfo=BERLIN)
    for now in (start, end):
        assert due(now, BERLIN, on=day) == (0, 1, 1, 0)
    # On these days, two o'clock never comes or comes twice. A due time is a point in time in both cases.
    at = datetime(day.year, day.month, day.day, 2, 30, tzinfo=BERLIN).astimezone(UTC)
    assert due(at, BERLIN, on=day, at=at) == (0, 1, 1, 0)
    assert due(at + timedelta(milliseconds=1), BERLIN, on=day, at=at) == (1, 0, 0, 0)


zones = st.sampled_from([UTC, BERLIN, ANGELES, ZoneInfo('Asia/Kolkata'), ZoneInfo('Pacific/Auckland')])
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@given(moments, zones, st.integers(-10, 10))
def test_a_due_date_against_the_calendar_itself(now, zone, days):
    today = now.astimezone(zone).date()
    on = today + timedelta(days=days)
    same_week = on.isocalendar()[:2] == today.isocalendar()[:2]
    assert due(now, zone, on=on) == (days < 0, days == 0, days >= 0 and same_week, 0)


@given(moments, zones, st.integers(-300, 300))
def test_a_due_time_against_the_calendar_itself(now, zone, hours):
    at = now + timedelta(hours=hours, minutes=1)
    local, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    ahead = at >= now
    same_week = local.isocalendar()[:2] == today.isocalendar()[:2]
    assert due(now, zone, on=at.date(), at=at) == (not ahead, ahead and local == today, ahead and same_week, 0)


@given(moments, zones)
def test_sunday_is_the_end_of_the_iso_week(now, zone):
    calendar = Calendar.at(now, zone)
    assert calendar.sunday.isoweekday() == 7
    assert 0 <= (calendar.sunday - calendar.today).days < 7


def test_a_due_time_at_the_end_of_the_calendar_is_due_on_its_date():
    """In a zone east of UTC, the last evening of the year 9999 is a day that no calendar has."""
    late = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    now = datetime(2026, 3, 13, 12, 0, tzinfo=UTC)
    assert due(now, ZoneInfo('Asia/Kolkata'), on=date(9999, 12, 31), at=late) == (0, 0, 0, 0)
