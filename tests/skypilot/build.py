"""Records of jobs, clusters and bills for tests, with defaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from metta_checks.core.refresh import Sample
from metta_checks.skypilot.cluster_records import Bill, Cluster
from metta_checks.skypilot.records import Job, Queue
from metta_checks.skypilot.resources import Resources

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
T = NOW.timestamp()
HOUR, DAY = 3600.0, 86400.0
GONE = object()
# Figures that take repeated looks at the jobs; sandbox/skypilot/truth_watch.py has these figures.
OF_MEMORY = frozenset(
    f'metta.skypilot.{name}'
    for name in (
        'jobs.pending_seconds.max',
        'jobs.preemptions_24h',
        'jobs.queue_wait_seconds.max',
        'jobs.queue_wait_seconds.p50',
        'jobs.queue_wait_seconds.p90',
        'jobs.recovering_seconds.max',
    )
)


def before(seconds: float) -> datetime:
    """Return the time this long before NOW."""
    return NOW - timedelta(seconds=seconds)


def record(job_id: int = 1, status: str = 'RUNNING', **fields: Any) -> dict[str, Any]:
    """Return a row of the queue as a current server answers it. GONE leaves a field out."""
    base = {
        'job_id': job_id,
        'task_id': 0,
        'status': status,
        'user_hash': 'aaaa0001',
        'submitted_at': T - 2 * HOUR,
        'start_at': T - 2 * HOUR + 60,
        'end_at': None,
        'job_duration': 2 * HOUR,
        'recovery_count': 0,
        'resources': '1x[L4:4][Spot]',
        'cluster_resources': '1x[spot](gpus=L4:4, g6.12xlarge, ...)',
        'accelerators': {'L4': 4},
        'cloud': 'AWS',
        'region': 'us-east-1',
        'is_primary_in_job_group': None,
    }
    return {key: value for key, value in {**base, **fields}.items() if value is not GONE}


def queue(*records: dict[str, Any], **answer: Any) -> Queue:
    """Return the queue of these rows."""
    return Queue.parse({'jobs': list(records), 'total': len(records), **answer}, complete=True)


def job(*records: dict[str, Any]) -> Job:
    """Return the one job of these rows."""
    (only,) = queue(*records).jobs
    return only


def ended(job_id: int, status: str, hours_ago: float, **fields: Any) -> dict[str, Any]:
    """Return a row of a job that ended some hours ago and holds no machine."""
    gone = {'accelerators': GONE, 'cluster_resources': '1x[L4:4][Spot]', 'end_at': T - hours_ago * HOUR}
    return record(job_id, status, **{**gone, **fields})


def cluster(name: str = 'dev', status: str = 'UP', **fields: Any) -> Cluster:
    """Return a cluster that a person launched."""
    base = {
        'hash': f'{name}-hash', 'owner': 'aaaa0001', 'user_name': None, 'workspace': 'default', 'nodes': 1,
        'accelerators': {'l4': 1}, 'market': 'ondemand', 'launched_at': before(10 * HOUR), 'autostop': 60,
    }  # fmt: skip
    return Cluster(name=name, status=status, **{**base, **fields})


def bill(name: str = 'dev', status: str | None = 'UP', **fields: Any) -> Bill:
    """Return a cluster of the cost report: 2 USD per hour for 10 hours."""
    described = Resources(market=fields.pop('market', 'spot'), instance_type=fields.pop('instance_type', 'g6.12xlarge'))
    base = {
        'hash': f'{name}-hash', 'owner': 'aaaa0001', 'user_name': None, 'workspace': 'default', 'nodes': 1,
        'cloud': 'aws', 'region': 'us-east-1', 'accelerators': {'l4': 4.0}, 'described': described,
        'total_cost': 20.0, 'duration': 10 * HOUR, 'intervals': [(before(10 * HOUR), None)],
    }  # fmt: skip
    return Bill(name=name, status=status, **{**base, **fields})


def values(samples: Any) -> dict[str, float]:
    """Return samples by name and tag values, without absent ones: {'jobs.count running': 3}."""
    found: dict[str, float] = {}
    for sample in samples:
        assert isinstance(sample, Sample)
        key = ' '.join((sample.name, *sample.tags.values()))
        assert key not in found, f'{key} twice'
        if sample.value is not None:
            found[key] = sample.value
    return found
