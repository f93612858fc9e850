"""MC09: dashboards, monitors and SLOs use the same thresholds for the same metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metta_checks.as_code import query_tree as grammar

from .findings import Problem, rule
from .style import MARKER_VALUE
from .thresholds import ABOVE, BELOW, Limits, Thresholds
from .view import View, Widget, child, number, objects, text

BAD = ('red', 'yellow', 'orange')
# By the orientation of a metric; 0 is neither.
BETTER = {-1: 'lower', 1: 'higher'}


@rule('MC09', own=True)
def markers_agree(view: View) -> Iterator[Problem]:
    """Markers and conditional formats show the thresholds of the monitors and SLOs of their metric."""
    for widget in view.leaves():
        limits = _limits(view, widget)
        if limits is not None:
            yield from _markers(widget, limits)
            for request in widget.requests:
                yield from _formats(request.definition, request.path, limits)
                for index, formula in objects(request.definition, 'formulas'):
                    yield from _formats(formula, f'{request.path}.formulas[{index}]', limits)


def _limits(view: View, widget: Widget) -> Limits | None:
    """Return the thresholds of a widget's metrics; None without any, or when its metrics have different ones."""
    plain = all(
        isinstance(formula.tree, grammar.Reference) for request in widget.requests for formula in request.formulas
    )
    found = {id(limits): limits for name in widget.metrics if (limits := view.thresholds.of(name))}
    return next(iter(found.values())) if plain and len(found) == 1 else None


def _markers(widget: Widget, limits: Limits) -> Iterator[Problem]:
    for index, marker in objects(widget.definition, 'markers'):
        match = MARKER_VALUE.fullmatch(text(marker, 'value').strip())
        for value in map(float, filter(None, match.groups() if match else ())):
            if value not in limits.values:
                yield Problem(f'{widget.inside}.markers[{index}].value', _strange(value, limits))


def _formats(parent: dict[str, Any], path: str, limits: Limits) -> Iterator[Problem]:
    for index, one in objects(parent, 'conditional_formats'):
        place = f'{path}.conditional_formats[{index}]'
        value, comparator, palette = number(one, 'value'), text(one, 'comparator'), text(one, 'palette')
        if value is not None and value not in limits.values:
            yield Problem(f'{place}.value', _strange(value, limits))
        if len(limits.bad) == 1 and comparator in (*ABOVE, *BELOW):
            ((bad, holder),) = limits.bad.items()
            if _contradicts(comparator, palette, bad):
                yield Problem(f'{place}.comparator', f'{comparator} in {palette} contradicts {holder}: {bad} is bad')


def _contradicts(comparator: str, palette: str, bad: str) -> bool:
    """Return whether a condition shows the bad side (`above` or `below`) in green, or the good one as a problem."""
    is_bad_side = (comparator in ABOVE) == (bad == 'above')
    return 'green' in palette if is_bad_side else any(color in palette for color in BAD)


def _strange(value: float, limits: Limits) -> str:
    known = ', '.join(f'{value:g} ({holder})' for value, holder in sorted(limits.values.items()))
    return f'{value:g} is not a threshold of this metric; known: {known}'


@rule('MC09', kinds=('monitor', 'slo'), own=True)
def directions_agree(view: View) -> Iterator[Problem]:
    """Monitors, SLOs and the catalog's orientation agree on whether high or low values are bad."""
    side = _bad_side(view)
    if side is None:
        return
    bad, place = side
    for metric in dict.fromkeys(name for request in view.requests for name in request.metrics):
        declared, limits = view.metric(metric), view.thresholds.of(metric)
        better = BETTER.get(declared.orientation) if declared else None
        if better and (better == 'lower') != (bad == 'above'):
            yield Problem(place, f'treats {bad} as bad, but of {metric} {better} is better')
        elif limits and (others := [holder for way, holder in limits.bad.items() if way != bad]):
            yield Problem(place, f'treats {bad} as bad, {others[0]} the opposite')


def _bad_side(view: View) -> tuple[str, str] | None:
    """Return the bad side of a monitor's or SLO's threshold (`above` or `below`), and the path that states it.

    None where the asset states none, or compares a change or an anomaly instead of the metric itself.
    """
    if view.kind == 'monitor':
        monitor = view.monitor
        if monitor is None or monitor.change or not isinstance(monitor.expression, grammar.Series):
            return None
        return 'above' if monitor.comparator in ABOVE else 'below', 'definition.query'
    comparator = text(child(child(view.body, 'sli_specification'), 'time_slice'), 'comparator')
    if comparator not in (*ABOVE, *BELOW):
        return None
    # A time slice is good where the comparison is true, a monitor alerts there.
    return 'above' if comparator in BELOW else 'below', 'sli_specification.time_slice.comparator'


def gather(views: Iterable[View]) -> Thresholds:
    """Return the thresholds of all monitors and SLOs."""
    thresholds = Thresholds()
    for view in views:
        if view.kind == 'monitor':
            _of_monitor(view, thresholds)
        elif view.kind == 'slo':
            _of_slo(view, thresholds)
    return thresholds


def _of_monitor(view: View, thresholds: Thresholds) -> None:
    monitor = view.monitor
    # The threshold of a change or an anomaly is not a threshold of the metric itself.
    if monitor is None or monitor.change or not isinstance(monitor.expression, grammar.Series):
        return
    held = child(child(view.body, 'options'), 'thresholds')
    values = [monitor.threshold, *(number(held, key) for key in held)]
    bad = 'above' if monitor.comparator in ABOVE else 'below'
    thresholds.add(monitor.expression.metric, values, bad, view.asset.name)


def _of_slo(view: View, thresholds: Thresholds) -> None:
    condition = child(child(view.body, 'sli_specification'), 'time_slice')
    threshold, comparator = number(condition, 'threshold'), text(condition, 'comparator')
    for request in view.requests:
        plain = len(request.formulas) == 1 and isinstance(request.formulas[0].tree, grammar.Reference)
        if plain and len(request.metrics) == 1 and threshold is not None and comparator in (*ABOVE, *BELOW):
            bad = 'above' if comparator in BELOW else 'below'
            thresholds.add(request.metrics[0], [threshold], bad, view.asset.name)
