"""The figures that the check should report when options switch them on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from ..server import Figure
from .model import Deployment, Repository
from .spread import Row, spread
from .truth import as_figures, base_tags, merged_between

WEEK = timedelta(days=7)
ENDS = ('SUCCESS', 'FAILURE', 'ERROR')


def figures(repository: Repository, now: datetime, hotfix_labels: frozenset[str]) -> Iterator[Figure]:
    """Compute figures of deployments and runners, and of merged pull requests with a hotfix label."""
    base = base_tags(repository)
    for part in (_deployments(repository, now), _runners(repository), _hotfixes(repository, now, hotfix_labels)):
        yield from as_figures(part, base)


def _end(deployment: Deployment) -> datetime | None:
    """Return the time at which a deployment first ended."""
    return next((status.created_at for status in deployment.statuses if status.state in ENDS), None)


def _deployments(repository: Repository, now: datetime) -> Iterator[Row]:
    week = [one for one in repository.deployments if now - WEEK <= one.created_at <= now]
    states = Counter((one.environment, one.state) for one in week)
    for (environment, state), number in states.items():
        yield 'deployments.created_7d', number, {'environment': environment, 'state': state}
    minutes: dict[str, list[float]] = defaultdict(list)
    for one in week:
        if (end := _end(one)) is not None:
            minutes[one.environment].append((end - one.created_at).total_seconds() / 60)
    for environment, values in minutes.items():
        yield from spread('deployments.duration_minutes', values, ('p50', 'p90'), {'environment': environment})


def _runners(repository: Repository) -> Iterator[Row]:
    for system in {runner.os for runner in repository.runners}:
        online = [runner for runner in repository.runners if runner.os == system and runner.status == 'online']
        yield 'runners.online', len(online), {'os': system}
        yield 'runners.busy', sum(runner.busy for runner in online), {'os': system}


def _hotfixes(repository: Repository, now: datetime, labels: frozenset[str]) -> Iterator[Row]:
    if labels:
        merges = merged_between(repository, now - WEEK, now)
        number = sum(any(label in labels for label in pull.labels) for pull, _ in merges)
        yield 'prs.hotfix_merged_7d', number, {}
