"""The machines behind the runs: the GPUs of each, counted once, and the runs that use them."""

from __future__ import annotations

import fnmatch
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .reading import Run

# Host names that many machines have.
SHARED_NAMES = ('localhost', 'localhost.*')
BRANDS = frozenset({'nvidia', 'tesla', 'amd', 'instinct', 'geforce', 'grid'})
# Families whose models are words after the name of the family, and these words.
FAMILIES = ('quadro', 'titan', 'rtx', 'gtx', 'radeon', 'apple')
WORDS_OF_FAMILY = re.compile(
    r'quadro|titan|rtx|gtx|radeon|apple|rx|xtx?|ti|super|ada|pro|max|ultra|laptop|d|v|[a-z]?\d+'
)
# Words after a model that make it another type.
VARIANTS = {'a100': {'80gb'}, 'v100': {'32gb'}, 'h100': {'nvl'}}


def gpu_type(name: str | None) -> str:
    """Return the type of one or more GPUs: `NVIDIA H100 80GB HBM3` is h100, `[NVIDIA L4, Tesla T4]` is mixed."""
    types = {_type_of_one(one) for one in (name or '').lower().strip('[] ').split(',')}
    return types.pop() if len(types) == 1 else 'mixed'


def _type_of_one(text: str) -> str:
    if mig := re.search(r'\bmig (\d+g\.\d+gb)', text):
        return f'nvidia-mig-{mig[1]}'
    words = [word for word in re.split(r'[\s_-]+', text) if word and word not in BRANDS]
    if not words:
        return 'unknown'
    if family := next((word for word in words if word in FAMILIES), ''):
        return '-'.join(word for word in words[words.index(family) :] if WORDS_OF_FAMILY.fullmatch(word))
    model = next((word for word in words if any(map(str.isdigit, word))), words[0])
    return '-'.join([model, *(word for word in words if word in VARIANTS.get(model, ()))])


def _told_gpus(run: Run) -> float | None:
    """Return the GPUs of the machines of a run as it reports them itself, None when they are unknown."""
    equipped = [one for one in run.environments if one.gpus]
    if equipped and all(len(one.uuids) == one.gpus for one in equipped):
        return len(frozenset().union(*(one.uuids for one in equipped)))
    if len(run.environments) > 1 and all(one.host and one.gpus for one in run.environments):
        return sum(
            max(one.gpus for one in run.environments if one.host == host)
            for host in {one.host for one in run.environments}
        )
    info = run.info
    count = (info or {}).get('gpuCount') or 0
    times = Counter(index for _, index in run.readings)
    if times and max(times.values()) > 1:
        if not run.held:
            return None
        return max(Counter(index for _, index in run.held).values()) * max(count, len(times))
    if number := max(count, len(run.readings)):
        return number
    return None if info is None or info.get('gpu') else 0


@dataclass
class Machine:
    """The runs on a machine that live at an instant and use its GPUs.

    Attributes:
        gpu_type: type of the GPUs
        holders: the runs
        counts: GPUs of the machine as each run reports them, None when they are unknown
        own: GPUs of each run, None when they are unknown
    """

    gpu_type: str
    holders: list[Run]
    counts: Mapping[Run, float | None]
    own: Mapping[Run, float | None]

    @property
    def capacity(self) -> float:
        """Number of its GPUs."""
        uuids = [frozenset().union(*(one.uuids for one in run.environments)) for run in self.holders]
        declared = max((run.declared or 0 for run in self.holders), default=0)
        if all(uuids):
            return max(declared, len(frozenset().union(*uuids)))
        return max(declared, *(self.counts[run] or 0 for run in self.holders))

    @property
    def in_use(self) -> float | None:
        """Number of its GPUs that runs use, None when it is unknown."""
        own = [self.own[run] for run in self.holders]
        known = [gpus for gpus in own if gpus is not None]
        return min(self.capacity, sum(known)) if len(known) == len(own) else None


def _gpu_name(run: Run) -> str | None:
    """Return the name of the GPUs of a run by the server, or else by the first machine that has one."""
    return (run.info or {}).get('gpu') or next((one.gpu_name for one in run.environments if one.gpu_name), None)


class Machines:
    """Tells which runs of a project are on one machine.

    Attributes:
        types: GPU type by run id
        counts: GPUs of the machine of a run, None when no run there reports them
        own: GPUs of a run: those that it declares, or those of its machine
    """

    def __init__(self, runs: Iterable[Run], instance: Mapping[str, Any]) -> None:
        self._shared_names = instance.get('shared_host_names') or SHARED_NAMES
        population = list(runs)
        self._parents: dict[object, object] = {}
        for run in population:
            for uuid in self._uuids(run):
                self._join(('run', run.id), ('uuid', uuid))
        self.types = {run.id: gpu_type(_gpu_name(run)) for run in population}
        self._complete_types(population, self._by_uuid)
        self._complete_types(population, self._host)
        self._with_uuids: dict[tuple[str, str], set[object]] = {}
        for run in population:
            if self._uuids(run) and self._host(run):
                place = self._host(run), self.types[run.id]
                self._with_uuids.setdefault(place, set()).add(self._by_uuid(run))
        self.counts = {run: _told_gpus(run) for run in population}
        self._complete_counts(population)
        self.own = {run: count if run.declared is None else run.declared for run, count in self.counts.items()}

    @staticmethod
    def _uuids(run: Run) -> set[str]:
        return {uuid for one in run.environments for uuid in one.uuids}

    def _host(self, run: Run) -> str:
        """Return the host, '' where it does not identify a machine."""
        shared = any(fnmatch.fnmatchcase(run.host, pattern) for pattern in self._shared_names)
        return '' if shared else run.host

    def _by_uuid(self, run: Run) -> object:
        """Return the machine with the GPUs of a run, which only uuids identify."""
        return self._root(('run', run.id)) if self._uuids(run) else None

    def _complete_types(self, runs: list[Run], where: Callable[[Run], object]) -> None:
        """Give runs of unknown type the type of the others at the same place, if that is one."""
        known: dict[object, set[str]] = {}
        for run in runs:
            if self.types[run.id] != 'unknown':
                known.setdefault(where(run), set()).add(self.types[run.id])
        for run in runs:
            place = where(run)
            if self.types[run.id] == 'unknown' and place and len(known.get(place, ())) == 1:
                [self.types[run.id]] = known[place]

    def _complete_counts(self, runs: list[Run]) -> None:
        """Give runs without a count the largest of the other runs on their machine."""
        known: dict[object, list[float]] = {}
        for run in runs:
            if (count := self.counts[run]) is not None and (place := self._place(run)):
                known.setdefault(place, []).append(count)
        for run in runs:
            if self.counts[run] is None:
                self.counts[run] = max(known.get(self._place(run), ()), default=None)

    def _root(self, one: object) -> object:
        while one in self._parents:
            one = self._parents[one]
        return one

    def _join(self, one: object, other: object) -> None:
        one, other = self._root(one), self._root(other)
        if one != other:
            self._parents[one] = other

    def _place(self, run: Run) -> object | None:
        """Return the identity of the machine of a run, None when it is unknown."""
        if self._uuids(run):
            return self._by_uuid(run)
        if not self._host(run):
            return None
        place = self._host(run), self.types[run.id]
        known = self._with_uuids.get(place, set())
        return next(iter(known)) if len(known) == 1 else place

    def at_once(self, runs: Iterable[Run]) -> tuple[list[Machine], bool]:
        """Return the machines that runs use at the same time, and False when nothing tells whether two share one."""
        places: dict[object, list[Run]] = {}
        lost: Counter[str] = Counter()
        for run in runs:
            place = self._place(run)
            if place is None:
                place = ('alone', run.id)
                lost[self.types[run.id]] += run.declared is None and self.counts[run] != 0
            places.setdefault(place, []).append(run)
        found = []
        for together in places.values():
            holders = [run for run in together if run.held] or together
            found.append(Machine(self.types[holders[0].id], holders, self.counts, self.own))
        return found, max(lost.values(), default=0) <= 1


@dataclass(frozen=True)
class GpuInUse:
    """A GPU in use and its readings by name."""

    gpu_type: str
    readings: Mapping[str, float]


def gpus_in_use(machine: Machine) -> list[GpuInUse]:
    """Return the GPUs of a machine in use that have readings: those that runs hold, then the busiest."""
    found: dict[object, dict[str, float]] = {}
    held: set[object] = set()
    for run in sorted(machine.holders, key=lambda run: (run.heard, run.id)):
        apart = run.id if len({label for label, _ in run.readings}) > 1 else ''
        for gpu, values in run.readings.items():
            if 'gpu' in values:
                key = (apart, gpu if apart else gpu[1])
                found[key] = values
                if gpu in run.held:
                    held.add(key)
    order = sorted(found, key=lambda key: (key not in held, -found[key]['gpu']))
    chosen = order if machine.in_use is None else order[: int(machine.in_use)]
    return [GpuInUse(machine.gpu_type, found[key]) for key in chosen]


def mean_utilization(run: Run, machine: Machine) -> float | None:
    """Return the mean utilization of the GPUs of a run: of those that it holds, where it shares its machine."""
    read = {gpu: values['gpu'] for gpu, values in run.readings.items() if 'gpu' in values}
    if len(machine.holders) > 1 and run.held:
        read = {gpu: value for gpu, value in read.items() if gpu in run.held}
    return statistics.mean(read.values()) if read else None
