"""What W&B answers, parsed once: runs, GPU readings, sweeps. Times are seconds since the epoch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..core.accelerators import gpu_of_product
from ..core.fields import amount, items, mapping, number, text, timestamp

T = TypeVar('T')

# States of a run. Others may exist on other servers: they are neither live nor ended.
LIVE_STATES = ('running', 'pending', 'preempting')
ENDED_STATES = ('finished', 'failed', 'crashed', 'killed', 'preempted')
STATES = (*LIVE_STATES, *ENDED_STATES)

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

    @classmethod
    def parse(cls, node: Mapping[str, Any], gpu_count_key: str | None = None) -> Run | None:
        """Return a run from a node of the runs connection, None for a node without id, state or creation time.

        `gpu_count_key` names the configuration key that holds the true number of GPUs.
        """
        run_id, state, created = text(node.get('name')), text(node.get('state')), timestamp(node.get('createdAt'))
        if run_id is None or state is None or created is None:
            return None
        reader = _Reader(node)
        gpu_type, gpus = _hardware(reader, gpu_count_key)
        return cls(
            id=run_id,
            name=text(node.get('displayName')) or '',
            state=state.lower(),
            created=created,
            heartbeat=timestamp(node.get('heartbeatAt')),
            compute=amount(node.get('computeSeconds')),
            gpu_type=gpu_type,
            gpus=gpus,
            group=text(node.get('group')) or '',
            job_type=text(node.get('jobType')) or '',
            tags=reader.texts('tags'),
            sweep=text(node.get('sweepName')) or '',
            user=text(reader.object('user').get('username')) or '',
            summary=reader.document('summaryMetrics'),
            damaged=reader.damaged,
        )


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

    @classmethod
    def parse(cls, node: Mapping[str, Any], gpu_count_key: str | None = None) -> GpuReadings | None:
        """Return GPU readings from a node of the runs connection, None for a node without id."""
        run_id = text(node.get('name'))
        if run_id is None:
            return None
        reader = _Reader(node)
        gpu_type, gpus = _hardware(reader, gpu_count_key)
        readings: dict[str, list[float]] = {'gpu': [], 'memoryAllocated': []}
        for key, raw in reader.document('systemMetrics').items():
            match = _READING.fullmatch(key)
            if match and (value := number(raw)) is not None:
                readings[match[2]].append(value)
        return cls(
            id=run_id,
            heartbeat=timestamp(node.get('heartbeatAt')),
            gpu_type=gpu_type,
            gpus=gpus,
            utilization=tuple(readings['gpu']),
            memory=tuple(readings['memoryAllocated']),
            damaged=reader.damaged,
        )


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
        return self._known(mapping, value) or {}

    def object(self, key: str) -> Mapping[str, Any]:
        """A nested object; empty as above."""
        return self._known(mapping, self.node.get(key)) or {}

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty as above."""
        listed = self._known(items, self.node.get(key)) or ()
        return tuple(found for item in listed if (found := text(item)) is not None)

    def _known(self, read: Callable[[Any], T | None], value: Any) -> T | None:
        found = read(value)
        self.damaged = self.damaged or (found is None and value is not None)
        return found


def _hardware(reader: _Reader, gpu_count_key: str | None) -> tuple[str, float | None]:
    """GPU type and number of GPUs. The number is None when the answer has no `runInfo` field at all (old servers)."""
    info = reader.object('runInfo')
    gpus = amount(info.get('gpuCount'))
    if gpus is None and 'runInfo' in reader.node:
        gpus = 0.0
    if gpu_count_key is not None:
        entry = reader.document('config').get(gpu_count_key)
        # W&B wraps every configuration value: {"key": {"value": 16, "desc": null}}.
        stated = amount(entry.get('value') if isinstance(entry, Mapping) else entry)
        gpus = gpus if stated is None else stated
    return gpu_of_product(text(info.get('gpu'))), gpus


def number_at(values: Mapping[str, Any], key: str) -> float | None:
    """Return the number under a key of a summary: looked up literally, then as a path of keys joined by dots."""
    if key in values:
        return number(values[key])
    value: Any = values
    for part in key.split('.'):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return number(value)
