"""One vocabulary of accelerators for all sources: the values of the tag `gpu_type`.

NVIDIA's driver, the labels of Kubernetes, EC2, SkyPilot and W&B spell one product in different ways. A name here stands
for one product. The memory size belongs to it where the product is sold with several sizes. The form factor (SXM, PCIe,
OAM) does not, because EC2 and most clouds of SkyPilot do not tell it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from datadog_checks.base import ConfigurationError

from .accelerator_names import ALIASES, NAMES, SIZES

UNKNOWN_GPU = 'unknown'
NO_GPU = 'none'
# A request that any of several GPUs satisfies.
ANY_GPU = 'any'
MAX_LENGTH = 48

# Names of vendors and product lines, form factors, and words that describe every product of a line.
_VENDORS = frozenset({'nvidia', 'amd', 'intel'})
_NOISE_WORDS = """
nvidia tesla geforce grid amd instinct corporation r tm gpu graphics device card data center series
generation edition server workstation blackwell shared nvlink mega plus
sxm sxm2 sxm3 sxm4 sxm5 sxm6 pcie oam hbm2 hbm2e hbm3 hbm3e mcm ac mba vf hf
"""
_NOISE = frozenset(_NOISE_WORDS.split())
_TPU_OWNERS = frozenset({'cloud', 'google'})
_TPU_NOISE = frozenset({'tpu', 'slice', 'podslice', 'device', 'pod'}) | _TPU_OWNERS
_SEPARATORS = re.compile(r'[^\w.+]+|_+')
# SkyPilot and some clouds write RTX4090, RTXPRO6000, QRTX8000, RTX3080Ti.
_JOINED = re.compile(r'(q?)(rtx|gtx)(pro)?(\w+)')
_VARIANT = re.compile(r'(\d{3,4})(ti|super|s|d)')
_VARIANTS = MappingProxyType({'s': 'super'})
_MEMORY = re.compile(r'(\d{1,4})(?:g|gb|gib)')
_TPU_GENERATION = re.compile(r'(?:tpu)?v?(\d+)([a-z]*)')
_TPU_IN_CATALOG = re.compile(r'tpu-(v\d+\w*)-(\d{1,6})')
_TPUS_SIZED_IN_CORES = frozenset({'v2', 'v3', 'v4', 'v5p'})
_TPU_VARIANTS = MappingProxyType({'5lite': 'v5e', '5litepod': 'v5e', '7': 'v7x'})
_TPU_CODENAMES = MappingProxyType({'trillium': 'tpu-v6e', 'ironwood': 'tpu-v7x'})
_KNOWN = MappingProxyType({**{name.replace('-', ''): name for name in NAMES}, **ALIASES})


@lru_cache(maxsize=1024)
def accelerator_type(name: str | None, memory_mib: float | None = None) -> str:
    """Return the value of the tag `gpu_type` for the name of one accelerator in the spelling of any service.

    `NVIDIA A100-SXM4-80GB`, `nvidia-a100-80gb` and `A100` with 81,920 MiB are `a100-80gb`. A MIG slice has the name of
    its profile, such as `nvidia-mig-1g.10gb`. The result for a name outside the vocabulary is its own words in lower
    case, at most 48 characters, and `unknown` for no name.

    Parameters:
        name: the name as the service writes it
        memory_mib: memory of one accelerator where the service tells it beside the name
    """
    words = list(_words(name or ''))
    if 'mig' in words[:-1]:
        return _bounded(f'nvidia-mig-{words[words.index("mig") + 1].replace("+", ".")}')
    if tpu := _tpu(words):
        return tpu
    telling = [word for word in words if word not in _NOISE]
    if not telling:
        vendor = next((word for word in words if word in _VENDORS and 'gpu' in words), None)
        return f'{vendor}-gpu' if vendor else UNKNOWN_GPU
    sizes = [int(match[1]) for word in telling if (match := _MEMORY.fullmatch(word))]
    model = _KNOWN.get(''.join(word for word in telling if not _MEMORY.fullmatch(word)))
    if model is None:
        return _bounded('-'.join(telling))
    return _of_size(model, sizes[0] if sizes else memory_mib / 1024 if memory_mib else None)


def accelerator_of_catalog(name: str) -> tuple[str, int]:
    """Return the type of an accelerator in the SkyPilot catalog, and the number of chips that one of them has.

    A slice of TPUs is named for its size, in cores up to v4 and for v5p, where a chip has two of them, else in chips:
    `tpu-v4-16` has 8 chips of type `tpu-v4`. Any other accelerator is one chip.
    """
    tpu = _TPU_IN_CATALOG.fullmatch(name.lower())
    if tpu is None:
        return accelerator_type(name), 1
    generation, size = tpu[1], int(tpu[2])
    return accelerator_type(f'tpu-{generation}'), max(1, size // 2) if generation in _TPUS_SIZED_IN_CORES else size


def by_accelerator_type(option: str, entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the entries of an option by accelerator type. Raises ConfigurationError for one type in two spellings."""
    found: dict[str, Any] = {}
    spellings: dict[str, str] = {}
    for spelling, entry in entries.items():
        gpu_type = accelerator_type(str(spelling))
        if gpu_type in found:
            raise ConfigurationError(
                f'option `{option}`: {spellings[gpu_type]} and {spelling} are both {gpu_type}; keep one of them'
            )
        found[gpu_type], spellings[gpu_type] = entry, str(spelling)
    return found


def gpu_of_choice(counts: Mapping[str, float]) -> str:
    """Return the GPU of a SkyPilot request: `any` if it lists several to choose from, `none` if it lists none."""
    return ANY_GPU if len(counts) > 1 else next(iter(counts), NO_GPU)


def is_gpu(resource: str) -> bool:
    """Return True for extended resources of Kubernetes that are GPUs: `nvidia.com/gpu`, `amd.com/gpu`."""
    return resource.endswith('/gpu')


def gpu_of_resource(resource: str) -> str:
    """Return the vendor and the last part of an extended resource: `nvidia.com/gpu` is `nvidia-gpu`."""
    domain, _, name = resource.partition('/')
    return f'{domain.partition(".")[0]}-{name}'


def _words(name: str) -> Iterator[str]:
    # A Max-Q chip of a laptop is another product; a Max-Q edition of a workstation card is the same one.
    text = name.lower().replace('with max-q design', 'laptop').replace('max-q', '')
    for word in filter(None, (part.strip('.+') for part in _SEPARATORS.split(text))):
        joined = _JOINED.fullmatch(word)
        parts = filter(None, ('quadro' if joined[1] else None, *joined.groups()[1:])) if joined else (word,)
        for part in parts:
            variant = _VARIANT.fullmatch(part)
            yield from (variant[1], _VARIANTS.get(variant[2], variant[2])) if variant else (part,)


def _tpu(words: list[str]) -> str | None:
    """Return the type of a TPU by its generation, None for another accelerator."""
    for word in words:
        if word in _TPU_CODENAMES:
            return _TPU_CODENAMES[word]
    first = next((word for word in words if word not in _NOISE | _TPU_OWNERS), '')
    if not first.startswith('tpu'):
        return None
    telling = ''.join(word for word in words if word not in _NOISE | _TPU_NOISE)
    generation = _TPU_GENERATION.fullmatch(telling)
    if generation is None:
        return None
    variant = generation[1] + generation[2]
    return _bounded(f'tpu-{_TPU_VARIANTS.get(variant, f"v{variant}")}')


def _of_size(model: str, memory_gb: float | None) -> str:
    """Return the name of a model with this memory; 10 % are left for the units and for reserved memory."""
    for size, name in SIZES.get(model, {}).items():
        if memory_gb is not None and abs(memory_gb - size) <= size / 10:
            return name
    return model


def _bounded(name: str) -> str:
    if len(name) <= MAX_LENGTH:
        return name
    return f'{name[: MAX_LENGTH - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}'
