"""Clusters that are up and run nothing, found by asking each for its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core.errors import BadPayload
from ..core.fields import objects, text
from ..core.times import from_epoch
from . import resources
from .cluster_records import Cluster

# Jobs of a cluster, not managed jobs.
ENDED = frozenset({'SUCCEEDED', 'FAILED', 'FAILED_SETUP', 'FAILED_DRIVER', 'CANCELLED'})


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


def queue_call(cluster: Cluster) -> tuple[str, dict[str, Any]]:
    """Return path and body of the call for the jobs of a cluster."""
    return 'queue', {'cluster_name': cluster.name, 'skip_finished': False, 'all_users': True}


def parse_jobs(answer: Any) -> list[ClusterJob]:
    """Return the jobs of a cluster. Raises BadPayload for another answer."""
    records = objects(answer)
    if records is None:
        raise BadPayload('the jobs of a cluster are not a list of objects')
    return list(map(ClusterJob.parse, records))


def is_idle(cluster: Cluster, jobs: Sequence[ClusterJob], now: datetime, unused: timedelta) -> bool | None:
    """Return True when nothing runs or waits on a cluster, and nothing did in the last time `unused`.

    A cluster on which nobody ever ran a job is unused since its launch. None when no time is known.
    """
    if not all(job.has_ended for job in jobs):
        return False
    times: Iterable[datetime | None] = (cluster.launched_at, *(job.last_at for job in jobs))
    last = max((moment for moment in times if moment is not None), default=None)
    return None if last is None else last <= now - unused
