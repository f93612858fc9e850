"""The stored state of block ci."""

from __future__ import annotations

from ..core.stored import stored
from .workflow_runs import RunTable


@stored
class RunHistory:
    """The workflow runs of the window.

    Attributes:
        table: the runs, and how far reading has come
        is_red: whether a required workflow failed on the default branch, so that a change is an event; None while
            unknown
    """

    table: RunTable
    is_red: bool | None

    @property
    def is_complete(self) -> bool:
        """False while the first crawl goes on: there is nothing to compare with."""
        return self.table.reached is None
