"""SkyPilot's figures through plain requests to its REST interface: whole records, 100 jobs at a time."""

from __future__ import annotations

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
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
OWN_MACHINES = ('kubernetes', 'ssh', 'slurm')


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
        figures += _Jobs(rows, now).figures()
        people = {_owner(rows) for rows in _by_job(rows).values() if _decide(rows)['status'] in (*WAITING, *ALIVE)}
        people |= {one.get('user_hash') or one.get('user_name') for one in clusters if one['status'] == 'UP'}
        figures.append(_figure('users.active_count', len(people - {None})))
        figures += _by_gpu(rows, clusters)
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

    def rows(self) -> list[dict[str, Any]] | None:
        """Return all rows of the queue; None while the controller is idle."""
        found: list[dict[str, Any]] = []
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


def _by_job(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    jobs: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        jobs[row['job_id']].append(row)
    for tasks in jobs.values():
        tasks.sort(key=lambda row: row.get('task_id') or 0)
    return jobs


def _decide(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the task that determines a job's status."""
    if any(task.get('is_primary_in_job_group') for task in tasks):
        tasks = [task for task in tasks if task.get('is_primary_in_job_group')]
    for task in tasks:
        if task['status'] != 'SUCCEEDED':
            return task
    return tasks[-1]


def _owner(tasks: list[dict[str, Any]]) -> str | None:
    for task in tasks:
        if task.get('user_hash') or task.get('user_name'):
            return task.get('user_hash') or task.get('user_name')
    return None


def _gpus(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the number of GPUs that a row holds over all its nodes."""
    if row['status'] not in ALIVE or not row.get('accelerators'):
        return {}
    # For example 2x[L4:4].
    nodes = int(row['cluster_resources'].partition('x')[0])
    return {name.lower(): count * nodes for name, count in row['accelerators'].items()}


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


class _Jobs:
    """Figures of the queue."""

    def __init__(self, rows: list[dict[str, Any]], now: datetime) -> None:
        self.rows = rows
        self.now = now.timestamp()
        self.jobs = list(_by_job(rows).values())
        self.status = [_decide(tasks)['status'] for tasks in self.jobs]
        self.alive = [tasks for tasks, status in zip(self.jobs, self.status, strict=True) if status in ALIVE]

    def figures(self) -> Iterator[Figure]:
        yield _figure('jobs.queued', sum(status in WAITING for status in self.status))
        yield _figure('jobs.running', sum(status in AT_WORK for status in self.status))
        going_on = [status for status in self.status if status not in OVER and not status.startswith('FAILED')]
        for status in {*WAITING, *ALIVE, *going_on}:
            yield _figure('jobs.count', going_on.count(status), status=status)
        tasks = [row['status'] for row in self.rows]
        for status in {*WAITING, *ALIVE, *OVER, *tasks}:
            yield _figure('tasks.count', tasks.count(status), status=status)
        yield from self.endings()
        yield from self.runtimes()
        yield from self.places()
        yield from self.waits()

    def endings(self) -> Iterator[Figure]:
        day: list[str] = []
        failed_in_week = 0
        for tasks, status in zip(self.jobs, self.status, strict=True):
            ends = [task['end_at'] for task in tasks if task.get('end_at')]
            if not ends or not (status in OVER or status.startswith('FAILED')):
                continue
            if max(ends) >= self.now - DAY:
                day.append(status)
            if max(ends) >= self.now - 7 * DAY and status.startswith('FAILED'):
                failed_in_week += 1
        for status in {*OVER, *day}:
            yield _figure('jobs.ended_24h', day.count(status), status=status)
        yield _figure('jobs.failed', len([status for status in day if status.startswith('FAILED')]))
        yield _figure('jobs.failed_7d', failed_in_week)
        yield _figure('jobs.succeeded', day.count('SUCCEEDED'))
        yield _figure('jobs.cancelled', day.count('CANCELLED'))

    def runtimes(self) -> Iterator[Figure]:
        seconds = []
        for tasks in self.alive:
            if _decide(tasks)['status'] not in AT_WORK:
                continue
            durations = [max(0.0, task.get('job_duration') or 0.0) for task in tasks]
            grouped = any(task.get('is_primary_in_job_group') is not None for task in tasks)
            seconds.append(max(durations) if grouped else sum(durations))
        buckets = {'0_1h': 0, '1_4h': 0, '4_24h': 0, 'over_24h': 0}
        for one in seconds:
            hours = one / HOUR
            buckets['0_1h' if hours < 1 else '1_4h' if hours < 4 else '4_24h' if hours < 24 else 'over_24h'] += 1
        for name, count in buckets.items():
            yield _figure(f'jobs.runtime_buckets.{name}', count)
        yield _figure('jobs.running_over_7d', len([one for one in seconds if one >= 7 * DAY]))
        recoveries = [sum(task.get('recovery_count') or 0 for task in tasks) for tasks in self.alive]
        yield _figure('jobs.with_recoveries', len([count for count in recoveries if count]))
        if recoveries:
            yield _figure('jobs.recovery_count.avg', statistics.mean(recoveries))
            yield _figure('jobs.recovery_count.max', max(recoveries))
        if seconds:
            yield _figure('jobs.runtime_seconds.min', min(seconds))
            yield _figure('jobs.runtime_seconds.max', max(seconds))
            yield _figure('jobs.runtime_seconds.avg', statistics.mean(seconds))
            cuts = statistics.quantiles(seconds, n=100, method='inclusive') if len(seconds) > 1 else seconds * 99
            for percent in (50, 90, 99):
                yield _figure(f'jobs.runtime_seconds.p{percent}', cuts[percent - 1])

    def places(self) -> Iterator[Figure]:
        held: dict[str, float] = defaultdict(float)
        for row in self.rows:
            for name, count in _gpus(row).items():
                held[name] += count
        for name in ('l4', 'a10g', 'h100'):
            yield _figure(f'resources.gpus.{name}_count', held.get(name, 0))
        yield _figure('resources.gpus.total_count', sum(held.values()))
        deciding = [_decide(tasks) for tasks in self.alive]
        markets = [_market(task) for task in deciding]
        yield _figure('resources.spot_jobs', markets.count('spot'))
        yield _figure('resources.ondemand_jobs', markets.count('ondemand'))
        places = [(_place(task.get('cloud')), _place(task.get('region'))) for task in deciding]
        regions = [region for _, region in places if region]
        yield _figure('regions.us_east_1', regions.count('us-east-1'))
        yield _figure('regions.us_west_2', regions.count('us-west-2'))
        yield _figure('regions.other', len([one for one in regions if one not in ('us-east-1', 'us-west-2')]))
        for cloud, region in set(places):
            tags = {'cloud': cloud or 'unknown', 'region': region or 'unknown'}
            yield _figure('jobs.by_region', places.count((cloud, region)), **tags)

    def waits(self) -> Iterator[Figure]:
        waits = []
        for tasks in self.jobs:
            start, submitted = tasks[0].get('start_at'), tasks[0].get('submitted_at')
            if start and submitted and start >= self.now - DAY:
                waits.append(max(0.0, start - submitted))
        if waits:
            yield _figure('jobs.start_wait_seconds.avg', statistics.mean(waits))
            yield _figure('jobs.start_wait_seconds.p50', statistics.median(waits))
            cuts = statistics.quantiles(waits, n=10, method='inclusive') if len(waits) > 1 else waits * 9
            yield _figure('jobs.start_wait_seconds.p90', cuts[8])
            yield _figure('jobs.start_wait_seconds.max', max(waits))
        starting = [row['submitted_at'] for row in self.rows if row['status'] == 'STARTING' and row.get('submitted_at')]
        if starting:
            yield _figure('jobs.starting_seconds.max', self.now - min(starting))
        wanted: dict[str, float] = defaultdict(float)
        asking = [_decide(tasks) for tasks in self.jobs if _decide(tasks)['status'] in WAITING]
        asking += [row for row in self.rows if row['status'] == 'STARTING']
        for row in asking:
            inside = re.match(r'(\d+)x\[([^\]]*)\]', row.get('resources') or '')
            if not inside:
                continue
            listed = re.findall(r'([\w.-]+):([\d.]+)(?!\+)', inside[2])
            choices = [(name.lower(), float(count)) for name, count in listed if name != 'CPU']
            if choices:
                name = choices[0][0] if len(choices) == 1 else 'any'
                wanted[name] += int(inside[1]) * max(count for _, count in choices)
        for name, count in wanted.items():
            yield _figure('gpus.requested', count, gpu_type=name)


def _accelerators(text: Any) -> dict[str, float]:
    found = re.findall(r"'([^']+)': ([\d.]+)", text) if isinstance(text, str) else []
    return {name.lower(): float(count) for name, count in found}


def _by_gpu(rows: list[dict[str, Any]], clusters: list[dict[str, Any]]) -> Iterator[Figure]:
    totals: dict[tuple[str, str, str], float] = defaultdict(float)
    for row in rows:
        for name, count in _gpus(row).items():
            totals['job', name, _market(row)] += count
    for cluster in clusters:
        if cluster['status'] == 'UP':
            market = 'spot' if '[spot]' in cluster['resources_str'].lower() else 'ondemand'
            for name, count in _accelerators(cluster.get('accelerators')).items():
                totals['cluster', name, market] += count * cluster['nodes']
    for (kind, name, market), count in totals.items():
        yield _figure('gpus.in_use', count, kind=kind, gpu_type=name, market=market)


def _clusters(clusters: list[dict[str, Any]], now: datetime) -> Iterator[Figure]:
    statuses = [cluster['status'] for cluster in clusters]
    for status in {'UP', 'INIT', 'STOPPED', 'AUTOSTOPPING', *statuses}:
        yield _figure('clusters.count', statuses.count(status), status=status)
        nodes = sum(cluster['nodes'] for cluster in clusters if cluster['status'] == status)
        yield _figure('clusters.nodes', nodes, status=status)
    up = [cluster for cluster in clusters if cluster['status'] == 'UP']
    yield _figure('clusters.active', len(up))
    yield _figure('clusters.no_autostop', len([cluster for cluster in up if cluster['autostop'] < 0]))
    if up:
        oldest = min(cluster['launched_at'] for cluster in up)
        yield _figure('clusters.age_hours.max', (now.timestamp() - oldest) / HOUR)


class _Costs:
    """Figures of the cost report."""

    def __init__(
        self,
        instance: Mapping[str, Any],
        bills: list[dict[str, Any]],
        catalog: Mapping[str, list[list[Any]]],
        clusters: list[dict[str, Any]],
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
        self.now = now.timestamp()

    def figures(self) -> Iterator[Figure]:
        up = [(bill, self.rate(bill)) for bill in self.bills if bill['status'] == 'UP']
        known = [rate for _, rate in up if rate]
        unknown = [bill for bill, rate in up if not rate and bill['cloud'].lower() not in OWN_MACHINES]
        if known or not up:
            yield _figure('cost.hourly_usd', sum(known))
        yield _figure('cost.unpriced_clusters', len(unknown))
        if known or unknown:
            yield _figure('cost.price_coverage_pct', 100 * len(known) / (len(known) + len(unknown)))
        split: dict[tuple[str, ...], float] = defaultdict(float)
        for bill, rate in up:
            if rate:
                kind = 'cluster' if bill['cluster_hash'] in self.of_people else 'job'
                gpu_type = next(iter(_accelerators(bill['accelerators'])), 'none')
                split[kind, bill['cloud'], self.market(bill), gpu_type] += rate
        for (kind, cloud, market, gpu_type), usd in split.items():
            tags = {'kind': kind, 'cloud': cloud, 'market': market, 'gpu_type': gpu_type}
            yield _figure('cost.breakdown_hourly_usd', usd, **tags)
        spent = [self.spent(bill) for bill in self.bills]
        counted = [one for one in spent if one is not None]
        if any(rate for _, rate in counted) or not counted:
            yield _figure('cost.spend_usd_24h', sum(hours * (rate or 0.0) for hours, rate in counted))

    def spent(self, bill: Mapping[str, Any]) -> tuple[float, float | None] | None:
        """Return the hours in the last day and their cost; None for a cluster that was not up in it."""
        seconds = 0.0
        for start, end in bill.get('usage_intervals') or ():
            inside = min(self.now if end is None else end, self.now) - max(start, self.now - DAY)
            seconds += max(0.0, inside)
        return (seconds / HOUR, self.rate(bill)) if seconds else None

    @staticmethod
    def market(bill: Mapping[str, Any]) -> str:
        return 'spot' if '[spot]' in bill['resources_str'].lower() else 'ondemand'

    def rate(self, bill: Mapping[str, Any]) -> float | None:
        """Return USD per hour."""
        total: float | None = bill.get('total_cost')
        seconds: float | None = bill.get('duration')
        if total and seconds:
            return total / (seconds / HOUR)
        cloud = str(bill.get('cloud')).lower()
        if cloud in OWN_MACHINES:
            return None
        market = self.market(bill)
        nodes: int = bill['num_nodes']
        for part in bill['resources_str_full'].strip(')').split('(')[-1].split(', '):
            price = self.machines.get((cloud, part, bill['region']), {}).get(market)
            if price:
                return price * nodes
        gpus = _accelerators(bill.get('accelerators'))
        if not gpus or any(market not in self.option.get(name, {}) for name in gpus):
            return None
        return sum(count * self.option[name][market] for name, count in gpus.items()) * nodes
