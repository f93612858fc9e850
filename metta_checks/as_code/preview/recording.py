"""A recorded run of the check: what it submitted, and when.

JSON lines, gzipped when the name ends in `.gz`, one object per line, in any order:

    {"time": 1767225600, "name": "metta.github.prs.open", "type": "gauge", "value": 12, "tags": ["repo:a/b"]}
    {"time": 1767225600, "check": "metta.can_connect", "status": "ok", "message": "", "tags": ["source:github"]}
    {"time": 1767225600, "event": "A title", "text": "...", "alert_type": "info", "tags": []}

Times are epoch seconds. Histograms are recorded as the series that the Agent makes of them.
"""

from __future__ import annotations

import gzip
import json
import math
import statistics
import zlib
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

from metta_checks.core.points import Point, agent_series

TYPES = ('gauge', 'count', 'rate')
STATUSES = ('ok', 'warning', 'critical', 'unknown')
# Recordings with fewer than two moments have no step of their own.
DEFAULT_STEP = 60.0


class RecordingError(Exception):
    """A recording cannot be read; one line with file, line and reason."""


@dataclass(slots=True)
class Recorded:
    """One series: a metric with one set of tags. `times` ascend; one value per time."""

    metric: str
    type: str
    tags: tuple[str, ...]
    times: array[float] = field(default_factory=lambda: array('d'))
    values: array[float] = field(default_factory=lambda: array('d'))
    by_key: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_key = _values_by_key(self.tags)


def _values_by_key(tags: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each tag key; a tag without a colon is a key with the value ''."""
    found: dict[str, list[str]] = {}
    for tag in tags:
        key, _, value = tag.partition(':')
        found.setdefault(key, []).append(value)
    return found


@dataclass(frozen=True, slots=True)
class CheckState:
    """A service check at a time. `status` is ok, warning, critical or unknown."""

    time: float
    check: str
    status: str
    message: str
    tags: tuple[str, ...]

    @property
    def by_key(self) -> dict[str, list[str]]:
        """Values by tag key."""
        return _values_by_key(self.tags)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of the check."""

    time: float
    title: str
    text: str
    alert_type: str
    tags: tuple[str, ...]

    @property
    def by_key(self) -> dict[str, list[str]]:
        """Values by tag key."""
        return _values_by_key(self.tags)


class Recording:
    """Points, service checks and events of some span of time."""

    def __init__(self) -> None:
        self._series: dict[str, dict[tuple[str, ...], Recorded]] = {}
        self.checks: list[CheckState] = []
        self.events: list[RecordedEvent] = []
        # All moments of the recording, so that step and span need no loop over all series.
        self._moments: Counter[float] = Counter()

    # Recording.

    def add(self, time: float, points: Iterable[Point]) -> None:
        """Add a submitted value at `time` (epoch seconds).

        A gauge's later value replaces an earlier one of the same time; counts are summed.
        """
        for point in agent_series(points):
            self._add(time, point.name, point.type, point.value, tuple(sorted(point.tags)))

    def add_check(self, time: float, check: str, status: str, message: str, tags: Iterable[str]) -> None:
        """Add the state of a service check."""
        self.checks.append(CheckState(time, check, status, message, tuple(sorted(tags))))

    def add_event(self, time: float, title: str, text: str, alert_type: str, tags: Iterable[str]) -> None:
        """Add an event."""
        self.events.append(RecordedEvent(time, title, text, alert_type, tuple(sorted(tags))))

    def _add(self, time: float, name: str, kind: str, value: float, tags: tuple[str, ...]) -> None:
        by_tags = self._series.setdefault(name, {})
        series = by_tags.get(tags)
        if series is None:
            series = by_tags[tags] = Recorded(name, kind, tags)
        times, values = series.times, series.values
        if times and times[-1] >= time:
            self._insert(series, time, value)
        else:
            times.append(time)
            values.append(value)
        if time not in self._moments:
            self.__dict__.pop('step', None)
        self._moments[time] += 1

    @staticmethod
    def _insert(series: Recorded, time: float, value: float) -> None:
        """Insert a point that is not the latest: a file's lines may be in any order."""
        position = bisect_left(series.times, time)
        if series.times[position] != time:
            series.times.insert(position, time)
            series.values.insert(position, value)
        elif series.type == 'count':
            series.values[position] += value
        else:
            series.values[position] = value

    def merge(self, other: Recording) -> None:
        """Add everything from another recording."""
        for by_tags in other._series.values():
            for series in by_tags.values():
                for time, value in zip(series.times, series.values, strict=True):
                    self._add(time, series.metric, series.type, value, series.tags)
        self.checks += other.checks
        self.events += other.events

    # Reading.

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics with a point."""
        return sorted(self._series)

    def series(self, metric: str) -> list[Recorded]:
        """Return all series of a metric, by tags; empty without points."""
        return [series for _, series in sorted(self._series.get(metric, {}).items())]

    @property
    def empty(self) -> bool:
        """True if the recording has no point."""
        return not self._moments

    @property
    def start(self) -> float:
        """First moment, epoch seconds; 0 for an empty recording."""
        return min(self._moments, default=0.0)

    @property
    def end(self) -> float:
        """Last moment, epoch seconds; 0 for an empty recording."""
        return max(self._moments, default=0.0)

    @cached_property
    def step(self) -> float:
        """Median of the seconds between two moments."""
        moments = sorted(self._moments)
        if len(moments) < 2:
            return DEFAULT_STEP
        return statistics.median(later - earlier for earlier, later in pairwise(moments))

    def tag_values(self) -> dict[str, list[str]]:
        """Return the values of every tag key in the recording, for template variables."""
        found: dict[str, set[str]] = defaultdict(set)
        for by_tags in self._series.values():
            for series in by_tags.values():
                for key, values in series.by_key.items():
                    found[key].update(values)
        return {key: sorted(values) for key, values in sorted(found.items())}

    def latest_checks(self, check: str = '') -> list[CheckState]:
        """Return the last state of each service check (or of one of them) per set of tags."""
        latest: dict[tuple[str, tuple[str, ...]], CheckState] = {}
        for state in self.checks:
            key = (state.check, state.tags)
            if check in ('', state.check) and (key not in latest or latest[key].time <= state.time):
                latest[key] = state
        return [latest[key] for key in sorted(latest)]

    # Files.

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield everything as JSON objects: checks, events, then points by metric, tags and time."""
        for state in self.checks:
            yield {
                'time': _plain(state.time),
                'check': state.check,
                'status': state.status,
                'message': state.message,
                'tags': list(state.tags),
            }
        for event in self.events:
            yield {
                'time': _plain(event.time),
                'event': event.title,
                'text': event.text,
                'alert_type': event.alert_type,
                'tags': list(event.tags),
            }
        for metric in self.metrics:
            for series in self.series(metric):
                fixed = {'name': metric, 'type': series.type, 'tags': list(series.tags)}
                for time, value in zip(series.times, series.values, strict=True):
                    yield {'time': _plain(time), **fixed, 'value': _plain(value)}

    def write(self, path: Path) -> None:
        """Write the file, gzipped if the name ends in `.gz`. The same recording gives the same bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = ''.join(f'{json.dumps(line, separators=(",", ":"), ensure_ascii=False)}\n' for line in self.lines())
        content = text.encode()
        path.write_bytes(gzip.compress(content, 6, mtime=0) if path.suffix == '.gz' else content)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read a file. Raises RecordingError: `file:line: reason`."""
        recording = cls()
        number = 0
        try:
            with _open(path) as file:
                for number, text in enumerate(file, 1):
                    if text.strip():
                        recording._take(_Line(f'{path}:{number}', text))
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            reason = getattr(error, 'strerror', None) or str(error)
            raise RecordingError(f'{path}: cannot be read after line {number}: {reason}') from error
        return recording

    def _take(self, line: _Line) -> None:
        time = line.number('time')
        tags = line.tags()
        if 'name' in line.content:
            name = line.text('name')
            kind = line.choice('type', TYPES)
            known = self._series.get(name, {}).get(tags)
            if known is not None and known.type != kind:
                raise line.error(f'type: {kind!r}, but the same series was {known.type!r} before')
            self._add(time, name, kind, line.number('value'), tags)
        elif 'check' in line.content:
            status = line.choice('status', STATUSES)
            self.add_check(time, line.text('check'), status, line.text('message', ''), tags)
        elif 'event' in line.content:
            text, alert_type = line.text('text', ''), line.text('alert_type', 'info')
            self.add_event(time, line.text('event'), text, alert_type, tags)
        else:
            raise line.error('expected one of "name" (a point), "check" (a service check) or "event"')


class _Line:
    """One line of a file, with typed access to its fields."""

    def __init__(self, place: str, text: str) -> None:
        self.place = place
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.error(f'not JSON: {error}') from error
        if not isinstance(content, dict):
            raise self.error(f'holds {type(content).__name__}, expected an object')
        self.content: Mapping[str, Any] = content

    def error(self, reason: str) -> RecordingError:
        return RecordingError(f'{self.place}: {reason}')

    def number(self, key: str) -> float:
        value = self.content.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f'{key}: expected a number, found {json.dumps(value)}')
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.content.get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            raise self.error(f'{key}: expected a string, found {json.dumps(value)}')
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in choices:
            raise self.error(f'{key}: {value!r} is not one of {", ".join(choices)}')
        return value

    def tags(self) -> tuple[str, ...]:
        value = self.content.get('tags', [])
        if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
            raise self.error(f'tags: expected a list of strings, found {json.dumps(value)}')
        return tuple(sorted(value))


def _open(path: Path) -> TextIO:
    if path.suffix == '.gz':
        return gzip.open(path, 'rt', encoding='utf-8')
    return path.open(encoding='utf-8')


def _plain(value: float) -> float | int:
    """Return whole numbers without a fraction, which is shorter and easier to read."""
    return int(value) if value == int(value) else value
