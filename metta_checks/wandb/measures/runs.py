"""Figures of block `runs`: durations, and runs that have ended since the last refresh."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import OTHER, labels
from ..records import ENDED_STATES
from ..run_table import HOUR_SECONDS, WEEK, Ending, RunRow
from ..settings import Figures
from .gpu_hours import gpu_hours
from .single_runs import single_runs
from .summaries import summaries


def runs(rows: Iterable[RunRow], now: datetime, figures: Figures) -> Iterator[Sample]:
    """Yield the gauges of the table of runs: live ones, and those that ended in 7 days."""
    rows = list(rows)
    ended = [row for row in rows if row.ended_since(now - WEEK)]
    alive = [row for row in rows if row.state == 'running' and row.heartbeat is not None]
    yield from _durations(ended)
    yield from _waiting(rows, now)
    yield from gpu_hours([*ended, *alive], now, figures)
    yield from summaries([row for row in ended if row.state == 'finished'], figures)
    yield from single_runs(rows, now, figures)


def _durations(ended: Sequence[RunRow]) -> Iterator[Sample]:
    states = Counter(row.state for row in ended)
    for state in ENDED_STATES:
        yield Sample('runs.ended_7d', states[state], {'state': state})
    hours = stats.summary((row.running_seconds / HOUR_SECONDS for row in ended), ('avg', 'p50', 'p90', 'max'))
    yield Sample('training.avg_duration_hours', hours['avg'])
    yield Sample('training.duration_hours', hours['p50'])
    yield Sample('training.run_hours_7d.p90', hours['p90'])
    yield Sample('training.run_hours_7d.max', hours['max'])


def _waiting(rows: Iterable[RunRow], now: datetime) -> Iterator[Sample]:
    hours = defaultdict(list)
    for row in rows:
        if row.live:
            hours[row.state].append(row.age_hours(now))
    yield Sample('runs.pending_hours.max', max(hours['pending'], default=None))
    elapsed = stats.summary(hours['running'], ('avg', 'max'))
    yield Sample('training.elapsed_hours.avg', elapsed['avg'])
    yield Sample('training.elapsed_hours.max', elapsed['max'])


def endings(ended: Sequence[Ending], by_user: bool) -> Iterator[Sample]:
    """Yield the number and the running times of the runs that have ended since the last refresh."""
    for ending in ended:
        yield Sample('training.run_duration_hours', ending.row.running_seconds / HOUR_SECONDS, _ending_tags(ending))
    users = labels(Counter(_user(ending) for ending in ended))
    numbers: Counter[tuple[tuple[str, str], ...]] = Counter()
    for ending in ended:
        tags = _ending_tags(ending)
        if by_user:
            tags['user'] = users[_user(ending)]
        numbers[tuple(tags.items())] += 1
    for key, number in numbers.items():
        yield Sample('runs.finished', number, dict(key))


def _user(ending: Ending) -> str:
    # Datadog lowers tag values: names that differ only in case are one user.
    return ending.user.lower() or OTHER


def _ending_tags(ending: Ending) -> dict[str, str]:
    tags = {'state': ending.row.state}
    if ending.row.run_type:
        tags['run_type'] = ending.row.run_type
    return tags
