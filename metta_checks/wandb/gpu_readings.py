"""The GPUs that are in use now, each once, with their latest readings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import fsum

from ..core import stats
from .hardware import Hardware
from .machines import Capacity, Machine, demand, holders, machines
from .records import GpuReadings
from .settings import Columns
from .system_metrics import UTILIZATION, Gpu

ALIVE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class FleetGpu:
    """A GPU in use, with its latest readings by name."""

    gpu_type: str
    readings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The GPUs of the active runs.

    Attributes:
        gpus: the GPUs in use that have readings
        in_use: number of GPUs in use by type, with and without readings
        unknown: number of runs whose GPUs are unknown; `in_use` is then too small
        run_means: mean utilization of the GPUs of each run, by its id
    """

    gpus: tuple[FleetGpu, ...] = ()
    in_use: dict[str, float] = field(default_factory=dict)
    unknown: int = 0
    run_means: dict[str, float] = field(default_factory=dict)

    def beside(self, unreadable: int) -> Fleet:
        """Return the fleet beside a number of runs that could not be read."""
        return replace(self, unknown=self.unknown + unreadable)


def alive(readings: Iterable[GpuReadings], now: datetime) -> list[GpuReadings]:
    """Return the readings of runs with a heartbeat in the last 10 minutes."""
    return [one for one in readings if one.heartbeat is not None and one.heartbeat >= now - ALIVE]


def fleet_of(readings: Sequence[GpuReadings], columns: Columns, others: Sequence[Hardware] = ()) -> Fleet:
    """Return the GPUs of runs that are alive. The hardware of `others` helps to recognize their machines."""
    hardware = [columns.hardware(one.hardware) for one in readings]
    gpus: list[FleetGpu] = []
    in_use: dict[str, list[float]] = defaultdict(list)
    run_means: dict[str, float] = {}
    unknown = 0
    unplaced: dict[str, int] = defaultdict(int)
    for machine in machines(hardware, others):
        chosen = [readings[position] for position in holders(machine.runs, hardware)]
        count = _in_use(chosen, machine)
        if count is None:
            unknown += len(chosen)
        elif count:
            in_use[machine.gpu_type].append(count)
        if not machine.placed and hardware[machine.runs[0]].declared is None and count:
            unplaced[machine.gpu_type] += 1
        gpus.extend(_gpus(chosen, machine, count))
        run_means.update(_run_means(chosen))
    unknown += sum(number for number in unplaced.values() if number > 1)
    return Fleet(tuple(gpus), {gpu_type: fsum(some) for gpu_type, some in in_use.items()}, unknown, run_means)


def _in_use(chosen: Sequence[GpuReadings], machine: Machine) -> float | None:
    """Return the number of GPUs in use of a machine; None when it is unknown."""
    capacity = Capacity(machine)
    needs = []
    for one in chosen:
        capacity.enter(one.hardware)
        needs.append(demand(one.hardware, machine))
    known = [need for need in needs if need is not None]
    return min(capacity.gpus, fsum(known)) if len(known) == len(needs) else None


def _gpus(chosen: Sequence[GpuReadings], machine: Machine, count: float | None) -> Iterator[FleetGpu]:
    """Yield the GPUs of a machine that are in use: first those on which runs work, then the busiest."""
    latest: dict[Gpu, Mapping[str, float]] = {}
    held = set()
    spans_machines = machine.gpus is not None and any(_spans(one, machine.gpus) for one in chosen)
    for one in sorted(chosen, key=lambda one: (one.heartbeat, one.id)):
        for gpu, readings in one.metrics.readings.items():
            latest[gpu if spans_machines else gpu._replace(label='')] = readings
        held |= {gpu if spans_machines else gpu._replace(label='') for gpu in one.metrics.held}

    def rank(gpu: Gpu) -> tuple[bool, float, Gpu]:
        return gpu not in held, -latest[gpu].get(UTILIZATION, 0.0), gpu

    ranked = sorted(latest, key=rank)
    for gpu in ranked if count is None else ranked[: int(count)]:
        yield FleetGpu(machine.gpu_type, latest[gpu])


def _spans(one: GpuReadings, gpus: float) -> bool:
    """Return True for a run in shared mode whose labels number the GPUs of several machines alike."""
    return len({gpu.ordinal for gpu in one.metrics.readings}) < min(gpus, len(one.metrics.readings))


def _run_means(chosen: Sequence[GpuReadings]) -> Iterator[tuple[str, float]]:
    for one in chosen:
        readings = one.metrics.readings
        own = [gpu for gpu in one.metrics.held if gpu in readings] if len(chosen) > 1 else []
        values = (readings[gpu].get(UTILIZATION) for gpu in own or readings)
        mean = stats.mean(value for value in values if value is not None)
        if mean is not None:
            yield one.id, mean
