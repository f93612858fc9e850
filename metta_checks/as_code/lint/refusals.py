"""SCHEMA: documents that fit the description of the API and are refused all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from metta_checks.as_code import query_tree as grammar

from .findings import Problem, rule
from .monitors import OPTIONS, seconds
from .view import View, child, number, objects, text, texts

HOUR = 3600
# Longest evaluation window of a metric monitor: a month.
LONGEST_WINDOW = 31 * 24 * HOUR
RETENTION = (HOUR, 72 * HOUR)
# Keys of a request that ask for nothing by themselves.
LOOKS = {'style', 'conditional_formats', 'display_type', 'on_right_yaxis', 'metadata', 'formulas', 'response_format'}
LOOKS |= {'alias', 'aggregator', 'limit', 'order', 'order_by', 'order_dir', 'sort', 'cell_display_mode'}
# Types of monitors with the beginning of their query. All of them may also be a formula over queries in the options.
QUERIES = {
    'audit alert': 'audits(',
    'ci-pipelines alert': 'ci-pipelines(',
    'ci-tests alert': 'ci-tests(',
    'error-tracking alert': 'error-tracking',
    'event-v2 alert': 'events(',
    'log alert': 'logs(',
    'rum alert': 'rum(',
    'service check': '"',
    'trace-analytics alert': 'trace-analytics(',
}
# Types whose groups are remembered for a time of one's choice.
REMEMBERING = tuple(one for one in QUERIES if one != 'service check')
# Longest evaluation window of these types: 2880 minutes.
LONGEST_SEARCH = 48 * HOUR
_SECONDS = {'m': 60, 'h': HOUR, 'd': 24 * HOUR}
_DURATION = re.compile(r'(\d+)([mhd])')
_LAST = re.compile(r'\.last\("(\w+)"\)')
_COMPOSITE = re.compile(r'[\s()!&|\d]+')


@rule('SCHEMA')
def requests_ask(view: View) -> Iterator[Problem]:
    """Requests of widgets ask for something."""
    for widget in view.leaves():
        for index, one in objects(widget.definition, 'requests'):
            if not set(one) - LOOKS:
                yield Problem(f'{widget.inside}.requests[{index}]', 'asks for nothing; add `queries` or remove it')


@rule('SCHEMA')
def variables_have_values(view: View) -> Iterator[Problem]:
    """Values of template variables and presets are not empty, and are given in one way."""
    for index, one in objects(view.body, 'template_variables'):
        for key in ('defaults', 'available_values'):
            yield from _empty(one, key, f'template_variables[{index}]')
    for index, preset in objects(view.body, 'template_variable_presets'):
        for place, one in objects(preset, 'template_variables'):
            path = f'template_variable_presets[{index}].template_variables[{place}]'
            yield from _empty(one, 'values', path)
            if 'value' in one and 'values' in one:
                yield Problem(f'{path}.value', 'not together with `values`')


def _empty(one: dict[str, Any], key: str, path: str) -> Iterator[Problem]:
    for place, value in texts(one, key):
        if not value:
            yield Problem(f'{path}.{key}[{place}]', 'is empty; use "*" for all values')


@rule('SCHEMA')
def automatic_places(view: View) -> Iterator[Problem]:
    """Widgets of an automatic layout have no places; a free layout has places and no reflow."""
    if view.body.get('layout_type') == 'free' and view.body.get('reflow_type'):
        yield Problem('reflow_type', 'only with layout_type ordered')
    if view.body.get('reflow_type') != 'auto':
        return
    for widget in view.widgets:
        if 'layout' in widget.outer:
            yield Problem(f'{widget.path}.layout', 'not with reflow_type auto; use "fixed", or remove it')


@rule('SCHEMA', kinds=('slo',))
def monitors_of_an_slo(view: View) -> Iterator[Problem]:
    """An SLO of monitors names them, and an SLO of another type does not."""
    kind, named = text(view.body, 'type'), view.body.get('monitor_ids')
    if kind == 'monitor' and not named:
        yield Problem('monitor_ids', 'missing; the type is monitor')
    elif kind != 'monitor' and named:
        yield Problem('monitor_ids', f'not with the type {kind}')


@rule('SCHEMA', kinds=('monitor',))
def query_of_the_type(view: View) -> Iterator[Problem]:
    """The query of a monitor is one of its type, over a window that the type allows."""
    kind, query = text(view.body, 'type'), text(view.body, 'query').strip()
    if kind == 'composite' and not _COMPOSITE.fullmatch(query):
        yield Problem('definition.query', 'a composite combines ids of monitors, such as 12345 && !67890')
    if kind in REMEMBERING and (last := _LAST.search(query)) and not 60 <= _length(last[1]) <= LONGEST_SEARCH:
        yield Problem('definition.query', f'{last[1]}: the window of a {kind} is at least a minute and at most 2 days')
    start = QUERIES.get(kind)
    if query and start and not query.startswith((start, 'formula(')):
        yield Problem('definition.query', f'a {kind} begins with {start}')


@rule('SCHEMA', kinds=('monitor',))
def monitor_options(view: View) -> Iterator[Problem]:
    """Options of a monitor stay within their bounds and do not exclude each other."""
    options = child(view.body, 'options')
    yield from _notify_by(view, options)
    yield from _retention(text(view.body, 'type'), options)
    if view.monitor and (length := seconds(view.monitor.window)) is not None and not 60 <= length <= LONGEST_WINDOW:
        yield Problem('definition.query', f'{view.monitor.window}: a window is at least a minute and at most a month')
    if text(options, 'on_missing_data') == 'resolve' and number(options, 'timeout_h'):
        yield Problem(f'{OPTIONS}.timeout_h', 'not together with on_missing_data resolve: both resolve the alert')


def _notify_by(view: View, options: dict[str, Any]) -> Iterator[Problem]:
    if view.monitor is None and view.check is None:
        return
    series = [one for request in view.requests for query in request.queries for one in query.series]
    groups = {tag for one in series for tag in one.by} | set(view.check.by if view.check else ())
    for index, tag in texts(options, 'notify_by'):
        if tag != '*' and not groups & {tag, grammar.EVERY_TAG}:
            place = f'{OPTIONS}.notify_by[{index}]'
            yield Problem(place, f'{tag} is not a group of the query; it has {", ".join(sorted(groups)) or "none"}')


def _retention(kind: str, options: dict[str, Any]) -> Iterator[Problem]:
    if 'group_retention_duration' not in options:
        return
    place, value = f'{OPTIONS}.group_retention_duration', text(options, 'group_retention_duration')
    if not RETENTION[0] <= _length(value) <= RETENTION[1]:
        yield Problem(place, f'{value!r}: from 1h to 72h, such as 60m, 1h or 2d')
    if kind not in REMEMBERING:
        yield Problem(place, f'not an option of a {kind}')


def _length(duration: str) -> int:
    """Return the seconds of a duration such as `2d`; 0 for another text."""
    found = _DURATION.fullmatch(duration)
    return int(found[1]) * _SECONDS[found[2]] if found else 0
