"""The organization's jobs and clusters at the sandbox's start.

The 46 running jobs are those of all services. Beside them: 2 recovering without a machine, 3 pending, two weeks of
finished jobs (150 at scale 1), six clusters of people.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from ..organization import SKYPILOT_KUBERNETES_CONTEXT, Organization, Person, TrainingJob
from .model import MIXED, ONDEMAND, SPOT, Cluster, Job, Task

# Jobs at scale 1; more jobs are more finished ones.
TOTAL_JOBS = 201
UNFINISHED_JOBS = 51
HISTORY_HOURS = 14 * 24
# Of 150 finished jobs: 24 failed, 12 canceled, the rest succeeded.
ENDINGS = (
    *['FAILED'] * 14,
    *['FAILED_SETUP'] * 3,
    *['FAILED_PRECHECKS'] * 2,
    *['FAILED_NO_RESOURCE'] * 3,
    *['FAILED_CONTROLLER'] * 2,
    *['CANCELLED'] * 12,
    *['SUCCEEDED'] * 114,
)
NEVER_LAUNCHED = ('FAILED_PRECHECKS', 'FAILED_NO_RESOURCE')
SHAPES = ((1, 'L4', 4), (1, 'L4', 4), (1, 'L4', 1), (2, 'L4', 4), (1, 'A10G', 1), (1, 'H100', 8), (1, '', 0))
REGIONS = ('us-east-1', 'us-east-1', 'us-west-2', 'eu-west-1')
# Finished jobs have lower numbers than the running ones. This many numbers are free there; more jobs follow at the end.
OLDER_FINISHED, FIRST_FURTHER = 900, 2000
# Newer than the running ones, and the last in the queue.
RECOVERING, PENDING = 1100, 1110
# Number of finished jobs per pipeline, and per job group.
PIPELINE_EVERY, GROUP_EVERY = 5, 29
RUNNING_PIPELINE_EVERY = 9
WORKSPACES = ('default', 'default', 'research')


class Launch(NamedTuple):
    """The place of a task's machines, its start, and the end of its last break."""

    cloud: str
    region: str
    started: datetime
    since: datetime


class Generator:
    """Makes the jobs and clusters of the start."""

    def __init__(self, organization: Organization, start: datetime, scale: float, *, groups: bool = True) -> None:
        self.organization = organization
        self.start = start
        # Old servers have no job groups.
        self.groups = groups
        self.finished_jobs = max(0, round(TOTAL_JOBS * scale) - UNFINISHED_JOBS)
        self.dice = organization.random('skypilot')
        self.clusters: list[Cluster] = []
        self.jobs: list[Job] = []

    def generate(self) -> tuple[dict[int, Job], list[Cluster]]:
        """Make everything. Returns jobs by number, and all clusters that the server remembers."""
        for index in range(self.finished_jobs):
            self.jobs.append(self._finished(index))
        for index, training in enumerate(self.organization.running_jobs):
            self.jobs.append(self._running(index, training))
        people = self.organization.people
        for index, owner in enumerate(people[20:22]):
            self.jobs.append(self._recovering(index, owner))
        for index, owner in enumerate((people[22], people[4], people[9])):
            self.jobs.append(self._pending(index, owner))
        self._dev_clusters(people)
        return {job.number: job for job in self.jobs}, self.clusters

    def ago(self, hours: float) -> datetime:
        """Return a moment before the start."""
        return self.start - timedelta(hours=hours)

    # Jobs.

    def _running(self, index: int, training: TrainingJob) -> Job:
        task = Task(
            'RUNNING',
            training.nodes,
            training.gpu,
            training.gpus_per_node,
            SPOT if training.spot else ONDEMAND,
            training.cloud,
            training.region,
            holds=True,
            recoveries=training.recoveries,
        )
        seconds = training.age_hours * 3600
        tasks, decides, first = [task], 0, 0.0
        if index % RUNNING_PIPELINE_EVERY == 4:
            # A pipeline in the second of three tasks. The running time of the first one counts, too.
            first = round(seconds * 0.2, 1)
            preparation = Task('SUCCEEDED', 1, '', 0, SPOT, training.cloud, training.region, ran=first)
            evaluation = Task('PENDING', 1, 'L4', 1, SPOT)
            tasks, decides = [preparation, task, evaluation], 1
        running = seconds - first
        # The last break divides the running time. Each break takes 20 minutes.
        task.ran = round(running * 0.6, 1) if training.recoveries else 0.0
        task.since = self.start - timedelta(seconds=running - task.ran)
        task.started = task.since - timedelta(seconds=task.ran + 1200 * training.recoveries)
        task.submitted = task.started - timedelta(seconds=self.dice.randint(90, 900))
        if decides:
            tasks[0].ended = task.submitted - timedelta(seconds=5)
            tasks[0].started = tasks[0].since = tasks[0].ended - timedelta(seconds=first)
            tasks[0].ran = 0.0
            tasks[0].submitted = tasks[0].started - timedelta(seconds=120)
        job = Job(training.number, training.name, training.owner, tasks, decides, WORKSPACES[index % 3])
        self._job_cluster(job, Launch(training.cloud, training.region, task.started, task.since))
        return job

    def _recovering(self, index: int, owner: Person) -> Job:
        started = self.ago(30 + index)
        launch = Launch('aws', 'us-east-1', started, started)
        task = Task('RECOVERING', 1, 'L4', 4, SPOT, launch.cloud, launch.region, recoveries=1 + 2 * index)
        task.started = started
        task.submitted = started - timedelta(seconds=300)
        task.ran = 20 * 3600.0 + index
        job = Job(RECOVERING + index, f'ptm-recovering-{index}', owner, [task])
        cluster = self._job_cluster(job, launch)
        cluster.close(self.ago(0.2))
        return job

    def _pending(self, index: int, owner: Person) -> Job:
        wanted = (
            Task('PENDING', 1, 'L4', 4, SPOT),
            Task('PENDING', 2, 'L4', 8, SPOT),
            Task('PENDING', 1, 'A100', 8, MIXED, alternative=('H100', 8)),
        )[index]
        later = [Task('PENDING', 1, 'L4', 1, SPOT)] if index == 1 else []
        return Job(PENDING + index, f'sweep-pending-{index}', owner, [wanted, *later])

    def _finished(self, index: int) -> Job:
        dice = self.dice
        people = [*self.organization.people[:20], *self.organization.people[24:]]
        owner = people[index % len(people)]
        # Spread over the list, so that every number of jobs has the same mixture.
        status = ENDINGS[index * 37 % len(ENDINGS)]
        # Evenly over the time, the newest first.
        ended = self.ago((index + dice.uniform(0.1, 0.9)) / self.finished_jobs * HISTORY_HOURS)
        hours = dice.uniform(0.2, 40)
        if status == 'FAILED' and index % 3 == 0:
            # Began more than a week before it failed.
            hours = dice.uniform(170, 300)
        nodes, gpu, gpus = dice.choice(SHAPES)
        task = Task(status, nodes, gpu, gpus, SPOT if dice.random() < 0.85 else ONDEMAND, ended=ended)
        launch = None
        if status not in NEVER_LAUNCHED:
            launch = self._launch(task, ended - timedelta(hours=hours))
        elif status == 'FAILED_NO_RESOURCE':
            task.submitted = ended - timedelta(minutes=30)
        # A job that never left the queue has no time of submission.
        tasks, decides = self._arrange(index, task)
        number = 999 - index if index < OLDER_FINISHED else FIRST_FURTHER + index
        job = Job(number, f'{("ptm", "sweep", "stable")[index % 3]}-{index:04d}', owner, tasks, decides)
        if launch is not None:
            self._job_cluster(job, launch).close(ended)
        return job

    def _launch(self, task: Task, since: datetime) -> Launch:
        """Let a task have run since that moment, after a break of 20 minutes."""
        dice = self.dice
        launch = Launch('aws', dice.choice(REGIONS), since - timedelta(minutes=20), since)
        task.cloud, task.region, task.started, task.since = launch
        task.submitted = launch.started - timedelta(seconds=dice.randint(60, 1500))
        task.recoveries = dice.choice((0, 0, 0, 1, 2)) if task.market == SPOT else 0
        return launch

    def _arrange(self, index: int, task: Task) -> tuple[list[Task], int]:
        """Return the tasks of a job around this one, and its index.

        A single task, a pipeline that ends with it or before its last task, or a job group that it is primary of.
        """
        if self.groups and index % GROUP_EVERY == 7 and task.since is not None:
            task.primary = True
            helper = Task(
                'CANCELLED', 1, '', 0, ONDEMAND, task.cloud, task.region,
                submitted=task.submitted, started=task.started, ended=task.ended, since=task.since, primary=False,
            )  # fmt: skip
            return [helper, task], 1
        if index % PIPELINE_EVERY != 2 or task.since is None or task.submitted is None:
            return [task], 0
        before = task.submitted - timedelta(seconds=10)
        first = Task(
            'SUCCEEDED', 1, '', 0, SPOT, task.cloud, task.region,
            submitted=before - timedelta(minutes=50), started=before - timedelta(minutes=45), ended=before,
            since=before - timedelta(minutes=40),
        )  # fmt: skip
        if task.status == 'SUCCEEDED':
            return [first, task], 1
        # A task after one that did not succeed is canceled, or never started.
        after = Task('CANCELLED', 1, 'L4', 1, SPOT, ended=task.ended)
        return [first, task, after], 1

    def _job_cluster(self, job: Job, launch: Launch) -> Cluster:
        task, setup = job.current, timedelta(minutes=3)
        cloud, region, started, since = launch
        cluster = Cluster(
            job.cluster_name, job.owner, 'UP', task.nodes, task.gpu, task.gpus, task.market == SPOT,
            cloud, region, since, job=job.number, workspace=job.workspace,
        )  # fmt: skip
        before_break = since - timedelta(minutes=20)
        if started - setup < before_break:
            cluster.open(started - setup)
            cluster.close(before_break)
        cluster.open(since - setup)
        self.clusters.append(cluster)
        return cluster

    # Clusters of people.

    def _dev_clusters(self, people: list[Person]) -> None:
        aws = ('aws', 'us-east-1')
        context = ('kubernetes', SKYPILOT_KUBERNETES_CONTEXT)
        for name, owner, status, shape, place, hours, autostop in (
            ('dev-notebook', people[23], 'UP', (1, 'L4', 1), aws, 5.5, 60),
            # It was forgotten nine days ago.
            ('dev-forgotten', people[3], 'UP', (1, 'A10G', 1), aws, 9 * 24, -1),
            ('dev-launching', people[6], 'INIT', (1, 'L4', 4), aws, 0.1, 30),
            ('dev-pods', people[8], 'INIT', (2, 'L4', 1), context, 0.2, -1),
            ('dev-weekend', people[12], 'STOPPED', (1, '', 0), aws, 80, 30),
            ('dev-old', people[15], 'STOPPED', (1, 'L4', 1), aws, 400, 30),
        ):
            nodes, gpu, gpus = shape
            launched = self.ago(hours)
            cluster = Cluster(
                name, owner, status, nodes, gpu, gpus, False, *place, launched, [], autostop, workspace='research'
            )  # fmt: skip
            # The server bills from the launch on, including clusters that are still being set up.
            cluster.open(launched)
            cluster.status = status
            if status == 'STOPPED':
                cluster.close(self.ago(hours / 2), status)
            self.clusters.append(cluster)
