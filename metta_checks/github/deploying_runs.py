"""Reads the runs of the workflows that deploy, for the DORA figures.

GitHub can run a run again for 30 days after its creation, which deploys its commit again. Each refresh reads the runs
of the last week, and the first one of a day those of the last 30 days.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core.errors import Rejected
from ..core.stored import stored
from ..core.times import Window
from .attempts import complete
from .client import Client
from .measures.dora import LOOK_BACK, Delivery, Deployed, DoraSettings
from .repository import Repository
from .run_records import FAILED, EndedAttempt, Run, RunPage, WorkflowKey
from .workflow_list import ListedPart, Registration
from .workflow_runs import crawl

WEEK = timedelta(days=7)
# GitHub does not run older runs again.
RERUN_TIME = timedelta(days=30)
DAY = timedelta(days=1)


@stored
class DeployingRuns:
    """The runs of 60 days of the workflows that deploy.

    Attributes:
        runs: the runs on the default branch, with their attempts
        workflows: all workflows of the repository; None before they were read
        all_read: when all runs that can be run again were read; None: never
    """

    runs: tuple[Run, ...] = ()
    workflows: ListedPart[Registration] | None = None
    all_read: datetime | None = None


@dataclass(slots=True)
class RunCrawl:
    """Brings the runs of the workflows that deploy up to date.

    Attributes:
        client: the server
        repo: the repository
        settings: says which workflows deploy
        now: the time of the refresh
    """

    client: Client
    repo: Repository
    settings: DoraSettings
    now: datetime

    def run(self, table: DeployingRuns) -> tuple[DeployingRuns, Deployed | None]:
        """Return the runs, and the deployments; None while attempts are unknown.

        Raises TooManyRuns, and Rejected when GitHub does not show the workflows.
        """
        listed = self.client.workflows(self.repo.owner, self.repo.name, table.workflows, self.now)
        if listed.rows is None:
            raise Rejected('GitHub does not show the workflows of the repository', reason='permission')
        deploying: dict[WorkflowKey, str] = {
            one.key: one.name for one in listed.rows if self.settings.deploys(one.name)
        }
        span, all_read = self._span(table)
        start = self.now - LOOK_BACK
        known = {run.id: run for run in table.runs if run.created >= start and run.workflow_key in deploying}
        for run in self._read(deploying, span):
            known[run.id] = run.seen(known.get(run.id), self.now)
        attempts = complete(known.values(), known.keys(), self._attempt, counts=False)
        if attempts.error is not None:
            raise attempts.error
        table = DeployingRuns(attempts.runs, listed, all_read)
        return table, None if attempts.undecided else _deployed(attempts.runs, deploying)

    def _span(self, table: DeployingRuns) -> tuple[Window, datetime]:
        """Return the creation times of the runs to read, and when all that can be run again were read then."""
        end = self.now.replace(microsecond=0)
        if table.all_read is None or table.all_read < end - RERUN_TIME:
            # Runs between the last reading and the last 30 days may be missing.
            return Window(end - LOOK_BACK, end), self.now
        if table.all_read <= self.now - DAY:
            return Window(end - RERUN_TIME, end), self.now
        return Window(end - WEEK, end), table.all_read

    def _read(self, workflows: Collection[WorkflowKey], span: Window) -> list[Run]:
        """Return the runs of these workflows on the default branch, without forks and pull requests."""
        found: list[Run] = []
        for workflow in workflows:
            for branch in self.repo.branches:

                def fetch(
                    low: datetime, high: datetime, page: int, workflow: WorkflowKey = workflow, branch: str = branch
                ) -> RunPage:
                    return self.client.runs_of_workflow(self.repo, workflow, branch, Window(low, high), page)

                found += crawl(span, fetch)
        return [run for run in found if run.own and run.workflow_key in workflows]

    def _attempt(self, run: Run, number: int) -> EndedAttempt:
        return self.client.attempt(self.repo.owner, self.repo.name, run, number)


def _deployed(runs: Iterable[Run], names: Mapping[WorkflowKey, str]) -> Deployed:
    """Return the attempts of runs as deployments; `names` are those of the workflows that deploy."""
    deliveries = []
    failures = []
    for run in runs:
        environment = names[run.workflow_key].lower()
        for one in run.attempts:
            if one.conclusion == 'success':
                deliveries.append(Delivery(one.ended, run.created, f'{run.id}/{one.number}', environment, run.sha))
            elif one.conclusion in FAILED:
                failures.append((environment, one.ended))
    return Deployed(deliveries, failures, {name.lower() for name in names.values()}, selects_nothing=not names)
