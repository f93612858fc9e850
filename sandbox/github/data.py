"""The repositories: a large one, a small one, and some that are archived, forked, disabled or empty.

The large one is `metta` with the default branch main, the small one `infra` with the default branch master. The last
week of the large one: 46 open pull requests; 150 merged or closed ones updated, of which 92 merged, 18 closed and 40
only commented on or labeled; 300 commits; 2,000 of 60,000 runs; 1,158 branches.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..organization import Organization
from .commits import CommitMaker
from .model import (
    Deployment,
    DeploymentStatus,
    Issue,
    Pull,
    Push,
    QueueEntry,
    Release,
    Repository,
    Runner,
    oid,
)
from .options import Amounts
from .people import CLAUDE, RENOVATE, REVIEWER, People
from .pulls import PullMaker, number
from .runs import RunMaker

PULL_FILES_OF_LARGEST = 230
RUNNERS = (
    Runner('linux', 'online', True, ('gpu',)),
    Runner('linux', 'online', False, ('gpu', 'large')),
    # Busy when it was last seen.
    Runner('linux', 'offline', True, ('gpu',)),
    Runner('macos', 'online', True),
)
# A repository with more runs a week is a large one.
MANY_RUNS = 500
# Deployments to production that go back, counted from the newest one of any environment.
ROLLBACKS = (7, 33)
# Runners that the repositories of the organization share.
ORGANIZATION_RUNNERS = (
    Runner('linux', 'online', True, ('gpu', 'h100')),
    Runner('linux', 'online', False, ('h100',)),
    Runner('windows', 'offline', False),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a repository: of the last seven days, and (`past_*`) before."""

    open: int = 46
    merged: int = 92
    closed: int = 18
    touched: int = 40
    past_pulls: int = 600
    commits: int = 300
    past_commits: int = 9_000
    runs: int = 2_000
    past_runs: int = 58_000
    branches: int = 1_158
    burst: int = 0
    burst_second: int = 0
    workflow_names: int = 0
    needless_reruns: int = 0
    # Files of the largest pull request merged in the week; 0: none is special.
    largest: int = 0

    def scaled(self, scale: float) -> Sizes:
        """Multiply the amounts, except those that an option sets by itself."""
        amounts = {
            name: max(1, round(getattr(self, name) * scale))
            for name in (
                'open', 'merged', 'closed', 'touched', 'past_pulls',
                'commits', 'past_commits', 'runs', 'past_runs', 'branches',
            )
        }  # fmt: skip
        return replace(self, **amounts)

    def with_amounts(self, amounts: Amounts) -> Sizes:
        """Replace the amounts that are given as numbers."""
        numbers: dict[str, int | None] = {
            'runs': amounts.runs_in_window,
            'past_pulls': amounts.past_prs,
            'open': amounts.open_prs,
            'commits': amounts.commits,
            'branches': amounts.branches,
            'burst': amounts.burst,
            'burst_second': amounts.burst_second,
            'workflow_names': amounts.workflow_names,
            'needless_reruns': amounts.needless_reruns,
            'largest': amounts.largest_pr,
        }
        if amounts.prs is not None:
            updated = self.merged + self.closed + self.touched
            merged, closed = (round(amounts.prs * part / updated) for part in (self.merged, self.closed))
            numbers |= {'merged': merged, 'closed': closed, 'touched': amounts.prs - merged - closed}
        sizes = replace(self, **{name: number for name, number in numbers.items() if number is not None})
        history = self.runs + self.past_runs if amounts.history is None else amounts.history
        return replace(sizes, past_runs=max(0, history - sizes.runs))


LARGE = Sizes()
SMALL = Sizes(
    open=5, merged=9, closed=2, touched=3, past_pulls=30, commits=40, past_commits=200, runs=120, past_runs=680,
    branches=14, largest=PULL_FILES_OF_LARGEST,
)  # fmt: skip
TINY = replace(SMALL, open=2, merged=3, closed=1, touched=1, commits=8, runs=40, past_runs=60, largest=0)


@dataclass(frozen=True, slots=True)
class Outline:
    """A repository to be built: its identity and its sizes."""

    name: str
    database_id: int
    default_branch: str
    sizes: Sizes


@dataclass(slots=True)
class Makers:
    """Makers of further pull requests, commits and runs of a repository."""

    pulls: PullMaker
    commits: CommitMaker
    runs: RunMaker
    dice: random.Random


def build(organization: Organization, people: People, outline: Outline, now: datetime) -> tuple[Repository, Makers]:
    """Build a repository and its makers, the same for the same seed and name."""
    sizes = outline.sizes
    dice = organization.random(f'github {outline.name}')
    repository = Repository(
        organization.name,
        outline.name,
        outline.database_id,
        outline.default_branch,
        created_at=now - timedelta(days=900),
        disk_usage=1_843_200 if sizes.runs >= MANY_RUNS else 5_120,
        stargazer_count=sizes.branches * 3,
        fork_count=sizes.branches // 4,
    )
    makers = Makers(
        PullMaker(repository, people, dice, now),
        CommitMaker(repository, people, dice, now),
        RunMaker(repository, people, dice, now),
        dice,
    )
    _pulls(repository, makers.pulls, sizes)
    repository.commits = makers.commits.history(list(repository.pulls.values()), sizes.commits, sizes.past_commits)
    repository.runs = makers.runs.history(
        sizes.runs,
        sizes.past_runs,
        burst=sizes.burst,
        burst_second=sizes.burst_second,
        names=sizes.workflow_names,
        again=sizes.needless_reruns,
    )
    repository.branches = [outline.default_branch, *(f'feature/{index:05d}' for index in range(sizes.branches - 1))]
    _activity(repository, people, dice, now, large=sizes.runs >= MANY_RUNS)
    _releases(repository, now)
    _issues(repository, people, now, sizes.open * 3)
    _deployments(repository, now)
    repository.runners = list(RUNNERS)
    if sizes.runs >= MANY_RUNS:
        states = ('MERGEABLE', 'AWAITING_CHECKS', 'QUEUED', 'QUEUED', 'UNMERGEABLE')
        repository.merge_queue = [
            QueueEntry(index + 1, now - timedelta(minutes=31 - 6 * index), state) for index, state in enumerate(states)
        ]
        repository.merge_queue_eta_seconds = 1_260
    return repository, makers


def _pulls(repository: Repository, maker: PullMaker, sizes: Sizes) -> None:
    pulls = [
        *maker.merged(sizes.merged),
        *maker.closed(sizes.closed),
        *maker.touched(sizes.touched),
        *maker.open(sizes.open),
        *maker.old(sizes.past_pulls),
    ]
    if sizes.largest:
        own = next(pull for pull in pulls if pull.merged and pull.base_ref_name == repository.default_branch)
        own.files = maker.files(sizes.largest)
        own.commits = maker.commits(own.files, own.created_at, own.author)
    if sizes.runs >= MANY_RUNS:
        _busy_reviews(pulls, maker)
    repository.pulls = number(pulls)


def _busy_reviews(pulls: list[Pull], maker: PullMaker) -> None:
    """Give one merged pull request 34 reviews, of which the last one approves, and an open one 21 by a bot."""
    merged = next(pull for pull in pulls if pull.merged_at and pull.author and not pull.author.machine)
    end = merged.merged_at or merged.created_at
    step = (end - merged.created_at) / 40
    authors = [REVIEWER, merged.author, CLAUDE]
    talk = [
        maker.review(authors[index % 3], 'COMMENTED', merged.created_at + step * (index + 1)) for index in range(33)
    ]
    merged.reviews = [*talk, maker.review(maker.people.maintainer, 'APPROVED', merged.created_at + step * 36)]
    for review in merged.reviews:
        review.submitted_at = review.submitted_at.replace(microsecond=0)
    waiting = next(pull for pull in pulls if pull.state == 'OPEN' and not pull.is_draft and pull.author)
    waiting.reviews = [
        maker.review(REVIEWER, 'COMMENTED', waiting.created_at + timedelta(minutes=index)) for index in range(21)
    ]
    waiting.review_decision = 'APPROVED'


def _activity(repository: Repository, people: People, dice: random.Random, now: datetime, *, large: bool) -> None:
    """Make the pushes of the last month, the newest first. Force pushes are rare on the default branch only."""
    main = f'refs/heads/{repository.default_branch}'
    rows = [(hours, f'refs/heads/feature/{dice.randrange(900):05d}', 'force_push') for hours in range(3, 600, 9)]
    rows += [(hours, main, 'pr_merge') for hours in range(5, 600, 11)]
    if large:
        rows += [(hours, main, 'force_push') for hours in (30, 101, 185, 420)]
    rows += [(hours, main, 'push') for hours in range(7, 600, 5)]
    repository.activity = [
        Push(
            id=40_000_000 - index,
            before=oid(repository.name, 'before', hours, ref),
            after=oid(repository.name, 'after', hours, ref),
            ref=ref,
            timestamp=now - timedelta(hours=hours),
            activity_type=kind,
            actor=people.developer(dice),
        )
        for index, (hours, ref, kind) in enumerate(sorted(rows))
    ]


def _releases(repository: Repository, now: datetime) -> None:
    """Make one release per week. Some are candidates; the newest is an unpublished draft."""
    for index in range(25):
        made = now - timedelta(days=7 * index + 2, hours=3)
        draft = index == 0
        published = None if draft else made + timedelta(hours=1)
        repository.releases.append(Release(f'v1.{25 - index}.0', draft, index % 4 == 2, made, published))


def _issues(repository: Repository, people: People, now: datetime, count: int) -> None:
    authors = (*people.developers[:3], RENOVATE, None)
    for index in range(count):
        created = now - timedelta(hours=9 * index + 1)
        closed = created + timedelta(hours=5) if index % 2 else None
        labels = ('incident',) if index % 10 == 3 else ('bug',) if index % 3 == 0 else ()
        state = 'CLOSED' if closed else 'OPEN'
        repository.issues.append(
            Issue(
                900_000 + index, f'Issue {index}', state, created, closed or created, closed, labels, authors[index % 5]
            )
        )


def _deployments(repository: Repository, now: datetime) -> None:
    """Make one deployment per day to production and to staging. The last one is still in progress.

    Most succeed, and a success makes the one before it inactive. Some never go live. Twice, production goes back to the
    commit that was there before the last one.
    """
    replaced: dict[str, datetime] = {}
    for index in range(60):
        created = now - timedelta(hours=12 * index + index % 3, minutes=20)
        ending = 'failure' if index % 9 == 4 else 'success'
        words = ('queued', 'in_progress') if index == 0 else ('queued', 'in_progress', ending)
        environment = 'production' if index % 2 else 'staging'
        minutes = 2 + index % 5
        statuses = [
            DeploymentStatus(word.upper(), created + timedelta(minutes=minutes * step))
            for step, word in enumerate(words)
        ]
        if ending == 'success' and index > 0:
            if environment in replaced:
                statuses.append(DeploymentStatus('INACTIVE', replaced[environment]))
            replaced[environment] = statuses[2].created_at
        age = timedelta(days=2) if index in ROLLBACKS else timedelta(0)
        commit = repository.commit_at(created - age - timedelta(minutes=5))
        repository.deployments.append(Deployment(70_000 - index, environment, commit, created, statuses))


def side_repositories(organization: Organization, people: People, now: datetime) -> list[Repository]:
    """Build the repositories of an organization that are left out unless configured by name."""
    archived, fork, disabled = (
        build(organization, people, Outline(name, 9_001 + index, 'main', TINY), now)[0]
        for index, name in enumerate(('old-experiments', 'nanogpt', 'sealed'))
    )
    archived.is_archived = True
    fork.is_fork = True
    disabled.is_disabled = True
    return [archived, fork, disabled, Repository(organization.name, 'empty', 9_004, 'main', now - timedelta(days=1))]
