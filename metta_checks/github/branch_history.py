"""The stored verdicts on the default branch, which outlive the window of runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import takewhile

from ..core.stored import stored
from .run_records import WorkflowKey
from .verdicts import Removal, Verdict, effective


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
