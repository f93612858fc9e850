"""Thresholds of monitors and SLOs, by family of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# Statistics of one quantity, such as percentiles and extremes, share their thresholds.
_STATISTIC = re.compile(r'\.(avg|min|max|median|p\d\d|\d\dpercentile)$')
ABOVE = ('>', '>=')
BELOW = ('<', '<=')


def family(metric: str) -> str:
    """Return the metric without its statistic: `prs.cycle_time_hours.p90` and `.avg` are of one family."""
    return _STATISTIC.sub('', metric)


@dataclass(slots=True)
class Limits:
    """Thresholds of one family. `values` maps each number to the monitors and SLOs that use it."""

    values: dict[float, str] = field(default_factory=dict)
    # 'above' when high values are bad, 'below' when low ones are, with the monitor or SLO that says so.
    bad: dict[str, str] = field(default_factory=dict)


class Thresholds:
    """All thresholds, by family."""

    def __init__(self) -> None:
        self._limits: dict[str, Limits] = {}

    def of(self, metric: str) -> Limits | None:
        """Return the thresholds for a metric, None without any."""
        return self._limits.get(family(metric))

    def add(self, metric: str, values: Iterable[float | None], bad: str, holder: str) -> None:
        """Record a threshold of a monitor or SLO."""
        limits = self._limits.setdefault(family(metric), Limits())
        limits.values |= {value: holder for value in values if value is not None}
        limits.bad.setdefault(bad, holder)
