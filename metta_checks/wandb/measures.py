"""The figures, from counts, rows and readings. Pure; definitions are those of metrics.yaml."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum

from ..core import stats
from ..core.refresh import Sample
from .records import ENDED_STATES, STATES, GpuReadings
from .table import OTHER, WEEK, Ending, Row

HOUR = 3600
FRESH_SECONDS = 600
IDLE_PERCENT = 5
MAX_USERS = 50
# States of a sweep that W&B documents; always shown, so that a state that empties goes to 0.
SWEEP_STATES = ('running', 'paused', 'canceled', 'finished')


@dataclass(frozen=True, slots=True)
class Figures:
    """Which figures are wanted. Keys are positions in a row's numbers."""

    accuracy: int
    loss: int
    aliases: Mapping[str, int]
    # USD per GPU-hour by GPU type.
    prices: Mapping[str, float] = field(default_factory=dict)
    # Estimate costs (option `prices` is set).
    costs: bool = False
    stale_minutes: float = 15
    by_user: bool = False
    # Most running runs that get series of their own; 0 for none.
    single_runs: int = 0


# Attempt counts.


def counts(counted: Mapping[str, int]) -> Iterator[Sample]:
    """From counts by name; those that the server could not give are left out."""
    yield Sample('runs.active', counted['running'])
    yield Sample('runs.total', counted['total'])
    yield Sample('runs.created_24h', counted['created_24h'])
    for name in ('completed_7d', 'failed_7d', 'stale'):
        yield Sample(f'runs.{name}', counted.get(name))
    for state in STATES:
        yield Sample('runs.count', counted[state], {'state': state})
    # States that this source does not know, on newer servers.
    others = counted['total'] - sum(counted[state] for state in STATES)
    if others > 0:
        yield Sample('runs.count', others, {'state': OTHER})


def counts_from_rows(rows: Iterable[Row], now: datetime, stale_minutes: float) -> dict[str, int]:
    """The counts that speak of heartbeats, for servers that cannot filter by them."""
    moment = now.timestamp()
    rows = list(rows)
    states = Counter(row.state for row in rows if row.ended and row.end >= moment - WEEK)
    return {
        'completed_7d': states['finished'],
        'failed_7d': states['failed'] + states['crashed'],
        'stale': sum(
            row.state == 'running' and row.heartbeat is not None and row.heartbeat < moment - 60 * stale_minutes
            for row in rows
        ),
    }


# Attempt runs.


def runs(rows: Iterable[Row], now: datetime, figures: Figures) -> Iterator[Sample]:
    """Everything that follows from the table of live runs and runs that ended in 7 days."""
    rows = list(rows)
    moment = now.timestamp()
    ended = [row for row in rows if row.ended and row.end >= moment - WEEK]
    alive = [row for row in rows if row.state == 'running' and row.heartbeat is not None]
    yield from _durations(ended)
    yield from _waiting(rows, moment)
    yield from _gpu_hours([*ended, *alive], moment, figures)
    yield from _summaries([row for row in ended if row.state == 'finished'], figures)
    yield from _single_runs(rows, moment, figures)


def _durations(ended: Sequence[Row]) -> Iterator[Sample]:
    states = Counter(row.state for row in ended)
    for state in ENDED_STATES:
        yield Sample('runs.ended_7d', states[state], {'state': state})
    hours = stats.summary((row.compute_seconds / HOUR for row in ended), ('avg', 'p50', 'p90', 'max'))
    yield Sample('training.avg_duration_hours', hours['avg'])
    yield Sample('training.duration_hours', hours['p50'])
    yield Sample('training.run_hours_7d.p90', hours['p90'])
    yield Sample('training.run_hours_7d.max', hours['max'])


def _waiting(rows: Iterable[Row], moment: float) -> Iterator[Sample]:
    hours = defaultdict(list)
    for row in rows:
        if row.live:
            hours[row.state].append(_age_hours(row, moment))
    yield Sample('runs.pending_hours.max', max(hours['pending'], default=None))
    elapsed = stats.summary(hours['running'], ('avg', 'max'))
    yield Sample('training.elapsed_hours.avg', elapsed['avg'])
    yield Sample('training.elapsed_hours.max', elapsed['max'])


def _age_hours(row: Row, moment: float) -> float:
    return max(0.0, moment - row.created) / HOUR


def gpu_hours(row: Row, moment: float) -> float | None:
    """GPU-hours of a run in the 7 days before `moment`: GPUs times running time. None when the GPUs are unknown.

    When its pauses lay is not known: running time counts as far as it fits into its life inside the window.
    """
    if row.gpus is None:
        return None
    inside = max(0.0, min(row.end, moment) - max(row.created, moment - WEEK))
    return row.gpus * min(inside, row.compute_seconds) / HOUR


def _gpu_hours(rows: Iterable[Row], moment: float, figures: Figures) -> Iterator[Sample]:
    hours: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        value = gpu_hours(row, moment)
        if value is None:
            # A sum that leaves runs out would be a wrong number.
            return
        if value > 0:
            hours[row.gpu_type].append(value)
    totals = {gpu_type: fsum(values) for gpu_type, values in sorted(hours.items())}
    yield Sample('training.total_gpu_hours_7d', fsum(totals.values()))
    for gpu_type, total in totals.items():
        yield Sample('gpus.hours_7d', total, {'gpu_type': gpu_type})
    if figures.costs:
        yield from _costs(totals, figures.prices)


def _costs(totals: Mapping[str, float], prices: Mapping[str, float]) -> Iterator[Sample]:
    costs = {name: total * prices[name] for name, total in totals.items() if name in prices}
    # Hours that all lack a price do not cost 0.
    if costs or not totals:
        yield Sample('training.cost_estimate_usd', fsum(costs.values()))
    for gpu_type, cost in costs.items():
        yield Sample('gpus.cost_usd_7d', cost, {'gpu_type': gpu_type})
    unpriced = fsum(total for name, total in totals.items() if name not in prices)
    yield Sample('training.unpriced_gpu_hours_7d', unpriced)


def _summaries(finished: Sequence[Row], figures: Figures) -> Iterator[Sample]:
    # By time of the end; ties by creation, then by id.
    by_end = sorted(finished, key=lambda row: (row.end, row.created, row.id))

    def numbers(position: int) -> list[float]:
        return [value for row in by_end if (value := row.numbers[position]) is not None]

    accuracies = numbers(figures.accuracy)
    yield Sample('metrics.best_accuracy', max(accuracies, default=None))
    yield Sample('metrics.avg_accuracy_7d', stats.mean(accuracies))
    losses = numbers(figures.loss)
    yield Sample('metrics.latest_loss', losses[-1] if losses else None)
    for alias, position in figures.aliases.items():
        values = numbers(position)
        yield Sample(f'summary.{alias}.last', values[-1] if values else None)
        yield Sample(f'summary.{alias}.avg', stats.mean(values))
        yield Sample(f'summary.{alias}.max', max(values, default=None))


def _single_runs(rows: Iterable[Row], moment: float, figures: Figures) -> Iterator[Sample]:
    for row in longest_running(rows, figures.single_runs):
        tags = run_tags(row)
        yield Sample('run.elapsed_hours', _age_hours(row, moment), tags)
        for alias, position in figures.aliases.items():
            yield Sample(f'run.summary.{alias}', row.numbers[position], tags)


def longest_running(rows: Iterable[Row], limit: int) -> list[Row]:
    """The running runs that get series of their own."""
    return sorted((row for row in rows if row.state == 'running'), key=lambda row: (row.created, row.id))[:limit]


def run_tags(row: Row) -> dict[str, str]:
    """The tags of a single run."""
    tags = {'run_id': row.id, 'run_name': row.name}
    return {**tags, 'run_type': row.run_type} if row.run_type else tags


def endings(found: Sequence[Ending], by_user: bool) -> Iterator[Sample]:
    """Counts and durations of runs that came to their end since the last refresh."""
    known = set(stats.top(Counter(ending.user for ending in found), MAX_USERS)) if by_user else ()
    numbers: Counter[tuple[tuple[str, str], ...]] = Counter()
    for ending in found:
        tags = {'state': ending.row.state}
        if ending.row.run_type:
            tags['run_type'] = ending.row.run_type
        yield Sample('training.run_duration_hours', ending.row.compute_seconds / HOUR, tags)
        if by_user:
            tags = {**tags, 'user': ending.user if ending.user in known and ending.user else OTHER}
        numbers[tuple(tags.items())] += 1
    for key, number in numbers.items():
        yield Sample('runs.finished', number, dict(key))


# Attempt gpus.


def fresh(readings: Iterable[GpuReadings], now: datetime) -> list[GpuReadings]:
    """Runs that gave a sign of life in the last 10 minutes."""
    limit = now.timestamp() - FRESH_SECONDS
    return [reading for reading in readings if reading.heartbeat is not None and reading.heartbeat >= limit]


def gpus(readings: Sequence[GpuReadings], known_types: Iterable[str]) -> Iterator[Sample]:
    """From the readings of fresh runs. `known_types` are shown as 0 GPUs when no fresh run has them."""
    every_gpu = [value for reading in readings for value in reading.utilization]
    yield Sample('training.gpu_utilization_avg', stats.mean(every_gpu))
    run_means = (stats.mean(reading.utilization) for reading in readings)
    yield Sample('training.gpu_utilization_pct', stats.mean(value for value in run_means if value is not None))
    yield Sample('gpus.idle', sum(value < IDLE_PERCENT for value in every_gpu))
    in_use: dict[str, float] = dict.fromkeys(known_types, 0.0)
    by_type = defaultdict(list)
    for reading in readings:
        by_type[reading.gpu_type].append(reading)
        if reading.gpus:
            in_use[reading.gpu_type] = in_use.get(reading.gpu_type, 0.0) + reading.gpus
    if all(reading.gpus is not None for reading in readings):
        for gpu_type, number in in_use.items():
            yield Sample('gpus.in_use', number, {'gpu_type': gpu_type})
    for gpu_type, group in by_type.items():
        tags = {'gpu_type': gpu_type}
        yield Sample('gpus.utilization_pct', stats.mean(value for one in group for value in one.utilization), tags)
        yield Sample('gpus.memory_pct', stats.mean(value for one in group for value in one.memory), tags)


def single_gpus(readings: Iterable[GpuReadings], rows: Iterable[Row], limit: int) -> Iterator[Sample]:
    """Utilization of the runs that get series of their own."""
    by_id = {reading.id: reading for reading in readings}
    for row in longest_running(rows, limit):
        if row.id in by_id:
            yield Sample('run.gpu_utilization_pct', stats.mean(by_id[row.id].utilization), run_tags(row))


# Attempt sweeps.


def sweeps(states: Iterable[str]) -> Iterator[Sample]:
    """Sweeps by state."""
    counted = Counter(states)
    for state in dict.fromkeys((*SWEEP_STATES, *counted)):
        yield Sample('sweeps.count', counted[state], {'state': state})
