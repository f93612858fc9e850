"""The reviews of a pull request by people other than its author."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..core.fields import flag, items, mapping, moment, text
from .connections import GITHUB, total
from .people import Actor, Bots

APPROVED = 'APPROVED'
CHANGES_REQUESTED = 'CHANGES_REQUESTED'
# GitHub lets nobody approve or reject a pull request of their own.
COMMENTED = 'COMMENTED'


class Reviews(NamedTuple):
    """Facts about the reviews that have been read; None is "not among these", see `is_complete`."""

    first: datetime | None = None
    first_approval: datetime | None = None
    # The last approval not later than the merge.
    last_approval: datetime | None = None
    # Reviews that requested changes.
    change_requests: int = 0
    # True with a review by a person, also when the time of the first one is unknown.
    has_any: bool = False
    # The number of reviews that were read, those of bots and of the author included, and the number of all.
    read: int = 0
    total: int = 0
    # GitHub's cursor of the last review that was read.
    after: str | None = None
    # False when GitHub does not show one of the reviews, or its author.
    is_visible: bool = True

    @property
    def is_complete(self) -> bool:
        """True when all reviews are known."""
        return self.is_visible and self.read >= self.total

    @property
    def is_reviewed(self) -> bool | None:
        """True with a review by a person; None when that is unknown."""
        return True if self.has_any else False if self.is_complete else None

    @property
    def is_approved(self) -> bool | None:
        """True with an approval not later than the merge; None when that is unknown."""
        return True if self.last_approval is not None else False if self.is_complete else None

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: Bots) -> Reviews:
        """Read a page of the reviews of a pull request of the queries, the first page or a later one."""
        author, found = Actor.parse(node, bots), GITHUB.optional(mapping, node, 'reviews')
        if author is None or found is None:
            return HIDDEN
        listed = GITHUB.optional(items, found, 'nodes') or []
        rows = [mapping(row) for row in listed]
        reviewers = [None if row is None else Actor.parse(row, bots) for row in rows]
        merged = moment(node.get('mergedAt'))
        by_people = sorted(
            (at, text(row.get('state')) or '')
            for row, reviewer in zip(rows, reviewers, strict=True)
            if row is not None and reviewer is not None and _is_review(row, reviewer, author)
            if (at := moment(row.get('submittedAt'))) is not None
        )
        page = GITHUB.part(found, 'pageInfo')
        # The number of all reviews counts where it says that there are more.
        is_last = GITHUB.optional(flag, page, 'hasNextPage') is False
        count = len(listed) if is_last else total(node, 'reviews')
        return cls(
            **(_facts(by_people, merged) if None not in reviewers else {}),
            has_any=bool(by_people),
            read=len(listed),
            total=len(listed) if count is None else count,
            after=text(page.get('endCursor')),
            is_visible=None not in reviewers,
        )

    def followed_by(self, later: Reviews) -> Reviews:
        """Return the facts about these reviews and those of the page after them."""
        read = self.read + later.read
        return Reviews(
            first=self.first or (None if self.has_any else later.first),
            first_approval=self.first_approval or later.first_approval,
            last_approval=later.last_approval or self.last_approval,
            change_requests=self.change_requests + later.change_requests,
            has_any=self.has_any or later.has_any,
            read=read,
            total=later.total if later.total > later.read else read,
            after=later.after or self.after,
            is_visible=self.is_visible and later.is_visible,
        )


# A pull request of which the reviews or the author are not shown.
HIDDEN = Reviews(is_visible=False)


def _is_review(review: Mapping[str, Any], reviewer: Actor, author: Actor) -> bool:
    """Return whether a review counts as one by a person other than the author.

    All deleted accounts look alike. A comment by one on a pull request of one may be the author's own, so that it does
    not count; an approval or a request for changes is by somebody else.
    """
    if reviewer.is_bot:
        return False
    if reviewer.is_deleted and author.is_deleted:
        return review.get('state') != COMMENTED
    return reviewer.login != author.login


def _facts(reviews: list[tuple[datetime, str]], merged: datetime | None) -> dict[str, Any]:
    """Return the fields of Reviews that reviews by people, the oldest first, decide."""
    approvals = [at for at, state in reviews if state == APPROVED]
    return {
        'first': reviews[0][0] if reviews else None,
        'first_approval': min(approvals, default=None),
        'last_approval': max((at for at in approvals if merged is None or at <= merged), default=None),
        'change_requests': sum(state == CHANGES_REQUESTED for _, state in reviews),
    }
