"""MC07, DG06 and DG08 to DG10: colors, legends, kinds of line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from metta_checks.as_code.declared import Declared
from metta_checks.as_code.schema import not_allowed

from .findings import Problem, rule
from .view import View, Widget, child, objects, text

# Palettes of lines, from Datadog's page on widget colors and its Terraform provider.
PALETTES = (
    'dog_classic',
    'classic',
    'semantic',
    'datadog16',
    'cool',
    'warm',
    'purple',
    'orange',
    'gray',
    'grey',
    'blue',
    'green',
    'red',
    'yellow',
)
VIVID = ('vivid_blue', 'vivid_purple', 'vivid_pink', 'vivid_orange', 'vivid_yellow', 'vivid_green')
GROUP_COLORS = (*VIVID, 'blue', 'purple', 'pink', 'orange', 'yellow', 'green', 'gray', 'white')
NOTE_COLORS = (*GROUP_COLORS, 'transparent')
MARKERS = ('error', 'warning', 'info', 'ok')
LINES = ('solid', 'bold', 'dashed')
_COLOR = re.compile(r'#[0-9a-fA-F]{6}')
_NUMBER = r'-?\d+(?:\.\d+)?'
MARKER_VALUE = re.compile(rf'y\s*[=<>]\s*({_NUMBER})|({_NUMBER})\s*<\s*y\s*<\s*({_NUMBER})')
AUTOMATIC = 'auto'


@rule('MC07')
def colors_exist(view: View) -> Iterator[Problem]:
    """Palettes, colors and markers exist in Datadog; the API accepts any text and draws the default."""
    for widget in view.every():
        colors = {'group': GROUP_COLORS, 'note': NOTE_COLORS}.get(widget.kind)
        color = text(widget.definition, 'background_color')
        if colors and color and color not in colors and not _COLOR.fullmatch(color):
            yield Problem(f'{widget.inside}.background_color', not_allowed(color, colors))
        for request in widget.requests:
            yield from _palette(request.definition, request.path)
            for index, formula in objects(request.definition, 'formulas'):
                yield from _palette(formula, f'{request.path}.formulas[{index}]')
        # Markers of a distribution are percentiles.
        markers = objects(widget.definition, 'markers') if widget.kind != 'distribution' else []
        for index, marker in markers:
            yield from _marker(marker, f'{widget.inside}.markers[{index}]')


def _palette(parent: dict[str, Any], path: str) -> Iterator[Problem]:
    palette = text(child(parent, 'style'), 'palette')
    if palette and palette not in PALETTES:
        yield Problem(f'{path}.style.palette', not_allowed(palette, PALETTES))


def _marker(marker: dict[str, Any], path: str) -> Iterator[Problem]:
    kind, _, line = text(marker, 'display_type').partition(' ')
    if kind and (kind not in MARKERS or (line and line not in LINES)):
        allowed = [f'{one} {line}' for one in MARKERS for line in LINES]
        yield Problem(f'{path}.display_type', not_allowed(text(marker, 'display_type'), allowed))
    if 'value' in marker and not MARKER_VALUE.fullmatch(text(marker, 'value').strip()):
        yield Problem(f'{path}.value', f'expected y = 48 or 20 < y < 40, found {text(marker, "value")!r}')


@rule('DG06', 'warning', own=True)
def backgrounds(view: View) -> Iterator[Problem]:
    """Query values have a timeseries in the background (guidelines: query value)."""
    for widget in view.leaves():
        if widget.kind == 'query_value' and not child(widget.definition, 'timeseries_background'):
            yield Problem(f'{widget.inside}.timeseries_background', 'missing; show the history behind the value')


@rule('DG08', 'warning', own=True)
def legends(view: View) -> Iterator[Problem]:
    """Timeseries formulas have an alias, legends are automatic, and neighbors all show or all hide them."""
    for widget in view.leaves():
        if widget.kind == 'timeseries':
            yield from _legend(widget)
    for group in view.groups:
        yield from _uneven_legends(group)


def _legend(widget: Widget) -> Iterator[Problem]:
    for request in widget.requests:
        for index, formula in objects(request.definition, 'formulas'):
            if not text(formula, 'alias').strip():
                yield Problem(f'{request.path}.formulas[{index}].alias', 'missing; the legend shows the formula')
    layout = text(widget.definition, 'legend_layout')
    if _shows(widget) and layout != AUTOMATIC:
        yield Problem(f'{widget.inside}.legend_layout', f'use "{AUTOMATIC}", is {layout or "missing"}')


def _uneven_legends(group: Widget) -> Iterator[Problem]:
    """Yield the timeseries that shows a legend beside one that hides it, or the other way round."""
    placed = [(one.box, one) for one in group.children if one.kind == 'timeseries' and one.box]
    placed.sort(key=lambda pair: (pair[0].y, pair[0].x))
    for (box, left), (next_box, right) in pairwise(placed):
        if box.y == next_box.y and _shows(left) != _shows(right):
            yield Problem(f'{right.inside}.show_legend', f'differs from its neighbor {left.title!r}')


def _shows(widget: Widget) -> bool:
    return widget.definition.get('show_legend') is True


@rule('DG09', 'warning', own=True)
def group_colors(view: View) -> Iterator[Problem]:
    """Groups are colored, important ones vividly, none gray, not all vivid blue (guidelines: group colors)."""
    colors = []
    for group in view.groups:
        color = text(group.definition, 'background_color')
        place = f'{group.inside}.background_color'
        if not color:
            yield Problem(place, 'missing; related groups share a color')
        elif color in ('gray', 'white'):
            yield Problem(place, f'a {color} header reads as disabled')
        colors.append(color)
    counted = Counter(colors)
    if len(colors) > 2 and counted['vivid_blue'] == len(colors):
        yield Problem('widgets', 'all groups are vivid_blue; give related groups a color of their own')
    if len(colors) > 2 and not any(color in VIVID for color in colors):
        yield Problem('widgets', 'no group stands out; give the important ones a vivid color')


@rule('DG10', 'warning', own=True)
def display_types(view: View) -> Iterator[Problem]:
    """Bars for counts, areas for volumes, lines otherwise; thresholds as markers or conditional formats."""
    for widget in view.leaves():
        if widget.kind == 'timeseries':
            yield from _lines(view, widget)
        if widget.kind in ('timeseries', 'query_value') and not _shows_thresholds(widget):
            yield from _unmarked(view, widget)


def _lines(view: View, widget: Widget) -> Iterator[Problem]:
    for request in widget.requests:
        # Of a calculated value, the metrics do not tell what it is.
        if all(formula.text.strip() in formula.names for formula in request.formulas):
            metrics = [metric for name in request.metrics if (metric := view.metric(name))]
            kind = text(request.definition, 'display_type')
            for problem in _unfit(kind, metrics):
                yield Problem(f'{request.path}.display_type', problem)


def _unfit(kind: str, metrics: list[Declared]) -> Iterator[str]:
    """Yield the reasons why metrics are not shown with a display type."""
    if metrics and all(metric.type == 'count' for metric in metrics) and kind != 'bars':
        yield f'{metrics[0].name} is a count: bars, not {kind or "line"}'
    shares = [metric for metric in metrics if metric.unit in ('percent', 'fraction')]
    if shares and kind == 'area':
        yield f'{shares[0].name} is a share, not a volume: line, not area'


def _shows_thresholds(widget: Widget) -> bool:
    """Return whether a widget has markers or conditional formats."""
    if objects(widget.definition, 'markers'):
        return True
    parents = [request.definition for request in widget.requests]
    parents += [formula.definition for request in widget.requests for formula in request.formulas]
    return any(objects(parent, 'conditional_formats') for parent in parents)


def _unmarked(view: View, widget: Widget) -> Iterator[Problem]:
    """Yield the thresholds to show, where all metrics of a widget have the same ones."""
    found = [view.thresholds.of(name) for name in widget.metrics]
    families = {id(limits): limits for limits in found if limits}
    if len(families) != 1 or not all(found):
        return
    (limits,) = families.values()
    key = 'markers' if widget.kind == 'timeseries' else 'requests[0].conditional_formats'
    numbers = ', '.join(f'{value:g}' for value in sorted(limits.values))
    yield Problem(f'{widget.inside}.{key}', f'missing; show the thresholds of monitors and SLOs: {numbers}')
