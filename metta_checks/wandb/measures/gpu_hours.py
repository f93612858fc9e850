"""GPU-hours of runs in 7 days and their cost, by GPU type, state, user, run type and group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import fsum

from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, OTHER, added_up, labels
from ..gpu_usage import GpuUsage, RunHours
from ..settings import Figures

# States in which the work of a run is lost.
WASTED_STATES = ('failed', 'crashed', 'killed')


def gpu_hours(usage: GpuUsage, figures: Figures) -> Iterator[Sample]:
    """Yield the GPU-hours in 7 days and their cost; nothing when they are unknown."""
    if not usage.known:
        # A sum without some of the runs would be wrong.
        return
    totals = _by(usage.runs, lambda run: run.gpu_type)
    yield Sample('training.total_gpu_hours_7d', fsum(totals.values()))
    shown = labels(totals, MAX_GPU_TYPES)
    for gpu_type, total in added_up(totals, shown).items():
        yield Sample('gpus.hours_7d', total, {'gpu_type': gpu_type})
    if figures.costs:
        yield from _costs(totals, figures.prices, shown)
    yield from _wasted(usage.runs, figures)
    yield from _breakdowns(usage.runs, figures)


def _by(runs: Iterable[RunHours], key: Callable[[RunHours], str]) -> dict[str, float]:
    hours: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        hours[key(run)].append(run.hours)
    return {name: fsum(values) for name, values in sorted(hours.items())}


def _costs(totals: Mapping[str, float], prices: Mapping[str, float], shown: Mapping[str, str]) -> Iterator[Sample]:
    costs = {gpu_type: hours * prices[gpu_type] for gpu_type, hours in totals.items() if gpu_type in prices}
    yield Sample('training.cost_estimate_usd', _known_cost(totals, prices))
    for gpu_type, cost in added_up(costs, shown).items():
        yield Sample('gpus.cost_usd_7d', cost, {'gpu_type': gpu_type})
    unpriced = (hours for gpu_type, hours in totals.items() if gpu_type not in prices)
    yield Sample('training.unpriced_gpu_hours_7d', fsum(unpriced))


def _known_cost(totals: Mapping[str, float], prices: Mapping[str, float]) -> float | None:
    """Return the cost of hours by GPU type. When no GPU type has a price, it is unknown, not 0."""
    costs = [hours * prices[gpu_type] for gpu_type, hours in totals.items() if gpu_type in prices]
    return fsum(costs) if costs or not totals else None


def _wasted(runs: Iterable[RunHours], figures: Figures) -> Iterator[Sample]:
    totals = _by((run for run in runs if run.row.state in WASTED_STATES), lambda run: run.gpu_type)
    yield Sample('training.wasted_gpu_hours_7d', fsum(totals.values()))
    if figures.costs:
        yield Sample('training.wasted_cost_usd_7d', _known_cost(totals, figures.prices))


def _breakdowns(runs: tuple[RunHours, ...], figures: Figures) -> Iterator[Sample]:
    if figures.by_state:
        for state, hours in _by(runs, lambda run: run.row.state).items():
            yield Sample('gpus.hours_by_state_7d', hours, {'state': state})
    # Datadog lowers tag values: names that differ only in case are one.
    if figures.by_user:
        yield from _breakdown('user', [(run.row.user.lower() or OTHER, run) for run in runs], figures)
    if figures.by_run_type:
        yield from _breakdown('run_type', [(run.row.run_type or OTHER, run) for run in runs], figures)
    if figures.by_group:
        yield from _breakdown('group', [(run.row.group.lower() or OTHER, run) for run in runs], figures)


def _breakdown(tag: str, named: list[tuple[str, RunHours]], figures: Figures) -> Iterator[Sample]:
    hours: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[float]] = defaultdict(list)
    for name, run in named:
        hours[name].append(run.hours)
        if run.gpu_type in figures.prices:
            costs[name].append(run.hours * figures.prices[run.gpu_type])
    totals = {name: fsum(values) for name, values in hours.items()}
    shown = labels(totals)
    for name, total in added_up(totals, shown).items():
        yield Sample(f'gpus.hours_by_{tag}_7d', total, {tag: name})
    if figures.costs:
        for name, cost in added_up({name: fsum(values) for name, values in costs.items()}, shown).items():
            yield Sample(f'gpus.cost_by_{tag}_usd_7d', cost, {tag: name})
