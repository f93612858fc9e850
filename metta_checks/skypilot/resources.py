"""SkyPilot's resource strings: the machines that were requested or launched, in the notation of the server.

A request reads `2x[L4:4][Spot]`, `1x[CPU:4+]`, `1x[A100:8, H100:8][On-demand|Spot]`; what was launched reads
`2x[spot](gpus=L4:4, g6.12xlarge, ...)`, or `1x(cpus=4, mem=16, m6i.xlarge, ...)`. `-` stands for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from ..core import bounded_json
from ..core.accelerators import accelerator_of_catalog
from ..core.fields import mapping, number
from ..core.fields import text as text_of

SPOT = 'spot'
ON_DEMAND = 'ondemand'
UNKNOWN = 'unknown'
# A larger number of GPUs per node is damage.
MAX_COUNT = 1e6
# More types of accelerators on one node are damage.
MAX_TYPES = 1000

_NODES = re.compile(r'\s*(\d{1,6})\s*x')
_MARKET = re.compile(r'\[\s*(spot|on-demand\s*\|\s*spot|spot\s*\|\s*on-demand)\s*\]', re.IGNORECASE)
_ACCELERATOR = re.compile(r'([A-Za-z][\w.-]*)\s*:\s*(\d{1,6}(?:\.\d{1,6})?)(?![\w.+-])')
_REQUEST = re.compile(r'\[([^\]]*)\]')
_LAUNCHED = re.compile(r'\((.*)\)', re.DOTALL)
# The names of parts of a launched string other than the instance type.
_NAMED_PARTS = ('gpus', 'cpus', 'mem', 'disk', 'disk_tier', 'image_id', 'ports')
# Ends an instance type that the server cut to 15 characters.
_CUT = '...'
# The parts that describe the size of a machine without an instance type.
_SIZE_PARTS = ('cpus', 'mem')


@dataclass(frozen=True, slots=True)
class Resources:
    """The machines that a resource string describes.

    Attributes:
        nodes: number of machines
        market: `spot`, `ondemand`, or `unknown` for a request of either one
        accelerators: GPUs per node by lower-case name; every alternative of a request; empty for CPU machines
        instance_type: of a launched cluster; on Kubernetes, Slurm and SSH pools, which have none, the size of the
            machines (`cpus=4, mem=16`); None where the string omits it or cuts it off
    """

    nodes: int = 1
    market: str = ON_DEMAND
    accelerators: Mapping[str, float] = field(default_factory=dict)
    instance_type: str | None = None

    @classmethod
    @lru_cache(maxsize=4096)
    def parse(cls, text: str) -> Resources:
        """Return the machines in a resource string of either kind. Unknown parts are left out."""
        nodes = _NODES.match(text)
        body = _NODES.sub('', text, count=1)
        market = _MARKET.search(body)
        body = _MARKET.sub('', body)
        launched = _LAUNCHED.search(body)
        parts = _parts(launched[1]) if launched else None
        return cls(
            nodes=int(nodes[1]) if nodes and int(nodes[1]) > 0 else 1,
            market=_market(market[1]) if market else ON_DEMAND,
            accelerators=_requested(body) if parts is None else _launched(parts),
            instance_type=None if parts is None else _instance_type(parts),
        )


class Machine(NamedTuple):
    """The kind of machine that a price is for.

    Attributes:
        cloud: name in lower case
        instance_type: see Resources
        region: region or Kubernetes context; None where the server omits it
        market: `spot`, `ondemand` or `unknown`
        accelerators: accelerators of the machine by type, sorted. Google Cloud attaches different ones to the same
            instance type
    """

    cloud: str
    instance_type: str | None
    region: str | None
    market: str
    accelerators: tuple[tuple[str, float], ...]

    @classmethod
    def of(
        cls, cloud: str | None, region: str | None, described: Resources, accelerators: Mapping[str, float]
    ) -> Machine:
        """Return the kind of a machine that a resource string describes."""
        return cls(
            (cloud or UNKNOWN).lower(),
            described.instance_type,
            region,
            described.market,
            tuple(sorted((name, float(count)) for name, count in accelerators.items())),
        )


def is_stated(text: str | None) -> TypeGuard[str]:
    """Return False for a missing resource string and for `-`."""
    return bool(text and text.strip() != '-')


def is_launched(text: str | None) -> bool:
    """Return True for the resource string of machines that were launched, False for a request, `-` and nothing."""
    return text is not None and _LAUNCHED.search(text) is not None


def parse_accelerators(value: Any) -> dict[str, float]:
    """Return accelerators per node by type from {'L4': 4}, its text as Python writes it, or `L4:4, A10G:1`.

    A slice of TPUs counts its chips. Returns {} for null, `None` and an unknown notation.
    """
    if isinstance(value, str):
        value = _from_text(value)
    counts: dict[str, float] = {}
    for name, count in (mapping(value) or {}).items():
        # CPU:4+ is a request for processors.
        if _is_count(count) and str(name).upper() != 'CPU':
            gpu, chips = accelerator_of_catalog(str(name))
            counts[gpu] = counts.get(gpu, 0) + count * chips
    return counts


def is_unclear(value: Any) -> bool:
    """Return True for accelerators in an unknown notation, so that GPUs may be missing."""
    if isinstance(value, str):
        return _is_unclear_text(value)
    if value is None:
        return False
    counts = mapping(value)
    return counts is None or not all(map(_is_count, counts.values()))


def _is_unclear_text(text: str) -> bool:
    counts = _from_text(text)
    return is_unclear(counts) if counts else is_stated(text) and text.strip() not in ('None', '{}')


def _is_count(value: Any) -> bool:
    return 0 < (number(value) or 0) < MAX_COUNT


def _from_text(text: str) -> Any:
    text = text.strip()
    if text.startswith('{'):
        # Read as JSON with the other quotation marks. The module `ast` must not be used: in Python 3.11 it raises
        # SystemError in a process whose threads use it at the same time (https://github.com/python/cpython/issues/106905).
        try:
            return bounded_json.loads(text.replace("'", '"'), MAX_TYPES)
        except (ValueError, RecursionError):
            return None
    return {name: float(count) for name, count in _ACCELERATOR.findall(text)}


def _market(stated: str) -> str:
    return UNKNOWN if '|' in stated else SPOT


def _requested(body: str) -> dict[str, float]:
    request = _REQUEST.search(body)
    return parse_accelerators(request[1] if request else body)


def _launched(parts: list[str]) -> dict[str, float]:
    gpus = next((part for part in parts if part.startswith('gpus=')), '')
    return parse_accelerators(gpus.removeprefix('gpus='))


def _parts(inside: str) -> list[str]:
    return [part.strip() for part in inside.split(',')]


def _instance_type(parts: list[str]) -> str | None:
    for part in parts:
        if part and part != _CUT and part.partition('=')[0] not in _NAMED_PARTS:
            return None if part.endswith(_CUT) else part
    return ', '.join(part for part in parts if part.partition('=')[0] in _SIZE_PARTS) or None


def capitals(status: str) -> str:
    """Return a status in capitals. Very old servers write `ManagedJobStatus.RUNNING` for `RUNNING`."""
    return status.rpartition('.')[2].upper()


def place(value: Any) -> str | None:
    """Return the name of a cloud or region, None for the notations of nothing."""
    stated = text_of(value)
    return None if stated in (None, '-', 'None') else stated
