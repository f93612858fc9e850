"""What was submitted, held against the truth. A value is right or absent; everything else is a finding."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .scenes import Scene

SELF_METRICS = 'metta.collector.'
# After so many refresh intervals, and at least so many seconds, a block that cannot be read falls silent.
KEEP_INTERVALS, KEEP_SECONDS = 3, 180
OK, CRITICAL = 0, 2
# Truths are kept for so many seconds longer than anything is shown.
KEPT = 20 * 3600

Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be. `run` and `seed` repeat it: `python -m chaos SOURCE --seed SEED`."""

    kind: str
    source: str
    run: int
    seed: str
    metric: str
    tags: tuple[str, ...] = ()
    ours: Any = None
    truth: Any = None
    more: str = ''

    def line(self) -> str:
        """One line for people."""
        what = f'{self.metric} {{{",".join(self.tags)}}}' if self.tags else self.metric
        more = f' ({self.more})' if self.more else ''
        return (
            f'{self.kind}: {self.source} run {self.run} seed {self.seed}: {what}: '
            f'ours {self.ours}, truth {self.truth}{more}'
        )


@dataclass(slots=True)
class Tally:
    """The figures of a trial. Tallies of several can be added up."""

    runs: int = 0
    refreshes: int = 0
    struck: int = 0
    failed: int = 0
    values: int = 0
    # Values that rest on older readings, within the truths of that time.
    aged: int = 0
    kills: int = 0
    window_kills: int = 0
    window_lost: float = 0
    lives: int = 0
    counted: float = 0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    uncovered: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            key: sorted(value) if isinstance(value, set) else dict(value) if isinstance(value, Counter) else value
            for key, value in values.items()
        }


def same(one: float, other: float) -> bool:
    """Equal but for the last digits of a float."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


class Judge:
    """Holds the runs of one instance against the truths of their instants."""

    def __init__(self, source: str, seed: str, scene: Scene, intervals: Mapping[str, float]) -> None:
        self.tally = Tally()
        self.findings: list[Finding] = []
        self._source = source
        self._seed = seed
        self._interval = scene.interval
        self._aged = scene.aged
        # Rhythms of blocks that are slower than the refresh, in seconds.
        self._intervals = intervals
        self._unknown_tags = set(scene.unknown_tags)
        self._truths: dict[float, dict[Key, float]] = {}
        self._known: set[str] = set()

    def find(self, kind: str, run: int, metric: str, **more: Any) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, self._source, run, self._seed, metric, **more))

    # Gauges.

    def learn(self, moment: float, truth: Iterable[tuple[str, tuple[str, ...], float]]) -> None:
        """What is true at an instant."""
        figures = {(name, tuple(sorted(tags))): value for name, tags, value in truth}
        self._truths[moment] = figures
        self._known |= {name for name, _ in figures}
        oldest = moment - KEEP_INTERVALS * max([self._interval, *self._intervals.values()]) - KEPT
        for old in [known for known in self._truths if known < oldest]:
            del self._truths[old]

    def gauges(
        self, run: int, moment: float, submitted: Iterable[tuple[str, float, list[str]]], snapshot: Mapping[str, Any]
    ) -> None:
        """Every gauge of a run: equal to the truth of the instant its block was last read at, and not too old."""
        origins = {
            (name, tuple(sorted(tags))): (block, values['refreshed_at'])
            for _, block, values in snapshot['blocks']
            for name, _, tags in values['gauges']
        }
        seen: set[Key] = set()
        for name, value, tags in submitted:
            key = (name, tuple(tags))
            if key in seen:
                self.find('doubled gauge', run, name, tags=key[1], ours=value)
            seen.add(key)
            if name.startswith(SELF_METRICS):
                continue
            self.tally.names.add(name)
            if key not in origins:
                self.find('wrong value', run, name, tags=key[1], ours=value, more='in no block of the snapshot')
                continue
            self._gauge(run, moment, key, value, *origins[key])

    def _gauge(self, run: int, moment: float, key: Key, value: float, block: str, read_at: float) -> None:
        name, tags = key
        keep = max(KEEP_INTERVALS * self._interval, KEEP_SECONDS, KEEP_INTERVALS * self._intervals.get(block, 0))
        if not 0 <= moment - read_at <= keep:
            self.find('stale value', run, name, tags=tags, ours=f'{moment - read_at:.0f} s old', truth=f'{keep:.0f} s')
        truth = self._truths.get(read_at)
        if truth is None:
            self.find('wrong value', run, name, tags=tags, ours=value, more='of an instant at which nothing ran')
            return
        if key not in truth:
            key = (name, tuple(sorted({*tags, *self._unknown_tags})))
        if key in truth:
            self.tally.values += 1
            if not same(truth[key], value) and not self._is_of_before(key, value, read_at, block):
                kind = 'invented zero' if value == 0 else 'wrong value'
                age = f'block {block}, read {moment - read_at:.0f} s before'
                self.find(kind, run, name, tags=tags, ours=value, truth=truth[key], more=age)
        elif name in self._known:
            kind = 'invented zero' if value == 0 else 'wrong value'
            self.find(kind, run, name, tags=tags, ours=value, truth='absent', more=f'block {block}')
        else:
            self.tally.uncovered.add(name)

    def _is_of_before(self, key: Key, value: float, read_at: float, block: str) -> bool:
        """Whether a value lies within the truths of the time before, for figures that rest on several readings."""
        seconds = max(self._aged.get(block, 0.0), self._aged.get(key[0], 0.0))
        known = [figures[key] for at, figures in self._truths.items() if 0 < read_at - at <= seconds and key in figures]
        known.append(self._truths[read_at][key])
        if seconds and min(known) - 1e-6 <= value <= max(known) + 1e-6:
            self.tally.aged += 1
            return True
        return False

    # What the collector says of itself.

    def itself(self, run: int, report: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """`up`, `errors` and the service check agree with what became of the blocks."""
        up = [value for name, value, _ in report['gauges'] if name == 'metta.collector.up']
        status = report['service_check'][0] if report['service_check'] else None
        broken = bool(report['error'])
        if up != [0 if broken else 1]:
            self.find('self-metric', run, 'metta.collector.up', ours=up, truth=int(not broken))
        if broken != (status == CRITICAL):
            self.find('self-metric', run, 'metta.can_connect', ours=status, truth=report['error'])
        counted = {
            tag.removeprefix('block:')
            for name, value, tags in report['once']
            if name == 'metta.collector.errors' and value > 0
            for tag in tags
            if tag.startswith('block:')
        }
        old = {(subject, block): values['failures'] for subject, block, values in before.get('blocks', ())}
        failed = {
            block
            for subject, block, values in after.get('blocks', ())
            if values['failures'] > old.get((subject, block), 0)
        }
        for block in failed - counted:
            self.find('self-metric', run, 'metta.collector.errors', tags=(f'block:{block}',), ours=0, truth='> 0')
        if failed and status == OK:
            self.find('self-metric', run, 'metta.can_connect', ours='OK', truth=f'failed: {", ".join(sorted(failed))}')
        self.tally.failed += bool(failed)

    # Time and memory.

    def time(self, run: int, seconds: float, allowed: float) -> None:
        """A refresh ends within its budget."""
        self.tally.slowest = max(self.tally.slowest, seconds)
        if seconds > allowed:
            self.find('hang', run, 'refresh', ours=f'{seconds:.1f} s', truth=f'at most {allowed:.1f} s')

    def memory(self, run: int, early: float, late: float, allowed: float) -> None:
        """Memory does not grow."""
        if late - early > allowed:
            self.find('memory', run, 'resident', ours=f'{late - early:+.1f} MiB', truth=f'at most {allowed:.1f} MiB')

    # Counts, histograms and events.

    def totals(
        self, run: int, expected: Mapping[Key, float], got: Mapping[Key, float], *, excused: Mapping[Key, float]
    ) -> None:
        """Everything that happened was submitted exactly once. `excused`: what kills between persisting and submitting
        took, which may be missing, but never be there twice."""
        for key in sorted(expected.keys() | got.keys()):
            name, tags = key
            want, have = expected.get(key, 0), got.get(key, 0)
            self.tally.counted += have
            if same(want, have):
                continue
            if have > want:
                self.find('doubled', run, name, tags=tags, ours=have, truth=want)
            elif have < want - excused.get(key, 0) and not same(have, want - excused.get(key, 0)):
                self.find('lost', run, name, tags=tags, ours=have, truth=want)


def read_snapshot(text: str) -> dict[str, Any]:
    """The persisted document; without blocks while there is none."""
    return json.loads(text) if text else {'blocks': [], 'refreshed_at': None, 'written_at': None}
