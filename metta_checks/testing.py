"""Public test kit: run a check as the Agent does, at a chosen time, and inspect its submissions.

    clock = Clock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    driver = Driver({'source': 'github', 'api_url': url, 'token': 't', 'repositories': ['o/r']}, clock)
    run = driver.run()
    assert run.value('metta.github.prs.open', 'repo:r') == 3
    clock.advance(900)
    runs = driver.drain(clock.advance)

`Agent` implements the Agent's side of the interface, `Clock` its time; `compare` compares figures with the truth.
Never imported by the check.
"""

from __future__ import annotations

import functools
import hashlib
import heapq
import itertools
import json
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from datadog_checks.base.checks import base
from datadog_checks.base.stubs import aggregator, datadog_agent

from .check import MettaChecks
from .core.clock import Clock as AnyClock
from .core.clock import Timer
from .core.diagnosis import Finding
from .core.points import Point
from .core.source import SERVICE_CHECK, Source
from .core.tags import stored_tag

SELF_METRICS = 'metta.collector.'
# A crawl that takes more runs is a defect.
MAX_RUNS = 60
RUN_INTERVAL = 60
STATUSES = frozenset(range(4))
TYPES = {aggregator.GAUGE: 'gauge', aggregator.COUNT: 'count', aggregator.HISTOGRAM: 'histogram'}
# Identity of a series: its full name and its sorted tags.
Key = tuple[str, tuple[str, ...]]


# Time.


class Clock:
    """A clock that starts at `start` (default: the current whole second) and stands still until `advance` or `run`.

    It satisfies `metta_checks.core.clock.Clock`: budgets, deadlines and timers of a check with this clock expire when
    `advance` is called, without real time passing.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self.start = start or datetime.now(UTC).replace(microsecond=0)
        self._passed = 0.0
        self._running_since: float | None = None
        self._timers: list[tuple[float, int, _Timer]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time, UTC."""
        return self.start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        with self._lock:
            running = 0.0 if self._running_since is None else time.monotonic() - self._running_since
            return self._passed + running

    def call_later(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Call a function after the given seconds, in the thread that advances the clock."""
        with self._lock:
            if self._running_since is None:
                timer = _Timer(function)
                heapq.heappush(self._timers, (self._passed + seconds, next(self._numbers), timer))
                return timer
        real = threading.Timer(seconds, function)
        real.daemon = True
        real.start()
        return real

    def advance(self, seconds: float) -> datetime:
        """Advance the clock at once and call the timers that are due. Returns the new time."""
        with self._lock:
            self._passed += seconds
            due = []
            while self._timers and self._timers[0][0] <= self._passed:
                due.append(heapq.heappop(self._timers)[2])
        for timer in due:
            timer.fire()
        return self.now()

    def sleep(self, seconds: float) -> None:
        """Advance the clock by the given seconds, or really wait if the clock runs by itself."""
        if self._running_since is None:
            self.advance(seconds)
        else:
            time.sleep(seconds)

    def wait(self, seconds: float, event: threading.Event) -> None:
        """Advance the clock by the given seconds, or wait for the event as long if the clock runs by itself."""
        if self._running_since is None:
            self.advance(seconds)
        else:
            event.wait(seconds)

    def run(self) -> None:
        """Advance with real time from now on."""
        with self._lock:
            if self._running_since is None:
                self._running_since = time.monotonic()


class _Timer:
    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def cancel(self) -> None:
        self._function = None

    def fire(self) -> None:
        if self._function is not None:
            self._function()


# The Agent's side.


@dataclass
class Submissions:
    """Submissions of a check since the last `take`."""

    points: list[Point] = field(default_factory=list)
    service_checks: list[tuple[str, int, tuple[str, ...], str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


class Agent:
    """A stand-in for the Agent: accepts submissions of checks, and keeps the data that they persist.

    It accepts only values that the real Agent would submit unchanged, and raises the errors of its C interface for
    others: texts are str, valid UTF-8 and without a zero byte, tags are lists of them, numbers are finite, and nothing
    is None. The persistent cache is one file per key, as in the Agent; in a folder of your own it outlives the process.
    The toolkit's own stubs answer everything else that it asks of the Agent (configuration, metadata).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._given = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._submitted: WeakKeyDictionary[Any, Submissions] = WeakKeyDictionary()

    @property
    def folder(self) -> Path:
        """The folder of the persistent cache: the given one, else one that goes with this object."""
        if self._given is not None:
            return self._given
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix='metta-checks-', ignore_cleanup_errors=True)
        return Path(self._temporary.name)

    def install(self) -> None:
        """Make this the Agent of all checks in this process."""
        # The toolkit looks both up in this module.
        vars(base).update(aggregator=self, datadog_agent=self)

    def reset(self) -> None:
        """Forget all submissions, and the stored values unless the folder was given."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
        self._submitted.clear()

    def submitted(self, check: Any) -> Submissions:
        """Return the submissions of a check since the last `take`."""
        return self._submitted.setdefault(check, Submissions())

    def take(self, check: Any) -> Submissions:
        """Return the submissions of a check since the last `take`, and forget them."""
        return self._submitted.pop(check, Submissions())

    # The interface of `aggregator`.

    def submit_metric(  # noqa: PLR0913  # the signature of the Agent
        self,
        check: Any,
        check_id: str,
        kind: int,
        name: str,
        value: float,
        tags: list[str],
        hostname: str,
        flush_first_value: bool = False,
    ) -> None:
        """Accept a metric. Raises TypeError or ValueError for values that the real Agent would refuse or change."""
        _require_text(check_id, 'the id of a check')
        _require_text(name, 'the name of a metric')
        _require_text(hostname, f'the host of {name}')
        _require(flush_first_value, bool, f'flush_first_value of {name}')
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f'{name}: {value!r} is not a number')
        if not math.isfinite(value):
            raise ValueError(f'{name}: {value!r} is not a finite number')
        if kind not in TYPES:
            raise ValueError(f'{name}: type {kind} is not used by this integration')
        self.submitted(check).points.append(Point(name, TYPES[kind], value, _tags(tags, name)))

    def submit_service_check(  # noqa: PLR0913  # the signature of the Agent
        self, check: Any, check_id: str, name: str, status: int, tags: list[str], hostname: str, message: str
    ) -> None:
        """Accept a service check. Raises TypeError or ValueError as for a metric."""
        _require_text(check_id, 'the id of a check')
        _require_text(name, 'the name of a service check')
        _require(status, int, f'the status of {name}')
        if status not in STATUSES:
            raise ValueError(f'{name}: {status} is not a status')
        _require_text(hostname, f'the host of {name}')
        _require_text(message, f'the message of {name}')
        self.submitted(check).service_checks.append((name, int(status), _tags(tags, name), message))

    def submit_event(self, check: Any, check_id: str, event: dict[str, Any]) -> None:
        """Accept an event. Raises TypeError or ValueError as for a metric."""
        _require_text(check_id, 'the id of a check')
        _require(event, dict, 'an event')
        for key, value in event.items():
            if key == 'tags':
                _tags(value, event['msg_title'])
            elif key == 'timestamp':
                _require(value, int, 'the timestamp of an event')
            else:
                _require_text(value, f'{key} of an event')
        self.submitted(check).events.append(event)

    # The interface of `datadog_agent`.

    def write_persistent_cache(self, key: str, value: str) -> None:
        """Store a value under a key. Raises TypeError or ValueError for texts that do not pass the C interface."""
        _require_text(key, 'a key')
        _require_text(value, f'the value of {key}')
        self.path(key).write_bytes(value.encode())

    def read_persistent_cache(self, key: str) -> str:
        """Return the stored value up to a zero byte, '' without one. Raises UnicodeDecodeError for other than UTF-8."""
        _require_text(key, 'a key')
        path = self.path(key)
        return path.read_bytes().partition(b'\0')[0].decode() if path.exists() else ''

    def path(self, key: str) -> Path:
        """Return the file of a key; as in the Agent, only [A-Za-z0-9_-] occur in its name."""
        return self.folder / ''.join(one for one in key if one.isascii() and (one.isalnum() or one in '_-'))

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the toolkit's stubs."""
        return getattr(aggregator if hasattr(aggregator, name) else datadog_agent, name)


def _require(value: Any, kind: type, what: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f'{what} is {value!r}, not {kind.__name__}')


def _require_text(value: Any, what: str) -> None:
    """Raise TypeError for other than str, ValueError for text that is not a C string in UTF-8."""
    _require(value, str, what)
    if '\0' in value:
        raise ValueError(f'{what}: embedded null character')
    # Raises UnicodeEncodeError, a ValueError, for a lone surrogate.
    value.encode()


def _tags(tags: list[str], name: str) -> tuple[str, ...]:
    _require(tags, list, f'the tags of {name}')
    for tag in tags:
        _require_text(tag, f'a tag of {name}')
    return tuple(tags)


# The Agent of this process, used by drivers without an Agent of their own.
AGENT = Agent()


# Runs.


@dataclass(frozen=True)
class Run:
    """Result of one run of a check."""

    # One line if the run failed as a whole, else empty.
    error: str
    warnings: list[str]
    # In the order of submission, the instance's own tags included.
    points: list[Point]
    service_check: tuple[int, str] | None
    events: list[dict[str, Any]]
    # Real seconds and CPU seconds that the run took, and bytes of the answers that it read.
    seconds: float
    cpu_seconds: float
    bytes: int

    @property
    def status(self) -> int | None:
        """Status of the service check, None if none was sent."""
        return None if self.service_check is None else self.service_check[0]

    @property
    def message(self) -> str:
        """Message of the service check, empty if none was sent."""
        return '' if self.service_check is None else self.service_check[1]

    @functools.cached_property
    def values(self) -> dict[Key, float]:
        """Gauges and counts by series. Raises ValueError for a series that was submitted twice."""
        result: dict[Key, float] = {}
        for point in self.points:
            if point.type != 'histogram':
                key = (point.name, tuple(sorted(point.tags)))
                if key in result:
                    raise ValueError(f'{key} was submitted twice')
                result[key] = point.value
        return result

    @functools.cached_property
    def histograms(self) -> dict[Key, list[float]]:
        """Values of histograms by series, in the order of submission."""
        result: dict[Key, list[float]] = {}
        for point in self.points:
            if point.type == 'histogram':
                result.setdefault((point.name, tuple(sorted(point.tags))), []).append(point.value)
        return result

    def value(self, name: str, *tags: str) -> float | None:
        """Return the value of the one series of a name that has all these tags, None without one.

        Raises ValueError when several series fit.
        """
        found = [
            value
            for (known, known_tags), value in self.values.items()
            if known == name and set(tags) <= set(known_tags)
        ]
        if len(found) > 1:
            raise ValueError(f'{name} has {len(found)} series with the tags {tags}')
        return found[0] if found else None

    def require(self, name: str, *tags: str) -> float:
        """Return the value of a series, see `value`. Raises LookupError for a missing series."""
        value = self.value(name, *tags)
        if value is None:
            raise LookupError(f'{name} has no series with the tags {tags}')
        return value

    def series(self, name: str) -> dict[tuple[str, ...], float]:
        """Return all series of a name, by tags."""
        return {tags: value for (known, tags), value in self.values.items() if known == name}

    @property
    def names(self) -> set[str]:
        """All metric names except the self-metrics."""
        return {point.name for point in self.points if not point.name.startswith(SELF_METRICS)}

    def figures(self, own_tags: Iterable[str] = ()) -> dict[Key, float]:
        """Return gauges and counts by series, without the self-metrics and the instance's own tags."""
        own = set(own_tags)
        return {
            (name, tuple(tag for tag in tags if tag not in own)): value
            for (name, tags), value in self.values.items()
            if not name.startswith(SELF_METRICS)
        }

    def errors(self) -> dict[tuple[str, str], float]:
        """Return `metta.collector.errors` as (block, reason) -> number."""
        result = {}
        for tags, value in self.series('metta.collector.errors').items():
            pairs = dict(tag.split(':', 1) for tag in tags)
            result[pairs['block'], pairs['reason']] = value
        return result

    @property
    def requests(self) -> float | None:
        """Value of `metta.collector.requests`, None if the run only re-emitted."""
        return self.value('metta.collector.requests')


class Readable(Protocol):
    """A service that a check can read, such as those of the sandbox."""

    @property
    def clock(self) -> Clock:
        """Clock of the service."""

    def instance(self) -> dict[str, Any]:
        """Return a configuration instance that reads the service."""


class Driver:
    """One instance of the check, which can run repeatedly.

    Parameters:
        instance: the configuration, as one entry of `instances` in a conf.yaml
        clock: the check's clock, any that satisfies `metta_checks.core.clock.Clock`; None: the system's
        init_config: the `init_config` of the conf.yaml
        agent: the Agent that it runs in; None: the one of this process
        check_class: the class that the Agent would load
    """

    def __init__(
        self,
        instance: Mapping[str, Any],
        clock: AnyClock | None = None,
        *,
        init_config: Mapping[str, Any] | None = None,
        agent: Agent | None = None,
        check_class: Callable[..., Any] = MettaChecks,
    ) -> None:
        self.agent = agent or AGENT
        self.agent.install()
        # Called in the same way as by the Agent's loader.
        self.check: Source[Any, Any] = check_class(
            name='metta_checks', init_config=dict(init_config or {}), instances=(dict(instance),)
        )
        # The Agent sets it after construction; it is part of the key of the persistent cache.
        digest = hashlib.sha256(json.dumps(instance, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self.check.check_id = f'metta_checks:{digest}'
        if clock is not None:
            self.check.clock = clock

    @classmethod
    def of(cls, service: Readable, **overrides: Any) -> Driver:
        """Return a driver of the instance that reads a service, with some options changed (None removes one)."""
        instance = {**service.instance(), **overrides}
        return cls({key: value for key, value in instance.items() if value is not None}, service.clock)

    def execute(self) -> str:
        """Run once, as the Agent does; return '' or the Agent's JSON report. The submissions stay with the Agent."""
        self.agent.install()
        self.check.warnings = []
        report: str = self.check.run()
        return report

    def run(self) -> Run:
        """Run once and return the result."""
        self.agent.take(self.check)
        self.check.budget.bytes = 0
        started, cpu_started = time.perf_counter(), time.process_time()
        report = self.execute()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        submitted = self.agent.take(self.check)
        checks = [(status, message) for name, status, _, message in submitted.service_checks if name == SERVICE_CHECK]
        return Run(
            error=json.loads(report)[0]['message'] if report else '',
            warnings=list(self.check.get_warnings()),
            points=submitted.points,
            service_check=checks[-1] if checks else None,
            events=submitted.events,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            bytes=self.check.budget.bytes,
        )

    def refresh(self) -> Run:
        """Run once, and read the service whatever the age of the snapshot."""
        self.check.expire()
        return self.run()

    def drain(self, pass_time: Callable[[float], object], *, refresh: bool = False) -> list[Run]:
        """Run until no crawl or retry is pending; return all runs.

        `pass_time` is called with the seconds between two runs. `refresh`: the first run reads the service whatever the
        age of the snapshot. Raises RuntimeError after MAX_RUNS runs.
        """
        runs = [self.refresh() if refresh else self.run()]
        while self.check.has_pending_blocks:
            if len(runs) == MAX_RUNS:
                raise RuntimeError(f'{self.check.label}: a crawl or retry is still pending after {MAX_RUNS} runs')
            pass_time(RUN_INTERVAL)
            runs.append(self.run())
        return runs

    def findings(self) -> list[Finding]:
        """Return the source's own diagnosis, without the findings that all sources have in common."""
        self.agent.install()
        return [one for one in self.check.findings() if one.name not in ('tags', 'last refresh', 'clock')]


# Truth.


class Figure(Protocol):
    """A true value: full name, tags without the instance's own, value."""

    @property
    def name(self) -> str:
        """The full name."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags."""

    @property
    def value(self) -> float:
        """The value."""


class Difference(NamedTuple):
    """A series whose value is not the true one; None where there is no such series."""

    ours: float | None
    truth: float | None


@dataclass(frozen=True)
class Comparison:
    """Figures held against a truth."""

    # Series whose values are equal.
    equal: frozenset[Key]
    different: dict[Key, Difference]

    @property
    def lines(self) -> list[str]:
        """One line per difference."""
        return [
            f'{name} {",".join(tags)}: {one.ours}, truth {one.truth}'
            for (name, tags), one in sorted(self.different.items())
        ]


def is_same(ours: float, truth: float, relative: float = 1e-9) -> bool:
    """Return whether two values differ at most in the last digits of a float, or by the given share."""
    return math.isclose(ours, truth, rel_tol=relative, abs_tol=1e-9)


def as_truth(figures: Iterable[Figure]) -> dict[Key, float]:
    """Return true figures by series, with tags as Datadog stores them. Values of one series are added up."""
    truth: dict[Key, list[float]] = {}
    for one in figures:
        truth.setdefault((one.name, tuple(sorted(map(stored_tag, one.tags)))), []).append(one.value)
    return {key: math.fsum(values) for key, values in truth.items()}


def compare(
    ours: Mapping[Key, float],
    truth: Mapping[Key, float],
    names: Iterable[str] | None = None,
    *,
    relative: float = 1e-9,
) -> Comparison:
    """Compare figures with the truth, series by series, both ways: a missing series is a difference, too.

    `names` are the metrics compared (default: all), `relative` the allowed difference of two equal values.
    """
    chosen = None if names is None else set(names)
    equal, different = set(), {}
    for key in ours.keys() | truth.keys():
        if chosen is not None and key[0] not in chosen:
            continue
        one = Difference(ours.get(key), truth.get(key))
        if one.ours is not None and one.truth is not None and is_same(one.ours, one.truth, relative):
            equal.add(key)
        else:
            different[key] = one
    return Comparison(frozenset(equal), different)
