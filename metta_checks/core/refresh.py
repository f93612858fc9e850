"""One refresh: the blocks that it covers, their attempts and their outcome.

A *refresh* reads the service. It consists of *blocks*, each of which succeeds or fails alone. If an instance has
several subjects (GitHub repositories, W&B projects), every subject has its own blocks. The samples of the blocks are
kept in a *snapshot*, which the check sends again until the next refresh and stores across restarts of the Agent. A
*full* refresh covers all blocks; a *partial* one, between two full ones, covers only the blocks whose wait is over.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import NoneType
from typing import Any, Generic, TypeVar

from . import stored
from .budget import Budget
from .catalog import Catalog, UndeclaredMetric
from .errors import BadPayload, DependencyFailed, OutOfBudget, RateLimited, SourceError, Unavailable
from .snapshot import Snapshot, StoredBlock
from .stats import is_finite
from .status import Outcome, Problem
from .tags import format_tags
from .text import one_line
from .times import age

T = TypeVar('T')
State = TypeVar('State')
# A block in the snapshot: subject ('' for the instance as a whole) and name.
Key = tuple[str, str]

# First wait before a service that is down is asked again; doubles up to the refresh interval.
RETRY_SECONDS = 60
# By then the wait has reached the longest refresh interval.
MAX_DOUBLINGS = 24
# Datadog cuts titles off there.
MAX_TITLE = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure.

    `name` is the catalog's, without the source's prefix; a value of None is unknown and never emitted.
    """

    name: str
    value: float | None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, sent once. `key` groups events of the same kind about the same thing."""

    title: str
    text: str
    key: str
    alert_type: str = 'info'
    tags: Mapping[str, str] = field(default_factory=dict)


class Attempt(Generic[State]):
    """A block being refreshed: collects samples and state, which take effect when the block succeeds."""

    def __init__(self, refresh: Refresh, subject: str, name: str, state: State | None, tags: Mapping[str, str]) -> None:
        self.name = name
        self.subject = subject
        self.refresh = refresh
        # The time that the samples describe. Set it back when the data of the service is older than the refresh.
        self.now = refresh.now
        # The state of the block, None when cold. Assign a new value to store it together with the samples.
        self.state = state
        # Base tags of every sample of this block (see `base_tags` in metrics.yaml).
        self.tags = dict(tags)
        self.events: list[Event] = []
        self.problems: list[tuple[str, str]] = []
        self.is_truncated = False
        self.resume_requested = False
        self.unfinished_metrics: frozenset[str] = frozenset()
        self.checkpointed: State | None = None
        self.has_checkpoint = False
        self._catalog = refresh.catalog
        self._samples: list[tuple[str, float, Sample]] = []

    @property
    def cold(self) -> bool:
        """True without a state: counts and events have nothing to compare with."""
        return self.state is None

    def emit(self, samples: Iterable[Sample]) -> None:
        """Add samples.

        Raises UndeclaredMetric for a sample that metrics.yaml does not declare for this block, BadPayload for a value
        that is not a finite number: it was calculated from an answer that makes no sense.
        """
        for sample in samples:
            metric = self._catalog.metric(sample.name, self.name, sample.tags)
            value = sample.value
            if value is not None:
                if not is_finite(value):
                    raise BadPayload(f'the answers make {sample.name} {str(value)[:40]!r}, which is not a figure')
                self._samples.append((metric.type, float(value), sample))

    def event(self, event: Event) -> None:
        """Send an event if the block succeeds."""
        self.events.append(_shown(event))

    def problem(self, reason: str, message: str) -> None:
        """Note a partial failure: the attempt continues, and the service check warns."""
        self.problems.append((reason, message))

    def truncated(self, message: str) -> None:
        """Note that not everything could be read."""
        self.is_truncated = True
        self.problem('truncated', message)

    def resume(self) -> None:
        """Ask to be refreshed again in the next run, to continue a crawl."""
        self.resume_requested = True
        self.unfinished()

    def unfinished(self, names: Collection[str] = ()) -> None:
        """Note that figures are absent, or about a part only, until later refreshes have read the rest.

        `names` are those of their metrics; none stand for all metrics of the block. Raises UndeclaredMetric for a
        name that the block does not have.
        """
        own = self._catalog.names_of(self.name)
        if not own.issuperset(names):
            raise UndeclaredMetric(f'block {self.name} has no metrics {", ".join(sorted(set(names) - own))}')
        self.unfinished_metrics |= own.intersection(names) if names else own

    def checkpoint(self, state: State | None) -> None:
        """Store this state if the attempt fails later. If it succeeds, `state` is stored instead."""
        self.checkpointed = state
        self.has_checkpoint = True

    def samples(self) -> Iterator[tuple[str, str, float, list[str]]]:
        """Yield (type, full name, value, tags without the instance's) of all samples.

        Gauges of several names that Datadog takes for one are added up if their metric counts something. Others are
        left out and reported, as are two values of one name: no one value would be right.
        """
        base = format_tags(self.tags)
        gauges: dict[tuple[str, ...], list[tuple[float, Sample]]] = {}
        for kind, value, sample in self._samples:
            name = self._catalog.full_name(sample.name)
            tags = base + format_tags(sample.tags) if sample.tags else base
            if kind == 'gauge':
                gauges.setdefault((name, *tags), []).append((value, sample))
            else:
                yield kind, name, value, tags
        ambiguous: set[str] = set()
        for (name, *tags), found in gauges.items():
            if len(found) == 1 or self._can_add_up([sample for _, sample in found]):
                yield 'gauge', name, math.fsum(value for value, _ in found), tags
            else:
                ambiguous.add(name)
        for name in sorted(ambiguous):
            self.problem('ambiguous', f'{name} has several values under the same tags, and is left out for these tags')

    def _can_add_up(self, samples: list[Sample]) -> bool:
        """Return True if the samples are about different things, and their metric counts things."""
        first = samples[0]
        are_different = len({tuple(sample.tags.items()) for sample in samples}) == len(samples)
        return are_different and self._catalog.can_add_up(self._catalog.metric(first.name, self.name, first.tags))


@dataclass(frozen=True, slots=True)
class RefreshContext:
    """The parts of an instance that its refreshes work on.

    Attributes:
        interval: seconds between two full refreshes
        resume_alone: see `Refresh.due`
    """

    snapshot: Snapshot
    catalog: Catalog
    budget: Budget
    log: logging.Logger | logging.LoggerAdapter[logging.Logger]
    interval: float
    resume_alone: bool = False


class Refresh:
    """One refresh. The blocks are driven by blocks.py."""

    def __init__(self, context: RefreshContext, *, now: datetime, full: bool) -> None:
        snapshot = context.snapshot
        self.now = now
        self.budget = context.budget
        self.problems: list[Problem] = []
        self.events: list[tuple[Event, list[str]]] = []
        # Counts and histograms of this refresh: (type, full name, value, tags without the instance's).
        self.once: list[tuple[str, str, float, list[str]]] = []
        self.succeeded = 0
        self.failed = 0
        # True once an error was not one of errors.py.
        self.unexpected = False
        self.errors: Counter[tuple[str, str]] = Counter()
        # (subject, block) of all attempts.
        self.attempted: set[tuple[str, str]] = set()
        self._snapshot = snapshot
        self.catalog = context.catalog
        self._interval = context.interval
        self._full = full
        self._resume_alone = context.resume_alone
        self._log = context.log
        self._fatal: SourceError | None = None
        self._resumed = frozenset(snapshot.resumable(now.timestamp()))

    def outcome(self) -> Outcome:
        """Return the outcome of the refresh so far."""
        return Outcome(self._full, self.succeeded, self.failed, frozenset(self.attempted), tuple(self.problems))

    @property
    def fatal(self) -> SourceError | None:
        """The error after which nothing more is sent in this refresh, None without one."""
        return self._fatal

    def has_state(self, key: Key) -> bool:
        """Return True if the block has a stored state."""
        block = self._snapshot.blocks.get(key)
        return block is not None and block.state is not None

    def stored(self, key: Key, kind: type[T]) -> T | None:
        """Return the state of a block, as its type; None when cold, or when it was stored in another shape."""
        block = self._snapshot.blocks.get(key)
        if block is None or block.state is None:
            return None
        if block.is_raw:
            try:
                block.state = stored.load(kind, block.state)
            except ValueError as error:
                self._log.warning('the stored state of block %s is of another shape: %s', key[1], one_line(str(error)))
                block.state = None
            block.is_raw = False
        state: T | None = block.state
        return state

    def refreshed_at(self, name: str, subject: str = '') -> float | None:
        """Return when a block last succeeded, in seconds since the epoch; None: never, as far as is known."""
        block = self._snapshot.blocks.get((subject, name))
        return block.refreshed_at if block else None

    def keep_subjects(self, subjects: Iterable[str]) -> None:
        """Forget all blocks of subjects that are no longer configured or no longer exist."""
        known = set(subjects)
        for subject, name in [key for key in self._snapshot.blocks if key[0] not in known]:
            self.forget(subject, name)

    def forget(self, subject: str, name: str) -> None:
        """Forget a block. Its samples are no longer shown."""
        self._snapshot.blocks.pop((subject, name), None)

    def due(self, name: str, subject: str = '', *, every: float | None = None, group: Collection[Key] = ()) -> bool:
        """Return True if this refresh covers a block.

        A full refresh covers all blocks except those whose own interval (`every`, in seconds) has not passed. A partial
        one covers the blocks whose wait is over (unfinished crawls, services that were down or asked to wait). Unless
        the source sets `RESUME_ALONE`, it also covers the other blocks of the same subject, or of the same `group`,
        that have no own interval.
        """
        if (subject, name) in self._resumed:
            return True
        if not self._full:
            together = any(key in group or key[0] == subject for key in self._resumed)
            return together and every is None and not self._resume_alone
        if every is None:
            return True
        elapsed = age(self.refreshed_at(name, subject), self.now.timestamp())
        # A second of grace, because runs do not start to the millisecond.
        return elapsed is None or elapsed >= every - 1

    def attempt(
        self, key: Key, tags: Mapping[str, str], read: Callable[[Attempt[Any]], T], state_type: type[Any] = NoneType
    ) -> T | None:
        """Refresh one block of a subject: call `read` with the attempt, and handle its errors.

        Returns the result of `read`, None when the block failed. `tags` are the base tags of its samples, `state_type`
        is the type of its state.
        """
        subject, name = key
        block = self._snapshot.block(subject, name)
        attempt = Attempt(self, subject, name, self.stored(key, state_type), tags)
        try:
            if self._fatal is not None:
                raise self._fatal
            result = read(attempt)
        except SourceError as error:
            self._fail(attempt, block, error, error.reason, str(error))
            return None
        except Exception as error:
            # A defect of this package: it must be seen, and must not make the other blocks fail.
            self._log.exception('unexpected error in block %s%s', name, f' of {subject}' if subject else '')
            # The state may be the cause: without it, the block does not fail forever.
            block.state = None
            self.unexpected = True
            self._fail(attempt, block, None, 'internal', f'unexpected {type(error).__name__} (see the Agent log)')
            return None
        self._succeed(attempt, block)
        return result

    def count(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Send a count about the refresh itself (pseudo-block `refresh` of metrics.yaml), even when blocks failed."""
        metric = self.catalog.metric(name, 'refresh', ())
        self.once.append((metric.type, self.catalog.full_name(name), float(value), format_tags(tags)))

    def event(self, event: Event, tags: Mapping[str, str]) -> None:
        """Send an event about the refresh itself."""
        self.events.append((_shown(event), format_tags({**tags, **event.tags})))

    def problem(self, block: str, reason: str, message: str, *, subject: str = '') -> None:
        """Note a problem of the refresh itself, under the name of the block that it concerns."""
        self.errors[block, reason] += 1
        # Messages may quote the service.
        self.problems.append(Problem(block, subject, reason, one_line(message)))

    def _succeed(self, attempt: Attempt[Any], block: StoredBlock) -> None:
        self.attempted.add((attempt.subject, attempt.name))
        self.succeeded += 1
        gauges = []
        for kind, name, value, tags in attempt.samples():
            if kind == 'gauge':
                gauges.append((name, value, tags))
            else:
                self.once.append((kind, name, value, tags))
        block.gauges = gauges
        block.state = attempt.state
        block.is_raw = False
        block.refreshed_at = attempt.now.timestamp()
        block.tried_at = None
        block.failures = 0
        block.truncated = attempt.is_truncated
        block.unfinished = attempt.unfinished_metrics
        block.resume_at = self.now.timestamp() if attempt.resume_requested else None
        base = format_tags(attempt.tags)
        self.events.extend((event, [*base, *format_tags(event.tags)]) for event in attempt.events)
        for reason, message in attempt.problems:
            self._note(attempt, reason, message)

    def _fail(
        self, attempt: Attempt[Any], block: StoredBlock, error: SourceError | None, reason: str, message: str
    ) -> None:
        self.attempted.add((attempt.subject, attempt.name))
        self.failed += 1
        block.failures += 1
        if block.refreshed_at is None and block.tried_at is None:
            block.tried_at = self.now.timestamp()
        if attempt.has_checkpoint:
            block.state = attempt.checkpointed
            block.is_raw = False
        block.truncated = attempt.is_truncated or isinstance(error, OutOfBudget)
        if isinstance(error, OutOfBudget):
            attempt.unfinished()
        block.unfinished |= attempt.unfinished_metrics
        block.resume_at = self._retry_at(block, error)
        if error is not None and error.fatal:
            self._fatal = error
        for partial_reason, partial_message in attempt.problems:
            self._note(attempt, partial_reason, partial_message)
        self._note(attempt, reason, message)

    def _retry_at(self, block: StoredBlock, error: SourceError | None) -> float | None:
        """Return when to try the block again ahead of the next full refresh; None: with that one."""
        now = self.now.timestamp()
        if isinstance(error, RateLimited):
            return error.until
        if isinstance(error, OutOfBudget):
            return now
        if isinstance(error, Unavailable):
            wait = RETRY_SECONDS * 2 ** min(block.failures - 1, MAX_DOUBLINGS)
            return now + wait if wait < self._interval else None
        return None

    def _note(self, attempt: Attempt[Any], reason: str, message: str) -> None:
        self.problem(attempt.name, reason, message, subject=attempt.subject)


def _shown(event: Event) -> Event:
    """Return the event with texts that the Agent accepts. They contain names that people chose."""
    return replace(event, title=one_line(event.title, MAX_TITLE), text=one_line(event.text), key=one_line(event.key))


def need(value: T | None, block: str) -> T:
    """Return the result of another block. Raises DependencyFailed without one."""
    if value is None:
        raise DependencyFailed(f'needs block `{block}`, which has no result')
    return value
