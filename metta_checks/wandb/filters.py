"""Filters of runs in the form that W&B takes, which is that of MongoDB queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..core.times import format_time
from .records import ACTIVE_STATES, ENDED_STATES, LIVE_STATES, STATES

Filter = Mapping[str, Any]

OLDEST_FIRST = '+created_at'
NEWEST_FIRST = '-created_at'
LATEST_HEARTBEAT_FIRST = '-heartbeat_at'


def state(*states: str) -> Filter:
    """Return the filter of runs in one of these states."""
    return {'state': states[0]} if len(states) == 1 else {'state': {'$in': list(states)}}


def heartbeat_since(moment: datetime) -> Filter:
    """Return the filter of runs with a heartbeat at `moment` or later."""
    return {'heartbeatAt': {'$gte': format_time(moment)}}


def heartbeat_before(moment: datetime) -> Filter:
    """Return the filter of runs whose last heartbeat is before `moment`. Runs without a heartbeat do not match."""
    return {'heartbeatAt': {'$lt': format_time(moment)}}


def both(*filters: Filter) -> Filter:
    """Return the filter of runs that match all filters. No two of them may be about the same field."""
    return {field: condition for one in filters for field, condition in one.items()}


def active() -> Filter:
    """Return the filter of the runs that work."""
    return state(*ACTIVE_STATES)


def live(known: Iterable[str] = ()) -> Filter:
    """Return the filter of live runs and of the runs with the given ids, whatever their state."""
    ids = list(known)
    return {'$or': [state(*LIVE_STATES), {'name': {'$in': ids}}]} if ids else state(*LIVE_STATES)


def changed(since: datetime, known: Iterable[str] = ()) -> Filter:
    """Return the filter of live runs, of runs with a heartbeat since then, and of the runs with the given ids.

    The ids matter: W&B notices a crash late, when the last heartbeat is older than `since`.
    """
    conditions: list[Filter] = [state(*LIVE_STATES), heartbeat_since(since)]
    ids = list(known)
    if ids:
        conditions.append({'name': {'$in': ids}})
    return {'$or': conditions}


def counts(now: datetime) -> dict[str, Filter]:
    """Return the filters of the counts that every server can give: all runs, by state, and created in 24 hours."""
    return {
        'total': {},
        **{name: state(name) for name in STATES},
        'created_24h': {'createdAt': {'$gte': format_time(now - timedelta(hours=24))}},
    }


def heartbeat_counts(now: datetime, stale_minutes: float) -> dict[str, Filter]:
    """Return the filters of the counts that a server can give that filters by heartbeat."""
    return {
        'stale': both(active(), heartbeat_before(now - timedelta(minutes=stale_minutes))),
        'heard_7d': both(state(*ENDED_STATES), heartbeat_since(now - timedelta(days=7))),
    }


def heartbeat_probe(now: datetime) -> dict[str, Filter]:
    """Return the filters of counts that show if a server filters by heartbeat: it finds none in the future."""
    tomorrow = now + timedelta(days=1)
    return {'future': heartbeat_since(tomorrow), 'past': heartbeat_before(tomorrow), 'ended': state(*ENDED_STATES)}
