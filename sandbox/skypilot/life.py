"""Changes of jobs while time passes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from ..organization import Organization, Person
from .model import SPOT, Cluster, Job, Task

SHORTAGE_HOUR = 14
SHORTAGE_JOBS = 9
SHORTAGE = timedelta(minutes=25)
# Together with the three pending jobs of the start, 17 jobs are queued then.
SHORTAGE_QUEUE = 14
NIGHT_HOUR = 3
SHORT_JOBS, SHORT_JOB_EVERY = 34, timedelta(minutes=40)


class Life:
    """Changes jobs and clusters, at once or as planned."""

    def __init__(self, organization: Organization, start: datetime, jobs: dict[int, Job], clusters: list[Cluster]):
        self.organization = organization
        self.jobs = jobs
        self.clusters = clusters
        # The time of the present change.
        self.moment = start
        self._plan: list[tuple[datetime, int, Callable[[], None]]] = []
        self._planned = 0

    def catch_up(self, now: datetime) -> None:
        """Make all planned changes until a moment, in order."""
        while self._plan and self._plan[0][0] <= now:
            self.moment, _, change = self._plan.pop(0)
            change()
        self.moment = max(self.moment, now)

    def at(self, moment: datetime, change: Callable[[], None]) -> None:
        """Plan a change."""
        self._planned += 1
        self._plan.append((moment, self._planned, change))
        self._plan.sort(key=lambda item: item[:2])

    def plan_day(self) -> None:
        """Plan a short job every 40 minutes, a shortage of spot machines at 14:00, an accident at night."""
        start = self.moment
        dice = self.organization.random('skypilot life')
        for index in range(SHORT_JOBS):
            status = dice.choices(('SUCCEEDED', 'FAILED', 'CANCELLED'), (80, 14, 6))[0]
            self._plan_short(index, start + timedelta(minutes=7) + index * SHORT_JOB_EVERY, dice.randint(9, 35), status)
        spot = [job for job in self.jobs.values() if job.status == 'RUNNING' and job.current.market == SPOT]
        shortage = _next(start, SHORTAGE_HOUR)
        for job in [job for job in spot if job.current.gpu == 'L4'][-SHORTAGE_JOBS:]:
            self.at(shortage, partial(self.lose, job))
            self.at(shortage + SHORTAGE, partial(self.recover, job))
        for index in range(SHORTAGE_QUEUE):
            self._plan_waiting(shortage, index)
        victim = next(job for job in spot if job.current.gpu == 'A10G')
        self.at(_next(start, NIGHT_HOUR), partial(self.end, victim, 'FAILED_CONTROLLER'))

    def _plan_short(self, index: int, moment: datetime, minutes: int, status: str) -> None:
        def begin() -> None:
            job = self.queue(f'sweep-short-{index:02d}', self.organization.people[index % 20])
            self.at(moment + timedelta(minutes=2), partial(self.start, job))
            self.at(moment + timedelta(minutes=6), partial(self.run, job))
            self.at(moment + timedelta(minutes=6 + minutes), partial(self.end, job, status))

        self.at(moment, begin)

    def _plan_waiting(self, moment: datetime, index: int) -> None:
        def begin() -> None:
            job = self.queue(f'ptm-waiting-{index:02d}', self.organization.people[index % 20], gpus=4)
            self.at(moment + SHORTAGE, partial(self.start, job))
            self.at(moment + SHORTAGE + timedelta(minutes=5), partial(self.run, job))
            self.at(moment + SHORTAGE + timedelta(hours=1 + index), partial(self.end, job, 'SUCCEEDED'))

        self.at(moment, begin)

    # Changes of a job.

    def queue(self, name: str, owner: Person, *, gpu: str = 'L4', gpus: float = 1, nodes: int = 1) -> Job:
        """Add a pending job."""
        job = Job(max(self.jobs, default=0) + 1, name, owner, [Task('PENDING', nodes, gpu, gpus, SPOT)])
        self.jobs[job.number] = job
        return job

    def start(self, job: Job) -> None:
        """Take a job out of the queue: it now waits for machines."""
        job.current.status = 'STARTING'
        job.current.submitted = self.moment

    def run(self, job: Job, region: str = 'us-east-1') -> None:
        """Run a job: its machines are there."""
        task = job.current
        task.status, task.cloud, task.region, task.holds = 'RUNNING', 'aws', region, True
        task.started = task.since = self.moment
        cluster = Cluster(
            job.cluster_name, job.owner, 'UP', task.nodes, task.gpu, task.gpus, task.market == SPOT,
            'aws', region, self.moment, job=job.number, workspace=job.workspace,
        )  # fmt: skip
        cluster.open(self.moment)
        self.clusters.append(cluster)

    def lose(self, job: Job) -> None:
        """Take away the machines of a running job."""
        task = job.current
        task.ran, task.since = task.runtime(self.moment), None
        task.status, task.holds = 'RECOVERING', False
        self._cluster(job).close(self.moment)

    def recover(self, job: Job) -> None:
        """Give a recovering job machines again."""
        task = job.current
        task.status, task.holds, task.since = 'RUNNING', True, self.moment
        task.recoveries += 1
        self._cluster(job).open(self.moment)

    def end(self, job: Job, status: str) -> None:
        """End a job."""
        task = job.current
        task.ran, task.since = task.runtime(self.moment), None
        task.status, task.holds, task.ended = status, False, self.moment
        for later in job.tasks[job.decides + 1 :]:
            later.status, later.ended = 'CANCELLED', self.moment
        for cluster in self.clusters:
            if cluster.job == job.number and cluster.status is not None:
                cluster.close(self.moment)

    def _cluster(self, job: Job) -> Cluster:
        return next(cluster for cluster in self.clusters if cluster.job == job.number)


def _next(start: datetime, hour: int) -> datetime:
    moment = start.replace(hour=hour, minute=0, second=0, microsecond=0)
    return moment if moment > start else moment + timedelta(days=1)
