"""Utilization of GPUs as NVIDIA's DCGM exporter measures it, through the HTTP API of Prometheus.

The exporter adds the pod that a GPU is allocated to as labels. Prometheus renames these to `exported_pod` and
`exported_namespace` where it has labels of its own with the same names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.errors import BadPayload, Rejected, Unauthorized
from ..core.fields import items, mapping, objects, text
from ..core.http import Api
from ..core.text import one_line
from .records import PodKey

# The rate limit of Prometheus is not that of the API server.
RESOURCE = 'prometheus'
# Metrics of this kind are ratios, all others percentages.
RATIO = '_PROF_'
MAX_REASON = 200
# Warnings of one answer that the check reports.
MAX_WARNINGS = 3


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """Option `gpu_usage`.

    Attributes:
        url: address of Prometheus
        metric: name of the metric
        selector: label matchers, without braces
        window_seconds: span of time over which the average is taken
        idle_pct: utilization below which a GPU is idle
    """

    url: str
    metric: str
    selector: str
    window_seconds: int
    idle_pct: float


class Gpu(NamedTuple):
    """The identity of a GPU, or of a slice of one.

    Attributes:
        name: its UUID, or its number on a node, with that of the slice
        profile: the profile of the slice; empty for a whole GPU
    """

    name: str
    profile: str = ''


@dataclass(frozen=True, slots=True)
class Reading:
    """The utilization of one GPU of a pod.

    Attributes:
        utilization: average over the window, in percent
        covers_window: True when it was measured in both halves of the window
    """

    utilization: float
    covers_window: bool


# Readings by pod and by GPU.
Readings = Mapping[PodKey, Mapping[Gpu, Reading]]


class Prometheus:
    """Reads the utilization of GPUs. Raises SourceError.

    Parameters:
        api: Prometheus
        usage: the metric to read

    Attributes:
        warnings: those of the last readings, each once: a server before several Prometheus sends the series of the
            others and a warning when one of them does not answer
    """

    def __init__(self, api: Api, usage: GpuUsage) -> None:
        self._api = api
        self._usage = usage
        self.warnings: list[str] = []

    def readings(self) -> Readings:
        """Return the utilization of all GPUs that are allocated to pods: two requests."""
        self.warnings = []
        span, half = self._usage.window_seconds, self._usage.window_seconds // 2
        averages = self._query(f'avg_over_time({self._series}[{span}s])')
        now, before = f'count_over_time({self._series}[{half}s])', f'[{half}s] offset {half}s'
        both = {key for key, _ in self._query(f'{now} and count_over_time({self._series}{before})')}
        found: dict[PodKey, dict[Gpu, list[tuple[float, bool]]]] = {}
        for key, value in averages:
            pod, gpu = key
            found.setdefault(pod, {}).setdefault(gpu, []).append((value, key in both))
        return {
            # Replicas of Prometheus may have measured a GPU twice.
            pod: {
                gpu: Reading(math.fsum(value for value, _ in some) / len(some), any(covers for _, covers in some))
                for gpu, some in gpus.items()
            }
            for pod, gpus in found.items()
        }

    def number_of_gpus(self) -> int:
        """Return the number of GPUs and slices that are measured at present: one request.

        Replicas of Prometheus and pods that share a GPU have a series of it each. GPUs that no pod holds are among
        them, since they have the labels of the exporter's own pod.
        """
        return len({gpu for (_, gpu), _ in self._query(self._series)})

    @property
    def _series(self) -> str:
        return f'{self._usage.metric}{{{self._usage.selector}}}'

    def _query(self, expression: str) -> Iterator[tuple[tuple[PodKey, Gpu], float]]:
        """Yield the values of an expression by pod and GPU. Series without a pod are left out."""
        try:
            response = self._api.get('api/v1/query', {'query': expression}, resource=RESOURCE)
        except Unauthorized as error:
            # The credentials of the API server are good: only this block fails.
            raise Rejected(str(error), reason=error.reason) from error
        answer = response.json_object()
        said = (text(one) for one in (items(answer.get('warnings')) or ())[:MAX_WARNINGS])
        self.warnings = list(dict.fromkeys([*self.warnings, *(one_line(one, MAX_REASON) for one in said if one)]))
        data = mapping(answer.get('data'))
        result = objects(data.get('result')) if data else None
        if result is None or data is None or data.get('resultType') != 'vector':
            raise BadPayload(f'{response.request} answered with something that is not a vector of series')
        scale = 100 if RATIO in self._usage.metric else 1
        for series in result:
            labels, value = mapping(series.get('metric')) or {}, _number(series.get('value'))
            if value is not None and (key := _key(labels)) is not None:
                yield key, value * scale


def _key(labels: Mapping[str, Any]) -> tuple[PodKey, Gpu] | None:
    """Return the pod and the GPU of a series, None for one without a pod."""
    prefix = 'exported_' if 'exported_pod' in labels else ''
    namespace, pod = labels.get(f'{prefix}namespace'), labels.get(f'{prefix}pod')
    gpu = labels.get('UUID') or f'{labels.get("Hostname")}/{labels.get("gpu")}'
    if not namespace or not pod:
        return None
    return (str(namespace), str(pod)), Gpu(f'{gpu}/{labels.get("GPU_I_ID", "")}', str(labels.get('GPU_I_PROFILE', '')))


def _number(value: Any) -> float | None:
    """Return the number in a pair of time and text; None for NaN and the infinities."""
    try:
        number = float(value[1])
    except (TypeError, ValueError, LookupError):
        return None
    return number if math.isfinite(number) else None
