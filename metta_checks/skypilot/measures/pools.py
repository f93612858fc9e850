"""Figures of pools of workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import fsum

from ...core.refresh import Sample
from ...core.tag_values import MAX_UNKNOWN, added_up, labels
from ..pools import READY, Worker
from ..records import Job

# All that SkyPilot documents.
STATUSES = (
    'PENDING',
    'PROVISIONING',
    'STARTING',
    READY,
    'NOT_READY',
    'SHUTTING_DOWN',
    'FAILED',
    'FAILED_INITIAL_DELAY',
    'FAILED_PROBING',
    'FAILED_PROVISION',
    'FAILED_CLEANUP',
    'PREEMPTED',
    'UNKNOWN',
)


def workers(found: Sequence[Worker]) -> Iterator[Sample]:
    """Yield the workers by pool and status."""
    counts = Counter((worker.pool.lower(), worker.status) for worker in found)
    pools = labels(Counter(worker.pool.lower() for worker in found))
    statuses = labels(Counter(worker.status for worker in found), MAX_UNKNOWN, known=STATUSES)
    shown = added_up(counts, {key: (pools[key[0]], statuses[key[1]]) for key in counts})
    for (pool, status), count in shown.items():
        yield Sample('pools.workers', count, {'pool': pool, 'status': status})


def idle_gpus(found: Iterable[Worker], jobs: Iterable[Job]) -> Iterator[Sample]:
    """Yield the GPUs of workers that are ready and run no job."""
    busy = {task.worker for job in jobs for task in job.tasks if task.uses_worker}
    idle = [worker for worker in found if worker.status == READY and worker.name not in busy]
    yield Sample('pools.idle_gpus', fsum(fsum(worker.gpus.values()) for worker in idle))
