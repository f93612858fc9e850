"""Figures of workflow runs."""

from __future__ import annotations

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import fsum

from ...core import tag_values
from ...core.refresh import Sample
from ...core.stats import percentage, summary
from ...core.tag_values import MAX_UNKNOWN, OTHER
from ...core.times import seconds_between
from ..run_records import (
    EXECUTED,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    EndedAttempt,
    Run,
    WorkflowKey,
    workflow_names,
)

DAY = timedelta(days=1)
DEFAULT_TIMEOUT_MINUTES = 360
# A run that takes an hour longer than any time limit has waited, for example for an approval.
MAX_RUN_MINUTES = DEFAULT_TIMEOUT_MINUTES + 60
DEFAULT_BENCHMARKS = ('*benchmark*',)
# The events of runs on the default branch that tell whether it is in order.
DEFAULT_EVENTS = ('push', 'merge_group', 'schedule', 'workflow_dispatch')
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
        required_events: events of the runs that decide about the default branch
        benchmarks: patterns for the names of the benchmark workflows
        timeouts: time limits in minutes by pattern
        max_workflows: number of workflows with a tag value of their own
    """

    required: tuple[str, ...] = ()
    required_events: tuple[str, ...] = DEFAULT_EVENTS
    benchmarks: tuple[str, ...] = DEFAULT_BENCHMARKS
    timeouts: Mapping[str, float] = field(default_factory=dict)
    max_workflows: int = 30

    def limit_minutes(self, workflow: str) -> float:
        """Return the time limit of a workflow."""
        for pattern, minutes in self.timeouts.items():
            if matches(workflow, (pattern,)):
                return minutes
        return DEFAULT_TIMEOUT_MINUTES


def matches(workflow: str, patterns: Iterable[str]) -> bool:
    """Return whether the name of a workflow is one of the patterns or fits one, in any case."""
    name = workflow.lower()
    return any(name == pattern.lower() or fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Workflows:
    """The names of the workflows of a table of runs, and their tag values.

    Workflows with the same name have the same tag value; their runs are added up.

    Attributes:
        names: the present name by workflow
        tags: the name for the most frequent names, `other` for the rest, by workflow
    """

    names: Mapping[WorkflowKey, str]
    tags: Mapping[WorkflowKey, str]

    @classmethod
    def of(cls, table: Collection[Run], limit: int) -> Workflows:
        """Return the workflows of these runs."""
        names = workflow_names(table)
        # In lower case, as Datadog stores tags: `CI` and `ci` are one series.
        shown = tag_values.labels(Counter(names[run.workflow_key].lower() for run in table), limit)
        return cls(names, {key: shown[name.lower()] for key, name in names.items()})

    def tag(self, run: Run) -> str:
        """Return the tag value of a run."""
        return self.tags[run.workflow_key]


def measure(runs: Collection[Run], settings: CiSettings, now: datetime) -> Iterator[Sample]:
    """Yield the gauges of block ci that do not depend on the default branch."""
    workflows = Workflows.of(runs, settings.max_workflows)
    failed = [run for run in runs if run.conclusion in FAILED]
    yield Sample('ci.workflow_runs_7d', len(runs))
    yield Sample('ci.failed_workflows_7d', len(failed))
    yield Sample('ci.failed_workflows_24h', sum(run.created >= now - DAY for run in failed))
    limits = {key: 60 * settings.limit_minutes(name) for key, name in workflows.names.items()}
    yield Sample('ci.timeout_cancellations_7d', sum(timed_out(run, limits[run.workflow_key]) for run in runs))
    times = {
        run.id: seconds / 60 for run in runs if (seconds := run_seconds(run, limits[run.workflow_key])) is not None
    }
    yield from _durations(runs, times)
    yield from _unfinished(runs, now)
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[workflows.tag(run)].append(run)
    for workflow, group in groups.items():
        yield from _workflow(group, times, {'workflow': workflow})


def flakiness(runs: Collection[Run], settings: CiSettings) -> Iterator[Sample]:
    """Yield the figures of runs that succeeded only when run again. They need the attempts of all such runs."""
    workflows = Workflows.of(runs, settings.max_workflows)
    yield Sample('ci.flaky_checks_7d', sum(run.is_flaky for run in runs))
    executed = Counter(workflows.tag(run) for run in runs if run.conclusion in EXECUTED)
    flaky = Counter(workflows.tag(run) for run in runs if run.conclusion in EXECUTED and run.is_flaky)
    for workflow, number in executed.items():
        yield Sample('ci.flaky_rate_pct', percentage(flaky[workflow], number), {'workflow': workflow})


def run_seconds(run: Run, limit: float) -> float | None:
    """Return the seconds that the last attempt of a run took; None while unfinished, and when it has waited.

    An attempt has waited when it was seen to, or took an hour longer than both GitHub's time limit of six hours and the
    limit of its workflow, which is given in seconds.
    """
    seconds = run.run_time
    return None if seconds is None or seconds > max(60 * MAX_RUN_MINUTES, limit + 3600) else seconds


def _durations(runs: Iterable[Run], times: Mapping[int, float]) -> Iterator[Sample]:
    statistics = summary(_executed_minutes(runs, times), ('avg', 'p50', 'p90', 'p99'))
    yield Sample('ci.avg_workflow_duration_minutes', statistics['avg'])
    for name in ('p50', 'p90', 'p99'):
        yield Sample(f'ci.duration_{name}_minutes', statistics[name])


def _executed_minutes(runs: Iterable[Run], times: Mapping[int, float]) -> list[float]:
    return [times[run.id] for run in runs if run.conclusion in EXECUTED and run.id in times]


def _unfinished(runs: Iterable[Run], now: datetime) -> Iterator[Sample]:
    runs = list(runs)
    yield Sample('ci.runs_in_progress', sum(run.status == IN_PROGRESS for run in runs))
    yield Sample('ci.runs_queued', sum(run.status in QUEUED for run in runs))
    waits = [seconds_between(run.started, now) for run in runs if run.status in WAITING_FOR_RUNNERS]
    yield Sample('ci.oldest_queued_minutes', max(waits) / 60 if waits else None)


def _workflow(runs: Collection[Run], times: Mapping[int, float], tags: Mapping[str, str]) -> Iterator[Sample]:
    for name, value in summary(_executed_minutes(runs, times), ('p50', 'p90')).items():
        yield Sample(f'ci.run_duration_minutes.{name}', value, tags)
    executed = [run for run in runs if run.conclusion in EXECUTED]
    yield Sample('ci.rerun_rate_pct', percentage(sum(run.attempt > 1 for run in executed), len(executed)), tags)
    finished = [run for run in runs if run.finished]
    yield Sample('ci.run_minutes_7d', fsum(times.get(run.id, 0) for run in finished), tags)
    canceled = sum(run.conclusion == 'cancelled' for run in finished)
    yield Sample('ci.cancelled_rate_pct', percentage(canceled, len(finished)), tags)


def timed_out(run: Run, limit: float) -> bool:
    """Return whether a run ended at the time limit of its workflow, in seconds.

    GitHub gives the conclusion `cancelled` to a run whose job was stopped by `timeout-minutes`.
    """
    if run.conclusion == 'timed_out':
        return True
    seconds = run_seconds(run, limit)
    return run.conclusion == 'cancelled' and seconds is not None and seconds >= limit


def branch_type(run: Run, branches: Collection[str]) -> str:
    """Return `default` for a run of the default branch's own code, else `other`."""
    return 'default' if run.own and run.branch in branches else OTHER


def by_branch(runs: Collection[Run], branches: Collection[str], settings: CiSettings) -> Iterator[Sample]:
    """Yield the gauges by workflow and branch type; `branches` are the names of the default branch, none without it."""
    workflows = Workflows.of(runs, settings.max_workflows)
    yield from _counts('ci.runs_7d', [(run, run.conclusion) for run in runs], workflows, branches)
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        groups[workflows.tag(run), branch_type(run, branches)].append(run)
    for (workflow, kind), group in groups.items():
        passed = sum(run.conclusion == 'success' for run in group)
        failed = sum(run.conclusion in FAILED for run in group)
        tags = {'workflow': workflow, 'branch_type': kind}
        yield Sample('ci.success_rate_pct', percentage(passed, passed + failed), tags)


def finished(
    attempts: Iterable[tuple[Run, EndedAttempt]],
    table: Collection[Run],
    branches: Collection[str],
    settings: CiSettings,
) -> Iterator[Sample]:
    """Yield the count of finished attempts; `table` holds all runs, which decide the tag values of workflows."""
    workflows = Workflows.of(table, settings.max_workflows)
    yield from _counts('ci.runs', [(run, one.conclusion) for run, one in attempts], workflows, branches)


def _counts(
    name: str, runs: Collection[tuple[Run, str]], workflows: Workflows, branches: Collection[str]
) -> Iterator[Sample]:
    conclusions = tag_values.labels(Counter(_shown(one) for _, one in runs), MAX_UNKNOWN, known=CONCLUSIONS)
    counts = Counter(
        (workflows.tag(run), conclusions[_shown(conclusion)], branch_type(run, branches)) for run, conclusion in runs
    )
    for (workflow, conclusion, kind), number in counts.items():
        yield Sample(name, number, {'workflow': workflow, 'conclusion': conclusion, 'branch_type': kind})


def _shown(conclusion: str) -> str:
    return conclusion.lower() or 'none'
