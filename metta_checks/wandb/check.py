"""The wiring of source `wandb`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ..core.blocks import block, subjects
from ..core.diagnosis import Finding
from ..core.errors import NotFound
from ..core.http import Endpoint
from ..core.memo import Ages, Learned, Sightings, fingerprint
from ..core.refresh import Attempt, Refresh, Sample, need
from ..core.source import Source
from ..core.stored import stored
from . import filters, measures
from .client import RESOURCE, ApiKey, Client, Dialect, RateHeaders
from .records import GpuReadings
from .settings import Settings
from .tracker import DAY, DRIFT_REFRESHES, Tracked, Tracker, Tracking

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

MAX_PROJECTS = 50
# Differences between the server's count of ended runs and the table that are no sign of deleted or moved runs.
DRIFT_ALLOWED = 2
KNOWN_TYPE_SECONDS = 7 * DAY
# How long it is remembered whether the server filters by heartbeat.
DIALECT_AGES = Ages(fresh=DAY, usable=DAY)
# Unless an option says another: pages of runs with large summaries take their time.
READ_TIMEOUT = 30.0
REMEDIES = {
    'auth': 'check option `api_key` (https://wandb.ai/authorize shows the key of the user or service account)',
    'permission': 'the user or service account of option `api_key` must be a member of the team',
    'not_found': 'is option `api_url` the address of a W&B server, without /graphql?',
    'unreachable': 'check option `api_url`, DNS and the proxy options',
    'tls': 'check the options `tls_verify` and `tls_ca_cert`',
    'timeout': 'a later refresh tries again; option `page_size` makes the pages smaller, `read_timeout` gives W&B more '
    'time',
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project of an entity."""

    entity: str
    name: str

    @property
    def key(self) -> str:
        """The name, which is unique within the entity."""
        return self.name

    @property
    def tags(self) -> dict[str, str]:
        """The base tags of the figures of the project."""
        return {'entity': self.entity, 'project': self.name}


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
        refreshes: number of refreshes running in which they differed
    """

    refreshes: int = 0


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
    MEMORY = Known
    IDENTITY_OPTIONS = ('api_url', 'entity', 'projects')
    SECRET_OPTIONS = ('api_key',)

    def connect(self) -> None:
        """Build the client."""
        config = self.config
        settings = Settings.of(config)
        endpoint = Endpoint(
            config.api_url,
            'W&B',
            auth=ApiKey(config.api_key),
            policy=RateHeaders(self.limits, self.now),
            remedies=REMEDIES,
            read_timeout=self.read_timeout(READ_TIMEOUT),
        )
        self.figures = settings.figures
        self.client = Client(
            self.api(endpoint),
            keys=settings.reading.keys,
            gpu_count_key=settings.reading.gpu_count_key,
            page_size=config.page_size,
        )
        self.tracker = Tracker(self.client, settings.reading, config.max_rows_per_refresh)

    def begin(self, refresh: Refresh) -> None:
        """Recall which queries the server understands."""
        known = self.memory.dialect
        if known is None:
            self.client.dialect = Dialect()
        elif known.is_fresh(refresh.now.timestamp(), DIALECT_AGES):
            self.client.dialect = known.value
        else:
            # A server that lacked fields goes on lacking them until it was asked again (see Client.learn).
            self.client.dialect = replace(known.value, heartbeat_filter=None)

    def end(self, refresh: Refresh) -> None:
        """Remember what was learned of the server, or forget it when it may be wrong."""
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
        """Return the interval of the list of projects: a day."""
        return DAY

    def lists_projects(self) -> bool:
        """Return whether the projects are those that the key sees."""
        return not self.config.projects

    @block(every=list_interval, when=lists_projects, state=ProjectList)
    def projects(self, attempt: Attempt[ProjectList]) -> None:
        """List the projects of the entity."""
        self._introduce(attempt)
        names = list(dict.fromkeys(self.client.projects(self.config.entity)))
        if not names:
            raise NotFound(
                f'entity `{self.config.entity}` shows no project to this key; check options `entity`, `api_key`'
            )
        if len(names) > MAX_PROJECTS:
            attempt.truncated(f'{len(names)} projects, only the first {MAX_PROJECTS} are read; name them in `projects`')
        attempt.state = ProjectList(tuple(names[:MAX_PROJECTS]))

    # Blocks of a project.

    @subjects(eager=True)
    def each_project(self, refresh: Refresh) -> Iterator[Project]:
        """Yield the configured projects, or those that the key sees."""
        listed = refresh.stored(self.projects.key(), ProjectList)
        names = list(dict.fromkeys(self.config.projects or (listed.names if listed else ())))
        refresh.keep_subjects(['', *names])
        for name in names:
            yield Project(self.config.entity, name)

    @each_project.block(state=Tracking)
    def runs(self, attempt: Attempt[Tracking], project: Project) -> Tracked:
        """Follow the runs of a project."""
        self._introduce(attempt)
        self._learn(attempt, project)
        drift = attempt.refresh.stored(self.counts.key(project), Drift) or Drift()
        tracked = self.tracker.track(attempt, project.entity, project.name, drifts=drift.refreshes)
        if tracked.table is not None:
            attempt.emit(measures.runs(tracked.table.rows, attempt.now, self.figures))
        attempt.emit(measures.endings(tracked.ended, self.figures.by_user))
        return tracked

    @each_project.block(uses=runs, state=Drift)
    def counts(self, attempt: Attempt[Drift], project: Project, tracked: Tracked | None) -> None:
        """Count the runs of a project by state, as the server does."""
        self._learn(attempt, project)
        questions = filters.counts(attempt.now)
        filters_by_heartbeat = self.client.dialect.heartbeat_filter
        if filters_by_heartbeat:
            questions |= filters.heartbeat_counts(attempt.now, self.figures.stale_minutes)
        counted = self.client.counts(project.entity, project.name, questions)
        table = tracked.table if tracked else None
        if not filters_by_heartbeat:
            need(tracked, 'runs')
            if table is not None:
                counted |= measures.counts_from_rows(table.rows, attempt.now, self.figures.stale_minutes)
        attempt.emit(measures.counts(counted))
        refreshes = attempt.state.refreshes if attempt.state else 0
        if 'ended_7d' in counted and table is not None:
            ours = len(table.ended_since((attempt.now - timedelta(days=7)).timestamp()))
            differs = abs(counted['ended_7d'] - ours) > DRIFT_ALLOWED
            refreshes = min(refreshes + 1, DRIFT_REFRESHES) if differs else 0
        attempt.state = Drift(refreshes)

    @each_project.block(uses=runs, state=Sightings)
    def gpus(self, attempt: Attempt[Sightings], project: Project, tracked: Tracked | None) -> None:
        """Read the system metrics of the running runs."""
        readings: list[GpuReadings] = []
        unreadable = 0
        for page in self.client.running(project.entity, project.name):
            readings += page.rows
            unreadable += page.unreadable + sum(reading.damaged for reading in page.rows)
        if unreadable:
            attempt.problem('bad_payload', f'the system metrics of {unreadable} runs could not be read: left out')
        fresh = measures.fresh(readings, attempt.now)
        in_use = (reading.gpu_type for reading in fresh if reading.gpus)
        seen = (attempt.state or Sightings()).joined(in_use, attempt.now.timestamp(), keep=KNOWN_TYPE_SECONDS)
        attempt.emit(measures.gpus(fresh, seen.last))
        if self.figures.single_runs and tracked and tracked.table:
            attempt.emit(measures.single_gpus(fresh, tracked.table.rows, self.figures.single_runs))
        attempt.state = seen

    def shows_all_time(self) -> bool:
        """Return the option `all_time`."""
        return self.config.all_time

    @each_project.block(when=shows_all_time)
    def all_time(self, attempt: Attempt[None], project: Project) -> None:
        """Ask for the best run ever."""
        best = self.client.best(project.entity, project.name, self.config.accuracy_key)
        attempt.emit([Sample('metrics.best_accuracy_all_time', best)])

    def shows_sweeps(self) -> bool:
        """Return the option `sweeps`."""
        return self.config.sweeps

    @each_project.block(when=shows_sweeps)
    def sweeps(self, attempt: Attempt[None], project: Project) -> None:
        """Count the sweeps by state."""
        pages = self.client.sweeps(project.entity, project.name)
        attempt.emit(measures.sweeps(state for page in pages for state in page.rows))

    # What is learnt once and remembered.

    def _introduce(self, attempt: Attempt[ProjectList] | Attempt[Tracking]) -> None:
        """Ask once per key, and again after a refusal, whom the key belongs to. Raises Unauthorized."""
        key = fingerprint(self.config.api_key)
        known = self.memory.viewer
        if known is None or known.value != key:
            self.client.viewer()
            self.memory = replace(self.memory, viewer=Learned(key, attempt.now.timestamp()))

    def _learn(self, attempt: Attempt[Tracking] | Attempt[Drift], project: Project) -> None:
        """Find out, once a day, what the server understands."""
        if self.client.dialect.heartbeat_filter is None:
            self.client.learn(project.entity, project.name, attempt.now)

    def probe(self) -> Iterator[Finding]:
        """The key, the projects, what the server understands, the rate limit."""
        viewer = self.client.viewer()
        yield Finding('key', 'ok', f'the API key belongs to {viewer.username or "a service account"}')
        entity = self.config.entity
        projects = self.config.projects or list(self.client.projects(entity))[:MAX_PROJECTS]
        for project in projects:
            try:
                total = self.client.counts(entity, project, {'total': {}})['total']
            except NotFound as error:
                yield Finding(f'project {project}', 'fail', str(error), 'Check the options `entity` and `projects`.')
                continue
            yield Finding(f'project {project}', 'ok', f'{total} runs')
            if self.client.dialect.heartbeat_filter is None:
                self.client.learn(entity, project, self.now())
                yield self._dialect_finding()
        if RESOURCE in self.limits.observed:
            remaining, limit = self.limits.observed[RESOURCE]
            status = 'ok' if remaining > limit / 10 else 'warning'
            yield Finding('rate limit', status, f'{remaining:.0f} of {limit:.0f} left', 'Raise `refresh_interval`.')

    def _dialect_finding(self) -> Finding:
        if self.client.dialect.heartbeat_filter:
            return Finding('server', 'ok', 'filters by heartbeat: a refresh reads only what changed')
        return Finding(
            'server',
            'warning',
            'does not filter by heartbeat: runs are read in order of their heartbeats, one request more per refresh',
        )
