"""Keeps the table of runs of a project current with as few pages as possible.

A cold refresh reads the live runs and those of the last 7 days; a warm one only runs with a heartbeat since the last
refresh. A reading that is too large for one refresh goes on in the next run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ..core.errors import OutOfBudget, Rejected, SourceError
from ..core.refresh import Attempt
from ..core.service_clock import ServiceClock
from ..core.stored import stored
from ..core.times import utc_time
from . import filters
from .client import MISSING_ROWS_ALLOWED, Client, RunPage
from .filters import Filter
from .records import Project, Run
from .run_table import MAX_ROWS, WEEK, RunRow, RunTable, endings, reread, trimmed, updated
from .settings import Columns

DAY_SECONDS = 86400
# Changes are asked for from a little before the last refresh: clocks differ, and heartbeats are written late.
OVERLAP = timedelta(minutes=10)
# A crawl that is older than this begins again.
CRAWL_SECONDS = 3600
# Number of consecutive refreshes in which the server's count of ended runs may differ from the table. Then all runs are
# read again.
DRIFT_REFRESHES = 2


@stored
class RunCrawl:
    """A reading of runs, page by page.

    Attributes:
        condition: the filter of the runs
        begun_at: when the crawl began, in seconds since the epoch
        full: True when it reads all runs, False for changes only
        cursor: where the next page begins; None at the end
        rows: the runs read so far
        unreadable: number of runs that could not be read
        damaged: number of runs with fields, such as the summary, that could not be read
        refusal: W&B's reason for parts of runs that it could not read; empty without one
        missing: number of runs that the server counted and did not send; None while it is not known
        cut: True when it was stopped for good before its end
    """

    condition: Filter
    begun_at: float
    full: bool
    cursor: str | None = None
    rows: tuple[RunRow, ...] = ()
    unreadable: int = 0
    damaged: int = 0
    refusal: str = ''
    missing: int | None = None
    cut: bool = False

    @property
    def complete(self) -> bool:
        """True when all runs that match the condition were read: the others were deleted or moved away."""
        return self.missing == 0 and not self.unreadable

    @property
    def lacks_runs(self) -> bool:
        """True when the figures are too small without the missing runs."""
        return self.cut or (self.missing or 0) > MISSING_ROWS_ALLOWED

    def joined(self, page: RunPage[Run], columns: Columns) -> RunCrawl:
        """Return the crawl with a further page."""
        return replace(
            self,
            cursor=page.cursor,
            rows=(*self.rows, *(RunRow.of(run, columns) for run in page.rows)),
            unreadable=self.unreadable + page.unreadable,
            damaged=self.damaged + sum(run.damaged for run in page.rows),
            refusal=self.refusal or page.refusal,
            missing=page.missing,
        )


@stored
class KnownRuns:
    """The runs of a project, so that a refresh asks only for changes.

    Attributes:
        table: the runs at the last complete reading; None before the first
        reread_at: when all runs were read again because the table disagreed with the server's count, in seconds since
            the epoch
        crawl: a reading that goes on in the next run
    """

    table: RunTable | None = None
    reread_at: float | None = None
    crawl: RunCrawl | None = None

    def usable(self, now: float) -> KnownRuns:
        """Return the part that is recent enough to go on with."""
        table, crawl = self.table, self.crawl
        # After a week, all rows of the table are outdated, and runs that ended meanwhile are not news.
        if table is not None and table.as_of <= now - WEEK.total_seconds():
            table = None
        if crawl is not None and now - crawl.begun_at >= CRAWL_SECONDS:
            crawl = None
        return replace(self, table=table, crawl=crawl)


@dataclass(frozen=True, slots=True)
class SyncedRuns:
    """The runs of a project, and those that have ended since the last refresh.

    `table` is None while the first reading goes on.
    """

    table: RunTable | None
    ended: tuple[RunRow, ...] = ()


class RunSync:
    """Reads the runs of one project per call. The block's state is the memory from one call to the next."""

    def __init__(self, client: Client, clock: ServiceClock, columns: Columns, max_rows: int) -> None:
        self._client = client
        self._clock = clock
        self._columns = columns
        self._max_rows = max_rows

    def update(self, attempt: Attempt[KnownRuns], project: Project, *, drifts: int) -> SyncedRuns:
        """Bring the table in the block's state up to date.

        `drifts` is the number of consecutive refreshes in which the table disagreed with the server's count.
        """
        now = self._clock.time(attempt.now).timestamp()
        known = (attempt.state or KnownRuns()).usable(now)
        before = known.table
        crawl = known.crawl
        begins = crawl is None
        if crawl is None:
            crawl, known = self._begin(known, now, drifts)
        known = replace(known, crawl=None)
        if self._client.dialect.heartbeat_filter:
            crawl = self._read(attempt, project, crawl, known)
        else:
            crawl = self._read_in_order(attempt, project, crawl, before)
        if begins:
            # The answers tell the time of the service.
            crawl = replace(crawl, begun_at=self._clock.time(attempt.now).timestamp())
        if crawl.cursor is not None:
            attempt.state = replace(known, crawl=crawl)
            attempt.resume()
            return SyncedRuns(before)
        _report(attempt, crawl)
        table = self._table(attempt, before, crawl)
        attempt.state = replace(known, table=table)
        ended = endings(before, crawl.rows, OVERLAP.total_seconds()) if before else []
        return SyncedRuns(table, tuple(ended))

    @property
    def _fingerprint(self) -> str:
        return self._columns.fingerprint(self._client.dialect.missing)

    def _begin(self, known: KnownRuns, now: float, drifts: int) -> tuple[RunCrawl, KnownRuns]:
        """Begin to read: changes where the table can be used, otherwise all runs."""
        table = known.table
        base = table if table is not None and table.columns == self._fingerprint else None
        if base is not None and drifts >= DRIFT_REFRESHES and _may_reread(known, now):
            base = None
            known = replace(known, reread_at=now)
        condition = filters.changed(_changes_begin(base, now), table.live_ids if table else ())
        return RunCrawl(condition, now, full=base is None), known

    def _read(self, attempt: Attempt[KnownRuns], project: Project, crawl: RunCrawl, known: KnownRuns) -> RunCrawl:
        """Read pages until the end or the limit of a refresh; `cursor` of the result says where to go on."""
        is_resumed = crawl.cursor is not None
        limit = len(crawl.rows) + self._max_rows
        # A reading of all runs may be cut: then it has the latest ones.
        order = filters.NEWEST_FIRST if crawl.full else filters.OLDEST_FIRST
        try:
            for page in self._client.runs(project, crawl.condition, order, crawl.cursor):
                crawl = crawl.joined(page, self._columns)
                if len(crawl.rows) >= limit:
                    break
        except Rejected:
            # A cursor that the server does not know any more must not be tried forever.
            if is_resumed:
                attempt.checkpoint(known)
            raise
        except SourceError as error:
            if _can_go_on(crawl, error):
                attempt.checkpoint(replace(known, crawl=crawl))
            raise
        if crawl.cursor is not None and len(crawl.rows) >= MAX_ROWS:
            return self._with_live(project, replace(crawl, cut=True))
        return crawl

    def _read_in_order(
        self, attempt: Attempt[KnownRuns], project: Project, crawl: RunCrawl, before: RunTable | None
    ) -> RunCrawl:
        """Read the runs with the latest heartbeats, then the live and known ones: for servers without the filter."""
        since = _changes_begin(None if crawl.full else before, crawl.begun_at)
        for page in self._client.runs(project, {}, filters.LATEST_HEARTBEAT_FIRST):
            crawl = crawl.joined(page, self._columns)
            if any(run.heartbeat is not None and run.heartbeat < since for run in page.rows):
                break
            if len(crawl.rows) >= self._max_rows:
                crawl = replace(crawl, cut=page.cursor is not None)
                break
        return self._with_live(project, crawl, before.live_ids if before else ())

    def _with_live(self, project: Project, crawl: RunCrawl, known: Iterable[str] = ()) -> RunCrawl:
        """Return the crawl at its end, with the live runs and those of the given ids."""
        missing = crawl.missing or 0
        for page in self._client.runs(project, filters.live(known)):
            crawl = crawl.joined(page, self._columns)
        return replace(crawl, cursor=None, missing=missing + (crawl.missing or 0))

    def _table(self, attempt: Attempt[KnownRuns], before: RunTable | None, crawl: RunCrawl) -> RunTable:
        if crawl.full or before is None:
            table = reread(before, crawl.rows, crawl.begun_at, self._fingerprint)
        else:
            table = updated(before, crawl.rows, crawl.begun_at, complete=crawl.complete)
        if len(table.rows) > MAX_ROWS:
            crawl = replace(crawl, cut=True)
            table = replace(table, rows=trimmed(table.rows))
        if crawl.lacks_runs:
            table = table.lacking(self._gap(crawl))
        if table.gap is not None:
            attempt.truncated(f'{table.gap.reason}; figures of 7 days lack runs until {utc_time(table.gap.until)}')
        return table

    def _gap(self, crawl: RunCrawl) -> str:
        """Return why runs are missing."""
        if not crawl.cut:
            return f'W&B repeated runs in its pages and left out {crawl.missing} others'
        if self._client.dialect.heartbeat_filter:
            return f'more than {MAX_ROWS} runs in 7 days: the figures cover the latest of them'
        return f'more than {self._max_rows} runs changed: the others are left out; raise option `max_rows_per_refresh`'


def _changes_begin(base: RunTable | None, now: float) -> datetime:
    """Return the time of the earliest heartbeat to read; without a table to go on from, 7 days before `now`."""
    if base is None:
        return datetime.fromtimestamp(now, UTC) - WEEK
    return datetime.fromtimestamp(base.as_of, UTC) - OVERLAP


def _may_reread(known: KnownRuns, now: float) -> bool:
    return known.reread_at is None or now - known.reread_at >= DAY_SECONDS


def _can_go_on(crawl: RunCrawl, error: SourceError) -> bool:
    """Return True when the next run can go on with a crawl after an error."""
    # After an outage, the pages of a crawl for changes are outdated: it begins again.
    return crawl.cursor is not None and (crawl.full or isinstance(error, OutOfBudget))


def _report(attempt: Attempt[KnownRuns], crawl: RunCrawl) -> None:
    if crawl.unreadable:
        attempt.problem(
            'bad_payload', f'runs left out because they have no id, state or creation time: {crawl.unreadable}'
        )
    if crawl.damaged:
        attempt.problem(
            'bad_payload',
            f'runs with a summary or configuration that is left out because it cannot be read: {crawl.damaged}',
        )
    if crawl.refusal:
        attempt.problem('bad_payload', f'W&B could not show a part of the runs: {crawl.refusal}')
