"""Reads the paths that merged pull requests change, a page at a time over several refreshes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from ..core.stored import stored
from .client import Client
from .records import FileList, PullRequest

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
        problem: is called with GitHub's message when lists are missing
    """

    client: Client
    pulls: Sequence[PullRequest]
    files: ChangedFiles
    problem: Callable[[str], None]

    def run(self, requests: int) -> ChangedFiles:
        """Return the known paths after at most this number of requests."""
        for _ in range(requests):
            waiting = self._waiting()
            if not waiting:
                break
            self._read(waiting)
        return self.files

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
        first = waiting[0]
        known = self.files.by_pull_request.get(first.number)
        if known is not None and known.after is not None:
            more = self.client.more_files(first.id, known.after)
            self._put({first.number: Paths.of(more, known.hashes)})
            return
        unread = [pull for pull in waiting if self.files.by_pull_request.get(pull.number) is None]
        answers, asked = self.client.files([pull.id for pull in unread], self.problem)
        self._put({pull.number: Paths.of(answers.get(pull.number)) for pull in unread[:asked]})

    def _put(self, lists: dict[int, Paths | None]) -> None:
        self.files = ChangedFiles({**self.files.by_pull_request, **lists})


def _is_complete(paths: Paths | None) -> bool:
    return paths is not None and paths.is_complete


def _hash(path: str) -> int:
    """Return eight bytes that stand for a path."""
    return int.from_bytes(blake2b(path.encode(errors='surrogatepass'), digest_size=8).digest(), 'big')
