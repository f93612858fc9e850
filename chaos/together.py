"""Several instances in one process: each runs in a thread of its own, while another thread asks for diagnoses."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from metta_checks.core.clock import SystemClock
from metta_checks.testing import Driver

from .life import Agent, Clock, Order, Outcome, memory_mib, outcome_of, peak_mib, starved_seconds

# Diagnoses during a run, at most.
DIAGNOSES = 12


@dataclass(frozen=True, slots=True)
class JointOutcome:
    """The outcomes of the instances in one run, their snapshots, and the diagnoses that were made meanwhile."""

    outcomes: Sequence[Outcome]
    snapshots: Sequence[Mapping[str, Any] | None]
    # Results of single findings: 0 success, 1 failure, 2 warning, 3 unexpected error; and their texts.
    diagnoses: Sequence[tuple[int, str]]


def live(
    connection: Connection, folder: Path, instances: Sequence[Mapping[str, Any]], agent_class: type[Agent] = Agent
) -> None:
    """Build the checks, then run all of them for every order, and answer with a JointOutcome."""
    logging.disable(logging.CRITICAL)
    agent = agent_class(folder)
    clock = Clock(SystemClock().now())
    drivers = [Driver(instance, clock, agent=agent) for instance in instances]
    idle = memory_mib()
    with ThreadPoolExecutor(len(drivers) + 1) as threads:
        while True:
            order: Order = connection.recv()
            clock.begin(order.date, order.passed)
            agent.begin(order.run, None)
            starved = starved_seconds()
            ended = threading.Event()
            diagnosing = threads.submit(_diagnose, drivers, ended)
            running: list[Future[Any]] = [threads.submit(driver.run) for driver in drivers]
            try:
                runs = [future.result() for future in running]
            finally:
                ended.set()
            starved = max(0.0, starved_seconds() - starved)
            outcomes = [
                outcome_of(driver, run, starved=starved, peak=peak_mib(), idle=idle)
                for driver, run in zip(drivers, runs, strict=True)
            ]
            connection.send(JointOutcome(outcomes, [_snapshot(driver) for driver in drivers], diagnosing.result()))


def _diagnose(drivers: Sequence[Driver], ended: threading.Event) -> list[tuple[int, str]]:
    """Ask every instance for its diagnoses, until the runs have ended or there are enough."""
    found = []
    for number in range(DIAGNOSES):
        driver = drivers[number % len(drivers)]
        found += [(one['result'], one['diagnosis']) for one in json.loads(driver.check.get_diagnoses())]
        if ended.is_set():
            break
    return found


def _snapshot(driver: Driver) -> Mapping[str, Any] | None:
    """Return the snapshot that the object holds, as it would be stored."""
    snapshot = driver.check.snapshot
    if snapshot.written_at is None:
        return None
    document: Mapping[str, Any] = json.loads(snapshot.dump(snapshot.written_at))
    return document
