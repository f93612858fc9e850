"""Records of W&B: projects, runs, GPU readings and the user of the key, parsed once from the nodes of its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ..core import bounded_json
from ..core.fields import amount, items, mapping, moment, number, text
from .answers import Unreadable
from .hardware import Hardware, unwrapped
from .keys import value_at
from .run_times import RunTimes, run_times
from .system_metrics import SystemMetrics

T = TypeVar('T')

# States of a run. Other states, which a server may have, are neither live nor ended. A preempting run still works: its
# machine is about to be taken away.
ACTIVE_STATES = ('running', 'preempting')
LIVE_STATES = (*ACTIVE_STATES, 'pending')
ENDED_STATES = ('finished', 'failed', 'crashed', 'killed', 'preempted')
STATES = (*LIVE_STATES, *ENDED_STATES)
# Fields that are null for some runs. A null in place of one that W&B could not read would tell something else.
_NEEDED_FIELDS = ('heartbeatAt', 'computeSeconds')


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
    times: RunTimes
    hardware: Hardware
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
        """Return a run from a node of the runs connection, None for a node without id, state or times.

        `gpu_count_key` names the configuration key that holds the number of GPUs of the run.
        """
        run_id, state, created = text(node.get('name')), text(node.get('state')), moment(node.get('createdAt'))
        if run_id is None or state is None or created is None or _lacks_times(node):
            return None
        reader = _NodeReader(node)
        heartbeat = moment(node.get('heartbeatAt'))
        summary = reader.document('summaryMetrics')
        return cls(
            id=run_id,
            name=reader.text('displayName'),
            state=state.lower(),
            created=created,
            heartbeat=heartbeat,
            times=run_times(
                created.timestamp(),
                None if heartbeat is None else heartbeat.timestamp(),
                amount(node.get('computeSeconds')),
                summary,
            ),
            hardware=_hardware(reader, reader.system_metrics(), gpu_count_key),
            group=reader.text('group'),
            job_type=reader.text('jobType'),
            tags=reader.texts('tags'),
            sweep=reader.text('sweepName'),
            user=text(reader.object('user').get('username')) or '',
            summary=summary,
            damaged=reader.damaged,
        )


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """The latest system metrics of an active run, and its GPUs."""

    id: str
    heartbeat: datetime | None
    hardware: Hardware
    metrics: SystemMetrics
    damaged: bool = False

    @classmethod
    def parse(cls, node: Mapping[str, Any], gpu_count_key: str | None = None) -> GpuReadings | None:
        """Return GPU readings from a node of the runs connection, None for a node without id or heartbeat."""
        run_id = text(node.get('name'))
        if run_id is None or _lacks_times(node):
            return None
        reader = _NodeReader(node)
        metrics = reader.system_metrics()
        return cls(
            id=run_id,
            heartbeat=moment(node.get('heartbeatAt')),
            hardware=_hardware(reader, metrics, gpu_count_key),
            metrics=metrics,
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

    def __post_init__(self) -> None:
        self.damaged = any(isinstance(value, Unreadable) for value in self.node.values())

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

    def system_metrics(self) -> SystemMetrics:
        """Return the latest system metrics; empty when the field is missing, null or damaged."""
        return SystemMetrics.parse(self.document('systemMetrics'))

    def object(self, key: str) -> Mapping[str, Any]:
        """Return a nested object; empty when the field is missing, null or damaged."""
        return self.optional_object(key) or {}

    def optional_object(self, key: str) -> Mapping[str, Any] | None:
        """Return a nested object, None when the field is missing, null or damaged."""
        return self._checked(mapping, self.node.get(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the strings of a list; empty when the field is missing, null or damaged."""
        listed = self._checked(items, self.node.get(key)) or ()
        return tuple(found for item in listed if (found := text(item)) is not None)

    def _checked(self, read: Callable[[Any], T | None], value: Any) -> T | None:
        found = read(value)
        self.damaged = self.damaged or (found is None and value is not None)
        return found


def _lacks_times(node: Mapping[str, Any]) -> bool:
    return any(isinstance(node.get(key), Unreadable) for key in _NEEDED_FIELDS)


def _hardware(reader: _NodeReader, metrics: SystemMetrics, gpu_count_key: str | None) -> Hardware:
    config = unwrapped(reader.document('config'))
    return Hardware.of(reader.optional_object('runInfo'), reader.text('host'), config, metrics, gpu_count_key)


def number_at(values: Mapping[str, Any], key: str) -> float | None:
    """Return the number under a key of a summary: looked up literally, then as a path of keys joined by dots."""
    return number(value_at(values, key))
