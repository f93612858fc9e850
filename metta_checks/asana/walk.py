"""A walk over the lists of many projects, which may take several runs of the check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ..core.errors import Forbidden, NotFound, SourceError
from ..core.paging import Page
from ..core.refresh import Attempt
from ..core.stored import stored
from .client import OffsetExpired

T = TypeVar('T')

# Asana does not say how long an offset lives.
OFFSET_SECONDS = 600
# A walk that has not moved for so long describes another time: it begins anew.
ABANDONED_SECONDS = 3600
# A list that Asana refuses to continue is read again from its beginning, but not for ever.
MAX_RESTARTS = 2


@stored
class WalkProgress:
    """The place where a walk over projects goes on. Times are seconds since the epoch.

    Attributes:
        pending: gids of the projects that are still to be read
        begun_at: when the walk began
        offset: Asana's mark of the next page in the first of these projects, None for its first page
        moved_at: when the last page was read
        read: number of projects that were read to the end
        unreadable: number of tasks that were left out
        skipped: number of projects that were left out, by reason
    """

    pending: tuple[str, ...]
    begun_at: float
    offset: str | None
    moved_at: float
    read: int
    unreadable: int
    skipped: dict[str, int]


class Walk:
    """Which projects are still to be read, and where in the first of them. Times are seconds since the epoch."""

    def __init__(self, projects: Iterable[str], now: float) -> None:
        self.pending = list(projects)
        self.begun_at = now
        self.offset: str | None = None
        self.moved_at = now
        self.read = 0
        self.unreadable = 0
        # Projects that were left out, by reason.
        self.skipped: Counter[str] = Counter()

    def pages(self, read: Callable[[str, str | None], Iterator[Page[T]]], now: float) -> Iterator[Page[T]]:
        """Read on to the end. When an error of `read` passes through, the walk stands where it can go on.

        `read` gives the pages of a project from an offset on. Rows may come twice. Projects that are gone or closed to
        the token are skipped; raises the error when all are.
        """
        refused: SourceError | None = None
        restarts = 0
        while self.pending:
            try:
                for page in read(self.pending[0], self.offset):
                    self._move(page, now)
                    yield page
            except (Forbidden, NotFound) as error:
                refused = error
                self.skipped[error.reason] += 1
                self._next_project()
            except OffsetExpired:
                if self.offset is None or restarts >= MAX_RESTARTS:
                    raise
                restarts += 1
                self.offset = None
            else:
                restarts = 0
        if refused is not None and not self.read:
            raise refused

    def report(self, attempt: Attempt[Any]) -> None:
        """Say what is missing from the figures."""
        for reason, number in sorted(self.skipped.items()):
            whose = 'project could not be read: its' if number == 1 else 'projects could not be read: their'
            attempt.problem(reason, f'{number} {whose} tasks are missing ({reason})')
        if self.unreadable:
            attempt.problem('bad_payload', f'{self.unreadable} tasks could not be read: left out')

    def _move(self, page: Page[Any], now: float) -> None:
        self.unreadable += page.unreadable
        self.moved_at = now
        if page.cursor is None:
            self.read += 1
            self._next_project()
        else:
            self.offset = page.cursor

    def _next_project(self) -> None:
        del self.pending[0]
        self.offset = None

    def progress(self) -> WalkProgress:
        """Return the place where the walk goes on."""
        return WalkProgress(
            pending=tuple(self.pending),
            begun_at=self.begun_at,
            offset=self.offset,
            moved_at=self.moved_at,
            read=self.read,
            unreadable=self.unreadable,
            skipped=dict(self.skipped),
        )

    @classmethod
    def resumed(cls, progress: WalkProgress, now: float) -> Walk | None:
        """Return the walk that goes on from there, None when its progress is too old."""
        if not 0 <= now - progress.moved_at < ABANDONED_SECONDS:
            return None
        walk = cls(progress.pending, progress.begun_at)
        walk.moved_at = progress.moved_at
        if now - walk.moved_at < OFFSET_SECONDS:
            walk.offset = progress.offset
        walk.read = progress.read
        walk.unreadable = progress.unreadable
        walk.skipped = Counter(progress.skipped)
        return walk
