"""Figures of pull requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import mean, percentage, percentile, summary
from ...core.tag_values import MAX_UNKNOWN, labels
from ...core.times import hours_between
from ..records import PullRequest

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
STALE = timedelta(days=14)
# Upper bounds of additions plus deletions, exclusive.
SIZES = (('xs', 10), ('s', 50), ('m', 250), ('l', 1000), ('xl', None))
DECISIONS = ('approved', 'changes_requested', 'review_required', 'none')
FAILED_CHECKS = frozenset({'failure', 'error'})


@dataclass(frozen=True, slots=True)
class Changes:
    """Numbers of pull requests that were opened, merged and closed since the last refresh."""

    opened: int
    merged: int
    closed: int


def merged_since(closed: Iterable[PullRequest], start: datetime) -> list[PullRequest]:
    """Return the pull requests merged at or after a time."""
    return [pull for pull in closed if pull.merged is not None and pull.merged >= start]


def measure(
    open_: Sequence[PullRequest],
    open_count: int | None,
    closed: Collection[PullRequest],
    hotfix_labels: Collection[str],
    now: datetime,
) -> Iterator[Sample]:
    """Yield the gauges of block pull_requests.

    `closed` holds the merged and closed ones updated in the window; `hotfix_labels` are in lower case.
    """
    start = now - WEEK
    merged = merged_since(closed, start)
    yield Sample('prs.open', open_count)
    yield Sample('prs.merged_7d', len(merged))
    yield Sample('prs.merged_24h', len(merged_since(closed, now - DAY)))
    yield from _unmerged(closed, len(merged), start)
    yield Sample('prs.opened_7d', sum(pull.created >= start for pull in (*open_, *closed)))
    if hotfix_labels:
        hotfixes = sum(not set(hotfix_labels).isdisjoint(pull.labels) for pull in merged)
        yield Sample('prs.hotfix_merged_7d', hotfixes)
    yield from _times_to_merge(merged)
    yield from _discussion(merged)
    yield from _phases(merged)
    yield Sample('prs.review_rounds.avg', mean(pull.change_requests for pull in merged))
    yield from _sizes(merged)
    yield from _safeguards(merged)
    ready = [pull for pull in open_ if not pull.draft]
    yield Sample('prs.stale_count_14d', sum(pull.updated < now - STALE for pull in ready))
    yield from _open_by_state(open_)
    yield from _ages(ready, now)
    yield from _first_reviews((*open_, *closed), start)


def _unmerged(closed: Iterable[PullRequest], merged: int, start: datetime) -> Iterator[Sample]:
    unmerged = sum(pull.state == 'closed' and pull.closed is not None and pull.closed >= start for pull in closed)
    yield Sample('prs.closed_without_merge_7d', unmerged)
    yield Sample('prs.merge_ratio_pct', percentage(merged, merged + unmerged))


def _times_to_merge(merged: Iterable[PullRequest]) -> Iterator[Sample]:
    """Yield the times from creation, and from readiness for review, to the merge."""
    merges = [(pull, pull.merged) for pull in merged if pull.merged is not None]
    to_merge = [hours_between(pull.created, at) for pull, at in merges]
    yield Sample('prs.avg_time_to_merge_hours', mean(to_merge))
    yield from _summary('prs.time_to_merge_hours', to_merge, ('p50', 'p90'))
    cycle = [hours_between(pull.ready, at) for pull, at in merges]
    yield Sample('prs.cycle_time_hours', percentile(cycle, 50))
    yield from _summary('prs.cycle_time_hours', cycle, ('avg', 'p50', 'p90'))


def _discussion(merged: Sequence[PullRequest]) -> Iterator[Sample]:
    reviewed = sum(pull.first_review is not None for pull in merged)
    yield Sample('prs.with_review_comments_pct', percentage(reviewed, len(merged)))
    yield Sample('prs.avg_comments_per_pr', mean(pull.comments for pull in merged if pull.comments is not None))


def _phases(merged: Iterable[PullRequest]) -> Iterator[Sample]:
    """Yield the times from approval to merge, and from the first commit to creation."""
    approved = [(pull.approved, pull.merged) for pull in merged]
    approval = [hours_between(at, end) for at, end in approved if at is not None and end is not None]
    yield from _summary('prs.approval_to_merge_hours', approval, ('p50', 'p90'))
    coded = [(pull.coding_started, pull.created) for pull in merged]
    coding = [hours_between(start, end) for start, end in coded if start is not None]
    yield from _summary('prs.coding_time_hours', coding, ('p50', 'p90'))


def _sizes(merged: Iterable[PullRequest]) -> Iterator[Sample]:
    sizes = [pull.size for pull in merged if pull.size is not None]
    yield from _summary('prs.size_lines', sizes, ('p50', 'p90'))
    by_size = Counter(map(size_class, sizes))
    for name, _ in SIZES:
        yield Sample('prs.merged_by_size_7d', by_size[name], {'size': name})


def _safeguards(merged: Sequence[PullRequest]) -> Iterator[Sample]:
    """Yield the numbers of merges without approval, and with failed checks."""
    yield Sample('prs.merged_without_approval_7d', sum(pull.approved is None for pull in merged))
    checks = [pull.checks for pull in merged]
    # One pull request with hidden checks makes the number unknown.
    failed = None if None in checks else sum(state in FAILED_CHECKS for state in checks)
    yield Sample('prs.merged_red_7d', failed)


def _open_by_state(open_: Iterable[PullRequest]) -> Iterator[Sample]:
    open_ = list(open_)
    shown = labels(Counter(pull.decision for pull in open_), MAX_UNKNOWN, known=DECISIONS)
    by_state = Counter((pull.draft, shown[pull.decision]) for pull in open_)
    for draft in (False, True):
        for decision in dict.fromkeys((*DECISIONS, *shown.values())):
            tags = {'draft': str(draft).lower(), 'review': decision}
            yield Sample('prs.open_by_state', by_state[draft, decision], tags)


def _ages(ready: Sequence[PullRequest], now: datetime) -> Iterator[Sample]:
    """Yield the ages and waits of the open pull requests that are not drafts."""
    ages = [hours_between(pull.created, now) for pull in ready]
    yield from _summary('prs.age_hours', ages, ('avg', 'p50', 'p90', 'max'))
    waits = [hours_between(pull.ready, now) for pull in ready if pull.first_review is None]
    yield Sample('prs.waiting_for_review', len(waits))
    yield Sample('prs.oldest_unreviewed_hours', max(waits, default=None))


def _first_reviews(pulls: Iterable[PullRequest], start: datetime) -> Iterator[Sample]:
    reviewed = [(pull.ready, pull.first_review) for pull in pulls if pull.first_review is not None]
    hours = [hours_between(ready, review) for ready, review in reviewed if review >= start]
    yield from _summary('prs.time_to_first_review_hours', hours, ('avg', 'p50', 'p90'))


def moves(changes: Changes) -> Iterator[Sample]:
    """Yield the counts of block pull_requests."""
    yield Sample('prs.opened', changes.opened)
    yield Sample('prs.merged', changes.merged)
    yield Sample('prs.closed', changes.closed)


def size_class(size: int) -> str:
    """Return the name of a size, in lines added and deleted."""
    return next(name for name, bound in SIZES if bound is None or size < bound)


def _summary(name: str, values: Iterable[float], statistics: Sequence[str]) -> Iterator[Sample]:
    for statistic, value in summary(values, statistics).items():
        yield Sample(f'{name}.{statistic}', value)
