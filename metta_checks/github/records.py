"""What the source keeps of GitHub's answers, parsed once; nulls and unknown values become explicit here.

Times are seconds since the epoch, and records that are stored are named tuples, so that rows are small in memory and
as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..core.fields import flag, integer, mapping, text, timestamp
from .values import GITHUB, full_name, next_cursor, nodes, total

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

FINISHED = 'completed'
IN_PROGRESS = 'in_progress'
QUEUED = frozenset({'queued', 'requested', 'pending', 'waiting'})
FAILED = frozenset({'failure', 'timed_out', 'startup_failure'})
EXECUTED = frozenset({'success', 'failure', 'timed_out'})
PASSED = frozenset({'success', 'neutral'})
DECISIVE = PASSED | FAILED

# GitHub's states of a deployment that has come to an end.
FINAL_STATES = frozenset({'success', 'failure', 'error'})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wrote something. A deleted account is `ghost`, and every ghost is the same person."""

    login: str
    is_bot: bool

    @classmethod
    def parse(cls, value: Mapping[str, Any] | None, bots: frozenset[str]) -> Actor:
        """From GraphQL's Actor."""
        fields = value or {}
        login = (GITHUB.optional(text, fields, 'login') or GHOST).lower()
        return cls(login, fields.get('__typename') == 'Bot' or is_bot(login, bots))


def is_bot(login: str, bots: frozenset[str]) -> bool:
    """Whether a login (lower case) is a bot's by its form or by the list."""
    return login.endswith('[bot]') or login in bots


class PullRequest(NamedTuple):
    """A pull request with what its reviews and timeline say about it."""

    number: int
    # GitHub's identifier in queries.
    id: str
    # open, merged or closed, as read last.
    state: str
    draft: bool
    created: float
    updated: float
    merged: float | None = None
    closed: float | None = None
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
    coding_started: float | None = None
    # When it was ready for review.
    ready: float = 0.0
    # First review by a person other than the author.
    first_review: float | None = None
    # Last approval by such a person not later than the merge.
    approved: float | None = None
    # Reviews that requested changes.
    change_requests: int = 0
    labels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: frozenset[str], now: float) -> PullRequest:
        """From a node of the queries.

        Raises BadPayload when a field is not there that GitHub declares non-null.
        """
        author = Actor.parse(node.get('author'), bots)
        created = GITHUB.required(timestamp, node, 'createdAt', 'pull request')
        merged = timestamp(node.get('mergedAt'))
        reviews = sorted(
            (submitted, GITHUB.optional(text, review, 'state') or '')
            for review in nodes(node.get('reviews'))
            if (submitted := timestamp(review.get('submittedAt'))) is not None
            and _is_human_review(Actor.parse(review.get('author'), bots), author)
        )
        first_review = reviews[0][0] if reviews else None
        approvals = [
            submitted for submitted, state in reviews if state == 'APPROVED' and (merged is None or submitted <= merged)
        ]
        additions, deletions = GITHUB.optional(integer, node, 'additions'), GITHUB.optional(integer, node, 'deletions')
        state = GITHUB.required(text, node, 'state', 'pull request').lower()
        return cls(
            number=GITHUB.required(integer, node, 'number', 'pull request'),
            id=GITHUB.required(text, node, 'id', 'pull request'),
            state=state if merged is None else 'merged',
            draft=bool(GITHUB.optional(flag, node, 'isDraft')),
            created=created,
            updated=GITHUB.required(timestamp, node, 'updatedAt', 'pull request'),
            merged=merged,
            closed=timestamp(node.get('closedAt')),
            base=text(node.get('baseRefName')) or '',
            decision=(text(node.get('reviewDecision')) or 'none').lower(),
            size=additions + deletions if additions is not None and deletions is not None else None,
            comments=GITHUB.optional(integer, node, 'totalCommentsCount'),
            checks=_head_rollup(node),
            coding_started=next(
                (timestamp(GITHUB.part(one, 'commit').get('authoredDate')) for one in nodes(node.get('first'))), None
            ),
            ready=ready_at(created, _ready_events(node), first_review, merged, now),
            first_review=first_review,
            approved=max(approvals, default=None),
            change_requests=sum(state == 'CHANGES_REQUESTED' for _, state in reviews),
            labels=tuple((text(label.get('name')) or '').lower() for label in nodes(node.get('labels'))),
        )


def _is_human_review(reviewer: Actor, author: Actor) -> bool:
    return not reviewer.is_bot and reviewer.login != author.login


def _ready_events(node: Mapping[str, Any]) -> list[float]:
    return [
        moment
        for item in nodes(node.get('timelineItems'))
        if item.get('__typename') == 'ReadyForReviewEvent' and (moment := timestamp(item.get('createdAt'))) is not None
    ]


def ready_at(
    created: float, events: Iterable[float], first_review: float | None, merged: float | None, now: float
) -> float:
    """When a pull request was ready for review.

    The last ReadyForReview event not later than the first human review (without one: not later than the merge, for open
    ones than now); without any, its creation. A draft round after the first review does not move it.
    """
    limit = first_review if first_review is not None else merged if merged is not None else now
    return max((event for event in events if event <= limit), default=created)


def _head_rollup(node: Mapping[str, Any]) -> str | None:
    """The state of the checks of a pull request's last commit.

    Empty without checks, None when the answer does not tell.
    """
    if 'head' not in node:
        return None
    commits = [GITHUB.part(head, 'commit') for head in nodes(node['head'])]
    if commits and 'statusCheckRollup' not in commits[0]:
        return None
    return _rollup(commits[0]) if commits else ''


def _rollup(commit: Mapping[str, Any]) -> str:
    return (text(GITHUB.part(commit, 'statusCheckRollup').get('state')) or '').lower()


class Commit(NamedTuple):
    """A commit of the default branch."""

    oid: str
    committed: float
    # First line of the message.
    headline: str
    additions: int
    deletions: int
    # None where GitHub did not compute it.
    files: int | None
    parents: int
    # People among authors and co-authors; bots are nobody.
    people: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """At most one parent: no merge commit."""
        return self.parents <= 1

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: frozenset[str]) -> Commit:
        """From a node of the queries."""
        people = {one for author in nodes(node.get('authors')) if (one := person(author, bots)) is not None}
        return cls(
            oid=GITHUB.required(text, node, 'oid', 'commit'),
            committed=GITHUB.required(timestamp, node, 'committedDate', 'commit'),
            headline=text(node.get('messageHeadline')) or '',
            additions=GITHUB.optional(integer, node, 'additions') or 0,
            deletions=GITHUB.optional(integer, node, 'deletions') or 0,
            files=GITHUB.optional(integer, node, 'changedFilesIfAvailable'),
            parents=total(node.get('parents')) or 0,
            people=tuple(sorted(people)),
        )


def person(author: Mapping[str, Any], bots: frozenset[str]) -> str | None:
    """The person behind a commit author, lower case; None for a bot and for nobody.

    The login, else the login inside GitHub's noreply address, else the e-mail, else the name.
    """
    email = (text(author.get('email')) or '').lower()
    login = (text(GITHUB.part(author, 'user').get('login')) or '').lower()
    if not login and (noreply := NOREPLY.match(email)):
        login = noreply['login']
    name = (text(author.get('name')) or '').lower()
    if BOT_EMAILS.search(email) or is_bot(login, bots) or name.endswith('[bot]'):
        return None
    return login or email or name or None


class Run(NamedTuple):
    """A workflow run. `attempt` and `updated` never go back."""

    id: int
    workflow: str
    status: str
    # Empty while unfinished.
    conclusion: str
    created: int
    started: int
    updated: int
    attempt: int
    # Whether it is a run of the default branch's own code: not of a pull request, not of a fork.
    own: bool
    branch: str
    sha: str
    # The last attempt that was counted in the count `ci.runs`.
    counted: int = 0

    @property
    def finished(self) -> bool:
        """Whether the last attempt has ended."""
        return self.status == FINISHED

    @property
    def run_time(self) -> float:
        """Seconds that the last attempt took, never negative."""
        return max(0, self.updated - self.started)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Run:
        """From REST. Raises BadPayload when id or created_at are not there."""
        created = GITHUB.required(timestamp, value, 'created_at', 'workflow run')
        started = timestamp(value.get('run_started_at'))
        updated = timestamp(value.get('updated_at'))
        repository = GITHUB.part(value, 'repository').get('id')
        head_repository = GITHUB.part(value, 'head_repository').get('id')
        status = text(value.get('status')) or ''
        return cls(
            id=GITHUB.required(integer, value, 'id', 'workflow run'),
            workflow=workflow_label(value.get('name'), value.get('path')),
            status=status,
            conclusion=(text(value.get('conclusion')) or '') if status == FINISHED else '',
            created=int(created),
            started=int(started if started is not None else created),
            updated=int(updated if updated is not None else created),
            attempt=GITHUB.optional(integer, value, 'run_attempt') or 1,
            own=not (text(value.get('event')) or '').startswith('pull_request')
            and head_repository is not None
            and head_repository == repository,
            branch=text(value.get('head_branch')) or '',
            sha=text(value.get('head_sha')) or '',
        )


def workflow_label(name: Any, path: Any) -> str:
    """The name of a workflow, else the name of its file, else `unknown`."""
    file = (text(path) or '').split('@')[0].rsplit('/', 1)[-1]
    return text(name) or file or 'unknown'


@dataclass(frozen=True, slots=True)
class Release:
    """A release that is no draft."""

    tag: str
    published: float
    url: str


class ForcePush(NamedTuple):
    """A force push to the default branch."""

    id: int
    at: float
    actor: str
    # The commit that the branch pointed at before.
    before: str
    # The commit that it points at now.
    after: str

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> ForcePush:
        """From REST's repository activity. Raises BadPayload when id or timestamp are not there."""
        return cls(
            id=GITHUB.required(integer, value, 'id', 'activity'),
            at=GITHUB.required(timestamp, value, 'timestamp', 'activity'),
            actor=text(GITHUB.part(value, 'actor').get('login')) or GHOST,
            before=text(value.get('before')) or '',
            after=text(value.get('after')) or '',
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository in the list of its owner's repositories."""

    name_with_owner: str
    # Archived, disabled, or a fork.
    inactive: bool

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Listed:
        """From a node of `queries.REPOSITORIES`."""
        inactive = any(GITHUB.optional(flag, node, key) for key in ('isArchived', 'isDisabled', 'isFork'))
        return cls(GITHUB.required(full_name, node, 'nameWithOwner', 'repository'), inactive)


@dataclass(frozen=True, slots=True)
class Overview:
    """A repository as the first query of a refresh shows it. A part that GitHub could not give is in `missing`."""

    name_with_owner: str
    default_branch: str | None
    branches: int | None
    issues: int | None
    stars: int | None
    forks: int | None
    size_kb: int | None
    # (enqueued, state) of the merge queue; None without a queue.
    queue: tuple[tuple[float, str], ...] | None
    queue_eta_seconds: float | None
    releases: tuple[Release, ...] | None
    newest_closed: tuple[int, str] | None
    commit_count: int
    newest_commits: tuple[Commit, ...]
    # States of the checks of the newest commits, newest first.
    rollups: tuple[str, ...]
    open_count: int
    open: tuple[PullRequest, ...]
    open_after: str | None
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The owner's login."""
        return self.name_with_owner.split('/')[0]

    @property
    def name(self) -> str:
        """The name without the owner."""
        return self.name_with_owner.split('/')[1]

    @classmethod
    def parse(cls, value: Mapping[str, Any], missing: Mapping[str, str], bots: frozenset[str], now: float) -> Overview:
        """From the answer to `queries.NOW`."""
        branch = GITHUB.part(value, 'defaultBranchRef')
        target = GITHUB.part(branch, 'target')
        history = GITHUB.part(target, 'inWindow')
        queue = GITHUB.optional(mapping, value, 'mergeQueue')
        opened = GITHUB.part(value, 'openPullRequests')
        return cls(
            name_with_owner=GITHUB.required(full_name, value, 'nameWithOwner', 'repository'),
            default_branch=GITHUB.optional(text, branch, 'name'),
            branches=total(value.get('branches')),
            issues=total(value.get('openIssues')),
            stars=GITHUB.optional(integer, value, 'stargazerCount'),
            forks=GITHUB.optional(integer, value, 'forkCount'),
            size_kb=GITHUB.optional(integer, value, 'diskUsage'),
            queue=None if queue is None else _queue(queue),
            queue_eta_seconds=GITHUB.optional(integer, queue or {}, 'nextEntryEstimatedTimeToMerge'),
            releases=None if value.get('releases') is None else _releases(value['releases']),
            newest_closed=_newest(value.get('newestClosed')),
            commit_count=total(history) or 0,
            newest_commits=tuple(Commit.parse(node, bots) for node in nodes(history)),
            rollups=tuple(_rollup(node) for node in nodes(target.get('newest'))),
            open_count=total(opened) or 0,
            open=tuple(PullRequest.parse(node, bots, now) for node in nodes(opened)),
            open_after=next_cursor(opened),
            missing=missing,
        )


def _queue(connection: Mapping[str, Any]) -> tuple[tuple[float, str], ...]:
    return tuple(
        (enqueued, (text(entry.get('state')) or 'unknown').lower())
        for entry in nodes(connection.get('entries'))
        if (enqueued := timestamp(entry.get('enqueuedAt'))) is not None
    )


def _releases(connection: Mapping[str, Any]) -> tuple[Release, ...]:
    return tuple(
        Release(text(release.get('tagName')) or '', published, text(release.get('url')) or '')
        for release in nodes(connection)
        if not GITHUB.optional(flag, release, 'isDraft')
        and (published := timestamp(release.get('publishedAt'))) is not None
    )


def _newest(connection: Mapping[str, Any] | None) -> tuple[int, str] | None:
    newest = next(iter(nodes(connection)), None)
    if newest is None:
        return None
    number = GITHUB.required(integer, newest, 'number', 'pull request')
    return number, GITHUB.required(text, newest, 'updatedAt', 'pull request')


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of some commit to an environment."""

    id: str
    environment: str
    # As GitHub shows it now, lower case: active, inactive, failure, in_progress, ...
    state: str
    created: float
    # The first of its final states, and when; None while it is under way.
    outcome: str | None
    ended: float | None

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Deployment:
        """From a node of `queries.DEPLOYMENTS`. Raises BadPayload when id or createdAt are not there."""
        finals = sorted(
            (moment, state)
            for status in nodes(node.get('statuses'))
            if (state := (text(status.get('state')) or '').lower()) in FINAL_STATES
            and (moment := timestamp(status.get('createdAt'))) is not None
        )
        ended, outcome = finals[0] if finals else (None, None)
        return cls(
            id=GITHUB.required(text, node, 'id', 'deployment'),
            environment=text(node.get('environment')) or 'none',
            state=(text(node.get('state')) or 'unknown').lower(),
            created=GITHUB.required(timestamp, node, 'createdAt', 'deployment'),
            outcome=outcome,
            ended=ended,
        )


@dataclass(frozen=True, slots=True)
class Runner:
    """A self-hosted runner of the repository."""

    os: str
    online: bool
    busy: bool

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Runner:
        """From REST."""
        return cls(
            text(value.get('os')) or 'unknown',
            value.get('status') == 'online',
            bool(GITHUB.optional(flag, value, 'busy')),
        )
