"""MC13 and MC14: figures over a span of time are drawn as such, and say the span."""

from __future__ import annotations

import re
from collections.abc import Iterator

from metta_checks.as_code.declared import Declared
from metta_checks.as_code.query_tree import Reference

from .findings import Problem, rule
from .view import Request, View, Widget, text

# The span in the definition of a metric: `Pull requests merged in the last 7 days.`
_SPAN = re.compile(r'\blast (\d+) (days|hours|h)\b')
# Other ways to say a span, in hours.
_WORDS = {24: ('day', 'today'), 168: ('week',), 720: ('month',)}


@rule('MC13', own=True)
def bars_of_events(view: View) -> Iterator[Problem]:
    """Bars show what happened in an interval: counts. The total of a rolling window is a line."""
    for widget in view.leaves():
        for request in widget.requests:
            if text(request.definition, 'display_type') == 'bars':
                yield from _levels(view, request)


def _levels(view: View, request: Request) -> Iterator[Problem]:
    """Yield the gauges of a request that are shown as they are; a function may turn one into events."""
    plain = {one.text.strip() for one in request.formulas if isinstance(one.tree, Reference)}
    for query in request.queries:
        for series in query.series:
            metric = view.metric(series.metric)
            if metric and metric.type == 'gauge' and query.name in plain:
                yield Problem(query.place, f'{metric.name} is a level or a rolling total: a line, or a count as bars')


@rule('MC14', own=True)
def windows_are_labeled(view: View) -> Iterator[Problem]:
    """Figures over a span of time other than that of the page say it in the title or the alias."""
    page = _hours(text(view.body, 'description'))
    for widget in view.leaves():
        unlabeled = {hours for request in widget.requests for hours in _unlabeled(view, widget, request)}
        for hours in sorted(unlabeled - {page}):
            problem = f'{widget.title!r} covers {_spoken(hours)}; say it there or in the alias'
            yield Problem(f'{widget.inside}.title', problem)


def _unlabeled(view: View, widget: Widget, request: Request) -> Iterator[int]:
    """Yield the spans of a request's metrics that neither the title nor the alias says."""
    queries = {query.name: query for query in request.queries}
    for formula in request.formulas:
        said = f'{widget.title} {text(formula.definition, "alias")}'
        for metric in (metric for name in formula.names if name in queries for metric in queries[name].metrics):
            declared = view.metric(metric)
            hours = window(declared) if declared else 0
            if hours and not _says(said, hours):
                yield hours


def window(metric: Declared) -> int:
    """Return the span of time that a metric covers, in hours; 0 for a state or for events."""
    return _hours(metric.description.partition('. ')[0]) if metric.type == 'gauge' else 0


def _hours(definition: str) -> int:
    found = _SPAN.search(definition)
    return int(found[1]) * (24 if found[2] == 'days' else 1) if found else 0


def _says(said: str, hours: int) -> bool:
    spoken = [rf'{hours} (h|hours)', *_WORDS.get(hours, ())]
    if hours % 24 == 0:
        spoken.append(rf'{hours // 24} (d|days)')
    return re.search(rf'\b({"|".join(spoken)})\b', said) is not None


def _spoken(hours: int) -> str:
    return f'{hours // 24} days' if hours % 24 == 0 and hours > 24 else f'{hours} h'
