"""DG11: template variables filter every graph whose metrics carry their tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metta_checks.as_code import query_tree as grammar

from .findings import Problem, rule
from .queries import SERVICE_CHECKS
from .view import Query, View, Widget, objects, text, texts


@rule('DG11', own=True)
def graphs_listen(view: View) -> Iterator[Problem]:
    """Graphs are filtered by each template variable with a tag of their metrics (guidelines: template variables)."""
    yield from _queries_listen(view)
    yield from _checks_listen(view)
    used = _used(view)
    for index, variable in objects(view.body, 'template_variables'):
        if text(variable, 'name') not in used:
            yield Problem(f'template_variables[{index}]', f'no graph is filtered by ${text(variable, "name")}')


def _queries_listen(view: View) -> Iterator[Problem]:
    for query in _queries(view):
        for one in query.series:
            metric, listens = view.metric(one.metric), _in_filter(one)
            for name, prefix in view.variables.items():
                if prefix and metric and prefix in metric.tags and not listens & _alike(view, name):
                    yield Problem(query.place, f'is not filtered by ${name}, though {one.metric} carries {prefix}')


def _alike(view: View, name: str) -> set[str]:
    """Return the variables that filter by the same tag; a query listens to one of them."""
    return {other for other, prefix in view.variables.items() if prefix == view.variables[name]}


def _checks_listen(view: View) -> Iterator[Problem]:
    for widget in view.leaves():
        if widget.kind == 'check_status':
            carried, listens = SERVICE_CHECKS.get(text(widget.definition, 'check'), ()), _in_tags(widget)
            for name, prefix in view.variables.items():
                if prefix in carried and name not in listens:
                    yield Problem(f'{widget.inside}.tags', f'is not filtered by ${name}')


def _queries(view: View) -> Iterator[Query]:
    return (query for request in view.requests for query in request.queries)


def _in_filter(series: grammar.Series) -> set[str]:
    """Return the variables that a series is filtered by."""
    return {leaf.name for leaf in grammar.conditions(series.filter) if isinstance(leaf, grammar.Variable)}


def _in_tags(widget: Widget) -> set[str]:
    """Return the variables among the tags of a widget."""
    tags = [tag for _, tag in texts(widget.definition, 'tags')]
    return {tag[1:].removesuffix('.value') for tag in tags if tag.startswith('$')}


def _used(view: View) -> set[str]:
    """Return the variables that at least one graph is filtered by."""
    used = {name for query in _queries(view) for one in query.series for name in _in_filter(one)}
    used |= {name for widget in view.leaves() for name in _in_tags(widget)}
    return used | {name for query in _other(view) for name in view.variables if f'${name}' in query}


@rule('DG11')
def variables_are_unique(view: View) -> Iterator[Problem]:
    """Variables are declared once, and presets name declared ones."""
    seen: set[str] = set()
    for index, one in objects(view.body, 'template_variables'):
        name = text(one, 'name')
        if name in seen:
            yield Problem(f'template_variables[{index}].name', f'${name} is declared twice')
        seen.add(name)
    for index, preset in objects(view.body, 'template_variable_presets'):
        for inner, one in objects(preset, 'template_variables'):
            if text(one, 'name') not in seen:
                place = f'template_variable_presets[{index}].template_variables[{inner}].name'
                yield Problem(place, f'${text(one, "name")} is not a template variable')


def _other(view: View) -> Iterator[str]:
    """Return other texts that may name variables: searches of logs, events and monitors."""
    for widget in view.leaves():
        yield text(widget.definition, 'query')
        for request in widget.requests:
            query = request.definition.get('query')
            yield text(query, 'query_string')
            yield from (_search(one) for _, one in objects(request.definition, 'queries'))
            yield from (query.text for query in request.queries if _unparsed(query))


def _search(query: dict[str, Any]) -> str:
    return text(query.get('search'), 'query')


def _unparsed(query: Query) -> bool:
    return query.tree is None
