"""MC10 for SLOs: targets, tags and kinds of metric (part 7 of the design)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .findings import Problem, rule
from .view import View, child, number, objects, text, texts

TAGS = ('service:metta_checks', 'managed_by:metta_checks')
TEAM = 'team:'


@rule('MC10', kinds=('slo',))
def targets(view: View) -> Iterator[Problem]:
    """0 < target < 100 and target < warning < 100; values outside `thresholds` repeat one of them."""
    seen: dict[str, dict[str, Any]] = {}
    if view.body.get('thresholds') == []:
        yield Problem('thresholds', 'an SLO needs at least one')
    for index, one in objects(view.body, 'thresholds'):
        yield from _target(one, 'target', 'warning', f'thresholds[{index}].')
        if (timeframe := text(one, 'timeframe')) in seen:
            yield Problem(f'thresholds[{index}].timeframe', f'{timeframe} is listed twice')
        seen[timeframe] = one
    yield from _target(view.body, 'target_threshold', 'warning_threshold', '')
    timeframe = text(view.body, 'timeframe')
    if timeframe and timeframe not in seen:
        yield Problem('timeframe', f'{timeframe} is not one of the thresholds: {", ".join(seen)}')
    for key, inner in (('target_threshold', 'target'), ('warning_threshold', 'warning')):
        value, held = number(view.body, key), number(seen.get(timeframe), inner)
        if value is not None and timeframe in seen and value != held:
            yield Problem(key, f'is {value:g}, the threshold of {timeframe} says {_shown(held)}')


def _target(parent: dict[str, Any], target: str, warning: str, path: str) -> Iterator[Problem]:
    wanted, warned = number(parent, target), number(parent, warning)
    if wanted is not None and not 0 < wanted < 100:
        yield Problem(f'{path}{target}', f'must lie between 0 and 100, both excluded, is {wanted:g}')
    if warned is not None and not 0 < warned < 100:
        yield Problem(f'{path}{warning}', f'must lie between 0 and 100, both excluded, is {warned:g}')
    elif warned is not None and wanted is not None and warned <= wanted:
        yield Problem(f'{path}{warning}', f'{warned:g} is not above the target {wanted:g}')


def _shown(value: float | None) -> str:
    return 'nothing' if value is None else f'{value:g}'


@rule('MC10', kinds=('slo',), own=True)
def tags(view: View) -> Iterator[Problem]:
    """SLOs carry the tags by which dashboards and commands find them, in lower case."""
    found = texts(view.body, 'tags')
    for tag in TAGS:
        if tag not in [one for _, one in found]:
            yield Problem('tags', f'{tag} is missing')
    if not any(one.startswith(TEAM) for _, one in found):
        yield Problem('tags', f'no tag begins with {TEAM}')
    for index, one in found:
        if one != one.lower():
            yield Problem(f'tags[{index}]', f'{one!r}: Datadog writes tags in lower case')


@rule('MC10', kinds=('slo',))
def measured(view: View) -> Iterator[Problem]:
    """Time slices have one formula; metric SLOs read counts, since gauges need time slices."""
    for request in view.requests:
        if request.path.startswith('sli_specification.time_slice'):
            if len(request.formulas) != 1:
                yield Problem(f'{request.path}.formulas', f'a time slice has one formula, not {len(request.formulas)}')
            continue
        for query in request.queries:
            for name in query.metrics:
                metric = view.metric(name)
                if metric and metric.type == 'gauge':
                    yield Problem(query.place, f'{name} is a gauge; a metric SLO reads counts, use a time slice')
        count = child(child(view.body, 'sli_specification'), 'count')
        if request.path.endswith('.count') and 'good_events_formula' not in count:
            yield Problem(f'{request.path}.good_events_formula', 'missing')
