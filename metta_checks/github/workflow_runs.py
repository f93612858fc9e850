"""Keeps the table of workflow runs of the window: read to its end once, then only in the parts that may have changed.

GitHub lists at most 1,000 results of any filter, does not promise an order, and changes runs long after their creation:
they finish, are run again, are deleted. See docs/sources/github.md, part "Workflow runs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ..core.errors import Rejected
from ..core.stored import stored
from ..core.times import Window
from . import attempts
from .run_records import RUNS_CAP, RUNS_PAGE, Run, RunPage

SECOND = timedelta(seconds=1)
# GitHub's index may lag behind: there may be newer runs than the newest known one.
INDEX_LAG = timedelta(minutes=10)
# An unfinished run older than this is presumed abandoned by GitHub; re-reading still reaches it.
UNFINISHED = timedelta(days=1)
# Without a new or changed run, older runs are read again this often.
QUIET_INTERVAL = timedelta(hours=1)
# Known runs in the range of one re-reading page; the rest of the page is for unknown ones.
RANGE_RUNS = 95
MAX_PAGES = RUNS_CAP // RUNS_PAGE
MAX_RUNS = 20_000

Fetch = Callable[[datetime, datetime, int], RunPage]
Runs = dict[int, Run]


class TooManyRuns(Rejected):
    """More runs than can be read, so that every figure would be wrong."""

    reason = 'too_many_runs'


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of the runs of a repository.

    Attributes:
        newest: returns the newest runs and the ETag of the page; no page when it is the same as at a given ETag
        created: returns a page of the runs created between two times
    """

    newest: Callable[[str], tuple[RunPage | None, str]]
    created: Fetch


@stored
class RunTable:
    """The workflow runs of the window, and how far reading has come.

    A first crawl through the window can take several refreshes, and runs that may have changed are read again range by
    range.

    Attributes:
        runs: the runs
        etag: GitHub's mark of the page of the newest runs, with which an unchanged page costs no quota
        missed: ids of the runs that one refresh should have shown and did not
        gone: ids of the runs that two refreshes did not show. They are kept, so that a run that returns is not new
        cursor: creation time below which re-reading goes on; None: at the newest run
        reread: when older runs were last read again
        reached: creation time down to which the first crawl has read; None when it has ended. Until then, no figure can
            be computed from the table
        until: creation time up to which all runs have been read
    """

    runs: tuple[Run, ...]
    etag: str = ''
    missed: frozenset[int] = frozenset()
    gone: frozenset[int] = frozenset()
    cursor: datetime | None = None
    reread: datetime | None = None
    reached: datetime | None = None
    until: datetime | None = None

    def by_id(self) -> Runs:
        """Return all rows by their id."""
        return {run.id: run for run in self.runs}

    def counted(self, *, first: bool) -> RunTable:
        """Return the table with the known attempts marked as counted; in a `first` refresh, with all finished ones."""
        return replace(self, runs=attempts.counted(self.runs, first=first))

    @property
    def present(self) -> tuple[Run, ...]:
        """The runs that GitHub has."""
        return tuple(run for run in self.runs if run.id not in self.gone) if self.gone else self.runs


Progress = Callable[[RunTable], None]


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """The runs that a refresh has found.

    Attributes:
        table: the runs of the window
        older: runs before the window that were seen on the way
        is_whole: whether these are all runs of the repository
        is_first: whether no complete table was known that reached into the window, so that nothing is new
    """

    table: RunTable
    older: tuple[Run, ...]
    is_whole: bool
    is_first: bool


class _Reading:
    """The table while it is brought up to date."""

    def __init__(self, known: RunTable, window: Window, now: datetime) -> None:
        self.runs = {run.id: run for run in known.runs if run.created >= window.start}
        self.is_changed = False
        self.until = window.end
        self._known = known
        self._now = now
        self._shown: set[int] = set()
        self._lacking: set[int] = set()

    def take(self, rows: Iterable[Run], span: Window) -> None:
        """Take over a completely read range; known runs that it lacks are missed."""
        found: set[int] = set()
        for row in rows:
            run = row.seen(self.runs.get(row.id), self._now)
            self.is_changed |= run != self.runs.get(row.id)
            self.runs[row.id] = run
            found.add(row.id)
        self._shown |= found
        self._lacking |= {key for key, run in self.runs.items() if run.created in span and key not in found}

    def confirm(self) -> None:
        """Take note that the newest runs are as they were: those that wait still do."""
        for key, run in self.runs.items():
            if not run.finished:
                self.runs[key] = run.seen(run, self._now)

    def missing(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return the ids of the runs that are missing once, and of those that are gone."""
        known = self._known
        lacking = self._lacking - self._shown
        gone = known.gone | (lacking & known.missed)
        in_window = self.runs.keys() - self._shown
        return frozenset(((known.missed | lacking) - gone) & in_window), frozenset(gone & in_window)


def read(
    table: RunTable | None,
    start: datetime,
    now: datetime,
    lists: Lists,
    progress: Progress = lambda _: None,
    *,
    rereads: bool = True,
) -> FoundRuns:
    """Return the table brought up to date.

    Without a table, this is a crawl through the window, else about two pages. Raises TooManyRuns and the errors of the
    lists. `progress` is called with the result of a first crawl so far, with which a later call can go on. `rereads`
    False leaves older runs to the next call, for an hour at most.
    """
    # The clock may be behind. Runs that are created later by far are left to a later call, whose window holds them.
    window = Window(_whole(start), _whole(now) + INDEX_LAG)
    known = _reaching_into(window, table)
    reading = _Reading(known, window, now)
    # A run that is missing is looked for, not confirmed to be missing.
    page, etag = lists.newest('' if known.missed or known.reached else known.etag)
    if page is not None and any(run.created > window.end for run in page.runs):
        # The page must not count as read.
        etag = ''
    tail = _newest(reading, page, window, lists, known.reached)
    older = tuple(run for run in page.runs if run.created < window.start) if page is not None else ()
    is_whole = page is not None and _is_whole(page)
    if known.reached is not None:
        if tail.start > window.start:
            rest = Window(window.start, min(known.reached, tail.start - SECOND))
            _crawl_on(reading, rest, lists, progress)
        whole = RunTable(tuple(reading.runs.values()), etag, reread=now, until=window.end)
        return FoundRuns(whole, older, is_whole, is_first=True)
    known = replace(known, etag=etag)
    if not rereads and not _is_reread_due(known, now):
        missed, gone = reading.missing()
        table = replace(known, runs=tuple(reading.runs.values()), missed=missed, gone=gone, until=window.end)
    else:
        table = _reread(reading, known, tail, lists, now)
    return FoundRuns(table, older, is_whole, is_first=False)


def _reaching_into(window: Window, table: RunTable | None) -> RunTable:
    """Return the table if nothing is missing between its end and the window, else one to begin a crawl with."""
    if table is None or table.until is None or table.until < window.start:
        return RunTable((), reached=window.end, until=window.end)
    return table


def _newest(reading: _Reading, page: RunPage | None, window: Window, lists: Lists, reached: datetime | None) -> Window:
    """Take over the page of the newest runs; return the range that has been read.

    Older runs than `reached` are read later.
    """
    if page is None:
        reading.confirm()
        newest = sorted((run.created for run in reading.runs.values()), reverse=True)[:RUNS_PAGE]
        return Window(newest[-1] if len(newest) == RUNS_PAGE else window.start, window.end)
    rows = [run for run in page.runs if run.created in window]
    covers = _is_whole(page) or any(run.created < window.start for run in page.runs)
    # More runs of the oldest second may be on the next page. A page without rows says nothing.
    oldest = min((run.created for run in page.runs), default=window.end)
    span = Window(window.start if covers else oldest + SECOND, window.end)
    needed = max(_tail_start(reading.runs, window), reached or window.start)
    if _is_ordered(page.runs) and span.start <= needed + SECOND:
        reading.take(rows, span)
    else:
        span = Window(needed, window.end)
        reading.take(crawl(span, lists.created), span)
    return span


def _crawl_on(reading: _Reading, rest: Window, lists: Lists, progress: Progress) -> None:
    """Continue the first crawl in the range that it has not reached."""
    if rest.start > rest.end:
        return

    def so_far(found: Runs, reached: datetime) -> None:
        progress(RunTable(tuple({**reading.runs, **found}.values()), reached=reached, until=reading.until))

    # The list may lag behind: the runs at its upper end are known already.
    expected = {key for key, run in reading.runs.items() if run.created == rest.end}
    found = crawl(rest, lists.created, so_far)
    if not expected <= {run.id for run in found}:
        raise Rejected(f'GitHub left out runs created at {rest.end:%Y-%m-%d %H:%M:%S}', reason='partial')
    reading.take(found, rest)
    _limited(reading.runs)


def _reread(reading: _Reading, known: RunTable, tail: Window, lists: Lists, now: datetime) -> RunTable:
    """Return the table after reading older runs again: the range of the cursor, and the one with an unfinished run."""
    suspects = [run.created for key, run in reading.runs.items() if key in known.missed or _is_unfinished(run, now)]
    older = sorted(run.created for run in reading.runs.values() if run.created < tail.start)
    suspect = min((created for created in suspects if created < tail.start), default=None)
    cursor, reread = known.cursor, known.reread
    if older and (reading.is_changed or suspect is not None or _is_reread_due(known, now)):
        if suspect is not None:
            span = _range_from(suspect, older)
            reading.take(crawl(span, lists.created), span)
        span = _range_below(cursor, older)
        reading.take(crawl(span, lists.created), span)
        reread = now
        below = span.start - SECOND
        cursor = below if older[0] <= below else None
    missed, gone = reading.missing()
    rows = tuple(reading.runs.values())
    return RunTable(rows, known.etag, missed, gone, cursor, reread, until=reading.until)


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
    return rows, count, _is_ordered(rows)


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


def _is_reread_due(known: RunTable, now: datetime) -> bool:
    return known.reread is None or now - known.reread >= QUIET_INTERVAL


def _is_whole(page: RunPage) -> bool:
    """Return whether a page of the newest runs holds all runs of the repository."""
    return page.total <= len(page.runs)


def _is_ordered(rows: Iterable[Run]) -> bool:
    """Return whether the newest runs come first."""
    return all(newer.created >= older.created for newer, older in pairwise(rows))


def _tail_start(runs: Runs, window: Window) -> datetime:
    """Return the creation time from which the newest runs are read: ten minutes before the newest known run."""
    newest = max((run.created for run in runs.values()), default=window.start)
    return max(window.start, newest - INDEX_LAG)


def _is_unfinished(run: Run, now: datetime) -> bool:
    return not run.finished and run.created >= now - UNFINISHED


def _range_from(bottom: datetime, created: Sequence[datetime]) -> Window:
    """Return the range from a creation time up that holds the known runs of a page."""
    above = [moment for moment in created if moment >= bottom]
    return Window(bottom, above[:RANGE_RUNS][-1])


def _range_below(top: datetime | None, created: Sequence[datetime]) -> Window:
    """Return the range from a creation time down, or from the newest of these, that holds the known runs of a page."""
    below = [moment for moment in created if top is None or moment <= top] or list(created)
    return Window(below[-RANGE_RUNS:][0], below[-1])
