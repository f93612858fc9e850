"""Reads the paths that merged pull requests change, a page at a time over several refreshes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from ..core.errors import SourceError
from ..core.stored import stored
from .client import Client
from .queries import PAGES
from .records import FileList, FileLists, PullRequest

# GitHub lists at most 3,000 files of a pull request.
MAX_FILES = 3000


class Paths(NamedTuple):
    """The paths that a pull request changes, as far as they have been read."""

    # Where the next page begins; None: read to the end.
    after: str | None
    # A hash of eight bytes per path, which tells paths apart and is much smaller.
    hashes: tuple[int, ...]

    @classmethod
    def of(cls, files: FileList | None, before: Sequence[int] = ()) -> Paths | None:
        """Add a page to the paths before it; None when GitHub has no list."""
        if files is None or files.paths is None:
            return None
        return cls(files.cursor, (*before, *map(_hash, files.paths)))

    @property
    def is_complete(self) -> bool:
        """True when all paths that GitHub lists have been read."""
        return self.after is None or len(self.hashes) >= MAX_FILES


@stored
class ChangedFiles:
    """The paths that the merged pull requests of the window change; a merged pull request keeps its paths.

    Attributes:
        by_pull_request: the paths by the number of the pull request; None when GitHub has no list
    """

    by_pull_request: dict[int, Paths | None]

    def of(self, pulls: Sequence[PullRequest]) -> ChangedFiles:
        """Return the paths of these pull requests alone."""
        known = self.by_pull_request
        return ChangedFiles({pull.number: known[pull.number] for pull in pulls if pull.number in known})

    def all_hashes(self, pulls: Sequence[PullRequest]) -> set[int] | None:
        """Return the hashes of all paths of these pull requests, None until all have been read."""
        lists = [self.by_pull_request.get(pull.number) for pull in pulls]
        complete = [paths for paths in lists if paths is not None and paths.is_complete]
        return {path for paths in complete for path in paths.hashes} if len(complete) == len(lists) else None


@dataclass(slots=True)
class FileCrawl:
    """Reads the paths that are still unknown, one request at a time.

    Attributes:
        client: the server
        pulls: the merged pull requests of the window
        files: the paths known so far
        problems: GitHub's messages about missing lists
    """

    client: Client
    pulls: Sequence[PullRequest]
    files: ChangedFiles
    problems: list[str] = field(default_factory=list)

    def run(self, requests: int) -> None:
        """Send at most this number of requests."""
        for _ in range(requests):
            waiting = self._waiting()
            if not waiting:
                break
            self._read(waiting)

    @property
    def has_unread(self) -> bool:
        """True while pages are still to be read, apart from lists that GitHub did not have the last time."""
        known = self.files.by_pull_request
        return any(pull.number not in known or known[pull.number] is not None for pull in self._waiting())

    def unread(self) -> list[str]:
        """Return the ids of pull requests to ask for together; none while the turn is at a further page of one."""
        known = self.files.by_pull_request
        waiting = self._waiting()
        if waiting and known.get(waiting[0].number) is not None:
            return []
        return [pull.id for pull in waiting if known.get(pull.number) is None]

    def _waiting(self) -> list[PullRequest]:
        """Return the pull requests with unknown paths, in the order of their merges."""
        known = self.files.by_pull_request
        incomplete = [pull for pull in self.pulls if not _is_complete(known.get(pull.number))]
        return sorted(incomplete, key=self._rank)

    def _rank(self, pull: PullRequest) -> tuple[bool, datetime | None, int]:
        # A list that GitHub did not have the last time is asked for again, but after the others.
        known = self.files.by_pull_request
        return pull.number in known and known[pull.number] is None, pull.merged, pull.number

    def _read(self, waiting: Sequence[PullRequest]) -> None:
        if unread := self.unread():
            self.take(self.client.files(unread))
            return
        first = waiting[0]
        known = self.files.by_pull_request[first.number]
        assert known is not None
        assert known.after is not None
        self._put({first.number: Paths.of(self.client.more_files(first.id, known.after), known.hashes)})

    def take(self, lists: FileLists) -> None:
        """Add the first pages of some of the pull requests."""
        self.problems += lists.problems
        asked = [pull for pull in self.pulls if pull.id in lists.by_id]
        self._put({pull.number: Paths.of(lists.by_id[pull.id]) for pull in asked})

    def _put(self, lists: dict[int, Paths | None]) -> None:
        self.files = ChangedFiles({**self.files.by_pull_request, **lists})


def _is_complete(paths: Paths | None) -> bool:
    return paths is not None and paths.is_complete


def _hash(path: str) -> int:
    """Return eight bytes that stand for a path."""
    return int.from_bytes(blake2b(path.encode(errors='surrogatepass'), digest_size=8).digest(), 'big')


def read_together(client: Client, crawls: Mapping[str, FileCrawl]) -> dict[str, FileLists | SourceError]:
    """Return the first pages of paths of several repositories, with at most as many requests as repositories.

    After a request that fails, the error stands for the repositories of which nothing was read.
    """
    wanted = {key: crawl.unread()[: PAGES['files'][0]] for key, crawl in crawls.items()}
    ids = [identity for some in wanted.values() for identity in some]
    found, failure = FileLists(), None
    for _ in filter(None, wanted.values()):
        if not ids:
            break
        try:
            page = client.files(ids)
        except SourceError as error:
            failure = error
            break
        found = FileLists({**found.by_id, **page.by_id}, (*found.problems, *page.problems))
        ids = ids[len(page.by_id) :]
    parts = {key: found.of(some) for key, some in wanted.items()}
    if failure is None:
        return {**parts}
    return {key: failure if wanted[key] and not lists.by_id else lists for key, lists in parts.items()}
