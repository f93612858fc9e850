"""Figures of the jobs of workflow runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import percentage, summary
from ...core.tag_values import MAX_VALUES, combination_labels, labels
from ...core.times import seconds_between
from ..job_records import Job
from ..run_records import WorkflowKey

DAY = timedelta(days=1)
MAX_RUNNER_LABELS = 20
# The name of a workflow of which no run is known any more.
UNKNOWN = 'unknown'
FAILED = frozenset({'failure', 'timed_out'})
# Conclusions of jobs that ran to an end, so that their duration means something.
EXECUTED = FAILED | {'success'}


@dataclass(frozen=True, slots=True)
class Coverage:
    """The number of attempts of workflow runs that have ended, and the number of those whose jobs are known."""

    known: int
    ended: int


def measure(
    jobs: Iterable[Job],
    reviewed: Collection[int],
    coverage: Coverage,
    names: Mapping[WorkflowKey, str],
    now: datetime,
) -> Iterator[Sample]:
    """Yield the gauges of block jobs.

    `reviewed` holds the ids of the runs with a review of a deployment, whose jobs may have waited for it. `names` are
    the names of the workflows.
    """
    yield Sample('jobs.coverage_pct_24h', percentage(coverage.known, coverage.ended))
    recent = [job for job in executions(jobs) if job.completed is not None and now - DAY <= job.completed <= now]
    shown = labels(Counter(job.label for job in recent), MAX_RUNNER_LABELS)
    by_label: dict[str, list[Job]] = defaultdict(list)
    for job in recent:
        by_label[shown[job.label]].append(job)
    for label, group in by_label.items():
        tags = {'runner_label': label}
        waits = [wait for job in group if job.run not in reviewed and (wait := queue_seconds(job)) is not None]
        for name, value in summary(waits, ('p50', 'p90', 'max')).items():
            yield Sample(f'jobs.queue_seconds.{name}', value, tags)
        if coverage.known == coverage.ended:
            yield Sample('jobs.failed_24h', sum(job.conclusion in FAILED for job in group), tags)
            yield Sample('jobs.minutes_24h', sum(map(minutes, group)), tags)
    yield from _durations([job for job in recent if job.conclusion in EXECUTED and job.started is not None], names)


def executions(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs without those that GitHub repeats in a later attempt that did not run them again."""
    found: dict[tuple[object, ...], Job] = {}
    for job in sorted(jobs, key=lambda job: (job.run, job.attempt, job.id)):
        again = (job.run, job.name, job.started, job.completed)
        found.setdefault(again if job.started is not None else (job.id,), job)
    return list(found.values())


def queue_seconds(job: Job) -> float | None:
    """Return the seconds from the creation of a job to its start on a runner; None when it never started."""
    if job.created is None or job.started is None:
        return None
    return seconds_between(job.created, job.started)


def minutes(job: Job) -> float:
    """Return the minutes that a job took on a runner, 0 when it never started."""
    return 0 if job.started is None or job.completed is None else seconds_between(job.started, job.completed) / 60


def _durations(jobs: Collection[Job], names: Mapping[WorkflowKey, str]) -> Iterator[Sample]:
    # In lower case, as Datadog stores tags.
    keys = [(names.get(job.workflow_key, UNKNOWN).lower(), job.name.lower()) for job in jobs]
    shown = combination_labels(Counter(keys), MAX_VALUES)
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for job, key in zip(jobs, keys, strict=True):
        groups[shown[key]].append(minutes(job))
    for (workflow, name), values in groups.items():
        for statistic, value in summary(values, ('p50', 'p90')).items():
            yield Sample(f'jobs.duration_minutes.{statistic}', value, {'workflow': workflow, 'job': name})
