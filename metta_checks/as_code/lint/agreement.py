"""MC09: dashboards, monitors and SLOs use the same thresholds for the same metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metta_checks.as_code import query as grammar

from .findings import Problem, rule
from .style import MARKER_VALUE
from .thresholds import ABOVE, BELOW, Limits, Thresholds
from .view import View, Widget, child, number, objects, text

BAD = ('red', 'yellow', 'orange')


@rule('MC09')
def markers_agree(view: View) -> Iterator[Problem]:
    """Markers and conditional formats show the thresholds of the monitors and SLOs of their metric."""
    for widget in view.leaves():
        limits = _limits(view, widget)
        if limits is None:
            continue
        for index, marker in objects(widget.definition, 'markers'):
            match = MARKER_VALUE.fullmatch(text(marker, 'value').strip())
            for value in (float(one) for one in (match.groups() if match else ()) if one):
                if value not in limits.values:
                    yield Problem(f'{widget.inside}.markers[{index}].value', _strange(value, limits))
        for request in widget.requests:
            places = [(request.path, request.definition)]
            places += [(f'{request.path}.formulas[{i}]', one) for i, one in objects(request.definition, 'formulas')]
            for path, parent in places:
                for index, one in objects(parent, 'conditional_formats'):
                    yield from _format(one, f'{path}.conditional_formats[{index}]', limits)


def _limits(view: View, widget: Widget) -> Limits | None:
    """Return the thresholds of a widget's metrics; None without any, or when its metrics have different ones."""
    plain = all(
        isinstance(formula.tree, grammar.Reference) for request in widget.requests for formula in request.formulas
    )
    found = {id(limits): limits for name in widget.metrics if (limits := view.thresholds.of(name))}
    return next(iter(found.values())) if plain and len(found) == 1 else None


def _format(one: dict[str, Any], path: str, limits: Limits) -> Iterator[Problem]:
    value, comparator, palette = number(one, 'value'), text(one, 'comparator'), text(one, 'palette')
    if value is not None and value not in limits.values:
        yield Problem(f'{path}.value', _strange(value, limits))
    if len(limits.bad) == 1 and comparator in (*ABOVE, *BELOW) and palette:
        ((bad, holder),) = limits.bad.items()
        high = comparator in ABOVE
        alarming = any(color in palette for color in BAD)
        if ('green' in palette and high == (bad == 'above')) or (alarming and high != (bad == 'above')):
            yield Problem(f'{path}.comparator', f'{comparator} in {palette} contradicts {holder}: {bad} is bad')


def _strange(value: float, limits: Limits) -> str:
    known = ', '.join(f'{value:g} ({holder})' for value, holder in sorted(limits.values.items()))
    return f'{value:g} is not a threshold of this metric; known: {known}'


@rule('MC09', kinds=('monitor', 'slo'))
def directions_agree(view: View) -> Iterator[Problem]:
    """Monitors, SLOs and the catalog's orientation agree on whether high or low values are bad."""
    if view.kind == 'monitor':
        monitor = view.monitor
        if monitor is None or monitor.change or not isinstance(monitor.expression, grammar.Series):
            return
        place, high_is_bad = 'definition.query', monitor.comparator in ABOVE
    else:
        condition = child(child(view.body, 'sli_specification'), 'time_slice')
        place = 'sli_specification.time_slice.comparator'
        if text(condition, 'comparator') not in (*ABOVE, *BELOW):
            return
        high_is_bad = text(condition, 'comparator') in BELOW
    bad = 'above' if high_is_bad else 'below'
    for metric in dict.fromkeys(name for request in view.requests for name in request.metrics):
        declared, limits = view.metric(metric), view.thresholds.of(metric)
        if declared and declared.orientation and (declared.orientation < 0) != high_is_bad:
            better = 'lower' if declared.orientation < 0 else 'higher'
            yield Problem(place, f'treats {bad} as bad, but of {metric} {better} is better')
        elif limits and (others := [holder for way, holder in limits.bad.items() if way != bad]):
            yield Problem(place, f'treats {bad} as bad, {others[0]} the opposite')


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
