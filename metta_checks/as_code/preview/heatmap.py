"""Heatmaps: how many series have a value in a range, over time.

https://docs.datadoghq.com/dashboards/widgets/heatmap/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from .result import Line
from .scale import Axis
from .svg import HEIGHT, WIDTH, Markup, bar_path, tag

COLUMNS, ROWS = 60, 12
# Steps of color, from few series to many.
SHADES = 5


def cells(lines: Sequence[Line], axis: Axis, window: tuple[float, float]) -> Iterator[Markup]:
    """Yield one path per shade. A cell is the darker, the more series have a value in it."""
    series: set[tuple[int, int, int]] = set()
    for index, line in enumerate(lines):
        for moment, value in line.points:
            if value is not None:
                series.add((index, _place(moment, window), min(ROWS - 1, int(axis.place(value) * ROWS))))
    counts = Counter((column, row) for _, column, row in series)
    most = max(counts.values(), default=1)
    width, height = WIDTH // COLUMNS, HEIGHT // ROWS
    for shade in range(1, SHADES + 1):
        boxes = [
            (column * WIDTH // COLUMNS, HEIGHT - (row + 1) * height, width + 1, height)
            for (column, row), count in sorted(counts.items())
            if -(-count * SHADES // most) == shade
        ]
        if boxes:
            yield tag('path', d=bar_path(boxes), class_='heat', style=f'fill-opacity:{shade / SHADES:g}')


def _place(moment: float, window: tuple[float, float]) -> int:
    return min(COLUMNS - 1, int((moment - window[0]) / (window[1] - window[0]) * COLUMNS))
