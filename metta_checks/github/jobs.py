"""Reads the jobs of workflow runs, with one request per attempt that has ended: it does not change any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from ..core.errors import NotFound, Unavailable
from ..core.stored import stored
from .client import Client
from .job_records import Job
from .measures.jobs import DAY, FAILED, Coverage, queue_seconds
from .repository import Repository
from .run_records import Run

ATTEMPTS_PER_REFRESH = 50
REVIEWS_PER_REFRESH = 50
# A job that waited longer may have waited for a review.
LONG_WAIT = timedelta(minutes=2)
# An attempt that GitHub failed to answer twice is asked for again.
FAILED_FOR = timedelta(hours=1)
# Conclusions of attempts in which no job ran.
WITHOUT_JOBS = frozenset({'skipped', 'startup_failure', 'action_required'})


class AttemptKey(NamedTuple):
    """An attempt of a workflow run."""

    run: int
    number: int


class KnownAttempt(NamedTuple):
    """An attempt whose jobs are known, or could not be read."""

    key: AttemptKey
    # When it ended.
    ended: datetime
    # The time from which it is asked for again; None when its jobs are known.
    again: datetime | None = None


@stored
class JobHistory:
    """The jobs of the last day.

    Attributes:
        jobs: the jobs that ran or failed
        attempts: the attempts that were asked for
        reviewed: whether somebody reviewed a deployment in a run, by the id of the runs that were asked for
    """

    jobs: tuple[Job, ...] = ()
    attempts: tuple[KnownAttempt, ...] = ()
    reviewed: dict[int, bool] = field(default_factory=dict)

    def long_waiting(self) -> set[int]:
        """Return the ids of the runs in which a job waited for long."""
        return {job.run for job in self.jobs if (queue_seconds(job) or 0) > LONG_WAIT.total_seconds()}

    def maybe_reviewed(self) -> set[int]:
        """Return the ids of the runs in which a job may have waited for a review."""
        return {run for run in self.long_waiting() if self.reviewed.get(run, True)}


@dataclass(frozen=True, slots=True)
class _Ended:
    """An attempt that ended in the last day, or may have.

    Attributes:
        run, number: the attempt
        ended: when it ended, or the time before which it did
        is_exact: whether this is the time when it ended
        has_jobs: whether its jobs have to be read
    """

    run: Run
    number: int
    ended: datetime
    is_exact: bool
    has_jobs: bool

    @property
    def key(self) -> AttemptKey:
        return AttemptKey(self.run.id, self.number)


@dataclass(slots=True)
class JobCrawl:
    """Brings the jobs of the last day up to date.

    Attributes:
        client: the server
        repo: the repository
        now: the time of the refresh
        progress: is called with the jobs so far
        problem: is called with a message when GitHub fails again to list the jobs of an attempt
        is_unfinished: whether `run` has left something for the next refresh
    """

    client: Client
    repo: Repository
    now: datetime
    progress: Callable[[JobHistory], None]
    problem: Callable[[str], None]
    is_unfinished: bool = False

    def run(self, runs: Iterable[Run], history: JobHistory) -> tuple[JobHistory, Coverage]:
        """Return the jobs after at most ATTEMPTS_PER_REFRESH attempts, the newest ones, and how many are known."""
        ended = sorted(self._ended(runs), key=lambda one: one.ended, reverse=True)
        history = self._pruned(history, {one.run.id for one in ended})
        asked = {one.key: one for one in history.attempts}
        wanted = [one for one in ended if one.has_jobs and self._is_due(asked.get(one.key))]
        # Attempts that failed before come last.
        wanted.sort(key=lambda one: one.key in asked)
        self.is_unfinished = len(wanted) > ATTEMPTS_PER_REFRESH
        for one in wanted[:ATTEMPTS_PER_REFRESH]:
            history = self._read(one, history)
            self.progress(history)
        history = self._with_reviews(history)
        known = {one.key for one in history.attempts if one.again is None}
        # A missing attempt turned out to have ended before, which does not concern the last day.
        late = {one.key for one in history.attempts if one.ended < self.now - DAY}
        ours = [one for one in ended if one.key not in late]
        return history, Coverage(sum(not one.has_jobs or one.key in known for one in ours), len(ours))

    def _ended(self, runs: Iterable[Run]) -> Iterator[_Ended]:
        """Yield the attempts that ended in the last day, or may have."""
        start = self.now - DAY
        for run in runs:
            for one in run.attempts:
                if one.ended >= start:
                    ran = bool(one.conclusion) and one.conclusion not in WITHOUT_JOBS
                    yield _Ended(run, one.number, one.ended, is_exact=True, has_jobs=ran)
            for number in run.missing_attempts:
                before = min((one.started for one in run.attempts if one.number > number), default=run.started)
                if before >= start:
                    yield _Ended(run, number, before, is_exact=False, has_jobs=True)

    def _is_due(self, known: KnownAttempt | None) -> bool:
        return known is None or (known.again is not None and known.again <= self.now)

    def _pruned(self, history: JobHistory, runs: set[int]) -> JobHistory:
        """Return the history without what does not concern the last day."""
        return JobHistory(
            tuple(job for job in history.jobs if job.completed is not None and job.completed >= self.now - DAY),
            tuple(one for one in history.attempts if one.key.run in runs),
            {run: has for run, has in history.reviewed.items() if run in runs},
        )

    def _read(self, attempt: _Ended, history: JobHistory) -> JobHistory:
        """Return the history with the jobs of an attempt. Raises Unavailable at its first failure, which is noted."""
        others = tuple(one for one in history.attempts if one.key != attempt.key)
        try:
            jobs = self.client.jobs(self.repo.owner, self.repo.name, attempt.run, attempt.number)
        except NotFound:
            # The run was deleted.
            jobs = []
        except Unavailable as error:
            if len(others) == len(history.attempts):
                # It may be chance: the attempt is asked for in the next refresh, after all others.
                self.progress(replace(history, attempts=(*others, KnownAttempt(attempt.key, attempt.ended, self.now))))
                raise
            self.problem(f'the jobs of run {attempt.run.id}, attempt {attempt.number}, could not be read: {error}')
            again = self.now + FAILED_FOR
            return replace(history, attempts=(*others, KnownAttempt(attempt.key, attempt.ended, again)))
        ran = tuple(job for job in jobs if job.completed and (job.started or job.conclusion in FAILED))
        ended = attempt.ended
        if not attempt.is_exact:
            ended = min(ended, max((job.completed for job in ran if job.completed), default=ended))
        return replace(history, jobs=(*history.jobs, *ran), attempts=(*others, KnownAttempt(attempt.key, ended)))

    def _with_reviews(self, history: JobHistory) -> JobHistory:
        """Return the history with the reviews of the runs in which a job waited for long."""
        known = dict(history.reviewed)
        unknown = sorted(history.long_waiting() - known.keys(), reverse=True)
        self.is_unfinished |= len(unknown) > REVIEWS_PER_REFRESH
        for run in unknown[:REVIEWS_PER_REFRESH]:
            known[run] = self.client.has_reviews(self.repo.owner, self.repo.name, run)
        return replace(history, reviewed=known)
