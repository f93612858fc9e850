"""Figures of the jobs that ended in the last day, with one or two requests per attempt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from github.PaginatedList import PaginatedList
from github.WorkflowJob import WorkflowJob
from github.WorkflowRun import WorkflowRun

from .reading import Reading, Row, spread
from .runs import Runs

DAY = timedelta(hours=24)
FAILED = ('failure', 'timed_out')
SHOWN_LABELS = 20
# A job that waited no longer did not wait for a review.
SHORT_WAIT = timedelta(minutes=2)


def rows(reading: Reading, runs: Runs) -> Iterator[Row]:
    """Yield the figures of the option `jobs`."""
    start = reading.now - DAY
    attempts = [
        attempt
        for run in runs.rows
        for attempt in runs.attempts(run)
        if attempt.conclusion and start <= attempt.updated_at <= reading.now
    ]
    yield 'jobs.coverage_pct_24h', 100.0 if attempts else None, {}
    jobs: dict[str, list[WorkflowJob]] = defaultdict(list)
    durations: dict[tuple[str, str], list[float]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    for attempt in attempts:
        found = list(_jobs(reading, attempt))
        ended = [job for job in found if job.completed_at and start <= job.completed_at]
        waited = any(job.runner_id is not None and _start(job) - job.created_at > SHORT_WAIT for job in found)
        reviewed = waited and _is_reviewed(reading, attempt)
        for job in ended:
            label = '+'.join(sorted(name.lower() for name in job.labels)) or 'none'
            jobs[label].append(job)
            if job.runner_id is None:
                continue
            if not reviewed:
                waits[label].append(max(0.0, (_start(job) - job.created_at).total_seconds()))
            if job.conclusion in ('success', *FAILED):
                durations[runs.name(attempt), job.name].append(_minutes(job))
    shown = set(sorted(jobs, key=lambda name: (-len(jobs[name]), name))[:SHOWN_LABELS])
    for name, group in _grouped(jobs, shown):
        tags = {'runner_label': name}
        yield 'jobs.failed_24h', sum(job.conclusion in FAILED for job in group), tags
        yield 'jobs.minutes_24h', sum(_minutes(job) for job in group if job.runner_id is not None), tags
    for name, seconds in _grouped(waits, shown):
        yield from spread('jobs.queue_seconds', seconds, ('p50', 'p90', 'max'), {'runner_label': name})
    for (workflow, job_name), minutes in durations.items():
        yield from spread('jobs.duration_minutes', minutes, ('p50', 'p90'), {'workflow': workflow, 'job': job_name})


def _grouped(values: dict[str, list[Any]], shown: set[str]) -> Iterable[tuple[str, list[Any]]]:
    """Return the values by label, with one group for the labels that are not shown."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for name, found in values.items():
        groups[name if name in shown else 'other'] += found
    return groups.items()


def _jobs(reading: Reading, attempt: WorkflowRun) -> Iterable[WorkflowJob]:
    url = f'{reading.repository.url}/actions/runs/{attempt.id}/attempts/{attempt.run_attempt}/jobs'
    return PaginatedList(WorkflowJob, reading.repository.requester, url, None, list_item='jobs')


def _is_reviewed(reading: Reading, attempt: WorkflowRun) -> bool:
    """Return whether somebody reviewed a deployment of a run, for which its jobs waited."""
    url = f'{reading.repository.url}/actions/runs/{attempt.id}/approvals'
    _, reviews = reading.repository.requester.requestJsonAndCheck('GET', url)
    return bool(reviews)


def _start(job: WorkflowJob) -> datetime:
    """Return the start of a job on its runner: that of its first step, when `started_at` is older."""
    steps = [step.started_at for step in job.steps[:1] if step.started_at]
    return max([job.started_at, *steps])


def _minutes(job: WorkflowJob) -> float:
    return max(0.0, (job.completed_at - _start(job)) / timedelta(minutes=1))
