"""The thresholds that monitors and SLOs hold, by family of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# What percentiles and extremes of one quantity have in common: thresholds hold for all of them.
_STATISTIC = re.compile(r'\.(avg|min|max|median|p\d\d|\d\dpercentile)$')
ABOVE = ('>', '>=')
BELOW = ('<', '<=')


def family(metric: str) -> str:
    """The metric without its statistic: `prs.cycle_time_hours.p90` and `.avg` are of one family."""
    return _STATISTIC.sub('', metric)


@dataclass(slots=True)
class Limits:
    """What monitors and SLOs say of one family. `values` maps a number to who holds it."""

    values: dict[float, str] = field(default_factory=dict)
    # 'above' when high values are bad, 'below' when low ones are, with who says so.
    bad: dict[str, str] = field(default_factory=dict)


class Thresholds:
    """All limits, by family."""

    def __init__(self) -> None:
        self._limits: dict[str, Limits] = {}

    def of(self, metric: str) -> Limits | None:
        """What holds for a metric, None without any."""
        return self._limits.get(family(metric))

    def add(self, metric: str, values: Iterable[float | None], bad: str, holder: str) -> None:
        """Take note of what a monitor or SLO holds of a metric."""
        limits = self._limits.setdefault(family(metric), Limits())
        limits.values |= {value: holder for value in values if value is not None}
        limits.bad.setdefault(bad, holder)
