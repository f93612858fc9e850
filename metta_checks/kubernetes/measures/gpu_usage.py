"""Figures of the block `gpu_usage`: the utilization of the GPUs that pods hold, and the idle ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from ...core.refresh import Sample
from ...core.stats import mean, top
from ...core.tag_values import MAX_GPU_TYPES, added_up, labels
from ..accelerator_types import is_of_nvidia, is_slice
from ..inventory import Inventory
from ..prometheus import Gpu, GpuUsage, Reading, Readings
from ..records import Pod
from ..settings import Settings


@dataclass(frozen=True, slots=True)
class Measured:
    """The GPUs of one type that a pod holds, or its slices, and their readings.

    Attributes:
        pod: the pod
        gpu_type: their type
        number: how many it holds, a fraction for shares
        readings: by GPU or slice; empty without any
    """

    pod: Pod
    gpu_type: str
    number: float
    readings: Mapping[Gpu, Reading]

    def idle(self, now: datetime, option: GpuUsage) -> float:
        """Return the number of GPUs that are known to have been idle in the whole window."""
        if not self.readings or self.pod.age_seconds(now) < option.window_seconds:
            return 0.0
        low = sum(one.covers_window and one.utilization < option.idle_pct for one in self.readings.values())
        return low * min(1.0, self.number / len(self.readings))


def measured(inventory: Inventory, pods: Iterable[Pod], readings: Readings) -> Iterator[Measured]:
    """Yield the GPUs that pods hold and the DCGM exporter can measure: NVIDIA's."""
    for pod in pods:
        if not pod.holds_resources:
            continue
        own = readings.get(pod.key, {})
        held: tuple[dict[str, float], dict[str, float]] = ({}, {})
        for holding in inventory.holdings(pod):
            if is_of_nvidia(holding.source):
                sums = held[is_slice(holding.source, holding.gpu_type)]
                sums[holding.gpu_type] = sums.get(holding.gpu_type, 0.0) + holding.number
        for sums, slices in zip(held, (False, True), strict=True):
            if sums:
                # The exporter does not tell which of several types a GPU is of.
                gpu_type = max(sums, key=lambda name: (sums[name], name))
                fitting = {gpu: reading for gpu, reading in own.items() if bool(gpu.profile) == slices}
                yield Measured(pod, gpu_type, sums[gpu_type], fitting)


def usage(found: Iterable[Measured], now: datetime, *, option: GpuUsage, settings: Settings) -> Iterator[Sample]:
    """Yield utilization and idle GPUs. Types and namespaces without any reading are unknown."""
    by_gpu: defaultdict[str, dict[Gpu, float]] = defaultdict(dict)
    idle: defaultdict[str, float] = defaultdict(float)
    idle_by_namespace: defaultdict[str, float] = defaultdict(float)
    for one in found:
        if one.readings:
            by_gpu[one.gpu_type].update({gpu: reading.utilization for gpu, reading in one.readings.items()})
            idle[one.gpu_type] += one.idle(now, option)
            idle_by_namespace[one.pod.namespace] += one.idle(now, option)
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
