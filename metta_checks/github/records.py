"""Records of GitHub's answers, parsed once; nulls and unknown values become explicit here.

Records that are stored between runs are named tuples, so that rows are small in memory and as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ..core.errors import Rejected
from ..core.fields import flag, integer, mapping, moment, text
from .connections import GITHUB, next_cursor, nodes, shows_page, total, unresolved
from .people import GHOST, Actor, Bots, person
from .reviews import Reviews

# The number of a pull request.
NUMBER = re.compile('[0-9]{1,9}')


class PullRequest(NamedTuple):
    """A pull request with the results of its reviews and its timeline."""

    number: int
    # GitHub's identifier in queries.
    id: str
    # open, merged or closed, as read last.
    state: str
    draft: bool
    created: datetime
    updated: datetime
    # True for the pull request of a bot; None when GitHub does not show the author.
    by_bot: bool | None = False
    # The last times when it left draft, and whether they are all of them.
    ready_events: tuple[datetime, ...] = ()
    has_all_events: bool = True
    merged: datetime | None = None
    closed: datetime | None = None
    # The branch that it is to be merged into.
    base: str = ''
    # Decision of the reviews, lower case; None when GitHub does not show it.
    decision: str | None = 'none'
    # Lines added and deleted.
    size: int | None = None
    comments: int | None = None
    # State of the checks of the last commit, lower case; empty without checks, None when GitHub does not show it.
    checks: str | None = None
    # Authored date of the first commit; None without commits, and when GitHub does not show it.
    coding_started: datetime | None = None
    shows_first_commit: bool = True
    reviews: Reviews = Reviews()
    # In lower case; None when GitHub does not show all of them.
    labels: tuple[str, ...] | None = ()

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: Bots) -> PullRequest:
        """Read a pull request of the queries. A missing field is unknown; null is GitHub's word for nothing.

        Raises BadPayload without a field that GitHub declares non-null.
        """
        author = Actor.parse(node, bots)
        merged = moment(node.get('mergedAt'))
        state = GITHUB.required(text, node, 'state', 'pull request').lower()
        return cls(
            number=GITHUB.required(integer, node, 'number', 'pull request'),
            id=GITHUB.required(text, node, 'id', 'pull request'),
            state=state if merged is None else 'merged',
            draft=bool(GITHUB.optional(flag, node, 'isDraft')),
            created=GITHUB.required(moment, node, 'createdAt', 'pull request'),
            updated=GITHUB.required(moment, node, 'updatedAt', 'pull request'),
            by_bot=None if author is None else author.is_bot,
            ready_events=_ready_events(node),
            has_all_events=_has_all_events(node),
            merged=merged,
            closed=moment(node.get('closedAt')),
            base=text(node.get('baseRefName')) or '',
            decision=_decision(node),
            size=_lines_changed(node),
            comments=GITHUB.optional(integer, node, 'totalCommentsCount'),
            checks=state_of_checks(node),
            coding_started=_first_authored(node),
            shows_first_commit=_shows_first_commit(node),
            reviews=Reviews.parse(node, bots),
            labels=_labels(node),
        )

    @property
    def ready(self) -> datetime | None:
        """The time at which it became ready for review; None when that is unknown.

        This is the last time that it left draft before its first review by a person, without one before the merge,
        without one at all. If there is none, it is the creation. A pull request that becomes a draft again after its
        first review keeps its time.
        """
        if self.reviews.is_reviewed is None or (self.reviews.has_any and self.reviews.first is None):
            return None
        limit = self.reviews.first or self.merged
        events = [event for event in self.ready_events if limit is None or event <= limit]
        return max(events) if events else self.created if self.has_all_events else None

    @property
    def is_waiting(self) -> bool | None:
        """True while it waits for a review by a person; None when that is unknown."""
        if self.decision == 'approved':
            return False
        return None if self.reviews.is_reviewed is None else not self.reviews.is_reviewed


def _ready_events(node: Mapping[str, Any]) -> tuple[datetime, ...]:
    events = (item for item in nodes(node, 'timelineItems') if item.get('__typename') == 'ReadyForReviewEvent')
    return tuple(at for event in events if (at := moment(event.get('createdAt'))) is not None)


def _has_all_events(node: Mapping[str, Any]) -> bool:
    """Return whether GitHub lists no earlier events, and none that it does not show."""
    if GITHUB.optional(mapping, node, 'timelineItems') is None or unresolved(node, 'timelineItems'):
        return False
    page = GITHUB.part(GITHUB.part(node, 'timelineItems'), 'pageInfo')
    return not GITHUB.optional(flag, page, 'hasPreviousPage')


def _decision(node: Mapping[str, Any]) -> str | None:
    return (text(node.get('reviewDecision')) or 'none').lower() if 'reviewDecision' in node else None


def _lines_changed(node: Mapping[str, Any]) -> int | None:
    additions, deletions = GITHUB.optional(integer, node, 'additions'), GITHUB.optional(integer, node, 'deletions')
    return None if additions is None or deletions is None else additions + deletions


def _first_authored(node: Mapping[str, Any]) -> datetime | None:
    first = next(iter(nodes(node, 'first')), {})
    return moment(GITHUB.part(first, 'commit').get('authoredDate'))


def _labels(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    if not shows_page(node, 'labels'):
        return None
    return tuple((text(label.get('name')) or '').lower() for label in nodes(node, 'labels'))


def _shows_first_commit(node: Mapping[str, Any]) -> bool:
    """Return whether the list of the first commit is there without a null. Open ones are read without it."""
    return shows_page(node, 'first') and (not nodes(node, 'first') or _first_authored(node) is not None)


def state_of_checks(node: Mapping[str, Any]) -> str | None:
    """Return the state of the checks of the last commit: empty without checks, None when the answer lacks it."""
    if not shows_page(node, 'head'):
        return None
    commits = [GITHUB.part(head, 'commit') for head in nodes(node, 'head')]
    if not commits:
        return ''
    return _rollup(commits[0]) if 'statusCheckRollup' in commits[0] else None


def _rollup(commit: Mapping[str, Any]) -> str:
    return (text(GITHUB.part(commit, 'statusCheckRollup').get('state')) or '').lower()


class Commit(NamedTuple):
    """A commit of the default branch."""

    oid: str
    committed: datetime
    # First line of the message.
    headline: str
    # Lines and files; None when GitHub did not compute them.
    additions: int | None
    deletions: int | None
    files: int | None
    parents: int
    # People among authors and co-authors, without bots; None when GitHub does not show all of them.
    people: tuple[str, ...] | None
    # Numbers of the pull requests that it merged, as its message says.
    merges: tuple[int, ...] = ()

    @property
    def is_merge(self) -> bool:
        """True with more than one parent."""
        return self.parents > 1

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: Bots, merges: Iterable[re.Pattern[str]] = ()) -> Commit:
        """Read a commit of the queries. The first group of each of `merges` is the number of a merged pull request.

        Raises BadPayload without its id or its time.
        """
        return cls(
            oid=GITHUB.required(text, node, 'oid', 'commit'),
            committed=GITHUB.required(moment, node, 'committedDate', 'commit'),
            headline=text(node.get('messageHeadline')) or '',
            additions=GITHUB.optional(integer, node, 'additions'),
            deletions=GITHUB.optional(integer, node, 'deletions'),
            files=GITHUB.optional(integer, node, 'changedFilesIfAvailable'),
            parents=total(node, 'parents') or 0,
            people=_people(node, bots),
            merges=tuple(_numbers(text(node.get('message')) or '', merges)),
        )


def _numbers(message: str, patterns: Iterable[re.Pattern[str]]) -> Iterator[int]:
    for match in (match for pattern in patterns for match in pattern.finditer(message)):
        if match[1] is not None and NUMBER.fullmatch(match[1]):
            yield int(match[1])


def _people(commit: Mapping[str, Any], bots: Bots) -> tuple[str, ...] | None:
    authors = nodes(commit, 'authors')
    if len(authors) < (total(commit, 'authors') or 0) or any('user' not in author for author in authors):
        return None
    return tuple(sorted({one for author in authors if (one := person(author, bots)) is not None}))


class ForcePush(NamedTuple):
    """A force push to the default branch."""

    id: int
    at: datetime
    actor: str
    # The commit that the branch pointed at before.
    before: str
    # The commit that the branch has pointed at since.
    after: str

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> ForcePush:
        """Read an entry of REST's repository activity. Raises BadPayload without id or timestamp."""
        return cls(
            id=GITHUB.required(integer, value, 'id', 'activity'),
            at=GITHUB.required(moment, value, 'timestamp', 'activity'),
            actor=text(GITHUB.part(value, 'actor').get('login')) or GHOST,
            before=text(value.get('before')) or '',
            after=text(value.get('after')) or '',
        )


@dataclass(frozen=True, slots=True)
class FileList:
    """A page of the paths that a pull request changes.

    Attributes:
        number: the number of the pull request
        paths: the paths of the page; None when GitHub has no list
        cursor: where the next page begins; None on the last page
    """

    number: int
    paths: tuple[str, ...] | None
    cursor: str | None

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> FileList:
        """Read a pull request of `queries.FILES`. Its paths are None when GitHub does not show one of them.

        Raises BadPayload for a file without path.
        """
        number = GITHUB.required(integer, node, 'number', 'pull request')
        if GITHUB.optional(mapping, node, 'files') is None or unresolved(node, 'files'):
            return cls(number, None, None)
        paths = tuple(GITHUB.required(text, one, 'path', 'file') for one in nodes(node, 'files'))
        return cls(number, paths, next_cursor(node, 'files'))


@dataclass(frozen=True, slots=True)
class FileLists:
    """Pages of the paths that pull requests change.

    Attributes:
        by_id: the page of each pull request that was asked for, by its id; None when GitHub has no list
        problems: GitHub's messages about missing lists
    """

    by_id: Mapping[str, FileList | None] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def of(self, ids: Iterable[str]) -> FileLists:
        """Return the pages of these pull requests, with the problems if a list is missing."""
        by_id = {identity: self.by_id[identity] for identity in ids if identity in self.by_id}
        is_complete = all(page is not None and page.paths is not None for page in by_id.values())
        return FileLists(by_id, () if is_complete else self.problems)


def full_name(value: Any) -> str | None:
    """Return the name of a repository, `owner/name`."""
    name = text(value)
    return name if name is not None and name.count('/') == 1 else None


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository in the list of its owner's repositories.

    Attributes:
        id: GitHub's id, which stays when it is renamed
        name_with_owner: owner/name
        inactive: whether it is archived, disabled, or a fork
    """

    id: str
    name_with_owner: str
    inactive: bool

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Listed:
        """Read a repository of `queries.REPOSITORIES`."""
        inactive = any(GITHUB.optional(flag, node, key) for key in ('isArchived', 'isDisabled', 'isFork'))
        name = GITHUB.required(full_name, node, 'nameWithOwner', 'repository')
        return cls(GITHUB.required(text, node, 'id', 'repository'), name, inactive)


@dataclass(frozen=True, slots=True)
class Release:
    """A published release."""

    tag: str
    published: datetime
    url: str
    is_prerelease: bool = False
    # GitHub's identifier, and the commit that the tag points at; empty in the first query.
    id: str = ''
    commit: str = ''

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Release | None:
        """Read a release of the queries; None for a draft."""
        published = moment(node.get('publishedAt'))
        if GITHUB.optional(flag, node, 'isDraft') or published is None:
            return None
        return cls(
            tag=text(node.get('tagName')) or '',
            published=published,
            url=text(node.get('url')) or '',
            is_prerelease=bool(GITHUB.optional(flag, node, 'isPrerelease')),
            id=text(node.get('id')) or '',
            commit=text(GITHUB.part(node, 'tagCommit').get('oid')) or '',
        )


@dataclass(frozen=True, slots=True)
class MergeQueue:
    """The merge queue of the default branch.

    Attributes:
        entries: (time of enqueueing, state) of each entry
        eta_seconds: GitHub's estimate until the next entry is merged
        after: the cursor of further entries
    """

    entries: tuple[tuple[datetime, str], ...]
    eta_seconds: int | None
    after: str | None = None

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> MergeQueue:
        """Read a page of the queue of `queries.now` or `queries.MERGE_QUEUE`."""
        entries = tuple(
            (at, (text(entry.get('state')) or 'unknown').lower())
            for entry in nodes(value, 'entries')
            if (at := moment(entry.get('enqueuedAt'))) is not None
        )
        eta = GITHUB.optional(integer, value, 'nextEntryEstimatedTimeToMerge')
        return cls(entries, eta, next_cursor(value, 'entries'))


@dataclass(frozen=True, slots=True)
class Overview:
    """A repository as the first query of a refresh shows it.

    Attributes:
        name_with_owner: owner/name
        default_branch: its name; None without commits
        head: the commit that it points at
        branches, issues, stars, forks: their numbers
        size_kb: disk usage in kilobytes
        queue: the merge queue; None without one
        releases: the newest releases, without drafts
        newest_closed: number and time of change, as GitHub writes it, of the closed pull request that changed last
        commit_count: number of commits in the window
        newest_commits: the newest of these commits
        rollups: states of the checks of the newest commits, the newest first
        open_count: number of open pull requests
        open: the first page of them
        open_after: the cursor of their next page
        has_all_open: whether GitHub shows all pull requests of the page
        missing: messages about parts that GitHub could not give, by part
        unknown: those of these parts that it does not refuse, so that it may give them the next time
        has_more_releases: whether there are further releases
        hidden: GitHub's messages about single rows that it does not show, by the part that has the rows
    """

    name_with_owner: str
    default_branch: str | None
    head: str | None
    branches: int | None
    issues: int | None
    stars: int | None
    forks: int | None
    size_kb: int | None
    queue: MergeQueue | None
    releases: tuple[Release, ...] | None
    newest_closed: tuple[int, str] | None
    commit_count: int | None
    newest_commits: tuple[Commit, ...]
    rollups: tuple[str, ...]
    open_count: int | None
    open: tuple[PullRequest, ...]
    open_after: str | None
    has_all_open: bool
    missing: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    has_more_releases: bool = False
    hidden: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The owner's login."""
        return self.name_with_owner.split('/')[0]

    @property
    def name(self) -> str:
        """The name without the owner."""
        return self.name_with_owner.split('/')[1]

    def require(self, parts: Collection[str]) -> None:
        """Check that GitHub could give these parts. Raises Rejected."""
        for part in parts:
            if part in self.missing:
                raise Rejected(f'GitHub returned no {part}: {self.missing[part]}', reason='partial')

    @classmethod
    def parse(
        cls, value: Mapping[str, Any], missing: Mapping[str, str], bots: Bots, merges: Collection[re.Pattern[str]] = ()
    ) -> Overview:
        """Read a repository of `queries.now`."""
        branch = GITHUB.part(value, 'defaultBranchRef')
        target = GITHUB.part(branch, 'target')
        queue = GITHUB.optional(mapping, value, 'mergeQueue')
        return cls(
            name_with_owner=GITHUB.required(full_name, value, 'nameWithOwner', 'repository'),
            default_branch=GITHUB.optional(text, branch, 'name'),
            head=GITHUB.optional(text, target, 'oid'),
            branches=total(value, 'branches'),
            issues=total(value, 'openIssues'),
            stars=GITHUB.optional(integer, value, 'stargazerCount'),
            forks=GITHUB.optional(integer, value, 'forkCount'),
            size_kb=GITHUB.optional(integer, value, 'diskUsage'),
            queue=None if queue is None else MergeQueue.parse(queue),
            releases=_releases(value),
            newest_closed=_newest_closed(value),
            commit_count=total(target, 'inWindow') if target or branch else 0,
            newest_commits=tuple(Commit.parse(node, bots, merges) for node in nodes(target, 'inWindow')),
            rollups=tuple(_rollup(node) for node in nodes(target, 'newest')),
            open_count=total(value, 'openPullRequests'),
            open=tuple(PullRequest.parse(node, bots) for node in nodes(value, 'openPullRequests')),
            open_after=next_cursor(value, 'openPullRequests'),
            has_all_open=not unresolved(value, 'openPullRequests'),
            missing=missing,
            has_more_releases=next_cursor(value, 'releases') is not None,
        )


def _releases(repository: Mapping[str, Any]) -> tuple[Release, ...] | None:
    if GITHUB.optional(mapping, repository, 'releases') is None:
        return None
    found = map(Release.parse, nodes(repository, 'releases'))
    return tuple(release for release in found if release is not None)


def _newest_closed(repository: Mapping[str, Any]) -> tuple[int, str] | None:
    newest = next(iter(nodes(repository, 'newestClosed')), None)
    if newest is None:
        return None
    number = GITHUB.required(integer, newest, 'number', 'pull request')
    return number, GITHUB.required(text, newest, 'updatedAt', 'pull request')


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue, which is not a pull request.

    Attributes:
        created: the time of its creation
        closed: when it was closed last; None while it is open
    """

    created: datetime
    closed: datetime | None

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Issue:
        """Read an issue of `queries.ISSUES`. Raises BadPayload without state or createdAt."""
        is_closed = GITHUB.required(text, node, 'state', 'issue') == 'CLOSED'
        created = GITHUB.required(moment, node, 'createdAt', 'issue')
        return cls(created, moment(node.get('closedAt')) if is_closed else None)
