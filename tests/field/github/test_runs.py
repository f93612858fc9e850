"""Workflow runs: attempts between two refreshes, flakiness, run time, and lists that lack rows."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import INSTALLATION_TOKEN, ago

from ..case import case

M = 'metta.github.'
RUNS = f'{M}ci.workflow_runs_7d'


@case('B', 'https://github.com/cloudposse/atmos/pull/3040')
def test_two_attempts_between_two_refreshes(actions):
    """A run fails and passes when run again, both between two refreshes.

    A workflow restarts failed runs at once. The check sees the run for the first time in its second attempt.

    Right: `ci.runs` counts one failure and one success, and `ci.flaky_checks_7d` is 1: the first attempt is asked for.

    Unchanged: `ci.workflow_runs_7d` is 1.
    """
    driver = Driver.of(actions)
    driver.run()
    row = actions.add(1, 'failure', hours=0, run_started_at=ago(hours=0), updated_at=ago(minutes=-2))
    actions.run_again(row, 'success', hours=-0.05, minutes=3)
    actions.pass_time(900)
    run = driver.run()
    assert run.value(f'{M}ci.runs', 'conclusion:failure') == 1
    assert run.value(f'{M}ci.runs', 'conclusion:success') == 1
    assert (run.value(f'{M}ci.flaky_checks_7d'), run.value(RUNS)) == (1, 1)


@case('B', 'https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run-attempt')
def test_an_attempt_that_is_not_seen_again(actions):
    """A run jumps from its first attempt to the third between two refreshes.

    The first attempt was seen in progress. It failed, the second one failed, the third one is in progress.

    Right: `ci.runs` counts two failures, each once, and then one success.

    Unchanged: `ci.runs_in_progress` is 1, then 0.
    """
    row = actions.add(1, None, hours=0.1)
    driver = Driver.of(actions)
    driver.run()
    actions.end(row, 'failure', hours=-0.05)
    actions.run_again(row, 'failure', hours=-0.1, minutes=3)
    actions.run_again(row, None, hours=-0.2)
    actions.pass_time(900)
    first = driver.run()
    actions.end(row, 'success', hours=-0.3)
    actions.pass_time(900)
    second = driver.run()
    assert first.value(f'{M}ci.runs', 'conclusion:failure') == 2
    assert second.value(f'{M}ci.runs', 'conclusion:success') == 1
    assert second.value(f'{M}ci.runs', 'conclusion:failure') is None
    assert [run.value(f'{M}ci.runs_in_progress') for run in (first, second)] == [1, 0]


@case('B', 'https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs')
@pytest.mark.parametrize(
    ('conclusions', 'flaky'),
    [
        (('failure', 'success'), 1),
        (('timed_out', 'success'), 1),
        (('failure', 'cancelled', 'success'), 1),
        (('success', 'success'), 0),
        (('cancelled', 'success'), 0),
        (('failure', 'failure'), 0),
    ],
)
def test_flaky_runs(actions, conclusions, flaky):
    """Runs that are run again for other reasons than a failure.

    Somebody runs a successful run again, for example to deploy once more, or one that was canceled.

    Right: `ci.flaky_checks_7d` counts a run only when it failed and then succeeded. The check starts when all attempts
    have ended.

    Unchanged: `ci.rerun_rate_pct` is 100.
    """
    row = actions.add(1, conclusions[0], hours=5)
    for number, conclusion in enumerate(conclusions[1:]):
        actions.run_again(row, conclusion, hours=4 - number)
    run = Driver.of(actions).run()
    assert run.value(f'{M}ci.flaky_checks_7d') == flaky
    assert run.value(f'{M}ci.flaky_rate_pct', 'workflow:tests') == 100 * flaky
    assert run.value(f'{M}ci.rerun_rate_pct', 'workflow:tests') == 100


@case('C', 'https://github.com/max-sixty/tend/issues/348')
@pytest.mark.parametrize('rows', [0, 1])
def test_a_list_that_lacks_rows_once(actions, rows):
    """The list of runs is empty, or lacks its newest rows, in one refresh.

    Three runs have ended, the newest of them with a failure of the required workflow. One answer lacks two or all of
    them; the next one is complete.

    Right: `ci.workflow_runs_7d` stays 3, `ci.tests_passing_on_main` stays 0, and no event and no `ci.runs` is sent.

    Unchanged: `ci.failed_workflows_7d` is 1.
    """
    actions.add(1, 'success', hours=5)
    actions.add(2, 'success', hours=4)
    actions.add(3, 'failure', hours=3)
    driver = Driver.of(actions, required_workflows=['tests'])
    driver.run()
    known, actions.runs = actions.runs, actions.runs[:rows]
    found = []
    for _ in range(3):
        actions.pass_time(900)
        found.append(driver.run())
        actions.runs = known
    for run in found:
        assert (run.value(RUNS), run.value(f'{M}ci.failed_workflows_7d')) == (3, 1)
        assert (run.value(f'{M}ci.tests_passing_on_main'), run.events) == (0, [])
        assert not run.series(f'{M}ci.runs')


@case('C', 'https://github.com/styfle/cancel-workflow-action/issues/150')
def test_a_run_that_is_deleted_and_one_that_returns(actions):
    """Two refreshes in a row lack a run.

    The run was deleted. In a second part, it returns: GitHub's list was wrong for half an hour.

    Right: `ci.workflow_runs_7d` is 2, 2, 1: the run is gone with the second look. When it returns, it is 2 again, and
    `ci.runs` does not count it again.

    Unchanged: No event is sent.
    """
    row = actions.add(1, 'success', hours=5)
    actions.add(2, 'success', hours=4)
    driver = Driver.of(actions)
    found = [driver.run()]
    actions.runs.remove(row)
    for _ in range(2):
        actions.pass_time(900)
        found.append(driver.run())
    actions.runs.append(row)
    actions.pass_time(900)
    found.append(driver.run())
    assert [run.value(RUNS) for run in found] == [2, 2, 1, 2]
    assert not any(run.events or run.series(f'{M}ci.runs') for run in found)


@case('B', 'https://github.com/fchimpan/gh-workflow-stats/issues/11')
def test_a_run_that_waits_for_an_approval(actions):
    """A deployment waits 20 hours for somebody to approve the environment.

    The list shows the start of the run and its last change, between which it waited.

    Right: The run is in no duration: `ci.avg_workflow_duration_minutes` and `ci.duration_p99_minutes` are 10, as for
    the other run. The `deploy` workflow has no duration.

    Unchanged: `ci.workflow_runs_7d` is 2.
    """
    actions.add(1, 'success', hours=30)
    actions.add(2, 'success', hours=25, workflow=2, name='deploy', updated_at=ago(hours=5))
    run = Driver.of(actions).run()
    assert run.value(f'{M}ci.avg_workflow_duration_minutes') == 10
    assert run.value(f'{M}ci.duration_p99_minutes') == 10
    assert run.value(f'{M}ci.run_duration_minutes.p50', 'workflow:deploy') is None
    assert run.value(RUNS) == 2


@case('B', 'https://docs.github.com/en/actions/how-tos/deploy/configure-and-manage-deployments/review-deployments')
def test_a_canceled_run_that_waited(actions):
    """A run waits 20 hours for an approval, and is canceled.

    No job of it began.

    Right: `ci.timeout_cancellations_7d` is 0: it did not run for longer than its time limit of six hours.

    Unchanged: A run that was canceled after 361 minutes counts.
    """
    actions.add(1, 'cancelled', hours=25, updated_at=ago(hours=5))
    assert Driver.of(actions).run().value(f'{M}ci.timeout_cancellations_7d') == 0
    actions.add(2, 'cancelled', hours=25, updated_at=ago(hours=25, minutes=-361))
    assert Driver.of(actions, max_workflows=29).run().value(f'{M}ci.timeout_cancellations_7d') == 1


@case('B', 'https://github.com/cli/cli/issues/7903')
def test_a_run_that_changes_days_after_its_end(actions):
    """GitHub changes a run after its end.

    `updated_at` moves two days after the end, for example when the logs are deleted.

    Right: `ci.avg_workflow_duration_minutes` stays 10: the end is the one that was seen first.

    Unchanged: `ci.runs` does not count the run again.
    """
    row = actions.add(1, 'success', hours=3)
    driver = Driver.of(actions)
    assert driver.run().value(f'{M}ci.avg_workflow_duration_minutes') == 10
    actions.pass_time(2 * 86400)
    row['updated_at'] = ago(hours=-40)
    run = driver.run()
    assert run.value(f'{M}ci.avg_workflow_duration_minutes') == 10
    assert not run.series(f'{M}ci.runs')


@case('B', 'https://docs.github.com/en/actions/concepts/workflows-and-actions/concurrency')
def test_a_run_behind_another_one_of_its_concurrency_group(actions):
    """A run waits for another one of its concurrency group.

    It waits half an hour, and then takes ten minutes. One refresh sees it with status pending. `run_started_at` is
    the time at which it was queued.

    Right: The run is in no duration, and `ci.avg_workflow_duration_minutes` is 10, as for the other run.

    Unchanged: `ci.workflow_runs_7d` is 2, and `ci.runs` counts it.
    """
    actions.add(1, 'success', hours=3)
    row = actions.add(2, None, hours=0.3, status='pending')
    driver = Driver.of(actions)
    driver.run()
    actions.end(row, 'success', hours=-0.4)
    actions.pass_time(1800)
    run = driver.run()
    assert run.value(f'{M}ci.avg_workflow_duration_minutes') == 10
    assert run.value(RUNS) == 2
    assert run.value(f'{M}ci.runs', 'conclusion:success') == 1


@case('B', 'https://docs.github.com/en/rest/actions/workflow-runs#re-run-a-workflow')
def test_an_old_run_that_is_queued_again(actions):
    """Somebody runs a run of last Thursday again.

    The second attempt has been queued for three minutes.

    Right: `ci.oldest_queued_minutes` is 3, not five days: the second attempt waits.

    Unchanged: `ci.runs_queued` is 1.
    """
    row = actions.add(1, 'failure', hours=120)
    actions.run_again(row, None, hours=0.05)
    row['status'] = 'queued'
    run = Driver.of(actions).run()
    assert run.value(f'{M}ci.oldest_queued_minutes') == pytest.approx(3)
    assert run.value(f'{M}ci.runs_queued') == 1


@case('A', 'https://docs.github.com/en/code-security/dependabot/working-with-dependabot/dependabot-on-actions')
def test_the_runs_of_dependabot(actions):
    """Dependabot gives each of its runs another name.

    GitHub runs its own workflow dynamic/dependabot/dependabot-updates for each update.

    Right: The tag `workflow` has one value for all of them, the last part of the path.

    Unchanged: `ci.workflow_runs_7d` is 3.
    """
    path = 'dynamic/dependabot/dependabot-updates'
    for number in range(3):
        actions.add(number, 'success', hours=number, workflow=5, name=f'pip in /part-{number}', path=path)
    run = Driver.of(actions).run()
    assert run.value(f'{M}ci.runs_7d', 'workflow:dependabot-updates') == 3
    assert run.value(RUNS) == 3


@case(
    'J',
    'https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate',
)
def test_a_repository_without_a_change(actions):
    """No run changes between refreshes.

    GitHub confirms an unchanged list with 304, which does not count against the rate limit, for the same address and
    the same token.

    Right: Each refresh sends one request for runs, which is answered with 304. With a renewed token it is answered
    with 200 once, and the figures are the same.

    Unchanged: Runs leave the window although the list stays the same.
    """
    for number in range(80):
        actions.add(number, 'success', hours=2 * number)
    driver = Driver.of(actions)
    driver.run()

    def statuses() -> list[int]:
        found = [entry.status for entry in actions.log if entry.path.endswith('/actions/runs')]
        actions.log.clear()
        return found

    assert statuses() == [200]
    for _ in range(3):
        actions.pass_time(900)
        assert driver.run().value(RUNS) == 80
        assert statuses() == [304]
    renewed = Driver.of(actions, token=INSTALLATION_TOKEN)
    assert renewed.run().value(RUNS) == 80
    assert statuses() == [200]
    actions.pass_time(900)
    renewed.run()
    assert statuses() == [304]
    actions.pass_time(2 * 86400)
    assert renewed.run().require(RUNS) < 80
    assert statuses() == [304]
