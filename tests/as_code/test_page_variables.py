"""Template variables of a page, in a real browser: each has its own choice of values, and all are combined."""

from __future__ import annotations

import json
import re

import pytest

from metta_checks.as_code.preview import drawings
from metta_checks.as_code.preview.page import dashboard_page
from tools import browser

from . import board
from .board import box, choose, widget
from .test_page import CONTRAST

pytestmark = pytest.mark.skipif(
    browser.find() is None, reason='no Chromium; `python -m tools.browser` finds or installs one'
)


def number(page, title: str = 'PRs merged') -> str:
    return widget(page, title).locator('.number').inner_text()


def shown(page, variable: str) -> str:
    """The chosen values as the control of a variable shows them."""
    return page.locator('.variable', has=page.get_by_text(f'${variable}', exact=True)).locator('.chosen').inner_text()


def view(page) -> str:
    return page.get_by_label('View').locator('option:checked').inner_text()


def test_values_of_several_variables_are_combined(open_board):
    page = open_board()
    assert number(page) == '42'
    choose(page, 'env', 'dev')
    assert number(page) == '4.2'
    assert widget(page, 'Stale PRs').locator('.qv.fill-green').count() == 1
    choose(page, 'team', 'red')
    # 42 * 0.1 * 0.6: the other variable keeps its value.
    assert number(page) == '2.52'
    assert (shown(page, 'env'), shown(page, 'team'), view(page)) == ('dev', 'red', 'own choice')
    choose(page, 'env')
    assert number(page) == '25.2'
    choose(page, 'team')
    assert (number(page), view(page)) == ('42', 'All')


def test_several_values_of_one_variable_are_shown_together(open_board):
    page = open_board()
    choose(page, 'env', 'production', 'dev')
    assert number(page) == '25.2'
    assert shown(page, 'env') == 'production, dev'
    choose(page, 'team', 'red')
    assert number(page) == '15.1'
    choose(page, 'env', 'production', 'staging', 'dev')
    choose(page, 'team', 'red', 'blue')
    # Every environment is not the same as all: some series have none.
    assert number(page) == '35.7'


def test_a_preset_sets_its_variables(open_board):
    page = open_board()
    choose(page, 'team', 'blue')
    page.get_by_label('View').select_option(label='Production')
    assert number(page) == '21'
    assert (shown(page, 'env'), shown(page, 'team')) == ('production', '*')
    page.get_by_label('View').select_option(label='All')
    assert (number(page), shown(page, 'env')) == ('42', '*')
    # A preset is called by its name, however it was chosen.
    choose(page, 'env', 'staging')
    assert view(page) == 'Staging'
    # The chart that was put in place answers, too.
    widget(page, 'Cycle time').locator('.plot').focus()
    page.keyboard.press('Home')
    assert page.locator('#tip').inner_text().count('\u202fh') == 3


def test_texts_show_the_values(open_board):
    page = open_board()
    note = widget(page, 'note').first
    assert 'shown for env:* and the team *' in note.inner_text()
    choose(page, 'env', 'production', 'staging')
    choose(page, 'team', 'red')
    assert 'shown for env:production, env:staging and the team red' in note.inner_text()
    assert note.get_by_role('link', name='their page').get_attribute('href') == 'https://example.com/$env.value'


def test_a_combination_beyond_the_limit_of_the_page_says_how_to_draw_it(open_board, folder, monkeypatch):
    monkeypatch.setattr(drawings, 'MAX_BYTES', 60_000)
    (folder / 'limited.html').write_text(dashboard_page(board.BOARD, board.origin()), encoding='utf-8')
    page = open_board(name='limited')
    page.get_by_label('View').select_option(label='Production')
    assert number(page) == '21'
    choose(page, 'env', 'staging', 'dev')
    choose(page, 'team', 'blue')
    said = widget(page, 'PRs merged').locator('.problem').inner_text()
    assert 'Not on this page' in said
    wanted = 'metta-checks assets preview every_kind --var env=staging --var env=dev --var team=blue'
    assert wanted in said
    choose(page, 'env')
    choose(page, 'team')
    assert number(page) == '42'


def test_a_drawing_is_kept_once(folder):
    text = (folder / 'every_kind.html').read_text(encoding='utf-8')
    (choices,) = re.findall(r'<script type="application/json" id="choices">(.*?)</script>', text)
    data = json.loads(choices)
    assert [one['name'] for one in data['variables']] == ['env', 'team', 'scope']
    # Each query has the same two variables, so all widgets depend on the same conditions.
    assert len(data['dependences']) == 1
    # Five big numbers, five charts, a toplist, a table, a change and three that stay the same.
    for dependence, places in data['widgets'].values():
        assert dependence == 0
        # All of 8 selections of environments with 3 of teams: every series has a team, so both of them are all.
        assert len(places) == 24
        # Some differ by less than their drawing shows; a table has fixed numbers.
        assert sorted(set(places.values())) == list(range(max(places.values()) + 1))


def test_the_first_values_may_be_given():
    text = dashboard_page(board.BOARD, board.origin(), {'env': ['staging']})
    assert '<option value="0">env=staging</option>' in text
    assert '10.5' in text.split('</main>')[0]


@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_an_open_list_can_be_read_on_its_ground(open_board, theme):
    page = open_board(theme=theme)
    closed = page.evaluate(CONTRAST)['seen']
    page.locator('details.variable summary').first.click()
    found = page.evaluate(CONTRAST)
    assert found['poor'] == []
    # The button for all, and three values.
    assert found['seen'] == closed + 4


@pytest.mark.parametrize('width', [390, 1280])
def test_the_values_can_be_reached_and_read(open_board, width):
    page = open_board(width)
    control = page.locator('details.variable').first
    control.locator('summary').focus()
    page.keyboard.press('Enter')
    values = control.locator('.values')
    there = box(values)
    assert there['x'] >= 0
    assert there['x'] + there['width'] <= width
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    # From the keyboard: the button for all, then the first value.
    page.keyboard.press('Tab')
    page.keyboard.press('Tab')
    page.keyboard.press('Space')
    assert shown(page, 'env') == 'production'
    page.keyboard.press('Escape')
    assert not values.is_visible()
    # One list is open at a time, and a click elsewhere closes it.
    control.locator('summary').click()
    page.locator('details.variable').nth(1).locator('summary').click()
    assert not values.is_visible()
    page.locator('h1').click()
    assert page.locator('.values:visible').count() == 0
