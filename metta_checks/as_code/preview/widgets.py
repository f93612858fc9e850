"""Content of a widget's box, per kind of widget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ..query_tree import Filter
from . import chart, hostmap, markdown, markers, palette, scale, shares, tables
from .chart import ChartOptions, Happening
from .drawn import Drawn
from .faults import FAULT
from .filters import NotDrawn, Tagged
from .result import Line, Outcome
from .svg import Markup, join, tag
from .tables import MonitorState, SloState, Tile

# More lines cannot be distinguished.
MAX_LINES = 24
LEGEND = ('value', 'avg', 'max')
_ANSWERS = {'true', 'false'}

Definition = Mapping[str, Any]


class WidgetData(Protocol):
    """Data of a page's widgets, for one choice of template variables. Methods may raise NotDrawn."""

    @property
    def window(self) -> tuple[float, float]:
        """Epoch seconds of the first and last moment shown."""

    def request(self, widget_type: str, request: Definition) -> Outcome:
        """Return the result of one request of a widget."""

    def events(self, query: str) -> Sequence[Happening]:
        """Return the events that a search finds."""

    def checks(self, definition: Definition) -> Sequence[Tile]:
        """Return the service checks of a check_status widget."""

    def monitors(self, definition: Definition) -> Sequence[MonitorState]:
        """Return the monitors of a manage_status widget."""

    def slos(self, definition: Definition) -> Sequence[SloState]:
        """Return the SLOs of an slo_list widget."""

    def filtered(self, definition: Definition) -> Iterable[tuple[Filter, Iterable[Tagged]]]:
        """Return the filters of a widget, each with the things that it selects from, whatever values are chosen."""


def draw(definition: Definition, data: WidgetData) -> Markup:
    """Return the content of a widget without its title; a labeled box for a widget that cannot be drawn."""
    kind = str(definition.get('type', ''))
    if FAULT in definition:
        return problem(f'the API would refuse this {kind}: {definition[FAULT]}')
    drawing = _KINDS.get(kind)
    if drawing is None:
        return problem(f'widgets of type {kind!r} are not drawn in this preview')
    try:
        return drawing(definition, data)
    except NotDrawn as error:
        return problem(str(error))


def problem(reason: str) -> Markup:
    """Return the box with the reason why there is no drawing."""
    return tag('div', tag('strong', 'Not shown'), tag('span', reason), class_='problem', role='note')


def no_data() -> Markup:
    """Return the text for a widget without points."""
    return tag('div', 'No data', class_='nodata')


def requests_of(definition: Definition) -> list[Definition]:
    """Return the requests of a widget; those of a host map are named `fill` and `size`."""
    requests = definition.get('requests') or ()
    if isinstance(requests, Mapping):
        requests = [requests.get('fill'), requests.get('size')]
    return [one for one in requests if isinstance(one, Mapping)] if isinstance(requests, list) else []


def _title(definition: Definition) -> str:
    return str(definition.get('title') or '')


def _with_notes(body: Markup, outcomes: Sequence[Outcome]) -> Markup:
    """Append problems of single requests and remarks of the evaluation to the drawing."""
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    remarks = list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
    found = [problem(reason) for reason in problems]
    found += [tag('p', remark, class_='remark', title=remark) for remark in remarks]
    return join((body, *found))


def _outcomes(definition: Definition, data: WidgetData, kind: str) -> list[tuple[Outcome, Definition]]:
    return [(_labeled(data.request(kind, request)), request) for request in requests_of(definition)]


def _nothing(found: Sequence[tuple[Outcome, Definition]]) -> Markup | None:
    """Return the text to show when no request has data; None when one has."""
    if any(not outcome.problem and not outcome.empty for outcome, _ in found):
        return None
    outcomes = [outcome for outcome, _ in found]
    if any(outcome.problem for outcome in outcomes):
        return _with_notes(join(()), outcomes)
    return _with_notes(no_data(), outcomes)


def _timeseries(definition: Definition, data: WidgetData) -> Markup:
    found = _outcomes(definition, data, 'timeseries')
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    drawn = _without_common_alias(_drawn_lines(found))
    columns = [str(column) for column in definition.get('legend_columns') or LEGEND]
    options = ChartOptions(
        title=_title(definition),
        left=definition.get('yaxis') or {},
        right=definition.get('right_yaxis') or {},
        markers=markers.marks(definition.get('markers') or ()),
        legend=columns if definition.get('show_legend', True) else (),
        events=[one for query in event_queries(definition) for one in data.events(query)],
    )
    body = chart.timeseries(drawn[:MAX_LINES], data.window, options)
    hidden = len(drawn) - MAX_LINES
    if hidden > 0:
        body = join((body, tag('p', f'{hidden} more series are not drawn', class_='remark')))
    return _with_notes(body, [outcome for outcome, _ in found])


def event_queries(definition: Definition) -> list[str]:
    """Return the searches whose events are drawn over a chart."""
    return [str(one.get('q') or '') for one in definition.get('events') or () if isinstance(one, Mapping)]


def _drawn_lines(found: Sequence[tuple[Outcome, Definition]]) -> list[Drawn]:
    """Return the lines of all requests, without those that have no points, in their style and color."""
    drawn: list[Drawn] = []
    # Number of colors that earlier requests took from a palette.
    used: Counter[str] = Counter()
    for outcome, request in found:
        lines = [line for line in outcome.lines if _has_points(line)]
        if (request.get('style') or {}).get('order_by') == 'values':
            lines.sort(key=_last_value, reverse=True)
        name = str((request.get('style') or {}).get('palette') or 'dog_classic')
        base = palette.base_palette(name)
        colors = palette.series_colors(name, [line.label for line in lines], used[base])
        used[base] += len(lines)
        drawn += [_drawn(line, color, request) for line, color in zip(lines, colors, strict=True)]
    return drawn


def _drawn(line: Line, color: str, request: Definition) -> Drawn:
    style = request.get('style') or {}
    display = str(request.get('display_type'))
    return Drawn(
        line,
        display if display in ('area', 'bars') else 'line',
        color,
        str(style.get('line_type') or 'solid'),
        str(style.get('line_width') or 'normal'),
        bool(request.get('on_right_yaxis')),
    )


def _has_points(line: Line) -> bool:
    return any(value is not None for _, value in line.points)


def _last_value(line: Line) -> float:
    return next(value for _, value in reversed(line.points) if value is not None)


def _labeled(outcome: Outcome) -> Outcome:
    """Return the lines with `draft:false` instead of `false`: yes and no need their question."""

    def label(text: str, group: Mapping[str, str]) -> str:
        plain = ', '.join(group.values())
        if not text.endswith(plain) or not _ANSWERS & set(group.values()):
            return text
        named = (f'{key}:{value}' if value in _ANSWERS else value for key, value in group.items())
        return text.removesuffix(plain) + ', '.join(named)

    return replace(
        outcome,
        lines=tuple(replace(line, label=label(line.label, line.group)) for line in outcome.lines),
        rows=tuple(replace(row, label=label(row.label, row.group)) for row in outcome.rows),
    )


def _without_common_alias(drawn: list[Drawn]) -> list[Drawn]:
    """Return the lines of one formula by group without their common alias, which the widget's title states."""
    heads = {one.line.label.split(', ', 1)[0] for one in drawn}
    if len(drawn) < 2 or len(heads) > 1 or any(not one.line.group or ', ' not in one.line.label for one in drawn):
        return drawn
    return [replace(one, line=replace(one.line, label=one.line.label.split(', ', 1)[1])) for one in drawn]


def _query_value(definition: Definition, data: WidgetData) -> Markup:
    found = _outcomes(definition, data, 'query_value')[:1]
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    outcome, request = found[0]
    value = outcome.rows[0].values[0] if outcome.rows and outcome.rows[0].values else None
    if value is None:
        return _with_notes(no_data(), [outcome])
    number, unit = _number_and_unit(definition, value, outcome.columns[0][1] if outcome.columns else '')
    color = tables.look(value, tables.formats_of(request, 0))
    back = definition.get('timeseries_background')
    spark = _spark(back, outcome.lines, data.window, color) if isinstance(back, Mapping) else None
    return _with_notes(tag('div', spark, _big(number, unit), class_=f'qv {color}'.strip()), [outcome])


def _number_and_unit(definition: Definition, value: float, unit: str) -> tuple[str, str]:
    """Return a value as text, with the decimals and the unit that the widget asks for."""
    custom = str(definition.get('custom_unit') or '')
    writing = scale.shown('' if custom else unit, value, fixed=definition.get('autoscale') is False)
    precision = definition.get('precision')
    number = writing.number(value, precision if isinstance(precision, int) else None)
    if precision is not None and '.' in number:
        # Whole numbers need no `.00`.
        whole, _, decimals = number.partition('.')
        number = number if decimals.strip('0') else whole
    return number, custom or writing.unit(value)


def _big(number: str, unit: str) -> Markup:
    """Return the number with its unit, as large as the widget's width permits."""
    letters = len(number) + len(unit) * 0.4 + (0.5 if unit else 0)
    joined = unit if unit[:1] in ('%', '/') else f'\u2009{unit}'
    return tag(
        'div',
        tag('span', number, class_='number'),
        tag('span', joined, class_='unit') if unit else None,
        class_='big',
        style=f'--letters:{max(2.4, letters):.1f}',
    )


def _spark(back: Definition, lines: Sequence[Line], window: tuple[float, float], color: str) -> Markup | None:
    lines = lines[:1]
    if not any(map(_has_points, lines)):
        return None
    kind, _, hue = color.partition('-')
    fill = {'fill': '#fff', 'text': f'var(--hue-{hue})'}.get(kind, 'var(--classic-0)')
    axis = back.get('yaxis') or {}
    zero = axis.get('include_zero', True) is not False
    return chart.background(lines, window, str(back.get('type') or 'area'), zero=zero, color=fill)


def _toplist(definition: Definition, data: WidgetData) -> Markup:
    found = _outcomes(definition, data, 'toplist')[:1]
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    outcome, request = found[0]
    name = str(
        (request.get('style') or {}).get('palette') or (definition.get('style') or {}).get('palette') or 'classic'
    )
    color = palette.series_colors(name, [''])[0]
    return _with_notes(tables.toplist(outcome, request, _title(definition), color), [outcome])


def _query_table(definition: Definition, data: WidgetData) -> Markup:
    found = _outcomes(definition, data, 'query_table')
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    good = [(outcome, request) for outcome, request in found if not outcome.problem]
    return _with_notes(tables.table(good, _title(definition)), [outcome for outcome, _ in found])


def _change(definition: Definition, data: WidgetData) -> Markup:
    found = _outcomes(definition, data, 'change')[:1]
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    outcome, request = found[0]
    return _with_notes(tables.change(outcome, request, _title(definition)), [outcome])


def _sunburst(definition: Definition, data: WidgetData) -> Markup:
    return _shares(definition, data, lambda outcome, name: shares.sunburst(outcome, _title(definition), name))


def _treemap(definition: Definition, data: WidgetData) -> Markup:
    return _shares(definition, data, shares.treemap)


def _shares(definition: Definition, data: WidgetData, drawing: Callable[[Outcome, str], Markup]) -> Markup:
    # Their requests are those of a top list: a number per group.
    found = _outcomes(definition, data, 'toplist')[:1]
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    outcome, request = found[0]
    name = str((request.get('style') or {}).get('palette') or 'dog_classic')
    return _with_notes(drawing(outcome, name), [outcome])


def _heatmap(definition: Definition, data: WidgetData) -> Markup:
    found = _outcomes(definition, data, 'timeseries')
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    drawn = [Drawn(line, 'heat') for outcome, _ in found for line in outcome.lines if _has_points(line)]
    options = ChartOptions(title=_title(definition), left=definition.get('yaxis') or {})
    return _with_notes(chart.timeseries(drawn, data.window, options), [outcome for outcome, _ in found])


def _hostmap(definition: Definition, data: WidgetData) -> Markup:
    if definition.get('group') or not isinstance(definition.get('requests'), Mapping):
        raise NotDrawn('not drawn here: hosts in groups')
    found = _outcomes(definition, data, 'toplist')[:1]
    nothing = _nothing(found)
    if nothing is not None:
        return nothing
    style = definition.get('style') or {}
    flipped = bool(style.get('palette_flip'))
    drawing = hostmap.hostmap(found[0][0], _title(definition), str(style.get('palette') or ''), flipped=flipped)
    sized = isinstance(definition['requests'].get('size'), Mapping)
    remark = tag('p', 'all tiles have one size here', class_='remark') if sized else None
    return join((_with_notes(drawing, [found[0][0]]), remark))


def _check_status(definition: Definition, data: WidgetData) -> Markup:
    tiles = data.checks(definition)
    return tables.checks(tiles) if tiles else no_data()


def _manage_status(definition: Definition, data: WidgetData) -> Markup:
    states = data.monitors(definition)
    return tables.monitors(states, definition) if states else no_data()


def _slo_list(definition: Definition, data: WidgetData) -> Markup:
    states = data.slos(definition)
    return tables.slos(states, _title(definition)) if states else no_data()


def _note(definition: Definition, _: WidgetData) -> Markup:
    ground = str(definition.get('background_color') or 'white')
    align = _one_of(('left', 'center', 'right'), definition.get('text_align'))
    vertical = _one_of(('top', 'center', 'bottom'), definition.get('vertical_align'))
    size = str(definition.get('font_size') or '14')
    pixels = min(36, max(11, int(size))) if size.isdigit() else 14
    banner = ' banner' if ground.startswith('vivid_') else ''
    fill = palette.group_color(ground) if banner else palette.note_color(ground)
    return tag(
        'div',
        tag('div', markdown.render(str(definition.get('content') or '')), class_='text'),
        class_=f'note a-{align} v-{vertical}{banner}',
        style=f'background:{fill};font-size:{pixels}px',
    )


def _free_text(definition: Definition, _: WidgetData) -> Markup:
    align = _one_of(('left', 'center', 'right'), definition.get('text_align'))
    size = str(definition.get('font_size') or '')
    pixels = min(60, max(11, int(size))) if size.isdigit() else 18
    text = str(definition.get('text') or '')
    return tag('div', text, class_=f'freetext a-{align}', style=f'font-size:{pixels}px')


def _image(definition: Definition, _: WidgetData) -> Markup:
    """Return a picture that is part of the dashboard; pages load nothing, so of others the address is shown."""
    address = str(definition.get('url') or '')
    if address.startswith('data:image/'):
        return tag('img', src=address, alt='', class_='picture')
    return tag('div', tag('strong', 'Picture'), tag('span', address), class_='picture')


def _one_of(values: Sequence[str], wanted: object) -> str:
    """Return the wanted value, or the first one for any other."""
    return str(wanted) if wanted in values else values[0]


_KINDS: dict[str, Callable[[Definition, WidgetData], Markup]] = {
    'timeseries': _timeseries,
    'query_value': _query_value,
    'toplist': _toplist,
    'query_table': _query_table,
    'change': _change,
    'check_status': _check_status,
    'manage_status': _manage_status,
    'slo_list': _slo_list,
    'note': _note,
    'free_text': _free_text,
    'image': _image,
    'sunburst': _sunburst,
    'treemap': _treemap,
    'heatmap': _heatmap,
    'hostmap': _hostmap,
}
