"""The pools of workers, parsed from the answer of /jobs/pool_status.

A worker is a set of machines that runs managed jobs, which then need not wait for machines of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import BadPayload
from ..core.fields import objects, text
from . import resources
from .operations import CHECK_ADDRESS
from .resources import Resources

READY = 'READY'
# The whole list, and that of every pool, which also has the definition of the pool with its secrets: it is never read.
POOLS_CALL = ('jobs/pool_status', {'pool_names': None})


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker of a pool.

    Attributes:
        pool: name of the pool
        name: name of its cluster, which jobs on it refer to
        status: such as READY, STARTING or FAILED
        gpus: accelerators over all its nodes, by type; empty until it has machines
    """

    pool: str
    name: str | None
    status: str
    gpus: Mapping[str, float]

    @classmethod
    def parse(cls, pool: str, record: Mapping[str, Any]) -> Worker:
        """Return a worker in the record of its pool. Raises BadPayload without a status."""
        status = text(record.get('status'))
        if status is None:
            raise BadPayload('SkyPilot sent a worker of a pool without a status')
        described = Resources.parse(text(record.get('resources_str_full')) or text(record.get('resources_str')) or '')
        gpus = {name: count * described.nodes for name, count in described.accelerators.items()}
        return cls(pool, text(record.get('name')), resources.capitals(status), gpus)


def parse_workers(answer: Any) -> list[Worker]:
    """Return the workers of all pools. Raises BadPayload for another answer."""
    return list(_workers(answer))


def _workers(answer: Any) -> Iterator[Worker]:
    pools = objects(answer)
    if pools is None:
        raise BadPayload(f'the list of pools is not a list of objects; {CHECK_ADDRESS}')
    for pool in pools:
        name, workers = text(pool.get('name')), objects(pool.get('replica_info'))
        if name is None or workers is None:
            raise BadPayload('SkyPilot sent a pool without a name or without a list of workers')
        yield from (Worker.parse(name, worker) for worker in workers)
