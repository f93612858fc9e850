"""The true figures of workflow runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import mean

from . import truth_main
from .model import Repository, Run
from .spread import Row, spread

WEEK = timedelta(days=7)
FAILED = ('failure', 'timed_out', 'startup_failure')
EXECUTED = ('success', 'failure', 'timed_out')
TIME_LIMIT_MINUTES = 360
# An attempt that seems to take longer has waited for somebody, or was changed after its end.
LONGEST_MINUTES = TIME_LIMIT_MINUTES + 60
LABELS = 30
NEWEST_COMMITS = 20


def minutes(run: Run) -> float:
    """Return the length of the last attempt in minutes."""
    return max(0.0, (run.updated_at - run.run_started_at).total_seconds() / 60)


def times(runs: list[Run]) -> list[float]:
    """Return the lengths of the last attempts in minutes, where they are known."""
    return [minutes(run) for run in runs if is_timed(run)]


def is_timed(run: Run) -> bool:
    """Return whether the last attempt ran all the time: it did not wait, and is not too long for that."""
    return not run.waited and minutes(run) <= LONGEST_MINUTES


def flaky(run: Run) -> bool:
    """Return whether the last attempt that ended succeeded after one that failed."""
    ended = [one.conclusion for one in run.attempts() if one.conclusion is not None]
    return ended[-1:] == ['success'] and any(conclusion in FAILED for conclusion in ended)


def labels(runs: list[Run]) -> dict[int, str]:
    """Return the names of the workflows by their number: that of the newest run with a name, else of the file."""
    found: dict[int, str] = {}
    for run in sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True):
        if run.name and run.workflow_id not in found:
            found[run.workflow_id] = run.name
    for run in runs:
        found.setdefault(run.workflow_id, run.path.split('/')[-1] or 'unknown')
    return found


def rollup_state(repository: Repository) -> float | None:
    """Return 1 if the newest commit with completed checks passed them, else 0; None without one."""
    for index in range(min(NEWEST_COMMITS, len(repository.commits))):
        rollup = repository.commits[index].rollup
        if rollup in ('SUCCESS', 'FAILURE', 'ERROR'):
            return float(rollup == 'SUCCESS')
    return None


def rows(repository: Repository, now: datetime, required: tuple[str, ...]) -> Iterator[Row]:
    """Compute all figures of the runs of the last week."""
    runs = [run for run in repository.runs.recent if now - WEEK <= run.created_at <= now]
    executed = [run for run in runs if run.conclusion in EXECUTED]
    failed = [run for run in runs if run.conclusion in FAILED]

    yield 'ci.workflow_runs_7d', len(runs), {}
    yield 'ci.failed_workflows_7d', len(failed), {}
    yield 'ci.failed_workflows_24h', sum(run.created_at >= now - timedelta(hours=24) for run in failed), {}
    stopped = [
        run
        for run in runs
        if run.conclusion == 'timed_out'
        or (run.conclusion == 'cancelled' and is_timed(run) and minutes(run) >= TIME_LIMIT_MINUTES)
    ]
    yield 'ci.timeout_cancellations_7d', len(stopped), {}
    yield 'ci.flaky_checks_7d', sum(map(flaky, runs)), {}
    names = labels(runs)
    branch = truth_main.DefaultBranch(repository, names, now)
    yield 'ci.tests_passing_on_main', branch.state(required) if required else rollup_state(repository), {}
    yield 'ci.benchmarks_passing', branch.state(('*benchmark*',)), {}
    lengths = times(executed)
    yield 'ci.avg_workflow_duration_minutes', mean(lengths) if lengths else None, {}
    for name, value, tags in spread('ci.duration', lengths, ('p50', 'p90', 'p99')):
        yield f'ci.duration_{name[-3:]}_minutes', value, tags
    yield 'ci.runs_in_progress', sum(run.status == 'in_progress' for run in runs), {}
    queued = ('queued', 'requested', 'pending', 'waiting')
    yield 'ci.runs_queued', sum(run.status in queued for run in runs), {}
    waits = [(now - run.run_started_at).total_seconds() / 60 for run in runs if run.status in ('queued', 'pending')]
    yield 'ci.oldest_queued_minutes', max(waits, default=None), {}
    yield from by_workflow(runs, repository, names)
    if required:
        yield from branch.red_and_green(required)


def by_workflow(runs: list[Run], repository: Repository, names: dict[int, str]) -> Iterator[Row]:
    """Compute the figures per workflow."""

    def label(run: Run) -> str:
        return names[run.workflow_id]

    ranked = sorted(Counter(label(run) for run in runs).items(), key=lambda item: (-item[1], item[0]))
    kept = {name for name, _ in ranked[:LABELS]}
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[label(run) if label(run) in kept else 'other'].append(run)
    for name, group in groups.items():
        tags = {'workflow': name}
        parts = Counter((run.conclusion or 'none', branch_type(run, repository)) for run in group)
        for (conclusion, branch), number in parts.items():
            yield 'ci.runs_7d', number, {**tags, 'conclusion': conclusion, 'branch_type': branch}
        executed = [run for run in group if run.conclusion in EXECUTED]
        yield from spread('ci.run_duration_minutes', times(executed), ('p50', 'p90'), tags)
        # The sum is over every run that ended, canceled and skipped ones included.
        finished = [run for run in group if run.status == 'completed']
        yield 'ci.run_minutes_7d', sum(times(finished)), tags
        for branch in ('default', 'other'):
            part = [run.conclusion for run in group if branch_type(run, repository) == branch]
            good, bad = part.count('success'), sum(conclusion in FAILED for conclusion in part)
            if good + bad:
                yield 'ci.success_rate_pct', 100 * good / (good + bad), {**tags, 'branch_type': branch}
        if executed:
            yield 'ci.rerun_rate_pct', 100 * sum(run.run_attempt > 1 for run in executed) / len(executed), tags
            yield 'ci.flaky_rate_pct', 100 * sum(map(flaky, executed)) / len(executed), tags
        if finished:
            cancelled = sum(run.conclusion == 'cancelled' for run in finished)
            yield 'ci.cancelled_rate_pct', 100 * cancelled / len(finished), tags


def branch_type(run: Run, repository: Repository) -> str:
    """Return the tag value for the branch of a run."""
    return 'default' if truth_main.on_default_branch(run, repository) else 'other'
