"""The GPUs that a run has, as its metadata, its system metrics and its configuration tell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.accelerators import UNKNOWN_GPU, accelerator_type
from ..core.fields import amount, decimal, items, mapping, text
from .keys import value_at
from .system_metrics import SystemMetrics

# Part of the configuration that the SDK writes itself.
SDK_KEY = '_wandb'
# Type of the GPUs of a machine that has several types.
MIXED_GPUS = 'mixed'
# A larger number of GPUs is damage.
MAX_GPUS = 1_000_000
# The field of a GPU's id in the list of each vendor's GPUs.
_ID_FIELDS = {'gpu_nvidia': 'uuid', 'gpu_amd': 'uniqueId'}
_DIGEST_BYTES = 6


class Hardware(NamedTuple):
    """The GPUs of the machines that a run logs from.

    Attributes:
        gpu_type: the type of the GPUs
        gpus: the number of GPUs of these machines; None when it is unknown
        declared: the number of GPUs of the run itself, from its configuration; None without option
            `gpu_count_config_key`
        host: the name of the machine; empty when it is unknown or several machines may have it
        gpu_ids: digests of the ids of the GPUs; empty when they are unknown
        holds: True when the system metrics name a GPU on which a process of the run works
    """

    gpu_type: str = UNKNOWN_GPU
    gpus: float | None = None
    declared: float | None = None
    host: str = ''
    gpu_ids: tuple[str, ...] = ()
    holds: bool = False

    @classmethod
    def of(
        cls,
        info: Mapping[str, Any] | None,
        host: str,
        config: Mapping[str, Any],
        metrics: SystemMetrics,
        count_key: str | None = None,
    ) -> Hardware:
        """Return the hardware of a run.

        Args:
            info: the field `runInfo`; None when the server does not send it
            host: the field `host`; empty when the server does not send it
            config: the configuration, unwrapped
            metrics: the latest system metrics
            count_key: the key of the configuration that holds the number of GPUs of the run itself
        """
        present = _present(_writers(config), max(1, metrics.labels))
        gpu_ids = sorted({gpu_id for writer in present for gpu_id in writer.gpu_ids})
        known = gpu_ids and all(not writer.gpus or len(writer.gpu_ids) == writer.gpus for writer in present)
        return cls(
            gpu_type=_type(_product(info) or next((writer.product for writer in present if writer.product), None)),
            gpus=float(len(gpu_ids)) if known else _count(info, present, metrics),
            declared=None if count_key is None else _declared(config, count_key),
            host=(host or (present[0].host if len(present) == 1 else '')).lower(),
            gpu_ids=tuple(gpu_ids) if known else (),
            holds=bool(metrics.held),
        )

    @property
    def demand(self) -> float | None:
        """Number of GPUs that the run itself asks for; None when it is unknown."""
        return self.gpus if self.declared is None else self.declared


@dataclass(frozen=True, slots=True)
class _Writer:
    """A process that writes to a run, with its machine. A resumed run keeps the writers of machines that it left."""

    host: str
    started: str
    product: str
    gpus: float | None
    gpu_ids: tuple[str, ...]

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> _Writer:
        return cls(
            host=text(entry.get('host')) or '',
            started=text(entry.get('startedAt')) or '',
            product=text(entry.get('gpu')) or '',
            gpus=_sane(amount(entry.get('gpu_count'))),
            gpu_ids=tuple(_ids(entry)),
        )


def unwrapped(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without W&B's wrapping of each value: {"key": {"value": 16, "desc": null}}."""
    values = {}
    for key, entry in config.items():
        wrapper = mapping(entry)
        values[key] = entry if wrapper is None else wrapper.get('value')
    return values


def _writers(config: Mapping[str, Any]) -> list[_Writer]:
    entries = mapping((mapping(config.get(SDK_KEY)) or {}).get('e')) or {}
    return [_Writer.parse(entry) for found in entries.values() if (entry := mapping(found)) is not None]


def _present(writers: Sequence[_Writer], number: int) -> list[_Writer]:
    """Return the writers that started last: one, or one per label of a run in shared mode."""
    return sorted(writers, key=lambda writer: writer.started)[-number:]


def _ids(entry: Mapping[str, Any]) -> Iterable[str]:
    for field, key in _ID_FIELDS.items():
        for gpu in items(entry.get(field)) or ():
            if (gpu_id := text((mapping(gpu) or {}).get(key))) is not None:
                yield hashlib.blake2s(gpu_id.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _product(info: Mapping[str, Any] | None) -> str | None:
    return None if info is None else text(info.get('gpu'))


def _type(product: str | None) -> str:
    """Return the type of a machine's GPUs. W&B writes one name, or a list of the names of all GPUs in brackets."""
    names = (product or '').strip('[] ').split(',')
    types = {accelerator_type(name) for name in names}
    return next(iter(types)) if len(types) == 1 else MIXED_GPUS


def _count(info: Mapping[str, Any] | None, writers: Sequence[_Writer], metrics: SystemMetrics) -> float | None:
    """Return the number of GPUs of the machines of a run without known GPU ids; None when it is unknown."""
    by_host: dict[str, float] = {}
    for writer in writers:
        if writer.host and writer.gpus is not None:
            by_host[writer.host] = max(by_host.get(writer.host, 0.0), writer.gpus)
    if len(writers) > 1 and all(writer.host in by_host for writer in writers):
        return sum(by_host.values())
    on_machine = _sane(amount((info or {}).get('gpuCount'))) or 0.0
    count = metrics.count(on_machine)
    if count == 0 and (info is None or _product(info) is not None):
        # No metadata, or a name without a number.
        return None
    return count


def _declared(config: Mapping[str, Any], key: str) -> float | None:
    value = value_at(config, key)
    return _sane(amount(decimal(value) if isinstance(value, str) else value))


def _sane(count: float | None) -> float | None:
    return count if count is not None and count <= MAX_GPUS else None
