"""Figures of deployments: those of the week, and the DORA figures of the last 30 days."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from github import GithubException
from github.Commit import Commit
from github.PaginatedList import PaginatedList
from github.WorkflowRun import WorkflowRun

from .commits import HOTFIXES, REVERT
from .default_branch import FAILED, is_of_default_branch
from .reading import Reading, Row, hours, matches, spread

MONTH = timedelta(days=30)
CONSIDERED = timedelta(days=60)
DAY = timedelta(hours=24)
SHOWN_ENVIRONMENTS = 20
ENDED = ('success', 'failure', 'error')
# GraphQL shows a success that no later one replaced as active.
SHOWN_STATES = {'success': 'active'}
REVERTED = re.compile(r'Revert "(.*)"')


@dataclass(frozen=True, slots=True)
class Status:
    """A status of a deployment."""

    state: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """A deployment with its statuses, the oldest first."""

    environment: str
    sha: str
    created_at: datetime
    statuses: tuple[Status, ...]

    def first(self, *states: str) -> datetime | None:
        """Return the time of the first status that is one of these; None without one."""
        return next((status.moment for status in self.statuses if status.state in states), None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A successful deployment, run or release."""

    end: datetime
    created_at: datetime
    sha: str


@dataclass(frozen=True, slots=True)
class Step:
    """The commits that a delivery has and the one before it has not, and whether it only took commits away."""

    brought: tuple[Commit, ...]
    is_rollback: bool


def rows(reading: Reading) -> Iterator[Row]:
    """Yield the figures of the options `deployments` and `dora`."""
    dora: Mapping[str, Any] = reading.option('dora', {})
    wanted = reading.option('deployments', False)
    made = list(_made(reading)) if wanted or dora.get('source') == 'deployments' else []
    if wanted:
        yield from _of_week(reading, [one for one in made if reading.covers(one.created_at)])
    if dora:
        yield from _dora(reading, dora, made)


def _made(reading: Reading) -> Iterator[Made]:
    """Yield the deployments of 60 days: one request for the statuses of each."""
    for deployment in reading.repository.get_deployments():
        if deployment.created_at < reading.now - CONSIDERED:
            return
        statuses = [Status(one.state, one.created_at) for one in deployment.get_statuses()]
        yield Made(deployment.environment, deployment.sha, deployment.created_at, tuple(statuses[::-1]))


def _of_week(reading: Reading, week: list[Made]) -> Iterator[Row]:
    ranked = Counter(one.environment for one in week)
    shown = sorted(ranked, key=lambda name: (-ranked[name], name))[:SHOWN_ENVIRONMENTS]
    states: Counter[tuple[str, str]] = Counter()
    minutes: dict[str, list[float]] = defaultdict(list)
    for one in week:
        environment = one.environment if one.environment in shown else 'other'
        last = one.statuses[-1].state if one.statuses else 'pending'
        states[environment, SHOWN_STATES.get(last, last)] += 1
        if (end := one.first(*ENDED)) is not None and end <= reading.now:
            minutes[environment].append(60 * hours(one.created_at, end))
    for (environment, state), number in states.items():
        yield 'deployments.created_7d', number, {'environment': environment, 'state': state}
    for environment, values in minutes.items():
        yield from spread('deployments.duration_minutes', values, ('p50', 'p90'), {'environment': environment})


class Environments:
    """The deliveries by environment, and the times at which others failed for good."""

    def __init__(self) -> None:
        self.deliveries: dict[str, list[Delivery]] = defaultdict(list)
        self.failures: dict[str, list[datetime]] = defaultdict(list)

    def add_deployments(self, made: Iterable[Made], patterns: list[str]) -> None:
        """Add deployments to the environments that match."""
        for one in made:
            if not matches(one.environment, patterns):
                continue
            if (end := one.first('success')) is not None:
                self.deliveries[one.environment].append(Delivery(end, one.created_at, one.sha))
            elif (failed := one.first('failure', 'error')) is not None:
                self.failures[one.environment].append(failed)

    def add_runs(self, name: str, runs: Iterable[WorkflowRun]) -> None:
        """Add the attempts of the runs of a workflow, with one request per earlier attempt."""
        for run in runs:
            for attempt in (*(run.get_attempt(number) for number in range(1, run.run_attempt)), run):
                if attempt.conclusion == 'success':
                    self.deliveries[name].append(Delivery(attempt.updated_at, run.created_at, run.head_sha))
                elif attempt.conclusion in FAILED:
                    self.failures[name].append(attempt.updated_at)


def _dora(reading: Reading, dora: Mapping[str, Any], made: list[Made]) -> Iterator[Row]:
    environments = Environments()
    source = dora['source']
    if source == 'deployments':
        environments.add_deployments(made, list(dora.get('environments') or ['prod*']))
    elif source == 'workflow':
        created = f'>={reading.now - CONSIDERED:%Y-%m-%dT%H:%M:%SZ}'
        for workflow in reading.repository.get_workflows():
            if matches(workflow.name, dora.get('workflows') or ()):
                runs = workflow.get_runs(created=created, exclude_pull_requests=True)
                environments.add_runs(workflow.name, [run for run in runs if is_of_default_branch(reading, run)])
    else:
        environments.deliveries['release'] += _releases(reading)
    names = {*environments.deliveries, *environments.failures}
    for name in names:
        tags = {'environment': name}
        if source != 'release':
            failed = sum(reading.now - MONTH <= moment <= reading.now for moment in environments.failures[name])
            yield 'dora.failed_deployments_30d', failed, tags
        yield from _of_environment(reading, environments.deliveries[name], tags)


def _releases(reading: Reading) -> Iterator[Delivery]:
    """Yield the published releases; the commit of each tag costs a request."""
    for release in reading.repository.get_releases():
        published = release.published_at
        if release.draft or release.prerelease or not published or published < reading.now - CONSIDERED:
            continue
        sha = reading.repository.get_commit(release.tag_name).sha
        yield Delivery(published, release.created_at, sha)


def _of_environment(reading: Reading, deliveries: list[Delivery], tags: Mapping[str, str]) -> Iterator[Row]:
    deliveries = sorted(deliveries, key=lambda one: (one.end, one.created_at))
    month = [index for index, one in enumerate(deliveries) if reading.now - MONTH <= one.end <= reading.now]
    yield 'dora.deployments_30d', len(month), tags
    yield 'dora.deployments_per_day_30d', len(month) / 30, tags
    steps = [Step((), is_rollback=False), *(_step(reading, old.sha, new.sha) for old, new in pairwise(deliveries))]
    yield 'dora.unknown_deployments_30d', sum(steps[index] is None for index in month), tags
    known = [Step((), is_rollback=False) if step is None else step for step in steps]

    leads: dict[str, float] = {}
    for index in month:
        for commit in known[index].brought:
            if len(commit.parents) < 2:
                leads.setdefault(commit.sha, hours(commit.commit.committer.date, deliveries[index].end))
    yield 'dora.lead_time_commits_30d', len(leads), tags
    yield from spread('dora.lead_time_hours', list(leads.values()), ('p50', 'p90'), tags)

    patterns = [re.compile(pattern, re.IGNORECASE) for pattern in reading.option('hotfix_patterns', HOTFIXES)]
    repaired = {index: _repair(deliveries, known, index, patterns) for index in month}
    recoveries = [hours(deliveries[index].end, end) for index, end in repaired.items() if end is not None]
    yield 'dora.failed_changes_30d', len(recoveries), tags
    yield 'dora.change_failure_rate_pct_30d', 100 * len(recoveries) / len(month) if month else None, tags
    yield from spread('dora.recovery_hours', recoveries, ('p50', 'max'), tags)


def _step(reading: Reading, old: str, new: str) -> Step | None:
    """Compare the commits of two deliveries; None when GitHub cannot."""
    if old == new:
        return Step((), is_rollback=False)
    url = f'{reading.repository.url}/compare/{old}...{new}'
    try:
        brought = tuple(PaginatedList(Commit, reading.repository.requester, url, None, list_item='commits'))
    except GithubException as error:
        if error.status == 404:
            return None
        raise
    return Step(brought, is_rollback=not brought)


def _repair(
    deliveries: list[Delivery], steps: list[Step], index: int, hotfix: list[re.Pattern[str]]
) -> datetime | None:
    """Return the end of the delivery that repaired another one; None for one that needed no repair."""
    failed = deliveries[index]
    if index and deliveries[index - 1].sha == failed.sha:
        return None
    others = [place for place in range(index + 1, len(deliveries)) if deliveries[place].sha != failed.sha]
    if not others:
        return None
    step, end = steps[others[0]], deliveries[others[0]].end
    if step.is_rollback:
        return end
    headlines = [commit.commit.message.partition('\n')[0] for commit in step.brought]
    in_time = end - failed.end <= DAY
    return end if in_time and any(_is_repair(line, headlines, hotfix) for line in headlines) else None


def _is_repair(headline: str, brought: list[str], hotfix: list[re.Pattern[str]]) -> bool:
    """Return whether a commit is a hotfix, or a revert of a commit that was not brought together with it."""
    if any(pattern.search(headline) for pattern in hotfix):
        return True
    quoted = REVERTED.match(headline)
    return bool(REVERT.match(headline)) and (quoted is None or quoted[1] not in brought)
