"""The table of tasks that is kept between refreshes: open ones, and those completed in the last 30 days."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..core.stored import stored
from .crawl import CrawlProgress, ProjectCrawl
from .records import Task

# Projects that Asana refused and that a refresh asks for again, in turn.
MAX_ASKED_AGAIN = 10


@stored
class TaskCrawlProgress:
    """A crawl that continues in the next run.

    Attributes:
        crawl: the place in the lists of the projects
        since: the earliest completion of the completed tasks that are read, in seconds since the epoch
        everything: True when all projects are read, False for new ones only
        by_search: True when a search reads the tasks, and the crawl goes over its parts
        projects: gids of the projects that are read
        tasks: the rows read so far
    """

    crawl: CrawlProgress
    since: float
    everything: bool
    projects: tuple[str, ...]
    tasks: tuple[Task, ...]
    by_search: bool


@stored
class KnownTasks:
    """The tasks of the workspace, so that a refresh asks only for changes: open ones, and those completed in 30 days.

    Attributes:
        columns: fingerprint of the columns of the rows and the options that they depend on; a table with other columns
            is read again
        crawled_at: when the lists of all projects were read, in seconds since the epoch; None: there are no rows
        synced_at: when changes were last searched for, in seconds since the epoch
        covered: gids of the projects whose tasks are known, so that only changes are asked for
        refused: the reason by the gid of each project that Asana refused, the one that was asked for longest ago first
        tasks: one row per task
        started: when work on a task began, by its gid, in seconds since the epoch; None: it will stay unknown
        crawl: a crawl that has not ended yet
        search_fails: True when the last search failed
        completed_dependencies: gids of tasks outside of the table that others depend on and that are completed
    """

    columns: str
    crawled_at: float | None
    synced_at: float
    covered: frozenset[str]
    refused: dict[str, str]
    tasks: tuple[Task, ...]
    started: dict[str, float | None]
    crawl: TaskCrawlProgress | None
    search_fails: bool
    completed_dependencies: frozenset[str]


@dataclass(slots=True)
class TaskCrawl:
    """A crawl over the task lists of all projects, or of new ones. The other fields are those of TaskCrawlProgress."""

    lists: ProjectCrawl
    since: datetime
    everything: bool
    projects: tuple[str, ...]
    tasks: dict[str, Task] = field(default_factory=dict)
    by_search: bool = False

    def progress(self) -> TaskCrawlProgress:
        """Return the crawl as it is stored."""
        return TaskCrawlProgress(
            crawl=self.lists.progress(),
            since=self.since.timestamp(),
            everything=self.everything,
            projects=self.projects,
            tasks=tuple(self.tasks.values()),
            by_search=self.by_search,
        )

    @classmethod
    def resumed(cls, progress: TaskCrawlProgress, now: float) -> TaskCrawl | None:
        """Return the crawl that continues from its stored progress, None when that is too old."""
        lists = ProjectCrawl.resumed(progress.crawl, now)
        if lists is None:
            return None
        since = datetime.fromtimestamp(progress.since, UTC)
        tasks = _by_gid(progress.tasks)
        return cls(lists, since, progress.everything, progress.projects, tasks, progress.by_search)


@dataclass(slots=True)
class TaskTable:
    """Tasks by gid, and how current they are. Times are seconds since the epoch. The fields are those of KnownTasks."""

    columns: str
    crawled_at: float | None = None
    synced_at: float = 0.0
    covered: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    started: dict[str, float | None] = field(default_factory=dict)
    crawl: TaskCrawl | None = None
    search_fails: bool = False
    completed_dependencies: frozenset[str] = frozenset()
    # True when the table notes the time of entries into started sections.
    observes_entries: bool = False
    # Projects that are not archived. Sections of other projects do not count as started.
    listed: frozenset[str] = frozenset()

    def put(self, gid: str, task: Task | None, now: float) -> None:
        """Replace the row of a task, or remove it when the task no longer counts (None)."""
        if task is None:
            self.tasks.pop(gid, None)
            return
        self._observe_entry(task, now)
        self.tasks[gid] = task

    def _observe_entry(self, task: Task, now: float) -> None:
        """Note the time when a task is first seen in a started section, if it was outside before."""
        if not self.observes_entries or self.crawled_at is None:
            return
        if self._is_started(task) and task.gid not in self.started and self._was_outside(task):
            self.started[task.gid] = now

    def _was_outside(self, task: Task) -> bool:
        """Return True when the task was outside started sections when last read, or was created since."""
        before = self.tasks.get(task.gid)
        if before is not None:
            return not self._is_started(before)
        return task.created_epoch is not None and task.created_epoch >= self.synced_at

    def _is_started(self, task: Task) -> bool:
        return not self.listed.isdisjoint(task.started_in)

    def finish_crawl(self, crawl: TaskCrawl, now: float) -> None:
        """Replace the rows with those of a complete crawl, or add those of a crawl over new projects."""
        self.crawl = None
        for task in crawl.tasks.values():
            self._observe_entry(task, now)
        if crawl.everything:
            self.tasks = crawl.tasks
            self.covered, self.refused = set(), {}
            # The next search finds all changes that were made during the crawl.
            self.crawled_at = self.synced_at = crawl.lists.begun_at
        else:
            self.tasks = {**self.tasks, **crawl.tasks}
        asked = set(crawl.projects)
        skipped = crawl.lists.skipped
        self.covered.update(asked.difference(skipped))
        waiting = {gid: reason for gid, reason in self.refused.items() if gid not in asked}
        self.refused = waiting | {gid: reason for gid, reason in skipped.items() if gid in asked}

    def to_read(self, projects: Collection[str]) -> list[str]:
        """Return the projects whose tasks are not known: new ones, and some of those that Asana refused before."""
        new = [gid for gid in projects if gid not in self.covered and gid not in self.refused]
        return [*new, *(gid for gid in self.refused if gid in projects)][: len(new) + MAX_ASKED_AGAIN]

    def prune(self, since: datetime, projects: Collection[str]) -> None:
        """Remove tasks that were completed before a time, and tasks that are in none of the projects any more."""
        wanted = frozenset(projects)
        earliest = since.timestamp()
        self.tasks = {
            gid: task
            for gid, task in self.tasks.items()
            if _is_recent(task, earliest) and not wanted.isdisjoint(task.projects)
        }
        self.started = {gid: at for gid, at in self.started.items() if gid in self.tasks}
        # A project that comes back is read again.
        self.covered &= wanted
        self.refused = {gid: reason for gid, reason in self.refused.items() if gid in wanted}

    def known(self) -> KnownTasks:
        """Return the table as it is stored."""
        return KnownTasks(
            columns=self.columns,
            crawled_at=self.crawled_at,
            synced_at=self.synced_at,
            covered=frozenset(self.covered),
            refused=dict(self.refused),
            tasks=tuple(self.tasks.values()),
            started=dict(self.started),
            crawl=self.crawl.progress() if self.crawl else None,
            search_fails=self.search_fails,
            completed_dependencies=self.completed_dependencies,
        )

    @classmethod
    def of(cls, known: KnownTasks | None, columns: str, now: float, *, observes_entries: bool = False) -> TaskTable:
        """Return the stored table; an empty one when nothing is stored or the stored rows have other columns."""
        if known is None or known.columns != columns:
            return cls(columns, observes_entries=observes_entries)
        return cls(
            columns=columns,
            crawled_at=known.crawled_at,
            synced_at=known.synced_at,
            covered=set(known.covered),
            refused=dict(known.refused),
            tasks=_by_gid(known.tasks),
            started=dict(known.started),
            crawl=TaskCrawl.resumed(known.crawl, now) if known.crawl else None,
            search_fails=known.search_fails,
            completed_dependencies=known.completed_dependencies,
            observes_entries=observes_entries,
        )


def _is_recent(task: Task, earliest: float) -> bool:
    if task.completed_epoch is not None:
        return task.completed_epoch >= earliest
    # A task whose time of completion is unknown stays, so that the figures of completed tasks are unknown, too.
    return not task.is_completed or 'completed_at' in task.lacks


def _by_gid(tasks: Iterable[Task]) -> dict[str, Task]:
    return {task.gid: task for task in tasks}
