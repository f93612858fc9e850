"""Dashboards that nobody would write by hand: hostile texts, and whatever the schema lets through."""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING, Any

import pytest

from metta_checks.as_code.asset import Asset, walk_widgets
from metta_checks.as_code.preview.page import Origin, dashboard_page, index_page, without_nulls
from metta_checks.as_code.preview.result import Line, Outcome, Row
from metta_checks.as_code.preview.widgets import Definition, draw
from metta_checks.as_code.schema import violations
from tools import browser

from . import board

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = '"\'></script></style></template><img src=x onerror="document.title=1"><script>document.title=1</script>'
# Texts that people write; the others are words of the API.
WRITTEN = ('title', 'label', 'content', 'description', 'alias', 'custom_unit', 'check')
MUTATIONS = 1500


def hostile(node: Any, key: str = '') -> Any:
    """The same document with hostile texts."""
    if isinstance(node, dict):
        return {name: hostile(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [hostile(value, key) for value in node]
    return f'{node} {HOSTILE}' if key in WRITTEN else node


def listen(page: Page) -> list[str]:
    """Return the list to which the page's console messages are appended from now on."""
    complaints: list[str] = []
    page.on('console', lambda message: complaints.append(message.text))
    return complaints


class Everything(board.Hand):
    """Every request has the same lines and rows, with hostile names and values of all sizes."""

    def request(self, widget_type: str, request: Definition) -> Outcome:
        lines = tuple(
            Line(f'{HOSTILE} {index}', {HOSTILE: HOSTILE}, board.wave('', -index, 10**index).points, unit)
            for index, unit in enumerate(('', HOSTILE, 'hour'))
        )
        rows = (Row(HOSTILE, {HOSTILE: HOSTILE}, (51.0, 1e15, None)), Row('', {}, (-0.1, None, 0.0)))
        columns = ((HOSTILE, HOSTILE), ('', 'dollar/hour'), ('b', 'second'))
        return Outcome(lines, rows, columns, notes=(HOSTILE,))


@pytest.mark.skipif(browser.find() is None, reason='no Chromium; `python -m tools.browser` finds or installs one')
def test_hostile_texts_are_texts_everywhere(tmp_path, running):
    document = hostile(copy.deepcopy(board.DASHBOARD))
    document['template_variables'] = [
        {'name': 'env', 'prefix': 'env', 'available_values': ['production', HOSTILE], 'defaults': ['*']}
    ]
    document['template_variable_presets'] = [
        {'name': HOSTILE, 'template_variables': [{'name': 'env', 'values': ['production']}]}
    ]
    asset = Asset('dashboard', 'hostile', document)
    stamp = board.origin().stamp
    origin = Origin(lambda values: Everything({'env': ['*']}), lambda tag: [HOSTILE], stamp)
    (tmp_path / 'hostile.html').write_text(dashboard_page(asset, origin), encoding='utf-8')
    (tmp_path / 'index.html').write_text(index_page([asset], stamp), encoding='utf-8')
    for name in ('hostile', 'index'):
        page = browser.open_page(running, tmp_path / f'{name}.html', 1280)
        complaints = listen(page)
        page.reload()
        assert page.title() != '1'
        assert page.locator('img').count() == 0
        assert page.locator('script').count() == (3 if name == 'hostile' else 1)
        assert complaints == []
        assert HOSTILE in page.locator('h1, h2').all_inner_texts()[-1]
        for plot in page.locator('.plot').all()[:3]:
            plot.focus()
            page.keyboard.press('End')
            assert HOSTILE in page.locator('#tip').inner_text()
            assert page.locator('#tip img, #tip script').count() == 0
        page.context.close()


def _nodes(node: Any, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += _nodes(value, (*path, key))
    return found


def _mutated(definition: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The definition with one thing missing, or other than it was."""
    copied = copy.deepcopy(definition)
    *way, last = dice.choice(_nodes(copied))
    node: Any = copied
    for key in way:
        node = node[key]
    if dice.random() < 0.4:
        del node[last]
    else:
        node[last] = dice.choice([None, '', 'x', '3', '-1', 0, -1, 7, 1e300, 0.5, True, False, [], {}, ['x'], [{}]])
    return copied


def test_whatever_the_schema_lets_through_is_drawn():
    """The command refuses a dashboard that the API would not take; every other one must be drawn."""
    dice = random.Random(11)
    definitions = [
        widget['definition']
        for _, widget in walk_widgets(board.DASHBOARD)
        if widget['definition']['type'] not in ('group', 'sunburst')
    ]
    drawn = 0
    for _ in range(MUTATIONS):
        definition = _mutated(dice.choice(definitions), dice)
        layout = {'x': 0, 'y': 0, 'width': 4, 'height': 2}
        document = without_nulls({**board.DASHBOARD, 'widgets': [{'definition': definition, 'layout': layout}]})
        if any(one.level == 'error' for one in violations('dashboard', document, unknown='warning')):
            continue
        definition = document['widgets'][0]['definition']
        assert draw(definition, Everything({'env': ['*']})).startswith('<'), definition
        drawn += 1
    assert drawn > MUTATIONS / 5


def test_whatever_the_schema_lets_through_is_placed():
    dice = random.Random(12)
    origin = Origin(lambda values: Everything({'env': ['*']}), lambda tag: [], board.origin().stamp)
    small = {**board.DASHBOARD, 'widgets': board.DASHBOARD['widgets'][-1:]}
    drawn = 0
    for _ in range(300):
        document = without_nulls(_mutated(small, dice))
        if any(one.level == 'error' for one in violations('dashboard', document, unknown='warning')):
            continue
        page = dashboard_page(Asset('dashboard', 'odd', document), origin)
        assert page.startswith('<!DOCTYPE html>')
        drawn += 1
    assert drawn > 50


def test_half_of_a_surrogate_pair_is_drawn_as_a_mark():
    dashboard = copy.deepcopy(board.DASHBOARD)
    dashboard['title'] = 'Half \ud800'
    for _, one in walk_widgets(dashboard):
        one['definition']['title'] = 'Half \ud800'
    # The command writes what UTF-8 lacks as `?`.
    assert dashboard_page(Asset('dashboard', 'half', dashboard), board.origin()).count('Half \ud800') > 2
