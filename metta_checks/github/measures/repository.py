"""Figures of the repository itself, its merge queue, releases, files and pushes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.tag_values import filled
from ...core.times import seconds_between
from ..records import ForcePush, MergeQueue, Overview, Release

WEEK = timedelta(days=7)
MONTH = timedelta(days=30)
KB_PER_GB = 1_000_000
QUEUE_STATES = ('queued', 'awaiting_checks', 'mergeable', 'unmergeable', 'locked')


def measure(overview: Overview, now: datetime) -> Iterator[Sample]:
    """Yield the gauges of block repository."""
    yield from _branches(overview)
    yield Sample('repo.issues_open', overview.issues)
    yield Sample('repo.stars', overview.stars)
    yield Sample('repo.forks', overview.forks)
    yield Sample('repo.size_gb', None if overview.size_kb is None else overview.size_kb / KB_PER_GB)
    if overview.queue is not None:
        yield from _merge_queue(overview.queue, now)
    if overview.releases is not None:
        yield from _releases(overview.releases, now)


def _branches(overview: Overview) -> Iterator[Sample]:
    yield Sample('branches.count', overview.branches)
    if overview.branches is not None and 'defaultBranchRef' not in overview.missing:
        yield Sample('branches.active', overview.branches - (overview.default_branch is not None))


def _merge_queue(queue: MergeQueue, now: datetime) -> Iterator[Sample]:
    for state, number in filled(Counter(state for _, state in queue.entries), QUEUE_STATES).items():
        yield Sample('merge_queue.entries', number, {'state': state})
    ages = [seconds_between(enqueued, now) for enqueued, _ in queue.entries]
    yield Sample('merge_queue.oldest_minutes', max(ages) / 60 if ages else None)
    yield Sample('merge_queue.eta_minutes', None if queue.eta_seconds is None else queue.eta_seconds / 60)


def _releases(releases: Iterable[Release], now: datetime) -> Iterator[Sample]:
    published = [release.published for release in releases if release.published <= now]
    yield Sample('releases.published_30d', sum(at >= now - MONTH for at in published))
    yield Sample('releases.age_days', (now - max(published)) / timedelta(days=1) if published else None)


def force_pushes(pushes: Iterable[ForcePush], now: datetime) -> Iterator[Sample]:
    """Yield the gauge of block activity."""
    yield Sample('commits.force_merge_7d', sum(push.at >= now - WEEK for push in pushes))


def files(paths: set[int]) -> Iterator[Sample]:
    """Yield the gauge of block files, from the hashes of all paths."""
    yield Sample('code.files_changed_7d', len(paths))
