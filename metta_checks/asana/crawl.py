"""A crawl over the lists of many projects, which may take several runs of the check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from ..core.errors import Forbidden, NotFound, Rejected, SourceError
from ..core.paging import Page
from ..core.refresh import Attempt
from ..core.stored import stored
from .client import OffsetExpired

T = TypeVar('T')

# An older offset is not used: the list is read again from its beginning. Asana does not document how long one is valid.
OFFSET_SECONDS = 600
# A crawl that has paused for longer starts again: its pages would describe different states of the workspace.
ABANDONED_SECONDS = 3600
# Number of times that a list whose offset has expired is read again from its beginning.
MAX_RESTARTS = 2
# Number of projects whose lists are rejected before any is read, after which the crawl fails.
MAX_REJECTED = 3


@stored
class CrawlProgress:
    """The place at which a crawl over projects continues. Times are seconds since the epoch.

    Attributes:
        pending: gids of the projects that are still to be read
        begun_at: when the crawl began
        offset: Asana's cursor of the next page in the first of these projects, None for its first page
        moved_at: when the last page was read
        read: number of projects that were read to the end
        unreadable: number of tasks that were left out
        skipped: the reason by the gid of each project that was left out
        refusals: message of the first refusal, by reason
    """

    pending: tuple[str, ...]
    begun_at: float
    offset: str | None
    moved_at: float
    read: int
    unreadable: int
    skipped: dict[str, str]
    refusals: dict[str, str]


class ProjectCrawl:
    """The projects that are still to be read, and the place in the first of them."""

    def __init__(self, projects: Iterable[str], now: float) -> None:
        self.begun_at = now
        self._moved_at = now
        self._pending = list(projects)
        self._offset: str | None = None
        self._read = 0
        self._unreadable = 0
        # The reason by the gid of each project that was left out.
        self.skipped: dict[str, str] = {}
        # The first refusal, by reason.
        self._refusals: dict[str, str] = {}

    def pages(
        self, read: Callable[[str, str | None], Iterator[Page[T]]], now: float, *, needs_one: bool = True
    ) -> Iterator[Page[T]]:
        """Yield the pages that are still to be read. After an error of `read`, the crawl can continue there.

        Rows may come twice. Projects that were deleted or that the token may not read are skipped.

        Parameters:
            read: yields the pages of a project from an offset on
            now: seconds since the epoch
            needs_one: raise the error of a skipped project when no project could be read
        """
        refused: SourceError | None = None
        restarts = 0
        while self._pending:
            try:
                for page in read(self._pending[0], self._offset):
                    self._move(page, now)
                    yield page
            except OffsetExpired:
                if self._offset is None or restarts >= MAX_RESTARTS:
                    raise
                restarts += 1
                self._offset = None
            except (Forbidden, NotFound, Rejected) as error:
                refused = error
                self._skip(error)
                rejected = sum(reason == error.reason for reason in self.skipped.values())
                is_general = isinstance(error, Rejected) and rejected >= MAX_REJECTED
                if needs_one and is_general and not self._read:
                    # It is not about one project.
                    raise
            else:
                restarts = 0
        if needs_one and refused is not None and not self._read:
            raise refused

    def report(self, attempt: Attempt[Any], refused: Mapping[str, str] = MappingProxyType({})) -> None:
        """Report the projects and tasks that are missing from the figures.

        `refused`: the reason by the gid of projects that were refused before, where not all are asked for again.
        """
        for reason, number in sorted(Counter({**refused, **self.skipped}.values()).items()):
            said = self._refusals.get(reason, 'they were refused before')
            whose = 'project could not be read: its' if number == 1 else 'projects could not be read: their'
            attempt.problem(reason, f'{number} {whose} tasks are missing ({reason}): {said}')
        if self._unreadable:
            attempt.problem('bad_payload', f'tasks left out because they could not be read: {self._unreadable}')

    def _move(self, page: Page[Any], now: float) -> None:
        self._unreadable += page.unreadable
        self._moved_at = now
        if page.cursor is None:
            self._read += 1
            self._next_project()
        else:
            self._offset = page.cursor

    def _skip(self, error: SourceError) -> None:
        self.skipped[self._pending[0]] = error.reason
        self._refusals.setdefault(error.reason, str(error))
        self._next_project()

    def _next_project(self) -> None:
        del self._pending[0]
        self._offset = None

    def progress(self) -> CrawlProgress:
        """Return the place at which the crawl continues, as it is stored."""
        return CrawlProgress(
            pending=tuple(self._pending),
            begun_at=self.begun_at,
            offset=self._offset,
            moved_at=self._moved_at,
            read=self._read,
            unreadable=self._unreadable,
            skipped=dict(self.skipped),
            refusals=dict(self._refusals),
        )

    @classmethod
    def resumed(cls, progress: CrawlProgress, now: float) -> ProjectCrawl | None:
        """Return the crawl that continues at a stored place, None when its progress is too old."""
        if not 0 <= now - progress.moved_at < ABANDONED_SECONDS:
            return None
        crawl = cls(progress.pending, progress.begun_at)
        crawl._moved_at = progress.moved_at
        if now - crawl._moved_at < OFFSET_SECONDS:
            crawl._offset = progress.offset
        crawl._read = progress.read
        crawl._unreadable = progress.unreadable
        crawl.skipped = dict(progress.skipped)
        crawl._refusals = dict(progress.refusals)
        return crawl
