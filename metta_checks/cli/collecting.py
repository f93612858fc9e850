"""Runs checks outside an Agent and gathers what they submit."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from datadog_checks.base import AgentCheck, ConfigurationError
from datadog_checks.base.stubs import aggregator

from metta_checks.check import MettaChecks
from metta_checks.points import Point

from .configuration import Configured

# The stub refuses tags such as `env` and `cluster`, a rule for Datadog's own checks; the Agent itself does not.
os.environ.setdefault('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')
STATUSES = {AgentCheck.OK: 'ok', AgentCheck.WARNING: 'warning', AgentCheck.CRITICAL: 'critical'}
TYPES = {
    aggregator.GAUGE: 'gauge',
    aggregator.COUNT: 'count',
    aggregator.HISTOGRAM: 'histogram',
}
SELF_METRICS = 'metta.collector.'


@dataclass(frozen=True, slots=True)
class Collected:
    """What one run of one instance gave."""

    source: str
    label: str
    at: str
    seconds: float
    requests: int
    bytes: int
    # One line when the run failed as a whole, else empty.
    error: str
    warnings: tuple[str, ...]
    # ok, warning, critical; None when the check could not even start.
    status: str | None
    message: str
    points: tuple[Point, ...]
    events: tuple[dict[str, Any], ...]

    @property
    def series(self) -> int:
        """Series without the self-metrics."""
        return len({(point.name, point.tags) for point in self.points if not point.name.startswith(SELF_METRICS)})

    def document(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


class Runner:
    """One configured instance, run as often as wanted."""

    def __init__(self, configured: Configured) -> None:
        self.source = configured.source
        self.check: Any = None
        self.error = ''
        try:
            self.check = MettaChecks('metta_checks', dict(configured.init_config), [dict(configured.instance)])
        except ConfigurationError as error:
            self.error = str(error)

    @property
    def label(self) -> str:
        """The instance in messages."""
        return self.check.label if self.check else self.source

    def run(self, *, afresh: bool = False) -> Collected:
        """Run once. `afresh` reads the service again, as a later refresh would, instead of re-emitting."""
        started = time.perf_counter()
        if self.check is None:
            return Collected(self.source, self.source, _now(), 0.0, 0, 0, self.error, (), None, self.error, (), ())
        if afresh:
            self.check.snapshot.refreshed_at = None
        aggregator.reset()
        self.check.warnings = []
        self.check.budget.bytes = 0
        report = self.check.run()
        points = tuple(
            Point(stub.name, TYPES[stub.type], stub.value, tuple(stub.tags))
            for name in aggregator.metric_names
            for stub in aggregator.metrics(name)
        )
        checks = aggregator.service_checks('metta.can_connect')
        return Collected(
            source=self.source,
            label=self.label,
            at=_now(),
            seconds=time.perf_counter() - started,
            requests=int(sum(point.value for point in points if point.name == 'metta.collector.requests')),
            bytes=self.check.budget.bytes,
            error=json.loads(report)[0]['message'] if report else '',
            warnings=tuple(self.check.get_warnings()),
            status=STATUSES[checks[-1].status] if checks else None,
            message=checks[-1].message if checks else '',
            points=points,
            events=tuple(aggregator.events),
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec='seconds')


def failed(collected: Iterable[Collected]) -> bool:
    """Whether any instance failed as a whole."""
    return any(one.error for one in collected)
