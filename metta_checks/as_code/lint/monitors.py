"""MC10 for monitors: requirements of Datadog's monitor pages, of the API and of part 8 of the design."""

from __future__ import annotations

import re
from collections.abc import Iterator

from metta_checks.as_code import query_tree as grammar
from metta_checks.as_code.query_tree import Call, Function, MonitorQuery
from metta_checks.as_code.schema import closest

from .findings import Problem, rule
from .thresholds import ABOVE, BELOW
from .view import View, child, number, objects, text, texts

INTEGRATION_TAG = 'integration:metta-checks'
TEAM = 'team:'
MAX_DESCRIPTION = 300
SHIFTS = (
    '5m_ago',
    '10m_ago',
    '15m_ago',
    '30m_ago',
    '1h_ago',
    '2h_ago',
    '4h_ago',
    '1d_ago',
    '1w_ago',
    '1mo_ago',
)
MAX_TIMEOUT_HOURS = 24
ALGORITHMS = ('basic', 'agile', 'robust')
DIRECTIONS = ('above', 'below', 'both')
SECONDS = {'m': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400, 'mo': 30 * 86400}
# Ratio of the query window of an anomaly monitor to its alert window: about five, to leave data to compare with.
MIN_WINDOWS, MAX_WINDOWS = 4, 10
INTERVALS_IN_WINDOW = 5
OPTIONS = 'definition.options'
THRESHOLDS = f'{OPTIONS}.thresholds'
_WINDOW = re.compile(r'(?:last|current)_(\d+)(mo|[mhdw])')
_NAME = re.compile(r'\{\{\s*([\w./-]+)\.name\s*\}\}')
_MATCH = re.compile(r'\{\{[#^]is(?:_exact)?_match\s+"([\w./-]+)\.name"')
_BLOCK = re.compile(r'\{\{([#^/])\s*(\w+)[^}]*\}\}')


def seconds(window: str) -> int | None:
    """Return the length of a window such as `last_4h` in seconds, None for another text.

    Of a window since the start of an hour, a day or a month (`current_1d`), the greatest length.
    """
    match = _WINDOW.fullmatch(window)
    return int(match[1]) * SECONDS[match[2]] if match else None


@rule('MC10', kinds=('monitor',), own=True)
def described(view: View) -> Iterator[Problem]:
    """Title without template variables, a short description, the integration's tag, the title in the name."""
    document = view.asset.document
    title, description = text(document, 'title'), text(document, 'description')
    if '{{' in title or '$' in title:
        yield Problem('title', f'{title!r} holds a template variable; only name and message may')
    if not description.strip():
        yield Problem('description', 'describe the problem, its cause and its effect')
    if len(description) > MAX_DESCRIPTION:
        yield Problem('description', f'{len(description)} characters; at most {MAX_DESCRIPTION}')
    for place, parent in (('tags', document), ('definition.tags', view.body)):
        if INTEGRATION_TAG not in [tag for _, tag in texts(parent, 'tags')]:
            yield Problem(place, f'{INTEGRATION_TAG} is missing')
    if not any(tag.startswith(TEAM) for _, tag in texts(view.body, 'tags')):
        yield Problem('definition.tags', f'no tag begins with {TEAM}, by which notification rules find the recipients')
    if title and title not in text(view.body, 'name'):
        yield Problem('definition.name', f'does not hold the title {title!r}')
    if text(view.body, 'type') == 'metric alert':
        yield Problem('definition.type', '"metric alert" is deprecated; use "query alert"')
    priority = view.body.get('priority')
    if priority is not None and (isinstance(priority, bool) or priority not in (1, 2, 3, 4, 5)):
        yield Problem('definition.priority', f'must be 1 to 5, is {priority!r}')


@rule('MC10', kinds=('monitor',))
def thresholds(view: View) -> Iterator[Problem]:
    """The critical threshold equals the query's; warning and recovery lie on the correct side."""
    monitor = view.monitor
    if monitor is None:
        return
    held = child(child(view.body, 'options'), 'thresholds')
    critical = number(held, 'critical')
    if critical is None:
        yield Problem(f'{THRESHOLDS}.critical', f'missing; the query says {monitor.threshold:g}')
        return
    if critical != monitor.threshold:
        yield Problem(f'{THRESHOLDS}.critical', f'is {critical:g}, the query says {monitor.threshold:g}')
    if monitor.comparator not in (*ABOVE, *BELOW):
        return
    side = 'below' if monitor.comparator in ABOVE else 'above'
    for key in ('warning', 'critical_recovery'):
        value = number(held, key)
        if value is not None and not _lies(value, side, critical):
            yield Problem(f'{THRESHOLDS}.{key}', f'{value:g} is not {side} the critical {critical:g}')
    warning, recovery = number(held, 'warning'), number(held, 'warning_recovery')
    if recovery is not None and (warning is None or not _lies(recovery, side, warning)):
        yield Problem(f'{THRESHOLDS}.warning_recovery', f'{recovery:g} is not {side} the warning')


def _lies(value: float, side: str, limit: float) -> bool:
    """Return whether a value lies `above` or `below` a limit."""
    return value > limit if side == 'above' else value < limit


@rule('MC10', kinds=('monitor',))
def options(view: View) -> Iterator[Problem]:
    """Options do not exclude each other and stay within bounds."""
    found = child(view.body, 'options')
    if found.get('new_host_delay') is not None and found.get('new_group_delay') is not None:
        yield Problem(f'{OPTIONS}.new_host_delay', 'not together with new_group_delay')
    if 'on_missing_data' in found:
        for key in ('notify_no_data', 'no_data_timeframe'):
            if found.get(key) is not None:
                yield Problem(f'{OPTIONS}.{key}', 'not together with on_missing_data')
    timeout = number(found, 'timeout_h')
    if timeout is not None and not 0 <= timeout <= MAX_TIMEOUT_HOURS:
        yield Problem(f'{OPTIONS}.timeout_h', f'at most {MAX_TIMEOUT_HOURS} hours, is {timeout:g}')
    for key in ('new_group_delay', 'renotify_interval', 'evaluation_delay'):
        value = number(found, key)
        if value is not None and value < 0:
            yield Problem(f'{OPTIONS}.{key}', f'must not be negative, is {value:g}')


@rule('MC10', kinds=('monitor',), own=True)
def comparators(view: View) -> Iterator[Problem]:
    """Monitors do not alert on equality, which a value that lies between two numbers misses."""
    if view.monitor and view.monitor.comparator not in (*ABOVE, *BELOW):
        yield Problem('definition.query', f'compares with {view.monitor.comparator}; use >, >=, < or <=')


@rule('MC10', kinds=('monitor',), own=True)
def partial_windows(view: View) -> Iterator[Problem]:
    """Monitors are evaluated although a part of their window has no data."""
    if child(view.body, 'options').get('require_full_window') is True:
        yield Problem(f'{OPTIONS}.require_full_window', 'must be false: with a gap, the monitor would not be evaluated')


@rule('MC10', kinds=('monitor',))
def window(view: View) -> Iterator[Problem]:
    """Evaluation windows, and shifts of change alerts, are accepted by the API."""
    monitor = view.monitor
    if monitor is None:
        return
    if monitor.shift and f'{monitor.shift.removeprefix("last_").removesuffix("_ago")}_ago' not in SHIFTS:
        yield Problem('definition.query', f'cannot compare with {monitor.shift}; expected one of {", ".join(SHIFTS)}')
    if seconds(monitor.window) is None and not _calls(monitor, 'forecast'):
        yield Problem(
            'definition.query',
            f'{monitor.window} is not a window; use last_ and a number of minutes, hours, days, weeks or months',
        )


@rule('MC10', kinds=('monitor',))
def grouping(view: View) -> Iterator[Problem]:
    """All series are grouped alike, texts name only these groups, and blocks of a message are closed."""
    series = [one for request in view.requests for query in request.queries for one in query.series]
    for one in series[1:]:
        if set(one.by) != set(series[0].by):
            yield Problem(
                'definition.query', f'{one.metric} is grouped by {_groups(one.by)}, not {_groups(series[0].by)}'
            )
    by = set(view.check.by) if view.check else {tag for one in series for tag in one.by}
    texts_of = (
        ('definition.name', text(view.body, 'name')),
        ('definition.message', text(view.body, 'message')),
        (f'{OPTIONS}.escalation_message', text(child(view.body, 'options'), 'escalation_message')),
    )
    for place, content in texts_of:
        for name in dict.fromkeys((*_NAME.findall(content), *_MATCH.findall(content))):
            if (series or view.check) and not by & {name, grammar.EVERY_TAG}:
                yield Problem(place, f'{{{{{name}.name}}}} is empty: the query is grouped by {_groups(tuple(by))}')
        if problem := _unbalanced(content):
            yield Problem(place, problem)


def _groups(by: tuple[str, ...]) -> str:
    return ', '.join(sorted(by)) or 'nothing'


def _unbalanced(content: str) -> str:
    opened: list[str] = []
    for mark, name in _BLOCK.findall(content):
        if mark != '/':
            opened.append(name)
        elif not opened or opened.pop() != name:
            return f'{{{{/{name}}}}} closes a block that is not open'
    return f'{{{{#{opened[-1]}}}}} is not closed' if opened else ''


@rule('MC05', kinds=('monitor',))
def formula_and_variables_match(view: View) -> Iterator[Problem]:
    """The formula of a monitor names queries of its options; every such query is used."""
    if view.monitor is None or not view.monitor.is_formula:
        return
    names = [text(one, 'name') for _, one in objects(child(view.body, 'options'), 'variables')]
    used = [node.name for node in grammar.walk(view.monitor.expression) if isinstance(node, grammar.Reference)]
    for name in dict.fromkeys(used):
        if name not in names:
            yield Problem('definition.query', f'there is no query {name!r} in the options{closest(name, names)}')
    for index, name in enumerate(names):
        if name not in used:
            yield Problem(f'{OPTIONS}.variables[{index}].name', f'the formula does not use the query {name!r}')


@rule('MC10', kinds=('monitor',))
def anomalies(view: View) -> Iterator[Problem]:
    """Anomaly monitors: algorithm, interval, and windows of query, alert and options fit (Datadog's anomaly pages)."""
    monitor = view.monitor
    if monitor is None:
        return
    windows = child(child(view.body, 'options'), 'threshold_windows')
    place = f'{OPTIONS}.threshold_windows'
    calls = _calls(monitor, 'anomalies')
    if not calls:
        if windows:
            yield Problem(place, 'only anomaly monitors have threshold windows')
        return
    call = calls[0].call
    yield from _anomaly_arguments(call)
    if not 0 <= monitor.threshold <= 1:
        yield Problem('definition.query', f'the threshold is a share of points, 0 to 1, not {monitor.threshold:g}')
    if monitor.comparator not in ABOVE:
        yield Problem(
            'definition.query', f'an anomaly is a share of points above a threshold; use >=, not {monitor.comparator}'
        )
    keywords = dict(call.keywords)
    alert = str(keywords.get('alert_window', ''))
    for key in ('trigger_window', 'recovery_window'):
        held = text(windows, key)
        if held != alert and (key == 'trigger_window' or not held):
            yield Problem(f'{place}.{key}', f"is {held or 'missing'}, the query's alert_window is {alert or 'missing'}")
    yield from _proportions(monitor, keywords.get('interval'), alert)


def _anomaly_arguments(call: Call) -> Iterator[Problem]:
    plain = [one for one in call.arguments if isinstance(one, str)]
    if not plain or plain[0] not in ALGORITHMS:
        yield Problem('definition.query', f'anomalies takes one of {", ".join(ALGORITHMS)}')
    if (direction := dict(call.keywords).get('direction', 'both')) not in DIRECTIONS:
        yield Problem('definition.query', f'direction {direction!r}; expected one of {", ".join(DIRECTIONS)}')


def _proportions(monitor: MonitorQuery, interval: float | str | None, alert: str) -> Iterator[Problem]:
    length, whole = seconds(alert), seconds(monitor.window)
    if length is None:
        yield Problem('definition.query', 'anomalies needs an alert_window such as last_2h')
        return
    if not isinstance(interval, float):
        yield Problem('definition.query', 'anomalies needs an interval, in seconds')
    elif interval * INTERVALS_IN_WINDOW > length:
        most = length // INTERVALS_IN_WINDOW
        yield Problem('definition.query', f'interval {interval:g} is too long for {alert}: at most {most} s')
    if whole is not None and not MIN_WINDOWS <= whole / length <= MAX_WINDOWS:
        yield Problem(
            'definition.query',
            f'{monitor.window} is {whole / length:g} times {alert}; use about five times',
            # Datadog takes any window that is not shorter, and recommends five times its length.
            'error' if whole < length else 'warning',
        )


def _calls(monitor: MonitorQuery, name: str) -> list[Function]:
    nodes = grammar.walk(monitor.expression)
    return [node for node in nodes if isinstance(node, Function) and node.call.name == name]
