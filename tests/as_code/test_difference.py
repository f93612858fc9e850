"""The lines of a plan about one change: the difference is visible, and so is what would be lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.as_code.changes import ABSENT, Change
from metta_checks.as_code.difference import AROUND, MAX_VALUE, lines

LONG = 'word ' * 60


def shown(old, new) -> list[str]:
    return list(lines(Change('a.b', old, new)))


@pytest.mark.parametrize(
    ('old', 'new', 'text'),
    [
        (1, 2.5, 'a.b: 1 -> 2.5'),
        (ABSENT, 'x', 'a.b: (absent) -> "x"'),
        ({'x': [1]}, ABSENT, 'a.b: {"x": [1]} -> (absent)'),
        ('one', 'two', 'a.b: "one" -> "two"'),
    ],
)
def test_short_values_are_on_one_line(old, new, text):
    assert shown(old, new) == [text]


def test_a_change_late_in_a_long_text_is_shown():
    assert shown(f'{LONG}ends with 50.', f'{LONG}ends with 60.') == [
        'a.b:',
        f'- ...{(LONG + "ends with ")[-AROUND:]}50.',
        f'+ ...{(LONG + "ends with ")[-AROUND:]}60.',
    ]


def test_a_change_in_the_middle_has_text_on_both_sides():
    (_, was, now) = shown(f'{LONG}one{LONG}', f'{LONG}six{LONG}')
    assert was == f'- ...{LONG[-AROUND:]}one{LONG[:AROUND]}...'
    assert now == f'+ ...{LONG[-AROUND:]}six{LONG[:AROUND]}...'


def test_a_text_of_several_lines_is_compared_line_by_line():
    old = f'Title\n\n{LONG}\nA runbook: https://example.com/runbook\n@slack-ops\n{LONG}'
    new = f'Title\n\n{LONG}\n{LONG}\nThe end.'
    assert shown(old, new) == ['a.b:', '- A runbook: https://example.com/runbook', '- @slack-ops', '+ The end.']


def test_what_would_be_lost_is_shown_in_full():
    """A paragraph or widget that people added in Datadog, beyond the first characters of the value."""
    added = {'definition': {'type': 'note', 'content': f'{LONG} and the phone number 555-0100'}}
    (line,) = shown(added, ABSENT)
    assert line.endswith('the phone number 555-0100"}} -> (absent)')
    (_, was, _) = shown(f'{LONG}{LONG}555-0100{LONG}', LONG)
    assert '555-0100' in was
    (line,) = shown(ABSENT, added)
    assert line.endswith('characters)')
    assert len(line) < MAX_VALUE + 60


TEXTS = st.text('ab\n @', max_size=12).map(lambda text: f'{text}{"x" * MAX_VALUE}{text}')


@given(TEXTS, TEXTS)
def test_every_change_of_a_text_is_visible(old, new):
    """The lines of both signs differ, and hold every line that only one side has."""
    if old == new:
        return
    _, *found = shown(old, new)
    gone = [line[2:] for line in found if line.startswith('- ')]
    come = [line[2:] for line in found if line.startswith('+ ')]
    assert gone != come
    assert len(gone) + len(come) == len(found)
