"""One trial: a source, its service, the proxy, and the check in its own processes, which run and are killed."""

from __future__ import annotations

import math
import multiprocessing
import random
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sandbox
from metta_checks.testing import as_truth
from sandbox import Clock, Running, Service

from . import life
from .faults import Patience
from .judge import Judge, Tally, WrongValue, read_snapshot
from .life import Entry, Order, Outcome, Point
from .proxy import FaultSchedule, Proxy
from .scenes import SCENES, Amounts, Counted, Scene, add

# A Monday: events in the sandbox depend on the time of day, and the same seed should repeat them.
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
# Time between runs: mostly a refresh interval, sometimes several (blocks fall silent) ...
STEPS = (1,) * 12 + (2, 5)
# ... sometimes a minute first, when only retries and unfinished crawls are due.
BETWEEN_SHARE, BETWEEN = 0.15, 60
# Real seconds that a refresh may take, and further ones that a run may take on a busy machine, besides the timeout of a
# request that was sent just before the end.
BUDGET = 4.0
SLACK = 8.0
POINTS = ('gauge', 'write', 'written', 'end', 'once', 'once_done', 'persisted')
# The last three are between persisting and submitting, or within submitting: a loss there cannot be avoided.
WINDOW_POINTS = POINTS[-3:]
# Allowed growth of resident memory, and the addition per MiB of growth of the snapshot: the sandbox's week fills while
# time passes, and the check keeps a week.
MEMORY_MIB = 4.0
MEMORY_PER_MIB = 10.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """Parameters of a trial."""

    # Shares of requests with a fault; one of them is selected for every run.
    rates: tuple[float, ...] = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
    # Shares of runs in an outage, and of runs that are killed.
    outage_share: float = 0.04
    kill_share: float = 0.25
    # Refreshes without faults at the end, in which all pending work is finished.
    settling: int = 12
    # A trial ends after this number of runs per requested refresh.
    runs_per_refresh: int = 3
    # Runs between two measurements of memory.
    measured_every: int = 10
    # Real seconds, far above every limit, after which a process counts as hanging and is killed.
    hopeless: float = 25.0


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a trial."""

    source: str
    seed: str
    tally: Tally
    findings: list[WrongValue]
    # Resident MiB of the check's process, by run.
    memory: list[tuple[int, float]]


@dataclass(slots=True)
class Followed:
    """State of a counted block between two successful attempts."""

    counted: Counted
    look: Any = None
    at: float | None = None


@dataclass(slots=True)
class Life:
    """A running process of the check."""

    process: BaseProcess
    connection: Connection


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill of the process in a run. One of the last three fields defines the time."""

    how: str
    # When a request of this number (from 1) passes the proxy.
    request: int | None = None
    point: Point | None = None
    # After this number of real seconds.
    seconds: float | None = None


# The run is not killed.
SPARED = Kill('')


@dataclass
class Trial:
    """A trial of a number of refreshes. With `kills`, the process is killed at random points and restarted."""

    source: str
    seed: str
    refreshes: int
    kills: bool = True
    # Function that the check's process runs; tests plant defects here.
    target: Callable[[Connection, Path, Mapping[str, Any]], None] = life.live
    conditions: Conditions = Conditions()

    def run(self) -> Result:
        """Run the trial."""
        runs = self.conditions.runs_per_refresh * self.refreshes
        with ExitStack() as stack:
            self._prepare(stack)
            while self.judge.tally.refreshes < self.refreshes and self.number < runs:
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
        self.plan = FaultSchedule(f'{self.seed}/{self.source}/faults', self.patience, extra=self.scene.reorder)
        self.proxy = stack.enter_context(Proxy(self.service.url, self.plan))
        self.service.url = self.proxy.url
        self.instance = {
            **self.service.instance(),
            'refresh_interval': self.scene.interval,
            'refresh_timeout': BUDGET,
            'timeout': self.scene.timeout,
            **self.scene.instance,
        }
        self.context = multiprocessing.get_context('forkserver')
        # Every process is a fork of one that has imported all modules and done nothing else.
        self.context.set_forkserver_preload([life.__name__, f'metta_checks.{self.source}.check'])
        self.followed = [Followed(counted) for counted in self.scene.counted(self.service)]
        self.expected: Amounts = {}
        self.excused: Amounts = {}
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
            process = self.context.Process(target=self.target, args=(theirs, self.folder, self.instance), daemon=True)
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
        rate = 0.0 if calm else self.dice.choice(self.conditions.rates)
        outage = not calm and self.dice.random() < self.conditions.outage_share
        self.plan.rate = rate
        self.proxy.refuse(on=outage)
        killed = self.kills and not calm and self.dice.random() < self.conditions.kill_share
        kill = self._kill() if killed else SPARED
        now = self.service.clock.now()
        moment = now.timestamp()
        looks = {(one.counted.subject, one.counted.block): one.look for one in self.followed if one.at is not None}
        self.scene.prepare(self.service, looks)
        self.judge.learn(moment, as_truth(self.service.truth(now)))
        before = self._snapshot()
        struck = self.plan.struck.total()
        asked = self.plan.requests
        outcome = self._run(now, kill)
        self.judge.tally.runs += 1
        after = self._snapshot()
        did = self.plan.requests > asked or after['written_at'] != before['written_at']
        self.judge.tally.refreshes += did
        self.judge.tally.struck += did and (outage or self.plan.struck.total() > struck or killed)
        self._follow(moment, after, killed=outcome is None)
        if outcome is not None:
            self._judge_run(moment, outcome, before, after)

    def _judge_run(self, moment: float, outcome: Outcome, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        ran = outcome.run
        self.intervals.update(outcome.intervals)
        self.judge.time(self.number, ran.seconds - outcome.starved, BUDGET + self.patience.timeout + SLACK)
        self.judge.gauges(self.number, moment, [point for point in ran.points if point.type == 'gauge'], after)
        self.judge.itself(self.number, ran, before, after)
        if outcome.memory is not None:
            self.memory.append((self.number, outcome.memory))
            self.sizes.append((self.number, self._size_mib()))

    def _pause(self, *, calm: bool) -> int:
        """Return the seconds until the next run. Full intervals stay in step, since services date by them."""
        interval = self.scene.interval
        off = int((self.service.clock.now() - self.service.clock.start).total_seconds()) % interval
        if not calm and not off and self.dice.random() < BETWEEN_SHARE:
            return BETWEEN
        return (1 if calm else self.dice.choice(STEPS)) * interval - off

    def _kill(self) -> Kill:
        """Select a kill: during a request, at a point in the process, or at any time."""
        how = self.dice.choice(('request', 'request', 'point', 'point', 'time'))
        if how == 'request':
            return Kill(how, request=self.dice.choice((1, 1, 2, 3, 4, 6, 8)))
        if how == 'point':
            name = self.dice.choice(POINTS)
            number = self.dice.choice((1, 1, 2, 3, 5)) if name in ('gauge', 'once', 'once_done') else 1
            return Kill(f'{how} {name}', point=Point(name, number))
        return Kill(how, seconds=self.dice.uniform(0.0, 0.2))

    def _run(self, date: datetime, kill: Kill) -> Outcome | None:
        """Let the check run; return None when it was killed."""
        one = self._begin_life()
        process, connection = one.process, one.connection
        self.proxy.restart_count()
        self.proxy.watch = lambda seen: process.kill() if seen == kill.request else None
        measured = not self.kills and self.number % self.conditions.measured_every == 0
        connection.send(Order(date, self.number, kill.point, memory=measured))
        try:
            if kill.seconds is not None and not connection.poll(kill.seconds):
                process.kill()
            if not connection.poll(self.conditions.hopeless):
                ours = f'over {self.conditions.hopeless:.0f} s'
                self.judge.find('hang', self.number, 'refresh', ours=ours, truth=f'{BUDGET:.0f} s')
                self._end_life()
                return None
            outcome: Outcome = connection.recv()
            return outcome
        except (EOFError, ConnectionResetError):
            process.join()
            if kill is SPARED:
                self.judge.find('crash', self.number, 'process', ours=process.exitcode)
            self.judge.tally.kills += 1
            self.judge.tally.points[kill.how] += 1
            self._end_life()
            return None
        finally:
            self.proxy.watch = lambda _: None

    def _settle(self) -> None:
        """Refresh without faults until nothing is pending; then nothing may be missing."""
        for _ in range(self.conditions.settling):
            self._step(calm=True)

    # Exactly once.

    def _follow(self, moment: float, snapshot: Mapping[str, Any], *, killed: bool) -> None:
        """Sum up everything that became due for the counted blocks that succeeded in this run."""
        at = {(subject, block): values['refreshed_at'] for subject, block, values in snapshot['blocks']}
        due: Amounts = {}
        for one in self.followed:
            counted = one.counted
            if at.get((counted.subject, counted.block)) != moment:
                continue
            look = counted.look(self.service)
            if one.at is not None:
                for (name, tags), value in counted.happened(one.look, look).items():
                    add(due, (name, (*counted.where, *tags)), value)
            one.look, one.at = look, moment
        for key, value in due.items():
            add(self.expected, key, value)
        if killed and snapshot['written_at'] == moment:
            entries = [entry for entry in life.entries(self.folder / 'ledger') if entry.run == self.number]
            if not any(entry.name == 'metta.collector.requests' for entry in entries):
                # Persisted, and killed before everything was submitted.
                self.judge.tally.window_kills += 1
                got = self._got(entries)
                for key, value in due.items():
                    lost = max(0.0, value - got.get(key, 0))
                    add(self.excused, key, lost)
                    if not key[0].endswith(' sum'):
                        self.judge.tally.window_lost += lost

    def _got(self, entries: Iterable[Entry]) -> Amounts:
        got: Amounts = {}
        for entry in entries:
            for one in self.followed:
                counted = one.counted
                name = counted.name_of(entry.kind, entry.name, entry.tags)
                if name is None:
                    continue
                tags = (*counted.where, *sorted(tag for tag in entry.tags if tag.split(':')[0] in counted.tags))
                add(got, (name, tags), 1 if entry.kind == 'histogram' else entry.value)
                if entry.kind == 'histogram':
                    add(got, (f'{name} sum', tags), entry.value)
                break
        return {key: value for key, value in got.items() if value}

    def _judge_counts(self) -> None:
        got = self._got(life.entries(self.folder / 'ledger'))
        self.judge.totals(self.number, self.expected, got, excused=self.excused)


def flatness(memory: list[tuple[int, float]]) -> tuple[float, float]:
    """Return the median MiB of the second fifth of the measurements and of the last one; NaN without enough."""
    if len(memory) < 10:
        return math.nan, math.nan
    fifth = len(memory) // 5
    early = sorted(value for _, value in memory[fifth : 2 * fifth])
    late = sorted(value for _, value in memory[-fifth:])
    return early[len(early) // 2], late[len(late) // 2]
