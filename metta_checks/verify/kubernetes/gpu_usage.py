"""Figures of block `gpu_usage`: the utilization that the DCGM exporter measures, through Prometheus' HTTP API.

https://prometheus.io/docs/prometheus/latest/querying/api/ and https://github.com/NVIDIA/dcgm-exporter
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import requests

from .. import Figure
from .gpus import Holding, held
from .reading import Reading

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
    """A type of the GPUs that a pod holds: how much of a GPU each is, and what was measured."""

    holding: Holding
    part: Decimal
    averages: Mapping[Gpu, float]
    whole: frozenset[Gpu]


def figures(reading: Reading) -> Iterator[Figure]:
    """Yield the figures of the utilization of GPUs."""
    option = reading.instance['gpu_usage']
    window = option.get('window_minutes', WINDOW_MINUTES)
    below = option.get('idle_pct', IDLE_PCT)
    by_type: defaultdict[str, dict[Gpu, float]] = defaultdict(dict)
    idle: defaultdict[str, Decimal] = defaultdict(Decimal)
    by_namespace: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in _measured(reading, option, window):
        pod, gpu_type = one.holding.pod, one.holding.gpu_type
        by_type[gpu_type].update(one.averages)
        is_old = reading.age_minutes(pod.status.start_time or pod.created) >= window
        number = sum(is_old and gpu in one.whole and value < below for gpu, value in one.averages.items()) * one.part
        idle[gpu_type] += number
        by_namespace[pod.namespace] += number
    for gpu_type, values in by_type.items():
        yield reading.figure('gpu.utilization_pct', sum(values.values()) / len(values), gpu_type=gpu_type)
        yield reading.figure('gpu.idle', idle[gpu_type], gpu_type=gpu_type)
        price = ((reading.instance.get('prices') or {}).get('gpu_hour') or {}).get(gpu_type)
        if price is not None:
            cost = float(idle[gpu_type]) * price
            yield reading.figure('cost.gpu_idle_hourly_usd', cost, gpu_type=gpu_type)
    yield from reading.by_namespace('namespace.gpu_idle', by_namespace)


def _measured(reading: Reading, option: Mapping[str, Any], window: float) -> Iterator[_Measured]:
    metric = option.get('metric', METRIC)
    series = f'{metric}{{{option.get("selector") or ""}}}'
    seconds = round(window * 60)
    averages = _query(reading, f'avg_over_time({series}[{seconds}s])')
    later = _query(reading, f'count_over_time({series}[{seconds // 2}s])')
    earlier = _query(reading, f'count_over_time({series}[{seconds // 2}s] offset {seconds // 2}s)')
    scale = 100 if '_PROF_' in metric else 1
    for holding in _together(held(reading)):
        key = (holding.pod.namespace, holding.pod.name)
        own = {gpu: value * scale for (gpu, pod), value in averages.items() if pod == key and _fits(gpu, holding)}
        if own:
            # Pods that share a GPU each have a part of it.
            part = min(Decimal(1), holding.number / len(own))
            whole = frozenset(gpu for gpu in own if (gpu, key) in later and (gpu, key) in earlier)
            yield _Measured(holding, part, own, whole)


def _together(holdings: Iterable[Holding]) -> Iterable[Holding]:
    """Return what each pod holds of a type as one holding, because the exporter does not name the claim of a GPU."""
    found: dict[tuple[str, str], Holding] = {}
    for one in holdings:
        key = (one.pod.uid, one.gpu_type)
        found[key] = replace(one, number=one.number + found[key].number) if key in found else one
    return found.values()


def _fits(gpu: Gpu, holding: Holding) -> bool:
    """Return whether a GPU or slice can be one of these: the exporter measures NVIDIA's only."""
    _, profile = gpu
    return 'nvidia.com' in holding.resource and holding.gpu_type.startswith('nvidia-mig-') == bool(profile)


def _query(reading: Reading, query: str) -> Series:
    """Return the values of an instant query; those of several replicas of Prometheus once."""
    reading.cluster.requests += 1
    token = reading.instance.get('prometheus_token')
    answer = requests.get(
        f'{reading.instance["gpu_usage"]["prometheus_url"].rstrip("/")}/api/v1/query',
        params={'query': query, 'time': f'{reading.now.timestamp():.3f}'},
        headers={'Authorization': f'Bearer {token}'} if token else {},
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    found: Series = {}
    for one in answer.json()['data']['result']:
        labels, (_, value) = one['metric'], one['value']
        namespace = labels.get('exported_namespace', labels.get('namespace', ''))
        pod = labels.get('exported_pod', labels.get('pod', ''))
        gpu = (f'{labels.get("UUID")}/{labels.get("GPU_I_ID", "")}', labels.get('GPU_I_PROFILE', ''))
        found[gpu, (namespace, pod)] = float(value)
    return found
