"""Figures of block `gpus`: GPUs of the active runs, from their latest system metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import fsum

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ..gpu_readings import Fleet, FleetGpu
from ..settings import Figures
from ..system_metrics import MEMORY, UTILIZATION
from ..utilization_day import UtilizationDay

IDLE_PERCENT = 5


def gpus(fleet: Fleet, known_types: Collection[str], figures: Figures) -> Iterator[Sample]:
    """Yield the figures of the GPUs in use. `known_types` without a run are shown as 0 GPUs."""
    yield Sample('training.gpu_utilization_avg', stats.mean(_values(fleet.gpus, UTILIZATION)))
    yield Sample('training.gpu_utilization_pct', stats.mean(fleet.run_means.values()))
    found = (*known_types, *fleet.in_use, *(gpu.gpu_type for gpu in fleet.gpus))
    shown = labels(dict.fromkeys(found, 0.0) | fleet.in_use, MAX_GPU_TYPES)
    # A sum without the runs whose number of GPUs is unknown would be wrong.
    if not fleet.unknown:
        for gpu_type, number in added_up(dict.fromkeys(known_types, 0.0) | fleet.in_use, shown).items():
            yield Sample('gpus.in_use', number, {'gpu_type': gpu_type})
        yield from _idle(fleet.gpus, figures)
    yield from _by_type(fleet.gpus, shown)
    if figures.gpu_details:
        yield from _details(fleet.gpus)


def utilization_of_day(day: UtilizationDay) -> Iterator[Sample]:
    """Yield the utilization in 24 hours, and the share of this time for which it is known."""
    for gpu_type, utilization in day.utilization_pct.items():
        yield Sample('gpus.utilization_24h_pct', utilization, {'gpu_type': gpu_type})
    yield Sample('gpus.utilization_24h_coverage_pct', day.coverage_pct)


def types_in_use(fleet: Fleet) -> list[str]:
    """Return the GPU types in use, at most as many as have series of their own."""
    return [gpu_type for gpu_type, shown in labels(fleet.in_use, MAX_GPU_TYPES).items() if gpu_type == shown]


def _values(gpus: Iterable[FleetGpu], name: str) -> list[float]:
    return [gpu.readings[name] for gpu in gpus if name in gpu.readings]


def _idle(gpus: Iterable[FleetGpu], figures: Figures) -> Iterator[Sample]:
    idle = Counter(gpu.gpu_type for gpu in gpus if gpu.readings.get(UTILIZATION, IDLE_PERCENT) < IDLE_PERCENT)
    yield Sample('gpus.idle', idle.total())
    if figures.costs:
        costs = [number * figures.prices[gpu_type] for gpu_type, number in idle.items() if gpu_type in figures.prices]
        # When no GPU type has a price, the cost is unknown, not 0.
        yield Sample('gpus.idle_cost_hourly_usd', fsum(costs) if costs or not idle else None)


def _by_type(gpus: Iterable[FleetGpu], shown: Mapping[str, str]) -> Iterator[Sample]:
    by_type: dict[str, list[FleetGpu]] = defaultdict(list)
    for gpu in gpus:
        by_type[shown[gpu.gpu_type]].append(gpu)
    for gpu_type, group in by_type.items():
        tags = {'gpu_type': gpu_type}
        yield Sample('gpus.utilization_pct', stats.mean(_values(group, UTILIZATION)), tags)
        yield Sample('gpus.memory_pct', stats.mean(_values(group, MEMORY)), tags)


def _details(gpus: Sequence[FleetGpu]) -> Iterator[Sample]:
    yield Sample('gpus.sm_active_pct', stats.mean(_values(gpus, 'smActive')))
    yield Sample('gpus.power_watts', stats.mean(_values(gpus, 'powerWatts')))
    errors = _values(gpus, 'uncorrectedMemoryErrors')
    yield Sample('gpus.uncorrected_memory_errors', fsum(errors) if errors else None)
