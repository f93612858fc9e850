"""GPU-hours: for each machine and instant, the GPUs that its runs use, and each run's share of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from .data import Run
from .truth_machines import Usage

# The hours are unknown when a larger part of them depends on when runs paused.
LARGEST_DOUBT = 0.1
# Run, begin, end, share of the time in which it ran.
Piece = tuple[Run, datetime, datetime, float]


def gpu_seconds(runs: Iterable[Run], begin: datetime, end: datetime, usage: Usage) -> dict[str, float] | None:
    """Return the GPU-seconds of runs in a window by their id; None when they are unknown."""
    at_most: list[Piece] = []
    at_least: list[Piece] = []
    for run in runs:
        for start, stop, seconds in usage.facts.stretches(run):
            first, last = max(start, begin), min(stop, end)
            overlap = (last - first).total_seconds()
            if min(overlap, seconds) <= 0:
                continue
            if usage.own(run) is None:
                return None
            at_most.append((run, first, last, min(overlap, seconds) / overlap))
            # All of the time before the window may have been running time.
            surely = max(0.0, seconds - (first - start).total_seconds())
            at_least.append((run, first, last, min(overlap, surely) / overlap))
    shares, sure = _shares(at_most, usage), _shares(at_least, usage)
    if shares is None or sure is None:
        return None
    total = sum(shares.values())
    return None if total - sum(sure.values()) > LARGEST_DOUBT * total else shares


def _shares(pieces: list[Piece], usage: Usage) -> dict[str, float] | None:
    """Divide the GPUs of each machine among the runs that use it, from one change to the next."""
    shares: dict[str, float] = {}
    for group in _groups(pieces, usage):
        moments = sorted({moment for _, start, stop, _ in group for moment in (start, stop)})
        for first, last in pairwise(moments):
            present = {run.id: (run, density) for run, start, stop, density in group if start <= first and last <= stop}
            machines, clear = usage.machines(run for run, _ in present.values())
            if not clear:
                return None
            for holders in machines:
                demand = {run.id: (usage.own(run) or 0) * present[run.id][1] for run in holders}
                total = min(usage.capacity(holders), sum(demand.values()))
                for run_id, part in ((run_id, part) for run_id, part in demand.items() if part):
                    seconds = total * part / sum(demand.values()) * (last - first) / timedelta(seconds=1)
                    shares[run_id] = shares.get(run_id, 0.0) + seconds
    return shares


def _groups(pieces: list[Piece], usage: Usage) -> list[list[Piece]]:
    """Return the pieces by machine; runs that nothing tells apart are together."""
    groups: dict[object, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(usage.place(piece[0]), []).append(piece)
    return list(groups.values())
