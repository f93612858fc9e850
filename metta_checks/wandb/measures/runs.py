"""Figures of block `runs`: durations, and runs that have ended since the last refresh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import OTHER, labels
from ..gpu_usage import GpuUsage, gpu_usage
from ..records import ENDED_STATES
from ..run_table import HOUR_SECONDS, WEEK, RunRow
from ..settings import Figures
from .gpu_hours import gpu_hours
from .single_runs import single_runs
from .summaries import summaries


def runs(rows: Iterable[RunRow], now: datetime, figures: Figures, usage: GpuUsage) -> Iterator[Sample]:
    """Yield the gauges of the table of runs: live ones, and those that ended in 7 days. `usage` is their GPU time."""
    rows = list(rows)
    ended = [row for row in rows if row.ended_since(now - WEEK)]
    yield from _ended(ended)
    yield from _durations(ended)
    yield from _waiting(rows, now)
    yield from gpu_hours(usage, figures)
    yield from summaries([row for row in ended if row.state == 'finished'], figures)
    yield from single_runs(rows, now, figures)


def usage_of(rows: Iterable[RunRow], now: datetime) -> GpuUsage:
    """Return the GPU time in 7 days of the runs that ended in that time or are active."""
    start = now - WEEK
    chosen = [row for row in rows if row.ended_since(start) or (row.active and row.heartbeat is not None)]
    return gpu_usage(chosen, start.timestamp(), now.timestamp())


def _ended(ended: Iterable[RunRow]) -> Iterator[Sample]:
    states = Counter(row.state for row in ended)
    for state in ENDED_STATES:
        yield Sample('runs.ended_7d', states[state], {'state': state})
    yield Sample('runs.completed_7d', states['finished'])
    failed = states['failed'] + states['crashed']
    yield Sample('runs.failed_7d', failed)
    rate = stats.percentage(states['finished'], states['finished'] + failed)
    yield Sample('training.success_rate_pct_7d', rate)


def _durations(ended: Iterable[RunRow]) -> Iterator[Sample]:
    hours = stats.summary((row.running_seconds / HOUR_SECONDS for row in ended), ('avg', 'p50', 'p90', 'max'))
    yield Sample('training.avg_duration_hours', hours['avg'])
    yield Sample('training.duration_hours', hours['p50'])
    yield Sample('training.run_hours_7d.p90', hours['p90'])
    yield Sample('training.run_hours_7d.max', hours['max'])


def _waiting(rows: Iterable[RunRow], now: datetime) -> Iterator[Sample]:
    live = [row for row in rows if row.live]
    pending = (row.age_hours(now) for row in live if not row.active)
    yield Sample('runs.pending_hours.max', max(pending, default=None))
    elapsed = stats.summary((row.age_hours(now) for row in live if row.active), ('avg', 'max'))
    yield Sample('training.elapsed_hours.avg', elapsed['avg'])
    yield Sample('training.elapsed_hours.max', elapsed['max'])


def endings(ended: Sequence[RunRow], by_user: bool) -> Iterator[Sample]:
    """Yield the number and the running times of the runs that have ended since the last refresh."""
    for row in ended:
        yield Sample('training.run_duration_hours', row.running_seconds / HOUR_SECONDS, _ending_tags(row))
    users = labels(Counter(_user(row) for row in ended))
    numbers: Counter[tuple[tuple[str, str], ...]] = Counter()
    for row in ended:
        tags = _ending_tags(row)
        if by_user:
            tags['user'] = users[_user(row)]
        numbers[tuple(tags.items())] += 1
    for key, number in numbers.items():
        yield Sample('runs.finished', number, dict(key))


def _user(row: RunRow) -> str:
    # Datadog lowers tag values: names that differ only in case are one user.
    return row.user.lower() or OTHER


def _ending_tags(row: RunRow) -> dict[str, str]:
    return {'state': row.state, 'run_type': row.run_type} if row.run_type else {'state': row.state}
