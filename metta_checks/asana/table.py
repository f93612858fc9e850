"""The table of tasks that is kept between refreshes: open ones, and those completed in 30 d."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .records import Task
from .walk import Walk

# What a stored row means; rows of another meaning are not read.
FORMAT = list(Task._fields)


@dataclass(slots=True)
class Crawl:
    """Reading the projects' lists from the beginning: all of them, or those that are new."""

    walk: Walk
    # Completed tasks are read from here on, milliseconds.
    since: int
    everything: bool
    projects: list[str]
    tasks: dict[str, Task] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            'walk': self.walk.dump(),
            'since': self.since,
            'everything': self.everything,
            'projects': self.projects,
            'tasks': list(self.tasks.values()),
        }

    @classmethod
    def load(cls, document: Mapping[str, Any], now: float) -> Crawl | None:
        """What `dump` returned, None when it is too old to go on with."""
        walk = Walk.load(document['walk'], now)
        if walk is None:
            return None
        return cls(walk, document['since'], document['everything'], document['projects'], _rows(document['tasks']))


@dataclass(slots=True)
class Table:
    """Tasks by gid, and how current they are. Times are seconds since the epoch."""

    # How the rows were read: fields and options. Rows that were read in another way are no use.
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

    def dump(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            'format': FORMAT,
            'reading': self.reading,
            'crawled_at': self.crawled_at,
            'synced_at': self.synced_at,
            'covered': sorted(self.covered),
            'tasks': list(self.tasks.values()),
            'started': self.started,
            'crawl': self.crawl.dump() if self.crawl else None,
        }

    @classmethod
    def load(cls, document: Mapping[str, Any] | None, reading: str, now: float, *, watching: bool = False) -> Table:
        """What `dump` returned; an empty table when there is none, or one read in another way."""
        if document is None or document['format'] != FORMAT or document.get('reading') != reading:
            return cls(reading, watching=watching)
        return cls(
            reading=reading,
            crawled_at=document['crawled_at'],
            synced_at=document['synced_at'],
            covered=set(document['covered']),
            tasks=_rows(document['tasks']),
            started=dict(document['started']),
            crawl=Crawl.load(document['crawl'], now) if document['crawl'] else None,
            watching=watching,
        )


def _rows(rows: Iterable[Any]) -> dict[str, Task]:
    # Within a process the rows are still tasks, after a restart they are lists.
    tasks = (row if isinstance(row, Task) else Task._make(row) for row in rows)
    return {task.gid: task for task in tasks}
