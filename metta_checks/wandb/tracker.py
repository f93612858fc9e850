"""Keeps the table of runs of a project up to date, with as few pages as possible.

Cold, it reads the live runs and those of the last 7 days; warm, only what gave a sign of life since the last
refresh. A read too large for one refresh goes on in the next run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import OutOfBudget, Rejected, SourceError
from ..paging import Page
from ..refresh import Attempt
from . import filters
from .client import Client
from .filters import Filter
from .records import Run
from .table import MAX_ROWS, WEEK, Ending, Reading, Row, Table, endings, kept, trimmed, updated

DAY = 86400
# Of the remembered state; another one means a cold read.
FORMAT = 1
# Changes are asked for from a little before the last refresh: clocks differ, and heartbeats are written late.
OVERLAP = 600
# How long a read may go on over several runs before it begins anew.
CRAWL_SECONDS = 3600
# Refreshes in which the server's count of ended runs may differ from the table before everything is read again.
DRIFT_REFRESHES = 2


@dataclass(slots=True)
class _Read:
    """A read under way: what has come so far."""

    condition: Filter
    begun: float
    full: bool
    cursor: str | None = None
    rows: list[tuple[Row, str]] = field(default_factory=list)
    unreadable: int = 0
    damaged: int = 0
    # Stopped for good before the end.
    cut: bool = False

    def take(self, page: Page[Run], reading: Reading) -> None:
        """Add a page."""
        self.rows += [(reading.row(run), run.user) for run in page.rows]
        self.unreadable += page.unreadable
        self.damaged += sum(run.damaged for run in page.rows)
        self.cursor = page.cursor

    def dump(self) -> dict[str, Any]:
        """JSON value."""
        return {
            'condition': self.condition,
            'begun': self.begun,
            'full': self.full,
            'cursor': self.cursor,
            'rows': [[list(row), user] for row, user in self.rows],
            'unreadable': self.unreadable,
            'damaged': self.damaged,
            'cut': self.cut,
        }

    @classmethod
    def load(cls, document: dict[str, Any]) -> _Read:
        """What `dump` returned."""
        return cls(**{**document, 'rows': [(Row(*row), user) for row, user in document['rows']]})


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

    def track(self, attempt: Attempt[Any], entity: str, project: str, *, drifts: int) -> Tracked:
        """Bring the table up to date. `drifts`: in how many refreshes running it disagreed with the server's count."""
        moment = attempt.now.timestamp()
        state = attempt.state if attempt.state and attempt.state.get('format') == FORMAT else {}
        before = self._table(state, moment)
        read = self._resumed(state, moment)
        reread_at = state.get('reread_at')
        if read is None:
            base = before if before is not None and before.signature == self._signature else None
            if base is not None and drifts >= DRIFT_REFRESHES and (reread_at is None or moment - reread_at >= DAY):
                base = None
                reread_at = moment
            known = before.live_ids if before else ()
            since = moment - WEEK if base is None else base.as_of - OVERLAP
            read = _Read(filters.changed(since, known), moment, full=base is None)
        remembered = {'format': FORMAT, 'table': before.dump() if before else None, 'reread_at': reread_at}
        self._continue(attempt, entity, project, read, before, remembered)
        if read.cursor is not None:
            attempt.state = {**remembered, 'read': read.dump()}
            attempt.resume()
            return Tracked(before)
        self._complain(attempt, read)
        table = self._joined(attempt, before, read)
        attempt.state = {**remembered, 'table': table.dump()}
        return Tracked(table, tuple(endings(before, read.rows, OVERLAP)) if before else ())

    @property
    def _signature(self) -> str:
        return self._reading.signature(self._client.dialect.name)

    @staticmethod
    def _table(state: dict[str, Any], moment: float) -> Table | None:
        document = state.get('table')
        if document is None:
            return None
        table = Table.load(document)
        # After a week's silence nothing of the table is left, and what ended in between is not news.
        return table if table.as_of > moment - WEEK else None

    @staticmethod
    def _resumed(state: dict[str, Any], moment: float) -> _Read | None:
        document = state.get('read')
        return _Read.load(document) if document and moment - document['begun'] < CRAWL_SECONDS else None

    def _continue(
        self,
        attempt: Attempt[Any],
        entity: str,
        project: str,
        read: _Read,
        before: Table | None,
        remembered: dict[str, Any],
    ) -> None:
        """Read pages until the end or the limit of a refresh; `read.cursor` says where to go on."""
        if not self._client.dialect.heartbeat_filter:
            self._read_by_order(attempt, entity, project, read, before)
            return
        resumed = read.cursor is not None
        limit = len(read.rows) + self._max_rows
        try:
            for page in self._client.runs(entity, project, read.condition, after=read.cursor):
                read.take(page, self._reading)
                if len(read.rows) >= limit:
                    break
        except Rejected:
            # A cursor that the server does not know any more must not be tried for ever.
            if resumed:
                attempt.checkpoint(remembered)
            raise
        except SourceError as error:
            # A read of changes begins anew: what it would go on with is old by then.
            if read.cursor is not None and (read.full or isinstance(error, OutOfBudget)):
                attempt.checkpoint({**remembered, 'read': read.dump()})
            raise
        if read.cursor is not None and len(read.rows) >= MAX_ROWS:
            read.cursor = None
            read.cut = True

    def _read_by_order(
        self, attempt: Attempt[Any], entity: str, project: str, read: _Read, before: Table | None
    ) -> None:
        """For servers that cannot filter by heartbeat: the latest heartbeats first, then the live and known runs."""
        since = read.begun - WEEK if read.full or before is None else before.as_of - OVERLAP
        for page in self._client.runs(entity, project, {}, filters.LATEST_HEARTBEAT_FIRST):
            read.take(page, self._reading)
            if any(run.heartbeat is not None and run.heartbeat < since for run in page.rows):
                break
            if len(read.rows) >= self._max_rows:
                attempt.truncated(
                    f'more than {self._max_rows} runs changed: the others are left out (option `max_rows_per_refresh`)'
                )
                break
        for page in self._client.runs(entity, project, filters.live(before.live_ids if before else ())):
            read.take(page, self._reading)
        read.cursor = None

    def _complain(self, attempt: Attempt[Any], read: _Read) -> None:
        if read.unreadable:
            attempt.problem('bad_payload', f'{read.unreadable} runs came without id, state or creation time: left out')
        if read.damaged:
            attempt.problem(
                'bad_payload', f'{read.damaged} runs came with a summary or configuration that is not JSON: left out'
            )

    def _joined(self, attempt: Attempt[Any], before: Table | None, read: _Read) -> Table:
        rows: Iterable[Row] = (row for row, _ in read.rows)
        if read.full or before is None:
            table = Table(kept(rows, read.begun), read.begun, read.begun, self._signature)
        else:
            table = updated(before, rows, read.begun, complete=not read.unreadable)
        if read.cut or len(table.rows) > MAX_ROWS:
            attempt.truncated(f'more than {MAX_ROWS} runs in 7 days: the figures cover the latest of them')
            return Table(trimmed(table.rows), table.as_of, table.read_at, table.signature)
        return table
