"""What is remembered of a project's runs between two refreshes: live runs, and those that ended in the last 7 days.

W&B tells what changed; the figures need what is. The table joins the two, and says which runs came to their end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..core.stored import stored
from .records import ENDED_STATES, LIVE_STATES, Run, number_at

WEEK = 7 * 86400
MAX_ROWS = 20_000
# The last heartbeat may reach the server a little after the final state; a run resumed for less than this counts once.
SETTLE_SECONDS = 60


class Row(NamedTuple):
    """One run, as small as its figures allow. A named tuple, because it is stored as a list."""

    id: str
    state: str
    created: float
    heartbeat: float | None
    compute: float | None
    gpu_type: str
    gpus: float | None
    run_type: str
    # In the order of `Reading.keys`.
    numbers: tuple[float | None, ...]
    # Only while the run is live.
    name: str = ''

    @property
    def live(self) -> bool:
        """True in a state that can still change, such as running or pending."""
        return self.state in LIVE_STATES

    @property
    def ended(self) -> bool:
        """True in a final state; false for states that this source does not know, too."""
        return self.state in ENDED_STATES

    @property
    def end(self) -> float:
        """Seconds since the epoch: the last sign of life, the creation for runs that never gave one."""
        return self.created if self.heartbeat is None else self.heartbeat

    @property
    def compute_seconds(self) -> float:
        """Running time; on servers that do not have it the time from creation to the last sign of life."""
        return max(0.0, self.end - self.created) if self.compute is None else self.compute


@dataclass(frozen=True, slots=True)
class RunType:
    """A rule of option `run_types`."""

    name: str
    field: str
    pattern: re.Pattern[str]

    def matches(self, run: Run) -> bool:
        """Whether the pattern is found in the field; in one of the tags for `tags`."""
        values = run.tags if self.field == 'tags' else (getattr(run, _ATTRIBUTES[self.field]),)
        return any(self.pattern.search(value) for value in values)


_ATTRIBUTES = {'display_name': 'name', 'group': 'group', 'job_type': 'job_type', 'sweep': 'sweep'}
RUN_TYPE_FIELDS = ('tags', *_ATTRIBUTES)
OTHER = 'other'


@dataclass(frozen=True, slots=True)
class Reading:
    """What of a run goes into its row. `signature` changes when rows made before cannot be used any more."""

    keys: tuple[str, ...]
    run_types: tuple[RunType, ...] = ()
    gpu_count_key: str | None = None

    def row(self, run: Run) -> Row:
        """The row of a run."""
        return Row(
            run.id,
            run.state,
            run.created,
            run.heartbeat,
            run.compute,
            run.gpu_type,
            run.gpus,
            self.run_type(run),
            tuple(number_at(run.summary, key) for key in self.keys),
            run.name if run.state in LIVE_STATES else '',
        )

    def run_type(self, run: Run) -> str:
        """The first rule that matches, else `other`; empty without rules."""
        if not self.run_types:
            return ''
        return next((rule.name for rule in self.run_types if rule.matches(run)), OTHER)

    def signature(self, dialect: str) -> str:
        """Identifies configuration and server dialect."""
        rules = [(rule.name, rule.field, rule.pattern.pattern) for rule in self.run_types]
        text = json.dumps([self.keys, rules, self.gpu_count_key, dialect])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Ending(NamedTuple):
    """A run that came to its end since the last refresh, and whose it was."""

    row: Row
    user: str


@stored
class Table:
    """The runs of a project as of a moment: live ones, and those that ended in the last 7 days.

    Attributes:
        rows: one per run
        as_of: when the read began; changes up to then are in
        read_at: when everything was read, not changes only
        signature: identifies the configuration and the dialect that the rows were made with
    """

    rows: tuple[Row, ...]
    as_of: float
    read_at: float
    signature: str

    @property
    def live_ids(self) -> list[str]:
        """Runs whose further fate must be asked for by name: a crash is noticed late, with a heartbeat long past."""
        return sorted(row.id for row in self.rows if row.live)

    def ended_since(self, start: float) -> list[Row]:
        """Rows that ended at `start` or later."""
        return [row for row in self.rows if row.ended and row.end >= start]


def kept(rows: Iterable[Row], moment: float) -> tuple[Row, ...]:
    """Rows that still matter at a moment: live ones and those that ended in the 7 days before, each run once."""
    start = moment - WEEK
    return tuple({row.id: row for row in rows if row.live or (row.ended and row.end >= start)}.values())


def updated(before: Table, changed: Iterable[Row], moment: float, *, complete: bool) -> Table:
    """The table after a read, begun at `moment`, of what changed since `before`.

    Every run that was live before was asked for by name: one that did not come back was deleted or moved away,
    unless the answer was not `complete`.
    """
    rows = {row.id: row for row in before.rows if not (complete and row.live)}
    rows.update((row.id, row) for row in changed)
    return Table(kept(rows.values(), moment), moment, before.read_at, before.signature)


def endings(before: Table, read: Iterable[tuple[Row, str]], overlap: float) -> list[Ending]:
    """Of the runs read, given with their users, those that ended since `before`; a resumed run that ended again is new.

    `overlap` is how many seconds before `before.as_of` changes are asked for: an unknown run that ended earlier than
    that was moved into the project, it did not end now.
    """
    known = {row.id: row for row in before.rows}
    found = {}
    for row, user in read:
        if not row.ended:
            continue
        old = known.get(row.id)
        if old is None:
            known_until = before.as_of - overlap
        else:
            known_until = old.end + SETTLE_SECONDS if old.ended else float('-inf')
        if row.end >= known_until:
            found[row.id] = Ending(row, user)
    return list(found.values())


def trimmed(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """At most MAX_ROWS of the rows: the live ones and those that ended last."""
    if len(rows) <= MAX_ROWS:
        return rows
    return tuple(sorted(rows, key=lambda row: (not row.live, -row.end))[:MAX_ROWS])
