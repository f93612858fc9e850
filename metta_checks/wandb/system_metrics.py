"""The latest system metrics of a run: readings of GPUs, by the label of the process that logs and the GPU's index."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.fields import number

UTILIZATION = 'gpu'
MEMORY = 'memoryAllocated'
# Labels tell the processes of a run in shared mode apart.
_KEY = re.compile(r'system\.gpu\.(process\.)?(\d{1,5})\.(\w+)(?:/l:(.+))?')


class Gpu(NamedTuple):
    """A GPU as a process numbers it. Two labels may mean the same GPU, or GPUs of two machines."""

    label: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class SystemMetrics:
    """The latest readings of the GPUs that a run sees.

    Attributes:
        readings: by GPU, the numbers by name, such as `gpu` (utilization in percent)
        held: the GPUs on which processes of the run work; without any, the run may hold none, or the SDK cannot tell
    """

    readings: Mapping[Gpu, Mapping[str, float]]
    held: frozenset[Gpu]

    @classmethod
    def parse(cls, metrics: Mapping[str, Any]) -> SystemMetrics:
        """Return the readings in a run's system metrics. Values that are not numbers are left out."""
        readings: dict[Gpu, dict[str, float]] = defaultdict(dict)
        held = set()
        for key, raw in metrics.items():
            match = _KEY.fullmatch(key)
            if match is None or (value := number(raw)) is None:
                continue
            process, index, name, label = match.groups()
            gpu = Gpu(label or '', int(index))
            if process:
                held.add(gpu)
            else:
                readings[gpu][name] = value
        return cls(dict(readings), frozenset(held))

    @property
    def labels(self) -> int:
        """Number of labels."""
        return len({gpu.label for gpu in (*self.readings, *self.held)})

    def count(self, on_machine: float) -> float | None:
        """Return the number of GPUs of the run's machines, 0 without readings; None when labels may share a machine.

        `on_machine` is the number of GPUs of the machine that started the run.
        """
        indexes = {gpu.ordinal for gpu in self.readings}
        if len(indexes) == len(self.readings):
            return max(on_machine, len(indexes))
        if not self.held:
            return None
        # Labels that hold the same index are on different machines.
        machines = max(Counter(gpu.ordinal for gpu in self.held).values())
        return machines * max(on_machine, len(indexes))
