"""Records of GitHub's answers, parsed once; nulls and unknown values become explicit here.

Records that are stored between runs are named tuples, so that rows are small in memory and as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ..core.errors import Rejected
from ..core.fields import flag, integer, mapping, moment, text
from .connections import GITHUB, next_cursor, nodes, total

GHOST = 'ghost'
BOTS = frozenset(
    {
        'dependabot',
        'renovate',
        'github-actions',
        'copilot',
        'copilot-swe-agent',
        'copilot-pull-request-reviewer',
        'claude',
        'cursoragent',
        'devin-ai-integration',
    }
)
BOT_EMAILS = re.compile(r'\[bot\]@|^noreply@anthropic\.com$', re.IGNORECASE)
NOREPLY = re.compile(r'^(?:\d+\+)?(?P<login>[^@]+)@users\.noreply\.github\.com$', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Actor:
    """The account that wrote something. GitHub shows every deleted account as `ghost`."""

    login: str
    is_bot: bool

    @classmethod
    def parse(cls, value: Mapping[str, Any], bots: frozenset[str]) -> Actor:
        """Read an Actor of GraphQL; an empty object stands for a deleted account."""
        login = (GITHUB.optional(text, value, 'login') or GHOST).lower()
        return cls(login, value.get('__typename') == 'Bot' or is_bot(login, bots))


def is_bot(login: str, bots: frozenset[str]) -> bool:
    """Return whether a login (lower case) has the form of a bot's or is in the list."""
    return login.endswith('[bot]') or login in bots


@dataclass(frozen=True, slots=True)
class Reviews:
    """The reviews of a pull request by people other than its author.

    Attributes:
        submitted: (time, state) of each review, the oldest first
    """

    submitted: tuple[tuple[datetime, str], ...]

    @classmethod
    def parse(cls, node: Mapping[str, Any], author: Actor, bots: frozenset[str]) -> Reviews:
        """Read the reviews of a pull request of the queries."""
        found = []
        for review in nodes(node, 'reviews'):
            at = moment(review.get('submittedAt'))
            reviewer = Actor.parse(GITHUB.part(review, 'author'), bots)
            if at is not None and not reviewer.is_bot and reviewer.login != author.login:
                found.append((at, GITHUB.optional(text, review, 'state') or ''))
        return cls(tuple(sorted(found)))

    @property
    def first(self) -> datetime | None:
        """The time of the first review."""
        return self.submitted[0][0] if self.submitted else None

    @property
    def change_requests(self) -> int:
        """The number of reviews that requested changes."""
        return sum(state == 'CHANGES_REQUESTED' for _, state in self.submitted)

    def last_approval(self, merged: datetime | None) -> datetime | None:
        """Return the time of the last approval not later than the merge."""
        approvals = (at for at, state in self.submitted if state == 'APPROVED' and (merged is None or at <= merged))
        return max(approvals, default=None)


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
    # When it became ready for review.
    ready: datetime
    merged: datetime | None = None
    closed: datetime | None = None
    # The branch that it is to be merged into.
    base: str = ''
    # Decision of the reviews, lower case.
    decision: str = 'none'
    # Lines added and deleted.
    size: int | None = None
    comments: int | None = None
    # State of the checks of the last commit, lower case; empty without checks, None when GitHub does not show it.
    checks: str | None = None
    # Authored date of the first commit.
    coding_started: datetime | None = None
    # First review by a person other than the author.
    first_review: datetime | None = None
    # Last approval by such a person not later than the merge.
    approved: datetime | None = None
    # Reviews by such a person that requested changes.
    change_requests: int = 0
    labels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: frozenset[str], now: datetime) -> PullRequest:
        """Read a pull request of the queries.

        Raises BadPayload without a field that GitHub declares non-null.
        """
        author = Actor.parse(GITHUB.part(node, 'author'), bots)
        reviews = Reviews.parse(node, author, bots)
        created = GITHUB.required(moment, node, 'createdAt', 'pull request')
        merged = moment(node.get('mergedAt'))
        state = GITHUB.required(text, node, 'state', 'pull request').lower()
        return cls(
            number=GITHUB.required(integer, node, 'number', 'pull request'),
            id=GITHUB.required(text, node, 'id', 'pull request'),
            state=state if merged is None else 'merged',
            draft=bool(GITHUB.optional(flag, node, 'isDraft')),
            created=created,
            updated=GITHUB.required(moment, node, 'updatedAt', 'pull request'),
            ready=ready_at(created, _ready_events(node), reviews.first or merged or now),
            merged=merged,
            closed=moment(node.get('closedAt')),
            base=text(node.get('baseRefName')) or '',
            decision=(text(node.get('reviewDecision')) or 'none').lower(),
            size=_lines_changed(node),
            comments=GITHUB.optional(integer, node, 'totalCommentsCount'),
            checks=_state_of_checks(node),
            coding_started=_first_authored(node),
            first_review=reviews.first,
            approved=reviews.last_approval(merged),
            change_requests=reviews.change_requests,
            labels=tuple((text(label.get('name')) or '').lower() for label in nodes(node, 'labels')),
        )


def ready_at(created: datetime, events: Iterable[datetime], limit: datetime) -> datetime:
    """Return the time at which a pull request became ready for review.

    This is the last ReadyForReview event not later than the limit, which is the first review by a person, without one
    the merge, for open ones the present. Without such an event, it is the creation. A pull request that becomes a draft
    again after its first review keeps its time.
    """
    return max((event for event in events if event <= limit), default=created)


def _ready_events(node: Mapping[str, Any]) -> list[datetime]:
    events = (item for item in nodes(node, 'timelineItems') if item.get('__typename') == 'ReadyForReviewEvent')
    return [at for event in events if (at := moment(event.get('createdAt'))) is not None]


def _lines_changed(node: Mapping[str, Any]) -> int | None:
    additions, deletions = GITHUB.optional(integer, node, 'additions'), GITHUB.optional(integer, node, 'deletions')
    return None if additions is None or deletions is None else additions + deletions


def _first_authored(node: Mapping[str, Any]) -> datetime | None:
    first = next(iter(nodes(node, 'first')), {})
    return moment(GITHUB.part(first, 'commit').get('authoredDate'))


def _state_of_checks(node: Mapping[str, Any]) -> str | None:
    """Return the state of the checks of the last commit: empty without checks, None when the answer lacks it."""
    if 'head' not in node:
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
    additions: int
    deletions: int
    # None when GitHub did not compute it.
    files: int | None
    parents: int
    # People among authors and co-authors, without bots.
    people: tuple[str, ...]

    @property
    def is_merge(self) -> bool:
        """True with more than one parent."""
        return self.parents > 1

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: frozenset[str]) -> Commit:
        """Read a commit of the queries. Raises BadPayload without its id or its time."""
        people = {one for author in nodes(node, 'authors') if (one := person(author, bots)) is not None}
        return cls(
            oid=GITHUB.required(text, node, 'oid', 'commit'),
            committed=GITHUB.required(moment, node, 'committedDate', 'commit'),
            headline=text(node.get('messageHeadline')) or '',
            additions=GITHUB.optional(integer, node, 'additions') or 0,
            deletions=GITHUB.optional(integer, node, 'deletions') or 0,
            files=GITHUB.optional(integer, node, 'changedFilesIfAvailable'),
            parents=total(node, 'parents') or 0,
            people=tuple(sorted(people)),
        )


def person(author: Mapping[str, Any], bots: frozenset[str]) -> str | None:
    """Return the name of a commit's author, lower case; None for a bot and for an author without any name.

    This is the login, else the login inside GitHub's noreply address, else the e-mail address, else the name.
    """
    email = _lower(author, 'email')
    login = _lower(GITHUB.part(author, 'user'), 'login') or _noreply_login(email)
    name = _lower(author, 'name')
    if BOT_EMAILS.search(email) or is_bot(login, bots) or name.endswith('[bot]'):
        return None
    return login or email or name or None


def _lower(fields: Mapping[str, Any], key: str) -> str:
    return (text(fields.get(key)) or '').lower()


def _noreply_login(email: str) -> str:
    noreply = NOREPLY.match(email)
    return noreply['login'] if noreply else ''


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
        """Read a pull request of `queries.FILES`. Raises BadPayload for a file without path."""
        number = GITHUB.required(integer, node, 'number', 'pull request')
        if GITHUB.optional(mapping, node, 'files') is None:
            return cls(number, None, None)
        paths = tuple(GITHUB.required(text, one, 'path', 'file') for one in nodes(node, 'files'))
        return cls(number, paths, next_cursor(node, 'files'))


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
        missing: messages about parts that GitHub could not give, by part
        unknown: those of these parts that it does not refuse, so that it may give them the next time
        has_more_releases: whether there are further releases
    """

    name_with_owner: str
    default_branch: str | None
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
    missing: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    has_more_releases: bool = False

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
        cls, value: Mapping[str, Any], missing: Mapping[str, str], bots: frozenset[str], now: datetime
    ) -> Overview:
        """Read a repository of `queries.now`."""
        branch = GITHUB.part(value, 'defaultBranchRef')
        target = GITHUB.part(branch, 'target')
        queue = GITHUB.optional(mapping, value, 'mergeQueue')
        return cls(
            name_with_owner=GITHUB.required(full_name, value, 'nameWithOwner', 'repository'),
            default_branch=GITHUB.optional(text, branch, 'name'),
            branches=total(value, 'branches'),
            issues=total(value, 'openIssues'),
            stars=GITHUB.optional(integer, value, 'stargazerCount'),
            forks=GITHUB.optional(integer, value, 'forkCount'),
            size_kb=GITHUB.optional(integer, value, 'diskUsage'),
            queue=None if queue is None else MergeQueue.parse(queue),
            releases=_releases(value),
            newest_closed=_newest_closed(value),
            commit_count=total(target, 'inWindow') if target or branch else 0,
            newest_commits=tuple(Commit.parse(node, bots) for node in nodes(target, 'inWindow')),
            rollups=tuple(_rollup(node) for node in nodes(target, 'newest')),
            open_count=total(value, 'openPullRequests'),
            open=tuple(PullRequest.parse(node, bots, now) for node in nodes(value, 'openPullRequests')),
            open_after=next_cursor(value, 'openPullRequests'),
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
