"""The blocks of source `wandb`: each calls client and measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..core.blocks import block, subjects
from ..core.diagnosis import Finding
from ..core.errors import NotFound
from ..core.http import Endpoint
from ..core.memo import Ages, Learned, Sightings, fingerprint
from ..core.refresh import Attempt, Refresh, Sample, need
from ..core.service_clock import ServiceClock
from ..core.source import Source
from ..core.stored import stored
from . import filters
from .active_runs import ActiveRuns
from .client import RESOURCE, ApiKey, Client, RateHeaders
from .dialect import OPTIONAL_NAMES, Dialect
from .gpu_readings import alive, fleet_of
from .measures import counts as count_measures
from .measures import gpus as gpu_measures
from .measures import runs as run_measures
from .measures.single_runs import single_gpus
from .measures.sweeps import sweeps as sweep_samples
from .records import Project
from .run_sync import DAY_SECONDS, DRIFT_REFRESHES, KnownRuns, RunSync, SyncedRuns
from .run_table import WEEK, RunRow, RunTable
from .settings import Settings
from .utilization_day import UtilizationDay

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

MAX_PROJECTS = 50
# A larger difference between the server's count of ended runs and the table is a sign of deleted or moved runs.
DRIFT_ALLOWED = 2
KNOWN_TYPE_SECONDS = 7 * DAY_SECONDS
# The server is asked once a day which queries it understands.
DIALECT_AGES = Ages(fresh=DAY_SECONDS, usable=DAY_SECONDS)
# Default of option `read_timeout`: pages of runs with large summaries take long.
READ_TIMEOUT = 30.0
UNCERTAIN = (
    'GPU-hours are not sent, because it is not known how much of the running time of resumed runs was in the last '
    '7 days: the check sees only pauses since its first refresh'
)
REMEDIES = {
    'auth': 'check option `api_key` (https://wandb.ai/authorize shows the key of the user or service account)',
    'permission': 'the user or service account of option `api_key` must be a member of the team',
    'not_found': 'is option `api_url` the address of a W&B server, without /graphql?',
    'unreachable': 'check option `api_url`, DNS and the proxy options',
    'tls': 'check the options `tls_verify` and `tls_ca_cert`',
    'timeout': 'a later refresh tries again; option `page_size` makes the pages smaller, `read_timeout` gives W&B more '
    'time',
}


@stored
class ProjectList:
    """The projects of the entity that the key sees.

    Attributes:
        names: in the server's order, at most MAX_PROJECTS
    """

    names: tuple[str, ...]


@stored
class Drift:
    """The difference between the server's count of ended runs and the table of runs.

    Attributes:
        refreshes: number of consecutive refreshes in which they differed
    """

    refreshes: int = 0


@stored
class SeenGpus:
    """The GPUs of earlier refreshes.

    Attributes:
        types: when each GPU type was in use last
        day: their utilization in the last 24 hours
    """

    types: Sightings = field(default_factory=Sightings)
    day: UtilizationDay = field(default_factory=UtilizationDay)


@stored
class Known:
    """Facts about the key and the server that are asked for once.

    Attributes:
        viewer: fingerprint of the key that the server recognized; its user is asked for again after a refusal
        dialect: the queries that the server understands
    """

    viewer: Learned[str] | None = None
    dialect: Learned[Dialect] | None = None


class WandbCheck(Source['InstanceConfig', Known]):
    """Runs, GPUs and summaries of an entity's projects."""

    SOURCE = 'wandb'
    HEALTH = 'see https://status.wandb.com'
    MEMORY = Known
    LABEL_OPTIONS = ('entity', 'projects')
    SECRET_OPTIONS = ('api_key',)
    READING_OPTIONS = ('page_size', 'max_rows_per_refresh')

    def connect(self) -> None:
        """Build the client."""
        config = self.config
        settings = Settings.of(config)
        endpoint = Endpoint(
            config.api_url,
            'W&B',
            auth=ApiKey(self.api_key),
            policy=RateHeaders(self.limits, self.now),
            remedies=REMEDIES,
            read_timeout=self.read_timeout(READ_TIMEOUT),
        )
        self.figures = settings.figures
        self.columns = settings.columns
        self.service_clock = ServiceClock(self.budget)
        self.client = Client(
            self.api(endpoint),
            keys=settings.columns.keys,
            gpu_count_key=settings.columns.gpu_count_key,
            page_size=config.page_size,
        )
        self.run_sync = RunSync(self.client, self.service_clock, self.columns, config.max_rows_per_refresh)

    @property
    def api_key(self) -> str:
        """The key. A blank or a newline beside it comes from the file of a secret."""
        return self.config.api_key.strip()

    def begin(self, refresh: Refresh) -> None:
        """Recall which queries the server understands."""
        known = self.memory.dialect
        if known is None:
            self.client.dialect = Dialect()
        elif known.is_fresh(refresh.now.timestamp(), DIALECT_AGES):
            self.client.dialect = known.value
        else:
            # A server that lacked fields is assumed to lack them until it is asked again (see Client.learn).
            self.client.dialect = replace(known.value, heartbeat_filter=None)

    def end(self, refresh: Refresh) -> None:
        """Remember the dialect of the server, or forget it when it may be wrong."""
        if self.client.dialect.heartbeat_filter is not None:
            self._remember(self.client.dialect, refresh.now.timestamp())
        reasons = {problem.reason for problem in refresh.problems}
        if reasons & {'auth', 'permission'}:
            self.memory = replace(self.memory, viewer=None)
        if 'rejected' in reasons:
            self.memory = replace(self.memory, dialect=None)

    def _remember(self, dialect: Dialect, moment: float) -> None:
        known = self.memory.dialect
        at = known.at if known is not None and known.is_fresh(moment, DIALECT_AGES) else moment
        self.memory = replace(self.memory, dialect=Learned(dialect, at))

    # The list of projects.

    def list_interval(self) -> float:
        """Return a day, in seconds."""
        return DAY_SECONDS

    def lists_projects(self) -> bool:
        """Return whether option `projects` is empty, so that all projects of the entity are read."""
        return not self.config.projects

    @block(every=list_interval, when=lists_projects, state=ProjectList, name='project_list')
    def projects(self, attempt: Attempt[ProjectList]) -> None:
        """List the projects of the entity."""
        self._check_key(attempt)
        names = list(dict.fromkeys(self.client.projects(self.config.entity)))
        if not names:
            raise NotFound(
                f'entity `{self.config.entity}` shows no project to this key; check options `entity`, `api_key`'
            )
        if len(names) > MAX_PROJECTS:
            attempt.truncated(
                f'{len(names)} projects, only the first {MAX_PROJECTS} are read; list the projects in option `projects`'
            )
        attempt.state = ProjectList(tuple(names[:MAX_PROJECTS]))

    # Blocks of a project.

    @subjects(eager=True)
    def each_project(self, refresh: Refresh) -> Iterator[Project]:
        """Yield the configured projects, or all that the key sees."""
        listed = refresh.stored(self.projects.key(), ProjectList)
        names = list(dict.fromkeys(self.config.projects or (listed.names if listed else ())))
        refresh.keep_subjects(['', *names])
        for name in names:
            yield Project(self.config.entity, name)

    @each_project.block(state=KnownRuns)
    def runs(self, attempt: Attempt[KnownRuns], project: Project) -> SyncedRuns:
        """Follow the runs of a project."""
        self._check_key(attempt)
        self._learn(attempt, project)
        drift = attempt.refresh.stored(self.counts.key(project), Drift) or Drift()
        synced = self.run_sync.update(attempt, project, drifts=drift.refreshes)
        if synced.table is not None:
            self._emit_runs(attempt, synced.table.rows)
        attempt.emit(run_measures.endings(synced.ended, self.figures.by_user))
        self._report_dialect(attempt)
        return synced

    def _emit_runs(self, attempt: Attempt[KnownRuns], rows: Sequence[RunRow]) -> None:
        now = self.service_clock.time(attempt.now)
        usage = run_measures.usage_of(rows, now)
        attempt.emit(run_measures.runs(rows, now, self.figures, usage))
        if usage.unknown:
            attempt.problem('unknown_gpus', f'GPU-hours are not sent, because {_runs_without_gpus(usage.unknown)}')
        elif usage.uncertain:
            attempt.problem('unknown_gpus', UNCERTAIN)
        if self.config.gpu_count_config_key and rows and all(row.hardware.declared is None for row in rows):
            attempt.problem(
                'no_match',
                f'option `gpu_count_config_key`: no run has a number under `{self.config.gpu_count_config_key}`',
            )

    def _report_dialect(self, attempt: Attempt[KnownRuns]) -> None:
        for name in self.client.dialect.missing:
            attempt.problem('partial', f'this W&B server does not know `{name}`: {OPTIONAL_NAMES[name]}')

    @each_project.block(uses=runs, state=Drift)
    def counts(self, attempt: Attempt[Drift], project: Project, synced: SyncedRuns | None) -> None:
        """Count the runs of a project by state, as the server does."""
        self._learn(attempt, project)
        now = self.service_clock.time(attempt.now)
        counted = self._count(attempt, project, synced, now)
        attempt.emit(count_measures.counts(counted))
        attempt.state = _drift(attempt.state or Drift(), counted, synced.table if synced else None, now)

    def _count(
        self, attempt: Attempt[Drift], project: Project, synced: SyncedRuns | None, now: datetime
    ) -> dict[str, int | None]:
        """Return the counts by name. Where the server cannot filter by heartbeat, the table gives the rest of them."""
        conditions, stale_minutes = filters.counts(now), self.figures.stale_minutes
        by_heartbeat = self.client.dialect.heartbeat_filter
        if by_heartbeat:
            conditions |= filters.heartbeat_counts(now, stale_minutes)
        counted, refused = self.client.readable_counts(project, conditions)
        for name, part in refused.items():
            attempt.problem(part.reason, f'W&B could not count the runs of `{name}`: {part.refusal}')
        table = None if by_heartbeat else need(synced, 'runs').table
        if table is not None:
            counted['stale'] = count_measures.stale(table.rows, now, stale_minutes)
        return counted

    @each_project.block(uses=runs, state=SeenGpus)
    def gpus(self, attempt: Attempt[SeenGpus], project: Project, synced: SyncedRuns | None) -> None:
        """Read the system metrics of the active runs."""
        active = ActiveRuns.of(self.client.running(project))
        _report_active(attempt, active)
        now = self.service_clock.time(attempt.now)
        others = [row.hardware for row in synced.table.rows] if synced and synced.table else []
        fleet = fleet_of(alive(active.readings, now), self.columns, others).beside(active.unreadable)
        before = attempt.state or SeenGpus()
        in_use = gpu_measures.types_in_use(fleet)
        types = before.types.joined(in_use, now.timestamp(), keep=KNOWN_TYPE_SECONDS)
        day = before.day.joined(fleet.gpus, now.timestamp())
        attempt.emit(gpu_measures.gpus(fleet, types.last, self.figures))
        attempt.emit(gpu_measures.utilization_of_day(day))
        if self.figures.single_runs and synced and synced.table:
            attempt.emit(single_gpus(fleet, synced.table.rows, self.figures.single_runs))
        if fleet.unknown:
            attempt.problem('unknown_gpus', f'GPUs in use are not sent, because {_runs_without_gpus(fleet.unknown)}')
        attempt.state = SeenGpus(types, day)

    def shows_all_time(self) -> bool:
        """Return the option `all_time`."""
        return self.config.all_time

    @each_project.block(when=shows_all_time)
    def all_time(self, attempt: Attempt[None], project: Project) -> None:
        """Ask for the best run of all time."""
        best = self.client.best(project, self.config.accuracy_key)
        attempt.emit([Sample('metrics.best_accuracy_all_time', best)])

    def shows_sweeps(self) -> bool:
        """Return the option `sweeps`."""
        return self.config.sweeps

    @each_project.block(when=shows_sweeps)
    def sweeps(self, attempt: Attempt[None], project: Project) -> None:
        """Count the sweeps by state."""
        pages = self.client.sweeps(project)
        attempt.emit(sweep_samples(state for page in pages for state in page.rows))

    # Facts that are learned once and remembered.

    def _check_key(self, attempt: Attempt[ProjectList] | Attempt[KnownRuns]) -> None:
        """Ask once per key, and again after a refusal, for its user. Raises Unauthorized."""
        key = fingerprint(self.api_key)
        known = self.memory.viewer
        if known is None or known.value != key:
            self.client.viewer()
            self.memory = replace(self.memory, viewer=Learned(key, attempt.now.timestamp()))

    def _learn(self, attempt: Attempt[KnownRuns] | Attempt[Drift], project: Project) -> None:
        """Find out, once a day, which queries the server understands."""
        if self.client.dialect.heartbeat_filter is None:
            self.client.learn(project, self.service_clock.time(attempt.now))

    def probe(self) -> Iterator[Finding]:
        """Try the key, the projects, the server's dialect and the rate limit."""
        viewer = self.client.viewer()
        yield Finding('key', 'ok', f'the API key belongs to {viewer.username or "a service account"}')
        entity = self.config.entity
        for name in self.config.projects or list(self.client.projects(entity))[:MAX_PROJECTS]:
            yield from self._probe_project(Project(entity, name))
        if RESOURCE in self.limits.observed:
            remaining, limit = self.limits.observed[RESOURCE]
            status = 'ok' if remaining > limit / 10 else 'warning'
            yield Finding(
                'rate limit', status, f'{remaining:.0f} of {limit:.0f} left', 'raise option `refresh_interval`'
            )

    def _probe_project(self, project: Project) -> Iterator[Finding]:
        name = f'project {project.name}'
        try:
            total = self.client.counts(project, {'total': {}})['total']
        except NotFound as error:
            yield Finding(name, 'fail', error.fact, 'check the options `entity` and `projects`')
            return
        yield Finding(name, 'ok', f'{total} runs')
        if self.client.dialect.heartbeat_filter is None:
            self.client.learn(project, self.service_clock.time(self.now()))
            yield self._dialect_finding()

    def _dialect_finding(self) -> Finding:
        if self.client.dialect.heartbeat_filter:
            return Finding('server', 'ok', 'filters by heartbeat: a refresh reads only changed runs')
        return Finding(
            'server',
            'warning',
            'does not filter by heartbeat: runs are read in order of their heartbeats, one request more per refresh',
        )


def _runs_without_gpus(number: int) -> str:
    return (
        f'the GPUs of {number} runs are unknown: they have no metadata, or run at the same time without a host name '
        'that is their own; let each run log its number of GPUs, and name the key in option `gpu_count_config_key`'
    )


def _report_active(attempt: Attempt[SeenGpus], active: ActiveRuns) -> None:
    unreadable = active.unreadable + active.damaged
    if unreadable:
        attempt.problem(
            'bad_payload', f'runs without figures because their system metrics could not be read: {unreadable}'
        )
    if active.refusal:
        attempt.problem('bad_payload', f'W&B could not show a part of the active runs: {active.refusal}')
    if active.lacks_runs:
        attempt.truncated(f'W&B repeated active runs in its pages and left out {active.missing} others')


def _drift(before: Drift, counted: Mapping[str, int | None], table: RunTable | None, now: datetime) -> Drift:
    """Return the drift after a refresh; that of the refresh before when it cannot be told."""
    theirs = counted.get('heard_7d')
    if theirs is None or table is None:
        return before
    start = (now - WEEK).timestamp()
    ours = sum(row.ended and row.heard_since(start) for row in table.rows)
    differs = abs(theirs - ours) > DRIFT_ALLOWED
    return Drift(min(before.refreshes + 1, DRIFT_REFRESHES) if differs else 0)
