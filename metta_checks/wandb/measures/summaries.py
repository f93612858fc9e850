"""Figures of the summaries of finished runs: accuracy, loss, and the keys of option `summary_metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...core import stats
from ...core.refresh import Sample
from ..run_table import RunRow
from ..settings import Figures


def summaries(finished: Iterable[RunRow], figures: Figures) -> Iterator[Sample]:
    """Yield the figures of the finished runs that ended in 7 days."""
    # Runs that ended at the same time are ordered by creation, then by id.
    by_end = sorted(finished, key=lambda row: (row.end, row.created, row.id))
    accuracies = _numbers(by_end, figures.accuracy)
    yield Sample('metrics.best_accuracy', max(accuracies, default=None))
    yield Sample('metrics.avg_accuracy_7d', stats.mean(accuracies))
    yield Sample('metrics.latest_loss', _last(_numbers(by_end, figures.loss)))
    for alias, position in figures.aliases.items():
        values = _numbers(by_end, position)
        yield Sample(f'summary.{alias}.last', _last(values))
        yield Sample(f'summary.{alias}.avg', stats.mean(values))
        yield Sample(f'summary.{alias}.max', max(values, default=None))


def _numbers(rows: Iterable[RunRow], position: int) -> list[float]:
    return [number for row in rows if (number := row.numbers[position]) is not None]


def _last(values: Sequence[float]) -> float | None:
    return values[-1] if values else None
