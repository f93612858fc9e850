"""Markers of a chart: thresholds and bands, with labels that hide little of the lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import palette, scale
from .scale import Axis
from .svg import DASHES, WIDTH, Markup, across, row, tag

# The place of a marker's label, in the order of preference, and its size as shares of the plot.
_SIDES = ('over', 'under', 'over start', 'under start')
_LABEL_WIDTH = 0.25
_LABEL_HEIGHT = 0.13
# Horizontal and vertical position, and left, bottom, right and top: shares of the plot.
Place = tuple[float, float]
_Box = tuple[float, float, float, float]
_MARKER = re.compile(r'\s*(?:(?P<low>-?[\d.]+)\s*<=?\s*)?y\s*(?P<op>=|<=?|>=?)\s*(?P<value>-?[\d.]+)\s*')


@dataclass(frozen=True, slots=True)
class Mark:
    """A marker: a threshold (`low` is None) or a band from `low` to `value`."""

    value: float
    low: float | None
    label: str
    hue: str
    dash: str


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


def _far(mark: Mark, axis: Axis) -> bool:
    return mark.value > axis.high * (1 + 1e-9) or mark.value < axis.low - 1e-9


def bands(markers: Sequence[Mark], axis: Axis) -> Iterable[Markup]:
    """Yield the areas between two values."""
    for mark in markers:
        if mark.low is not None:
            top, bottom = row(axis.place(mark.value)), row(axis.place(mark.low))
            yield tag(
                'rect',
                x=0,
                y=top,
                width=WIDTH,
                height=max(0, bottom - top),
                class_='band',
                style=f'fill:var(--hue-{mark.hue})',
            )


def thresholds(markers: Sequence[Mark], axis: Axis) -> Iterable[Markup]:
    """Yield the lines at values within the axis."""
    for mark in markers:
        if mark.low is None and not _far(mark, axis):
            yield across(
                axis.place(mark.value),
                'marker',
                style=f'stroke:var(--hue-{mark.hue})',
                stroke_dasharray=DASHES.get(mark.dash),
            )


def labels(markers: Sequence[Mark], axis: Axis, covered: Sequence[Place]) -> Iterable[Markup]:
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


def _label_sides(places: Sequence[float], covered: Sequence[Place]) -> list[str]:
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


def _hidden(box: _Box, covered: Sequence[Place], boxes: Sequence[_Box]) -> int:
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
