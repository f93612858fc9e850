"""Workflow runs of a repository: a window with every conclusion, and a past of any length."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from .model import Attempt, History, Repository, Run, oid
from .people import DEPENDABOT, People

WEEK_HOURS = 168
PAST_STEP = timedelta(minutes=5)
FIRST_RUN_ID = 9_000_000_000
TIMEOUT_MINUTES = 361.0


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow: share of the runs, median minutes."""

    name: str
    file: str
    share: float
    minutes: float

    @property
    def path(self) -> str:
        """The path of the file in the repository."""
        return f'.github/workflows/{self.file}'


WORKFLOWS = (
    Workflow('tests', 'tests.yml', 0.33, 7.0),
    Workflow('lint', 'lint.yml', 0.22, 2.5),
    Workflow('build images', 'images.yml', 0.12, 12.0),
    Workflow('e2e', 'e2e.yml', 0.10, 15.0),
    Workflow('docs', 'docs.yml', 0.09, 3.0),
    Workflow('Nightly Benchmarks', 'bench.yml', 0.05, 24.0),
    Workflow('PR labels', 'labels.yml', 0.06, 0.4),
    Workflow('release', 'release.yml', 0.03, 10.0),
)
BY_NAME = {workflow.name: workflow for workflow in WORKFLOWS}


class Ending(NamedTuple):
    """The end of a run. `minutes` None: those of its workflow; `workflow` empty: that of any workflow.

    A second attempt follows a failure.
    """

    conclusion: str
    attempts: int = 1
    minutes: float | None = None
    workflow: str = ''


SUCCESS = Ending('success')
# Number of runs out of 2,000 that do not simply succeed.
QUOTAS = (
    (133, Ending('failure')),
    (20, Ending('failure', attempts=2)),
    (11, Ending('success', attempts=2)),
    (28, Ending('timed_out', minutes=45.0, workflow='e2e')),
    (12, Ending('startup_failure', minutes=0.02, workflow='release')),
    (174, Ending('cancelled', minutes=3.0)),
    (12, Ending('cancelled', minutes=TIMEOUT_MINUTES)),
    (260, Ending('skipped', minutes=0.05)),
    (8, Ending('neutral', workflow='lint')),
    (2, Ending('stale', minutes=1.0, workflow='e2e')),
    (9, Ending('action_required', minutes=0.0, workflow='tests')),
)
# Ends of the first and the second attempt of runs that are not flaky.
NEEDLESS = (('success', 'success'), ('cancelled', 'success'), ('failure', 'cancelled'))
# Does not run for the default branch.
ONLY_BRANCHES = ('PR labels',)
# Workflows whose deployments somebody reviews.
REVIEWED = ('release',)
# The newest runs around the default branch, the newest first: minutes ago, workflow, status, conclusion, event,
# whose branch. Only the last two lines of tests and benchmarks say how main is.
NEWEST = (
    (5, 'tests', 'in_progress', None, 'push', 'own'),
    (8, 'lint', 'completed', 'success', 'push', 'own'),
    (10, 'tests', 'completed', 'failure', 'pull_request', 'fork'),
    (11, 'lint', 'completed', 'failure', 'push', None),
    (12, 'docs', 'completed', 'failure', 'push', 'own'),
    (16, 'tests', 'completed', 'cancelled', 'push', 'own'),
    (19, 'tests', 'completed', 'failure', 'pull_request_target', 'own'),
    (30, 'tests', 'completed', 'success', 'push', 'own'),
    (34, 'Nightly Benchmarks', 'completed', 'skipped', 'schedule', 'own'),
    (75, 'Nightly Benchmarks', 'completed', 'success', 'schedule', 'own'),
)
# Unfinished runs of branches: minutes ago, status. The last one waits for approval.
UNFINISHED = (
    (2, 'queued'),
    (9, 'queued'),
    (20, 'pending'),
    (25, 'in_progress'),
    (48, 'in_progress'),
    (120, 'in_progress'),
    (240, 'in_progress'),
    (66 * 60, 'waiting'),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of a run and the length of its last attempt."""

    status: str
    conclusion: str | None
    length: timedelta
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Trigger:
    """The event that a run is for, and the repository of its branch: own, fork, or None (deleted).

    `on_main`: the branch has the name of the default branch, which branches of forks may have, too.
    """

    event: str
    head: str | None
    on_main: bool = False


class RunMaker:
    """Makes the workflow runs of one repository."""

    def __init__(self, repository: Repository, people: People, dice: random.Random, now: datetime) -> None:
        self.repository = repository
        self.people = people
        self.dice = dice
        self.now = now
        self._made = 0

    def history(
        self, count: int, past: int, *, burst: int = 0, burst_second: int = 0, names: int = 0, again: int = 0
    ) -> History[Run]:
        """Make `count` runs of the last week and `past` runs before it.

        Args:
            count: runs of the last week
            past: runs before them, made when they are read
            burst: further runs within one hour
            burst_second: further runs within one second
            names: further workflows, one run each
            again: further runs that were run again and are not flaky
        """
        runs = self._window(count)
        for index in range(again):
            moment = (self.now - timedelta(hours=30 + index % 130)).replace(microsecond=0)
            first, last = NEEDLESS[index % len(NEEDLESS)]
            run = self.finished(moment, self.workflow(), last, attempts=2)
            run.earlier = [replace(attempt, conclusion=first) for attempt in run.earlier]
            runs.append(run)
        hour = self.now - timedelta(hours=50)
        for index in range(burst):
            runs.append(self.finished(hour + timedelta(seconds=index * 3599 // burst), self.workflow(), 'success'))
        for _ in range(burst_second):
            runs.append(self.finished(self.now - timedelta(hours=80), self.workflow(), 'success'))
        for index in range(names):
            moment = self.now - timedelta(hours=1 + index % 160)
            run = self.finished(moment, BY_NAME['lint'], 'success')
            run.name, run.path = f'part {index:03d}', f'.github/workflows/part-{index:03d}.yml'
            runs.append(run)
        # Ids grow with time.
        for index, run in enumerate(sorted(runs, key=lambda run: run.created_at)):
            run.run_number = past + index + 1
            run.id = FIRST_RUN_ID + run.run_number
        self._made = past + len(runs)
        self._past = past
        # `now` advances; the past does not change.
        self._past_start = self.now - timedelta(hours=WEEK_HOURS, minutes=1)
        return History(runs, past, self._old, lambda run: run.created_at)

    def _window(self, count: int) -> list[Run]:
        dice = self.dice
        runs = [self._crafted(*row) for row in NEWEST]
        runs += [self.unfinished(self.now - timedelta(minutes=minutes), status) for minutes, status in UNFINISHED]
        endings = [ending for number, ending in QUOTAS for _ in range(max(1, round(number * count / 2000)))]
        plain = max(0, count - len(runs) - len(endings))
        for ending in (*endings, *[SUCCESS] * plain):
            conclusion, attempts, minutes, name = ending
            # A long run, and one that was run again, must have begun long enough ago.
            youngest = 60 if attempts > 1 else 12 if minutes and minutes > 60 else 2.5
            moment = self.now - timedelta(hours=dice.uniform(youngest, WEEK_HOURS - 1))
            workflow = BY_NAME[name] if name else self.workflow()
            runs.append(self.finished(moment.replace(microsecond=0), workflow, conclusion, attempts, minutes))
        self._nulls(runs)
        return runs

    def _nulls(self, runs: list[Run]) -> None:
        """Remove the name, file, branch or actor of some runs, as GitHub omits them."""
        odd = [run for run in runs if run.status == 'completed' and run.created_at < self.now - timedelta(hours=2)]
        odd = self.dice.sample(odd, 11)
        for run in odd[:3]:
            run.name, run.path = None, BY_NAME['tests'].path
        odd[3].name, odd[3].path = None, ''
        for run in odd[4:7]:
            run.head_branch = None
        for run in odd[7:9]:
            run.head = None
        for run in odd[9:11]:
            run.actor = None

    def _crafted(
        self, minutes: int, name: str, status: str, conclusion: str | None, event: str, head: str | None
    ) -> Run:
        workflow = BY_NAME[name]
        moment = self.now - timedelta(minutes=minutes)
        length = timedelta(minutes=min(minutes - 1, workflow.minutes if conclusion != 'skipped' else 0.05))
        return self._run(moment, workflow, Outcome(status, conclusion, length), Trigger(event, head, on_main=True))

    def _old(self, index: int) -> Run:
        number = self._past - index
        workflow = WORKFLOWS[index % len(WORKFLOWS)]
        moment = self._past_start - PAST_STEP * index
        return Run(
            id=FIRST_RUN_ID + number,
            run_number=number,
            name=workflow.name,
            path=workflow.path,
            event='push',
            status='completed',
            # The newest runs of the past passed.
            conclusion='failure' if index % 9 == 5 else 'success',
            created_at=moment,
            run_started_at=moment,
            updated_at=moment + timedelta(minutes=workflow.minutes),
            run_attempt=1,
            head_branch=self.repository.default_branch,
            head='own',
            head_sha=self.repository.commit_at(moment).oid,
            actor=self.people.developers[index % 5],
        )

    def workflow(self) -> Workflow:
        """Choose one of the workflows by its share."""
        return self.dice.choices(WORKFLOWS, [workflow.share for workflow in WORKFLOWS])[0]

    def number(self, run: Run) -> Run:
        """Number a run that comes after all others."""
        self._made += 1
        run.run_number = self._made
        run.id = FIRST_RUN_ID + self._made
        return run

    def unfinished(self, moment: datetime, status: str = 'in_progress', workflow: Workflow | None = None) -> Run:
        """Make a run of a branch that is in progress."""
        outcome = Outcome(status, None, timedelta(0))
        return self._run(moment, workflow or self.workflow(), outcome, Trigger('pull_request', 'own'))

    def finished(
        self,
        moment: datetime,
        workflow: Workflow,
        conclusion: str,
        attempts: int = 1,
        minutes: float | None = None,
        *,
        on_main: bool | None = None,
    ) -> Run:
        """Make a finished run of the default branch, a branch, a fork (its branch may be called main) or the queue."""
        dice = self.dice
        if minutes is None:
            minutes = min(110, workflow.minutes * dice.lognormvariate(0, 0.45))
        elif minutes == TIMEOUT_MINUTES:
            minutes += dice.random()
        if workflow.name in ONLY_BRANCHES:
            on_main = False
        length = timedelta(seconds=round(minutes * 60))
        trigger = self._trigger(dice.random(), on_main=on_main)
        return self._run(moment, workflow, Outcome('completed', conclusion, length, attempts), trigger)

    def _trigger(self, roll: float, *, on_main: bool | None) -> Trigger:
        dice = self.dice
        if on_main or (on_main is None and roll < 0.3):
            return Trigger(dice.choice(('push', 'push', 'schedule', 'workflow_dispatch')), 'own', on_main=True)
        if on_main is None and roll < 0.36:
            return Trigger('pull_request', 'fork', on_main=True)
        if roll < 0.4:
            return Trigger('merge_group', 'own')
        return Trigger('pull_request', dice.choice(('own', 'own', 'own', 'fork')))

    def _run(self, moment: datetime, workflow: Workflow, outcome: Outcome, trigger: Trigger) -> Run:
        dice = self.dice
        # An attempt after the first begins the next day.
        started = moment + timedelta(hours=26 if outcome.attempts > 1 else 0)
        first = Attempt('failure', moment, moment + outcome.length + timedelta(minutes=1))
        if trigger.event == 'merge_group':
            branch = f'gh-readonly-queue/{self.repository.default_branch}/pr-{dice.randrange(9999)}'
        elif trigger.on_main:
            branch = self.repository.default_branch
        else:
            branch = f'feature/{dice.randrange(10**8):08d}'
        own = trigger.on_main and trigger.head == 'own'
        newest = self.repository.commit_at(moment).oid if own and len(self.repository.commits) else None
        chance = dice.random()
        return Run(
            id=0,
            run_number=0,
            name=workflow.name,
            path=workflow.path,
            event=trigger.event,
            status=outcome.status,
            conclusion=outcome.conclusion,
            created_at=moment,
            run_started_at=started,
            updated_at=started + outcome.length,
            run_attempt=outcome.attempts,
            head_branch=branch,
            head=trigger.head,
            head_sha=newest or oid(self.repository.name, moment, chance),
            actor=DEPENDABOT if dice.random() < 0.08 else self.people.developer(dice),
            earlier=[first] * (outcome.attempts - 1),
            is_reviewed=workflow.name in REVIEWED and outcome.status == 'completed',
        )
