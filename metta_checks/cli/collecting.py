"""Run checks outside an Agent and collect their submissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from datadog_checks.base import AgentCheck, ConfigurationError

from metta_checks.core.diagnosis import Finding
from metta_checks.core.points import Point
from metta_checks.core.source import Source
from metta_checks.testing import SELF_METRICS, Clock, Driver, Run

from .configuration import Configured

STATUSES: dict[int, str] = {AgentCheck.OK: 'ok', AgentCheck.WARNING: 'warning', AgentCheck.CRITICAL: 'critical'}


@dataclass(frozen=True, slots=True)
class Collected:
    """Submissions of one run of one instance."""

    source: str
    label: str
    at: str
    seconds: float
    requests: int
    bytes: int
    # One line if the run failed as a whole, else empty.
    error: str
    warnings: tuple[str, ...]
    # One of ok, warning, critical; None if the check did not start.
    status: str | None
    message: str
    points: tuple[Point, ...]
    events: tuple[dict[str, Any], ...]

    @property
    def series(self) -> int:
        """Return the series without the self-metrics."""
        return len({(point.name, point.tags) for point in self.points if not point.name.startswith(SELF_METRICS)})

    def document(self, refresh: int) -> dict[str, Any]:
        """Return the run as a JSON value; `refresh` is its number, from 1."""
        values = asdict(self)
        return {'instance': values.pop('label'), 'refresh': refresh, 'series': self.series, **values}


class Runner:
    """One configured instance, which can run repeatedly."""

    def __init__(self, configured: Configured, clock: Clock | None = None) -> None:
        self.source = configured.source
        self.error = configured.error
        # None if the configuration is rejected.
        self.check: Source[Any, Any] | None = None
        self._driver: Driver | None = None
        self._file = configured.file
        if self.error:
            return
        try:
            self._driver = Driver(configured.instance, clock, init_config=configured.init_config)
            self.check = self._driver.check
        except ConfigurationError as error:
            self.error = str(error)

    @property
    def label(self) -> str:
        """Name of the instance in messages."""
        return self.check.label if self.check else self.source or self._file.name

    @property
    def instance_tags(self) -> list[str]:
        """Tags of the instance, common to all its series."""
        return self.check.instance_tags if self.check else []

    def findings(self) -> list[Finding]:
        """Return what `doctor` says about the instance."""
        if self.check is None:
            remedy = 'correct the file, or write another one with `metta-checks init`'
            return [Finding('configuration', 'fail', self.error, remedy)]
        return list(self.check.findings())

    def run(self, *, refresh: bool = False) -> Collected:
        """Run once. With `refresh`, read the service whatever the age of the snapshot."""
        return self._collected(lambda driver: [driver.refresh() if refresh else driver.run()])[0]

    def drain(self, pass_time: Callable[[float], object]) -> list[Collected]:
        """Refresh, and continue unfinished crawls in further runs (see `Driver.drain`); return all runs."""
        return self._collected(lambda driver: driver.drain(pass_time, refresh=True))

    def _collected(self, run: Callable[[Driver], list[Run]]) -> list[Collected]:
        if self._driver is None:
            return [Collected(self.source, self.label, _now(), 0.0, 0, 0, self.error, (), None, self.error, (), ())]
        return [self._of(one) for one in run(self._driver)]

    def _unknown_options(self) -> list[str]:
        return [f'{self.label}: {line}' for line in self.check.unknown_options()] if self.check else []

    def _of(self, run: Run) -> Collected:
        status, message = run.service_check or (None, '')
        return Collected(
            source=self.source,
            label=self.label,
            at=_now(),
            seconds=run.seconds,
            requests=int(run.requests or 0),
            bytes=run.bytes,
            error=run.error,
            warnings=(*self._unknown_options(), *run.warnings),
            status=None if status is None else STATUSES[status],
            message=message,
            points=tuple(run.points),
            events=tuple(run.events),
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec='seconds')


def failed(collected: Iterable[Collected]) -> bool:
    """Return whether any instance failed as a whole."""
    return any(one.error for one in collected)
