"""Figures of the repository itself, its merge queue, releases, files and pushes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...core.refresh import Sample
from ..records import ForcePush, Overview

DAY = 24 * 3600
KB_PER_GB = 1_000_000
QUEUE_STATES = ('queued', 'awaiting_checks', 'mergeable', 'unmergeable', 'locked')


def measure(overview: Overview, now: float) -> Iterator[Sample]:
    """All gauges of block repository."""
    branches = overview.branches
    yield Sample('branches.count', branches)
    if branches is not None:
        yield Sample('branches.active', branches - (overview.default_branch is not None))
    yield Sample('repo.issues_open', overview.issues)
    yield Sample('repo.stars', overview.stars)
    yield Sample('repo.forks', overview.forks)
    yield Sample('repo.size_gb', overview.size_kb / KB_PER_GB if overview.size_kb is not None else None)
    if overview.queue is not None:
        by_state = Counter(state for _, state in overview.queue)
        for state in dict.fromkeys((*QUEUE_STATES, *by_state)):
            yield Sample('merge_queue.entries', by_state[state], {'state': state})
        oldest = min((enqueued for enqueued, _ in overview.queue), default=None)
        yield Sample('merge_queue.oldest_minutes', None if oldest is None else max(0.0, now - oldest) / 60)
        eta = overview.queue_eta_seconds
        yield Sample('merge_queue.eta_minutes', None if eta is None else eta / 60)
    if overview.releases is not None:
        published = [release.published for release in overview.releases if release.published <= now]
        yield Sample('releases.published_30d', sum(moment >= now - 30 * DAY for moment in published))
        yield Sample('releases.age_days', (now - max(published)) / DAY if published else None)


def force_pushes(pushes: Iterable[ForcePush], now: float) -> Iterator[Sample]:
    """The gauge of block activity."""
    yield Sample('commits.force_merge_7d', sum(push.at >= now - 7 * DAY for push in pushes))


def files(paths: set[int]) -> Iterator[Sample]:
    """The gauge of block files, from the hashes of all paths."""
    yield Sample('code.files_changed_7d', len(paths))
