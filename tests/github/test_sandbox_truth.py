"""The truth of the sandbox in situations whose figures are computed by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from metta_checks.testing import as_truth
from sandbox.github.model import Deployment, DeploymentStatus, History, Review, Run
from sandbox.github.runs import BY_NAME
from sandbox.github.service import GitHubService

from .served import github_service

METTA = ('org:metta-ai', 'repo:metta-ai/metta')
HOUR = timedelta(hours=1)


@pytest.fixture
def service() -> GitHubService:
    """Return a small service without a workflow run."""
    made = github_service(scale=0.02)
    made.metta.runs = History[Run]([], 0, lambda _: pytest.fail('no run is that old'), lambda run: run.created_at)
    return made


def run(service: GitHubService, name: str, hours_ago: float, conclusion: str, minutes: float = 6) -> Run:
    """Add a finished run of the default branch that began that long ago."""
    maker = service.makers['metta'].runs
    begun = service.clock.now() - hours_ago * HOUR
    made = maker.number(maker.finished(begun, BY_NAME[name], conclusion, minutes=minutes, on_main=True))
    made.event, made.is_reviewed = 'push', False
    service.metta.runs.recent.append(made)
    service.metta.runs.sort()
    return made


def again(made: Run, begun: datetime, conclusion: str, minutes: float = 6) -> None:
    made.run_again(begun)
    made.status, made.conclusion, made.updated_at = 'completed', conclusion, begun + timedelta(minutes=minutes)


def figure(service: GitHubService, name: str, *tags: str, **options) -> float | None:
    now = service.clock.now()
    found = as_truth([*service.truth(now), *service.optional_truth(now, **options)])
    return found.get((f'metta.github.{name}', tuple(sorted((*tags, *METTA)))))


def test_a_run_that_is_run_again_stays_red_until_it_passes(service):
    """Red from the first failure to the third attempt: 5.5 hours."""
    run(service, 'lint', 30, 'success')
    run(service, 'tests', 20, 'success')
    broken = run(service, 'tests', 10.1, 'failure')
    again(broken, broken.updated_at + HOUR, 'failure')
    again(broken, broken.earlier[0].ended_at + 5.4 * HOUR, 'success')
    assert figure(service, 'main.red_hours_7d') == pytest.approx(5.5)
    assert figure(service, 'main.time_to_green_hours.max') == pytest.approx(5.5)
    assert figure(service, 'ci.tests_passing_on_main') == 1
    assert figure(service, 'ci.flaky_checks_7d') == 1


def test_a_second_attempt_that_runs_or_is_canceled_leaves_the_branch_red(service):
    run(service, 'lint', 30, 'success')
    run(service, 'tests', 20, 'success')
    broken = run(service, 'tests', 4.1, 'failure')
    broken.run_again(service.clock.now() - HOUR)
    assert figure(service, 'ci.tests_passing_on_main') == 0
    broken.status, broken.conclusion = 'completed', 'cancelled'
    assert figure(service, 'ci.tests_passing_on_main') == 0
    assert figure(service, 'main.red_hours_7d') == pytest.approx(4)
    assert figure(service, 'main.last_green_age_hours') == pytest.approx(4)
    assert figure(service, 'ci.flaky_checks_7d') == 0


def test_a_success_that_is_run_again_is_not_flaky(service):
    for conclusion in ('success', 'cancelled'):
        made = run(service, 'tests', 20, conclusion)
        again(made, service.clock.now() - HOUR, 'success')
    assert figure(service, 'ci.flaky_checks_7d') == 0
    assert figure(service, 'ci.rerun_rate_pct', 'workflow:tests') == 100


def test_an_older_run_does_not_decide_however_late_it_is_run_again(service):
    run(service, 'lint', 30, 'success')
    old = run(service, 'tests', 20, 'success')
    run(service, 'tests', 10, 'failure')
    again(old, service.clock.now() - HOUR, 'success')
    assert figure(service, 'ci.tests_passing_on_main') == 0


def test_two_files_of_one_name_must_both_pass_until_one_is_deleted(service):
    run(service, 'lint', 30, 'success')
    other = run(service, 'docs', 10, 'failure')
    other.name = 'tests'
    run(service, 'tests', 5, 'success')
    assert figure(service, 'ci.tests_passing_on_main') == 0
    service.metta.deleted_files.add(other.path)
    assert figure(service, 'ci.tests_passing_on_main') == 1


def test_a_branch_that_was_red_before_the_week_is_red_all_week(service):
    run(service, 'lint', 30, 'success')
    run(service, 'tests', 24 * 10, 'failure')
    assert figure(service, 'main.red_hours_7d') == pytest.approx(168)
    assert figure(service, 'main.last_green_age_hours') is None


def test_the_merge_queue_passes_the_branch_but_does_not_fail_it(service):
    run(service, 'lint', 30, 'success')
    run(service, 'tests', 20, 'failure')
    for hours_ago, conclusion, state in ((10, 'failure', 0), (5, 'success', 1), (2, 'failure', 1)):
        queued = run(service, 'tests', hours_ago, conclusion)
        queued.event, queued.head_branch, queued.head_sha = 'merge_group', 'gh-readonly-queue/main/pr-7', '0' * 40
        assert figure(service, 'ci.tests_passing_on_main') == state


def test_a_pattern_that_matches_nothing_leaves_the_state_unknown(service):
    run(service, 'tests', 20, 'success')
    run(service, 'lint', 20, 'success')
    assert figure(service, 'ci.tests_passing_on_main') == 1
    service.required_workflows = ('tests', 'lnit')
    assert figure(service, 'ci.tests_passing_on_main') is None
    assert figure(service, 'main.red_hours_7d') is None


def test_deleted_accounts_approve_as_others_and_comment_as_themselves(service):
    names = ('prs.merged_7d', 'prs.merged_without_approval_7d', 'prs.with_review_comments_pct')
    moment = service.clock.now() - HOUR
    merges = [pull for pull in service.metta.pulls.values() if pull.merged_at and pull.merged_at > moment - 168 * HOUR]
    for pull in merges:
        pull.author, pull.reviews = None, []
    expected = {'COMMENTED': (len(merges), 0), 'APPROVED': (len(merges) - 1, 100 / len(merges))}
    for state, (without, share) in expected.items():
        merged_at = merges[0].merged_at
        assert merged_at is not None
        merges[0].reviews = [Review(1, None, state, merged_at - timedelta(minutes=1))]
        assert [figure(service, name) for name in names] == [len(merges), without, pytest.approx(share)]


def test_a_rollback_is_a_repair_and_each_commit_counts_once(service):
    now, commits = service.clock.now(), service.metta.commits
    service.metta.deployments.clear()
    # Hours before now, place of the commit: the third one goes back to the first.
    for number, (hours_ago, place) in enumerate(((60, 5), (40, 3), (30, 5), (10, 3), (5, 2))):
        end = now - hours_ago * HOUR
        statuses = [DeploymentStatus('SUCCESS', end), DeploymentStatus('INACTIVE', end + HOUR)]
        service.metta.deployments.append(Deployment(number, 'production', commits[place], end - HOUR, statuses))
    failed = [DeploymentStatus('FAILURE', now - 3 * HOUR)]
    service.metta.deployments.append(Deployment(9, 'production', commits[1], now - 4 * HOUR, failed))
    for place in (2, 3, 4):
        commits[place].message, commits[place].parents = f'Tune {place}', ('one',)

    def delivered(name: str) -> float | None:
        return figure(service, f'dora.{name}', 'environment:production', dora={'source': 'deployments'})

    assert delivered('deployments_30d') == 5
    assert delivered('failed_deployments_30d') == 1
    assert delivered('failed_changes_30d') == 1
    assert delivered('change_failure_rate_pct_30d') == 20
    assert delivered('recovery_hours.max') == pytest.approx(10)
    # Commits 4 and 3 by the second deployment, 2 by the last one.
    assert delivered('lead_time_commits_30d') == 3
    commits[2].message = 'hotfix: pin numpy'
    # The deployment before the hotfix failed, too.
    assert delivered('failed_changes_30d') == 2
    assert delivered('recovery_hours.p50') == pytest.approx(7.5)
