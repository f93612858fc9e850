"""MC01 to MC05 and MC08: queries parse, and name metrics, tags and queries that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from metta_checks.as_code import query_tree as grammar
from metta_checks.as_code.query import parse_queries, variables_in
from metta_checks.as_code.query_tree import (
    Call,
    Condition,
    Function,
    Group,
    Membership,
    QuerySyntaxError,
    Series,
    Variable,
)
from metta_checks.as_code.schema import closest

from .findings import Problem, rule
from .view import Query, Request, View, Widget, objects, text, texts

EVERYWHERE = ('dashboard', 'monitor', 'slo')
# Service checks that may be shown, with their tags; assets/service_checks.json declares them.
SERVICE_CHECKS = {'metta.can_connect': ('source', 'env')}
# Datadog's functions; functions of one family differ in the number of series or points that they include.
FUNCTIONS = frozenset(
    (
        *('abs', 'ceil', 'floor', 'log2', 'log10', 'pow', 'round', 'sqrt'),
        *('is_greater', 'is_less', 'is_between'),
        *('count_nonzero', 'count_not_null', 'exclude_null', 'default_zero'),
        *('clamp_max', 'clamp_min', 'cutoff_max', 'cutoff_min'),
        *('cumsum', 'integral', 'derivative', 'diff', 'monotonic_diff', 'dt'),
        *('per_second', 'per_minute', 'per_hour', 'rate', 'throughput', 'rollup', 'reduce'),
        *('hour_before', 'day_before', 'week_before', 'month_before', 'timeshift', 'calendar_shift'),
        *('autosmooth', 'moving_rollup', 'trend_line', 'robust_trend', 'piecewise_constant'),
        *('anomalies', 'forecast', 'outliers', 'percentile', 'weighted', 'top', 'top_offset', 'bottom'),
        *('avg', 'sum', 'min', 'max', 'stddev'),
        *(f'ewma_{points}' for points in (1, 3, 5, 7, 10, 20)),
        *(f'rollingavg_{points}' for points in (5, 13, 21, 29)),
        *(f'median_{points}' for points in (3, 5, 7, 9)),
        *(
            f'{end}{series}_{by}'
            for end in ('top', 'bottom')
            for series in (5, 10, 15, 20)
            for by in ('mean', 'max', 'min', 'last', 'l2norm', 'area', 'norm')
        ),
        *(f'{end}{series}' for end in ('top', 'bottom') for series in (5, 10, 15, 20)),
    )
)
MODIFIERS = frozenset(('as_count', 'as_rate', 'rollup', 'fill', *FUNCTIONS))
ADDING = ('sum',)
# A tag in the search of a list, also inside `tag:("...")`.
_TAGGED = re.compile(r'(?<![\w:])(?!tag:)[\w.-]+:[\w./-]+')


@rule('MC01', kinds=EVERYWHERE, own=True)
def one_series(view: View) -> Iterator[Problem]:
    """A query holds exactly one series; arithmetic belongs in a formula (as in all of integrations-extras)."""
    for place in dict.fromkeys(query.place for query in _queries(view) if query.key == 'q'):
        yield Problem(place, 'the old form of a request; use `queries` and `formulas`')
    for query in _queries(view):
        if (
            query.key != 'q'
            and query.tree
            and not query.arithmetic
            and (len(query.series) != 1 or _arithmetic(query.tree))
        ):
            what = f'{len(query.series)} series' if len(query.series) != 1 else 'arithmetic'
            yield Problem(query.place, f'holds {what}; one series per query, arithmetic in `formulas`')


@rule('MC01', kinds=EVERYWHERE)
def one_query(view: View) -> Iterator[Problem]:
    """An entry of `queries` holds one query."""
    for query in _queries(view):
        if query.error and (parts := _joined(query.text)):
            yield Problem(query.place, f'{parts} queries joined by commas; give each an entry of its own')


@rule('MC02', kinds=EVERYWHERE)
def parses(view: View) -> Iterator[Problem]:
    """Queries, formulas and monitor queries parse, and call functions that exist (Datadog's functions pages)."""
    if view.kind == 'monitor' and text(view.body, 'type') in ('query alert', 'metric alert') and view.monitor_error:
        yield Problem(view.at('query'), str(view.monitor_error))
    for request in view.requests:
        for query in request.queries:
            yield from _query_parses(query)
        for formula in request.formulas:
            if formula.error:
                yield Problem(formula.path, str(formula.error))
            yield from _strange_calls(formula.path, formula.tree)


def _query_parses(query: Query) -> Iterator[Problem]:
    if query.error and not _joined(query.text):
        yield Problem(query.place, str(query.error))
    yield from _strange_calls(query.place, query.tree)
    for one in query.series:
        if not one.aggregator:
            yield Problem(query.place, f'{one.metric}: name an aggregator, such as avg: or sum:', 'warning')
        if one.mixed:
            message = (
                "filtered by symbols (',' or '!') and words (AND, OR, NOT or IN); Datadog takes one kind per filter"
            )
            yield Problem(query.place, f'{one.metric}: {message}', 'warning')
        if one.unclear:
            message = 'AND beside OR; write parentheses around those that belong together'
            yield Problem(query.place, f'{one.metric}: {message}', 'warning')


@rule('MC03', kinds=EVERYWHERE)
def metric_exists(view: View) -> Iterator[Problem]:
    """Every metric is in a catalog: the six metrics.yaml, the collector's, and those of the option --catalog."""
    for query, one in _series(view):
        if view.metric(one.metric) is None and view.is_covered(one.metric):
            near = closest(one.metric, list(view.catalogs))
            yield Problem(query.place, f'{one.metric} is not in any catalog{near}')


@rule('MC04', kinds=EVERYWHERE)
def tags_exist(view: View) -> Iterator[Problem]:
    """A metric is filtered and grouped only by its own tags; variables are declared."""
    variables = objects(view.body, 'template_variables')
    groups = [text(one, 'name') for _, one in variables if text(one, 'type') == 'group']
    for query, one in _series(view):
        for leaf in grammar.conditions(one.filter):
            if problem := _filter_problem(view, one, leaf):
                yield Problem(query.place, problem)
        for tag in one.by:
            if tag.startswith('$'):
                if tag.removeprefix('$') not in groups:
                    yield Problem(query.place, f'grouped by {tag}: group by a tag, or by a variable of the type group')
            elif tag != grammar.EVERY_TAG and (metric := view.metric(one.metric)) and not metric.carries(tag):
                yield Problem(query.place, _no_tag(one.metric, tag, metric.tags))


@rule('MC04', own=True)
def check_status(view: View) -> Iterator[Problem]:
    """Service checks exist and are filtered and grouped by their tags (assets/service_checks.json)."""
    for widget in view.leaves():
        if widget.kind != 'check_status':
            continue
        check = text(widget.definition, 'check')
        if check in SERVICE_CHECKS:
            yield from _check_tags(view, widget, check)
        else:
            known = ', '.join(SERVICE_CHECKS)
            message = f'{check!r} is not a service check of this integration; known: {known}'
            yield Problem(f'{widget.inside}.check', message)


def _check_tags(view: View, widget: Widget, check: str) -> Iterator[Problem]:
    """Yield groups and filters of a widget that are neither tags of its service check nor variables."""
    known = SERVICE_CHECKS[check]
    for index, tag in texts(widget.definition, 'group_by'):
        if tag not in known:
            yield Problem(f'{widget.inside}.group_by[{index}]', _no_tag(check, tag, known))
    for index, condition in texts(widget.definition, 'tags'):
        place, key = f'{widget.inside}.tags[{index}]', condition.partition(':')[0]
        if condition.startswith('$'):
            if (name := condition[1:].removesuffix('.value')) not in view.variables:
                yield Problem(place, _no_variable(view, name))
        elif condition != '*' and key not in known:
            yield Problem(place, _no_tag(check, key, known))


@rule('MC04', own=True)
def lists_find_something(view: View) -> Iterator[Problem]:
    """Lists of SLOs and monitors match some of this project by their tags (part 1: no ids of an account)."""
    for widget in view.leaves():
        if widget.kind == 'manage_status':
            yield from _finds(view, 'monitor', f'{widget.inside}.query', text(widget.definition, 'query'))
        elif widget.kind == 'slo_list':
            for request in widget.requests:
                search = text(request.definition.get('query'), 'query_string')
                yield from _finds(view, 'slo', f'{request.path}.query.query_string', search)


def _finds(view: View, kind: str, place: str, search: str) -> Iterator[Problem]:
    bodies = [
        asset.document.get('definition') if kind == 'monitor' else asset.document
        for asset in view.beside
        if asset.kind == kind
    ]
    tags = {tag for body in bodies for _, tag in texts(body, 'tags')}
    wanted = _TAGGED.findall(search)
    if tags and wanted and not tags.intersection(wanted):
        yield Problem(place, f'matches no {kind} of this project; their tags are {", ".join(sorted(tags))}')


@rule('MC05', kinds=('dashboard', 'slo'))
def formulas_and_queries_match(view: View) -> Iterator[Problem]:
    """Formulas name existing queries; every query is used; query names are unique."""
    for request in view.requests:
        if not request.formulas and not objects(request.definition, 'queries'):
            continue
        names: list[str] = [text(one, 'name') for _, one in objects(request.definition, 'queries')]
        used = {name for formula in request.formulas for name in formula.names}
        for formula in request.formulas:
            for name in formula.names:
                if name not in names:
                    yield Problem(formula.path, f'there is no query {name!r}{closest(name, names)}')
        yield from _unused(request, names, used)


def _unused(request: Request, names: list[str], used: set[str]) -> Iterator[Problem]:
    broken = any(formula.error for formula in request.formulas)
    for place, (index, _) in enumerate(objects(request.definition, 'queries')):
        path = f'{request.path}.queries[{index}].name'
        if names[place] in names[:place]:
            yield Problem(path, f'two queries are called {names[place]!r}')
        elif names[place] not in used and not broken:
            yield Problem(path, f'no formula uses the query {names[place]!r}')


@rule('MC08', kinds=EVERYWHERE, own=True)
def gauges_stay_honest(view: View) -> Iterator[Problem]:
    """Gauges are not filled with zeros, not read as counts and not summed over time (part 2, part 6)."""
    for request in view.requests:
        metrics = {query.name: query.metrics for query in request.queries}
        for query in request.queries:
            if _gauges(view, query.metrics):
                yield from _dishonest(query.place, query.tree)
                if query.aggregator in ADDING:
                    yield Problem(f'{query.path}.aggregator', 'sums a gauge over time; use last, avg, min or max')
        for formula in request.formulas:
            if _gauges(view, [metric for name in formula.names for metric in metrics.get(name, ())]):
                yield from _dishonest(formula.path, formula.tree)


def _gauges(view: View, metrics: list[str]) -> bool:
    return any((found := view.metric(metric)) and found.type == 'gauge' for metric in metrics)


def _dishonest(place: str, tree: grammar.Expression | None) -> Iterator[Problem]:
    for call in _calls(tree):
        words = [one for one in call.arguments if isinstance(one, str)]
        if call.name == 'default_zero' or (call.name == 'fill' and 'zero' in words):
            yield Problem(place, f'{call.name} turns unknown values into 0; show the gap')
        elif call.name in ('as_count', 'as_rate'):
            yield Problem(place, f'{call.name} of a gauge; it applies to counts and rates only')
        elif call.name == 'rollup' and 'sum' in words:
            yield Problem(place, 'rollup(sum) sums a gauge over time; use avg, min or max')


def _queries(view: View) -> Iterator[Query]:
    return (query for request in view.requests for query in request.queries)


def _series(view: View) -> Iterator[tuple[Query, Series]]:
    return ((query, one) for query in _queries(view) for one in query.series)


def _joined(source: str) -> int:
    """Return the number of queries that commas join to one text; 0 for a single one, and for another error."""
    try:
        found = len(parse_queries(source))
    except QuerySyntaxError:
        return 0
    return found if found > 1 else 0


def _arithmetic(tree: grammar.Expression) -> bool:
    return any(isinstance(node, (grammar.Operation, grammar.Negative)) for node in _outside_calls(tree))


def _outside_calls(tree: grammar.Expression) -> Iterator[grammar.Expression]:
    """Yield the nodes that are not arguments of functions: `forecast(q, 'linear', -1)` is not arithmetic."""
    yield tree
    match tree:
        case Group(inner):
            yield from _outside_calls(inner)
        case Function(call):
            for argument in call.arguments[:1]:
                if not isinstance(argument, str):
                    yield from _outside_calls(argument)


def _calls(tree: grammar.Expression | None) -> Iterator[Call]:
    for node in grammar.walk(tree) if tree else ():
        if isinstance(node, Function):
            yield node.call
        if isinstance(node, (Function, Group, Series)):
            yield from node.modifiers


def _strange_calls(place: str, tree: grammar.Expression | None) -> Iterator[Problem]:
    for node in grammar.walk(tree) if tree else ():
        called = [(node.call, FUNCTIONS)] if isinstance(node, Function) else []
        if isinstance(node, (Function, Group, Series)):
            called += [(one, MODIFIERS) for one in node.modifiers]
        for call, known in called:
            if call.name not in known:
                yield Problem(place, f'there is no function {call.name}{closest(call.name, sorted(known))}')


def _filter_problem(view: View, one: Series, leaf: Condition | Variable | Membership) -> str:
    metric = view.metric(one.metric)
    tag = leaf.tag
    if isinstance(leaf, Variable):
        if view.kind != 'dashboard':
            return f'${leaf.name}: only dashboards have template variables'
        if leaf.name not in view.variables:
            return _no_variable(view, leaf.name)
        tag = leaf.tag or view.variables[leaf.name]
        if not tag:
            return ''
    elif unknown := [name for name in _variables_in(leaf) if name not in view.variables]:
        return _no_variable(view, unknown[0])
    elif isinstance(leaf, Condition) and not tag:
        return f'{leaf.value!r} is not a tag; write tag:value'
    return '' if metric is None or metric.carries(tag) else _no_tag(one.metric, tag, metric.tags)


def _variables_in(leaf: Condition | Membership) -> list[str]:
    values = leaf.values if isinstance(leaf, Membership) else (leaf.value,)
    return [name for value in values for name in variables_in(value)]


def _no_tag(metric: str, tag: str, known: tuple[str, ...]) -> str:
    return f'{metric} does not have the tag {tag!r}{closest(tag, known)}; it has {", ".join(known)}'


def _no_variable(view: View, name: str) -> str:
    return f'${name} is not a template variable{closest(name, list(view.variables))}'
