"""Figures of workflow runs."""

from __future__ import annotations

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ...core import tag_values
from ...core.refresh import Sample
from ...core.stats import percentage, summary
from ...core.tag_values import MAX_UNKNOWN, OTHER
from ...core.times import seconds_between
from ..records import EXECUTED, FAILED, IN_PROGRESS, QUEUED, Run

DAY = timedelta(days=1)
DEFAULT_TIMEOUT_MINUTES = 360
WAITING_FOR_RUNNERS = ('queued', 'pending')
# The conclusions that GitHub documents; none for an unfinished run.
CONCLUSIONS = (
    'success', 'failure', 'neutral', 'cancelled', 'skipped', 'timed_out', 'action_required', 'stale', 'startup_failure',
    'none',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CiSettings:
    """Options of the figures of workflow runs.

    Attributes:
        required: patterns for the names of the required workflows
        benchmarks: patterns for the names of the benchmark workflows
        timeouts: time limits in minutes by pattern
        max_workflows: number of workflows with a tag value of their own
    """

    required: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ('*benchmark*',)
    timeouts: Mapping[str, float] = field(default_factory=dict)
    max_workflows: int = 30

    def limit_minutes(self, workflow: str) -> float:
        """Return the time limit of a workflow."""
        for pattern, minutes in self.timeouts.items():
            if matches(workflow, (pattern,)):
                return minutes
        return DEFAULT_TIMEOUT_MINUTES


def matches(workflow: str, patterns: Iterable[str]) -> bool:
    """Return whether the name of a workflow fits one of the patterns, in any case."""
    name = workflow.lower()
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns)


def measure(runs: Collection[Run], settings: CiSettings, now: datetime) -> Iterator[Sample]:
    """Yield the gauges of block ci that do not depend on the default branch."""
    failed = [run for run in runs if run.conclusion in FAILED]
    yield Sample('ci.workflow_runs_7d', len(runs))
    yield Sample('ci.failed_workflows_7d', len(failed))
    yield Sample('ci.failed_workflows_24h', sum(run.created >= now - DAY for run in failed))
    yield Sample('ci.timeout_cancellations_7d', sum(timed_out(run, settings) for run in runs))
    yield Sample('ci.flaky_checks_7d', sum(map(is_flaky, runs)))
    yield from _durations(runs)
    yield from _unfinished(runs, now)
    for workflow, group in _by_workflow(runs, settings).items():
        yield from _workflow(group, {'workflow': workflow})


def _durations(runs: Iterable[Run]) -> Iterator[Sample]:
    statistics = summary(_executed_minutes(runs), ('avg', 'p50', 'p90', 'p99'))
    yield Sample('ci.avg_workflow_duration_minutes', statistics['avg'])
    for name in ('p50', 'p90', 'p99'):
        yield Sample(f'ci.duration_{name}_minutes', statistics[name])


def _executed_minutes(runs: Iterable[Run]) -> list[float]:
    return [run.run_time / 60 for run in runs if run.conclusion in EXECUTED]


def _unfinished(runs: Iterable[Run], now: datetime) -> Iterator[Sample]:
    runs = list(runs)
    yield Sample('ci.runs_in_progress', sum(run.status == IN_PROGRESS for run in runs))
    yield Sample('ci.runs_queued', sum(run.status in QUEUED for run in runs))
    waits = [seconds_between(run.created, now) for run in runs if run.status in WAITING_FOR_RUNNERS]
    yield Sample('ci.oldest_queued_minutes', max(waits) / 60 if waits else None)


def _by_workflow(runs: Collection[Run], settings: CiSettings) -> dict[str, list[Run]]:
    label = labels(runs, settings.max_workflows)
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[label[run.workflow]].append(run)
    return groups


def _workflow(runs: Collection[Run], tags: Mapping[str, str]) -> Iterator[Sample]:
    for name, value in summary(_executed_minutes(runs), ('p50', 'p90')).items():
        yield Sample(f'ci.run_duration_minutes.{name}', value, tags)
    executed = [run for run in runs if run.conclusion in EXECUTED]
    yield Sample('ci.rerun_rate_pct', percentage(sum(run.attempt > 1 for run in executed), len(executed)), tags)
    yield Sample('ci.flaky_rate_pct', percentage(sum(map(is_flaky, executed)), len(executed)), tags)
    finished = [run for run in runs if run.finished]
    yield Sample('ci.run_minutes_7d', sum(run.run_time for run in finished) / 60, tags)
    canceled = sum(run.conclusion == 'cancelled' for run in finished)
    yield Sample('ci.cancelled_rate_pct', percentage(canceled, len(finished)), tags)


def timed_out(run: Run, settings: CiSettings) -> bool:
    """Return whether a run ended at its time limit.

    GitHub gives the conclusion `cancelled` to a run whose job was stopped by `timeout-minutes`.
    """
    if run.conclusion == 'timed_out':
        return True
    return run.conclusion == 'cancelled' and run.run_time >= 60 * settings.limit_minutes(run.workflow)


def is_flaky(run: Run) -> bool:
    """Return whether a run succeeded only when it was run again."""
    return run.attempt > 1 and run.conclusion == 'success'


def labels(runs: Iterable[Run], limit: int) -> dict[str, str]:
    """Return the tag value of each workflow: its name for the most frequent ones, `other` for the rest."""
    # In lower case, as Datadog stores tags: `CI` and `ci` are one series.
    names = [run.workflow for run in runs]
    shown = tag_values.labels(Counter(map(str.lower, names)), limit)
    return {name: shown[name.lower()] for name in names}


def branch_type(run: Run, branch: str | None) -> str:
    """Return `default` for a run of the default branch's own code, else `other`."""
    return 'default' if run.own and run.branch == branch else OTHER


def by_branch(runs: Collection[Run], branch: str | None, settings: CiSettings) -> Iterator[Sample]:
    """Yield the gauges by workflow and branch type; `branch` is the default branch, None without one."""
    label = labels(runs, settings.max_workflows)
    yield from _counts('ci.runs_7d', runs, label, branch)
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        groups[label[run.workflow], branch_type(run, branch)].append(run)
    for (workflow, kind), group in groups.items():
        passed = sum(run.conclusion == 'success' for run in group)
        failed = sum(run.conclusion in FAILED for run in group)
        tags = {'workflow': workflow, 'branch_type': kind}
        yield Sample('ci.success_rate_pct', percentage(passed, passed + failed), tags)


def finished(runs: Iterable[Run], table: Iterable[Run], branch: str | None, settings: CiSettings) -> Iterator[Sample]:
    """Yield the count of finished attempts; `table` holds all runs, which decide the tag values of workflows."""
    yield from _counts('ci.runs', runs, labels(table, settings.max_workflows), branch)


def _counts(name: str, runs: Iterable[Run], label: Mapping[str, str], branch: str | None) -> Iterator[Sample]:
    runs = list(runs)
    conclusions = tag_values.labels(Counter(_conclusion(run) for run in runs), MAX_UNKNOWN, known=CONCLUSIONS)
    counts = Counter(
        (label.get(run.workflow, OTHER), conclusions[_conclusion(run)], branch_type(run, branch)) for run in runs
    )
    for (workflow, conclusion, kind), number in counts.items():
        yield Sample(name, number, {'workflow': workflow, 'conclusion': conclusion, 'branch_type': kind})


def _conclusion(run: Run) -> str:
    return run.conclusion.lower() or 'none'
