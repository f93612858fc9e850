"""The thresholds that monitors and SLOs hold, by family of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metta_checks.as_code import query as grammar

if TYPE_CHECKING:
    from .view import View

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

    def __init__(self, views: Iterable[View] = ()) -> None:
        self._limits: dict[str, Limits] = {}
        for view in views:
            if view.kind == 'monitor':
                self._of_monitor(view)
            elif view.kind == 'slo':
                self._of_slo(view)

    def of(self, metric: str) -> Limits | None:
        """What holds for a metric, None without any."""
        return self._limits.get(family(metric))

    def _add(self, metric: str, values: Iterable[float | None], bad: str, holder: str) -> None:
        limits = self._limits.setdefault(family(metric), Limits())
        limits.values |= {value: holder for value in values if value is not None}
        limits.bad.setdefault(bad, holder)

    def _of_monitor(self, view: View) -> None:
        # Imported late: a view is made with thresholds.
        from .view import child, number

        monitor = view.monitor
        # The threshold of a change or an anomaly is none of the metric itself.
        if monitor is None or monitor.change or not isinstance(monitor.expression, grammar.Series):
            return
        held = child(child(view.body, 'options'), 'thresholds')
        values = [monitor.threshold, *(number(held, key) for key in held)]
        bad = 'above' if monitor.comparator in ABOVE else 'below'
        self._add(monitor.expression.metric, values, bad, view.asset.name)

    def _of_slo(self, view: View) -> None:
        from .view import child, number, text

        condition = child(child(view.body, 'sli_specification'), 'time_slice')
        threshold, comparator = number(condition, 'threshold'), text(condition, 'comparator')
        for request in view.requests:
            plain = len(request.formulas) == 1 and isinstance(request.formulas[0].tree, grammar.Reference)
            if plain and len(request.metrics) == 1 and threshold is not None and comparator in (*ABOVE, *BELOW):
                bad = 'above' if comparator in BELOW else 'below'
                self._add(request.metrics[0], [threshold], bad, view.asset.name)
