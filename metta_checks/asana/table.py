"""The table of tasks that is kept between refreshes: open ones, and those completed in 30 d."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..core.stored import stored
from .records import Task
from .walk import Walk, WalkProgress


@stored
class CrawlProgress:
    """A crawl that goes on in the next run.

    Attributes:
        walk: the place in the lists of the projects
        since: completed tasks are read from here on, in milliseconds since the epoch
        everything: whether all projects are read, or only new ones
        projects: gids of the projects that are read
        tasks: the rows read so far
    """

    walk: WalkProgress
    since: int
    everything: bool
    projects: tuple[str, ...]
    tasks: tuple[Task, ...]


@stored
class KnownTasks:
    """The tasks of the workspace, so that a refresh asks only for changes: open ones, and those completed in 30 d.

    Attributes:
        reading: the columns of the rows and the options that they depend on; rows of another kind are read again
        crawled_at: when the lists of all projects were read, in seconds since the epoch; None: there are no rows
        synced_at: when changes were last looked for, in seconds since the epoch
        covered: gids of the projects whose lists have been read
        tasks: one row per task
        started: when work on a task began, by its gid, in milliseconds since the epoch; None: it will stay unknown
        crawl: a crawl that has not ended yet
    """

    reading: str
    crawled_at: float | None
    synced_at: float
    covered: frozenset[str]
    tasks: tuple[Task, ...]
    started: dict[str, int | None]
    crawl: CrawlProgress | None


@dataclass(slots=True)
class Crawl:
    """Reading the projects' lists from the beginning: all of them, or those that are new."""

    walk: Walk
    # Completed tasks are read from here on, milliseconds.
    since: int
    everything: bool
    projects: list[str]
    tasks: dict[str, Task] = field(default_factory=dict)

    def progress(self) -> CrawlProgress:
        """Return the part of the crawl that was done."""
        return CrawlProgress(
            walk=self.walk.progress(),
            since=self.since,
            everything=self.everything,
            projects=tuple(self.projects),
            tasks=tuple(self.tasks.values()),
        )

    @classmethod
    def resumed(cls, progress: CrawlProgress, now: float) -> Crawl | None:
        """Return the crawl that goes on from there, None when its progress is too old."""
        walk = Walk.resumed(progress.walk, now)
        if walk is None:
            return None
        return cls(walk, progress.since, progress.everything, list(progress.projects), _by_gid(progress.tasks))


@dataclass(slots=True)
class Table:
    """Tasks by gid, and how current they are. Times are seconds since the epoch."""

    # See KnownTasks.
    reading: str
    # None: there are no rows, a crawl must come first.
    crawled_at: float | None = None
    synced_at: float = 0.0
    # Projects whose lists have been read.
    covered: set[str] = field(default_factory=set)
    tasks: dict[str, Task] = field(default_factory=dict)
    # gid -> when work on it began (milliseconds), None where that is known to be unknown.
    started: dict[str, int | None] = field(default_factory=dict)
    crawl: Crawl | None = None
    # Whether entries into started sections are observed here.
    watching: bool = False

    def put(self, gid: str, task: Task | None, now: int) -> None:
        """Take over what was read of a task; None: it does not count any more."""
        if task is None:
            self.tasks.pop(gid, None)
            return
        self._watch(task, now)
        self.tasks[gid] = task

    def _watch(self, task: Task, now: int) -> None:
        """Note the moment when a task is first seen in a started section, if it was known before it got there."""
        if not self.watching or self.crawled_at is None or not task.in_progress or task.gid in self.started:
            return
        before = self.tasks.get(task.gid)
        known_outside = not before.in_progress if before else task.created >= self.synced_at * 1000
        if known_outside:
            self.started[task.gid] = now

    def finish_crawl(self, crawl: Crawl, now: int) -> None:
        """Take over the rows of a crawl that has come to its end."""
        self.crawl = None
        for task in crawl.tasks.values():
            self._watch(task, now)
        if crawl.everything:
            self.tasks = crawl.tasks
            self.covered = set(crawl.projects)
            # Whatever changed while the crawl went on is found by the next search.
            self.crawled_at = self.synced_at = crawl.walk.begun_at
        else:
            self.tasks = {**self.tasks, **crawl.tasks}
            self.covered |= set(crawl.projects)

    def prune(self, since: int, projects: Collection[str]) -> None:
        """Forget tasks that were completed before a time (milliseconds), or belong to none of the projects any more."""
        wanted = frozenset(projects)
        self.tasks = {
            gid: task
            for gid, task in self.tasks.items()
            if (task.open or (task.completed is not None and task.completed >= since))
            and not wanted.isdisjoint(task.projects)
        }
        self.started = {gid: at for gid, at in self.started.items() if gid in self.tasks}
        # A project that comes back is read again.
        self.covered &= wanted

    def known(self) -> KnownTasks:
        """Return what is remembered of the table."""
        return KnownTasks(
            reading=self.reading,
            crawled_at=self.crawled_at,
            synced_at=self.synced_at,
            covered=frozenset(self.covered),
            tasks=tuple(self.tasks.values()),
            started=dict(self.started),
            crawl=self.crawl.progress() if self.crawl else None,
        )

    @classmethod
    def of(cls, known: KnownTasks | None, reading: str, now: float, *, watching: bool = False) -> Table:
        """Return the table of what is remembered; an empty one when there is nothing, or rows of another reading."""
        if known is None or known.reading != reading:
            return cls(reading, watching=watching)
        return cls(
            reading=reading,
            crawled_at=known.crawled_at,
            synced_at=known.synced_at,
            covered=set(known.covered),
            tasks=_by_gid(known.tasks),
            started=dict(known.started),
            crawl=Crawl.resumed(known.crawl, now) if known.crawl else None,
            watching=watching,
        )


def _by_gid(tasks: Iterable[Task]) -> dict[str, Task]:
    return {task.gid: task for task in tasks}
