"""Source: what all six checks have in common. It knows no source by name.

A run of the check (every `min_collection_interval`) either refreshes, when the last refresh is `refresh_interval` old,
or re-emits the snapshot, which costs no request. See refresh.py for blocks and snapshot, docs/development.md for the
shape of a source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from datadog_checks.base import AgentCheck, ConfigurationError

from . import blocks, catalog, diagnosis, secrets, stored
from .blocks import Pass
from .budget import Budget
from .clock import Clock, SystemClock
from .diagnosis import Finding
from .errors import OutOfBudget, SourceError, Unauthorized, missing_library
from .http import Api, Endpoint
from .limits import RateLimits
from .refresh import Problem, Refresh, RefreshContext
from .snapshot import KEEP_INTERVALS, KEEP_SECONDS, Snapshot
from .text import one_line
from .times import from_epoch

CACHE_KEY = 'snapshot'
SERVICE_CHECK = 'metta.can_connect'
UNRESOLVED = (
    'is still the reference `ENC[...]`, which nothing has resolved: set up the secrets backend of the Agent, and see '
    'what `datadog-agent secret` says'
)
# Reasons that leave the service check at WARNING even when every block failed: the service is there, and said so.
WAITING_REASONS = frozenset({'rate_limit', 'budget', 'cancelled'})
# So many problems are spelled out per refresh; the rest is a number.
MAX_WARNINGS = 10


class RefreshFailed(Exception):
    """Every block of the last refresh failed; shown by `datadog-agent status`."""


class CommonConfig(Protocol):
    """The options that all sources have, as their generated models declare them."""

    @property
    def refresh_interval(self) -> int:
        """Seconds between two refreshes."""

    @property
    def refresh_timeout(self) -> int:
        """Seconds that a refresh may take."""


Config = TypeVar('Config', bound=CommonConfig)
Memory = TypeVar('Memory')


class Source(AgentCheck, Generic[Config, Memory]):
    """Base of the six checks, generic in the model of an instance (`config_models.InstanceConfig`) and in its memory.

    A source defines the class attributes, `connect`, its blocks (see blocks.py) and `probe`.
    """

    # Value of option `source`, name of the package, prefix `metta.<SOURCE>.` of the metrics.
    SOURCE: ClassVar[str]
    # Options that say *what* is read (not how): they identify the snapshot, so that rotating a token loses nothing.
    IDENTITY_OPTIONS: ClassVar[tuple[str, ...]]
    # Options that hold secrets, scrubbed from everything that is shown.
    SECRET_OPTIONS: ClassVar[tuple[str, ...]] = ()
    # The type of what the instance as a whole remembers (see `memory`): a stored dataclass whose fields have defaults.
    MEMORY: ClassVar[Any] = stored.NoMemory
    # Whether a block that is refreshed out of turn comes alone or brings the other blocks of its subject (see
    # Refresh.due).
    RESUME_ALONE: ClassVar[bool] = False

    def __init__(self, name: str, init_config: Any, instances: list[Mapping[str, Any]]) -> None:
        super().__init__(name, init_config, instances)
        self._scrubber = secrets.Scrubber()
        for secret in secrets.of_instance(self.instance, self.SECRET_OPTIONS):
            self._scrubber.add(secret)
        secrets.filter_logs(self.log.logger, self._scrubber)
        self.table = blocks.table(type(self))
        self.catalog = catalog.load_package(type(self).__module__.rpartition('.')[0])
        system = SystemClock()
        self.budget = Budget(system)
        self.limits = RateLimits(system)
        self.snapshot = Snapshot()
        self.memory = self.MEMORY()
        self._problems: list[Problem] = []
        # Blocks (subject, name) that some refresh of this process tried.
        self._attempted: set[tuple[str, str]] = set()
        self._failure: str | None = None
        self._service_check: tuple[int, str] | None = None
        self.diagnosis.register(self._diagnose)
        self.check_initializations.append(self._initialize)

    # What a source defines.

    def connect(self) -> None:
        """Build the client from `self.config` (valid from here on). Sends nothing. Raises ConfigurationError."""
        raise NotImplementedError

    def begin(self, refresh: Refresh) -> None:
        """Prepare a pass, before its first block. An error raised here ends the pass."""

    def end(self, refresh: Refresh) -> None:
        """Conclude a pass, behind its last block."""

    def base_tags(self) -> Mapping[str, str]:
        """Return the base tags of the blocks of the instance as a whole (see `base_tags` in metrics.yaml)."""
        return {}

    def probe(self) -> Iterator[Finding]:
        """Ask the service, cheaply: reachable? credentials? permissions? rate limit left? May raise SourceError."""
        raise NotImplementedError

    @property
    def clock(self) -> Clock:
        """The time that the check goes by; tests and recordings set another clock than the system's."""
        return self.budget.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self.budget.clock = self.limits.clock = clock

    def now(self) -> datetime:
        """Return the current time, UTC."""
        return self.clock.now()

    # The Agent's interface.

    def register_secret(self, secret: str) -> None:
        """Scrub a token that was obtained at run time, too; those of the configuration are known from the start."""
        self._scrubber.add_renewed(secret)

    def sanitize(self, text: str) -> str:
        """The text without secrets. The toolkit calls it for exceptions and service checks, this house for the rest."""
        return self._scrubber.scrub(text)

    @property
    def config(self) -> Config:
        """The typed instance, valid from `connect` on."""
        config: Config = self._config_model_instance
        return config

    def load_configuration_models(self, package_path: str | None = None) -> None:
        """As the toolkit does, with one line instead of several. Raises ConfigurationError, in every run."""
        try:
            AgentCheck.load_configuration_models(self, package_path)
        except ConfigurationError as error:
            raise self._misconfigured(error) from None

    def persistent_cache_id(self) -> str:
        """Depends on what is read only; the toolkit's default changes with every edit of the file."""
        identity = {option: self.instance.get(option) for option in ('source', *self.IDENTITY_OPTIONS)}
        return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:32]

    def check(self, _: Any) -> None:
        """Run once: refresh if it is time, then emit. Raises RefreshFailed when every block failed."""
        now = self.now()
        moment = now.timestamp()
        full = self._is_due(moment)
        if full or any(
            block.resume_at is not None and block.resume_at <= moment for block in self.snapshot.blocks.values()
        ):
            self._refresh(now, full=full)
        self._emit(moment)
        if self._failure is not None:
            raise RefreshFailed(self._failure)
        for problem in self._warnings():
            self.warning('%s', self.sanitize(problem))

    def cancel(self) -> None:
        """Called by the Agent from another thread when the instance is unscheduled."""
        self.budget.cancel()

    @property
    def label(self) -> str:
        """Names the instance in messages: the source and what it reads."""
        for option in self.IDENTITY_OPTIONS:
            value = self.instance.get(option)
            if value and not option.endswith('url'):
                shown = ', '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
                return f'{self.SOURCE} ({shown if len(shown) <= 60 else shown[:57] + "..."})'
        return self.SOURCE

    @property
    def memory(self) -> Memory:
        """What the instance as a whole remembers: things that hardly change. Assign another value to change it."""
        memory: Memory = self.snapshot.memory
        return memory

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self.snapshot.memory = memory

    @property
    def last_refresh(self) -> datetime | None:
        """The `now` of the figures that are being shown, None before the first refresh."""
        return from_epoch(self.snapshot.refreshed_at)

    @property
    def instance_tags(self) -> list[str]:
        """The user's own tags."""
        return list(self.instance.get('tags') or ())

    # Inside.

    def _misconfigured(self, error: ConfigurationError) -> ConfigurationError:
        """One line for the status page; the service check says it too, since no run gets further than this."""
        lines = [line.strip() for line in str(error).splitlines()]
        if lines[0].startswith('Detected'):
            # The toolkit's report: a headline, then option and message in turn.
            lines = [f'option `{option}`: {message}' for option, message in zip(lines[1::2], lines[2::2], strict=False)]
        message = self.sanitize(one_line(f'{self.label}: {"; ".join(lines)}', 1000))
        self.gauge('metta.collector.up', 0, tags=self._self_tags)
        self.service_check(SERVICE_CHECK, self.CRITICAL, tags=self._self_tags, message=message)
        return ConfigurationError(message)

    def _initialize(self) -> None:
        try:
            for option in (*self.SECRET_OPTIONS, *secrets.HTTP_OPTIONS):
                if str(self.instance.get(option) or '').startswith('ENC['):
                    raise ConfigurationError(f'option `{option}` {UNRESOLVED}')
            self.connect()
        except ConfigurationError as error:
            raise self._misconfigured(error) from None
        except ModuleNotFoundError as error:
            raise self._misconfigured(ConfigurationError(missing_library(error))) from error
        if not self.verifies_tls():
            self.log.warning('%s: %s', self.label, diagnosis.UNVERIFIED)
        text = self.read_persistent_cache(CACHE_KEY)
        if text:
            try:
                self._recall(Snapshot.load(text, self.now().timestamp()))
            except ValueError as error:
                self.log.warning('%s: the stored snapshot cannot be used, starting again: %s', self.label, error)

    def _recall(self, snapshot: Snapshot) -> None:
        """Take over a stored snapshot."""
        try:
            snapshot.memory = stored.load(self.MEMORY, snapshot.memory)
        except ValueError as error:
            snapshot.memory = self.MEMORY()
            self.log.warning('%s: the stored memory is of another shape: %s', self.label, one_line(str(error)))
        self.limits.load(snapshot.limits)
        self.snapshot = snapshot

    def _is_due(self, moment: float) -> bool:
        last = self.snapshot.refreshed_at
        # A second of grace, because runs do not start to the millisecond; a clock set back must not stop the check.
        return last is None or not 0 <= moment - last < self.config.refresh_interval - 1

    def _refresh(self, now: datetime, *, full: bool) -> None:
        started = self.clock.monotonic()
        self.budget.start(self.config.refresh_timeout, self.request_budget())
        interval = self.config.refresh_interval
        context = RefreshContext(self.snapshot, self.catalog, self.budget, self.log, interval, self.RESUME_ALONE)
        refresh = Refresh(context, now=now, full=full)
        try:
            self.begin(refresh)
            Pass(self, refresh).run()
            self.end(refresh)
        except SourceError as error:
            # Raised outside of any block: nothing could be attempted (a list of subjects that cannot be read, say).
            refresh.failed += 1
            refresh.problem('refresh', error.reason, str(error))
        except Exception as error:
            # As at the border of a block: it must not stop what is known from being shown, nor stay unseen.
            self.log.exception('unexpected error in the refresh')
            refresh.unexpected = True
            refresh.failed += 1
            refresh.problem('refresh', 'internal', f'unexpected {type(error).__name__} (see the Agent log)')
        if refresh.unexpected:
            # What is remembered for the instance as a whole may be at fault; it can all be asked for again.
            self.memory = self.MEMORY()
        if full:
            self.snapshot.refreshed_at = now.timestamp()
        self.snapshot.duration = self.clock.monotonic() - started
        self.snapshot.limits = self.limits.dump()
        self._conclude(refresh, full=full)
        # First remembered, then sent: an Agent that dies in between loses what one refresh counted, at worst, and
        # never counts anything twice. Nothing but the calls to the Agent lies in between.
        self.write_persistent_cache(CACHE_KEY, self._scrubber.scrub_document(self.snapshot.dump(now.timestamp())))
        self._submit_once(refresh)

    def _conclude(self, refresh: Refresh, *, full: bool) -> None:
        """Remember how the refresh went, for this run and for those that only re-emit."""
        # What this pass did not try is as well or as badly as it was.
        untried = [
            problem
            for problem in self._problems
            if (key := (problem.subject, problem.block)) in self.snapshot.blocks and key not in refresh.attempted
        ]
        self._problems = problems = [*refresh.problems, *untried]
        self._attempted |= refresh.attempted
        nothing = bool(refresh.failed) and not refresh.succeeded
        refused = any(problem.reason == Unauthorized.reason for problem in refresh.problems)
        # A pass over a few blocks that failed again says nothing of the others, but a refused token does.
        everything = nothing and (full or refused or self._failure is not None)
        self._failure = None
        if not problems:
            self._service_check = (self.OK, '')
            return
        message = self.sanitize(f'{self.label}: {_first_line(problems)}')
        waiting = {problem.reason for problem in refresh.problems} <= WAITING_REASONS | {'truncated', 'dependency'}
        if everything and not waiting:
            self._failure = message
        self._service_check = (self.CRITICAL if self._failure is not None else self.WARNING, message)

    def _warnings(self) -> Iterator[str]:
        lines = list(dict.fromkeys(f'{self.label}: {_line(problem)}' for problem in self._problems))
        yield from lines[:MAX_WARNINGS]
        if len(lines) > MAX_WARNINGS:
            yield f'{self.label}: and {len(lines) - MAX_WARNINGS} more problems (metta.collector.errors counts them)'

    def _submit_once(self, refresh: Refresh) -> None:
        own = self.instance_tags
        for kind, name, value, tags in refresh.once:
            (self.count if kind == 'count' else self.histogram)(name, value, tags=own + tags)
        for event, tags in refresh.events:
            self.event(
                {
                    'timestamp': int(refresh.now.timestamp()),
                    'event_type': self.name,
                    'source_type_name': self.name,
                    'msg_title': self.sanitize(event.title),
                    'msg_text': self.sanitize(event.text),
                    'alert_type': event.alert_type,
                    'aggregation_key': event.key,
                    'tags': own + tags,
                }
            )
        tags = self._self_tags
        self.count('metta.collector.requests', refresh.budget.requests, tags=tags)
        for (block, reason), number in refresh.errors.items():
            self.count('metta.collector.errors', number, tags=[*tags, f'block:{block}', f'reason:{reason}'])

    @property
    def _self_tags(self) -> list[str]:
        return [f'source:{self.SOURCE}', *self.instance_tags]

    def _emit(self, moment: float) -> None:
        own = self.instance_tags
        series = 0
        ages: dict[str, float] = {}
        truncated: dict[str, bool] = {}
        for key, block in self.snapshot.blocks.items():
            name = key[1]
            truncated[name] = truncated.get(name, False) or block.truncated
            if block.refreshed_at is None:
                continue
            age = max(0.0, moment - block.refreshed_at)
            # Blocks with a slower rhythm of their own keep their samples for longer.
            shown = age <= max(self._keep_seconds, KEEP_INTERVALS * self.block_interval(name))
            # The age of a block that has fallen silent goes on, for that is when somebody must hear of it, but not of
            # one that nobody tries any more, because it was switched off.
            if shown or key in self._attempted:
                ages[name] = max(ages.get(name, 0.0), age)
            if not shown:
                continue
            for metric, value, tags in block.gauges:
                self.gauge(metric, value, tags=own + tags)
            series += len(block.gauges)
        tags = self._self_tags
        self.gauge('metta.collector.series', series, tags=tags)
        self.gauge('metta.collector.up', 0 if self._failure is not None else 1, tags=tags)
        self.gauge('metta.collector.refresh.duration_seconds', self.snapshot.duration, tags=tags)
        for name, age in ages.items():
            self.gauge('metta.collector.data_age_seconds', age, tags=[*tags, f'block:{name}'])
        for name, is_truncated in truncated.items():
            self.gauge('metta.collector.truncated', int(is_truncated), tags=[*tags, f'block:{name}'])
        for resource, (remaining, limit) in self.limits.observed.items():
            resource_tags = [*tags, f'resource:{resource}']
            self.gauge('metta.collector.rate_limit.remaining', remaining, tags=resource_tags)
            self.gauge('metta.collector.rate_limit.limit', limit, tags=resource_tags)
        if self._service_check is not None:
            status, message = self._service_check
            self.service_check(SERVICE_CHECK, status, tags=tags, message=message)

    @property
    def _keep_seconds(self) -> float:
        """How old figures may be that are shown."""
        return max(KEEP_INTERVALS * self.config.refresh_interval, KEEP_SECONDS)

    def api(self, endpoint: Endpoint) -> Api:
        """Return a client of an HTTP interface that spends the budget of this instance."""
        return Api(self.http, endpoint, budget=self.budget, limits=self.limits)

    @property
    def has_pending_blocks(self) -> bool:
        """Whether a block waits to be tried again before the next full refresh (a crawl that goes on, a retry)."""
        return any(block.resume_at is not None for block in self.snapshot.blocks.values())

    def expire(self) -> None:
        """Read the service in the next run, whatever the age of the snapshot."""
        self.snapshot.refreshed_at = None

    def verifies_tls(self) -> bool:
        """Whether the certificate of the service is verified, as it is unless the configuration says otherwise."""
        return bool(self.http.options['verify'])

    def read_timeout(self, default: float) -> float:
        """Seconds to wait for an answer: option `read_timeout` or `timeout`, or the source's own default."""
        instance, shared = self.instance, self.init_config or {}
        return float(instance.get('read_timeout') or instance.get('timeout') or shared.get('timeout') or default)

    def block_interval(self, name: str) -> float:
        """Return the interval of a block that is refreshed less often than `refresh_interval`, in seconds.

        0 for a block without one.
        """
        return max((one.every(self) for one in self.table if one.every and one.name == name), default=0.0)

    def request_budget(self) -> int | None:
        """How many requests a refresh of the instance may send; None: as many as it takes."""
        return None

    def findings(self) -> Iterator[Finding]:
        """What `probe` finds, with errors as findings too. Loads the configuration first, so it works without a run."""
        try:
            AgentCheck.run_check_initializations(self)
            self.budget.start(self.config.refresh_timeout)
            last = self.snapshot.refreshed_at
            yield from diagnosis.of_tls(self.verifies_tls())
            yield from diagnosis.of_tags(self.instance_tags)
            yield from diagnosis.of_age(None if last is None else self.now().timestamp() - last, self._keep_seconds)
            for finding in self.probe():
                yield replace(
                    finding,
                    name=one_line(finding.name, 100),
                    message=self.sanitize(one_line(finding.message)),
                    remedy=self.sanitize(one_line(finding.remedy)),
                )
        except OutOfBudget as error:
            yield Finding('budget', 'warning', self.sanitize(one_line(str(error))))
        except SourceError as error:
            yield Finding(error.reason, 'fail', self.sanitize(one_line(str(error))))
        except ConfigurationError as error:
            yield Finding('configuration', 'fail', self.sanitize(str(error)))
        # Last, for it is known from the answers, refusals included.
        yield from diagnosis.of_clock(self.budget.skew)

    def _diagnose(self) -> None:
        report: dict[str, Callable[..., None]] = {
            'ok': self.diagnosis.success,
            'warning': self.diagnosis.warning,
            'fail': self.diagnosis.fail,
        }
        for finding in self.findings():
            arguments = {'remediation': finding.remedy or None} if finding.status != 'ok' else {}
            report[finding.status](
                name=f'{self.label}: {finding.name}',
                diagnosis=self.sanitize(finding.message),
                category=self.SOURCE,
                **arguments,
            )


def _line(problem: Problem) -> str:
    where = f'{problem.subject}, block {problem.block}' if problem.subject else f'block {problem.block}'
    return f'{where}: {problem.message}'


def _first_line(problems: list[Problem]) -> str:
    lines = list(dict.fromkeys(_line(problem) for problem in problems))
    more = f' (and {len(lines) - 1} more)' if len(lines) > 1 else ''
    return lines[0] + more
