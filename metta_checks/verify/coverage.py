"""Says which metrics of a catalog are recomputed and, for the others, why not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..core.catalog import Catalog, Metric, name_pattern
from . import Recomputed

NO_VALUE = 'no value'
CHANGES = 'counts changes since the last refresh, which a single reading of the service does not show'


@dataclass(frozen=True, slots=True)
class Coverage:
    """The metrics of a catalog that were compared, and the others.

    Attributes:
        compared: full names
        without_series: those of them that have no series on both sides
        left_out: the reason by full name
    """

    compared: tuple[str, ...]
    without_series: tuple[str, ...]
    left_out: dict[str, str]

    @property
    def percent(self) -> float:
        """The share of the catalog's metrics that were compared."""
        return 100 * len(self.compared) / (len(self.compared) + len(self.left_out))


def coverage(
    catalog: Catalog, ours: Iterable[str], theirs: Recomputed, reasons: Mapping[str, str], off: Collection[str] = ()
) -> Coverage:
    """Return the coverage of a catalog.

    A metric is compared if it was recomputed in this run and has a series on either side, or on none: then both say
    that nothing is there. Without its option, a metric that neither side has counts as left out.

    Args:
        catalog: the catalog of the source
        ours: full names of the metrics that have a value of the check
        theirs: the recomputed figures
        reasons: why a metric is not recomputed, by its name without the source's prefix
        off: the options that are not set
    """
    shown, recomputed = set(ours), {figure.name for figure in theirs.figures}
    compared: list[str] = []
    without_series: list[str] = []
    left_out: dict[str, str] = {}
    for metric in catalog.metrics:
        full_name = catalog.full_name(metric.name)
        is_shown, is_absent = _is_among(shown, full_name), _is_among(theirs.without_series, full_name)
        if _is_among(recomputed, full_name) or (is_shown and is_absent):
            compared.append(full_name)
        elif is_absent and metric.option not in off:
            compared.append(full_name)
            without_series.append(full_name)
        else:
            left_out[full_name] = reasons.get(metric.name) or _reason(metric, off, is_shown=is_shown)
    return Coverage(tuple(compared), tuple(without_series), left_out)


def _is_among(names: Iterable[str], full_name: str) -> bool:
    return any(map(name_pattern(full_name).fullmatch, names))


def _reason(metric: Metric, off: Collection[str], *, is_shown: bool) -> str:
    if metric.type == 'count':
        return CHANGES
    if is_shown:
        return 'not recomputed'
    return f'option `{metric.option}` is off' if metric.option in off else NO_VALUE
