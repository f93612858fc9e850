"""Managed jobs, parsed from the job queue of the API server.

Fields that are missing, null or of another type are None or take the documented default.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..core.errors import BadPayload
from ..core.fields import flag, integer, items, mapping, number, text
from ..core.times import from_epoch
from . import resources
from .operations import CHECK_ADDRESS
from .resources import Machine, Resources

QUEUED = ('PENDING', 'SUBMITTED')
RUNNING = ('RUNNING', 'WINDING_DOWN')
STARTING = 'STARTING'
RECOVERING = 'RECOVERING'
ASKING = (STARTING, RECOVERING)
LIVE = (STARTING, *RUNNING, RECOVERING, 'CANCELLING')
OPEN = (*QUEUED, *LIVE)
SUCCEEDED = 'SUCCEEDED'
CANCELLED = 'CANCELLED'
FAILED = 'FAILED'
TERMINAL = (
    SUCCEEDED,
    CANCELLED,
    FAILED,
    'FAILED_SETUP',
    'FAILED_PRECHECKS',
    'FAILED_NO_RESOURCE',
    'FAILED_CONTROLLER',
)
DEFAULT_WORKSPACE = 'default'


def is_failed(status: str) -> bool:
    """Return True for every status that begins with FAILED, including those of future servers."""
    return status.startswith(FAILED)


def is_terminal(status: str) -> bool:
    """Return True for the status of a job that has ended."""
    return status in (SUCCEEDED, CANCELLED) or is_failed(status)


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a managed job: one row of the job queue.

    Attributes:
        owner: hash of the user, or the name where there is no hash
        submitted_at: time of the submission; None while the job is queued
        duration: seconds of running so far
        requested: resource string of the request
        launched: resource string of the machines that were launched
        accelerators: accelerators per node by type; None while the server has no record of the machines
        is_primary: True for the primary tasks of a job group, False for its other tasks, None outside of job groups
        pool: name of the pool that runs the task; None for a task that gets machines of its own
        worker: name of the worker of the pool that runs the task
        share: part of the machines that is the task's own: tasks on one worker share it equally
    """

    job_id: int
    task_id: int
    status: str
    owner: str | None = None
    user_name: str | None = None
    job_name: str | None = None
    task_name: str | None = None
    workspace: str | None = None
    submitted_at: datetime | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    duration: float = 0.0
    recoveries: int = 0
    requested: str | None = None
    launched: str | None = None
    accelerators: Mapping[str, float] | None = None
    cloud: str | None = None
    region: str | None = None
    is_primary: bool | None = None
    pool: str | None = None
    worker: str | None = None
    share: float = 1.0

    @property
    def is_live(self) -> bool:
        """True from the launch of the machines until the end."""
        return self.status in LIVE

    @property
    def nodes(self) -> int:
        """Number of machines that were launched, or that are requested before the first launch."""
        stated = next(filter(resources.is_stated, (self.launched, self.requested)), None)
        return Resources.parse(stated).nodes if stated else 1

    @property
    def uses_worker(self) -> bool:
        """True while it has a worker of a pool, possibly with other tasks, from before it runs until it ends."""
        return self.pool is not None and self.worker is not None and self.is_live

    @property
    def asks(self) -> bool:
        """True while it waits for machines, for the first time or again: it asks for GPUs and holds none."""
        return self.status in ASKING and not self.uses_worker

    @property
    def wanted(self) -> Mapping[str, float]:
        """Accelerators per node of the request, by type; every alternative of it."""
        return Resources.parse(self.requested or '').accelerators

    @property
    def machine_accelerators(self) -> Mapping[str, float]:
        """Accelerators of each of its machines, by type.

        A running task without a record of its machines holds what it asked for, unless that leaves a choice.
        """
        if self.accelerators is not None:
            return self.accelerators
        return self.wanted if self.status in RUNNING and len(self.wanted) == 1 else {}

    @property
    def gpus(self) -> dict[str, float]:
        """GPUs on the machines that the task has, over all nodes, by type; empty unless it is live and launched."""
        if not self.is_live or (self.asks and self.status == STARTING):
            return {}
        nodes = self.nodes * self.share
        return {name: count * nodes for name, count in self.machine_accelerators.items()}

    @property
    def market(self) -> str:
        """`spot`, `ondemand`, or `unknown` for a request of either one before the launch."""
        if resources.is_stated(self.launched):
            return Resources.parse(self.launched).market
        return Resources.parse(self.requested or '').market

    @property
    def machine(self) -> Machine:
        """The kind of the machines that were launched."""
        launched = Resources.parse(self.launched or '')
        return Machine.of(self.cloud, self.region, launched, self.machine_accelerators)

    @classmethod
    def parse(cls, record: Any) -> Task | None:
        """Return an element of the queue, or None without a job id or a status.

        Full records also hold secrets, in fields that are never read here.
        """
        record = mapping(record) or {}
        job_id = integer(record.get('job_id'))
        status = text(record.get('status'))
        if job_id is None or status is None:
            return None
        user_name = text(record.get('user_name'))
        # The short form cuts off long instance types.
        launched = text(record.get('cluster_resources_full')) or text(record.get('cluster_resources'))
        accelerators = record.get('accelerators')
        # Servers write null for machines without accelerators; old ones also where they have no record of the machines.
        is_known = accelerators is not None or resources.is_launched(launched)
        return cls(
            job_id=job_id,
            task_id=integer(record.get('task_id')) or 0,
            status=resources.capitals(status),
            owner=text(record.get('user_hash')) or user_name,
            user_name=user_name,
            job_name=text(record.get('job_name')),
            task_name=text(record.get('task_name')),
            workspace=text(record.get('workspace')),
            submitted_at=from_epoch(record.get('submitted_at')),
            start_at=from_epoch(record.get('start_at')),
            end_at=from_epoch(record.get('end_at')),
            duration=number(record.get('job_duration')) or 0.0,
            recoveries=max(0, integer(record.get('recovery_count')) or 0),
            requested=text(record.get('resources')),
            launched=launched,
            accelerators=resources.parse_accelerators(accelerators) if is_known else None,
            cloud=resources.place(record.get('cloud')),
            region=resources.place(record.get('region')),
            is_primary=flag(record.get('is_primary_in_job_group')),
            pool=text(record.get('pool')),
            worker=text(record.get('current_cluster_name')),
        )


@dataclass(frozen=True, slots=True)
class Job:
    """A managed job: a single task, a pipeline of tasks or a job group.

    Attributes:
        tasks: all tasks in their order
        current: the task that gives the job its status, market and region
    """

    id: int
    tasks: Sequence[Task]
    current: Task

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> Job:
        """Return the job of these tasks, with the current task that SkyPilot would choose.

        This is the first task that has not succeeded, or the last one when all have. In a job group only the primary
        tasks are considered.
        """
        ordered = sorted(tasks, key=lambda task: task.task_id)
        considered = [task for task in ordered if task.is_primary] or ordered
        current = next((task for task in considered if task.status != SUCCEEDED), considered[-1])
        return cls(ordered[0].job_id, ordered, current)

    @property
    def status(self) -> str:
        """Status of the current task."""
        return self.current.status

    @property
    def is_live(self) -> bool:
        """True from the launch of the machines until the end."""
        return self.current.is_live

    @property
    def owner(self) -> str | None:
        """Hash of the user, or the name where there is no hash."""
        return next((task.owner for task in self.tasks if task.owner), None)

    @property
    def user(self) -> str:
        """Name of the user, for display."""
        return next((task.user_name for task in self.tasks if task.user_name), self.owner or resources.UNKNOWN)

    @property
    def runtime(self) -> float:
        """Seconds of running so far, without queue and recovery. The tasks of a job group run at the same time."""
        durations = [max(0.0, task.duration) for task in self.tasks]
        return max(durations) if self.is_group else math.fsum(durations)

    @property
    def is_group(self) -> bool:
        """True for a job group."""
        return any(task.is_primary is not None for task in self.tasks)

    @property
    def ended_at(self) -> datetime | None:
        """Time of the end; None for a job that has not ended, and where the server omits the time."""
        if not is_terminal(self.status):
            return None
        return max((task.end_at for task in self.tasks if task.end_at is not None), default=None)

    @property
    def recoveries(self) -> int:
        """Number of recoveries of all tasks."""
        return sum(task.recoveries for task in self.tasks)

    @property
    def user_id(self) -> str:
        """Hash of the user, or the name where there is no hash, for telling users apart."""
        return self.owner or resources.UNKNOWN

    @property
    def market(self) -> str:
        """Market of the current task."""
        return self.current.market

    @property
    def region(self) -> str | None:
        """Region or Kubernetes context of the current task; None before the first launch."""
        return self.current.region

    @property
    def workspace(self) -> str:
        """Workspace of the current task."""
        return self.current.workspace or DEFAULT_WORKSPACE

    @property
    def gpus(self) -> dict[str, float]:
        """GPUs that the live tasks hold, by type."""
        totals: dict[str, float] = defaultdict(float)
        for task in self.tasks:
            for name, count in task.gpus.items():
                totals[name] += count
        return dict(totals)


@dataclass(frozen=True, slots=True)
class Queue:
    """The managed jobs of the server.

    Attributes:
        jobs: the jobs that were sent
        status_counts: tasks by status over all jobs that the server retains; None when the server omits the counts and
            sent only a part of the jobs
        total: number of jobs on the server; None where the server omits it
        has_handles: True when the tasks have accelerators, regions and markets
        has_workers: True when the tasks tell their workers of pools, or there are no pools
        unreadable: number of rows that could not be read
        unclear: number of live tasks with accelerators in an unknown notation
        missing: number of jobs, at least, that the server counts in `total` and has not sent
    """

    jobs: Sequence[Job]
    status_counts: Mapping[str, int] | None
    total: int | None
    has_handles: bool
    unreadable: int = 0
    unclear: int = 0
    has_workers: bool = True
    missing: int = 0

    @property
    def has_machines(self) -> bool:
        """True when the machines of tasks are known, and which tasks share them."""
        return self.has_handles and self.has_workers

    @classmethod
    def parse(cls, answer: Any, *, complete: bool, pools: bool = False) -> Queue:
        """Return the answer of /jobs/queue/v2, or the plain list that /jobs/queue answers.

        Raises BadPayload when the answer is neither.

        Parameters:
            answer: the decoded answer
            complete: True when no limit was asked for, so that the tasks themselves can replace missing counts
            pools: True when the server may have pools
        """
        details = mapping(answer) or {}
        records = _rows(details.get('jobs') if details else answer)
        parsed = [Task.parse(record) for record in records]
        tasks = _shared(_once(task for task in parsed if task is not None))
        unreadable = sum(task is None for task in parsed)
        total = integer(details.get('total'))
        # Servers count jobs, older ones the rows of their tasks.
        missing = max(0, (total or 0) - len(tasks) - unreadable)
        counted = tasks if complete and not unreadable and not missing else None
        return cls(
            jobs=_jobs(tasks),
            status_counts=_status_counts(details.get('status_counts'), counted),
            total=total,
            has_handles=not tasks or any(map(_has_handle, records)),
            unreadable=unreadable,
            unclear=sum(map(_is_unclear, parsed, records)),
            has_workers=not (tasks and pools) or any('current_cluster_name' in record for record in records),
            missing=missing,
        )


def _rows(value: Any) -> list[Mapping[str, Any]]:
    rows = items(value)
    if rows is None:
        raise BadPayload(f'the job queue has no list of jobs; {CHECK_ADDRESS}')
    return [mapping(row) or {} for row in rows]


def _has_handle(record: Mapping[str, Any]) -> bool:
    # Old releases (0.11, 0.12) send null for a field that was not asked for; new ones leave it out.
    return any(record.get(name) is not None for name in ('cluster_resources', 'cluster_resources_full'))


def _once(tasks: Iterable[Task]) -> list[Task]:
    """Return each task once, as its last row describes it, although a server may send a row twice."""
    return list({(task.job_id, task.task_id): task for task in tasks}.values())


def _shared(tasks: list[Task]) -> list[Task]:
    """Return the tasks with the share that each has of its worker: a worker counts once, whatever runs on it."""
    on_worker = Counter(task.worker for task in tasks if task.uses_worker)
    return [replace(task, share=1 / on_worker[task.worker]) if task.uses_worker else task for task in tasks]


def _jobs(tasks: Iterable[Task]) -> list[Job]:
    by_job: dict[int, list[Task]] = defaultdict(list)
    for task in tasks:
        by_job[task.job_id].append(task)
    return [Job.of(of_job) for of_job in by_job.values()]


def _is_unclear(task: Task | None, record: Mapping[str, Any]) -> bool:
    return task is not None and task.is_live and resources.is_unclear(record.get('accelerators'))


def _status_counts(value: Any, tasks: Iterable[Task] | None) -> Mapping[str, int] | None:
    """Return the counts by status, or those of all tasks (None if some are missing) from servers that do not count."""
    counts = mapping(value)
    if not counts:
        return Counter(task.status for task in tasks) if tasks is not None else None
    return {resources.capitals(name): count for name, raw in counts.items() if (count := integer(raw)) is not None}
