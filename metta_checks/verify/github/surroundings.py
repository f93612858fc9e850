"""Figures of a repository itself: branches, force pushes, issues, releases, merge queue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from github.Issue import Issue

from .reading import Reading, Row, hours, spread

QUEUE_STATES = ('AWAITING_CHECKS', 'LOCKED', 'MERGEABLE', 'QUEUED', 'UNMERGEABLE')
QUEUE = """
query($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    diskUsage
    mergeQueue {
      nextEntryEstimatedTimeToMerge
      entries(first: 100, after: $after) { nodes { enqueuedAt state } pageInfo { hasNextPage endCursor } }
    }
  }
}
"""


def rows(reading: Reading) -> Iterator[Row]:
    """Yield the figures of the repository."""
    repository = reading.repository
    branches = [branch.name for branch in repository.get_branches()]
    yield 'branches.count', len(branches), {}
    yield 'branches.active', sum(name != repository.default_branch for name in branches), {}
    yield 'commits.force_merge_7d', sum(map(reading.covers, _force_pushes(reading))), {}
    yield 'repo.stars', repository.stargazers_count, {}
    yield 'repo.forks', repository.forks_count, {}
    yield from _queue(reading)
    yield from _releases(reading)
    yield from _issues(reading)


def _force_pushes(reading: Reading) -> Iterator[datetime]:
    repository = reading.repository
    parameters: dict[str, Any] | None = {
        'activity_type': 'force_push',
        'ref': f'refs/heads/{repository.default_branch}',
        'per_page': 100,
    }
    url: str | None = f'{repository.url}/activity'
    while url:
        headers, found = repository.requester.requestJsonAndCheck('GET', url, parameters=parameters)
        yield from (datetime.fromisoformat(row['timestamp']) for row in found)
        following = re.search(r'<([^>]+)>; rel="next"', headers.get('link', ''))
        url, parameters = (following[1] if following else None), None


def _queue(reading: Reading) -> Iterator[Row]:
    answer = reading.graphql(QUEUE, after=None)
    yield 'repo.size_gb', answer['diskUsage'] / 1e6 if answer['diskUsage'] is not None else None, {}
    if (queue := answer['mergeQueue']) is None:
        yield from ((f'merge_queue.{name}', None, {}) for name in ('entries', 'oldest_minutes', 'eta_minutes'))
        return
    seconds = queue['nextEntryEstimatedTimeToMerge']
    yield 'merge_queue.eta_minutes', None if seconds is None else seconds / 60, {}
    entries = list(queue['entries']['nodes'])
    while (page := queue['entries']['pageInfo'])['hasNextPage']:
        queue = reading.graphql(QUEUE, after=page['endCursor'])['mergeQueue']
        entries += queue['entries']['nodes']
    numbers = Counter(entry['state'] for entry in entries)
    for state in QUEUE_STATES:
        yield 'merge_queue.entries', numbers[state], {'state': state}
    waiting = [hours(datetime.fromisoformat(entry['enqueuedAt']), reading.now) * 60 for entry in entries]
    yield 'merge_queue.oldest_minutes', max(waiting, default=None), {}


def _releases(reading: Reading) -> Iterator[Row]:
    releases = [release for release in reading.repository.get_releases() if not release.draft]
    published = [release.published_at for release in releases if release.published_at]
    month = reading.now - timedelta(days=30)
    yield 'releases.published_30d', sum(moment >= month for moment in published), {}
    yield 'releases.age_days', hours(max(published), reading.now) / 24 if published else None, {}


def _issues(reading: Reading) -> Iterator[Row]:
    """Yield the figures of issues."""
    opened = [issue for issue in reading.repository.get_issues(state='open') if not _is_pull(issue)]
    yield 'repo.issues_open', len(opened), {}
    if not reading.option('issues', False):
        return
    changed = reading.repository.get_issues(state='all', since=reading.start)
    issues = [issue for issue in changed if not _is_pull(issue)]
    yield 'issues.open', len(opened), {}
    yield 'issues.opened_7d', sum(reading.covers(issue.created_at) for issue in issues), {}
    closed = [issue for issue in issues if issue.state == 'closed' and reading.covers(issue.closed_at)]
    yield 'issues.closed_7d', len(closed), {}
    times = [hours(issue.created_at, issue.closed_at) for issue in closed if issue.closed_at]
    yield from spread('issues.close_hours', times, ('p50', 'p90'))


def _is_pull(issue: Issue) -> bool:
    """Return whether an issue is a pull request. The SDK would request the field `pull_request` of every issue."""
    return '/pull/' in issue.html_url
