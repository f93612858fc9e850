"""Jobs and clusters of field cases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sandbox.skypilot.model import Cluster, Job, Task
from sandbox.skypilot.service import SkyPilotService

AWS = ('aws', 'us-east-1')
GCP = ('gcp', 'us-central1')
AZURE = ('azure', 'eastus')
KUBERNETES = ('kubernetes', 'research-cluster')


def add_job(
    sky: SkyPilotService,
    number: int,
    status: str = 'RUNNING',
    shape: tuple[str, float] = ('L4', 4),
    place: tuple[str, str] = AWS,
    **fields: Any,
) -> Job:
    """Add a job with one task, which began an hour ago. `holds=False`: its machines do not exist."""
    task_fields = {key: fields.pop(key) for key in ('holds', 'market', 'ended') if key in fields}
    hour_ago = sky.clock.now() - timedelta(hours=1)
    task = Task(
        status,
        1,
        *shape,
        **{'market': 'ondemand', 'holds': True, **task_fields},
        cloud=place[0],
        region=place[1],
        submitted=hour_ago,
        started=hour_ago,
        since=hour_ago,
    )
    job = Job(number, f'train-{number}', sky.organization.people[0], [task], **fields)
    sky.jobs[number] = job
    return job


def add_cluster(
    sky: SkyPilotService,
    name: str,
    shape: tuple[str, float] = ('L4', 4),
    place: tuple[str, str] = AWS,
    *,
    hours: float = 10,
    **fields: Any,
) -> Cluster:
    """Add a cluster with one node, which has been up for some hours."""
    launched = sky.clock.now() - timedelta(hours=hours)
    owner = fields.pop('owner', sky.organization.people[0])
    status = fields.pop('status', 'UP')
    cluster = Cluster(name, owner, status, 1, *shape, fields.pop('spot', False), *place, launched, **fields)
    cluster.open(launched)
    cluster.status = status
    sky.clusters.append(cluster)
    return cluster
