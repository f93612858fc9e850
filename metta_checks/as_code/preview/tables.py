"""Lists, tables and tiles: toplists, query tables, changes, and the states of checks, monitors and SLOs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import palette, scale
from .result import Outcome, Row
from .svg import Markup, tag

# States in the order of their urgency, with their labels.
STATES = {'alert': 'Alert', 'warn': 'Warn', 'none': 'No data', 'ok': 'OK', 'skipped': 'Not evaluated'}
_SCROLLS = 6
_COMPARE = {
    '>': lambda value, limit: value > limit,
    '>=': lambda value, limit: value >= limit,
    '<': lambda value, limit: value < limit,
    '<=': lambda value, limit: value <= limit,
    '=': lambda value, limit: value == limit,
    '==': lambda value, limit: value == limit,
    '!=': lambda value, limit: value != limit,
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A service check of one group. `state` is a key of STATES."""

    label: str
    state: str
    detail: str = ''


@dataclass(frozen=True, slots=True)
class MonitorState:
    """A monitor with its state. `detail` is the reason, in one line; `groups` are those that are not OK."""

    name: str
    state: str
    detail: str = ''
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SloState:
    """An SLO over its time frame. `status` and `target` are percentages; None if unknown."""

    name: str
    state: str
    status: float | None
    target: float | None
    # Remaining share of the error budget, a percentage.
    budget: float | None
    timeframe: str = ''
    detail: str = ''


def conditional(value: float | None, formats: Sequence[Mapping[str, Any]] | None) -> tuple[str, bool] | None:
    """Return (hue, True for a filled background) of the first condition that a value meets."""
    for condition in formats or ():
        compare = _COMPARE.get(str(condition.get('comparator')))
        limit = condition.get('value')
        if value is not None and compare and isinstance(limit, int | float) and compare(value, limit):
            return palette.conditional(str(condition.get('palette', '')))
    return None


def look(value: float | None, formats: Sequence[Mapping[str, Any]] | None) -> str:
    """Return the CSS class of a conditional color: `fill-red` (white text on red), `text-red`, or nothing."""
    found = conditional(value, formats)
    return f'{"fill" if found[1] else "text"}-{found[0]}' if found else ''


def formulas(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the formulas of a request, in the order of the outcome's columns."""
    return [one for one in request.get('formulas') or () if isinstance(one, Mapping)]


def formats_of(request: Mapping[str, Any], index: int) -> Sequence[Mapping[str, Any]]:
    """Return the conditional formats of a column: the formula's, else the request's."""
    own = formulas(request)
    return (
        (own[index].get('conditional_formats') if index < len(own) else None)
        or request.get('conditional_formats')
        or ()
    )


def scrolling(*children: object, rows: int, label: str, class_: str) -> Markup:
    """Return a box that scrolls, reachable by keyboard when it is likely to scroll."""
    many = rows > _SCROLLS
    return tag(
        'div',
        *children,
        class_=f'scroll {class_}',
        tabindex='0' if many else None,
        role='region' if many else None,
        aria_label=label or 'Rows' if many else None,
    )


def toplist(outcome: Outcome, request: Mapping[str, Any], title: str, color: str) -> Markup:
    """Return rows as bars, the largest as long as the widget is wide."""
    values = [row.values[0] if row.values else None for row in outcome.rows]
    largest = _largest(values)
    unit, formats = _unit(outcome, 0), formats_of(request, 0)
    rows = []
    for row, value in zip(outcome.rows, values, strict=True):
        share = abs(value) / largest * 100 if value is not None and largest else 0.0
        bar = tag(
            'svg',
            tag(
                'rect', class_='bar', x=0, y=0, width=f'{share:.2f}%', height='100%', style=_fill(value, formats, color)
            ),
            aria_hidden='true',
        )
        number = tag('span', _text(value, unit), class_='value')
        rows.append(tag('li', bar, number, tag('span', row.label or 'all', class_='label', title=row.label)))
    return scrolling(tag('ol', *rows), rows=len(rows), label=title, class_='toplist')


def _largest(values: Iterable[float | None]) -> float:
    """Return the largest absolute value; 0 without values."""
    return max((abs(value) for value in values if value is not None), default=0.0)


def _fill(value: float | None, formats: Sequence[Mapping[str, Any]], color: str) -> str:
    """Return the style of a bar: in the conditional color of its value, else in the given color."""
    found = conditional(value, formats)
    return f'fill:var(--hue-{found[0]})' if found else f'fill:{color}'


def _unit(outcome: Outcome, index: int) -> str:
    return outcome.columns[index][1] if index < len(outcome.columns) else ''


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of values, and the notation of its cells. `barred`: with a bar behind the number."""

    name: str
    unit: str
    formats: Sequence[Mapping[str, Any]]
    barred: bool


@dataclass(frozen=True, slots=True)
class _TableRow:
    """A group of a table: the values of its tags, and a number per column."""

    names: list[str]
    values: list[float | None]


def table(outcomes: Sequence[tuple[Outcome, Mapping[str, Any]]], title: str) -> Markup:
    """Return columns of all requests, joined by group."""
    columns = [column for outcome, request in outcomes for column in _columns(outcome, request)]
    rows = _joined([outcome for outcome, _ in outcomes], len(columns))
    largest = [_largest(row.values[index] for row in rows) for index in range(len(columns))]
    body = []
    for row in rows:
        cells = [tag('th', name, scope='row', title=name) for name in row.names]
        cells += [_cell(*cell) for cell in zip(row.values, columns, largest, strict=True)]
        body.append(tag('tr', *cells))
    keys = next((list(row.group) for outcome, _ in outcomes for row in outcome.rows if row.group), [''])
    headers = [tag('th', key, scope='col') for key in keys]
    headers += [tag('th', column.name, scope='col', class_='n') for column in columns]
    grid = tag('table', tag('thead', tag('tr', *headers)), tag('tbody', *body))
    return scrolling(grid, rows=max(len(body), len(columns)), label=title, class_='qtable')


def _columns(outcome: Outcome, request: Mapping[str, Any]) -> Iterator[_Column]:
    own = formulas(request)
    for index, (alias, unit) in enumerate(outcome.columns):
        barred = index < len(own) and own[index].get('cell_display_mode') == 'bar'
        yield _Column(alias, unit, formats_of(request, index), barred)


def _joined(outcomes: Sequence[Outcome], width: int) -> list[_TableRow]:
    """Return a row per group; a request without the group leaves its columns empty."""
    rows: dict[tuple[tuple[str, str], ...], _TableRow] = {}
    first = 0
    for outcome in outcomes:
        for row in outcome.rows:
            names = list(row.group.values()) or [row.label or 'all']
            joined = rows.setdefault(tuple(row.group.items()), _TableRow(names, [None] * width))
            joined.values[first : first + len(row.values)] = row.values
        first += len(outcome.columns)
    return list(rows.values())


def _text(value: float | None, unit: str) -> str:
    return 'no data' if value is None else scale.shown(unit, value).text(value)


def _cell(value: float | None, column: _Column, largest: float) -> Markup:
    if value is None:
        return tag('td', tag('span', 'no data', class_='absent'), class_='n')
    text = tag('span', _text(value, column.unit), class_=f'cell {look(value, column.formats)}'.strip())
    if not column.barred or not largest:
        return tag('td', text, class_='n')
    width = f'{abs(value) / largest * 100:.1f}%'
    fill = _fill(value, column.formats, 'var(--classic-0)')
    bar = tag(
        'svg', tag('rect', class_='bar', width=width, height='100%', style=fill), class_='cellbar', aria_hidden='true'
    )
    return tag('td', tag('span', bar, text, class_='barred'), class_='n')


def change(outcome: Outcome, request: Mapping[str, Any], title: str) -> Markup:
    """Return, per row, the value now, the value before, and the difference, colored by whether an increase is good.

    A row holds (now, before), or (now, before, difference).
    """
    good = bool(request.get('increase_good'))
    relative = request.get('change_type') == 'relative'
    body = [_change_row(row, _unit(outcome, 0), good=good, relative=relative) for row in outcome.rows]
    names = ('', 'now', 'before', 'change')
    headers = [tag('th', name, scope='col', class_='n' if name else None) for name in names]
    grid = tag('table', tag('thead', tag('tr', *headers)), tag('tbody', *body))
    return scrolling(grid, rows=len(body), label=title, class_='qtable change')


def _change_row(row: Row, unit: str, *, good: bool, relative: bool) -> Markup:
    now, before = (*row.values, None, None)[:2]
    color, text = '', 'no data'
    if now is not None and before is not None:
        color = _change_color(now - before, good=good)
        text = _change_text(now, before, unit, relative=relative)
    return tag(
        'tr',
        tag('th', row.label or 'all', scope='row', title=row.label),
        tag('td', _text(now, unit), class_='n'),
        tag('td', _text(before, unit), class_='n'),
        tag('td', tag('span', text, class_=f'cell {color}'.strip()), class_='n'),
    )


def _change_color(difference: float, *, good: bool) -> str:
    """Return the class of a change's color; `good`: an increase is good. Empty without a change."""
    if not difference:
        return ''
    return 'text-green' if (difference > 0) == good else 'text-red'


def _change_text(now: float, before: float, unit: str, *, relative: bool) -> str:
    """Return a change with its direction, in the unit of the values or (`relative`) in percent of `before`."""
    if relative and not before:
        return 'from zero' if now else '0%'
    difference = now - before
    amount = f'{scale.digits(abs(difference / before * 100))}%' if relative else _text(abs(difference), unit)
    if not difference:
        return amount
    return f'▲ {amount}' if difference > 0 else f'▼ {amount}'


def checks(tiles: Sequence[Tile]) -> Markup:
    """Return service checks as colored tiles."""
    return tag(
        'ul',
        *(
            tag(
                'li',
                tag('strong', tile.label, title=tile.label),
                tag('span', STATES[tile.state] if tile.state != 'alert' else 'Critical'),
                class_=f'fill-{palette.STATES[tile.state]}',
                title=tile.detail or None,
            )
            for tile in tiles
        ),
        class_='tiles',
    )


def monitors(states: Sequence[MonitorState], definition: Mapping[str, Any]) -> Markup:
    """Return the number of monitors by state, and the monitors, the most urgent first."""
    order = list(STATES)
    rows = [_monitor(one) for one in sorted(states, key=lambda one: order.index(one.state))]
    title = str(definition.get('title') or '')
    counts = tag('ul', *_counts(states, definition), class_='counts')
    listed = scrolling(tag('ul', *rows, class_='states'), rows=len(rows), label=title, class_='')
    display = definition.get('display_format')
    parts = {'counts': (counts,), 'list': (listed,)}.get(str(display), (counts, listed))
    return tag('div', *parts, class_='monitors')


def _counts(states: Sequence[MonitorState], definition: Mapping[str, Any]) -> Iterator[Markup]:
    """Yield the number of monitors in each state; without the states that none has, unless the widget shows these."""
    for state, words in STATES.items():
        count = sum(one.state == state for one in states)
        if not count and definition.get('hide_zero_counts', True):
            continue
        kind = 'text' if state == 'ok' or definition.get('color_preference') == 'text' else 'fill'
        color = f'{kind}-{palette.STATES[state]}' if count else ''
        yield tag('li', tag('strong', str(count)), tag('span', words), class_=color)


def _monitor(one: MonitorState) -> Markup:
    detail = ', '.join(one.groups) or one.detail
    return tag(
        'li',
        pill(one.state),
        tag('span', _short(one.name), class_='name', title=one.name),
        tag('span', detail, class_='detail', title=one.detail or None) if detail else None,
    )


def _short(name: str) -> str:
    """Return a name without the `[namespace]` that all names of a list share."""
    return re.sub(r'^\[[^\]]*\]\s*', '', name)


def pill(state: str) -> Markup:
    """Return a state as a small colored word."""
    return tag('span', STATES[state], class_=f'pill fill-{palette.STATES[state]}')


def slos(states: Sequence[SloState], title: str) -> Markup:
    """Return SLOs with their status, target and remaining error budget."""
    body = []
    for one in states:
        color = f'text-{palette.STATES[one.state]}'
        body.append(
            tag(
                'tr',
                tag(
                    'th',
                    tag('div', pill(one.state), tag('span', _short(one.name), class_='name')),
                    scope='row',
                    title=f'{one.name}: {one.detail}' if one.detail else one.name,
                ),
                tag('td', one.timeframe, class_='n frame'),
                tag('td', _percent(one.target, plain=True), class_='n target'),
                tag('td', tag('strong', _percent(one.status), class_=color), class_='n'),
                tag('td', _budget(one.budget), class_='n budget'),
            )
        )
    names = (('SLO', ''), ('window', 'n frame'), ('target', 'n target'), ('status', 'n'), ('budget left', 'n budget'))
    head = tag('tr', *(tag('th', name, scope='col', class_=class_) for name, class_ in names))
    grid = tag('table', tag('thead', head), tag('tbody', *body))
    return scrolling(grid, rows=len(body), label=title, class_='qtable slos')


def _percent(value: float | None, *, plain: bool = False) -> str:
    if value is None:
        return 'no data'
    return f'{value:g}%' if plain else f'{value:.2f}%'.replace('.00%', '%')


def _budget(value: float | None) -> Markup:
    if value is None:
        return tag('span', 'no data', class_='absent')
    hue = 'green' if value > 25 else 'amber' if value > 0 else 'red'
    width = f'{min(100.0, max(0.0, value)):.1f}%'
    bar = tag(
        'svg',
        tag('rect', class_='bar', width=width, height='100%', style=f'fill:var(--hue-{hue})'),
        class_='cellbar',
        aria_hidden='true',
    )
    # The bar ends at zero for an exceeded budget.
    text = f'{value:.0f}%' if value > -1000 else 'used up'
    return tag('span', bar, tag('span', text, class_='cell'), class_='barred')
