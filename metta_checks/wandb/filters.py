"""The questions, as W&B takes them: Mongo-style filters. Pure; `now` and moments are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.times import format_time
from .records import ENDED_STATES, LIVE_STATES, STATES

Filter = Mapping[str, Any]

OLDEST_FIRST = '+created_at'
LATEST_HEARTBEAT_FIRST = '-heartbeat_at'


def state(*states: str) -> Filter:
    """Runs in one of these states."""
    return {'state': states[0]} if len(states) == 1 else {'state': {'$in': list(states)}}


def heartbeat_since(moment: datetime) -> Filter:
    """Runs whose last sign of life is not older; runs without one do not match."""
    return {'heartbeatAt': {'$gte': format_time(moment)}}


def heartbeat_before(moment: datetime) -> Filter:
    """Runs whose last sign of life is older; runs without one do not match."""
    return {'heartbeatAt': {'$lt': format_time(moment)}}


def both(*filters: Filter) -> Filter:
    """All of these at once; they must not speak of the same field."""
    return {field: condition for one in filters for field, condition in one.items()}


def live(known: Iterable[str] = ()) -> Filter:
    """Runs that have not ended, and those of the given ids, whatever has become of them."""
    ids = list(known)
    return {'$or': [state(*LIVE_STATES), {'name': {'$in': ids}}]} if ids else state(*LIVE_STATES)


def changed(since: float, known: Iterable[str] = ()) -> Filter:
    """Runs that have not ended, that gave a sign of life since then (seconds since the epoch), or are of the given ids.

    The ids matter: W&B notices a crash late, and then the last sign of life is older than any cursor.
    """
    conditions: list[Filter] = [state(*LIVE_STATES), heartbeat_since(datetime.fromtimestamp(since, UTC))]
    ids = list(known)
    if ids:
        conditions.append({'name': {'$in': ids}})
    return {'$or': conditions}


def counts(now: datetime) -> dict[str, Filter]:
    """What can be counted on every server: all runs, the runs in each state, those created in 24 hours."""
    return {
        'total': {},
        **{name: state(name) for name in STATES},
        'created_24h': {'createdAt': {'$gte': format_time(now - timedelta(hours=24))}},
    }


def heartbeat_counts(now: datetime, stale_minutes: float) -> dict[str, Filter]:
    """What can be counted where the server filters by heartbeat."""
    week = heartbeat_since(now - timedelta(days=7))
    return {
        'stale': both(state('running'), heartbeat_before(now - timedelta(minutes=stale_minutes))),
        'completed_7d': both(state('finished'), week),
        'failed_7d': both(state('failed', 'crashed'), week),
        'ended_7d': both(state(*ENDED_STATES), week),
    }


def heartbeat_probe(now: datetime) -> dict[str, Filter]:
    """Counts that tell whether the server filters by heartbeat: none lies in the future, all of them in the past."""
    tomorrow = now + timedelta(days=1)
    return {'future': heartbeat_since(tomorrow), 'past': heartbeat_before(tomorrow), 'ended': state(*ENDED_STATES)}
