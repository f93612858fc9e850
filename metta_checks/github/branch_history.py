"""Stored state of the default branch: the verdicts, which outlive the window of runs, and the required workflows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import takewhile

from ..core.stored import stored
from .run_records import WorkflowKey
from .verdicts import Removal, Verdict, effective
from .workflow_list import WorkflowList


@stored
class BranchHistory:
    """Verdicts on the default branch.

    Attributes:
        verdicts: those of the window, and of each workflow the older ones that tell how it stood before
        removals: the workflows that were deleted
        explored: the workflows of which the newest verdict before the window, if any, is known
    """

    verdicts: tuple[Verdict, ...] = ()
    removals: tuple[Removal, ...] = ()
    explored: tuple[WorkflowKey, ...] = ()

    def extended(self, verdicts: Iterable[Verdict]) -> BranchHistory:
        """Return the history with further verdicts."""
        known = {(one.run, one.attempt, one.ended): one for one in (*self.verdicts, *verdicts)}
        return BranchHistory(tuple(known.values()), self.removals, self.explored)

    def without(self, runs: Collection[int]) -> BranchHistory:
        """Return the history without the verdicts of runs that are gone, given by id."""
        kept = tuple(one for one in self.verdicts if one.run not in runs)
        return BranchHistory(kept, self.removals, self.explored)

    def failing(self, workflows: Collection[WorkflowKey]) -> list[Verdict]:
        """Return the newest verdicts on these workflows that are failures."""
        return [one for one in self.newest(workflows).values() if not one.passed]

    def newest(self, workflows: Collection[WorkflowKey]) -> dict[WorkflowKey, Verdict]:
        """Return the newest verdict on each of these workflows: the last one of its newest run that has one."""
        return {one.workflow: one for one in effective(self.verdicts) if one.workflow in workflows}

    def with_removals(self, deleted: Collection[WorkflowKey], at: datetime) -> BranchHistory:
        """Return the history in which exactly these workflows are deleted, new ones from a time on."""
        known = {one.workflow: one for one in self.removals}
        removals = tuple(known.get(key, Removal(key, at)) for key in deleted)
        return BranchHistory(self.verdicts, removals, self.explored)

    def shortened(self, start: datetime) -> BranchHistory:
        """Return the history without the verdicts that say nothing about the time since `start`.

        Of the older ones, the newest on each workflow stays; while it fails, also the first one of its failures in a
        row, and the success before.
        """
        kept: list[Verdict] = []
        for workflow in dict.fromkeys(one.workflow for one in self.verdicts):
            ordered = effective(one for one in self.verdicts if one.workflow == workflow)
            older = [one for one in ordered if one.ended <= start]
            failures = list(takewhile(lambda one: not one.passed, reversed(older)))
            first = len(older) - len(failures)
            kept += dict.fromkeys([*older[max(0, first - 1) : first + 1], *older[-1:]])
            kept += (one for one in self.verdicts if one.workflow == workflow and one.ended > start)
        return BranchHistory(tuple(kept), self.removals, self.explored)

    def knows_state_at(self, start: datetime, workflows: Collection[WorkflowKey]) -> bool:
        """Return whether it is known how these workflows stood at a time."""
        known = {one.workflow for one in self.verdicts if one.ended <= start}
        return all(key in known or key in self.explored for key in workflows)


@stored
class Selection:
    """The workflows that an option selects.

    Attributes:
        workflows: the workflows, without deleted ones
        deleted: the deleted ones, which decided before
        unmatched: the patterns that match none
        undecided: the names of workflows that were not seen to pass or fail on the default branch
    """

    workflows: tuple[WorkflowKey, ...]
    deleted: tuple[WorkflowKey, ...]
    unmatched: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """True when every pattern matches, and every workflow has passed or failed."""
        return not self.unmatched and not self.undecided

    def gaps(self, option: str, repository: str) -> list[str]:
        """Return a message about each pattern and workflow that decides nothing."""
        return [
            *(f'option `{option}`: no workflow of {repository} matches {one!r}' for one in self.unmatched),
            *(
                f'option `{option}`: workflow {one!r} of {repository} has no run on the default branch that passed or '
                'failed'
                for one in self.undecided
            ),
        ]


@stored
class DefaultBranch:
    """The default branch, and the workflows that decide about it.

    Attributes:
        history: the verdicts
        required: the required workflows
        benchmarks: the benchmark workflows
        listed: GitHub's lists of workflows and of their files, as far as they were needed
        needs_lists: whether they are to be read once a day
    """

    history: BranchHistory
    required: Selection
    benchmarks: Selection
    listed: WorkflowList
    needs_lists: bool
