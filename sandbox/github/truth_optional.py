"""The figures that the check should report when options switch them on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..server import Figure
from . import truth_delivery, truth_jobs
from .model import Deployment, Repository, Runner
from .spread import Row, spread
from .truth import as_figures, base_tags, merged_between

WEEK = timedelta(days=7)
ENDS = ('SUCCESS', 'FAILURE', 'ERROR')


def figures(repository: Repository, now: datetime, options: Mapping[str, Any]) -> Iterator[Figure]:
    """Compute the figures of the options of the check that are set: deployments, runners, hotfix_labels and others."""
    base = base_tags(repository)
    parts = {
        'deployments': lambda: _deployments(repository, now),
        'runners': lambda: _runners(repository),
        'hotfix_labels': lambda: _hotfixes(repository, now, frozenset(options['hotfix_labels'])),
        'issues': lambda: _issues(repository, now),
        'jobs': lambda: truth_jobs.rows(repository, now),
        'dora': lambda: truth_delivery.rows(repository, now, options['dora'], options.get('hotfix_patterns') or ()),
    }
    for name, part in parts.items():
        if options.get(name):
            yield from as_figures(part(), base)


def organization_figures(name: str, runners: Iterable[Runner]) -> Iterator[Figure]:
    """Compute the figures of the runners of an organization."""
    yield from as_figures(_runner_counts('organization', list(runners)), (f'org:{name}'.lower(),))


def _issues(repository: Repository, now: datetime) -> Iterator[Row]:
    yield 'issues.open', sum(issue.state == 'OPEN' for issue in repository.issues), {}
    yield 'issues.opened_7d', sum(now - WEEK <= issue.created_at <= now for issue in repository.issues), {}
    times = [
        (issue.closed_at - issue.created_at).total_seconds() / 3600
        for issue in repository.issues
        if issue.closed_at is not None and now - WEEK <= issue.closed_at <= now
    ]
    yield 'issues.closed_7d', len(times), {}
    yield from spread('issues.close_hours', times, ('p50', 'p90'))


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
    yield from _runner_counts('repository', repository.runners)


def _runner_counts(scope: str, runners: list[Runner]) -> Iterator[Row]:
    numbers = Counter((runner.status, runner.busy) for runner in runners)
    for status in ('online', 'offline'):
        for busy in (True, False):
            yield 'runners.count', numbers[status, busy], {'scope': scope, 'status': status, 'busy': str(busy)}
    # A label whose runners are all offline has none online.
    for label in {label.lower() for runner in runners for label in runner.all_labels}:
        online = [runner for runner in runners if runner.status == 'online']
        number = sum(label in map(str.lower, runner.all_labels) for runner in online)
        yield 'runners.by_label', number, {'scope': scope, 'label': label}


def _hotfixes(repository: Repository, now: datetime, labels: frozenset[str]) -> Iterator[Row]:
    if labels:
        merges = merged_between(repository, now - WEEK, now)
        number = sum(any(label in labels for label in pull.labels) for pull, _ in merges)
        yield 'prs.hotfix_merged_7d', number, {}
