"""Figures of block `gpu_usage`: the utilization that the DCGM exporter measures, through Prometheus' HTTP API.

https://prometheus.io/docs/prometheus/latest/querying/api/ and https://github.com/NVIDIA/dcgm-exporter
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests

from .. import Figure, NoSeries
from .gpus import Holding, held
from .reading import Pod, Reading

METRIC = 'DCGM_FI_DEV_GPU_UTIL'
# Utilization in percent.
IDLE_PCT = 5
WINDOW_MINUTES = 30
TIMEOUT_SECONDS = 30
# A GPU or a slice of one; the namespace and name of the pod that it was given to.
Gpu = tuple[str, str]
Series = dict[tuple[Gpu, tuple[str, str]], float]


@dataclass(frozen=True, slots=True)
class _Measured:
    """The GPUs or slices that a pod holds: their type, how much of a GPU each is, and what was measured."""

    pod: Pod
    gpu_type: str
    part: Decimal
    averages: Mapping[Gpu, float]
    whole: frozenset[Gpu]


def figures(reading: Reading) -> Iterator[Figure | NoSeries]:
    """Yield the figures of the utilization of GPUs."""
    option = reading.instance['gpu_usage']
    window = option.get('window_minutes', WINDOW_MINUTES)
    below = option.get('idle_pct', IDLE_PCT)
    by_type: defaultdict[str, dict[Gpu, float]] = defaultdict(dict)
    idle: defaultdict[str, Decimal] = defaultdict(Decimal)
    by_namespace: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in _measured(reading, option, window):
        pod, gpu_type = one.pod, one.gpu_type
        by_type[gpu_type].update(one.averages)
        is_old = reading.age_minutes(pod.status.start_time or pod.created) >= window
        number = sum(is_old and gpu in one.whole and value < below for gpu, value in one.averages.items()) * one.part
        idle[gpu_type] += number
        by_namespace[pod.namespace] += number
    averages = {gpu_type: sum(values.values()) / len(values) for gpu_type, values in by_type.items()}
    yield from reading.by_type('gpu.utilization_pct', averages)
    yield from reading.by_type('gpu.idle', idle)
    if prices := (reading.instance.get('prices') or {}).get('gpu_hour'):
        priced = {gpu_type: float(number) * prices[gpu_type] for gpu_type, number in idle.items() if gpu_type in prices}
        yield from reading.by_type('cost.gpu_idle_hourly_usd', priced)
    yield from reading.by_namespace('namespace.gpu_idle', by_namespace)


def _measured(reading: Reading, option: Mapping[str, Any], window: float) -> Iterator[_Measured]:
    metric = option.get('metric', METRIC)
    series = f'{metric}{{{option.get("selector") or ""}}}'
    seconds = round(window * 60)
    averages = _query(reading, f'avg_over_time({series}[{seconds}s])')
    later = _query(reading, f'count_over_time({series}[{seconds // 2}s])')
    earlier = _query(reading, f'count_over_time({series}[{seconds // 2}s] offset {seconds // 2}s)')
    scale = 100 if '_PROF_' in metric else 1
    for pod, is_slice, held_by_type in _by_pod(held(reading)):
        key = (pod.namespace, pod.name)
        own = {
            gpu: value * scale
            for (gpu, holder), value in averages.items()
            if holder == key and bool(gpu[1]) == is_slice
        }
        if own:
            # The series do not tell which of several types a GPU has; pods that share one each have a part of it.
            gpu_type = max(held_by_type, key=lambda name: (held_by_type[name], name))
            part = min(Decimal(1), held_by_type[gpu_type] / len(own))
            whole = frozenset(gpu for gpu in own if (gpu, key) in later and (gpu, key) in earlier)
            yield _Measured(pod, gpu_type, part, own, whole)


def _by_pod(holdings: Iterable[Holding]) -> Iterator[tuple[Pod, bool, dict[str, Decimal]]]:
    """Yield the GPUs or the slices of NVIDIA that each pod holds, by type: the exporter measures no others."""
    pods: dict[str, Pod] = {}
    found: defaultdict[tuple[str, bool], defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for one in holdings:
        vendor, _, name = one.resource.partition('/')
        if one.pod and vendor in ('nvidia.com', 'gpu.nvidia.com'):
            is_slice = name.startswith('mig-') or one.gpu_type.startswith('nvidia-mig-')
            pods[one.pod.uid] = one.pod
            found[one.pod.uid, is_slice][one.gpu_type] += one.number
    for (uid, is_slice), by_type in found.items():
        yield pods[uid], is_slice, by_type


def _query(reading: Reading, query: str) -> Series:
    """Return the values of an instant query; of several replicas of Prometheus, their average."""
    reading.cluster.requests += 1
    token = reading.instance.get('prometheus_token')
    answer = requests.get(
        f'{reading.instance["gpu_usage"]["prometheus_url"].rstrip("/")}/api/v1/query',
        params={'query': query, 'time': f'{reading.now.timestamp():.3f}'},
        headers={'Authorization': f'Bearer {token}'} if token else {},
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    found: defaultdict[tuple[Gpu, tuple[str, str]], list[float]] = defaultdict(list)
    for one in answer.json()['data']['result']:
        labels, (_, value) = one['metric'], one['value']
        namespace = labels.get('exported_namespace', labels.get('namespace', ''))
        pod = labels.get('exported_pod', labels.get('pod', ''))
        gpu = (f'{labels.get("UUID")}/{labels.get("GPU_I_ID", "")}', labels.get('GPU_I_PROFILE', ''))
        found[gpu, (namespace, pod)].append(float(value))
    return {key: sum(values) / len(values) for key, values in found.items()}
