"""The GPUs that runs use at an instant: each physical GPU once, whoever reports it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .data import Run
from .machines import Writer

# Host names that many machines have.
NAMES_OF_ALL = ('localhost',)
# What identifies a machine.
Place = tuple[object, ...]


@dataclass(frozen=True)
class Gpu:
    """A GPU in use, with its readings by name."""

    gpu_type: str
    values: Mapping[str, float]
    held: bool


@dataclass
class Now:
    """The use of GPUs at an instant.

    Attributes:
        in_use: number by type; None: unknown
        gpus: the GPUs in use that have readings
        by_run: mean utilization of the GPUs of a run, by its id
    """

    in_use: dict[str, int] | None = field(default_factory=dict)
    gpus: list[Gpu] = field(default_factory=list)
    by_run: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """Rules of counting.

    Attributes:
        hosts: the server tells the host of a run
        hardware: the server tells the GPUs of a run
        declared: the configuration of a run tells its number of GPUs
    """

    hosts: bool
    hardware: bool
    declared: bool

    # One run.

    def own(self, run: Run) -> float | None:
        """Return the GPUs that the run reports, those of all its machines; None when it is unknown."""
        if (number := self.declared_gpus(run)) is not None:
            return number
        machines = {writer.machine for writer in run.writers}
        if len(machines) > 1 or not self.hardware or run.no_info or run.no_count:
            # The readings of the machine tell.
            read = {(writer.label, index) for writer in run.writers for index in _read(run, writer)}
            if read:
                return sum(len(machine.uuids) for machine in machines)
            return None
        return sum(len(machine.uuids) for machine in machines)

    def declared_gpus(self, run: Run) -> float | None:
        """Return the number in the configuration, if the instance asks for it."""
        stated = run.config.get('num_gpus') if self.declared else None
        return None if stated is None else float(stated)

    def gpu_type(self, run: Run) -> str:
        """Return the type of the GPUs."""
        return run.gpu_type if self.hardware else 'unknown'

    def place(self, run: Run) -> Place | None:
        """Return the identity of the machine of a run; None where nothing identifies it."""
        machines = sorted({writer.machine for writer in run.writers}, key=lambda machine: machine.uuids)
        if len(machines) > 1:
            return (run.id,)
        [machine] = machines
        if machine.uuids and any(writer.sends_environment for writer in run.writers):
            return machine.uuids
        if self.hosts and machine.host not in NAMES_OF_ALL:
            return (machine.host, self.gpu_type(run))
        return None

    # Several runs at once.

    def machines(self, runs: Iterable[Run]) -> list[list[Run]] | None:
        """Return the runs that hold GPUs, by machine; None when two runs may or may not share one."""
        found: dict[Place, list[Run]] = {}
        lost: list[str] = []
        for run in runs:
            if self.own(run) == 0:
                continue
            place = self.place(run)
            if place is None:
                if self.declared_gpus(run) is None:
                    lost.append(self.gpu_type(run))
                place = (run.id,)
            found.setdefault(place, []).append(run)
        if len(lost) > len(set(lost)):
            return None
        return [[run for run in group if holds(run)] or group for group in found.values()]

    def capacity(self, holders: Iterable[Run]) -> float:
        """Return the number of GPUs of the machine of some runs."""
        return max(max(self.own(run) or 0, len(_indexes(run))) for run in holders)

    def now(self, fresh: list[Run]) -> Now:
        """Return the use of GPUs by runs that all live now."""
        answer = Now()
        unknown = any(self.own(run) is None for run in fresh)
        machines = self.machines(fresh)
        if unknown or machines is None:
            answer.in_use = None
        for holders in machines if machines is not None else [[run] for run in fresh]:
            number = math.inf
            if answer.in_use is not None:
                number = min(self.capacity(holders), sum(self.own(run) or 0 for run in holders))
                if number:
                    gpu_type = self.gpu_type(holders[0])
                    answer.in_use[gpu_type] = answer.in_use.get(gpu_type, 0) + int(number)
            answer.gpus += _chosen(holders, number, self.gpu_type(holders[0]))
            for run in holders:
                if values := _of_run(run, shares=len(holders) > 1):
                    answer.by_run[run.id] = statistics.fmean(values)
        return answer


def holds(run: Run) -> bool:
    """Return True for a run with readings of its processes on some GPU."""
    return any(key.startswith('system.gpu.process.') for key in run.system)


def _indexes(run: Run) -> list[tuple[str, int]]:
    return [(writer.label, index) for writer in run.writers for index in _read(run, writer)] if run.system else []


def _key(writer: Writer, index: int, what: str, part: str = '') -> str:
    return f'system.gpu.{part}{index}.{what}' + (f'/l:{writer.label}' if writer.label else '')


def _read(run: Run, writer: Writer) -> list[int]:
    """Return the indexes of the GPUs that a writer has readings of."""
    return [index for index in range(len(writer.machine.uuids)) if _key(writer, index, 'gpu') in run.system]


def _chosen(holders: list[Run], number: float, gpu_type: str) -> list[Gpu]:
    """Return the GPUs with readings, at most so many: those that a process holds first, then the busiest."""
    gpus: dict[str, Gpu] = {}
    for run in sorted(holders, key=lambda run: (run.last_seen, run.id)):
        for writer in run.writers:
            for index in _read(run, writer):
                uuid = writer.machine.uuids[index]
                names = ('gpu', 'memoryAllocated', 'smActive', 'powerWatts', 'uncorrectedMemoryErrors')
                values = {name: run.system[_key(writer, index, name)] for name in names}
                held = _key(writer, index, 'gpu', 'process.') in run.system
                held = held or (uuid in gpus and gpus[uuid].held)
                gpus[uuid] = Gpu(gpu_type, values, held)
    best = sorted(gpus.values(), key=lambda gpu: (not gpu.held, -gpu.values['gpu']))
    return best if number == math.inf else best[: int(number)]


def _of_run(run: Run, *, shares: bool) -> list[float]:
    """Return the utilization of the GPUs of a run; on a machine that it shares, of those that it holds."""
    read = [(writer, index) for writer in run.writers for index in _read(run, writer)]
    held = [(writer, index) for writer, index in read if _key(writer, index, 'gpu', 'process.') in run.system]
    return [run.system[_key(writer, index, 'gpu')] for writer, index in (held if shares and held else read)]
