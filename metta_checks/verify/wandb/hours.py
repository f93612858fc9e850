"""GPU-hours of the last seven days: each machine's GPUs at each instant, divided among its runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .machines import Machines
from .reading import Run

HOUR = timedelta(hours=1)
# The hours are unknown when a larger part of them depends on when runs paused.
LARGEST_DOUBT = 0.1


@dataclass(frozen=True)
class _Presence:
    """A run in the window: its part of it, and the share of that time in which it ran."""

    run: Run
    begin: datetime
    end: datetime
    density: float


def gpu_hours(runs: Iterable[Run], begin: datetime, now: datetime, machines: Machines) -> dict[Run, float] | None:
    """Return the GPU-hours of runs between two moments; None when they are unknown."""
    most: list[_Presence] = []
    least: list[_Presence] = []
    for run in runs:
        first, last, running = run.life
        since, until = max(first, begin), min(last, now)
        inside = until - since
        if min(inside, running) <= timedelta(0):
            continue
        if machines.own[run] is None:
            return None
        most.append(_Presence(run, since, until, min(inside, running) / inside))
        # Pauses may all lie in the window.
        surely = max(timedelta(0), running - (since - first))
        least.append(_Presence(run, since, until, min(inside, surely) / inside))
    hours, sure = _divide(most, machines), _divide(least, machines)
    if hours is None or sure is None:
        return None
    total = sum(hours.values())
    return None if total - sum(sure.values()) > LARGEST_DOUBT * total else hours


def _divide(present: list[_Presence], machines: Machines) -> dict[Run, float] | None:
    """Divide the time of the machines among the runs. Between two changes, the same runs are there."""
    hours: dict[Run, float] = {}
    changes = sorted({moment for one in present for moment in (one.begin, one.end)})
    starts = sorted(present, key=lambda one: one.begin)
    there: list[_Presence] = []
    waiting = 0
    for index, moment in enumerate(changes[:-1]):
        there = [one for one in there if one.end > moment]
        while waiting < len(starts) and starts[waiting].begin <= moment:
            if starts[waiting].end > moment:
                there.append(starts[waiting])
            waiting += 1
        found, is_clear = machines.at_once(one.run for one in there)
        if not is_clear:
            return None
        density = {one.run.id: one.density for one in there}
        length = (changes[index + 1] - moment) / HOUR
        for machine in found:
            wanted = {run: (machines.own[run] or 0) * density[run.id] for run in machine.holders}
            demand = sum(wanted.values())
            for run, part in wanted.items():
                if part:
                    hours[run] = hours.get(run, 0.0) + min(machine.capacity, demand) * part / demand * length
    return hours
