"""Keeps the table of tasks current with as few requests as the workspace's plan allows.

A crawl reads the lists of all projects. Between two crawls, paid workspaces are searched for what was modified since;
free ones have no search, and the figures stay those of the last crawl.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..core.errors import NotFound, SourceError
from ..core.paging import Page
from ..core.refresh import Attempt
from ..core.stored import stored
from .client import PAGE_SIZE, Client
from .measures import DAY, MONTH_DAYS
from .records import Task, milliseconds
from .settings import Settings
from .table import Crawl, KnownTasks, Table
from .walk import Walk, WalkProgress

# Search finds a change up to a minute after it was made, sometimes later: look back further than the last time.
OVERLAP_MS = 120_000
# Beyond so many pages a crawl is cheaper, and search allows 60 requests per minute only.
MAX_SEARCH_PAGES = 20


@stored
class CountProgress:
    """A count of all tasks that goes on in the next run.

    Attributes:
        walk: the place in the lists of the projects
        gids: the tasks counted so far
    """

    walk: WalkProgress
    gids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tracked:
    """The tasks that count, and gid -> when work on them began."""

    tasks: list[Task]
    started: dict[str, int | None]


class Tracker:
    """Reads tasks of one workspace."""

    def __init__(self, client: Client, settings: Settings, workspace: str) -> None:
        self._client = client
        self._settings = settings
        self._workspace = workspace
        started = sorted(settings.started_sections)
        # See KnownTasks.
        basis = 'stories' if settings.use_stories else ''
        self._reading = ' '.join((*Task._fields, client.task_fields, *started, basis))

    def track(
        self,
        attempt: Attempt[KnownTasks],
        projects: Collection[str],
        *,
        search: bool,
        interval: float,
        afresh: bool = False,
    ) -> Tracked:
        """Bring the table in the block's state up to date; `projects` are those that are not archived.

        A crawl is due every `interval` seconds, and at once when `afresh`. Progress survives every error. Raises
        PaymentRequired when `search` is True and the plan does not include it.
        """
        watching = bool(self._settings.started_sections) and not self._settings.use_stories
        table = Table.of(attempt.state, self._reading, attempt.now.timestamp(), watching=watching)
        try:
            self._update(table, attempt, projects, search=search, interval=interval, afresh=afresh)
            table.prune(self._since(attempt), projects)
            if self._settings.use_stories:
                self._read_stories(table)
        except SourceError:
            attempt.checkpoint(table.known())
            raise
        tracked = Tracked(list(table.tasks.values()), table.started)
        if not search and not self._settings.started_sections:
            # Nobody will ask for the rows again: the next crawl brings all of them.
            table.tasks = {}
            table.crawled_at = None
        attempt.state = table.known()
        return tracked

    def count(self, attempt: Attempt[CountProgress], projects: Collection[str]) -> int:
        """How many tasks there are in the projects, completed ones included. Progress survives every error."""
        now = attempt.now.timestamp()
        counted: set[str] = set()
        walk = None
        if attempt.state is not None:
            walk = Walk.resumed(attempt.state.walk, now)
            counted = set(attempt.state.gids) if walk else counted
        walk = walk or Walk(projects, now)
        try:
            for page in walk.pages(self._client.every_task, now):
                counted.update(gid for gid, counts in page.rows if counts)
        except SourceError:
            attempt.checkpoint(CountProgress(walk.progress(), frozenset(counted)))
            raise
        walk.report(attempt)
        attempt.state = None
        return len(counted)

    @staticmethod
    def _since(attempt: Attempt[KnownTasks]) -> int:
        return milliseconds(attempt.now) - MONTH_DAYS * DAY

    def _update(
        self,
        table: Table,
        attempt: Attempt[KnownTasks],
        projects: Collection[str],
        *,
        search: bool,
        interval: float,
        afresh: bool,
    ) -> None:
        now = attempt.now.timestamp()
        if table.crawl is None:
            outdated = table.crawled_at is None or not 0 <= now - table.crawled_at < interval - 1
            if afresh or outdated or (search and not self._search(table, attempt)):
                table.crawl = Crawl(Walk(projects, now), self._since(attempt), True, list(projects))
            elif unknown := [gid for gid in projects if gid not in table.covered]:
                table.crawl = Crawl(Walk(unknown, now), self._since(attempt), False, unknown)
        if table.crawl is not None:
            self._crawl(table, table.crawl, attempt)
            if search and table.synced_at < now:
                # It began in an earlier run: what has changed since then behind it is still missing.
                self._search(table, attempt)

    def _crawl(self, table: Table, crawl: Crawl, attempt: Attempt[KnownTasks]) -> None:
        def read(project: str, offset: str | None) -> Iterator[Page[tuple[str, Task | None]]]:
            return self._client.tasks(project, crawl.since, offset)

        for page in crawl.walk.pages(read, attempt.now.timestamp()):
            crawl.tasks.update((gid, task) for gid, task in page.rows if task is not None)
        table.finish_crawl(crawl, milliseconds(attempt.now))
        crawl.walk.report(attempt)

    def _search(self, table: Table, attempt: Attempt[KnownTasks]) -> bool:
        """Find what was modified since the last time; False when that takes a crawl."""
        now = milliseconds(attempt.now)
        after = round(table.synced_at * 1000) - OVERLAP_MS
        unreadable = 0
        for _ in range(MAX_SEARCH_PAGES):
            page = self._client.modified(self._workspace, after)
            for gid, task in page.rows:
                table.put(gid, task, now)
            unreadable += page.unreadable
            if len(page.rows) + page.unreadable < PAGE_SIZE:
                table.synced_at = attempt.now.timestamp()
                if unreadable:
                    attempt.problem('bad_payload', f'{unreadable} modified tasks could not be read: left out')
                return True
            # The page may end within the tasks of one moment: the next one begins with that moment.
            following = max((task.modified for _, task in page.rows if task is not None), default=after) - 1
            if following <= after:
                return False
            after = following
        return False

    def _read_stories(self, table: Table) -> None:
        """Ask, once per completed task, when work on it began."""
        for task in table.tasks.values():
            if task.open or task.gid in table.started:
                continue
            try:
                table.started[task.gid] = self._entry(task)
            except NotFound:
                # Deleted since: the next crawl does not find it either.
                table.started[task.gid] = None

    def _entry(self, task: Task) -> int | None:
        for page in self._client.entries(task.gid):
            entries = [at for _, at in page.rows if at is not None]
            if entries:
                return min(entries)
        return None
