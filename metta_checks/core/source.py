"""Source: the base of all six checks. It knows no source by name.

A run of the check (every `min_collection_interval`) either refreshes, when the last refresh is `refresh_interval` old,
or re-emits the snapshot, which costs no request. See blocks.py for blocks, docs/development.md for the parts of a
source.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from datadog_checks.base import AgentCheck, ConfigurationError

from . import (
    blocks,
    catalog,
    diagnosis,
    emission,
    identity,
    option_errors,
    preconditions,
    remedies,
    restore,
    secrets,
    stored,
)
from .address import shown
from .blocks import BlockRunner
from .budget import Budget
from .clock import Clock, SystemClock
from .diagnosis import Finding
from .errors import OutOfBudget, SourceError, missing_library
from .http import Api, Endpoint
from .limits import RateLimits
from .refresh import Refresh, RefreshContext
from .snapshot import KEEP_INTERVALS, KEEP_SECONDS, Snapshot
from .status import Problem, Status
from .tags import stored_tag
from .text import one_line
from .times import age, from_epoch, wait

CACHE_KEY = 'snapshot'
SERVICE_CHECK = 'metta.can_connect'
# Failures of a block, one after the other, by which the next refresh is not likely to be better.
MAX_FAILURES = 3
DUPLICATE = (
    'another instance of this Agent has the same options: both send the same series and spend the same quota; remove '
    'one of them, or give them different `tags`'
)


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
    # Options that name the instance in messages; the first one that is set is shown.
    LABEL_OPTIONS: ClassVar[tuple[str, ...]] = ()
    # Options that hold secrets, scrubbed from everything that is shown.
    SECRET_OPTIONS: ClassVar[tuple[str, ...]] = ()
    # Options that change how, not what, the source reads, in addition to those of all sources (HTTP, intervals) and the
    # secrets. They are not part of the key of the snapshot.
    READING_OPTIONS: ClassVar[tuple[str, ...]] = ()
    # The type of `memory`: a stored dataclass whose fields have defaults.
    MEMORY: ClassVar[Any] = stored.NoMemory
    # How to see whether the service works, for people; follows `metta-checks doctor`'s advice to wait.
    HEALTH: ClassVar[str] = 'ask the people who run the service'
    # True: a partial refresh covers only the blocks whose wait is over (see Refresh.due). Not for sources with
    # subjects.
    RESUME_ALONE: ClassVar[bool] = False

    def __init__(self, name: str, init_config: Any, instances: list[Mapping[str, Any]]) -> None:
        super().__init__(name, init_config, instances)
        self._scrubber = secrets.Scrubber()
        configured = list(secrets.of_instance(self.instance, self.SECRET_OPTIONS))
        for secret in configured:
            self._scrubber.add(secret)
        secrets.filter_logs(self.log.logger, self._scrubber)
        self._credentials = identity.credentials_key(configured)
        self.table = blocks.table(type(self))
        self.catalog = catalog.load_package(type(self).__module__.rpartition('.')[0])
        system = SystemClock()
        self.budget = Budget(system)
        self.limits = RateLimits(system)
        self.snapshot = Snapshot()
        self.memory = self.MEMORY()
        self._addresses: list[str] = []
        self._is_overdue = False
        self._has_run = False
        self._has_duplicate = False
        self.is_canceled = False
        self._initializing = threading.Lock()
        self._diagnosing = threading.Lock()
        # Held while a run stores and submits; see `cancel`.
        self._submitting = threading.Lock()
        self.diagnosis.register(self._diagnose)
        self.check_initializations.append(self._initialize)

    # Defined by a source.

    def connect(self) -> None:
        """Build the client from `self.config` (valid from here on). Sends nothing. Raises ConfigurationError."""
        raise NotImplementedError

    def begin(self, refresh: Refresh) -> None:
        """Prepare a refresh, before its first block. An error raised here ends the refresh."""

    def end(self, refresh: Refresh) -> None:
        """Conclude a refresh, after its last block."""

    def base_tags(self) -> Mapping[str, str]:
        """Return the base tags of the blocks of the instance as a whole (see `base_tags` in metrics.yaml)."""
        return {}

    def request_budget(self) -> int | None:
        """Return the number of requests that a refresh of the instance may send; None: any number."""
        return None

    def probe(self) -> Iterator[Finding]:
        """Yield findings about connection, credentials, permissions and rate limits, with few requests.

        May raise SourceError.
        """
        raise NotImplementedError

    # Used by a source.

    @property
    def config(self) -> Config:
        """The typed instance, valid from `connect` on."""
        config: Config = self._config_model_instance
        return config

    @property
    def clock(self) -> Clock:
        """The clock of the check. Tests and recordings replace the one of the system."""
        return self.budget.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self.budget.clock = self.limits.clock = clock

    def now(self) -> datetime:
        """Return the current time, UTC."""
        return self.clock.now()

    @property
    def memory(self) -> Memory:
        """The memory of the instance as a whole: facts that hardly change. Assign another value to change it."""
        memory: Memory = self.snapshot.memory
        return memory

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self.snapshot.memory = memory

    def api(self, endpoint: Endpoint) -> Api:
        """Return a client of an HTTP interface that spends the budget of this instance."""
        api = Api(self.http, endpoint, budget=self.budget, limits=self.limits)
        self._addresses.append(shown(api.base_url))
        return api

    def address(self) -> str:
        """Return the address of the service, for messages; empty before `connect`."""
        return next(iter(self._addresses), '')

    def read_timeout(self, default: float) -> float:
        """Return the seconds to wait for an answer: option `read_timeout` or `timeout`, or the source's own default."""
        instance, shared = self.instance, self.init_config or {}
        return float(instance.get('read_timeout') or instance.get('timeout') or shared.get('timeout') or default)

    def register_secret(self, secret: str) -> None:
        """Scrub a token that was obtained at run time. The secrets of the configuration are known from the start."""
        self._scrubber.add_renewed(secret)

    @property
    def label(self) -> str:
        """The name of the instance in messages: the source and the first of its LABEL_OPTIONS."""
        for option in self.LABEL_OPTIONS:
            value = self.instance.get(option)
            if value:
                shown = ', '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
                return f'{self.SOURCE} ({shown if len(shown) <= 60 else shown[:57] + "..."})'
        return self.SOURCE

    @property
    def instance_tags(self) -> list[str]:
        """The user's own tags, as Datadog stores them."""
        tags = self.instance.get('tags')
        return [stored_tag(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, (list, tuple)) else []

    # The Agent's interface.

    def sanitize(self, text: str) -> str:
        """Return the text without secrets.

        The toolkit calls it for exceptions and service checks, this class for all other texts.
        """
        return self._scrubber.scrub(text)

    def load_configuration_models(self, package_path: str | None = None) -> None:
        """Load the models as the toolkit does. Raises ConfigurationError of one line, in every run."""
        try:
            preconditions.require_tags(self.instance)
            AgentCheck.load_configuration_models(self, package_path)
        except ConfigurationError as error:
            raise self._misconfigured(error) from None

    def persistent_cache_id(self) -> str:
        """Return a key that depends on the options that decide what is read or shown, and on no others."""
        return identity.snapshot_key(self.instance, {*self.SECRET_OPTIONS, *self.READING_OPTIONS})

    def run_check_initializations(self) -> None:
        """Initialize once, whichever thread comes first."""
        with self._initializing:
            AgentCheck.run_check_initializations(self)

    def check(self, _: Any) -> None:
        """Refresh if a refresh is due, then submit. Raises RefreshFailed if every block failed."""
        if self.is_canceled:
            return
        self._has_duplicate = identity.DUPLICATES.ran(self.persistent_cache_id(), self, before=self._has_run)
        self._has_run = True
        now = self.now()
        self._distrust_future(now)
        refresh = self._refresh_if_due(now)
        with self._submitting:
            if self.is_canceled:
                # The successor of this object may be running: it reads all this again.
                self.close()
                return
            if refresh is not None:
                self._store(now)
                self._submit_once(refresh)
            self._emit(now)
        self._show_status()

    def cancel(self) -> None:
        """Stop the instance: end the request under way, and submit nothing more.

        The Agent calls it from another thread when it unschedules the instance. A successor with the same snapshot may
        be running afterwards.
        """
        self.budget.cancel()
        # A run that is submitting ends first, which takes milliseconds; one that is reading is not waited for.
        with self._submitting:
            self.is_canceled = True
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if hasattr(self, '_http'):
            self.http.session.close()

    def get_diagnoses(self) -> str:
        """Return the findings as the toolkit does, for one thread at a time."""
        with self._diagnosing:
            diagnoses: str = super().get_diagnoses()
            return diagnoses

    def _clear_diagnosis(self) -> None:
        """Keep the list of findings: the toolkit empties it in every run, while another thread may be filling it."""

    # For the command line and the test kit.

    @property
    def last_refresh(self) -> datetime | None:
        """The `now` of the figures that are being shown, None before the first refresh."""
        return from_epoch(self.snapshot.refreshed_at)

    @property
    def has_pending_blocks(self) -> bool:
        """True while a block waits to be tried again before the next full refresh (a crawl that goes on, a retry)."""
        return any(block.resume_at is not None for block in self.snapshot.blocks.values())

    @property
    def unfinished(self) -> frozenset[str]:
        """The names of the metrics that are absent, or about a part only, until later refreshes read the rest."""
        return frozenset().union(*(block.unfinished for block in self.snapshot.blocks.values()))

    @property
    def can_finish(self) -> bool:
        """True if a refresh now may complete unfinished figures: their blocks have not failed again and again."""
        now = self.now().timestamp()
        return any(
            block.unfinished and (block.failures < MAX_FAILURES or wait(block.resume_at, now) == 0)
            for block in self.snapshot.blocks.values()
        )

    def expire(self) -> None:
        """Read the service in the next run, whatever the age of the snapshot."""
        self._is_overdue = True

    def unknown_options(self) -> list[str]:
        """Return one line per option of the instance that nothing reads, such as a misspelled one."""
        package = type(self).__module__.rpartition('.')[0]
        model = importlib.import_module(f'{package}.config_models').InstanceConfig
        return [self.sanitize(line) for line in option_errors.unknown(self.instance, model)]

    def block_interval(self, name: str) -> float:
        """Return the interval of a block that is refreshed less often than `refresh_interval`, in seconds.

        0 for a block without one.
        """
        return max((one.every(self) for one in self.table if one.every and one.name == name), default=0.0)

    def findings(self) -> Iterator[Finding]:
        """Yield the findings of `probe`, and those about every instance; errors are findings, too.

        They come from another object with the same configuration, with a client and a budget of its own: the Agent asks
        at any time and from any thread, also while this instance reads.
        """
        other = type(self)(self.name, self.init_config, [self.instance])
        other.check_id = self.check_id
        other.clock = self.clock
        try:
            yield from other._findings()
        finally:
            other.close()

    # Configuration.

    def _misconfigured(self, error: ConfigurationError) -> ConfigurationError:
        """Return the error as one line for the status page, and send it as the service check: no run gets further."""
        lines = option_errors.refused(error) or [line.strip() for line in str(error).splitlines()]
        message = self.sanitize(one_line(f'{self.label}: {"; ".join(lines)}', 1000))
        with self._submitting:
            if not self.is_canceled:
                self.gauge('metta.collector.up', 0, tags=self._self_tags)
                self.service_check(SERVICE_CHECK, self.CRITICAL, tags=self._self_tags, message=message)
        return ConfigurationError(message)

    def _initialize(self) -> None:
        try:
            preconditions.require_secrets(self.instance, (*self.SECRET_OPTIONS, *secrets.HTTP_OPTIONS))
            preconditions.require_tls_files(self.instance, self.init_config or {})
            self.connect()
        except ConfigurationError as error:
            raise self._misconfigured(error) from None
        except ModuleNotFoundError as error:
            raise self._misconfigured(ConfigurationError(missing_library(error))) from error
        if not self.verifies_tls():
            self.log.warning('%s: %s', self.label, diagnosis.UNVERIFIED)
        self._load_snapshot()

    def verifies_tls(self) -> bool:
        """Return True if the certificate of the service is verified, which is the default."""
        return bool(self.http.options['verify'])

    # The snapshot.

    def _load_snapshot(self) -> None:
        """Restore the stored snapshot, if there is one that can be used."""
        moment = self.now().timestamp()
        try:
            # The Agent raises UnicodeDecodeError, a ValueError, for a damaged file.
            text = self.read_persistent_cache(CACHE_KEY)
            snapshot = Snapshot.load(text, moment) if text else None
        except ValueError as error:
            self.log.warning('%s: the stored snapshot cannot be used, starting again: %s', self.label, error)
            return
        if snapshot is None:
            return
        for line in restore.keep_what_is_declared(snapshot, self.table, self.catalog, self.MEMORY):
            self.log.warning('%s: %s', self.label, line)
        has_other_credentials = snapshot.credentials != self._credentials
        if has_other_credentials:
            # Services limit the user of a token: the new one may be another user.
            snapshot.limits = {}
        self.limits.load(snapshot.limits)
        self.snapshot = snapshot
        # The status must be that of the credentials in use; and a new process does not wait to try again.
        is_down = not snapshot.status.is_up and not snapshot.is_waiting(moment)
        self._is_overdue = is_down or has_other_credentials

    def _distrust_future(self, now: datetime) -> None:
        """Start again when the clock was set back: every remembered time may be ahead."""
        if self.snapshot.is_from_future(now.timestamp()):
            self.log.warning('%s: the clock was set back, the snapshot is from the future: starting again', self.label)
            self.snapshot = Snapshot()
            self.memory = self.MEMORY()
            self.limits.load({})

    def _store(self, now: datetime) -> None:
        # First stored, then sent: an Agent that dies in between loses the counts of one refresh, at worst, and never
        # counts anything twice. Nothing but the calls to the Agent lies in between.
        self.write_persistent_cache(CACHE_KEY, self._scrubber.scrub_document(self.snapshot.dump(now.timestamp())))

    # A refresh.

    def _refresh_if_due(self, now: datetime) -> Refresh | None:
        moment = now.timestamp()
        elapsed = age(self.snapshot.refreshed_at, moment)
        # A second of grace, because runs do not start to the millisecond.
        full = self._is_overdue or elapsed is None or elapsed >= self.config.refresh_interval - 1
        if full or any(self.snapshot.resumable(moment)):
            return self._refresh(now, full=full)
        return None

    def _refresh(self, now: datetime, *, full: bool) -> Refresh:
        started = self.clock.monotonic()
        self.budget.start(self.config.refresh_timeout, self.request_budget())
        interval = self.config.refresh_interval
        context = RefreshContext(self.snapshot, self.catalog, self.budget, self.log, interval, self.RESUME_ALONE)
        refresh = Refresh(context, now=now, full=full)
        not_begun_since, self.snapshot.not_begun_since = self.snapshot.not_begun_since, None
        try:
            self.begin(refresh)
            BlockRunner(self, refresh).run()
            self.end(refresh)
        except SourceError as error:
            # Raised outside of any block: nothing could be attempted, because a list of subjects cannot be read.
            self.snapshot.not_begun_since = not_begun_since or now.timestamp()
            refresh.failed += 1
            refresh.problem('refresh', error.reason, str(error))
        except Exception as error:
            # As for a block: it must be seen, and must not stop the samples of other blocks from being shown.
            self.log.exception('unexpected error in the refresh')
            refresh.unexpected = True
            refresh.failed += 1
            refresh.problem('refresh', 'internal', f'unexpected {type(error).__name__} (see the Agent log)')
        if refresh.unexpected:
            # The memory may be the cause; all of it can be read again.
            self.memory = self.MEMORY()
        snapshot = self.snapshot
        if full:
            snapshot.refreshed_at = now.timestamp()
            self._is_overdue = False
        snapshot.duration = self.clock.monotonic() - started
        snapshot.limits = self.limits.dump()
        snapshot.credentials = self._credentials
        status = snapshot.status.after(refresh.outcome(), snapshot.blocks.keys())
        snapshot.status = replace(status, problems=tuple(map(self._sanitized, status.problems)))
        return refresh

    def _sanitized(self, problem: Problem) -> Problem:
        return replace(problem, message=self.sanitize(problem.message))

    # Submission.

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

    def _emit(self, now: datetime) -> None:
        shared, tags = self.instance_tags, self._self_tags
        moment = now.timestamp()
        series = 0
        for name, value, own in emission.samples(self.snapshot, moment, self._keep_seconds):
            self.gauge(name, value, tags=shared + own)
            series += 1
        for name, value, own in emission.collection(
            self.snapshot, moment, series=series, rate_limits=self.limits.observed
        ):
            self.gauge(name, value, tags=tags + own)
        status = self.snapshot.status
        if status.level is not None:
            self.service_check(SERVICE_CHECK, status.level, tags=tags, message=self._message(status))

    def _keep_seconds(self, name: str) -> float:
        """Return the age up to which the samples of a block are shown."""
        return max(KEEP_INTERVALS * max(self.config.refresh_interval, self.block_interval(name)), KEEP_SECONDS)

    def _message(self, status: Status) -> str:
        return self.sanitize(f'{self.label}: {status.message}') if status.problems else ''

    def _show_status(self) -> None:
        """Show the status on the status page of the Agent. Raises RefreshFailed when nothing could be read."""
        if self._has_duplicate:
            self.warning('%s', f'{self.label}: {DUPLICATE}')
        status = self.snapshot.status
        if not status.is_up:
            raise RefreshFailed(self._message(status))
        for line in status.warnings():
            self.warning('%s', self.sanitize(f'{self.label}: {line}'))

    # Diagnosis.

    def _findings(self) -> Iterator[Finding]:
        try:
            yield from diagnosis.of_options(self.unknown_options())
            self.run_check_initializations()
            self.budget.start(self.config.refresh_timeout)
            yield from diagnosis.of_tls(self.verifies_tls())
            yield from diagnosis.of_tags(self.instance_tags)
            elapsed = age(self.snapshot.refreshed_at, self.now().timestamp())
            keep = max(KEEP_INTERVALS * self.config.refresh_interval, KEEP_SECONDS)
            yield from diagnosis.of_age(elapsed, keep)
            for finding in self.probe():
                yield self._shown(finding)
        except OutOfBudget as error:
            yield replace(self._shown(diagnosis.of_error(error.reason, error)), status='warning')
        except SourceError as error:
            yield self._shown(diagnosis.of_error(error.reason, error))
        except ConfigurationError as error:
            yield Finding('configuration', 'fail', self.sanitize(str(error)), remedies.CONFIGURATION)
        # Last, because it is known from the answers, refusals included.
        yield from diagnosis.of_clock(self.budget.skew)

    def _shown(self, finding: Finding) -> Finding:
        advice = remedies.filled(finding.remedy, source=self.SOURCE, url=self.address(), health=self.HEALTH)
        return replace(
            finding,
            name=one_line(finding.name, 100),
            message=self.sanitize(one_line(finding.message)),
            remedy=self.sanitize(one_line(advice)),
        )

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
