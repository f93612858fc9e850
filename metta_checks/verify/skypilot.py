"""SkyPilot's figures through plain requests to its REST interface: whole records, 100 jobs at a time."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from . import Figure, Recomputed

PAGE = 100
SECONDS = 120
# A longer window than needed: if the source's choice of days omits anything, the sums differ.
REPORT_DAYS = 7
HOUR, DAY = 3600, 86400
WAITING = ('PENDING', 'SUBMITTED')
AT_WORK = ('RUNNING', 'WINDING_DOWN')
ALIVE = ('STARTING', 'RUNNING', 'WINDING_DOWN', 'RECOVERING', 'CANCELLING')
OVER = (
    'SUCCEEDED', 'CANCELLED', 'FAILED', 'FAILED_SETUP', 'FAILED_PRECHECKS', 'FAILED_NO_RESOURCE', 'FAILED_CONTROLLER',
)  # fmt: skip
# Name, and limits in hours: from the first one up to, but without, the second one.
RUNTIME_BUCKETS = (('0_1h', 0, 1), ('1_4h', 1, 4), ('4_24h', 4, 24), ('over_24h', 24, math.inf))
Row = dict[str, Any]


class ServerError(Exception):
    """An operation failed on the server."""


def recompute(instance: Mapping[str, Any], now: datetime) -> Recomputed:
    """Return every gauge that the source shows without opt-in options.

    `jobs.pending_seconds.max` is omitted: it depends on the time of the source's first refresh. While the controller is
    idle, only clusters and cost are recomputed. Raises ServerError, and the errors of `requests`.
    """
    server = _Server(instance)
    clusters = server.call('status', {'all_users': True, 'refresh': 'NONE', 'include_credentials': False})
    bills = server.call('cost_report', {'days': REPORT_DAYS, 'exclude_managed_clusters': False})
    catalog = server.call('list_accelerators', {'gpus_only': True, 'all_regions': True, 'clouds': ['aws']})
    rows = server.rows()
    figures = [*_clusters(clusters, now), *_Costs(instance, bills, catalog, clusters, now).figures()]
    if rows is not None:
        jobs = _jobs(rows)
        figures += _Queue(rows, jobs, now).figures()
        figures.append(_figure('users.active_count', len(_active_users(jobs, clusters))))
        figures += _gpus_in_use(rows, clusters)
    figures.append(_figure('controller.up', int(rows is not None)))
    return Recomputed(tuple(figures), server.sent)


class _Server:
    def __init__(self, instance: Mapping[str, Any]) -> None:
        self._url = instance['api_server_url'].rstrip('/')
        self._session = requests.Session()
        self.sent = 0
        if instance.get('token'):
            self._session.headers['Authorization'] = f'Bearer {instance["token"]}'
            self._session.headers['X-Skypilot-Auth-Mode'] = 'token'
        elif instance.get('username'):
            self._session.auth = (instance['username'], instance.get('password') or '')
        self._session.verify = instance.get('tls_ca_cert') or instance.get('tls_verify', True)

    def call(self, path: str, body: Mapping[str, Any]) -> Any:
        """Submit an operation and wait for its result."""
        submitted = self._session.post(f'{self._url}/{path}', json=body, timeout=SECONDS, allow_redirects=False)
        submitted.raise_for_status()
        identifier = {'request_id': submitted.headers['X-Skypilot-Request-ID']}
        answer = self._session.get(f'{self._url}/api/get', params=identifier, timeout=SECONDS)
        self.sent += 2
        if answer.status_code == 500:
            error = json.loads(answer.json()['detail']['error'])
            raise ServerError(f'{path}: {error["type"]}: {error["message"]}')
        answer.raise_for_status()
        return json.loads(answer.json()['return_value'])

    def rows(self) -> list[Row] | None:
        """Return all rows of the queue; None while the controller is idle."""
        found: list[Row] = []
        page = 1
        while True:
            body = {'refresh': False, 'all_users': True, 'page': page, 'limit': PAGE}
            try:
                answer = self.call('jobs/queue/v2', body)
            except ServerError as error:
                if 'No in-progress managed jobs' in str(error):
                    return None
                raise
            found += answer['jobs']
            if page * PAGE >= answer['total']:
                return found
            page += 1


def _figure(name: str, value: float, **tags: str) -> Figure:
    pairs = tuple(sorted(f'{key}:{text}'.lower() for key, text in tags.items()))
    return Figure(f'metta.skypilot.{name}', float(value), pairs)


@dataclass(frozen=True, slots=True)
class _Job:
    """A managed job, with its tasks in order: a pipeline and a job group have several."""

    tasks: list[Row]

    @property
    def current(self) -> Row:
        """The task that determines the job's status; in a job group with primary tasks, one of these."""
        primary = [task for task in self.tasks if task.get('is_primary_in_job_group')]
        tasks = primary or self.tasks
        return next((task for task in tasks if task['status'] != 'SUCCEEDED'), tasks[-1])

    @property
    def status(self) -> str:
        status: str = self.current['status']
        return status

    @property
    def has_failed(self) -> bool:
        return self.status.startswith('FAILED')

    @property
    def is_over(self) -> bool:
        return self.status in OVER or self.has_failed

    @property
    def ended_at(self) -> float | None:
        """The time at which the last task ended; None before, and for a job that never ran."""
        ends = [task['end_at'] for task in self.tasks if task.get('end_at')]
        return max(ends) if ends and self.is_over else None

    @property
    def runtime(self) -> float:
        """Seconds of work without recoveries: tasks of a job group run at the same time, others one by one."""
        durations = [max(0.0, task.get('job_duration') or 0.0) for task in self.tasks]
        is_group = any(task.get('is_primary_in_job_group') is not None for task in self.tasks)
        return max(durations) if is_group else sum(durations)

    @property
    def recoveries(self) -> int:
        return sum(task.get('recovery_count') or 0 for task in self.tasks)

    @property
    def start_wait(self) -> float | None:
        """Seconds from the submission to the start of the first task; None before the start."""
        start, submitted = self.tasks[0].get('start_at'), self.tasks[0].get('submitted_at')
        return max(0.0, start - submitted) if start and submitted else None

    @property
    def owner(self) -> str | None:
        return next((user for user in map(_user, self.tasks) if user), None)


def _jobs(rows: list[Row]) -> list[_Job]:
    """Return the jobs of the queue, which has a row per task."""
    tasks: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        tasks[row['job_id']].append(row)
    return [_Job(sorted(own, key=lambda row: row.get('task_id') or 0)) for own in tasks.values()]


def _user(record: Mapping[str, Any]) -> str | None:
    """Return the identity of the owner of a task or cluster."""
    return record.get('user_hash') or record.get('user_name')


def _active_users(jobs: list[_Job], clusters: list[Row]) -> set[str]:
    """Return the owners of unfinished jobs and of clusters that are up."""
    owners = {job.owner for job in jobs if job.status in (*WAITING, *ALIVE)}
    owners |= {_user(cluster) for cluster in clusters if cluster['status'] == 'UP'}
    return {owner for owner in owners if owner is not None}


def _gpus(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the number of GPUs that a row holds over all its nodes."""
    if row['status'] not in ALIVE or not row.get('accelerators'):
        return {}
    # For example 2x[L4:4].
    nodes = int(row['cluster_resources'].partition('x')[0])
    return {name.lower(): count * nodes for name, count in row['accelerators'].items()}


def _requested_gpus(resources: str | None) -> tuple[str, float] | None:
    """Return (type, number over all nodes) of a request such as `2x[L4:4]`; None for a request without GPUs.

    The type is `any` where the request lists several; the number is then the largest.
    """
    request = re.match(r'(\d+)x\[([^\]]*)\]', resources or '')
    if not request:
        return None
    listed = re.findall(r'([\w.-]+):([\d.]+)(?!\+)', request[2])
    choices = [(name.lower(), float(count)) for name, count in listed if name != 'CPU']
    if not choices:
        return None
    gpu_type = choices[0][0] if len(choices) == 1 else 'any'
    return gpu_type, int(request[1]) * max(count for _, count in choices)


def _market(row: Mapping[str, Any]) -> str:
    text = row.get('cluster_resources')
    if text in (None, '-'):
        text = row.get('resources') or ''
    text = text.lower()
    if '|spot]' in text:
        return 'unknown'
    return 'spot' if '[spot]' in text else 'ondemand'


def _place(value: Any) -> str | None:
    return None if value in (None, '-') else value


def _percentile(values: list[float], percent: int) -> float:
    """Return the percentile by inclusive interpolation, as in the standard library."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method='inclusive')[percent - 1]


class _Queue:
    """Figures of the queue of managed jobs."""

    def __init__(self, rows: list[Row], jobs: list[_Job], now: datetime) -> None:
        self.rows = rows
        self.jobs = jobs
        self.now = now.timestamp()
        self.alive = [job for job in jobs if job.status in ALIVE]

    def figures(self) -> Iterator[Figure]:
        yield from self.counts()
        yield from self.endings()
        yield from self.runtimes()
        yield from self.recoveries()
        yield from self.gpus_held()
        yield from self.placement()
        yield from self.start_waits()
        yield from self.gpus_requested()

    def counts(self) -> Iterator[Figure]:
        statuses = [job.status for job in self.jobs]
        yield _figure('jobs.queued', sum(status in WAITING for status in statuses))
        yield _figure('jobs.running', sum(status in AT_WORK for status in statuses))
        unfinished = [job.status for job in self.jobs if not job.is_over]
        for status in {*WAITING, *ALIVE, *unfinished}:
            yield _figure('jobs.count', unfinished.count(status), status=status)
        tasks = [row['status'] for row in self.rows]
        for status in {*WAITING, *ALIVE, *OVER, *tasks}:
            yield _figure('tasks.count', tasks.count(status), status=status)

    def endings(self) -> Iterator[Figure]:
        day = self.ended_within(DAY)
        statuses = [job.status for job in day]
        for status in {*OVER, *statuses}:
            yield _figure('jobs.ended_24h', statuses.count(status), status=status)
        yield _figure('jobs.failed', sum(job.has_failed for job in day))
        yield _figure('jobs.failed_7d', sum(job.has_failed for job in self.ended_within(7 * DAY)))
        yield _figure('jobs.succeeded', statuses.count('SUCCEEDED'))
        yield _figure('jobs.cancelled', statuses.count('CANCELLED'))

    def ended_within(self, seconds: int) -> list[_Job]:
        return [job for job in self.jobs if job.ended_at is not None and job.ended_at >= self.now - seconds]

    def runtimes(self) -> Iterator[Figure]:
        seconds = [job.runtime for job in self.alive if job.status in AT_WORK]
        for name, low, high in RUNTIME_BUCKETS:
            yield _figure(f'jobs.runtime_buckets.{name}', sum(low <= runtime / HOUR < high for runtime in seconds))
        yield _figure('jobs.running_over_7d', sum(runtime >= 7 * DAY for runtime in seconds))
        if seconds:
            yield _figure('jobs.runtime_seconds.min', min(seconds))
            yield _figure('jobs.runtime_seconds.max', max(seconds))
            yield _figure('jobs.runtime_seconds.avg', statistics.mean(seconds))
            for percent in (50, 90, 99):
                yield _figure(f'jobs.runtime_seconds.p{percent}', _percentile(seconds, percent))

    def recoveries(self) -> Iterator[Figure]:
        counts = [job.recoveries for job in self.alive]
        yield _figure('jobs.with_recoveries', sum(count > 0 for count in counts))
        if counts:
            yield _figure('jobs.recovery_count.avg', statistics.mean(counts))
            yield _figure('jobs.recovery_count.max', max(counts))

    def gpus_held(self) -> Iterator[Figure]:
        held: dict[str, float] = defaultdict(float)
        for row in self.rows:
            for name, count in _gpus(row).items():
                held[name] += count
        for name in ('l4', 'a10g', 'h100'):
            yield _figure(f'resources.gpus.{name}_count', held.get(name, 0))
        yield _figure('resources.gpus.total_count', sum(held.values()))

    def placement(self) -> Iterator[Figure]:
        tasks = [job.current for job in self.alive]
        markets = [_market(task) for task in tasks]
        yield _figure('resources.spot_jobs', markets.count('spot'))
        yield _figure('resources.ondemand_jobs', markets.count('ondemand'))
        places = [(_place(task.get('cloud')), _place(task.get('region'))) for task in tasks]
        regions = [region for _, region in places if region]
        yield _figure('regions.us_east_1', regions.count('us-east-1'))
        yield _figure('regions.us_west_2', regions.count('us-west-2'))
        yield _figure('regions.other', sum(region not in ('us-east-1', 'us-west-2') for region in regions))
        for cloud, region in set(places):
            tags = {'cloud': cloud or 'unknown', 'region': region or 'unknown'}
            yield _figure('jobs.by_region', places.count((cloud, region)), **tags)

    def start_waits(self) -> Iterator[Figure]:
        started = [job for job in self.jobs if (job.tasks[0].get('start_at') or 0) >= self.now - DAY]
        waits = [job.start_wait for job in started if job.start_wait is not None]
        if waits:
            yield _figure('jobs.start_wait_seconds.avg', statistics.mean(waits))
            yield _figure('jobs.start_wait_seconds.p50', statistics.median(waits))
            yield _figure('jobs.start_wait_seconds.p90', _percentile(waits, 90))
            yield _figure('jobs.start_wait_seconds.max', max(waits))
        submitted = [row['submitted_at'] for row in self.starting() if row.get('submitted_at')]
        if submitted:
            yield _figure('jobs.starting_seconds.max', self.now - min(submitted))

    def starting(self) -> list[Row]:
        return [row for row in self.rows if row['status'] == 'STARTING']

    def waiting_for_machines(self) -> list[Row]:
        return [row for row in self.rows if row['status'] in ('STARTING', 'RECOVERING')]

    def gpus_requested(self) -> Iterator[Figure]:
        requested: dict[str, float] = defaultdict(float)
        for row in (*(job.current for job in self.jobs if job.status in WAITING), *self.waiting_for_machines()):
            if request := _requested_gpus(row.get('resources')):
                gpu_type, count = request
                requested[gpu_type] += count
        for gpu_type, count in requested.items():
            yield _figure('gpus.requested', count, gpu_type=gpu_type)


def _accelerators(text: Any) -> dict[str, float]:
    found = re.findall(r"'([^']+)': ([\d.]+)", text) if isinstance(text, str) else []
    return {name.lower(): float(count) for name, count in found}


def _gpus_in_use(rows: list[Row], clusters: list[Row]) -> Iterator[Figure]:
    totals: dict[tuple[str, str, str], float] = defaultdict(float)
    for row in rows:
        for name, count in _gpus(row).items() if row['status'] not in ('STARTING', 'RECOVERING') else ():
            totals['job', name, _market(row)] += count
    for cluster in clusters:
        if cluster['status'] == 'UP':
            market = _cluster_market(cluster)
            for name, count in _accelerators(cluster.get('accelerators')).items():
                totals['cluster', name, market] += count * cluster['nodes']
    for (kind, name, market), count in totals.items():
        yield _figure('gpus.in_use', count, kind=kind, gpu_type=name, market=market)


def _clusters(clusters: list[Row], now: datetime) -> Iterator[Figure]:
    statuses = [cluster['status'] for cluster in clusters]
    for status in {'UP', 'INIT', 'STOPPED', 'AUTOSTOPPING', *statuses}:
        yield _figure('clusters.count', statuses.count(status), status=status)
        yield _figure('clusters.nodes', _nodes(clusters, status), status=status)
    up = [cluster for cluster in clusters if cluster['status'] == 'UP']
    yield _figure('clusters.active', len(up))
    yield _figure('clusters.no_autostop', len([cluster for cluster in up if cluster['autostop'] < 0]))
    if up:
        oldest = min(cluster['launched_at'] for cluster in up)
        yield _figure('clusters.age_hours.max', (now.timestamp() - oldest) / HOUR)


def _nodes(clusters: list[Row], status: str) -> int:
    return sum(cluster['nodes'] for cluster in clusters if cluster['status'] == status)


def _cluster_market(cluster: Mapping[str, Any]) -> str:
    return 'spot' if '[spot]' in cluster['resources_str'].lower() else 'ondemand'


class _Costs:
    """Figures of the cost report."""

    def __init__(
        self,
        instance: Mapping[str, Any],
        bills: list[Row],
        catalog: Mapping[str, list[list[Any]]],
        clusters: list[Row],
        now: datetime,
    ) -> None:
        self.option: dict[str, Mapping[str, float]] = {
            name.lower(): prices for name, prices in (instance.get('prices') or {}).items()
        }
        self.machines: dict[tuple[str, str, str], dict[str, float | None]] = {
            (row[0].lower(), row[1], row[9]): {'ondemand': row[7], 'spot': row[8]}
            for rows in catalog.values()
            for row in rows
        }
        self.bills = bills
        self.of_people = {cluster['cluster_hash'] for cluster in clusters}
        self.never_up = {cluster['cluster_hash'] for cluster in clusters if cluster.get('cluster_ever_up') is False}
        self.now = now.timestamp()

    def figures(self) -> Iterator[Figure]:
        up = [bill for bill in self.bills if bill['status'] == 'UP']
        priced = [(bill, rate) for bill in up if (rate := self.rate(bill))]
        if priced or not up:
            yield _figure('cost.hourly_usd', sum(rate for _, rate in priced))
        unpriced = len(up) - len(priced)
        yield _figure('cost.unpriced_clusters', unpriced)
        if priced or unpriced:
            yield _figure('cost.price_coverage_pct', 100 * len(priced) / (len(priced) + unpriced))
        yield from self.breakdown(priced)
        yield from self.spend()

    def breakdown(self, priced: Iterable[tuple[Row, float]]) -> Iterator[Figure]:
        usd: dict[tuple[str, ...], float] = defaultdict(float)
        for bill, rate in priced:
            kind = 'cluster' if bill['cluster_hash'] in self.of_people else 'job'
            gpu_type = next(iter(_accelerators(bill['accelerators'])), 'none')
            usd[kind, bill['cloud'], _cluster_market(bill), gpu_type] += rate
        for (kind, cloud, market, gpu_type), rate in usd.items():
            tags = {'kind': kind, 'cloud': cloud, 'market': market, 'gpu_type': gpu_type}
            yield _figure('cost.breakdown_hourly_usd', rate, **tags)

    def spend(self) -> Iterator[Figure]:
        usage = [(hours, self.rate(bill)) for bill in self.bills if (hours := self.hours_in_last_day(bill))]
        priced = [hours * rate for hours, rate in usage if rate]
        if priced or not usage:
            yield _figure('cost.spend_usd_24h', sum(priced))

    def hours_in_last_day(self, bill: Mapping[str, Any]) -> float:
        seconds = 0.0
        if bill['cluster_hash'] in self.never_up:
            return seconds
        for start, end in bill.get('usage_intervals') or ():
            inside = min(self.now if end is None else end, self.now) - max(start, self.now - DAY)
            seconds += max(0.0, inside)
        return seconds / HOUR

    def rate(self, bill: Mapping[str, Any]) -> float | None:
        """Return USD per hour; None without a price."""
        total: float | None = bill.get('total_cost')
        seconds: float | None = bill.get('duration')
        if total and seconds:
            return total / (seconds / HOUR)
        price = self.catalog_price(bill) or self.option_price(bill)
        return None if price is None else price * bill['num_nodes']

    def catalog_price(self, bill: Mapping[str, Any]) -> float | None:
        """Return USD per node and hour by the server's catalog."""
        cloud = str(bill.get('cloud')).lower()
        for part in bill['resources_str_full'].strip(')').split('(')[-1].split(', '):
            price = self.machines.get((cloud, part, bill['region']), {}).get(_cluster_market(bill))
            if price:
                return price
        return None

    def option_price(self, bill: Mapping[str, Any]) -> float | None:
        """Return USD per node and hour by the option `prices`; None unless it has every accelerator of the node."""
        market = _cluster_market(bill)
        gpus = _accelerators(bill.get('accelerators'))
        if not gpus or any(market not in self.option.get(name, {}) for name in gpus):
            return None
        return sum(count * self.option[name][market] for name, count in gpus.items())
