"""A Prometheus on loopback that has scraped a DCGM exporter: instant queries of the two forms that the check sends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .model import Pod

METRIC = 'DCGM_FI_DEV_GPU_UTIL'
QUERY = re.compile(
    r'(?:(?P<function>avg|count)_over_time\()?(?P<metric>\w+)\{(?P<selector>[^}]*)\}'
    r'(?:\[(?P<seconds>\d+)s\](?: offset (?P<offset>\d+)s)?\))?'
)
SCRAPE_SECONDS = 30


@dataclass
class GpuSeries:
    """A series of one GPU.

    Attributes:
        labels: without the name of the metric
        value: the same at all times
        since: seconds from its first point to now
        until: seconds from its last point to now
    """

    labels: dict[str, str] = field(default_factory=dict)
    value: float = 0.0
    since: float = 86_400.0
    until: float = 0.0
    metric: str = METRIC


def of_pods(pods: Iterable[Pod], now: datetime) -> Iterator[GpuSeries]:
    """Yield the series of the NVIDIA GPUs of running pods; of a training run that hangs, they are at 0."""
    for pod in pods:
        for container in pod.containers:
            if pod.phase != 'Running' or not pod.node or container.gpu_resource != 'nvidia.com/gpu':
                continue
            for index in range(container.gpus):
                labels = {
                    'UUID': f'GPU-{pod.node}-{pod.uid[:8]}-{index}',
                    'gpu': str(index),
                    'Hostname': pod.node,
                    'exported_namespace': pod.namespace,
                    'exported_pod': pod.name,
                    'pod': 'dcgm-exporter-x7k2p',
                    'namespace': 'gpu-operator',
                }
                yield GpuSeries(
                    labels, utilization(pod, index), since=(now - (pod.started or now)) / timedelta(seconds=1)
                )


def utilization(pod: Pod, index: int) -> float:
    """Return the utilization of one of the GPUs of a pod, in percent, the same at all times."""
    return 0.0 if pod.uid[0] in '0123' else 60.0 + index


def answer(query: str, series: Iterable[GpuSeries], now: datetime) -> dict[str, Any] | None:
    """Return the answer to an instant query, None for one that is not understood."""
    parts = [QUERY.fullmatch(part) for part in query.split(' and ')]
    if not parts or None in parts:
        return None
    result = []
    for one in series:
        values = [_value(one, part) for part in parts if part is not None]
        if None not in values:
            result.append({'metric': one.labels, 'value': [now.timestamp(), f'{values[0]:g}']})
    return {'status': 'success', 'data': {'resultType': 'vector', 'result': result}}


def _value(series: GpuSeries, query: re.Match[str]) -> float | None:
    """Return the value of a series in a query without `and`, None where it has none."""
    seconds, offset = int(query['seconds'] or 0), int(query['offset'] or 0)
    first, last = min(seconds + offset, series.since), max(offset, series.until)
    if series.metric != query['metric'] or first < last or not _matches(series, query['selector']):
        return None
    return max(1, (first - last) // SCRAPE_SECONDS) if query['function'] == 'count' else series.value


def _matches(series: GpuSeries, selector: str) -> bool:
    pairs = re.findall(r'(\w+)="([^"]*)"', selector)
    return all(series.labels.get(key, '') == value for key, value in pairs)
