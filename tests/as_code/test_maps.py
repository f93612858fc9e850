"""Heatmaps and host maps, drawn from recordings."""

from __future__ import annotations

import re
from typing import Any

from metta_checks.as_code.preview import heatmap
from metta_checks.as_code.preview.recorded import RecordedData, States
from metta_checks.as_code.preview.recording import Recording
from metta_checks.as_code.preview.result import Line
from metta_checks.as_code.preview.scale import axis
from metta_checks.as_code.preview.svg import HEIGHT, WIDTH
from metta_checks.as_code.preview.widgets import Definition, draw
from metta_checks.core.points import Point

METRIC = 'metta.github.prs.open'


def drawn(definition: Definition, **hosts: float) -> str:
    recording = Recording()
    for time in (0, 3600):
        recording.add(time, [Point(METRIC, 'gauge', value, (f'host:{host}',)) for host, value in hosts.items()])
    return draw(definition, RecordedData(recording, States(recording, []), (), {}))


def hosts_of(text: str) -> list[tuple[str, ...]]:
    return re.findall(r'<li style="background:([^"]*)"><strong title="(\w+)">\w+</strong><span>([^<]*)</span>', text)


def hostmap(**more: Any) -> dict[str, Any]:
    return {'type': 'hostmap', 'requests': {'fill': {'q': f'avg:{METRIC}{{*}} by {{host}}'}}, **more}


def test_a_cell_is_the_darker_the_more_series_it_has():
    lines = [Line(str(index), {}, ((0.0, value), (60.0, 100.0))) for index, value in enumerate((0.0, 0.0, 0.0, 50.0))]
    window = (0.0, 60.0)
    paths = list(heatmap.cells(lines, axis([0, 100]), window))
    opacities = [re.findall(r'fill-opacity:([\d.]+)', path) for path in paths]
    # One of four, three of four, and all four series.
    assert opacities == [['0.4'], ['0.8'], ['1']]
    boxes = [re.findall(r'M(\d+) (\d+)h', path) for path in paths]
    row = HEIGHT // heatmap.ROWS
    assert boxes[0] == [('0', str(HEIGHT - 7 * row))]
    assert boxes[1] == [('0', str(HEIGHT - row))]
    assert boxes[2] == [(str(WIDTH * 59 // 60), '0')]


def test_a_series_counts_once_per_cell():
    often = Line('a', {}, tuple((float(moment), 10.0) for moment in range(60)))
    once = Line('b', {}, ((0.0, 90.0),))
    paths = list(heatmap.cells([often, once], axis([0, 100]), (0.0, 3600.0)))
    assert len(paths) == 1


def test_a_heatmap_has_axes_and_gaps_are_empty():
    definition = {'type': 'heatmap', 'title': 'Spread', 'requests': [{'q': f'avg:{METRIC}{{*}} by {{host}}'}]}
    text = drawn(definition, a=1, b=5)
    assert text.count('class="heat"') == 1
    assert 'class="ticks' in text
    assert 'No data' in drawn(definition)


def test_hosts_are_colored_from_the_lowest_to_the_highest():
    text = drawn(hostmap(style={'palette': 'green_to_orange'}), a=10, b=20, c=30)
    shares = {name: re.findall(r'(\w+)\) (\d+)%, var\(--fill-(\w+)', color) for color, name, _ in hosts_of(text)}
    assert shares == {'a': [('amber', '0', 'green')], 'b': [('amber', '50', 'green')], 'c': [('amber', '100', 'green')]}
    flipped = drawn(hostmap(style={'palette': 'green_to_orange', 'palette_flip': True}), a=10, b=30)
    assert 'var(--fill-green) 100%, var(--fill-amber)' in flipped


def test_equal_hosts_have_one_color():
    assert {color for color, *_ in hosts_of(drawn(hostmap(), a=7, b=7))} == {
        'color-mix(in srgb, var(--fill-blue) 0%, var(--fill-gray))'
    }


def test_what_a_host_map_leaves_out_is_said():
    assert 'hosts in groups' in drawn(hostmap(group=['zone']), a=1)
    sized = hostmap()
    sized['requests']['size'] = {'q': f'avg:{METRIC}{{*}} by {{host}}'}
    assert 'all tiles have one size here' in drawn(sized, a=1)
    assert 'No data' in drawn(hostmap())
