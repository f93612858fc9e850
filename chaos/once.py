"""Counts, histograms and events that must arrive exactly once: what happened, followed from success to success."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox import Service

from .life import Entry
from .scenes import Amounts, Counted, add


@dataclass(slots=True)
class _Followed:
    """A counted block between two successes."""

    counted: Counted
    look: Any = None
    at: float | None = None
    # The clock was wrong at that time.
    is_dated_wrong: bool = False
    # Looks at the times of the runs since then, and whether the clock was wrong.
    looks: dict[float, tuple[Any, bool]] = field(default_factory=dict)
    # Runs whose amounts are not judged.
    unjudged: set[int] = field(default_factory=set)


class Once:
    """The amounts that are due, by series.

    expected: due since the beginning
    excused: those of them that may be missing
    """

    def __init__(self, counted: Iterable[Counted]) -> None:
        self.expected: Amounts = {}
        self.excused: Amounts = {}
        self._followed = [_Followed(one) for one in counted]

    def looks(self) -> dict[tuple[str, str], Any]:
        """Return the look at the last success of each block, by subject and block."""
        return {(one.counted.subject, one.counted.block): one.look for one in self._followed if one.at is not None}

    def forget(self) -> None:
        """Begin again: the instance has forgotten everything."""
        for one in self._followed:
            one.at = one.look = None
            one.is_dated_wrong = False
            one.looks = {}

    def follow(
        self, service: Service, run: int, moment: float, snapshot: Mapping[str, Any], *, is_dated_wrong: bool = False
    ) -> Amounts:
        """Add up the amounts that became due for the blocks that have succeeded since, and return them.

        Between two successes of which one came while the clock was wrong, windows miss things or reach too far: their
        amounts are not judged.
        """
        at = {(subject, block): values['refreshed_at'] for subject, block, values in snapshot['blocks']}
        due: Amounts = {}
        for one in self._followed:
            counted = one.counted
            one.looks[moment] = (counted.look(service), is_dated_wrong)
            read_at = at.get((counted.subject, counted.block))
            # A result that was fetched by a later run is dated by its request.
            if read_at is None or read_at == one.at or read_at > moment or read_at not in one.looks:
                continue
            look, is_dated_wrong_now = one.looks[read_at]
            one.looks = {then: known for then, known in one.looks.items() if then > read_at}
            if is_dated_wrong_now or one.is_dated_wrong:
                one.unjudged.add(run)
            elif one.at is not None:
                for (name, tags), value in counted.happened(one.look, look).items():
                    add(due, (name, (*counted.where, *tags)), value)
            one.look, one.at, one.is_dated_wrong = look, read_at, is_dated_wrong_now
        for key, value in due.items():
            add(self.expected, key, value)
        return due

    def excuse(self, due: Amounts, got: Amounts | None = None) -> float:
        """Excuse what is missing of amounts that were due. Returns the number of things, without sums of histograms."""
        number = 0.0
        for key, value in due.items():
            lost = max(0.0, value - (got or {}).get(key, 0))
            add(self.excused, key, lost)
            if not key[0].endswith(' sum'):
                number += lost
        return number

    def got(self, entries: Iterable[Entry]) -> Amounts:
        """Return the amounts that were submitted."""
        got: Amounts = {}
        for entry in entries:
            for one in self._followed:
                counted = one.counted
                name = counted.name_of(entry.kind, entry.name, entry.tags)
                if name is None:
                    continue
                if entry.run in one.unjudged:
                    break
                tags = (*counted.where, *sorted(tag for tag in entry.tags if tag.split(':')[0] in counted.tags))
                add(got, (name, tags), 1 if entry.kind == 'histogram' else entry.value)
                if entry.kind == 'histogram':
                    add(got, (f'{name} sum', tags), entry.value)
                break
        return {key: value for key, value in got.items() if value}
