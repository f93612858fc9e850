"""One trial: a source, its service, the proxy, and the check in its own processes, which run and are killed."""

from __future__ import annotations

import math
import multiprocessing
import random
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sandbox
from metta_checks.testing import as_truth
from sandbox import Clock, Running, Service

from . import life
from .certificate import write_certificate
from .faults import HARMLESS, Patience
from .judge import CRITICAL, OK, Judge, Tally, Violation, read_snapshot
from .life import Order, Outcome, Point
from .once import Once
from .proxy import FaultSchedule, Proxy
from .scenes import SCENES, Scene

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
# Allowed growth of resident memory, and the addition per MiB of growth of the snapshot: the sandbox's week fills while
# time passes, and the check keeps a week.
MEMORY_MIB = 4.0
MEMORY_PER_MIB = 10.0
# Seconds by which a clock is wrong: more than figures are shown for, in both directions; a second that no right clock
# of a trial shows.
JUMPS = (31_536_000 + 37, 20_000 + 37, -(20_000 + 37), -(31_536_000 + 37))
# Refreshes without faults after a clock was set right, in which everything must be read again.
RECOVERY = 2
# A restart takes a second.
RESTART_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Conditions:
    """Parameters of a trial."""

    # Shares of requests with a fault; one of them is selected for every run.
    rates: tuple[float, ...] = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
    # Shares of runs in an outage, and of runs that are killed.
    outage_share: float = 0.04
    kill_share: float = 0.0
    # Inject these faults only; empty: all.
    only: tuple[str, ...] = ()
    # Shares of runs after which the process is restarted, the clock jumps (or is set right), and connections are
    # dropped silently.
    restart_share: float = 0.0
    jump_share: float = 0.0
    drop_share: float = 0.5
    # The service is reached over TLS through a forward proxy.
    tls: bool = False
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
    findings: list[Violation]
    # Resident MiB of the check's process, by run.
    memory: list[tuple[int, float]]


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
    """A trial of a number of refreshes."""

    source: str
    seed: str
    refreshes: int
    # Function that the check's process runs; tests plant defects here.
    target: Callable[[Connection, Path, Any], None] = life.live
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
        self.plan = FaultSchedule(f'{self.seed}/{self.source}/faults', self.patience, extra=self.scene.faults)
        self.plan.only = self.conditions.only
        certificate = self.folder / 'certificate' if self.conditions.tls else None
        if certificate is not None:
            write_certificate(certificate)
        self.proxy = stack.enter_context(Proxy(self.service.url, self.plan, certificate=certificate))
        self.service.url = self.proxy.url
        self.instance: Any = {
            **self.service.instance(),
            'refresh_interval': self.scene.interval,
            'refresh_timeout': BUDGET,
            'timeout': self.scene.timeout,
            **self.scene.instance,
        }
        if certificate is not None:
            self.instance |= {'proxy': {'https': self.proxy.forward_url}, 'tls_ca_cert': str(certificate)}
        self.context = multiprocessing.get_context('forkserver')
        # Every process is a fork of one that has imported all modules and done nothing else.
        self.context.set_forkserver_preload([life.__name__, f'metta_checks.{self.source}.check'])
        self.once = Once(self.scene.counted(self.service))
        self.memory: list[tuple[int, float]] = []
        self.sizes: list[tuple[int, float]] = []
        self.number = 0
        # The error of the clock, in seconds, and the time that the next run is told to have passed.
        self.error = 0
        self.passed = 0.0
        self.refreshed = False
        # A refresh ended in a process that was killed before it stated its status.
        self.unseen = False
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
        return [
            path
            for path in self.folder.iterdir()
            if path.name not in ('ledger', 'certificate') and path.suffix != '.new'
        ]

    def _snapshot(self) -> dict[str, Any]:
        documents = [read_snapshot(path.read_text()) for path in self._stored()]
        return max(documents, key=lambda document: document['written_at'], default=read_snapshot(''))

    def _size_mib(self) -> float:
        return max((path.stat().st_size for path in self._stored()), default=0) / 2**20

    # One run.

    def _step(self, *, calm: bool) -> None:
        if self.number:
            self._pass_time(self._pause(calm=calm), calm=calm)
        killed = not calm and self.dice.random() < self.conditions.kill_share
        outcome = self._turn(calm=calm, kill=self._kill() if killed else SPARED)
        if calm or outcome is None:
            return
        if self.dice.random() < self.conditions.restart_share:
            self._restart(outcome)
        if self.dice.random() < self.conditions.jump_share:
            self._jump()

    def _pass_time(self, seconds: float, *, calm: bool) -> None:
        with self.proxy.quiet():
            self.service.pass_time(seconds)
            if not calm:
                self.scene.happen(self.service, self.dice)
        self.passed += seconds
        if not calm and self.dice.random() < self.conditions.drop_share and seconds > BETWEEN:
            self.proxy.drop_idle()
            self.judge.tally.drops += 1

    def _restart(self, outcome: Outcome) -> None:
        """Restart the process between two runs. Nothing is due then but what failed altogether or need not wait."""
        self.judge.tally.restarts[self._health(outcome)] += 1
        self._end_life()
        self._pass_time(RESTART_SECONDS, calm=True)
        self._turn(calm=True)

    def _health(self, outcome: Outcome) -> str:
        """Return the state of health that an instance was left in."""
        snapshot = self._snapshot()
        moment = self._now().timestamp()
        if any(until > moment for until, _ in snapshot.get('limits', {}).values()):
            return 'rate limited'
        if outcome.run.status == CRITICAL:
            return 'wholly failed'
        if any(values['failures'] and (values['resume_at'] or 0) > moment for *_, values in snapshot['blocks']):
            return 'backing off'
        return 'good' if outcome.run.status == OK else 'partly failed'

    def _jump(self) -> None:
        """Let the clock jump, or set it right, after which everything must be read again."""
        self.judge.tally.jumps += 1
        if not self.error:
            self.error = self.dice.choice(JUMPS)
            return
        self._calm(RECOVERY)

    def _now(self) -> datetime:
        """Return the time by the clock of the process."""
        return self.service.clock.now() + timedelta(seconds=self.error)

    def _turn(self, *, calm: bool, kill: Kill = SPARED) -> Outcome | None:
        """Let the check run, and judge it. Returns None when it was killed."""
        self.number += 1
        outage = not calm and self.dice.random() < self.conditions.outage_share
        self.plan.rate = 0.0 if calm else self.dice.choice(self.conditions.rates)
        self.proxy.refuse(on=outage)
        moment = self._now().timestamp()
        before = self._snapshot()
        if (before['written_at'] or 0) > moment:
            # The clock was ahead when it was written: a fresh start, which the truth has to know.
            self.once.forget()
        self.scene.prepare(self.service, self.once.looks())
        if self.error:
            self.judge.distrust(moment)
        else:
            self.judge.learn(moment, as_truth(self.scene.truth(self.service, self.service.clock.now())))
        struck = self.plan.struck.copy()
        asked = self.plan.requests
        outcome = self._run(self._now(), kill)
        after = self._snapshot()
        struck = self.plan.struck - struck
        did = self.plan.requests > asked or after['written_at'] != before['written_at']
        tally = self.judge.tally
        tally.runs += 1
        tally.refreshes += did
        self.refreshed = did
        tally.struck += did and (outage or bool(struck) or kill is not SPARED)
        self._follow(moment, after, killed=outcome is None)
        if outcome is None:
            self.unseen |= after['written_at'] != before['written_at']
            return None
        self._judge_run(moment, outcome, before, after)
        self.judge.status(self.number, outcome.run, after, refreshed=did, unseen=self.unseen)
        self.unseen = False
        if not outage and not self.error and struck.keys() <= HARMLESS:
            self.judge.needless(self.number, outcome.run)
        self.judge.exchanges(self.number, swallowed=self.proxy.swallowed, strays=self.proxy.strays)
        self.proxy.swallowed = self.proxy.strays = 0
        return outcome

    def _judge_run(self, moment: float, outcome: Outcome, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        ran = outcome.run
        self.intervals.update(outcome.intervals)
        self.judge.time(self.number, ran.seconds - outcome.starved, BUDGET + self.patience.timeout + SLACK)
        self.judge.gauges(self.number, moment, [point for point in ran.points if point.type == 'gauge'], after)
        self.judge.itself(self.number, ran, before, after)
        self.judge.peak(self.number, outcome.idle, outcome.peak)
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
        measured = not self.conditions.kill_share and self.number % self.conditions.measured_every == 0
        connection.send(Order(date, self.number, self.passed, kill.point, memory=measured))
        self.passed = 0.0
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
        self._calm(self.conditions.settling)

    def _calm(self, refreshes: int) -> None:
        """Refresh without faults and with the right time, and judge that everything is read again."""
        self.error = 0
        for _ in range(refreshes):
            self._step(calm=True)
        if refreshes:
            self.judge.recovery(self.number, self._now().timestamp(), self._snapshot(), refreshed=self.refreshed)

    # Exactly once.

    def _judge_counts(self) -> None:
        got = self.once.got(life.entries(self.folder / 'ledger'))
        self.judge.totals(self.number, self.once.expected, got, excused=self.once.excused)

    def _follow(self, moment: float, snapshot: Mapping[str, Any], *, killed: bool) -> None:
        due = self.once.follow(self.service, self.number, moment, snapshot, is_dated_wrong=bool(self.error))
        if killed and snapshot['written_at'] == moment:
            entries = [entry for entry in life.entries(self.folder / 'ledger') if entry.run == self.number]
            if not any(entry.name == 'metta.collector.requests' for entry in entries):
                # Persisted, and killed before everything was submitted.
                self.judge.tally.window_kills += 1
                self.judge.tally.window_lost += self.once.excuse(due, self.once.got(entries))


def flatness(memory: list[tuple[int, float]]) -> tuple[float, float]:
    """Return the median MiB of the second fifth of the measurements and of the last one; NaN without enough."""
    if len(memory) < 10:
        return math.nan, math.nan
    fifth = len(memory) // 5
    early = sorted(value for _, value in memory[fifth : 2 * fifth])
    late = sorted(value for _, value in memory[-fifth:])
    return early[len(early) // 2], late[len(late) // 2]
