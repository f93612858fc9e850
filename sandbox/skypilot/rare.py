"""Rare situations: pools, services, controllers, machines of other clouds, and clusters between two states."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..organization import Person
from .model import ONDEMAND, SPOT, Cluster, ClusterJob, Job, Task

AWS, GCP, AZURE = ('aws', 'us-east-1'), ('gcp', 'us-central1'), ('azure', 'eastus')
# For this context, the server's configuration has prices.
KUBERNETES = ('kubernetes', 'research-cluster')
# Above the numbers of the waiting jobs, below those of further finished ones.
FIRST_NUMBER = 1200
POOL = 'batch'
# A second user with the name of the first person.
NAMESAKE = 'bbbb2222'
NO_MACHINE = 'Provision failed: no capacity'


class RareSituations:
    """Adds jobs and clusters that an average organization has seldom.

    Attributes:
        jobs: jobs by number
        clusters: all clusters that the server remembers
    """

    def __init__(self, people: list[Person], start: datetime, jobs: dict[int, Job], clusters: list[Cluster]) -> None:
        self.people = people
        self.start = start
        self.jobs = jobs
        self.clusters = clusters

    def add(self) -> None:
        """Add everything."""
        self._pool()
        self._service()
        self._jobs_of_other_clouds()
        self._jobs_between_machines()
        self._clusters_between_states()
        self._clusters_with_jobs()

    def _ago(self, hours: float) -> datetime:
        return self.start - timedelta(hours=hours)

    def _job(self, name: str, owner: int, task: Task, **fields: Any) -> Job:
        job = Job(FIRST_NUMBER + sum(number >= FIRST_NUMBER for number in self.jobs), name, self.people[owner], [task])
        for key, value in fields.items():
            setattr(job, key, value)
        self.jobs[job.number] = job
        return job

    def _task(
        self, shape: tuple[str, float], place: tuple[str, str], status: str = 'RUNNING', *, holds: bool = True
    ) -> Task:
        """Return a task on demand that started two hours ago."""
        since = self._ago(2)
        submitted = since - timedelta(minutes=4)
        return Task(
            status, 1, *shape, ONDEMAND, *place, holds=holds, submitted=submitted, started=since, since=since,
        )  # fmt: skip

    def _cluster(
        self, name: str, owner: int, shape: tuple[str, float], place: tuple[str, str], hours: float, **fields: Any
    ) -> Cluster:
        launched = self._ago(hours)
        status = fields.pop('status', 'UP')
        cluster = Cluster(name, self.people[owner], status, 1, *shape, False, *place, launched, **fields)
        cluster.open(launched)
        cluster.status = status
        self.clusters.append(cluster)
        return cluster

    def _with_cluster(self, job: Job) -> Cluster:
        """Add the cluster of a job."""
        task = job.current
        cluster = self._cluster(
            job.cluster_name,
            self.people.index(job.owner),
            (task.gpu, task.gpus),
            (task.cloud or '', task.region or ''),
            2.05,
            job=job.number,
            workspace=job.workspace,
            owner_hash=job.owner_hash,
        )
        cluster.spot = task.market == SPOT
        return cluster

    def _pool(self) -> None:
        """Add a pool: two jobs share the first worker, the second one waits for jobs, the third one for a machine."""
        for number in (1, 2):
            self._cluster(f'{POOL}-{number}', 2, ('L4', 8), AWS, 12, managed=True, pool=POOL)
        self._cluster(
            f'{POOL}-3', 2, ('L4', 8), AWS, 1,
            managed=True, pool=POOL, worker_status='PROVISIONING', status='INIT', last_event=NO_MACHINE,
        )  # fmt: skip
        for owner in (5, 6):
            task = self._task(('L4', 8), AWS)
            self._job(f'pooled-{owner}', owner, task, pool=POOL, worker=f'{POOL}-1')

    def _service(self) -> None:
        self._cluster('chat-3', 7, ('L4', 1), AWS, 30, managed=True)
        self._cluster('sky-serve-controller-1a2b3c4d', 7, ('', 0), AWS, 31)

    def _jobs_of_other_clouds(self) -> None:
        for name, owner, shape, place in (
            ('on-t4', 8, ('T4', 2), GCP),
            ('on-tpu', 9, ('tpu-v4-16', 1), GCP),
            ('on-azure', 10, ('A100-80GB', 1), AZURE),
        ):
            self._with_cluster(self._job(name, owner, self._task(shape, place), workspace='research'))
        self._cluster('dev-v100', 11, ('V100', 1), GCP, 3)
        self._cluster('dev-tpu', 11, ('tpu-v5litepod-16', 1), GCP, 3, workspace='research')
        pods = self._job('in-pods', 8, self._task(('L4', 4), KUBERNETES))
        self._with_cluster(pods).configured_price = 2.4
        self._cluster('dev-priced-pods', 12, ('L4', 4), KUBERNETES, 6, configured_price=2.4)
        self._with_cluster(
            self._job('of_somebody-else.with-the-same-name', 0, self._task(('L4', 4), AWS), owner_hash=NAMESAKE)
        )

    def _jobs_between_machines(self) -> None:
        """Add jobs with a record of machines in every status, and one that runs without a record."""
        for status in ('WINDING_DOWN', 'CANCELLING'):
            self._with_cluster(self._job(f'is-{status.lower()}', 13, self._task(('L4', 4), AWS, status)))
        for status in ('STARTING', 'RECOVERING'):
            task = self._task(('L4', 4), AWS, status)
            task.market, task.since, task.ran = SPOT, None, 1800.0 if status == 'RECOVERING' else 0.0
            if status == 'STARTING':
                task.started = None
            cluster = self._with_cluster(self._job(f'is-{status.lower()}', 14, task))
            cluster.status, cluster.last_event = 'INIT', NO_MACHINE
        self._job('without-record', 15, self._task(('A10G', 1), AWS, holds=False))

    def _clusters_between_states(self) -> None:
        self._cluster('dev-waiting', 16, ('L4', 4), AWS, 10, status='INIT', last_event=NO_MACHINE, ever_up=False)
        self._cluster('dev-lost', 17, ('L4', 4), AWS, 10, status='INIT', ever_up=True)
        self._cluster('dev-stopping', 18, ('L4', 1), AWS, 10, status='AUTOSTOPPING')

    def _clusters_with_jobs(self) -> None:
        """Add clusters of which one works, one did so lately, and one did so hours ago."""
        for name, owner, ended in (('dev-busy', 16, None), ('dev-between', 17, 0.4), ('dev-idle', 18, 3)):
            cluster = self._cluster(name, owner, ('L4', 1), AWS, 8, autostop=60, workspace='research')
            cluster.jobs.append(ClusterJob(self._ago(7), None if ended is None else self._ago(ended)))
