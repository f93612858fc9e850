"""Keeps the table of runs of a project up to date, with as few pages as possible.

Cold, it reads the live runs and those of the last 7 days; warm, only what gave a sign of life since the last
refresh. A read too large for one refresh goes on in the next run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.errors import OutOfBudget, Rejected, SourceError
from ..core.paging import Page
from ..core.refresh import Attempt
from ..core.stored import stored
from . import filters
from .client import Client
from .filters import Filter
from .records import Run
from .table import MAX_ROWS, WEEK, Ending, Reading, Row, Table, endings, kept, trimmed, updated

DAY = 86400
# Changes are asked for from a little before the last refresh: clocks differ, and heartbeats are written late.
OVERLAP = 600
# How long a read may go on over several runs before it begins again.
CRAWL_SECONDS = 3600
# Refreshes in which the server's count of ended runs may differ from the table before everything is read again.
DRIFT_REFRESHES = 2


@stored
class Crawl:
    """A read of runs, page by page: what has come so far.

    Attributes:
        condition: the filter of the runs
        begun: when it began, in seconds since the epoch
        full: whether it reads everything, not changes only
        cursor: where the next page begins; None at the end
        rows: the runs with their users
        unreadable: number of runs that could not be understood
        damaged: number of runs whose summary or configuration could not be understood
        cut: whether it was stopped for good before its end
    """

    condition: Filter
    begun: float
    full: bool
    cursor: str | None = None
    rows: tuple[tuple[Row, str], ...] = ()
    unreadable: int = 0
    damaged: int = 0
    cut: bool = False

    def joined(self, page: Page[Run], reading: Reading) -> Crawl:
        """Return the crawl with a further page."""
        return replace(
            self,
            cursor=page.cursor,
            rows=(*self.rows, *((reading.row(run), run.user) for run in page.rows)),
            unreadable=self.unreadable + page.unreadable,
            damaged=self.damaged + sum(run.damaged for run in page.rows),
        )


@stored
class Tracking:
    """The state of the runs of a project between two refreshes.

    Attributes:
        table: the runs as of the last read that came to its end; None before the first
        reread_at: when everything was read again because the table disagreed with the server's count
        crawl: a read that goes on in the next run
    """

    table: Table | None = None
    reread_at: float | None = None
    crawl: Crawl | None = None


@dataclass(frozen=True, slots=True)
class Tracked:
    """The state of a project's runs. `table` is None while its first read goes on."""

    table: Table | None
    ended: tuple[Ending, ...] = ()


class Tracker:
    """Reads one project per call; what it remembers is the state of the block."""

    def __init__(self, client: Client, reading: Reading, max_rows: int) -> None:
        self._client = client
        self._reading = reading
        self._max_rows = max_rows

    def track(self, attempt: Attempt[Tracking], entity: str, project: str, *, drifts: int) -> Tracked:
        """Bring the table up to date. `drifts`: in how many refreshes running it disagreed with the server's count."""
        moment = attempt.now.timestamp()
        tracking = _usable(attempt.state or Tracking(), moment)
        before = tracking.table
        crawl = tracking.crawl
        if crawl is None:
            crawl, tracking = self._begun(tracking, moment, drifts)
        tracking = replace(tracking, crawl=None)
        crawl = self._continued(attempt, entity, project, crawl, tracking)
        if crawl.cursor is not None:
            attempt.state = replace(tracking, crawl=crawl)
            attempt.resume()
            return Tracked(before)
        self._complain(attempt, crawl)
        table = self._joined(attempt, before, crawl)
        attempt.state = replace(tracking, table=table)
        return Tracked(table, tuple(endings(before, crawl.rows, OVERLAP)) if before else ())

    @property
    def _signature(self) -> str:
        return self._reading.signature(self._client.dialect.name)

    def _begun(self, tracking: Tracking, moment: float, drifts: int) -> tuple[Crawl, Tracking]:
        """Begin to read: changes where the table can be used, otherwise everything."""
        before = tracking.table
        base = before if before is not None and before.signature == self._signature else None
        reread_at = tracking.reread_at
        if base is not None and drifts >= DRIFT_REFRESHES and (reread_at is None or moment - reread_at >= DAY):
            base = None
            tracking = replace(tracking, reread_at=moment)
        known = before.live_ids if before else ()
        since = moment - WEEK if base is None else base.as_of - OVERLAP
        return Crawl(filters.changed(since, known), moment, full=base is None), tracking

    def _continued(
        self, attempt: Attempt[Tracking], entity: str, project: str, crawl: Crawl, tracking: Tracking
    ) -> Crawl:
        """Read pages until the end or the limit of a refresh; `cursor` of the result says where to go on."""
        if not self._client.dialect.heartbeat_filter:
            return self._read_by_order(attempt, entity, project, crawl, tracking.table)
        resumed = crawl.cursor is not None
        limit = len(crawl.rows) + self._max_rows
        try:
            for page in self._client.runs(entity, project, crawl.condition, after=crawl.cursor):
                crawl = crawl.joined(page, self._reading)
                if len(crawl.rows) >= limit:
                    break
        except Rejected:
            # A cursor that the server does not know any more must not be tried forever.
            if resumed:
                attempt.checkpoint(tracking)
            raise
        except SourceError as error:
            # A read of changes begins again: what it would go on with is old by then.
            if crawl.cursor is not None and (crawl.full or isinstance(error, OutOfBudget)):
                attempt.checkpoint(replace(tracking, crawl=crawl))
            raise
        if crawl.cursor is not None and len(crawl.rows) >= MAX_ROWS:
            return replace(crawl, cursor=None, cut=True)
        return crawl

    def _read_by_order(
        self, attempt: Attempt[Tracking], entity: str, project: str, crawl: Crawl, before: Table | None
    ) -> Crawl:
        """For servers that cannot filter by heartbeat: the latest heartbeats first, then the live and known runs."""
        since = crawl.begun - WEEK if crawl.full or before is None else before.as_of - OVERLAP
        for page in self._client.runs(entity, project, {}, filters.LATEST_HEARTBEAT_FIRST):
            crawl = crawl.joined(page, self._reading)
            if any(run.heartbeat is not None and run.heartbeat < since for run in page.rows):
                break
            if len(crawl.rows) >= self._max_rows:
                attempt.truncated(
                    f'more than {self._max_rows} runs changed: the others are left out (option `max_rows_per_refresh`)'
                )
                break
        for page in self._client.runs(entity, project, filters.live(before.live_ids if before else ())):
            crawl = crawl.joined(page, self._reading)
        return replace(crawl, cursor=None)

    def _complain(self, attempt: Attempt[Tracking], crawl: Crawl) -> None:
        if crawl.unreadable:
            attempt.problem('bad_payload', f'{crawl.unreadable} runs came without id, state or creation time: left out')
        if crawl.damaged:
            attempt.problem(
                'bad_payload', f'{crawl.damaged} runs came with a summary or configuration that is not JSON: left out'
            )

    def _joined(self, attempt: Attempt[Tracking], before: Table | None, crawl: Crawl) -> Table:
        rows = (row for row, _ in crawl.rows)
        if crawl.full or before is None:
            table = Table(kept(rows, crawl.begun), crawl.begun, crawl.begun, self._signature)
        else:
            table = updated(before, rows, crawl.begun, complete=not crawl.unreadable)
        if crawl.cut or len(table.rows) > MAX_ROWS:
            attempt.truncated(f'more than {MAX_ROWS} runs in 7 days: the figures cover the latest of them')
            return replace(table, rows=trimmed(table.rows))
        return table


def _usable(tracking: Tracking, moment: float) -> Tracking:
    """Return what is recent enough to go on with."""
    table, crawl = tracking.table, tracking.crawl
    # After a week's silence nothing of the table is left, and what ended in between is not news.
    if table is not None and table.as_of <= moment - WEEK:
        table = None
    if crawl is not None and moment - crawl.begun >= CRAWL_SECONDS:
        crawl = None
    return replace(tracking, table=table, crawl=crawl)
