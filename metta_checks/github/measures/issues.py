"""Figures of issues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ...core.refresh import Sample
from ...core.stats import summary
from ...core.times import hours_between
from ..records import Issue

WEEK = timedelta(days=7)


def measure(changed: Iterable[Issue], now: datetime) -> Iterator[Sample]:
    """Yield the gauges of block issues over the issues that changed in the window."""
    changed, start = list(changed), now - WEEK
    closed = [(issue.created, issue.closed) for issue in changed if issue.closed is not None and issue.closed >= start]
    yield Sample('issues.opened_7d', sum(issue.created >= start for issue in changed))
    yield Sample('issues.closed_7d', len(closed))
    for statistic, value in summary([hours_between(*times) for times in closed], ('p50', 'p90')).items():
        yield Sample(f'issues.close_hours.{statistic}', value)


def open_issues(count: int | None) -> Sample:
    """Return the gauge of all open issues."""
    return Sample('issues.open', count)
