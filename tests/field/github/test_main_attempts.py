"""The state of the default branch while runs are run again, and while it is quiet."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

from ..case import case

M = 'metta.github.'


def titles(run) -> list[str]:
    return [event['msg_title'] for event in run.events]


@case('B', 'https://github.com/airbytehq/airbyte/issues/85378')
def test_a_failed_run_is_run_again_until_it_passes(actions):
    """A required workflow fails, is run again, fails, and passes in the third attempt.

    Run 2 of the required workflow fails on the default branch. Its second attempt is seen in progress, then failed,
    and its third attempt passes five and a half hours after the first failure.

    Right: The branch is red all the time: `ci.tests_passing_on_main` is 0 until the third attempt ends,
    `main.red_hours_7d` and `main.time_to_green_hours.max` are 5.5, and there are one event "red" and one event
    "green again".

    Unchanged: `ci.workflow_runs_7d` is 2. Each attempt is counted once in `ci.runs`.
    """
    actions.add(1, 'success', hours=4)
    row = actions.add(2, None, hours=0.2)
    driver = Driver.of(actions, required_workflows=['tests'])
    assert driver.run().value(f'{M}ci.tests_passing_on_main') == 1

    def refresh(seconds: float = 900):
        actions.pass_time(seconds)
        return driver.run()

    actions.end(row, 'failure', hours=-0.2)
    found = [refresh()]
    actions.run_again(row, None, hours=-0.3)
    found.append(refresh())
    actions.end(row, 'failure', hours=-0.6)
    found.append(refresh())
    actions.run_again(row, 'success', hours=-5.5, minutes=12)
    found.append(refresh(6 * 3600))
    states = [run.value(f'{M}ci.tests_passing_on_main') for run in found]
    assert states == [0, 0, 0, 1]
    assert [titles(run) for run in found] == [['metta/one: main is red'], [], [], ['metta/one: main is green again']]
    assert found[-1].value(f'{M}main.red_hours_7d') == pytest.approx(5.5)
    assert found[-1].value(f'{M}main.time_to_green_hours.max') == pytest.approx(5.5)
    assert [run.value(f'{M}ci.runs', 'conclusion:failure') for run in found] == [1, None, 1, None]
    assert found[-1].value(f'{M}ci.runs', 'conclusion:success') == 1
    assert found[-1].value(f'{M}ci.workflow_runs_7d') == 2


@case('B', 'https://github.com/Agoric/agoric-sdk/issues/12285')
def test_a_canceled_second_attempt(actions):
    """A failed run is run again, and the second attempt is canceled.

    The check starts when both attempts have ended.

    Right: `ci.tests_passing_on_main` is 0: the last attempt that passed or failed has failed.

    Unchanged: `ci.failed_workflows_7d` is 0, because the run is shown as canceled.
    """
    row = actions.add(1, 'failure', hours=5)
    actions.run_again(row, 'cancelled', hours=3)
    run = Driver.of(actions, required_workflows=['tests']).run()
    assert run.value(f'{M}ci.tests_passing_on_main') == 0
    assert run.value(f'{M}ci.failed_workflows_7d') == 0
    assert run.value(f'{M}main.red_hours_7d') == pytest.approx(5 - 1 / 6)


@case('B', 'https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs')
def test_a_start_while_a_failed_run_is_run_again(actions):
    """The check starts while the second attempt of the newest run is in progress.

    The first attempt failed four hours ago. GitHub's list shows the second attempt only.

    Right: `ci.tests_passing_on_main` is 0, and `main.red_hours_7d` is 4: the first attempt is asked for.

    Unchanged: One request more than for a run of one attempt.
    """
    row = actions.add(1, 'failure', hours=4 + 1 / 6)
    actions.run_again(row, None, hours=0.1)
    run = Driver.of(actions, required_workflows=['tests']).run()
    assert run.value(f'{M}ci.tests_passing_on_main') == 0
    assert run.value(f'{M}main.red_hours_7d') == pytest.approx(4)
    assert [path for path in actions.asked() if path == '1'] == ['1']


@case('B', 'https://github.com/Team-Commonly/commonly/pull/1281')
def test_a_run_that_is_run_again_under_the_number_of_its_attempt(actions):
    """A run is queued again while GitHub still shows the number of its ended attempt.

    Run 2 failed. For a while after the button was pressed it is shown as queued, with attempt 1, and then as attempt
    2, which passes.

    Right: `ci.tests_passing_on_main` stays 0 until the second attempt has passed, and the run is flaky then.

    Unchanged: One event "red" and one event "green again".
    """
    actions.add(1, 'success', hours=4)
    driver = Driver.of(actions, required_workflows=['tests'])
    driver.run()
    row = actions.add(2, 'failure', hours=0)
    actions.pass_time(900)
    found = [driver.run()]
    row.update(status='queued', conclusion=None, updated_at='2026-11-24T18:20:00Z')
    actions.pass_time(900)
    found.append(driver.run())
    row.update(status='completed', conclusion='failure')
    actions.run_again(row, 'success', hours=-0.55)
    actions.pass_time(900)
    found.append(driver.run())
    assert [run.value(f'{M}ci.tests_passing_on_main') for run in found] == [0, 0, 1]
    assert [len(run.events) for run in found] == [1, 0, 1]
    assert found[-1].value(f'{M}ci.flaky_checks_7d') == 1


@case('B')
def test_red_for_eight_days_without_a_run(actions):
    """The default branch fails, and nothing runs for eight days.

    The required workflow passed and then failed. No run begins after that, on any branch.

    Right: `ci.tests_passing_on_main` is 0, and `main.red_hours_7d` is 168, the whole window. A check that starts on
    the eighth day reports the same.

    Unchanged: `ci.workflow_runs_7d` is 0.
    """
    actions.add(1, 'success', hours=3)
    actions.add(2, 'failure', hours=2)
    driver = Driver.of(actions, required_workflows=['tests'])
    driver.run()
    actions.pass_time(8 * 86400)
    for found in (driver.run(), Driver.of(actions, required_workflows=['tests'], max_workflows=29).run()):
        assert found.value(f'{M}ci.tests_passing_on_main') == 0
        assert found.value(f'{M}main.red_hours_7d') == pytest.approx(168)
        assert found.value(f'{M}ci.workflow_runs_7d') == 0
        assert found.events == []


@case('B')
def test_a_weekly_workflow_that_fails_for_ten_days(actions):
    """A workflow that runs every week has failed for ten days, in a repository with many other runs.

    It passed 17 days ago, and failed 10 days and 3 days ago. The 150 newest runs are of another workflow.

    Right: `main.red_hours_7d` is 168 in the first refresh of the check: the runs of this workflow before the window
    are asked for.

    Unchanged: `ci.workflow_runs_7d` is 151.
    """
    for number, days in enumerate((17, 10, 3)):
        actions.add(number, 'failure' if days < 17 else 'success', hours=24 * days, workflow=7, name='weekly')
    for number in range(150):
        actions.add(100 + number, 'success', hours=number / 3)
    run = Driver.of(actions, required_workflows=['weekly']).run()
    assert run.value(f'{M}main.red_hours_7d') == pytest.approx(168)
    assert run.value(f'{M}ci.workflow_runs_7d') == 151


@case('B', 'https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule')
def test_a_nightly_failure_outlives_the_window(actions):
    """A nightly workflow is switched off after a failure, while another one goes on.

    The required workflow failed nine days ago. Runs of another workflow come every day.

    Right: `ci.tests_passing_on_main` is 0 for all of the nine days.

    Unchanged: There is one event, when the branch turned red.
    """
    actions.add(1, 'success', hours=30)
    actions.add(2, 'success', hours=1, workflow=2, name='lint')
    driver = Driver.of(actions, required_workflows=['tests'])
    driver.run()
    actions.add(3, 'failure', hours=0)
    events = []
    for day in range(1, 10):
        actions.pass_time(86400)
        actions.add(10 + day, 'success', hours=1 - 24 * day, workflow=2, name='lint')
        found = driver.run()
        events += titles(found)
        assert found.value(f'{M}ci.tests_passing_on_main') == 0
    assert events == ['metta/one: main is red']
