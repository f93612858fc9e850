"""The form that is compared: what means the same is equal, and what differs has a path."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metta_checks.as_code import marker
from metta_checks.as_code.canonical import canonical
from metta_checks.as_code.changes import ABSENT, Change, changes, same
from metta_checks.as_code.marker import Marker
from metta_checks.as_code.merge import merge

from . import documents
from .documents import BODIES, copied, dashboard, monitor, slo, timeseries

pytestmark = pytest.mark.unit
KIND_AND_BODY = st.sampled_from(sorted(BODIES)).flatmap(lambda kind: BODIES[kind].map(lambda body: (kind, body)))


@given(KIND_AND_BODY)
@settings(max_examples=200, deadline=None)
def test_canonicalising_twice_changes_nothing(generated) -> None:
    kind, body = generated
    once = canonical(kind, body)
    assert same(canonical(kind, once), once)


@given(KIND_AND_BODY)
@settings(max_examples=100, deadline=None)
def test_the_body_itself_is_left_alone(generated) -> None:
    kind, body = generated
    before = copied(body)
    canonical(kind, body)
    assert same(body, before)


@given(st.sampled_from(sorted(BODIES)).flatmap(lambda kind: st.tuples(st.just(kind), BODIES[kind], BODIES[kind])))
@settings(max_examples=200, deadline=None)
def test_no_change_exactly_where_the_forms_are_equal(generated) -> None:
    kind, one, other = generated
    old, new = canonical(kind, one), canonical(kind, other)
    assert (changes(old, new) == []) == same(old, new)
    assert changes(old, old) == []


@given(st.sampled_from(sorted(BODIES)).flatmap(lambda kind: st.tuples(st.just(kind), BODIES[kind], BODIES[kind])))
@settings(max_examples=200, deadline=None)
def test_merging_gives_what_is_live_and_keeps_what_is_equal(generated) -> None:
    kind, source, live = generated
    assert same(canonical(kind, merge(kind, source, live)), canonical(kind, live))
    assert merge(kind, source, copied(source)) == source


EQUAL = [
    ('dashboard', {'notify_list': None}, {}),
    ('dashboard', {'notify_list': [], 'restricted_roles': [], 'pause_auto_refresh': False, 'is_read_only': False}, {}),
    ('dashboard', {'id': 'a', 'author_handle': 'b', 'created_at': 'c', 'modified_at': 'd', 'url': 'e'}, {}),
    ('dashboard', {'template_variables': [{'name': 'a', 'default': '*'}]}, {'template_variables': [{'name': 'a'}]}),
    (
        'dashboard',
        {'template_variables': [{'name': 'a', 'default': 'b'}]},
        {'template_variables': [{'name': 'a', 'defaults': ['b'], 'prefix': None}]},
    ),
    ('dashboard', {'widgets': [{'id': 5, **timeseries('A')}]}, {'widgets': [timeseries('A')]}),
    (
        'dashboard',
        {'widgets': [timeseries('A', time={}, markers=[], title_size='16', title_align='left', legend_size='0')]},
        {'widgets': [timeseries('A')]},
    ),
    (
        'dashboard',
        {'widgets': [timeseries('A', yaxis={'scale': 'linear', 'include_zero': True, 'min': 'auto'})]},
        {'widgets': [timeseries('A')]},
    ),
    ('monitor', {'type': 'metric alert'}, {'type': 'query alert'}),
    ('monitor', {'tags': ['b', 'a']}, {'tags': ['a', 'b']}),
    ('monitor', {'options': {'min_failure_duration': 0, 'min_location_failed': 1}}, {}),
    ('monitor', {'options': {'new_host_delay': 300, 'silenced': {}, 'locked': False}}, {}),
    ('monitor', {'options': {'thresholds': {'critical': 1.0}}}, {'options': {'thresholds': {'critical': 1}}}),
    ('monitor', {'priority': None, 'overall_state': 'OK', 'creator': {}}, {}),
    ('monitor', {'restriction_policy': {'bindings': []}, 'options': {}}, {}),
    (
        'monitor',
        {'assets': [{'name': 'a', 'url': '/b', 'monitor_id': 5, 'template_variables': {}, 'options': {}}]},
        {'assets': [{'name': 'a', 'url': '/b'}]},
    ),
    (
        'slo',
        {'sli_specification': {'count': {}}, 'query': {'numerator': 'a', 'denominator': 'b'}},
        {'sli_specification': {'count': {}}},
    ),
    (
        'dashboard',
        {'widgets': [{**timeseries('A'), 'layout': {'x': 0, 'is_column_break': False}}]},
        {'widgets': [{**timeseries('A'), 'layout': {'x': 0}}]},
    ),
    ('slo', {'tags': ['b', 'a'], 'creator': {}, 'modified_at': 5}, {'tags': ['a', 'b']}),
    (
        'slo',
        {'thresholds': [{'timeframe': '7d', 'target': 99.0, 'target_display': '99.'}]},
        {'thresholds': [{'timeframe': '7d', 'target': 99}], 'timeframe': '7d', 'target_threshold': 99.0},
    ),
]


@pytest.mark.parametrize(('kind', 'one', 'other'), EQUAL)
def test_the_same_in_other_words(kind: str, one: dict, other: dict) -> None:
    assert changes(canonical(kind, one), canonical(kind, other)) == []


DIFFERENT = [
    ('dashboard', {'title': 'a'}, {'title': 'b'}, 'title'),
    ('dashboard', {'notify_list': ['a@b']}, {}, 'notify_list'),
    ('dashboard', {'reflow_type': 'fixed'}, {}, 'reflow_type'),
    ('monitor', {'options': {'notify_audit': True}}, {}, 'options'),
    ('monitor', {'options': {'new_host_delay': 0}}, {}, 'options'),
    ('monitor', {'priority': 1}, {'priority': 2}, 'priority'),
    # In Python true equals 1; in Datadog it does not.
    ('monitor', {'options': {'x': True, 'y': 1}}, {'options': {'x': 1, 'y': 1}}, 'options.x'),
    ('slo', {'thresholds': [{'timeframe': '7d', 'target': 99}]}, {'thresholds': [{'timeframe': '7d', 'target': 98}]},
     'thresholds[0].target'),
]  # fmt: skip


@pytest.mark.parametrize(('kind', 'one', 'other', 'path'), DIFFERENT)
def test_what_differs_has_a_path(kind: str, one: dict, other: dict, path: str) -> None:
    assert [change.path for change in changes(canonical(kind, one), canonical(kind, other))] == [path]


def test_conditional_formats_have_no_order() -> None:
    one = dashboard()
    other = copied(one)
    other['widgets'][1]['definition']['widgets'][1]['definition']['requests'][0]['conditional_formats'].reverse()
    assert one != other
    assert changes(canonical('dashboard', one), canonical('dashboard', other)) == []


def test_one_widget_that_was_edited() -> None:
    one = canonical('dashboard', dashboard())
    other = copied(one)
    other['widgets'][1]['definition']['widgets'][0]['definition']['title'] = 'Waiting'
    path = 'widgets[1].definition.widgets[0].definition.title'
    assert changes(one, other) == [Change(path, 'Open', 'Waiting')]


def test_an_inserted_widget_does_not_shift_the_others() -> None:
    one = canonical('dashboard', {'widgets': [timeseries('A'), timeseries('B')]})
    other = canonical('dashboard', {'widgets': [timeseries('A'), timeseries('New'), timeseries('B')]})
    (change,) = changes(one, other)
    assert (change.path, change.old, change.new['definition']['title']) == ('widgets[1]', ABSENT, 'New')
    (change,) = changes(other, one)
    assert (change.path, change.new, change.old['definition']['title']) == ('widgets[1]', ABSENT, 'New')


def test_widgets_without_titles_are_found_by_their_content() -> None:
    notes = [{'definition': {'type': 'note', 'content': text}} for text in 'abc']
    (change,) = changes(notes, [notes[0], notes[2]])
    assert (change.path, change.old) == ('widgets[1]'.removeprefix('widgets'), notes[1])


def test_another_order_of_widgets_is_a_change() -> None:
    one = [timeseries('A'), timeseries('B')]
    (change,) = changes(one, one[::-1], 'widgets')
    assert change == Change('widgets (order)', ['timeseries: A', 'timeseries: B'], ['timeseries: B', 'timeseries: A'])


def test_merging_keeps_the_order_and_wording_of_the_source() -> None:
    source = dashboard()
    live = copied(source)
    live['widgets'][1]['definition']['widgets'][0]['definition']['title'] = 'Waiting'
    merged = merge('dashboard', source, live)
    assert merged == live
    assert list(merged) == list(source)


def test_merging_takes_over_new_widgets_and_drops_deleted_ones() -> None:
    source, live = dashboard(), dashboard()
    group = live['widgets'][1]['definition']['widgets']
    group[0] = timeseries('Another', yaxis={'scale': 'log'})
    del live['widgets'][0]
    merged = merge('dashboard', source, live)
    assert same(canonical('dashboard', merged), canonical('dashboard', live))


def test_merging_keeps_the_order_of_what_has_none() -> None:
    source = monitor(tags=['b:1', 'a:1', 'c:1'])['definition']
    live = {**source, 'tags': ['a:1', 'b:1', 'd:1']}
    merged = merge('monitor', source, live)
    assert merged['tags'] == ['b:1', 'a:1', 'd:1']
    assert merged['options'] == source['options']


# The marker.


def test_the_marker_is_the_last_line() -> None:
    body = marker.attach('slo', slo(), Marker('default', 'stale_prs'))
    assert body['description'].splitlines()[-1] == 'managed by metta-checks: default/stale_prs'
    assert marker.of('slo', body) == Marker('default', 'stale_prs')
    assert canonical('slo', body)['description'] == slo()['description']


def test_an_empty_text_is_the_marker_alone() -> None:
    assert marker.attach('dashboard', {}, Marker('a', 'b'))['description'] == 'managed by metta-checks: a/b'
    assert 'description' not in canonical('dashboard', {'description': 'managed by metta-checks: a/b'})


def test_text_below_the_marker_does_not_orphan_the_object() -> None:
    definition = monitor()['definition']
    body = marker.attach('monitor', definition, Marker('default', 'x'))
    body['message'] += '\nCall @somebody.'
    assert marker.of('monitor', body) == Marker('default', 'x')
    (change,) = changes(canonical('monitor', body), canonical('monitor', definition))
    assert change.path == 'message'


def test_empty_lines_of_the_text_stay() -> None:
    body = marker.attach('slo', {'description': 'a\n\n\n\nb'}, Marker('x', 'y'))
    assert canonical('slo', body)['description'] == 'a\n\n\n\nb'


def test_a_marker_replaces_an_older_one() -> None:
    body = marker.attach('slo', {'description': 'a\n\nmanaged by metta-checks: x/y'}, Marker('x', 'z'))
    assert body['description'] == 'a\n\nmanaged by metta-checks: x/z'


@given(documents.LINES)
@settings(deadline=None)
def test_any_text_survives_the_marker(text: str) -> None:
    body = marker.attach('dashboard', {'description': text}, Marker('n', 'k'))
    assert marker.of('dashboard', body) == Marker('n', 'k')
    assert marker.strip(body['description']) == text.strip()


@pytest.mark.parametrize(
    'text', ['managed by metta-checks: x', 'managed by metta-checks: a/b/c', 'see managed by metta-checks: a/b', None]
)
def test_what_only_looks_like_a_marker(text: str | None) -> None:
    assert marker.find(text) is None
