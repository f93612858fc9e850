"""Judges of a trial: a submitted value is equal to the truth or absent; everything else is a violation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from metta_checks.core.points import Point
from metta_checks.testing import SELF_METRICS, Key, Run, is_same

from .scenes import Scene

# Block that cannot be read is silent after this number of refresh intervals, and at least of seconds.
KEEP_INTERVALS, KEEP_SECONDS = 3, 180
OK, CRITICAL = 0, 2
# Results of a diagnosis, as the toolkit numbers them.
FAILURE, UNEXPECTED = 1, 3
# Failures of a diagnosis without a fault: the machine is busy, or a wait from an earlier run goes on.
EXCUSED = ('gave no answer', 'nothing is sent before')
# A refresh may take this much memory above idle, in MiB: the bound of any answer.
PEAK_MIB = 300.0
# Reasons of failures that a run without faults may show: a busy machine, a wait, or another block that failed.
PATIENT_REASONS = frozenset({'timeout', 'budget', 'rate_limit', 'dependency', 'truncated'})
# The tag of failures by a defect of the check.
UNEXPECTED_REASON = 'reason:internal'
# Truths are kept for this number of seconds longer than any value is shown.
KEPT = 20 * 3600


@dataclass(frozen=True, slots=True)
class Violation:
    """A wrong value. `python -m chaos SOURCE --seed SEED` repeats it, in the run of that number."""

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
        """Return the violation as one line."""
        what = f'{self.metric} {{{",".join(self.tags)}}}' if self.tags else self.metric
        more = f' ({self.more})' if self.more else ''
        return (
            f'{self.kind}: {self.source} run {self.run} seed {self.seed}: {what}: '
            f'ours {self.ours}, truth {self.truth}{more}'
        )


@dataclass(frozen=True, slots=True)
class Stated:
    """Everything that a run says about the state of the instance."""

    up: tuple[float, ...]
    level: int | None
    message: str
    error: str
    warnings: tuple[str, ...]

    @classmethod
    def by(cls, ran: Run) -> Stated:
        """Return the statements of a run."""
        up = tuple(point.value for point in ran.points if point.name == 'metta.collector.up')
        return cls(up, ran.status, ran.message, ran.error, tuple(ran.warnings))


@dataclass(slots=True)
class Tally:
    """The figures of a trial. Tallies can be added."""

    runs: int = 0
    refreshes: int = 0
    struck: int = 0
    failed: int = 0
    values: int = 0
    # Values that combine older readings, within the range of the truths of that time.
    aged: int = 0
    kills: int = 0
    window_kills: int = 0
    window_lost: float = 0
    lives: int = 0
    counted: float = 0
    slowest: float = 0.0
    # The largest memory above idle, in MiB.
    peak: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    # Restarts, by the state of health before them; jumps of the clock; connections that were dropped silently.
    restarts: Counter[str] = field(default_factory=Counter)
    jumps: int = 0
    drops: int = 0
    # Diagnoses that another thread asked for during runs.
    diagnoses: int = 0
    uncovered: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def document(self) -> dict[str, Any]:
        """Return the figures as a JSON value."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            key: sorted(value) if isinstance(value, set) else dict(value) if isinstance(value, Counter) else value
            for key, value in values.items()
        }


class Judge:
    """Compares the runs of one instance with the truth at their times."""

    def __init__(self, source: str, seed: str, scene: Scene, intervals: Mapping[str, float]) -> None:
        self.tally = Tally()
        self.findings: list[Violation] = []
        self._source = source
        self._seed = seed
        self._interval = scene.interval
        self._aged = scene.aged
        self._outages = scene.outages
        # Intervals of blocks that are longer than the refresh interval, in seconds.
        self._intervals = intervals
        self._unknown_tags = set(scene.unknown_tags)
        self._truths: dict[float, dict[Key, float]] = {}
        self._known: set[str] = set()
        # Instants of a wrong clock: nobody knows the truth of the figures that are read at one.
        self._wrong: set[float] = set()
        self._stated: Stated | None = None

    def find(self, kind: str, run: int, metric: str, **more: Any) -> None:
        """Record a violation."""
        self.findings.append(Violation(kind, self._source, run, self._seed, metric, **more))

    # Gauges.

    def learn(self, moment: float, truth: Mapping[Key, float]) -> None:
        """Remember the truth at a time."""
        self._truths[moment] = dict(truth)
        self._known |= {name for name, _ in truth}
        oldest = moment - KEEP_INTERVALS * max([self._interval, *self._intervals.values()]) - KEPT
        for old in [known for known in self._truths if known < oldest]:
            del self._truths[old]

    def distrust(self, moment: float) -> None:
        """Note that the clock is wrong at an instant."""
        self._wrong.add(moment)

    def keep_seconds(self, block: str) -> float:
        """Return the age up to which figures of a block may be shown."""
        return max(KEEP_INTERVALS * self._interval, KEEP_SECONDS, KEEP_INTERVALS * self._intervals.get(block, 0))

    def gauges(self, run: int, moment: float, submitted: Iterable[Point], snapshot: Mapping[str, Any]) -> None:
        """Judge the gauges of a run: equal to the truth at the time when their block was read, and not too old."""
        origins = {
            (name, tuple(sorted(tags))): (block, values['refreshed_at'])
            for _, block, values in snapshot['blocks']
            for name, _, tags in values['gauges']
        }
        seen: set[Key] = set()
        for point in submitted:
            key = (point.name, point.tags)
            if key in seen:
                self.find('doubled gauge', run, point.name, tags=point.tags, ours=point.value)
            seen.add(key)
            if point.name.startswith(SELF_METRICS):
                continue
            self.tally.names.add(point.name)
            if key not in origins:
                more = 'in no block of the snapshot'
                self.find('wrong value', run, point.name, tags=point.tags, ours=point.value, more=more)
                continue
            self._gauge(run, moment, key, point.value, *origins[key])

    def _gauge(self, run: int, moment: float, key: Key, value: float, block: str, read_at: float) -> None:
        name, tags = key
        keep = self.keep_seconds(block)
        if not 0 <= moment - read_at <= keep:
            self.find('stale value', run, name, tags=tags, ours=f'{moment - read_at:.0f} s old', truth=f'{keep:.0f} s')
        truth = self._truths.get(read_at)
        if read_at in self._wrong:
            return
        if truth is None:
            self.find('wrong value', run, name, tags=tags, ours=value, more='of an instant at which nothing ran')
            return
        if key not in truth:
            key = (name, tuple(sorted({*tags, *self._unknown_tags})))
        if key in truth:
            self.tally.values += 1
            if not is_same(truth[key], value) and not self._is_of_before(key, value, read_at, block):
                kind = 'invented zero' if value == 0 else 'wrong value'
                age = f'block {block}, read {moment - read_at:.0f} s before'
                self.find(kind, run, name, tags=tags, ours=value, truth=truth[key], more=age)
        elif name in self._known:
            kind = 'invented zero' if value == 0 else 'wrong value'
            self.find(kind, run, name, tags=tags, ours=value, truth='absent', more=f'block {block}')
        else:
            self.tally.uncovered.add(name)

    def _is_of_before(self, key: Key, value: float, read_at: float, block: str) -> bool:
        """Return whether a figure that combines several readings lies about the truths of the preceding time."""
        seconds = max(self._aged.get(block, 0.0), self._aged.get(key[0], 0.0))
        known = [figures[key] for at, figures in self._truths.items() if 0 < read_at - at <= seconds and key in figures]
        known.append(self._truths[read_at][key])
        # Parts that were read at different times may have moved in opposite directions.
        lowest, highest = min(known), max(known)
        margin = highest - lowest + 1e-6
        if seconds and lowest - margin <= value <= highest + margin:
            self.tally.aged += 1
            return True
        return False

    # Self-metrics of the collector.

    def itself(self, run: int, ran: Run, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Judge `up`, `errors` and the service check: they agree with the results of the blocks."""
        up = [point.value for point in ran.points if point.name == 'metta.collector.up']
        broken = bool(ran.error)
        if up != [0 if broken else 1]:
            self.find('self-metric', run, 'metta.collector.up', ours=up, truth=int(not broken))
        if broken != (ran.status == CRITICAL):
            self.find('self-metric', run, 'metta.can_connect', ours=ran.status, truth=ran.error)
        counted = {
            tag.removeprefix('block:')
            for point in ran.points
            if point.name == 'metta.collector.errors' and point.value > 0
            for tag in point.tags
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
        if failed and ran.status == OK:
            self.find('self-metric', run, 'metta.can_connect', ours='OK', truth=f'failed: {", ".join(sorted(failed))}')
        self.tally.failed += bool(failed)
        self._unexpected(run, ran)

    def _unexpected(self, run: int, ran: Run) -> None:
        """Judge the reasons of failures: whatever the service does, none is an error that the check does not know."""
        for point in ran.points:
            if point.name == 'metta.collector.errors' and UNEXPECTED_REASON in point.tags:
                block = next(tag.removeprefix('block:') for tag in point.tags if tag.startswith('block:'))
                self.find('unexpected error', run, block, ours=point.value, truth=0, more=ran.message)

    def take_over(self, other: Judge) -> None:
        """Expect the figures and the status of another instance, with whose snapshot this one begins."""
        self._truths = dict(other._truths)
        self._stated = other._stated

    def status(
        self,
        run: int,
        ran: Run,
        snapshot: Mapping[str, Any],
        *,
        refreshed: bool,
        unseen: bool,
        ignored: Collection[str] = (),
    ) -> None:
        """Judge the status of a run that did not refresh: it equals the one before, whatever happened in between.

        `unseen`: a refresh ended in a process that was killed before it said how. `ignored`: warnings that do not
        concern the refresh.
        """
        stated = Stated.by(ran)
        stated = replace(stated, warnings=tuple(warning for warning in stated.warnings if warning not in ignored))
        if not refreshed and not unseen and self._stated not in (None, stated):
            self.find('status lie', run, 'metta.can_connect', ours=stated, truth=self._stated)
        self._stated = stated
        failed = sorted({block for _, block, values in snapshot['blocks'] if values['failures'] > 0})
        if failed and ran.status == OK:
            self.find('status lie', run, 'metta.can_connect', ours='OK', truth=f'failed: {", ".join(failed)}')

    def needless(self, run: int, ran: Run) -> None:
        """Judge a run without faults: no block fails in it, unless the service itself refuses it."""
        for point in ran.points:
            if point.name != 'metta.collector.errors':
                continue
            pairs = dict(tag.split(':', 1) for tag in point.tags)
            block, reason, number = pairs['block'], pairs['reason'], point.value
            if reason not in PATIENT_REASONS and not (reason == 'http_5xx' and block in self._outages):
                self.find(
                    'needless failure', run, block, ours=f'{reason} ({number:g})', truth='no fault', more=ran.message
                )

    def diagnoses(self, run: int, results: Collection[tuple[int, str]], *, calm: bool) -> None:
        """Judge diagnoses that were made during a run: no unexpected error, and without faults no failure."""
        self.tally.diagnoses += len(results)
        for result, text in results:
            if result == UNEXPECTED or (calm and result == FAILURE and not any(excuse in text for excuse in EXCUSED)):
                self.find('diagnosis', run, 'diagnose', ours=text, truth='no fault' if calm else 'a finding')
        if not results:
            self.find('diagnosis', run, 'diagnose', ours='none', truth='findings')

    def foreign(self, run: int, points: Iterable[Point], shown: tuple[str, str]) -> None:
        """Judge an instance that shows a part of a service: tags of that key have that value."""
        key, value = shown
        for point in points:
            for tag in point.tags:
                if tag.startswith(f'{key}:') and tag != f'{key}:{value}':
                    self.find('foreign series', run, point.name, tags=point.tags, ours=point.value, truth='absent')

    def exchanges(self, run: int, *, swallowed: int, strays: int) -> None:
        """Judge the requests of a run: none on a dropped connection, none to another host, none without TLS."""
        if swallowed:
            self.find('dropped connection', run, 'requests', ours=swallowed, truth=0)
        if strays:
            self.find('stray request', run, 'requests', ours=strays, truth=0)

    def recovery(self, run: int, moment: float, snapshot: Mapping[str, Any], *, refreshed: bool) -> None:
        """Judge an instance after refreshes without faults, by a clock that is right: everything is read again."""
        if not refreshed:
            self.find('frozen', run, 'refresh', ours='none', truth='a refresh')
        for subject, block, values in snapshot['blocks']:
            read_at = values['refreshed_at']
            if block in self._outages:
                continue
            if read_at is None or not 0 <= moment - read_at <= self.keep_seconds(block):
                old = 'never read' if read_at is None else f'read {moment - read_at:.0f} s ago'
                self.find('frozen', run, block, tags=(subject,) if subject else (), ours=old, truth='read')

    # Time and memory.

    def time(self, run: int, seconds: float, allowed: float) -> None:
        """Judge the duration of a run."""
        self.tally.slowest = max(self.tally.slowest, seconds)
        if seconds > allowed:
            self.find('hang', run, 'refresh', ours=f'{seconds:.1f} s', truth=f'at most {allowed:.1f} s')

    def memory(self, run: int, early: float, late: float, allowed: float) -> None:
        """Judge the growth of memory, in MiB."""
        if late - early > allowed:
            self.find('memory', run, 'resident', ours=f'{late - early:+.1f} MiB', truth=f'at most {allowed:.1f} MiB')

    def peak(self, run: int, idle: float, peak: float) -> None:
        """Judge the largest memory, in MiB."""
        self.tally.peak = max(self.tally.peak, peak - idle)
        if peak - idle > PEAK_MIB:
            self.find(
                'memory', run, 'peak', ours=f'{peak - idle:.0f} MiB above idle', truth=f'at most {PEAK_MIB:.0f} MiB'
            )

    # Counts, histograms and events.

    def totals(
        self, run: int, expected: Mapping[Key, float], got: Mapping[Key, float], *, excused: Mapping[Key, float]
    ) -> None:
        """Judge the sums of counts, histograms and events: everything that happened was submitted exactly once.

        Amounts in `excused` were lost by kills between persisting and submitting: they may be missing, but must not
        appear twice.
        """
        for key in sorted(expected.keys() | got.keys()):
            name, tags = key
            want, have = expected.get(key, 0), got.get(key, 0)
            self.tally.counted += have
            if is_same(want, have):
                continue
            if have > want:
                self.find('doubled', run, name, tags=tags, ours=have, truth=want)
            elif have < want - excused.get(key, 0) and not is_same(have, want - excused.get(key, 0)):
                self.find('lost', run, name, tags=tags, ours=have, truth=want)


def read_snapshot(text: str) -> dict[str, Any]:
    """Return the persisted document; one without blocks for an empty text."""
    return json.loads(text) if text else {'blocks': [], 'refreshed_at': None, 'written_at': None}
