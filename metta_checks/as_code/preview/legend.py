"""Legend of a chart, and the chart in words."""

from __future__ import annotations

from collections.abc import Sequence

from . import scale
from .drawn import Drawn, values_of
from .result import Line
from .svg import Markup, tag

ROWS = 12
_COLUMNS = {'value': 'last', 'avg': 'avg', 'max': 'max', 'min': 'min', 'sum': 'sum'}


def _statistic(line: Line, column: str) -> float | None:
    values = values_of(line)
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


def legend(drawn: Sequence[Drawn], columns: Sequence[str]) -> Markup:
    """Return a table of the series with these values of each (`value` is the last one)."""
    rows = []
    for one in drawn[:ROWS]:
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
    more = len(drawn) - ROWS
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


def spoken(title: str, drawn: Sequence[Drawn]) -> str:
    """Return the chart in words: its title and the last value of every line."""
    said = []
    for one in drawn[:ROWS]:
        value = _statistic(one.line, 'value')
        text = 'no data' if value is None else scale.shown(one.line.unit, value).text(value)
        said.append(f'{one.line.label or "value"} {text}')
    return f'{title or "Timeseries"}: ' + ', '.join(said)
