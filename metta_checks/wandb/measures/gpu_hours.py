"""GPU-hours of runs and their cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from math import fsum

from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ..run_table import HOUR_SECONDS, WEEK, RunRow
from ..settings import Figures


def gpu_hours(rows: Iterable[RunRow], now: datetime, figures: Figures) -> Iterator[Sample]:
    """Yield the GPU-hours in 7 days and their cost; nothing when the GPUs of one run are unknown."""
    hours: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        value = run_gpu_hours(row, now)
        if value is None:
            # A sum without that run would be wrong.
            return
        if value > 0:
            hours[row.gpu_type].append(value)
    totals = {gpu_type: fsum(values) for gpu_type, values in sorted(hours.items())}
    yield Sample('training.total_gpu_hours_7d', fsum(totals.values()))
    shown = labels(totals, MAX_GPU_TYPES)
    for gpu_type, total in added_up(totals, shown).items():
        yield Sample('gpus.hours_7d', total, {'gpu_type': gpu_type})
    if figures.costs:
        yield from _costs(totals, figures.prices, shown)


def run_gpu_hours(row: RunRow, now: datetime) -> float | None:
    """Return the GPU-hours of a run in the 7 days before `now`; None when the number of its GPUs is unknown.

    The times of its pauses are not known. Its running time counts up to the length of the part of its life that lies
    in the 7 days.
    """
    if row.gpus is None:
        return None
    end = min(row.end, now.timestamp())
    start = max(row.created, (now - WEEK).timestamp())
    return row.gpus * min(max(0.0, end - start), row.running_seconds) / HOUR_SECONDS


def _costs(totals: Mapping[str, float], prices: Mapping[str, float], shown: Mapping[str, str]) -> Iterator[Sample]:
    costs = {gpu_type: hours * prices[gpu_type] for gpu_type, hours in totals.items() if gpu_type in prices}
    # When no GPU type has a price, the cost is unknown, not 0.
    if costs or not totals:
        yield Sample('training.cost_estimate_usd', fsum(costs.values()))
    for gpu_type, cost in added_up(costs, shown).items():
        yield Sample('gpus.cost_usd_7d', cost, {'gpu_type': gpu_type})
    unpriced = (hours for gpu_type, hours in totals.items() if gpu_type not in prices)
    yield Sample('training.unpriced_gpu_hours_7d', fsum(unpriced))
