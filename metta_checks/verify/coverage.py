"""Says which metrics of a catalog are recomputed and, for the others, why not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..core.catalog import Catalog, Metric

NO_VALUE = 'no value'
CHANGES = 'counts changes since the last refresh, which a single reading of the service does not show'


@dataclass(frozen=True, slots=True)
class Coverage:
    """The metrics of a catalog that were compared, and the others.

    Attributes:
        compared: full names
        left_out: the reason by full name
    """

    compared: tuple[str, ...]
    left_out: dict[str, str]

    @property
    def percent(self) -> float:
        """The share of the catalog's metrics that were compared."""
        return 100 * len(self.compared) / (len(self.compared) + len(self.left_out))


def coverage(catalog: Catalog, ours: Iterable[str], theirs: Iterable[str], reasons: Mapping[str, str]) -> Coverage:
    """Return the coverage of a catalog.

    Args:
        catalog: the catalog of the source
        ours: full names of the metrics that have a value of the check
        theirs: full names of the metrics that have a recomputed value
        reasons: why a metric is not recomputed, by its name without the source's prefix
    """
    shown, recomputed = set(ours), set(theirs)
    compared: list[str] = []
    left_out: dict[str, str] = {}
    for metric in catalog.metrics:
        full_name = catalog.full_name(metric.name)
        if _is_among(recomputed, full_name):
            compared.append(full_name)
        else:
            is_shown = _is_among(shown, full_name)
            left_out[full_name] = reasons.get(metric.name) or _reason(metric, is_shown=is_shown)
    return Coverage(tuple(compared), left_out)


def _is_among(names: Iterable[str], full_name: str) -> bool:
    pattern = re.compile(re.escape(full_name).replace(r'\*', '[a-z0-9_]+'))
    return any(map(pattern.fullmatch, names))


def _reason(metric: Metric, *, is_shown: bool) -> str:
    if metric.type == 'count':
        return CHANGES
    if is_shown:
        return 'not recomputed'
    return f'{NO_VALUE}; it depends on option `{metric.option}`' if metric.option else NO_VALUE
