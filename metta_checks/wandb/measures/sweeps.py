"""Figures of block `sweeps`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...core.refresh import Sample
from ...core.tag_values import filled

# The documented states of a sweep are always shown, so that the count of a state goes to 0 instead of disappearing.
SWEEP_STATES = ('running', 'paused', 'canceled', 'finished')


def sweeps(states: Iterable[str]) -> Iterator[Sample]:
    """Yield the number of sweeps by state."""
    for state, number in filled(Counter(states), SWEEP_STATES).items():
        yield Sample('sweeps.count', number, {'state': state})
