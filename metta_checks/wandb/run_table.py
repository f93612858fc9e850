"""The table of runs that is kept between refreshes: live runs, and those that ended in the last 7 days.

A warm refresh reads only the runs that changed. The figures need all of them: the table has them, and shows which runs
have ended since the last refresh.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from ..core.stored import stored
from .records import ENDED_STATES, LIVE_STATES, Run, number_at
from .settings import Columns

WEEK = timedelta(days=7)
HOUR_SECONDS = 3600
MAX_ROWS = 20_000
# The last heartbeat may reach the server a little after the final state. A run that ends again within this time after
# its end has not ended twice.
SETTLE_SECONDS = 60


class RunRow(NamedTuple):
    """The columns of a run that the figures need. Times are seconds since the epoch: thousands of rows are stored.

    Attributes:
        id: the run id
        state: the state, in lower case
        created: when it was created
        heartbeat: the last heartbeat; None for runs that never sent one
        compute_seconds: the running time without pauses; None on servers that do not send it
        gpu_type: the type of its GPUs
        gpus: number of GPUs; None when the server does not send it
        run_type: the tag `run_type`; empty without rules
        numbers: the numbers of the summary, in the order of the configured keys
        name: the display name; empty for runs that are not live
    """

    id: str
    state: str
    created: float
    heartbeat: float | None
    compute_seconds: float | None
    gpu_type: str
    gpus: float | None
    run_type: str
    numbers: tuple[float | None, ...]
    name: str = ''

    @classmethod
    def of(cls, run: Run, columns: Columns) -> RunRow:
        """Return the row of a run."""
        return cls(
            id=run.id,
            state=run.state,
            created=run.created.timestamp(),
            heartbeat=None if run.heartbeat is None else run.heartbeat.timestamp(),
            compute_seconds=run.compute_seconds,
            gpu_type=run.gpu_type,
            gpus=run.gpus,
            run_type=columns.run_type(run),
            numbers=tuple(number_at(run.summary, key) for key in columns.keys),
            name=run.name if run.state in LIVE_STATES else '',
        )

    @property
    def live(self) -> bool:
        """True in a state that can still change, such as running or pending."""
        return self.state in LIVE_STATES

    @property
    def ended(self) -> bool:
        """True in a final state; False also for states that this source does not know."""
        return self.state in ENDED_STATES

    @property
    def end(self) -> float:
        """The last heartbeat in seconds since the epoch; the creation for runs that never sent one."""
        return self.created if self.heartbeat is None else self.heartbeat

    @property
    def running_seconds(self) -> float:
        """The running time; on servers that do not send it, the time from creation to the last heartbeat."""
        return max(0.0, self.end - self.created) if self.compute_seconds is None else self.compute_seconds

    def age_hours(self, now: datetime) -> float:
        """Return the hours since creation, never negative."""
        return max(0.0, now.timestamp() - self.created) / HOUR_SECONDS

    def ended_since(self, start: datetime) -> bool:
        """Return True when the run ended at `start` or later."""
        return self.ended and self.end >= start.timestamp()


class Ending(NamedTuple):
    """A run that has ended since the last refresh, and its user."""

    row: RunRow
    user: str


@stored
class RunTable:
    """The runs of a project at a point in time: live ones, and those that ended in the last 7 days.

    Attributes:
        rows: one row per run
        as_of: when the reading began, in seconds since the epoch; all changes up to then are in the table
        read_at: when all runs, not only changes, were read, in seconds since the epoch
        columns: fingerprint of the columns of the rows and the dialect that they were read with
    """

    rows: tuple[RunRow, ...]
    as_of: float
    read_at: float
    columns: str

    @property
    def live_ids(self) -> list[str]:
        """Ids of the live runs, to ask for by id: the server notices a crash late, long after the last heartbeat."""
        return sorted(row.id for row in self.rows if row.live)


def kept(rows: Iterable[RunRow], now: float) -> tuple[RunRow, ...]:
    """Return the rows that the figures need: live ones and those that ended in the 7 days before, each run once."""
    start = now - WEEK.total_seconds()
    return tuple({row.id: row for row in rows if row.live or (row.ended and row.end >= start)}.values())


def updated(before: RunTable, changed: Iterable[RunRow], now: float, *, complete: bool) -> RunTable:
    """Return the table with the runs that changed since `before`. `now` is when their reading began.

    The changes were read with the ids of all runs that were live before. A live run that is missing from a `complete`
    answer was deleted or moved away.
    """
    rows = {row.id: row for row in before.rows if not (complete and row.live)}
    rows.update((row.id, row) for row in changed)
    return RunTable(kept(rows.values(), now), now, before.read_at, before.columns)


def endings(before: RunTable, read: Iterable[tuple[RunRow, str]], overlap: float) -> list[Ending]:
    """Return the runs that have ended since `before`. A resumed run that ended again is one of them.

    Parameters:
        before: the table of the last refresh
        read: the runs that were read since, with their users
        overlap: seconds before `before.as_of` from which on changes were read
    """
    known = {row.id: row for row in before.rows}
    # An unknown run that ended before the overlap was moved into the project; it did not end now.
    earliest = before.as_of - overlap
    found = {}
    for row, user in read:
        if row.ended and _is_new_end(row, known.get(row.id), earliest):
            found[row.id] = Ending(row, user)
    return list(found.values())


def _is_new_end(row: RunRow, before: RunRow | None, earliest: float) -> bool:
    if before is None:
        return row.end >= earliest
    return not before.ended or row.end >= before.end + SETTLE_SECONDS


def trimmed(rows: tuple[RunRow, ...]) -> tuple[RunRow, ...]:
    """Return at most MAX_ROWS of the rows: the live ones and those that ended last."""
    if len(rows) <= MAX_ROWS:
        return rows
    return tuple(sorted(rows, key=lambda row: (not row.live, -row.end))[:MAX_ROWS])
