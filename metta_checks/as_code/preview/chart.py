"""Timeseries: lines, areas and bars on axes, with markers and a legend; and the small charts behind big numbers.

Shapes are SVG, stretched to the widget's box; labels are text at the same relative positions, so that their size is the
same at every width.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from . import heatmap, palette, scale, svg
from .result import Line
from .scale import Axis
from .svg import HEIGHT, WIDTH, Markup, tag

_WIDTHS = {'thin': 1.2, 'normal': 1.8, 'thick': 3.0}
_DASHES = {'dashed': '6 4', 'dotted': '1.5 4'}
# A marker further above the data would flatten it: its label is shown at the edge instead.
_FAR = 4.0
_LEGEND_ROWS = 12
# The place of a marker's label, in the order of preference, and its size as shares of the plot.
_SIDES = ('over', 'under', 'over start', 'under start')
_LABEL_WIDTH = 0.25
_LABEL_HEIGHT = 0.13
# Horizontal and vertical position, and left, bottom, right and top: shares of the plot.
_Place = tuple[float, float]
_Box = tuple[float, float, float, float]
_MARKER = re.compile(r'\s*(?:(?P<low>-?[\d.]+)\s*<=?\s*)?y\s*(?P<op>=|<=?|>=?)\s*(?P<value>-?[\d.]+)\s*')


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line and its style. `display` is line, area, bars or heat; `right`: belongs to the right axis."""

    line: Line
    display: str = 'line'
    color: str = 'var(--classic-0)'
    stroke: str = 'solid'
    width: str = 'normal'
    right: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A marker: a threshold (`low` is None) or a band from `low` to `value`."""

    value: float
    low: float | None
    label: str
    hue: str
    dash: str


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


def marks(markers: Iterable[dict[str, Any]]) -> list[Mark]:
    """Return the markers of a widget. `y > 5` becomes a line at 5; values of another form are skipped."""
    found = []
    for marker in markers:
        matched = _MARKER.fullmatch(str(marker.get('value', '')))
        if not matched:
            continue
        kind = str(marker.get('display_type', ''))
        dash = 'dotted' if 'dotted' in kind else 'dashed' if 'dashed' in kind else 'solid'
        low = float(matched['low']) if matched['low'] else None
        label = str(marker.get('label') or '').strip()
        found.append(Mark(float(matched['value']), low, label, palette.marker_hue(kind), dash))
    return found


def timeseries(drawn: Sequence[Drawn], window: tuple[float, float], options: ChartOptions = PLAIN) -> Markup:
    """Return a chart."""
    markers = options.markers
    left = _axis(drawn, False, options.left, markers)
    right = _axis(drawn, True, options.right, ()) if any(one.right for one in drawn) else None
    axes = {False: left, True: right} if right else {False: left}
    shapes = [*_bands(markers, left), *_shapes(drawn, axes, window), *_thresholds(markers, left)]
    grid = [_across(left.place(tick), 'grid') for tick in left.ticks]
    times = scale.time_ticks(*window)
    plot = tag(
        'div',
        _plane(*grid, *shapes),
        *_marker_labels(markers, left, _covered(drawn, axes, window)),
        *_happenings(options.events, window),
        tag('div', class_='cross', hidden=True),
        class_='plot',
        tabindex='0',
        role='img',
        aria_label=_spoken(options.title, drawn),
        data_chart=_data(drawn, window),
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
        _legend(drawn, options.legend) if options.legend and drawn else None,
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


def _axis(drawn: Sequence[Drawn], right: bool, wanted: Mapping[str, Any], markers: Sequence[Mark]) -> Axis:
    own = [one for one in drawn if one.right == right]
    values = _extremes(own)
    units = {one.line.unit for one in own}
    highest = max((abs(value) for value in values), default=0.0)
    near = [mark.value for mark in markers if not highest or abs(mark.value) <= highest * _FAR]
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
    found = [value for one in drawn if one.display in ('line', 'heat') for value in _values(one.line)]
    for display in ('area', 'bars'):
        stack = _stack([one.line for one in drawn if one.display == display])
        edges = [edge for layer in stack for pair in layer.values() for edge in pair]
        if edges:
            found += [*edges, 0.0]
    return found


def _values(line: Line) -> list[float]:
    return [value for _, value in line.points if value is not None and math.isfinite(value)]


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


def _y(value: float, axis: Axis) -> int:
    return round((1 - axis.place(value)) * HEIGHT)


def _step(line: Line) -> float:
    """Return the usual distance of points: the smallest, since gaps are larger."""
    times = [moment for moment, _ in line.points]
    return min((b - a for a, b in pairwise(times) if b > a), default=0.0)


def _segments(line: Line) -> list[list[tuple[float, float]]]:
    """Return the stretches without a gap. A gap is a missing value, or a distance of more than twice the usual one."""
    step = _step(line)
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
            [(_x(moment, window), _y(value, axis)) for moment, value in segment] for segment in _segments(one.line)
        ]
        yield tag(
            'path',
            d=svg.line_path(segments),
            class_='line',
            style=f'stroke:{one.color};stroke-width:{_WIDTHS.get(one.width, _WIDTHS["normal"])}',
            stroke_dasharray=_DASHES.get(one.stroke),
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
            top = [(_x(moment, window), _y(layer[moment][1], axis)) for moment, _ in segment]
            bottom = [(_x(moment, window), _y(layer[moment][0], axis)) for moment, _ in segment]
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
    step = min((step for one in drawn if (step := _step(one.line))), default=(window[1] - window[0]) / 24)
    wide = max(1, round(step / (window[1] - window[0]) * WIDTH * 0.8))
    for one, layer in zip(drawn, _stack([one.line for one in drawn]), strict=True):
        bars = []
        for moment, (bottom, top) in layer.items():
            upper, lower = _y(max(bottom, top), axis), _y(min(bottom, top), axis)
            # The first and the last bar extend half outside.
            left = max(0, _x(moment, window) - wide // 2)
            right = min(WIDTH, _x(moment, window) - wide // 2 + wide)
            bars.append((left, upper, right - left, lower - upper))
        yield tag('path', d=svg.bar_path(bars), class_='bars', style=f'fill:{one.color}')


# Markers.


def _far(mark: Mark, axis: Axis) -> bool:
    return mark.value > axis.high * (1 + 1e-9) or mark.value < axis.low - 1e-9


def _across(place: float, class_: str, **attributes: object) -> Markup:
    y = round((1 - place) * HEIGHT)
    return tag('line', x1=0, x2=WIDTH, y1=y, y2=y, class_=class_, **attributes)


def _bands(markers: Sequence[Mark], axis: Axis) -> Iterable[Markup]:
    for mark in markers:
        if mark.low is not None:
            top, bottom = _y(mark.value, axis), _y(mark.low, axis)
            yield tag(
                'rect',
                x=0,
                y=top,
                width=WIDTH,
                height=max(0, bottom - top),
                class_='band',
                style=f'fill:var(--hue-{mark.hue})',
            )


def _happenings(events: Sequence[Happening], window: tuple[float, float]) -> Iterable[Markup]:
    """Return events as vertical lines, with their titles as tooltips."""
    for one in events:
        place = (one.time - window[0]) / (window[1] - window[0])
        if 0 <= place <= 1:
            style = f'left:{place * 100:.2f}%;border-color:var(--hue-{one.hue})'
            yield tag('span', class_='event', style=style, title=one.title)


def _thresholds(markers: Sequence[Mark], axis: Axis) -> Iterable[Markup]:
    for mark in markers:
        if mark.low is None and not _far(mark, axis):
            yield _across(
                axis.place(mark.value),
                'marker',
                style=f'stroke:var(--hue-{mark.hue})',
                stroke_dasharray=_DASHES.get(mark.dash),
            )


def _marker_labels(markers: Sequence[Mark], axis: Axis, covered: Sequence[_Place]) -> Iterable[Markup]:
    """Return the labels at an end of the markers' lines, and at the edge for markers outside the axis."""
    near = sorted((mark for mark in markers if not _far(mark, axis)), key=lambda mark: mark.value)
    places = [axis.place(mark.value) for mark in near]
    for mark, place, side in zip(near, places, _label_sides(places, covered), strict=True):
        text = mark.label or f'y = {axis.shown.tick(mark.value)}'
        style = f'color:var(--text-{mark.hue});bottom:{place * 100:.2f}%'
        yield tag('span', text, class_=f'mark {side}', style=style)
    for index, mark in enumerate(mark for mark in markers if _far(mark, axis)):
        style = f'color:var(--text-{mark.hue});top:{index * 15 + 1}px'
        yield tag('span', _far_label(mark, axis), class_='mark far', style=style)


def _covered(drawn: Sequence[Drawn], axes: Mapping[bool, Axis], window: tuple[float, float]) -> list[_Place]:
    """Return the points of the lines, as shares of the plot."""
    return [
        ((moment - window[0]) / (window[1] - window[0]), axes[one.right].place(value))
        for one in drawn
        if one.display == 'line'
        for moment, value in one.line.points
        if value is not None and math.isfinite(value)
    ]


def _label_sides(places: Sequence[float], covered: Sequence[_Place]) -> list[str]:
    """Return the side of each label, from the lowest: where it hides no other label and the fewest points of lines."""
    boxes: list[_Box] = []
    sides: list[str] = []
    for place in places:
        costs = {side: _hidden(_box(place, side), covered, boxes) for side in _SIDES}
        best = min(_SIDES, key=costs.__getitem__)
        boxes.append(_box(place, best))
        sides.append(best)
    return sides


def _box(place: float, side: str) -> _Box:
    """Return left, bottom, right and top of a label, as shares of the plot."""
    left = 0.0 if side.endswith('start') else 1 - _LABEL_WIDTH
    bottom = place if side.startswith('over') else place - _LABEL_HEIGHT
    return left, bottom, left + _LABEL_WIDTH, bottom + _LABEL_HEIGHT


def _hidden(box: _Box, covered: Sequence[_Place], boxes: Sequence[_Box]) -> int:
    """Return how much a label would hide: points of lines; another label, or a place outside, counts as all of them."""
    left, bottom, right, top = box
    outside = bottom < 0 or top > 1
    other = any(left < box[2] and right > box[0] and bottom < box[3] and top > box[1] for box in boxes)
    return sum(left <= x <= right and bottom < y < top for x, y in covered) + (outside + other) * (len(covered) + 1)


def _far_label(mark: Mark, axis: Axis) -> str:
    """Return the label of a marker outside the axis, with its direction and its value."""
    arrow = '↑' if mark.value > axis.high else '↓'
    if re.search(r'\d', mark.label):
        # A label that names its value needs no second one.
        return f'{arrow} {mark.label}'
    value = scale.shown(axis.unit, mark.value).text(mark.value)
    return f'{arrow} {f"{mark.label} {value}".strip()}'


# Legend, and data for the script.


_COLUMNS = {'value': 'last', 'avg': 'avg', 'max': 'max', 'min': 'min', 'sum': 'sum'}


def _statistic(line: Line, column: str) -> float | None:
    values = _values(line)
    if not values:
        return None
    match column:
        case 'avg':
            return sum(values) / len(values)
        case 'max':
            return max(values)
        case 'min':
            return min(values)
        case 'sum':
            return sum(values)
        case _:
            return values[-1]


def _legend(drawn: Sequence[Drawn], columns: Sequence[str]) -> Markup:
    rows = []
    for one in drawn[:_LEGEND_ROWS]:
        cells = []
        for column in columns:
            value = _statistic(one.line, column)
            # Units that count things (jobs, runs) are in the tooltip; here they would fill the columns.
            text = '-' if value is None else scale.shown(one.line.unit, value).tick(value)
            cells.append(tag('td', text, class_=f'n {column}'))
        name = tag(
            'th', swatch(one.color), tag('span', one.line.label, class_='name'), scope='row', title=one.line.label
        )
        rows.append(tag('tr', name, *cells))
    head = [tag('th', _COLUMNS.get(column, column), scope='col', class_=f'n {column}') for column in columns]
    more = len(drawn) - _LEGEND_ROWS
    if more > 0:
        rows.append(tag('tr', tag('td', f'and {more} more', colspan=str(len(columns) + 1), class_='more')))
    table = tag('table', tag('thead', tag('tr', tag('th', 'series', scope='col'), *head)), tag('tbody', *rows))
    crowded = len(rows) > 4
    return tag(
        'div',
        table,
        class_='legend',
        tabindex='0' if crowded else None,
        role='region' if crowded else None,
        aria_label='Legend' if crowded else None,
    )


def swatch(color: str) -> Markup:
    """Return the color swatch before a name."""
    return tag('i', class_='swatch', style=f'background:{color}')


def _spoken(title: str, drawn: Sequence[Drawn]) -> str:
    """Return the chart in words: its title and the last value of every line."""
    said = []
    for one in drawn[:_LEGEND_ROWS]:
        value = _statistic(one.line, 'value')
        text = 'no data' if value is None else scale.shown(one.line.unit, value).text(value)
        said.append(f'{one.line.label or "value"} {text}')
    return f'{title or "Timeseries"}: ' + ', '.join(said)


def _data(drawn: Sequence[Drawn], window: tuple[float, float]) -> str:
    """Return the data of the tooltip: per series name, color, unit, first moment, step and values; and the units."""
    found = []
    for one in drawn:
        step = _step(one.line)
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
