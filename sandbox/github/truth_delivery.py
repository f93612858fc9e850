"""The true figures of deliveries: deployments, lead times, failed changes and recoveries of the last 30 days."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatch
from typing import Any

from . import truth_ci, truth_main
from .model import Commit, Repository, Run
from .spread import Row, spread

MONTH = timedelta(days=30)
CONSIDERED = timedelta(days=60)
DAY = timedelta(hours=24)
HOTFIX = r'^\[?hotfix\b'
REVERT = re.compile(r'Revert "(?!Revert ")(?P<undone>.*)"|revert(\([^)]*\))?:')


@dataclass(frozen=True, slots=True)
class Delivery:
    """A deployment that succeeded. `place`: that of its commit among those of the default branch, the newest first."""

    end: datetime
    created: datetime
    place: int


@dataclass(slots=True)
class Environment:
    """The deliveries of one environment by their end, and the times at which others failed for good."""

    deliveries: list[Delivery]
    failures: list[datetime]


def rows(repository: Repository, now: datetime, dora: Mapping[str, Any], hotfix: tuple[str, ...]) -> Iterator[Row]:
    """Compute the figures of every environment. `dora`: the option of the check, `hotfix`: patterns of hotfixes."""
    source = dora.get('source')
    sources = {'deployments': _deployments, 'workflow': _attempts, 'release': _releases}
    patterns = [re.compile(pattern, re.IGNORECASE) for pattern in hotfix or (HOTFIX,)]
    environments: dict[str, Environment] = defaultdict(lambda: Environment([], []))
    for name, delivery, failure in sources[str(source)](repository, now, dora):
        if delivery is not None:
            environments[name].deliveries.append(delivery)
        if failure is not None:
            environments[name].failures.append(failure)
    for name, environment in environments.items():
        environment.deliveries.sort(key=lambda one: (one.end, one.created))
        tags = {'environment': name}
        if source != 'release':
            failed = sum(now - MONTH <= moment <= now for moment in environment.failures)
            yield 'dora.failed_deployments_30d', failed, tags
        yield from _of_environment(repository, environment.deliveries, now, patterns, tags)


Found = Iterator[tuple[str, Delivery | None, datetime | None]]


def _deployments(repository: Repository, now: datetime, dora: Mapping[str, Any]) -> Found:
    patterns = dora.get('environments') or ['prod*']
    for one in repository.deployments:
        if not any(fnmatch(one.environment.lower(), pattern.lower()) for pattern in patterns):
            continue
        if not now - CONSIDERED <= one.created_at <= now:
            continue
        succeeded = [status.created_at for status in one.statuses if status.state == 'SUCCESS']
        failed = [status.created_at for status in one.statuses if status.state in ('FAILURE', 'ERROR')]
        place = repository.place_of(one.commit.oid)
        if succeeded and place is not None:
            yield one.environment, Delivery(succeeded[0], one.created_at, place), None
        elif failed:
            yield one.environment, None, failed[0]


def _attempts(repository: Repository, now: datetime, dora: Mapping[str, Any]) -> Found:
    runs = [run for run in _since(repository, now - CONSIDERED) if run.created_at <= now]
    names = truth_ci.labels(runs)
    for run in runs:
        name = names[run.workflow_id]
        if not any(fnmatch(name.lower(), pattern.lower()) for pattern in dora.get('workflows') or ()):
            continue
        place = repository.place_of(run.head_sha)
        if place is None or not truth_main.on_default_branch(run, repository):
            continue
        for attempt in run.attempts():
            if attempt.conclusion == 'success':
                yield name, Delivery(attempt.updated_at, run.created_at, place), None
            elif attempt.conclusion in truth_ci.FAILED:
                yield name, None, attempt.updated_at


def _since(repository: Repository, moment: datetime) -> Iterator[Run]:
    for run in repository.runs:
        if run.created_at < moment:
            return
        yield run


def _releases(repository: Repository, now: datetime, _: Mapping[str, Any]) -> Found:
    for release in repository.releases:
        published = release.published_at
        if published is None or release.is_draft or release.is_prerelease or not now - CONSIDERED <= published <= now:
            continue
        place = repository.place_of(repository.commit_at(release.created_at).oid)
        if place is not None:
            yield 'release', Delivery(published, release.created_at, place), None


def _of_environment(
    repository: Repository,
    deliveries: list[Delivery],
    now: datetime,
    hotfix: list[re.Pattern[str]],
    tags: dict[str, str],
) -> Iterator[Row]:
    month = [index for index, one in enumerate(deliveries) if now - MONTH <= one.end <= now]
    yield 'dora.deployments_30d', len(month), tags
    yield 'dora.deployments_per_day_30d', len(month) / 30, tags
    yield 'dora.unknown_deployments_30d', 0, tags

    seen: set[int] = set()
    leads = []
    for index in month:
        for place in _brought(deliveries, index):
            commit = repository.commits[place]
            if place not in seen and len(commit.parents) < 2:
                leads.append(max(0.0, (deliveries[index].end - commit.committed_date).total_seconds() / 3600))
            seen.add(place)
    yield 'dora.lead_time_commits_30d', len(leads), tags
    yield from spread('dora.lead_time_hours', leads, ('p50', 'p90'), tags)

    recoveries = []
    for index in month:
        repaired = _repair(repository, deliveries, index, hotfix)
        if repaired is not None:
            recoveries.append((repaired - deliveries[index].end).total_seconds() / 3600)
    yield 'dora.failed_changes_30d', len(recoveries), tags
    yield 'dora.change_failure_rate_pct_30d', 100 * len(recoveries) / len(month) if month else None, tags
    yield from spread('dora.recovery_hours', recoveries, ('p50', 'max'), tags)


def _brought(deliveries: list[Delivery], index: int) -> range:
    """Return the places of the commits that a delivery brought: those after the commit of the one before."""
    if index == 0:
        return range(0)
    return range(deliveries[index].place, deliveries[index - 1].place)


def _repair(
    repository: Repository, deliveries: list[Delivery], index: int, hotfix: list[re.Pattern[str]]
) -> datetime | None:
    """Return the end of the delivery that repaired another one; None for one that needed no repair."""
    failed = deliveries[index]
    if index and deliveries[index - 1].place == failed.place:
        return None
    following = next((one for one in range(index + 1, len(deliveries)) if deliveries[one].place != failed.place), None)
    if following is None:
        return None
    end = deliveries[following].end
    if deliveries[following].place > failed.place:
        return end
    brought = [repository.commits[place] for place in _brought(deliveries, following)]
    return end if end - failed.end <= DAY and any(_repairs(one, brought, hotfix) for one in brought) else None


def _repairs(commit: Commit, brought: list[Commit], hotfix: list[re.Pattern[str]]) -> bool:
    """Return whether a commit is a hotfix, or reverts one that an earlier delivery brought."""
    headline = commit.message_headline
    if any(pattern.search(headline) for pattern in hotfix):
        return True
    revert = REVERT.match(headline)
    return revert is not None and revert['undone'] not in {other.message_headline for other in brought}
