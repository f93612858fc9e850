"""The status after passes of any outcome, as a pure function."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import stored
from metta_checks.core.status import MAX_WARNINGS, WAITING_REASONS, Level, Outcome, Problem, Status

A, B = ('', 'a'), ('', 'b')


def problem(name: str, reason: str = 'http_5xx', message: str = 'down') -> Problem:
    return Problem(name, '', reason, message)


def outcome(*problems: Problem, full: bool = True, succeeded: int = 0, attempted=(A, B)) -> Outcome:
    return Outcome(full, succeeded, len(problems), frozenset(attempted), problems)


def test_before_the_first_pass_nothing_is_said():
    assert (Status().level, Status().is_up, Status().message, list(Status().warnings())) == (None, True, '', [])


@pytest.mark.parametrize(
    ('before', 'passed', 'level'),
    [
        (Status(), outcome(succeeded=2), Level.OK),
        (Status(), outcome(problem('a'), succeeded=1), Level.WARNING),
        (Status(), outcome(problem('a'), problem('b')), Level.CRITICAL),
        (Status(), outcome(problem('a', 'rate_limit'), problem('b', 'budget')), Level.WARNING),
        (Status(), outcome(problem('a', 'rate_limit'), problem('b')), Level.CRITICAL),
        # A few blocks that fail again out of turn are not an outage, unless it is one already ...
        (Status(Level.WARNING, (problem('b'),)), outcome(problem('a'), full=False, attempted=[A]), Level.WARNING),
        (Status(Level.CRITICAL, (problem('b'),)), outcome(problem('a'), full=False, attempted=[A]), Level.CRITICAL),
        # ... or the credentials are refused.
        (Status(Level.OK), outcome(problem('a', 'auth'), full=False, attempted=[A]), Level.CRITICAL),
        # A part that is well again ends an outage.
        (Status(Level.CRITICAL, (problem('b'),)), outcome(succeeded=1, full=False, attempted=[A]), Level.WARNING),
    ],
)
def test_levels(before, passed, level):
    after = before.after(passed, {A, B})
    assert after.level is level
    assert after.is_up == (level is not Level.CRITICAL)


def test_problems_of_blocks_that_were_not_tried_stay_until_the_blocks_go():
    before = Status(Level.WARNING, (problem('a'), problem('b')))
    passed = outcome(succeeded=1, full=False, attempted=[A])
    assert before.after(passed, {A, B}).problems == (problem('b'),)
    assert before.after(passed, {A}).level is Level.OK


def test_lines_are_said_once_and_bounded():
    status = Status(Level.WARNING, (problem('a'), problem('a'), problem('b')))
    assert status.message == 'block a: down (and 1 more)'
    assert list(status.warnings()) == ['block a: down', 'block b: down']
    many = Status(Level.WARNING, tuple(problem('a', message=str(number)) for number in range(MAX_WARNINGS + 5)))
    assert len(list(many.warnings())) == MAX_WARNINGS + 1
    assert list(many.warnings())[-1] == 'and 5 more problems (metta.collector.errors counts them)'


reasons = st.sampled_from([*WAITING_REASONS, 'http_5xx', 'auth', 'rejected'])
problems = st.builds(problem, st.sampled_from('ab'), reasons)
statuses = st.builds(Status, st.sampled_from([None, *Level]), st.lists(problems, max_size=3).map(tuple))


@given(statuses, st.lists(problems, max_size=3), st.booleans(), st.integers(0, 2))
def test_a_status_that_is_up_never_hides_that_nothing_could_be_read(before, found, full, succeeded):
    passed = Outcome(full, succeeded, len(found), frozenset([A, B]), tuple(found))
    after = before.after(passed, {A, B})
    assert stored.load(Status, json.loads(stored.dumps(after))) == after
    if succeeded or not found:
        assert after.is_up
    elif full and not {one.reason for one in found} <= WAITING_REASONS:
        assert not after.is_up
    assert (after.level is Level.OK) == (not after.problems)


def test_the_levels_are_those_of_the_agent():
    from datadog_checks.base import AgentCheck

    for level, name in product(Level, ('OK', 'WARNING', 'CRITICAL')):
        assert (level == getattr(AgentCheck, name)) == (level.name == name)
