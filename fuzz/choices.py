"""Choices, the interface to the engines: `choose(n)` returns a number from 0 to n - 1; 0 is the simplest choice."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar('T')

Choose = Callable[[int], int]


def pick(choose: Choose, options: Sequence[T]) -> T:
    """Return one of several options."""
    return options[choose(len(options))]


def seeded(seed: Any) -> Choose:
    """Return the choices of a seed, which are reproducible."""
    dice = random.Random(seed)
    return lambda number: dice.randrange(number)


class Bytes:
    """Choices from bytes, as a coverage-guided engine varies them. After the last byte, every choice is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __call__(self, number: int) -> int:
        """Return a whole number from 0 to `number` - 1."""
        width = 1 if number <= 256 else 2 if number <= 65_536 else 8
        taken = self._data[self._at : self._at + width]
        self._at += width
        return int.from_bytes(taken, 'little') % number
