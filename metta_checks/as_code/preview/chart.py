"""Timeseries: lines, areas and bars on axes, with markers and a legend; and the small charts behind big numbers.

Shapes are SVG, stretched to the widget's box; labels are text at the same relative positions, so that their size is the
same at every width.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import heatmap, hover, legend, markers, scale, svg
from .drawn import Drawn, step_of, values_of
from .markers import Mark, Place
from .result import Line
from .scale import Axis
from .svg import DASHES, HEIGHT, WIDTH, Markup, across, row, tag

# A marker further above the data would flatten it: its label is shown at the edge instead.
_FAR = 4.0
_WIDTHS = {'thin': 1.2, 'normal': 1.8, 'thick': 3.0}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event over a chart. `hue` says whether it is good or bad."""

    time: float
    title: str
    hue: str


@dataclass(frozen=True, slots=True)
class ChartOptions:
    """Chart settings of a widget. `legend` holds the columns of the legend; none without any."""

    title: str = ''
    # Datadog's axis objects.
    left: Mapping[str, Any] = field(default_factory=dict)
    right: Mapping[str, Any] = field(default_factory=dict)
    markers: Sequence[Mark] = ()
    legend: Sequence[str] = ()
    events: Sequence[Happening] = ()


PLAIN = ChartOptions()


def timeseries(drawn: Sequence[Drawn], window: tuple[float, float], options: ChartOptions = PLAIN) -> Markup:
    """Return a chart."""
    marks = options.markers
    left = _axis(drawn, False, options.left, marks)
    right = _axis(drawn, True, options.right, ()) if any(one.right for one in drawn) else None
    axes = {False: left, True: right} if right else {False: left}
    shapes = [*markers.bands(marks, left), *_shapes(drawn, axes, window), *markers.thresholds(marks, left)]
    grid = [across(left.place(tick), 'grid') for tick in left.ticks]
    times = scale.time_ticks(*window)
    plot = tag(
        'div',
        _plane(*grid, *shapes),
        *markers.labels(marks, left, _covered(drawn, axes, window)),
        *_happenings(options.events, window),
        tag('div', class_='cross', hidden=True),
        class_='plot',
        tabindex='0',
        role='img',
        aria_label=legend.spoken(options.title, drawn),
        data_chart=hover.data(drawn, window),
    )
    labels = tag(
        'div',
        *(tag('span', tick.text, class_=f't{tick.level}', style=f'left:{tick.place * 100:.2f}%') for tick in times),
        class_='times',
        aria_hidden='true',
    )
    return tag(
        'div',
        tag(
            'div',
            _ticks(left, 'ticks'),
            plot,
            _ticks(right, 'ticks right') if right else None,
            labels,
            class_='frame' + (' both' if right else ''),
        ),
        legend.legend(drawn, options.legend) if options.legend and drawn else None,
        class_='chart',
    )


def background(lines: Sequence[Line], window: tuple[float, float], kind: str, *, zero: bool, color: str) -> Markup:
    """Return the chart behind a big number: an area with its line, or bars."""
    values = [value for line in lines for _, value in line.points if value is not None]
    axis = scale.axis(values, zero=zero)
    # No ticks are shown, so the chart uses the whole height.
    axis = Axis(axis.low, max(values, default=1.0) if max(values, default=0) > axis.low else axis.high, (), axis.shown)
    display = 'bars' if kind == 'bars' else 'area'
    drawn = [Drawn(line, display, color, width='thin') for line in lines]
    return _plane(*_shapes(drawn, {False: axis}, window), class_='spark')


def _plane(*shapes: Markup, class_: str = '') -> Markup:
    return tag(
        'svg',
        *shapes,
        class_=class_,
        viewBox=f'0 0 {WIDTH} {HEIGHT}',
        preserveAspectRatio='none',
        aria_hidden='true',
        focusable='false',
    )


# Axes.


def _axis(drawn: Sequence[Drawn], right: bool, wanted: Mapping[str, Any], marks: Sequence[Mark]) -> Axis:
    own = [one for one in drawn if one.right == right]
    values = _extremes(own)
    units = {one.line.unit for one in own}
    highest = max((abs(value) for value in values), default=0.0)
    near = [mark.value for mark in marks if not highest or abs(mark.value) <= highest * _FAR]
    return scale.axis(
        [*values, *near],
        # Several units on one axis have no common unit.
        units.pop() if len(units) == 1 else '',
        log=wanted.get('scale') == 'log',
        zero=wanted.get('include_zero', True) is not False,
        low=_limit(wanted.get('min')),
        high=_limit(wanted.get('max')),
    )


def _limit(value: object) -> float | None:
    """Return a limit of an axis object, a number or its text; None for anything else, such as `auto`."""
    if not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _extremes(drawn: Sequence[Drawn]) -> list[float]:
    """Return the values that the axis must include; for stacks the sums, and their base at zero."""
    found = [value for one in drawn if one.display in ('line', 'heat') for value in values_of(one.line)]
    for display in ('area', 'bars'):
        stack = _stack([one.line for one in drawn if one.display == display])
        edges = [edge for layer in stack for pair in layer.values() for edge in pair]
        if edges:
            found += [*edges, 0.0]
    return found


def _ticks(axis: Axis, class_: str) -> Markup:
    texts = [(axis.place(tick), axis.shown.tick(tick)) for tick in axis.ticks]
    longest = max((text for _, text in texts), key=len, default='')
    return tag(
        'div',
        # The longest label sets the width of the column.
        tag('span', longest, class_='widest'),
        *(tag('span', text, style=f'bottom:{place * 100:.2f}%') for place, text in texts),
        class_=class_,
        aria_hidden='true',
    )


# Shapes.


def _shapes(drawn: Sequence[Drawn], axes: Mapping[bool, Axis], window: tuple[float, float]) -> Iterable[Markup]:
    """Draw areas first, then bars, then lines, so that none hides another."""
    for display, draw in (('heat', _heat), ('area', _areas), ('bars', _bars), ('line', _lines)):
        for right, axis in axes.items():
            own = [one for one in drawn if one.display == display and one.right == right]
            if own:
                yield from draw(own, axis, window)


def _x(moment: float, window: tuple[float, float]) -> int:
    return round((moment - window[0]) / (window[1] - window[0]) * WIDTH)


def _segments(line: Line) -> list[list[tuple[float, float]]]:
    """Return the stretches without a gap. A gap is a missing value, or a distance of more than twice the usual one."""
    step = step_of(line)
    found: list[list[tuple[float, float]]] = [[]]
    before = None
    for moment, value in line.points:
        if value is None or not math.isfinite(value):
            found.append([])
            continue
        if before is not None and step and moment - before > 2.5 * step and found[-1]:
            found.append([])
        found[-1].append((moment, value))
        before = moment
    return [segment for segment in found if segment]


def _lines(drawn: Sequence[Drawn], axis: Axis, window: tuple[float, float]) -> Iterable[Markup]:
    for one in drawn:
        segments = [
            [(_x(moment, window), row(axis.place(value))) for moment, value in segment]
            for segment in _segments(one.line)
        ]
        yield tag(
            'path',
            d=svg.line_path(segments),
            class_='line',
            style=f'stroke:{one.color};stroke-width:{_WIDTHS.get(one.width, _WIDTHS["normal"])}',
            stroke_dasharray=DASHES.get(one.stroke),
        )


def _heat(drawn: Sequence[Drawn], axis: Axis, window: tuple[float, float]) -> Iterable[Markup]:
    return heatmap.cells([one.line for one in drawn], axis, window)


def _stack(lines: Sequence[Line]) -> list[dict[float, tuple[float, float]]]:
    """Return, per line, moment -> (bottom, top), stacked; negative values grow downwards."""
    up: dict[float, float] = defaultdict(float)
    down: dict[float, float] = defaultdict(float)
    layers = []
    for line in lines:
        layer = {}
        for moment, value in line.points:
            if value is None or not math.isfinite(value):
                continue
            side = up if value >= 0 else down
            bottom = side[moment]
            side[moment] = bottom + value
            layer[moment] = (bottom, bottom + value)
        layers.append(layer)
    return layers


def _areas(drawn: Sequence[Drawn], axis: Axis, window: tuple[float, float]) -> Iterable[Markup]:
    for one, layer in zip(drawn, _stack([one.line for one in drawn]), strict=True):
        tops, outlines = [], []
        for segment in _segments(one.line):
            top = [(_x(moment, window), row(axis.place(layer[moment][1]))) for moment, _ in segment]
            bottom = [(_x(moment, window), row(axis.place(layer[moment][0]))) for moment, _ in segment]
            tops.append(top)
            outlines.append((top, bottom))
        yield tag('path', d=svg.area_path(outlines), class_='area', style=f'fill:{one.color}')
        yield tag(
            'path',
            d=svg.line_path(tops),
            class_='line',
            style=f'stroke:{one.color};stroke-width:{_WIDTHS.get(one.width, _WIDTHS["normal"])}',
        )


def _bars(drawn: Sequence[Drawn], axis: Axis, window: tuple[float, float]) -> Iterable[Markup]:
    step = min((step for one in drawn if (step := step_of(one.line))), default=(window[1] - window[0]) / 24)
    wide = max(1, round(step / (window[1] - window[0]) * WIDTH * 0.8))
    for one, layer in zip(drawn, _stack([one.line for one in drawn]), strict=True):
        bars = []
        for moment, (bottom, top) in layer.items():
            upper, lower = row(axis.place(max(bottom, top))), row(axis.place(min(bottom, top)))
            # The first and the last bar extend half outside.
            left = max(0, _x(moment, window) - wide // 2)
            right = min(WIDTH, _x(moment, window) - wide // 2 + wide)
            bars.append((left, upper, right - left, lower - upper))
        yield tag('path', d=svg.bar_path(bars), class_='bars', style=f'fill:{one.color}')


def _happenings(events: Sequence[Happening], window: tuple[float, float]) -> Iterable[Markup]:
    """Return events as vertical lines, with their titles as tooltips."""
    for one in events:
        place = (one.time - window[0]) / (window[1] - window[0])
        if 0 <= place <= 1:
            style = f'left:{place * 100:.2f}%;border-color:var(--hue-{one.hue})'
            yield tag('span', class_='event', style=style, title=one.title)


def _covered(drawn: Sequence[Drawn], axes: Mapping[bool, Axis], window: tuple[float, float]) -> list[Place]:
    """Return the points of the lines, as shares of the plot."""
    return [
        ((moment - window[0]) / (window[1] - window[0]), axes[one.right].place(value))
        for one in drawn
        if one.display == 'line'
        for moment, value in one.line.points
        if value is not None and math.isfinite(value)
    ]
