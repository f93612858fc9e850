"""The workflow runs of the week, with the earlier attempts of those that were run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from github.WorkflowRun import WorkflowRun

from .reading import Reading, matches

# GitHub lists at most this number of runs under any filter.
LISTED_RUNS = 1_000
DEFAULT_TIMEOUT_MINUTES = 360
# A run of this many minutes beyond its limit has waited for somebody, or was changed after its end.
GRACE_MINUTES = 60
FAILED = ('failure', 'timed_out', 'startup_failure')


@dataclass
class Runs:
    """The runs of the week with their earlier attempts, by the id of the run, and the names of the workflows."""

    reading: Reading
    rows: list[WorkflowRun]
    names: Mapping[int, str]
    earlier: dict[int, list[WorkflowRun]] = field(default_factory=dict)

    @classmethod
    def read(cls, reading: Reading) -> Runs:
        """Read the runs, and one attempt per request."""
        low, high = reading.start.replace(microsecond=0), reading.now.replace(microsecond=0)
        runs = cls(reading, rows := _listed(reading, low, high), _names(rows))
        for run in rows:
            if run.run_attempt > 1:
                runs.earlier[run.id] = [run.get_attempt(number) for number in range(1, run.run_attempt)]
        return runs

    def attempts(self, run: WorkflowRun) -> list[WorkflowRun]:
        """Return all attempts of a run, the first one first."""
        return [*self.earlier.get(run.id, ()), run]

    def is_flaky(self, run: WorkflowRun) -> bool:
        """Return whether the last attempt that ended succeeded after one that failed."""
        ended = [attempt.conclusion for attempt in self.attempts(run) if attempt.conclusion]
        return bool(ended) and ended[-1] == 'success' and not set(FAILED).isdisjoint(ended)

    def name(self, run: WorkflowRun) -> str:
        """Return the name of the workflow of a run."""
        return self.names[run.workflow_id]

    def limit(self, run: WorkflowRun) -> float:
        """Return the time limit of a run in minutes."""
        timeouts: Mapping[str, float] = self.reading.option('workflow_timeouts', {})
        limits = [limit for pattern, limit in timeouts.items() if matches(self.name(run), [pattern])]
        return limits[0] if limits else DEFAULT_TIMEOUT_MINUTES

    def longest(self, run: WorkflowRun) -> float:
        """Return the minutes that a run can take. The jobs of a run may follow each other, each with its own limit."""
        return max(self.limit(run), DEFAULT_TIMEOUT_MINUTES) + GRACE_MINUTES

    def lengths(self, runs: list[WorkflowRun]) -> list[float]:
        """Return the minutes of the last attempts, without those that are too long to be run time."""
        pairs = ((minutes_of(run), self.longest(run)) for run in runs)
        return [minutes for minutes, longest in pairs if minutes <= longest]

    def timed_out(self, run: WorkflowRun) -> bool:
        """Return whether a run was stopped by a time limit. GitHub calls a job that reached its own canceled."""
        if run.conclusion != 'cancelled':
            return bool(run.conclusion == 'timed_out')
        # Longer than that, it has waited for somebody.
        return self.limit(run) <= minutes_of(run) <= self.longest(run)


def minutes_of(run: WorkflowRun) -> float:
    """Return the minutes of the last attempt of a run."""
    return max(0.0, (run.updated_at - run.run_started_at) / timedelta(minutes=1))


def _listed(reading: Reading, low: datetime, high: datetime) -> list[WorkflowRun]:
    """Return the runs created in [low, high], halving the interval until no list is truncated."""
    span = f'{low:%Y-%m-%dT%H:%M:%SZ}..{high:%Y-%m-%dT%H:%M:%SZ}'
    page = reading.repository.get_workflow_runs(created=span, exclude_pull_requests=True)
    if page.totalCount < LISTED_RUNS:
        return list({run.id: run for run in page}.values())
    if high <= low:
        raise ValueError(f'{LISTED_RUNS} workflow runs or more within one second: they cannot be listed')
    middle = (low + (high - low) / 2).replace(microsecond=0)
    return _listed(reading, low, middle) + _listed(reading, middle + timedelta(seconds=1), high)


def _names(runs: list[WorkflowRun]) -> dict[int, str]:
    """Return the name of each workflow: that of its newest run with a name, else that of its file."""
    names: dict[int, str] = {}
    for run in sorted(runs, key=lambda run: (run.created_at, run.id)):
        if run.name:
            names[run.workflow_id] = run.name
        else:
            names.setdefault(run.workflow_id, '')
    files = {run.workflow_id: (run.path or '').rsplit('/', 1)[-1] for run in runs}
    return {number: name or files[number] or 'unknown' for number, name in names.items()}
