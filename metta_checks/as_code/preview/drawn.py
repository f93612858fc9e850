"""A line of a chart with its style, and its values without gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from .result import Line


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line and its style. `display` is line, area, bars or heat; `right`: belongs to the right axis."""

    line: Line
    display: str = 'line'
    color: str = 'var(--classic-0)'
    stroke: str = 'solid'
    width: str = 'normal'
    right: bool = False


def values_of(line: Line) -> list[float]:
    """Return the values without gaps."""
    return [value for _, value in line.points if value is not None and math.isfinite(value)]


def step_of(line: Line) -> float:
    """Return the usual distance of points: the smallest, since gaps are larger."""
    times = [moment for moment, _ in line.points]
    return min((b - a for a, b in pairwise(times) if b > a), default=0.0)
