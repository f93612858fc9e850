"""One trial: a source, its service, the proxy, and the check in processes of its own that are run and killed."""

from __future__ import annotations

import math
import multiprocessing
import random
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sandbox
from sandbox import Clock, Running, Service

from . import life
from .faults import Patience
from .judge import Judge, Key, Tally, read_snapshot
from .life import Point
from .proxy import Plan, Proxy
from .scenes import SCENES, Counted, Scene

# A Monday: what happens in the sandbox depends on the time of day, and a seed should repeat it.
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
# How time passes between runs: mostly a refresh interval, sometimes several (blocks fall silent) ...
STEPS = (1,) * 12 + (2, 5)
# ... sometimes a minute first, when nothing is due but what waits for a retry or goes on.
BETWEEN_SHARE, BETWEEN = 0.15, 60
# Share of requests that are struck, drawn anew for every run.
RATES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
OUTAGE_SHARE = 0.04
KILL_SHARE = 0.25
# A refresh may take so many seconds; a run, its budget, one request that was sent just before the end, and time to
# compute on a busy machine.
BUDGET = 4.0
SLACK = 2.0
# Far beyond all that is allowed: then the process hangs for good, and is ended.
HOPELESS = 25.0
# Calm refreshes at the end, in which everything that waits comes to its end.
SETTLING = 12
POINTS = ('gauge', 'write', 'written', 'end', 'once', 'once_done', 'persisted')
# The last three lie between persisting and submitting, or within submitting: the window that no order can close.
WINDOW_POINTS = POINTS[-3:]
# A check that refreshes in fewer than one of so many runs is not worth waiting for.
RUNS_PER_REFRESH = 3
# Runs between measurements of memory.
MEASURED_EVERY = 10
# Resident memory may grow by so many MiB, and by so many more for every MiB that the snapshot grows: the sandbox's week
# fills while time passes, and the check keeps a week.
MEMORY_MIB = 4.0
MEMORY_PER_MIB = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial."""

    source: str
    seed: str
    tally: Tally
    findings: list[Any]
    # Resident MiB of the check's process, by run.
    memory: list[tuple[int, float]]


@dataclass(slots=True)
class Followed:
    """A counted block between two successes."""

    counted: Counted
    look: Any = None
    at: float | None = None


@dataclass(slots=True)
class Life:
    """A living process of the check."""

    process: Any
    connection: Any


@dataclass
class Trial:
    """A trial of so many refreshes. With `kills`, the process is killed at random points and started again."""

    source: str
    seed: str
    refreshes: int
    kills: bool = True
    # How the process of the check is made; tests plant defects here.
    target: Any = life.live
    overrides: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Result:
        """Do it."""
        with ExitStack() as stack:
            self._prepare(stack)
            while self.judge.tally.refreshes < self.refreshes and self.number < RUNS_PER_REFRESH * self.refreshes:
                self._step(calm=False)
            self._settle()
            self._judge_counts()
        early, late = flatness(self.memory)
        small, large = flatness(self.sizes)
        allowed = MEMORY_MIB + MEMORY_PER_MIB * max(0.0, large - small)
        self.judge.memory(self.number, early, late, allowed)
        self.judge.tally.faults = self.plan.struck
        return Result(self.source, self.seed, self.judge.tally, self.judge.findings, self.memory)

    def _prepare(self, stack: ExitStack) -> None:
        self.scene: Scene = SCENES[self.source]
        self.dice = random.Random(f'{self.seed}/{self.source}')
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='chaos-')))
        self.service: Service = sandbox.service(self.source, None, Clock(START), **self.scene.service)
        stack.enter_context(Running(self.service))
        self.patience = Patience(self.scene.timeout, BUDGET)
        self.plan = Plan(f'{self.seed}/{self.source}/faults', self.patience, extra=self.scene.reorder)
        self.proxy = stack.enter_context(Proxy(urlsplit(self.service.url).port, self.plan))
        self.service.url = self.proxy.url
        self.instance = {
            **self.service.instance(),
            'refresh_interval': self.scene.interval,
            'refresh_timeout': BUDGET,
            'timeout': self.scene.timeout,
            **self.scene.instance,
            **self.overrides,
        }
        self.context = multiprocessing.get_context('forkserver')
        # Every life is a fork of a process that has imported all this, and done nothing.
        self.context.set_forkserver_preload([life.__name__, f'metta_checks.{self.source}.check'])
        self.followed = [Followed(counted) for counted in self.scene.counted(self.service)]
        self.expected: Counter[Key] = Counter()
        self.excused: Counter[Key] = Counter()
        self.memory: list[tuple[int, float]] = []
        self.sizes: list[tuple[int, float]] = []
        self.number = 0
        self.life: Life | None = None
        self.intervals: dict[str, float] = {}
        self.judge = Judge(self.source, self.seed, self.scene, self.intervals)
        stack.callback(self._end_life)

    # The process of the check.

    def _begin_life(self) -> Life:
        if self.life is None:
            ours, theirs = self.context.Pipe()
            process = self.context.Process(
                target=self.target, args=(theirs, str(self.folder), self.instance), daemon=True
            )
            process.start()
            theirs.close()
            self.life = Life(process, ours)
            self.judge.tally.lives += 1
        return self.life

    def _end_life(self) -> None:
        if self.life is not None:
            self.life.process.kill()
            self.life.process.join()
            self.life.connection.close()
            self.life = None

    def _stored(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.name != 'ledger' and path.suffix != '.new']

    def _snapshot(self) -> dict[str, Any]:
        documents = [read_snapshot(path.read_text()) for path in self._stored()]
        return max(documents, key=lambda document: document['written_at'], default=read_snapshot(''))

    def _size_mib(self) -> float:
        return max((path.stat().st_size for path in self._stored()), default=0) / 2**20

    # One run.

    def _step(self, *, calm: bool) -> None:
        if self.number:
            with self.proxy.quiet():
                self.service.pass_time(self._pause(calm=calm))
                if not calm:
                    self.scene.happen(self.service, self.dice)
        self.number += 1
        rate = 0.0 if calm else self.dice.choice(RATES)
        outage = not calm and self.dice.random() < OUTAGE_SHARE
        self.plan.rate = rate
        self.proxy.refuse(on=outage)
        kill = self._kill() if self.kills and not calm and self.dice.random() < KILL_SHARE else None
        now = self.service.clock.now()
        moment = now.timestamp()
        looks = {(one.counted.subject, one.counted.block): one.look for one in self.followed if one.at is not None}
        self.scene.prepare(self.service, looks)
        self.judge.learn(moment, ((f.name, f.tags, f.value) for f in self.service.truth(now)))
        before = self._snapshot()
        struck = self.plan.struck.total()
        asked = self.plan.requests
        report = self._run(now.isoformat(), kill)
        self.judge.tally.runs += 1
        after = self._snapshot()
        did = self.plan.requests > asked or after['written_at'] != before['written_at']
        self.judge.tally.refreshes += did
        self.judge.tally.struck += did and (outage or self.plan.struck.total() > struck or kill is not None)
        self._follow(moment, after, report)
        if report is None:
            return
        self.intervals.update(report['intervals'])
        self.judge.time(self.number, report['seconds'] - report['starved'], BUDGET + self.patience.timeout + SLACK)
        self.judge.gauges(self.number, moment, report['gauges'], after)
        self.judge.itself(self.number, report, before, after)
        if report['memory'] is not None:
            self.memory.append((self.number, report['memory']))
            self.sizes.append((self.number, self._size_mib()))

    def _pause(self, *, calm: bool) -> int:
        """Seconds until the next run. Full intervals stay in step, as the services date by them."""
        interval = self.scene.interval
        off = int((self.service.clock.now() - self.service.clock.start).total_seconds()) % interval
        if not calm and not off and self.dice.random() < BETWEEN_SHARE:
            return BETWEEN
        return (1 if calm else self.dice.choice(STEPS)) * interval - off

    def _kill(self) -> tuple[str, Any]:
        """How to kill: while a request is on its way, at a point in the process, or at any time."""
        how = self.dice.choice(('request', 'request', 'point', 'point', 'time'))
        if how == 'request':
            return how, self.dice.choice((1, 1, 2, 3, 4, 6, 8))
        if how == 'point':
            name = self.dice.choice(POINTS)
            return how, Point(name, self.dice.choice((1, 1, 2, 3, 5)) if name in ('gauge', 'once', 'once_done') else 1)
        return how, self.dice.uniform(0.0, 0.2)

    def _run(self, now: str, kill: tuple[str, Any] | None) -> dict[str, Any] | None:
        """Let the check run. Returns its report, None when it was killed."""
        one = self._begin_life()
        how, what = kill or ('', None)
        self.proxy.count_afresh()
        self.proxy.watch = lambda seen: one.process.kill() if how == 'request' and seen == what else None
        one.connection.send(
            {
                'now': now,
                'run': self.number,
                'point': what if how == 'point' else None,
                'memory': not self.kills and self.number % MEASURED_EVERY == 0,
            }
        )
        try:
            if how == 'time' and not one.connection.poll(what):
                one.process.kill()
            if not one.connection.poll(HOPELESS):
                self.judge.find('hang', self.number, 'refresh', ours=f'over {HOPELESS:.0f} s', truth=f'{BUDGET:.0f} s')
                self._end_life()
                return None
            return one.connection.recv()
        except (EOFError, ConnectionResetError):
            one.process.join()
            if kill is None:
                self.judge.find('crash', self.number, 'process', ours=one.process.exitcode)
            self.judge.tally.kills += 1
            self.judge.tally.points[f'{how} {what.name}' if how == 'point' else how] += 1
            self._end_life()
            return None
        finally:
            self.proxy.watch = lambda _: None

    def _settle(self) -> None:
        """Refreshes without faults, until nothing waits any more; then nothing may be missing."""
        for _ in range(SETTLING):
            self._step(calm=True)

    # Exactly once.

    def _follow(self, moment: float, snapshot: dict[str, Any], report: dict[str, Any] | None) -> None:
        """What became due for the counted blocks that succeeded in this run."""
        at = {(subject, block): values['refreshed_at'] for subject, block, values in snapshot['blocks']}
        due: Counter[Key] = Counter()
        for one in self.followed:
            counted = one.counted
            if at.get((counted.subject, counted.block)) != moment:
                continue
            look = counted.look(self.service)
            if one.at is not None:
                for (name, tags), value in counted.happened(one.look, look).items():
                    due[name, (*counted.where, *tags)] += value
            one.look, one.at = look, moment
        self.expected += due
        if report is None and snapshot['written_at'] == moment:
            entries = [entry for entry in life.entries(self.folder / 'ledger') if entry[0] == self.number]
            if not any(name == 'metta.collector.requests' for _, _, name, *_ in entries):
                # Persisted, and killed before all was submitted.
                self.judge.tally.window_kills += 1
                missing = due - self._got(entries)
                self.judge.tally.window_lost += sum(
                    value for (name, _), value in missing.items() if not name.endswith(' sum')
                )
                self.excused += missing

    def _got(self, entries: list[Any]) -> Counter[Key]:
        got: Counter[Key] = Counter()
        for _, kind, name, value, tags in entries:
            for one in self.followed:
                counted = one.counted
                title = next((title for title in counted.titles if kind == 'event' and name.startswith(title)), None)
                if not set(counted.where) <= set(tags) or not (name in counted.names or title):
                    continue
                keys = tuple(sorted(tag for tag in tags if tag.split(':')[0] in counted.tags))
                key = (title or name, (*counted.where, *keys))
                got[key] += 1 if kind == 'histogram' else value
                if kind == 'histogram':
                    got[f'{name} sum', key[1]] += value
                break
        return Counter({key: value for key, value in got.items() if value})

    def _judge_counts(self) -> None:
        got = self._got(life.entries(self.folder / 'ledger'))
        self.judge.totals(self.number, self.expected, got, excused=self.excused)


def flatness(memory: list[tuple[int, float]]) -> tuple[float, float]:
    """Median MiB of the second fifth of the measurements and of the last one; NaN without enough."""
    if len(memory) < 10:
        return math.nan, math.nan
    fifth = len(memory) // 5
    early = sorted(value for _, value in memory[fifth : 2 * fifth])
    late = sorted(value for _, value in memory[-fifth:])
    return early[len(early) // 2], late[len(late) // 2]
