"""Verdicts on the default branch: the ends of attempts of workflow runs that passed or failed there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from .run_records import FAILED, PASSED, Run, WorkflowKey

MERGE_GROUP = 'merge_group'
# The branches of the merge queue: gh-readonly-queue/main/pr-17-<commit>.
QUEUE = 'gh-readonly-queue'


class Verdict(NamedTuple):
    """The end of an attempt of a run on the default branch, without canceled and skipped ones."""

    workflow: WorkflowKey
    # The name of the workflow at that time.
    name: str
    run: int
    created: datetime
    attempt: int
    ended: datetime
    passed: bool
    sha: str

    @property
    def order(self) -> tuple[datetime, int, int]:
        """The order by which the newest verdict on a workflow is found: by run, then by attempt."""
        return self.created, self.run, self.attempt


class Removal(NamedTuple):
    """A workflow that was seen to be deleted: its verdicts until then decide nothing any more."""

    workflow: WorkflowKey
    at: datetime


@dataclass(frozen=True, slots=True)
class MainRuns:
    """The runs that decide about the default branch.

    Attributes:
        branches: the name of the branch, and the names that it had before
        events: the events of these runs
        landed: known commits of the branch
    """

    branches: Collection[str]
    events: Collection[str]
    landed: Collection[str]

    def includes(self, run: Run) -> bool:
        """Return whether a run is about the default branch."""
        if not run.own or run.event not in self.events:
            return False
        if run.event == MERGE_GROUP:
            return any(run.branch.startswith(f'{QUEUE}/{branch}/') for branch in self.branches)
        return run.branch in self.branches

    def all_verdicts(self, runs: Iterable[Run]) -> list[Verdict]:
        """Return the verdicts of all these runs that decide about the default branch."""
        return [one for run in runs if self.includes(run) for one in self.verdicts(run)]

    def verdicts(self, run: Run) -> list[Verdict]:
        """Return the verdicts of the attempts of such a run."""
        found = (
            Verdict(
                run.workflow_key,
                run.workflow,
                run.id,
                run.created,
                one.number,
                one.ended,
                one.conclusion in PASSED,
                run.sha,
            )
            for one in run.attempts
            if one.conclusion in PASSED | FAILED
        )
        # After a failure, GitHub takes a pull request out of the merge queue: its commit never lands on the branch.
        return [one for one in found if one.passed or run.event != MERGE_GROUP or run.sha in self.landed]


def effective(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts in the order of their time, without those on older runs than known ones of their workflow."""
    newest: dict[WorkflowKey, Verdict] = {}
    result = []
    for one in sorted(verdicts, key=lambda one: (one.ended, one.order)):
        known = newest.get(one.workflow)
        if known is None or one.order >= known.order:
            newest[one.workflow] = one
            result.append(one)
    return result
