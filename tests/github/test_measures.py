"""Definitions of block pull_requests, commits and ci on small cases, among them the mistakes of the first system."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.refresh import Sample
from metta_checks.github.branch_history import BranchHistory, DefaultBranch
from metta_checks.github.measures import ci, commits, default_branch, pull_requests, repository
from metta_checks.github.measures.ci import CiSettings
from metta_checks.github.measures.pull_requests import PullRequests
from metta_checks.github.records import Commit, ForcePush, PullRequest
from metta_checks.github.required_workflows import select
from metta_checks.github.reviews import Reviews
from metta_checks.github.run_records import EndedAttempt, Run
from metta_checks.github.verdicts import MainRuns
from metta_checks.github.workflow_list import WorkflowList

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ('seconds', 'minutes', 'hours', 'days'))
NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)


def values(samples: Iterable[Sample]) -> dict:
    """Return the samples by name, or by name and tags when there are any."""
    return {
        (sample.name, *sorted(sample.tags.items())) if sample.tags else sample.name: sample.value for sample in samples
    }


def pull(number: int, **fields) -> PullRequest:
    base = PullRequest(number, f'PR_{number}', 'open', False, NOW - 5 * DAY, NOW - DAY, checks='', size=1)
    return base._replace(**fields)


def merged(number: int, hours_ago: float = 24, **fields) -> PullRequest:
    return pull(number, state='merged', merged=NOW - hours_ago * HOUR, closed=NOW - hours_ago * HOUR, **fields)


def run(number: int, conclusion: str = 'success', **fields) -> Run:
    base = Run(
        id=number,
        workflow_key='tests',
        workflow='tests',
        named=True,
        status='completed' if conclusion else 'in_progress',
        conclusion=conclusion,
        event='push',
        created=NOW - DAY + number * SECOND,
        started=NOW - DAY + number * SECOND,
        updated=NOW - DAY + number * SECOND + 10 * MINUTE,
        attempt=1,
        own=True,
        branch='main',
        sha='abc',
    )
    row = base._replace(**fields)
    if 'workflow' in fields:
        row = row._replace(workflow_key=fields['workflow'])
    return row._replace(ended=row.updated if row.finished else None)


def ended(number: int, conclusion: str, *, hours_ago: float = 20) -> EndedAttempt:
    return EndedAttempt(number, conclusion, NOW - (hours_ago + 1) * HOUR, NOW - hours_ago * HOUR)


def commit(number: int, headline: str = 'work', **fields) -> Commit:
    return Commit(str(number), NOW - DAY, headline, 10, 5, 2, 1, ('ada',))._replace(**fields)


class TestPullRequests:
    def measure(self, open_=(), closed=()):
        return values(pull_requests.measure(PullRequests(list(open_), list(closed), None), frozenset(), NOW))

    def test_merged_and_closed_by_their_own_time_not_by_their_last_update(self):
        old = merged(1, hours_ago=30 * 24, updated=NOW - HOUR)
        closed_long_ago = pull(2, state='closed', closed=NOW - 30 * DAY, updated=NOW - HOUR)
        result = self.measure(closed=[old, closed_long_ago, merged(3), pull(4, state='closed', closed=NOW - DAY)])
        assert result['prs.merged_7d'] == 1
        assert result['prs.closed_without_merge_7d'] == 1
        assert result['prs.merge_ratio_pct'] == 50

    def test_stale_is_by_inactivity_and_without_drafts(self):
        result = self.measure(
            open_=[
                pull(1, updated=NOW - 15 * DAY),
                pull(2, updated=NOW - 15 * DAY, draft=True),
                pull(3, created=NOW - 90 * DAY, updated=NOW - DAY),
            ]
        )
        assert result['prs.stale_count_14d'] == 1
        assert result['prs.open'] == 3

    def test_cycle_time_begins_when_ready(self):
        result = self.measure(
            closed=[merged(1, hours_ago=10, created=NOW - 100 * HOUR, ready_events=(NOW - 20 * HOUR,))]
        )
        assert result['prs.cycle_time_hours'] == 10
        assert result['prs.avg_time_to_merge_hours'] == 90

    def test_nothing_happened_is_zero_for_counts_and_absent_for_means(self):
        result = self.measure()
        assert result['prs.merged_7d'] == 0
        assert result['prs.merged_by_size_7d', ('size', 'xl')] == 0
        for name in ('prs.avg_time_to_merge_hours', 'prs.cycle_time_hours', 'prs.with_review_comments_pct'):
            assert result[name] is None
        assert result['prs.merge_ratio_pct'] is None
        assert result['prs.age_hours.max'] is None

    def test_comments_of_unknown_number_are_left_out_of_the_mean(self):
        assert self.measure(closed=[merged(1, comments=4), merged(2, comments=None)])['prs.avg_comments_per_pr'] == 4

    def test_review_figures(self):
        reviews = Reviews(NOW - 30 * HOUR, NOW - 28 * HOUR, NOW - 26 * HOUR, has_any=True)
        reviewed = merged(1, reviews=reviews, ready_events=(NOW - 36 * HOUR,))
        bare = merged(2, checks='failure', reviews=Reviews(NOW - 200 * HOUR, change_requests=2))
        result = self.measure(open_=[pull(3, ready_events=(NOW - 50 * HOUR,))], closed=[reviewed, bare])
        assert result['prs.with_review_comments_pct'] == 50
        assert result['prs.merged_without_approval_7d'] == 1
        assert result['prs.merged_red_7d'] == 1
        assert result['prs.review_rounds.avg'] == 1
        assert result['prs.first_approval_hours.p50'] == 8
        assert result['prs.approval_to_merge_hours.p50'] == 2
        assert result['prs.time_to_first_review_hours.avg'] == 6
        assert result['prs.waiting_for_review'] == 1
        assert result['prs.oldest_unreviewed_hours'] == 50

    def test_red_merges_are_unknown_when_the_checks_of_one_are(self):
        assert self.measure(closed=[merged(1, checks='failure'), merged(2, checks=None)])['prs.merged_red_7d'] is None

    def test_hotfixes_by_label_only_when_labels_are_given(self):
        pulls = [merged(1, labels=('bug', 'hotfix')), merged(2, labels=('bug',)), merged(3)]
        labeled = values(pull_requests.measure(PullRequests([], pulls, 0), frozenset({'hotfix', 'urgent'}), NOW))
        assert labeled['prs.hotfix_merged_7d'] == 1
        assert 'prs.hotfix_merged_7d' not in self.measure(closed=pulls)

    def test_open_by_state_adds_up(self):
        opened = [pull(1), pull(2, draft=True), pull(3, decision='approved'), pull(4, decision='something_new')]
        result = self.measure(open_=opened)
        states = [value for key, value in result.items() if key[0] == 'prs.open_by_state']
        assert sum(states) == 4
        assert result['prs.open_by_state', ('draft', 'false'), ('review', 'something_new')] == 1

    @pytest.mark.parametrize(('size', 'name'), [(0, 'xs'), (9, 'xs'), (10, 's'), (50, 'm'), (250, 'l'), (1000, 'xl')])
    def test_sizes(self, size, name):
        assert pull_requests.size_class(size) == name


class TestCommits:
    HOTFIX = (re.compile(r'^\[?hotfix\b', re.IGNORECASE),)

    def measure(self, *rows):
        return values(commits.measure(rows, self.HOTFIX))

    @pytest.mark.parametrize(
        ('headline', 'expected'),
        [
            ('Revert "Add cache"', True),
            ('Revert "Revert "Add cache""', False),
            ('revert: add cache', True),
            ('revert(core): add cache', True),
            ('docs: how to revert', False),
            ('Reverted the polarity', False),
        ],
    )
    def test_reverts(self, headline, expected):
        assert commits.is_revert(headline) is expected

    @pytest.mark.parametrize(
        ('headline', 'expected'), [('[hotfix] x', 1), ('Hotfix: x', 1), ('remove hotfix label', 0), ('hotfixes', 0)]
    )
    def test_hotfix(self, headline, expected):
        assert self.measure(commit(1, headline))['commits.hotfix'] == expected

    def test_merge_commits_count_but_add_no_lines_and_no_people(self):
        result = self.measure(commit(1), commit(2, parents=2, additions=1000, people=('ben',)))
        assert result['commits.total_7d'] == 2
        assert result['code.lines_added_7d'] == 10
        assert result['developers.active_7d'] == 1
        assert result['commits.per_developer_7d'] == 1

    def test_commits_per_developer_are_absent_without_developers(self):
        assert self.measure(commit(1, people=()))['commits.per_developer_7d'] is None
        assert self.measure()['commits.total_7d'] == 0

    def test_one_unknown_number_of_files_makes_their_sum_unknown(self):
        assert self.measure(commit(1, files=None), commit(2))['code.file_changes_7d'] is None
        assert self.measure(commit(1, files=None, parents=2), commit(2))['code.file_changes_7d'] == 2


class TestCi:
    def measure(self, *rows, branch='main', rollups=(), now=NOW, **settings):
        options = CiSettings(**settings)
        main = MainRuns((branch,), options.required_events, ())
        history = BranchHistory(tuple(main.all_verdicts(rows)), explored=tuple({row.workflow_key for row in rows}))
        names = {row.workflow_key: {row.workflow} for row in rows}
        required = select(options.required, names, history, names)
        branch_ = DefaultBranch(
            history, required, select(options.benchmarks, names, history, names), WorkflowList(), False
        )
        samples = [*ci.measure(rows, options, now), *ci.by_branch(rows, (branch,), options)]
        samples += ci.flakiness(rows, options)
        return values([*samples, *default_branch.measure(branch_, rollups, options, now)])

    def test_every_conclusion_is_counted_once(self):
        every = [
            'success', 'failure', 'timed_out', 'startup_failure', 'cancelled', 'skipped', 'neutral', 'stale',
            'action_required', '', 'something_new',
        ]  # fmt: skip
        result = self.measure(*(run(number, conclusion) for number, conclusion in enumerate(every)))
        assert result['ci.workflow_runs_7d'] == len(every)
        assert result['ci.failed_workflows_7d'] == 3
        assert result['ci.timeout_cancellations_7d'] == 1
        assert result['ci.avg_workflow_duration_minutes'] == 10
        assert sum(value for key, value in result.items() if key[0] == 'ci.runs_7d') == len(every)

    def test_duration_is_that_of_the_last_attempt(self):
        again = run(1, attempt=2, created=NOW - 3 * DAY, started=NOW - HOUR, updated=NOW - HOUR + 2 * MINUTE)
        assert self.measure(again)['ci.avg_workflow_duration_minutes'] == 2
        assert self.measure(run(2, started=NOW, updated=NOW - 5 * SECOND))['ci.duration_p50_minutes'] == 0

    @pytest.mark.parametrize(('minutes', 'expected'), [(5, 0), (359, 0), (361, 1)])
    def test_a_canceled_run_timed_out_only_at_its_limit(self, minutes, expected):
        canceled = run(1, 'cancelled', started=NOW, updated=NOW + minutes * MINUTE)
        assert self.measure(canceled)['ci.timeout_cancellations_7d'] == expected
        assert self.measure(canceled, timeouts={'TEST*': 5})['ci.timeout_cancellations_7d'] == 1

    def test_flaky_is_a_success_after_a_failure_of_the_same_run(self):
        result = self.measure(
            run(1, attempt=2, earlier=(ended(1, 'failure'),)),
            run(2, 'failure', attempt=2, earlier=(ended(1, 'failure'),)),
            run(3, attempt=2, earlier=(ended(1, 'cancelled'),)),
            run(4),
        )
        assert result['ci.flaky_checks_7d'] == 1
        assert result['ci.rerun_rate_pct', ('workflow', 'tests')] == 75

    @pytest.mark.parametrize(('values_', 'p99'), [([1], 1), ([1, 2], 1.99), (range(1, 10), 8.92), (range(1, 11), 9.91)])
    def test_percentiles_from_one_value_on_and_never_above_the_maximum(self, values_, p99):
        rows = [run(number, started=NOW, updated=NOW + number * MINUTE) for number in values_]
        assert self.measure(*rows)['ci.duration_p99_minutes'] == pytest.approx(p99)

    def test_tests_on_main_are_not_the_newest_run_of_anything(self):
        rows = [
            run(1),
            run(2, 'failure', own=False),
            run(3, 'failure', workflow='docs'),
            run(4, 'cancelled'),
            run(5, ''),
        ]
        assert self.measure(*rows, required=('tests',))['ci.tests_passing_on_main'] == 1
        assert self.measure(*rows, run(6, 'failure'), required=('tests',))['ci.tests_passing_on_main'] == 0
        assert self.measure(run(1, workflow='docs'), required=('tests',))['ci.tests_passing_on_main'] is None

    def test_without_required_workflows_the_newest_final_checks_decide(self):
        assert self.measure(rollups=('pending', '', 'success', 'failure'))['ci.tests_passing_on_main'] == 1
        assert self.measure(rollups=('pending', 'error'))['ci.tests_passing_on_main'] == 0
        assert self.measure(rollups=('pending',))['ci.tests_passing_on_main'] is None
        assert 'ci.tests_passing_on_main' not in self.measure(rollups=None)

    def test_benchmarks(self):
        assert self.measure(run(1, workflow='GPU Benchmark'))['ci.benchmarks_passing'] == 1
        assert self.measure(run(1))['ci.benchmarks_passing'] is None

    def test_queue(self):
        result = self.measure(
            run(1, '', status='queued', started=NOW - 10 * MINUTE), run(2, '', status='waiting'), run(3, '')
        )
        assert (result['ci.runs_queued'], result['ci.runs_in_progress']) == (2, 1)
        assert result['ci.oldest_queued_minutes'] == 10

    def test_red_time(self):
        rows = [
            run(1, created=NOW - 3 * DAY, updated=NOW - 50 * HOUR),
            run(2, 'failure', created=NOW - 3 * DAY + 1 * SECOND, updated=NOW - 40 * HOUR),
            run(3, 'cancelled', created=NOW - 3 * DAY + 2 * SECOND, updated=NOW - 35 * HOUR),
            run(4, created=NOW - 3 * DAY + 3 * SECOND, updated=NOW - 30 * HOUR),
            run(5, 'failure', created=NOW - 3 * DAY + 4 * SECOND, updated=NOW - 2 * HOUR),
        ]
        result = self.measure(*rows, required=('tests',))
        assert result['main.red_hours_7d'] == 12
        assert result['main.last_green_age_hours'] == 2
        assert result['main.time_to_green_hours.max'] == 10
        assert self.measure(*rows[:4], required=('tests',))['main.last_green_age_hours'] == 0

    def test_red_time_needs_all_required(self):
        rows = [
            run(1, 'failure', created=NOW - 3 * DAY, updated=NOW - 9 * HOUR),
            run(2, 'failure', workflow='lint', created=NOW - 3 * DAY + 1 * SECOND, updated=NOW - 8 * HOUR),
            run(3, created=NOW - 3 * DAY + 2 * SECOND, updated=NOW - 7 * HOUR),
            run(4, workflow='lint', created=NOW - 3 * DAY + 3 * SECOND, updated=NOW - 5 * HOUR),
        ]
        assert self.measure(*rows, required=('tests', 'lint'))['main.red_hours_7d'] == 4

    @given(st.lists(st.sampled_from(['success', 'failure', 'cancelled']), max_size=8), st.randoms())
    def test_red_time_does_not_depend_on_the_order_of_rows(self, conclusions, dice):
        rows = [run(number, conclusion) for number, conclusion in enumerate(conclusions)]
        before = self.measure(*rows, required=('tests',)).get('main.red_hours_7d')
        dice.shuffle(rows)
        assert self.measure(*rows, required=('tests',)).get('main.red_hours_7d') == before

    def test_labels_are_bounded(self):
        rows = [run(number, workflow=f'w{number % 40}') for number in range(100)]
        result = self.measure(*rows, max_workflows=5)
        workflows = {dict(key[1:])['workflow'] for key in result if key[0] == 'ci.runs_7d'}
        assert len(workflows) == 6
        assert 'other' in workflows
        assert sum(value for key, value in result.items() if key[0] == 'ci.runs_7d') == 100


def test_force_pushes_of_the_window():
    pushes = [ForcePush(1, NOW - DAY, 'ada', 'a', 'b'), ForcePush(2, NOW - 8 * DAY, 'ada', 'a', 'b')]
    assert values(repository.force_pushes(pushes, NOW)) == {'commits.force_merge_7d': 1}
