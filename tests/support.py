"""Driving a check as the Agent does, and looking at what came out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datadog_checks.base import AgentCheck
from datadog_checks.base.stubs import aggregator

from datadog_checks.metta_checks import MettaChecks
from metta_checks.diagnosis import Finding
from metta_checks.source import Source
from sandbox import Service

# The stub refuses tags such as `env` and `cluster`, a rule for Datadog's own checks; the Agent itself does not.
os.environ.setdefault('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')
SELF_METRICS = 'metta.collector.'
Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Run:
    """What one run of a check left behind."""

    error: str
    warnings: list[str]
    # (full name, sorted tags) -> value. Gauges and counts; the instance's own tags included.
    values: dict[Key, float]
    histograms: dict[Key, list[float]]
    service_check: tuple[int, str] | None
    events: list[dict[str, Any]]

    def value(self, name: str, *tags: str) -> float | None:
        """The value of the one series of that name that has all these tags, None without one."""
        found = [
            value
            for (known, known_tags), value in self.values.items()
            if known == name and set(tags) <= set(known_tags)
        ]
        assert len(found) <= 1, f'{name} has {len(found)} series with {tags}'
        return found[0] if found else None

    def series(self, name: str) -> dict[tuple[str, ...], float]:
        """All series of a name, by tags."""
        return {tags: value for (known, tags), value in self.values.items() if known == name}

    @property
    def names(self) -> set[str]:
        """All names but the self-metrics."""
        return {name for name, _ in (*self.values, *self.histograms) if not name.startswith(SELF_METRICS)}

    def errors(self) -> dict[tuple[str, str], float]:
        """metta.collector.errors as (block, reason) -> number."""
        result = {}
        for tags, value in self.series('metta.collector.errors').items():
            pairs = dict(tag.split(':', 1) for tag in tags)
            result[pairs['block'], pairs['reason']] = value
        return result

    @property
    def requests(self) -> float | None:
        """metta.collector.requests, None when the run only re-emitted."""
        return self.value('metta.collector.requests')


def probed(check: Source) -> list[Finding]:
    """What the source itself found; what is said of every source alike has tests of its own."""
    return [finding for finding in check.findings() if finding.name not in ('tags', 'last refresh', 'clock')]


class Driver:
    """One instance of the check, run again and again at the time of a clock."""

    def __init__(self, instance: Mapping[str, Any], clock: Callable[[], datetime]) -> None:
        self.check: AgentCheck = MettaChecks('metta_checks', {}, [dict(instance)])
        self.check.clock = clock

    @classmethod
    def of(cls, service: Service, **overrides: Any) -> Driver:
        """For the instance that reads a sandbox service, with some options changed (None removes one)."""
        instance = {**service.instance(), **overrides}
        return cls({key: value for key, value in instance.items() if value is not None}, service.clock.now)

    def run(self) -> Run:
        """Run once."""
        aggregator.reset()
        self.check.warnings = []
        report = self.check.run()
        values: dict[Key, float] = {}
        histograms: dict[Key, list[float]] = {}
        for name in aggregator.metric_names:
            for stub in aggregator.metrics(name):
                key = (name, tuple(sorted(stub.tags)))
                if stub.type == aggregator.HISTOGRAM:
                    histograms.setdefault(key, []).append(stub.value)
                else:
                    assert key not in values, f'{key} was submitted twice'
                    values[key] = stub.value
        checks = aggregator.service_checks('metta.can_connect')
        return Run(
            error=json.loads(report)[0]['message'] if report else '',
            warnings=list(self.check.get_warnings()),
            values=values,
            histograms=histograms,
            service_check=(checks[-1].status, checks[-1].message) if checks else None,
            events=list(aggregator.events),
        )
