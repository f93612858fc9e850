"""Data of a chart for the script, which shows the values under the pointer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from . import scale
from .drawn import Drawn, step_of


def data(drawn: Sequence[Drawn], window: tuple[float, float]) -> str:
    """Return the data of the tooltip: per series name, color, unit, first moment, step and values; and the units."""
    found = []
    for one in drawn:
        step = step_of(one.line)
        values: list[float | None] = []
        start = one.line.points[0][0] if one.line.points else 0
        for moment, value in one.line.points:
            place = round((moment - start) / step) if step else 0
            values.extend([None] * (place - len(values)))
            values.append(None if value is None or not math.isfinite(value) else _plain(float(f'{value:.5g}')))
        series = {'n': one.line.label, 'c': one.color, 'u': one.line.unit, 't': [_plain(start), _plain(step)]}
        found.append({**series, 'v': values})
    units = {one.line.unit: _written(one.line.unit) for one in drawn}
    data = {'s': _plain(window[0]), 'e': _plain(window[1]), 'u': units, 'l': found}
    return json.dumps(data, separators=(',', ':'), ensure_ascii=False)


def _written(unit: str) -> list[list[object]]:
    """Return the ladder of a unit for the script: the unit itself, then larger units, largest first."""
    own, steps = scale.ladder(unit)
    return [
        [least, one.factor, one.prefix, one.suffix, int(one.short), one.thing]
        for least, one in ((0, own), *reversed(steps))
    ]


def _plain(value: float) -> float | int:
    """Return whole numbers without their `.0`, which is shorter."""
    return int(value) if value == int(value) else value
