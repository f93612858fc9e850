"""Figures of GPUs and other accelerators: offered, held, waited for and free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from ...core.refresh import Sample
from ...core.stats import top
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ..inventory import Inventory
from ..records import Pod
from ..settings import Settings
from . import workloads


def allocatable(inventory: Inventory) -> Iterator[Sample]:
    """Yield the GPUs of Ready nodes, by type; 0 for a type that only other nodes have."""
    offered = inventory.totals(lambda stock: stock.allocatable if stock.counts else 0.0)
    yield from _by_type('gpu.allocatable', offered, _shown(offered, offered))


def states(inventory: Inventory, pods: Collection[Pod]) -> Iterator[Sample]:
    """Yield the GPUs that pods hold or wait for, and those that are free. `inventory` knows what the pods hold.

    A type that is neither on a node nor held has only figures of the pods that wait for it.
    """
    offered = inventory.totals(lambda stock: stock.allocatable if stock.counts else 0.0)
    held = inventory.totals(lambda stock: stock.held)
    terminating = inventory.requested_by(pod for pod in pods if pod.holds_resources and pod.deleting)
    found = {
        'gpu.requested': held,
        'gpu.free': inventory.totals(lambda stock: stock.free),
        'gpu.terminating': {gpu_type: terminating.get(gpu_type, 0.0) for gpu_type in held},
    }
    none = dict.fromkeys(held, 0.0)
    found['gpu.pending'] = none | inventory.requested_by(
        pod for pod in pods if pod.waits_for_node and pod.unschedulable
    )
    found['gpu.queued'] = none | inventory.requested_by(pod for pod in pods if pod.gated)
    shown = _shown({gpu_type for numbers in found.values() for gpu_type in numbers}, offered)
    for name, numbers in found.items():
        yield from _by_type(name, numbers, shown)
    blocks: defaultdict[str, float] = defaultdict(float)
    for (_, gpu_type), stock in inventory.stocks.items():
        blocks[shown[gpu_type]] = max(blocks[shown[gpu_type]], stock.free)
    for gpu_type, number in blocks.items():
        yield Sample('gpu.largest_free_block', number, {'gpu_type': gpu_type})


def by_owner(inventory: Inventory, pods: Iterable[Pod], settings: Settings) -> Iterator[Sample]:
    """Yield the GPUs that pods or claims hold, by namespace and by workload."""
    by_namespace: defaultdict[str, float] = defaultdict(float)
    by_workload: defaultdict[workloads.Key, float] = defaultdict(float)
    for pod in pods:
        if pod.holds_resources and (number := sum(inventory.requested(pod).values())):
            by_namespace[pod.namespace] += number
            by_workload[workloads.key(pod)] += number
    for device in inventory.kept_by_claims:
        by_namespace[device.namespace] += 1
        by_workload[workloads.NONE] += 1
    for namespace, number in top(by_namespace, settings.max_namespaces).items():
        yield Sample('namespace.gpu_requested', number, {'kube_namespace': namespace})
    if settings.max_workloads is not None:
        yield from workloads.largest('workload.gpu_requested', by_workload, settings.max_workloads)


def _shown(gpu_types: Iterable[str], offered: Mapping[str, float]) -> dict[str, str]:
    """Return the value of the tag `gpu_type` of each type.

    A pod may request any name, so the types that nodes offer are shown before those that are only requested.
    """
    return labels({gpu_type: offered.get(gpu_type, 0.0) for gpu_type in gpu_types}, MAX_GPU_TYPES)


def _by_type(name: str, numbers: Mapping[str, float], shown: Mapping[str, str]) -> Iterator[Sample]:
    for gpu_type, number in added_up(numbers, shown).items():
        yield Sample(name, number, {'gpu_type': gpu_type})
