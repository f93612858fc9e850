"""Widgets that are narrower than their content, in a real browser: names stay visible, tables scroll."""

from __future__ import annotations

import pytest

from metta_checks.as_code.asset import Asset
from metta_checks.as_code.preview.page import dashboard_page
from metta_checks.as_code.preview.recorded import States, origin, stamp
from metta_checks.as_code.preview.recording import Recording
from metta_checks.core.points import Point
from tools import browser

from .board import box, widget

pytestmark = pytest.mark.skipif(
    browser.find() is None, reason='no Chromium; `python -m tools.browser` finds or installs one'
)

END = 1_763_424_000
METRIC = 'metta.github.prs.open'
# Datadog's legend has these columns unless a widget names others.
COLUMNS = ['avg', 'min', 'max', 'value', 'sum']
TABLE = 14


def _at(x: int, y: int, width: int, **definition):
    return {'definition': definition, 'layout': {'x': x, 'y': y, 'width': width, 'height': 3}}


def _queries(*names: str) -> list[dict[str, str]]:
    query = f'avg:{METRIC}{{*}} by {{repo}}'
    return [{'data_source': 'metrics', 'name': name, 'query': query, 'aggregator': 'last'} for name in names]


def _chart(x: int, y: int, width: int):
    requests = [{'response_format': 'timeseries', 'queries': _queries('a')}]
    return _at(
        x,
        y,
        width,
        type='timeseries',
        title=f'{width} columns',
        legend_columns=COLUMNS,
        show_legend=True,
        requests=requests,
    )


@pytest.fixture
def page(folder, open_board):
    """Open a page with charts of several widths and a table with many columns, at a width."""
    names = [f'q{index}' for index in range(TABLE)]
    formulas = [{'formula': name, 'alias': f'a rather long name of {name}'} for name in names]
    table = {'response_format': 'scalar', 'queries': _queries(*names), 'formulas': formulas}
    body = {
        'title': 'Sizes',
        'description': '',
        'layout_type': 'ordered',
        'template_variables': [],
        'widgets': [
            _chart(0, 0, 3),
            _chart(3, 0, 4),
            _chart(7, 0, 5),
            _at(0, 3, 6, type='query_table', title='Table', requests=[table]),
        ],
    }
    recording = Recording()
    for index in range(12):
        recording.add(
            END - 3600 * index,
            [Point(METRIC, 'gauge', 1000.0 + index, (f'repo:an-organization/repository-{name}',)) for name in 'abc'],
        )
    data = origin(recording, States(recording, []), body, stamp(recording, END))
    text = dashboard_page(Asset('dashboard', 'sizes', body), data)
    (folder / 'sizes.html').write_text(text, encoding='utf-8')
    return lambda width: open_board(width, name='sizes')


@pytest.mark.parametrize('width', [390, 1280, 2560])
def test_names_of_series_are_visible_beside_five_columns(page, width):
    opened = page(width)
    for columns in (3, 4, 5):
        section = widget(opened, f'{columns} columns')
        outer = box(section)
        for row in section.locator('.legend tbody tr').all()[:2]:
            name = box(row.locator('th'))
            # Enough for the color and eight letters.
            assert name['width'] >= 70, columns
            cells = [box(cell) for cell in row.locator('td:visible').all()]
            assert len(cells) >= 1
            assert cells[-1]['x'] + cells[-1]['width'] <= outer['x'] + outer['width']


@pytest.mark.parametrize('width', [390, 1280])
def test_a_wide_table_scrolls_within_its_widget(page, width):
    opened = page(width)
    scroll = widget(opened, 'Table').locator('.scroll')
    wide, shown = scroll.evaluate('element => [element.scrollWidth, element.clientWidth]')
    assert wide > 1.5 * shown
    assert opened.evaluate('document.documentElement.scrollWidth') <= width
    # Every header can be read, and the last one reached.
    heads = scroll.locator('thead th').all()
    assert len(heads) == TABLE + 1
    assert all(head.evaluate('element => element.scrollWidth <= element.clientWidth') for head in heads)
    scroll.evaluate('element => { element.scrollLeft = element.scrollWidth; }')
    there, last = box(scroll), box(heads[-1])
    assert last['x'] + last['width'] <= there['x'] + there['width'] + 1
