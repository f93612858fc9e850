"""Figures of the block `gpu_usage`: the utilization of the GPUs that pods hold, and the idle ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from ...core.refresh import Sample
from ...core.stats import mean, top
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ..inventory import Inventory
from ..prometheus import GpuUsage, Reading, Readings
from ..records import Pod
from ..settings import Settings


def readings_of_pods(
    inventory: Inventory, pods: Iterable[Pod], readings: Readings
) -> list[tuple[Pod, Mapping[str, Reading] | None]]:
    """Return the pods that hold GPUs, each with the readings of its GPUs by GPU; None without readings."""
    holders = (pod for pod in pods if pod.holds_resources and any(inventory.requested(pod).values()))
    return [(pod, readings.get(pod.key)) for pod in holders]


def usage(
    inventory: Inventory,
    found: Iterable[tuple[Pod, Mapping[str, Reading] | None]],
    now: datetime,
    *,
    option: GpuUsage,
    settings: Settings,
) -> Iterator[Sample]:
    """Yield utilization and idle GPUs. Types and namespaces without any reading are unknown."""
    by_gpu: defaultdict[str, dict[str, float]] = defaultdict(dict)
    idle: defaultdict[str, float] = defaultdict(float)
    idle_by_namespace: defaultdict[str, float] = defaultdict(float)
    for pod, readings in found:
        if not readings:
            continue
        held = inventory.requested(pod)
        # Pods with GPUs of several types do not tell which reading is of which type.
        gpu_type = max(held, key=lambda name: (held[name], name))
        by_gpu[gpu_type].update({gpu: reading.utilization for gpu, reading in readings.items()})
        number = _idle(pod, readings, now, option) * min(1.0, held[gpu_type] / len(readings))
        idle[gpu_type] += number
        idle_by_namespace[pod.namespace] += number
    shown = labels({gpu_type: float(len(gpus)) for gpu_type, gpus in by_gpu.items()}, MAX_GPU_TYPES)
    for shown_type in set(shown.values()):
        values = [value for name, gpus in by_gpu.items() if shown[name] == shown_type for value in gpus.values()]
        yield Sample('gpu.utilization_pct', mean(values), {'gpu_type': shown_type})
    for shown_type, number in added_up(idle, shown).items():
        yield Sample('gpu.idle', number, {'gpu_type': shown_type})
    for namespace, number in top(idle_by_namespace, settings.max_namespaces).items():
        yield Sample('namespace.gpu_idle', number, {'kube_namespace': namespace})
    prices = settings.prices.gpu_hour if settings.prices else {}
    costs = {gpu_type: number * prices[gpu_type] for gpu_type, number in idle.items() if gpu_type in prices}
    for shown_type, cost in added_up(costs, shown).items():
        yield Sample('cost.gpu_idle_hourly_usd', cost, {'gpu_type': shown_type})


def _idle(pod: Pod, readings: Mapping[str, Reading], now: datetime, option: GpuUsage) -> int:
    """Return the number of GPUs of a pod that are known to have been idle in the whole window."""
    if pod.age_seconds(now) < option.window_seconds:
        return 0
    return sum(one.covers_window and one.utilization < option.idle_pct for one in readings.values())
