"""Figures of workflow runs and of the default branch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta

from github.WorkflowRun import WorkflowRun

from . import jobs
from .default_branch import DefaultBranch, is_of_default_branch
from .reading import Reading, Row, mean, percentile, spread
from .runs import FAILED, Runs

EXECUTED = ('success', 'failure', 'timed_out')
QUEUED = ('queued', 'requested', 'pending', 'waiting')
SHOWN_WORKFLOWS = 30
BENCHMARKS = ('*benchmark*',)


def rows(reading: Reading) -> Iterator[Row]:
    """Yield the figures of the workflow runs and of the default branch."""
    runs = Runs.read(reading)
    yield from _totals(runs)
    yield from _now(runs)
    yield from _by_workflow(runs)
    required = list(reading.option('required_workflows', ()))
    benchmarks = list(reading.option('benchmark_workflows', BENCHMARKS))
    # Nobody waits for the default ones, which few repositories have.
    followed = [*required, *(benchmarks if benchmarks != list(BENCHMARKS) else ())]
    branch = DefaultBranch(reading, runs.rows, runs.attempts, runs.names, followed)
    yield 'ci.tests_passing_on_main', branch.passing(required) if required else branch.rollup(), {}
    yield 'ci.benchmarks_passing', branch.passing(benchmarks), {}
    if required:
        yield from branch.red_and_green(required)
    if reading.option('jobs', False):
        yield from jobs.rows(reading, runs)


def _totals(runs: Runs) -> Iterator[Row]:
    now = runs.reading.now
    yield 'ci.workflow_runs_7d', len(runs.rows), {}
    failed = [run for run in runs.rows if run.conclusion in FAILED]
    yield 'ci.failed_workflows_7d', len(failed), {}
    yield 'ci.failed_workflows_24h', sum(run.created_at >= now - timedelta(hours=24) for run in failed), {}
    yield 'ci.timeout_cancellations_7d', sum(map(runs.timed_out, runs.rows)), {}
    yield 'ci.flaky_checks_7d', sum(map(runs.is_flaky, runs.rows)), {}
    minutes = runs.lengths([run for run in runs.rows if run.conclusion in EXECUTED])
    yield 'ci.avg_workflow_duration_minutes', mean(minutes), {}
    for percent in (50, 90, 99):
        yield f'ci.duration_p{percent}_minutes', percentile(minutes, percent), {}


def _now(runs: Runs) -> Iterator[Row]:
    statuses = Counter(run.status for run in runs.rows)
    yield 'ci.runs_in_progress', statuses['in_progress'], {}
    yield 'ci.runs_queued', sum(statuses[status] for status in QUEUED), {}
    waiting = [run.run_started_at for run in runs.rows if run.status in ('queued', 'pending')]
    oldest = (runs.reading.now - min(waiting)) / timedelta(minutes=1) if waiting else None
    yield 'ci.oldest_queued_minutes', oldest, {}


def _by_workflow(runs: Runs) -> Iterator[Row]:
    numbers = Counter(runs.name(run) for run in runs.rows)
    limit = int(runs.reading.option('max_workflows', SHOWN_WORKFLOWS))
    shown = sorted(numbers, key=lambda name: (-numbers[name], name))[:limit]
    groups: dict[str, list[WorkflowRun]] = defaultdict(list)
    for run in runs.rows:
        name = runs.name(run)
        groups[name if name in shown else 'other'].append(run)
    for name, group in groups.items():
        yield from _of_workflow(runs, group, {'workflow': name})


def _of_workflow(runs: Runs, group: list[WorkflowRun], tags: Mapping[str, str]) -> Iterator[Row]:
    branches: dict[str, list[str]] = {'default': [], 'other': []}
    for run in group:
        kind = 'default' if is_of_default_branch(runs.reading, run) else 'other'
        branches[kind].append(run.conclusion or 'none')
    for kind, conclusions in branches.items():
        for conclusion, number in Counter(conclusions).items():
            yield 'ci.runs_7d', number, {**tags, 'branch_type': kind, 'conclusion': conclusion}
        good, bad = conclusions.count('success'), sum(one in FAILED for one in conclusions)
        yield 'ci.success_rate_pct', _share(good, good + bad), {**tags, 'branch_type': kind}
    executed = [run for run in group if run.conclusion in EXECUTED]
    finished = [run for run in group if run.conclusion]
    yield from spread('ci.run_duration_minutes', runs.lengths(executed), ('p50', 'p90'), tags)
    yield 'ci.run_minutes_7d', sum(runs.lengths(finished)), tags
    yield 'ci.rerun_rate_pct', _share(sum(run.run_attempt > 1 for run in executed), len(executed)), tags
    yield 'ci.flaky_rate_pct', _share(sum(map(runs.is_flaky, executed)), len(executed)), tags
    cancelled = sum(run.conclusion == 'cancelled' for run in finished)
    yield 'ci.cancelled_rate_pct', _share(cancelled, len(finished)), tags


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
