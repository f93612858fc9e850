"""The wiring of source `wandb`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from ..diagnosis import Finding
from ..errors import NotFound
from ..http import Endpoint
from ..refresh import Block, Refresh, Sample, need
from ..source import Source
from . import filters, measures
from .client import RESOURCE, ApiKey, Client, Dialect, RateHeaders
from .records import GpuReadings
from .settings import Settings
from .tracker import DAY, DRIFT_REFRESHES, Tracked, Tracker

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

MAX_PROJECTS = 50
# Differences between the server's count of ended runs and the table that are no sign of deleted or moved runs.
DRIFT_ALLOWED = 2
KNOWN_TYPE_SECONDS = 7 * DAY
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


class WandbCheck(Source['InstanceConfig']):
    """Runs, GPUs and summaries of an entity's projects."""

    SOURCE = 'wandb'
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
        self.dialect = Dialect()
        self.client = Client(
            self.api(endpoint),
            self.dialect,
            keys=settings.reading.keys,
            gpu_count_key=settings.reading.gpu_count_key,
            page_size=config.page_size,
        )
        self.tracker = Tracker(self.client, settings.reading, config.max_rows_per_refresh)

    def block_interval(self, name: str) -> float:
        """The list of projects is read once a day."""
        return DAY if name == 'projects' else 0.0

    def refresh(self, refresh: Refresh) -> None:
        """Read the projects one after the other."""
        self._recall_dialect(refresh)
        projects = self._projects(refresh)
        refresh.keep_subjects(['', *projects])
        for project in projects:
            # The blocks of a project always come together: some need what others found.
            # A project that was never read does not wait for the next full pass.
            if refresh.due('runs', project) or refresh.refreshed_at('runs', project) is None:
                self._project(refresh, project)
        self._remember_dialect(refresh)
        reasons = {problem.reason for problem in refresh.problems}
        if reasons & {'auth', 'permission'}:
            refresh.memory.pop('viewer', None)
        if 'rejected' in reasons:
            refresh.memory.pop('dialect', None)

    def _project(self, refresh: Refresh, project: str) -> None:
        tags = {'entity': self.config.entity, 'project': project}
        tracked = refresh.attempt_for(project, tags, 'runs', self._runs, refresh, project)
        refresh.attempt_for(project, tags, 'counts', self._counts, project, tracked)
        refresh.attempt_for(project, tags, 'gpus', self._gpus, project, tracked)
        if self.config.all_time:
            refresh.attempt_for(project, tags, 'all_time', self._all_time, project)
        if self.config.sweeps:
            refresh.attempt_for(project, tags, 'sweeps', self._sweeps, project)

    # The list of projects.

    def _projects(self, refresh: Refresh) -> list[str]:
        if self.config.projects:
            return list(dict.fromkeys(self.config.projects))
        if refresh.due('projects', every=DAY):
            refresh.attempt('projects', self._list_projects, refresh)
        return refresh.state('projects') or []

    def _list_projects(self, block: Block, refresh: Refresh) -> None:
        self._introduce(refresh)
        names = list(dict.fromkeys(self.client.projects(self.config.entity)))
        if not names:
            raise NotFound(
                f'entity `{self.config.entity}` shows no project to this key; check options `entity`, `api_key`'
            )
        if len(names) > MAX_PROJECTS:
            block.truncated(f'{len(names)} projects, only the first {MAX_PROJECTS} are read; name them in `projects`')
        block.state = names[:MAX_PROJECTS]

    # Blocks of a project.

    def _runs(self, block: Block, refresh: Refresh, project: str) -> Tracked:
        self._introduce(refresh)
        self._learn(block, project)
        drifts = (refresh.state('counts', project) or {}).get('drifts', 0)
        tracked = self.tracker.track(block, self.config.entity, project, drifts=drifts)
        if tracked.table is not None:
            block.emit(measures.runs(tracked.table.rows.values(), block.now, self.figures))
        block.emit(measures.endings(tracked.ended, self.figures.by_user))
        return tracked

    def _counts(self, block: Block, project: str, tracked: Tracked | None) -> None:
        self._learn(block, project)
        questions = filters.counts(block.now)
        if self.dialect.heartbeat_filter:
            questions |= filters.heartbeat_counts(block.now, self.figures.stale_minutes)
        counted = self.client.counts(self.config.entity, project, questions)
        table = tracked.table if tracked else None
        if not self.dialect.heartbeat_filter:
            need(tracked, 'runs')
            if table is not None:
                counted |= measures.counts_from_rows(table.rows.values(), block.now, self.figures.stale_minutes)
        block.emit(measures.counts(counted))
        drifts = (block.state or {}).get('drifts', 0)
        if 'ended_7d' in counted and table is not None:
            ours = len(table.ended_since((block.now - timedelta(days=7)).timestamp()))
            drifts = min(drifts + 1, DRIFT_REFRESHES) if abs(counted['ended_7d'] - ours) > DRIFT_ALLOWED else 0
        block.state = {'drifts': drifts}

    def _gpus(self, block: Block, project: str, tracked: Tracked | None) -> None:
        readings: list[GpuReadings] = []
        unreadable = 0
        for page in self.client.running(self.config.entity, project):
            readings += page.rows
            unreadable += page.unreadable + sum(reading.damaged for reading in page.rows)
        if unreadable:
            block.problem('bad_payload', f'the system metrics of {unreadable} runs could not be read: left out')
        fresh = measures.fresh(readings, block.now)
        moment = block.now.timestamp()
        # A GPU type goes to 0 before it is forgotten, so that graphs fall instead of breaking off.
        seen = {**(block.state or {}), **{reading.gpu_type: moment for reading in fresh if reading.gpus}}
        seen = {gpu_type: at for gpu_type, at in seen.items() if at > moment - KNOWN_TYPE_SECONDS}
        block.emit(measures.gpus(fresh, seen))
        if self.figures.single_runs and tracked and tracked.table:
            block.emit(measures.single_gpus(fresh, tracked.table.rows.values(), self.figures.single_runs))
        block.state = seen

    def _all_time(self, block: Block, project: str) -> None:
        best = self.client.best(self.config.entity, project, self.config.accuracy_key)
        block.emit([Sample('metrics.best_accuracy_all_time', best)])

    def _sweeps(self, block: Block, project: str) -> None:
        pages = self.client.sweeps(self.config.entity, project)
        block.emit(measures.sweeps(state for page in pages for state in page.rows))

    # What is learnt once and remembered.

    def _introduce(self, refresh: Refresh) -> None:
        """Ask once per key, and again after a refusal, whom the key belongs to. Raises Unauthorized."""
        fingerprint = hashlib.sha256(self.config.api_key.encode()).hexdigest()[:12]
        if refresh.memory.get('viewer') != fingerprint:
            self.client.viewer()
            refresh.memory['viewer'] = fingerprint

    def _learn(self, block: Block, project: str) -> None:
        """Find out, once a day, what the server understands."""
        if self.dialect.heartbeat_filter is None:
            self.client.learn(self.config.entity, project, block.now)

    def _recall_dialect(self, refresh: Refresh) -> None:
        known = refresh.memory.get('dialect') or {}
        self.dialect.complete = known.get('complete', True)
        fresh = known.get('until', 0) > refresh.now.timestamp()
        self.dialect.heartbeat_filter = known.get('heartbeat_filter') if fresh else None

    def _remember_dialect(self, refresh: Refresh) -> None:
        known = refresh.memory.get('dialect') or {}
        now = refresh.now.timestamp()
        if self.dialect.heartbeat_filter is not None:
            refresh.memory['dialect'] = {
                'complete': self.dialect.complete,
                'heartbeat_filter': self.dialect.heartbeat_filter,
                'until': known['until'] if known.get('until', 0) > now else now + DAY,
            }

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
            if self.dialect.heartbeat_filter is None:
                self.client.learn(entity, project, self.now())
                yield self._dialect_finding()
        if RESOURCE in self.limits.observed:
            remaining, limit = self.limits.observed[RESOURCE]
            status = 'ok' if remaining > limit / 10 else 'warning'
            yield Finding('rate limit', status, f'{remaining:.0f} of {limit:.0f} left', 'Raise `refresh_interval`.')

    def _dialect_finding(self) -> Finding:
        if self.dialect.heartbeat_filter:
            return Finding('server', 'ok', 'filters by heartbeat: a refresh reads only what changed')
        return Finding(
            'server',
            'warning',
            'does not filter by heartbeat: runs are read in order of their heartbeats, one request more per refresh',
        )
