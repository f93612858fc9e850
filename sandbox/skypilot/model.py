"""Managed jobs and clusters, with facts that the server does not show."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ..organization import Person
from .machines import BY_SHAPE, Machine, billed, price

SPOT = 'spot'
ONDEMAND = 'ondemand'
MIXED = 'mixed'
CONTEXT = 'kubernetes'
# Characters that the name of a cluster keeps of the name of its task.
LONGEST_NAME = 25


@dataclass(slots=True)
class Task:
    """A task of a job."""

    status: str
    nodes: int
    gpu: str
    # Per node.
    gpus: float
    market: str
    # The place of the last launch; None before the first one.
    cloud: str | None = None
    region: str | None = None
    # True while it has machines.
    holds: bool = False
    submitted: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    # Seconds of running before `since`, the time since which it has been running without a break.
    ran: float = 0.0
    since: datetime | None = None
    recoveries: int = 0
    primary: bool | None = None
    # An alternative request.
    alternative: tuple[str, float] | None = None

    @property
    def machine(self) -> Machine:
        """The kind of machine of every node."""
        return BY_SHAPE[self.gpu, self.gpus]

    def runtime(self, now: datetime) -> float:
        """Return the seconds of running so far."""
        if self.since is None:
            return self.ran
        return self.ran + ((self.ended or now) - self.since).total_seconds()


@dataclass(slots=True)
class Job:
    """A managed job. `decides`: the index of the current task."""

    number: int
    name: str
    owner: Person
    tasks: list[Task]
    decides: int = 0
    workspace: str = 'default'
    # The pool that runs it, and the worker in that pool.
    pool: str | None = None
    worker: str | None = None
    # The hash of the user where it is not that of the login: people of one name.
    owner_hash: str = ''

    @property
    def current(self) -> Task:
        """The task that the job's status is taken from."""
        return self.tasks[self.decides]

    @property
    def status(self) -> str:
        """The status of the current task."""
        return self.current.status

    @property
    def is_group(self) -> bool:
        """True when the tasks run at the same time."""
        return self.tasks[0].primary is not None

    def task_name(self, index: int) -> str:
        """Return the name of a task."""
        return self.name if len(self.tasks) == 1 else f'{self.name}-task-{index}'

    @property
    def cluster_name(self) -> str:
        """The name of the machines of the current task, of which SkyPilot keeps 25 characters, in its notation."""
        name = self.task_name(self.decides)
        kept = name.lower().replace('.', '-').replace('_', '-')
        if len(kept) > LONGEST_NAME:
            digest = _base36(int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16))
            kept = f'{kept[: LONGEST_NAME - 3].rstrip("-")}-{digest[:2]}'
        return f'{kept}-{self.number}'

    def runtime(self, now: datetime) -> float:
        """Return the seconds of running so far. The tasks of a group run at the same time."""
        runtimes = [task.runtime(now) for task in self.tasks]
        return max(runtimes) if self.is_group else sum(runtimes)


class ClusterJob(NamedTuple):
    """A job on a cluster of a person; without an `ended`, it runs."""

    started: datetime
    ended: datetime | None = None


class Interval(NamedTuple):
    """A span in which a cluster was up; an `end` of None means that it still is."""

    start: datetime
    end: datetime | None = None


@dataclass(slots=True)
class Cluster:
    """A present or former cluster of a person, or of a job (`job`)."""

    name: str
    owner: Person
    status: str | None
    nodes: int
    gpu: str
    gpus: float
    spot: bool
    cloud: str
    region: str
    launched: datetime
    intervals: list[Interval] = field(default_factory=list)
    # Minutes, -1 for none.
    autostop: int = -1
    job: int | None = None
    workspace: str = 'default'
    # Of a worker of a pool or of a replica of a service, which /status does not list either.
    managed: bool = False
    # The pool that it is a worker of, and its status there.
    pool: str | None = None
    worker_status: str = 'READY'
    # Jobs that people run on it, apart from managed jobs.
    jobs: list[ClusterJob] = field(default_factory=list)
    last_event: str | None = None
    # The hash of the user where it is not that of the login.
    owner_hash: str = ''
    # True when it has ever been up; None: the status tells.
    ever_up: bool | None = None
    # USD per node and hour that the server's configuration sets for Kubernetes; None: nothing is configured.
    configured_price: float | None = None

    @property
    def is_hidden(self) -> bool:
        """True when /status does not list it."""
        return self.job is not None or self.managed

    @property
    def was_up(self) -> bool:
        """True when it has ever been up."""
        return self.status != 'INIT' if self.ever_up is None else self.ever_up

    @property
    def had_machines(self) -> bool:
        """True unless the server has not got any machine for it yet."""
        failed = (self.last_event or '').startswith(('Provision failed', 'Retrying provisioning', 'Provisioning on '))
        return self.was_up and not failed

    @property
    def hash(self) -> str:
        """The hash of the cluster."""
        return f'{self.name}-hash'

    @property
    def machine(self) -> Machine:
        """The kind of machine of every node."""
        return BY_SHAPE[self.gpu, self.gpus]

    def up_seconds(self, now: datetime) -> float:
        """Return the seconds that the cluster was up over its whole life."""
        return sum(((end or now) - start).total_seconds() for start, end in self.intervals)

    @property
    def billed_rate(self) -> float | None:
        """USD per hour for all nodes, as in the server's bill."""
        if self.cloud == CONTEXT:
            return None if self.configured_price is None else self.configured_price * self.nodes
        found = billed(self.machine, self.region, spot=self.spot)
        return None if found is None else found * self.nodes

    @property
    def rate(self) -> float | None:
        """USD per hour for all nodes, from the bill or the price list; None when neither has a price."""
        if self.billed_rate is not None or self.cloud == CONTEXT:
            return self.billed_rate
        found = price(self.machine, self.region, spot=self.spot) if self.gpu else None
        return None if found is None else found * self.nodes

    def open(self, moment: datetime) -> None:
        """Bring the cluster up."""
        self.status = 'UP'
        self.intervals.append(Interval(whole(moment)))

    def close(self, moment: datetime, status: str | None = None) -> None:
        """Take the cluster down; with a status, only stop it."""
        self.status = status
        if self.intervals and self.intervals[-1].end is None:
            start = self.intervals[-1].start
            self.intervals[-1] = Interval(start, max(whole(moment), start))


def whole(moment: datetime) -> datetime:
    """Round a time to whole seconds, as the server does for clusters."""
    return moment.replace(microsecond=0)


def _base36(number: int) -> str:
    quotient, digit = divmod(number, 36)
    return (_base36(quotient) if quotient else '') + '0123456789abcdefghijklmnopqrstuvwxyz'[digit]
