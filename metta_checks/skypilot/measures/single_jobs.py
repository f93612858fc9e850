"""Series of single live jobs: the longest-running ones, and the sum of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ...core.accelerators import gpu_of_choice
from ...core.refresh import Sample
from ...core.tag_values import OTHER
from .. import resources
from ..records import Job, Queue


def single_jobs(queue: Queue, limit: int) -> Iterator[Sample]:
    """Yield runtime, GPUs and recoveries of each of the `limit` longest-running live jobs, and of all others."""
    for tags, group in _groups(queue.jobs, limit):
        yield Sample('job.runtime_seconds', sum(job.runtime for job in group), tags)
        held = sum(sum(job.gpus.values()) for job in group)
        yield Sample('job.gpus', held if queue.has_machines else None, tags)
        yield Sample('job.recovery_count', sum(job.recoveries for job in group), tags)


def single_costs(jobs: Iterable[Job], limit: int, rate: Callable[[Job], float | None]) -> Iterator[Sample]:
    """Yield USD per hour of the same jobs; absent where none of them has a price."""
    for tags, group in _groups(jobs, limit):
        known = [usd for job in group if (usd := rate(job)) is not None]
        yield Sample('job.hourly_usd', sum(known) if known else None, tags)


def _groups(jobs: Iterable[Job], limit: int) -> Iterator[tuple[Mapping[str, str], Sequence[Job]]]:
    ranked = sorted((job for job in jobs if job.is_live), key=lambda job: (-job.runtime, job.id))
    for job in ranked[:limit]:
        yield _tags(job), [job]
    if ranked[limit:]:
        yield {'job_id': OTHER}, ranked[limit:]


def _tags(job: Job) -> dict[str, str]:
    return {
        'job_id': str(job.id),
        'job_name': job.current.job_name or resources.UNKNOWN,
        'status': job.status,
        'gpu_type': gpu_of_choice(job.gpus),
    }
