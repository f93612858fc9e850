"""Figures of block `counts`: runs by state, as the server counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.tag_values import OTHER
from ..records import ACTIVE_STATES, STATES
from ..run_table import RunRow


def counts(counted: Mapping[str, int | None]) -> Iterator[Sample]:
    """Yield the counts, which are given by name. A count of None is unknown; `stale` may be missing."""
    yield Sample('runs.active', _sum(counted[state] for state in ACTIVE_STATES))
    yield Sample('runs.total', counted['total'])
    yield Sample('runs.created_24h', counted['created_24h'])
    yield Sample('runs.stale', counted.get('stale'))
    for state in STATES:
        yield Sample('runs.count', counted[state], {'state': state})
    # Newer servers may have states that this source does not know.
    total, known = counted['total'], _sum(counted[state] for state in STATES)
    if total is not None and known is not None and total > known:
        yield Sample('runs.count', total - known, {'state': OTHER})


def _sum(numbers: Iterable[int | None]) -> int | None:
    listed = list(numbers)
    known = [number for number in listed if number is not None]
    return sum(known) if len(known) == len(listed) else None


def stale(rows: Iterable[RunRow], now: datetime, stale_minutes: float) -> int:
    """Return the number of stale runs, for servers that cannot filter by heartbeat."""
    before = (now - timedelta(minutes=stale_minutes)).timestamp()
    return sum(row.active and row.heartbeat is not None and row.heartbeat < before for row in rows)
