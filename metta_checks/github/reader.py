"""Reads one repository, block by block: what was known, what GitHub says now, what follows from both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from ..core.errors import Rejected
from ..core.refresh import Attempt, Event
from ..core.stored import stored
from ..core.times import format_time
from . import runs
from .answers import FileList, RunPage
from .client import FILE_PAGES, Client
from .measures import ci, commits, pull_requests, repository
from .queries import CLOSED_PAGE_WARM
from .records import FAILED, Commit, ForcePush, Overview, PullRequest, Release, Run
from .settings import Settings

WINDOW = timedelta(days=7)
# GitHub's lists may show a change a little late.
LAG_SECONDS = 5 * 60
# What a warm refresh may ask for by GraphQL in all.
WARM_QUERIES = 3
FILES_OF_A_PAGE = 100
# Parts of the first answer that another block misses, and speaks of, when GitHub could not give them.
PARTS_OF_OTHER_BLOCKS = ('openPullRequests', 'newestClosed', 'inWindow', 'newest')


@dataclass(slots=True)
class Place:
    """A repository of the configuration (`key`), under its present name.

    `branch` is its default branch, as last known; None while unknown, or without commits.
    """

    key: str
    owner: str
    name: str
    branch: str | None

    @classmethod
    def of(cls, key: str) -> Place:
        """Of the configuration, with nothing known of it."""
        owner, name = key.split('/')
        return cls(key, owner, name, None)

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f'{self.owner}/{self.name}'

    @property
    def tags(self) -> dict[str, str]:
        """The base tags of the figures of the repository."""
        return {'org': self.owner, 'repo': self.full_name}

    def recall(self, known: RepositoryFacts) -> None:
        """Take over what was found out last about the repository."""
        self.owner, self.name, self.branch = known.owner, known.name, known.branch


@stored
class RepositoryFacts:
    """The present name of a repository and its default branch, and its releases, so that a new one is an event.

    Attributes:
        owner, name: the present name
        branch: the default branch; None without commits, or while it is unknown
        releases: tags of the newest releases; None where GitHub has never shown them
        read_at: when this was read
    """

    owner: str
    name: str
    branch: str | None
    releases: tuple[str, ...] | None
    read_at: float


@stored
class PullRequestHistory:
    """The pull requests that were closed or merged in the window, so that only newly changed ones are read.

    Attributes:
        closed: one row per pull request
        newest_closed: number and time of change of the one that changed last, as GitHub writes it; None without any
        read_until: the last change that was read
        highest_number: the highest number of all pull requests; a higher one is new
        read_at: when this was read
    """

    closed: tuple[PullRequest, ...]
    newest_closed: tuple[int, str] | None
    read_until: float
    highest_number: int
    read_at: float


class Paths(NamedTuple):
    """The paths that a pull request changes, as far as they have been read."""

    # Where the next page begins; None: read to the end.
    after: str | None
    # A hash of eight bytes per path: enough to tell paths apart, and much less to keep.
    hashes: tuple[int, ...]

    @classmethod
    def of(cls, files: FileList | None, before: Sequence[int] = ()) -> Paths | None:
        """Add a page to the paths before it; None where GitHub has no list."""
        if files is None or files.paths is None:
            return None
        return cls(files.cursor, (*before, *map(_hash, files.paths)))


@stored
class ChangedFiles:
    """The paths that the merged pull requests of the window change.

    They are read a page at a time, over several refreshes, and do not change any more.

    Attributes:
        by_pull_request: the paths by the number of the pull request; None where GitHub has no list
    """

    by_pull_request: dict[int, Paths | None]


@stored
class CommitHistory:
    """The commits of the default branch in the window, so that only new ones are read."""

    commits: tuple[Commit, ...]


@stored
class ForcePushHistory:
    """The force pushes to the default branch that are known, so that a new one is an event.

    Attributes:
        repository, branch: what they were read of; of another branch or repository nothing is known yet
        etag: GitHub's mark of the list, with which an unchanged list costs no quota
        pushes: one row per push, as GitHub lists them
    """

    repository: str
    branch: str
    etag: str
    pushes: tuple[ForcePush, ...]


@stored
class RunHistory:
    """The workflow runs of the window.

    Attributes:
        table: the runs, and how far reading has come
        is_red: whether a required workflow failed on the default branch, so that a change is an event; None while
            unknown
    """

    table: runs.RunTable
    is_red: bool | None


class Reader:
    """The blocks of a repository."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    # repository

    def repository(self, attempt: Attempt[RepositoryFacts], place: Place) -> Overview:
        """The first query of a refresh, on which pull_requests, commits and files depend."""
        overview = self._client.overview(place.owner, place.name, _since(attempt.now))
        place.owner, place.name = overview.name_with_owner.split('/')
        attempt.tags = place.tags
        for path, message in overview.missing.items():
            if path not in PARTS_OF_OTHER_BLOCKS:
                attempt.problem('partial', f'GitHub could not give {path}: {message}')
        attempt.emit(repository.measure(overview, attempt.now.timestamp()))
        known = attempt.state
        for release in _new_releases(known, overview):
            text = f'{overview.name_with_owner} published {release.tag}: {release.url}'
            attempt.event(Event(f'Release {release.tag}', text, f'{overview.name_with_owner} release'))
        known_branch = known.branch if known is not None and _missing(overview, 'defaultBranchRef') else None
        place.branch = overview.default_branch or known_branch
        if overview.releases is not None:
            releases: tuple[str, ...] | None = tuple(release.tag for release in overview.releases)
        else:
            releases = known.releases if known is not None else None
        attempt.state = RepositoryFacts(place.owner, place.name, place.branch, releases, attempt.now.timestamp())
        return overview

    # pull_requests

    def pull_requests(self, attempt: Attempt[PullRequestHistory], overview: Overview) -> list[PullRequest]:
        """Returns the pull requests merged into the default branch in the window."""
        overview = _whole(overview, 'openPullRequests')
        now = attempt.now.timestamp()
        start = now - WINDOW.total_seconds()
        opened = {pull.number: pull for pull in overview.open}
        if overview.open_after is not None:
            more = self._client.open_pull_requests(overview.owner, overview.name, overview.open_after)
            opened |= {pull.number: pull for pull in more}
        before = attempt.state
        closed = {pull.number: pull for pull in before.closed} if before is not None else {}
        if before is None:
            closed = self._closed(attempt, overview, start)
        elif _missing(overview, 'newestClosed') or overview.newest_closed != before.newest_closed:
            closed |= self._closed(attempt, overview, max(start, before.read_until - LAG_SECONDS))
        # An open one was re-opened; one that was not touched in the window was not merged or closed in it either.
        closed = {key: pull for key, pull in closed.items() if key not in opened and pull.updated >= start}
        attempt.emit(
            pull_requests.measure(
                list(opened.values()), overview.open_count, closed.values(), now, self._settings.hotfix_labels
            )
        )
        everything = [*opened.values(), *closed.values()]
        highest = 0
        if before is not None:
            attempt.emit(pull_requests.moves(_changes(before, everything)))
            highest = before.highest_number
        attempt.state = PullRequestHistory(
            closed=tuple(closed.values()),
            newest_closed=overview.newest_closed,
            read_until=max((pull.updated for pull in closed.values()), default=now),
            highest_number=max((pull.number for pull in everything), default=highest),
            read_at=now,
        )
        return [
            pull for pull in pull_requests.merged_since(closed.values(), start) if pull.base == overview.default_branch
        ]

    def _closed(self, attempt: Attempt[PullRequestHistory], overview: Overview, stop: float) -> dict[int, PullRequest]:
        size = None if attempt.cold else CLOSED_PAGE_WARM
        found: dict[int, PullRequest] = {}
        hidden: list[str] = []
        pages = self._client.closed_pull_requests(overview.owner, overview.name, size=size, hidden=hidden.append)
        for pull in pages:
            # Sorted by updated, and nobody closes without updating: all further ones are older.
            if pull.updated < stop:
                break
            found[pull.number] = pull
        for message in dict.fromkeys(hidden):
            attempt.problem('partial', f'GitHub does not show the checks of pull requests: {message}')
        return found

    # files

    def files(self, attempt: Attempt[ChangedFiles], own: list[PullRequest]) -> None:
        """The paths of the merged pull requests, a page of them per refresh until all are known."""
        known = attempt.state.by_pull_request if attempt.state is not None else {}
        lists = {pull.number: known[pull.number] for pull in own if pull.number in known}
        allowance = 1 if attempt.cold else max(1, WARM_QUERIES - self._client.graphql_sent)
        for _ in range(allowance):
            if not self._read_files(attempt, own, lists):
                break
        entries = [lists.get(pull.number) for pull in own]
        if all(map(_is_read, entries)):
            attempt.emit(repository.files({path for entry in lists.values() if entry for path in entry.hashes}))
        attempt.state = ChangedFiles(lists)

    def _read_files(
        self, attempt: Attempt[ChangedFiles], own: list[PullRequest], lists: dict[int, Paths | None]
    ) -> bool:
        """One more request: for what has been waiting longest. Returns whether there was anything to ask for."""
        # Those that GitHub could not give last time are asked for again, but after the others.
        waiting = sorted(
            (pull for pull in own if not _is_read(lists.get(pull.number))),
            key=lambda pull: (pull.number in lists and lists[pull.number] is None, pull.merged, pull.number),
        )
        if not waiting:
            return False
        first = lists.get(waiting[0].number)
        if first is not None and first.after is not None:
            more = self._client.more_files(waiting[0].id, first.after)
            lists[waiting[0].number] = Paths.of(more, first.hashes)
            return True
        unread = [pull for pull in waiting if lists.get(pull.number) is None]
        answers, asked = self._client.files(
            [pull.id for pull in unread], lambda message: attempt.problem('partial', f'lists of files: {message}')
        )
        for pull in unread[:asked]:
            lists[pull.number] = Paths.of(answers.get(pull.number))
        return True

    # commits

    def commits(self, attempt: Attempt[CommitHistory], overview: Overview) -> None:
        """The commits of the default branch in the window."""
        overview = _whole(overview, 'defaultBranchRef', 'inWindow')
        start = (attempt.now - WINDOW).replace(microsecond=0).timestamp()
        before = attempt.state.commits if attempt.state is not None else ()
        known = {commit.oid: commit for commit in before if commit.committed >= start}
        newest = {commit.oid: commit for commit in overview.newest_commits}
        found = {**known, **newest}
        # None of the newest known: history was rewritten, and a number that fits would be chance.
        connected = not known or not newest or bool(known.keys() & newest.keys())
        if overview.default_branch is not None and not (connected and len(found) == overview.commit_count):
            everything = self._client.commits(
                overview.owner, overview.name, overview.default_branch, _since(attempt.now)
            )
            found = {commit.oid: commit for commit in everything}
        attempt.emit(commits.measure(found.values(), self._settings.hotfix))
        attempt.state = CommitHistory(tuple(found.values()))

    # activity

    def activity(self, attempt: Attempt[ForcePushHistory], place: Place) -> None:
        """Force pushes to the default branch."""
        if place.branch is None:
            attempt.emit(repository.force_pushes((), attempt.now.timestamp()))
            return
        before = attempt.state
        if before is not None and (before.repository, before.branch) != (place.full_name, place.branch):
            before = None
        etag = before.etag if before is not None else ''
        known = before.pushes if before is not None else ()
        pushes, etag = self._client.force_pushes(place.owner, place.name, place.branch, etag)
        if pushes is None:
            pushes = known
        seen = {push.id for push in known}
        for push in pushes:
            if before is not None and push.id not in seen:
                text = f'{push.actor} pushed {push.before[:12]}..{push.after[:12]} to {place.branch} with force.'
                attempt.event(
                    Event(f'Force push to {place.full_name}', text, f'{place.full_name} force push', 'warning')
                )
        attempt.emit(repository.force_pushes(pushes, attempt.now.timestamp()))
        attempt.state = ForcePushHistory(place.full_name, place.branch, etag, pushes)

    # ci

    def ci(self, attempt: Attempt[RunHistory], place: Place, overview: Overview | None) -> None:
        """The workflow runs of the window."""
        before = attempt.state
        table = before.table if before is not None else None
        # A first walk that was cut short goes on: still nothing to compare with.
        first = table is None or table.reached is not None

        def fetch(low: datetime, high: datetime, page: int) -> RunPage:
            return self._client.runs(place.owner, place.name, low, high, page)

        def progress(partial: runs.RunTable) -> None:
            attempt.checkpoint(RunHistory(partial, None))

        try:
            table = runs.read(table, attempt.now - WINDOW, attempt.now, fetch, progress)
        except runs.TooManyRuns:
            attempt.is_truncated = True
            raise
        known = table.runs
        is_branch_known = place.branch is not None or (
            overview is not None and not _missing(overview, 'defaultBranchRef')
        )
        rollups = self._rollups(attempt, overview)
        attempt.emit(
            ci.measure(
                known,
                place.branch,
                rollups,
                self._settings.ci,
                attempt.now.timestamp(),
                is_branch_known=is_branch_known,
            )
        )
        if not first and is_branch_known:
            attempt.emit(ci.finished(runs.newly_finished(known), known, place.branch, self._settings.ci))
        red = self._red(attempt, place, known, before.is_red if before is not None else None)
        # What could not be tagged yet is counted when it can be.
        counted = runs.all_counted(known) if first or is_branch_known else known
        attempt.state = RunHistory(replace(table, runs=counted), red)

    def _rollups(self, attempt: Attempt[RunHistory], overview: Overview | None) -> tuple[str, ...] | None:
        """States of the checks of the newest commits, None when unknown or when they do not matter."""
        if overview is None or self._settings.ci.required or _missing(overview, 'defaultBranchRef'):
            return None
        if message := overview.missing.get('newest'):
            attempt.problem('partial', f'GitHub does not show the checks of commits: {message}')
            return None
        return overview.rollups

    def _red(
        self, attempt: Attempt[RunHistory], place: Place, known: Collection[Run], before: bool | None
    ) -> bool | None:
        """Whether a required workflow fails on the default branch now; an event where that has changed."""
        if place.branch is None or not self._settings.ci.required:
            return None
        latest = ci.newest(ci.decisive(known, place.branch), self._settings.ci.required)
        if not latest:
            return before
        failing = [run for run in latest.values() if run.conclusion in FAILED]
        key = f'{place.full_name} main'
        if failing and before is False:
            names = ', '.join(sorted(run.workflow for run in failing))
            head = max(failing, key=lambda run: run.created)
            link = f'{self._settings.web_url}/{place.full_name}/actions/runs/{head.id}'
            text = f'Failing on {place.branch}: {names}, at {head.sha[:12]}: {link}'
            attempt.event(Event(f'{place.full_name}: {place.branch} is red', text, key, 'error'))
        elif not failing and before is True:
            spells, _ = ci.red_spells(ci.decisive(known, place.branch), self._settings.ci.required)
            hours = [(spell.end - spell.start) / 3600 for spell in spells if spell.end is not None]
            after = f' after {hours[-1]:.1f} hours' if hours else ''
            text = f'All required workflows pass on {place.branch} again{after}.'
            attempt.event(Event(f'{place.full_name}: {place.branch} is green again', text, key, 'success'))
        return bool(failing)


def _since(now: datetime) -> str:
    return format_time(now - WINDOW)


def _whole(overview: Overview, *parts: str) -> Overview:
    """The overview if GitHub could give these parts of it. Raises Rejected."""
    for part in parts:
        if _missing(overview, part):
            raise Rejected(f'GitHub could not give {part}: {overview.missing[part]}', reason='partial')
    return overview


def _missing(overview: Overview, part: str) -> bool:
    return part in overview.missing


def _new_releases(known: RepositoryFacts | None, overview: Overview) -> Iterator[Release]:
    """The releases published since the last refresh. One that only came into view (was renamed, say) is not new."""
    if known is None:
        return
    for release in overview.releases or ():
        if release.published >= known.read_at - LAG_SECONDS and release.tag not in (known.releases or ()):
            yield release


def _changes(before: PullRequestHistory, everything: Iterable[PullRequest]) -> pull_requests.Changes:
    since = before.read_at - LAG_SECONDS
    states = {pull.number: pull.state for pull in before.closed}
    opened = merged = closed = 0
    for pull in everything:
        state = states.get(pull.number, 'open')
        opened += pull.number > before.highest_number and pull.created >= since
        merged += pull.state == 'merged' and state != 'merged' and (pull.merged or 0) >= since
        closed += pull.state == 'closed' and state != 'closed' and (pull.closed or 0) >= since
    return pull_requests.Changes(opened, merged, closed)


def _hash(path: str) -> int:
    """Eight bytes that stand for a path."""
    return int.from_bytes(blake2b(path.encode(), digest_size=8).digest(), 'big')


def _is_read(entry: Paths | None) -> bool:
    return entry is not None and (entry.after is None or len(entry.hashes) >= FILE_PAGES * FILES_OF_A_PAGE)
