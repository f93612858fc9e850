"""Follows the force pushes to the default branch. Their list is read again only when the branch may have moved."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..core.stored import stored
from .client import Client
from .records import ForcePush
from .repository import Repository

# GitHub's list covers a week. A push is remembered for longer, so that it is not taken for a new one.
KEPT = timedelta(days=8)


@stored
class ForcePushHistory:
    """The known force pushes to the default branch, so that a new one is an event.

    Attributes:
        repository, branch: the branch that they were read of
        etag: GitHub's mark of the list, with which an unchanged list costs no quota
        pushes: one row per push of the last eight days, the newest first; those under an earlier name included
        head: the commit that the branch pointed at; None while it is unknown
        has_moved: whether the branch pointed at another commit in the reading before, so that the list may be late
    """

    repository: str
    branch: str
    etag: str
    pushes: tuple[ForcePush, ...]
    head: str | None = None
    has_moved: bool = False

    def is_about(self, repository: Repository) -> bool:
        """Return True for the default branch of the repository, under one of its names."""
        return self.repository == repository.full_name and self.branch in repository.branches

    def is_current(self, branch: str, head: str | None) -> bool:
        """Return True if nothing was pushed since: the branch still points at the same commit."""
        return branch == self.branch and head is not None and head == self.head and not self.has_moved

    def new_pushes(self, before: ForcePushHistory | None) -> list[ForcePush]:
        """Return the pushes that were not known before; none without a reading before."""
        if before is None:
            return []
        known = {push.id for push in before.pushes}
        return [push for push in self.pushes if push.id not in known]


def follow(
    before: ForcePushHistory | None,
    client: Client,
    repository: Repository,
    branch: str,
    head: str | None,
    now: datetime,
) -> ForcePushHistory:
    """Return the force pushes to a branch that points at `head`, with at most one list of GitHub's."""
    if before is not None and before.is_current(branch, head):
        return before
    is_same = before is not None and before.branch == branch
    pushes, etag = client.force_pushes(
        repository.owner, repository.name, branch, before.etag if before is not None and is_same else ''
    )
    known = () if before is None else before.pushes
    found = {push.id: push for push in (*(pushes or ()), *known) if push.at >= now - KEPT}
    return ForcePushHistory(
        repository=repository.full_name,
        branch=branch,
        etag=etag,
        pushes=tuple(found.values()),
        head=head,
        has_moved=before is not None and not (is_same and head == before.head),
    )
