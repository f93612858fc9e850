"""Keeps the table of workflow runs of the window: read to its end once, then only in the parts that may have changed.

GitHub lists at most 1,000 results of any filter, does not promise an order, and changes runs long after their creation:
they finish, are run again, are deleted. See docs/sources/github.md, part "Workflow runs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ..core.errors import Rejected
from ..core.stored import stored
from ..core.times import Window
from .client import RUNS_CAP, RUNS_PAGE
from .run_records import Run, RunPage

SECOND = timedelta(seconds=1)
# GitHub's index may lag behind: there may be newer runs than the newest known one.
INDEX_LAG = timedelta(minutes=10)
# An unfinished run older than this is presumed abandoned by GitHub; re-reading still reaches it.
UNFINISHED = timedelta(days=1)
# Known runs in the range of one re-reading page; the rest of the page is for unknown ones.
RANGE_RUNS = 95
TAIL_RUNS = 90
MAX_PAGES = RUNS_CAP // RUNS_PAGE
MAX_RUNS = 20_000

Fetch = Callable[[datetime, datetime, int], RunPage]
Runs = dict[int, Run]


class TooManyRuns(Rejected):
    """More runs than can be read, so that every figure would be wrong."""

    reason = 'too_many_runs'


@stored
class RunTable:
    """The workflow runs of the window, and how far reading has come.

    A first crawl through the window can take several refreshes, and runs that may have changed are read again range by
    range.

    Attributes:
        runs: the runs
        cursor: creation time below which re-reading goes on; None: at the newest run
        detour: whether the last re-reading was for an unfinished run, so that it is the cursor's turn
        reached: creation time down to which the first crawl has read; None when it has ended. Until then, no figure can
            be computed from the table
    """

    runs: tuple[Run, ...]
    cursor: datetime | None = None
    detour: bool = False
    reached: datetime | None = None

    def by_id(self) -> Runs:
        """Return the runs by their id."""
        return {run.id: run for run in self.runs}


Progress = Callable[[RunTable], None]


def read(
    table: RunTable | None, start: datetime, now: datetime, fetch: Fetch, progress: Progress = lambda _: None
) -> RunTable:
    """Return the table brought up to date: by a crawl through the window without a table, else by about two pages.

    `fetch(low, high, page)` returns a page of the runs created in [low, high]. Raises TooManyRuns and the errors of
    `fetch`. `progress` is called with the result of a first crawl so far, with which a later call can go on.
    """
    window = Window(_whole(start), _whole(now))
    known = table or RunTable((), reached=window.end)
    runs = {run.id: run for run in known.runs if run.created >= window.start}
    tail = Window(_tail_start(runs, window), window.end)
    if runs:
        runs = _replaced(runs, crawl(tail, fetch), tail, now)
    if known.reached is not None:
        table = _crawled_on(runs, Window(window.start, max(window.start, known.reached)), fetch, progress)
        return replace(table, runs=tuple(run.seen(known.by_id().get(run.id), now) for run in table.runs))
    if not runs:
        return RunTable(tuple(run.seen(None, now) for run in crawl(window, fetch)))
    return _reread(runs, known, tail, fetch, now)


def _crawled_on(runs: Runs, rest: Window, fetch: Fetch, progress: Progress) -> RunTable:
    """Continue the first crawl in the range that it has not reached."""

    def so_far(found: Runs, reached: datetime) -> None:
        progress(RunTable(tuple({**runs, **found}.values()), reached=reached))

    older = {run.id: run for run in crawl(rest, fetch, so_far)}
    return RunTable(tuple(_limited({**runs, **older}).values()))


def _reread(runs: Runs, known: RunTable, tail: Window, fetch: Fetch, now: datetime) -> RunTable:
    """Read the range again whose turn it is."""
    span, detour = _next_range(runs, known, tail)
    if span is None:
        return RunTable(tuple(runs.values()))
    runs = _replaced(runs, crawl(span, fetch), span, now)
    if detour:
        return RunTable(tuple(runs.values()), known.cursor, detour)
    below = span.start - SECOND
    return RunTable(tuple(runs.values()), below if any(run.created <= below for run in runs.values()) else None)


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _limited(runs: Runs) -> Runs:
    """Return the runs. Raises TooManyRuns."""
    if len(runs) > MAX_RUNS:
        raise TooManyRuns(
            f'more than {MAX_RUNS:,} workflow runs in 7 days are more than the check reads: block ci has no figures'
        )
    return runs


def crawl(span: Window, fetch: Fetch, progress: Callable[[Runs, datetime], None] = lambda *_: None) -> list[Run]:
    """Return all runs of a range. Raises TooManyRuns.

    `progress` is called with the runs so far whenever all those above a creation time have been read.
    """
    found = _newest_first(span, fetch, progress)
    return _bisected(span, fetch) if found is None else found


def _newest_first(span: Window, fetch: Fetch, progress: Callable[[Runs, datetime], None]) -> list[Run] | None:
    """Return all runs of a range, read from the newest down; None when order or count show that some are missing."""
    found: Runs = {}
    total = 0
    upper = span.end
    while True:
        rows, count, is_ordered = _pages(Window(span.start, upper), fetch)
        total = total or count
        for run in rows:
            found.setdefault(run.id, run)
        _limited(found)
        if not is_ordered:
            return None
        if count < RUNS_CAP or not rows:
            return list(found.values()) if _is_complete(found, total) else None
        oldest = min(run.created for run in rows)
        if oldest == upper:
            # All the pages lie within one second: this way does not get past it.
            return None
        # The same second again, because not all of its runs need have been on the last page.
        upper = oldest
        progress(found, oldest)


def _is_complete(found: Runs, total: int) -> bool:
    # A total equal to the cap means "at least".
    return total == RUNS_CAP or len(found) >= total


def _pages(span: Window, fetch: Fetch) -> tuple[list[Run], int, bool]:
    """Return the rows of the (at most ten) pages of a range, GitHub's count, and whether the newest come first."""
    rows: list[Run] = []
    count = 0
    for number in range(1, MAX_PAGES + 1):
        page = fetch(span.start, span.end, number)
        count = max(count, page.total)
        rows += page.runs
        if len(page.runs) < RUNS_PAGE or len(rows) >= page.total:
            break
    is_ordered = all(newer.created >= older.created for newer, older in pairwise(rows))
    return rows, count, is_ordered


def _bisected(span: Window, fetch: Fetch) -> list[Run]:
    """Return all runs of a range, read in parts below the cap, so that neither order nor count matters."""
    low, high = span.start, span.end
    page = fetch(low, high, 1)
    if page.total < RUNS_CAP:
        return _all_pages(span, page, fetch)
    if low >= high:
        raise TooManyRuns(
            f'{RUNS_CAP:,} or more workflow runs were created within one second ({low:%Y-%m-%d %H:%M:%S})'
        )
    middle = _whole(low + (high - low) / 2)
    parts = (Window(low, middle), Window(middle + SECOND, high))
    return list(_limited({run.id: run for part in parts for run in _bisected(part, fetch)}).values())


def _all_pages(span: Window, first: RunPage, fetch: Fetch) -> list[Run]:
    rows = list(first.runs)
    for number in range(2, MAX_PAGES + 1):
        if len(rows) >= first.total:
            break
        rows += fetch(span.start, span.end, number).runs
    return list({run.id: run for run in rows}.values())


def _tail_start(runs: Runs, window: Window) -> datetime:
    """Return the creation time from which the newest runs are read.

    This is ten minutes before the newest known run, or the oldest unfinished one when all runs since then fit on one
    page.
    """
    if not runs:
        return window.start
    start = max(run.created for run in runs.values()) - INDEX_LAG
    unfinished = _oldest_unfinished(runs.values(), window.end)
    if unfinished is not None and unfinished < start:
        newer = sum(run.created > unfinished for run in runs.values())
        if newer <= TAIL_RUNS:
            start = unfinished
    return max(window.start, start)


def _oldest_unfinished(runs: Iterable[Run], now: datetime) -> datetime | None:
    unfinished = (run.created for run in runs if not run.finished and run.created >= now - UNFINISHED)
    return min(unfinished, default=None)


def _next_range(runs: Runs, table: RunTable, tail: Window) -> tuple[Window | None, bool]:
    """Return the range of the one re-reading page, and whether it is a detour from the cursor.

    The oldest unfinished run and the range below the cursor take turns, so that the cursor moves on in a repository
    where a run of many hours is always in progress.
    """
    older = sorted(run.created for run in runs.values() if run.created < tail.start)
    if not older:
        return None, False
    unfinished = _oldest_unfinished(runs.values(), tail.end)
    if unfinished is not None and unfinished < tail.start and not table.detour:
        return _range_from(unfinished, older), True
    return _range_below(table.cursor, older), False


def _range_from(bottom: datetime, created: Sequence[datetime]) -> Window:
    """Return the range from a creation time up that holds the known runs of a page."""
    above = [moment for moment in created if moment >= bottom]
    return Window(bottom, above[:RANGE_RUNS][-1])


def _range_below(top: datetime | None, created: Sequence[datetime]) -> Window:
    """Return the range from a creation time down, or from the newest of these, that holds the known runs of a page."""
    below = [moment for moment in created if top is None or moment <= top] or created
    return Window(below[-RANGE_RUNS:][0], below[-1])


def _replaced(runs: Runs, read: Iterable[Run], span: Window, now: datetime) -> Runs:
    """Return the table with a completely read range: known runs that the range lacks were deleted."""
    result = {key: run for key, run in runs.items() if run.created not in span}
    for run in read:
        result[run.id] = run.seen(runs.get(run.id), now)
    return result
