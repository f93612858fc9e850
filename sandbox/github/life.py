"""Events of a quarter of an hour: 3 new runs, one that ends, one that is run again; 2 merges; 4 commits."""

from __future__ import annotations

from datetime import datetime, timedelta

from .data import Makers
from .model import Repository, Run
from .pulls import Ages
from .runs import BY_NAME

QUARTER = timedelta(seconds=900)


def quarter(repository: Repository, makers: Makers, now: datetime) -> None:
    """Make the events of the quarter of an hour that ends at `now`."""
    for maker in (makers.pulls, makers.commits, makers.runs):
        maker.now = now
    _runs(repository, makers, now)
    _merges(repository, makers, now)


def _runs(repository: Repository, makers: Makers, now: datetime) -> None:
    runs = repository.runs
    unfinished = [
        run for run in runs.recent if run.status != 'completed' and run.created_at > now - timedelta(hours=24)
    ]
    if unfinished:
        oldest = unfinished[-1]
        # Just younger than the oldest unfinished run, and so among the runs that the check reads again.
        again = [
            run
            for run in runs.recent
            if run.created_at > oldest.created_at and run.conclusion in ('failure', 'cancelled')
        ]
        if again:
            rerun(again[-1], now)
        finish(oldest, now - timedelta(minutes=3))
    tests = makers.runs.finished(now - timedelta(minutes=11), BY_NAME['tests'], 'success', minutes=6.5, on_main=True)
    lint = makers.runs.finished(now - timedelta(minutes=8), BY_NAME['lint'], 'success', minutes=2.5)
    started = makers.runs.unfinished(now - timedelta(minutes=4))
    runs.recent += [makers.runs.number(run) for run in (tests, lint, started)]
    runs.sort()


def finish(run: Run, moment: datetime) -> None:
    """Finish a run, with success if its number is even."""
    run.waited = run.status != 'in_progress'
    run.status = 'completed'
    run.conclusion = 'failure' if run.run_number % 2 else 'success'
    run.run_started_at = min(run.run_started_at, moment)
    run.updated_at = moment


def rerun(run: Run, now: datetime) -> None:
    """Run a finished run again, with success."""
    run.run_again(now - timedelta(minutes=9))
    run.status, run.conclusion = 'completed', 'success'
    run.updated_at = now - timedelta(minutes=2)


def _merges(repository: Repository, makers: Makers, now: datetime) -> None:
    """Merge the two oldest pull requests that are neither drafts nor stale, and open two."""
    ready = [
        pull
        for pull in repository.pulls.values()
        if pull.state == 'OPEN' and not pull.is_draft and pull.updated_at > now - timedelta(days=14)
    ]
    for index, pull in enumerate(sorted(ready, key=lambda pull: pull.created_at)[:2]):
        moment = now - timedelta(minutes=12 - index)
        pull.state = 'MERGED'
        pull.merged_at = pull.closed_at = pull.updated_at = moment
        repository.commits.recent.append(makers.commits.squash(pull, moment))
    for index in range(2):
        message = f'Tune the trainer at {now:%H:%M} ({index})'
        signatures = makers.commits.signatures()
        moment = now - timedelta(minutes=9 - index)
        repository.commits.recent.append(makers.commits.commit(moment, message, signatures, makers.pulls.files()))
    repository.commits.sort()
    last = max(repository.pulls)
    for index in range(2):
        pull = makers.pulls.make('OPEN', Ages(0.2 - index * 0.05, 0.1))
        pull.number = last + 1 + index
        repository.pulls[pull.number] = pull
