"""The true figures of the jobs that ended in the last 24 hours."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from . import truth_ci
from .jobs import Job, jobs_of
from .model import Repository, Run
from .spread import Row, spread

DAY = timedelta(hours=24)
WEEK = timedelta(days=7)
FAILED = ('failure', 'timed_out')
LABELS = 20
# A job that waited no longer did not wait for a review.
SHORT_WAIT = timedelta(minutes=2)


def rows(repository: Repository, now: datetime) -> Iterator[Row]:
    """Compute the figures of jobs of the attempts that have ended."""
    runs = [run for run in repository.runs.recent if now - WEEK <= run.created_at <= now]
    names = truth_ci.labels(runs)
    attempts = [
        attempt
        for run in runs
        for attempt in run.attempts()
        if attempt.conclusion is not None and now - DAY <= attempt.updated_at <= now
    ]
    yield 'jobs.coverage_pct_24h', 100.0 if attempts else None, {}
    pairs = [
        (attempt, job)
        for attempt in attempts
        for job in jobs_of(attempt)
        if job.completed_at is not None and now - DAY <= job.completed_at <= now
    ]
    yield from _by_label(pairs)
    yield from _durations(pairs, names)


def label(job: Job) -> str:
    """Return the tag value for the labels that a job asked for."""
    return '+'.join(sorted(one.lower() for one in job.labels)) or 'none'


def minutes(job: Job) -> float:
    """Return the minutes from the start of a job to its end."""
    assert job.completed_at is not None
    return (job.completed_at - job.started_at).total_seconds() / 60


def _by_label(pairs: list[tuple[Run, Job]]) -> Iterator[Row]:
    ranked = Counter(label(job) for _, job in pairs)
    shown = sorted(ranked, key=lambda name: (-ranked[name], name))[:LABELS]
    groups: dict[str, list[tuple[Run, Job]]] = defaultdict(list)
    for run, job in pairs:
        groups[label(job) if label(job) in shown else 'other'].append((run, job))
    for name, group in groups.items():
        tags = {'runner_label': name}
        waits = [
            (job.started_at - job.created_at).total_seconds()
            for run, job in group
            if job.has_runner and not (run.is_reviewed and _waited(run))
        ]
        yield from spread('jobs.queue_seconds', waits, ('p50', 'p90', 'max'), tags)
        yield 'jobs.failed_24h', sum(job.conclusion in FAILED for _, job in group), tags
        yield 'jobs.minutes_24h', sum(minutes(job) for _, job in group if job.has_runner), tags


def _waited(run: Run) -> bool:
    """Return whether a job of a run waited so long that a review may be the reason."""
    return any(job.has_runner and job.started_at - job.created_at > SHORT_WAIT for job in jobs_of(run))


def _durations(pairs: list[tuple[Run, Job]], names: dict[int, str]) -> Iterator[Row]:
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run, job in pairs:
        if job.conclusion in ('success', *FAILED) and job.has_runner:
            groups[names[run.workflow_id], job.name].append(minutes(job))
    for (workflow, name), values in groups.items():
        yield from spread('jobs.duration_minutes', values, ('p50', 'p90'), {'workflow': workflow, 'job': name})
