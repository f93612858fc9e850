"""The times in which a run worked. W&B tells the sum of a run's running time, but not when its pauses were.

A run that was paused and resumed between two refreshes shows it: its last heartbeat advances by more than its running
time. The running time since the refresh before is then taken to be after the pause. Pauses before the check first saw
the run are not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Heartbeats and running times are written at different moments.
SETTLE_SECONDS = 60
# More stretches of a run are joined.
MAX_STRETCHES = 50


class Stretch(NamedTuple):
    """A part of a run's life. Times are seconds since the epoch.

    Attributes:
        begin: when it began
        end: when it ended, or the last heartbeat
        active_seconds: the running time in it
    """

    begin: float
    end: float
    active_seconds: float

    def seconds_since(self, start: float) -> float:
        """Return the longest running time after `start` that is possible."""
        return min(max(0.0, self.end - max(self.begin, start)), self.active_seconds)

    def certain_seconds_since(self, start: float) -> float:
        """Return the running time after `start` that is certain wherever the pauses were."""
        before = max(0.0, min(start, self.end) - self.begin)
        return min(self.seconds_since(start), max(0.0, self.active_seconds - before))


def extended(known: Sequence[Stretch], end: float, growth: float) -> tuple[Stretch, ...]:
    """Return the stretches of a run that was seen again.

    Parameters:
        known: its stretches until then; old ones may be missing
        end: its last sign of life now
        growth: the seconds by which its running time grew
    """
    last = known[-1]
    advance = max(0.0, end - last.end)
    if advance > growth + SETTLE_SECONDS:
        return _joined((*known, Stretch(end - growth, end, growth)))
    return (*known[:-1], Stretch(last.begin, max(last.end, end), last.active_seconds + growth))


def since(known: Sequence[Stretch], start: float) -> tuple[Stretch, ...]:
    """Return the stretches that reach beyond `start`, always the last one."""
    return tuple(stretch for stretch in known[:-1] if stretch.end > start) + tuple(known[-1:])


def _joined(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    if len(stretches) <= MAX_STRETCHES:
        return stretches
    first, second, *rest = stretches
    return (Stretch(first.begin, second.end, first.active_seconds + second.active_seconds), *rest)
