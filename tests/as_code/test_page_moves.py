"""Reactions of a page to hover, keys and choices, in a real browser."""

from __future__ import annotations

import pytest

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
