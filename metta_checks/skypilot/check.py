"""The wiring of source `skypilot`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal

from datadog_checks.base import ConfigurationError

from ..core.blocks import block
from ..core.diagnosis import Finding
from ..core.errors import BadPayload, OutOfBudget, RateLimited, Rejected, SourceError, Unavailable
from ..core.http import Endpoint
from ..core.memo import Ages, Learned
from ..core.refresh import Attempt, Refresh, Sample, need
from ..core.source import Source
from ..core.stored import stored
from ..core.times import from_epoch
from . import client, prices, tracker
from .client import Batch, Client, ControllerDown, ControllerIdle, OperationFailed, Submitted, UnknownField
from .measures import clusters as cluster_measures
from .measures import cost as cost_measures
from .measures import jobs as job_measures
from .measures import single_jobs
from .prices import Catalog
from .records import LIVE, Cluster, Queue, parse_bills, parse_clusters
from .tracker import QueueHistory

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

HOUR = 3600
# An old catalog is better than none.
CATALOG_AGES = Ages(fresh=12 * HOUR, usable=inf)
# How long the queue is asked for less before everything is tried again, by way of asking.
WITHOUT_HANDLES: Final = 'without_handles'
WITHOUT_FIELDS: Final = 'without_fields'
Way = Literal['without_handles', 'without_fields']
ASK_LESS_AGES: dict[Way, Ages] = {
    WITHOUT_HANDLES: Ages(fresh=HOUR, usable=HOUR),
    WITHOUT_FIELDS: Ages(fresh=24 * HOUR, usable=24 * HOUR),
}
NOTHING = Queue(jobs=(), status_counts=None, total=None, has_handles=True)
REMEDIES = {
    'auth': 'check option `token` (a service account: `sky_...`), or `username` and `password`',
    'not_found': 'is option `api_server_url` the address of a SkyPilot API server?',
    'unreachable': 'check option `api_server_url`, DNS and the proxy options',
    'tls': 'check the options `tls_verify` and `tls_ca_cert`',
}


@stored
class Known:
    """Facts about the server that outlast a refresh.

    Attributes:
        operations: operations without a result yet, by name
        job_limit: the number of jobs to ask for, since there are more than option `max_rows` allows
        reduced_query: the part that is left out of the query for the job queue, since the server failed in the full one
        catalog: prices of machines that the bill does not know
    """

    operations: dict[str, Submitted] = field(default_factory=dict)
    job_limit: int | None = None
    reduced_query: Learned[Way] | None = None
    catalog: Learned[Catalog] | None = None


@dataclass(slots=True)
class Pass:
    """What one pass over the server has found out so far."""

    batch: Batch
    # Whether the job controller answered; None as long as nobody knows.
    controller_up: bool | None = None

    def asked_at(self, name: str, now: datetime) -> datetime:
        """The instant that a result tells of: an earlier one, if it is that of an earlier run's question."""
        return from_epoch(self.batch.asked_at(name)) or now


class SkyPilotCheck(Source['InstanceConfig', Known]):
    """Managed jobs, clusters and their cost of one API server."""

    SOURCE = 'skypilot'
    MEMORY = Known
    IDENTITY_OPTIONS = ('api_server_url',)
    SECRET_OPTIONS = ('token', 'password')

    def connect(self) -> None:
        """Build the client. Raises ConfigurationError for contradictory credentials and impossible prices."""
        config = self.config
        if config.token and config.username:
            raise ConfigurationError('options `token` and `username`: give one of them, the server takes one identity')
        self.gpu_prices = prices.parse_option(config.prices)
        endpoint = Endpoint(
            config.api_server_url,
            'SkyPilot',
            auth=client.auth(config.token),
            policy=client.Refusals(),
            remedies=REMEDIES,
        )
        self.client = Client(self.api(endpoint), self.clock, config.result_timeout)

    def begin(self, refresh: Refresh) -> None:
        """Prepare to submit everything at once; the blocks fetch the results one after the other."""
        self.client.open = dict(self.memory.operations)
        self.current = Pass(Batch(self.client, lambda: self._calls(refresh.now)))

    def end(self, refresh: Refresh) -> None:
        """Remember the operations that have no result yet."""
        self.memory = replace(self.memory, operations=dict(self.client.open))

    def _calls(self, now: datetime) -> client.Calls:
        version = self.client.health().api_version
        return {
            'jobs': self._queue_call(version, now),
            'clusters': ('status', client.CLUSTERS_BODY),
            'cost': ('cost_report', client.COST_BODY),
        }

    # Blocks.

    @block(state=QueueHistory)
    def jobs(self, attempt: Attempt[QueueHistory]) -> Queue:
        """Read the job queue."""
        current = self.current
        try:
            answer = current.batch.result('jobs')
        except ControllerIdle:
            current.controller_up = False
            attempt.emit(job_measures.idle(by_workspace=self.config.by_workspace))
            attempt.state = tracker.idle(attempt.state)
            return NOTHING
        except ControllerDown:
            current.controller_up = False
            raise
        except Rejected as error:
            raise self._ask_for_less(attempt.refresh.now, error) from error
        current.controller_up = True
        attempt.now = current.asked_at('jobs', attempt.now)
        queue = self._within_limit(attempt, Queue.parse(answer, complete=self.memory.job_limit is None))
        if queue.unreadable:
            attempt.problem('bad_payload', f'{queue.unreadable} rows of the job queue could not be read: left out')
        if queue.unclear:
            attempt.problem(
                'bad_payload',
                f'the accelerators of {queue.unclear} live rows could not be understood: not counted as GPUs',
            )
        if not queue.has_handles:
            attempt.problem(
                'handles',
                'the server cannot read the record of some cluster, so GPUs, markets and regions of jobs are missing; '
                'the log of the server names the cluster (`sky down --purge` removes its record)',
            )
        config = self.config
        attempt.emit(job_measures.jobs(queue, attempt.now, by_workspace=config.by_workspace))
        changes = tracker.follow(queue, attempt.state, attempt.now.timestamp())
        attempt.emit(job_measures.finished(changes.finished))
        attempt.emit(job_measures.recoveries(changes.recoveries))
        attempt.emit([Sample('jobs.pending_seconds.max', changes.pending_seconds)])
        if config.by_user:
            attempt.emit(job_measures.users(queue))
        if config.per_job:
            attempt.emit(single_jobs.single_jobs(queue.jobs, config.max_jobs))
        attempt.state = changes.history
        return queue

    def knows_controller(self) -> bool:
        """Return whether the answer to the question for the queue told of the job controller."""
        return self.current.controller_up is not None

    @block(given=knows_controller)
    def controller(self, attempt: Attempt[None]) -> None:
        """Say whether the job controller is up."""
        attempt.emit([Sample('controller.up', int(bool(self.current.controller_up)))])

    def is_read(self, result: object) -> bool:
        """Return whether a block that this one goes by was read in this pass."""
        return result is not None

    @block(name='gpus', part='jobs', uses=jobs, given=is_read)
    def job_gpus(self, attempt: Attempt[None], queue: Queue | None) -> None:
        """Count the GPUs that jobs hold."""
        queue = need(queue, 'jobs')
        attempt.now = self.current.asked_at('jobs', attempt.now)
        if queue.has_handles:
            attempt.emit(job_measures.gpus(queue.jobs, by_workspace=self.config.by_workspace))

    @block()
    def clusters(self, attempt: Attempt[None]) -> list[Cluster]:
        """Read the clusters."""
        clusters = parse_clusters(self.current.batch.result('clusters'))
        attempt.now = self.current.asked_at('clusters', attempt.now)
        attempt.emit(cluster_measures.clusters(clusters, attempt.now, by_workspace=self.config.by_workspace))
        return clusters

    @block(name='gpus', part='clusters', uses=clusters, given=is_read)
    def cluster_gpus(self, attempt: Attempt[None], clusters: list[Cluster] | None) -> None:
        """Count the GPUs that clusters hold."""
        clusters = need(clusters, 'clusters')
        attempt.now = self.current.asked_at('clusters', attempt.now)
        attempt.emit(cluster_measures.gpus(clusters, by_workspace=self.config.by_workspace))

    def are_of_one_time(self, queue: Queue | None, clusters: list[Cluster] | None) -> bool:
        """Return whether jobs and clusters are of one time, and one of them at least was read."""
        return self.current.batch.are_of_one_time('jobs', 'clusters') and (queue is not None or clusters is not None)

    @block(uses=(jobs, clusters), given=are_of_one_time)
    def users(self, attempt: Attempt[None], queue: Queue | None, clusters: list[Cluster] | None) -> None:
        """Count the users of jobs and clusters that were read of one time."""
        attempt.now = self.current.asked_at('jobs', attempt.now)
        owners = job_measures.owners(need(queue, 'jobs').jobs) | cluster_measures.owners(need(clusters, 'clusters'))
        attempt.emit([Sample('users.active_count', len(owners))])

    @block(uses=(jobs, clusters))
    def cost(self, attempt: Attempt[None], queue: Queue | None, clusters: list[Cluster] | None) -> None:
        """Read the bills, and price what has none."""
        current = self.current
        bills = parse_bills(current.batch.result('cost'))
        attempt.now = current.asked_at('cost', attempt.now)
        jobs = queue.jobs if queue is not None and self.config.per_job else ()
        machines = {row.machine for job in jobs for row in job.rows if row.status in LIVE}
        known = prices.machine_prices((bill, prices.billed_rate(bill)) for bill in bills)
        wanted = prices.gaps(bills) | prices.askable(machines - known.keys())
        catalog = self._catalog(attempt, wanted)
        rated = [(bill, prices.rate(bill, catalog, self.gpu_prices)) for bill in bills]
        attempt.emit(cost_measures.cost(rated, attempt.now))
        if clusters is not None and current.batch.are_of_one_time('clusters', 'cost'):
            # Else nobody knows whose the clusters in the report are.
            attempt.emit(cost_measures.breakdown(rated, {cluster.hash for cluster in clusters}))
        if jobs:
            attempt.emit(
                single_jobs.single_costs(
                    jobs,
                    self.config.max_jobs,
                    lambda row: prices.row_rate(row, known, catalog, self.gpu_prices),
                )
            )

    def shows_timing(self) -> bool:
        """Return the option `api_timing`."""
        return self.config.api_timing

    def has_timings(self) -> bool:
        """Return whether any call succeeded."""
        return bool(self.current.batch.seconds)

    @block(name='api', when=shows_timing, given=has_timings)
    def api_timing(self, attempt: Attempt[None]) -> None:
        """Say how long the server took for each call."""
        seconds = self.current.batch.seconds
        attempt.emit(Sample('api.result_seconds', took, {'endpoint': name}) for name, took in seconds.items())

    # Parts.

    def _queue_call(self, version: int | None, now: datetime) -> tuple[str, dict[str, Any]]:
        way = self._reduced_way(now)
        extra = (
            *(('user_name',) if self.config.by_user else ()),
            *(('job_name',) if self.config.per_job else ()),
            *(('workspace',) if self.config.by_workspace else ()),
        )
        fields = client.queue_fields(version, handles=way != WITHOUT_HANDLES, extra=extra)
        return client.queue_call(version, fields=None if way == WITHOUT_FIELDS else fields, limit=self.memory.job_limit)

    def _reduced_way(self, now: datetime) -> Way | None:
        """Return the part that is left out of the query for the job queue, None for the full one."""
        reduced = self.memory.reduced_query
        if reduced is None or not reduced.is_fresh(now.timestamp(), ASK_LESS_AGES[reduced.value]):
            return None
        return reduced.value

    def _ask_for_less(self, now: datetime, error: Rejected) -> SourceError:
        """Remember to ask in another way, and say so; the error itself where there is no other way."""
        if self._reduced_way(now) is None and isinstance(error, (UnknownField, OperationFailed)):
            way: Way = WITHOUT_FIELDS if isinstance(error, UnknownField) else WITHOUT_HANDLES
            self.memory = replace(self.memory, reduced_query=Learned(way, now.timestamp()))
            left_out = '`fields`' if way == WITHOUT_FIELDS else 'what needs the records of the clusters'
            # Worth another try in the next run.
            return Unavailable(f'{error}; the next run asks without {left_out}', reason=error.reason)
        self.memory = replace(self.memory, reduced_query=None)
        return error

    def _within_limit(self, attempt: Attempt[QueueHistory], queue: Queue) -> Queue:
        """The newest jobs with `max_rows` rows at most. Beyond it the next call asks for no more either."""
        limit = self.config.max_rows
        kept = []
        rows = 0
        for job in sorted(queue.jobs, key=lambda job: -job.id):
            rows += len(job.rows)
            if rows > limit:
                break
            kept.append(job)
        total = max(len(queue.jobs), (queue.total or 0) if self.memory.job_limit is not None else 0)
        if len(kept) == total:
            self.memory = replace(self.memory, job_limit=None)
            return queue
        self.memory = replace(self.memory, job_limit=limit)
        attempt.truncated(f'{total} jobs on the server, only the newest {len(kept)} are looked at (option `max_rows`)')
        return replace(queue, jobs=kept)

    def _catalog(self, attempt: Attempt[None], wanted: set[tuple[str, str]]) -> Catalog:
        """Prices of machines that the bill does not know: asked for when there are any, and kept for 12 hours."""
        if not wanted:
            return Catalog()
        moment = attempt.refresh.now.timestamp()
        learned = self.memory.catalog
        kept = learned.value if learned is not None else Catalog()
        fresh = learned is not None and learned.is_fresh(moment, CATALOG_AGES)
        if fresh and wanted <= kept.asked:
            return kept
        asked = wanted | kept.asked if fresh else wanted
        try:
            answer = self.client.call('prices', *client.prices_call({cloud for cloud, _ in asked}))
        except SourceError as error:
            # What may pass must not look like a fall in costs: a price that is missing for that is no price left out.
            may_pass = isinstance(error, (Unavailable, RateLimited, OutOfBudget, BadPayload))
            if error.fatal or (may_pass and not wanted <= kept.asked):
                raise
            attempt.problem(error.reason, f'the price catalog is not to be had: {error}')
            return kept
        catalog = Catalog.parse(answer, asked)
        self.memory = replace(self.memory, catalog=Learned(catalog, moment))
        return catalog

    def probe(self) -> Iterator[Finding]:
        """The server, the credentials, the job controller."""
        self.client.open = {}
        server = self.client.health()
        shown = f'SkyPilot {server.version or "of unknown version"}, API version {server.api_version or "unknown"}'
        yield Finding('server', 'ok', shown)
        clusters = parse_clusters(self.client.call('clusters', 'status', client.CLUSTERS_BODY))
        yield Finding('clusters', 'ok', f'{len(clusters)} clusters are visible')
        path, body = client.queue_call(server.api_version, fields=client.FIELDS, limit=1)
        try:
            queue = Queue.parse(self.client.call('jobs', path, body), complete=False)
        except ControllerIdle as error:
            yield Finding('job controller', 'ok', str(error))
        except ControllerDown as error:
            yield Finding('job controller', 'fail', str(error), 'Look at the controller: `sky status --refresh`.')
        else:
            total = queue.total if queue.total is not None else len(queue.jobs)
            yield Finding('job controller', 'ok', f'{total} jobs are visible')
