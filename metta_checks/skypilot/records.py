"""Managed jobs, clusters and bills, parsed from the answers of the API server.

Fields that are missing, null or of another type are None or take the documented default.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ..core.errors import BadPayload
from ..core.fields import flag, integer, items, mapping, number, objects, text
from ..core.times import from_epoch
from . import resources
from .operations import CHECK_ADDRESS
from .resources import Resources

QUEUED = ('PENDING', 'SUBMITTED')
RUNNING = ('RUNNING', 'WINDING_DOWN')
LIVE = ('STARTING', *RUNNING, 'RECOVERING', 'CANCELLING')
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
CLUSTER_STATUSES = ('UP', 'INIT', 'STOPPED', 'AUTOSTOPPING')
DEFAULT_WORKSPACE = 'default'

# Start and end of a span in which a cluster was up; an end of None means that it still is.
Interval = tuple[datetime, datetime | None]


def is_failed(status: str) -> bool:
    """Return True for every status that begins with FAILED, including those of future servers."""
    return status.startswith(FAILED)


def is_terminal(status: str) -> bool:
    """Return True for the status of a job that has ended."""
    return status in (SUCCEEDED, CANCELLED) or is_failed(status)


class Machine(NamedTuple):
    """The kind of machine that a price is for.

    Attributes:
        cloud: name in lower case
        instance_type: None where the server omits it or cuts it off
        region: None where the server omits it
        market: `spot`, `ondemand` or `unknown`
    """

    cloud: str
    instance_type: str | None
    region: str | None
    market: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a managed job: one row of the job queue.

    Attributes:
        owner: hash of the user, or the name where there is no hash
        submitted_at: time of the submission; None while the job is queued
        duration: seconds of running so far
        requested: resource string of the request
        launched: resource string of the machines that were launched
        accelerators: GPUs per node by lower-case name; empty while the task holds no machine
        is_primary: True for the primary tasks of a job group, False for its other tasks, None outside of job groups
    """

    job_id: int
    task_id: int
    status: str
    owner: str | None = None
    user_name: str | None = None
    job_name: str | None = None
    workspace: str | None = None
    submitted_at: datetime | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    duration: float = 0.0
    recoveries: int = 0
    requested: str | None = None
    launched: str | None = None
    accelerators: Mapping[str, float] = field(default_factory=dict)
    cloud: str | None = None
    region: str | None = None
    is_primary: bool | None = None

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
    def gpus(self) -> dict[str, float]:
        """GPUs that the task holds over all nodes, by type; empty unless it is live."""
        if not self.is_live or not self.accelerators:
            return {}
        nodes = self.nodes
        return {name: count * nodes for name, count in self.accelerators.items()}

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
        return Machine((self.cloud or resources.UNKNOWN).lower(), launched.instance_type, self.region, launched.market)

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
        return cls(
            job_id=job_id,
            task_id=integer(record.get('task_id')) or 0,
            status=_status(status),
            owner=text(record.get('user_hash')) or user_name,
            user_name=user_name,
            job_name=text(record.get('job_name')),
            workspace=text(record.get('workspace')),
            submitted_at=from_epoch(record.get('submitted_at')),
            start_at=from_epoch(record.get('start_at')),
            end_at=from_epoch(record.get('end_at')),
            duration=number(record.get('job_duration')) or 0.0,
            recoveries=max(0, integer(record.get('recovery_count')) or 0),
            requested=text(record.get('resources')),
            launched=text(record.get('cluster_resources')),
            accelerators=resources.parse_accelerators(record.get('accelerators')),
            cloud=_place(record.get('cloud')),
            region=_place(record.get('region')),
            is_primary=flag(record.get('is_primary_in_job_group')),
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
        unreadable: number of rows that could not be read
        unclear: number of live tasks with accelerators in an unknown notation
    """

    jobs: Sequence[Job]
    status_counts: Mapping[str, int] | None
    total: int | None
    has_handles: bool
    unreadable: int = 0
    unclear: int = 0

    @classmethod
    def parse(cls, answer: Any, *, complete: bool) -> Queue:
        """Return the answer of /jobs/queue/v2, or the plain list that /jobs/queue answers.

        Raises BadPayload when the answer is neither.

        Parameters:
            answer: the decoded answer
            complete: True when no limit was asked for, so that the tasks themselves can replace missing counts
        """
        details = mapping(answer) or {}
        records = _rows(details.get('jobs') if details else answer)
        parsed = [Task.parse(record) for record in records]
        tasks = [task for task in parsed if task is not None]
        unreadable = len(records) - len(tasks)
        counted = tasks if complete and not unreadable else None
        return cls(
            jobs=_jobs(tasks),
            status_counts=_status_counts(details.get('status_counts'), counted),
            total=integer(details.get('total')),
            has_handles=not tasks or any('cluster_resources' in record for record in records),
            unreadable=unreadable,
            unclear=sum(map(_is_unclear, parsed, records)),
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of /status, which lists the clusters that people launched and none of managed jobs.

    Attributes:
        hash: identity of the cluster, or its name where the server omits the hash
        accelerators: GPUs per node by lower-case name
        autostop: minutes until an idle cluster stops; negative without autostop
    """

    name: str
    hash: str
    status: str
    owner: str | None
    workspace: str
    nodes: int
    accelerators: Mapping[str, float]
    market: str
    launched_at: datetime | None
    autostop: float | None

    @property
    def is_up(self) -> bool:
        """True while it is running."""
        return self.status == 'UP'

    @property
    def has_no_autostop(self) -> bool:
        """True when the server says that autostop is off."""
        return self.autostop is not None and self.autostop < 0

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Cluster:
        """Return a cluster of /status. Raises BadPayload without a name or a status."""
        name, status = text(record.get('name')), text(record.get('status'))
        if name is None or status is None:
            raise BadPayload('SkyPilot sent a cluster without a name or a status')
        described = _described(record)
        return cls(
            name=name,
            hash=_hash(record, name),
            status=_status(status),
            owner=text(record.get('user_hash')) or text(record.get('user_name')),
            workspace=text(record.get('workspace')) or DEFAULT_WORKSPACE,
            nodes=_nodes(record.get('nodes'), described),
            accelerators=_accelerators(record, described),
            market=described.market,
            launched_at=from_epoch(record.get('launched_at')),
            autostop=number(record.get('autostop')),
        )


@dataclass(frozen=True, slots=True)
class Bill:
    """A cluster of /cost_report: of a person or of a managed job, running or ended.

    Attributes:
        hash: identity of the cluster, or its name where the server omits the hash
        status: None for a cluster that has ended
        accelerators: GPUs per node by lower-case name
        total_cost: USD over the whole life of the cluster; 0 when the server has no price
        duration: seconds that the cluster was up in its whole life
        intervals: the spans in which it was up
    """

    name: str
    hash: str
    status: str | None
    nodes: int
    cloud: str
    region: str | None
    accelerators: Mapping[str, float]
    market: str
    instance_type: str | None
    total_cost: float
    duration: float
    intervals: Sequence[Interval]

    @property
    def is_up(self) -> bool:
        """True while it is running."""
        return self.status == 'UP'

    @property
    def machine(self) -> Machine:
        """The kind of its machines."""
        return Machine(self.cloud, self.instance_type, self.region, self.market)

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Bill:
        """Return a cluster of /cost_report. Raises BadPayload without a name."""
        name = text(record.get('name'))
        if name is None:
            raise BadPayload('SkyPilot sent a cluster without a name in the cost report')
        status = text(record.get('status'))
        described = _described(record)
        return cls(
            name=name,
            hash=_hash(record, name),
            status=_status(status) if status else None,
            nodes=_nodes(record.get('num_nodes'), described),
            cloud=(_place(record.get('cloud')) or resources.UNKNOWN).lower(),
            region=_place(record.get('region')),
            accelerators=_accelerators(record, described),
            market=described.market,
            instance_type=described.instance_type,
            total_cost=number(record.get('total_cost')) or 0.0,
            duration=number(record.get('duration')) or 0.0,
            intervals=_intervals(record),
        )


def parse_clusters(answer: Any) -> list[Cluster]:
    """Return the clusters in the answer of /status. Raises BadPayload for a cluster without a name or a status."""
    return [Cluster.parse(record) for record in _records(answer, 'the list of clusters')]


def parse_bills(answer: Any) -> list[Bill]:
    """Return the clusters in the answer of /cost_report. Raises BadPayload for a cluster without a name."""
    return [Bill.parse(record) for record in _records(answer, 'the cost report')]


def _records(answer: Any, name: str) -> list[Mapping[str, Any]]:
    records = objects(answer)
    if records is None:
        raise BadPayload(f'{name} is not a list of objects; {CHECK_ADDRESS}')
    return records


def _rows(value: Any) -> list[Mapping[str, Any]]:
    rows = items(value)
    if rows is None:
        raise BadPayload(f'the job queue has no list of jobs; {CHECK_ADDRESS}')
    return [mapping(row) or {} for row in rows]


def _jobs(tasks: Iterable[Task]) -> list[Job]:
    by_job: dict[int, list[Task]] = defaultdict(list)
    for task in tasks:
        by_job[task.job_id].append(task)
    return [Job.of(of_job) for of_job in by_job.values()]


def _is_unclear(task: Task | None, record: Mapping[str, Any]) -> bool:
    return task is not None and task.is_live and resources.is_unclear(record.get('accelerators'))


def _described(record: Mapping[str, Any]) -> Resources:
    """Return the resource string of a cluster; the long form has the whole instance type."""
    described = text(record.get('resources_str_full')) or text(record.get('resources_str'))
    return Resources.parse(described or '')


def _hash(record: Mapping[str, Any], name: str) -> str:
    return text(record.get('cluster_hash')) or name


def _accelerators(record: Mapping[str, Any], described: Resources) -> Mapping[str, float]:
    return resources.parse_accelerators(record.get('accelerators')) or described.accelerators


def _nodes(value: Any, described: Resources) -> int:
    nodes = integer(value)
    return nodes if nodes is not None and nodes > 0 else described.nodes


def _intervals(record: Mapping[str, Any]) -> list[Interval]:
    pairs = map(_interval, items(record.get('usage_intervals')) or ())
    return [pair for pair in pairs if pair is not None]


def _interval(value: Any) -> Interval | None:
    """Return a pair of start and end. None for a damaged pair, whose time cannot be billed."""
    pair = items(value)
    if pair is None or len(pair) != 2:
        return None
    start, end = map(from_epoch, pair)
    if start is None or (end is None and pair[1] is not None):
        return None
    return start, end


def _status_counts(value: Any, tasks: Iterable[Task] | None) -> Mapping[str, int] | None:
    """Return the counts by status, or those of all tasks (None if some are missing) from servers that do not count."""
    counts = mapping(value)
    if not counts:
        return Counter(task.status for task in tasks) if tasks is not None else None
    return {_status(name): count for name, raw in counts.items() if (count := integer(raw)) is not None}


def _status(value: str) -> str:
    """Return the status in capitals. Very old servers write `ManagedJobStatus.RUNNING` for `RUNNING`."""
    return value.rpartition('.')[2].upper()


def _place(value: Any) -> str | None:
    place = text(value)
    return None if place in (None, '-', 'None') else place
