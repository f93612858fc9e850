"""Finds the ends of earlier attempts of workflow runs.

GitHub's list shows the last attempt of each run only. The ends of most attempts are seen while they are the last one;
the others are asked for one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from ..core.errors import NotFound, OutOfBudget, RateLimited, SourceError, Unavailable
from .run_records import FAILED, EndedAttempt, Run

# Attempts that are asked for in one refresh of a repository; the others follow in the next ones.
MAX_REQUESTS = 60
# With more than FEW_REPOSITORIES repositories, one refresh asks for one attempt that only tells whether a run was flaky
# per REPOSITORIES_PER_REQUEST repositories, but at least for MIN_FLAKY_REQUESTS.
FEW_REPOSITORIES = 2
REPOSITORIES_PER_REQUEST = 75
MIN_FLAKY_REQUESTS = 4

Fetch = Callable[[Run, int], EndedAttempt]


class Allowance:
    """The requests of one refresh of all repositories that only tell whether runs were flaky.

    `lists` tells that the refresh also reads the list of an organization.
    """

    def __init__(self, repositories: int, *, lists: bool = False) -> None:
        self._left = max(MIN_FLAKY_REQUESTS, repositories // REPOSITORIES_PER_REQUEST)
        if lists and repositories > REPOSITORIES_PER_REQUEST:
            # The list of a large organization takes as many requests.
            self._left = 0
        if repositories <= FEW_REPOSITORIES:
            self._left = MAX_REQUESTS

    def take(self) -> bool:
        """Return whether one more such request may be sent, which counts it."""
        self._left -= 1
        return self._left >= 0


@dataclass(frozen=True, slots=True)
class Attempts:
    """Runs with the ends of the attempts that matter.

    Attributes:
        runs: the runs
        undecided: ids of the runs of which attempts that matter are still missing
        error: the last error of a request
    """

    runs: tuple[Run, ...]
    undecided: frozenset[int]
    error: SourceError | None


def complete(
    runs: Iterable[Run], deciding: Collection[int], fetch: Fetch, *, counts: bool, allowance: Allowance | None = None
) -> Attempts:
    """Return the runs with the attempts that matter.

    These are all attempts of the `deciding` runs, given by id; those that tell whether a run succeeded after an attempt
    that failed, within the allowance; and with `counts`, those that were not counted yet. An attempt that two refreshes
    do not find has no conclusion. Raises the errors of `fetch` that concern all requests.
    """
    rows = {run.id: run for run in runs}
    left = MAX_REQUESTS
    undecided = set()
    failed: SourceError | None = None
    for run in sorted(rows.values(), key=lambda run: run.id not in deciding):
        current = run
        matters = run.id in deciding
        while (number := next(_wanted(current, decides=matters, counts=counts), None)) is not None:
            is_needed = matters or (counts and number > run.counted)
            if left <= 0 or not (is_needed or allowance is None or allowance.take()):
                undecided.add(run.id)
                break
            left -= 1
            try:
                current = current.with_attempt(fetch(current, number))
            except NotFound:
                current = current.without_attempt(number)
                if number in current.missing_attempts:
                    # GitHub may be wrong for a moment: the next refresh looks again.
                    undecided.add(run.id)
                    break
            except SourceError as error:
                if error.fatal:
                    raise
                failed = error
                left = 0 if isinstance(error, (Unavailable, RateLimited, OutOfBudget)) else left
                undecided.add(run.id)
                break
        rows[run.id] = current
    return Attempts(tuple(rows.values()), frozenset(undecided), failed)


def _wanted(run: Run, *, decides: bool, counts: bool) -> Iterator[int]:
    """Yield the numbers of the missing attempts of a run that matter, the newest first."""
    if run.attempt == 1:
        return
    may_be_flaky = _may_be_flaky(run)
    for number in run.missing_attempts:
        if decides or may_be_flaky or (counts and number > run.counted):
            yield number


def _may_be_flaky(run: Run) -> bool:
    """Return whether missing attempts decide if the last attempt that ended succeeded after an earlier failure."""
    last, known = _last_finished(run), run.attempts
    if last < 2:
        return False
    if not known or known[-1].number < last:
        # A later attempt has begun, and this one is missing.
        return True
    return known[-1].conclusion == 'success' and not any(one.conclusion in FAILED for one in known)


def newly_finished(runs: Iterable[Run]) -> list[tuple[Run, EndedAttempt]]:
    """Return the attempts that have ended and were not counted yet, each with its run.

    An attempt that GitHub no longer shows is left out.
    """
    return [
        (run, one)
        for run in runs
        for one in run.attempts
        if run.counted < one.number <= _known_to(run) and one.conclusion
    ]


def counted(runs: Iterable[Run], *, first: bool) -> tuple[Run, ...]:
    """Return the runs with their known attempts marked as counted; in a `first` refresh, with all finished ones."""
    reached = ((run, _last_finished(run) if first else _known_to(run)) for run in runs)
    return tuple(run if number <= run.counted else run._replace(counted=number) for run, number in reached)


def _known_to(run: Run) -> int:
    """Return the number up to which the ends of all attempts are known, apart from those counted already."""
    missing = (number - 1 for number in run.missing_attempts if number > run.counted)
    return min(missing, default=_last_finished(run))


def _last_finished(run: Run) -> int:
    return run.attempt if run.finished else run.attempt - 1
