"""Limits on the values of tags: each value is one more series, and Datadog bills series.

A tag whose values come from a service has a limit, which metrics.yaml declares. Figures beyond it are shown under the
value `other`, so that sums over the tag do not change.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TypeVar

K = TypeVar('K')
L = TypeVar('L')
C = TypeVar('C', bound=tuple[str, ...])

OTHER = 'other'
# Values of a tag that a service or its users choose.
MAX_VALUES = 50
# Values of a tag in addition to those that the service documents.
MAX_UNKNOWN = 5
# Values of the tag `gpu_type`.
MAX_GPU_TYPES = 20


def labels(weights: Mapping[str, float], limit: int = MAX_VALUES, *, known: Collection[str] = ()) -> dict[str, str]:
    """Return the value to show for each value of a tag.

    Values in `known` and the `limit` values with the largest weights (ties by name) are shown as they are, all others
    as `other`.
    """
    kept = _largest({value: weight for value, weight in weights.items() if value not in known}, limit).union(known)
    return {value: value if value in kept else OTHER for value in weights}


def combination_labels(weights: Mapping[C, float], limit: int) -> dict[C, tuple[str, ...]]:
    """Return the combination to show for each combination of the values of several tags.

    The `limit` combinations with the largest weights are shown as they are; in all others, each value becomes `other`.
    An empty value stands for a tag that is not shown, and stays empty.
    """
    kept = _largest(weights, limit)
    return {key: key if key in kept else tuple(value and OTHER for value in key) for key in weights}


def added_up(values: Mapping[K, float], shown: Mapping[K, L]) -> dict[L, float]:
    """Return the sums of the values that are shown alike."""
    parts: defaultdict[L, list[float]] = defaultdict(list)
    for key, value in values.items():
        parts[shown[key]].append(value)
    return {label: math.fsum(some) for label, some in parts.items()}


def filled(counts: Mapping[str, float], known: Collection[str]) -> dict[str, float]:
    """Return the numbers to show for a tag of which a service documents the values.

    Values in `known` are shown even at 0, up to MAX_UNKNOWN others under their own names, the rest as `other`.
    """
    return dict.fromkeys(known, 0.0) | added_up(counts, labels(counts, MAX_UNKNOWN, known=known))


def _largest(weights: Mapping[K, float], limit: int) -> set[K]:
    ordered = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return {key for key, _ in ordered[:limit]}
