"""Lives of the check's process with a planted defect each, which the judges must find.

They are named by `Trial(target=...)` and run in processes of their own.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

from datadog_checks.base import AgentCheck

from chaos import life, together
from metta_checks.core import connections
from metta_checks.core.address import Address
from metta_checks.core.diagnosis import Finding
from metta_checks.core.errors import RateLimited
from metta_checks.core.http import Api
from metta_checks.core.identity import Duplicates
from metta_checks.core.refresh import Refresh
from metta_checks.core.snapshot import Snapshot
from metta_checks.core.source import Source
from metta_checks.core.status import Status


class _Agent(life.Agent):
    """An Agent to which a spoiled check submits, from its fourth run on."""

    def submit_metric(
        self, check: Any, check_id: str, kind: int, name: str, value: float, tags: list[str], *more: Any
    ) -> None:
        for spoiled in self.spoil(name, value) if self.run >= 4 else [value]:
            super().submit_metric(check, check_id, kind, name, spoiled, tags, *more)

    def spoil(self, name: str, value: float) -> list[float]:
        """The values that are submitted instead of this one."""
        raise NotImplementedError


class WrongValue(_Agent):
    """A gauge is one too high."""

    def spoil(self, name, value):
        return [value + 1] if name == 'metta.kubernetes.pods.running' else [value]


class InventedZero(_Agent):
    """A gauge is 0."""

    def spoil(self, name, value):
        return [0.0] if name == 'metta.kubernetes.pods.running' else [value]


class DoubledCount(_Agent):
    """A count is sent twice."""

    def spoil(self, name, value):
        return [value, value] if name == 'metta.kubernetes.containers.restarts' else [value]


class LostCount(_Agent):
    """A count is not sent."""

    def spoil(self, name, value):
        return [] if name == 'metta.kubernetes.containers.restarts' else [value]


class DoubledGauge(_Agent):
    """A gauge is sent twice."""

    def spoil(self, name, value):
        return [value, value] if name == 'metta.kubernetes.pods.failed' else [value]


class NoErrors(_Agent):
    """Failures are not counted."""

    def spoil(self, name, value):
        return [] if name == 'metta.collector.errors' else [value]


def hang(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """Every run takes an hour, by the clock that measures it."""
    with mock.patch.object(time, 'perf_counter', side_effect=itertools.count(step=3600.0)):
        life.live(connection, folder, instance)


def stuck(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """A run never ends."""
    with mock.patch.object(AgentCheck, 'run', side_effect=threading.Event().wait):
        life.live(connection, folder, instance)


def crash(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """The process dies by itself."""
    raise SystemExit(3)


def leak(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """Every run keeps a mebibyte."""
    run = AgentCheck.run
    kept = []

    def greedy(check: AgentCheck) -> str:
        kept.append(bytearray(b'x' * 2**20))
        report: str = run(check)
        return report

    with mock.patch.object(AgentCheck, 'run', greedy):
        life.live(connection, folder, instance)


def sends_before_it_remembers(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """Counts and events are sent, and only then is it remembered that they were."""
    write, submit = Source.write_persistent_cache, Source._submit_once
    waiting: list[tuple[str, str]] = []

    def later(check: Source, key: str, value: str) -> None:
        waiting.append((key, value))

    def first(check: Source, refresh: Refresh) -> None:
        submit(check, refresh)
        write(check, *waiting.pop())

    with (
        mock.patch.object(Source, 'write_persistent_cache', later),
        mock.patch.object(Source, '_submit_once', first),
    ):
        life.live(connection, folder, instance)


def forgets_status(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """A restart forgets how the last refresh ended."""
    load = Snapshot.load

    def without_status(text: str, now: float) -> Snapshot:
        snapshot = load(text, now)
        snapshot.status = Status()
        return snapshot

    with mock.patch.object(Snapshot, 'load', without_status):
        life.live(connection, folder, instance)


def trusts_the_future(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """Nothing is read before a time that was noted while the clock was ahead."""
    refresh_if_due = Source._refresh_if_due

    def later(check: Source, now: datetime) -> Refresh | None:
        last = check.snapshot.refreshed_at
        return None if last is not None and last > now.timestamp() else refresh_if_due(check, now)

    with (
        mock.patch.object(Source, '_distrust_future'),
        mock.patch.object(Source, '_refresh_if_due', later),
    ):
        life.live(connection, folder, instance)


def takes_interim_answers(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """An interim answer (1xx) is taken for the answer."""
    with mock.patch.object(connections.Answer, 'begin', http.client.HTTPResponse.begin):
        life.live(connection, folder, instance)


def takes_errors_for_defects(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """HTTP 429 raises an error that the check does not know."""
    with mock.patch.object(RateLimited, '__init__', side_effect=TypeError):
        life.live(connection, folder, instance)


def keeps_idle_connections(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """An idle connection is used again, however long it was idle."""
    with mock.patch.object(connections, 'MAX_IDLE_SECONDS', 10**9):
        life.live(connection, folder, instance)


def follows_redirects(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """Redirects are followed to any host."""
    join = Address.join

    def anywhere(address: Address, path: str) -> str:
        return path if '://' in path else join(address, path)

    with (
        mock.patch.object(Address, 'join', anywhere),
        mock.patch.object(Api, '_is_followed', staticmethod(lambda _, response: 'Location' in response.headers)),
    ):
        life.live(connection, folder, instance)


def spends_memory(connection: Connection, folder: Path, instance: Mapping[str, Any]) -> None:
    """Every run takes half a gibibyte, and gives it back."""
    run = AgentCheck.run

    def greedy(check: AgentCheck) -> str:
        bytearray(b'x') * 2**29
        report: str = run(check)
        return report

    with mock.patch.object(AgentCheck, 'run', greedy):
        life.live(connection, folder, instance)


Instances = Sequence[Mapping[str, Any]]


def ignores_filters(connection: Connection, folder: Path, instances: Instances) -> None:
    """The key of the snapshot does not depend on the options that decide what is shown."""
    with mock.patch.object(Source, 'persistent_cache_id', return_value='account'):
        together.live(connection, folder, instances)


def diagnoses_between_runs(connection: Connection, folder: Path, instances: Instances) -> None:
    """A diagnosis during a run fails."""
    refresh = Source._refresh
    findings = Source.findings
    reading: set[Source] = set()

    def noted(check: Source, *args: Any, **kwargs: Any) -> Refresh:
        reading.add(check)
        try:
            return refresh(check, *args, **kwargs)
        finally:
            reading.discard(check)

    def between(check: Source) -> Iterator[Finding]:
        if reading:
            raise RuntimeError('the instance is being read')
        return findings(check)

    with mock.patch.object(Source, '_refresh', noted), mock.patch.object(Source, 'findings', between):
        together.live(connection, folder, instances)


def ignores_twins(connection: Connection, folder: Path, instances: Instances) -> None:
    """Nobody is told that two instances have the same key."""
    with mock.patch.object(Duplicates, 'ran', return_value=False):
        together.live(connection, folder, instances)
