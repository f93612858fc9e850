"""A process of the check: it runs on request, and can be killed at any point; its files remain.

The Agent's part is done here on disk: the persistent cache is a folder, written atomically; counts,
histograms and events are appended to a ledger the moment they are submitted. `Reaper` kills the process with SIGKILL
at a named point, which makes kills repeatable.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from metta_checks import testing
from metta_checks.core.clock import SystemClock
from metta_checks.testing import TYPES, Driver, Run

# Types of metrics that are submitted once, not in every run.
ONCE = {number: kind for number, kind in TYPES.items() if kind != 'gauge'}
PAGE_MIB = os.sysconf('SC_PAGE_SIZE') / 2**20


@dataclass(frozen=True, slots=True)
class Point:
    """A point to die at: the `number`-th passing (from 1) of the point `name` in a run.

    Points: `gauge` (before one is submitted), `write` (before the snapshot is written), `written` (the new snapshot
    lies beside the old one, not yet in its place), `persisted` (it is in place), `once` (before a count, histogram or
    event is submitted), `once_done` (after), `end` (the run has ended).
    """

    name: str
    number: int = 1


class Reaper:
    """Kills this process at a point."""

    def __init__(self) -> None:
        self.point: Point | None = None
        self._passed = 0

    def aim(self, point: Point | None) -> None:
        """Set the point of the run that begins now."""
        self.point = point
        self._passed = 0

    def passing(self, name: str) -> None:
        """Note that a point is passed."""
        if self.point is None or self.point.name != name:
            return
        self._passed += 1
        if self._passed == self.point.number:
            os.kill(os.getpid(), signal.SIGKILL)


class Entry(NamedTuple):
    """Something that was submitted once."""

    run: int
    # count, histogram or event.
    kind: str
    # The title of an event.
    name: str
    value: float
    tags: list[str]


class Ledger:
    """Everything that has been submitted once, in a file that is never behind."""

    def __init__(self, path: Path) -> None:
        self._file = path.open('ab', buffering=0)

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self._file.write(json.dumps(entry).encode() + b'\n')


def entries(path: Path) -> list[Entry]:
    """Return all entries of a ledger."""
    if not path.exists():
        return []
    return [Entry(*json.loads(line)) for line in path.read_text().splitlines()]


class Agent(testing.Agent):
    """The Agent of the test kit, with its cache on disk, a ledger, and points at which it can be killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reaper = Reaper()
        self.run = 0
        self._ledger = Ledger(folder / 'ledger')

    def begin(self, run: int, point: Point | None) -> None:
        """Begin a run."""
        self.run = run
        self.reaper.aim(point)

    def submit_metric(
        self, check: Any, check_id: str, kind: int, name: str, value: float, tags: list[str], *more: Any
    ) -> None:
        """Take a metric; counts and histograms are entered in the ledger."""
        self.reaper.passing('once' if kind in ONCE else 'gauge')
        super().submit_metric(check, check_id, kind, name, value, tags, *more)
        if kind in ONCE:
            self._enter(ONCE[kind], name, value, tags)

    def submit_event(self, check: Any, check_id: str, event: dict[str, Any]) -> None:
        """Take an event, and enter it in the ledger."""
        self.reaper.passing('once')
        super().submit_event(check, check_id, event)
        self._enter('event', event['msg_title'], 1.0, event['tags'])

    def _enter(self, kind: str, name: str, value: float, tags: list[str]) -> None:
        self._ledger.add(Entry(self.run, kind, name, value, tags))
        self.reaper.passing('once_done')

    def write_persistent_cache(self, key: str, value: str) -> None:
        """Store a value atomically: in a file beside the old one, which is then renamed."""
        self.reaper.passing('write')
        path = self.path(key)
        beside = path.with_suffix(f'.{threading.get_ident()}.new')
        beside.write_text(value, 'utf-8')
        self.reaper.passing('written')
        beside.replace(path)
        self.reaper.passing('persisted')


class Clock(SystemClock):
    """The system's clock with a date of its own: budgets, deadlines and timers pass in real time, the date does not.

    The time between two runs passes at once.
    """

    def __init__(self, date: datetime) -> None:
        self.date = date
        self._passed = 0.0

    def begin(self, date: datetime, passed: float) -> None:
        """Set the date, which may jump, and let seconds pass."""
        self.date = date
        self._passed += passed

    def now(self) -> datetime:
        """Return the date that was set last."""
        return self.date

    def monotonic(self) -> float:
        """Return seconds that never go backward."""
        return super().monotonic() + self._passed


@dataclass(frozen=True, slots=True)
class Order:
    """Tells the process to run."""

    # By the clock of the process, which may be wrong.
    date: datetime
    run: int
    # Seconds since the last run, by a clock that is right.
    passed: float = 0.0
    # Where to die in this run.
    point: Point | None = None
    # Measure the memory after the run.
    memory: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run with its measurements."""

    # The tags of its points are sorted, and without those of the instance.
    run: Run
    # Seconds in which the process was ready to run and had no processor.
    starved: float
    # Intervals of blocks that are refreshed less often than the rest, in seconds.
    intervals: Mapping[str, float]
    # Resident MiB, if they were asked for.
    memory: float | None
    # The largest resident MiB of the process so far, and those before its first run.
    peak: float = 0.0
    idle: float = 0.0


def memory_mib() -> float:
    """Return the resident memory, garbage excluded."""
    gc.collect()
    return int(Path('/proc/self/statm').read_text().split()[1]) * PAGE_MIB


def peak_mib() -> float:
    """Return the largest resident memory of this process so far."""
    [line] = [line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith('VmHWM:')]
    return int(line.split()[1]) / 1024


def starved_seconds() -> float:
    """Return how long this process has been ready to run without a processor, which is not the check's fault."""
    return int(Path('/proc/self/schedstat').read_text().split()[1]) / 1e9


def live(connection: Connection, folder: Path, instance: Mapping[str, Any], agent_class: type[Agent] = Agent) -> None:
    """Build the check, then run it for every order that comes, and answer with the outcome."""
    logging.disable(logging.CRITICAL)
    agent = agent_class(folder)
    clock = Clock(SystemClock().now())
    driver = Driver(instance, clock, agent=agent)
    idle = memory_mib()
    while True:
        order: Order = connection.recv()
        clock.begin(order.date, order.passed)
        agent.begin(order.run, order.point)
        starved = starved_seconds()
        run = driver.run()
        starved = max(0.0, starved_seconds() - starved)
        agent.reaper.passing('end')
        memory = memory_mib() if order.memory else None
        connection.send(outcome_of(driver, run, starved=starved, peak=peak_mib(), idle=idle, memory=memory))


def outcome_of(
    driver: Driver, run: Run, *, starved: float, peak: float, idle: float, memory: float | None = None
) -> Outcome:
    """Return the outcome of a run."""
    own_tags = set(driver.check.instance_tags)
    points = [replace(point, tags=tuple(sorted(set(point.tags) - own_tags))) for point in run.points]
    return Outcome(
        run=replace(run, points=points),
        starved=starved,
        intervals={block: driver.check.block_interval(block) for _, block in list(driver.check.snapshot.blocks)},
        memory=memory,
        peak=peak,
        idle=idle,
    )
