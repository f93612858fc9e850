"""Figures of single running runs, with option `per_run`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ...core.refresh import Sample
from ..gpu_readings import Fleet
from ..run_table import RunRow
from ..settings import Figures


def single_runs(rows: Iterable[RunRow], now: datetime, figures: Figures) -> Iterator[Sample]:
    """Yield the age and the summary of the runs that get series of their own."""
    for row in _longest_running(rows, figures.single_runs):
        tags = _tags(row)
        yield Sample('run.elapsed_hours', row.age_hours(now), tags)
        for alias, position in figures.aliases.items():
            yield Sample(f'run.summary.{alias}', row.numbers[position], tags)


def single_gpus(fleet: Fleet, rows: Iterable[RunRow], limit: int) -> Iterator[Sample]:
    """Yield the GPU utilization of the runs that get series of their own, at most `limit`."""
    for row in _longest_running(rows, limit):
        yield Sample('run.gpu_utilization_pct', fleet.run_means.get(row.id), _tags(row))


def _longest_running(rows: Iterable[RunRow], limit: int) -> list[RunRow]:
    return sorted((row for row in rows if row.active), key=lambda row: (row.created, row.id))[:limit]


def _tags(row: RunRow) -> dict[str, str]:
    tags = {'run_id': row.id, 'run_name': row.name}
    return {**tags, 'run_type': row.run_type} if row.run_type else tags
