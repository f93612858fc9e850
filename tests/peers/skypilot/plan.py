"""The organization that the real server is seeded with: the sandbox's, with a job in each status that it lacks.

`python -m tests.peers.skypilot.plan SCALE API_VERSION STATUS...` prints it as JSON, for a server of this API version
that knows these statuses. The tests build it again, so that the truth they compare with is what was written, not what
the server answers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.organization import Organization
from sandbox.skypilot import machines, shapes
from sandbox.skypilot.data import Generator
from sandbox.skypilot.life import Life
from sandbox.skypilot.model import Cluster, Job


@dataclass(frozen=True)
class Release:
    """The abilities of a release of the server."""

    api_version: int
    statuses: Sequence[str]


def organization(start: datetime, scale: float, release: Release) -> tuple[list[Job], list[Cluster]]:
    """The same for the same arguments."""
    people = Organization()
    groups = release.api_version >= shapes.SINCE['is_primary_in_job_group']
    jobs, clusters = Generator(people, start, scale, groups=groups).generate()
    life = Life(people, start - timedelta(minutes=7), jobs, clusters)
    starting = life.queue('extra-starting', people.people[0], gpus=4)
    life.start(starting)
    for status in ('WINDING_DOWN', 'CANCELLING'):
        if status not in release.statuses:
            continue
        job = life.queue(f'extra-{status.lower().replace("_", "-")}', people.people[1])
        life.start(job)
        life.run(job, 'us-west-2')
        job.current.status = status
    return list(jobs.values()), clusters


def document(start: datetime, scale: float, release: Release) -> dict[str, Any]:
    """The organization as JSON, with what the real server needs beside it."""
    jobs, clusters = organization(start, scale, release)
    owners = {job.owner.login for job in jobs} | {cluster.owner.login for cluster in clusters}
    return {
        'start': start.timestamp(),
        'scale': scale,
        'release': asdict(release),
        'jobs': [
            {
                'number': job.number,
                'name': job.name,
                'owner': job.owner.login,
                'workspace': job.workspace,
                'group': job.is_group,
                'decides': job.decides,
                'tasks': [{**_plain(task), 'request': shapes.request(task)} for task in job.tasks],
            }
            for job in jobs
        ],
        'clusters': [
            {**_plain(cluster), 'owner': cluster.owner.login, 'machine': asdict(cluster.machine)}
            for cluster in clusters
        ],
        'users': {login: shapes.user_hash(login) for login in sorted(owners)},
        'catalog': [
            {
                'machine': asdict(machine),
                'region': region,
                'ondemand': machines.price(machine, region, spot=False),
                'spot': machines.price(machine, region, spot=True),
            }
            for machine in machines.MACHINES
            if machine.cloud == 'aws'
            for region in machines.REGIONS['aws']
        ],
    }


def _plain(value: Any) -> dict[str, Any]:
    """Times as seconds since the epoch."""

    def convert(one: Any) -> Any:
        if isinstance(one, datetime):
            return one.timestamp()
        if isinstance(one, (list, tuple)):
            return [convert(item) for item in one]
        return one

    return {name: convert(one) for name, one in asdict(value).items() if name != 'owner'}


if __name__ == '__main__':
    seeded = Release(int(sys.argv[2]), sys.argv[3:])
    print(json.dumps(document(datetime.now(UTC).replace(microsecond=0), float(sys.argv[1]), seeded)))
