"""Keeps the table of workflow runs of the window: walked once, then only what may have changed is read.

GitHub caps any filtered list at 1,000 results, sorts by creation only by habit, and changes runs long after they were
created (they finish, are run again, are deleted). See docs/sources/github.md, part "Workflow runs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ..core.errors import Rejected
from ..core.stored import stored
from .answers import RunPage
from .client import RUNS_CAP, RUNS_PAGE
from .records import Run

# GitHub's index may lag behind: the newest known run is not the newest there is.
INDEX_LAG_SECONDS = 10 * 60
# An unfinished run older than this is taken to be forgotten by GitHub; re-reading still reaches it.
UNFINISHED_SECONDS = 24 * 3600
# Known runs that one re-reading page is laid out for; the rest of the page is room for unknown ones.
SPAN_RUNS = 95
TAIL_RUNS = 90
MAX_PAGES = RUNS_CAP // RUNS_PAGE
MAX_RUNS = 20_000

Fetch = Callable[[datetime, datetime, int], RunPage]


class TooManyRuns(Rejected):
    """More runs than can be read: no figure would be right."""

    reason = 'too_many_runs'


@stored
class RunTable:
    """The workflow runs of the window, and how far reading has come.

    A first walk through the window can take several refreshes, and runs that may have changed are read again bit by
    bit.
    """

    runs: tuple[Run, ...]
    # Creation time below which re-reading goes on; None: at the top.
    cursor: int | None = None
    # Whether the last re-reading was for an unfinished run, so that it is the cursor's turn.
    detour: bool = False
    # Where the first walk has come to; None when it is done. Until then the table is no basis for any figure.
    reached: int | None = None

    def by_id(self) -> dict[int, Run]:
        """Return the runs by their id."""
        return {run.id: run for run in self.runs}


Progress = Callable[[RunTable], None]


def read(
    table: RunTable | None, start: datetime, now: datetime, fetch: Fetch, progress: Progress = lambda _: None
) -> RunTable:
    """The table brought up to date: a walk through the whole window when there is none, else the two pages that matter.

    `fetch(low, high, page)` gives a page of the runs created in [low, high]. Raises TooManyRuns and whatever it raises;
    `progress` is given what a first walk has read so far, with which a later call can go on.
    """
    low, high = _whole(start), _whole(now)
    known = table or RunTable((), reached=int(high.timestamp()))
    runs = {run.id: run for run in known.runs if run.created >= low.timestamp()}
    tail = _tail(runs, low, high)
    if runs:
        runs = _replaced(runs, walk(tail, high, fetch), tail, high)
    if known.reached is not None:
        return _walked_on(runs, known.reached, low, fetch, progress)
    if not runs:
        return RunTable(tuple(walk(low, high, fetch)))
    span, detour = _span(runs, known, int(tail.timestamp()), int(high.timestamp()))
    if span is None:
        return RunTable(tuple(runs.values()))
    bottom, top = (datetime.fromtimestamp(moment, UTC) for moment in span)
    runs = _replaced(runs, walk(bottom, top, fetch), bottom, top)
    if detour:
        return RunTable(tuple(runs.values()), known.cursor, detour)
    lower = int(bottom.timestamp()) - 1
    cursor = lower if any(run.created <= lower for run in runs.values()) else None
    return RunTable(tuple(runs.values()), cursor)


def _walked_on(runs: dict[int, Run], reached: int, low: datetime, fetch: Fetch, progress: Progress) -> RunTable:
    """A first walk, from where it has come to down to the start of the window."""
    upper = max(low, datetime.fromtimestamp(reached, UTC))

    def so_far(found: dict[int, Run], upper: int) -> None:
        progress(RunTable(tuple({**runs, **found}.values()), reached=upper))

    older = walk(low, upper, fetch, so_far)
    runs = {**runs, **{run.id: run for run in older}}
    if len(runs) > MAX_RUNS:
        raise _too_many()
    return RunTable(tuple(runs.values()))


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def walk(
    low: datetime, high: datetime, fetch: Fetch, progress: Callable[[dict[int, Run], int], None] = lambda *_: None
) -> list[Run]:
    """All runs created in [low, high]. Raises TooManyRuns.

    `progress` is given the runs found so far whenever all those above a creation time have been read.
    """
    found: dict[int, Run] = {}
    total = None
    upper = high
    while True:
        rows, count, ordered = _pages(low, upper, fetch)
        total = count if total is None else total
        for run in rows:
            found.setdefault(run.id, run)
        if len(found) > MAX_RUNS:
            raise _too_many()
        if not ordered:
            return _bisected(low, high, fetch)
        if count < RUNS_CAP or not rows:
            break
        oldest = datetime.fromtimestamp(min(run.created for run in rows), UTC)
        if oldest == upper:
            # A whole page budget within one second: the walk cannot get past it.
            return _bisected(low, high, fetch)
        # The same second again, since not all of its runs need have been on the last page.
        upper = oldest
        progress(found, int(oldest.timestamp()))
    # A total of exactly the cap means "at least"; any other is a number to be met.
    if total != RUNS_CAP and len(found) < total:
        return _bisected(low, high, fetch)
    return list(found.values())


def _pages(low: datetime, high: datetime, fetch: Fetch) -> tuple[list[Run], int, bool]:
    """The (at most ten) pages of a range: rows, GitHub's count, and whether the rows came newest first."""
    rows: list[Run] = []
    count = 0
    for number in range(1, MAX_PAGES + 1):
        page = fetch(low, high, number)
        count = max(count, page.total)
        rows += page.runs
        if len(page.runs) < RUNS_PAGE or len(rows) >= page.total:
            break
    ordered = all(newer.created >= older.created for newer, older in pairwise(rows))
    return rows, count, ordered


def _bisected(low: datetime, high: datetime, fetch: Fetch) -> list[Run]:
    """All runs of a range in parts that are each below the cap, so that neither order nor count matters."""
    page = fetch(low, high, 1)
    if page.total < RUNS_CAP:
        rows = list(page.runs)
        for number in range(2, MAX_PAGES + 1):
            if len(rows) >= page.total:
                break
            rows += fetch(low, high, number).runs
        return list({run.id: run for run in rows}.values())
    if low >= high:
        raise TooManyRuns(
            f'{RUNS_CAP:,} or more workflow runs were created within one second ({low:%Y-%m-%d %H:%M:%S})'
        )
    middle = _whole(low + (high - low) / 2)
    found = {run.id: run for run in _bisected(low, middle, fetch)}
    found |= {run.id: run for run in _bisected(middle + timedelta(seconds=1), high, fetch)}
    if len(found) > MAX_RUNS:
        raise _too_many()
    return list(found.values())


def _too_many() -> TooManyRuns:
    return TooManyRuns(f'more than {MAX_RUNS:,} workflow runs in the window: no figure of block ci would be right')


def _tail(runs: dict[int, Run], low: datetime, high: datetime) -> datetime:
    """From where to read to the present.

    Ten minutes before the newest known run, or from the oldest unfinished one, where that still fits on one page.
    """
    if not runs:
        return low
    newest = max(run.created for run in runs.values()) - INDEX_LAG_SECONDS
    unfinished = _oldest_unfinished(runs.values(), high)
    if unfinished is not None and unfinished < newest:
        newer = sum(run.created > unfinished for run in runs.values())
        if newer <= TAIL_RUNS:
            newest = unfinished
    return max(low, datetime.fromtimestamp(newest, UTC))


def _oldest_unfinished(runs: Iterable[Run], now: datetime) -> int | None:
    youngest = now.timestamp() - UNFINISHED_SECONDS
    return min((run.created for run in runs if not run.finished and run.created >= youngest), default=None)


def _span(runs: dict[int, Run], table: RunTable, tail: int, now: int) -> tuple[tuple[int, int] | None, bool]:
    """The range of the one re-reading page, and whether it is a detour from the way of the cursor.

    It lies around the oldest unfinished run and on the next stretch below the cursor in turn: a repository where
    something always runs for hours must not keep the cursor from moving.
    """
    below = sorted(run.created for run in runs.values() if run.created < tail)
    if not below:
        return None, False
    unfinished = _oldest_unfinished(runs.values(), datetime.fromtimestamp(now, UTC))
    if unfinished is not None and unfinished < tail and not table.detour:
        above = [created for created in below if created >= unfinished]
        return (unfinished, above[min(SPAN_RUNS, len(above)) - 1]), True
    stretch = [created for created in below if table.cursor is None or created <= table.cursor] or below
    return (stretch[-min(SPAN_RUNS, len(stretch))], stretch[-1]), False


def _replaced(runs: dict[int, Run], read: list[Run], low: datetime, high: datetime) -> dict[int, Run]:
    """The table with a completely read range put in: what the range does not hold any more was deleted."""
    bottom, top = low.timestamp(), high.timestamp()
    result = {key: run for key, run in runs.items() if not bottom <= run.created <= top}
    for run in read:
        known = runs.get(run.id)
        if known is None:
            result[run.id] = run
        elif (run.attempt, run.updated) < (known.attempt, known.updated):
            # An older copy from GitHub's index: what is known is newer.
            result[run.id] = known
        else:
            result[run.id] = run._replace(counted=known.counted)
    return result


def newly_finished(runs: Iterable[Run]) -> list[Run]:
    """Runs whose last attempt has ended and was not counted yet."""
    return [run for run in runs if run.finished and run.attempt > run.counted]


def all_counted(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs with every finished attempt marked as counted."""
    return tuple(
        run._replace(counted=run.attempt) if run.finished and run.attempt > run.counted else run for run in runs
    )
