"""Relations between the figures of workflow runs, and between those of jobs, that hold for all data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.github.job_records import Job
from metta_checks.github.measures import ci, jobs
from metta_checks.github.measures.ci import CiSettings
from metta_checks.github.measures.jobs import Coverage
from metta_checks.github.run_records import EndedAttempt, Run

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
# With fewer shown workflows than there are, so that some are `other`.
SETTINGS = CiSettings(max_workflows=2)
MINUTES = st.integers(0, 7 * 24 * 60)
NAMES = st.sampled_from(['tests', 'lint', 'Lint', 'e2e', 'release'])
CONCLUSIONS = st.sampled_from(['success', 'failure', 'cancelled', 'timed_out', 'skipped', 'startup_failure', ''])
# Numbers of runs or jobs, or sums over them: one row less never raises them.
TOTALS = (
    'ci.workflow_runs_7d',
    'ci.failed_workflows_7d',
    'ci.failed_workflows_24h',
    'ci.timeout_cancellations_7d',
    'ci.flaky_checks_7d',
    'ci.runs_in_progress',
    'ci.runs_queued',
)
Figures = dict[tuple[str, ...], float]


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@st.composite
def runs(draw, number: int) -> Run:
    age, length, attempt = draw(MINUTES), draw(st.integers(0, 500)), draw(st.integers(1, 3))
    conclusion = draw(CONCLUSIONS)
    status = 'completed' if conclusion else draw(st.sampled_from(['queued', 'in_progress', 'waiting']))
    end = min(NOW, ago(age - length))
    name = draw(NAMES)
    # Two workflows may have one name.
    key = f'{name}/{draw(st.integers(1, 2))}'
    branch = draw(st.sampled_from(['main', 'feature']))
    earlier = tuple(EndedAttempt(one, draw(CONCLUSIONS), ago(age), ago(age)) for one in range(1, attempt))
    return Run(
        id=number,
        workflow_key=key,
        workflow=name,
        named=True,
        status=status,
        conclusion=conclusion,
        attempt=attempt,
        branch=branch,
        ended=end if conclusion else None,
        earlier=earlier,
        event='push',
        created=ago(age),
        started=ago(age),
        updated=end,
        own=True,
        sha='abc',
    )


@st.composite
def tables(draw) -> list[Run]:
    return [draw(runs(number)) for number in range(draw(st.integers(0, 8)))]


def of_runs(table: Sequence[Run]) -> Figures:
    """Return the figures of runs, by name and values of tags."""
    samples = [
        *ci.measure(table, SETTINGS, NOW),
        *ci.flakiness(table, SETTINGS),
        *ci.by_branch(table, ('main',), SETTINGS),
    ]
    return {(one.name, *one.tags.values()): one.value for one in samples if one.value is not None}


def parts(found: Figures, name: str) -> list[float]:
    return [value for key, value in found.items() if key[0] == name]


@given(tables())
def test_runs_by_workflow_and_branch_add_up(table):
    shown = of_runs(table)
    assert sum(parts(shown, 'ci.runs_7d')) == shown['ci.workflow_runs_7d',] == len(table)
    assert shown['ci.failed_workflows_24h',] <= shown['ci.failed_workflows_7d',] <= len(table)
    unfinished = sum(not run.finished for run in table)
    assert shown['ci.runs_in_progress',] + shown['ci.runs_queued',] == unfinished
    for name in ('ci.success_rate_pct', 'ci.rerun_rate_pct', 'ci.flaky_rate_pct', 'ci.cancelled_rate_pct'):
        assert all(0 <= value <= 100 for value in parts(shown, name))


@given(tables())
def test_the_order_of_runs_does_not_matter(table):
    shown, again = of_runs(table), of_runs(table[::-1])
    assert shown.keys() == again.keys()
    assert all(abs(shown[key] - again[key]) < 1e-6 for key in shown)


@given(tables(), st.data())
def test_a_run_less_raises_no_total(table, data):
    if not table:
        return
    left = list(table)
    del left[data.draw(st.integers(0, len(table) - 1))]
    shown, less = of_runs(table), of_runs(left)
    assert [name for name in TOTALS if less[name,] > shown[name,]] == []
    assert sum(parts(less, 'ci.run_minutes_7d')) <= sum(parts(shown, 'ci.run_minutes_7d')) + 1e-6


@st.composite
def days(draw) -> list[Job]:
    found = []
    for number in range(draw(st.integers(0, 8))):
        created = draw(st.integers(0, 2000))
        started = draw(st.none() | st.integers(0, created))
        completed = draw(st.integers(0, created if started is None else started))
        found.append(
            Job(
                id=number,
                run=draw(st.integers(1, 3)),
                attempt=draw(st.integers(1, 2)),
                workflow_key=1,
                name=draw(NAMES),
                label=draw(st.sampled_from(['linux', 'gpu+linux', 'none'])),
                conclusion=draw(st.sampled_from(['success', 'failure', 'timed_out', 'cancelled'])),
                created=ago(created),
                started=None if started is None else ago(started),
                completed=ago(completed),
            )
        )
    return found


def of_jobs(found: Sequence[Job]) -> Figures:
    """Return the figures of jobs, all of which are known."""
    samples = jobs.measure(found, frozenset(), Coverage(1, 1), {1: 'tests'}, NOW)
    return {(one.name, *one.tags.values()): one.value for one in samples if one.value is not None}


@given(days(), st.data())
def test_figures_of_jobs_are_those_of_the_same_jobs(found, data):
    shown = of_jobs(found)
    recent = [job for job in jobs.executions(found) if job.completed is not None and job.completed >= ago(24 * 60)]
    assert sum(parts(shown, 'jobs.failed_24h')) == sum(job.conclusion in jobs.FAILED for job in recent)
    assert shown == of_jobs(found[::-1])
    for key, value in shown.items():
        if key[0] == 'jobs.queue_seconds.p50':
            assert value <= shown['jobs.queue_seconds.p90', *key[1:]] <= shown['jobs.queue_seconds.max', *key[1:]]
    if found:
        left = list(found)
        del left[data.draw(st.integers(0, len(found) - 1))]
        less = of_jobs(left)
        for name in ('jobs.failed_24h', 'jobs.minutes_24h'):
            assert sum(parts(less, name)) <= sum(parts(shown, name)) + 1e-6
