"""Figures of pull requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...core.refresh import Sample
from ...core.stats import mean, percentage, percentile, summary
from ..records import PullRequest

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
STALE = 14 * DAY
# Upper bounds of additions plus deletions, exclusive.
SIZES = (('xs', 10), ('s', 50), ('m', 250), ('l', 1000), ('xl', None))
DECISIONS = ('approved', 'changes_requested', 'review_required', 'none')
RED = frozenset({'failure', 'error'})


@dataclass(frozen=True, slots=True)
class Changes:
    """Pull requests that were opened, merged and closed since the last refresh."""

    opened: int
    merged: int
    closed: int


def merged_since(closed: Iterable[PullRequest], start: float) -> list[PullRequest]:
    """Pull requests merged at or after a time."""
    return [pull for pull in closed if pull.merged is not None and pull.merged >= start]


def measure(
    open_: Sequence[PullRequest],
    open_count: int,
    closed: Collection[PullRequest],
    now: float,
    hotfix_labels: Collection[str] = (),
) -> Iterator[Sample]:
    """All gauges of block pull_requests.

    `closed` holds the merged and closed ones updated in the window; `hotfix_labels` are in lower case.
    """
    start = now - WEEK
    merged = merged_since(closed, start)
    unmerged = [pull for pull in closed if pull.state == 'closed' and pull.closed is not None and pull.closed >= start]
    yield Sample('prs.open', open_count)
    yield Sample('prs.merged_7d', len(merged))
    yield Sample('prs.merged_24h', len(merged_since(closed, now - DAY)))
    yield Sample('prs.closed_without_merge_7d', len(unmerged))
    yield Sample('prs.merge_ratio_pct', percentage(len(merged), len(merged) + len(unmerged)))
    yield Sample('prs.opened_7d', sum(pull.created >= start for pull in (*open_, *closed)))
    if hotfix_labels:
        hotfixes = sum(not set(hotfix_labels).isdisjoint(pull.labels) for pull in merged)
        yield Sample('prs.hotfix_merged_7d', hotfixes)
    yield from _merged(merged)
    yield from _open(open_, now)
    yield from _reviews((*open_, *closed), start)


def _merged(merged: Sequence[PullRequest]) -> Iterator[Sample]:
    merges = [(pull, pull.merged) for pull in merged if pull.merged is not None]
    to_merge = [_hours(pull.created, at) for pull, at in merges]
    cycle = [_hours(pull.ready, at) for pull, at in merges]
    yield Sample('prs.avg_time_to_merge_hours', mean(to_merge))
    yield from _summary('prs.time_to_merge_hours', to_merge, ('p50', 'p90'))
    yield Sample('prs.cycle_time_hours', percentile(cycle, 50))
    yield from _summary('prs.cycle_time_hours', cycle, ('avg', 'p50', 'p90'))
    reviewed = sum(pull.first_review is not None for pull in merged)
    yield Sample('prs.with_review_comments_pct', percentage(reviewed, len(merged)))
    yield Sample('prs.avg_comments_per_pr', mean(pull.comments for pull in merged if pull.comments is not None))
    approval = [_hours(pull.approved, at) for pull, at in merges if pull.approved is not None]
    yield from _summary('prs.approval_to_merge_hours', approval, ('p50', 'p90'))
    coding = [_hours(pull.coding_started, pull.created) for pull in merged if pull.coding_started is not None]
    yield from _summary('prs.coding_time_hours', coding, ('p50', 'p90'))
    yield Sample('prs.review_rounds.avg', mean(pull.change_requests for pull in merged))
    sizes = [pull.size for pull in merged if pull.size is not None]
    yield from _summary('prs.size_lines', sizes, ('p50', 'p90'))
    by_size = Counter(size_class(size) for size in sizes)
    for name, _ in SIZES:
        yield Sample('prs.merged_by_size_7d', by_size[name], {'size': name})
    yield Sample('prs.merged_without_approval_7d', sum(pull.approved is None for pull in merged))
    # One pull request whose checks are hidden is enough for the number to be unknown.
    hidden = any(pull.checks is None for pull in merged)
    yield Sample('prs.merged_red_7d', None if hidden else sum(pull.checks in RED for pull in merged))


def _open(open_: Sequence[PullRequest], now: float) -> Iterator[Sample]:
    ready = [pull for pull in open_ if not pull.draft]
    yield Sample('prs.stale_count_14d', sum(pull.updated < now - STALE for pull in ready))
    by_state = Counter((pull.draft, pull.decision) for pull in open_)
    for draft in (False, True):
        for decision in dict.fromkeys((*DECISIONS, *(known for _, known in by_state))):
            tags = {'draft': str(draft).lower(), 'review': decision}
            yield Sample('prs.open_by_state', by_state[draft, decision], tags)
    yield from _summary('prs.age_hours', [_hours(pull.created, now) for pull in ready], ('avg', 'p50', 'p90', 'max'))
    waiting = [pull for pull in ready if pull.first_review is None]
    yield Sample('prs.waiting_for_review', len(waiting))
    oldest = max((_hours(pull.ready, now) for pull in waiting), default=None)
    yield Sample('prs.oldest_unreviewed_hours', oldest)


def _reviews(pulls: Iterable[PullRequest], start: float) -> Iterator[Sample]:
    first = [
        _hours(pull.ready, pull.first_review)
        for pull in pulls
        if pull.first_review is not None and pull.first_review >= start
    ]
    yield from _summary('prs.time_to_first_review_hours', first, ('avg', 'p50', 'p90'))


def moves(counts: Changes) -> Iterator[Sample]:
    """The counts of block pull_requests."""
    yield Sample('prs.opened', counts.opened)
    yield Sample('prs.merged', counts.merged)
    yield Sample('prs.closed', counts.closed)


def size_class(size: int) -> str:
    """The name of a size by additions plus deletions."""
    return next(name for name, bound in SIZES if bound is None or size < bound)


def _hours(start: float, end: float) -> float:
    return max(0.0, end - start) / HOUR


def _summary(name: str, values: Iterable[float], statistics: Sequence[str]) -> Iterator[Sample]:
    for statistic, value in summary(values, statistics).items():
        yield Sample(f'{name}.{statistic}', value)
