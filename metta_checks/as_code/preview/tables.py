"""Lists, tables and tiles: toplists, query tables, changes, and the states of checks, monitors and SLOs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import palette, scale
from .result import Outcome, Row
from .svg import Markup, tag

# States in the order of their urgency, with their labels.
STATES = {'alert': 'Alert', 'warn': 'Warn', 'none': 'No data', 'ok': 'OK'}
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
    values = [row.values[0] for row in outcome.rows if row.values and row.values[0] is not None]
    largest = max((abs(value) for value in values), default=0.0)
    unit = _unit(outcome, 0)
    rows = []
    for row in outcome.rows:
        value = row.values[0] if row.values else None
        share = abs(value) / largest * 100 if value is not None and largest else 0.0
        found = conditional(value, formats_of(request, 0))
        fill = f'var(--hue-{found[0]})' if found else color
        bar = tag(
            'svg',
            tag('rect', class_='bar', x=0, y=0, width=f'{share:.2f}%', height='100%', style=f'fill:{fill}'),
            aria_hidden='true',
        )
        number = tag('span', _text(value, unit), class_='value')
        rows.append(tag('li', bar, number, tag('span', row.label or 'all', class_='label', title=row.label)))
    return scrolling(tag('ol', *rows), rows=len(rows), label=title, class_='toplist')


def _unit(outcome: Outcome, index: int) -> str:
    return outcome.columns[index][1] if index < len(outcome.columns) else ''


def table(outcomes: Sequence[tuple[Outcome, Mapping[str, Any]]], title: str) -> Markup:
    """Return columns of all requests, joined by group."""
    groups: dict[tuple[tuple[str, str], ...], dict[int, list[float | None]]] = {}
    labels: dict[tuple[tuple[str, str], ...], str] = {}
    head: list[str] = []
    columns: list[tuple[str, str, Sequence[Mapping[str, Any]], bool]] = []
    for outcome, request in outcomes:
        first = len(columns)
        own = formulas(request)
        for index, (alias, unit) in enumerate(outcome.columns):
            barred = index < len(own) and own[index].get('cell_display_mode') == 'bar'
            columns.append((alias, unit, formats_of(request, index), barred))
        for row in outcome.rows:
            key = tuple(row.group.items())
            labels.setdefault(key, row.label)
            head = head or list(row.group)
            groups.setdefault(key, {})[first] = list(row.values)
    rows = [_flat(parts, len(columns)) for parts in groups.values()]
    largest = [
        max((abs(value) for values in rows if (value := values[index]) is not None), default=0.0)
        for index in range(len(columns))
    ]
    body = []
    for key, values in zip(groups, rows, strict=True):
        names = [value for _, value in key] or [labels[key] or 'all']
        cells = [tag('th', name, scope='row', title=name) for name in names]
        for value, most, (_, unit, formats, barred) in zip(values, largest, columns, strict=True):
            cells.append(_cell(value, unit, most, formats, barred))
        body.append(tag('tr', *cells))
    headers = [tag('th', name, scope='col') for name in head or ['']]
    headers += [tag('th', alias, scope='col', class_='n') for alias, _, _, _ in columns]
    grid = tag('table', tag('thead', tag('tr', *headers)), tag('tbody', *body))
    return scrolling(grid, rows=len(body), label=title, class_='qtable')


def _flat(parts: Mapping[int, Sequence[float | None]], width: int) -> list[float | None]:
    row: list[float | None] = [None] * width
    for first, values in parts.items():
        row[first : first + len(values)] = values
    return row


def _text(value: float | None, unit: str) -> str:
    return 'no data' if value is None else scale.shown(unit, value).text(value)


def _cell(value: float | None, unit: str, largest: float, formats: Sequence[Mapping[str, Any]], barred: bool) -> Markup:
    if value is None:
        return tag('td', tag('span', 'no data', class_='absent'), class_='n')
    color = look(value, formats)
    text = tag('span', _text(value, unit), class_=f'cell {color}'.strip())
    if not barred or not largest:
        return tag('td', text, class_='n')
    width = f'{abs(value) / largest * 100:.1f}%'
    found = conditional(value, formats)
    fill = f'fill:var(--hue-{found[0]})' if found else 'fill:var(--classic-0)'
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
    texts = [_text(value, unit) for value in (now, before)]
    color, text = '', 'no data'
    if now is not None and before is not None:
        difference = now - before
        if relative and not before:
            text = 'from zero' if now else '0%'
        else:
            size = abs(difference / before * 100) if relative else abs(difference)
            amount = f'{scale.digits(size)}%' if relative else _text(size, unit)
            text = amount if not difference else f'{"▲" if difference > 0 else "▼"} {amount}'
        if difference:
            color = 'text-green' if (difference > 0) == good else 'text-red'
    return tag(
        'tr',
        tag('th', row.label or 'all', scope='row', title=row.label),
        *(tag('td', one, class_='n') for one in texts),
        tag('td', tag('span', text, class_=f'cell {color}'.strip()), class_='n'),
    )


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
    title = str(definition.get('title') or '')
    counted = []
    for state, words in STATES.items():
        count = sum(one.state == state for one in states)
        if not count and definition.get('hide_zero_counts', True):
            continue
        kind = 'text' if state == 'ok' or definition.get('color_preference') == 'text' else 'fill'
        color = f'{kind}-{palette.STATES[state]}' if count else ''
        counted.append(tag('li', tag('strong', str(count)), tag('span', words), class_=color))
    counts = tag('ul', *counted, class_='counts')
    order = list(STATES)
    rows = [
        tag(
            'li',
            pill(one.state),
            tag('span', _short(one.name), class_='name', title=one.name),
            tag('span', ', '.join(one.groups) or one.detail, class_='detail', title=one.detail or None)
            if one.groups or one.detail
            else None,
        )
        for one in sorted(states, key=lambda one: order.index(one.state))
    ]
    listed = scrolling(tag('ul', *rows, class_='states'), rows=len(rows), label=title, class_='')
    display = definition.get('display_format')
    parts = {'counts': (counts,), 'list': (listed,)}.get(str(display), (counts, listed))
    return tag('div', *parts, class_='monitors')


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
