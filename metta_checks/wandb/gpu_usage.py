"""The GPU time of runs: each physical GPU counts once at any time, and belongs to the runs that use it then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import NamedTuple

from .hardware import Hardware
from .machines import Capacity, Machine, demand, machines
from .run_table import HOUR_SECONDS, RunRow

# A total of which a larger share depends on when runs were paused is unknown.
UNCERTAIN_SHARE = 0.1


class RunHours(NamedTuple):
    """The GPU-hours of a run in the window."""

    row: RunRow
    gpu_type: str
    hours: float


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """The GPU-hours of runs in a window.

    Attributes:
        runs: the runs with GPU-hours
        unknown: number of runs whose GPUs are unknown; the totals are unknown, too
        uncertain_hours: the part of the GPU-hours that may have been before the window, depending on pauses of runs
    """

    runs: tuple[RunHours, ...]
    unknown: int = 0
    uncertain_hours: float = 0.0

    @property
    def known(self) -> bool:
        """True when the totals are known."""
        return not self.unknown and not self.uncertain

    @property
    def uncertain(self) -> bool:
        """True when too much depends on when runs were paused."""
        return self.uncertain_hours > UNCERTAIN_SHARE * fsum(run.hours for run in self.runs)


class _Span(NamedTuple):
    """A stretch of a run inside the window."""

    run: int
    begin: float
    end: float
    # Share of the time in which the run worked.
    density: float


def gpu_usage(rows: Iterable[RunRow], start: float, now: float) -> GpuUsage:
    """Return the GPU-hours of runs between two times, in seconds since the epoch."""
    present = [(row, spans) for row in rows if (spans := _spans(row, start, now))]
    hardware = [row.hardware for row, _ in present]
    longest = [spans for _, spans in present]
    certain = [_spans(row, start, now, certain=True) for row, _ in present]
    found: list[RunHours] = []
    unknown = 0
    uncertain = []
    unplaced: dict[str, list[int]] = defaultdict(list)
    for machine in machines(hardware):
        unknown += sum(demand(hardware[run], machine) is None for run in machine.runs)
        if not machine.placed and hardware[machine.runs[0]].declared is None and machine.gpus:
            unplaced[machine.gpu_type].append(machine.runs[0])
        shares = _gpu_seconds(machine, longest, hardware)
        found += [RunHours(present[run][0], machine.gpu_type, shares[run] / HOUR_SECONDS) for run in machine.runs]
        if any(longest[run] != certain[run] for run in machine.runs):
            least = _gpu_seconds(machine, certain, hardware)
            uncertain.append(fsum(shares.values()) - fsum(least.values()))
    unknown += sum(_overlapping([longest[run] for run in runs]) for runs in unplaced.values())
    return GpuUsage(tuple(run for run in found if run.hours > 0), unknown, fsum(uncertain) / HOUR_SECONDS)


def _spans(row: RunRow, start: float, now: float, *, certain: bool = False) -> list[_Span]:
    """Return the stretches of a run in the window, with the longest possible or the certain running time in it."""
    spans = []
    for stretch in row.stretches:
        begin, end = max(stretch.begin, start), min(stretch.end, now)
        if end > begin and stretch.active_seconds > 0:
            seconds = stretch.certain_seconds_since(start) if certain else stretch.active_seconds
            spans.append(_Span(0, begin, end, min(1.0, seconds / (end - begin))))
    return spans


def _overlapping(runs: Sequence[Sequence[_Span]]) -> int:
    """Return the number of runs that work at the same time as another one."""
    spans = sorted((span.begin, span.end, run) for run, some in enumerate(runs) for span in some)
    found = set()
    latest_end, latest_run = float('-inf'), -1
    for begin, end, run in spans:
        if begin < latest_end and run != latest_run:
            found |= {run, latest_run}
        if end > latest_end:
            latest_end, latest_run = end, run
    return len(found)


def _gpu_seconds(machine: Machine, spans: Sequence[Sequence[_Span]], hardware: Sequence[Hardware]) -> dict[int, float]:
    """Return the GPU-seconds of each run of a machine."""
    if len(machine.runs) == 1:
        [run] = machine.runs
        need = demand(hardware[run], machine) or 0.0
        return {run: need * fsum(span.density * (span.end - span.begin) for span in spans[run])}
    return _shares([span._replace(run=run) for run in machine.runs for span in spans[run]], hardware, machine)


def _shares(spans: Sequence[_Span], hardware: Sequence[Hardware], machine: Machine) -> dict[int, float]:
    """Return the GPU-seconds of each run on a machine.

    At any time, the runs that use the machine share its GPUs in proportion to what they ask for.
    """
    holding, others = _Sharing(machine), _Sharing(machine)
    events = sorted(
        [(span.begin, 1, index) for index, span in enumerate(spans)]
        + [(span.end, 0, index) for index, span in enumerate(spans)]
    )
    shares: dict[int, float] = defaultdict(float)
    begun: dict[int, float] = {}
    before = events[0][0] if events else 0.0
    for moment, begins, index in events:
        # Runs that are known to hold GPUs leave nothing to the others.
        (holding if holding.number else others).advance(moment - before)
        before = moment
        span = spans[index]
        one = hardware[span.run]
        sharing = holding if one.holds else others
        need = (demand(one, machine) or 0.0) * span.density
        if begins:
            sharing.enter(one, need)
            begun[index] = sharing.seconds_per_gpu
        else:
            shares[span.run] += need * (sharing.seconds_per_gpu - begun[index])
            sharing.leave(one, need)
    return shares


class _Sharing:
    """Runs that share a machine, as time goes on.

    Attributes:
        number: number of runs that are there now
        seconds_per_gpu: seconds that a run has had of each GPU that it asked for, if it was there all the time
    """

    def __init__(self, machine: Machine) -> None:
        self.number = 0
        self.seconds_per_gpu = 0.0
        self._needed = 0.0
        self._capacity = Capacity(machine)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if self.number and self._needed > 0:
            self.seconds_per_gpu += seconds * min(1.0, self._capacity.gpus / self._needed)

    def enter(self, one: Hardware, need: float) -> None:
        """Add a run that needs a number of GPUs."""
        self.number += 1
        self._needed += need
        self._capacity.enter(one)

    def leave(self, one: Hardware, need: float) -> None:
        """Remove a run."""
        self.number -= 1
        # Without rest, so that errors of rounding do not add up.
        self._needed = self._needed - need if self.number else 0.0
        self._capacity.leave(one)
