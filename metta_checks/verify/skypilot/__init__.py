"""SkyPilot's figures through plain requests to its REST interface: whole records, 100 jobs at a time.

Cost: 2 requests per 100 jobs and 6 more, 2 for pools, and 2 per cluster that is up for option `idle_minutes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from .. import Figure, NoSeries, Recomputed
from . import changes
from .changes import Earlier
from .clusters import cluster_figures, gpus_in_use, of_people
from .costs import Costs
from .options import Options
from .queue import ALIVE, WAITING, Job, Queue, jobs_of, user_id
from .reading import Reading, Row, ServerError, figure

__all__ = ['LEFT_OUT', 'ServerError', 'recompute']

_TWO_READINGS = 'needs two readings: option --interval'
# Why a metric is not recomputed, by its name without the prefix.
LEFT_OUT: Mapping[str, str] = {
    'api.result_seconds': 'the time that the server took to answer the check, which no other request shows',
    'jobs.finished': _TWO_READINGS,
    'jobs.pending_seconds.max': _TWO_READINGS,
    'jobs.preemptions_24h': 'needs two readings, a day or more apart: option --interval',
    'jobs.queue_wait_seconds.max': _TWO_READINGS,
    'jobs.queue_wait_seconds.p50': _TWO_READINGS,
    'jobs.queue_wait_seconds.p90': _TWO_READINGS,
    'jobs.recoveries': _TWO_READINGS,
    'jobs.recovering_seconds.max': _TWO_READINGS,
}
# Operations of a comparison without options: clusters, queue, cost, and where they run.
OPERATIONS = 6
# The figures of changes are recomputed from two readings.
COMPARES_READINGS = True


def recompute(instance: Mapping[str, Any], now: datetime, before: Earlier | None = None) -> Recomputed:
    """Return the figures of an instance, those of its options included; with an earlier reading, also changes.

    While the controller is idle, only clusters and cost are recomputed. Raises ServerError, and the errors of
    `requests`.
    """
    reading = Reading.of(instance, now)
    jobs = None if reading.rows is None else jobs_of(reading.rows)
    found = [*_figures(reading, jobs)]
    if jobs is not None and before is not None:
        found += changes.figures(jobs, now, before)
    return Recomputed.of(found, reading.server.sent, None if jobs is None else Earlier.of(jobs, now))


def expected_requests(instance: Mapping[str, Any], totals: Mapping[str, float]) -> float:
    """Return about how many requests a comparison sends, from the check's figures: two per operation."""
    operations = float(OPERATIONS + (1 if instance.get('pools') else 0))
    if instance.get('idle_minutes'):
        operations += totals['clusters.count']
    return 2 * operations


def _figures(reading: Reading, jobs: list[Job] | None) -> Iterator[Figure | NoSeries]:
    rows = reading.rows
    costs = Costs(reading)
    yield figure('controller.up', int(rows is not None))
    yield from cluster_figures(reading)
    yield from costs.figures(jobs)
    if rows is not None and jobs is not None:
        by_workspace = bool(reading.instance.get('by_workspace'))
        yield from Queue(rows, jobs, reading.now, by_workspace=by_workspace).figures()
        yield figure('users.active_count', len(_active_users(jobs, reading.clusters)))
        yield from gpus_in_use(rows, reading)
        yield from Options(reading, jobs, costs).figures()


def _active_users(jobs: list[Job], clusters: list[Row]) -> set[str]:
    """Return the owners of unfinished jobs and of clusters of people that are up."""
    owners = {job.owner for job in jobs if job.status in (*WAITING, *ALIVE)}
    owners |= {user_id(cluster) for cluster in of_people(clusters) if cluster['status'] == 'UP'}
    return {owner for owner in owners if owner is not None}
