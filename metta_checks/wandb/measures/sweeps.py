"""Figures of block `sweeps`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...core.refresh import Sample

# The documented states of a sweep are always shown, so that the count of a state goes to 0 instead of disappearing.
SWEEP_STATES = ('running', 'paused', 'canceled', 'finished')


def sweeps(states: Iterable[str]) -> Iterator[Sample]:
    """Yield the number of sweeps by state."""
    counted = Counter(states)
    for state in dict.fromkeys((*SWEEP_STATES, *counted)):
        yield Sample('sweeps.count', counted[state], {'state': state})
