"""Details of the preview's drawings: events over charts, units that a dashboard names itself, the order of lines."""

from __future__ import annotations

import re
from typing import Any

import pytest

from metta_checks.as_code.preview import scale
from metta_checks.as_code.preview.choices import choices
from metta_checks.as_code.preview.filters import NotDrawn
from metta_checks.as_code.preview.recorded import RecordedData, States
from metta_checks.as_code.preview.recording import Recording
from metta_checks.as_code.preview.svg import Markup
from metta_checks.as_code.preview.texts import with_values
from metta_checks.as_code.preview.widgets import draw
from metta_checks.core.points import Point

END = 1_763_424_000
VARIABLES = ({'name': 'repo', 'prefix': 'repo', 'defaults': ['*']},)


@pytest.fixture
def recording() -> Recording:
    found = Recording()
    for index, value in enumerate((1.0, 3.0)):
        points = [
            Point('metta.github.prs.open', 'gauge', value * size, (f'repo:{name}',))
            for name, size in (('a', 1), ('b', 9))
        ]
        found.add(END + 3600 * index, points)
    found.add_event(END + 600, 'a: main is red', 'text', 'error', ['repo:a', 'env:production'])
    found.add_event(END + 900, 'Release v1.0', 'text', 'info', ['repo:b'])
    return found


def data(recording: Recording, **chosen: Any) -> RecordedData:
    return RecordedData(recording, States(recording, []), VARIABLES, {name: [value] for name, value in chosen.items()})


@pytest.mark.parametrize(
    ('query', 'found'),
    [
        ('source:metta', ['a: main is red', 'Release v1.0']),
        ('source:metta "is red"', ['a: main is red']),
        ('release', ['Release v1.0']),
        ('repo:a', ['a: main is red']),
        # https://docs.datadoghq.com/dashboards/template_variables/: the form of a dashboard's search.
        ('tags:repo:a', ['a: main is red']),
        ('tags:repo:$repo.value', ['a: main is red', 'Release v1.0']),
        ('source:metta repo:b "is red"', []),
    ],
)
def test_a_search_finds_events(recording, query, found):
    assert [one.title for one in data(recording).events(query)] == found


def test_a_search_of_events_listens_to_variables(recording):
    assert [one.title for one in data(recording, repo='b').events('$repo')] == ['Release v1.0']
    assert len(data(recording).events('$repo')) == 2
    with pytest.raises(NotDrawn):
        data(recording).events('$workflow')


def chart(**style: Any) -> dict[str, Any]:
    return {
        'type': 'timeseries',
        'title': 'Open',
        'events': [{'q': 'source:metta "is red"'}],
        'requests': [
            {
                'display_type': 'line',
                'style': style,
                'queries': [{'data_source': 'metrics', 'name': 'a', 'query': 'sum:metta.github.prs.open{*} by {repo}'}],
            }
        ],
    }


def test_events_are_lines_over_the_chart(recording):
    drawn = draw(chart(), data(recording))
    assert drawn.count('class="event"') == 1
    assert 'title="a: main is red"' in drawn
    assert 'var(--hue-red)' in drawn


def test_lines_in_the_order_of_their_values(recording):
    names = [
        re.findall(r'class="name">([^<]+)<', draw(chart(**style), data(recording)))
        for style in ({}, {'order_by': 'values'})
    ]
    assert names == [['a', 'b'], ['b', 'a']]


def test_a_unit_of_the_dashboard_is_left_alone():
    assert scale.shown('hour', 4800).text(4800).split() == ['200', 'd']
    assert scale.shown('=GPU-h', 4800).text(4800).split() == ['4,800', 'GPU-h']
    assert scale.shown('=failing', 2).text(2).split() == ['2', 'failing']


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('of $kube.namespace.', 'of kube_namespace:blue.'),
        ('of $kube.namespace.value', 'of blue'),
        ('of $kube', 'of kube:a'),
        ('of $kubernetes and $kube-a for 5 $', 'of $kubernetes and $kube-a for 5 $'),
    ],
)
def test_variables_in_a_text_may_have_dots_in_their_names(text, shown):
    variables = [
        {'name': 'kube', 'defaults': ['a']},
        {'name': 'kube.namespace', 'prefix': 'kube_namespace', 'defaults': ['blue']},
    ]
    offered = choices({'template_variables': variables}, lambda _: (), {})
    assert re.sub('<[^>]*>', '', with_values(Markup(f'<p>{text}</p>'), offered)) == shown


def test_a_text_without_variables_keeps_its_dollar_signs():
    assert with_values(Markup('<p>5 $</p>'), choices({}, lambda _: (), {})) == '<p>5 $</p>'
