"""Machines: each physical GPU counts once, however many runs report it.

A run reports all GPUs of its machine, also those on which other runs work. Runs that name the same GPU are on one
machine; where the ids of the GPUs are unknown, runs with the same host and GPU type are.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..core.accelerators import UNKNOWN_GPU
from .hardware import Hardware


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, or several that one run spans.

    Attributes:
        runs: the positions of its runs
        gpu_type: the type of its GPUs
        gpus: the largest number of GPUs that a run on it reports, now or at another time; None when none does
        placed: False for a run without GPU ids and without host, which may share its machine with other runs
    """

    runs: tuple[int, ...]
    gpu_type: str
    gpus: float | None
    placed: bool = True


def machines(hardware: Sequence[Hardware], others: Sequence[Hardware] = ()) -> list[Machine]:
    """Return the machines of runs, whose hardware is given.

    The hardware of `others`, runs that do not count now, helps to recognize the machines and their types.
    """
    known = [*hardware, *others]
    by_ids = _Components()
    for one in known:
        by_ids.join(one.gpu_ids)
    types = _types_of_hosts(known)
    at_host = _components_at_hosts(known, by_ids)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, one in enumerate(known):
        groups[_key(one, types, by_ids, at_host) or ('run', str(position))].append(position)
    found = []
    for key, positions in groups.items():
        runs = tuple(position for position in positions if position < len(hardware))
        if runs:
            present = [known[position] for position in positions]
            gpu_type = _type_of_machine(present, types)
            gpus = max((one.gpus for one in present if one.gpus is not None), default=None)
            found.append(Machine(runs, gpu_type, gpus, placed=key[0] != 'run'))
    return found


def holders(runs: Iterable[int], hardware: Sequence[Hardware]) -> list[int]:
    """Return the positions of the runs that may work on the GPUs of their machine at a moment.

    When the system metrics of some runs name GPUs that they work on, the other runs work on none.
    """
    present = list(runs)
    return [position for position in present if hardware[position].holds] or present


def demand(one: Hardware, machine: Machine) -> float | None:
    """Return the number of GPUs that a run asks for; that of its machine where the run does not report it."""
    return machine.gpus if one.demand is None else one.demand


class Capacity:
    """The largest number of GPUs that the present runs of a machine can use together, while runs come and go."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ids: Counter[str] = Counter()
        self._without_ids = 0
        self._reported = _Largest()
        self._declared = _Largest()

    def enter(self, one: Hardware) -> None:
        """Add a run."""
        self._ids.update(one.gpu_ids)
        self._without_ids += not one.gpu_ids
        self._reported.add(one.gpus or 0.0)
        self._declared.add(one.declared or 0.0)

    def leave(self, one: Hardware) -> None:
        """Remove a run."""
        for gpu_id in one.gpu_ids:
            self._ids[gpu_id] -= 1
            if not self._ids[gpu_id]:
                del self._ids[gpu_id]
        self._without_ids -= not one.gpu_ids
        self._reported.remove(one.gpus or 0.0)
        self._declared.remove(one.declared or 0.0)

    @property
    def gpus(self) -> float:
        """Number of GPUs. The number that a run declares may include GPUs of other machines."""
        by_ids = float(len(self._ids)) if self._ids and not self._without_ids else 0.0
        reported = by_ids or self._reported.largest or self._machine.gpus or 0.0
        return max(reported, self._declared.largest)


class _Largest:
    """The largest of numbers that come and go; 0 without any."""

    def __init__(self) -> None:
        self._heap: list[float] = []
        self._present: Counter[float] = Counter()

    def add(self, number: float) -> None:
        self._present[number] += 1
        heapq.heappush(self._heap, -number)

    def remove(self, number: float) -> None:
        self._present[number] -= 1

    @property
    def largest(self) -> float:
        while self._heap and self._present[-self._heap[0]] <= 0:
            # Each entry of the heap stands for one that was added.
            heapq.heappop(self._heap)
        return -self._heap[0] if self._heap else 0.0


class _Components:
    """Sets of ids that occur together, directly or through others."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def join(self, ids: Sequence[str]) -> None:
        for one in ids:
            self._parents.setdefault(one, one)
        for one in ids[1:]:
            self._parents[self.root(one)] = self.root(ids[0])

    def root(self, one: str) -> str:
        while (parent := self._parents[one]) != one:
            self._parents[one] = self._parents[parent]
            one = parent
        return one


def _types_of_hosts(hardware: Iterable[Hardware]) -> dict[str, str]:
    """Return the type of the GPUs of each host whose runs report one type."""
    types: dict[str, set[str]] = defaultdict(set)
    for one in hardware:
        if one.host and one.gpu_type != UNKNOWN_GPU:
            types[one.host].add(one.gpu_type)
    return {host: next(iter(found)) for host, found in types.items() if len(found) == 1}


def _components_at_hosts(hardware: Iterable[Hardware], by_ids: _Components) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in hardware:
        if one.gpu_ids and one.host:
            found[one.host, one.gpu_type].add(by_ids.root(one.gpu_ids[0]))
    return found


def _key(
    one: Hardware, types: Mapping[str, str], by_ids: _Components, at_host: Mapping[tuple[str, str], set[str]]
) -> tuple[str, ...] | None:
    """Return the key of the machine of a run; None when nothing identifies it."""
    if one.gpu_ids:
        return 'ids', by_ids.root(one.gpu_ids[0])
    if not one.host:
        return None
    gpu_type = _type(one, types)
    components = at_host.get((one.host, gpu_type), set())
    return ('ids', *components) if len(components) == 1 else ('host', one.host, gpu_type)


def _type(one: Hardware, types: Mapping[str, str]) -> str:
    return types.get(one.host, UNKNOWN_GPU) if one.gpu_type == UNKNOWN_GPU else one.gpu_type


def _type_of_machine(present: Iterable[Hardware], types: Mapping[str, str]) -> str:
    known = sorted({_type(one, types) for one in present} - {UNKNOWN_GPU})
    return known[0] if known else UNKNOWN_GPU
