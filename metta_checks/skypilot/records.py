"""What the API server answers, as records. Parsed once; whatever is missing or unknown is explicit."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..core.errors import BadPayload
from ..core.fields import flag, integer, items, mapping, number, objects, text
from . import resources
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


def is_failed(status: str) -> bool:
    """Every status that begins with FAILED, also those of future servers."""
    return status.startswith(FAILED)


def is_terminal(status: str) -> bool:
    """Whether a job with this status has ended."""
    return status in (SUCCEEDED, CANCELLED) or is_failed(status)


class Machine(NamedTuple):
    """What a price is for."""

    cloud: str
    # None where the server does not tell it, or not to its end.
    instance_type: str | None
    region: str | None
    market: str


@dataclass(frozen=True, slots=True)
class Row:
    """A task of a managed job. Times are seconds since the epoch, durations seconds."""

    job_id: int
    task_id: int
    status: str
    owner: str | None = None
    user_name: str | None = None
    job_name: str | None = None
    workspace: str | None = None
    submitted_at: float | None = None
    start_at: float | None = None
    end_at: float | None = None
    duration: float = 0.0
    recoveries: int = 0
    requested: str | None = None
    launched: str | None = None
    # GPUs per node by lower-case name; empty when the row holds no machine.
    accelerators: Mapping[str, float] = field(default_factory=dict)
    cloud: str | None = None
    region: str | None = None
    # None for everything but job groups.
    is_primary: bool | None = None

    @property
    def nodes(self) -> int:
        """Machines, of what was launched, else of what was asked for."""
        stated = next(filter(resources.is_stated, (self.launched, self.requested)), None)
        return Resources.parse(stated).nodes if stated else 1

    @property
    def gpus(self) -> dict[str, float]:
        """GPUs over all nodes by type that the row holds: none unless it is live."""
        if self.status not in LIVE or not self.accelerators:
            return {}
        nodes = self.nodes
        return {name: count * nodes for name, count in self.accelerators.items()}

    @property
    def market(self) -> str:
        """spot, ondemand, or unknown where a request left it open and no machine says how it ended."""
        if resources.is_stated(self.launched):
            return Resources.parse(self.launched).market
        return Resources.parse(self.requested or '').market

    @property
    def machine(self) -> Machine:
        """The kind of machine that was launched."""
        launched = Resources.parse(self.launched or '')
        return Machine((self.cloud or resources.UNKNOWN).lower(), launched.instance_type, self.region, launched.market)

    @classmethod
    def parse(cls, record: Any) -> Row | None:
        """Return an element of the queue, None when it has no job id or no status.

        Secrets of full records are left behind.
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
            submitted_at=number(record.get('submitted_at')),
            start_at=number(record.get('start_at')),
            end_at=number(record.get('end_at')),
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
    """All rows of a job, by task."""

    id: int
    rows: Sequence[Row]
    # The row that decides on status, market and region.
    deciding: Row

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Job:
        """Return the job of these rows, decided on as SkyPilot does.

        The first row that has not succeeded decides, else the last; of a job group, only its primary tasks are asked.
        """
        ordered = sorted(rows, key=lambda row: row.task_id)
        asked = [row for row in ordered if row.is_primary] or ordered
        deciding = next((row for row in asked if row.status != SUCCEEDED), asked[-1])
        return cls(ordered[0].job_id, ordered, deciding)

    @property
    def status(self) -> str:
        """Status of the deciding row."""
        return self.deciding.status

    @property
    def owner(self) -> str | None:
        """Hash of the user, else the name."""
        return next((row.owner for row in self.rows if row.owner), None)

    @property
    def user(self) -> str:
        """Name of the user, for people."""
        return next((row.user_name for row in self.rows if row.user_name), self.owner or resources.UNKNOWN)

    @property
    def runtime(self) -> float:
        """Seconds of running so far, without queue and recovery. Tasks of a job group run side by side."""
        durations = [max(0.0, row.duration) for row in self.rows]
        return max(durations) if self.is_group else math.fsum(durations)

    @property
    def is_group(self) -> bool:
        """Whether this is a job group."""
        return any(row.is_primary is not None for row in self.rows)

    @property
    def ended_at(self) -> float | None:
        """When the job ended; None while it has not, and where the server does not say."""
        if not is_terminal(self.status):
            return None
        return max((row.end_at for row in self.rows if row.end_at is not None), default=None)

    @property
    def recoveries(self) -> int:
        """Recoveries of all tasks."""
        return sum(row.recoveries for row in self.rows)

    @property
    def market(self) -> str:
        """Market of the deciding row."""
        return self.deciding.market

    @property
    def region(self) -> str | None:
        """Region, or Kubernetes context, of the deciding row; None before the first launch."""
        return self.deciding.region

    @property
    def workspace(self) -> str:
        """The workspace it belongs to."""
        return self.deciding.workspace or 'default'

    @property
    def gpus(self) -> dict[str, float]:
        """GPUs held by the live rows, by type."""
        totals: dict[str, float] = defaultdict(float)
        for row in self.rows:
            for name, count in row.gpus.items():
                totals[name] += count
        return dict(totals)


@dataclass(frozen=True, slots=True)
class Queue:
    """The answer to one queue call."""

    jobs: Sequence[Job]
    # Task rows by status over all that the server retains; None when it does not say and not all rows were sent.
    status_counts: Mapping[str, int] | None
    # Jobs on the server, None when it does not say.
    total: int | None
    # Whether the rows tell of machines (accelerators, regions, markets).
    has_handles: bool
    unreadable: int = 0
    # Live rows whose accelerators could not be understood.
    unclear: int = 0

    @classmethod
    def parse(cls, answer: Any, *, complete: bool) -> Queue:
        """Return the answer of /jobs/queue/v2, or the plain list of its predecessor.

        `complete`: no page was asked for, so that without the server's counts the rows themselves can be counted.
        Raises BadPayload when the answer is neither.
        """
        details = mapping(answer) or {}
        listed = items(details.get('jobs') if details else answer)
        if listed is None:
            raise BadPayload('the job queue has no list of jobs: is option `api_server_url` a SkyPilot API server?')
        parsed = [Row.parse(record) for record in listed]
        rows = [row for row in parsed if row is not None]
        counts = _status_counts(details.get('status_counts'))
        if counts is None and complete and len(rows) == len(listed):
            counts = Counter(row.status for row in rows)
        return cls(
            jobs=_jobs(rows),
            status_counts=counts,
            total=integer(details.get('total')),
            has_handles=not rows or any('cluster_resources' in (mapping(record) or {}) for record in listed),
            unreadable=len(listed) - len(rows),
            unclear=sum(
                row is not None and row.status in LIVE and resources.is_unclear(record.get('accelerators'))
                for row, record in zip(parsed, listed, strict=True)
            ),
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of /status: one that somebody launched, not one of a managed job."""

    name: str
    hash: str
    status: str
    owner: str | None
    workspace: str
    nodes: int
    # GPUs per node.
    accelerators: Mapping[str, float]
    market: str
    launched_at: float | None
    # Minutes, negative without autostop.
    autostop: float | None

    @property
    def is_up(self) -> bool:
        """Whether it is running."""
        return self.status == 'UP'

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Cluster:
        """Return a cluster of /status. Raises BadPayload when it cannot be told from another."""
        name, status = text(record.get('name')), text(record.get('status'))
        if name is None or status is None:
            raise BadPayload('a cluster of the SkyPilot server has no name or no status')
        described = _described(record)
        nodes = integer(record.get('nodes'))
        return cls(
            name=name,
            hash=text(record.get('cluster_hash')) or name,
            status=_status(status),
            owner=text(record.get('user_hash')) or text(record.get('user_name')),
            workspace=text(record.get('workspace')) or 'default',
            nodes=nodes if nodes is not None and nodes > 0 else described.nodes,
            accelerators=resources.parse_accelerators(record.get('accelerators')) or described.accelerators,
            market=described.market,
            launched_at=number(record.get('launched_at')),
            autostop=number(record.get('autostop')),
        )


@dataclass(frozen=True, slots=True)
class Bill:
    """A cluster of /cost_report, of a person or of a job, perhaps ended."""

    name: str
    hash: str
    # None when it has ended.
    status: str | None
    nodes: int
    cloud: str
    region: str | None
    accelerators: Mapping[str, float]
    market: str
    instance_type: str | None
    # USD and seconds over the whole life of the cluster; a cost of 0 means that the server knows no price.
    total_cost: float
    duration: float
    # When it was up; an end of None is now.
    intervals: Sequence[tuple[float, float | None]]

    @property
    def is_up(self) -> bool:
        """Whether it is running."""
        return self.status == 'UP'

    @property
    def machine(self) -> Machine:
        """The kind of its machines."""
        return Machine(self.cloud, self.instance_type, self.region, self.market)

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Bill:
        """Return a cluster of /cost_report. Raises BadPayload when it has no name."""
        name = text(record.get('name'))
        if name is None:
            raise BadPayload('a cluster in the cost report of the SkyPilot server has no name')
        status = text(record.get('status'))
        described = _described(record)
        nodes = integer(record.get('num_nodes'))
        return cls(
            name=name,
            hash=text(record.get('cluster_hash')) or name,
            status=_status(status) if status else None,
            nodes=nodes if nodes is not None and nodes > 0 else described.nodes,
            cloud=(_place(record.get('cloud')) or resources.UNKNOWN).lower(),
            region=_place(record.get('region')),
            accelerators=resources.parse_accelerators(record.get('accelerators')) or described.accelerators,
            market=described.market,
            instance_type=described.instance_type,
            total_cost=number(record.get('total_cost')) or 0.0,
            duration=number(record.get('duration')) or 0.0,
            intervals=_intervals(record.get('usage_intervals')),
        )


def parse_clusters(answer: Any) -> list[Cluster]:
    """Return the clusters in the answer of /status. Raises BadPayload when a cluster cannot be told from another."""
    return [Cluster.parse(record) for record in _records(answer, 'the list of clusters')]


def parse_bills(answer: Any) -> list[Bill]:
    """Return the clusters in the answer of /cost_report. Raises BadPayload."""
    return [Bill.parse(record) for record in _records(answer, 'the cost report')]


def _described(record: Mapping[str, Any]) -> Resources:
    """The resource string of a cluster; the long form has the whole instance type."""
    described = text(record.get('resources_str_full')) or text(record.get('resources_str'))
    return Resources.parse(described or '')


def _jobs(rows: Iterable[Row]) -> list[Job]:
    by_job: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_job[row.job_id].append(row)
    return [Job.of(some) for some in by_job.values()]


def _records(answer: Any, what: str) -> list[Mapping[str, Any]]:
    records = objects(answer)
    if records is None:
        raise BadPayload(f'{what} is no list of objects: is option `api_server_url` a SkyPilot API server?')
    return records


def _intervals(value: Any) -> list[tuple[float, float | None]]:
    """Pairs of start and end. A damaged pair is left out: its time cannot be billed."""
    found = []
    for pair in items(value) or ():
        if isinstance(pair, list) and len(pair) == 2 and (start := number(pair[0])) is not None:
            end = number(pair[1])
            if end is not None or pair[1] is None:
                found.append((start, end))
    return found


def _status_counts(value: Any) -> dict[str, int] | None:
    """Empty on servers that do not count, or have nothing."""
    counts = mapping(value)
    if not counts:
        return None
    return {_status(name): count for name, raw in counts.items() if (count := integer(raw)) is not None}


def _status(value: str) -> str:
    """`ManagedJobStatus.RUNNING` of very old servers, or `RUNNING`."""
    return value.rpartition('.')[2].upper()


def _place(value: Any) -> str | None:
    place = text(value)
    return None if place in (None, '-', 'None') else place
