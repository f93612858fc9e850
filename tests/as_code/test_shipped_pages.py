"""The dashboards that are shipped, drawn with a number for every metric of the catalogs, in a real browser."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metta_checks.as_code.asset import load, walk_widgets
from metta_checks.as_code.declared import Declared, declared
from metta_checks.as_code.preview import drawings
from metta_checks.as_code.preview.chart import Happening
from metta_checks.as_code.preview.page import MAX_BYTES, dashboard_page
from metta_checks.as_code.preview.recorded import States, origin, stamp
from metta_checks.as_code.preview.recording import Recorded, Recording
from metta_checks.as_code.preview.result import Line, Outcome
from metta_checks.as_code.preview.tables import MonitorState, SloState, Tile
from metta_checks.as_code.preview.widgets import Definition, draw
from metta_checks.as_code.query import parse_query
from metta_checks.as_code.query_tree import Condition, Filter, Membership, conditions, series
from metta_checks.core.points import Point
from tools import browser

from .test_page import CONTRAST, overlaps

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(
    browser.find() is None, reason='no Chromium; `python -m tools.browser` finds or installs one'
)

ASSETS = load(Path(__file__).resolve().parents[2] / 'assets')
DASHBOARDS = [asset for asset in ASSETS if asset.kind == 'dashboard']
END = 1_763_424_000
STEP = 7200
STEPS = 84
LABELS = '.ticks span:not(.widest), .times span, .mark'


def asked_values() -> dict[str, list[str]]:
    """The tag values that the shipped queries name, by key."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for asset in DASHBOARDS:
        for _, widget in walk_widgets(asset.body):
            for request in widget['definition'].get('requests') or ():
                for query in request.get('queries') or ():
                    for one in series(parse_query(query['query'])):
                        for condition in conditions(one.filter):
                            if isinstance(condition, Membership):
                                found[condition.tag].update(dict.fromkeys(condition.values))
                            elif isinstance(condition, Condition):
                                found[condition.tag][condition.value] = None
    return {key: list(values) for key, values in found.items()}


def series_of(metric: Declared, asked: dict[str, list[str]]) -> list[tuple[str, ...]]:
    """Some sets of tags for a metric, in which every value of each key occurs."""
    values = {
        key: ['production', 'staging'] if key == 'env' else [*asked.get(key, ()), f'first-{key}', f'second-{key}']
        for key in metric.tags
    }
    number = max((len(some) for some in values.values()), default=1)
    return [tuple(f'{key}:{some[index % len(some)]}' for key, some in values.items()) for index in range(number)]


@pytest.fixture(scope='module')
def recording() -> Recording:
    """A week in which every metric has a value."""
    found = Recording()
    asked = asked_values()
    every = [(metric, tags) for metric in declared().values() for tags in series_of(metric, asked)]
    for index in range(STEPS + 1):
        moment = END - (STEPS - index) * STEP
        points = []
        for number, (metric, tags) in enumerate(every):
            high = 100.0 if metric.unit == 'percent' else 10.0 ** (number % 5)
            value = high * (0.6 + 0.4 * math.sin(index / 12 * math.pi + number))
            kind = 'count' if metric.type == 'count' else 'gauge'
            points.append(Point(metric.name, kind, value, tags))
        found.add(moment, points)
    for source in ('github', 'skypilot', 'asana', 'ec2', 'wandb', 'kubernetes'):
        found.add_check(END, 'metta.can_connect', 'ok', '', [f'source:{source}', 'env:production'])
    return found


@pytest.fixture(scope='module')
def pages(recording, tmp_path_factory) -> dict[str, Path]:
    """All pages by key, with few drawings beyond those at first, which are in test_page_variables.py."""
    folder = tmp_path_factory.mktemp('shipped')
    states = States(recording, ASSETS)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawings, 'MAX_BYTES', 100_000)
        for asset in DASHBOARDS:
            text = dashboard_page(asset, origin(recording, states, asset.body, stamp(recording, END)))
            found[asset.key] = folder / f'{asset.key}.html'
            found[asset.key].write_text(text, encoding='utf-8')
    return found


@pytest.fixture(scope='module')
def window(running: Browser) -> Iterator[Page]:
    """A window that shows one page after the other: a window of its own for each takes longer than the page."""
    context = running.new_context(reduced_motion='reduce', locale='en-GB', timezone_id='UTC')
    yield context.new_page()
    context.close()


def show(window: Page, path: Path, width: int = 1280, theme: browser.Theme = 'light') -> None:
    """Load a page as it is seen in a window of that width."""
    window.set_viewport_size({'width': width, 'height': browser.HEIGHTS[width]})
    window.emulate_media(color_scheme=theme)
    window.goto(path.as_uri())


def test_there_are_twelve():
    assert len(DASHBOARDS) == 12


@pytest.mark.parametrize('asset', DASHBOARDS, ids=lambda asset: asset.key)
def test_a_page_is_small_and_draws_every_widget(pages, window, asset):
    assert pages[asset.key].stat().st_size < MAX_BYTES
    show(window, pages[asset.key])
    boxes = window.locator('section.w')
    assert boxes.count() == sum(widget['definition']['type'] != 'group' for _, widget in walk_widgets(asset.body))
    # Every metric has points, so whatever is empty or cannot be evaluated is a mistake in the dashboard.
    assert window.locator('.problem').all_inner_texts() == []
    empty = window.locator('section.w:has(.nodata)').all()
    assert [one.get_attribute('aria-label') for one in empty] == []


@pytest.mark.parametrize('asset', DASHBOARDS, ids=lambda asset: asset.key)
def test_nothing_overlaps_or_sticks_out(pages, window, asset):
    sizes: tuple[tuple[int, browser.Theme], ...] = ((390, 'dark'), (1280, 'light'), (2560, 'dark'))
    for width, theme in sizes:
        show(window, pages[asset.key], width, theme)
        assert window.evaluate('document.documentElement.scrollWidth') <= width
        boxes = window.evaluate(BOXES, 'section.w')
        assert overlaps(boxes) == []
        for chart in window.evaluate(CHARTS, LABELS):
            assert chart['plot'] >= 50, (width, chart['title'])
            for box in chart['labels']:
                assert box['x'] >= chart['left'], (width, chart['title'])
                assert box['x'] + box['width'] <= chart['right'], (width, chart['title'])
            for kind in {box['kind'] for box in chart['labels']}:
                same = [box for box in chart['labels'] if box['kind'] == kind]
                assert overlaps(same) == [], (width, chart['title'])
        assert window.evaluate(CONTRAST)['poor'] == []


BOXES = """(selector) => [...document.querySelectorAll(selector)].map((element) => {
  const { x, y, width, height } = element.getBoundingClientRect();
  return { x, y, width, height };
})"""
CHARTS = """(labels) => [...document.querySelectorAll('section.w:has(.plot)')].map((section) => {
  const outer = section.getBoundingClientRect();
  return {
    title: section.getAttribute('aria-label'),
    left: outer.left,
    right: outer.right,
    plot: section.querySelector('.plot').getBoundingClientRect().height,
    labels: [...section.querySelectorAll(labels)]
      .map((label) => [label, label.getBoundingClientRect()])
      .filter(([, { width }]) => width > 0)
      .map(([label, { x, y, width, height }]) => ({ x, y, width, height, kind: label.parentElement.className })),
  };
})"""


class _One:
    """A source with one outcome."""

    window = (0.0, 7200.0)

    def __init__(self, *lines: Line) -> None:
        self.outcome = Outcome(lines=lines)

    def request(self, widget_type: str, request: Definition) -> Outcome:
        return self.outcome

    def events(self, query: str) -> list[Happening]:
        return []

    def checks(self, definition: Definition) -> list[Tile]:
        return []

    def monitors(self, definition: Definition) -> list[MonitorState]:
        return []

    def slos(self, definition: Definition) -> list[SloState]:
        return []

    def filtered(self, definition: Definition) -> list[tuple[Filter, list[Recorded]]]:
        return []


def labels(*lines: Line) -> list[str]:
    drawn = draw({'type': 'timeseries', 'requests': [{}]}, _One(*lines))
    return re.findall(r'<span class="name">([^<]*)</span>', drawn)


def line(label: str, **group: str) -> Line:
    return Line(label, group, ((0.0, 1.0), (3600.0, 2.0)))


def test_yes_and_no_are_shown_with_their_question():
    found = labels(line('true, approved', draft='true', review='approved'), line('none', review='none'))
    assert found == ['draft:true, approved', 'none']


def test_what_all_lines_have_in_common_is_left_out():
    assert labels(line('age, a', source='a'), line('age, b', source='b')) == ['a', 'b']
    assert labels(line('age, a', source='a'), line('size, a', source='a')) == ['age, a', 'size, a']
    assert labels(line('age, a', source='a')) == ['age, a']
