"""Dashboards of foreign make: 30 invented ones, in the shapes of exports of all ages, are drawn.

They have the old form of requests, free layouts, widgets without layout, high density, log queries, widgets that the
preview does not know, and keys that the API's client does not know.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metta_checks.as_code.asset import Asset, walk_widgets
from metta_checks.as_code.lint.thresholds import Thresholds
from metta_checks.as_code.lint.view import View
from metta_checks.as_code.preview.faults import FAULT, drawable
from metta_checks.as_code.preview.layout import COLUMNS, board
from metta_checks.as_code.preview.page import dashboard_page
from metta_checks.as_code.preview.recorded import RecordedData, States, origin, stamp
from metta_checks.as_code.preview.recording import Recording
from metta_checks.as_code.preview.widgets import draw
from metta_checks.core.points import Point

FILES = sorted((Path(__file__).parent / 'foreign').glob('*.json'))
END, STEP, STEPS = 1_763_424_000, 1800, 12
BOX = 'class="problem"'
# Kinds whose content does not come from metrics, and those of which this project has no data.
OTHER_DATA = ('list_stream', 'event_stream', 'iframe', 'alert_graph', 'note', 'image', 'free_text')


def load(path: Path) -> Asset:
    return Asset('dashboard', path.stem, json.loads(path.read_text(encoding='utf-8')))


ALL = [load(path) for path in FILES]


def metrics(asset: Asset) -> set[str]:
    """Return the metrics of a dashboard, also those of requests in the old form and of hostmaps."""
    view = View(asset, {}, Thresholds())
    return {one.metric for request in view.requests for query in request.queries for one in query.series}


@pytest.fixture(scope='module')
def recording() -> Recording:
    """Six hours of every metric, on three hosts."""
    found = Recording()
    names = sorted(set().union(*map(metrics, ALL)))
    hosts = [('a', 'primary', 'prod'), ('b', 'standby', 'prod'), ('c', 'primary', 'dev')]
    for index in range(STEPS + 1):
        points = [
            Point(
                name,
                'gauge',
                50 + 40 * math.sin(index + number + place),
                (f'host:{host}', f'role:{role}', f'env:{env}'),
            )
            for number, name in enumerate(names)
            for place, (host, role, env) in enumerate(hosts)
        ]
        found.add(END - (STEPS - index) * STEP, points)
    return found


def widgets(asset: Asset) -> Iterator[dict[str, Any]]:
    document, _ = drawable(asset.body)
    return (one['definition'] for _, one in walk_widgets(document) if one['definition'].get('type') != 'group')


def test_there_are_thirty():
    assert len(ALL) == 30
    requests = [one for asset in ALL for widget in widgets(asset) for one in widget.get('requests') or ()]
    assert sum('q' in one for one in requests if isinstance(one, dict)) > 40
    assert {asset.body['layout_type'] for asset in ALL} == {'ordered', 'free'}


@pytest.mark.parametrize('asset', ALL, ids=lambda asset: asset.key)
def test_every_page_is_drawn(asset, recording):
    document, _ = drawable(asset.body)
    whole = Asset('dashboard', asset.key, document)
    page = dashboard_page(whole, origin(recording, States(recording, []), document, stamp(recording, END)))
    assert len(re.findall(r'<section[^>]* data-widget="', page)) == sum(1 for _ in widgets(asset))


@pytest.mark.parametrize(
    'asset', [asset for asset in ALL if asset.body['layout_type'] == 'free'], ids=lambda one: one.key
)
def test_a_free_layout_fits_the_grid(asset):
    """Its units are small squares: 132 of them are as wide as the board."""
    placed = board({**asset.body, 'widgets': drawable(asset.body)[0]['widgets']})
    assert max(one.x + one.width for one in placed) == COLUMNS
    cells = Counter(
        (x, y) for one in placed for x in range(one.x, one.x + one.width) for y in range(one.y, one.y + one.height)
    )
    assert set(cells.values()) == {1}
    # Five rows of widgets or more, each about as high as in Datadog.
    assert 20 < max(one.y + one.height for one in placed) <= 55
    charts = [one.height for one in placed if one.definition['type'] in ('timeseries', 'toplist', 'query_value')]
    assert min(charts) >= 2


def test_nine_of_ten_widgets_of_metrics_are_drawn(recording):
    drawn, boxes = 0, []
    for asset in ALL:
        data = RecordedData(recording, States(recording, []), asset.body['template_variables'], {})
        for definition in widgets(asset):
            if definition['type'] in OTHER_DATA:
                continue
            content = draw(definition, data)
            if BOX in content:
                boxes.append((asset.key, definition['type'], content[content.index(BOX) :][:160]))
            else:
                drawn += 1
    # The rest: logs, ewma_5(), a widget that the API would refuse, a powerpack of an account.
    assert drawn / (drawn + len(boxes)) >= 0.9, boxes


def test_what_is_not_drawn_is_one_labeled_box(recording):
    data = RecordedData(recording, States(recording, []), (), {})
    content = draw({'type': 'wildfire', 'title': 'Spread'}, data)
    assert content.count(BOX) == 1
    assert 'wildfire' in content


def test_a_fault_is_confined_to_its_widget():
    note = {'definition': {'type': 'note', 'content': 'x'}, 'layout': {'x': 0, 'y': 0, 'width': 3, 'height': 1}}
    broken = {'definition': {'type': 'timeseries', 'requests': 'none'}, 'layout': {'x': 3, 'y': 0, 'width': 'wide'}}
    group = {'definition': {'type': 'group', 'layout_type': 'fixed', 'widgets': [note, broken]}}
    body = {
        'title': 'x',
        'description': '',
        'layout_type': 'ordered',
        'template_variables': [{'nam': 'x'}],
        'widgets': [group],
    }
    document, faults = drawable(body)
    inside = document['widgets'][0]['definition']['widgets']
    assert inside[0] == note
    assert inside[1]['definition']['type'] == 'timeseries'
    assert 'requests' in inside[1]['definition'][FAULT]
    assert 'layout' not in inside[1]
    assert document['template_variables'] == []
    assert len(faults) == 2
    assert body['widgets'] == [group]
