"""The GPUs that runs use at an instant: each physical GPU once, whoever reports it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .data import Run
from .machines import Writer

# Host names that many machines have, by their first part.
NAMES_OF_ALL = ('localhost',)
# The identity of a machine.
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

    in_use: dict[str, float] | None = field(default_factory=dict)
    gpus: list[Gpu] = field(default_factory=list)
    by_run: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """Facts that the server shows.

    Attributes:
        hosts: the host of a run
        hardware: the GPUs of a run
        compute: the running time of a run
        environments: the machines that the SDK wrote into the configuration
    """

    hosts: bool
    hardware: bool
    compute: bool
    environments: bool

    def end(self, run: Run) -> datetime:
        """Return the end; without running times, nothing tells which runs were sent later."""
        return run.ended if self.compute else run.last_seen

    def stretches(self, run: Run) -> list[tuple[datetime, datetime, float]]:
        """Return begin, end and running time in seconds of the parts of a run, or of its whole life."""
        whole = (run.created, run.last_seen, (run.last_seen - run.created).total_seconds())
        return run.stretches if self.compute else [whole]


@dataclass(frozen=True)
class Usage:
    """Rules of counting.

    Attributes:
        facts: facts that the server shows
        declared: the configuration of a run tells its number of GPUs
        runs: the runs of the week
    """

    facts: Facts
    declared: bool
    runs: list[Run]

    # One run.

    def own(self, run: Run) -> float | None:
        """Return the GPUs of a run, those of all its machines; None when they are unknown."""
        declared = self.declared_gpus(run)
        return self.machine_gpus(run) if declared is None else declared

    def machine_gpus(self, run: Run) -> int | None:
        """Return the GPUs of the machines of a run, also as other runs there report them; None when nothing tells."""
        told, place = self.told_gpus(run), self.place(run)
        if told is not None or place is None:
            return told
        others = [self.told_gpus(one) for one in self.runs if self.place(one) == place]
        return max((number for number in others if number is not None), default=None)

    def told_gpus(self, run: Run) -> int | None:
        """Return the GPUs of the machines of a run as it reports them itself; None when it does not."""
        total = sum(len(machine.uuids) for machine in {writer.machine for writer in run.writers})
        is_told = self._shows_uuids(run) or any(_read(run, writer) for writer in run.writers)
        is_told = is_told or (self.facts.hardware and not run.no_info and not run.no_count)
        return total if is_told else None

    def _shows_uuids(self, run: Run) -> bool:
        """Return True when the configuration names the GPUs of the machines."""
        machines = {writer.machine for writer in run.writers}
        told = self.facts.environments and all(writer.sends_environment for writer in run.writers)
        return told and any(machine.uuids for machine in machines)

    def declared_gpus(self, run: Run) -> float | None:
        """Return the number in the configuration, if the instance asks for it."""
        stated = run.config.get('num_gpus') if self.declared else None
        try:
            return None if stated is None else float(stated)
        except ValueError:
            return None

    def gpu_type(self, run: Run) -> str:
        """Return the type of the GPUs; where the run does not tell it, that of its machine or host."""
        if told := self._told_type(run):
            return told
        known = [one for one in self.runs if self._told_type(one)]
        types = {one.gpu_type for one in known if self._shows_uuids(run) and self.place(one) == self.place(run)}
        if not types and self._tells_host(run):
            types = {one.gpu_type for one in known if one.host == run.host}
        return types.pop() if len(types) == 1 else 'unknown'

    def _told_type(self, run: Run) -> str:
        """Return the type that the server or the configuration of the run tells, '' without."""
        is_told = (self.facts.hardware and not run.no_info) or self._shows_uuids(run)
        return run.gpu_type if is_told else ''

    def _tells_host(self, run: Run) -> bool:
        """Return True when the host name is there, and the name of one machine."""
        return self.facts.hosts and run.host.split('.')[0] not in NAMES_OF_ALL

    def place(self, run: Run) -> Place | None:
        """Return the identity of the machine of a run; None where nothing identifies it."""
        if self._shows_uuids(run):
            return tuple(sorted(uuid for writer in run.writers for uuid in writer.machine.uuids))
        if self._tells_host(run):
            return (run.host, self.gpu_type(run))
        return None

    # Several runs at once.

    def machines(self, runs: Iterable[Run]) -> tuple[list[list[Run]], bool]:
        """Return the runs that hold GPUs, by machine, and False when two runs may or may not share one."""
        found: dict[Place, list[Run]] = {}
        lost: list[str] = []
        for run in runs:
            place = self.place(run)
            if place is None:
                if self.declared_gpus(run) is None and self.told_gpus(run) != 0:
                    lost.append(self.gpu_type(run))
                place = (run.id,)
            found.setdefault(place, []).append(run)
        groups = [[run for run in group if holds(run)] or group for group in found.values()]
        return groups, len(lost) == len(set(lost))

    def capacity(self, holders: Iterable[Run]) -> float:
        """Return the number of GPUs of the machine of some runs."""
        return max(max(self.declared_gpus(run) or 0, self.machine_gpus(run) or 0) for run in holders)

    def now(self, fresh: list[Run]) -> Now:
        """Return the use of GPUs by runs that all live now."""
        answer = Now()
        machines, clear = self.machines(fresh)
        if not clear or any(self.own(run) is None for holders in machines for run in holders):
            answer.in_use = None
        for holders in machines:
            number = math.inf
            if all(self.own(run) is not None for run in holders):
                number = min(self.capacity(holders), sum(self.own(run) or 0 for run in holders))
            gpu_type = self.gpu_type(holders[0])
            if answer.in_use is not None and number:
                answer.in_use[gpu_type] = answer.in_use.get(gpu_type, 0) + number
            answer.gpus += self._chosen(holders, number)
            for run in holders:
                if values := _of_run(run, shares=len(holders) > 1):
                    answer.by_run[run.id] = statistics.fmean(values)
        return answer

    def _chosen(self, holders: list[Run], number: float) -> list[Gpu]:
        """Return the GPUs with readings, at most that number: those that a process holds first, then the busiest."""
        gpus: dict[object, Gpu] = {}
        for run in sorted(holders, key=lambda run: (run.last_seen, run.id)):
            for writer in run.writers:
                for index in _read(run, writer):
                    # Without uuids, the number of the GPU is all that identifies it on its machine.
                    gpu = writer.machine.uuids[index] if self._shows_uuids(run) else (writer.label, index)
                    names = ('gpu', 'memoryAllocated', 'smActive', 'powerWatts', 'uncorrectedMemoryErrors')
                    values = {name: run.system[_key(writer, index, name)] for name in names}
                    held = _key(writer, index, 'gpu', 'process.') in run.system or (gpu in gpus and gpus[gpu].held)
                    gpus[gpu] = Gpu(self.gpu_type(holders[0]), values, held)
        best = sorted(gpus.values(), key=lambda gpu: (not gpu.held, -gpu.values['gpu']))
        return best if number == math.inf else best[: int(number)]


def holds(run: Run) -> bool:
    """Return True for a run with readings of its processes on some GPU."""
    return any(key.startswith('system.gpu.process.') for key in run.system)


def _key(writer: Writer, index: int, what: str, part: str = '') -> str:
    return f'system.gpu.{part}{index}.{what}' + (f'/l:{writer.label}' if writer.label else '')


def _read(run: Run, writer: Writer) -> list[int]:
    """Return the indexes of the GPUs that a writer has readings of."""
    return [index for index in range(len(writer.machine.uuids)) if _key(writer, index, 'gpu') in run.system]


def _of_run(run: Run, *, shares: bool) -> list[float]:
    """Return the utilization of the GPUs of a run; on a machine that it shares, of those that it holds."""
    read = [(writer, index) for writer in run.writers for index in _read(run, writer)]
    held = [(writer, index) for writer, index in read if _key(writer, index, 'gpu', 'process.') in run.system]
    return [run.system[_key(writer, index, 'gpu')] for writer, index in (held if shares and held else read)]
