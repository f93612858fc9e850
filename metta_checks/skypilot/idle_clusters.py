"""Clusters that are up and run nothing, found by asking each for its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..core.errors import BadPayload, SourceError
from ..core.fields import objects, text
from ..core.stored import stored
from ..core.times import from_epoch
from . import resources
from .client import Client
from .cluster_records import Cluster
from .operations import OperationFailed

# Jobs of a cluster, not managed jobs.
ENDED = frozenset({'SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'FAILED_DRIVER', 'CANCELLED'})
# Faults on the way to the server say nothing about a cluster: for this time, the block fails and asks it again.
PATIENCE = timedelta(minutes=45)
# Clusters that answered are not asked again then.
RECENT = timedelta(minutes=8)


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """A job that somebody ran on a cluster.

    Attributes:
        has_ended: True when it neither runs nor waits
        last_at: the latest of the times that the cluster states for it: its end, its start or its submission
    """

    has_ended: bool
    last_at: datetime | None

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> ClusterJob:
        """Return an element of the answer of /queue. Raises BadPayload without a status."""
        status = text(record.get('status'))
        if status is None:
            raise BadPayload('SkyPilot sent a job of a cluster without a status')
        times = (from_epoch(record.get(field)) for field in ('submitted_at', 'start_at', 'end_at'))
        last_at = max((moment for moment in times if moment is not None), default=None)
        return cls(resources.capitals(status) in ENDED, last_at)


@stored
class Work:
    """The work of a cluster, as its answer told it.

    Attributes:
        asked_at: the time of the answer
        is_busy: True when a job ran or waited
        last_at: when it was last launched or worked; None when no time is known
    """

    asked_at: datetime
    is_busy: bool
    last_at: datetime | None

    @classmethod
    def of(cls, cluster: Cluster, jobs: Sequence[ClusterJob], now: datetime) -> Work:
        """Return the work in an answer. A cluster on which nobody ever ran a job has done nothing since its launch."""
        times: Iterable[datetime | None] = (cluster.launched_at, *(job.last_at for job in jobs))
        last_at = max((moment for moment in times if moment is not None), default=None)
        return cls(now, not all(job.has_ended for job in jobs), last_at)

    def is_idle(self, now: datetime, unused: timedelta) -> bool | None:
        """Return True when nothing has run or waited in the last time `unused`. None when no time is known."""
        if self.is_busy:
            return False
        return None if self.last_at is None else self.last_at < now - unused


@stored
class WorkHistory:
    """The answers of clusters, by hash.

    Attributes:
        works: the work of those that answered
        silent_since: when each of the others first did not answer because of a fault on the way to the server
    """

    works: dict[str, Work]
    silent_since: dict[str, datetime]


@dataclass(slots=True)
class Answers:
    """The answers of clusters that were asked for their jobs.

    Attributes:
        history: to ask again with
        errors: of the clusters that did not answer
        is_final: False when clusters are to be asked again, since nothing but a fault on the way is known
    """

    history: WorkHistory
    errors: list[SourceError] = field(default_factory=list)
    is_final: bool = True


def ask(client: Client, clusters: Sequence[Cluster], before: WorkHistory | None, now: datetime) -> Answers:
    """Ask clusters for their jobs. Raises errors that concern everything, such as refused credentials."""
    known = before or WorkHistory({}, {})
    recent = {name: work for name, work in known.works.items() if now - RECENT <= work.asked_at <= now}
    answers = Answers(WorkHistory(recent, {}))
    asked = [cluster for cluster in clusters if cluster.hash not in recent]
    operations = client.submit({_operation(cluster): queue_call(cluster) for cluster in asked})
    for cluster in asked:
        try:
            jobs = parse_jobs(client.result(operations[_operation(cluster)]))
        except SourceError as error:
            if error.fatal:
                raise
            answers.errors.append(_about(cluster, error))
            # Only the server itself says that it cannot reach a cluster.
            if not isinstance(error, OperationFailed):
                since = min(known.silent_since.get(cluster.hash, now), now)
                answers.history.silent_since[cluster.hash] = since
                answers.is_final &= now - since >= PATIENCE
        else:
            answers.history.works[cluster.hash] = Work.of(cluster, jobs, now)
    return answers


def queue_call(cluster: Cluster) -> tuple[str, dict[str, Any]]:
    """Return path and body of the call for the jobs of a cluster."""
    return 'queue', {'cluster_name': cluster.name, 'skip_finished': False, 'all_users': True}


def parse_jobs(answer: Any) -> list[ClusterJob]:
    """Return the jobs of a cluster. Raises BadPayload for another answer."""
    records = objects(answer)
    if records is None:
        raise BadPayload('the jobs of a cluster are not a list of objects')
    return list(map(ClusterJob.parse, records))


def _operation(cluster: Cluster) -> str:
    """Return the name of the operation that reads the jobs of a cluster."""
    return f'queue of {cluster.name}'


def _about(cluster: Cluster, error: SourceError) -> SourceError:
    """Return an error of the same kind that names the cluster."""
    kind = type(error)
    # Without the constructor, as some kinds need more than a message.
    named = kind.__new__(kind, f'the jobs of cluster {cluster.name} are unknown: {error}')
    vars(named).update(vars(error))
    return named
