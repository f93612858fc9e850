"""Names of GPUs as values of the tag `gpu_type`, with one function for each service's spelling."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .text import slug

UNKNOWN_GPU = 'unknown'
NO_GPU = 'none'
# A request that any of several GPUs satisfies.
ANY_GPU = 'any'

_VENDOR_WORDS = frozenset({'nvidia', 'tesla', 'amd', 'instinct', 'geforce', 'quadro', 'grid'})
_WORD = re.compile(r'[\s_-]+')
_TPU = re.compile(r'tpu-(v\d+\w*)-(\d{1,6})')
_TPUS_SIZED_IN_CORES = frozenset({'v2', 'v3', 'v4', 'v5p'})


def gpu_of_product(name: str | None) -> str:
    """Return the model in the product name of the GPU driver, which W&B passes on.

    `NVIDIA L4` is `l4`, `NVIDIA A100-SXM4-80GB` is `a100-80gb`. The memory size is kept only for the A100 with
    80 GB, because it has its own price.
    """
    words = [word for word in _WORD.split((name or '').strip().lower()) if word and word not in _VENDOR_WORDS]
    if not words:
        return UNKNOWN_GPU
    position = next((index for index, word in enumerate(words) if any(map(str.isdigit, word))), 0)
    model = words[position]
    if model.isdigit() and position:
        # "GeForce RTX 4090": the number alone does not identify the model.
        return f'{words[position - 1]}-{model}'
    if model == 'a100' and '80gb' in words:
        return 'a100-80gb'
    return model


def gpu_of_model(name: str | None) -> str:
    """Return the slug of a model name of EC2: `L4` is `l4`, `RTX PRO 4500` is `rtx_pro_4500`."""
    return slug(name or UNKNOWN_GPU)


def gpu_of_catalog(name: str) -> str:
    """Return a name from the SkyPilot catalog in lower case: `A100-80GB` is `a100-80gb`."""
    return name.lower()


def accelerator_of_catalog(name: str) -> tuple[str, int]:
    """Return the type of an accelerator in the SkyPilot catalog, and the number of chips that one of them has.

    A slice of TPUs is named for its size, in cores up to v4 and for v5p, where a chip has two of them, else in chips:
    `tpu-v4-16` has 8 chips of type `tpu-v4`. Any other accelerator is one chip.
    """
    tpu = _TPU.fullmatch(name.lower())
    if tpu is None:
        return gpu_of_catalog(name), 1
    generation, size = tpu[1], int(tpu[2])
    return f'tpu-{generation}', max(1, size // 2) if generation in _TPUS_SIZED_IN_CORES else size


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
