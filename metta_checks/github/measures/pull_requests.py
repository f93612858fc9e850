"""Figures of pull requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from ...core.refresh import Sample
from ...core.stats import mean, percentage, percentile, summary
from ...core.tag_values import MAX_UNKNOWN, labels
from ...core.times import hours_between
from ..records import PullRequest

T = TypeVar('T')

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
STALE = timedelta(days=14)
# Upper bounds of additions plus deletions, exclusive.
SIZES = (('xs', 10), ('s', 50), ('m', 250), ('l', 1000), ('xl', None))
DECISIONS = ('approved', 'changes_requested', 'review_required', 'none')
FAILED_CHECKS = frozenset({'failure', 'error'})


AUTHOR_TYPES = {'human': False, 'bot': True}


@dataclass(frozen=True, slots=True)
class Changes:
    """Numbers of pull requests that were opened, merged and closed since the last refresh."""

    opened: int
    merged: int
    closed: int


@dataclass(frozen=True, slots=True)
class PullRequests:
    """The pull requests of a repository.

    Attributes:
        open: the open ones
        closed: the merged and closed ones that changed in the window
        open_count: GitHub's number of open ones; None when the figures leave some out
        has_all_open, has_all_closed: False when GitHub does not show one of them
        author_types: the types of authors whose pull requests are among them
    """

    open: Sequence[PullRequest]
    closed: Sequence[PullRequest]
    open_count: int | None
    has_all_open: bool = True
    has_all_closed: bool = True
    author_types: tuple[str, ...] = tuple(AUTHOR_TYPES)

    def of_people(self) -> PullRequests:
        """Return those of people. One of an unknown author may be missing among them."""
        return PullRequests(
            open=[pull for pull in self.open if pull.by_bot is False],
            closed=[pull for pull in self.closed if pull.by_bot is False],
            open_count=None,
            has_all_open=self.has_all_open and all(pull.by_bot is not None for pull in self.open),
            has_all_closed=self.has_all_closed and all(pull.by_bot is not None for pull in self.closed),
            author_types=('human',),
        )


def merged_since(closed: Iterable[PullRequest], start: datetime) -> list[PullRequest]:
    """Return the pull requests merged at or after a time."""
    return [pull for pull in closed if pull.merged is not None and pull.merged >= start]


def measure(pulls: PullRequests, hotfix_labels: Collection[str], now: datetime) -> Iterator[Sample]:
    """Yield the gauges of block pull_requests; `hotfix_labels` are in lower case.

    A figure is left out when it would need a pull request, a review or an author that GitHub does not show.
    """
    start = now - WEEK
    yield Sample('prs.open', len(pulls.open) if pulls.has_all_open else pulls.open_count)
    if pulls.has_all_open:
        yield from _of_open(pulls, now)
    if pulls.has_all_closed:
        yield from _of_closed(pulls, hotfix_labels, now)
    if pulls.has_all_open and pulls.has_all_closed:
        everything = (*pulls.open, *pulls.closed)
        yield Sample('prs.opened_7d', sum(pull.created >= start for pull in everything))
        yield from _first_reviews(everything, start)
        yield from _first_approvals(everything, start)


def _of_open(pulls: PullRequests, now: datetime) -> Iterator[Sample]:
    yield from _open_by_state(pulls.open)
    yield from _by_author('prs.open_by_author', pulls.open, pulls.author_types)
    ready = [pull for pull in pulls.open if not pull.draft]
    yield Sample('prs.stale_count_14d', sum(pull.updated < now - STALE for pull in ready))
    ages = [hours_between(pull.created, now) for pull in ready]
    yield from _summary('prs.age_hours', ages, ('avg', 'p50', 'p90', 'max'))
    yield from _waits(ready, now)


def _of_closed(pulls: PullRequests, hotfix_labels: Collection[str], now: datetime) -> Iterator[Sample]:
    start = now - WEEK
    merged = merged_since(pulls.closed, start)
    yield Sample('prs.merged_7d', len(merged))
    yield Sample('prs.merged_24h', len(merged_since(merged, now - DAY)))
    yield from _by_author('prs.merged_by_author_7d', merged, pulls.author_types)
    yield from _unmerged(pulls.closed, len(merged), start)
    if hotfix_labels:
        labels = _known(pull.labels for pull in merged)
        hotfixes = None if labels is None else sum(not set(hotfix_labels).isdisjoint(own) for own in labels)
        yield Sample('prs.hotfix_merged_7d', hotfixes)
    yield from _times_to_merge(merged, pulls.author_types)
    yield from _discussion(merged)
    yield from _phases(merged)
    yield from _sizes(merged)
    yield from _safeguards(merged)


def _known(values: Iterable[T | None]) -> list[T] | None:
    """Return the values, None when one of them is unknown."""
    found = list(values)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else None


def _by_author(name: str, pulls: Sequence[PullRequest], types: Iterable[str]) -> Iterator[Sample]:
    by_bots = _known(pull.by_bot for pull in pulls)
    if by_bots is not None:
        for kind in types:
            yield Sample(name, by_bots.count(AUTHOR_TYPES[kind]), {'author_type': kind})


def _unmerged(closed: Iterable[PullRequest], merged: int, start: datetime) -> Iterator[Sample]:
    unmerged = sum(pull.state == 'closed' and pull.closed is not None and pull.closed >= start for pull in closed)
    yield Sample('prs.closed_without_merge_7d', unmerged)
    yield Sample('prs.merge_ratio_pct', percentage(merged, merged + unmerged))


def _times_to_merge(merged: Sequence[PullRequest], types: Iterable[str]) -> Iterator[Sample]:
    """Yield the times from creation, and from readiness for review, to the merge."""
    to_merge = [hours_between(pull.created, pull.merged) for pull in merged if pull.merged is not None]
    yield Sample('prs.avg_time_to_merge_hours', mean(to_merge))
    yield from _summary('prs.time_to_merge_hours', to_merge, ('p50', 'p90'))
    cycle = _cycle_times(merged)
    if cycle is not None:
        yield Sample('prs.cycle_time_hours', percentile(cycle, 50))
    yield from _summary('prs.cycle_time_hours', cycle, ('avg', 'p50', 'p90'))
    if all(pull.by_bot is not None for pull in merged):
        for kind in types:
            own = _cycle_times(pull for pull in merged if pull.by_bot is AUTHOR_TYPES[kind])
            tags = {'author_type': kind}
            yield from _summary('prs.cycle_time_by_author_hours', own, ('p50', 'p90'), tags)


def _cycle_times(merged: Iterable[PullRequest]) -> list[float] | None:
    return _known(_hours(pull.ready, pull.merged) for pull in merged)


def _discussion(merged: Sequence[PullRequest]) -> Iterator[Sample]:
    reviewed = _known(pull.reviews.is_reviewed for pull in merged)
    if reviewed is not None:
        yield Sample('prs.with_review_comments_pct', percentage(sum(reviewed), len(merged)))
    yield Sample('prs.avg_comments_per_pr', mean(pull.comments for pull in merged if pull.comments is not None))
    rounds = _known(pull.reviews.change_requests if pull.reviews.is_complete else None for pull in merged)
    yield from _summary('prs.review_rounds', rounds, ('avg', 'p50'))


def _phases(merged: Iterable[PullRequest]) -> Iterator[Sample]:
    """Yield the times from the last approval to the merge, and from the first commit to creation."""
    approved = [pull for pull in merged if pull.reviews.last_approval is not None or not pull.reviews.is_complete]
    approval = _known(
        _hours(pull.reviews.last_approval, pull.merged) if pull.reviews.is_complete else None for pull in approved
    )
    yield from _summary('prs.approval_to_merge_hours', approval, ('p50', 'p90'))
    coded = [pull for pull in merged if pull.coding_started is not None or not pull.shows_first_commit]
    coding = _known(_hours(pull.coding_started, pull.created) for pull in coded)
    yield from _summary('prs.coding_time_hours', coding, ('p50', 'p90'))


def _sizes(merged: Iterable[PullRequest]) -> Iterator[Sample]:
    sizes = _known(pull.size for pull in merged)
    yield from _summary('prs.size_lines', sizes, ('p50', 'p90'))
    if sizes is not None:
        by_size = Counter(map(size_class, sizes))
        for name, _ in SIZES:
            yield Sample('prs.merged_by_size_7d', by_size[name], {'size': name})


def _safeguards(merged: Sequence[PullRequest]) -> Iterator[Sample]:
    """Yield the numbers of merges without approval, and with failed checks."""
    approved = _known(pull.reviews.is_approved for pull in merged)
    yield Sample('prs.merged_without_approval_7d', None if approved is None else approved.count(False))
    checks = _known(pull.checks for pull in merged)
    yield Sample('prs.merged_red_7d', None if checks is None else sum(state in FAILED_CHECKS for state in checks))


def _open_by_state(open_: Iterable[PullRequest]) -> Iterator[Sample]:
    open_ = list(open_)
    decisions = _known(pull.decision for pull in open_)
    if decisions is None:
        return
    shown = labels(Counter(decisions), MAX_UNKNOWN, known=DECISIONS)
    by_state = Counter((pull.draft, shown[decision]) for pull, decision in zip(open_, decisions, strict=True))
    for draft in (False, True):
        for decision in dict.fromkeys((*DECISIONS, *shown.values())):
            tags = {'draft': str(draft).lower(), 'review': decision}
            yield Sample('prs.open_by_state', by_state[draft, decision], tags)


def _waits(ready: Sequence[PullRequest], now: datetime) -> Iterator[Sample]:
    """Yield the waits for a first review of the open pull requests that are not drafts."""
    waiting = _known(pull.is_waiting for pull in ready)
    if waiting is None:
        return
    yield Sample('prs.waiting_for_review', sum(waiting))
    waits = _known(_hours(pull.ready, now) for pull, waits in zip(ready, waiting, strict=True) if waits)
    yield Sample('prs.oldest_unreviewed_hours', max(waits, default=None) if waits is not None else None)


def _first_reviews(pulls: Iterable[PullRequest], start: datetime) -> Iterator[Sample]:
    # All reviews count whose time is unknown, too: with them, the figure is unknown.
    reviewed = [pull for pull in pulls if pull.reviews.is_reviewed is not False]
    recent = [pull for pull in reviewed if pull.reviews.first is None or pull.reviews.first >= start]
    hours = _known(_hours(pull.ready, pull.reviews.first) for pull in recent)
    yield from _summary('prs.time_to_first_review_hours', hours, ('avg', 'p50', 'p90'))


def _first_approvals(pulls: Iterable[PullRequest], start: datetime) -> Iterator[Sample]:
    approvals = [(pull, pull.reviews.first_approval) for pull in pulls]
    recent = [(pull, at) for pull, at in approvals if (at >= start if at is not None else not pull.reviews.is_complete)]
    hours = _known(_hours(pull.ready, at) for pull, at in recent)
    yield from _summary('prs.first_approval_hours', hours, ('p50', 'p90'))


def _hours(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else hours_between(start, end)


def moves(changes: Changes) -> Iterator[Sample]:
    """Yield the counts of block pull_requests."""
    yield Sample('prs.opened', changes.opened)
    yield Sample('prs.merged', changes.merged)
    yield Sample('prs.closed', changes.closed)


def size_class(size: int) -> str:
    """Return the name of a size, in lines added and deleted."""
    return next(name for name, bound in SIZES if bound is None or size < bound)


def _summary(
    name: str, values: Iterable[float] | None, statistics: Sequence[str], tags: Mapping[str, str] | None = None
) -> Iterator[Sample]:
    """Yield statistics of values, none when they are unknown."""
    if values is not None:
        for statistic, value in summary(values, statistics).items():
            yield Sample(f'{name}.{statistic}', value, tags or {})
