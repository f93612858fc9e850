"""A clock of this machine that was wrong and is right again: nothing that it hid is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks.testing import Clock, Driver
from tests.github.scripted import NOW

from ..case import case

M = 'metta.github.'
RUNS = f'{M}ci.workflow_runs_7d'


@case('I', 'https://github.com/actions/runner/issues/4648')
@pytest.mark.parametrize('behind', [timedelta(hours=6), timedelta(days=365)])
def test_a_clock_that_was_behind(actions, behind):
    """The clock of the machine is six hours or a year behind, and is set right.

    It booted before its clock was synchronized. GitHub has 250 runs of the last five days, and none of them changes. In
    the first refresh, the window of the wrong clock ends before the newest of them or all of them were created.

    Right: `ci.workflow_runs_7d` is 250 in each refresh after the clock was set right, and `ci.failed_workflows_7d` is
    50, although GitHub confirms with 304 that its list has not changed.

    Unchanged: No event is sent, and no run is counted twice.
    """
    for number in range(250):
        actions.add(number, 'success' if number % 5 else 'failure', hours=0.4 * number)
    clock = Clock(NOW - behind)
    driver = Driver(actions.instance(), clock)
    driver.run()
    clock.start += behind
    found = []
    for _ in range(3):
        clock.advance(900)
        found.append(driver.run())
    assert [run.value(RUNS) for run in found] == [250] * 3
    assert [run.value(f'{M}ci.failed_workflows_7d') for run in found] == [50] * 3
    assert not any(run.events for run in found)
    assert not any(run.series(f'{M}ci.runs') for run in found[1:])


@case('D', 'https://github.com/max-sixty/tend/pull/838')
def test_an_agent_that_was_off_for_nine_days(actions):
    """The Agent stands still for nine days, while 150 runs are created.

    GitHub's page of the newest runs holds 100 of them.

    Right: `ci.workflow_runs_7d` is 150. `ci.runs` is not sent for them: nobody knows which of the runs ended before the
    week.

    Unchanged: The next run that ends is counted.
    """
    actions.add(1, 'success', hours=1)
    driver = Driver.of(actions)
    driver.run()
    actions.pass_time(9 * 86400)
    for number in range(150):
        actions.add(100 + number, 'success', hours=-9 * 24 + 0.5 * (number + 1))
    first = driver.run()
    actions.add(500, 'success', hours=-9 * 24)
    actions.pass_time(900)
    second = driver.run()
    assert (first.value(RUNS), second.value(RUNS)) == (150, 151)
    assert not first.series(f'{M}ci.runs')
    assert second.value(f'{M}ci.runs', 'conclusion:success') == 1


@case('C', 'https://github.com/veertuinc/anklet/issues/58')
@pytest.mark.parametrize('is_shown_later', [True, False])
def test_an_earlier_attempt_that_is_not_shown_once(actions, is_shown_later):
    """GitHub answers 404 for an earlier attempt, once.

    A run failed and succeeded when it was run again, before the first refresh. The first request for its first attempt
    is answered with 404, the next one with the attempt.

    Right: `ci.flaky_checks_7d` is absent in the first refresh, because the attempt is unknown, and then 1. If the
    second answer is 404 as well, it is 0: the attempt has no conclusion any more.

    Unchanged: `ci.workflow_runs_7d` is 1.
    """
    row = actions.add(1, 'failure', hours=5)
    actions.run_again(row, 'success', hours=3)
    shown, actions.attempts = actions.attempts, {}
    driver = Driver.of(actions)
    found = [driver.run()]
    actions.attempts = shown if is_shown_later else {}
    for _ in range(2):
        actions.pass_time(900)
        found.append(driver.run())
    flaky = int(is_shown_later)
    assert [run.value(f'{M}ci.flaky_checks_7d') for run in found] == [None, flaky, flaky]
    assert [run.value(RUNS) for run in found] == [1, 1, 1]


@case('B', 'https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs')
@pytest.mark.parametrize(('second', 'flaky'), [('success', 1), ('cancelled', 0)])
def test_a_flaky_run_that_is_run_again_when_the_check_starts(actions, second, flaky):
    """The check starts while a run is in its third attempt.

    The first attempt failed, the second one succeeded. Somebody runs it once more. In a second variant, the second
    attempt was canceled.

    Right: `ci.flaky_checks_7d` is 1: the last attempt that ended succeeded after a failure. In the variant, it is 0.

    Unchanged: `ci.runs_in_progress` is 1.
    """
    row = actions.add(1, 'failure', hours=5)
    actions.run_again(row, second, hours=3)
    actions.run_again(row, None, hours=0.1)
    run = Driver.of(actions).run()
    assert run.value(f'{M}ci.flaky_checks_7d') == flaky
    assert run.value(f'{M}ci.runs_in_progress') == 1
