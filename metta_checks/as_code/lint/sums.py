"""MC16: `sum` adds up numbers of things, each counted once."""

from __future__ import annotations

from collections.abc import Iterator

from metta_checks.as_code.query_tree import AllOf, Condition, Series

from .findings import Problem, rule
from .queries import EVERYWHERE
from .view import View


@rule('MC16', kinds=EVERYWHERE, own=True)
def sums_of_numbers(view: View) -> Iterator[Problem]:
    """`sum` adds up series whose metric is additive (metrics.yaml): no shares, ages, percentiles or distinct people."""
    for request in view.requests:
        for query in request.queries:
            for series in query.series:
                if series.aggregator == 'sum':
                    yield from _not_additive(view, query.place, series)


def _not_additive(view: View, place: str, series: Series) -> Iterator[Problem]:
    metric = view.metric(series.metric)
    if metric is None:
        return
    if not metric.additive:
        yield Problem(place, f'{metric.name} is not a number of things: values of several series do not add up')
    for tag in metric.overlapping:
        if tag not in series.by and not _has_one_value(series, tag):
            yield Problem(place, f'a thing of {metric.name} may have several values of {tag}: group or filter by it')


def _has_one_value(series: Series, tag: str) -> bool:
    """Return whether the filter demands one value of a tag."""
    demanded = series.filter.filters if isinstance(series.filter, AllOf) else (series.filter,)
    return any(isinstance(one, Condition) and one.tag == tag and '*' not in one.value for one in demanded)
