"""Jobs of workflow runs, which follow from the run and its attempt: nothing about them is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from .model import Run
from .runs import BY_NAME

# Runner labels that a job asks for.
HOSTED = ('ubuntu-latest',)
GPU = ('self-hosted', 'linux', 'gpu')
# The jobs of a workflow by its file. Other workflows have one job on a hosted runner.
PLANS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    BY_NAME['tests'].path: (('unit', HOSTED), ('integration', HOSTED), ('gpu', GPU)),
    BY_NAME['e2e'].path: (('browser', HOSTED), ('training', GPU)),
    BY_NAME['Nightly Benchmarks'].path: (('benchmark', GPU),),
}
ONE_JOB = (('build', HOSTED),)
# Endings of a run whose jobs were never created: the file is broken, or nobody has approved the run.
WITHOUT_JOBS = ('startup_failure', 'action_required')
# A job has no such conclusion: it shows the second one.
CONCLUSIONS = {'stale': 'cancelled'}
MAX_QUEUE = {HOSTED: timedelta(seconds=45), GPU: timedelta(minutes=20)}


@dataclass(frozen=True, slots=True)
class Job:
    """A job of an attempt. `started_at` is GitHub's: the creation while the job is queued."""

    id: int
    name: str
    labels: tuple[str, ...]
    status: str
    conclusion: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None

    @property
    def has_runner(self) -> bool:
        """A runner has taken the job."""
        return self.status in ('in_progress', 'completed') and self.conclusion != 'skipped'


def jobs_of(run: Run) -> Iterator[Job]:
    """Yield the jobs of the run's last attempt."""
    if run.conclusion in WITHOUT_JOBS:
        return
    plan = PLANS.get(run.path, ONE_JOB)
    dice = Random(f'{run.id}/{run.run_attempt}')
    for index, (name, labels) in enumerate(plan):
        number = run.id * 100 + run.run_attempt * 10 + index
        last = index == len(plan) - 1
        if run.status == 'completed':
            yield _ended(run, dice, number, name, labels, last=last)
        else:
            # The first job of a running attempt has begun.
            status = run.status if index == 0 or run.status != 'in_progress' else 'queued'
            begun = run.run_started_at + timedelta(seconds=20 if status == 'in_progress' else 0)
            yield Job(number, name, labels, status, None, run.run_started_at, begun, None)


def _ended(run: Run, dice: Random, number: int, name: str, labels: tuple[str, ...], *, last: bool) -> Job:
    """Return a job of an attempt that has ended. The last one ends with the attempt and as it did."""
    length = run.updated_at - run.run_started_at
    if run.conclusion == 'skipped':
        conclusion, started, ended = 'skipped', run.run_started_at, run.run_started_at
    else:
        bad = run.conclusion or ''
        conclusion = CONCLUSIONS.get(bad, bad) if last else 'success'
        # The first job of a reviewed run waits for the review most of the time.
        wait = min(MAX_QUEUE[labels] * dice.random(), length * 0.6) if not run.is_reviewed else length * 0.9
        started = run.run_started_at + timedelta(seconds=int(wait.total_seconds()))
        ended = run.updated_at if last else started + (run.updated_at - started) * dice.uniform(0.3, 1)
    return Job(number, name, labels, 'completed', conclusion, run.run_started_at, started, ended.replace(microsecond=0))
