"""One life of the check's process: it runs when told, and can be killed at any point; the disk outlives it.

What the Agent does for the check is done here on disk: the persistent cache is a directory, written atomically; counts,
histograms and events are appended to a ledger the moment they are submitted. `Reaper` kills the process with SIGKILL
at a named point, which makes kills repeatable.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import time
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# The stub refuses tags such as `env` and `cluster`, a rule for Datadog's own checks; the Agent itself does not.
os.environ.setdefault('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')

from datadog_checks.base.checks import base
from datadog_checks.base.stubs import aggregator, datadog_agent

from datadog_checks.metta_checks import MettaChecks

ONCE = {aggregator.COUNT: 'count', aggregator.HISTOGRAM: 'histogram'}
PAGE_MIB = os.sysconf('SC_PAGE_SIZE') / 2**20


@dataclass(frozen=True, slots=True)
class Point:
    """Where to die: at the `number`-th passing (from 1) of the point `name` in a run.

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
        """At which point of the run that begins now."""
        self.point = point
        self._passed = 0

    def passing(self, name: str) -> None:
        """A point is passed."""
        if self.point is None or self.point.name != name:
            return
        self._passed += 1
        if self._passed == self.point.number:
            os.kill(os.getpid(), signal.SIGKILL)


class Ledger:
    """What has been submitted once, in a file that is never behind."""

    def __init__(self, path: Path) -> None:
        self._file = path.open('ab', buffering=0)

    def enter(self, run: int, kind: str, name: str, value: float, tags: list[str]) -> None:
        """One entry."""
        self._file.write(json.dumps([run, kind, name, value, tags]).encode() + b'\n')


def entries(path: Path) -> list[tuple[int, str, str, float, list[str]]]:
    """All entries of a ledger: run, kind, name (title of an event), value, tags."""
    if not path.exists():
        return []
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()]


class Agent:
    """Stands for the Agent: takes what the check submits, keeps what it persists."""

    def __init__(self, folder: Path) -> None:
        self.reaper = Reaper()
        self.run = 0
        self.gauges: list[tuple[str, float, list[str]]] = []
        self.once: list[tuple[str, float, list[str]]] = []
        self.service_checks: list[tuple[int, str]] = []
        self._ledger = Ledger(folder / 'ledger')
        self._folder = folder

    def begin(self, run: int, point: Point | None) -> None:
        """A run begins."""
        self.run = run
        self.gauges, self.once, self.service_checks = [], [], []
        self.reaper.aim(point)

    # aggregator

    def submit_metric(self, _: Any, __: str, kind: int, name: str, value: float, tags: list[str], *___: Any) -> None:
        """As the Agent's aggregator."""
        if kind not in ONCE:
            self.reaper.passing('gauge')
            self.gauges.append((name, value, tags))
            return
        self.reaper.passing('once')
        self._ledger.enter(self.run, ONCE[kind], name, value, tags)
        self.once.append((name, value, tags))
        self.reaper.passing('once_done')

    def submit_event(self, _: Any, __: str, event: dict[str, Any]) -> None:
        """As the Agent's aggregator."""
        self.reaper.passing('once')
        self._ledger.enter(self.run, 'event', event['msg_title'], 1.0, event['tags'])
        self.reaper.passing('once_done')

    def submit_service_check(self, _: Any, __: str, ___: str, status: int, ____: Any, _____: str, message: str) -> None:
        """As the Agent's aggregator."""
        self.service_checks.append((status, message))

    # datadog_agent

    def _path(self, key: str) -> Path:
        return self._folder / key.replace(':', '-').replace('/', '-')

    def write_persistent_cache(self, key: str, value: str) -> None:
        """Atomically: a file beside the old one, then renamed."""
        self.reaper.passing('write')
        path = self._path(key)
        beside = path.with_suffix('.new')
        beside.write_text(value)
        self.reaper.passing('written')
        beside.replace(path)
        self.reaper.passing('persisted')

    def read_persistent_cache(self, key: str) -> str:
        """Empty when there is nothing, as the Agent's."""
        path = self._path(key)
        return path.read_text() if path.exists() else ''

    def __getattr__(self, name: str) -> Any:
        # All else the Agent offers (types of metrics, configuration, tracing) is as in the toolkit's own stubs.
        return getattr(aggregator if hasattr(aggregator, name) else datadog_agent, name)


def memory_mib() -> float:
    """Resident memory now."""
    gc.collect()
    return int(Path('/proc/self/statm').read_text().split()[1]) * PAGE_MIB


def starved_seconds() -> float:
    """How long this process has been ready to run without being given a processor: no fault of the check's."""
    return int(Path('/proc/self/schedstat').read_text().split()[1]) / 1e9


def live(connection: Connection, folder: str, instance: dict[str, Any]) -> None:
    """Build the check, then run it for every order until told to end."""
    logging.disable(logging.CRITICAL)
    agent = Agent(Path(folder))
    base.aggregator = base.datadog_agent = agent
    check = MettaChecks('metta_checks', {}, [instance])
    own = set(check.instance_tags)
    while (order := connection.recv()) is not None:
        now = datetime.fromisoformat(order['now'])
        check.clock = lambda now=now: now
        check.warnings = []
        agent.begin(order['run'], order['point'])
        starved = starved_seconds()
        started = time.monotonic()
        error = check.run()
        seconds = time.monotonic() - started
        agent.reaper.passing('end')
        connection.send(
            {
                'seconds': seconds,
                'starved': max(0.0, starved_seconds() - starved),
                'error': json.loads(error)[0]['message'] if error else '',
                'warnings': list(check.get_warnings()),
                'gauges': [(name, value, sorted(set(tags) - own)) for name, value, tags in agent.gauges],
                'once': [(name, value, sorted(set(tags) - own)) for name, value, tags in agent.once],
                'service_check': agent.service_checks[-1] if agent.service_checks else None,
                # Which blocks have a slower rhythm of their own, so that their figures may be older.
                'intervals': {block: check.block_interval(block) for _, block in check.snapshot.blocks},
                'memory': memory_mib() if order['memory'] else None,
            }
        )
