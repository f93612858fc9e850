"""MC15: a message says something in every state that its monitor can reach."""

from __future__ import annotations

import re
from collections.abc import Iterator

from metta_checks.as_code.message import text_of

from .findings import Problem, rule
from .view import View, child, number, text

MESSAGE = 'definition.message'
BLOCKS = {'alert': 'is_alert', 'warning': 'is_warning', 'no data': 'is_no_data', 'recovery': 'is_recovery'}
# Settings with which a monitor has a state for missing data.
NO_DATA = ('show_no_data', 'show_and_notify_no_data')
_VALUE = re.compile(r'\{\{\s*value\s*\}\}')


@rule('MC15', kinds=('monitor',), own=True)
def every_state_has_a_text(view: View) -> Iterator[Problem]:
    """The message has a text for every state that the monitor can reach, and names no value where there is none."""
    message = text(view.body, 'message')
    for state in _states(view):
        found = text_of(message, state)
        if not found:
            yield Problem(
                MESSAGE, f'says nothing about {state}; write {{{{#{BLOCKS[state]}}}}}...{{{{/{BLOCKS[state]}}}}}'
            )
        elif state == 'no data' and _VALUE.search(found):
            yield Problem(MESSAGE, '{{value}} is empty about no data')


def _states(view: View) -> Iterator[str]:
    options = child(view.body, 'options')
    yield 'alert'
    if number(child(options, 'thresholds'), 'warning') is not None:
        yield 'warning'
    if text(options, 'on_missing_data') in NO_DATA or options.get('notify_no_data') is True:
        yield 'no data'
    yield 'recovery'
