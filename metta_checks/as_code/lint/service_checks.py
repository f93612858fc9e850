"""MC02, MC04 and MC10 for monitors of a service check (https://docs.datadoghq.com/monitors/types/service_check/)."""

from __future__ import annotations

from collections.abc import Iterator

from metta_checks.as_code.check_query import MAX_LAST
from metta_checks.as_code.query_tree import EVERY_TAG

from .findings import Problem, rule
from .queries import SERVICE_CHECKS
from .view import View, child, number, text

QUERY = 'definition.query'
LEVELS = ('ok', 'warning', 'critical', 'unknown')
# Options of monitors that evaluate values.
OF_VALUES = ('on_missing_data', 'evaluation_delay', 'require_full_window')


@rule('MC02', kinds=('monitor',))
def check_query_parses(view: View) -> Iterator[Problem]:
    """The query of a service check monitor parses."""
    if view.check_error:
        yield Problem(QUERY, str(view.check_error))


@rule('MC04', kinds=('monitor',), own=True)
def check_exists(view: View) -> Iterator[Problem]:
    """A service check monitor watches a service check of this integration, by its tags (assets/service_checks.json)."""
    if view.check is None:
        return
    tags = SERVICE_CHECKS.get(view.check.check)
    if tags is None:
        yield Problem(QUERY, f'{view.check.check!r} is not a service check; known: {", ".join(SERVICE_CHECKS)}')
        return
    for tag in view.check.by:
        if tag not in (*tags, EVERY_TAG):
            yield Problem(QUERY, f'{view.check.check} has no tag {tag}; it has {", ".join(tags)}')


@rule('MC10', kinds=('monitor',))
def statuses(view: View) -> Iterator[Problem]:
    """A service check monitor looks at more statuses than its thresholds count, and has the options of its kind."""
    if view.check is None:
        return
    options = child(view.body, 'options')
    held = child(options, 'thresholds')
    counts = {level: value for level in LEVELS if (value := number(held, level)) is not None}
    for level, count in counts.items():
        if count < 1 or count != int(count):
            place = f'definition.options.thresholds.{level}'
            yield Problem(place, f'is a number of statuses in a row, at least 1, not {count:g}')
    most = max(counts.values(), default=1)
    if not most < view.check.last <= MAX_LAST:
        yield Problem(QUERY, f'last({view.check.last}): look at more than {most:g} statuses and at most {MAX_LAST}')
    for key in OF_VALUES:
        if options.get(key) is not None:
            yield Problem(f'definition.options.{key}', 'is not an option of a service check monitor')
    timeframe = number(options, 'no_data_timeframe')
    if text(view.body, 'type') == 'service check' and options.get('notify_no_data') is True and timeframe is None:
        yield Problem('definition.options.no_data_timeframe', 'missing; notify_no_data needs it, in minutes')
