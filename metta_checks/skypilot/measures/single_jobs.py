"""Series of single jobs: live ones only, the longest-running first, the rest summed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ...core.accelerators import gpu_of_choice
from ...core.refresh import Sample
from .. import resources
from ..records import LIVE, Job, Row

OTHER = 'other'


def single_jobs(jobs: Iterable[Job], limit: int) -> Iterator[Sample]:
    """Runtime, GPUs and recoveries of each of the `limit` longest-running live jobs, and of all others together."""
    for tags, group in _groups(jobs, limit):
        yield Sample('job.runtime_seconds', sum(job.runtime for job in group), tags)
        yield Sample('job.gpus', sum(sum(job.gpus.values()) for job in group), tags)
        yield Sample('job.recovery_count', sum(job.recoveries for job in group), tags)


def single_costs(jobs: Iterable[Job], limit: int, rate: Callable[[Row], float | None]) -> Iterator[Sample]:
    """USD per hour of the same jobs; absent where none of the machines has a price."""
    for tags, group in _groups(jobs, limit):
        rates = [rate(row) for job in group for row in job.rows if row.status in LIVE]
        known = [value for value in rates if value is not None]
        yield Sample('job.hourly_usd', sum(known) if known else None, tags)


def _groups(jobs: Iterable[Job], limit: int) -> Iterator[tuple[Mapping[str, str], Sequence[Job]]]:
    ranked = sorted((job for job in jobs if job.status in LIVE), key=lambda job: (-job.runtime, job.id))
    for job in ranked[:limit]:
        tags = {
            'job_id': str(job.id),
            'job_name': job.deciding.job_name or resources.UNKNOWN,
            'status': job.status,
            'gpu_type': gpu_of_choice(job.gpus),
        }
        yield tags, [job]
    if ranked[limit:]:
        yield {'job_id': OTHER}, ranked[limit:]
