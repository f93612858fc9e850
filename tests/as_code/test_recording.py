"""Recordings: files, what is refused, and what is asked of them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from metta_checks.as_code.preview.recording import Recording, RecordingError
from metta_checks.core.points import Point

POINT: dict[str, Any] = {'time': 60, 'name': 'metta.github.prs.open', 'type': 'gauge', 'value': 3, 'tags': ['repo:a/b']}
CHECK = {'time': 60, 'check': 'metta.can_connect', 'status': 'ok', 'message': '', 'tags': ['source:github']}


def written(tmp_path, *lines):
    path = tmp_path / 'run.jsonl'
    path.write_text(''.join(f'{line if isinstance(line, str) else json.dumps(line)}\n' for line in lines))
    return path


def filled() -> Recording:
    recording = Recording()
    for index, time in enumerate((0.0, 60.0, 120.0)):
        recording.add(time, [Point('a.gauge', 'gauge', index / 2, ('env:x', 'b:2')), Point('a.count', 'count', 5, ())])
    recording.add(120.0, [Point('a.length', 'histogram', value, ('env:y',)) for value in (1, 2, 3, 10)])
    recording.add_check(60.0, 'metta.can_connect', 'critical', 'no answer', ['source:github'])
    recording.add_check(120.0, 'metta.can_connect', 'ok', '', ['source:github'])
    recording.add_event(120.0, 'Reverted', 'a revert', 'warning', ['repo:a/b'])
    return recording


@pytest.mark.parametrize('name', ['run.jsonl', 'deep/run.jsonl.gz'])
def test_what_was_written_is_read(tmp_path, name):
    path = tmp_path / name
    filled().write(path)
    read = Recording.load(path)
    assert list(read.lines()) == list(filled().lines())
    assert (read.start, read.end, read.step) == (0, 120, 60)
    assert read.events == filled().events
    assert read.series('a.gauge')[0].tags == ('b:2', 'env:x')
    assert list(read.series('a.gauge')[0].values) == [0, 0.5, 1]


def test_the_same_recording_gives_the_same_bytes(tmp_path):
    filled().write(tmp_path / '1.jsonl.gz')
    filled().write(tmp_path / '2.jsonl.gz')
    assert (tmp_path / '1.jsonl.gz').read_bytes() == (tmp_path / '2.jsonl.gz').read_bytes()


def test_histograms_are_the_series_that_the_agent_makes():
    found = {name: filled().series(name)[0] for name in filled().metrics if name.startswith('a.length')}
    assert {name: (series.type, list(series.values)) for name, series in found.items()} == {
        'a.length.avg': ('gauge', [4]),
        'a.length.median': ('gauge', [2.5]),
        'a.length.95percentile': ('gauge', [pytest.approx(8.95)]),
        'a.length.max': ('gauge', [10]),
        'a.length.count': ('count', [4]),
    }


def test_values_of_one_moment_gauges_replace_counts_add():
    recording = Recording()
    for time in (60, 120, 60):
        recording.add(time, [Point('g', 'gauge', time + len(recording.checks), ()), Point('c', 'count', 2, ())])
    recording.add(60, [Point('g', 'gauge', 7, ())])
    assert (list(recording.series('g')[0].times), list(recording.series('g')[0].values)) == ([60, 120], [7, 120])
    assert list(recording.series('c')[0].values) == [4, 2]


def test_lines_may_stand_in_any_order(tmp_path):
    lines = [{**POINT, 'time': time, 'value': time * 2} for time in (180, 60, 120)]
    series = Recording.load(written(tmp_path, *lines, '', CHECK)).series(POINT['name'])[0]
    assert list(zip(series.times, series.values, strict=True)) == [(60, 120), (120, 240), (180, 360)]


def test_merging_keeps_everything():
    one, other = filled(), Recording()
    other.add(240.0, [Point('a.gauge', 'gauge', 9, ('env:z',))])
    other.add_check(240.0, 'metta.can_connect', 'warning', 'slow', ['source:ec2'])
    one.merge(other)
    assert one.end == 240
    assert [series.tags for series in one.series('a.gauge')] == [('b:2', 'env:x'), ('env:z',)]
    assert len(one.latest_checks()) == 2


def test_tag_values_and_latest_checks():
    assert filled().tag_values() == {'b': ['2'], 'env': ['x', 'y']}
    assert [(state.status, state.time) for state in filled().latest_checks('metta.can_connect')] == [('ok', 120)]
    assert filled().latest_checks('other') == []


def test_an_empty_recording(tmp_path):
    recording = Recording.load(written(tmp_path))
    assert recording.empty
    assert (recording.start, recording.end, recording.step) == (0, 0, 60)
    assert recording.series('a') == []


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('{"time": 1,', 'not JSON'),
        ('[1]', 'holds list, expected an object'),
        ({}, 'time: expected a number, found null'),
        ({**POINT, 'time': 'now'}, 'time: expected a number, found "now"'),
        ({**POINT, 'value': True}, 'value: expected a number, found true'),
        ('{"time": 1, "name": "a", "type": "gauge", "value": NaN}', 'value: expected a number, found NaN'),
        ({**POINT, 'type': 'histogram'}, "type: 'histogram' is not one of gauge, count, rate"),
        ({**POINT, 'type': 'count'}, "type: 'count', but the same series was 'gauge' before"),
        ({**POINT, 'name': ''}, 'name: expected a string'),
        ({**POINT, 'tags': 'repo:a/b'}, 'tags: expected a list of strings'),
        ({**CHECK, 'status': 'fine'}, "status: 'fine' is not one of ok, warning, critical, unknown"),
        ({'time': 1, 'value': 2}, 'expected one of "name"'),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, reason):
    with pytest.raises(RecordingError) as caught:
        Recording.load(written(tmp_path, POINT, line))
    assert str(caught.value).startswith(f'{tmp_path}/run.jsonl:2: {reason}')
    assert '\n' not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RecordingError, match=r'none\.jsonl: cannot be read after line 0: No such file'):
        Recording.load(tmp_path / 'none.jsonl')
    whole = tmp_path / 'cut.jsonl.gz'
    filled().write(whole)
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(RecordingError, match=r'cut\.jsonl\.gz: cannot be read'):
        Recording.load(whole)
    plain = tmp_path / 'plain.jsonl.gz'
    plain.write_text('{}')
    with pytest.raises(RecordingError, match='cannot be read'):
        Recording.load(plain)
    binary = tmp_path / 'binary.jsonl'
    binary.write_bytes(gzip.compress(b'{}'))
    with pytest.raises(RecordingError, match='cannot be read'):
        Recording.load(binary)
