"""Pages in a real browser: what stands where, what can be read, and what happens on hover and choice."""

from __future__ import annotations

import re

import pytest

from metta_checks.as_code.preview.page import MAX_BYTES, dashboard_page
from tools import browser

from . import board
from .board import box, widget

pytestmark = pytest.mark.skipif(
    browser.find() is None, reason='no Chromium; `python -m tools.browser` finds or installs one'
)

ROW = 68
GAP = 8


# The page as a whole.


@pytest.mark.parametrize('name', ['every_kind', 'index'])
def test_nothing_is_loaded_and_nothing_is_complained_about(folder, running, name):
    context = running.new_context()
    page = context.new_page()
    asked, complaints = [], []
    page.on('request', lambda request: asked.append(request.url))
    page.on('console', lambda message: complaints.append(message.text))
    page.on('pageerror', lambda error: complaints.append(str(error)))
    address = (folder / f'{name}.html').as_uri()
    page.goto(address, wait_until='networkidle')
    assert [url for url in asked if not url.startswith('data:')] == [address]
    assert complaints == []
    context.close()


def test_a_request_would_be_refused(folder, running):
    context = running.new_context()
    page = context.new_page()
    page.goto((folder / 'every_kind.html').as_uri())
    refused = page.evaluate(
        """() => new Promise((done) => {
          document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
          fetch('http://127.0.0.1:9/').catch(() => {});
        })"""
    )
    assert refused == 'connect-src'
    context.close()


def test_the_page_is_small_and_the_same_every_time(folder):
    text = (folder / 'every_kind.html').read_text(encoding='utf-8')
    assert len(text.encode()) < MAX_BYTES / 5
    assert text == dashboard_page(board.BOARD, board.origin())
    assert not re.search(r'(?:src|@import|url\()', text.split('<body>')[0].replace('-src', ''))


def test_the_watermark_says_what_the_data_is(open_board):
    page = open_board()
    assert ' '.join(page.locator('.sample').inner_text().lower().split()) == 'sample data 2 h old when drawn'
    assert page.locator('.span').inner_text() == '18 Nov 2025, 00:00 to 25 Nov 2025, 00:00 UTC (7 d)'


# Where widgets stand.


@pytest.mark.parametrize('width', [1280, 1600, 2560])
def test_every_widget_has_its_place_on_the_grid(open_board, width):
    page = open_board(width)
    halves = [box(half) for half in page.locator('.half').all()]
    assert len(halves) == 2
    if width >= 2200:
        assert halves[0]['y'] == halves[1]['y']
        assert halves[0]['x'] + halves[0]['width'] < halves[1]['x']
        assert halves[0]['width'] == pytest.approx(halves[1]['width'], abs=1)
    else:
        assert halves[0]['y'] + halves[0]['height'] < halves[1]['y']
    column = (halves[0]['width'] + GAP) / 12
    for group in board.DASHBOARD['widgets']:
        layout, definition = group['layout'], group['definition']
        section = page.locator('section.group', has=page.locator('h2', has_text=definition['title']))
        found = box(section)
        assert found['width'] == pytest.approx(layout['width'] * column - GAP, abs=1.5)
        assert found['height'] == pytest.approx(layout['height'] * (ROW + GAP) - GAP, abs=1.5)
        inner = box(section.locator('.inside'))
        own = (inner['width'] - GAP) / layout['width']
        boxes = []
        for child, place in zip(section.locator('section.w').all(), _in_order(definition['widgets']), strict=True):
            there = box(child)
            boxes.append(there)
            assert there['width'] == pytest.approx(place['width'] * own - GAP, abs=1.5)
            assert there['x'] == pytest.approx(inner['x'] + GAP + place['x'] * own, abs=1.5)
            assert there['y'] + there['height'] <= found['y'] + found['height']
        assert not overlaps(boxes)
    groups = [box(one) for one in page.locator('section.group').all()]
    assert not overlaps(groups)
    assert page.evaluate('document.documentElement.scrollWidth') == width


def _in_order(widgets: list[dict]) -> list[dict]:
    return sorted((one['layout'] for one in widgets), key=lambda place: (place['y'], place['x']))


def overlaps(boxes: list[dict]) -> list[tuple[dict, dict]]:
    return [
        (one, other)
        for index, one in enumerate(boxes)
        for other in boxes[index + 1 :]
        if one['x'] < other['x'] + other['width'] - 0.5
        and other['x'] < one['x'] + one['width'] - 0.5
        and one['y'] < other['y'] + other['height'] - 0.5
        and other['y'] < one['y'] + one['height'] - 0.5
    ]


@pytest.mark.parametrize('width', [320, 390, 690])
def test_on_a_phone_all_stands_in_one_column(open_board, width):
    page = open_board(width)
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    boxes = [box(one) for one in page.locator('section.w').all()]
    assert len({round(one['x']) for one in boxes}) == 1
    assert all(one['height'] >= 60 for one in boxes)
    assert not overlaps(boxes)
    assert page.locator('.chart .plot').first.bounding_box()['height'] > 60


@pytest.mark.parametrize('width', [390, 1280, 2560])
def test_labels_lie_inside_their_widget_and_not_on_one_another(open_board, width):
    page = open_board(width)
    for index, section in enumerate(page.locator('section.w-timeseries', has=page.locator('.plot')).all()):
        outer = box(section)
        for selector in ('.ticks span:not(.widest)', '.times span', '.mark'):
            seen = [box(label) for label in section.locator(selector).all() if label.is_visible()]
            assert not overlaps(seen), (index, selector)
            for label in seen:
                assert outer['x'] <= label['x'], (index, selector)
                assert label['x'] + label['width'] <= outer['x'] + outer['width'], (index, selector)
                assert outer['y'] <= label['y'], (index, selector)


def test_big_numbers_fit_their_widget(open_board):
    for width in (390, 1280, 2560):
        page = open_board(width)
        for big in page.locator('.big').all():
            outer, inner = box(big.locator('xpath=ancestor::section[1]')), box(big)
            assert inner['width'] <= outer['width'] - 8
            assert inner['y'] >= outer['y'] + 20


# Readable text.


def test_values_and_units(open_board):
    page = open_board()
    values = {
        'PRs merged': '42items',
        'Stale PRs': '64items',
        'Success rate': '97.3%',
        'Running cost': '$31.2k/h',
        'Runtime': '45min',
    }
    for title, value in values.items():
        assert re.sub(r'\s', '', widget(page, title).locator('.big').inner_text()) == value
    assert widget(page, 'Unknown').locator('.nodata').inner_text() == 'No data'
    assert widget(page, 'PRs merged').locator('.spark path.area').count() == 1
    assert widget(page, 'Running cost').locator('.spark path.bars').count() == 1


def test_conditional_formats_color_the_widget(open_board):
    page = open_board()
    ground = 'element => getComputedStyle(element).backgroundColor'
    assert widget(page, 'Stale PRs').evaluate(ground) == 'rgb(192, 43, 50)'
    assert widget(page, 'PRs merged').evaluate(ground) == 'rgb(255, 255, 255)'
    assert 'text-green' in widget(page, 'Success rate').locator('.qv').get_attribute('class')


def test_a_chart_has_lines_markers_and_a_legend(open_board):
    page = open_board()
    cycle = widget(page, 'Cycle time')
    assert cycle.locator('path.line').count() == 3
    assert cycle.locator('line.marker').count() == 2
    assert [mark.inner_text() for mark in cycle.locator('.mark').all()] == ['SLO', 'Alert']
    rows = [row.inner_text().split('\t') for row in cycle.locator('.legend tbody tr').all()]
    assert [[cell.strip().replace('\u202f', ' ') for cell in row] for row in rows] == [
        ['avg', '25 h', '25 h', '30 h'],
        ['p50', '19.5 h', '17 h', '20 h'],
        ['p90', '64.8 h', '53.1 h', '65.9 h'],
    ]
    # The first line has a day's gap.
    assert cycle.locator('path.line').first.get_attribute('d').count('M') == 2
    # A marker lies where the axis says: 48 of 72.
    plot = box(cycle.locator('.plot'))
    marker = cycle.locator('line.marker').first.evaluate('element => element.getBoundingClientRect().top')
    assert marker == pytest.approx(plot['y'] + plot['height'] / 3, abs=2)
    label = cycle.locator('.plot').get_attribute('aria-label')
    assert label.startswith('Cycle time: avg 25\u202fh, p50')


def test_bars_areas_and_two_axes(open_board):
    page = open_board()
    commits = widget(page, 'Commits')
    bars = commits.locator('path.bars').get_attribute('d').count('M')
    assert board.HOURS - 15 < bars <= board.HOURS + 1
    assert commits.locator('path.line').count() == 1
    assert [tick.inner_text() for tick in commits.locator('.ticks.right span:not(.widest)').all()] == ['0', '5', '10']
    assert widget(page, 'Open').locator('path.area').count() == 2
    assert widget(page, 'Outcomes').locator('path.bars').count() == 3
    ticks = [tick.inner_text().replace('\u202f', ' ') for tick in widget(page, 'Storage').locator('.ticks span').all()]
    assert ticks[1:] == ['1 GiB', '10 GiB', '100 GiB', '1,000 GiB', '10k GiB', '100k GiB']


def test_lists_and_tables(open_board):
    page = open_board()
    failures = widget(page, 'Failures')
    assert failures.locator('li').count() == 4
    widths = [bar.evaluate('bar => bar.getBoundingClientRect().width') for bar in failures.locator('rect').all()]
    assert widths[1] / widths[0] == pytest.approx(70 / 90, abs=0.01)
    table = widget(page, 'By repository')
    assert [head.inner_text() for head in table.locator('thead th').all()] == ['repo', 'merged', 'cycle p90', 'flaky']
    last = [cell.inner_text().replace('\u202f', ' ') for cell in table.locator('tbody tr').last.locator('td').all()]
    assert last == ['27 items', '65 h', 'no data']
    assert table.locator('.cell.fill-red').count() == 1
    assert table.locator('.cellbar').count() == 4
    changes = [one.inner_text().replace('\u202f', ' ') for one in widget(page, 'Change').locator('td:last-child').all()]
    assert changes == ['▲ 6 items', '▼ 3 items', 'no data']


def test_states(open_board):
    page = open_board()
    tiles = [tile.inner_text().split() for tile in widget(page, 'Connections').locator('.tiles li').all()]
    assert ['wandb', 'Critical'] in tiles
    assert ['kubernetes', 'No', 'data'] in tiles
    monitors = widget(page, 'Monitors')
    assert [count.inner_text().split()[0] for count in monitors.locator('.counts li').all()] == ['1', '1', '1', '1']
    assert monitors.locator('.states li').first.locator('.name').inner_text() == 'Stale PR count is above 50'
    slos = widget(page, 'SLOs')
    assert slos.locator('tbody tr').count() == 4
    assert '97.25%' in slos.locator('tbody tr').first.inner_text()
    assert 'no data' in slos.locator('tbody tr').last.inner_text()


def test_what_cannot_be_drawn_says_why(open_board):
    page = open_board()
    assert 'anomalies() is not evaluated' in widget(page, 'Broken').locator('.problem').inner_text()
    assert "'distribution'" in widget(page, 'Not ours').locator('.problem').inner_text()
    assert widget(page, 'Nothing').locator('.nodata').count() == 1


def test_markup_in_data_is_text(open_board):
    page = open_board()
    assert page.evaluate("document.querySelectorAll('main script, main b').length") == 0
    assert widget(page, 'Failures').locator('.label').last.inner_text() == board.HOSTILE
    assert board.HOSTILE in page.locator('.note').first.inner_text()
    assert page.locator('h1').inner_text() == 'Metta <Every> Kind & More'
    assert page.title() == 'Metta <Every> Kind & More'
    assert page.locator('a[href^="javascript"]').count() == 0


CONTRAST = """() => {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const channels = (color) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, bottom) => [0, 1, 2].map((i) => top[i] * top[3] + bottom[i] * (1 - top[3])).concat(1);
  const luminance = (color) => {
    const [r, g, b] = color.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest('script, template, option, svg')) continue;
    if (!element.checkVisibility({ checkVisibilityCSS: true }) || element.closest('label.off')) continue;
    const grounds = [];
    for (let node = element; node; node = node.parentElement) {
      const ground = channels(getComputedStyle(node).backgroundColor);
      if (ground[3] > 0) grounds.unshift(ground);
    }
    const ground = grounds.reduce((bottom, top) => over(top, bottom), [255, 255, 255, 1]);
    const text = over(channels(getComputedStyle(element).color), ground);
    const [light, dark] = [luminance(text), luminance(ground)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    seen += 1;
    if (ratio < 4.5) poor.push(`${walker.currentNode.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return { poor, seen };
}"""


@pytest.mark.parametrize('theme', ['light', 'dark'])
@pytest.mark.parametrize('name', ['every_kind', 'index'])
def test_text_can_be_read_on_its_ground(open_board, theme, name):
    page = open_board(theme=theme, name=name)
    found = page.evaluate(CONTRAST)
    assert found['seen'] > (150 if name == 'every_kind' else 5)
    assert found['poor'] == []


# The index.


def test_the_index_links_every_page(open_board):
    page = open_board(name='index')
    card = page.locator('.card')
    assert card.locator('h2').inner_text() == 'Metta <Every> Kind & More'
    assert card.locator('p').first.inner_text() == 'Every kind of widget once, with numbers made by hand.'
    assert card.locator('.count').inner_text() == '22 widgets'
    card.click()
    page.wait_for_url('**/every_kind.html')
    page.get_by_role('link', name='Dashboards').click()
    page.wait_for_url('**/index.html')
