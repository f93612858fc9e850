"""Figures of the options: users, workspaces, single jobs, pools, idle clusters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from .. import Figure, NoSeries
from .clusters import of_people
from .costs import Costs
from .machines import chips, cluster_gpus, has_machines, named
from .queue import ALIVE, Job, user_id
from .reading import Reading, Row, ServerError, breakdown, figure, figure_of, sums

LONGEST_LIST = 50
DEFAULT_MAX_JOBS = 200
# Statuses of a job on a cluster that has not ended.
AT_WORK = ('INIT', 'PENDING', 'SETTING_UP', 'RUNNING')


class Options:
    """The figures of the options that an instance sets."""

    def __init__(self, reading: Reading, jobs: list[Job], costs: Costs) -> None:
        self.reading = reading
        self.jobs = jobs
        self.costs = costs
        self.alive = [job for job in jobs if job.status in ALIVE]
        self.up = [cluster for cluster in of_people(reading.clusters) if cluster['status'] == 'UP']
        self.shared = Counter(
            row['current_cluster_name']
            for row in reading.rows or ()
            if row.get('current_cluster_name') and has_machines(row)
        )

    def figures(self) -> Iterator[Figure | NoSeries]:
        """Yield the figures of all options that are set."""
        for option, of in (
            ('by_user', self.users),
            ('by_workspace', self.workspaces),
            ('per_job', self.single_jobs),
            ('pools', self.pools),
            ('idle_minutes', self.idle),
        ):
            if self.reading.instance.get(option):
                yield from of()

    def gpus(self, job: Job) -> float:
        """Return the GPUs of a job: an equal part of a worker of a pool."""
        return self.part(job, sum(job.gpus.values()))

    def part(self, job: Job, amount: float) -> float:
        """Return an equal part of an amount of the worker that a job is on."""
        return amount / max(1, self.shared[job.current.get('current_cluster_name')])

    # Users and workspaces.

    def users(self) -> Iterator[Figure | NoSeries]:
        """Yield jobs, GPUs and costs by user."""
        yield from self.by_user('users.jobs', [(job.owner, 1) for job in self.alive])
        held = [(job.owner, self.gpus(job)) for job in self.alive]
        held += [(user_id(cluster), sum(cluster_gpus(cluster, 'nodes').values())) for cluster in self.up]
        yield from self.by_user('users.gpus', held)
        hourly, spent = self.amounts()
        yield from self.by_user('cost.hourly_usd_by_user', [(user_id(bill), usd) for bill, usd in hourly])
        growing = [(user_id(bill), usd) for bill, usd in self.growing(spent)]
        yield from self.by_user('cost.spend_usd_24h_by_user', [(user_id(bill), usd) for bill, usd in spent], growing)

    def by_user(
        self,
        name: str,
        rows: Iterable[tuple[str | None, float]],
        growing: Iterable[tuple[str | None, float]] = (),
    ) -> Iterator[Figure | NoSeries]:
        """Yield an amount per user: the largest ones, and the others together."""
        records = [*(self.reading.rows or ()), *self.reading.clusters, *self.reading.bills]
        names = {user_id(record): record.get('user_name') or user_id(record) for record in records}
        shown = Counter(names.values())
        ranked = sorted(sums(rows).items(), key=lambda item: (-item[1], str(item[0])))
        labels = {user: ('other',) for user, _ in ranked}
        for user, _ in ranked[:LONGEST_LIST]:
            label = names[user]
            labels[user] = (f'{label} ({user})' if shown[label] > 1 else str(label),)
        per_second = [(labels[user], usd) for user, usd in growing]
        yield from breakdown(name, ['user'], [(labels[user], amount) for user, amount in ranked], per_second)

    def amounts(self) -> tuple[list[tuple[Row, float]], list[tuple[Row, float]]]:
        """Return the clusters of the report with USD per hour, and with USD of the last day."""
        spent = [(bill, self.costs.spent(bill)) for bill in self.reading.bills]
        return self.costs.priced, [(bill, usd) for bill, usd in spent if usd is not None]

    def growing(self, spent: Iterable[tuple[Row, float]]) -> list[tuple[Row, float]]:
        """Return the clusters of the report with USD per second."""
        return [(bill, (self.costs.rate(bill) or 0.0) * self.costs.growth(bill)) for bill, _ in spent]

    def workspaces(self) -> Iterator[Figure | NoSeries]:
        """Yield costs by workspace."""
        hourly, spent = self.amounts()
        for name, rows, growing in (('hourly_usd', hourly, []), ('spend_usd_24h', spent, self.growing(spent))):
            yield from breakdown(
                f'cost.{name}_by_workspace',
                ['workspace'],
                [((str(bill['workspace']),), usd) for bill, usd in rows],
                [((str(bill['workspace']),), usd) for bill, usd in growing],
            )

    # Single jobs.

    def single_jobs(self) -> Iterator[Figure | NoSeries]:
        """Yield the figures of the jobs that have been running longest, and those of all others together."""
        limit = self.reading.instance.get('max_jobs') or DEFAULT_MAX_JOBS
        ranked = sorted(self.alive, key=lambda job: (-job.runtime, job.current['job_id']))
        figures: dict[str, Callable[[Job], float | None]] = {
            'job.runtime_seconds': lambda job: job.runtime,
            'job.gpus': self.gpus,
            'job.recovery_count': lambda job: job.recoveries,
            'job.hourly_usd': self.hourly,
        }
        for name, of in figures.items():
            known = [(job, value) for job in ranked if (value := of(job)) is not None]
            yield from () if known else [figure_of(name, None)]
            single = {job.id for job in ranked[:limit]}
            # The server computes how long a job has been running.
            per_second = 1 if name == 'job.runtime_seconds' else 0
            for job, value in known:
                if job.id in single:
                    yield figure(name, value, per_second, **self.tags(job))
            if others := [value for job, value in known if job.id not in single]:
                yield figure(name, sum(others), per_second * len(others), job_id='other')

    @staticmethod
    def tags(job: Job) -> Mapping[str, str]:
        """Return the tags of a job."""
        row = job.current
        gpu_type = next(iter(job.gpus), 'none')
        return {
            'job_id': str(row['job_id']), 'job_name': row['job_name'], 'status': job.status, 'gpu_type': gpu_type,
        }  # fmt: skip

    def hourly(self, job: Job) -> float | None:
        """Return USD per hour of a job; None without a price."""
        rates = [rate for task in job.tasks if (rate := self.costs.task_rate(task)) is not None]
        return self.part(job, sum(rates)) if rates else None

    # Pools and idle clusters.

    def pools(self) -> Iterator[Figure | NoSeries]:
        """Yield the workers of pools by status, and the GPUs of those without a job."""
        answer = self.reading.server.call('jobs/pool_status', {'pool_names': None})
        workers = [(pool['name'], worker) for pool in answer for worker in pool['replica_info']]
        states = [((pool, worker['status']), 1.0) for pool, worker in workers]
        yield from breakdown('pools.workers', ['pool', 'status'], states)
        if not self.reading.has_all_rows:
            # A job that is missing may be on one of the workers.
            return
        taken = {job.current.get('current_cluster_name') for job in self.alive}
        free = [one for _, one in workers if one['status'] == 'READY' and one['name'] not in taken]
        yield figure('pools.idle_gpus', sum(_gpus_of_worker(worker['resources_str_full']) for worker in free))

    def idle(self) -> Iterator[Figure | NoSeries]:
        """Yield the clusters that run nothing."""
        since = self.reading.now.timestamp() - 60 * self.reading.instance['idle_minutes']
        last = {cluster['cluster_hash']: self.last_work(cluster) for cluster in self.up}
        idle = {identity for identity, moment in last.items() if moment is not None and moment < since}
        yield figure('clusters.idle', len(idle))
        yield figure('clusters.idle_unknown', sum(moment is None for moment in last.values()))
        held = (cluster_gpus(cluster, 'nodes') for cluster in self.up if cluster['cluster_hash'] in idle)
        yield figure('clusters.idle_gpus', sum(sum(one.values()) for one in held))
        rates = [rate for bill, rate in self.costs.priced if bill['cluster_hash'] in idle]
        yield figure_of('cost.idle_clusters_hourly_usd', sum(rates) if rates or not idle else None)

    def last_work(self, cluster: Row) -> float | None:
        """Return when a cluster last worked or was launched, in seconds; None when it cannot be asked."""
        try:
            body = {'cluster_name': cluster['name'], 'skip_finished': False, 'all_users': True}
            jobs = self.reading.server.call('queue', body)
        except ServerError:
            return None
        if any(job['status'] in AT_WORK for job in jobs):
            return self.reading.now.timestamp()
        return float(max((job['end_at'] or 0 for job in jobs), default=cluster['launched_at']))


def _gpus_of_worker(text: str) -> float:
    found = re.match(r'(\d+)x.*?gpus=([\w.-]+):([\d.]+)', text)
    return int(found[1]) * sum(chips(named({found[2]: found[3]})).values()) if found else 0.0
