"""Records of W&B: projects, runs, GPU readings and the user of the key, parsed once from the nodes of its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ..core import bounded_json
from ..core.accelerators import accelerator_type
from ..core.fields import amount, items, mapping, moment, number, text

T = TypeVar('T')

# States of a run. Other states, which a server may have, are neither live nor ended.
LIVE_STATES = ('running', 'pending', 'preempting')
ENDED_STATES = ('finished', 'failed', 'crashed', 'killed', 'preempted')
STATES = (*LIVE_STATES, *ENDED_STATES)

_READING = re.compile(r'system\.gpu\.(\d+)\.(gpu|memoryAllocated)(?:/l:.+)?')


@dataclass(frozen=True, slots=True)
class Project:
    """A project of an entity."""

    entity: str
    name: str

    @property
    def key(self) -> str:
        """The name, which is unique within the entity."""
        return self.name

    @property
    def tags(self) -> dict[str, str]:
        """The base tags of the figures of the project."""
        return {'entity': self.entity, 'project': self.name}


@dataclass(frozen=True, slots=True)
class Run:
    """A run as W&B lists it."""

    # The run id, unique in its project (W&B calls it `name`).
    id: str
    name: str
    state: str
    created: datetime
    # The last heartbeat; None for runs that never logged, such as pending ones.
    heartbeat: datetime | None
    # Running time without pauses, over all resumes; None on servers that do not send it.
    compute_seconds: float | None
    gpu_type: str
    # GPUs of the logging process; None when the server does not send the number.
    gpus: float | None
    group: str
    job_type: str
    tags: tuple[str, ...]
    sweep: str
    user: str
    summary: Mapping[str, Any]
    # True when a field could not be read, such as a summary that is not JSON. The field counts as empty.
    damaged: bool = False

    @classmethod
    def parse(cls, node: Mapping[str, Any], gpu_count_key: str | None = None) -> Run | None:
        """Return a run from a node of the runs connection, None for a node without id, state or creation time.

        `gpu_count_key` names the configuration key that holds the true number of GPUs.
        """
        run_id, state, created = text(node.get('name')), text(node.get('state')), moment(node.get('createdAt'))
        if run_id is None or state is None or created is None:
            return None
        reader = _NodeReader(node)
        gpu_type, gpus = _hardware(reader, gpu_count_key)
        return cls(
            id=run_id,
            name=reader.text('displayName'),
            state=state.lower(),
            created=created,
            heartbeat=moment(node.get('heartbeatAt')),
            compute_seconds=amount(node.get('computeSeconds')),
            gpu_type=gpu_type,
            gpus=gpus,
            group=reader.text('group'),
            job_type=reader.text('jobType'),
            tags=reader.texts('tags'),
            sweep=reader.text('sweepName'),
            user=text(reader.object('user').get('username')) or '',
            summary=reader.document('summaryMetrics'),
            damaged=reader.damaged,
        )


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """The latest system metrics of a running run."""

    id: str
    heartbeat: datetime | None
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
        reader = _NodeReader(node)
        gpu_type, gpus = _hardware(reader, gpu_count_key)
        readings = _gpu_readings(reader.document('systemMetrics'))
        return cls(
            id=run_id,
            heartbeat=moment(node.get('heartbeatAt')),
            gpu_type=gpu_type,
            gpus=gpus,
            utilization=tuple(readings['gpu']),
            memory=tuple(readings['memoryAllocated']),
            damaged=reader.damaged,
        )


@dataclass(frozen=True, slots=True)
class Viewer:
    """The user of an API key; the name is empty for service accounts."""

    username: str

    @classmethod
    def parse(cls, node: Mapping[str, Any]) -> Viewer:
        """Return the viewer of an answer."""
        return cls(text(node.get('username')) or '')


@dataclass(slots=True)
class _NodeReader:
    """Reads the fields of one node. `damaged` becomes True when a compound field has another type or is not JSON."""

    node: Mapping[str, Any]
    damaged: bool = field(default=False)

    def text(self, key: str) -> str:
        """Return text; empty when the field is missing, null or of another type."""
        return text(self.node.get(key)) or ''

    def document(self, key: str) -> Mapping[str, Any]:
        """Return the object in a JSONString field; empty when the field is missing, null or damaged."""
        value: Any = self.node.get(key)
        if (encoded := text(value)) is not None:
            try:
                value = bounded_json.loads(encoded)
            except (ValueError, RecursionError):
                self.damaged = True
                return {}
        return self._checked(mapping, value) or {}

    def object(self, key: str) -> Mapping[str, Any]:
        """Return a nested object; empty when the field is missing, null or damaged."""
        return self._checked(mapping, self.node.get(key)) or {}

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the strings of a list; empty when the field is missing, null or damaged."""
        listed = self._checked(items, self.node.get(key)) or ()
        return tuple(found for item in listed if (found := text(item)) is not None)

    def _checked(self, read: Callable[[Any], T | None], value: Any) -> T | None:
        found = read(value)
        self.damaged = self.damaged or (found is None and value is not None)
        return found


def _gpu_readings(system: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the readings of all GPUs by kind: `gpu` is the utilization, `memoryAllocated` the share of memory."""
    readings: dict[str, list[float]] = {'gpu': [], 'memoryAllocated': []}
    for key, raw in system.items():
        match = _READING.fullmatch(key)
        if match and (value := number(raw)) is not None:
            readings[match[2]].append(value)
    return readings


def _hardware(reader: _NodeReader, gpu_count_key: str | None) -> tuple[str, float | None]:
    """Return GPU type and number of GPUs. The number is None when old servers do not know the field `runInfo`."""
    info = reader.object('runInfo')
    gpus = amount(info.get('gpuCount'))
    if gpus is None and 'runInfo' in reader.node:
        gpus = 0.0
    if gpu_count_key is not None:
        configured = _configured_gpus(reader.document('config').get(gpu_count_key))
        gpus = gpus if configured is None else configured
    return accelerator_type(text(info.get('gpu'))), gpus


def _configured_gpus(entry: Any) -> float | None:
    # W&B wraps every configuration value: {"key": {"value": 16, "desc": null}}.
    wrapper = mapping(entry)
    return amount(entry if wrapper is None else wrapper.get('value'))


def number_at(values: Mapping[str, Any], key: str) -> float | None:
    """Return the number under a key of a summary: looked up literally, then as a path of keys joined by dots."""
    if key in values:
        return number(values[key])
    value: Any = values
    for part in key.split('.'):
        value = (mapping(value) or {}).get(part)
    return number(value)
