"""Figures of the truth, and what its parts share: who has which machines, for what, and by which name."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..server import Figure
from .model import Cluster, Job, Task
from .shapes import user_hash

# Versions of TPUs that are sized in cores, of which a chip has two; later ones are sized in chips.
# Google sells a generation under another name than that of its slices in the catalog.
TYPES = {'tpu-v5litepod': 'tpu-v5e'}
SIZED_IN_CORES = ('v2', 'v3', 'v4', 'v5p')
CONTROLLERS = ('sky-jobs-controller-', 'sky-serve-controller-')
LONGEST_LIST_OF_USERS = 50


def figure(name: str, value: float, **tags: str) -> Figure:
    """Return a figure with its full name and tag values in lower case, as Datadog stores them."""
    return Figure(
        f'metta.skypilot.{name}', float(value), tuple(sorted(f'{key}:{text}'.lower() for key, text in tags.items()))
    )


def sums(rows: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add up amounts by their key."""
    totals: dict[str, float] = defaultdict(float)
    for key, amount in rows:
        totals[key] += amount
    return totals


def gpu_type(name: str) -> str:
    """Return the type of an accelerator: `tpu-v4` for every size of slice of it; `none` without one."""
    slice_of_tpus = re.fullmatch(r'(tpu-v\w+)-\d+', name)
    return TYPES.get(slice_of_tpus[1], slice_of_tpus[1]) if slice_of_tpus else name.lower() or 'none'


def gpus_of(machines: Task | Cluster) -> float:
    """Return the number of GPUs on all nodes. Of TPUs, chips count."""
    chips = 1
    if slice_of_tpus := re.fullmatch(r'tpu-(v\w+)-(\d+)', machines.gpu):
        chips = int(slice_of_tpus[2]) // (2 if slice_of_tpus[1] in SIZED_IN_CORES else 1)
    return machines.nodes * machines.gpus * chips if machines.gpu else 0.0


def has_machines(task: Task) -> bool:
    """Return True for a task at work. A running task has machines, even without a record of them."""
    return task.status in ('RUNNING', 'WINDING_DOWN') or (task.status in ('CANCELLING', 'RECOVERING') and task.holds)


def kind(cluster: Cluster) -> str:
    """Return what a cluster is for."""
    if cluster.job is not None:
        return 'job'
    if cluster.managed:
        return 'replica' if cluster.pool is None else 'worker'
    return 'controller' if cluster.name.startswith(CONTROLLERS) else 'cluster'


def market(cluster: Cluster) -> str:
    """Return the market of a cluster's machines."""
    return 'spot' if cluster.spot else 'ondemand'


class Users:
    """The people, by their hashes: names may be those of several."""

    def __init__(self, owned: Iterable[Job | Cluster]) -> None:
        self._names: dict[str, str] = {}
        for one in owned:
            self._names[self.id_of(one)] = one.owner.login

    @staticmethod
    def id_of(one: Job | Cluster) -> str:
        """Return the hash of the owner."""
        return one.owner_hash or user_hash(one.owner.login)

    def figures(self, name: str, amounts: Mapping[str, float]) -> Iterator[Figure]:
        """Return a figure per user of amounts by hash: the largest ones, and the others together."""
        ranked = sorted(amounts, key=lambda user: (-amounts[user], user))
        for user in ranked[:LONGEST_LIST_OF_USERS]:
            yield figure(name, amounts[user], user=self._label(user))
        if others := ranked[LONGEST_LIST_OF_USERS:]:
            yield figure(name, sum(amounts[user] for user in others), user='other')

    def _label(self, user: str) -> str:
        shown = self._names[user]
        namesakes = sum(name == shown for name in self._names.values())
        return shown if namesakes == 1 else f'{shown} ({user})'


def shares(jobs: Sequence[Job]) -> dict[str, int]:
    """Return how many tasks share each worker of a pool."""
    return Counter(job.worker for job in jobs for task in job.tasks if job.worker and has_machines(task))
