"""The machines that runs log from, their GPUs, and the readings of the SDK's system monitor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any

# Total memory in bytes of every GPU, which no figure depends on.
MEMORY = 24 * 2**30
NO_CPU_READINGS: Mapping[str, float] = {'system.cpu': 12.0}


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine: its host name, which need not be unique, and its GPUs.

    Attributes:
        host: host name
        product: product name of the GPUs; None without GPUs
        uuids: uuids of the GPUs, by index
    """

    host: str
    product: str | None = None
    uuids: tuple[str, ...] = ()

    @classmethod
    def of(cls, host: str, product: str | None, gpus: int, serial: str = '') -> Machine:
        """Return a machine. `serial` tells machines of the same host name apart."""
        return cls(host, product, tuple(uuid_of(f'{serial or host}/{index}') for index in range(gpus)))


def uuid_of(text: str) -> str:
    """Return the uuid of a GPU, always the same for the same text."""
    digits = md5(text.encode(), usedforsecurity=False).hexdigest()
    return f'GPU-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}'


@dataclass(frozen=True, slots=True)
class Writer:
    """A process with the SDK that logs to a run.

    Attributes:
        machine: the machine of the process
        held: indexes of the GPUs that the process and its children use; None: all of the machine
        label: label of the writer in a run that several write to (`x_label`), '' without
        sends_environment: the SDK writes the machine into the configuration of the run, as it does since 0.19
    """

    machine: Machine
    held: tuple[int, ...] | None = None
    label: str = ''
    sends_environment: bool = True

    @property
    def held_indexes(self) -> tuple[int, ...]:
        """Indexes of the GPUs that the process uses."""
        return tuple(range(len(self.machine.uuids))) if self.held is None else self.held

    @property
    def held_uuids(self) -> frozenset[str]:
        """Uuids of the GPUs that the process uses."""
        return frozenset(self.machine.uuids[index] for index in self.held_indexes)

    def environment(self, started: datetime) -> dict[str, Any]:
        """Return the machine as the SDK writes it into the run's configuration, under `_wandb.value.e`."""
        machine = self.machine
        found: dict[str, Any] = {
            'os': 'Linux-6.8.0-x86_64-with-glibc2.39',
            'python': 'CPython 3.12.4',
            'host': machine.host,
            'startedAt': f'{started:%Y-%m-%dT%H:%M:%S}Z',
            'cpu_count': 16,
            'cpu_count_logical': 32,
            'writerId': self.id,
        }
        if machine.uuids:
            found['gpu'] = machine.product
            found['gpu_count'] = len(machine.uuids)
            found['gpu_nvidia'] = [
                {'name': machine.product, 'memoryTotal': str(MEMORY), 'uuid': uuid} for uuid in machine.uuids
            ]
        return found

    @property
    def id(self) -> str:
        """The id of the writer."""
        text = f'{self.machine.host}/{self.label}/{self.held}/{self.machine.uuids}'
        return md5(text.encode(), usedforsecurity=False).hexdigest()[:20]

    def readings(self, busy: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        """Yield the keys and values of the system metrics.

        The keys `gpu.N` are about the machine, whoever uses its GPUs; `gpu.process.N` are there for the GPUs alone that
        the process uses.

        Args:
            busy: percentage of utilization of the GPUs, by uuid
        """
        suffix = f'/l:{self.label}' if self.label else ''
        for index, uuid in enumerate(self.machine.uuids):
            percent = busy.get(uuid, 0.0)
            prefixes = [f'system.gpu.{index}']
            if index in self.held_indexes:
                prefixes.append(f'system.gpu.process.{index}')
            for prefix in prefixes:
                for name, value in _of_gpu(percent).items():
                    yield f'{prefix}.{name}{suffix}', value


def _of_gpu(percent: float) -> dict[str, float]:
    """Return the readings of a GPU that is busy to this percentage."""
    return {
        'gpu': round(percent, 1),
        'memoryAllocated': round(min(97.0, 20 + percent * 0.7), 1),
        'temp': 61.0,
        'powerWatts': round(70 + percent * 6.2, 1),
        'enforcedPowerLimitWatts': 700.0,
        'smActive': round(percent * 0.88, 1),
        'correctedMemoryErrors': 0.0,
        'uncorrectedMemoryErrors': 0.0,
    }
