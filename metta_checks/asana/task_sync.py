"""Update of the table of tasks, with as few requests as the workspace's plan allows.

A crawl reads the lists of all projects. Between two crawls, paid workspaces are searched for modified tasks; free ones
have no search, and the figures stay those of the last crawl.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.errors import BadPayload, Forbidden, NotFound, Rejected, SourceError, Unavailable
from ..core.memo import fingerprint
from ..core.paging import Page
from ..core.refresh import Attempt
from ..core.stored import stored
from .client import PAGE_SIZE, PRECISION, Client, PaymentRequired
from .crawl import CrawlProgress, ProjectCrawl
from .dependencies import Dependencies
from .dependencies import read as read_dependencies
from .measures.calendar import MONTH
from .records import Task
from .settings import Settings
from .task_search import COMPLETED, EVERY, MIN_PROJECTS, OPEN, SearchFailed, TaskSearch, TooManyTasks, check_duration
from .task_table import KnownTasks, TaskCrawl, TaskTable

# Search finds a change only a minute after it was made, sometimes later: each search begins this long before the last.
OVERLAP = timedelta(minutes=2)
# Errors of a search that say nothing about the lists of projects.
SEARCH_FAULTS = (Unavailable, Forbidden, NotFound, Rejected, BadPayload)
# Errors of a search for all tasks after which the lists of projects are read. Rate limits are not: the search goes on.
BULK_FAULTS = (SearchFailed, Unavailable, BadPayload)
# Number of histories that are refused before any is read, after which no more are asked for.
MAX_REFUSED = 3
# Beyond this number of pages, a crawl is cheaper, and search allows only 60 requests per minute.
MAX_SEARCH_PAGES = 20


@stored
class CountProgress:
    """A count of all tasks: one that continues in the next run, or the place where the last one ended.

    Attributes:
        crawl: the place in the lists of the projects
        gids: the tasks counted so far
        by_search: True when a search counts the tasks, and the crawl goes over its parts
    """

    crawl: CrawlProgress
    gids: frozenset[str]
    by_search: bool


@dataclass(slots=True)
class Count:
    """A count of all tasks. The fields are those of CountProgress."""

    crawl: ProjectCrawl
    by_search: bool = False
    gids: set[str] = field(default_factory=set)

    def progress(self) -> CountProgress:
        """Return the count as it is stored."""
        return CountProgress(self.crawl.progress(), frozenset(self.gids), self.by_search)

    @classmethod
    def resumed(cls, progress: CountProgress | None, now: float) -> Count | None:
        """Return the count that continues, None when there is none, it has ended, or it is too old."""
        if progress is None or not progress.crawl.pending:
            return None
        crawl = ProjectCrawl.resumed(progress.crawl, now)
        return None if crawl is None else cls(crawl, progress.by_search, set(progress.gids))


@dataclass(frozen=True, slots=True)
class SyncedTasks:
    """The tasks that count.

    Attributes:
        tasks: open tasks, and those completed in the last 30 days
        started: when work on a task began, by its gid; None when that is unknown
        search_fails: True when the last search failed
        dependencies: with option `blocked_fields`, the states of dependencies outside of the table
    """

    tasks: list[Task]
    started: dict[str, datetime | None]
    search_fails: bool
    dependencies: Dependencies


@dataclass(frozen=True, slots=True)
class SyncMode:
    """The way to update the table.

    Attributes:
        search: True when the plan of the workspace includes search
        interval: seconds between two crawls
        crawl_now: True when a crawl is due even if the interval has not passed
    """

    search: bool
    interval: float
    crawl_now: bool = False


class TaskSync:
    """Reader of the tasks of one workspace."""

    def __init__(self, client: Client, settings: Settings, workspace: str) -> None:
        self._client = client
        self._settings = settings
        self._workspace = workspace
        self._task_search = TaskSearch(client, workspace)
        started = sorted(settings.started_sections.wanted)
        basis = 'stories' if settings.use_stories else ''
        self._columns = fingerprint(' '.join((*Task._fields, client.task_fields, *started, basis)))

    def update(self, attempt: Attempt[KnownTasks], projects: Collection[str], mode: SyncMode) -> SyncedTasks:
        """Bring the table in the block's state up to date; `projects` are those that are not archived.

        Progress survives every error. Raises PaymentRequired when the plan does not include search, contrary to `mode`.
        """
        now = attempt.now.timestamp()
        observes_entries = bool(self._settings.started_sections) and not self._settings.use_stories
        table = TaskTable.of(attempt.state, self._columns, now, observes_entries=observes_entries)
        table.listed = frozenset(projects)
        try:
            self._update(table, attempt, projects, mode)
            table.prune(attempt.now - MONTH, projects)
            if self._settings.use_stories:
                self._read_stories(table, attempt)
            dependencies = Dependencies()
            if self._settings.blocked:
                dependencies = read_dependencies(self._client, table.tasks, table.completed_dependencies, attempt)
                table.completed_dependencies = dependencies.completed
        except SourceError:
            attempt.checkpoint(table.known())
            raise
        started = {gid: None if at is None else datetime.fromtimestamp(at, UTC) for gid, at in table.started.items()}
        synced = SyncedTasks(list(table.tasks.values()), started, table.search_fails, dependencies)
        if not mode.search and not self._settings.started_sections:
            # The rows are not needed again: the next crawl brings all of them.
            table.tasks = {}
            table.crawled_at = None
        attempt.state = table.known()
        return synced

    def count(self, attempt: Attempt[CountProgress], projects: Collection[str], *, search: bool) -> int:
        """Return the number of tasks in the projects, completed ones included. Progress survives every error.

        `search` is True when the plan of the workspace includes search. Only the first count uses it: later ones can
        wait for the lists, which need no pace.
        """
        now = attempt.now.timestamp()
        count = Count.resumed(attempt.state, now)
        if attempt.state is None and search and len(projects) >= MIN_PROJECTS:
            count = Count(ProjectCrawl(self._task_search.parts(projects, EVERY), now), by_search=True)
        count = count or Count(ProjectCrawl(projects, now))
        try:
            if count.by_search and not self._can_count(count, attempt, projects):
                count = Count(ProjectCrawl(projects, now))
            self._count(count, now, projects)
        except SourceError:
            attempt.checkpoint(count.progress())
            raise
        count.crawl.report(attempt)
        attempt.state = CountProgress(count.crawl.progress(), frozenset(), count.by_search)
        return len(count.gids)

    def _can_count(self, count: Count, attempt: Attempt[CountProgress], projects: Collection[str]) -> bool:
        """Count by search. Return False when search fails or takes too long."""
        try:
            check_duration(count.crawl.begun_at, attempt.now.timestamp())
            self._count(count, attempt.now.timestamp(), projects)
        except TooManyTasks:
            return False
        except BULK_FAULTS as error:
            report_failed_search(attempt, error)
            return False
        return True

    def _count(self, count: Count, now: float, projects: Collection[str]) -> None:
        """Read the pages that are still to be read; none when all have been."""
        wanted = frozenset(projects)
        read = self._task_search.counted if count.by_search else self._client.every_task
        for page in count.crawl.pages(read, now):
            count.gids.update(
                task.gid
                for task in page.rows
                if task.counts and not (count.by_search and wanted.isdisjoint(task.projects))
            )

    def _update(
        self, table: TaskTable, attempt: Attempt[KnownTasks], projects: Collection[str], mode: SyncMode
    ) -> None:
        if table.crawl is None:
            table.crawl = self._search_or_begin_crawl(table, attempt, projects, mode)
        if table.crawl is not None:
            self._read_all(table, table.crawl, attempt)
            if mode.search and table.synced_at < attempt.now.timestamp():
                # The crawl began in an earlier run: changes since then to lists that it had read are still missing.
                self._try_search(table, attempt, has_crawled=True)

    def _search_or_begin_crawl(
        self, table: TaskTable, attempt: Attempt[KnownTasks], projects: Collection[str], mode: SyncMode
    ) -> TaskCrawl | None:
        """Read the changes by search, where the plan has it. Return the crawl that is needed then, None for none."""
        is_due = mode.crawl_now or not _is_fresh(table, attempt.now, mode.interval)
        if not is_due and mode.search:
            is_due = not self._try_search(table, attempt)
        if is_due and self._begins_with_search(table, projects, mode):
            return self._begin_search(projects, attempt.now)
        if is_due:
            return _begin_crawl(projects, attempt.now, everything=True)
        if unknown := table.to_read(projects):
            return _begin_crawl(unknown, attempt.now, everything=False)
        return None

    @staticmethod
    def _begins_with_search(table: TaskTable, projects: Collection[str], mode: SyncMode) -> bool:
        """Return True when the first rows of the table are cheaper to find by search."""
        return mode.search and table.crawled_at is None and not table.search_fails and len(projects) >= MIN_PROJECTS

    def _begin_search(self, projects: Collection[str], now: datetime) -> TaskCrawl:
        crawl = ProjectCrawl(self._task_search.parts(projects, OPEN, COMPLETED), now.timestamp())
        return TaskCrawl(crawl, now - MONTH, everything=True, projects=tuple(projects), by_search=True)

    def _read_all(self, table: TaskTable, crawl: TaskCrawl, attempt: Attempt[KnownTasks]) -> None:
        """Complete a crawl. When it is a search that fails or takes too long, crawl the lists of projects instead."""
        try:
            if crawl.by_search:
                check_duration(crawl.lists.begun_at, attempt.now.timestamp())
            self._crawl(table, crawl, attempt)
        except (TooManyTasks, *BULK_FAULTS) as error:
            if not crawl.by_search:
                raise
            if not isinstance(error, TooManyTasks):
                report_failed_search(attempt, error)
                table.search_fails = True
            table.crawl = _begin_crawl(crawl.projects, attempt.now, everything=True)
            self._crawl(table, table.crawl, attempt)

    def _crawl(self, table: TaskTable, crawl: TaskCrawl, attempt: Attempt[KnownTasks]) -> None:
        def read(name: str, offset: str | None) -> Iterator[Page[tuple[str, Task | None]]]:
            if crawl.by_search:
                return self._task_search.tasks(name, crawl.since, offset)
            return self._client.tasks(name, crawl.since, offset)

        now = attempt.now.timestamp()
        for page in crawl.lists.pages(read, now, needs_one=crawl.everything):
            crawl.tasks.update((gid, task) for gid, task in page.rows if task is not None)
        table.finish_crawl(crawl, now)
        crawl.lists.report(attempt, table.refused)

    def _try_search(self, table: TaskTable, attempt: Attempt[KnownTasks], *, has_crawled: bool = False) -> bool:
        """Read the modified tasks. Return False when that takes a crawl: too many were modified, or search fails.

        Raises the error of a first failure: the next attempt confirms it. `has_crawled`: the table is current but for
        the changes during the crawl, so no failure is raised.
        """
        try:
            is_complete = self._search(table, attempt)
        except PaymentRequired:
            raise
        except SEARCH_FAULTS as error:
            if not table.search_fails and not has_crawled:
                table.search_fails = True
                raise
            table.search_fails = True
            report_failed_search(attempt, error)
            return False
        table.search_fails = False
        return is_complete

    def _search(self, table: TaskTable, attempt: Attempt[KnownTasks]) -> bool:
        """Read the tasks that were modified since the last search. Return False when there are too many: crawl then."""
        now = attempt.now.timestamp()
        unreadable = 0
        for page in self._modified_since(datetime.fromtimestamp(table.synced_at, UTC) - OVERLAP):
            for gid, task in page.rows:
                table.put(gid, task, now)
            unreadable += page.unreadable
            if len(page.rows) + page.unreadable < PAGE_SIZE:
                table.synced_at = now
                if unreadable:
                    attempt.problem(
                        'bad_payload', f'modified tasks left out because they could not be read: {unreadable}'
                    )
                return True
        return False

    def _modified_since(self, after: datetime) -> Iterator[Page[tuple[str, Task | None]]]:
        """Yield pages of modified tasks, at most MAX_SEARCH_PAGES, until a page has no later time to continue from."""
        for _ in range(MAX_SEARCH_PAGES):
            page = self._client.modified(self._workspace, after)
            yield page
            # Tasks that were modified at the same time may continue on the next page, which begins with that time.
            modified = (task.modified for _, task in page.rows if task is not None)
            latest = max((at for at in modified if at is not None), default=after)
            if latest - PRECISION <= after:
                return
            after = latest - PRECISION

    def _read_stories(self, table: TaskTable, attempt: Attempt[KnownTasks]) -> None:
        """Read, once per completed task, when work on it began. A history that cannot be read costs its task only."""
        refused: list[str] = []
        refusal: SourceError | None = None
        read = 0
        for task in [task for task in table.tasks.values() if task.is_completed and task.gid not in table.started]:
            if not read and len(refused) >= MAX_REFUSED:
                # It is not about single tasks.
                break
            try:
                entry = self._first_entry(task)
            except (Forbidden, NotFound, Rejected) as error:
                refused.append(task.gid)
                refusal = refusal or error
                continue
            read += 1
            table.started[task.gid] = None if entry is None else entry.timestamp()
        if refusal is None:
            return
        if read:
            # The task was deleted, or it left its last project: the next crawl does not find it either.
            table.started.update(dict.fromkeys(refused))
        attempt.problem(
            refusal.reason,
            f'histories that could not be read: {len(refused)}; cycle_time with basis:started leaves the tasks out: '
            f'{refusal}',
        )

    def _first_entry(self, task: Task) -> datetime | None:
        """Return when a task first entered a started section. Stories come oldest first."""
        for page in self._client.stories(task.gid):
            entries = [story.entered for story in page.rows if story.entered is not None]
            if entries:
                return min(entries)
        return None


def report_failed_search(attempt: Attempt[Any], error: SourceError) -> None:
    """Report that tasks are read from the lists of projects, because search fails."""
    attempt.problem(error.reason, f'search fails, so the lists of all projects are read instead: {error}')


def _is_fresh(table: TaskTable, now: datetime, interval: float) -> bool:
    # A second of grace, because refreshes do not start to the millisecond.
    return table.crawled_at is not None and 0 <= now.timestamp() - table.crawled_at < interval - 1


def _begin_crawl(projects: Iterable[str], now: datetime, *, everything: bool) -> TaskCrawl:
    gids = tuple(projects)
    return TaskCrawl(ProjectCrawl(gids, now.timestamp()), now - MONTH, everything, gids)
