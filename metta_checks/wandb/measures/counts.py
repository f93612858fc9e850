"""Figures of block `counts`: runs by state, as the server counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.tag_values import OTHER
from ..records import STATES
from ..run_table import WEEK, RunRow


def counts(counted: Mapping[str, int]) -> Iterator[Sample]:
    """Yield the counts, which are given by name. Counts that the server could not give are left out."""
    yield Sample('runs.active', counted['running'])
    yield Sample('runs.total', counted['total'])
    yield Sample('runs.created_24h', counted['created_24h'])
    for name in ('completed_7d', 'failed_7d', 'stale'):
        yield Sample(f'runs.{name}', counted.get(name))
    for state in STATES:
        yield Sample('runs.count', counted[state], {'state': state})
    # Newer servers may have states that this source does not know.
    others = counted['total'] - sum(counted[state] for state in STATES)
    if others > 0:
        yield Sample('runs.count', others, {'state': OTHER})


def counts_from_rows(rows: Iterable[RunRow], now: datetime, stale_minutes: float) -> dict[str, int]:
    """Return the counts that depend on heartbeats, for servers that cannot filter by them."""
    rows = list(rows)
    states = Counter(row.state for row in rows if row.ended_since(now - WEEK))
    stale_before = (now - timedelta(minutes=stale_minutes)).timestamp()
    return {
        'completed_7d': states['finished'],
        'failed_7d': states['failed'] + states['crashed'],
        'stale': sum(_is_stale(row, stale_before) for row in rows),
    }


def _is_stale(row: RunRow, stale_before: float) -> bool:
    return row.state == 'running' and row.heartbeat is not None and row.heartbeat < stale_before
