"""Pull requests of a repository, among them forms that careless counting gets wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from .model import Account, Commit, File, Pull, Repository, Review, TimelineEvent, oid
from .people import CLAUDE, CURSOR, DEPENDABOT, RENOVATE, REVIEWER, People

HOUR = timedelta(hours=1)
WEEK_HOURS = 168
# Share of the merged pull requests that go to the branch of another pull request (stacks).
STACKED_SHARE = 0.26
AREAS = ('agent', 'rl', 'sweep', 'sim', 'map', 'eval', 'common', 'app_backend', 'gridworks', 'docs')
TOPICS = ('policy loss', 'sweep config', 'map generator', 'replay viewer', 'eval harness', 'trainer', 'checkpoints')
LABELS = ('bug', 'enhancement', 'infra', 'hotfix')
VERBS = ('Add', 'Fix', 'Speed up', 'Refactor', 'Document', 'Test', 'Simplify')


class Ages(NamedTuple):
    """Ages of a pull request in hours; `closed` None: it is open."""

    created: float
    updated: float
    closed: float | None = None


class PullMaker:
    """Makes the pull requests of one repository, as they are at `now`."""

    def __init__(self, repository: Repository, people: People, dice: random.Random, now: datetime) -> None:
        self.repository = repository
        self.people = people
        self.dice = dice
        self.now = now
        self._review_id = 0

    def ago(self, hours: float) -> datetime:
        """Return the whole second that is this many hours before now."""
        return (self.now - hours * HOUR).replace(microsecond=0)

    def files(self, count: int | None = None) -> tuple[File, ...]:
        """Make changed files. Paths come from a pool, so that two pull requests often touch the same file."""
        dice = self.dice
        if count is None:
            count = min(90, 1 + int(dice.lognormvariate(1.1, 0.9)))
        paths = {f'{dice.choice(AREAS)}/module_{int(dice.triangular(0, 120, 10))}.py' for _ in range(min(count, 90))}
        paths |= {f'assets/maps/map_{number:04d}.yaml' for number in range(count - len(paths) if count > 90 else 0)}
        return tuple(
            (path, int(dice.lognormvariate(2.2, 1.3)), int(dice.lognormvariate(1.4, 1.3))) for path in sorted(paths)
        )

    def title(self) -> str:
        """Make a plain title."""
        return f'{self.dice.choice(VERBS)} {self.dice.choice(TOPICS)}'

    def author(self) -> Account | None:
        """Choose an author: mostly people; some bots, an assistant, a deleted account."""
        roll = self.dice.random()
        if roll < 0.07:
            return self.dice.choice((DEPENDABOT, RENOVATE))
        if roll < 0.09:
            return self.dice.choice((CLAUDE, CURSOR))
        if roll < 0.11:
            return None
        return self.people.developer(self.dice)

    def commits(self, files: tuple[File, ...], created: datetime, author: Account | None) -> tuple[Commit, ...]:
        """Make the commits of a branch, which together change these files."""
        dice = self.dice
        parts = min(len(files), dice.choice((1, 1, 2, 3)))
        signer = author or self.people.accounts[-1]
        result = []
        for part in range(parts):
            before = dice.lognormvariate(1.2, 1.2) * HOUR * (parts - part)
            # A first commit may also be older: it was rebased.
            authored = (created - before).replace(microsecond=0)
            result.append(
                Commit(
                    oid=oid(self.repository.name, dice.random()),
                    committed_date=authored + timedelta(minutes=dice.randrange(3)),
                    authored_date=authored,
                    message=self.title(),
                    signatures=(self.people.signature(signer, dice),),
                    files=files[part::parts],
                    parents=(oid(self.repository.name, 'base', dice.random()),),
                    rollup=dice.choices(('SUCCESS', 'FAILURE', 'ERROR', 'PENDING', None), (80, 8, 2, 4, 6))[0],
                )
            )
        return tuple(result)

    def review(self, author: Account | None, state: str, submitted: datetime) -> Review:
        """Make a review with an id of its own."""
        self._review_id += 1
        return Review(self.repository.database_id * 1_000_000 + self._review_id, author, state, submitted)

    def reviews(self, author: Account | None, start: datetime, end: datetime) -> tuple[list[Review], str | None]:
        """Make reviews between two times. Returns them and the resulting decision.

        They are by people, only by bots, by the author, by deleted accounts, or there are none.
        """
        dice = self.dice
        span = max((end - start).total_seconds(), 60)
        human = [account for account in self.people.developers if account is not author]

        def at(share: float) -> datetime:
            return (start + timedelta(seconds=span * share)).replace(microsecond=0)

        found: list[Review] = []
        if dice.random() < 0.5:
            found.append(self.review(REVIEWER, 'COMMENTED', at(0.01)))
        if dice.random() < 0.15:
            found.append(self.review(CLAUDE, 'APPROVED', at(0.02)))
        if author is not None and dice.random() < 0.3:
            found.append(self.review(author, 'COMMENTED', at(0.03)))
        kind = dice.choices(('approved', 'rounds', 'commented', 'deleted', 'none'), (52, 14, 8, 4, 22))[0]
        first = dice.uniform(0.05, 0.5)
        decision = 'REVIEW_REQUIRED' if kind == 'none' else None
        if kind in ('approved', 'rounds'):
            reviewer = dice.choice(human)
            rounds = dice.choice((1, 1, 2)) if kind == 'rounds' else 0
            found += [self.review(reviewer, 'CHANGES_REQUESTED', at(first + 0.05 * turn)) for turn in range(rounds)]
            if author is not None and rounds:
                found.append(self.review(author, 'COMMENTED', at(first + 0.06)))
            decision = 'CHANGES_REQUESTED'
            if kind == 'approved' or dice.random() < 0.75:
                found.append(self.review(reviewer, 'APPROVED', at(first + 0.3)))
                decision = 'APPROVED'
        elif kind == 'commented':
            found.append(self.review(dice.choice(human), dice.choice(('COMMENTED', 'DISMISSED')), at(first)))
        elif kind == 'deleted':
            # A deleted account is another person, unless the author's account was deleted as well.
            found.append(self.review(None, 'APPROVED', at(first)))
            decision = 'APPROVED'
        return sorted(found, key=lambda review: review.submitted_at), decision

    def drafts(self, created: datetime, reviews: list[Review], end: datetime) -> list[TimelineEvent]:
        """Make draft rounds (before the first review, after it, both or none) and requests for review."""
        dice = self.dice
        reviewed = min((review.submitted_at for review in reviews), default=end)
        events: list[TimelineEvent] = []
        actor = self.people.developers[0]

        def add(kind: str, start: datetime, stop: datetime, share: float) -> None:
            moment = (start + (stop - start) * share).replace(microsecond=0)
            events.append(TimelineEvent(f'{kind}_EVENT', moment, actor))

        if dice.random() < 0.3:
            rounds = dice.choice((1, 1, 2))
            for turn in range(rounds):
                if turn:
                    add('CONVERT_TO_DRAFT', created, reviewed, 0.4)
                add('READY_FOR_REVIEW', created, reviewed, 0.3 + 0.4 * turn)
        if dice.random() < 0.5:
            add('REVIEW_REQUESTED', created, reviewed, 0.75)
        if dice.random() < 0.15 and reviewed < end:
            add('CONVERT_TO_DRAFT', reviewed, end, 0.2)
            add('READY_FOR_REVIEW', reviewed, end, 0.8)
        return sorted(events, key=lambda event: event.created_at)

    def make(self, state: str, ages: Ages, *, base: str | None = None, draft: bool = False) -> Pull:
        """Make a pull request. It gets its number when all pull requests of the repository are sorted."""
        dice = self.dice
        author = self.author()
        created, updated = self.ago(ages.created), self.ago(ages.updated)
        closed = None if ages.closed is None else self.ago(ages.closed)
        files = self.files()
        end = closed or updated
        reviews, decision = ([], None) if draft and dice.random() < 0.7 else self.reviews(author, created, end)
        return Pull(
            repository=self.repository,
            number=0,
            title=self.title(),
            author=author,
            state=state,
            created_at=created,
            updated_at=updated,
            closed_at=closed,
            merged_at=closed if state == 'MERGED' else None,
            is_draft=draft,
            base_ref_name=base or self.repository.default_branch,
            head_ref_name=f'feature/{dice.randrange(10**8):08d}',
            from_fork=dice.random() < 0.1,
            files=files,
            commits=self.commits(files, created, author),
            comments=dice.randrange(6),
            review_comments=dice.randrange(9),
            reviews=reviews,
            timeline=self.drafts(created, reviews, end),
            labels=tuple(sorted({dice.choice(LABELS) for _ in range(dice.randrange(3))})),
            review_decision=decision,
        )

    # Populations.

    def merged(self, count: int) -> Iterator[Pull]:
        """Make pull requests that were merged in the window, some to the branch of another one."""
        stacked = round(count * STACKED_SHARE)
        for index in range(count):
            age = self.dice.uniform(0.5, WEEK_HOURS - 1)
            lifetime = max(0.05, self.dice.lognormvariate(2.6, 1.4))
            updated = age * (1 if self.dice.random() < 0.7 else self.dice.uniform(0.2, 1))
            base = f'stack/part-{index}' if index < stacked else None
            yield self.make('MERGED', Ages(age + lifetime, updated, age), base=base)

    def closed(self, count: int) -> Iterator[Pull]:
        """Make pull requests that were closed in the window without a merge."""
        for _ in range(count):
            age = self.dice.uniform(0.5, WEEK_HOURS - 1)
            yield self.make('CLOSED', Ages(age + self.dice.lognormvariate(3.5, 1.2), age, age))

    def touched(self, count: int) -> Iterator[Pull]:
        """Make pull requests that ended long ago and were commented, labeled or linked in the window."""
        for index in range(count):
            age = WEEK_HOURS + self.dice.uniform(24, 4000)
            updated = self.dice.uniform(0.2, WEEK_HOURS - 1)
            state = 'CLOSED' if index % 4 == 0 else 'MERGED'
            pull = self.make(state, Ages(age + self.dice.lognormvariate(3, 1), updated, age))
            if index % 10 == 1:
                # Reviewed for the first time after it was merged.
                pull.reviews = [self.review(self.people.maintainer, 'COMMENTED', pull.updated_at)]
            yield pull

    def old(self, count: int) -> Iterator[Pull]:
        """Make pull requests that ended long ago and were not updated since."""
        for index in range(count):
            age = WEEK_HOURS + 30 + 3.1 * index + self.dice.random()
            yield self.make('MERGED' if index % 5 else 'CLOSED', Ages(age + 20, age, age))

    def open(self, count: int) -> Iterator[Pull]:
        """Make open pull requests: young ones, old ones with recent updates, old drafts, and stale ones."""
        old = round(count * 24 / 46)
        stale, drafts = round(old * 5 / 24), round(old * 7 / 24)
        for index in range(count):
            if index >= old:
                created = self.dice.uniform(0.3, 13 * 24)
                draft = index % 5 == 0
                yield self.make('OPEN', Ages(created, created * self.dice.random()), draft=draft)
                continue
            created = 24 * self.dice.uniform(20, 90)
            quiet = index < stale + drafts
            updated = 24 * self.dice.uniform(15, 19) if quiet else self.dice.uniform(0.5, 13 * 24)
            yield self.make('OPEN', Ages(created, updated), draft=stale <= index < stale + drafts)


def number(pulls: list[Pull], first: int = 1) -> dict[int, Pull]:
    """Number pull requests in the order of creation. Issues share the numbers, so there are gaps."""
    result = {}
    for index, pull in enumerate(sorted(pulls, key=lambda pull: pull.created_at)):
        pull.number = first + index + index // 7
        result[pull.number] = pull
    return result
