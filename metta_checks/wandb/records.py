"""What W&B answers, parsed once: runs, GPU readings, sweeps. Times are seconds since the epoch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..windows import parse_time

T = TypeVar('T')

# States of a run. Others may exist on other servers: they are neither live nor ended.
LIVE_STATES = ('running', 'pending', 'preempting')
ENDED_STATES = ('finished', 'failed', 'crashed', 'killed', 'preempted')
STATES = (*LIVE_STATES, *ENDED_STATES)

UNKNOWN_GPU = 'unknown'
_VENDOR_WORDS = frozenset({'nvidia', 'tesla', 'amd', 'instinct', 'geforce', 'quadro', 'grid'})
_WORD = re.compile(r'[\s_-]+')
_READING = re.compile(r'system\.gpu\.(\d+)\.(gpu|memoryAllocated)(?:/l:.+)?')


@dataclass(frozen=True, slots=True)
class Run:
    """A run as W&B lists it."""

    # The run id, unique in its project (W&B calls it `name`).
    id: str
    name: str
    state: str
    created: float
    # Last sign of life; None for runs that never logged (pending ones).
    heartbeat: float | None
    # Running time in seconds, pauses excluded and resumes added up; None on servers that do not have it.
    compute: float | None
    gpu_type: str
    # GPUs of the logging process; None when the server cannot say.
    gpus: float | None
    group: str
    job_type: str
    tags: tuple[str, ...]
    sweep: str
    user: str
    summary: Mapping[str, Any]
    # A part of it was not what it should be, a summary that is not JSON for instance, and counts as empty.
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """The latest system metrics of a running run."""

    id: str
    heartbeat: float | None
    gpu_type: str
    gpus: float | None
    # Percent, one number per GPU.
    utilization: tuple[float, ...]
    memory: tuple[float, ...]
    damaged: bool = False


@dataclass(slots=True)
class _Reader:
    """Reads the compound fields of one node and remembers whether one of them was damaged."""

    node: Mapping[str, Any]
    damaged: bool = field(default=False)

    def document(self, key: str) -> Mapping[str, Any]:
        """The object in a JSONString field; empty when the field is null or missing, and when it is damaged."""
        value = self.node.get(key)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                self.damaged = True
                return {}
        return self._typed(value, {})

    def object(self, key: str) -> Mapping[str, Any]:
        """A nested object; empty as above."""
        return self._typed(self.node.get(key), {})

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty as above."""
        items: list[Any] = self._typed(self.node.get(key), [])
        return tuple(item for item in items if isinstance(item, str))

    def _typed(self, value: Any, empty: T) -> T:
        if isinstance(value, type(empty)):
            return value
        self.damaged = self.damaged or value is not None
        return empty


def parse_run(node: Mapping[str, Any], gpu_count_key: str | None = None) -> Run | None:
    """A run from a node of the runs connection, None for a node without id, state or creation time.

    `gpu_count_key` names the configuration key that holds the true number of GPUs.
    """
    created = _seconds(node.get('createdAt'))
    if created is None or not node.get('name') or not node.get('state'):
        return None
    reader = _Reader(node)
    gpu_type, gpus = _hardware(reader, gpu_count_key)
    return Run(
        id=str(node['name']),
        name=_text(node.get('displayName')),
        state=str(node['state']).lower(),
        created=created,
        heartbeat=_seconds(node.get('heartbeatAt')),
        compute=_amount(node.get('computeSeconds')),
        gpu_type=gpu_type,
        gpus=gpus,
        group=_text(node.get('group')),
        job_type=_text(node.get('jobType')),
        tags=reader.texts('tags'),
        sweep=_text(node.get('sweepName')),
        user=_text(reader.object('user').get('username')),
        summary=reader.document('summaryMetrics'),
        damaged=reader.damaged,
    )


def parse_readings(node: Mapping[str, Any], gpu_count_key: str | None = None) -> GpuReadings | None:
    """GPU readings from a node of the runs connection, None for a node without id."""
    if not node.get('name'):
        return None
    reader = _Reader(node)
    gpu_type, gpus = _hardware(reader, gpu_count_key)
    readings: dict[str, list[float]] = {'gpu': [], 'memoryAllocated': []}
    for key, raw in reader.document('systemMetrics').items():
        match = _READING.fullmatch(key)
        if match and (value := finite(raw)) is not None:
            readings[match[2]].append(value)
    return GpuReadings(
        id=str(node['name']),
        heartbeat=_seconds(node.get('heartbeatAt')),
        gpu_type=gpu_type,
        gpus=gpus,
        utilization=tuple(readings['gpu']),
        memory=tuple(readings['memoryAllocated']),
        damaged=reader.damaged,
    )


def _hardware(reader: _Reader, gpu_count_key: str | None) -> tuple[str, float | None]:
    """GPU type and number of GPUs. The number is None when the answer has no `runInfo` field at all (old servers)."""
    info = reader.object('runInfo')
    gpus = _amount(info.get('gpuCount'))
    if gpus is None and 'runInfo' in reader.node:
        gpus = 0.0
    if gpu_count_key is not None:
        entry = reader.document('config').get(gpu_count_key)
        # W&B wraps every configuration value: {"key": {"value": 16, "desc": null}}.
        stated = _amount(entry.get('value') if isinstance(entry, Mapping) else entry)
        gpus = gpus if stated is None else stated
    return gpu_type(info.get('gpu')), gpus


def gpu_type(name: Any) -> str:
    """The model word of a GPU's product name in lower case: `NVIDIA L4` -> l4, `NVIDIA A100-SXM4-80GB` -> a100-80gb.

    The memory is kept for the A100 with 80 GB only, which is priced apart. `unknown` without a name.
    """
    if not isinstance(name, str):
        return UNKNOWN_GPU
    words = [word for word in _WORD.split(name.strip().lower()) if word and word not in _VENDOR_WORDS]
    if not words:
        return UNKNOWN_GPU
    position = next((index for index, word in enumerate(words) if any(map(str.isdigit, word))), 0)
    model = words[position]
    if model.isdigit() and position:
        # "GeForce RTX 4090": the number alone says little.
        return f'{words[position - 1]}-{model}'
    if model == 'a100' and '80gb' in words:
        return 'a100-80gb'
    return model


def number(values: Mapping[str, Any], key: str) -> float | None:
    """The finite number under a key of a summary: looked up literally, then as a path of keys joined by dots.

    Booleans, strings ("NaN", "Infinity"), bare NaN, null and objects are no numbers.
    """
    if key in values:
        return finite(values[key])
    value: Any = values
    for part in key.split('.'):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return finite(value)


def finite(value: Any) -> float | None:
    """A JSON int or float as a finite float, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None


def _amount(value: Any) -> float | None:
    """A number that cannot be negative."""
    amount = finite(value)
    return amount if amount is not None and amount >= 0 else None


def _seconds(value: Any) -> float | None:
    moment = parse_time(value)
    return moment.timestamp() if moment is not None else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ''
