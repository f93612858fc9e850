"""Lives of the check's process with a planted defect each, for which the judges must find words.

They are named by `Trial(target=...)` and run in processes of their own.
"""

from __future__ import annotations

import time
from typing import Any

from datadog_checks.base import AgentCheck

from chaos import life


class _Agent(life.Agent):
    """An Agent to which a spoilt check submits."""

    def submit_metric(self, check: Any, check_id: str, kind: int, name: str, value: float, *more: Any) -> None:
        if self.run < 4:
            super().submit_metric(check, check_id, kind, name, value, *more)
            return
        for spoilt in self.spoil(kind in life.ONCE, name, value):
            super().submit_metric(check, check_id, kind, name, spoilt, *more)

    def spoil(self, once: bool, name: str, value: float) -> list[float]:
        """The values that are submitted instead of this one."""
        return [value]


class WrongValue(_Agent):
    def spoil(self, once, name, value):
        return [value + 1] if name == 'metta.kubernetes.pods.running' else [value]


class InventedZero(_Agent):
    def spoil(self, once, name, value):
        return [0.0] if name == 'metta.kubernetes.pods.running' else [value]


class DoubledCount(_Agent):
    def spoil(self, once, name, value):
        return [value, value] if name == 'metta.kubernetes.containers.restarts' else [value]


class LostCount(_Agent):
    def spoil(self, once, name, value):
        return [] if name == 'metta.kubernetes.containers.restarts' else [value]


class DoubledGauge(_Agent):
    def spoil(self, once, name, value):
        return [value, value] if name == 'metta.kubernetes.pods.failed' else [value]


class NoErrors(_Agent):
    def spoil(self, once, name, value):
        return [] if name == 'metta.collector.errors' else [value]


def _lived(agent: type[life.Agent], *arguments: Any) -> None:
    life.Agent = agent
    life.live(*arguments)


def wrong_value(*arguments: Any) -> None:
    """A gauge is one too high."""
    _lived(WrongValue, *arguments)


def invented_zero(*arguments: Any) -> None:
    """A gauge is 0."""
    _lived(InventedZero, *arguments)


def doubled_count(*arguments: Any) -> None:
    """A count is sent twice."""
    _lived(DoubledCount, *arguments)


def lost_count(*arguments: Any) -> None:
    """A count is not sent."""
    _lived(LostCount, *arguments)


def doubled_gauge(*arguments: Any) -> None:
    """A gauge is sent twice."""
    _lived(DoubledGauge, *arguments)


def no_errors(*arguments: Any) -> None:
    """Failures are not counted."""
    _lived(NoErrors, *arguments)


def hang(*arguments: Any) -> None:
    """A run takes far too long."""
    run = AgentCheck.run

    def slow(check: AgentCheck) -> str:
        time.sleep(4)
        return run(check)

    AgentCheck.run = slow
    life.live(*arguments)


def stuck(*arguments: Any) -> None:
    """A run never ends."""
    AgentCheck.run = lambda check: time.sleep(3600)
    life.live(*arguments)


def crash(*arguments: Any) -> None:
    """The process dies by itself."""
    raise SystemExit(3)


def leak(*arguments: Any) -> None:
    """Every run keeps a mebibyte."""
    run = AgentCheck.run
    kept = []

    def greedy(check: AgentCheck) -> str:
        kept.append(bytearray(b'x' * 2**20))
        return run(check)

    AgentCheck.run = greedy
    life.live(*arguments)


def sends_before_it_remembers(*arguments: Any) -> None:
    """The old order: what goes out once goes out, and only then is it remembered."""
    from metta_checks.source import Source

    write, submit = Source.write_persistent_cache, Source._submit_once
    waiting: list[tuple[Any, ...]] = []

    def later(check: Source, *snapshot: str) -> None:
        waiting.append(snapshot)

    def first(check: Source, refresh: Any) -> None:
        submit(check, refresh)
        write(check, *waiting.pop())

    Source.write_persistent_cache, Source._submit_once = later, first
    life.live(*arguments)
