"""The stored state of block ci."""

from __future__ import annotations

from collections.abc import Collection

from ..core.stored import stored
from .branch_history import DefaultBranch
from .workflow_runs import RunTable


@stored
class RunHistory:
    """The workflow runs of the window, and the state of the default branch.

    Attributes:
        table: the runs, and how far reading has come
        branch: the name of the default branch; None while it is unknown
        main: the default branch; None while it is unknown
        is_red: whether a required workflow failed on the default branch, so that a change is an event; None while
            unknown
    """

    table: RunTable
    branch: str | None = None
    main: DefaultBranch | None = None
    is_red: bool | None = None

    def is_about(self, branches: Collection[str]) -> bool:
        """Return False when another branch was chosen as the default branch; `branches` are the names of that one."""
        return self.branch is None or not branches or self.branch in branches

    @property
    def is_complete(self) -> bool:
        """False while the first crawl goes on: there is nothing to compare with."""
        return self.table.reached is None
