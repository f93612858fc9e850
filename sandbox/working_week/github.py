"""GitHub in a working week."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from ..github.commits import HOTFIXES, REVERTS
from ..github.data import Makers
from ..github.life import finish
from ..github.model import Commit, Deployment, DeploymentStatus, Pull, QueueEntry, Repository, Run
from ..github.pulls import Ages
from ..github.runs import BY_NAME, QUOTAS, SUCCESS
from .life import HOUR, SATURDAY, THURSDAY, Life, deployment_fails, intensity, main_is_broken

if TYPE_CHECKING:
    from ..github.service import GitHubService

# Times of deployments, UTC.
DEPLOYMENT_HOURS = (10, 14, 17)


class GitHubLife(Life):
    """Pull requests that are opened, reviewed and merged; runs that queue, run, fail; a main branch that breaks.

    Production is deployed three times on every working day; on Friday afternoon that fails until it is repaired.
    """

    service: GitHubService

    def begin(self) -> None:
        """Plan the ends of what is in progress."""
        self._repositories: list[tuple[Repository, Makers, float]] = [
            (self.service.metta, self.service.makers['metta'], 1.0),
            (self.service.infra, self.service.makers['infra'], 0.08),
        ]
        self._was_broken = False
        for repository, makers, _ in self._repositories:
            for run in repository.runs.recent:
                if run.status != 'completed' and run.created_at > self.now - timedelta(hours=24):
                    self.later(self.dice.uniform(0.2, 2), partial(self._finish, run))
            for pull in list(repository.pulls.values()):
                young = pull.created_at > self.now - timedelta(days=6)
                if pull.state == 'OPEN' and not pull.is_draft and young and self.dice.random() < 0.8:
                    self._plan_end(repository, makers, pull, self.dice.uniform(1, 160))

    def advance(self, seconds: float) -> None:
        """Advance the clock alone: the quarters of an hour of pass_time have events of their own."""
        self.service.clock.advance(seconds)

    def beat(self, before: datetime) -> None:
        """Start runs, open and merge pull requests, push commits, move the merge queue."""
        for repository, makers, share in self._repositories:
            for maker in (makers.pulls, makers.commits, makers.runs):
                maker.now = self.now
            self._runs(repository, makers, before, share)
            for _ in range(self.often(0.66 * share, before)):
                self._open(repository, makers)
            self._push(repository, makers, before, share)
        self._queue()
        self._deploy(before)
        self.service.metta.stargazer_count += self.often(0.3, before)

    def _moment(self, before: datetime) -> datetime:
        seconds = (self.now - before).total_seconds()
        return (before + timedelta(seconds=self.dice.uniform(0, seconds))).replace(microsecond=0)

    # Runs.

    def _runs(self, repository: Repository, makers: Makers, before: datetime, share: float) -> None:
        moments = sorted(self._moment(before) for _ in range(self.often(11 * share, before)))
        started = [self._run(makers, moment) for moment in moments]
        # Main is tested often; what the newest run says is whether it passes. Not in a beat too short for the run: what
        # is read excludes runs that began before the last look.
        usual = repository is self.service.metta or self.dice.random() < 0.1
        if usual and self.now - before > timedelta(minutes=15):
            conclusion = 'failure' if main_is_broken(self.now) and repository is self.service.metta else 'success'
            moment = (self.now - timedelta(minutes=12)).replace(microsecond=0)
            tests = makers.runs.finished(moment, BY_NAME['tests'], conclusion, minutes=7.5, on_main=True)
            tests.event = 'push'
            started.append(tests)
        repository.runs.recent += [makers.runs.number(run) for run in sorted(started, key=lambda run: run.created_at)]
        repository.runs.sort()
        if len(repository.commits.recent) and repository is self.service.metta:
            broken = main_is_broken(self.now)
            repository.commits.recent[0].rollup = 'FAILURE' if broken else 'SUCCESS'

    def _finish(self, run: Run) -> None:
        finish(run, self.now)

    def _run(self, makers: Makers, moment: datetime) -> Run:
        first = {ending: number for number, ending in QUOTAS if ending.attempts == 1}
        shares = {**first, SUCCESS: 2000 - sum(first.values())}
        ending = self.dice.choices(list(shares), list(shares.values()))[0]
        conclusion = ending.conclusion
        if main_is_broken(moment) and conclusion == 'success' and self.dice.random() < 0.35:
            conclusion = 'failure'
        workflow = BY_NAME[ending.workflow] if ending.workflow else makers.runs.workflow()
        # The required workflows decide about main, and they break on Thursday only.
        told = workflow.name in ('tests', 'lint', 'Nightly Benchmarks')
        on_main = False if told and (conclusion != 'success' or main_is_broken(moment)) else None
        run = makers.runs.finished(moment, workflow, conclusion, minutes=ending.minutes, on_main=on_main)
        length = run.updated_at - run.run_started_at
        # Runners are scarce when everybody works.
        mean = 1 + 4 * intensity(moment) ** 2
        waits = min(90, self.dice.expovariate(1 / mean)) if length > timedelta(minutes=1) else 0
        self._finish_later(run, length + timedelta(minutes=waits), waits, conclusion)
        return run

    def _finish_later(self, run: Run, length: timedelta, waits: float, conclusion: str) -> None:
        end = (run.created_at + length).replace(microsecond=0)
        if end <= self.now:
            run.updated_at = end
            return
        run.conclusion, run.updated_at = None, run.created_at
        run.status = 'queued' if run.created_at + timedelta(minutes=waits) > self.now else 'in_progress'

        def go_on() -> None:
            run.status = 'in_progress'

        def complete() -> None:
            run.status, run.conclusion, run.updated_at = 'completed', conclusion, end

        self.later((run.created_at + timedelta(minutes=waits) - self.now) / HOUR, go_on)
        self.later((end - self.now) / HOUR, complete)

    # Pull requests and commits.

    def _open(self, repository: Repository, makers: Makers) -> None:
        pull = makers.pulls.make('OPEN', Ages(0.05, 0.02), draft=self.dice.random() < 0.12)
        pull.reviews, pull.timeline, pull.review_decision = [], [], 'REVIEW_REQUIRED'
        pull.number = max(repository.pulls) + 1
        repository.pulls[pull.number] = pull
        if not pull.is_draft:
            self._plan_end(repository, makers, pull, max(0.1, self.dice.lognormvariate(2.6, 1.3)))

    def _plan_end(self, repository: Repository, makers: Makers, pull: Pull, hours: float) -> None:
        def end() -> None:
            # Hardly anybody merges at night.
            if self.dice.random() > intensity(self.now):
                self.later(self.dice.uniform(0.5, 3), end)
            else:
                self._end(repository, makers, pull)

        self.later(hours, end)

    def _end(self, repository: Repository, makers: Makers, pull: Pull) -> None:
        merged = self.dice.random() < 0.86
        moment = (self.now - timedelta(minutes=2)).replace(microsecond=0)
        if not pull.reviews:
            pull.reviews, pull.review_decision = makers.pulls.reviews(pull.author, pull.created_at, moment)
            pull.timeline = makers.pulls.drafts(pull.created_at, pull.reviews, moment)
        pull.state = 'MERGED' if merged else 'CLOSED'
        pull.closed_at = pull.updated_at = moment
        if merged:
            pull.merged_at = moment
            if pull.base_ref_name == repository.default_branch:
                repository.commits.recent.append(makers.commits.squash(pull, moment))
                repository.commits.sort()

    def _push(self, repository: Repository, makers: Makers, before: datetime, share: float) -> None:
        broken = main_is_broken(self.now) and share == 1
        messages = [
            f'Tune {self.dice.choice(("agent", "trainer", "maps"))}' for _ in range(self.often(1.1 * share, before))
        ]
        for choices, rate in ((REVERTS, 0.05), (HOTFIXES, 0.05)):
            usual = self.often((1.2 if broken else rate) * share, before)
            messages += [self.dice.choice(choices) for _ in range(usual)]
        for message in messages:
            signatures = makers.commits.signatures()
            commit = makers.commits.commit(self._moment(before), message, signatures, makers.pulls.files())
            repository.commits.recent.append(commit)
        repository.commits.sort()

    def _queue(self) -> None:
        """Set the merge queue, which grows with the activity of people and while main is broken."""
        busy = intensity(self.now) * (2.5 if main_is_broken(self.now) else 1)
        length = min(14, round(busy * self.dice.uniform(0.8, 2.2)))
        states = ('MERGEABLE', 'AWAITING_CHECKS', 'QUEUED')
        self.service.metta.merge_queue = [
            QueueEntry(index + 1, self.now - timedelta(minutes=4 + 5 * (length - index)), states[min(index, 2)])
            for index in range(length)
        ]
        self.service.metta.merge_queue_eta_seconds = 240 * length if length else None

    # Deployments.

    def _deploy(self, before: datetime) -> None:
        """Deploy main to staging, then to production; go back to the commit before when a deployment is bad."""
        if before.hour == self.now.hour or self.now.hour not in DEPLOYMENT_HOURS or self.now.weekday() >= SATURDAY:
            return
        commit = self.service.metta.commit_at(self.now)
        self._deployment('staging', commit, 'SUCCESS')
        if deployment_fails(self.now):
            self._deployment('production', commit, 'FAILURE')
            self.later(2, partial(self._deployment, 'production', commit, 'SUCCESS'))
            return
        self._deployment('production', commit, 'SUCCESS')
        if self.now.weekday() == THURSDAY and self.now.hour == DEPLOYMENT_HOURS[-1]:
            self.later(1.5, partial(self._deployment, 'production', self._before(commit), 'SUCCESS'))

    def _before(self, commit: Commit) -> Commit:
        """Return the commit of production before the last deployment of a commit: that of a rollback."""
        rows = [one for one in self.service.metta.deployments if one.environment == 'production']
        good = [one for one in rows if any(status.state == 'SUCCESS' for status in one.statuses)]
        earlier = [one for one in good if one.commit is not commit]
        return max(earlier, key=lambda one: one.created_at).commit

    def _deployment(self, environment: str, commit: Commit, ending: str) -> None:
        deployments = self.service.metta.deployments
        created = (self.now - timedelta(minutes=9)).replace(microsecond=0)
        words = ('QUEUED', 'IN_PROGRESS', ending)
        statuses = [DeploymentStatus(word, created + timedelta(minutes=4 * step)) for step, word in enumerate(words)]
        if ending == 'SUCCESS':
            for one in deployments:
                if one.environment == environment and one.latest_status and one.latest_status.state == 'SUCCESS':
                    one.statuses.append(DeploymentStatus('INACTIVE', statuses[-1].created_at))
        number = max((one.number for one in deployments), default=70_000) + 1
        deployments.append(Deployment(number, environment, commit, created, statuses))
