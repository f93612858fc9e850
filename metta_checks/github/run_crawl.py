"""Reads what block ci needs: the workflow runs, their attempts, and the verdicts on the default branch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from ..core.errors import SourceError
from ..core.refresh import Attempt
from ..core.times import Window
from . import attempts, measures, workflow_runs
from .branch_history import DefaultBranch
from .client import Client
from .measures.ci import CiSettings
from .repository import Repository
from .required_workflows import BranchReader
from .run_history import RunHistory
from .run_records import EndedAttempt, Run
from .verdicts import MainRuns
from .workflow_runs import FoundRuns, RunTable

WINDOW = timedelta(days=7)
# Metrics that need earlier attempts of workflow runs.
NEED_ATTEMPTS = (
    'ci.flaky_checks_7d',
    'ci.flaky_rate_pct',
    'ci.tests_passing_on_main',
    'ci.benchmarks_passing',
    'main.red_hours_7d',
    'main.last_green_age_hours',
    'main.time_to_green_hours.p50',
    'main.time_to_green_hours.max',
)


@dataclass(frozen=True, slots=True)
class BranchRuns:
    """The workflow runs and the default branch.

    Attributes:
        table: the runs of the window
        undecided: whether ends of earlier attempts that matter are missing
        branch: the default branch
        is_first: whether nothing was known to compare the table with
    """

    table: RunTable
    undecided: bool
    branch: DefaultBranch
    is_first: bool


class RunCrawl:
    """Reads the workflow runs of one repository in one refresh."""

    def __init__(
        self,
        client: Client,
        repo: Repository,
        settings: CiSettings,
        attempt: Attempt[RunHistory],
        allowance: attempts.Allowance,
    ) -> None:
        self._client = client
        self._allowance = allowance
        self._repo = repo
        self._settings = settings
        self._attempt = attempt
        self._window = Window(attempt.now - WINDOW, attempt.now)
        report = partial(self._problem, 'the state of the default branch is incomplete')
        self._reader = BranchReader(client, repo, settings, report)

    def read(self, before: RunHistory | None, main: MainRuns) -> BranchRuns:
        """Return the runs and the default branch brought up to date. Raises TooManyRuns and SourceError."""
        read = self._runs(before)
        table = read.table
        rows = {run.id: run for run in read.older} | table.by_id()
        deciding = measures.default_branch.deciding(rows.values(), main, self._settings)
        found = attempts.complete(
            rows.values(), deciding, self._ended, counts=not read.is_first, allowance=self._allowance
        )
        if found.error is not None:
            self._problem('earlier attempts of workflow runs are missing', found.error)
        elif found.undecided:
            self._attempt.unfinished(NEED_ATTEMPTS)
        complete = {run.id: run for run in found.runs}
        table = replace(table, runs=tuple(complete[run.id] for run in table.runs))
        present = [run for run in found.runs if run.id not in table.gone]
        # Between what was known and the window, runs may be missing.
        known = None if read.is_first else self._known_branch(before, table)
        branch = self._reader.read(known, present, main, self._window, is_whole=read.is_whole)
        for message in self._reader.gaps(branch) if self._repo.branch is not None else ():
            self._attempt.problem('not_found', message)
        return BranchRuns(table, bool(found.undecided), branch, read.is_first)

    def _runs(self, before: RunHistory | None) -> FoundRuns:
        """Return the runs of the window, and older ones that were seen on the way."""
        owner, name = self._repo.owner, self._repo.name
        lists = workflow_runs.Lists(
            partial(self._client.newest_runs, owner, name), partial(self._client.runs, owner, name)
        )
        known = before.table if before is not None else None
        try:
            return workflow_runs.read(
                known,
                self._window.start,
                self._window.end,
                lists,
                self._progress,
                rereads=not self._has_other_requests(before),
            )
        except workflow_runs.TooManyRuns:
            self._attempt.is_truncated = True
            raise

    def _has_other_requests(self, before: RunHistory | None) -> bool:
        """Return whether requests about the default branch take the place of the one for older runs."""
        main = before.main if before is not None else None
        return main is not None and self._reader.is_due(main, self._window)

    def _progress(self, table: RunTable) -> None:
        self._attempt.checkpoint(RunHistory(table))

    def _ended(self, run: Run, number: int) -> EndedAttempt:
        return self._client.attempt(self._repo.owner, self._repo.name, run, number)

    def _known_branch(self, before: RunHistory | None, table: RunTable) -> DefaultBranch | None:
        """Return what was known of the default branch, without the verdicts of runs that are gone."""
        known = before.main if before is not None and before.is_about(self._repo.branches) else None
        return None if known is None else replace(known, history=known.history.without(table.gone))

    def _problem(self, what: str, error: SourceError) -> None:
        self._attempt.problem(error.reason, f'{what}: {error}')
