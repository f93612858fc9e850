"""Commits of the default branch: merged pull requests, direct pushes, bots, pairs, merges, misleading headlines."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from .model import Commit, File, History, Pull, Repository, Signature, oid
from .people import ACTIONS, CLAUDE, DEPENDABOT, RENOVATE, People
from .pulls import PullMaker

WINDOW = timedelta(days=7)
PAST_STEP = timedelta(minutes=23)
ASSISTANT_WITHOUT_ACCOUNT = Signature('Claude Opus', 'noreply@anthropic.com', None, None)
# Every third of the merged pull requests is merged with a merge commit, the others are squashed.
MERGE_EVERY = 3

# Headlines by the kind that they count as, with their numbers in a week of this many commits.
WEEK_COMMITS = 300
REVERTS = ('Revert "Add policy loss (#1201)"', 'revert: sweep config', 'revert(sim): drop the new map generator')
LIKE_REVERTS = (
    'Revert "Revert "Add policy loss (#1201)""',
    'docs: how to revert a migration',
    'Do not revert the optimizer state on resume',
    'Add an undo button that reverts edits',
)
HOTFIXES = (
    'hotfix: trainer crashes without a GPU',
    '[hotfix] pin numpy',
    'Hotfix replay viewer',
    '[HOTFIX] bad default',
)
LIKE_HOTFIXES = ('Remove hotfix label from the release script', 'Prepare for hotfixing', 'fix: hotfix path in docs')
LIKE_FORCE_PUSHES = ('Document when a force push is allowed', 'Forbid force pushes to main')


class CommitMaker:
    """Makes the commits of the default branch of a repository."""

    def __init__(self, repository: Repository, people: People, dice: random.Random, now: datetime) -> None:
        self.repository = repository
        self.people = people
        self.dice = dice
        self.now = now
        self._files = PullMaker(repository, people, dice, now).files

    def history(self, pulls: list[Pull], count: int, past: int) -> History[Commit]:
        """Return `count` commits of the window, and `past` commits before it."""
        start = self.now - WINDOW
        commits: list[Commit] = []
        main = self.repository.default_branch
        merges = [
            (pull, pull.merged_at)
            for pull in pulls
            if pull.merged_at is not None and pull.merged_at > start and pull.base_ref_name == main
        ]
        for index, (pull, moment) in enumerate(merges):
            commits += self.merge(pull, moment) if index % MERGE_EVERY == 0 else [self.squash(pull, moment)]
        missing = count - sum(commit.committed_date >= start for commit in commits)
        commits += self.pushed(max(0, missing), self._headlines(count))
        # GitHub counts commits by their own time: some of those merged in the window lie before it.
        oldest = min((commit.committed_date for commit in commits), default=start)
        self._past_start = min(oldest, start)
        result = History(commits, past, self._old, lambda commit: commit.committed_date)
        self._checks(result)
        return result

    def _old(self, index: int) -> Commit:
        moment = self._past_start - PAST_STEP * (index + 1)
        signer = self.people.developers[index % len(self.people.developers)]
        return Commit(
            oid=oid(self.repository.name, 'past', index),
            committed_date=moment,
            authored_date=moment,
            message=f'Step {index}',
            signatures=(Signature(signer.name, signer.email, signer, signer.login),),
            files=((f'common/step_{index % 50}.py', 5, 2),),
            parents=(oid(self.repository.name, 'past', index + 1),),
        )

    def _checks(self, history: History[Commit]) -> None:
        """Set the checks of the newest commits: still running, none at all, expected, then green."""
        for commit, rollup in zip(history.recent, ('PENDING', None, 'EXPECTED', 'SUCCESS', 'FAILURE'), strict=False):
            commit.rollup = rollup

    def commit(
        self,
        moment: datetime,
        message: str,
        signatures: tuple[Signature, ...],
        files: tuple[File, ...],
        extra_parents: tuple[str, ...] = (),
    ) -> Commit:
        """Make a commit, authored some time before it was committed."""
        authored = moment - timedelta(minutes=self.dice.choice((0, 0, 0, 45, 60 * 24 * 12)))
        trailers = ''.join(f'\nCo-authored-by: {who.name} <{who.email}>' for who in signatures[1:])
        return Commit(
            oid=oid(self.repository.name, moment, message, self.dice.random()),
            committed_date=moment,
            authored_date=authored,
            message=f'{message}\n\n{trailers}' if trailers else message,
            signatures=signatures,
            files=files,
            parents=(oid(self.repository.name, 'parent', moment), *extra_parents),
            rollup=self.dice.choices(('SUCCESS', 'FAILURE'), (9, 1))[0],
        )

    def signatures(self) -> tuple[Signature, ...]:
        """Choose an author, and sometimes a co-author: a colleague, an assistant."""
        dice = self.dice
        author = self.people.developer(dice)
        first = self.people.signature(author, dice)
        roll = dice.random()
        if roll < 0.08:
            return (first, self.people.signature(CLAUDE, dice))
        if roll < 0.12:
            return (first, ASSISTANT_WITHOUT_ACCOUNT)
        if roll < 0.18:
            return (first, self.people.signature(self.people.partner, dice))
        if roll < 0.22:
            other = self.people.developer(dice)
            return (first,) if other is author else (first, self.people.signature(other, dice))
        return (first,)

    def squash(self, pull: Pull, moment: datetime) -> Commit:
        """Return the one commit of a pull request that is squashed."""
        author = pull.commits[0].signatures[0]
        return self.commit(moment, f'{pull.title} (#{pull.number})', (author,), pull.files)

    def merge(self, pull: Pull, moment: datetime) -> list[Commit]:
        """Return the commits of the branch and the merge commit, which has the same lines again."""
        branch = [
            Commit(
                oid=commit.oid,
                committed_date=min(commit.committed_date, moment),
                authored_date=commit.authored_date,
                message=commit.message,
                signatures=commit.signatures,
                files=commit.files,
                parents=commit.parents,
            )
            for commit in pull.commits
        ]
        keeper = self.people.signature(self.people.maintainer, self.dice)
        message = f'Merge pull request #{pull.number} from {self.repository.owner}/{pull.head_ref_name}'
        return [*branch, self.commit(moment, message, (keeper,), pull.files, (branch[-1].oid,))]

    def pushed(self, count: int, headlines: list[str]) -> list[Commit]:
        """Make commits without a pull request."""
        dice = self.dice
        result = []
        for index in range(count):
            moment = (self.now - dice.uniform(0.01, 0.99) * WINDOW).replace(microsecond=0)
            if index < len(headlines):
                signatures = self.signatures()
                message = headlines[index]
            elif index % 12 == 3:
                signatures = (self.people.signature(dice.choice((DEPENDABOT, RENOVATE, ACTIONS)), dice),)
                message = 'Bump torch'
            elif index % 40 == 7:
                signatures, message = (self.people.stranger(dice),), 'Fix a typo'
            elif index % 120 == 11:
                signatures, message = (self.people.nameless(),), 'Update generated maps'
            else:
                signatures, message = self.signatures(), f'Tune {dice.choice(("agent", "trainer", "maps"))} {index}'
            commit = self.commit(moment, message, signatures, self._files())
            commit.counts_files = index % 97 != 5
            result.append(commit)
        return result

    def _headlines(self, count: int) -> list[str]:
        def some(choices: tuple[str, ...], per_week: int) -> list[str]:
            return [choices[index % len(choices)] for index in range(round(per_week * count / WEEK_COMMITS))]

        return [
            *some(REVERTS, 10),
            *some(LIKE_REVERTS, 10),
            *some(HOTFIXES, 8),
            *some(LIKE_HOTFIXES, 4),
            *some(LIKE_FORCE_PUSHES, 2),
        ]
