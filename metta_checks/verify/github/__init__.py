"""GitHub's figures through PyGithub and the REST API: one request per pull request, commit and list, no cache.

Facts that are not in REST come from small GraphQL queries: the decision of the reviews of open pull requests, the
checks of commits, the accounts of co-authors, the merge queue. Cost: about 6 requests per pull request merged in the
week, 2 per open one, 1 per commit, 1 per hundred workflow runs, 1 per attempt before the last one, with the options for
them 2 per deployment, 1 per release and 2 per attempt of a workflow run in the last day.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from github import Auth, Github
from github.Repository import Repository
from github.Requester import Requester

from .. import Figure, NoSeries, Recomputed
from . import commits, deployments, pulls, runners, surroundings, workflow_runs
from .reading import Reading, Row

PREFIX = 'metta.github.'
PER_PAGE = 100
# Of one answer. A comparison that fails has to begin again.
SECONDS = 60
# Nearly all requests are of the REST API.
LIMITED_BY = 'core'
# Requests for a repository in which nothing happens.
FIXED_REQUESTS = 15
# The modules that yield figures of a repository.
PARTS = (pulls, commits, workflow_runs, surroundings, deployments, runners)
# Why a metric is not recomputed, by its name without the prefix.
LEFT_OUT: Mapping[str, str] = {
    'api.points': 'the cost of the check, which nothing else has',
}


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return the figures of every repository of the instance.

    Raises github.GithubException (nothing is retried, nothing waits for a limit) and requests.RequestException.
    """
    with _counted() as counter:
        github = Github(
            base_url=str(instance.get('api_url') or 'https://api.github.com').rstrip('/'),
            auth=_auth(instance),
            per_page=PER_PAGE,
            timeout=SECONDS,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
        try:
            found: list[Figure | NoSeries] = []
            owners: set[str] = set()
            for repository in _repositories(github, instance):
                owner, name = repository.owner.login, repository.full_name
                owners.add(owner)
                tags = (f'org:{owner}'.lower(), f'repo:{name}'.lower())
                reading = Reading(repository, instance, now)
                found += [_figure(row, tags) for part in PARTS for row in part.rows(reading)]
            if instance.get('organization_runners'):
                for owner in owners:
                    listed = github.get_organization(owner).get_self_hosted_runners()
                    rows = runners.counts(listed, 'organization')
                    found += [_figure(row, (f'org:{owner}'.lower(),)) for row in rows]
        finally:
            github.close()
    return Recomputed.of(found, counter.requests)


def expected_requests(instance: Mapping[str, Any], totals: Mapping[str, float]) -> float:
    """Return about how many requests a comparison sends, from the sums of the check's figures over repositories."""
    per_figure = {
        'prs.merged_7d': 6,
        'prs.open': 2,
        'prs.closed_without_merge_7d': 1,
        'commits.total_7d': 1,
        # With option `jobs`, two for each attempt of the last day.
        'ci.workflow_runs_7d': 1 / PER_PAGE + (2 / 7 if instance.get('jobs') else 0),
        'ci.flaky_checks_7d': 1,
        'branches.count': 1 / PER_PAGE,
        'releases.published_30d': 1 if instance.get('dora') else 1 / PER_PAGE,
        'dora.deployments_30d': 2,
    }
    repositories = len(instance.get('repositories') or ()) or 1
    return FIXED_REQUESTS * repositories + sum(number * totals[name] for name, number in per_figure.items())


def _figure(row: Row, base: Iterable[str]) -> Figure | NoSeries:
    """Return a row of a part with the tags of its repository."""
    name, value, own = row
    if value is None:
        return NoSeries(PREFIX + name)
    more = (f'{key}:{tag}'.lower() for key, tag in own.items())
    return Figure(PREFIX + name, float(value), tuple(sorted((*base, *more))))


class _Counter(logging.Handler):
    """Counts requests by log lines, since PyGithub logs each request once."""

    requests = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.requests += 1


class _Log(logging.Logger):
    """Counts also if the process has disabled logging."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 (the library's name)
        return True


@contextmanager
def _counted() -> Iterator[_Counter]:
    counter = _Counter()
    logger = _Log('metta_checks.verify.github', logging.DEBUG)
    logger.addHandler(counter)
    Requester.injectLogger(logger)
    try:
        yield counter
    finally:
        Requester.resetLogger()


def _auth(instance: Mapping[str, Any]) -> Auth.Auth:
    if instance.get('token'):
        return Auth.Token(instance['token'])
    app = Auth.AppAuth(instance['app_id'], instance['app_private_key'])
    return app.get_installation_auth(int(instance['app_installation_id']))


def _repositories(github: Github, instance: Mapping[str, Any]) -> Iterator[Repository]:
    """Return the listed repositories, and the matching ones of the organization."""
    listed = list(instance.get('repositories') or ())
    for slug in listed:
        yield github.get_repo(slug)
    if not instance.get('organization'):
        return
    known = {slug.lower() for slug in listed}
    include, exclude = instance.get('include') or ['*'], instance.get('exclude') or []
    for repository in github.get_organization(instance['organization']).get_repos():
        slug = repository.full_name.lower()
        if slug in known or not _is_in_use(repository):
            continue
        if _matches(slug, include) and not _matches(slug, exclude):
            yield repository


def _is_in_use(repository: Repository) -> bool:
    """Return False for archived and disabled repositories, and for forks."""
    return not (repository.archived or repository.fork or repository.raw_data.get('disabled'))


def _matches(slug: str, patterns: Iterable[str]) -> bool:
    name = slug.split('/')[1]
    return any(fnmatch.fnmatchcase(slug if '/' in pattern else name, pattern.lower()) for pattern in patterns)
