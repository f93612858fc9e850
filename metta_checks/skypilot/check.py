"""The blocks of source `skypilot`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal

from ..core.blocks import block
from ..core.diagnosis import Finding
from ..core.errors import BadPayload, OutOfBudget, RateLimited, Rejected, SourceError, Unavailable
from ..core.http import Endpoint
from ..core.memo import Ages, Learned
from ..core.refresh import Attempt, Refresh, Sample, need
from ..core.service_clock import ServiceClock
from ..core.source import Source
from ..core.stored import stored
from ..core.times import from_epoch
from . import client, idle_clusters, job_changes, price_list
from .client import Batch, Client
from .cluster_records import INIT, Cluster, parse_bills, parse_clusters, without_never_up
from .idle_clusters import WorkHistory
from .job_changes import QueueHistory
from .kinds import Kinds
from .measures import clusters as cluster_measures
from .measures import cost as cost_measures
from .measures import jobs as job_measures
from .measures import pools as pool_measures
from .measures import single_jobs
from .measures.cost import RatedCluster
from .operations import (
    CHECK_ADDRESS,
    ControllerDown,
    ControllerIdle,
    OperationFailed,
    Submitted,
    UnknownField,
)
from .pools import POOLS_CALL, parse_workers
from .price_list import JobPrices, PriceList
from .records import Job, Queue
from .resources import Machine
from .settings import Settings

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

HOUR = 3600
# Each cluster is asked over SSH by the server, which takes seconds.
IDLE_INTERVAL = 900
MAX_ASKED_CLUSTERS = 50
# An old price list is better than none.
PRICE_LIST_AGES = Ages(fresh=12 * HOUR, usable=inf)
NO_PRICE_LIST = Learned(PriceList(), -inf)
# Errors that may be gone in the next refresh.
TRANSIENT = (Unavailable, RateLimited, OutOfBudget, BadPayload)
# The parts that are left out of the query for the job queue when the server fails in the full query, and the time
# until the full query is tried again.
WITHOUT_HANDLES: Final = 'without_handles'
WITHOUT_FIELDS: Final = 'without_fields'
Reduction = Literal['without_handles', 'without_fields']
REDUCTION_AGES: dict[Reduction, Ages] = {
    WITHOUT_HANDLES: Ages(fresh=HOUR, usable=HOUR),
    WITHOUT_FIELDS: Ages(fresh=24 * HOUR, usable=24 * HOUR),
}
EMPTY_QUEUE = Queue(jobs=(), status_counts=None, total=None, has_handles=True)
REMEDIES = {
    'auth': 'check option `token` (a service account: `sky_...`), or `username` and `password`',
    'not_found': CHECK_ADDRESS,
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
        price_list: prices of machines that are not in any bill
        api_version: the version of the interface; None until the server has told it
    """

    operations: dict[str, Submitted] = field(default_factory=dict)
    job_limit: int | None = None
    reduced_query: Learned[Reduction] | None = None
    price_list: Learned[PriceList] | None = None
    api_version: int | None = None


@dataclass(slots=True)
class CurrentRefresh:
    """The state of the refresh under way.

    Attributes:
        batch: its operations
        controller_up: True when the job controller answered; None before the answer and when it is unknown
    """

    batch: Batch
    controller_up: bool | None = None

    def asked_at(self, name: str, now: datetime) -> datetime:
        """Return the time that a result describes: of its submission, in this run or an earlier one."""
        return from_epoch(self.batch.asked_at(name)) or now


class SkyPilotCheck(Source['InstanceConfig', Known]):
    """Managed jobs, clusters and their cost of one API server."""

    SOURCE = 'skypilot'
    HEALTH = 'try `sky api info` on a machine of yours'
    MEMORY = Known
    SECRET_OPTIONS = ('token', 'password')
    READING_OPTIONS = ('result_timeout',)

    def connect(self) -> None:
        """Build the client. Raises ConfigurationError for contradictory credentials and impossible prices."""
        config = self.config
        self.settings = Settings.of(config)
        endpoint = Endpoint(
            config.api_server_url,
            'SkyPilot',
            auth=client.auth(config.token),
            policy=client.Refusals(),
            remedies=REMEDIES,
        )
        self.client = Client(self.api(endpoint), self.clock, config.result_timeout)
        self.service_clock = ServiceClock(self.budget)

    def begin(self, refresh: Refresh) -> None:
        """Prepare to submit all operations at once; the blocks fetch the results one after the other."""
        self.client.open = dict(self.memory.operations)
        self.current = CurrentRefresh(Batch(self.client, lambda: self._calls(refresh.now)))

    def end(self, refresh: Refresh) -> None:
        """Remember the operations that have no result yet."""
        self.memory = replace(self.memory, operations=dict(self.client.open))

    # Blocks.

    @block(state=QueueHistory)
    def jobs(self, attempt: Attempt[QueueHistory]) -> Queue:
        """Read the job queue."""
        try:
            queue = self._read_queue(attempt)
        except ControllerIdle:
            self.current.controller_up = False
            attempt.emit(job_measures.idle(by_workspace=self.settings.by_workspace))
            attempt.state = job_changes.without_queued(attempt.state)
            return EMPTY_QUEUE
        except ControllerDown:
            self.current.controller_up = False
            raise
        except Rejected as error:
            raise self._reduce_query(attempt.refresh.now, error) from error
        self._report_gaps(attempt, queue)
        now = self.service_clock.time(attempt.now)
        attempt.emit(job_measures.jobs(queue, now, by_workspace=self.settings.by_workspace))
        changes = job_changes.compare(queue, attempt.state, now)
        attempt.emit(job_measures.finished(changes.finished))
        attempt.emit(job_measures.recoveries(changes.recoveries))
        attempt.emit([Sample('jobs.pending_seconds.max', changes.pending_seconds)])
        attempt.emit([Sample('jobs.recovering_seconds.max', changes.recovering_seconds)])
        attempt.emit(job_measures.queue_waits(changes.queue_waits))
        attempt.emit(job_measures.preemptions(changes.preemptions(now) or {}))
        if self.settings.by_user:
            attempt.emit(job_measures.users(queue))
        if self.settings.single_jobs:
            attempt.emit(single_jobs.single_jobs(queue, self.settings.single_jobs))
        attempt.state = changes.history
        return queue

    def knows_controller(self) -> bool:
        """Return True when the answer for the job queue says whether the job controller is up."""
        return self.current.controller_up is not None

    @block(given=knows_controller)
    def controller(self, attempt: Attempt[None]) -> None:
        """Report whether the job controller is up."""
        attempt.emit([Sample('controller.up', int(bool(self.current.controller_up)))])

    def is_read(self, result: object) -> bool:
        """Return True when the block that this one uses was read in this refresh."""
        return result is not None

    @block(name='gpus', part='jobs', uses=jobs, given=is_read)
    def job_gpus(self, attempt: Attempt[None], queue: Queue | None) -> None:
        """Count the GPUs that jobs hold."""
        queue = need(queue, 'jobs')
        attempt.now = self.current.asked_at('jobs', attempt.now)
        if queue.has_machines:
            attempt.emit(job_measures.gpus(queue.jobs, by_workspace=self.settings.by_workspace))

    @block()
    def clusters(self, attempt: Attempt[None]) -> list[Cluster]:
        """Read the clusters."""
        clusters = parse_clusters(self.current.batch.result('clusters'))
        attempt.now = self.current.asked_at('clusters', attempt.now)
        now = self.service_clock.time(attempt.now)
        attempt.emit(cluster_measures.clusters(clusters, now, by_workspace=self.settings.by_workspace))
        return clusters

    @block(name='gpus', part='clusters', uses=clusters, given=is_read)
    def cluster_gpus(self, attempt: Attempt[None], clusters: list[Cluster] | None) -> None:
        """Count the GPUs that clusters hold."""
        clusters = need(clusters, 'clusters')
        attempt.now = self.current.asked_at('clusters', attempt.now)
        attempt.emit(cluster_measures.gpus(clusters, by_workspace=self.settings.by_workspace))

    def are_of_one_time(self, queue: Queue | None, clusters: list[Cluster] | None) -> bool:
        """Return True when jobs and clusters are of the same run, and at least one of them was read."""
        return self.current.batch.are_of_one_time('jobs', 'clusters') and (queue is not None or clusters is not None)

    @block(uses=(jobs, clusters), given=are_of_one_time)
    def users(self, attempt: Attempt[None], queue: Queue | None, clusters: list[Cluster] | None) -> None:
        """Count the users of jobs and clusters."""
        attempt.now = self.current.asked_at('jobs', attempt.now)
        queue, clusters = need(queue, 'jobs'), need(clusters, 'clusters')
        owners = job_measures.owners(queue.jobs) | cluster_measures.owners(clusters)
        attempt.emit([Sample('users.active_count', len(owners))])
        if self.settings.by_user and queue.has_machines:
            attempt.emit(job_measures.users_of_gpus(queue.jobs, cluster_measures.of_people(clusters)))

    @block(uses=(jobs, clusters))
    def cost(
        self, attempt: Attempt[None], queue: Queue | None, clusters: list[Cluster] | None
    ) -> Mapping[str, float | None]:
        """Read the bills, and look up the prices of machines without one; return the rates by hash of the cluster."""
        current, gpu_prices = self.current, self.settings.gpu_prices
        bills = parse_bills(current.batch.result('cost'))
        attempt.now = current.asked_at('cost', attempt.now)
        now = self.service_clock.time(attempt.now)
        if any(bill.status == INIT and bill.is_billed for bill in bills):
            # Only the list of clusters tells which of these have ever been up.
            clusters = need(clusters, 'clusters')
        bills = without_never_up(bills, clusters or ())
        shows_jobs = self.settings.single_jobs and current.batch.are_of_one_time('jobs', 'cost')
        jobs = queue.jobs if queue is not None and queue.has_machines and shows_jobs else ()
        billed = price_list.billed_machine_prices(bills)
        wanted = price_list.unbilled(bills) | price_list.listable(_machines(jobs) - billed.keys())
        listed = self._price_list(attempt, wanted)
        rated = [RatedCluster(bill, price_list.cluster_rate(bill, listed, gpu_prices)) for bill in bills]
        attempt.emit(cost_measures.cost(rated, now))
        attempt.emit(cost_measures.gpu_hours(bills, now))
        if self.settings.by_user:
            attempt.emit(cost_measures.of_users(rated, now))
        if self.settings.by_workspace:
            attempt.emit(cost_measures.of_workspaces(rated, now))
        own_rates: Mapping[int, float | None] = {}
        is_one_time = current.batch.are_of_one_time('jobs', 'clusters', 'cost')
        if queue is not None and queue.has_workers and clusters is not None and is_one_time:
            # Lists of several times do not tell which clusters in the cost report belong to people, and which to jobs.
            is_complete = queue is not EMPTY_QUEUE and self.memory.job_limit is None and not queue.missing
            kinds = Kinds(queue.jobs, {cluster.hash for cluster in clusters}, complete=is_complete)
            attempt.emit(cost_measures.breakdown(rated, kinds))
            attempt.emit(cost_measures.failed_jobs(rated, kinds, now))
            own_rates = cost_measures.rates_of_jobs(rated, kinds)
        prices = JobPrices(own_rates, billed, listed, gpu_prices)
        attempt.emit(single_jobs.single_costs(jobs, self.settings.single_jobs, prices.of))
        return {cluster.bill.hash: cluster.rate for cluster in rated}

    def shows_pools(self) -> bool:
        """Return the option `pools`."""
        return self.settings.pools

    @block(when=shows_pools, uses=jobs)
    def pools(self, attempt: Attempt[None], queue: Queue | None) -> None:
        """Read the pools of workers."""
        workers = parse_workers(self.current.batch.result('pools'))
        attempt.now = self.current.asked_at('pools', attempt.now)
        attempt.emit(pool_measures.workers(workers))
        if queue is not None and self._tells_busy_workers(queue):
            attempt.emit(pool_measures.idle_gpus(workers, queue.jobs))

    def finds_idle(self) -> bool:
        """Return whether option `idle_minutes` is above 0."""
        return self.settings.idle is not None

    def idle_interval(self) -> float:
        """Return 15 minutes, in seconds."""
        return IDLE_INTERVAL

    @block(state=WorkHistory, when=finds_idle, every=idle_interval, uses=(clusters, cost))
    def idle(
        self, attempt: Attempt[WorkHistory], clusters: list[Cluster] | None, rates: Mapping[str, float | None] | None
    ) -> None:
        """Ask the clusters of people for their jobs."""
        up = cluster_measures.of_people(need(clusters, 'clusters'))
        if len(up) > MAX_ASKED_CLUSTERS:
            attempt.truncated(f'{len(up)} clusters are up; only {MAX_ASKED_CLUSTERS} are asked for their jobs')
        answers = idle_clusters.ask(self.client, up[:MAX_ASKED_CLUSTERS], attempt.state, attempt.now)
        attempt.checkpoint(answers.history)
        if answers.errors and not (answers.is_final and answers.history.works):
            # The server is in trouble, not the clusters: the last figures stay.
            raise answers.errors[0]
        for error in answers.errors:
            attempt.problem(error.reason, str(error))
        attempt.state = answers.history
        unused, now = need(self.settings.idle, 'idle'), self.service_clock.time(attempt.now)
        works = [(cluster, answers.history.works.get(cluster.hash)) for cluster in up]
        found = [(cluster, work.is_idle(now, unused) if work else None) for cluster, work in works]
        attempt.emit(cluster_measures.idle(found, rates))

    def shows_timing(self) -> bool:
        """Return the option `api_timing`."""
        return self.settings.api_timing

    def has_timings(self) -> bool:
        """Return True when any operation succeeded."""
        return bool(self.current.batch.seconds)

    @block(name='api', when=shows_timing, given=has_timings)
    def api_timing(self, attempt: Attempt[None]) -> None:
        """Report the time that the server took for each operation."""
        seconds = self.current.batch.seconds
        attempt.emit(Sample('api.result_seconds', took, {'endpoint': name}) for name, took in seconds.items())

    def probe(self) -> Iterator[Finding]:
        """Check the server, the credentials and the job controller."""
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
            yield Finding('job controller', 'fail', error.fact, 'check the controller with `sky status --refresh`')
        else:
            total = queue.total if queue.total is not None else len(queue.jobs)
            yield Finding('job controller', 'ok', f'{total} jobs are visible')

    # The job queue.

    def _calls(self, now: datetime) -> client.Calls:
        version = self.client.health().api_version or self.memory.api_version
        self.memory = replace(self.memory, api_version=version)
        return {
            'jobs': self._queue_call(version, now),
            'clusters': ('status', client.CLUSTERS_BODY),
            'cost': ('cost_report', client.COST_BODY),
            **({'pools': POOLS_CALL} if self.settings.pools else {}),
        }

    def _queue_call(self, version: int | None, now: datetime) -> tuple[str, dict[str, Any]]:
        reduction = self._reduction(now)
        optional = {
            'user_name': self.settings.by_user,
            'job_name': self.settings.single_jobs > 0,
            'workspace': self.settings.by_workspace,
        }
        extra = [name for name, is_wanted in optional.items() if is_wanted]
        fields = client.queue_fields(version, handles=reduction != WITHOUT_HANDLES, extra=extra)
        return client.queue_call(
            version, fields=None if reduction == WITHOUT_FIELDS else fields, limit=self.memory.job_limit
        )

    def _read_queue(self, attempt: Attempt[QueueHistory]) -> Queue:
        answer = self.current.batch.result('jobs')
        self.current.controller_up = True
        attempt.now = self.current.asked_at('jobs', attempt.now)
        has_pools = self.memory.api_version is None or self.memory.api_version >= client.POOLS
        queue = Queue.parse(answer, complete=self.memory.job_limit is None, pools=has_pools)
        return self._within_limit(attempt, queue)

    def _within_limit(self, attempt: Attempt[QueueHistory], queue: Queue) -> Queue:
        """Return the newest jobs with at most `max_rows` tasks. If there are more, the next call has this limit."""
        limit = self.settings.max_rows
        if self.memory.job_limit is None and queue.missing:
            attempt.truncated(f'the server has {queue.total} jobs, but has sent only {len(queue.jobs)}')
        kept = _newest(queue.jobs, limit)
        total = len(queue.jobs)
        if self.memory.job_limit is not None:
            total = max(total, queue.total or 0)
        if len(kept) == total:
            self.memory = replace(self.memory, job_limit=None)
            return queue
        self.memory = replace(self.memory, job_limit=limit)
        attempt.truncated(f'the server has {total} jobs; only the newest {len(kept)} are read (option `max_rows`)')
        return replace(queue, jobs=kept)

    def _tells_busy_workers(self, queue: Queue) -> bool:
        """Return True when the queue is as old as the list of pools and has the worker of every job on the server."""
        has_all = self.memory.job_limit is None and not queue.missing
        is_whole = queue is EMPTY_QUEUE or (has_all and not queue.unreadable)
        return queue.has_workers and is_whole and self.current.batch.are_of_one_time('jobs', 'pools')

    def _report_gaps(self, attempt: Attempt[QueueHistory], queue: Queue) -> None:
        """Report rows and fields of the queue that could not be read."""
        if queue.unreadable:
            attempt.problem(
                'bad_payload', f'{queue.unreadable} rows of the job queue could not be read and are left out'
            )
        if queue.unclear:
            attempt.problem(
                'bad_payload',
                f'{queue.unclear} live tasks have accelerators in an unknown notation, which are not counted as GPUs',
            )
        if not queue.has_workers:
            attempt.problem(
                'version',
                'the server has not told its version, so it was not asked for pools, and GPUs of jobs are missing',
            )
        if not queue.has_handles:
            attempt.problem(
                'handles',
                'the server cannot read the record of a cluster, so GPUs, markets and regions of jobs are missing; '
                'find the name of the cluster in the log of the server, and remove its record with `sky down --purge`',
            )

    def _reduction(self, now: datetime) -> Reduction | None:
        """Return the part that is left out of the query for the job queue, None for the full one."""
        reduced = self.memory.reduced_query
        if reduced is None or not reduced.is_fresh(now.timestamp(), REDUCTION_AGES[reduced.value]):
            return None
        return reduced.value

    def _reduce_query(self, now: datetime, error: Rejected) -> SourceError:
        """Reduce the next query and return the error that says so; the error itself where no reduction helps."""
        if self._reduction(now) is None and isinstance(error, (UnknownField, OperationFailed)):
            reduction: Reduction = WITHOUT_FIELDS if isinstance(error, UnknownField) else WITHOUT_HANDLES
            self.memory = replace(self.memory, reduced_query=Learned(reduction, now.timestamp()))
            left_out = '`fields`' if reduction == WITHOUT_FIELDS else 'the fields that need the records of the clusters'
            # Unavailable, so that the next run tries again.
            return Unavailable(f'{error}; the next run asks without {left_out}', reason=error.reason)
        self.memory = replace(self.memory, reduced_query=None)
        return error

    # Prices.

    def _price_list(self, attempt: Attempt[None], wanted: set[tuple[str, str]]) -> PriceList:
        """Return the listed prices of these clouds and instance types, read from the server every 12 hours."""
        if not wanted:
            return PriceList()
        now = attempt.refresh.now
        learned = self.memory.price_list or NO_PRICE_LIST
        is_fresh = learned.is_fresh(now.timestamp(), PRICE_LIST_AGES)
        is_complete = wanted <= learned.value.asked
        if is_fresh and is_complete:
            return learned.value
        try:
            return self._read_prices(wanted | learned.value.asked if is_fresh else wanted, now)
        except SourceError as error:
            # A transient error must not look like a fall in costs: the block fails rather than leave out a price.
            if error.fatal or (isinstance(error, TRANSIENT) and not is_complete):
                raise
            attempt.problem(error.reason, f'the price list is not available: {error}')
            return learned.value

    def _read_prices(self, asked: Set[tuple[str, str]], now: datetime) -> PriceList:
        answer = self.client.call('prices', *client.prices_call({cloud for cloud, _ in asked}))
        prices = PriceList.parse(answer, asked)
        self.memory = replace(self.memory, price_list=Learned(prices, now.timestamp()))
        return prices


def _newest(jobs: Iterable[Job], max_tasks: int) -> list[Job]:
    """Return the newest jobs that have at most this number of tasks together."""
    kept = []
    tasks = 0
    for job in sorted(jobs, key=lambda job: -job.id):
        tasks += len(job.tasks)
        if tasks > max_tasks:
            break
        kept.append(job)
    return kept


def _machines(jobs: Iterable[Job]) -> set[Machine]:
    """Return the kinds of machines that live tasks hold."""
    return {task.machine for job in jobs for task in job.tasks if task.is_live}
