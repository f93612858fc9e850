"""The objects of GitHub as plain data. Attribute names are GitHub's own in snake case, so that both APIs read them.

`machine` and `who` say who is a person. Only the sandbox knows them; neither API shows them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha1
from operator import attrgetter
from typing import Any, Generic, TypeVar
from zlib import crc32

T = TypeVar('T')

# Number of commits among which one is found by its id: more than a month's.
SEARCHED_COMMITS = 4_000
# A file of a commit or pull request: path, lines added, lines deleted.
File = tuple[str, int, int]


def oid(*parts: Any) -> str:
    """A commit id that follows from its parts."""
    return sha1('/'.join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Account:
    """A user or a bot. None stands for a deleted account."""

    login: str
    database_id: int
    typename: str = 'User'
    machine: bool = False
    name: str = ''
    email: str = ''

    @property
    def id(self) -> str:
        """The global id."""
        return f'{"BOT" if self.typename == "Bot" else "U"}_kgDO{self.database_id:08d}'


@dataclass(frozen=True, slots=True)
class Signature:
    """An author or co-author as git knows them.

    `user` is the account that GitHub connects with the address, `who` the person behind it, None for a machine.
    """

    name: str
    email: str
    user: Account | None
    who: str | None


@dataclass(slots=True, eq=False)
class Commit:
    """A commit of the default branch or of a pull request."""

    oid: str
    committed_date: datetime
    authored_date: datetime
    message: str
    signatures: tuple[Signature, ...]
    files: tuple[File, ...]
    parents: tuple[str, ...]
    rollup: str | None = 'SUCCESS'
    # GraphQL does not count the files of very large commits.
    counts_files: bool = True

    typename = 'Commit'

    @property
    def id(self) -> str:
        """The global id."""
        return f'C_kwDO{self.oid}'

    @property
    def abbreviated_oid(self) -> str:
        """The first characters of the commit id."""
        return self.oid[:7]

    @property
    def author(self) -> Signature:
        """The first of the signatures; the others are co-authors."""
        return self.signatures[0]

    @property
    def message_headline(self) -> str:
        """The first line of the message."""
        return self.message.partition('\n')[0]

    @property
    def changed_files_if_available(self) -> int | None:
        """Number of changed files; None for very large commits."""
        return len(self.files) if self.counts_files else None

    @property
    def additions(self) -> int:
        """Number of lines added."""
        return sum(added for _, added, _ in self.files)

    @property
    def deletions(self) -> int:
        """Number of lines deleted."""
        return sum(deleted for _, _, deleted in self.files)


@dataclass(slots=True, eq=False)
class Review:
    """A submitted review. GitHub shows pending reviews only to their author."""

    id: int
    author: Account | None
    state: str
    submitted_at: datetime


@dataclass(slots=True, eq=False)
class TimelineEvent:
    """READY_FOR_REVIEW_EVENT, CONVERT_TO_DRAFT_EVENT or REVIEW_REQUESTED_EVENT."""

    kind: str
    created_at: datetime
    actor: Account | None

    @property
    def typename(self) -> str:
        """The name of the GraphQL type."""
        return self.kind.title().replace('_', '')


@dataclass(slots=True, eq=False)
class Pull:
    """A pull request."""

    repository: Repository
    number: int
    title: str
    author: Account | None
    state: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    merged_at: datetime | None
    is_draft: bool
    base_ref_name: str
    head_ref_name: str
    from_fork: bool
    files: tuple[File, ...]
    commits: tuple[Commit, ...]
    comments: int = 0
    review_comments: int = 0
    reviews: list[Review] = field(default_factory=list)
    timeline: list[TimelineEvent] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    review_decision: str | None = None

    typename = 'PullRequest'

    @property
    def id(self) -> str:
        """The global id."""
        return f'PR_kwDO{self.repository.database_id:06d}{self.number:08d}'

    @property
    def database_id(self) -> int:
        """The id of the REST API."""
        return self.repository.database_id * 100_000 + self.number

    @property
    def additions(self) -> int:
        """Number of lines added."""
        return sum(added for _, added, _ in self.files)

    @property
    def deletions(self) -> int:
        """Number of lines deleted."""
        return sum(deleted for _, _, deleted in self.files)

    @property
    def changed_files(self) -> int:
        """Number of changed files."""
        return len(self.files)

    @property
    def total_comments_count(self) -> int:
        """Number of comments, those of reviews included."""
        return self.comments + self.review_comments

    @property
    def merged(self) -> bool:
        """The pull request was merged."""
        return self.merged_at is not None

    @property
    def closed(self) -> bool:
        """The pull request was merged or closed."""
        return self.state != 'OPEN'

    @property
    def is_cross_repository(self) -> bool:
        """The branch belongs to a fork."""
        return self.from_fork

    @property
    def head_ref_oid(self) -> str:
        """The last commit of the branch."""
        return self.commits[-1].oid

    @property
    def base_ref_oid(self) -> str:
        """The commit of the base branch."""
        return oid(self.repository.name, 'base', self.number)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that ended before the run was run again."""

    conclusion: str
    started_at: datetime
    ended_at: datetime


@dataclass(slots=True, eq=False)
class Run:
    """A workflow run, its last attempt. `head` is the repository of its branch: own, fork, or None (deleted)."""

    id: int
    run_number: int
    name: str | None
    path: str
    event: str
    status: str
    conclusion: str | None
    created_at: datetime
    run_started_at: datetime
    updated_at: datetime
    run_attempt: int
    head_branch: str | None
    head: str | None
    head_sha: str
    actor: Account | None
    # The attempts before the last one, the first attempt first.
    earlier: list[Attempt] = field(default_factory=list)
    # True when the last attempt waited before it began.
    waited: bool = False
    # True when somebody reviewed a deployment of the run, for which its jobs waited.
    is_reviewed: bool = False

    @property
    def workflow_id(self) -> int:
        """The number of the workflow, which belongs to its file: a new name does not change it."""
        return 3_000_000 + crc32(self.path.encode()) % 90_000_000

    def run_again(self, moment: datetime) -> None:
        """Begin another attempt. Raises ValueError for a run that has not ended."""
        if self.conclusion is None:
            raise ValueError(f'run {self.id} has not ended')
        self.earlier.append(Attempt(self.conclusion, self.run_started_at, self.updated_at))
        self.run_attempt += 1
        self.status, self.conclusion, self.waited = 'in_progress', None, False
        self.run_started_at = self.updated_at = moment

    def attempt(self, number: int) -> Run | None:
        """Return the run as it was in one attempt; None for an attempt that there was not."""
        if number == self.run_attempt:
            return self
        if not 1 <= number <= len(self.earlier):
            return None
        before = self.earlier[number - 1]
        return replace(
            self,
            status='completed',
            conclusion=before.conclusion,
            run_started_at=before.started_at,
            updated_at=before.ended_at,
            run_attempt=number,
        )

    def attempts(self) -> list[Run]:
        """Return the run as it was in each attempt, the first attempt first."""
        found = (self.attempt(number) for number in range(1, self.run_attempt + 1))
        return [one for one in found if one is not None]


@dataclass(frozen=True, slots=True)
class Push:
    """An entry of the activity list."""

    id: int
    before: str
    after: str
    ref: str
    timestamp: datetime
    activity_type: str
    actor: Account | None


@dataclass(frozen=True, slots=True)
class Runner:
    """A self-hosted runner. `labels`: those that somebody gave it."""

    os: str
    status: str
    busy: bool
    labels: tuple[str, ...] = ()

    @property
    def own_labels(self) -> tuple[str, ...]:
        """The labels that GitHub gives by itself."""
        return 'self-hosted', {'linux': 'Linux', 'macos': 'macOS'}.get(self.os, 'Windows'), 'X64'

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Its own labels and those that somebody gave it."""
        return *self.own_labels, *self.labels


@dataclass(frozen=True, slots=True)
class Release:
    """A release. A draft has not been published."""

    tag_name: str
    is_draft: bool
    is_prerelease: bool
    created_at: datetime
    published_at: datetime | None

    @property
    def name(self) -> str:
        """The title: that of the tag."""
        return self.tag_name


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An entry of the merge queue."""

    position: int
    enqueued_at: datetime
    state: str


@dataclass(slots=True, eq=False)
class Issue:
    """An issue."""

    number: int
    title: str
    state: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    labels: tuple[str, ...] = ()
    author: Account | None = None

    typename = 'Issue'

    @property
    def database_id(self) -> int:
        """The id of the REST API."""
        return 7_000_000 + self.number

    @property
    def closed(self) -> bool:
        """The issue is closed."""
        return self.state == 'CLOSED'

    @property
    def state_reason(self) -> str | None:
        """The reason of the state: COMPLETED for a closed issue."""
        return 'COMPLETED' if self.closed else None


@dataclass(slots=True, eq=False)
class DeploymentStatus:
    """A status of a deployment, which never changes."""

    state: str
    created_at: datetime

    @property
    def updated_at(self) -> datetime:
        """Time of the last change."""
        return self.created_at


@dataclass(slots=True, eq=False)
class Deployment:
    """A deployment of a commit to an environment."""

    number: int
    environment: str
    commit: Commit
    created_at: datetime
    # Oldest first. A success that a later one replaced is followed by INACTIVE.
    statuses: list[DeploymentStatus]

    task = 'deploy'
    description = None

    @property
    def id(self) -> str:
        """The global id."""
        return f'DE_kwDO{self.number:08d}'

    @property
    def database_id(self) -> int:
        """The id of the REST API."""
        return self.number

    @property
    def original_environment(self) -> str:
        """The environment that the deployment was made for."""
        return self.environment

    latest_environment = original_environment

    @property
    def commit_oid(self) -> str:
        """The id of the commit."""
        return self.commit.oid

    @property
    def latest_status(self) -> DeploymentStatus | None:
        """The newest status; None for a deployment that has not started."""
        return self.statuses[-1] if self.statuses else None

    @property
    def state(self) -> str:
        """The state of the newest status; ACTIVE for a success."""
        last = self.latest_status.state if self.latest_status else 'PENDING'
        return 'ACTIVE' if last == 'SUCCESS' else last

    @property
    def updated_at(self) -> datetime:
        """Time of the newest status."""
        return self.latest_status.created_at if self.latest_status else self.created_at


class History(Generic[T]):
    """Rows, the newest first: a list of recent ones, followed by `length` rows of the past, made on demand."""

    def __init__(self, recent: list[T], past: int, make: Callable[[int], T], when: Callable[[T], datetime]) -> None:
        # `make(0)` is the newest row of the past, and older than every recent row.
        self.recent = recent
        self._past = past
        self._make = make
        self._when = when
        self.sort()

    def sort(self) -> None:
        """Sort the recent rows after one was added."""
        self.recent.sort(key=self._when, reverse=True)

    def __len__(self) -> int:
        return len(self.recent) + self._past

    def __getitem__(self, index: int) -> T:
        return self.recent[index] if index < len(self.recent) else self._make(index - len(self.recent))

    def __iter__(self) -> Iterator[T]:
        return (self[index] for index in range(len(self)))

    def between(self, low: datetime | None, high: datetime | None) -> range:
        """The places of all rows of [low, high]; None is an open end."""
        # Ages ascend where times descend, which is what bisect wants.
        moments = _Ages(self, self._when)
        start = bisect_left(moments, -high.timestamp()) if high else 0
        end = bisect_right(moments, -low.timestamp()) if low else len(self)
        return range(start, max(start, end))


class _Ages:
    def __init__(self, history: History[Any], when: Callable[[Any], datetime]) -> None:
        self._history = history
        self._when = when

    def __len__(self) -> int:
        return len(self._history)

    def __getitem__(self, index: int) -> float:
        return -self._when(self._history[index]).timestamp()


def _empty(when: str) -> History[Any]:
    return History([], 0, _nothing, attrgetter(when))


def _nothing(index: int) -> Any:
    raise IndexError(index)


@dataclass(slots=True, eq=False)
class Repository:
    """A repository with all that belongs to it."""

    owner: str
    name: str
    database_id: int
    default_branch: str
    created_at: datetime
    is_archived: bool = False
    is_disabled: bool = False
    is_fork: bool = False
    is_private: bool = True
    disk_usage: int = 0
    stargazer_count: int = 0
    fork_count: int = 0
    branches: list[str] = field(default_factory=list)
    pulls: dict[int, Pull] = field(default_factory=dict)
    commits: History[Commit] = field(default_factory=lambda: _empty('committed_date'))
    runs: History[Run] = field(default_factory=lambda: _empty('created_at'))
    activity: list[Push] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    # None: the repository has no merge queue.
    merge_queue: list[QueueEntry] | None = None
    merge_queue_eta_seconds: int | None = None
    issues: list[Issue] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    runners: list[Runner] = field(default_factory=list)
    # Names that the default branch had before.
    former_branches: list[str] = field(default_factory=list)
    # Files of workflows that ran and were deleted.
    deleted_files: set[str] = field(default_factory=set)

    typename = 'Repository'

    @property
    def pushed_at(self) -> datetime:
        """Time of the last push to any branch."""
        pushes = [push.timestamp for push in self.activity[:1]]
        commits = [self.commits[0].committed_date] if len(self.commits) else []
        return max((*pushes, *commits), default=self.created_at)

    @property
    def updated_at(self) -> datetime:
        """Time of the last change of the repository itself: its creation, since nobody changes its settings."""
        return self.created_at

    def commit_at(self, moment: datetime) -> Commit:
        """Return the newest commit of the default branch at a time; the oldest one for a time before all."""
        places = self.commits.between(None, moment)
        return self.commits[places[0] if places else len(self.commits) - 1]

    def place_of(self, wanted: str) -> int | None:
        """Return the place of a commit of the default branch, the newest first; None for another commit."""
        searched = min(len(self.commits), SEARCHED_COMMITS)
        return next((index for index in range(searched) if self.commits[index].oid == wanted), None)

    def rename_default_branch(self, name: str) -> None:
        """Rename the default branch. Pull requests follow the new name, and runs keep the old one."""
        old = self.default_branch
        self.former_branches.append(old)
        self.branches[self.branches.index(old)] = name
        self.default_branch = name
        for pull in self.pulls.values():
            if pull.base_ref_name == old and pull.state == 'OPEN':
                pull.base_ref_name = name

    @property
    def is_empty(self) -> bool:
        """Without a commit, and so without branches."""
        return not self.commits

    @property
    def name_with_owner(self) -> str:
        """`owner/name`."""
        return f'{self.owner}/{self.name}'

    @property
    def id(self) -> str:
        """The global id."""
        return f'R_kgDO{self.database_id:08d}'
