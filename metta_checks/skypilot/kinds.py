"""Tells what a cluster of the cost report is for: the report itself does not say it.

A cluster of a managed job, of a worker of a pool and of a replica of SkyServe has a name of the form `<name>-<number>`:
the number is the id of the job, of the worker or of the replica.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from .cluster_records import Bill
from .records import Job

JOB = 'job'
WORKER = 'worker'
REPLICA = 'replica'
CONTROLLER = 'controller'
CLUSTER = 'cluster'
# SkyPilot shortens names that are longer, and ends them with a part of their hash.
KEPT_LENGTH = 20
_NUMBERED = re.compile(r'(.+)-(\d{1,9})')


class Kinds:
    """The uses of clusters.

    Parameters:
        jobs: all managed jobs
        launched_by_people: hashes of the clusters in /status, which lists no other ones except controllers
        complete: True when the list of jobs is complete, so that a cluster of no job in it is a replica
    """

    def __init__(self, jobs: Iterable[Job], launched_by_people: Collection[str], *, complete: bool) -> None:
        self._complete = complete
        self._launched_by_people = launched_by_people
        self._names: dict[int, set[str]] = defaultdict(set)
        self._jobs: dict[int, Job] = {}
        self._workers: set[str] = set()
        self._pools: set[str] = set()
        for job in jobs:
            self._jobs[job.id] = job
            for task in job.tasks:
                if task.pool is not None:
                    self._pools.add(_kept(task.pool))
                    if task.worker is not None:
                        self._workers.add(task.worker)
                elif task.task_name is not None:
                    self._names[job.id].add(_kept(task.task_name))

    def of(self, bill: Bill) -> str:
        """Return `job`, `worker`, `replica`, `controller`, or `cluster` for one that a person launched."""
        if bill.is_controller:
            return CONTROLLER
        if bill.hash in self._launched_by_people:
            return CLUSTER
        if bill.name in self._workers:
            return WORKER
        if self.job(bill) is not None:
            return JOB
        name, _ = _numbered(bill.name)
        if name in self._pools:
            return WORKER
        return REPLICA if self._complete else JOB

    def job(self, bill: Bill) -> Job | None:
        """Return the job that the cluster belongs to; None for a cluster of another kind."""
        name, number = _numbered(bill.name)
        if number is None or bill.hash in self._launched_by_people or bill.is_controller:
            return None
        names = self._names.get(number, ())
        # Old servers tell no names of tasks: the number alone must do.
        return self._jobs.get(number) if not names or name in names else None


def _numbered(name: str) -> tuple[str, int | None]:
    """Return the beginning and the number of the name of a cluster."""
    parts = _NUMBERED.fullmatch(name)
    return (_kept(parts[1]), int(parts[2])) if parts else (name, None)


def _kept(name: str) -> str:
    """Return the part of a name that SkyPilot keeps in the names of clusters, in its notation."""
    return re.sub('[._]', '-', name).lower()[:KEPT_LENGTH]
