"""The table of runs that is kept between refreshes: live runs, and those that ended in the last 7 days.

A warm refresh reads only the runs that changed. The figures need all of them: the table has them, and shows which runs
have ended since the last refresh.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from ..core.stored import stored
from .hardware import Hardware
from .records import ACTIVE_STATES, ENDED_STATES, LIVE_STATES, Run, number_at
from .settings import Columns
from .stretches import SETTLE_SECONDS, Stretch, extended, since

WEEK = timedelta(days=7)
HOUR_SECONDS = 3600
MAX_ROWS = 20_000


class RunRow(NamedTuple):
    """The columns of a run that the figures need. Times are seconds since the epoch: thousands of rows are stored.

    Attributes:
        id: the run id
        state: the state, in lower case
        created: when it was created
        heartbeat: the last heartbeat; None for runs that never sent one
        end: the last sign of life; that of a run that was recorded offline is earlier than its heartbeat
        running_seconds: the running time without pauses; on servers that do not send it, the time from beginning to end
        hardware: its GPUs
        run_type: the tag `run_type`; empty without rules
        numbers: the numbers of the summary, in the order of the configured keys
        stretches: the times in which it worked
        measured: True when the server measures the running time, so that pauses show in it
        name: the display name; empty for runs that are not live
        user: the user; empty without option `by_user`
        group: the group; empty without option `by_group`
    """

    id: str
    state: str
    created: float
    heartbeat: float | None
    end: float
    running_seconds: float
    hardware: Hardware
    run_type: str
    numbers: tuple[float | None, ...]
    stretches: tuple[Stretch, ...]
    measured: bool = True
    name: str = ''
    user: str = ''
    group: str = ''

    @classmethod
    def of(cls, run: Run, columns: Columns) -> RunRow:
        """Return the row of a run that is seen for the first time."""
        times = run.times
        running = times.running_seconds
        if running is None:
            running = max(0.0, times.end - times.begin)
        return cls(
            id=run.id,
            state=run.state,
            created=run.created.timestamp(),
            heartbeat=None if run.heartbeat is None else run.heartbeat.timestamp(),
            end=times.end,
            running_seconds=running,
            hardware=columns.hardware(run.hardware),
            run_type=columns.run_type(run),
            numbers=tuple(number_at(run.summary, key) for key in columns.keys),
            stretches=(Stretch(times.begin, times.end, running),),
            measured=times.running_seconds is not None,
            name=run.name if run.state in LIVE_STATES else '',
            user=run.user if columns.by_user else '',
            group=run.group if columns.by_group else '',
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
    def active(self) -> bool:
        """True for a run that works, also while its machine is being taken away."""
        return self.state in ACTIVE_STATES

    def continued(self, before: RunRow | None, since: float | None) -> RunRow:
        """Return the row with what `before`, the row of the last refresh, tells about its pauses.

        `since` is the time of the last refresh; None when all runs are read. A run that was not in the table then
        although it is older was resumed after that.
        """
        if before is not None and before.measured != self.measured:
            # The server has been replaced: the running times do not compare.
            return self
        if before is not None and (self.measured or since is None or not self._resumed(before)):
            growth = max(0.0, self.running_seconds - before.running_seconds)
            return self._replace(stretches=extended(before.stretches, self.end, growth))
        if since is None or self.created >= since or self.end <= since:
            return self
        stretch = Stretch(since, self.end, min(self.running_seconds, self.end - since))
        return self._replace(stretches=(*(before.stretches if before is not None else ()), stretch))

    def _resumed(self, before: RunRow) -> bool:
        return before.ended and self.end > before.end + SETTLE_SECONDS

    def age_hours(self, now: datetime) -> float:
        """Return the hours since creation, never negative."""
        return max(0.0, now.timestamp() - self.created) / HOUR_SECONDS

    def heard_since(self, start: float) -> bool:
        """Return True when the server heard of the run at `start`, in seconds since the epoch, or later."""
        return (self.created if self.heartbeat is None else self.heartbeat) >= start

    def ended_since(self, start: datetime) -> bool:
        """Return True when the run ended at `start` or later."""
        return self.ended and self.end >= start.timestamp()


class Gap(NamedTuple):
    """Runs that could not be read.

    Attributes:
        reason: why
        until: when the last of them leaves the window of the figures, in seconds since the epoch
    """

    reason: str
    until: float


@stored
class RunTable:
    """The runs of a project at a point in time: live ones, and those that ended in the last 7 days.

    Attributes:
        rows: one row per run
        as_of: when the reading began, in seconds since the epoch; all changes up to then are in the table
        read_at: when all runs, not only changes, were read, in seconds since the epoch
        columns: fingerprint of the columns of the rows and the dialect that they were read with
        gap: runs that are not there; None when all are
    """

    rows: tuple[RunRow, ...]
    as_of: float
    read_at: float
    columns: str
    gap: Gap | None = None

    @property
    def live_ids(self) -> list[str]:
        """Ids of the live runs, to ask for by id: the server notices a crash late, long after the last heartbeat."""
        return sorted(row.id for row in self.rows if row.live)

    def lacking(self, reason: str) -> RunTable:
        """Return the table with the note that it lacks runs, which ended before `as_of`."""
        return replace(self, gap=Gap(reason, self.as_of + WEEK.total_seconds()))


def kept(rows: Iterable[RunRow], now: float) -> tuple[RunRow, ...]:
    """Return the rows that the figures need: live ones, and ended ones that were heard of in the 7 days before.

    Each run is there once.
    """
    start = now - WEEK.total_seconds()
    return tuple(
        {
            row.id: row if len(row.stretches) == 1 else row._replace(stretches=since(row.stretches, start))
            for row in rows
            if row.live or (row.ended and row.heard_since(start))
        }.values()
    )


def updated(before: RunTable, changed: Iterable[RunRow], now: float, *, complete: bool) -> RunTable:
    """Return the table with the runs that changed since `before`. `now` is when their reading began.

    The changes were read with the ids of all runs that were live before. A live run that is missing from a `complete`
    answer was deleted or moved away.
    """
    known = {row.id: row for row in before.rows}
    rows = {row.id: row for row in before.rows if not (complete and row.live)}
    rows.update((row.id, row.continued(known.get(row.id), before.as_of)) for row in changed)
    gap = before.gap if before.gap is not None and now < before.gap.until else None
    return RunTable(kept(rows.values(), now), now, before.read_at, before.columns, gap)


def reread(before: RunTable | None, read: Iterable[RunRow], now: float, columns: str) -> RunTable:
    """Return a table of all runs. The pauses of the runs in `before` stay known."""
    known = {row.id: row for row in before.rows} if before is not None else {}
    rows = (row.continued(known.get(row.id), None) for row in read)
    return RunTable(kept(rows, now), now, now, columns)


def endings(before: RunTable, read: Iterable[RunRow], overlap: float) -> list[RunRow]:
    """Return the runs that have ended since `before`. A resumed run that ended again is one of them.

    Parameters:
        before: the table of the last refresh
        read: the runs that were read since
        overlap: seconds before `before.as_of` from which on changes were read
    """
    known = {row.id: row for row in before.rows}
    # An unknown run that was heard of before the overlap was moved into the project; it did not end now.
    earliest = before.as_of - overlap
    return list({row.id: row for row in read if row.ended and _is_new_end(row, known.get(row.id), earliest)}.values())


def _is_new_end(row: RunRow, before: RunRow | None, earliest: float) -> bool:
    if before is None:
        # A run that was recorded offline and is sent weeks after its end did not end now.
        return row.heard_since(earliest) and row.end >= earliest - WEEK.total_seconds()
    return not before.ended or row.end >= before.end + SETTLE_SECONDS


def trimmed(rows: tuple[RunRow, ...]) -> tuple[RunRow, ...]:
    """Return at most MAX_ROWS of the rows: the live ones and those that ended last."""
    if len(rows) <= MAX_ROWS:
        return rows
    return tuple(sorted(rows, key=lambda row: (not row.live, -row.end))[:MAX_ROWS])
