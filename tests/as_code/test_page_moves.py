"""Reactions of a page to hover, keys and choices, in a real browser."""

from __future__ import annotations

import json
import re

import pytest

from metta_checks.as_code.preview.page import dashboard_page
from tools import browser

from . import board
from .board import box, widget

pytestmark = pytest.mark.skipif(
    browser.find() is None, reason='no Chromium; `python -m tools.browser` finds or installs one'
)


def test_hovering_lists_all_series_at_that_moment(open_board):
    page = open_board()
    plot = widget(page, 'Cycle time').locator('.plot')
    plot.scroll_into_view_if_needed()
    there = box(plot)
    page.mouse.move(there['x'] + there['width'] * 120 / board.HOURS, there['y'] + 40)
    tip = page.locator('#tip')
    assert tip.is_visible()
    assert tip.locator('time').inner_text() == 'Sun 23 Nov, 00:00 UTC'
    rows = [(row.locator('.name').inner_text(), row.locator('.value').inner_text()) for row in tip.locator('div').all()]
    assert rows == [('p90', '64.8\u202fh'), ('avg', '25\u202fh'), ('p50', '19.5\u202fh')]
    # The same moment is marked in all charts.
    assert page.locator('.cross:visible').count() == page.locator('.plot').count()
    page.mouse.move(there['x'] + there['width'] * 80 / board.HOURS, there['y'] + 40)
    assert ('avg', 'no data') in [
        (row.locator('.name').inner_text(), row.locator('.value').inner_text()) for row in tip.locator('div').all()
    ]
    page.mouse.move(5, 5)
    assert not tip.is_visible()


def test_the_tooltip_writes_numbers_as_the_page_does(open_board):
    """Two programs write numbers, this one and the page's script: the last value of every line must be the same."""
    page = open_board()
    for title in ('Cycle time', 'Open', 'Commits', 'Outcomes', 'Storage'):
        section = widget(page, title)
        section.locator('.plot').focus()
        page.keyboard.press('End')
        shown = {
            row.locator('.name').inner_text(): row.locator('.value').inner_text()
            for row in page.locator('#tip div').all()
        }
        for row in section.locator('.legend tbody tr').all():
            name, last = row.locator('th').inner_text().strip(), row.locator('td').first.inner_text()
            assert shown[name].startswith(last)


def test_charts_can_be_read_with_the_keyboard(open_board):
    page = open_board()
    plot = widget(page, 'Cycle time').locator('.plot')
    plot.focus()
    page.keyboard.press('Home')
    assert page.locator('#tip time').inner_text() == 'Tue 18 Nov, 00:00 UTC'
    page.keyboard.press('ArrowRight')
    assert page.locator('#tip time').inner_text() == 'Tue 18 Nov, 01:00 UTC'
    page.keyboard.press('Escape')
    assert not page.locator('#tip').is_visible()


def test_the_tooltip_stays_in_the_window(open_board):
    page = open_board(390, has_touch=True)
    plot = widget(page, 'Cycle time').locator('.plot')
    for key in ('End', 'Home'):
        plot.focus()
        page.keyboard.press(key)
        there = box(page.locator('#tip'))
        assert there['x'] >= 0
        assert there['x'] + there['width'] <= 390


def test_the_tooltip_goes_when_its_plot_is_scrolled_away(open_board):
    page = open_board()
    plot = widget(page, 'Cycle time').locator('.plot')
    plot.focus()
    page.keyboard.press('Home')
    # The late event of a scroll before the key.
    page.evaluate('document.dispatchEvent(new Event("scroll"))')
    assert page.locator('#tip').is_visible()
    page.evaluate('scrollBy(0, 60)')
    page.locator('#tip').wait_for(state='hidden')


def _number(page, title: str) -> str:
    return widget(page, title).locator('.number').inner_text()


def test_a_variable_changes_the_numbers(open_board):
    page = open_board()
    assert _number(page, 'PRs merged') == '42'
    page.get_by_label('$env').select_option(label='dev')
    assert _number(page, 'PRs merged') == '4.2'
    assert widget(page, 'Stale PRs').locator('.qv.fill-green').count() == 1
    assert page.get_by_label('View').locator('option:checked').inner_text() == 'one variable'
    # A preset is called by its name, however it was chosen.
    page.get_by_label('$env').select_option(label='staging')
    assert page.get_by_label('View').locator('option:checked').inner_text() == 'Staging'
    page.get_by_label('$env').select_option(label='*')
    assert _number(page, 'PRs merged') == '42'


def test_a_preset_sets_its_variables(open_board):
    page = open_board()
    page.get_by_label('View').select_option(label='Production')
    assert _number(page, 'PRs merged') == '21'
    assert page.get_by_label('$env').locator('option:checked').inner_text() == 'production'
    page.get_by_label('View').select_option(label='All')
    assert _number(page, 'PRs merged') == '42'
    assert page.get_by_label('$env').locator('option:checked').inner_text() == '*'
    # The chart that was put in place answers too.
    page.get_by_label('View').select_option(label='Staging')
    widget(page, 'Cycle time').locator('.plot').focus()
    page.keyboard.press('Home')
    assert page.locator('#tip').inner_text().count('\u202fh') == 3


def test_a_drawing_is_kept_once(folder):
    text = (folder / 'every_kind.html').read_text(encoding='utf-8')
    (choices,) = re.findall(r'<script type="application/json" id="choices">(.*?)</script>', text)
    data = json.loads(choices)
    assert len(data['choices']) == 4
    for widget_id, indices in data['use'].items():
        assert indices[0] == 0
        # A preset and the value that it sets are one drawing.
        assert text.count(f'<template data-of="{widget_id}">') == max(indices) == 3
    # Five big numbers, five charts and a toplist; notes, fixed numbers and states stay.
    assert len(data['use']) == 11
    assert 'One variable at a time' in text


def test_the_first_values_may_be_given(folder):
    text = dashboard_page(board.BOARD, board.origin(), {'env': ['staging']})
    assert '<option value="0">env=staging</option>' in text
    assert '10.5' in text.split('<template')[0]


@pytest.mark.parametrize(('theme', 'other'), [('light', 'dark'), ('dark', 'light')])
def test_the_theme_follows_the_system_until_it_is_switched(open_board, theme, other):
    page = open_board(theme=theme)
    ground = "getComputedStyle(document.querySelector('section.w')).backgroundColor"
    colors = {'light': 'rgb(255, 255, 255)', 'dark': 'rgb(27, 32, 41)'}
    assert page.evaluate(ground) == colors[theme]
    page.get_by_role('button', name=f'{other} theme').click()
    assert page.evaluate(ground) == colors[other]
    assert page.get_by_role('button', name=f'{theme} theme').is_visible()


def test_it_prints_in_light_without_controls(open_board):
    page = open_board(theme='dark')
    page.emulate_media(media='print', color_scheme='dark')
    assert (
        page.evaluate("getComputedStyle(document.querySelector('section.w')).backgroundColor") == 'rgb(255, 255, 255)'
    )
    assert not page.locator('.controls').is_visible()
