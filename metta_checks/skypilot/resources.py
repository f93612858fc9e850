"""SkyPilot's resource strings.

A request reads `2x[L4:4][Spot]`, `1x[CPU:4+]`, `1x[A100:8, H100:8][On-demand|Spot]`; what was launched reads
`2x[spot](gpus=L4:4, g6.12xlarge, ...)`, or `1x(cpus=4, mem=16, m6i.xlarge, ...)`. `-` stands for nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeGuard

from ..core.accelerators import gpu_of_catalog
from ..core.fields import mapping, number

SPOT = 'spot'
ON_DEMAND = 'ondemand'
UNKNOWN = 'unknown'
# No machine has so many of anything.
MAX_COUNT = 1e6

_NODES = re.compile(r'\s*(\d{1,6})\s*x')
_MARKET = re.compile(r'\[\s*(spot|on-demand\s*\|\s*spot|spot\s*\|\s*on-demand)\s*\]', re.IGNORECASE)
_ACCELERATOR = re.compile(r'([A-Za-z][\w.-]*)\s*:\s*(\d{1,6}(?:\.\d{1,6})?)(?![\w.+-])')
_REQUEST = re.compile(r'\[([^\]]*)\]')
_LAUNCHED = re.compile(r'\((.*)\)', re.DOTALL)
# Parts of a launched string that are no instance type, and what marks one that was cut to 15 characters.
_NO_TYPE = ('gpus', 'cpus', 'mem', 'disk', 'disk_tier', 'image_id', 'ports')
_CUT = '...'


@dataclass(frozen=True, slots=True)
class Resources:
    """What a resource string says.

    accelerators: GPUs per node by lower-case name, of a request every choice; empty for CPU machines
    instance_type: of a launched cluster, None where the string has none or cuts it off
    """

    nodes: int = 1
    market: str = ON_DEMAND
    accelerators: Mapping[str, float] = field(default_factory=dict)
    instance_type: str | None = None

    @classmethod
    @lru_cache(maxsize=4096)
    def parse(cls, text: str) -> Resources:
        """Read a resource string of either kind. Of an unknown form, the parts that are known are taken."""
        nodes = _NODES.match(text)
        body = _NODES.sub('', text, count=1)
        market = _MARKET.search(body)
        body = _MARKET.sub('', body)
        launched = _LAUNCHED.search(body)
        if launched:
            inside = launched[1]
            part = next((piece for piece in _pieces(inside) if piece.startswith('gpus=')), '')
            accelerators = parse_accelerators(part.removeprefix('gpus='))
        else:
            request = _REQUEST.search(body)
            accelerators = parse_accelerators(request[1] if request else body)
        return cls(
            nodes=int(nodes[1]) if nodes and int(nodes[1]) > 0 else 1,
            market=_market(market[1] if market else None),
            accelerators=accelerators,
            instance_type=_instance_type(launched[1]) if launched else None,
        )


def is_stated(text: str | None) -> TypeGuard[str]:
    """Return whether a resource string says anything: `-` and nothing do not."""
    return bool(text and text.strip() != '-')


def parse_accelerators(value: Any) -> dict[str, float]:
    """GPUs per node by lower-case name from {'L4': 4}, its text as Python writes it, or `L4:4, A10G:1`.

    Returns {} for null, `None` and what cannot be understood.
    """
    if isinstance(value, str):
        value = _from_text(value)
    counts: dict[str, float] = {}
    for name, count in (mapping(value) or {}).items():
        # CPU:4+ is a request for processors.
        if _is_count(count) and str(name).upper() != 'CPU':
            gpu = gpu_of_catalog(str(name))
            counts[gpu] = counts.get(gpu, 0) + count
    return counts


def is_unclear(value: Any) -> bool:
    """Whether something is said of accelerators that cannot be understood, so that GPUs may be missing."""
    if isinstance(value, str):
        stated = is_stated(value) and value.strip() not in ('None', '{}')
        value = _from_text(value)
        if not value:
            return stated
    if value is None:
        return False
    return not isinstance(value, Mapping) or not all(map(_is_count, value.values()))


def _is_count(value: Any) -> bool:
    return 0 < (number(value) or 0) < MAX_COUNT


def _from_text(text: str) -> Any:
    text = text.strip()
    if text.startswith('{'):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return {name: float(count) for name, count in _ACCELERATOR.findall(text)}


def _market(said: str | None) -> str:
    if said is None:
        return ON_DEMAND
    return UNKNOWN if '|' in said else SPOT


def _pieces(inside: str) -> list[str]:
    return [piece.strip() for piece in inside.split(',')]


def _instance_type(inside: str) -> str | None:
    for piece in _pieces(inside):
        if piece and piece != _CUT and piece.partition('=')[0] not in _NO_TYPE:
            return None if piece.endswith(_CUT) else piece
    return None
